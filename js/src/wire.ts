import { AttentionError, invalid, look, reason, type ErrorCode, type ErrorDetails } from "./errors.js";

export type TypedArray =
  | Float32Array
  | Float64Array
  | Int8Array
  | Uint8Array
  | Uint8ClampedArray
  | Int16Array
  | Uint16Array
  | Int32Array
  | Uint32Array
  | BigInt64Array
  | BigUint64Array;

/** A request as text and the arrays it refers to; `keep` is the id of the object it creates. */
export interface Wire {
  text: string;
  arrays: TypedArray[];
  /** The offset of each array in the arena, and the total number of bytes. */
  offsets: number[];
  bytes: number;
  keep: number | undefined;
  uses: number[];
  /** Operation and object; calls of the same kind may replace each other. */
  kind: string;
  /** Whether its arrays are copies, which do not change. */
  shared?: boolean;
  /** Whether results may be views of Python's memory. */
  view?: boolean;
  /** Functions of the caller that Python may call, by number. */
  functions?: Map<number, Callback>;
}

/** A function of the caller, and the name of its results in errors. */
export interface Callback {
  call: (...args: unknown[]) => unknown;
  name: string;
}

/** Paths of arguments that may be functions. */
const FUNCTION = /(^|\.)(loss|scoreMod|score_mod|manifold\.(gradients\.)?\w+)$/;
let functions = 0;

/** Runs a request that is one kernel call with these arrays; returns undefined if it needs Python. */
export type Direct = (arrays: readonly TypedArray[], view: boolean | undefined) => TypedArray[] | undefined;

/** An answer: JSON with references to arrays. */
export interface Reply {
  text: string;
  arrays: TypedArray[];
  /** In this thread: repeats the request without Python. */
  direct?: Direct | undefined;
}

/** The method that returns the id of the object in Python; instances of a class with it can be arguments. */
export const ID = Symbol("graphattend.id");

const CODES = new Map<string, string>([
  ["Float32Array", "f4"],
  ["Float64Array", "f8"],
  ["Int8Array", "i1"],
  ["Uint8Array", "u1"],
  ["Uint8ClampedArray", "u1"],
  ["Int16Array", "i2"],
  ["Uint16Array", "u2"],
  ["Int32Array", "i4"],
  ["Uint32Array", "u4"],
  ["BigInt64Array", "i8"],
  ["BigUint64Array", "u8"],
]);

/** Array types by code, for reading answers. */
export const TYPES: Record<string, new (buffer: ArrayBufferLike, offset: number, length: number) => TypedArray> = {
  f4: Float32Array,
  f8: Float64Array,
  i1: Int8Array,
  u1: Uint8Array,
  b1: Uint8Array,
  i2: Int16Array,
  u2: Uint16Array,
  i4: Int32Array,
  u4: Uint32Array,
};

/** The typed array class of this realm with an array's element type. */
export const typeOf = (x: TypedArray): (typeof TYPES)[string] => TYPES[CODES.get(typedName(x)!)!]!;

const ALIGNMENT = 64;
const MAX_DEPTH = 24;
/** Maximum number of float32 numbers in WebAssembly's memory of 4 GB. */
const MOST = 2 ** 30;
/** Entries of a list that is text in a request: a string has at most 512 MB. */
const LONGEST = 2 ** 24;
/** Arguments of a call, or files of a command. */
const MANY = 4096;

const tagOf = Object.getOwnPropertyDescriptor(
  Object.getPrototypeOf(Uint8Array.prototype) as object,
  Symbol.toStringTag,
)!.get!;

/** The name of a typed array's class, also if it is of another realm; undefined for other values. */
const typedName = (x: unknown): string | undefined => tagOf.call(x) as string | undefined;

/** Options whose lists stay lists in Python instead of becoming arrays. */
export class Plain {
  constructor(readonly value: unknown) {}
}

/** @internal Whether an object is an instance of a class; it may come from another window. */
export const isOfClass = (x: object): boolean => {
  const prototype: unknown = Object.getPrototypeOf(x);
  return prototype !== null && Object.getPrototypeOf(prototype) !== null;
};

