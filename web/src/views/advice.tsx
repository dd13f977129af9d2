// Whether the graph is like a tree, which mechanism suits it, and what that would change.

import type { JSX } from "preact";
import { useMemo } from "preact/hooks";
import { agreement, treeLikeness } from "../graph.js";
import { percent, title } from "../words.js";
import type { Seen } from "./bits.js";

/** Shares of the edges that close no cycle, from which a graph is called nearly or partly a tree. */
const NEARLY = 0.8,
  PARTLY = 0.5;
/** A share of the attention that is shown as one. */
const LEAST = 0.0005;

export function Advice({ session, graph }: Seen): JSX.Element {
  const { advice, chosen, state } = session;
  const { edges, extra } = useMemo(() => treeLikeness(graph), [graph]);
  const share = edges === 0 ? 0 : 1 - extra / edges;
  const suited = session.results.get(advice?.key ?? "");
  const moved =
    chosen === undefined || suited === undefined || chosen.key === advice?.key
      ? 0
      : 1 - agreement(graph, chosen.weights, suited.weights);
  return (
    <div id="advice">
      <div aria-live="polite">
        <p>
          <strong>
            {extra === 0
              ? "It is a tree"
              : share > NEARLY
                ? "It is nearly a tree"
                : share > PARTLY
                  ? "It is partly like a tree"
                  : "It is not like a tree"}
          </strong>
          {extra === 0 ? ": no edge closes a cycle." : `: ${extra} of ${edges} edges close cycles.`}
        </p>
        {advice === undefined ? null : (
          <p>
            Recommended:{" "}
            <button
              type="button"
              class="link"
              disabled={state.lock.includes("mechanism")}
              onClick={() => session.change({ mechanism: advice.key })}
            >
              {title(advice.key)}
            </button>
            {`, because ${advice.reasons.at(-1)}.`}
          </p>
        )}
      </div>
      {advice === undefined ? (
        <p class="help">
          {session.python === undefined ? (
            "What suits it comes with Python."
          ) : (
            <button type="button" class="quiet" onClick={() => void session.advise()}>
              Ask Python what suits it
            </button>
          )}
        </p>
      ) : suited === undefined || chosen === undefined ? null : (
        <p class="help">
          {chosen.key === advice.key
            ? "It is what you see."
            : moved < LEAST
              ? `Over this graph it gives the weights of ${title(chosen.key)}.`
              : `It would move ${percent(moved)} of the attention: `}
          {moved < LEAST ? null : (
            <button type="button" class="link" onClick={() => session.change({ view: "compare", other: advice.key })}>
              see both
            </button>
          )}
        </p>
      )}
    </div>
  );
}
