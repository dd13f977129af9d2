import { AttentionError, invalid, look } from "../errors.js";
import { sizeOf, type Block, type Kind, type Memory } from "./memory.js";
import { Tensor } from "./tensor.js";

/** A shape as Python writes it. */
export const tuple = (shape: readonly number[]): string => `(${shape.join(", ")}${shape.length === 1 ? "," : ""})`;

export const mismatch = (
  argument: string,
  expected: unknown,
  actual: unknown,
  text: string,
  got: string,
): AttentionError =>
  new AttentionError("dimension_mismatch", `${argument}: expected ${text}, got ${got}`, { argument, expected, actual });

const kindError = (argument: string, actual: string): AttentionError =>
  invalid(argument, `expected an array of real numbers, got ${actual}`, {
    expected: "an array of real numbers",
    actual,
  });

type Numbers = ArrayLike<number | bigint | boolean>;
type Row = Numbers | readonly Row[];

const NAMES = new Set([
  "Float32Array",
  "Float64Array",
  "Int8Array",
  "Uint8Array",
  "Uint8ClampedArray",
  "Int16Array",
  "Uint16Array",
  "Int32Array",
  "Uint32Array",
  "BigInt64Array",
  "BigUint64Array",
  "Float16Array",
]);
const tagOf = Object.getOwnPropertyDescriptor(
  Object.getPrototypeOf(Uint8Array.prototype) as object,
  Symbol.toStringTag,
)!.get!;
const typed = (x: unknown): string | undefined => tagOf.call(x) as string | undefined;
const isNumbers = (x: unknown): x is Numbers => NAMES.has(typed(x) ?? "");
const isWhole = (n: unknown): n is number => Number.isSafeInteger(n) && (n as number) >= 0;

/** The memory's view and where a block begins in it, to write numbers of its kind. */
function target(
  memory: Memory,
  block: Block,
): { view: Float32Array | Float64Array | Int32Array | Uint8Array; at: number } {
  switch (block.kind) {
    case "float32":
      return { view: memory.f32, at: block.data >> 2 };
    case "float64":
      return { view: memory.f64, at: block.data >> 3 };
    case "int32":
      return { view: memory.i32, at: block.data >> 2 };
    default:
      return { view: memory.u8, at: block.data };
  }
}

/** Writes numbers one by one; what float32 cannot hold, and what is no number, is refused. */
function fill(memory: Memory, block: Block, source: Numbers, offset: number, name: string): void {
  const { view, at } = target(memory, block);
  const single = block.kind === "float32";
  for (let i = 0; i < source.length; i++) {
    const given = source[i];
    if (
      typeof given !== "number" &&
      typeof given !== "bigint" &&
      (typeof given !== "boolean" || block.kind !== "bool")
    ) {
      throw kindError(name, given === null ? "null" : typeof given);
    }
    const value = Number(given);
    view[at + offset + i] = block.kind === "bool" ? Number(value !== 0) : value;
    if (single && value - value === 0 && Math.abs(view[at + offset + i]!) === Infinity) {
      throw new AttentionError(
        "numerical_instability",
        `${name}: expected numbers that float32 can hold, got ${value}`,
        {
          argument: name,
          expected: "numbers that float32 can hold",
          actual: value,
        },
      );
    }
  }
}

function write(memory: Memory, block: Block, source: Numbers, name: string): Block {
  const kind = typed(source);
  if (source.length === 0 && kind !== undefined) look(() => new Uint8Array((source as Float32Array).buffer), name); // throws where it was given away
  const { view, at } = target(memory, block);
  if (
    (block.kind === "float32" && (kind === "Float32Array" || kind === "Float16Array")) ||
    (block.kind === "int32" && kind === "Int32Array") ||
    (block.kind === "int8" && kind === "Int8Array")
  )
    view.set(source as ArrayLike<number>, at);
  else fill(memory, block, source, 0, name);
  return block;
}

/** The lengths of nested arrays, from their first entries. */
function nestedShape(x: unknown, name: string): number[] {
  const shape: number[] = [];
  for (let at = x; ; at = (at as readonly unknown[])[0]) {
    if (isNumbers(at)) {
      shape.push(at.length);
      break;
    }
    if (!Array.isArray(at)) break;
    shape.push(at.length);
    if (shape.length > 24) throw invalid(name, "nested too deeply (does it contain itself?)");
    if (at.length === 0) break;
  }
  return shape;
}

function fillNested(memory: Memory, block: Block, x: Row, axis: number, offset: number, name: string): number {
  const { shape } = block;
  const rows = Array.isArray(x) || isNumbers(x);
  if (!rows || x.length !== shape[axis]) {
    throw kindError(name, `rows of different lengths (${rows ? x.length : typeof x} where others have ${shape[axis]})`);
  }
  if (axis === shape.length - 1) {
    fill(memory, block, x as Numbers, offset, name);
    return offset + x.length;
  }
  if (!Array.isArray(x)) throw kindError(name, "rows of different depths");
  for (const row of x as readonly Row[]) offset = fillNested(memory, block, row, axis + 1, offset, name);
  return offset;
}

