// Explanation of a weight: every step from vectors to weight, with the formula and this row's numbers.

import type { JSX } from "preact";
import { useMemo, useState } from "preact/hooks";
import { explain, type Explained } from "../formulas.js";
import { largest, nodeOf, row, topOf, type Graph } from "../graph.js";
import { digits, percent, title } from "../words.js";
import { Card, Scroll, type OfNode, type Seen } from "./bits.js";
import { Vectors } from "./vectors.js";

const MOST_ROWS = 8;

export function Why({ session, graph }: Seen): JSX.Element | null {
  const { state, chosen } = session;
  const [head, setHead] = useState(0);
  const node = nodeOf(graph, state.node);
  const options = chosen?.options ?? {};
  const found = useMemo(
    () => (chosen === undefined ? undefined : explain(graph, chosen.key, options, node, state.masked)),
    [graph, graph.latents, graph.parameters, chosen, node, state.masked],
  );
  if (chosen === undefined) return null;
  const best = topOf(graph, chosen.weights, node, 1)[0];
  const wanted = graph.nodes.indexOf(state.to);
  const to = row(graph, chosen.weights, node).find((e) => e.to === wanted)?.to ?? best?.to;
  if (to === undefined) return null;
  const names = `${graph.nodes[node]} → ${graph.nodes[to]}`;
  if (found === undefined)
    return (
      <Card id="why" heading={`Why: ${names}`}>
        <Without graph={graph} node={node} to={to} session={session} />
      </Card>
    );
  const at = found.to.indexOf(to);
  if (at < 0) return null;
  const shown = found.heads[Math.min(head, found.heads.length - 1)]!;
  return (
    <Card id="why" heading={`Why: ${names}`}>
      <p class="reason">{reason(graph, found, shown, node, at)}</p>
      <Against session={session} graph={graph} chosen={chosen} node={node} to={to} />
      {found.heads.length > 1 ? (
        <div class="tabs" role="group" aria-label="Head">
          {found.heads.map((h, i) => (
            <button type="button" aria-pressed={h === shown} onClick={() => setHead(i)}>
              {h.name}
            </button>
          ))}
        </div>
      ) : null}
      <Vectors
        query={shown.query}
        name={graph.nodes[to]!}
        of={graph.nodes[node]!}
        keyVector={shown.keys[at]!}
        pairs={shown.pairs}
      />
      <ol class="steps-of">
        {shown.steps.map((step) => (
          <li data-step={step.name}>
            <span class="step-name">{step.name}</span> <span class="formula">{step.formula}</span>
            <output>{step.name === "weight" ? percent(step.values[at]!) : digits(step.values[at]!, 4)}</output>
          </li>
        ))}
        {found.heads.length > 1 ? (
          <li data-step="mean">
            <span class="step-name">mean</span> <span class="formula">over {found.heads.length} heads</span>
            <output>{percent(found.weights[at]!)}</output>
          </li>
        ) : null}
      </ol>
      <Row graph={graph} found={found} shown={shown} at={at} pick={(name) => session.change({ to: name })} />
    </Card>
  );
}

/** The same weight under the mechanism usually compared with this one, and the cause of the difference. */
function Against({ session, graph, chosen, node, to }: OfNode & { to: number }): JSX.Element | null {
  const key = chosen.key === "scaled_dot_product" ? "hyperbolic" : "scaled_dot_product",
    other = session.results.get(key),
    { masked } = session.state;
  const there = useMemo(() => explain(graph, key, {}, node, masked), [graph, graph.latents, key, node, masked]);
  if (other === undefined || there === undefined) return null;
  const at = there.to.indexOf(to),
    before = there.weights[at]!,
    now = topOf(graph, chosen.weights, node, Infinity).find((e) => e.to === to)?.weight ?? 0;
  const [by] = there.heads[0]!.steps,
    place = rank(by!.values, at, key === "hyperbolic");
  const word = Math.abs(now - before) < 0.002 ? "the same" : before < now ? "less" : "more";
  const why =
    key === "hyperbolic"
      ? `there only nearness counts, and ${graph.nodes[to]} is number ${place} of ${there.to.length} by distance`
      : `there direction and length of the vectors count, and ${graph.nodes[to]} is number ${place} of ${there.to.length} by q·k`;
  return (
    <p class="against">
      {`Under ${title(key)} it is ${percent(before)}, ${word}: ${why}. `}
      <button
        type="button"
        class="link"
        onClick={() => session.change({ view: "compare", other: key })}
      >{`See ${title(chosen.key)} and ${title(key)} side by side`}</button>
    </p>
  );
}

/** Return the rank of a value: 1 for the largest, or with `least` for the smallest. */
const rank = (values: readonly number[], at: number, least: boolean): number =>
  values.filter((v) => (least ? v < values[at]! : v > values[at]!)).length + 1;

