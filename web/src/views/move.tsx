// The chosen node and its neighbours as movable points, whose weights update immediately.

import type { JSX } from "preact";
import { useMemo, useRef } from "preact/hooks";
import { nodeOf, topOf, type Graph } from "../graph.js";
import { digits, percent } from "../words.js";
import { Behind, Card, Rows, Select, Slider, type Seen } from "./bits.js";
import { useLegible } from "./gestures.js";
import { labelled } from "./picture.js";
import { fromPlace, geodesic, inSpace, placeOf, SCORE, weigh, type Point, type Space } from "./spaces.js";

const MOST = 14,
  SIDE = 640,
  HALF = 290;
const ABOUT: Record<Space, string> = {
  plane:
    "In the plane the score is the dot product: who lies far out in the query's direction gets most. Distance as such does not count.",
  disk: "In the Poincaré disk the score is minus the hyperbolic distance. Towards the rim distances grow without bound: two points there are far apart even if they look close.",
  sphere: "On the sphere all vectors have length one: the score is the cosine of the angle, and only directions count.",
};

export function MoveView({ session, graph }: Seen): JSX.Element {
  const { state } = session,
    { space } = state;
  const node = nodeOf(graph, state.node),
    name = graph.nodes[node]!;
  const names = useMemo(
    () => [
      name,
      ...topOf(graph, session.results.get("scaled_dot_product")?.weights ?? graph.indices.map(() => 1), node, MOST + 1)
        .filter((e) => e.to !== node)
        .slice(0, MOST)
        .map((e) => graph.nodes[e.to]!),
    ],
    [graph, node, session.results.get("scaled_dot_product")],
  );
  const start = useMemo(() => placed(graph, names, space), [graph, names, space, graph.positions.length]);
  const points = names.map((n, i) => {
    const own = state.moved[n];
    return own !== undefined && inSpace(space, own) ? own : start[i]!;
  });
  const temperature =
    typeof state.options["temperature"] === "number" && state.options["temperature"] > 0
      ? state.options["temperature"]
      : 1;
  const seen = names.map((_, i) => i).filter((i) => i > 0 && !state.masked.includes(names[i]!));
  const found = weigh(
    space,
    points[0]!,
    seen.map((i) => points[i]!),
    temperature,
    session.kernels?.k,
  );
  const weights = names.map((_, i) => (seen.includes(i) ? found[seen.indexOf(i)]! : 0));
  const move = (i: number, x: number, y: number): void =>
    session.change({ moved: { ...state.moved, [names[i]!]: fromPlace(space, x, y).map((v) => Number(v.toFixed(3))) } });
  const mask = (n: string): void =>
    session.change({
      masked: state.masked.includes(n)
        ? state.masked.filter((m) => m !== n)
        : state.masked.length + 2 < names.length
          ? [...state.masked, n]
          : state.masked,
    });
  const order = names
    .map((_, i) => i)
    .slice(1)
    .sort((a, b) => weights[b]! - weights[a]!);
  return (
    <>
      <div class="center">
        <section id="graph" class="drag" aria-label="Points">
          <div class="row wrap two">
            <Select
              id="space"
              label="Space"
              value={space}
              choices={[
                { value: "plane", name: "Plane" },
                { value: "disk", name: "Poincaré disk" },
                { value: "sphere", name: "Sphere" },
              ]}
              pick={(s) => session.change({ space: s, moved: {} })}
            />
            <button type="button" class="quiet" onClick={() => session.change({ moved: {}, masked: [] })}>
              As at the start
            </button>
          </div>
          <Points
            space={space}
            names={names}
            points={points}
            weights={weights}
            masked={state.masked}
            move={move}
            mask={mask}
          />
          <p class="help">
            {ABOUT[space]} Drag a point, or choose it with Tab and move it with the arrow keys; M masks it. {name}{" "}
            (orange) asks, the others answer.
          </p>
          <Behind
            what="Points and weights"
            head={["Node", "Coordinates", `Score: ${SCORE[space].formula}`, "Weight"]}
            rows={() =>
              names.map((n, i) => [
                n,
                points[i]!.map((x) => digits(x)).join(", "),
                i === 0 ? "" : digits(SCORE[space].of(points[0]!, points[i]!)),
                i === 0 ? "" : digits(weights[i]!, 4),
              ])
            }
          />
        </section>
      </div>
      <div class="column">
        <Card
          id="moved"
          heading={`${name} attends to`}
          help={`Score: ${SCORE[space].formula}, divided by the temperature; then the softmax.`}
        >
          <Slider
            id="move-temperature"
            label="temperature"
            value={temperature}
            low={0.05}
            high={20}
            factors
            set={(t) => session.change({ options: { ...state.options, temperature: t } })}
          />
          <Rows
            caption="Weights"
            pick={mask}
            rows={order.map((i) => ({
              name: names[i]!,
              weight: weights[i]!,
              note: state.masked.includes(names[i]!) ? "masked" : percent(weights[i]!),
            }))}
          />
          <p class="help">Choose a name to mask it, or to show it again.</p>
        </Card>
      </div>
    </>
  );
}

