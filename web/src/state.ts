// Everything that a visitor chooses, in one table, mirrored in the address: a link or a reload shows the same picture.

/** The value of an option, as JSON. */
export type Value = number | string | boolean | null | Value[] | { [name: string]: Value };
export type Options = Readonly<Record<string, Value>>;

export interface State {
  /** "les_miserables", or the name of a file that the visitor opened. */
  readonly graph: string;
  readonly mechanism: string;
  /** Name of the chosen node; empty for the best connected one. */
  readonly node: string;
  /** How many neighbours the table lists. */
  readonly top: number;
  /** Options of the mechanism that differ from its defaults. */
  readonly options: Options;
}

export const DEFAULT_GRAPH = "les_miserables";
export const START: State = { graph: DEFAULT_GRAPH, mechanism: "scaled_dot_product", node: "", top: 10, options: {} };
const PREFIX = "option.";
const MOST = 100;

/** The state as the part of an address after `#`; what is as at the start is left out. */
export function toHash(state: State): string {
  const out = new URLSearchParams();
  for (const name of ["graph", "mechanism", "node", "top"] as const) {
    if (state[name] !== START[name]) out.set(name, String(state[name]));
  }
  for (const [name, value] of Object.entries(state.options)) out.set(PREFIX + name, JSON.stringify(value));
  return out.toString();
}

/** The state that an address tells; whatever cannot be read is as at the start. */
export function fromHash(hash: string): State {
  const given = new URLSearchParams(hash.replace(/^#/, ""));
  const options: Record<string, Value> = {};
  for (const [name, text] of given) {
    if (!name.startsWith(PREFIX)) continue;
    const value = fromJson(text);
    if (value !== undefined) options[name.slice(PREFIX.length)] = value;
  }
  const top = Number(given.get("top") ?? START.top);
  return {
    graph: given.get("graph") ?? START.graph,
    mechanism: given.get("mechanism") ?? START.mechanism,
    node: given.get("node") ?? START.node,
    top: Number.isInteger(top) && top >= 1 && top <= MOST ? top : START.top,
    options,
  };
}

function fromJson(text: string): Value | undefined {
  try {
    return JSON.parse(text) as Value;
  } catch {
    return undefined;
  }
}
