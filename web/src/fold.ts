// Folded graphs: each group of nodes becomes one node, whose row is the mean of the members' rows.

import { degrees, size, sources, type Graph } from "./graph.js";

/** Maximum number of rounds of moves, and of levels of aggregation. */
const MOST_ROUNDS = 10,
  MOST_LEVELS = 10;

export interface Grouped {
  names: string[];
  /** The group of every node. */
  of: Int32Array;
}

export interface Folded {
  /** The folded graph: closed groups, and the nodes of open groups. */
  graph: Graph;
  /** Place of every original node in the folded graph. */
  of: Int32Array;
  /** Original nodes of each place. */
  members: number[][];
  /** Name of the group, if a place is one. */
  group: (string | undefined)[];
  /** Edge of the folded graph for every original edge. */
  edge: Int32Array;
}

/** Return the nodes' classes if known, otherwise communities. */
export function grouped(graph: Graph): Grouped {
  const { labels } = graph;
  if (labels !== null) {
    const names = [...new Set(labels)];
    const at = new Map(names.map((name, i) => [name, i]));
    return { names, of: Int32Array.from(labels, (label) => at.get(label)!) };
  }
  const of = communities(size(graph), sources(graph), graph.indices);
  const degree = degrees(graph),
    best: number[] = [],
    count: number[] = [];
  of.forEach((c, i) => {
    count[c] = (count[c] ?? 0) + 1;
    if (best[c] === undefined || degree[i]! > degree[best[c]]!) best[c] = i;
  });
  return {
    names: best.map((i, c) => (count[c] === 1 ? graph.nodes[i]! : `${graph.nodes[i]} and ${count[c]! - 1} more`)),
    of,
  };
}

/**
 * Find communities by modularity (Blondel et al. 2008): every node moves to the neighbouring community with the largest gain;
 * then the communities become the nodes, until nothing moves.
 */
export function communities(nodes: number, from: ArrayLike<number>, to: ArrayLike<number>): Int32Array {
  let pairs = Array.from({ length: from.length }, (_, e) => [from[e]!, to[e]!, 1] as [number, number, number]);
  let out = Int32Array.from({ length: nodes }, (_, i) => i),
    count = nodes;
  for (let level = 0; level < MOST_LEVELS; level++) {
    const moved = oneLevel(count, pairs);
    const found = new Set(moved).size;
    if (found === count) break;
    const at = new Map<number, number>();
    const name = moved.map((c) => {
      if (!at.has(c)) at.set(c, at.size);
      return at.get(c)!;
    });
    out = out.map((c) => name[c]!);
    const sums = new Map<number, number>();
    for (const [a, b, w] of pairs) {
      const key = name[a]! * found + name[b]!;
      sums.set(key, (sums.get(key) ?? 0) + w);
    }
    pairs = Array.from(sums, ([key, w]) => [Math.floor(key / found), key % found, w]);
    count = found;
  }
  return out;
}

function oneLevel(count: number, pairs: readonly [number, number, number][]): Int32Array {
  const starts = new Int32Array(count + 1);
  for (const [a, b] of pairs) {
    starts[a + 1]!++;
    starts[b + 1]!++;
  }
  for (let i = 0; i < count; i++) starts[i + 1]! += starts[i]!;
  const fill = starts.slice(),
    near = new Int32Array(2 * pairs.length),
    weight = new Float64Array(2 * pairs.length);
  for (const [a, b, w] of pairs) {
    near[fill[a]!] = b;
    weight[fill[a]!++] = w;
    near[fill[b]!] = a;
    weight[fill[b]!++] = w;
  }
  const strength = new Float64Array(count);
  for (let i = 0; i < count; i++) for (let e = starts[i]!; e < starts[i + 1]!; e++) strength[i]! += weight[e]!;
  const whole = strength.reduce((a, b) => a + b, 0) || 1;
  const of = Int32Array.from({ length: count }, (_, i) => i),
    total = strength.slice(),
    links = new Float64Array(count);
  for (let round = 0, moves = 1; round < MOST_ROUNDS && moves > 0; round++) {
    moves = 0;
    for (let i = 0; i < count; i++) {
      const own = of[i]!,
        seen: number[] = [own];
      for (let e = starts[i]!; e < starts[i + 1]!; e++) {
        const j = near[e]!;
        if (j === i) continue;
        if (links[of[j]!] === 0 && of[j] !== own) seen.push(of[j]!);
        links[of[j]!]! += weight[e]!;
      }
      total[own]! -= strength[i]!;
      const gain = (c: number): number => links[c]! - (total[c]! * strength[i]!) / whole;
      const best = seen.reduce((a, b) => (gain(b) > gain(a) + 1e-12 ? b : a));
      for (const c of seen) links[c] = 0;
      total[best]! += strength[i]!;
      if (best !== own) {
        of[i] = best;
        moves++;
      }
    }
  }
  return of;
}

/** Return the graph with every group as one node, except open groups. */
export function folded(graph: Graph, { names, of: group }: Grouped, open: readonly string[]): Folded {
  const isOpen = names.map((name) => open.includes(name)),
    place = new Map<number, number>();
  const members: number[][] = [],
    groupOf: (string | undefined)[] = [];
  const of = group.map((c, i) => {
    const key = isOpen[c] ? names.length + i : c;
    let at = place.get(key);
    if (at === undefined) {
      place.set(key, (at = members.length));
      members.push([]);
      groupOf.push(isOpen[c] ? undefined : names[c]);
    }
    members[at]!.push(i);
    return at;
  });
  const from = sources(graph),
    rows = members.map(() => new Map<number, number>());
  graph.indices.forEach((to, e) => rows[of[from[e]!]!]!.set(of[to]!, 0));
  const indptr = [0],
    indices: number[] = [];
  for (const row of rows) {
    for (const to of [...row.keys()].sort((a, b) => a - b)) {
      row.set(to, indices.length);
      indices.push(to);
    }
    indptr.push(indices.length);
  }
  const edge = Int32Array.from(graph.indices, (to, e) => rows[of[from[e]!]!]!.get(of[to]!)!);
  const mean = (list: readonly number[], c: number): number =>
    list.reduce((sum, i) => sum + graph.positions[2 * i + c]!, 0) / list.length;
  const short: Graph = {
    ...graph,
    nodes: members.map((list, i) => groupOf[i] ?? graph.nodes[list[0]!]!),
    indptr,
    indices,
    labels: graph.labels === null ? null : members.map((list) => graph.labels![list[0]!]!),
    positions: graph.positions.length === 0 ? [] : members.flatMap((list) => [mean(list, 0), mean(list, 1)]),
  };
  return { graph: short, of, members, group: groupOf, edge };
}

/** Return the mean of the members' rows of a place: their attention to each other place. */
export function foldedWeights({ edge, graph, of }: Folded, whole: Graph, weights: ArrayLike<number>): Float64Array {
  const out = new Float64Array(graph.indices.length),
    from = sources(whole),
    rows = new Float64Array(size(graph));
  for (let i = 0; i < size(whole); i++) if (whole.indptr[i + 1]! > whole.indptr[i]!) rows[of[i]!]!++;
  for (let e = 0; e < edge.length; e++) out[edge[e]!]! += weights[e]! / rows[of[from[e]!]!]!;
  return out;
}
