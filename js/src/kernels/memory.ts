import { AttentionError } from "../errors.js";
import type { ENTRIES } from "./entries.gen.js";

export type Kind = "bool" | "int8" | "int32" | "int64" | "float32" | "float64";
/** NumPy's letters for the dtypes, and bytes per number. */
const LETTERS: Record<Kind, string> = { bool: "?", int8: "b", int32: "i", int64: "q", float32: "f", float64: "d" };
const ITEM: Record<Kind, number> = { bool: 1, int8: 1, int32: 4, int64: 8, float32: 4, float64: 8 };

const MOST_BYTES = 2 ** 31;
const PAGE = 65536;
const ALIGNMENT = 64;
const align = (n: number): number => Math.ceil(n / ALIGNMENT) * ALIGNMENT;

export const sizeOf = (shape: readonly number[]): number => {
  let n = 1;
  for (let i = 0; i < shape.length; i++) n *= shape[i]!;
  return n;
};

/** An array in the module's memory, as the kernels read it; strides in numbers. */
export class Block {
  constructor(
    /** Where its description lies. */
    readonly at: number,
    readonly data: number,
    readonly shape: readonly number[],
    readonly strides: readonly number[],
    readonly kind: Kind,
  ) {}

  get size(): number {
    return sizeOf(this.shape);
  }
}

/** Steps of an array that lies row by row. */
export function rowMajor(shape: readonly number[]): number[] {
  const strides = new Array<number>(shape.length);
  for (let i = shape.length - 1, step = 1; i >= 0; i--) {
    strides[i] = step;
    step *= shape[i]!;
  }
  return strides;
}

interface Host {
  memory: WebAssembly.Memory;
  arguments(): number;
  array_axes(): number;
  array_bytes(): number;
  begin(end: number): void;
  describe(array: number, kind: number, data: number, ndim: number): void;
  kind_of(letter: number): number;
  most_axes(): number;
  numbers(): number;
  problem(): number;
}

export type Entry = keyof typeof ENTRIES;
type Each<Names extends readonly string[], T> = {
  readonly [I in keyof Names]: Names[I] extends `${string}?` ? T | null : T;
};
type Operand = Block | number | boolean;
/** What a call of this entry point takes: as many operands as are declared, null where it is allowed. */
export type Operands<E extends Entry> = Each<(typeof ENTRIES)[E], Operand>;
/** How a kernel answers: it does not apply, it is done, something was not finite, shapes contradict each other. */
const [DECLINED, DONE, NOT_FINITE, WRONG] = [0, 1, 2, 3];

/** Names that Python spells with underscores; those of weights (`w_q`) stay, which may be given so. */
const NAMES = /\b(?![abw]_)[a-z]+\d*(?:_[a-z\d]+)+\b/g;

/** An error with names in JavaScript's spelling. */
function spelled(error: unknown): unknown {
  if (!(error instanceof AttentionError)) return error;
  const camel = (text: string): string =>
    text.replace(NAMES, (name) => name.replace(/_(.)/g, (_match, c: string) => c.toUpperCase()));
  return Object.assign(
    error,
    { message: camel(error.message) },
    error.argument === undefined ? {} : { argument: camel(error.argument) },
  );
}

/**
 * The module's memory: below `base` what was made to stay, above it the arena, which every call takes from and gives
 * back as a whole. Views on it are made anew when it has grown.
 */
export class Memory {
  f32!: Float32Array;
  f64!: Float64Array;
  i32!: Int32Array;
  u8!: Uint8Array;
  private readonly host: Host;
  private readonly kernels: Record<Entry, () => number>;
  private readonly kinds: Record<Kind, number>;
  private readonly axes: number;
  private readonly descriptor: number;
  readonly mostAxes: number;
  /** Where the arguments of a call go. */
  private readonly args: number;
  private readonly numbers: number;
  private base: number;
  private top: number;
  private depth = 0;
  private readonly holes: [start: number, end: number][] = [];
  private readonly kept = new Map<number, number>();
  private readonly registry = new FinalizationRegistry<number>((start) => this.release(start));