/** Whether it is meant as data rather than as options. */
export const isData = (x: unknown): boolean =>
  Tensor.is(x) ||
  isNumbers(x) ||
  Array.isArray(x) ||
  look(() => typeof x === "object" && x !== null && "data" in x && "shape" in x);

/** What a caller gave, by its shape, before it is copied. */
export interface Given {
  shape: number[];
  /** It has no shape of its own: a flat list of numbers. */
  flat: boolean;
  /** Words for what holds the numbers, to tell masks apart. */
  holds: "floats" | "booleans" | "bytes" | "integers" | "numbers";
  place(block: Block): Block;
}

function holding(source: unknown): Given["holds"] {
  const name = typed(source);
  if (name !== undefined) return name.startsWith("Float") ? "floats" : name.startsWith("Uint8") ? "bytes" : "integers";
  let at = source;
  while (Array.isArray(at)) at = at[0] as unknown;
  return isNumbers(at) ? holding(at) : typeof at === "boolean" ? "booleans" : "numbers";
}

/** Looks at data without copying it. */
export function inspect(memory: Memory, x: unknown, name: string): Given {
  const given = look((): Given => {
    if (typeof x === "number" || typeof x === "bigint") {
      return { shape: [], flat: false, holds: "numbers", place: (block) => write(memory, block, [x], name) };
    }
    if (isNumbers(x))
      return { shape: [x.length], flat: true, holds: holding(x), place: (block) => write(memory, block, x, name) };
    if (Array.isArray(x)) {
      const shape = nestedShape(x, name);
      return {
        shape,
        flat: shape.length === 1,
        holds: holding(x),
        place: (block) => {
          fillNested(memory, block, x as readonly Row[], 0, 0, name);
          return block;
        },
      };
    }
    if (typeof x === "object" && x !== null && "data" in x && "shape" in x) {
      const { data, shape } = x;
      const dims = ArrayBuffer.isView(shape) || Array.isArray(shape) ? Array.from(shape as ArrayLike<unknown>) : [];
      if ((dims.length === 0 && !Array.isArray(shape)) || !dims.every(isWhole)) {
        throw invalid(name, "expected shape to be whole numbers >= 0", { actual: shape });
      }
      if (!isNumbers(data) && !Array.isArray(data)) throw kindError(name, typeof data);
      if (data.length !== sizeOf(dims)) {
        throw mismatch(
          name,
          sizeOf(dims),
          data.length,
          `${sizeOf(dims)} numbers for shape ${tuple(dims)}`,
          `${data.length}`,
        );
      }
      return {
        shape: dims,
        flat: false,
        holds: holding(data),
        place: (block) => write(memory, block, data as Numbers, name),
      };
    }
    throw kindError(name, x === null ? "null" : typeof x);
  }, name);
  const axes = given.shape.length;
  if (axes > memory.mostAxes) throw mismatch(name, memory.mostAxes, axes, `at most ${memory.mostAxes} axes`, `${axes}`);
  return { ...given, place: (block) => look(() => given.place(block), name) };
}

/** The tensor that was passed, if it is one of this memory and alive. */
export function resident(memory: Memory, x: unknown, name: string, kind: Kind): Block | undefined {
  if (!Tensor.is(x)) return undefined;
  const block = Tensor.block(x, memory, name);
  if (block.kind !== kind) throw kindError(name, `a tensor of ${block.kind}, expected ${kind}`);
  return block;
}

/** Data as float32 numbers in the module's memory. */
export function floats(memory: Memory, x: unknown, name: string): Block {
  const there = resident(memory, x, name, "float32");
  if (there !== undefined) return there;
  if (typed(x) === "Float32Array" && (x as Float32Array).length > 0) {
    // what comes most, at once
    const block = memory.room([(x as Float32Array).length]);
    memory.f32.set(x as Float32Array, block.data >> 2);
    return block;
  }
  const given = inspect(memory, x, name);
  if (given.holds === "booleans") throw kindError(name, "booleans");
  return given.place(memory.room(given.shape));
}

/** The same for what has rows: a flat list of numbers is cut into `rows` of them, or into rows of that width. */
export function matrix(memory: Memory, x: unknown, name: string, cut: { rows?: number; width?: number }): Block {
  const block = floats(memory, x, name);
  if (block.shape.length !== 1 || Tensor.is(x) || "shape" in Object(x)) return block;
  const length = block.shape[0]!;
  const width = cut.width ?? length / cut.rows!;
  return width > 0 && length > 0 && length % width === 0 && Number.isInteger(width)
    ? memory.view(block, [length / width, width])
    : block;
}

