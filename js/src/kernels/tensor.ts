import { AttentionError, invalid } from "../errors.js";
import type { Block, Memory } from "./memory.js";

/** Kinds of numbers a tensor can have. */
export type DType = "float32" | "bool" | "int32" | "int8";

declare global {
  interface SymbolConstructor {
    /** For `using`; also where TypeScript's library does not have it yet. */
    readonly dispose: unique symbol;
  }
}

/** An array that stays in the kernels' memory: copied once, used in place ever after. */
export class Tensor {
  /** The name, also if a minifier has shortened the name of the class. */
  static readonly name: string = "Tensor";
  readonly shape: readonly number[];
  readonly dtype: DType;
  readonly #memory: Memory;
  #block: Block | undefined;

  /** @internal Made by `tensor`. */
  constructor(memory: Memory, shape: readonly number[], dtype: DType) {
    this.shape = Object.freeze([...shape]);
    this.dtype = dtype;
    this.#memory = memory;
    this.#block = memory.keep(shape, dtype, this);
  }

  /** @internal Whether something is one, asked without touching what a caller gave. */
  static is(x: unknown): x is Tensor {
    return typeof x === "object" && x !== null && #memory in x;
  }

  /** @internal Where it lies in this memory. */
  static block(tensor: Tensor, memory: Memory, argument: string): Block {
    if (tensor.#memory !== memory)
      throw invalid(argument, "expected a tensor of these kernels, got one of another `load()`");
    if (tensor.#block === undefined)
      throw new AttentionError("freed", `${argument}: the tensor has been freed`, { argument });
    return tensor.#block;
  }

  /** Itself: what a call with `out` returns is read like any other result. */
  get output(): this {
    return this;
  }

  /** A copy of its numbers. */
  read(): { data: Float32Array | Int32Array | Int8Array | Uint8Array; shape: number[] } {
    const memory = this.#memory;
    const { data, size, kind } = Tensor.block(this, memory, "tensor");
    const from = kind === "float32" || kind === "int32" ? data >> 2 : data;
    const copy = (kind === "float32" ? memory.f32 : kind === "int32" ? memory.i32 : memory.u8).slice(from, from + size);
    return { data: kind === "int8" ? new Int8Array(copy.buffer) : copy, shape: [...this.shape] };
  }

  /** Give its memory back; a second call does nothing. */
  free(): void {
    const block = this.#block;
    this.#block = undefined;
    if (block !== undefined) this.#memory.free(block, this);
  }

  /** The same, at the end of a block with `using`. */
  [Symbol.dispose](): void {
    this.free();
  }
}
