import type { Graph } from "./mechanisms.gen.js";
import type { Owned } from "./objects.js";

declare global {
  interface SymbolConstructor {
    /** For `await using`; also where TypeScript's library does not have it yet. */
    readonly asyncDispose: unique symbol;
  }
}

/** How far the start of Python has come. */
export interface Progress {
  phase: "runtime" | "packages" | "graphattend" | "ready";
  /** Bytes fetched so far, over all files; 0 in Node.js, which reads from disk. */
  loaded: number;
  /** Bytes of the files known so far, where the server tells. */
  total: number | undefined;
  /** The file the last bytes belong to. */
  file?: string;
  /** "used", "vendored" (the folder's; this engine's own is made after the start), "none" (likewise), or why there can be none; undefined where none was looked for. */
  snapshot?: string;
}

/** Where Python comes from. */
export interface RuntimeOptions {
  /** Folder with Pyodide: a URL in browsers (default: Pyodide's CDN), a path in Node.js (default: npm's `pyodide`). */
  indexURL?: string;
  /** Pyodide's lock file, if it is not in `indexURL`. */
  lockFileURL?: string;
  /** graphattend's wheel (default: the lock file's, else the one in this package). */
  wheelURL?: string;
  /** Whether NumPy's own loops are replaced by SIMD ones; on by default, because this interpreter is ours. */
  accelerate?: boolean;
  /**
   * Start from a snapshot that an earlier start left behind, and leave one where there is none; needs an `indexURL` that
   * `npx graphattend vendor` wrote. Default: in Chromium on desktops.
   */
  snapshot?: boolean;
  /**
   * "simd": refuse an `indexURL` whose NumPy is not the WASM-SIMD build, which
   * `npx graphattend vendor DIR --numpy-simd WHEEL` takes.
   */
  numpy?: "simd";
  /** @internal Only make the snapshot. */
  make?: boolean;
  /** @internal The wheel that is published with this package; known to the page, not to a copied worker. */
  bundledWheelURL?: string;
}

export type NumberArray =
  | Float32Array
  | Float64Array
  | Int8Array
  | Uint8Array
  | Int16Array
  | Uint16Array
  | Int32Array
  | Uint32Array
  | readonly number[];

/** Numbers with a shape, row by row. */
export interface Shaped<T = NumberArray> {
  data: T;
  shape: readonly number[];
}

/** An array with memory of its own, never shared: `Float32Array<ArrayBuffer>` where TypeScript tells them apart. */
export type Fresh<T> = T extends { slice(): infer S } ? S : T;

/** A result: always fresh arrays, never anything that must be freed. */
export interface Matrix<T extends ArrayLike<number> = Float32Array> {
  data: Fresh<T>;
  shape: number[];
}

/** Rows of these, or rows of rows. */
export type Nested<T> = readonly T[] | readonly Nested<T>[];

/** Anything a matrix can be given as; a flat array is one row, or rows of the mechanism's `dim`. */
export type Data = NumberArray | Shaped | Nested<number> | Nested<Float32Array> | Nested<Float64Array> | TensorLike;

/**
 * Who attends to whom: booleans, whole numbers that are all 0 or 1, or bytes (nonzero = attend). Other plain numbers, float
 * arrays and tensors of numbers are added to the scores; -Infinity hides.
 */
export type Mask = Data | Nested<boolean> | Shaped<readonly boolean[]>;

/** An array that lives in Python's memory. */
export interface TensorLike {
  readonly shape: readonly number[];
  free(): Promise<void>;
}

/** Anything that can be handed to Python: data, numbers, text, objects in Python, lists and mappings of such. */
export type Input =
  | Data
  | Mask
  | number
  | boolean
  | string
  | null
  | undefined
  | Owned
  | AbortSignal
  | readonly Input[]
  | { readonly [name: string]: Input };

/** What JSON can hold. */
export type Json = number | string | boolean | null | Json[] | { [name: string]: Json };

/** Plain attributes of objects. */
export type Scalar = number | string | boolean | null;

/** Anything that comes back from Python. */
export type Value = Scalar | Owned | Matrix<Results> | Value[] | { [name: string]: Value };
type Results =
  Float32Array | Float64Array | Int8Array | Uint8Array | Int16Array | Uint16Array | Int32Array | Uint32Array;

/** Precision of results. */
export type Dtype = "float32" | "float64";

/** Floating-point results in the precision that was asked for. */
export type Numbers<D extends Dtype = "float32"> = Matrix<D extends "float64" ? Float64Array : Float32Array>;

/** What is summed over the last axis: a number for flat arrays, which are one point, an array for rows of them. */
export type Reduced<
  X,
  D extends Dtype,
  T extends ArrayLike<number> = D extends "float64" ? Float64Array : Float32Array,
> = [X] extends [NumberArray]
  ? number
  : [Extract<X, Nested<NumberArray>>] extends [never]
    ? Matrix<T> | number
    : Matrix<T>;

/** Index and weight of every choice, by falling weight; for rows of queries one list each. */
export type Ranked<X> =
  X extends Nested<NumberArray> ? [number, number][][] : [number, number][] | [number, number][][];

/**
 * Changes the scores (…, M, N) before their softmax, each by itself; gives as many numbers in the same order. Its derivative is
 * taken by central differences, for which it is called again.
 */
export type ScoreMod = (scores: Matrix<Float64Array>) => Answer<Numeric>;

