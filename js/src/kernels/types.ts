import type { Tensor } from "./tensor.js";

/** Numbers with a shape, row by row. */
export interface Matrix {
  data: Float32Array;
  shape: number[];
}

/** What every function returns, always in fresh memory; `output` is the matrix itself, so that `const { output } = …` always holds. */
export interface Output extends Matrix {
  readonly output: Output;
}

type Nested<T> = readonly T[] | readonly Nested<T>[];
type Typed = Float32Array | Float64Array | Int8Array | Uint8Array | Int16Array | Uint16Array | Int32Array | Uint32Array;

/**
 * Numbers: a typed array (one axis; keys and values may be flat, they are cut into rows), nested arrays, `{ data, shape }`
 * or a resident tensor. Computed in float32.
 */
export type Data =
  | Typed
  | Nested<number>
  | Nested<Float32Array>
  | Nested<Float64Array>
  | { data: ArrayLike<number>; shape: readonly number[] }
  | Tensor;

/** Boolean masks: true, or nonzero in a `Uint8Array`, means attend. Float masks are added to the scores; -Infinity hides. */
export type Mask = Data | Nested<boolean> | { data: ArrayLike<boolean>; shape: readonly number[] };

/** What attention gives besides its output. */
export interface Attended<O = Output> {
  output: O;
  weights: Output;
}

/** An output, and what turns its gradient into those of the arguments; it can be called again. */
export interface Vjp<O, G> {
  output: O;
  pullback(gradient: Data): G;
}
