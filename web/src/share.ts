// Exports of the page: pictures, numbers, and programs that compute the same.

import { nodeOf, size, sources, type Graph, type Result } from "./graph.js";
import type { State } from "./state.js";

/** Style properties that a picture needs outside the page. */
const STYLED = [
  "fill",
  "fill-opacity",
  "stroke",
  "stroke-width",
  "stroke-linecap",
  "stroke-linejoin",
  "stroke-dasharray",
  "opacity",
  "font-family",
  "font-size",
  "font-weight",
  "paint-order",
  "text-anchor",
];

/** Return a picture of the page as a standalone file without style sheet, scripts and listeners. */
export function standalone(svg: SVGSVGElement): string {
  const copy = svg.cloneNode(true) as SVGSVGElement;
  const originals = [svg, ...svg.querySelectorAll<SVGElement>("*")],
    copies = [copy, ...copy.querySelectorAll<SVGElement>("*")];
  originals.forEach((element, i) => {
    const style = getComputedStyle(element),
      target = copies[i]!;
    for (const name of STYLED) target.setAttribute(name, style.getPropertyValue(name));
    for (const name of ["class", "tabindex", "role", "style"]) target.removeAttribute(name);
  });
  const { width, height } = svg.viewBox.baseVal;
  copy.setAttribute("xmlns", "http://www.w3.org/2000/svg");
  copy.setAttribute("width", String(Math.round(width)));
  copy.setAttribute("height", String(Math.round(height)));
  const ground = document.createElementNS("http://www.w3.org/2000/svg", "rect");
  const box = svg.viewBox.baseVal;
  for (const [name, value] of Object.entries({
    x: box.x,
    y: box.y,
    width,
    height,
    fill: getComputedStyle(document.body).backgroundColor,
  }))
    ground.setAttribute(name, String(value));
  copy.prepend(ground);
  return `<?xml version="1.0" encoding="UTF-8"?>\n${new XMLSerializer().serializeToString(copy)}`;
}

export async function png(svg: SVGSVGElement, scale = 2): Promise<Blob> {
  const image = new Image();
  image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(standalone(svg))}`;
  await image.decode();
  const canvas = document.createElement("canvas");
  canvas.width = scale * image.naturalWidth;
  canvas.height = scale * image.naturalHeight;
  canvas.getContext("2d")!.drawImage(image, 0, 0, canvas.width, canvas.height);
  return new Promise((resolve, reject) =>
    canvas.toBlob(
      (blob) => (blob === null ? reject(new Error("The picture cannot be made.")) : resolve(blob)),
      "image/png",
    ),
  );
}

/** Return a CSV cell that spreadsheets take as text, whatever its first character. */
const cell = (text: string): string => {
  const harmless = /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
  return /[",\n\r]/.test(harmless) ? `"${harmless.replaceAll('"', '""')}"` : harmless;
};

export function csv(graph: Graph, result: Result): string {
  const from = sources(graph);
  const lines = graph.indices.map(
    (to, e) => `${cell(graph.nodes[from[e]!]!)},${cell(graph.nodes[to]!)},${result.weights[e]}`,
  );
  return ["from,to,weight", ...lines, ""].join("\r\n");
}

export function json(graph: Graph, result: Result, state: State): string {
  return JSON.stringify(
    {
      graph: graph.title,
      mechanism: result.key,
      options: result.options,
      node: graph.nodes[nodeOf(graph, state.node)],
      masked: state.masked,
      nodes: graph.nodes,
      indptr: graph.indptr,
      indices: graph.indices,
      weights: Array.from(result.weights),
      ...(graph.ownLatents === true ? { latents: rows(graph) } : {}),
    },
    null,
    1,
  );
}

/** Format a value as a Python literal. */
function literal(value: unknown): string {
  if (value === null) return "None";
  if (typeof value === "boolean") return value ? "True" : "False";
  if (Array.isArray(value)) return `[${value.map(literal).join(", ")}]`;
  if (typeof value === "object")
    return `{${Object.entries(value)
      .map(([k, v]) => `${JSON.stringify(k)}: ${literal(v)}`)
      .join(", ")}}`;
  return JSON.stringify(value);
}

