// Latent vectors from files: rows of numbers, or NumPy's .npy.

import type { Graph } from "../graph.js";
import { message } from "../words.js";
import { MOST_BYTES } from "./formats.js";
import { readNpy } from "./npz.js";

type Vectors = Pick<Graph, "dim" | "latents">;

export function readVectors(name: string, bytes: Uint8Array, nodes: readonly string[]): Vectors {
  if (bytes.length > MOST_BYTES) throw new Error(`${name}: larger than ${MOST_BYTES >> 20} MB`);
  const rows = name.toLowerCase().endsWith(".npy")
    ? fromNpy(name, bytes)
    : fromText(name, new TextDecoder().decode(bytes), nodes);
  if (rows.length !== nodes.length)
    throw new Error(`${name}: has ${rows.length} rows, but the graph has ${nodes.length} nodes`);
  const width = rows[0]!.length,
    dim = 4 * Math.ceil(width / 4);
  rows.forEach((row, i) => {
    if (row.length !== width)
      throw new Error(`${name}: row ${i + 1} has ${row.length} numbers, the first has ${width}`);
    if (!row.every(Number.isFinite)) throw new Error(`${name}: row ${i + 1} holds what is not a finite number`);
  });
  if (width === 0) throw new Error(`${name}: has no numbers`);
  return { dim, latents: rows.flatMap((row) => [...row, ...new Array<number>(dim - width).fill(0)]) };
}

/** Read rows of numbers in the order of the nodes, or after the nodes' names. */
function fromText(name: string, text: string, nodes: readonly string[]): number[][] {
  const rows = text
    .split(/\r?\n/)
    .filter((line) => line.trim() !== "" && !line.startsWith("#"))
    .map((line) =>
      line
        .trim()
        .split(line.includes("\t") ? "\t" : line.includes(",") ? "," : /\s+/)
        .map((cell) => cell.trim()),
    );
  const numeric = (cell: string): boolean => cell !== "" && Number.isFinite(Number(cell));
  if (rows.length === nodes.length + 1 && !rows[0]!.slice(1).every(numeric)) rows.shift();
  const at = new Map(nodes.map((node, i) => [node, i]));
  if (
    !rows.every((row) => at.has(row[0]!)) ||
    rows.every((row) => numeric(row[0]!) && row.length === rows[0]!.length && Number(row[0]) !== at.get(row[0]!))
  )
    return rows.map((row) => row.map(Number));
  const out = new Array<number[]>(nodes.length);
  for (const [first, ...rest] of rows) out[at.get(first!)!] = rest.map(Number);
  const missing = nodes.find((_, i) => out[i] === undefined);
  if (missing !== undefined) throw new Error(`${name}: has no row for ${missing.slice(0, 60)}`);
  return out;
}

/** Read NumPy's format. */
function fromNpy(name: string, bytes: Uint8Array): number[][] {
  try {
    const { shape, data } = readNpy(bytes),
      [count, width] = shape;
    if (shape.length !== 2) throw new Error("expected a matrix");
    return Array.from({ length: count! }, (_, i) => [...data.subarray(i * width!, (i + 1) * width!)]);
  } catch (error) {
    throw new Error(`${name}: ${message(error)}`, { cause: error });
  }
}
