// What the page shows, as functions of state and picture. They build elements and keep nothing.

import type { Progress, Schema } from "graphattend";
import { agreements, SUFFIXES } from "./compute.js";
import { agreement, degrees, edges, largest, meanOverLinked, nodeOf, places, received, topOf, weightMatrix, type Picture } from "./data.js";
import { h, s } from "./dom.js";
import { DEFAULT_GRAPH, type State } from "./state.js";

export type Change = (change: Partial<State>) => void;

const SIZE = 640, MARGIN = 44;
const LABELS = 16, HEAT_NODES = 24;

export const title = (key: string): string => key.replaceAll("_", " ");
export const percent = (weight: number): string => `${(100 * weight).toFixed(1)} %`;

const PHASES: [Progress["phase"] | "compute", string][] = [
  ["runtime", "Python"], ["packages", "NumPy"], ["graphattend", "graphattend"], ["compute", "First analysis"],
];

/** How far the start has come, step by step. */
export function loading(progress: Progress): Node[] {
  const now = progress.phase === "ready" ? PHASES.length - 1 : PHASES.findIndex(([phase]) => phase === progress.phase);
  const steps = PHASES.map(([, name], i) => h("li", {
    class: i < now ? "done" : i === now ? "now" : "", ...(i === now ? { "aria-current": "step" } : {}),
  }, name));
  const size = progress.loaded > 0 ? `, ${(progress.loaded / 2 ** 20).toFixed(1)} MB` : "";
  return [
    h("ol", { class: "steps" }, ...steps),
    h("progress", { max: PHASES.length, value: now + 0.5, "aria-label": "Start of Python" }),
    h("p", {}, `${now < PHASES.length - 1 ? "Loading" : "Computing"}: ${PHASES[Math.max(now, 0)]![1]}${size}`),
  ];
}

/** Mechanism and node. */
export function choice(state: State, picture: Picture | undefined, schemas: Record<string, Schema>, change: Change): Node[] {
  const skipped = picture?.found.analysis.skipped ?? {};
  const families = [...new Set(Object.values(schemas).map((schema) => String(schema["x-family"])))];
  const groups = families.map((family) => h("optgroup", { label: family }, ...Object.entries(schemas)
    .filter(([, schema]) => schema["x-family"] === family)
    .map(([key]) => h("option", { value: key, selected: key === state.mechanism, disabled: key in skipped && key !== state.mechanism, title: skipped[key] },
      title(key) + (key in skipped ? " (does not apply to this graph)" : "")))));
  const about = schemas[state.mechanism];
  const out = [h("label", { for: "mechanism" }, "Mechanism"), h("select", {
    id: "mechanism", "data-key": "mechanism", change: (e: Event) => change({ mechanism: (e.target as HTMLSelectElement).value }),
  }, ...groups), h("p", { class: "help" }, about ? `${about.description} Cost ${String(about["x-complexity"])}.` : "")];
  if (picture !== undefined) {
    const { analysis } = picture.found;
    const chosen = nodeOf(analysis, state.node);
    const degree = degrees(analysis);
    out.push(h("label", { for: "node" }, "Node"), h("select", {
      id: "node", "data-key": "node-choice", change: (e: Event) => change({ node: (e.target as HTMLSelectElement).value }),
    }, ...largest(degree, degree.length).map((i) => h("option", { value: analysis.nodes[i]!, selected: i === chosen }, `${analysis.nodes[i]} (${degree[i]})`))));
  }
  return out;
}