/** Summarise the weight in one sentence, relative to the row's average. */
function reason(graph: Graph, found: Explained, head: Explained["heads"][number], node: number, at: number): string {
  const to = graph.nodes[found.to[at]!]!,
    from = graph.nodes[node]!;
  const count = found.to.length,
    times = found.weights[at]! * count;
  const much = `${from} gives ${to} ${percent(found.weights[at]!)} of its attention, ${digits(times, 2)} times an even share.`;
  if (head.pairs === "difference") {
    const d = head.steps[0]!.values,
      place = rank(d, at, true);
    return `${much} In hyperbolic space ${to} is ${place === 1 ? "the nearest" : `number ${place} by nearness`} of ${count} neighbours (distance ${digits(d[at]!)}; the mean is ${digits(d.reduce((a, b) => a + b, 0) / count)}): what is near gets more.`;
  }
  if (head.pairs === "product") {
    const key = head.keys[at]!,
      length = (x: readonly number[]): number => Math.hypot(...x);
    const cosine = head.steps[0]!.values[at]! / Math.max(length(head.query) * length(key), 1e-12);
    const mean = head.keys.reduce((sum, k) => sum + length(k), 0) / count;
    return `${much} Their vectors ${cosine > 0.5 ? "point the same way" : cosine < -0.2 ? "point apart" : "stand nearly at right angles"} (cosine ${digits(cosine, 2)}), and ${to}'s is ${digits(length(key) / Math.max(mean, 1e-12), 2)} times as long as the neighbours' mean: long vectors that point the same way get more.`;
  }
  return `${much} The score adds what the query brings, which is the same for every neighbour, to what the key brings: number ${rank(head.steps[1]!.values, at, false)} of ${count} in ${head.name}.`;
}

/** The whole row, step by step. */
function Row({
  graph,
  found,
  shown,
  at,
  pick,
}: {
  graph: Graph;
  found: Explained;
  shown: Explained["heads"][number];
  at: number;
  pick: (name: string) => void;
}): JSX.Element {
  const order = largest(found.weights, found.weights.length);
  const rows = [...new Set([...order.slice(0, MOST_ROWS), at])];
  const rest = order.length - rows.length;
  return (
    <Scroll label="The row, step by step">
      <table class="row-steps">
        <thead>
          <tr>
            <th scope="col">Neighbour</th>
            {shown.steps.map((s) => (
              <th scope="col" class="n">
                {s.name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((i) => (
            <tr aria-current={i === at ? "true" : undefined}>
              <th scope="row">
                <button type="button" class="link" onClick={() => pick(graph.nodes[found.to[i]!]!)}>
                  {graph.nodes[found.to[i]!]}
                </button>
              </th>
              {shown.steps.map((s) => (
                <td class="n">{s.name === "weight" ? percent(s.values[i]!) : digits(s.values[i]!)}</td>
              ))}
            </tr>
          ))}
        </tbody>
        <tfoot>
          <tr>
            <th scope="row">{rest > 0 ? `sum, with ${rest} more` : "sum"}</th>
            {shown.steps.map((s) => (
              <td class="n">
                {s.name === "weight"
                  ? percent(s.values.reduce((a, b) => a + b, 0))
                  : s.name === "exp"
                    ? digits(s.values.reduce((a, b) => a + b, 0))
                    : ""}
              </td>
            ))}
          </tr>
        </tfoot>
      </table>
    </Scroll>
  );
}

/** Summary of the weights, for mechanisms without steps. */
function Without({
  session,
  graph,
  node,
  to,
}: {
  session: Seen["session"];
  graph: Graph;
  node: number;
  to: number;
}): JSX.Element {
  const { chosen } = session,
    edges = topOf(graph, chosen!.weights, node, Infinity);
  const weight = edges.find((e) => e.to === to)?.weight ?? 0,
    best = edges[0]!;
  const behind = weight > 0 ? Math.log(best.weight / weight) : Infinity;
  return (
    <>
      <p class="reason">{`${graph.nodes[node]} gives ${graph.nodes[to]} ${percent(weight)} of its attention, ${digits(weight * edges.length, 2)} times an even share.`}</p>
      <p class="help">
        {`Of ${title(chosen!.key)} only the result is shown, not its steps. `}
        {best.to === to
          ? "No neighbour gets more."
          : Number.isFinite(behind)
            ? `${graph.nodes[best.to]} gets most; ${graph.nodes[to]}'s score is ${digits(behind)} lower (the logarithm of the ratio of their weights).`
            : "It gets nothing."}
      </p>
      <p class="help">
        Scaled dot product, multi head, edge featured (GAT) and hyperbolic attention are taken apart step by step.
      </p>
    </>
  );
}
