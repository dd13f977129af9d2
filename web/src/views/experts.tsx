// Routing: the share of every expert in each node's output.

import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import { largest, nodeOf, type Graph } from "../graph.js";
import { message, percent, title } from "../words.js";
import { Bar, Behind, Card, type Seen } from "./bits.js";

const SIDE = 420,
  MARGIN = 14,
  NAMED = 5;
export type Routed = "moe" | "learned_routing";
/** Options that do not change the experts named here. */
const KNOWN = ["top_k", "mode", "router_temperature", "seed"];
interface Routing {
  of: string;
  graph: Graph;
  experts: string[];
  shares: number[];
}

export function Experts({ session, graph, routed }: Seen & { routed: Routed }): JSX.Element {
  const { state, python } = session,
    node = nodeOf(graph, state.node),
    name = graph.nodes[node]!;
  const options = Object.fromEntries(
    Object.entries(state.mechanism === routed ? state.options : {}).filter(([option]) => KNOWN.includes(option)),
  );
  const of = JSON.stringify([routed, options]);
  const [found, setFound] = useState<Routing>();
  const [said, say] = useState("");
  useEffect(() => {
    if (python === undefined || graph.latents.length === 0) return;
    let wanted = true;
    python.routing(graph, routed, options).then(
      (r) => {
        if (!wanted) return;
        say("");
        setFound({ of, graph, ...r });
      },
      (error: unknown) => {
        if (wanted) say(message(error));
      },
    );
    return () => {
      wanted = false;
    };
  }, [python, graph, graph.latents, of]);
  const ready = found !== undefined && found.graph === graph && found.of === of;
  if (!ready)
    return (
      <p role="status">
        {said !== "" ? said : python === undefined ? "Routing comes with Python." : "Asking the router…"}
      </p>
    );
  const { experts, shares } = found,
    count = experts.length,
    nodes = graph.nodes.length;
  const share = (i: number, x: number): number => shares[i * count + x]!;
  const first = graph.nodes.map(
    (_, i) =>
      largest(
        experts.map((_e, x) => share(i, x)),
        1,
      )[0]!,
  );
  const load = experts.map((_, x) => shares.reduce((sum, s, e) => (e % count === x ? sum + s : sum), 0) / nodes);
  return (
    <>
      <p class="reason" id="routing">
        {`${name} is answered ${experts
          .map((e, x) => [share(node, x), e] as const)
          .filter(([s]) => s > 0)
          .sort((a, b) => b[0] - a[0])
          .map(([s, e]) => `${percent(s)} by ${title(e)}`)
          .join(
            ", ",
          )}. The router is as at the start, before training: a plane through the space of vectors parts the nodes.`}
      </p>
      <div class="grid">
        <svg
          data-picture=""
          class="chart"
          viewBox={`0 0 ${SIDE} ${SIDE}`}
          role="img"
          aria-label="Nodes by their first expert"
        >
          {graph.nodes.map((n, i) => (
            <circle
              class={`dot${i === node ? " chosen" : ""} group-${first[i]! % 8}`}
              cx={(MARGIN + (graph.positions[2 * i] ?? 0.5) * (SIDE - 2 * MARGIN)).toFixed(1)}
              cy={(MARGIN + (graph.positions[2 * i + 1] ?? 0.5) * (SIDE - 2 * MARGIN)).toFixed(1)}
              r={i === node ? 9 : 5}
              onClick={() => session.change({ node: n })}
            >
              <title>{`${n}: ${title(experts[first[i]!]!)}`}</title>
            </circle>
          ))}
        </svg>
        <table aria-label="Experts">
          <thead>
            <tr>
              <th scope="col">Expert</th>
              <th scope="col" class="n">
                Load
              </th>
              <th>
                <span class="unseen">Bar</span>
              </th>
              <th scope="col">Most to it</th>
            </tr>
          </thead>
          <tbody>
            {experts.map((e, x) => (
              <tr data-expert={e} data-load={load[x]} data-share={share(node, x)}>
                <th scope="row">
                  <svg class="swatch" viewBox="0 0 12 12" aria-hidden="true">
                    <circle class={`group-${x % 8}`} cx={6} cy={6} r={5} />
                  </svg>{" "}
                  {title(e)}
                </th>
                <td class="n">{percent(load[x]!)}</td>
                <td class="bar">
                  <Bar share={load[x]!} />
                </td>
                <td class="wide-cell">
                  {largest(
                    graph.nodes.map((_, i) => share(i, x)),
                    NAMED,
                  )
                    .filter((i) => share(i, x) > 0)
                    .map((i) => graph.nodes[i])
                    .join(", ")}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      <Behind
        what="Who is routed where"
        head={["Node", ...experts.map(title)]}
        rows={() => graph.nodes.map((n, i) => [n, ...experts.map((_, x) => percent(share(i, x)))])}
      />
    </>
  );
}

export function ExpertsCard({ buttons, ...seen }: Seen & { routed: Routed; buttons: JSX.Element }): JSX.Element {
  return (
    <div class="wide">
      <Card
        id="experts"
        heading={`Who is routed where: ${title(seen.routed)}`}
        help="A router looks at each node's vector and decides which mechanisms answer it. Mixture of experts takes the few best for each node, learned routing weighs all. Colours show each node's first expert; the load is an expert's share of all answers."
      >
        {buttons}
        <Experts {...seen} />
      </Card>
    </div>
  );
}
