// Gestures on a picture: dragging the background moves the frame, dragging a node moves the node, two fingers zoom. Also
// keeps letters legible in small pictures.

import type { SVGAttributes } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import type { Frame } from "./sheet.js";

/** A press that moves less than this is a click (pixels). */
const STILL = 4;

interface Place {
  x: number;
  y: number;
}

export interface Gestures {
  svg: { current: SVGSVGElement | null };
  side: number;
  frame: Frame;
  set: (frame: Frame) => void;
  /** Return the frame with this zoom that keeps a point of the picture in place. */
  zoomed: (from: Frame, zoom: number, x: number, y: number) => Frame;
  /** Called while a node is held at a point of the picture, and with `dropped` when it is released. */
  hold: (node: number, x: number, y: number, dropped: boolean) => void;
}

interface Held {
  frame: Frame;
  /** Screen position of the first finger, or of the middle of two. */
  at: Place;
  /** Distance of two fingers. */
  apart: number | undefined;
  node: number;
  moved: boolean;
}

export function useGestures({ svg, side, frame, set, zoomed, hold }: Gestures): SVGAttributes<SVGSVGElement> {
  const fingers = useRef(new Map<number, Place>());
  const held = useRef<Held | undefined>(undefined);
  const middle = (): Place => {
    const all = [...fingers.current.values()];
    return { x: all.reduce((s, p) => s + p.x, 0) / all.length, y: all.reduce((s, p) => s + p.y, 0) / all.length };
  };
  const apart = (): number | undefined => {
    const [a, b] = [...fingers.current.values()];
    return a === undefined || b === undefined ? undefined : Math.max(1, Math.hypot(a.x - b.x, a.y - b.y));
  };
  /** Convert a screen position to a point of the picture. */
  const point = ({ x, y }: Place, of: Frame): Place => {
    const box = svg.current!.getBoundingClientRect();
    return {
      x: of.x + (((x - box.left) / box.width) * side) / of.zoom,
      y: of.y + (((y - box.top) / box.height) * side) / of.zoom,
    };
  };
  const grip = (node: number): void => {
    held.current = { frame, at: middle(), apart: apart(), node, moved: fingers.current.size > 1 };
  };
  const end = (e: PointerEvent): void => {
    const was = held.current;
    if (!fingers.current.delete(e.pointerId) || was === undefined) return;
    if (was.node >= 0 && was.moved) {
      const { x, y } = point({ x: e.clientX, y: e.clientY }, frame);
      hold(was.node, x, y, true);
    }
    held.current = undefined;
    if (fingers.current.size > 0) grip(-1);
  };
  return {
    onPointerDown: (e) => {
      if (e.button !== 0) return;
      const node = (e.target as Element).closest<SVGElement>("[data-node]")?.dataset["node"];
      fingers.current.set(e.pointerId, { x: e.clientX, y: e.clientY });
      if (fingers.current.size > 2) fingers.current.clear();
      else grip(node === undefined || fingers.current.size > 1 ? -1 : Number(node));
    },
    onPointerMove: (e) => {
      const was = held.current;
      if (was === undefined || !fingers.current.has(e.pointerId)) return;
      fingers.current.set(e.pointerId, { x: e.clientX, y: e.clientY });
      const now = middle();
      if (!was.moved && Math.hypot(now.x - was.at.x, now.y - was.at.y) < STILL) return;
      if (!was.moved) svg.current!.setPointerCapture(e.pointerId);
      was.moved = true;
      const wide = apart();
      if (wide !== undefined && was.apart !== undefined) {
        const { x, y } = point(was.at, was.frame);
        const next = zoomed(was.frame, (was.frame.zoom * wide) / was.apart, x, y),
          slid = point(now, next);
        set(next.zoom === 1 ? next : { ...next, x: next.x + x - slid.x, y: next.y + y - slid.y });
      } else if (was.node >= 0) {
        const { x, y } = point(now, frame);
        hold(was.node, x, y, false);
      } else if (was.frame.zoom > 1) {
        const a = point(was.at, was.frame),
          b = point(now, was.frame);
        set({ ...was.frame, x: was.frame.x - (b.x - a.x), y: was.frame.y - (b.y - a.y) });
      }
    },
    onPointerUp: end,
    onPointerCancel: end,
  };
}

/** Return the factor by which letters must be enlarged to stay legible in a narrow, scaled-down picture. */
export function useLegible(svg: { current: Element | null }, side: number): number {
  const [scale, set] = useState(1);
  useEffect(() => {
    if (svg.current === null) return undefined;
    const watcher = new ResizeObserver(([entry]) => {
      const { width } = entry!.contentRect;
      if (width > 0) set(Math.min(2, Math.max(1, Number((side / width).toFixed(1)))));
    });
    watcher.observe(svg.current);
    return () => watcher.disconnect();
  }, [svg.current]);
  return scale;
}
