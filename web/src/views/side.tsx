// The controls: graph, mechanism, node, and the mechanism's options.

import type { JSX } from "preact";
import { useMemo, useRef } from "preact/hooks";
import { pastedName, SUFFIXES } from "../compute/formats.js";
import { readVectors } from "../compute/vectors.js";
import { GALLERY } from "../gallery.js";
import { degrees, largest, nodeOf, size, type Graph } from "../graph.js";
import { controls, withOption, type Control } from "../schema.js";
import type { Session } from "../session.js";
import { DEFAULT_GRAPH, onGraph, type Value, type View } from "../state.js";
import { message, title, WITH_PARTS } from "../words.js";
import { Advice } from "./advice.js";
import { Input, MechanismSelect, Select, Slider } from "./bits.js";

/** Larger graphs have a field with suggestions instead of a list of nodes. */
const MOST_LISTED = 1500,
  SUGGESTED = 300;

const ALL = ["graph", "mechanism", "node", "options"];
/** The controls that affect a view. */
const CHOICES: Record<View, readonly string[]> = {
  attention: ALL,
  compare: ALL,
  move: ["graph", "node"],
  geometry: ["graph", "node"],
  heads: ["graph", "node"],
  sparse: [],
  search: ["graph"],
  train: ["graph", "node"],
  speed: [],
  guide: [],
};

export function Side({ session }: { session: Session }): JSX.Element | null {
  const { state, graph } = session,
    choices = [
      ...CHOICES[state.view],
      ...(state.view === "heads" && WITH_PARTS.includes(state.mechanism) ? ["options"] : []),
    ].filter((part) => !state.hide.includes(part)),
    hidden = (part: string): boolean => !choices.includes(part);
  if (choices.length === 0) return null;
  return (
    <section class="side" aria-label="Choices">
      {hidden("graph") ? null : <Files session={session} />}
      {hidden("mechanism") ? null : (
        <div id="choice">
          <MechanismSelect
            session={session}
            id="mechanism"
            label="Mechanism"
            value={state.mechanism}
            pick={(mechanism) => session.change({ mechanism })}
          />
          <p class="help">{about(session)}</p>
        </div>
      )}
      {graph === undefined || hidden("node") ? null : <NodeChoice session={session} graph={graph} />}
      {hidden("options") ? null : <OptionsForm session={session} />}
    </section>
  );
}

function about({ schemas, state }: Session): string {
  const schema = schemas[state.mechanism];
  return schema === undefined ? "" : `${schema.description} Cost ${schema["x-complexity"] as string}.`;
}

function Files({ session }: { session: Session }): JSX.Element {
  const { state, graph } = session,
    own = !Object.hasOwn(GALLERY, state.graph);
  const text = useRef<HTMLTextAreaElement>(null),
    name = useRef<HTMLParagraphElement>(null);
  const open = async (file: File | undefined): Promise<void> => {
    if (file !== undefined) await session.open(file.name, new Uint8Array(await file.arrayBuffer()));
  };
  const vectors = async (file: File | undefined): Promise<void> => {
    if (file === undefined || graph === undefined) return;
    try {
      session.embed(readVectors(file.name, new Uint8Array(await file.arrayBuffer()), graph.nodes));
    } catch (error) {
      session.problem = message(error);
      session.tell();
    }
  };
  const chosen = (e: Event): File | undefined => {
    const input = e.currentTarget as HTMLInputElement,
      file = input.files?.[0];
    input.value = "";
    return file;
  };
  const choices = [
    ...Object.entries(GALLERY).map(([value, name]) => ({ value, name })),
    ...(own ? [{ value: state.graph, name: graph?.title ?? state.graph }] : []),
  ];
  return (
    <div id="file">
      <Select
        id="graph-choice"
        label="Graph"
        value={state.graph}
        choices={choices}
        pick={(name) => session.change(onGraph(name))}
      />
      <p class="graph-name" ref={name}>
        <strong>{graph?.title ?? "…"}</strong>
        {graph === undefined ? "" : ` · ${size(graph)} nodes, ${graph.edges} edges`}
      </p>
      {graph?.about ? <p class="help">{graph.about}</p> : null}
      {graph === undefined || !CHOICES[state.view].includes("mechanism") ? null : (
        <Advice session={session} graph={graph} />
      )}
      <div class="row wrap">
        <label class="button">
          Open a graph file
          <input type="file" id="graph-file" accept={SUFFIXES.join(",")} onChange={(e) => void open(chosen(e))} />
        </label>
        {own ? (
          <button type="button" class="quiet" onClick={() => session.change(onGraph(DEFAULT_GRAPH))}>
            Back to Les Misérables
          </button>
        ) : null}
      </div>
      <details>
        <summary>More ways to your own data</summary>
        <p class="help">
          Drop a file anywhere, or paste edges here: one a line, “source target” or CSV with a header. JSON, CSV,
          GraphML, GEXF, GML, Pajek … are read; nothing leaves this computer.
        </p>
        <label for="pasted">Edges</label>
        <textarea id="pasted" ref={text} rows={4} spellcheck={false} placeholder={"ann bob\nbob cid\ncid ann"} />
        <button
          type="button"
          class="quiet"
          onClick={() =>
            void session
              .open(pastedName(text.current!.value), new TextEncoder().encode(text.current!.value))
              .then(() => name.current?.scrollIntoView({ block: "nearest" }))
          }
        >
          Use these edges
        </button>
        {session.canRedirect ? (
          <div class="row wrap">
            <button type="button" class="quiet" onClick={() => session.redirect(true)}>
              Read as directed
            </button>
            <button type="button" class="quiet" onClick={() => session.redirect(false)}>
              Read as undirected
            </button>
          </div>
        ) : null}
        <label class="button">
          Own latent vectors
          <input type="file" id="vector-file" accept=".tsv,.csv,.txt,.npy" onChange={(e) => void vectors(chosen(e))} />
        </label>
        <p class="help">A row of numbers per node (.tsv, .csv, .npy), or first the node's name.</p>
      </details>
    </div>
  );
}

