// Where to draw the nodes: a force-directed layout, computed in a worker of its own and shown while it settles.

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

/** Lay out the graph; `tell` gets places in the unit square as they settle. The result ends the work. */
export function layOut(graph: Graph, from: Int32Array, tell: (told: LayoutTold) => void): () => void {
  const worker = new Worker(new URL("layout-worker.js", import.meta.url), { type: "module" });
  worker.onmessage = ({ data }: MessageEvent<LayoutTold>) => {
    tell(data);
    if (data.done >= 1) worker.terminate();
  };
  worker.postMessage({ nodes: graph.nodes.length, from, to: Int32Array.from(graph.indices) } satisfies LayoutAsk);
  return () => worker.terminate();
}
