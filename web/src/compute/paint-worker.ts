// Paints in a worker, so that the page stays responsive.

import { paint, type Painting, type Shot } from "./paint.js";

export type PaintAsk = { graph: Painting } | { shot: Shot };
export interface Painted {
  shot: Shot;
  image: ImageBitmap;
}

const worker = self as unknown as {
  onmessage: (event: MessageEvent<PaintAsk>) => void;
  postMessage(told: Painted, transfer: Transferable[]): void;
};
let graph: Painting | undefined;

worker.onmessage = ({ data }) => {
  if ("graph" in data) graph = data.graph;
  else if (graph !== undefined) {
    const { shot } = data;
    void createImageBitmap(new ImageData(paint(graph, shot), shot.width, shot.width)).then((image) =>
      worker.postMessage({ shot, image }, [image]),
    );
  }
};