  constructor(instance: WebAssembly.Instance) {
    const host = (this.host = instance.exports as unknown as Host);
    this.kernels = Object.fromEntries(
      Object.entries(instance.exports).map(([name, call]) => [name.replace(/^call_/, ""), call]),
    ) as Record<Entry, () => number>;
    this.refresh();
    this.kinds = Object.fromEntries(
      Object.entries(LETTERS).map(([kind, letter]) => [kind, host.kind_of(letter.charCodeAt(0))]),
    ) as Record<Kind, number>;
    this.axes = host.array_axes();
    this.descriptor = align(host.array_bytes());
    this.mostAxes = host.most_axes();
    this.args = host.arguments();
    this.numbers = host.numbers();
    this.base = this.top = align(host.memory.buffer.byteLength); // the module's own data end below this
  }

  /** Bytes that tensors and graphs hold, and bytes of the memory. */
  get used(): number {
    let sum = 0;
    for (const [start, end] of this.kept) sum += end - start;
    return sum;
  }

  get size(): number {
    return this.host.memory.buffer.byteLength;
  }

  private refresh(): void {
    const { buffer } = this.host.memory;
    if (this.f32?.buffer === buffer) return;
    this.f32 = new Float32Array(buffer);
    this.f64 = new Float64Array(buffer);
    this.i32 = new Int32Array(buffer);
    this.u8 = new Uint8Array(buffer);
  }

  private ensure(end: number): void {
    const missing = end - this.host.memory.buffer.byteLength;
    if (missing <= 0) return;
    let most = MOST_BYTES;
    try {
      if (!(end <= most)) throw new RangeError();
      most = this.size; // what the engine has given so far, should it refuse
      this.host.memory.grow(Math.ceil(missing / PAGE));
    } catch {
      throw new AttentionError(
        "out_of_memory",
        most === MOST_BYTES
          ? `out of memory: expected at most ${most} bytes in all, got ${end}`
          : `out of memory: the engine gives no more than ${most} bytes, and ${end} are needed`,
        { expected: most, actual: end },
      );
    }
    this.refresh();
  }

  /** Run one call; what it takes from the arena goes back at its end. */
  run<T>(work: () => T): T {
    const mark = this.top;
    this.depth++;
    try {
      return work();
    } catch (error) {
      throw spelled(error);
    } finally {
      this.depth--;
      this.top = Math.max(mark, this.base);
      if (this.depth === 0) this.shrink();
    }
  }

  /** An array in the arena; its numbers are whatever lies there. */
  room(shape: readonly number[], kind: Kind = "float32"): Block {
    const bytes = align(sizeOf(shape) * ITEM[kind]);
    const at = this.top;
    const end = at + this.descriptor + bytes;
    this.ensure(end);
    this.top = end;
    return this.describe(at, at + this.descriptor, shape, rowMajor(shape), kind);
  }

  zeros(shape: readonly number[]): Block {
    const block = this.room(shape);
    this.f32.fill(0, block.data >> 2, (block.data >> 2) + block.size);
    return block;
  }

  /** Another look at the numbers of a block: other axes, from the number `offset` on. */
  view(block: Block, shape: readonly number[], strides: readonly number[] = rowMajor(shape), offset = 0): Block {
    const at = this.top;
    this.ensure(at + this.descriptor);
    this.top = at + this.descriptor;
    return this.describe(at, block.data + offset * ITEM[block.kind], shape, strides, block.kind);
  }

  private describe(at: number, data: number, shape: readonly number[], strides: readonly number[], kind: Kind): Block {
    const ndim = shape.length;
    if (ndim > this.mostAxes) {
      throw new AttentionError("dimension_mismatch", `arrays: expected at most ${this.mostAxes} axes, got ${ndim}`, {
        expected: this.mostAxes,
        actual: ndim,
      });
    }
    const { i32 } = this;
    const from = (at + this.axes) >> 2;
    const item = ITEM[kind];
    for (let i = 0; i < ndim; i++) {
      i32[from + i] = shape[i]!;
      i32[from + this.mostAxes + i] = strides[i]! * item;
    }
    this.host.describe(at, this.kinds[kind], data, ndim);
    return new Block(at, data, shape, strides, kind);
  }

