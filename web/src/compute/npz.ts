// NumPy's files: .npy, and .npz archives of a graph with classes, the usual form of Cora and similar data sets.

import type { Graph } from "../graph.js";
import { seeded } from "../train/random.js";

export interface Stored {
  shape: number[];
  data: Float64Array;
}
/** Number of coordinates to which wide features are reduced, and the largest unpacked size of an archive in bytes. */
const WIDTH = 32,
  MOST_BYTES = 256 << 20;

const READERS: Record<string, [number, (view: DataView, at: number) => number]> = {
  "<f4": [4, (v, i) => v.getFloat32(i, true)],
  "<f8": [8, (v, i) => v.getFloat64(i, true)],
  "<i8": [8, (v, i) => Number(v.getBigInt64(i, true))],
  "<i4": [4, (v, i) => v.getInt32(i, true)],
  "<i2": [2, (v, i) => v.getInt16(i, true)],
  "<u2": [2, (v, i) => v.getUint16(i, true)],
  "<u4": [4, (v, i) => v.getUint32(i, true)],
  "|i1": [1, (v, i) => v.getInt8(i)],
  "|u1": [1, (v, i) => v.getUint8(i)],
  "|b1": [1, (v, i) => v.getUint8(i)],
};

/** Read an array in C order: a header in Python's notation, then the numbers. */
export function readNpy(bytes: Uint8Array): Stored {
  if (bytes.length < 12 || String.fromCharCode(...bytes.subarray(1, 6)) !== "NUMPY") throw new Error("is no .npy file");
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length),
    long = bytes[6]! >= 2;
  const start = (long ? 12 : 10) + (long ? view.getUint32(8, true) : view.getUint16(8, true));
  const header = new TextDecoder().decode(bytes.subarray(long ? 12 : 10, start));
  const reader = READERS[/'descr':\s*'([<|]\w\d)'/.exec(header)?.[1] ?? ""];
  const [, shaped] = /'shape':\s*\(([\d,\s]*)\)/.exec(header) ?? [];
  if (reader === undefined || shaped === undefined || /'fortran_order':\s*True/.test(header))
    throw new Error("expected an array of numbers in C order");
  const shape = (shaped.match(/\d+/g) ?? []).map(Number),
    count = shape.reduce((a, b) => a * b, 1),
    [size, read] = reader;
  if (bytes.length !== start + count * size) throw new Error("is cut off");
  return { shape, data: Float64Array.from({ length: count }, (_, i) => read(view, start + i * size)) };
}

/** Return the wanted arrays of an archive, or undefined if it is not such an archive. */
async function readNpz(
  bytes: Uint8Array<ArrayBuffer>,
  wanted: readonly string[],
): Promise<Map<string, Stored> | undefined> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length),
    out = new Map<string, Stored>();
  let end = bytes.length - 22;
  while (end >= 0 && end > bytes.length - 70_000 && view.getUint32(end, true) !== 0x06054b50) end--;
  if (end < 0 || view.getUint32(end, true) !== 0x06054b50) return undefined;
  let total = 0,
    at = view.getUint32(end + 16, true);
  for (let left = view.getUint16(end + 10, true); left > 0; left--) {
    if (view.getUint32(at, true) !== 0x02014b50) return undefined;
    const [packed, size] = [view.getUint32(at + 20, true), view.getUint32(at + 24, true)],
      [name, extra, comment] = [28, 30, 32].map((by) => view.getUint16(at + by, true)) as [number, number, number],
      local = view.getUint32(at + 42, true),
      called = new TextDecoder().decode(bytes.subarray(at + 46, at + 46 + name)).replace(/\.npy$/, "");
    if (wanted.includes(called)) {
      total += size;
      if (total > MOST_BYTES) throw new Error("is too large when unpacked");
      const from = local + 30 + view.getUint16(local + 26, true) + view.getUint16(local + 28, true),
        part = bytes.subarray(from, from + packed);
      out.set(called, readNpy(view.getUint16(at + 10, true) === 0 ? part : await inflated(part, size)));
    }
    at += 46 + name + extra + comment;
  }
  return out;
}

async function inflated(part: Uint8Array<ArrayBuffer>, size: number): Promise<Uint8Array> {
  const out = new Uint8Array(size),
    reader = new Blob([part]).stream().pipeThrough(new DecompressionStream("deflate-raw")).getReader();
  for (let at = 0; ;) {
    const { done, value } = await reader.read();
    if (done) return out;
    if (at + value.length > size) throw new Error("is damaged");
    out.set(value, at);
    at += value.length;
  }
}