type Answer<T> = T | Promise<T>;
type Numeric = ArrayLike<number> & NumberArray;

/** Rows of points or vectors (P, D), or lists of points (B, N, D) with weights (B, N), in double precision. */
type Doubles = Matrix<Float64Array>;

/**
 * A manifold of functions over typed arrays. Arguments that belong together have the same number of rows, however the method was
 * called. Each gives as many numbers as it has rows, or as many points as it has rows or lists. What is left out is as in flat
 * space, or follows from the others: means by gradient steps, with many calls of `expmap` and `logmap`.
 */
export interface ManifoldFunctions {
  /** Where the geodesic from x with velocity v ends. */
  expmap(x: Doubles, v: Doubles): Answer<Numeric>;
  /** The velocity at x of the geodesic from x to y. */
  logmap(x: Doubles, y: Doubles): Answer<Numeric>;
  /** One number for each row. Default: the length of `logmap`. */
  dist?(x: Doubles, y: Doubles): Answer<Numeric>;
  expmap0?(v: Doubles): Answer<Numeric>;
  logmap0?(y: Doubles): Answer<Numeric>;
  /** Any vectors moved onto the manifold. Default: as they are. */
  project?(x: Doubles): Answer<Numeric>;
  projectTangent?(x: Doubles, v: Doubles): Answer<Numeric>;
  transport?(x: Doubles, y: Doubles, v: Doubles): Answer<Numeric>;
  /** One number for each row: Riemannian product of u and v at x. Default: Euclidean. */
  inner?(x: Doubles, u: Doubles, v: Doubles): Answer<Numeric>;
  norm?(x: Doubles, v: Doubles): Answer<Numeric>;
  egrad2rgrad?(x: Doubles, g: Doubles): Answer<Numeric>;
  midpoint?(points: Doubles, weights: Doubles): Answer<Numeric>;
  frechetMean?(points: Doubles, weights: Doubles): Answer<Numeric>;
  /** The point from which `expmap0` and `logmap0` start. Default: zeros. */
  origin?(dim: number): Answer<Numeric>;
  /** Gradients: the same arguments and the gradient of the result, to the gradients of the arguments. */
  gradients?: {
    [Name in Exclude<keyof ManifoldFunctions, "origin" | "gradients">]?: (
      ...args: [...Parameters<NonNullable<ManifoldFunctions[Name]>>, Doubles]
    ) => Answer<readonly Numeric[]>;
  };
}

/** Whether losses of samples are averaged, added or left as they are. */
export type Reduction = "mean" | "sum" | "none";

/** What a mechanism may need to know about the keys: one row per key. */
export interface Metadata {
  edgeFeatures?: Data;
  edgeWeights?: Data;
  distances?: Data;
  hnswLayers?: Data;
  queryLayer?: Data | number;
  structuralFeatures?: Data;
  queryStructural?: Data;
  latentKeys?: Data;
  latentValues?: Data;
}

/** Row i lists the nodes that node i attends to. */
export interface CsrGraph {
  indptr: NumberArray;
  indices: NumberArray;
  edgeFeatures?: Data;
  edgeWeights?: Data;
  distances?: Data;
  layers?: Data;
  names?: readonly string[];
}

/** Edges as pairs of source and target, or as one row of sources and one of targets; the target attends to the source. */
export type EdgeGraph = EdgeGraphParts &
  (
    | { edges: readonly (readonly number[])[] | Int32Array | Uint32Array; edgeIndex?: never }
    | { edgeIndex: Data; edges?: never }
  );
interface EdgeGraphParts {
  numNodes: number;
  edgeFeatures?: Data;
  edgeWeights?: Data;
  distances?: Data;
  layers?: Data;
  names?: readonly string[];
}

/** d3's graph: links may name the ids of nodes, or be the nodes themselves; `value` or `weight` weighs them. */
export interface LinkedGraph {
  nodes: readonly ({ id?: string | number } | string | number)[];
  links: readonly LinkLike[];
  directed?: boolean;
}
interface LinkLike {
  source: string | number | { id?: string | number; index?: number };
  target: string | number | { id?: string | number; index?: number };
  value?: number;
  weight?: number;
}

/** Edges between named nodes. */
export interface NamedEdges extends Omit<EdgeGraphParts, "numNodes"> {
  edges: readonly (readonly string[])[];
  numNodes?: number;
}

/** A graph as an argument. */
export type GraphData = CsrGraph | EdgeGraph | Graph;

/** Everything a graph can be made of; text and bytes are those of a file, whose start tells its format. */
export type GraphInput = CsrGraph | EdgeGraph | NamedEdges | LinkedGraph | string | Uint8Array;

export interface CallOptions<D extends Dtype = Dtype> {
  signal?: AbortSignal | undefined;
  /** Milliseconds until the call is given up. */
  timeout?: number | undefined;
  /** Give the buffers of the given arrays away to the worker instead of copying them. */
  transfer?: boolean | undefined;
  /** For drags and keystrokes: of such calls of the same method that wait, only the newest stays; the others reject as aborted. */
  latest?: boolean | undefined;
  /**
   * Without a worker: give results as views of Python's memory instead of copies. They hold until the next call of any kind; large
   * ones come sooner that way.
   */
  view?: boolean | undefined;
  /** "float64" keeps double precision in the results. */
  dtype?: D | undefined;
}
