// Greedy search through the layers of an HNSW index, step by step, counting distance evaluations.

import type { JSX } from "preact";
import { useEffect, useMemo, useState } from "preact/hooks";
import { largestOf } from "../formulas.js";
import type { Layer } from "../graph.js";
import { onGraph } from "../state.js";
import { digits } from "../words.js";
import { Behind, Card, Slider, type Seen } from "./bits.js";
import { cross, LayerLines, placed, pointAt, SIDE } from "./layers.js";
import { Navigator } from "./navigator.js";

export interface Step {
  layer: number;
  node: number;
  distance: number;
  evaluated: number;
  moved: boolean;
}

/** Walk from the top layer down, in each layer to the nearest neighbour until none is nearer to the query. */
export function greedy(layers: readonly Layer[], entry: number, distance: (node: number) => number): Step[] {
  const steps: Step[] = [];
  let node = entry,
    best = distance(entry),
    evaluated = 1;
  steps.push({ layer: layers.length - 1, node, distance: best, evaluated, moved: false });
  for (let layer = layers.length - 1; layer >= 0; layer--) {
    const { indptr, indices } = layers[layer]!;
    for (let improved = true; improved;) {
      improved = false;
      let next = node;
      for (let e = indptr[node]!; e < indptr[node + 1]!; e++) {
        const d = distance(indices[e]!);
        evaluated++;
        if (d < best) [best, next, improved] = [d, indices[e]!, true];
      }
      node = next;
      steps.push({ layer, node, distance: best, evaluated, moved: improved });
    }
  }
  return steps;
}

export function SearchView({ session, graph }: Seen): JSX.Element {
  const { search } = graph,
    { across, down } = session.state;
  const query = useMemo(() => [across, down] as const, [across, down]);
  const [step, setStep] = useState(0);
  const steps = useMemo(
    () =>
      search === undefined
        ? []
        : greedy(search.layers, search.entry, (i) =>
            Math.hypot(search.points[2 * i]! - query[0], search.points[2 * i + 1]! - query[1]),
          ),
    [search, query],
  );
  useEffect(() => setStep(0), [steps]);
  if (search === undefined) {
    return (
      <div class="wide">
        <Card id="search" heading="Search in an index with layers">
          <p>This graph has no layers to search through.</p>
          <button type="button" class="button" onClick={() => session.change(onGraph("hnsw"))}>
            Take the HNSW index of the gallery
          </button>
        </Card>
      </div>
    );
  }
  const now = steps[Math.min(step, steps.length - 1)]!,
    count = search.points.length / 2,
    last = steps.at(-1)!;
  const exact = Array.from({ length: count }, (_, i) =>
    Math.hypot(search.points[2 * i]! - query[0], search.points[2 * i + 1]! - query[1]),
  );
  const nearest = exact.indexOf(-largestOf(exact.map((d) => -d)));
  const at = placed(search.points);
  const shown = search.layers.map((layer, i) => ({ layer, i })).reverse();
  return (
    <div class="wide">
      <Card
        id="search"
        heading="Search in an index with layers"
        help="An HNSW index is a pile of graphs: few points and long edges above, all points below. A search starts at the top and walks to the neighbour nearest to the query until none is nearer, then goes down a layer."
      >
        <div class="grid">
          <div>
            <Slider
              id="query-x"
              label="Query, across"
              value={query[0]}
              low={0}
              high={1}
              set={(x) => session.change({ across: x })}
            />
          </div>
          <div>
            <Slider
              id="query-y"
              label="Query, down"
              value={query[1]}
              low={0}
              high={1}
              set={(y) => session.change({ down: y })}
            />
          </div>
        </div>
        <div class="row wrap">
          <button type="button" class="quiet" disabled={step === 0} onClick={() => setStep(step - 1)}>
            Back
          </button>
          <button type="button" class="quiet go" disabled={step >= steps.length - 1} onClick={() => setStep(step + 1)}>
            Step
          </button>
          <button type="button" class="quiet" onClick={() => setStep(steps.length - 1)}>
            To the end
          </button>
          <p
            id="search-state"
            role="status"
            data-node={now.node}
            data-evaluated={now.evaluated}
          >{`Step ${Math.min(step, steps.length - 1)} of ${steps.length - 1}, layer ${now.layer}: at ${graph.nodes[now.node]}, distance ${digits(now.distance)}; ${now.evaluated} ${now.evaluated === 1 ? "distance" : "distances"} evaluated.`}</p>
        </div>
        <div class="grid">
          {shown.map(({ layer, i }) => (
            <figure class="layer" aria-label={`Layer ${i}`}>
              <svg
                {...(i === 0 ? { "data-picture": "" } : {})}
                viewBox={`0 0 ${SIDE} ${SIDE}`}
                class="chart"
                role="img"
                aria-label={`Layer ${i}`}
                onClick={(e) => {
                  const box = e.currentTarget.getBoundingClientRect();
                  session.change({
                    across: pointAt((e.clientX - box.left) / box.width),
                    down: pointAt((e.clientY - box.top) / box.height),
                  });
                }}
              >
                <LayerLines layer={layer} at={at} />
                {Array.from({ length: count }, (_, n) => n)
                  .filter(
                    (n) => layer.indptr[n + 1]! > layer.indptr[n]! || (i === shown.length - 1 && n === search.entry),
                  )
                  .map((n) => (
                    <circle
                      class={`dot${n === now.node && now.layer === i ? " mine" : ""}${n === nearest && i === 0 ? " near" : ""}`}
                      cx={at(n)[0].toFixed(1)}
                      cy={at(n)[1].toFixed(1)}
                      r={n === now.node && now.layer === i ? 7 : 3}
                    />
                  ))}
                <polyline
                  class="edge mine"
                  stroke-width={2.5}
                  points={steps
                    .slice(0, step + 1)
                    .filter((s) => s.layer === i)
                    .map((s) =>
                      at(s.node)
                        .map((v) => v.toFixed(1))
                        .join(","),
                    )
                    .join(" ")}
                />
                <path class="cross" d={cross(query)} />
              </svg>
              <figcaption class="help">
                Layer {i}: {layer.indices.length} edges{now.layer === i ? ", the search is here" : ""}
              </figcaption>
            </figure>
          ))}
        </div>
        <p class="reason" id="search-result" data-evaluated={last.evaluated} data-found={last.node}>
          {`The walk ends at ${graph.nodes[last.node]} after ${last.evaluated} distances; looking at all points takes ${count}. `}
          {last.node === nearest
            ? "It is the nearest point."
            : `The nearest is ${graph.nodes[nearest]}, ${digits(exact[nearest]!)} away: a greedy walk can end beside it, which is why real searches keep several candidates.`}
        </p>
        <Behind
          what="The walk"
          head={["Step", "Layer", "Point", "Distance", "Evaluated"]}
          rows={() => steps.map((s, i) => [i, s.layer, graph.nodes[s.node]!, digits(s.distance), s.evaluated])}
        />
      </Card>
      <Navigator
        session={session}
        graph={graph}
        query={query}
        step={Math.min(step, steps.length - 1)}
        steps={steps.length - 1}
        budget={last.evaluated}
        nearest={nearest}
      />
    </div>
  );
}
