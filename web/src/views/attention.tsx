// The attention view: the graph, the chosen node's row, the heat map, all mechanisms.

import type { JSX } from "preact";
import { useMemo } from "preact/hooks";
import {
  agreement,
  degrees,
  entropy as entropyOf,
  largest,
  nodeOf,
  row,
  size,
  spreadOf,
  topOf,
  weightMatrix,
  type Graph,
  type Result,
} from "../graph.js";
import type { Session } from "../session.js";
import { digits, percent, reworded, title } from "../words.js";
import { Bar, Behind, Below, Card, Input, Rows, Scroll, type OfNode, type Seen } from "./bits.js";
import { Folding } from "./folding.js";
import { Matrix } from "./matrix.js";
import { isLarge, Picture } from "./picture.js";
import { Why } from "./why.js";

const HEAT_NODES = 24;

export function AttentionView({ session, graph }: Seen): JSX.Element {
  const { state, chosen } = session;
  const node = nodeOf(graph, state.node),
    name = graph.nodes[node]!;
  return (
    <>
      <div class="center">
        <section id="graph" aria-label="Graph">
          {chosen === undefined ? (
            <Bare session={session} graph={graph} node={node} />
          ) : (
            <>
              <Folding session={session} graph={graph} chosen={chosen} node={node} />
              <p class="help">
                {`Lines from ${name}: the heavier, the more attention. Size of a node: attention received from all. Arrow keys choose another node. `}
                {isLarge(graph)
                  ? `The graph has ${size(graph)} nodes: those that ${name} attends to most can be chosen here, all others by name.${graph.ownLatents === true ? " Its vectors are random projections of neighbourhoods or came with a file." : ""}`
                  : ""}
              </p>
              <p class="unseen" aria-live="polite">
                {spoken(graph, chosen, node)}
              </p>
              <Behind
                what="Attention of this node"
                head={["Neighbour", "Weight"]}
                rows={() =>
                  topOf(graph, chosen.weights, node, Infinity).map((e) => [graph.nodes[e.to]!, digits(e.weight, 5)])
                }
              />
            </>
          )}
        </section>
        {chosen === undefined ? null : <Compare session={session} graph={graph} chosen={chosen} />}
      </div>
      {chosen === undefined ? null : (
        <>
          <div class="column">
            <Neighbours session={session} graph={graph} chosen={chosen} node={node} />
            <Why session={session} graph={graph} />
          </div>
          <Below>
            <div class="pair">
              <Heat session={session} graph={graph} chosen={chosen} node={node} />
              <Agreement session={session} graph={graph} chosen={chosen} />
            </div>
          </Below>
        </>
      )}
    </>
  );
}

function spoken(graph: Graph, chosen: Result, node: number): string {
  const top = topOf(graph, chosen.weights, node, 3).map((e) => `${graph.nodes[e.to]} ${percent(e.weight)}`);
  return `${graph.nodes[node]} attends most to ${top.join(", ") || "nobody"}.`;
}

/** The graph without attention. */
function Bare({ session, graph, node }: Seen & { node: number }): JSX.Element {
  const even = useMemo(() => degrees(graph).flatMap((d) => new Array<number>(d).fill(1 / Math.max(d, 1))), [graph]);
  return (
    <>
      <Picture
        graph={graph}
        weights={even}
        node={node}
        to=""
        masked={[]}
        label="The graph, before anything attends"
        pick={(n) => session.change({ node: n })}
        explain={() => undefined}
      />
      <p class="help" role="status">
        {session.python === undefined
          ? "This needs Python, which is starting: until then every neighbour is drawn alike."
          : "Computing; until then every neighbour is drawn alike."}
      </p>
    </>
  );
}

function Neighbours({ session, graph, chosen, node }: OfNode): JSX.Element {
  const { state } = session,
    name = graph.nodes[node]!,
    degree = degrees(graph)[node]!;
  const list = topOf(graph, chosen.weights, node, state.top);
  const entropy = entropyOf(graph, chosen.weights, node);
  const best = state.to === "" ? graph.nodes[list[0]?.to ?? -1] : state.to;
  return (
    <section id="neighbours" class="card" aria-label="Neighbours">
      <h2>{name} attends to</h2>
      {degree === 0 ? (
        <p>It has no neighbours.</p>
      ) : (
        <p class="help">
          {`${degree} ${degree === 1 ? "neighbour" : "neighbours"}, of which ${Math.exp(entropy ?? 0).toFixed(1)} effectively (the exponential of the entropy); an even share would be ${percent(1 / degree)}. Choose one to see why.`}
        </p>
      )}
      <Rows
        caption="Neighbours"
        current={best ?? ""}
        pick={(to) => session.change({ to })}
        point={(to, on) => session.point(name, to, on)}
        rows={list.map((e) => ({ name: graph.nodes[e.to]!, weight: e.weight }))}
      />
      {best === undefined || degree === 0 ? null : (
        <div class="row wrap actions">
          <button type="button" class="quiet" onClick={() => session.change({ node: best })}>
            Go to {best}
          </button>
          <button
            type="button"
            class="quiet"
            disabled={state.masked.length + 1 >= degree && !state.masked.includes(best)}
            aria-pressed={state.masked.includes(best)}
            onClick={() =>
              session.change({
                masked: state.masked.includes(best) ? state.masked.filter((m) => m !== best) : [...state.masked, best],
              })
            }
          >
            Mask {best}
          </button>
        </div>
      )}
      {state.masked.length === 0 ? null : (
        <p class="help" role="status">
          {name} does not see {state.masked.join(", ")}: the others share its attention.{" "}
          <button type="button" class="link" onClick={() => session.change({ masked: [] })}>
            Show all
          </button>
        </p>
      )}
      <label class="inline">
        Rows
        <Input
          type="number"
          min={1}
          max={100}
          value={state.top}
          onChange={(e) => {
            const top = e.currentTarget.valueAsNumber;
            if (Number.isInteger(top) && top >= 1 && top <= 100) session.change({ top });
          }}
        />
      </label>
    </section>
  );
}