const isMask = (path: string): boolean => /mask$/i.test(path);

class Encoder {
  private lists = false;
  arrays: TypedArray[] = [];
  offsets: number[] = [];
  uses: number[] = [];
  functions: Map<number, Callback> | undefined;
  bytes = 0;

  /** With `double`, plain numbers are sent in double precision. */
  constructor(private readonly double: boolean) {}

  value(x: unknown, path: string, depth: number): unknown {
    switch (typeof x) {
      case "number":
        return Number.isFinite(x) ? x : { $f: String(x) };
      case "string":
      case "boolean":
        return x;
      case "undefined":
        return null;
      case "bigint":
        return Number(x);
      case "object":
        return x === null ? null : this.object(x, path, depth);
      default:
        if (typeof x === "function" && FUNCTION.test(path)) return this.callback(x as Callback["call"], path);
        throw invalid(path, `expected data, got a ${typeof x}`, { actual: typeof x });
    }
  }

  private callback(call: Callback["call"], name: string): unknown {
    (this.functions ??= new Map()).set(++functions, { call, name });
    return { $c: functions };
  }

  private object(x: object, path: string, depth: number): unknown {
    if (depth > MAX_DEPTH) throw invalid(path, "nested too deeply (does it contain itself?)");
    if (ArrayBuffer.isView(x)) return this.typed(x, path);
    if (Array.isArray(x)) return this.array(x, path, depth);
    if (x instanceof Plain) return this.plain(x.value, path, depth);
    if (x instanceof Args) return x.values.map((v, i) => this.named(v, x.names[i] ?? `argument ${i + 1}`, depth + 1));
    const id = (x as { [ID]?: () => number })[ID];
    if (typeof id === "function") {
      const n = id.call(x);
      this.uses.push(n);
      return { $h: n };
    }
    if ("data" in x && "shape" in x) return this.shaped(x, path);
    if (isOfClass(x)) throw invalid(path, "expected plain data, got an object of a class");
    const out = Object.create(null) as Record<string, unknown>;
    const inside = path === "options" ? "" : `${path}.`; // an option is called by its own name
    for (const name of Object.keys(x)) {
      if (name.startsWith("$")) throw invalid(path, `unexpected name ${name.slice(0, 60)}`);
      const entry = (x as Record<string, unknown>)[name];
      if (entry !== undefined) out[name] = this.named(entry, inside + name.slice(0, 60), depth + 1);
    }
    return out;
  }

  /** Encode a value; errors, also those that reading it throws, name its path. */
  named(x: unknown, path: string, depth: number): unknown {
    return look(() => this.value(x, path, depth), path);
  }

  private plain(x: unknown, path: string, depth: number): unknown {
    this.lists = true;
    try {
      return this.value(x, path, depth);
    } finally {
      this.lists = false;
    }
  }

  private typed(x: ArrayBufferView, path: string, shape?: number[], mask = isMask(path)): unknown {
    const name = typedName(x);
    if (name === "Float16Array") return this.push(Float32Array.from(x as unknown as ArrayLike<number>), "f4", shape);
    let code = name === undefined ? undefined : CODES.get(name);
    if (code === undefined) throw invalid(path, "expected an array of numbers, got a DataView");
    if (mask && code === "u1") code = "b1";
    return this.push(x as TypedArray, code, shape);
  }

  private push(x: TypedArray, code: string, shape: number[] = [x.length]): unknown {
    if (x.length === 0) void new Uint8Array(x.buffer); // throws if the buffer was transferred
    const offset = this.bytes;
    this.bytes = Math.ceil((offset + x.byteLength) / ALIGNMENT) * ALIGNMENT;
    this.arrays.push(x);
    this.offsets.push(offset);
    return { $a: [code, x.length, offset, shape] };
  }