/** Return a Python program that prints the chosen node's attention. */
export function asPython(graph: Graph, state: State): string {
  const node = nodeOf(graph, state.node),
    { mechanism, options } = state;
  const own =
    graph.ownLatents === true
      ? literal(rows(graph))
      : `ga.graph.spectral_embedding(graph, ${Math.min(16, size(graph) - 1)})`;
  const hidden = state.masked.map((name) => graph.nodes.indexOf(name));
  return [
    "import numpy as np",
    "import graphattend as ga",
    "from graphattend.analysis import analyze",
    "",
    `names = ${literal(graph.nodes)}`,
    `indptr = np.array(${literal(graph.indptr)})`,
    `indices = np.array(${literal(graph.indices)})`,
    `graph = ga.NeighborGraph(indptr, indices, names=names${graph.edgeWeights === null ? "" : `, edge_weights=np.array(${literal(graph.edgeWeights)})`}${graph.layers === null ? "" : `, layers=np.array(${literal(graph.layers)})`})`,
    ...(size(graph) > 1 ? [`x = ${own.startsWith("ga.") ? own : `np.array(${own})`}`] : ["x = np.zeros((1, 4))"]),
    ...(hidden.length === 0
      ? []
      : [
          `seen = ~((graph.targets == ${node}) & np.isin(graph.indices, ${literal(hidden)}))`,
          `graph = ga.NeighborGraph.from_edge_index(graph.to_edge_index()[:, seen], len(names), names=names${graph.edgeWeights === null ? "" : ", edge_weights=graph.edge_weights[seen]"}${graph.layers === null ? "" : ", layers=graph.layers"})`,
        ]),
    `found = analyze(graph, x, [${JSON.stringify(mechanism)}], ${literal(options)})`,
    `for neighbour, weight in found.top(${JSON.stringify(mechanism)}, ${node}, ${state.top}):`,
    '    print(f"{names[neighbour]}: {weight:.4f}")',
    "",
  ].join("\n");
}

/** Return the same program in JavaScript, for a browser's module or Node.js. */
export function asJavaScript(graph: Graph, state: State): string {
  const node = nodeOf(graph, state.node),
    hidden = new Set(state.masked),
    from = sources(graph);
  const seen = graph.indices
    .map((_, e) => e)
    .filter((e) => !(from[e] === node && hidden.has(graph.nodes[graph.indices[e]!]!)));
  const js = (value: unknown): string =>
    JSON.stringify(value).replaceAll("<", "\\u003c").replaceAll("\u2028", "\\u2028").replaceAll("\u2029", "\\u2029");
  const fields = (edges: readonly number[]): string => {
    const counts = new Array<number>(size(graph)).fill(0);
    for (const e of edges) counts[from[e]!]!++;
    const indptr = [0];
    for (const n of counts) indptr.push(indptr.at(-1)! + n);
    return `{ names, indptr: ${js(indptr)}, indices: ${js(edges.map((e) => graph.indices[e]))}${graph.edgeWeights === null ? "" : `, edgeWeights: Float64Array.from(${js(edges.map((e) => graph.edgeWeights![e]))})`}${graph.layers === null ? "" : `, layers: ${js(graph.layers)}`} }`;
  };
  const spectral = `await ga.graphs.spectralEmbedding(graph, ${Math.min(16, size(graph) - 1)}, { dtype: "float64" })`;
  return [
    'import { connect } from "graphattend";',
    "",
    "const ga = await connect();",
    `const names = ${js(graph.nodes)};`,
    `const graph = await ga.graph(${fields(graph.indices.map((_, e) => e))});`,
    `const embeddings = ${size(graph) === 1 ? "[[0, 0, 0, 0]]" : graph.ownLatents === true ? js(rows(graph)) : spectral};`,
    ...(hidden.size === 0 ? [] : [`const seen = await ga.graph(${fields(seen)});`]),
    `const found = await ga.analysis.analyze(${hidden.size === 0 ? "graph" : "seen"}, { embeddings, keys: [${js(state.mechanism)}], options: ${js(state.options)} });`,
    `for (const [neighbour, weight] of await found.top(${js(state.mechanism)}, ${node}, { count: ${state.top} })) {`,
    "  console.log(`${names[neighbour]}: ${weight.toFixed(4)}`);",
    "}",
    "await ga.close();",
    "",
  ].join("\n");
}

function rows(graph: Graph): number[][] {
  return graph.nodes.map((_, i) => graph.latents.slice(i * graph.dim, (i + 1) * graph.dim));
}