/** Return the initial points, around the middle as in the graph's picture. */
function placed(graph: Graph, names: readonly string[], space: Space): Point[] {
  const at = names.map((n) => {
    const i = graph.nodes.indexOf(n);
    return [graph.positions[2 * i] ?? 0.5, graph.positions[2 * i + 1] ?? 0.5] as const;
  });
  const middle = [0, 1].map((c) => at.reduce((sum, p) => sum + p[c]!, 0) / at.length);
  const most = at.reduce((m, p) => Math.max(m, Math.hypot(p[0] - middle[0]!, p[1] - middle[1]!)), 1e-9);
  return at.map((p) => fromPlace(space, (0.82 * (p[0] - middle[0]!)) / most, (0.82 * (p[1] - middle[1]!)) / most));
}

interface PointsProps {
  space: Space;
  names: readonly string[];
  points: readonly Point[];
  weights: readonly number[];
  masked: readonly string[];
  move: (i: number, x: number, y: number) => void;
  mask: (name: string) => void;
}

function Points({ space, names, points, weights, masked, move, mask }: PointsProps): JSX.Element {
  const svg = useRef<SVGSVGElement>(null),
    held = useRef(-1);
  const legible = useLegible(svg, SIDE);
  const at = points.map((p) => {
    const [x, y] = placeOf(space, p);
    return [SIDE / 2 + x * HALF, SIDE / 2 + y * HALF] as const;
  });
  const best = weights.reduce((m, w) => Math.max(m, w), 1e-9);
  const drag = (e: PointerEvent): void => {
    if (held.current < 0) return;
    const box = svg.current!.getBoundingClientRect();
    move(
      held.current,
      (((e.clientX - box.left) / box.width) * SIDE - SIDE / 2) / HALF,
      (((e.clientY - box.top) / box.height) * SIDE - SIDE / 2) / HALF,
    );
  };
  const keys =
    (i: number) =>
    (e: KeyboardEvent): void => {
      const by = { ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowDown: [0, 1], ArrowUp: [0, -1] }[e.key],
        size = e.shiftKey ? 0.1 : 0.02;
      if (by !== undefined)
        move(i, placeOf(space, points[i]!)[0] + by[0]! * size, placeOf(space, points[i]!)[1] + by[1]! * size);
      else if (e.key.toLowerCase() === "m" && i > 0) mask(names[i]!);
      else return;
      e.preventDefault();
    };
  const lines = names
    .map((_, i) => i)
    .slice(1)
    .filter((i) => weights[i]! > 0);
  const labels = labelled(
    names.map((text, i) => ({
      i,
      text: text.length > 24 ? `${text.slice(0, 23)}…` : text,
      x: at[i]![0],
      y: at[i]![1] - 14,
    })),
    legible,
  );
  return (
    <svg
      ref={svg}
      data-picture=""
      viewBox={`0 0 ${SIDE} ${SIDE}`}
      class="chart"
      role="group"
      aria-label="Points that can be moved"
      onPointerMove={drag}
      onPointerUp={() => {
        held.current = -1;
      }}
      onPointerCancel={() => {
        held.current = -1;
      }}
    >
      {space === "plane" ? (
        <>
          <rect class="space" x={SIDE / 2 - HALF} y={SIDE / 2 - HALF} width={2 * HALF} height={2 * HALF} rx={8} />
          <line class="axis" x1={SIDE / 2 - HALF} x2={SIDE / 2 + HALF} y1={SIDE / 2} y2={SIDE / 2} />
          <line class="axis" y1={SIDE / 2 - HALF} y2={SIDE / 2 + HALF} x1={SIDE / 2} x2={SIDE / 2} />
        </>
      ) : (
        <>
          <circle class="space" cx={SIDE / 2} cy={SIDE / 2} r={HALF} />
          {space === "sphere" ? (
            <>
              <ellipse class="axis space" cx={SIDE / 2} cy={SIDE / 2} rx={HALF} ry={HALF / 3} />
              <ellipse class="axis space" cx={SIDE / 2} cy={SIDE / 2} rx={HALF / 3} ry={HALF} />
            </>
          ) : null}
        </>
      )}
      <g>
        {lines.map((i) => (
          <polyline
            class="edge mine"
            data-from={names[0]}
            data-to={names[i]}
            data-weight={weights[i]}
            stroke-width={(0.8 + (8 * weights[i]!) / best).toFixed(2)}
            opacity={(0.3 + (0.65 * weights[i]!) / best).toFixed(3)}
            points={geodesic(space, points[0]!, points[i]!)
              .map(([x, y]) => `${(SIDE / 2 + x * HALF).toFixed(1)},${(SIDE / 2 + y * HALF).toFixed(1)}`)
              .join(" ")}
          />
        ))}
      </g>
      <g>
        {names.map((n, i) => (
          <circle
            key={n}
            class={`handle${i === 0 ? " mine" : ""}${masked.includes(n) ? " masked" : ""}`}
            cx={at[i]![0].toFixed(1)}
            cy={at[i]![1].toFixed(1)}
            r={12}
            tabindex={0}
            role="button"
            data-name={n}
            aria-label={i === 0 ? `${n}, the query` : `${n}, ${masked.includes(n) ? "masked" : percent(weights[i]!)}`}
            onKeyDown={keys(i)}
            onPointerDown={(e) => {
              held.current = i;
              svg.current!.setPointerCapture(e.pointerId);
              e.currentTarget.focus();
              e.preventDefault();
            }}
          />
        ))}
      </g>
      <g aria-hidden="true">
        {labels.map(({ i, text, x, y }) => (
          <text
            class={i === 0 ? "name mine" : "name"}
            x={x.toFixed(1)}
            y={y.toFixed(1)}
            text-anchor="middle"
            font-size={12 * legible}
          >
            {text}
          </text>
        ))}
      </g>
    </svg>
  );
}