const NAMES = ["edges", "edge_index", "labels", "y", "x", "x_indptr", "x_indices", "x_data", "x_shape"];

/** Read a graph with classes and features: `edges` (K, 2), `labels` (V,), and `x` (V, F), possibly in CSR form. */
export async function readClassified(name: string, bytes: Uint8Array<ArrayBuffer>): Promise<Graph | undefined> {
  const found = await readNpz(bytes, NAMES).catch(() => undefined);
  const edges = found?.get("edges") ?? found?.get("edge_index"),
    labels = found?.get("labels") ?? found?.get("y");
  if (found === undefined || edges === undefined || labels?.shape.length !== 1) return undefined;
  const nodes = labels.data.length,
    [a, b] = edges.shape,
    byRow = b === 2,
    count = byRow ? a! : b!;
  if (edges.shape.length !== 2 || (!byRow && a !== 2)) throw new Error(`${name}: expected edges of shape (K, 2)`);
  const pair = (e: number): [number, number] =>
    byRow ? [edges.data[2 * e]!, edges.data[2 * e + 1]!] : [edges.data[e]!, edges.data[count + e]!];
  const rows = Array.from({ length: nodes }, (): number[] => []);
  for (let e = 0; e < count; e++) {
    const [from, to] = pair(e);
    if (rows[from] === undefined || rows[to] === undefined)
      throw new Error(`${name}: edge ${e} joins ${from} and ${to}, but there are ${nodes} nodes`);
    rows[to].push(from);
  }
  const indptr = [0];
  for (const row of rows) indptr.push(indptr.at(-1)! + row.sort((x, y) => x - y).length);
  const features = featuresOf(found, nodes),
    classes = new Set(labels.data).size;
  return {
    name,
    title: name,
    about: `Every node has one of ${classes} classes${features === undefined ? "" : ` and ${features.of} features, projected at random to ${features.dim} numbers`}.`,
    nodes: rows.map((_, i) => `node ${i}`),
    indptr,
    indices: rows.flat(),
    edges: rows.reduce((sum, row, i) => sum + row.filter((j) => j <= i || !rows[j]!.includes(i)).length, 0),
    edgeWeights: null,
    layers: null,
    labels: Array.from(labels.data, (label) => `class ${label}`),
    dim: features?.dim ?? 0,
    latents: features?.latents ?? [],
    ...(features === undefined ? {} : { ownLatents: true }),
    positions: [],
    results: {},
    skipped: {},
    parameters: {},
  };
}

/** Normalise rows and multiply by a matrix of random signs (Johnson & Lindenstrauss). */
function featuresOf(
  found: Map<string, Stored>,
  nodes: number,
): { of: number; dim: number; latents: number[] } | undefined {
  const [dense, indptr, indices, shape] = ["x", "x_indptr", "x_indices", "x_shape"].map((n) => found.get(n));
  const of = dense?.shape[1] ?? shape?.data[1];
  if (of === undefined || (dense?.shape[0] ?? shape?.data[0]) !== nodes) return undefined;
  const random = seeded(3),
    signs = Float64Array.from({ length: of * WIDTH }, () => (random() < 0.5 ? -1 : 1)),
    out = new Float64Array(nodes * WIDTH);
  for (let i = 0; i < nodes; i++) {
    const add = (column: number, value: number): void => {
      for (let d = 0; d < WIDTH; d++) out[i * WIDTH + d]! += value * signs[column * WIDTH + d]!;
    };
    if (dense !== undefined) for (let c = 0; c < of; c++) add(c, dense.data[i * of + c]!);
    else if (indptr !== undefined && indices !== undefined)
      for (let e = indptr.data[i]!; e < indptr.data[i + 1]!; e++)
        add(indices.data[e]!, found.get("x_data")?.data[e] ?? 1);
    let square = 0;
    for (let d = 0; d < WIDTH; d++) square += out[i * WIDTH + d]! ** 2;
    for (let d = 0; d < WIDTH; d++) out[i * WIDTH + d]! /= Math.sqrt(square) || 1;
  }
  return { of, dim: WIDTH, latents: Array.from(out) };
}