  private shaped(x: { data: unknown; shape: unknown }, path: string): unknown {
    const { data, shape } = x;
    if (
      !Array.isArray(shape) ||
      shape.length > MAX_DEPTH ||
      !shape.every((n) => Number.isInteger(n) && n >= 0 && n < 2 ** 31)
    ) {
      throw invalid(path, "expected a shape of numbers from 0 to 2**31 - 1");
    }
    const dims = Array.from(shape as number[]);
    const size = dims.reduce((a, b) => a * b, 1);
    const length = (data as ArrayLike<unknown> | null | undefined)?.length;
    if (length !== size) {
      throw new AttentionError(
        "dimension_mismatch",
        `${path}: shape [${dims.join(",")}] needs ${size} numbers, got ${length}`,
        {
          argument: path,
          expected: size,
          actual: length,
        },
      );
    }
    if (ArrayBuffer.isView(data)) return this.typed(data, path, dims);
    if (!Array.isArray(data)) throw invalid(path, "expected data to be an array of numbers");
    const flat = [data.length];
    const found = this.numbers(data, flat, path, typeof data[0], typeof data[0] === "boolean") as {
      $a: [string, number, number, number[]];
    };
    found.$a[3] = dims;
    return found;
  }

  /** Arrays of numbers, booleans or rows become one flat array; anything else is a list of values. */
  private array(x: unknown[], path: string, depth: number): unknown {
    let first: unknown = x;
    const shape: number[] = [];
    let boolean = false;
    while (Array.isArray(first) && shape.length <= MAX_DEPTH) {
      shape.push(first.length);
      first = first[0] as unknown;
    }
    if (ArrayBuffer.isView(first)) {
      shape.push((first as TypedArray).length);
      boolean = isMask(path) && typedName(first) === "Uint8Array";
      first = 0;
    }
    if (!this.lists && (typeof first === "number" || typeof first === "boolean" || first === undefined)) {
      return this.numbers(x, shape, path, typeof first, boolean || typeof first === "boolean");
    }
    return entries(x, path, LONGEST).map((entry, i) => this.value(entry, `${path}[${i}]`, depth + 1));
  }

  private numbers(x: unknown, shape: number[], path: string, kind: string, boolean: boolean): unknown {
    const size = shape.reduce((a, b) => a * b, 1);
    // Rows may be one row many times: refuse sizes beyond the memory before allocating.
    if (size > MOST) {
      const message = `${path}: expected at most ${MOST} numbers, got ${size}`;
      throw new AttentionError("out_of_memory", message, { argument: path, actual: size });
    }
    const out = new (boolean ? Uint8Array : this.double ? Float64Array : Float32Array)(size);
    fill(out, x, shape, 0, 0, path, kind === "boolean" ? kind : "number");
    return this.push(out, boolean ? "b1" : this.double ? "n8" : "n4", shape);
  }
}

/** Write nested rows to one flat array and check every entry; returns the position after the last. */
function fill(
  out: Uint8Array | Float32Array | Float64Array,
  x: unknown,
  shape: number[],
  axis: number,
  at: number,
  path: string,
  kind: string,
): number {
  const length = (x as ArrayLike<unknown> | null | undefined)?.length;
  if (!(Array.isArray(x) || ArrayBuffer.isView(x)) || length !== shape[axis]) {
    const actual = Array.isArray(x) ? length : x === null ? "null" : typeof x;
    throw invalid(path, `expected rows of ${shape[axis]}, got ${actual}`, { expected: shape[axis], actual });
  }
  if (axis < shape.length - 1) {
    for (const row of x as unknown[]) at = fill(out, row, shape, axis + 1, at, path, kind);
    return at;
  }
  const row = x as ArrayLike<unknown>;
  for (let i = 0; i < row.length; i++) {
    const entry = row[i];
    if (typeof entry !== kind) {
      const actual = entry === null ? "null" : typeof entry;
      throw invalid(path, `expected ${kind}s, got ${actual} at position ${at}`, { expected: kind, actual });
    }
    out[at++] = entry as number;
  }
  return at;
}

