// A graph, attention over it, and the quantities that views show. Pure functions.

import type { Options } from "./state.js";

export interface Parameter {
  shape: number[];
  data: number[];
}
export type Parameters = Readonly<Record<string, Parameter>>;
export interface Layer {
  indptr: number[];
  indices: number[];
}

/** Row i lists the nodes that node i attends to, as in Python's NeighborGraph. */
export interface Graph {
  name: string;
  title: string;
  about: string;
  nodes: string[];
  indptr: number[];
  indices: number[];
  /** Number of edges, an undirected one counted once. */
  edges: number;
  edgeWeights: number[] | null;
  layers: number[] | null;
  /** Class of every node, if known. */
  labels: string[] | null;
  dim: number;
  /** Latent vectors, row-major (V · dim); empty until they are known. */
  latents: number[];
  /** Positions of the nodes in the unit square (V · 2); empty until they are known. */
  positions: number[];
  /** Precomputed weights by mechanism, with default options. */
  results: Record<string, number[]>;
  skipped: Record<string, string>;
  advice?: Advice;
  parameters: Record<string, Parameters>;
  /** Whether the latent vectors were not computed from the graph alone. */
  ownLatents?: boolean;
  search?: { layers: Layer[]; entry: number; points: number[] };
}

/** The mechanism that suits a graph; the last reason decided. */
export interface Advice {
  key: string;
  reasons: string[];
}

/** A mechanism's result on the graph. */
export interface Result {
  key: string;
  options: Options;
  /** One weight per edge, averaged over the heads. */
  weights: ArrayLike<number>;
  /** The source of the result. */
  by: "beforehand" | "kernels" | "python";
  /** Weights per head (K · H), if the kernels computed them. */
  heads?: { count: number; weights: ArrayLike<number> };
}

export interface Edge {
  from: number;
  to: number;
  at: number;
  weight: number;
}

export const size = (graph: Graph): number => graph.nodes.length;

/** Return the attending node (row) of every edge, in edge order. */
export function sources({ indptr }: Pick<Graph, "indptr">): Int32Array {
  const out = new Int32Array(indptr.at(-1) ?? 0);
  for (let i = 0; i + 1 < indptr.length; i++) out.fill(i, indptr[i], indptr[i + 1]);
  return out;
}

/** Return the edges of one node's row. */
export function row(graph: Graph, weights: ArrayLike<number>, node: number): Edge[] {
  const out: Edge[] = [];
  for (let at = graph.indptr[node]!; at < graph.indptr[node + 1]!; at++)
    out.push({ from: node, to: graph.indices[at]!, at, weight: weights[at] ?? 0 });
  return out;
}

/** Cache a function of an array for as long as the array lives; its other arguments must not change. */
function once<K extends object, R extends unknown[], T>(find: (of: K, ...rest: R) => T): (of: K, ...rest: R) => T {
  const known = new WeakMap<K, T>();
  return (of, ...rest) => {
    let found = known.get(of);
    if (found === undefined) known.set(of, (found = find(of, ...rest)));
    return found;
  };
}

const steps = once((indptr: readonly number[]) => indptr.slice(1).map((end, i) => end - indptr[i]!));
export const degrees = ({ indptr }: Graph): readonly number[] => steps(indptr);

/** Return the attention that every node receives. */
export function received(graph: Graph, weights: ArrayLike<number>): number[] {
  const out = new Array<number>(size(graph)).fill(0);
  graph.indices.forEach((to, e) => {
    out[to]! += weights[e] ?? 0;
  });
  return out;
}

/** Return the positions of the `count` largest values, in decreasing order. */
export function largest(values: ArrayLike<number>, count: number): number[] {
  return Array.from(values, (_, i) => i)
    .sort((a, b) => values[b]! - values[a]! || a - b)
    .slice(0, count);
}

/** Return the node of this name, or the best connected node. */
export function nodeOf(graph: Graph, name: string): number {
  const at = graph.nodes.indexOf(name);
  return at >= 0 ? at : (largest(degrees(graph), 1)[0] ?? 0);
}

/** Return the neighbours that a node attends to most, with parallel edges summed. */
export function topOf(graph: Graph, weights: ArrayLike<number>, node: number, count: number): Edge[] {
  const total = new Map<number, Edge>();
  for (let at = graph.indptr[node]!; at < graph.indptr[node + 1]!; at++) {
    const to = graph.indices[at]!,
      known = total.get(to);
    if (known === undefined) total.set(to, { from: node, to, at, weight: weights[at] ?? 0 });
    else known.weight += weights[at] ?? 0;
  }
  return [...total.values()].sort((a, b) => b.weight - a.weight || a.to - b.to).slice(0, count);
}

/** Return the entropy of a node's weights in nats, or undefined if it has no neighbours. */
export function entropy({ indptr }: Graph, weights: ArrayLike<number>, node: number): number | undefined {
  const [from, end] = [indptr[node]!, indptr[node + 1]!];
  let sum = 0;
  for (let at = from; at < end; at++) {
    const w = weights[at]!;
    if (w > 0) sum -= w * Math.log(w);
  }
  return from === end ? undefined : Math.max(0, sum);
}

