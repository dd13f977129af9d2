// Force-directed layout of the nodes, computed in its own worker and shown while it settles.

import type { Graph } from "../graph.js";

export interface LayoutAsk {
  nodes: number;
  from: Int32Array;
  to: Int32Array;
}
export interface LayoutTold {
  positions: Float32Array;
  done: number;
}

/** Lay out the graph; `tell` receives positions in the unit square as they settle. Returns a function that stops it. */
export function layOut(graph: Graph, from: Int32Array, tell: (told: LayoutTold) => void): () => void {
  const worker = new Worker(new URL("layout-worker.js", import.meta.url), { type: "module" });
  worker.onmessage = ({ data }: MessageEvent<LayoutTold>) => {
    tell(data);
    if (data.done >= 1) worker.terminate();
  };
  worker.postMessage({ nodes: graph.nodes.length, from, to: Int32Array.from(graph.indices) } satisfies LayoutAsk);
  return () => worker.terminate();
}