export function checkAxes(block: Block, name: string, least: number, most = Infinity): Block {
  const n = block.shape.length;
  if (n < least || n > most) {
    const text =
      most === least ? `${least} axes` : most === Infinity ? `at least ${least} axes` : `${least} to ${most} axes`;
    throw mismatch(name, most === least ? least : text, n, text, `shape ${tuple(block.shape)}`);
  }
  return block;
}

export function checkFilled(block: Block, name: string): void {
  if (block.size > 0) return;
  throw new AttentionError("empty_input", `${name}: expected at least one entry, got shape ${tuple(block.shape)}`, {
    argument: name,
    expected: "at least one entry",
    actual: block.shape,
  });
}

/** The axis is counted from the end: -1 is the last. */
export function checkLength(block: Block, name: string, axis: number, expected: number, why: string): void {
  const { shape } = block;
  const actual = shape[axis < 0 ? shape.length + axis : axis]!;
  if (actual !== expected)
    throw mismatch(name, expected, actual, `${expected} along axis ${axis} (${why})`, `shape ${tuple(shape)}`);
}

export function checkShape(block: Block, name: string, expected: readonly number[]): void {
  const { shape } = block;
  if (shape.length === expected.length && shape.every((n, i) => n === expected[i])) return;
  throw mismatch(name, expected, shape, `shape ${tuple(expected)}`, tuple(shape));
}

/** The shape that all broadcast to, as in NumPy; undefined if there is none. */
export function broadcast(...shapes: readonly (readonly number[])[]): number[] | undefined {
  const out: number[] = new Array<number>(Math.max(...shapes.map((s) => s.length))).fill(1);
  for (const shape of shapes) {
    for (let i = 0; i < shape.length; i++) {
      const at = out.length - shape.length + i;
      if (shape[i] === out[at] || shape[i] === 1) continue;
      if (out[at] !== 1) return undefined;
      out[at] = shape[i]!;
    }
  }
  return out;
}

export function broadcastAll(name: string, ...shapes: readonly (readonly number[])[]): number[] {
  const first = shapes[0]!;
  if (shapes.every((s) => s.length === first.length && s.every((n, i) => n === first[i]))) return [...first];
  const out = broadcast(...shapes);
  if (out === undefined)
    throw mismatch(name, "shapes that broadcast", shapes, "shapes that broadcast", shapes.map(tuple).join(" and "));
  return out;
}

export function isSame(a: readonly number[] | undefined, b: readonly number[]): boolean {
  return a !== undefined && a.length === b.length && a.every((n, i) => n === b[i]);
}

/** A boolean (true = attend) or float mask (added to the scores), not yet fitted to anything. */
export function mask(memory: Memory, x: unknown, name = "attn_mask"): Block {
  if (Tensor.is(x)) {
    const there = Tensor.block(x, memory, name);
    if (there.kind !== "bool" && there.kind !== "float32") throw maskError(name, there.kind);
    if (there.kind === "float32" && there.size > 0 && memory.call("finite", there) === false) {
      const from = there.data >> 2;
      if (!memory.f32.subarray(from, from + there.size).every((x) => x < Infinity)) throw maskValueError(name);
    }
    return there;
  }
  const given = inspect(memory, x, name);
  if (given.holds === "booleans" || given.holds === "bytes") return given.place(memory.room(given.shape, "bool"));
  if (given.holds === "integers") throw maskError(name, "integers");
  // What float32 cannot hold becomes its extreme, for only -inf means hidden.
  const wide = given.place(memory.room(given.shape, "float64"));
  const narrow = memory.room(given.shape);
  const from = wide.data >> 3;
  const to = narrow.data >> 2;
  for (let i = 0; i < narrow.size; i++) {
    const value = memory.f64[from + i]!;
    if (!(value < Infinity)) throw maskValueError(name);
    memory.f32[to + i] = value === -Infinity ? value : Math.max(-MOST, Math.min(MOST, value));
  }
  return narrow;
}

const MOST = 3.4028234663852886e38;
const maskValueError = (name: string): AttentionError =>
  new AttentionError("numerical_instability", `${name}: expected finite numbers or -inf, got NaN or +inf`, {
    argument: name,
    expected: "finite numbers or -inf",
    actual: "NaN or +inf",
  });
const maskError = (name: string, got: string): AttentionError =>
  invalid(name, `expected a boolean or float mask, got ${got}`, { expected: "a boolean or float mask", actual: got });

