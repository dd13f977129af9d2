// Two mechanisms in one picture: a slider blends them, and a list shows where they differ most.

import type { JSX } from "preact";
import { useMemo } from "preact/hooks";
import { agreement, largest, nodeOf, row, sharedAt, sources, type Graph, type Result } from "../graph.js";
import type { Session } from "../session.js";
import { digits, percent, sameByDefinition, title } from "../words.js";
import { Behind, Card, MechanismSelect, Rows, Slider, type Seen } from "./bits.js";
import { useGlide } from "./glide.js";
import { Picture } from "./picture.js";

const LISTED = 8,
  ALIKE = 1 - 1e-6;

export function CompareView({ session, graph }: Seen): JSX.Element {
  const { state, chosen, other } = session;
  const { share } = state;
  const node = nodeOf(graph, state.node),
    name = graph.nodes[node]!;
  const ready = chosen !== undefined && other?.key === state.other;
  const mixed = useMemo(
    () =>
      ready
        ? Float64Array.from(graph.indices, (_, e) => (1 - share) * chosen.weights[e]! + share * other.weights[e]!)
        : undefined,
    [ready, chosen, other, share],
  );
  const a = title(state.mechanism),
    b = title(state.other);
  return (
    <>
      <div class="center">
        <section id="graph" aria-label="Graph">
          <div class="row wrap two">
            <p class="more-word">{a}</p>
            <span aria-hidden="true">⇄</span>
            <MechanismSelect
              session={session}
              id="other"
              label="Beside it"
              value={state.other}
              pick={(key) => session.change({ other: key })}
            />
          </div>
          {mixed === undefined ? (
            <p class="help" role="status">
              {session.python === undefined ? "One of the two comes with Python, which is starting." : "Computing…"}
            </p>
          ) : (
            <>
              <Picture
                graph={graph}
                weights={mixed}
                beside={share < 0.5 ? other!.weights : chosen!.weights}
                node={node}
                to={state.to}
                masked={state.masked}
                label={`${name}'s attention, ${percent(1 - share)} ${a}, ${percent(share)} ${b}`}
                pick={(n) => session.change({ node: n })}
                explain={(to) => {
                  if (to !== state.to) session.change({ to });
                }}
              />
              <Morph share={share} set={(to) => session.change({ share: to })} a={a} b={b} />
              <p class="help">{`Thick lines: ${name}'s attention. Orange lines get more here than under the other mechanism, blue ones less, grey ones the same. The slider goes from ${a} to ${b}.`}</p>
            </>
          )}
        </section>
      </div>
      {ready ? (
        <div class="column">
          <Differences session={session} graph={graph} a={chosen} b={other} node={node} />
        </div>
      ) : null}
    </>
  );
}

/** A slider, and a button that animates it. */
function Morph({
  share,
  set,
  a,
  b,
}: {
  share: number;
  set: (share: number) => void;
  a: string;
  b: string;
}): JSX.Element {
  const { glide, stop } = useGlide();
  const run = (): void => glide(share, share < 0.5 ? 1 : 0, 900, (x) => set(Number(x.toFixed(4))));
  return (
    <div class="morph">
      <Slider
        id="morph"
        label={`From ${a} to ${b}`}
        value={share}
        low={0}
        high={1}
        set={(x) => {
          stop();
          set(x);
        }}
      />
      <button type="button" class="quiet" onClick={run}>
        {share < 0.5 ? `Go to ${b}` : `Back to ${a}`}
      </button>
    </div>
  );
}

function Differences({
  session,
  graph,
  a,
  b,
  node,
}: {
  session: Session;
  graph: Graph;
  a: Result;
  b: Result;
  node: number;
}): JSX.Element {
  const alike = agreement(graph, a.weights, b.weights),
    why = sameByDefinition(a.key, b.key),
    name = graph.nodes[node]!;
  const { nodes, edges } = useMemo(() => {
    const shared = sharedAt(graph, a.weights, b.weights).map((s) => (s === undefined ? 0 : 1 - s));
    const from = sources(graph),
      gap = graph.indices.map((_, e) => Math.abs(a.weights[e]! - b.weights[e]!));
    return {
      nodes: largest(shared, LISTED)
        .filter((i) => shared[i]! > 1e-6)
        .map((i) => ({ name: graph.nodes[i]!, weight: shared[i]! })),
      edges: largest(gap, LISTED)
        .filter((e) => gap[e]! > 1e-6)
        .map((e) => ({
          from: graph.nodes[from[e]!]!,
          to: graph.nodes[graph.indices[e]!]!,
          a: a.weights[e]!,
          b: b.weights[e]!,
        })),
    };
  }, [graph, a, b]);
  const mine = row(graph, a.weights, node)
    .map((e) => ({ name: graph.nodes[e.to]!, a: e.weight, b: b.weights[e.at]! }))
    .sort((x, y) => Math.abs(y.a - y.b) - Math.abs(x.a - x.b))
    .slice(0, LISTED);
  return (
    <>
      <Card
        id="differences"
        heading={`${title(a.key)} and ${title(b.key)}`}
        help={`They share ${percent(alike)} of the attention (Σ min(p, q), mean over nodes).`}
      >
        {why !== undefined && a.key !== b.key && alike > 0.999 ? (
          <p class="reason">{why}</p>
        ) : alike >= ALIKE ? (
          <p class="reason">On this graph they give the same weights.</p>
        ) : (
          <>
            <h3>Where they disagree most</h3>
            <Rows
              caption="Nodes where they disagree most"
              head={["Node", "Not shared"]}
              rows={nodes}
              current={name}
              pick={(n) => session.change({ node: n })}
            />
          </>
        )}
      </Card>
      {alike >= ALIKE ? null : (
        <Card id="edges-apart" heading={`${name}, neighbour by neighbour`}>
          <table aria-label="Weights under both">
            <thead>
              <tr>
                <th scope="col">Neighbour</th>
                <th scope="col" class="n">
                  {title(a.key)}
                </th>
                <th scope="col" class="n">
                  {title(b.key)}
                </th>
              </tr>
            </thead>
            <tbody>
              {mine.map((e) => (
                <tr>
                  <th scope="row">{e.name}</th>
                  <td class={`n ${e.a > e.b ? "more-word" : ""}`}>{percent(e.a)}</td>
                  <td class={`n ${e.b > e.a ? "more-word" : ""}`}>{percent(e.b)}</td>
                </tr>
              ))}
            </tbody>
          </table>
          <Behind
            what="The largest differences"
            head={["From", "To", title(a.key), title(b.key)]}
            rows={() => edges.map((e) => [e.from, e.to, digits(e.a), digits(e.b)])}
          />
        </Card>
      )}
    </>
  );
}