/** Compare all mechanisms side by side. */
function Compare({ session, graph, chosen }: Seen & { chosen: Result }): JSX.Element {
  const results = resultsOf(session);
  const rows = useMemo(
    () =>
      results.map((r) => ({
        key: r.key,
        ...spreadOf(r.weights, graph),
        alike: agreement(graph, r.weights, chosen.weights),
      })),
    [graph, chosen, results.length, session.results],
  );
  const left = Object.keys(session.schemas).length - session.results.size - Object.keys(session.skipped).length;
  return (
    <Card
      id="compare"
      heading="Mechanisms compared"
      help={`Means over the nodes that have neighbours. “Attends to” is the effective number of neighbours; “alike” the attention shared with ${title(chosen.key)}.`}
    >
      <Scroll label="Mechanisms compared">
        <table>
          <thead>
            <tr>
              <th scope="col">Mechanism</th>
              {["Attends to", "Entropy", "Alike"].map((name) => (
                <th scope="col" class="n">
                  {name}
                </th>
              ))}
              <th>
                <span class="unseen">Bar</span>
              </th>
            </tr>
          </thead>
          <tbody>
            {rows.map((r) => (
              <tr aria-current={r.key === chosen.key ? "true" : undefined}>
                <th scope="row">
                  <button type="button" class="link" onClick={() => session.change({ mechanism: r.key })}>
                    {title(r.key)}
                  </button>
                </th>
                <td class="n">{r.effective.toFixed(2)}</td>
                <td class="n">{r.entropy.toFixed(3)}</td>
                <td class="n">{percent(r.alike)}</td>
                <td class="bar">
                  <Bar share={r.alike} />
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </Scroll>
      {left > 0 && session.work === undefined && session.python !== undefined ? (
        <button type="button" class="quiet" onClick={() => void session.computeAll()}>
          Find the other {left}
        </button>
      ) : left > 0 && session.python === undefined ? (
        <p class="help">{left} more come with Python.</p>
      ) : null}
      {Object.entries(session.skipped).map(([key, why]) => (
        <p class="help">
          {title(key)} does not apply: {reworded(why)}
        </p>
      ))}
    </Card>
  );
}

/** Return every mechanism's result in registry order: with default options, the chosen one with its options. */
export function resultsOf(session: Session): Result[] {
  const { results, chosen } = session;
  return Object.keys(session.schemas).flatMap((key) => (key === chosen?.key ? [chosen] : (results.get(key) ?? [])));
}

/** Attention among the best connected nodes. */
function Heat({ session, graph, chosen, node }: OfNode): JSX.Element {
  const nodes = useMemo(() => largest(degrees(graph), HEAT_NODES), [graph]);
  const names = nodes.map((i) => graph.nodes[i]!);
  const values = useMemo(() => weightMatrix(graph, chosen.weights, nodes), [graph, chosen, nodes]);
  return (
    <Card
      id="heat"
      heading="Heat map"
      help={`Row attends to column, under ${title(chosen.key)}; the ${nodes.length} best connected nodes. Choose a cell to see why.`}
    >
      <Scroll label="Heat map">
        <Matrix
          about="Heat map"
          values={values}
          names={names}
          marked={nodes.indexOf(node)}
          cell={[nodes.indexOf(node), names.indexOf(session.state.to)]}
          point={(i, j, on) => session.point(names[i]!, names[j]!, on)}
          pick={(i, j) =>
            session.change(
              j === undefined || values[i]![j] === 0 ? { node: names[i]! } : { node: names[i]!, to: names[j]! },
            )
          }
        />
      </Scroll>
      <Behind
        what="The heat map"
        head={["From", "To", "Weight"]}
        rows={() =>
          nodes.flatMap((i) =>
            row(graph, chosen.weights, i)
              .filter((e) => nodes.includes(e.to))
              .map((e) => [graph.nodes[i]!, graph.nodes[e.to]!, digits(e.weight, 4)]),
          )
        }
      />
    </Card>
  );
}

/** Attention shared by each pair of mechanisms. */
function Agreement({ session, graph, chosen }: Seen & { chosen: Result }): JSX.Element {
  const results = resultsOf(session),
    keys = results.map((r) => r.key);
  const values = useMemo(
    () => results.map((p) => results.map((q) => agreement(graph, p.weights, q.weights))),
    [graph, chosen, results.length, session.results],
  );
  return (
    <Card
      id="agreement"
      heading="Agreement"
      help="Attention that two mechanisms share: Σ min(p, q), mean over the nodes."
    >
      <Scroll label="Agreement">
        <Matrix
          about="Agreement"
          values={values}
          names={keys.map(title)}
          marked={keys.indexOf(chosen.key)}
          cell={[-1, -1]}
          pick={(i, j) =>
            session.change(
              j === undefined || i === j
                ? { mechanism: keys[i]! }
                : { view: "compare", mechanism: keys[i]!, other: keys[j]! },
            )
          }
        />
      </Scroll>
      <Behind
        what="Agreement"
        head={["Mechanism", "Other", "Shared"]}
        rows={() => keys.flatMap((a, i) => keys.map((b, j) => [title(a), title(b), percent(values[i]![j]!)]))}
      />
    </Card>
  );
}
