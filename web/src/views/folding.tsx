// The picture of the whole graph, or of its groups if the graph is too large to show.

import type { JSX } from "preact";
import { useMemo } from "preact/hooks";
import { folded, foldedWeights, grouped } from "../fold.js";
import { degrees, largest, size } from "../graph.js";
import { percent, title } from "../words.js";
import { Behind, type OfNode } from "./bits.js";
import { Picture } from "./picture.js";

export function Folding({ session, graph, chosen, node }: OfNode): JSX.Element {
  const { state } = session,
    name = graph.nodes[node]!;
  const groups = useMemo(() => (state.fold ? grouped(graph) : undefined), [graph, state.fold]);
  const fold = useMemo(
    () => (groups === undefined ? undefined : folded(graph, groups, state.open)),
    [graph, graph.positions, groups, state.open],
  );
  const weights = useMemo(
    () => (fold === undefined ? chosen.weights : foldedWeights(fold, graph, chosen.weights)),
    [fold, graph, chosen],
  );
  const here = fold === undefined ? node : fold.of[node]!,
    group = fold?.group[here];
  /** Choose the node of this name, or the best connected node of a group. */
  const pick = (wanted: string): void => {
    const at = fold?.graph.nodes.indexOf(wanted) ?? -1;
    if (fold?.group[at] === undefined) return session.change({ node: wanted });
    const degree = degrees(graph),
      members = fold.members[at]!;
    session.change({
      node: graph.nodes[
        members[
          largest(
            members.map((i) => degree[i]!),
            1,
          )[0]!
        ]!
      ]!,
    });
  };
  return (
    <>
      <Picture
        graph={fold?.graph ?? graph}
        weights={weights}
        node={here}
        to={fold === undefined ? state.to : ""}
        masked={fold === undefined ? state.masked : []}
        peek={session.peek}
        label={`${group ?? name}: attention under ${title(chosen.key)}`}
        pick={pick}
        explain={(to) => {
          if (to !== state.to && fold === undefined) session.change({ to });
        }}
        {...(fold === undefined ? { place: (i: number, x: number, y: number) => session.place(i, x, y) } : {})}
      />
      <div class="row wrap actions">
        <button
          type="button"
          class="quiet"
          aria-pressed={state.fold}
          onClick={() => session.change({ fold: !state.fold, open: [] })}
        >
          Collapse groups
        </button>
        {group === undefined ? null : (
          <button type="button" class="quiet" onClick={() => session.change({ open: [...state.open, group] })}>
            Open {group}
          </button>
        )}
        {state.open.length === 0 ? null : (
          <button type="button" class="quiet" onClick={() => session.change({ open: [] })}>
            Close all
          </button>
        )}
      </div>
      {fold === undefined ? null : (
        <>
          <p class="help" role="status" id="folded" data-groups={fold.group.filter((g) => g !== undefined).length}>
            {`${size(fold.graph)} places stand for ${size(graph)} nodes: ${graph.labels === null ? "communities, found by modularity" : "the classes of the nodes"}. A line is the mean attention of a group's members for another group.`}
          </p>
          <Behind
            what="The groups"
            head={["Group", "Nodes", "Keeps to itself", "Members"]}
            rows={() =>
              fold.members.map((list, i) => [
                fold.graph.nodes[i]!,
                list.length,
                percent(own(fold, weights, i)),
                list.map((n) => graph.nodes[n]).join(", "),
              ])
            }
          />
        </>
      )}
    </>
  );
}

/** Return the attention of a place to its own members. */
function own({ graph: { indptr, indices } }: ReturnType<typeof folded>, weights: ArrayLike<number>, i: number): number {
  const at = indices.indexOf(i, indptr[i]);
  return at >= 0 && at < indptr[i + 1]! ? weights[at]! : 0;
}
