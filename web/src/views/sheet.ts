// A large graph on a canvas. A worker paints it; while the frame moves, the last image moves along, so the page stays
// responsive for any number of edges.

import type { Colour } from "../compute/paint.js";
import type { PaintAsk, Painted } from "../compute/paint-worker.js";
import { sources, type Graph } from "../graph.js";

export interface Frame {
  x: number;
  y: number;
  zoom: number;
}

export class Sheet {
  private readonly worker = new Worker(new URL("paint-worker.js", import.meta.url), { type: "module" });
  private readonly pen: ImageBitmapRenderingContext;
  private shown: Frame | undefined;
  private busy = false;
  private next: Frame | undefined;

  constructor(
    private readonly canvas: HTMLCanvasElement,
    private readonly side: number,
    private readonly margin: number,
  ) {
    this.pen = canvas.getContext("bitmaprenderer")!;
    this.worker.onmessage = ({ data }: MessageEvent<Painted>) => this.put(data);
  }

  stop(): void {
    this.worker.terminate();
  }

  /** Set another graph, or other positions. */
  take(graph: Graph): void {
    this.ask({
      graph: {
        from: sources(graph),
        to: Int32Array.from(graph.indices),
        positions: Float32Array.from(graph.positions),
        margin: this.margin,
        side: this.side,
      },
    });
    this.canvas.dataset["edges"] = String(graph.indices.length);
  }

  show(frame: Frame): void {
    this.follow(frame);
    this.next = frame;
    if (!this.busy) this.paintNext();
  }

  private paintNext(): void {
    if (this.next === undefined) return;
    const style = getComputedStyle(this.canvas),
      width = Math.round(Math.min((this.canvas.clientWidth || this.side) * Math.min(devicePixelRatio, 2), 1200));
    this.ask({ shot: { ...this.next, width, line: colour(style.color), dot: colour(style.caretColor) } });
    this.busy = true;
    this.next = undefined;
  }

  private put({ shot, image }: Painted): void {
    this.busy = false;
    if (this.canvas.width !== shot.width) this.canvas.width = this.canvas.height = shot.width;
    this.pen.transferFromImageBitmap(image);
    this.canvas.dataset["painted"] = this.canvas.dataset["edges"]!;
    const wanted = this.next ?? this.frame;
    this.shown = shot;
    if (wanted !== undefined) this.follow(wanted);
    this.paintNext();
  }

  private frame: Frame | undefined;

  /** Move the last image to its place in the frame. */
  private follow(frame: Frame): void {
    this.frame = frame;
    const old = this.shown;
    if (old === undefined) return;
    const unit = (this.canvas.clientWidth / this.side) * frame.zoom;
    this.canvas.style.transform = `translate(${(old.x - frame.x) * unit}px, ${(old.y - frame.y) * unit}px) scale(${frame.zoom / old.zoom})`;
  }

  private ask(ask: PaintAsk): void {
    this.worker.postMessage(ask);
  }
}

const colour = (text: string): Colour => (text.match(/[\d.]+/g) ?? []).slice(0, 3).map(Number) as unknown as Colour;
