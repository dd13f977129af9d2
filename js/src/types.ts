import type { Graph } from "./mechanisms.gen.js";
import type { Owned } from "./objects.js";

declare global {
  interface SymbolConstructor {
    /** For `await using`; declared here for older libraries of TypeScript. */
    readonly asyncDispose: unique symbol;
  }
}

/** The progress of Python's start. */
export interface Progress {
  phase: "runtime" | "packages" | "graphattend" | "ready";
  /** Bytes of all files fetched so far; 0 in Node.js, which reads from disk. */
  loaded: number;
  /** Size in bytes of the files known so far; undefined if the server does not send it. */
  total: number | undefined;
  /** The file of the last bytes. */
  file?: string;
  /** "used", "vendored" (the folder's; this engine's own is made after the start), "none" (likewise), or the reason why there can be none; undefined without `snapshot`. */
  snapshot?: string;
}

/** Options of Python's start. */
export interface RuntimeOptions {
  /** Folder of Pyodide: a URL in browsers (default: Pyodide's CDN), a path in Node.js (default: npm's `pyodide`). */
  indexURL?: string;
  /** Pyodide's lock file, if it is not in `indexURL`. */
  lockFileURL?: string;
  /** graphattend's wheel. Default: that of the lock file, else that of this package. */
  wheelURL?: string;
  /** Whether NumPy's loops are replaced by SIMD loops. Default: true, because the interpreter runs only graphattend. */
  accelerate?: boolean;
  /**
   * Start from the snapshot of an earlier start, or make one if there is none. Needs an `indexURL` that `npx graphattend vendor`
   * wrote. Default: true in desktop Chromium.
   */
  snapshot?: boolean;
  /**
   * "simd": reject an `indexURL` whose NumPy is not the WASM-SIMD build, which `npx graphattend vendor DIR --numpy-simd WHEEL`
   * puts there.
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

/** Numbers in row-major order, with a shape. */
export interface Shaped<T = NumberArray> {
  data: T;
  shape: readonly number[];
}

/** An array with a buffer of its own: `Float32Array<ArrayBuffer>` if this version of TypeScript distinguishes them. */
export type Fresh<T> = T extends { slice(): infer S } ? S : T;

/** A result: a new array, which need not be freed. */
export interface Matrix<T extends ArrayLike<number> = Float32Array> {
  data: Fresh<T>;
  shape: number[];
}

/** Rows of these, or rows of rows. */
export type Nested<T> = readonly T[] | readonly Nested<T>[];

/** The types that a matrix can be given as; a flat array is one row, or rows of the mechanism's `dim`. */
export type Data = NumberArray | Shaped | Nested<number> | Nested<Float32Array> | Nested<Float64Array> | TensorLike;

/**
 * An attention mask: booleans, integers that are all 0 or 1, or bytes (nonzero = attend). Other plain numbers, float arrays and
 * tensors of numbers are added to the scores; -Infinity hides a key.
 */
export type Mask = Data | Nested<boolean> | Shaped<readonly boolean[]>;

/** An array that lives in Python's memory. */
export interface TensorLike {
  readonly shape: readonly number[];
  free(): Promise<void>;
}

/** The types that can be passed to Python: data, numbers, text, objects in Python, lists and mappings of these. */
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

/** A JSON value. */
export type Json = number | string | boolean | null | Json[] | { [name: string]: Json };

/** A plain attribute of an object. */
export type Scalar = number | string | boolean | null;

/** A value that Python returns. */
export type Value = Scalar | Owned | Matrix<Results> | Value[] | { [name: string]: Value };
type Results =
  Float32Array | Float64Array | Int8Array | Uint8Array | Int16Array | Uint16Array | Int32Array | Uint32Array;

/** Precision of results. */
export type Dtype = "float32" | "float64";

/** Floating-point results in the requested precision. */
export type Numbers<D extends Dtype = "float32"> = Matrix<D extends "float64" ? Float64Array : Float32Array>;

/** A result reduced over the last axis: a number for a flat array, which is one point, an array for rows of points. */
export type Reduced<
  X,
  D extends Dtype,
  T extends ArrayLike<number> = D extends "float64" ? Float64Array : Float32Array,
> = [X] extends [NumberArray]
  ? number
  : [Extract<X, Nested<NumberArray>>] extends [never]
    ? Matrix<T> | number
    : Matrix<T>;

/** Index and weight of each choice in descending order of weight; for rows of queries one list per row. */
export type Ranked<X> =
  X extends Nested<NumberArray> ? [number, number][][] : [number, number][] | [number, number][][];

/**
 * Modifies each score of (…, M, N) before the softmax; returns as many numbers in the same order. Its derivative is computed by
 * central differences, for which it is called again.
 */
export type ScoreMod = (scores: Matrix<Float64Array>) => Answer<Numeric>;

type Answer<T> = T | Promise<T>;
type Numeric = ArrayLike<number> & NumberArray;

/** Rows of points or vectors (P, D), or sets of points (B, N, D) with weights (B, N), in double precision. */
type Doubles = Matrix<Float64Array>;

/**
 * The functions of a manifold over typed arrays. All arguments of a call have the same number of rows, after broadcasting. Each
 * function returns one number or one point per row or set. The defaults are those of flat space, or follow from the other
 * functions: means are computed by gradient steps, with many calls of `expmap` and `logmap`.
 */
export interface ManifoldFunctions {
  /** The end point of the geodesic from x with velocity v. */
  expmap(x: Doubles, v: Doubles): Answer<Numeric>;
  /** The velocity at x of the geodesic from x to y. */
  logmap(x: Doubles, y: Doubles): Answer<Numeric>;
  /** Distance of each row. Default: the length of `logmap`. */
  dist?(x: Doubles, y: Doubles): Answer<Numeric>;
  expmap0?(v: Doubles): Answer<Numeric>;
  logmap0?(y: Doubles): Answer<Numeric>;
  /** Project vectors onto the manifold. Default: unchanged. */
  project?(x: Doubles): Answer<Numeric>;
  projectTangent?(x: Doubles, v: Doubles): Answer<Numeric>;
  transport?(x: Doubles, y: Doubles, v: Doubles): Answer<Numeric>;
  /** Riemannian inner product of u and v at x, one number per row. Default: Euclidean. */
  inner?(x: Doubles, u: Doubles, v: Doubles): Answer<Numeric>;
  norm?(x: Doubles, v: Doubles): Answer<Numeric>;
  egrad2rgrad?(x: Doubles, g: Doubles): Answer<Numeric>;
  midpoint?(points: Doubles, weights: Doubles): Answer<Numeric>;
  frechetMean?(points: Doubles, weights: Doubles): Answer<Numeric>;
  /** The base point of `expmap0` and `logmap0`. Default: zeros. */
  origin?(dim: number): Answer<Numeric>;
  /** Gradient functions: from the same arguments and the gradient of the result to the gradients of the arguments. */
  gradients?: {
    [Name in Exclude<keyof ManifoldFunctions, "origin" | "gradients">]?: (
      ...args: [...Parameters<NonNullable<ManifoldFunctions[Name]>>, Doubles]
    ) => Answer<readonly Numeric[]>;
  };
}

/** The reduction of the losses of samples: their mean, their sum or none. */
export type Reduction = "mean" | "sum" | "none";

/** Data about the keys that a mechanism may need, one row per key. */
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

/** d3's graph: source and target are ids of nodes or the nodes themselves; `value` or `weight` is the weight. */
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

/** The types that a graph can be created from; text and bytes are those of a file, whose first bytes determine its format. */
export type GraphInput = CsrGraph | EdgeGraph | NamedEdges | LinkedGraph | string | Uint8Array;

export interface CallOptions<D extends Dtype = Dtype> {
  signal?: AbortSignal | undefined;
  /** Timeout in milliseconds. */
  timeout?: number | undefined;
  /** Transfer the buffers of the given arrays to the worker instead of copying them. */
  transfer?: boolean | undefined;
  /** For drags and keystrokes: of the waiting calls of the same method, keep only the newest; the others reject as aborted. */
  latest?: boolean | undefined;
  /**
   * Without a worker: return results as views of Python's memory instead of copies, which is faster for large results. The views
   * are valid until the next call of any kind.
   */
  view?: boolean | undefined;
  /** "float64" keeps double precision in the results. */
  dtype?: D | undefined;
}
