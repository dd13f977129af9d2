// The page: controls on the left, the chosen view, and the status.

import { Component, type ComponentChildren, type ComponentType, type JSX } from "preact";
import type { Session } from "../session.js";
import { VIEWS, type View } from "../state.js";
import { AttentionView } from "./attention.js";
import type { Seen } from "./bits.js";
import { CompareView } from "./compare.js";
import { Share } from "./share.js";
import { Side } from "./side.js";
import { TourBar } from "./tour.js";

/** Address of the project, see build.mjs. */
declare const LINKS: Record<string, string>;

const NAMES: Record<View, string> = {
  attention: "Attention",
  compare: "Side by side",
  move: "What if",
  geometry: "Geometry",
  heads: "Heads",
  sparse: "Sparse",
  search: "Search",
  train: "Train",
  speed: "Speed",
  guide: "Guide",
};

/** Views that are loaded on first use. */
const LATER: Partial<Record<View, () => Promise<ComponentType<Seen>>>> = {
  move: async () => (await import("./move.js")).MoveView,
  geometry: async () => (await import("./geometry.js")).GeometryView,
  heads: async () => (await import("./heads.js")).HeadsView,
  sparse: async () => (await import("./sparse.js")).SparseView,
  search: async () => (await import("./search.js")).SearchView,
  train: async () => (await import("./train.js")).TrainView,
  speed: async () => (await import("./speed.js")).SpeedView,
  guide: async () => (await import("./guide.js")).GuideView,
};
const loaded: Partial<Record<View, ComponentType<Seen>>> = { attention: AttentionView, compare: CompareView };

/** Scroll the list of views on narrow pages so that the chosen one is visible. */
let inSight: View | undefined;
function shown(link: HTMLAnchorElement | null): void {
  const view = link?.textContent as View | undefined;
  if (link === null || view === inSight) return;
  inSight = view;
  const list = link.closest("ul")!;
  list.scrollLeft = link.offsetLeft - list.offsetLeft - (list.clientWidth - link.offsetWidth) / 2;
}

export function App({ session }: { session: Session }): JSX.Element {
  const { state, graph, busy, waiting, python } = session;
  const hidden = (part: string): boolean => state.hide.includes(part);
  return (
    <>
      {hidden("header") ? null : (
        <header>
          <h1>Who attends to whom</h1>
          <p>
            Every node of a graph attends to its neighbours. How it shares out its attention depends on the mechanism.
            Everything is computed here, in your browser: by kernels in WebAssembly at once, by Python and NumPy as soon
            as they have started.
          </p>
        </header>
      )}
      {hidden("views") ? null : (
        <nav aria-label="Views">
          <ul>
            {VIEWS.map((view) => (
              <li>
                <a
                  ref={view === state.view ? shown : null}
                  href={`#view=${view}`}
                  aria-current={view === state.view ? "page" : undefined}
                  onClick={(e) => {
                    e.preventDefault();
                    session.change({ view, tour: 0 });
                  }}
                >
                  {NAMES[view]}
                </a>
              </li>
            ))}
          </ul>
        </nav>
      )}
      <TourBar session={session} />
      <main
        aria-busy={busy}
        data-waiting={waiting}
        data-revision={session.revision}
        data-view={state.view}
        data-by={session.chosen?.by}
      >
        <Side session={session} />
        <div class="stage">
          <div id="error" role="alert">
            {[session.problem, session.notice]
              .filter((text) => text !== "")
              .map((text) => (
                <p>{text}</p>
              ))}
          </div>
          <Starting session={session} />
          {session.work === undefined ? null : (
            <div class="work" role="status">
              <progress max={1} value={session.work.done} aria-label={session.work.what} />
              <span>{session.work.what}</span>
              <button type="button" class="quiet" onClick={() => session.work?.stop()}>
                Cancel
              </button>
            </div>
          )}
          {graph === undefined ? <div class="empty" /> : null}
        </div>
        {graph === undefined ? null : (
          <Guarded of={`${state.view} ${state.graph} ${state.data}`}>
            <Current session={session} graph={graph} />
          </Guarded>
        )}
      </main>
      {hidden("share") || graph === undefined ? null : <Share session={session} graph={graph} />}
      <footer id="footer">
        <p>
          {python?.about ?? (session.kernels === undefined ? "" : `graphattend/kernels (${session.kernels.k.variant})`)}
        </p>
        <p>
          {Object.entries(LINKS).map(([name, address]) => (
            <>
              <a href={address} rel="noreferrer">
                {name}
              </a>{" "}
              ·{" "}
            </>
          ))}
          <button type="button" class="link" onClick={() => session.change({ view: "guide" })}>
            Guide and glossary
          </button>
        </p>
      </footer>
    </>
  );
}

/** Confines an error in one view, so that the rest of the page keeps working. */
class Guarded extends Component<{ of: string; children: ComponentChildren }, { failed: string | undefined }> {
  override state = { failed: undefined };

  override componentDidCatch(error: unknown): void {
    console.error(error);
    this.setState({ failed: this.props.of });
  }

  override render(): ComponentChildren {
    return this.state.failed === this.props.of ? (
      <p class="card" role="alert">
        This view cannot show this graph. Choose another view or graph.
      </p>
    ) : (
      this.props.children
    );
  }
}

function Current({ session, graph }: Seen): JSX.Element {
  const { view } = session.state,
    View = loaded[view];
  if (View === undefined) {
    LATER[view]!().then(
      (found) => {
        loaded[view] = found;
        session.tell();
      },
      () => {
        session.problem = "A part of the page could not be fetched: try again.";
        session.tell();
      },
    );
    return (
      <p class="card" role="status">
        Opening…
      </p>
    );
  }
  return <View session={session} graph={graph} />;
}

const PHASES: [string, string][] = [
  ["runtime", "Python"],
  ["packages", "NumPy"],
  ["graphattend", "graphattend"],
  ["compute", "First analysis"],
];

/** Progress of Python's start, during which the page works. */
function Starting({ session: { progress, problem, python } }: { session: Session }): JSX.Element | null {
  if (progress.phase === "ready" && python !== undefined) return null;
  if (problem !== "" && python === undefined) return null;
  const now = progress.phase === "ready" ? PHASES.length - 1 : PHASES.findIndex(([phase]) => phase === progress.phase);
  const megabytes = progress.loaded > 0 ? ` ${(progress.loaded / 2 ** 20).toFixed(1)} MB` : "";
  return (
    <div id="status" role="status">
      <ol class="steps">
        {PHASES.map(([, name], i) => (
          <li class={i < now ? "done" : i === now ? "now" : ""} aria-current={i === now ? "step" : undefined}>
            {name}
          </li>
        ))}
      </ol>
      <progress max={PHASES.length} value={now + 0.5} aria-label="Start of Python" />
      <span class="size">{megabytes}</span>
    </div>
  );
}