/** Return the means, over nodes with neighbours, of the weights' entropy and its exponential. */
export const spreadOf = once((weights: ArrayLike<number>, graph: Graph) => {
  const found = graph.nodes.map((_, node) => entropy(graph, weights, node));
  return { entropy: mean(found), effective: mean(found.map((h) => (h === undefined ? undefined : Math.exp(h)))) };
});

export function mean(values: readonly (number | undefined)[]): number {
  const known = values.filter((v) => v !== undefined);
  return known.length === 0 ? 0 : known.reduce((a, b) => a + b, 0) / known.length;
}

/** Return the weight that two mechanisms share: the mean over nodes of Σ min(p, q). */
export const agreement = (graph: Graph, p: ArrayLike<number>, q: ArrayLike<number>): number => sharedWith(p, graph)(q);
const sharedWith = once((p: ArrayLike<number>, graph: Graph) =>
  once((q: ArrayLike<number>) => {
    let sum = 0;
    for (let e = 0; e < graph.indices.length; e++) sum += Math.min(p[e]!, q[e]!);
    return sum / Math.max(degrees(graph).filter((d) => d > 0).length, 1);
  }),
);

/** Return the attention that two mechanisms share at every node, Σ min(p, q); 0 without neighbours. */
export function sharedAt(graph: Graph, p: ArrayLike<number>, q: ArrayLike<number>): (number | undefined)[] {
  return graph.nodes.map((_, node) => {
    const edges = row(graph, p, node);
    return edges.length === 0 ? undefined : edges.reduce((sum, { at, weight }) => sum + Math.min(weight, q[at]!), 0);
  });
}

/** Return the weights among some nodes: the row's node attends to the column's node. */
export function weightMatrix(graph: Graph, weights: ArrayLike<number>, nodes: readonly number[]): number[][] {
  const column = new Map(nodes.map((n, i) => [n, i]));
  return nodes.map((node) => {
    const out = nodes.map(() => 0);
    for (const { to, weight } of row(graph, weights, node)) {
      const j = column.get(to);
      if (j !== undefined) out[j]! += weight;
    }
    return out;
  });
}

/** Return the latent vector of a node. */
export const latent = (graph: Graph, node: number): number[] =>
  graph.latents.slice(node * graph.dim, (node + 1) * graph.dim);

/** Scale latent vectors for a mechanism: to mean norm √D for dot products, or into the ball of a curvature. */
export function scaled(graph: Graph, ball?: number): Float64Array {
  const { dim, latents } = graph,
    nodes = size(graph);
  const norms = Array.from({ length: nodes }, (_, i) => Math.hypot(...latent(graph, i)));
  const reach =
    ball === undefined
      ? Math.sqrt(dim) / (norms.reduce((a, b) => a + b, 0) / nodes)
      : 0.9 / Math.sqrt(-ball) / norms.reduce((a, b) => Math.max(a, b), 0);
  return Float64Array.from(latents, (x) => (Number.isFinite(reach) ? x * reach : x));
}

/** Rows and sources of some edges of a graph; `kept` lists them if they are not all. */
export type Lists = Pick<Graph, "indptr" | "indices"> & { kept?: number[] };

/** Return the graph without the edges from one node to some others; `kept` lists the remaining edges. */
export function without(
  graph: Graph,
  node: number,
  hidden: readonly string[],
): { indptr: number[]; indices: number[]; kept: number[] } {
  const gone = new Set(hidden);
  const from = sources(graph);
  const kept = graph.indices.flatMap((to, e) => (from[e] === node && gone.has(graph.nodes[to]!) ? [] : [e]));
  const indptr = [0];
  for (let i = 0, at = 0; i < size(graph); i++) {
    while (at < kept.length && kept[at]! < graph.indptr[i + 1]!) at++;
    indptr.push(at);
  }
  return { indptr, indices: kept.map((e) => graph.indices[e]!), kept };
}

/** Extend the weights of some edges to all edges, with zeros. */
export function spread(graph: Graph, { kept }: Lists, weights: ArrayLike<number>): ArrayLike<number> {
  if (kept === undefined) return weights;
  const out = new Float64Array(graph.indices.length);
  kept.forEach((e, i) => {
    out[e] = weights[i]!;
  });
  return out;
}

/** Describe how tree-like an undirected graph is, by its number of edges beyond a spanning forest. */
export function treeLikeness(graph: Graph): { parts: number; extra: number; edges: number } {
  const root = graph.nodes.map((_, i) => i);
  const find = (i: number): number => {
    while (root[i] !== i) i = root[i] = root[root[i]!]!;
    return i;
  };
  const from = sources(graph);
  let joins = 0;
  const seen = new Set<number>();
  graph.indices.forEach((to, e) => {
    const a = from[e]!;
    if (a === to) return;
    seen.add(Math.min(a, to) * size(graph) + Math.max(a, to));
    const [x, y] = [find(a), find(to)];
    if (x !== y) {
      root[x] = y;
      joins++;
    }
  });
  return { parts: size(graph) - joins, extra: seen.size - joins, edges: seen.size };
}
