// Fast latent vectors of large graphs: random projections of growing neighbourhoods (FastRP, Chen et al. 2019).

import { degrees, size, sources, type Graph } from "../graph.js";
import { seeded } from "../train/random.js";

const DIM = 16,
  HOPS = [0.2, 1, 1, 0.5];

/** Return unit vectors, which are close for nodes that reach the same nodes in few steps. */
export function projected(graph: Graph): Pick<Graph, "dim" | "latents" | "ownLatents"> {
  const nodes = size(graph),
    from = sources(graph),
    degree = degrees(graph),
    random = seeded(1);
  let now = Float64Array.from({ length: nodes * DIM }, () => (random() < 0.5 ? -1 : 1));
  const out = new Float64Array(nodes * DIM);
  for (const share of HOPS) {
    unitRows(now);
    for (let i = 0; i < out.length; i++) out[i]! += share * now[i]!;
    const next = new Float64Array(nodes * DIM);
    graph.indices.forEach((to, e) => {
      const i = from[e]!,
        by = 1 / degree[i]!;
      for (let d = 0; d < DIM; d++) next[i * DIM + d]! += by * now[to * DIM + d]!;
    });
    now = next;
  }
  unitRows(out);
  return { dim: DIM, latents: Array.from(out), ownLatents: true };
}

function unitRows(x: Float64Array): void {
  for (let from = 0; from < x.length; from += DIM) {
    let square = 0;
    for (let d = 0; d < DIM; d++) square += x[from + d]! ** 2;
    for (let d = 0; d < DIM; d++) x[from + d]! /= Math.sqrt(square) || 1;
  }
}
