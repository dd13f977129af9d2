// The graph: line widths show the attention of the chosen node, faint lines that of all others. Large graphs are painted on a
// canvas below; selectable elements are always drawn above it.

import type { JSX } from "preact";
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { largest, received, row, size, topOf, type Edge, type Graph } from "../graph.js";
import { percent } from "../words.js";
import { useGestures, useLegible } from "./gestures.js";
import { Sheet, type Frame } from "./sheet.js";

export const SIZE = 640;
const MARGIN = 44,
  LABELS = 16,
  MOST_AROUND = 60;
/** Larger graphs are painted on the canvas. */
const MOST_NODES = 600,
  MOST_EDGES = 6000;

export const isLarge = (graph: Graph): boolean => size(graph) > MOST_NODES || graph.indices.length > MOST_EDGES;

export interface PictureProps {
  graph: Graph;
  weights: ArrayLike<number>;
  /** Weights to compare with; a line's colour shows which mechanism gives it more weight. */
  beside?: ArrayLike<number>;
  node: number;
  /** Name of the neighbour whose weight is explained. */
  to: string;
  masked: readonly string[];
  /** The edge that is pointed at outside the picture. */
  peek?: { from: string; to: string } | undefined;
  label: string;
  pick: (name: string) => void;
  explain: (name: string) => void;
  /** Called when a node is dropped at another point of the unit square; without it nodes cannot be moved. */
  place?: (node: number, x: number, y: number) => void;
}

const WHOLE: Frame = { x: 0, y: 0, zoom: 1 };

export function Picture(props: PictureProps): JSX.Element {
  const { graph, weights, node, label, pick, place } = props;
  const [frame, setFrame] = useState(WHOLE);
  /** The dragged node, and its place. */
  const [held, setHeld] = useState<readonly [number, number, number]>();
  const svg = useRef<SVGSVGElement>(null);
  useEffect(() => setFrame(WHOLE), [graph]);
  const large = isLarge(graph);
  const at = (i: number): [number, number] =>
    held?.[0] === i
      ? [held[1], held[2]]
      : [
          MARGIN + graph.positions[2 * i]! * (SIZE - 2 * MARGIN),
          MARGIN + graph.positions[2 * i + 1]! * (SIZE - 2 * MARGIN),
        ];
  const drawn = graph.positions.length > 0;
  const shown = useMemo(
    () =>
      !large
        ? graph.nodes.map((_, i) => i)
        : [...new Set([node, ...topOf(graph, weights, node, MOST_AROUND).map(({ to }) => to)])],
    [graph, large && weights, large && node],
  );
  const zoomed = (from: Frame, zoom: number, x: number, y: number): Frame => {
    const next = Math.min(Math.max(zoom, 1), large ? 60 : 8),
      share = from.zoom / next;
    return next === 1 ? WHOLE : { zoom: next, x: x - (x - from.x) * share, y: y - (y - from.y) * share };
  };
  const zoomTo = (zoom: number, x = frame.x + SIZE / frame.zoom / 2, y = frame.y + SIZE / frame.zoom / 2): void =>
    setFrame(zoomed(frame, zoom, x, y));
  const keys = (event: KeyboardEvent): void => {
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (step !== undefined && !event.altKey) {
      const order = [...shown].sort((a, b) => a - b);
      pick(graph.nodes[order[(order.indexOf(node) + step + order.length) % order.length]!]!);
    } else if (event.key === "+") zoomTo(frame.zoom * 1.5);
    else if (event.key === "-") zoomTo(frame.zoom / 1.5);
    else if (event.key === "0") setFrame(WHOLE);
    else return;
    event.preventDefault();
  };
  const legible = useLegible(svg, SIZE);
  const gestures = useGestures({
    svg,
    side: SIZE,
    frame,
    set: setFrame,
    zoomed,
    hold: (i, x, y, dropped) => {
      if (place === undefined) return;
      setHeld(dropped ? undefined : [i, x, y]);
      if (dropped) place(i, ...([x, y].map((v) => inside((v - MARGIN) / (SIZE - 2 * MARGIN))) as [number, number]));
    },
  });
  if (!drawn)
    return (
      <p class="help" role="status">
        Placing {size(graph)} nodes…
      </p>
    );
  return (
    <div class="picture">
      {large ? <Painted graph={graph} frame={frame} /> : null}
      <svg
        ref={svg}
        viewBox={`${frame.x} ${frame.y} ${SIZE / frame.zoom} ${SIZE / frame.zoom}`}
        role="group"
        aria-label={label}
        data-zoom={frame.zoom.toFixed(2)}
        {...(frame.zoom > 1 ? { "data-zoomed": "" } : {})}
        onKeyDown={keys}
        {...gestures}
        onWheel={(e) => {
          if (!e.ctrlKey && !e.metaKey) return;
          e.preventDefault();
          const box = e.currentTarget.getBoundingClientRect();
          zoomTo(
            frame.zoom * Math.exp(-e.deltaY / 200),
            frame.x + (((e.clientX - box.left) / box.width) * SIZE) / frame.zoom,
            frame.y + (((e.clientY - box.top) / box.height) * SIZE) / frame.zoom,
          );
        }}
      >
        <Lines {...props} shown={shown} at={at} large={large} thin={1 / Math.sqrt(frame.zoom)} />
        <Dots {...props} shown={shown} at={at} thin={1 / Math.sqrt(frame.zoom)} legible={legible} />
      </svg>
      <div class="zoom" role="group" aria-label="Zoom">
        <button type="button" aria-label="Zoom in" onClick={() => zoomTo(frame.zoom * 1.5)}>
          +
        </button>
        <button type="button" aria-label="Zoom out" onClick={() => zoomTo(frame.zoom / 1.5)}>
          −
        </button>
        <button type="button" aria-label="Whole graph" onClick={() => setFrame(WHOLE)}>
          ◻
        </button>
      </div>
    </div>
  );
}

