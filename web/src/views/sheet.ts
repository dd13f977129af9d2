// Paints a large graph on a canvas, a little in every frame. While the frame moves, what was painted last is moved along; so
// the page answers at once however many edges there are.

import type { Graph } from "../graph.js";

interface Frame { x: number; y: number; zoom: number }
/** Edges between two looks at the clock, and milliseconds of a slice. */
const BATCH = 2000, SLICE = 10;

export class Sheet {
  private readonly back = document.createElement("canvas");
  private painted: Frame | undefined;
  private job = 0;
  private request = 0;

  constructor(private readonly canvas: HTMLCanvasElement, private readonly side: number) {}

  stop(): void {
    this.job++;
    cancelAnimationFrame(this.request);
  }

  show(graph: Graph, from: Int32Array, margin: number, frame: Frame): void {
    this.stop();
    const job = this.job, { back, canvas } = this;
    const width = Math.round(Math.min(canvas.clientWidth || this.side, 1200) * Math.min(devicePixelRatio, 2));
    if (this.painted === undefined) canvas.width = canvas.height = width;
    else this.follow(frame);
    back.width = back.height = width;
    const pen = back.getContext("2d")!;
    const scale = width / this.side * frame.zoom, span = this.side - 2 * margin, { positions } = graph;
    const x = (i: number): number => (margin + positions[2 * i]! * span - frame.x) * scale;
    const y = (i: number): number => (margin + positions[2 * i + 1]! * span - frame.y) * scale;
    const style = getComputedStyle(canvas), edges = graph.indices.length, nodes = graph.nodes.length;
    pen.strokeStyle = style.color;
    pen.fillStyle = style.getPropertyValue("--cool").trim() || style.color;
    pen.lineWidth = Math.max(0.5, 0.5 * Math.sqrt(frame.zoom));
    pen.globalAlpha = Math.min(0.5, 0.08 + 900 / edges * frame.zoom);
    const outside = (a: number, b: number): boolean => Math.max(a, b) < 0 || Math.min(a, b) > width;
    let e = 0, n = 0;
    const slice = (): void => {
      if (job !== this.job) return;
      const end = performance.now() + SLICE;
      while (e < edges && performance.now() < end) {
        pen.beginPath();
        for (const stop = Math.min(edges, e + BATCH); e < stop; e++) {
          const a = from[e]!, b = graph.indices[e]!, xa = x(a), xb = x(b), ya = y(a), yb = y(b);
          if (a === b || outside(xa, xb) || outside(ya, yb)) continue;
          pen.moveTo(xa, ya);
          pen.lineTo(xb, yb);
        }
        pen.stroke();
      }
      if (e === edges && n === 0) pen.globalAlpha = 0.8;
      while (e === edges && n < nodes && performance.now() < end) {
        pen.beginPath();
        const r = Math.max(1, Math.min(4, 0.9 * Math.sqrt(frame.zoom) * width / this.side));
        for (const stop = Math.min(nodes, n + BATCH); n < stop; n++) {
          pen.moveTo(x(n) + r, y(n));
          pen.arc(x(n), y(n), r, 0, 2 * Math.PI);
        }
        pen.fill();
      }
      if (n < nodes) {
        this.request = requestAnimationFrame(slice);
        return;
      }
      canvas.width = canvas.height = width;
      canvas.getContext("2d")!.drawImage(back, 0, 0);
      canvas.style.transform = "";
      canvas.dataset["painted"] = String(edges);
      this.painted = frame;
    };
    this.request = requestAnimationFrame(slice);
  }

  /** Move what was painted to where the new frame has it. */
  private follow(frame: Frame): void {
    const old = this.painted!, factor = frame.zoom / old.zoom, unit = this.canvas.clientWidth / this.side;
    this.canvas.style.transform = `translate(${(old.x - frame.x) * frame.zoom * unit}px, ${(old.y - frame.y) * frame.zoom * unit}px) scale(${factor})`;
  }
}