  /** An array that stays until `release`, or until `owner` is collected. */
  keep(shape: readonly number[], kind: Kind, owner: object): Block {
    const bytes = this.descriptor + align(sizeOf(shape) * ITEM[kind]);
    const hole = this.holes.findIndex(([start, end]) => end - start >= bytes);
    let start: number;
    let at: number;
    if (hole >= 0) {
      const found = this.holes[hole]!;
      start = at = found[0];
      found[0] += bytes;
      if (found[0] === found[1]) this.holes.splice(hole, 1);
      this.kept.set(start, start + bytes);
    } else {
      // Inside a call (a getter of its arguments may do anything) the arena so far stays below it.
      start = this.base;
      at = this.top;
      this.ensure(at + bytes);
      this.base = this.top = at + bytes;
      this.kept.set(start, this.base);
    }
    this.registry.register(owner, start, owner);
    return this.describe(at, at + this.descriptor, [...shape], rowMajor(shape), kind);
  }

  /** Free what `keep` gave to this owner. */
  free(block: Block, owner: object): void {
    this.registry.unregister(owner);
    for (const [start, end] of this.kept) {
      if (start <= block.at && block.at < end) return this.release(start);
    }
  }

  private release(start: number): void {
    const end = this.kept.get(start);
    if (end === undefined) return;
    this.kept.delete(start);
    this.holes.push([start, end]);
    this.holes.sort((a, b) => a[0] - b[0]);
    for (let i = this.holes.length - 1; i > 0; i--) {
      if (this.holes[i - 1]![1] !== this.holes[i]![0]) continue;
      this.holes[i - 1]![1] = this.holes[i]![1];
      this.holes.splice(i, 1);
    }
    if (this.depth === 0) this.shrink();
  }

  private shrink(): void {
    const last = this.holes.at(-1);
    if (last === undefined || last[1] !== this.base) return;
    this.holes.pop();
    this.base = this.top = last[0];
  }

  /** @internal Call a kernel: true or false as all was finite or not, null where it does not apply. */
  call<E extends Entry>(entry: E, ...operands: Operands<E>): boolean | null {
    const { i32, f64 } = this;
    const slot = this.args >> 2;
    const number = this.numbers >> 3;
    for (let i = 0; i < operands.length; i++) {
      const x = operands[i] as Operand | null;
      if (x instanceof Block) i32[slot + i] = x.at;
      else if (x === null) i32[slot + i] = 0;
      else {
        i32[slot + i] = 1;
        f64[number + i] = Number(x);
      }
    }
    this.host.begin(this.top);
    const status = this.kernels[entry]();
    this.refresh();
    if (status === DONE) return true;
    if (status === NOT_FINITE) return false;
    if (status === DECLINED) return null;
    if (status === WRONG) throw new AttentionError("internal_error", this.text(this.host.problem()));
    throw new AttentionError("out_of_memory", `${entry}: out of memory`);
  }

  /** @internal A call that has to apply. */
  must<E extends Entry>(entry: E, ...operands: Operands<E>): boolean {
    const answer = this.call(entry, ...operands);
    if (answer === null) throw new AttentionError("internal_error", `${entry}: declined`);
    return answer;
  }

  /** A copy of the numbers of a block that lies row by row. */
  read(block: Block): Float32Array {
    const from = block.data >> 2;
    try {
      return this.f32.slice(from, from + block.size);
    } catch (error) {
      throw new AttentionError("out_of_memory", `out of memory: a result of ${4 * block.size} bytes`, { cause: error });
    }
  }

  private text(at: number): string {
    const end = this.u8.indexOf(0, at);
    return new TextDecoder().decode(this.u8.slice(at, end));
  }
}
