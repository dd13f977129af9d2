import { ID, type Direct, type TypedArray } from "./wire.js";

type Floats = Float32Array | Float64Array;

/** An argument of a repeated call: an object in Python, an array of the same type and length, or nothing. */
type Known = number | null | { type: unknown; length: number; shape: readonly number[] | undefined };

interface Repeat {
  /** The method and its options. */
  kind: string;
  known: readonly Known[];
  direct: Direct;
  shapes: readonly (readonly number[])[];
}

interface Shaped {
  data: TypedArray;
  shape: number[];
}

/** Maximum number of remembered calls. */
const MOST = 8;

/** Calls that can be repeated with other numbers without Python. */
export class Repeats {
  private found: readonly Repeat[] = [];

  /** Return a function that remembers a call with its result, one array or several. */
  learn(kind: string, args: readonly unknown[]): (direct: Direct, result: Shaped | Shaped[]) => void {
    const known = args.map(describe); // now, because objects may be freed before the result comes
    return (direct, result) => {
      const shapes = [result].flat().map(({ shape }) => shape);
      if (!known.includes(undefined))
        this.found = [{ kind, known: known as Known[], direct, shapes }, ...this.found.slice(0, MOST - 1)];
    };
  }

  /** Repeat a call; undefined if it needs Python. */
  call(kind: string, args: readonly unknown[], view: boolean | undefined): Shaped[] | undefined {
    for (const repeat of this.found) {
      const arrays = repeat.kind === kind ? match(repeat.known, args) : undefined;
      if (arrays === undefined) continue;
      const results = repeat.direct(arrays, view);
      if (results !== undefined) return results.map((data, i) => ({ data, shape: [...repeat.shapes[i]!] }));
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
  const { data, shape } = isFloats(x) ? { data: x } : (x as { data?: unknown; shape?: number[] });
  return isFloats(data) ? { type: data.constructor, length: data.length, shape: shape && [...shape] } : undefined;
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
