// State → compute → views. A change of the state goes into the address and, where needed, to Python; then the views are drawn.

import type { Progress, Schema } from "graphattend";
import { Engine, readGraphFile, type GraphFile } from "./compute.js";
import type { Picture } from "./data.js";
import { h, Slot } from "./dom.js";
import { options } from "./options.js";
import { controls, shared, withOption } from "./schema.js";
import { DEFAULT_GRAPH, fromHash, START, toHash, type State } from "./state.js";
import * as views from "./views.js";

const KEPT = "graphattend.graph";
const place = (id: string): HTMLElement => document.getElementById(id)!;
const names = ["file", "choice", "options", "status", "error", "graph", "neighbours", "compare", "heat", "agreement", "footer"] as const;
const slots = Object.fromEntries(names.map((name) => [name, new Slot(place(name))])) as Record<(typeof names)[number], Slot>;
const main = document.querySelector("main")!;

let state = fromHash(location.hash);
let engine: Engine | undefined;
let schemas: Record<string, Schema> = {};
let picture: Picture | undefined;
let progress: Progress = { phase: "runtime", loaded: 0, total: undefined };
let problem = "";
let notice = "";
let busy = true;
let opened = kept();
let builtIn: Promise<GraphFile> | undefined;
let backend = "";

// Not redrawn while a slider is dragged: the options are drawn anew only when another hand than theirs changed them.
let revision = 0;

function draw(): void {
  main.setAttribute("aria-busy", String(busy));
  const seen = picture, schema = schemas[state.mechanism];
  slots.status.show([progress, engine !== undefined && seen !== undefined, problem !== "" && seen === undefined], () =>
    (engine !== undefined && seen !== undefined) || problem !== "" ? [] : views.loading(progress));
  slots.error.show([problem, notice], () => [problem, notice].filter((text) => text !== "").map((text) => h("p", {}, text)));
  slots.file.show([state.graph, seen], () => views.file(state, seen, (file) => void openFile(file), change));
  if (engine === undefined) return;
  slots.choice.show([state.mechanism, state.node, seen?.found], () => views.choice(state, seen, schemas, change));
  slots.options.show([state.mechanism, revision], () => schema === undefined ? [] : options(controls(schema, state.options),
    (name, value) => change({ options: withOption(schema, state.options, name, value) }),
    () => { revision++; change({ options: {} }); }));
  if (seen === undefined) return;
  slots.graph.show([seen, state.node], () => views.graph(state, seen, change));
  slots.neighbours.show([seen, state.node, state.top], () => views.neighbours(state, seen, change));
  slots.compare.show([seen], () => views.compare(seen, change));
  slots.heat.show([seen, state.node], () => views.heat(state, seen, change));
  slots.agreement.show([seen], () => views.agreementMatrix(seen, change));
  slots.footer.show([backend], () => [h("p", {}, backend)]);
}

function change(by: Partial<State>): void {
  const to = by.mechanism === undefined ? undefined : schemas[by.mechanism];
  if (to !== undefined && by.options === undefined) by = { ...by, options: shared(schemas[state.mechanism], to, state.options) };
  apply({ ...state, ...by });
  remember();
}

function remember(): void {
  history.replaceState(null, "", `#${toHash(state)}`);
}

function apply(next: State): void {
  const before = state;
  state = next;
  if (before.graph !== next.graph || before.mechanism !== next.mechanism || before.options !== next.options) void compute();
  draw();
}

let running = false, again = false;

/** Ask Python for the picture of the state; while it works, only the newest state is remembered. */
async function compute(): Promise<void> {
  if (engine === undefined) return;
  again = running;
  if (running) return;
  running = busy = true;
  try {
    do {
      again = false;
      const { mechanism, options: given } = state;
      picture = await engine.picture(await graph(), mechanism, given);
      problem = "";
      draw();
    } while (again);
  } catch (error) {
    problem = message(error);
  } finally {
    running = busy = false;
    if (again) void compute();
  }
  draw();
}

function graph(): Promise<GraphFile> | GraphFile {
  if (state.graph !== DEFAULT_GRAPH && opened !== undefined) return opened;
  builtIn ??= fetchGraph();
  builtIn.catch(() => { builtIn = undefined; });
  return builtIn;
}

/** The state of an address with what is not there, a mechanism or a file of another visit, replaced. */
function settled(wanted: State): State {
  const missing: string[] = [];
  let out = wanted;
  if (schemas[out.mechanism] === undefined) {
    missing.push(`There is no mechanism “${out.mechanism}”.`);
    out = { ...out, mechanism: START.mechanism, options: {} };
  }
  if (out.graph !== DEFAULT_GRAPH && opened?.name !== out.graph) {
    missing.push(`${out.graph} has to be opened again: files stay on your computer. This is Les Misérables.`);
    out = { ...out, graph: DEFAULT_GRAPH, node: "" };
  }
  notice = missing.join(" ");
  const schema = schemas[out.mechanism]!;
  return { ...out, options: shared(undefined, schema, out.options) };
}

async function fetchGraph(): Promise<GraphFile> {
  const response = await fetch("les_miserables.json");
  if (!response.ok) throw new Error(`les_miserables.json: ${response.status} ${response.statusText}`);
  return { name: "Les Misérables", suffix: ".json", content: await response.text() };
}

/** Open the visitor's file; a bad one leaves everything as it is. */
async function openFile(file: File): Promise<void> {
  if (engine === undefined) return;
  busy = true;
  draw();
  try {
    const read = await readGraphFile(file);
    await engine.adopt(read);
    opened = read;
    keep(read);
    state = { ...state, graph: read.name, node: "" };
    remember();
    notice = "";
    await compute();
  } catch (error) {
    problem = message(error);
  }
  busy = running;
  draw();
}

/** For a reload; a file too large for the browser's storage has to be opened again. */
function keep(file: GraphFile): void {
  try {
    sessionStorage.setItem(KEPT, JSON.stringify(file));
  } catch {
    sessionStorage.removeItem(KEPT);
  }
}

function kept(): GraphFile | undefined {
  try {
    return (JSON.parse(sessionStorage.getItem(KEPT) ?? "null") as GraphFile | null) ?? undefined;
  } catch {
    return undefined;
  }
}

const message = (error: unknown): string => (error instanceof Error ? error.message : String(error));

async function start(): Promise<void> {
  draw();
  try {
    engine = await Engine.start((now) => { progress = now; draw(); });
    schemas = engine.ga.schema();
    state = settled(state);
    const info = await engine.ga.backendInfo();
    backend = `graphattend ${engine.ga.version}, NumPy ${info.numpy}, ${info.backend}`;
    await compute();
  } catch (error) {
    problem = message(error);
    busy = false;
    draw();
  }
}

addEventListener("hashchange", () => {
  if (engine === undefined) state = fromHash(location.hash);
  else {
    revision++;
    apply(settled(fromHash(location.hash)));
  }
});
place("options").addEventListener("submit", (event) => event.preventDefault());
void start();