/** Whole numbers as int32. */
export function indices(memory: Memory, x: unknown, name: string): Block {
  const there = resident(memory, x, name, "int32");
  if (there !== undefined) return there;
  const given = inspect(memory, x, name);
  const block = memory.room(given.shape, "int32");
  if (typed(x) === "Int32Array") return given.place(block);
  const wide = given.place(memory.room(given.shape, "float64"));
  for (let i = 0; i < wide.size; i++) {
    const value = memory.f64[(wide.data >> 3) + i]!;
    if (!Number.isInteger(value))
      throw invalid(name, `expected integer indices, got ${value}`, { expected: "integer indices", actual: value });
    if (value !== (value | 0)) throw outOfBounds(name, value, 2 ** 31 - 1);
    memory.i32[(block.data >> 2) + i] = value;
  }
  return block;
}

export const outOfBounds = (name: string, index: number, length: number): AttentionError =>
  new AttentionError("out_of_bounds", `${name}: expected 0 <= index < ${length}, got ${index}`, {
    argument: name,
    index,
    length,
    expected: `0 <= index < ${length}`,
    actual: index,
  });

/** Row starts of a CSR list, as the int64 that the kernels read. */
export function rowStarts(memory: Memory, x: unknown, length: number, name = "indptr"): Block {
  const starts = checkAxes(indices(memory, x, name), name, 1, 1);
  const n = starts.shape[0]!;
  const from = starts.data >> 2;
  const { i32 } = memory;
  let ok = n >= 1 && i32[from] === 0 && i32[from + n - 1] === length;
  for (let i = 1; i < n && ok; i++) ok = i32[from + i]! >= i32[from + i - 1]!;
  if (!ok) {
    const last = n > 0 ? i32[from + n - 1]! : 0;
    throw mismatch(
      name,
      length,
      last,
      `row starts from 0 to ${length}, never falling`,
      `${n} entries ending in [${n > 0 ? last : ""}]`,
    );
  }
  const block = memory.room([n], "int64");
  const to = block.data >> 2;
  for (let i = 0; i < n; i++) {
    memory.i32[to + 2 * i] = memory.i32[from + i]!;
    memory.i32[to + 2 * i + 1] = 0;
  }
  return block;
}

export interface Range {
  least?: number;
  above?: number;
  below?: number;
}

export function number(value: unknown, name: string, { least, above, below }: Range = {}): number {
  if (
    typeof value === "number" &&
    Number.isFinite(Math.fround(value)) &&
    (least === undefined || value >= least) &&
    (above === undefined || value > above) &&
    (below === undefined || value < below)
  )
    return value;
  const bounds = [
    least === undefined ? "" : `>= ${least}`,
    above === undefined ? "" : `> ${above}`,
    below === undefined ? "" : `< ${below}`,
  ];
  const expected = `a finite number ${bounds.filter(Boolean).join(" and ")}`.trim();
  throw invalid(name, `expected ${expected}, got ${show(value)}`, { expected, actual: value });
}

export function whole(value: unknown, name: string, least: number): number {
  if (Number.isSafeInteger(value) && (value as number) >= least) return value as number;
  throw invalid(name, `expected a whole number >= ${least}, got ${show(value)}`, {
    expected: `a whole number >= ${least}`,
    actual: value,
  });
}

export function flag(value: unknown, name: string): boolean {
  if (typeof value === "boolean") return value;
  throw invalid(name, `expected true or false, got ${show(value)}`, { expected: "true or false", actual: value });
}

export function show(value: unknown): string {
  return typeof value === "string"
    ? JSON.stringify(value.slice(0, 60))
    : typeof value === "object" && value !== null
      ? "an object"
      : String(value).slice(0, 60);
}

export const snake = (name: string): string => name.replace(/[A-Z]/g, (c) => `_${c.toLowerCase()}`);

/** The options of a call by their names; Python's spelling is taken, too, others are refused. */
export function options<K extends string>(
  given: unknown,
  known: readonly K[],
  owner: string,
  argument = "options",
): { [name in K]?: unknown } {
  if (given === undefined || given === null) return {};
  // Not a tensor, an array, a map, a date, …: they have no options, and would pass for none given.
  const kind = look(() => Object.prototype.toString.call(given).slice(8, -1), argument);
  if (typeof given !== "object" || Tensor.is(given) || kind !== "Object") {
    throw invalid(argument, `expected an object of ${argument}, got ${kind === "Array" ? "an array" : show(given)}`);
  }
  const out: { [name in K]?: unknown } = {};
  for (const key of look(() => Object.keys(given), argument)) {
    const name = known.find((k) => k === key || snake(k) === key);
    if (name === undefined) {
      throw invalid(snake(key).slice(0, 60), `no such option of ${owner}`, { expected: known, actual: key });
    }
    const value = look(() => (given as Record<string, unknown>)[key], argument);
    if (value !== undefined && value !== null) out[name] = value;
  }
  return out;
}