/** The entries of a list of arguments. */
export function entries<T>(list: readonly T[], argument: string, most = MANY): T[] {
  if (!Array.isArray(list) || list.length > most) throw invalid(argument, `expected at most ${most} entries`);
  return Array.from(list as readonly T[]);
}

/** Positional arguments, which are not encoded as a row of numbers, with their names in errors. */
export class Args {
  constructor(
    readonly values: readonly unknown[],
    readonly names: readonly string[] = [],
  ) {}
}

/** A list of the caller as positional arguments; errors name the list and the position. */
export const listed = (list: readonly unknown[], argument: string): Args => {
  const values = entries(list, argument);
  return new Args(
    values,
    values.map((_x, i) => `${argument}[${i}]`),
  );
};

export interface RequestOptions {
  keep?: number;
  dtype?: "float32" | "float64" | undefined;
  /** Keep the double precision of plain numbers. */
  double?: boolean;
}

/** Encode a request for operation `op` with named arguments. Its data are not copied, so it has to be sent or copied at once. */
export function encode(op: string, args: object, options: RequestOptions = {}): Wire {
  const { dtype } = options;
  if (![undefined, "float32", "float64"].includes(dtype))
    throw invalid("dtype", 'expected "float32" or "float64"', { actual: typeof dtype });
  const encoder = new Encoder(options.double === true || options.dtype === "float64");
  const tree = Object.entries(args).map(([name, x]) => encoder.named(x, name, 0));
  const text = JSON.stringify({ op, args: tree, keep: options.keep, dtype: options.dtype });
  const { arrays, offsets, bytes, uses, functions } = encoder;
  const kind = [op, uses[0] ?? "", ...Object.values(args).filter((x) => typeof x === "string")].join(" ");
  return {
    text,
    arrays,
    offsets,
    bytes,
    uses,
    keep: options.keep,
    kind,
    ...(functions === undefined ? {} : { functions }),
  };
}

/** Return the request with its data copied, or transferred with `transfer`. */
export function own(wire: Wire, transfer: boolean): Wire {
  if (wire.arrays.length === 0) return wire;
  const arrays = transfer
    ? structuredClone(wire.arrays, { transfer: buffersOf(wire) })
    : wire.arrays.map((a) => a.slice());
  return { ...wire, arrays };
}

/** Return the buffers of a request that can be transferred, each once. */
export function buffersOf(wire: { arrays: TypedArray[] }): ArrayBuffer[] {
  const found = new Set<ArrayBufferLike>(wire.arrays.map((a) => a.buffer));
  return [...found].filter((b): b is ArrayBuffer => b instanceof ArrayBuffer);
}

/** Whether a reply is a call of a function of the caller instead of an answer. */
export const isQuestion = (reply: Reply): boolean => reply.text.startsWith('{"ask"');

/** Return the whole content of an answer. */
export const read = (reply: Reply): unknown => filled(parse(reply.text), reply.arrays);

/** Return the value of an answer, or throw its error. */
export function decode(reply: Reply): unknown {
  const body = read(reply) as {
    ok?: unknown;
    error?: ErrorDetails & { code: ErrorCode; message: string };
  };
  if (body.error !== undefined) throw new AttentionError(body.error.code, body.error.message, body.error);
  return body.ok;
}

/** Replace the references in parsed JSON by arrays and numbers; a reviver would be several times slower. */
function filled(value: unknown, arrays: TypedArray[]): unknown {
  if (typeof value !== "object" || value === null) return value;
  const entry = value as { $a?: [number, number[]]; $f?: string };
  if (entry.$a !== undefined) return { data: arrays[entry.$a[0]], shape: entry.$a[1] };
  if (entry.$f !== undefined) return Number(entry.$f.replace("inf", "Infinity"));
  for (const name of Object.keys(value)) {
    const found = (value as Record<string, unknown>)[name];
    if (typeof found === "object") (value as Record<string, unknown>)[name] = filled(found, arrays);
  }
  return value;
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new AttentionError("internal_error", `an answer that cannot be read (${reason(error)})`, { cause: error });
  }
}