function NodeChoice({ session, graph }: { session: Session; graph: Graph }): JSX.Element {
  const node = nodeOf(graph, session.state.node);
  const pick = (name: string): void => {
    if (graph.nodes.includes(name)) session.change({ node: name });
  };
  const listed = useMemo(() => {
    const degree = degrees(graph),
      order = largest(degree, degree.length);
    return order
      .slice(0, order.length > MOST_LISTED ? SUGGESTED : undefined)
      .map((i) => ({ value: graph.nodes[i]!, name: `${graph.nodes[i]} (${degree[i]})` }));
  }, [graph]);
  if (size(graph) <= MOST_LISTED)
    return <Select id="node" label="Node" value={graph.nodes[node]!} choices={listed} pick={pick} />;
  return (
    <div>
      <label for="node">Node</label>
      <Input
        id="node"
        type="text"
        list="nodes"
        key={node}
        value={graph.nodes[node]}
        onChange={(e) => pick(e.currentTarget.value)}
        spellcheck={false}
      />
      <datalist id="nodes">
        {listed.map((c) => (
          <option value={c.value} />
        ))}
      </datalist>
    </div>
  );
}

function OptionsForm({ session }: { session: Session }): JSX.Element {
  const { state, schemas } = session,
    schema = schemas[state.mechanism];
  if (schema === undefined) return <form id="options" />;
  const set = (name: string, value: Value): void =>
    session.change({ options: withOption(schema, state.options, name, value) });
  return (
    <form id="options" aria-label="Options of the mechanism" onSubmit={(e) => e.preventDefault()}>
      <fieldset disabled={state.lock.includes("options")}>
        <h2>Options</h2>
        {controls(schema, state.options).map((c) => (
          <div class="option" key={`${state.mechanism} ${session.hand} ${c.name}`}>
            <Field control={c} set={set} />
          </div>
        ))}
        <button
          type="button"
          class="quiet"
          onClick={() => {
            session.hand++;
            session.change({ options: {} });
          }}
        >
          Reset options
        </button>
      </fieldset>
    </form>
  );
}

function Field({ control: c, set }: { control: Control; set: (name: string, value: Value) => void }): JSX.Element {
  const id = `option-${c.name}`,
    about = `${id}-help`,
    name = title(c.name);
  const label = <label for={id}>{name}</label>,
    help = (
      <small id={about} class="help">
        {c.help}
      </small>
    );
  switch (c.kind) {
    case "check":
      return (
        <>
          <div class="row">
            <input
              id={id}
              type="checkbox"
              aria-describedby={about}
              checked={c.value}
              onChange={(e) => set(c.name, e.currentTarget.checked)}
            />
            {label}
          </div>
          {help}
        </>
      );
    case "choice":
      return (
        <>
          {label}
          <select id={id} aria-describedby={about} value={c.value} onChange={(e) => set(c.name, e.currentTarget.value)}>
            {c.choices.map((choice) => (
              <option value={choice} selected={choice === c.value}>
                {choice}
              </option>
            ))}
          </select>
          {help}
        </>
      );
    case "slider":
      return (
        <Slider
          id={id}
          label={name}
          value={c.value}
          low={c.low}
          high={c.high}
          factors
          free
          set={(value) => set(c.name, value)}
          help={c.help}
        />
      );
    case "number":
      return (
        <>
          {label}
          <Input
            id={id}
            type="number"
            aria-describedby={about}
            step={c.step}
            min={c.min}
            max={c.max}
            value={c.value ?? ""}
            placeholder="automatic"
            onChange={(e) => set(c.name, e.currentTarget.value === "" ? null : e.currentTarget.valueAsNumber)}
          />
          {help}
        </>
      );
    case "json":
      return (
        <>
          {label}
          <Input
            id={id}
            type="text"
            aria-describedby={about}
            spellcheck={false}
            value={JSON.stringify(c.value)}
            onChange={(e) => json(e.currentTarget, c.name, set)}
          />
          {help}
        </>
      );
  }
}

function json(element: HTMLInputElement, name: string, set: (name: string, value: Value) => void): void {
  try {
    const value = JSON.parse(element.value) as Value;
    element.setCustomValidity("");
    set(name, value);
  } catch {
    element.setCustomValidity("Expected JSON, for example [1, 2] or null");
    element.reportValidity();
  }
}