const inside = (share: number): number => Math.min(1, Math.max(0, share));

/** All edges and nodes of a large graph. */
function Painted({ graph, frame }: { graph: Graph; frame: Frame }): JSX.Element {
  const canvas = useRef<HTMLCanvasElement>(null);
  const sheet = useRef<Sheet | undefined>(undefined);
  useEffect(() => {
    sheet.current = new Sheet(canvas.current!, SIZE, MARGIN);
    return () => sheet.current!.stop();
  }, []);
  useEffect(() => sheet.current!.take(graph), [graph, graph.positions]);
  useEffect(() => sheet.current!.show(frame), [graph, graph.positions, frame]);
  return <canvas ref={canvas} aria-hidden="true" />;
}

type Drawn = PictureProps & { shown: readonly number[]; at: (i: number) => [number, number]; thin: number };

function Lines({
  graph,
  weights,
  beside,
  node,
  to: marked,
  peek,
  shown,
  at,
  large,
  thin,
  explain,
}: Drawn & { large: boolean }): JSX.Element {
  const within = useMemo(() => new Set(shown), [shown]);
  const best = row(graph, weights, node).reduce((m, e) => Math.max(m, e.weight, beside?.[e.at] ?? 0), 1e-9);
  const edges = useMemo(() => {
    const all: Edge[] = [];
    for (const i of large ? [] : shown)
      all.push(...row(graph, weights, i).filter(({ from, to }) => from !== to && within.has(to)));
    if (large) all.push(...topOf(graph, weights, node, MOST_AROUND).filter(({ from, to }) => from !== to));
    return all.sort((a, b) => Number(a.from === node) - Number(b.from === node) || a.at - b.at); // keep the order of the lines
  }, [graph, weights, node, within]);
  return (
    <g>
      {edges.map(({ from, to, at: e, weight }) => {
        const mine = from === node,
          shift = beside === undefined ? 0 : weight - beside[e]!,
          peeked = peek !== undefined && graph.nodes[from] === peek.from && graph.nodes[to] === peek.to;
        const tone = beside === undefined || !mine ? "" : shift > 0.005 ? " more" : shift < -0.005 ? " less" : " same";
        return (
          <path
            key={e}
            class={`edge${mine ? " mine" : ""}${tone}${mine && graph.nodes[to] === marked ? " marked" : ""}${peeked ? " peeked" : ""}`}
            d={curve(at(from), at(to))}
            data-from={graph.nodes[from]}
            data-to={graph.nodes[to]}
            data-weight={weight}
            stroke-width={((mine ? 0.8 + (6 * weight) / best : 0.4 + 1.1 * weight) * thin).toFixed(2)}
            opacity={(mine ? 0.35 + (0.6 * weight) / best : 0.1 + 0.3 * weight).toFixed(3)}
            {...(mine
              ? { onPointerEnter: () => explain(graph.nodes[to]!), onClick: () => explain(graph.nodes[to]!) }
              : {})}
          >
            {mine ? <title>{`${graph.nodes[from]} → ${graph.nodes[to]}: ${percent(weight)}`}</title> : null}
          </path>
        );
      })}
    </g>
  );
}

