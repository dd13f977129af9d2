// Small graphs as compressed text in characters that an address may contain.

import { degrees, type Graph } from "../graph.js";

/** Longest text in an address, and longest text unpacked from one. */
const MOST = 6000,
  MOST_UNPACKED = 2 << 20,
  MOST_NODES = 5000;

interface Packed {
  title: string;
  nodes: string[];
  degrees: readonly number[];
  indices: number[];
  weights: number[] | null;
  edges: number;
}

/** Return the graph as text, or undefined if it is too large. */
export async function pack(graph: Graph): Promise<string> {
  if (graph.nodes.length > MOST_NODES) return "";
  const packed: Packed = {
    title: graph.title,
    nodes: graph.nodes,
    degrees: degrees(graph),
    indices: graph.indices,
    weights: graph.edgeWeights,
    edges: graph.edges,
  };
  const bytes = await through(
    new TextEncoder().encode(JSON.stringify(packed)),
    new CompressionStream("deflate-raw"),
    MOST_UNPACKED,
  );
  const text = btoa(Array.from(bytes, (b) => String.fromCharCode(b)).join(""))
    .replaceAll("+", "-")
    .replaceAll("/", "_")
    .replace(/=+$/, "");
  return text.length <= MOST ? text : "";
}

/** Invert `pack`; reject any other text. */
export async function unpack(text: string, name: string): Promise<Graph> {
  try {
    if (text.length > MOST || !/^[\w-]+$/.test(text)) throw new Error("no such text");
    const bytes = Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (c) => c.charCodeAt(0));
    const plain = new TextDecoder("utf-8", { fatal: true }).decode(
      await through(bytes, new DecompressionStream("deflate-raw"), MOST_UNPACKED),
    );
    return checked(JSON.parse(plain), name);
  } catch {
    throw new Error("The graph in the address is damaged.");
  }
}

function checked(given: unknown, name: string): Graph {
  const { title, nodes, degrees: counts, indices, weights, edges } = given as Packed;
  const whole = (list: unknown, most: number): boolean =>
    Array.isArray(list) && list.every((x) => Number.isInteger(x) && x >= 0 && x < most);
  const texts =
    typeof title === "string" &&
    Array.isArray(nodes) &&
    nodes.length >= 1 &&
    nodes.length <= MOST_NODES &&
    nodes.every((n) => typeof n === "string");
  if (
    !texts ||
    !whole(counts, Infinity) ||
    counts.length !== nodes.length ||
    !whole(indices, nodes.length) ||
    !whole([edges], Infinity)
  )
    throw new Error("no graph");
  const indptr = [0];
  for (const count of counts) indptr.push(indptr.at(-1)! + count);
  if (indptr.at(-1) !== indices.length) throw new Error("no graph");
  if (
    weights !== null &&
    !(Array.isArray(weights) && weights.length === indices.length && weights.every((w) => Number.isFinite(w)))
  )
    throw new Error("no graph");
  return {
    name,
    title: title.slice(0, 120),
    about: "",
    nodes,
    indptr,
    indices,
    edges,
    edgeWeights: weights,
    layers: null,
    labels: null,
    dim: 0,
    latents: [],
    positions: [],
    results: {},
    skipped: {},
    parameters: {},
  };
}

async function through(
  bytes: Uint8Array<ArrayBuffer>,
  stream: CompressionStream | DecompressionStream,
  most: number,
): Promise<Uint8Array> {
  const reader = new Blob([bytes]).stream().pipeThrough<Uint8Array<ArrayBuffer>>(stream).getReader();
  const parts: Uint8Array<ArrayBuffer>[] = [];
  for (let total = 0; ;) {
    const { done, value } = await reader.read();
    if (done) break;
    total += value.length;
    if (total > most) throw new Error("too large");
    parts.push(value);
  }
  return new Uint8Array(await new Blob(parts).arrayBuffer());
}
