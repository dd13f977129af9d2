import type { CallOptions, Data, Matrix } from "./types.js";
import type { TypedArray } from "./wire.js";

/** The options of a call that matter for splitting it. */
export type SplitOptions = (CallOptions & { metadata?: object | undefined }) | null | undefined;

/** Options whose data may have one row per query; calls with them are not split. */
const PER_QUERY = ["attnMask", "attn_mask", "training"];
const PER_QUERY_METADATA = ["queryLayer", "queryStructural", "query_layer", "query_structural"];

/** Split the query for `count` interpreters; undefined if the call cannot be split or is too small. */
export function shards(query: Data, dim: number, options: SplitOptions, count: number): Data[] | undefined {
  const rows = queryRows(query, dim);
  if (rows === undefined || rows.length < count || !splittable(options)) return undefined;
  const bounds = Array.from({ length: count + 1 }, (_x, i) => Math.round((i * rows.length) / count));
  return bounds.slice(0, -1).map((start, i) => rows.slice(start, bounds[i + 1]!));
}

interface Rows {
  length: number;
  slice(start: number, stop: number): Data;
}

/** Return the query as rows if it is a matrix in JavaScript's memory, else undefined. */
function queryRows(query: Data, dim: number): Rows | undefined {
  if (Array.isArray(query)) {
    const whole = query.every(
      (row) =>
        (Array.isArray(row) || ArrayBuffer.isView(row)) &&
        (row as unknown as number[]).length === dim &&
        typeof (row as unknown as number[])[0] === "number",
    );
    return whole ? (query as Rows) : undefined;
  }
  if (typeof query !== "object" || query === null) return undefined;
  const shaped = query as { data?: TypedArray; shape?: readonly number[] };
  const data = ArrayBuffer.isView(query)
    ? (query as TypedArray)
    : ArrayBuffer.isView(shaped.data)
      ? shaped.data
      : undefined;
  if (data === undefined) return undefined;
  const shape = data === (query as unknown) ? [data.length / dim, dim] : shaped.shape;
  if (shape?.length !== 2 || !Number.isInteger(shape[0]) || shape[0]! * shape[1]! !== data.length) return undefined;
  const [length, width] = shape as [number, number];
  return {
    length,
    slice: (start, stop) => ({
      data: data.subarray(start * width, stop * width) as Float32Array,
      shape: [stop - start, width],
    }),
  };
}

function splittable(options: SplitOptions): boolean {
  if (options === undefined || options === null) return true;
  const has = (x: object, names: string[]): boolean =>
    names.some((name) => ((x as Record<string, unknown>)[name] ?? false) !== false);
  return (
    !options.transfer &&
    !options.latest &&
    !has(options, PER_QUERY) &&
    !(options.metadata && has(options.metadata, PER_QUERY_METADATA))
  );
}

/** Concatenate outputs (M, E) and weights ([H,] M, N) of all parts along the axis of the rows. */
export function join(results: unknown[]): unknown {
  if (!Array.isArray(results[0])) return concat(results as Matrix[]);
  return (results[0] as unknown[]).map((_x, i) => concat(results.map((r) => (r as Matrix[])[i]!)));
}

function concat(parts: Matrix[]): Matrix {
  const { shape } = parts[0]!;
  const axis = shape.length - 2;
  const outer = shape.slice(0, axis).reduce((a, b) => a * b, 1);
  const width = shape[axis + 1]!;
  const rows = parts.reduce((sum, p) => sum + p.shape[axis]!, 0);
  const type = parts[0]!.data.constructor as Float32ArrayConstructor;
  const data = new type(outer * rows * width);
  let at = 0;
  for (let i = 0; i < outer; i++) {
    for (const part of parts) {
      const size = part.shape[axis]! * width;
      data.set(part.data.subarray(i * size, (i + 1) * size), at);
      at += size;
    }
  }
  return { data, shape: [...shape.slice(0, axis), rows, width] };
}