function Dots({
  graph,
  weights,
  node,
  to: marked,
  masked,
  shown,
  at,
  thin,
  legible,
  pick,
}: Drawn & { legible: number }): JSX.Element {
  const gets = useMemo(() => received(graph, weights), [graph, weights]);
  const groups = useMemo(() => [...new Set(graph.labels ?? [])], [graph]);
  const most = shown.reduce((m, i) => Math.max(m, gets[i]!), 1e-9);
  const favourites = new Map(topOf(graph, weights, node, 6).map(({ to, weight }) => [to, weight]));
  const radius = (i: number): number => (3 + 10 * Math.sqrt(gets[i]! / most)) * thin;
  const order = [...shown].sort((a, b) => Number(a === node) - Number(b === node) || gets[a]! - gets[b]!);
  const wanted = [
    ...new Set([
      node,
      ...favourites.keys(),
      ...(graph.nodes.includes(marked) ? [graph.nodes.indexOf(marked)] : []),
      ...largest(gets, LABELS),
    ]),
  ].filter((i) => shown.includes(i));
  const labels = labelled(
    wanted.map((i) => ({ i, text: cut(graph.nodes[i]!), x: at(i)[0], y: at(i)[1] - radius(i) - 4 * thin })),
    thin * legible,
  );
  return (
    <>
      <g>
        {order.map((i) => {
          const [x, y] = at(i),
            mine = i === node,
            group = graph.labels === null ? "" : ` group-${groups.indexOf(graph.labels[i]!) % 8}`;
          return (
            <circle
              key={mine ? "mine" : i}
              class={`dot${mine ? " mine" : favourites.has(i) ? " near" : ""}${masked.includes(graph.nodes[i]!) ? " masked" : ""}${group}`}
              cx={x.toFixed(2)}
              cy={y.toFixed(2)}
              r={radius(i).toFixed(2)}
              data-node={i}
              onClick={() => pick(graph.nodes[i]!)}
              {...(mine
                ? {
                    tabindex: 0,
                    role: "button",
                    "aria-label": `${graph.nodes[i]}, chosen; arrow keys choose another node`,
                  }
                : {})}
            >
              <title>{`${graph.nodes[i]} receives ${gets[i]!.toFixed(2)}`}</title>
            </circle>
          );
        })}
      </g>
      <g aria-hidden="true">
        {labels.map(({ i, text, x, y }) => (
          <text
            class={i === node || favourites.has(i) ? "name mine" : "name"}
            x={x.toFixed(1)}
            y={y.toFixed(1)}
            text-anchor="middle"
            font-size={(i === node || favourites.has(i) ? 12.5 : 11) * thin * legible}
          >
            {text}
          </text>
        ))}
      </g>
    </>
  );
}

const cut = (text: string): string => (text.length > 24 ? `${text.slice(0, 23)}…` : text);

/** Return an arc that bends to the right, so that both directions of a pair are visible. */
export function curve([x1, y1]: readonly [number, number], [x2, y2]: readonly [number, number]): string {
  const bend = 0.09,
    cx = (x1 + x2) / 2 - bend * (y2 - y1),
    cy = (y1 + y2) / 2 + bend * (x2 - x1);
  return `M${x1.toFixed(1)} ${y1.toFixed(1)}Q${cx.toFixed(1)} ${cy.toFixed(1)} ${x2.toFixed(1)} ${y2.toFixed(1)}`;
}

interface Label {
  i: number;
  text: string;
  x: number;
  y: number;
}

/** Return the labels, in order, that hide no earlier label; all stay inside the picture. */
export function labelled(labels: Label[], thin = 1): Label[] {
  const kept: Label[] = [];
  for (const label of labels) {
    const half = 3.4 * label.text.length * thin;
    const placed = { ...label, x: Math.min(Math.max(label.x, half), SIZE - half) };
    if (
      kept.every(
        (k) =>
          Math.abs(k.y - placed.y) > 13 * thin ||
          Math.abs(k.x - placed.x) > 3.4 * thin * (k.text.length + placed.text.length) + 4 * thin,
      )
    )
      kept.push(placed);
  }
  return kept;
}
