import { ID, type Direct, type TypedArray } from "./wire.js";

type Floats = Float32Array | Float64Array;

/** An argument of a repeated call: an object in Python, an array of the same type and length, or nothing. */
type Known = number | null | { type: unknown; length: number; shape: readonly number[] | undefined };

interface Repeat {
  known: readonly Known[];
  direct: Direct;
  shape: readonly number[];
}

/** Maximum number of remembered calls. */
const MOST = 8;

/** Calls that can be repeated with other numbers without Python. */
export class Repeats {
  private found: readonly Repeat[] = [];

  /** Remember a call whose result is an array of this shape. */
  learn(args: readonly unknown[], direct: Direct, shape: readonly number[]): void {
    const known = args.map(describe);
    if (!known.includes(undefined))
      this.found = [{ known: known as Known[], direct, shape }, ...this.found.slice(0, MOST - 1)];
  }

  /** Repeat a call; undefined if it needs Python. */
  call(args: readonly unknown[], view: boolean): { data: TypedArray; shape: number[] } | undefined {
    for (const repeat of this.found) {
      const arrays = match(repeat.known, args);
      if (arrays === undefined) continue;
      const data = repeat.direct(arrays, view)?.[0];
      if (data !== undefined) return { data, shape: [...repeat.shape] };
      this.found = this.found.filter((other) => other !== repeat);
      return undefined;
    }
    return undefined;
  }
}

const isFloats = (x: unknown): x is Floats => x instanceof Float32Array || x instanceof Float64Array;
const isOwned = (x: unknown): x is { [ID](): number } => typeof x === "object" && x !== null && ID in x;

function describe(x: unknown): Known | undefined {
  if (x === null || x === undefined) return null;
  if (isOwned(x)) return x[ID]();
  if (isFloats(x)) return { type: x.constructor, length: x.length, shape: undefined };
  const { data, shape } = x as { data?: unknown; shape?: unknown[] };
  return isFloats(data) && Array.isArray(shape)
    ? { type: data.constructor, length: data.length, shape: [...(shape as number[])] }
    : undefined;
}

/** Return the arrays among the arguments if types and shapes are those of the remembered call, else undefined. */
function match(known: readonly Known[], args: readonly unknown[]): TypedArray[] | undefined {
  const arrays: TypedArray[] = [];
  for (let i = 0; i < known.length; i++) {
    const [was, x] = [known[i]!, args[i]];
    if (was === null) {
      if (x !== null && x !== undefined) return undefined;
    } else if (typeof was === "number") {
      if (!isOwned(x) || x[ID]() !== was) return undefined; // throws if it was freed
    } else {
      if (typeof x !== "object" || x === null) return undefined;
      const data = was.shape === undefined ? x : (x as { data?: unknown }).data;
      if (!isFloats(data) || data.constructor !== was.type || data.length !== was.length) return undefined;
      if (was.shape !== undefined) {
        const { shape } = x as { shape?: unknown };
        if (
          !Array.isArray(shape) ||
          shape.length !== was.shape.length ||
          !was.shape.every((n, axis) => n === shape[axis])
        )
          return undefined;
      }
      arrays.push(data);
    }
  }
  return arrays;
}
