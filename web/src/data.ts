// What Python found, and what the views read off it. Pure functions.

export interface Result {
  key: string;
  options: Record<string, unknown>;
  weights: number[];
  entropy: number[];
  effective: number[];
  seconds: number;
}

export interface Analysis {
  nodes: string[];
  indptr: number[];
  indices: number[];
  /** Number of edges, an undirected one counted once. */
  edges: number;
  dim: number;
  results: Result[];
  skipped: Record<string, string>;
  agreement: number[][];
}

export interface Found {
  analysis: Analysis;
  positions: [number, number][] | null;
}

/** Everything the views draw: the graph, all mechanisms as they are by default, and the chosen one with its options. */
export interface Picture {
  found: Found;
  results: Result[];
  chosen: Result;
}

export interface Edge { from: number; to: number; weight: number }

export function edges({ indptr, indices }: Analysis, weights: readonly number[]): Edge[] {
  const out: Edge[] = [];
  for (let from = 0; from + 1 < indptr.length; from++) {
    for (let e = indptr[from]!; e < indptr[from + 1]!; e++) out.push({ from, to: indices[e]!, weight: weights[e]! });
  }
  return out;
}

export function degrees({ indptr }: Analysis): number[] {
  return indptr.slice(1).map((end, i) => end - indptr[i]!);
}

/** Attention that every node receives. */
export function received(analysis: Analysis, weights: readonly number[]): number[] {
  const out = new Array<number>(analysis.nodes.length).fill(0);
  analysis.indices.forEach((to, e) => { out[to]! += weights[e]!; });
  return out;
}

/** Positions of the `count` largest values, largest first. */
export function largest(values: readonly number[], count: number): number[] {
  return values.map((_, i) => i).sort((a, b) => values[b]! - values[a]! || a - b).slice(0, count);
}

/** The node of that name, else the best connected one. */
export function nodeOf(analysis: Analysis, name: string): number {
  const at = analysis.nodes.indexOf(name);
  return at >= 0 ? at : largest(degrees(analysis), 1)[0]!;
}

/** The neighbours that a node attends to most; parallel edges are added up. */
export function topOf(analysis: Analysis, weights: readonly number[], node: number, count: number): Edge[] {
  const total = new Map<number, number>();
  for (let e = analysis.indptr[node]!; e < analysis.indptr[node + 1]!; e++) {
    const to = analysis.indices[e]!;
    total.set(to, (total.get(to) ?? 0) + weights[e]!);
  }
  return [...total].map(([to, weight]) => ({ from: node, to, weight })).sort((a, b) => b.weight - a.weight).slice(0, count);
}

/** How much weight two mechanisms share: the mean over nodes of Σ min(p, q). */
export function agreement(analysis: Analysis, p: readonly number[], q: readonly number[]): number {
  const linked = Math.max(degrees(analysis).filter((d) => d > 0).length, 1);
  return p.reduce((sum, weight, e) => sum + Math.min(weight, q[e]!), 0) / linked;
}

/** Mean over the nodes that have neighbours. */
export function meanOverLinked(analysis: Analysis, values: readonly number[]): number {
  const linked = degrees(analysis).flatMap((d, i) => (d > 0 ? [values[i]!] : []));
  return linked.length === 0 ? 0 : linked.reduce((a, b) => a + b, 0) / linked.length;
}

/** Weights among some nodes: row attends to column. */
export function weightMatrix(analysis: Analysis, weights: readonly number[], nodes: readonly number[]): number[][] {
  const at = new Map(nodes.map((n, i) => [n, i]));
  const out = nodes.map(() => nodes.map(() => 0));
  for (const { from, to, weight } of edges(analysis, weights)) {
    const i = at.get(from), j = at.get(to);
    if (i !== undefined && j !== undefined) out[i]![j]! += weight;
  }
  return out;
}

/** Where to draw the nodes (in the unit square): the layout of the whole graph, or of a node and its neighbours in a large one. */
export function places(found: Found, node: number, weights: readonly number[], most = 60): Map<number, [number, number]> {
  if (found.positions !== null) return new Map(found.positions.map((p, i) => [i, p]));
  const around = topOf(found.analysis, weights, node, most).filter(({ to }) => to !== node);
  const ring = around.map(({ to }, i): [number, [number, number]] => {
    const angle = (2 * Math.PI * i) / around.length;
    return [to, [0.5 + 0.48 * Math.cos(angle), 0.5 + 0.48 * Math.sin(angle)]];
  });
  return new Map([...ring, [node, [0.5, 0.5]]]);
}
