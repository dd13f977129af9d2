// The chosen row for each head; for mixtures, the expert of each node.

import type { JSX } from "preact";
import { useMemo } from "preact/hooks";
import { explain, largestOf } from "../formulas.js";
import { largest, nodeOf } from "../graph.js";
import { digits, percent, title, WITH_EXPERTS, WITH_HEADS, WITH_PARTS } from "../words.js";
import { Bar, Behind, Card, type Seen } from "./bits.js";
import { ExpertsCard, type Routed } from "./experts.js";

const LISTED = 8;

export function HeadsView({ session, graph }: Seen): JSX.Element {
  const { state } = session,
    node = nodeOf(graph, state.node),
    name = graph.nodes[node]!;
  const routed = WITH_EXPERTS.includes(state.mechanism);
  const key = routed || WITH_HEADS.includes(state.mechanism) ? state.mechanism : "multi_head";
  const options = key === state.mechanism ? state.options : {};
  const found = useMemo(
    () => (routed ? undefined : explain(graph, key, options, node, state.masked)),
    [graph, graph.latents, graph.parameters[key], key, options, node, state.masked],
  );
  const buttons = (
    <div class="tabs" role="group" aria-label="Mechanism with heads or experts">
      {WITH_PARTS.map((k) => (
        <button type="button" aria-pressed={k === key} onClick={() => session.change({ mechanism: k })}>
          {title(k)}
        </button>
      ))}
    </div>
  );
  if (routed) return <ExpertsCard session={session} graph={graph} routed={key as Routed} buttons={buttons} />;
  if (found === undefined || found.to.length === 0) {
    return (
      <div class="wide">
        <Card id="heads" heading="Heads">
          {buttons}
          <p>
            {found === undefined
              ? "The projections for this graph and these options come with Python, or are not taken apart here: reset the options."
              : `${name} has no neighbours.`}
          </p>
        </Card>
      </div>
    );
  }
  const shared = found.heads.map((p) =>
    found.heads.map((q) => p.weights.reduce((sum, w, i) => sum + Math.min(w, q.weights[i]!), 0)),
  );
  const count = found.heads.length;
  const apart =
    count < 2
      ? 1
      : shared.reduce((sum, line, i) => sum + line.reduce((s, x, j) => (i === j ? s : s + x), 0), 0) /
        (count * (count - 1));
  return (
    <div class="wide">
      <Card
        id="heads"
        heading={`What each head of ${title(key)} sees: ${name}`}
        help="Each head projects the vectors in its own way, so it finds others important. The result joins or averages them. Untrained heads differ by chance; training gives them tasks."
      >
        {buttons}
        <p class="reason">{`On average two heads share ${percent(apart)} of ${name}'s attention: ${apart > 0.8 ? "they are nearly redundant" : apart > 0.5 ? "they overlap" : "they look at different neighbours"}.`}</p>
        <div class="grid">
          {found.heads.map((head) => (
            <section class="head" aria-label={head.name}>
              <h3>{head.name}</h3>
              <table data-head={head.name}>
                <tbody>
                  {largest(head.weights, LISTED).map((i) => (
                    <tr data-to={graph.nodes[found.to[i]!]} data-weight={head.weights[i]}>
                      <th scope="row">{graph.nodes[found.to[i]!]}</th>
                      <td class="n">{percent(head.weights[i]!)}</td>
                      <td class="bar">
                        <Bar share={head.weights[i]! / largestOf(head.weights)} />
                      </td>
                    </tr>
                  ))}
                </tbody>
              </table>
            </section>
          ))}
          <section class="head" aria-label="Mean">
            <h3>mean of all</h3>
            <table>
              <tbody>
                {largest(found.weights, LISTED).map((i) => (
                  <tr>
                    <th scope="row">{graph.nodes[found.to[i]!]}</th>
                    <td class="n">{percent(found.weights[i]!)}</td>
                    <td class="bar">
                      <Bar share={found.weights[i]! / largestOf(found.weights)} />
                    </td>
                  </tr>
                ))}
              </tbody>
            </table>
          </section>
        </div>
        <Behind
          what="All heads"
          head={["Neighbour", ...found.heads.map((h) => h.name), "Mean"]}
          rows={() =>
            found.to.map((to, i) => [
              graph.nodes[to]!,
              ...found.heads.map((h) => digits(h.weights[i]!)),
              digits(found.weights[i]!),
            ])
          }
        />
      </Card>
    </div>
  );
}