/** The graph: line widths are the attention of the chosen node, faint lines that of all others. */
export function graph(state: State, { found, chosen }: Picture, change: Change): Node[] {
  const { analysis } = found;
  const node = nodeOf(analysis, state.node);
  const at = new Map([...places(found, node, chosen.weights)].map(([i, [x, y]]): [number, [number, number]] =>
    [i, [MARGIN + x * (SIZE - 2 * MARGIN), MARGIN + y * (SIZE - 2 * MARGIN)]]));
  const best = Math.max(...topOf(analysis, chosen.weights, node, 1).map((e) => e.weight), 1e-9);
  const lines = edges(analysis, chosen.weights)
    .filter(({ from, to }) => from !== to && at.has(from) && at.has(to))
    .sort((a, b) => Number(a.from === node) - Number(b.from === node) || a.weight - b.weight)
    .map(({ from, to, weight }) => {
      const mine = from === node;
      return s("path", {
        class: mine ? "edge mine" : "edge", d: curve(at.get(from)!, at.get(to)!), "data-from": analysis.nodes[from]!, "data-to": analysis.nodes[to]!, "data-weight": weight,
        "stroke-width": (mine ? 0.8 + 6 * weight / best : 0.4 + 1.1 * weight).toFixed(2), opacity: (mine ? 0.35 + 0.6 * weight / best : 0.1 + 0.3 * weight).toFixed(3),
      }, ...(mine ? [s("title", {}, `${analysis.nodes[from]} → ${analysis.nodes[to]}: ${percent(weight)}`)] : []));
    });
  const gets = received(analysis, chosen.weights);
  const most = Math.max(...[...at.keys()].map((i) => gets[i]!), 1e-9);
  const favourites = new Map(topOf(analysis, chosen.weights, node, 6).map(({ to, weight }) => [to, weight]));
  const shown = [...at.keys()].sort((a, b) => Number(a === node) - Number(b === node) || gets[a]! - gets[b]!);
  const radius = (i: number): number => 3 + 10 * Math.sqrt(gets[i]! / most);
  const dots = shown.map((i) => {
    const [x, y] = at.get(i)!, mine = i === node;
    const pick = (): void => change({ node: analysis.nodes[i]! });
    return s("circle", {
      class: mine ? "dot mine" : favourites.has(i) ? "dot near" : "dot", cx: x.toFixed(1), cy: y.toFixed(1), r: radius(i).toFixed(1), click: pick,
      ...(mine ? { tabindex: 0, role: "button", "data-key": "dot", "aria-label": `${analysis.nodes[i]}, chosen; arrow keys choose another node` } : {}),
    }, s("title", {}, `${analysis.nodes[i]} receives ${gets[i]!.toFixed(2)}`));
  });
  const wanted = [node, ...favourites.keys(), ...largest(gets, LABELS).filter((i) => at.has(i))];
  const labels = labelled([...new Set(wanted)].map((i) => ({ i, text: analysis.nodes[i]!, x: at.get(i)?.[0] ?? 0, y: (at.get(i)?.[1] ?? 0) - radius(i) - 4 }))
    .filter(({ i }) => at.has(i)))
    .map(({ i, text, x, y }) => s("text", { class: i === node || favourites.has(i) ? "name mine" : "name", x: x.toFixed(1), y: y.toFixed(1), "text-anchor": "middle" }, text));
  const step = (event: KeyboardEvent): void => {
    const by = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (by === undefined) return;
    event.preventDefault();
    const order = [...at.keys()].sort((a, b) => a - b);
    change({ node: analysis.nodes[order[(order.indexOf(node) + by + order.length) % order.length]!]! });
  };
  const note = found.positions === null ? `The graph has ${analysis.nodes.length} nodes: drawn are the chosen one and those it attends to most.` : "";
  return [
    s("svg", { viewBox: `0 0 ${SIZE} ${SIZE}`, role: "group", "aria-label": `${analysis.nodes[node]}'s attention under ${title(chosen.key)}`, keydown: step },
      s("g", {}, ...lines), s("g", {}, ...dots), s("g", {}, ...labels)),
    h("p", { class: "help" }, `Lines from ${analysis.nodes[node]}: the heavier, the more attention. Size of a node: attention received from all. ${note}`),
  ];
}

/** An arc that bends to the right, so that both directions of a pair are seen. */
function curve([x1, y1]: [number, number], [x2, y2]: [number, number]): string {
  const bend = 0.09, cx = (x1 + x2) / 2 - bend * (y2 - y1), cy = (y1 + y2) / 2 + bend * (x2 - x1);
  return `M${x1.toFixed(1)} ${y1.toFixed(1)}Q${cx.toFixed(1)} ${cy.toFixed(1)} ${x2.toFixed(1)} ${y2.toFixed(1)}`;
}

