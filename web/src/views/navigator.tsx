// Two searches on the lowest layer, compared with the walk through all layers at equal distance evaluations.

import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import type { Walk } from "../compute/python.js";
import { digits, message } from "../words.js";
import { Behind, Card, type Seen } from "./bits.js";
import { cross, LayerLines, placed, SIDE } from "./layers.js";

interface Found {
  of: string;
  greedy: Walk;
  guided: Walk;
}
const TITLES = { greedy: "Greedy: by distances", guided: "Navigator: by estimates" } as const;
const ABOUT = {
  greedy: "takes the nearest known point and measures all its neighbours, each a whole distance",
  guided: "estimates the neighbours on one axis, half a distance each, and measures only the most promising",
} as const;

export function Navigator({
  session,
  graph,
  query,
  step,
  steps,
  budget,
  nearest,
}: Seen & {
  query: readonly [number, number];
  step: number;
  steps: number;
  budget: number;
  nearest: number;
}): JSX.Element {
  const { search } = graph,
    { python } = session;
  const [found, setFound] = useState<Found>();
  const [said, say] = useState("");
  const of = JSON.stringify([query, budget]);
  useEffect(() => {
    if (python === undefined || search === undefined) return;
    let wanted = true;
    python.navigate(graph, search.points, query, search.entry, budget).then(
      (walks) => {
        if (wanted) setFound({ of, ...walks });
      },
      (error: unknown) => {
        if (wanted) say(message(error));
      },
    );
    return () => {
      wanted = false;
    };
  }, [python, graph, of]);
  const at = placed(search!.points);
  return (
    <Card
      id="navigator"
      heading="The navigator beside it"
      help="Both searches walk on the lowest layer alone, from the same entry, and may evaluate as many distances as the walk above. Step moves all three. The navigator is attention as a policy: its weights say which neighbour to look at next."
    >
      {found === undefined ? (
        <p role="status">
          {said !== "" ? said : python === undefined ? "The navigator comes with Python." : "Searching…"}
        </p>
      ) : (
        <>
          <div class="grid" aria-busy={found.of !== of}>
            {(["greedy", "guided"] as const).map((kind) => {
              const { visited, at: work } = found[kind];
              const until = Math.round((visited.length * step) / Math.max(1, steps)),
                seen = visited.slice(0, until),
                hit = visited.indexOf(nearest);
              return (
                <figure class="layer" aria-label={TITLES[kind]}>
                  <svg class="chart" viewBox={`0 0 ${SIDE} ${SIDE}`} role="img" aria-label={TITLES[kind]}>
                    <LayerLines layer={search!.layers[0]!} at={at} />
                    {graph.nodes.map((_, n) => (
                      <circle class="dot" opacity={0.35} cx={at(n)[0].toFixed(1)} cy={at(n)[1].toFixed(1)} r={2.5} />
                    ))}
                    {seen.map((n, i) => (
                      <circle
                        class={`dot${i === seen.length - 1 ? " mine" : ""}${n === nearest ? " near" : ""}`}
                        cx={at(n)[0].toFixed(1)}
                        cy={at(n)[1].toFixed(1)}
                        r={i === seen.length - 1 ? 7 : 4}
                      />
                    ))}
                    <path class="cross" d={cross(query)} />
                  </svg>
                  <figcaption
                    class="help"
                    data-search={kind}
                    data-visited={visited.length}
                    data-needed={hit < 0 ? "" : work[hit]}
                    data-work={work.at(-1)}
                  >
                    <strong>{TITLES[kind]}</strong>
                    <br />
                    {`It ${ABOUT[kind]}. ${seen.length === 0 ? "" : `So far ${seen.length} points measured for ${digits(work[until - 1]!)} evaluations. `}`}
                    {hit < 0
                      ? `It does not measure the nearest point within ${budget} evaluations.`
                      : `It measures the nearest point after ${digits(work[hit]!)} evaluations.`}
                  </figcaption>
                </figure>
              );
            })}
          </div>
          <p class="reason" id="navigator-result">
            {verdict(found, nearest)}
          </p>
          <Behind
            what="Both searches"
            head={["Visit", TITLES.greedy, "Evaluated", TITLES.guided, "Evaluated"]}
            rows={() =>
              Array.from({ length: Math.max(found.greedy.visited.length, found.guided.visited.length) }, (_, i) => [
                i + 1,
                ...(["greedy", "guided"] as const).flatMap((kind) => {
                  const n = found[kind].visited[i];
                  return n === undefined ? ["", ""] : [graph.nodes[n]!, digits(found[kind].at[i]!)];
                }),
              ])
            }
          />
        </>
      )}
    </Card>
  );
}

function verdict({ greedy, guided }: Found, nearest: number): string {
  const [a, b] = [greedy, guided].map(({ visited, at }) => at[visited.indexOf(nearest)]) as [
    number | undefined,
    number | undefined,
  ];
  if (a === undefined && b === undefined) return "Neither finds the nearest point with so few evaluations.";
  if (a === undefined) return "Only the navigator finds the nearest point with so few evaluations.";
  if (b === undefined) return "Only the greedy search finds the nearest point with so few evaluations.";
  return `The navigator gets there with ${digits((100 * b) / a)} % of the evaluations of the greedy search. In the plane one axis is half of all there is to know; among vectors of a hundred numbers a few axes tell nearly as much and cost a fraction.`;
}
