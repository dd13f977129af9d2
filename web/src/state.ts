// All choices of a visitor in one table, mirrored in the address, so that a link or a reload shows the same picture.

import { fromEntries, START_PATTERN, toEntries, type Pattern } from "./pattern.js";
import type { TaskName } from "./train/tasks.js";

/** The value of an option, as JSON. */
export type Value = number | string | boolean | null | Value[] | { [name: string]: Value };
export type Options = Readonly<Record<string, Value>>;

export const VIEWS = [
  "attention",
  "compare",
  "move",
  "geometry",
  "heads",
  "sparse",
  "search",
  "train",
  "speed",
  "guide",
] as const;
export type View = (typeof VIEWS)[number];

const SPACES = ["plane", "disk", "sphere"] as const;
const TASKS: readonly TaskName[] = ["labels", "links", "poincare"];

/** Sliders of single views: minimum, maximum, and initial value. */
export const SLIDERS = {
  share: [0, 1, 0],
  step: [0.1, 4, 2],
  across: [0, 1, 0.5],
  down: [0, 1, 0.5],
  features: [4, 256, 32],
  rate: [0.001, 0.2, 0.02],
} as const;
type Sliders = Readonly<Record<keyof typeof SLIDERS, number>>;
const SLIDER_NAMES = Object.keys(SLIDERS) as (keyof Sliders)[];

export interface State extends Sliders {
  readonly view: View;
  /** A graph of the gallery, or the name of a file that the visitor opened. */
  readonly graph: string;
  /** A user's graph that is small enough for the address. */
  readonly data: string;
  readonly mechanism: string;
  /** The mechanism to compare with. */
  readonly other: string;
  /** Name of the chosen node; empty for the best connected one. */
  readonly node: string;
  /** Name of the neighbour whose weight is explained. */
  readonly to: string;
  /** Masked neighbours of the chosen node. */
  readonly masked: readonly string[];
  /** Whether groups of nodes are drawn as one node, and the open groups. */
  readonly fold: boolean;
  readonly open: readonly string[];
  /** Number of neighbours in the table. */
  readonly top: number;
  /** Options of the mechanism that differ from its defaults. */
  readonly options: Options;
  /** Space of the movable points. */
  readonly space: (typeof SPACES)[number];
  /** Moved points, by name. */
  readonly moved: Readonly<Record<string, readonly number[]>>;
  readonly pattern: Pattern;
  /** The training task; a graph without classes has no labels to learn. */
  readonly task: TaskName;
  /** Step of the guided tour, 0 for none. */
  readonly tour: number;
  /** Parts of the page that a teacher hides or locks. */
  readonly hide: readonly string[];
  readonly lock: readonly string[];
}

export const DEFAULT_GRAPH = "les_miserables";
/** Name of the graph that the address contains. */
export const IN_ADDRESS = "shared";
export const START: State = {
  view: "attention",
  graph: DEFAULT_GRAPH,
  data: "",
  mechanism: "scaled_dot_product",
  other: "hyperbolic",
  node: "",
  to: "",
  masked: [],
  fold: false,
  open: [],
  top: 10,
  options: {},
  space: "plane",
  moved: {},
  pattern: START_PATTERN,
  task: "labels",
  ...(Object.fromEntries(Object.entries(SLIDERS).map(([name, [, , at]]) => [name, at])) as Sliders),
  tour: 0,
  hide: [],
  lock: [],
};

/** Changes for another graph, with nothing chosen. */
export const onGraph = (graph: string, data = ""): Partial<State> => ({
  graph,
  data,
  node: "",
  to: "",
  masked: [],
  open: [],
  moved: {},
});

const TEXTS = ["graph", "data", "mechanism", "other", "node", "to"] as const;
const LISTS = ["masked", "open", "hide", "lock"] as const;
const PREFIX = "option.",
  OF_PATTERN = "pattern.";
const MOST_ROWS = 100,
  MOST_MOVED = 100;

/** Return the state as the fragment of an address; initial values are left out. */
export function toHash(state: State): string {
  const out = new URLSearchParams();
  for (const name of ["view", ...TEXTS, ...SLIDER_NAMES, "fold", "top", "space", "task", "tour"] as const) {
    if (state[name] !== START[name]) out.set(name, String(state[name]));
  }
  for (const name of LISTS) for (const value of state[name]) out.append(name, value);
  for (const [name, point] of Object.entries(state.moved))
    out.append("moved", `${point.map((x) => x.toFixed(3)).join(",")},${name}`);
  for (const [name, text] of toEntries(state.pattern)) out.set(OF_PATTERN + name, text);
  for (const [name, value] of Object.entries(state.options)) out.set(PREFIX + name, JSON.stringify(value));
  return out.toString();
}

/** Return the state of an address; unreadable parts get initial values. */
export function fromHash(hash: string): State {
  const given = new URLSearchParams(hash.replace(/^#/, ""));
  const options: Record<string, Value> = Object.create(null) as Record<string, Value>;
  for (const [name, text] of given) {
    const value = name.startsWith(PREFIX) ? fromJson(text) : undefined;
    if (value !== undefined) options[name.slice(PREFIX.length)] = value;
  }
  const texts = Object.fromEntries(TEXTS.map((name) => [name, given.get(name) ?? START[name]])) as Pick<
    State,
    (typeof TEXTS)[number]
  >;
  const lists = Object.fromEntries(
    LISTS.map((name) => [name, given.getAll(name).slice(0, MOST_MOVED)]),
  ) as unknown as Pick<State, (typeof LISTS)[number]>;
  const sliders = Object.fromEntries(
    Object.entries(SLIDERS).map(([name, [low, high, otherwise]]) => [
      name,
      number(given.get(name), low, high, otherwise),
    ]),
  ) as Sliders;
  return {
    ...START,
    ...texts,
    ...lists,
    ...sliders,
    options,
    view: oneOf(given.get("view"), VIEWS, START.view),
    fold: given.get("fold") === "true",
    space: oneOf(given.get("space"), SPACES, START.space),
    pattern: fromEntries((name) => given.get(OF_PATTERN + name)),
    task: oneOf(given.get("task"), TASKS, START.task),
    top: whole(given.get("top"), 1, MOST_ROWS, START.top),
    tour: whole(given.get("tour"), 0, 10, 0),
    moved: Object.fromEntries(given.getAll("moved").slice(0, MOST_MOVED).flatMap(point)),
  };
}

function point(text: string): [string, number[]][] {
  const found = /^((?:-?\d{1,3}(?:\.\d{1,6})?,){2,3})([\s\S]+)$/.exec(text);
  return found === null ? [] : [[found[2]!, found[1]!.split(",").slice(0, -1).map(Number)]];
}

function oneOf<T extends string>(given: string | null, known: readonly T[], otherwise: T): T {
  return known.find((name) => name === given) ?? otherwise;
}

function number(given: string | null, least: number, most: number, otherwise: number): number {
  const found = Number(given ?? Number.NaN);
  return found >= least && found <= most ? found : otherwise;
}

function whole(given: string | null, least: number, most: number, otherwise: number): number {
  const found = number(given, least, most, otherwise);
  return Number.isInteger(found) ? found : otherwise;
}

function fromJson(text: string): Value | undefined {
  try {
    return JSON.parse(text) as Value;
  } catch {
    return undefined;
  }
}