interface Label { i: number; text: string; x: number; y: number }

/** Those labels, in order, that hide none before them. */
function labelled(labels: Label[]): Label[] {
  const kept: Label[] = [];
  for (const label of labels) {
    const free = kept.every((k) => Math.abs(k.y - label.y) > 13 || Math.abs(k.x - label.x) > 3.4 * (k.text.length + label.text.length) + 4);
    if (free) kept.push(label);
  }
  return kept;
}

/** The neighbours that the chosen node attends to most. */
export function neighbours(state: State, { found, chosen }: Picture, change: Change): Node[] {
  const { analysis } = found;
  const node = nodeOf(analysis, state.node), name = analysis.nodes[node]!;
  const degree = degrees(analysis)[node]!;
  const list = topOf(analysis, chosen.weights, node, state.top);
  const most = Math.max(...list.map((e) => e.weight), 1e-9);
  const rows = list.map(({ to, weight }) => h("tr", {},
    h("th", { scope: "row" }, h("button", { type: "button", class: "link", "data-key": `to-${to}`, click: () => change({ node: analysis.nodes[to]! }) }, analysis.nodes[to]!)),
    h("td", { class: "n" }, percent(weight)), h("td", { class: "bar" }, bar(weight / most))));
  return [
    h("h2", {}, `${name} attends to`),
    degree === 0 ? h("p", {}, "It has no neighbours.") : h("p", { class: "help" },
      `${degree} neighbours, of which ${chosen.effective[node]!.toFixed(1)} effectively (the exponential of the entropy); an even share would be ${percent(1 / degree)}.`),
    h("table", {}, h("thead", {}, h("tr", {}, h("th", {}, "Neighbour"), h("th", { class: "n" }, "Attention"), h("th", {}))), h("tbody", {}, ...rows)),
    h("label", { class: "inline" }, "Rows", h("input", {
      type: "number", id: "top", min: 1, max: 100, value: state.top, "data-key": "top",
      change: (e: Event) => { const n = (e.target as HTMLInputElement).valueAsNumber; if (Number.isInteger(n) && n >= 1 && n <= 100) change({ top: n }); },
    })),
  ];
}

function bar(share: number): SVGSVGElement {
  return s("svg", { viewBox: "0 0 100 8", preserveAspectRatio: "none", "aria-hidden": "true" },
    s("rect", { class: "track", width: 100, height: 8, rx: 1 }), s("rect", { class: "fill", width: (100 * Math.max(0, Math.min(1, share))).toFixed(2), height: 8, rx: 1 }));
}

/** All mechanisms side by side. */
export function compare({ found, results, chosen }: Picture, change: Change): Node[] {
  const { analysis } = found;
  const rows = results.map((r) => {
    const alike = agreement(analysis, r.weights, chosen.weights);
    return h("tr", r.key === chosen.key ? { "aria-current": "true" } : {},
      h("th", { scope: "row" }, h("button", { type: "button", class: "link", "data-key": r.key, click: () => change({ mechanism: r.key }) }, title(r.key))),
      h("td", { class: "n" }, meanOverLinked(analysis, r.effective).toFixed(2)),
      h("td", { class: "n" }, (r.entropy.reduce((a, b) => a + b, 0) / r.entropy.length).toFixed(3)),
      h("td", { class: "n" }, (1000 * r.seconds).toFixed(1)),
      h("td", { class: "n" }, percent(alike)), h("td", { class: "bar" }, bar(alike)));
  });
  return [
    h("h2", {}, "Mechanisms compared"),
    h("p", { class: "help" }, `Means over the nodes. “Attends to” is the effective number of neighbours; “alike” the attention shared with ${title(chosen.key)}.`),
    h("div", { class: "scroll" }, h("table", {}, h("thead", {}, h("tr", {}, h("th", {}, "Mechanism"),
      ...["Attends to", "Entropy", "ms", "Alike"].map((name) => h("th", { class: "n" }, name)), h("th", {}))), h("tbody", {}, ...rows))),
    ...Object.entries(analysis.skipped).map(([key, reason]) => h("p", { class: "help" }, `${title(key)} does not apply: ${reason}`)),
  ];
}

/** Attention among the best connected nodes. */
export function heat(state: State, { found, chosen }: Picture, change: Change): Node[] {
  const { analysis } = found;
  const nodes = largest(degrees(analysis), HEAT_NODES);
  const names = nodes.map((i) => analysis.nodes[i]!);
  return [
    h("h2", {}, "Heat map"),
    h("p", { class: "help" }, `Row attends to column, under ${title(chosen.key)}; the ${nodes.length} best connected nodes.`),
    h("div", { class: "scroll" }, matrix("Heat map", weightMatrix(analysis, chosen.weights, nodes), names, nodes.indexOf(nodeOf(analysis, state.node)),
      (i) => change({ node: names[i]! }))),
  ];
}

/** How much attention any two mechanisms share. */
export function agreementMatrix(picture: Picture, change: Change): Node[] {
  const keys = picture.results.map((r) => r.key);
  return [
    h("h2", {}, "Agreement"),
    h("p", { class: "help" }, "Attention that two mechanisms share: Σ min(p, q), mean over the nodes."),
    h("div", { class: "scroll" }, matrix("Agreement", agreements(picture), keys.map(title), keys.indexOf(picture.chosen.key), (i) => change({ mechanism: keys[i]! }))),
  ];
}

function matrix(about: string, values: number[][], names: string[], marked: number, pick: (row: number) => void): SVGSVGElement {
  const cell = 18, left = 8 + 6.6 * Math.max(...names.map((n) => n.length)), top = 0.78 * left + 10, side = cell * names.length;
  const most = Math.max(...values.flat(), 1e-9);
  const cells = values.flatMap((row, i) => row.flatMap((value, j) => value <= 0 ? [] : [s("rect", {
    class: "cell", x: left + j * cell, y: top + i * cell, width: cell - 1, height: cell - 1, rx: 2, opacity: Math.sqrt(value / most).toFixed(3), click: () => pick(i),
  }, s("title", {}, `${names[i]} → ${names[j]}: ${value.toFixed(3)}`))]));
  const labels = names.flatMap((name, i) => [
    s("text", { class: i === marked ? "mine" : "", x: left - 6, y: top + i * cell + 13, "text-anchor": "end", click: () => pick(i) }, name),
    s("text", { class: i === marked ? "mine" : "", transform: `translate(${left + i * cell + 12} ${top - 6}) rotate(-52)` }, name),
  ]);
  const frame = marked < 0 ? [] : [s("rect", { class: "mark", x: left - 1, y: top + marked * cell - 1, width: side + 1, height: cell + 1, rx: 3 })];
  const width = left + side + 0.62 * left, height = top + side + 6;
  return s("svg", { class: "matrix", viewBox: `0 0 ${width.toFixed(0)} ${height.toFixed(0)}`, width: width.toFixed(0), height: height.toFixed(0), role: "img", "aria-label": about },
    ...cells, ...labels, ...frame);
}

/** Which graph, and the way to another. */
export function file(state: State, picture: Picture | undefined, open: (file: File) => void, change: Change): Node[] {
  const own = state.graph !== DEFAULT_GRAPH;
  const size = picture && `${picture.found.analysis.nodes.length} nodes, ${picture.found.analysis.edges} edges`;
  return [
    h("p", { class: "graph-name" }, h("strong", {}, own ? state.graph : "Les Misérables"), size === undefined ? "" : ` · ${size}`),
    h("label", { class: "button" }, "Open a graph file", h("input", {
      type: "file", id: "graph-file", "data-key": "file", accept: SUFFIXES.join(","),
      change: (e: Event) => { const input = e.target as HTMLInputElement; const chosen = input.files?.[0]; input.value = ""; if (chosen) open(chosen); },
    })),
    own ? h("button", { type: "button", class: "quiet", "data-key": "default", click: () => change({ graph: DEFAULT_GRAPH, node: "" }) }, "Back to Les Misérables")
      : h("p", { class: "help" }, "JSON, CSV, a list of edges, GraphML, GEXF, GML, Pajek … It stays on this computer."),
  ];
}
