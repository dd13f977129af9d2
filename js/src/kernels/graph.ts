import { AttentionError, invalid } from "../errors.js";
import { cotangent, isFinite, matrixOf, overflow, remember, tail, unbroadcast } from "./core.js";
import type { Block, Memory } from "./memory.js";
import * as check from "./operands.js";
import { Tensor } from "./tensor.js";
import type { Attended, Data, Matrix, Vjp } from "./types.js";

/** Neighbour lists (CSR): row i of `indices` lists the nodes that node i attends to. */
export interface Csr {
  /** Row starts, (M+1,). */
  indptr: ArrayLike<number>;
  /** Neighbours, (K,). */
  indices: ArrayLike<number>;
}

/** Neighbour lists in the kernels' memory: checked and copied once. */
export class Graph {
  readonly numNodes: number;
  readonly numEdges: number;
  /** Nodes that edges may point to. */
  readonly numTargets: number;
  readonly #memory: Memory;
  readonly #owners: readonly [object, object] = [{}, {}];
  #lists: Lists | undefined;

  /** @internal Made by `graph`. */
  constructor(memory: Memory, given: Csr, targets: number | undefined) {
    const lists = readLists(memory, given);
    this.numNodes = lists.start.shape[0]! - 1;
    this.numEdges = lists.index.shape[0]!;
    this.numTargets = targets ?? this.numNodes;
    checkTargets(memory, lists.index, this.numTargets);
    this.#memory = memory;
    const start = memory.keep(lists.start.shape, "int64", this.#owners[0]);
    const index = memory.keep(lists.index.shape, "int32", this.#owners[1]);
    memory.u8.copyWithin(start.data, lists.start.data, lists.start.data + 8 * lists.start.size);
    memory.u8.copyWithin(index.data, lists.index.data, lists.index.data + 4 * lists.index.size);
    this.#lists = { start, index };
  }

  /** @internal Its lists in this memory. */
  static lists(graph: Graph, memory: Memory): Lists {
    if (graph.#memory !== memory) throw invalid("graph", "expected a graph of these kernels, got one of another `load()`");
    if (graph.#lists === undefined) throw new AttentionError("freed", "graph: the graph has been freed", { argument: "graph" });
    return graph.#lists;
  }

  /** Give its memory back; a second call does nothing. */
  free(): void {
    const lists = this.#lists;
    this.#lists = undefined;
    if (lists === undefined) return;
    this.#memory.free(lists.start, this.#owners[0]);
    this.#memory.free(lists.index, this.#owners[1]);
  }

  /** The same, at the end of a block with `using`. */
  [Symbol.dispose](): void {
    this.free();
  }
}

interface Lists {
  start: Block;
  index: Block;
}

function readLists(memory: Memory, given: unknown): Lists {
  if (typeof given !== "object" || given === null || !("indptr" in given) || !("indices" in given)) {
    throw invalid("graph", "expected { indptr, indices }", { expected: "{ indptr, indices }", actual: given });
  }
  const index = check.checkAxes(check.indices(memory, given.indices, "indices"), "indices", 1, 1);
  return { start: check.rowStarts(memory, given.indptr, index.shape[0]!), index };
}

function checkTargets(memory: Memory, index: Block, targets: number): void {
  const from = index.data >> 2;
  for (let i = 0; i < index.size; i++) {
    const node = memory.i32[from + i]!;
    if (node < 0 || node >= targets) throw check.outOfBounds("indices", node, targets);
  }
}

/** The lists of a graph, all pointing to `targets` nodes. */
export function listsOf(memory: Memory, graph: unknown, targets: number): Lists {
  if (!(graph instanceof Graph)) {
    const lists = readLists(memory, graph);
    checkTargets(memory, lists.index, targets);
    return lists;
  }
  const lists = Graph.lists(graph, memory);
  if (graph.numTargets > targets) checkTargets(memory, lists.index, targets);
  return lists;
}

export interface GraphAttentionOptions {
  /** Factor of the scores; 1/√D by default. */
  scale?: number | null;
  /** Added to the scores, (K,) or (K, H); -Infinity hides an edge. */
  bias?: Data | null;
  /** Also return the weights, (K,) or (K, H), in CSR order. */
  needWeights?: boolean;
}
const NAME = "graph_attention";

interface Call extends Lists {
  q: Block;
  k: Block;
  v: Block;
  bias: Block | null;
  scale: number;
  needWeights: boolean;
  /** Of the weights. */
  edges: readonly number[];
}

function prepare(memory: Memory, query: unknown, key: unknown, value: unknown, graph: unknown, given: unknown): Call {
  const o = check.options(given, ["scale", "bias", "needWeights"], NAME);
  const [q, k, v] = ([["query", query], ["key", key], ["value", value]] as const).map(([name, x]) => {
    const block = check.checkAxes(check.floats(memory, x, name), name, 2, 3);
    check.checkFilled(block, name);
    return block;
  }) as [Block, Block, Block];
  const heads = q.shape.length === 3 ? q.shape[1]! : 0;
  ([[k, "key"], [v, "value"]] as const).forEach(([x, name]) => {
    check.checkAxes(x, name, q.shape.length, q.shape.length);
    if (heads > 0) check.checkLength(x, name, 1, heads, "the query's heads");
  });
  check.checkLength(k, "key", -1, tail(q, 1), "the query's width");
  check.checkLength(v, "value", 0, k.shape[0]!, "one value per key");
  const { start, index } = listsOf(memory, graph, k.shape[0]!);
  check.checkLength(start, "indptr", 0, q.shape[0]! + 1, "one row per query, and the end");
  const edges = heads > 0 ? [index.size, heads] : [index.size];
  const bias = o.bias === undefined ? null : check.floats(memory, o.bias, "bias");
  if (bias !== null) check.checkShape(bias, "bias", edges);
  const scale = o.scale === undefined ? tail(q, 1) ** -0.5 : check.number(o.scale, "scale");
  return { q, k, v, start, index, bias, scale, edges, needWeights: o.needWeights !== undefined && check.flag(o.needWeights, "need_weights") };
}

interface Result {
  out: Block;
  weights: Block | null;
}

function run(memory: Memory, call: Call, wantWeights: boolean): Result {
  const { q, k, v, start, index, bias, scale, edges } = call;
  const shape = [...q.shape.slice(0, -1), tail(v, 1)];
  if (index.size === 0) return { out: memory.zeros(shape), weights: wantWeights ? memory.room(edges) : null };
  const out = memory.room(shape);
  const weights = wantWeights ? memory.room(edges) : null;
  if (memory.must("graph_attend", q, k, v, start, index, bias, out, weights, scale)) return { out, weights };
  if (isFinite(memory, q, k, v)) throw overflow(NAME);
  return { out, weights };
}

/** Where edges are hidden in all heads they are left out, so that what they lead to is not read. */
function withoutHidden(memory: Memory, call: Call): { call: Call; kept: Int32Array } | null {
  const { bias, start, index } = call;
  if (bias === null || isFinite(memory, bias)) return null;
  const heads = bias.size / index.size;
  const kept: number[] = [];
  const starts = [0];
  const bounds = memory.i32.subarray(start.data >> 2, (start.data >> 2) + 2 * start.size);
  for (let row = 0; row + 1 < start.size; row++) {
    for (let e = bounds[2 * row]!; e < bounds[2 * row + 2]!; e++) {
      const at = (bias.data >> 2) + e * heads;
      if (memory.f32.subarray(at, at + heads).some((x) => x !== -Infinity)) kept.push(e);
    }
    starts.push(kept.length);
  }
  const edges = [kept.length, ...call.edges.slice(1)];
  const fewer = { ...readLists(memory, { indptr: Int32Array.from(starts), indices: Int32Array.from(kept, (e) => memory.i32[(index.data >> 2) + e]!) }) };
  const added = memory.room(edges);
  kept.forEach((e, i) => memory.f32.copyWithin((added.data >> 2) + i * heads, (bias.data >> 2) + e * heads, (bias.data >> 2) + (e + 1) * heads));
  return { call: { ...call, ...fewer, bias: added, edges }, kept: Int32Array.from(kept) };
}

/** Values by edge back among those that were left out, which have 0. */
function spread(memory: Memory, some: Block, kept: Int32Array, edges: readonly number[]): Block {
  const all = memory.zeros(edges);
  const heads = edges[1] ?? 1;
  kept.forEach((e, i) => memory.f32.copyWithin((all.data >> 2) + e * heads, (some.data >> 2) + i * heads, (some.data >> 2) + (i + 1) * heads));
  return all;
}

function forward(memory: Memory, call: Call, wantWeights: boolean): Result {
  const fewer = withoutHidden(memory, call);
  if (fewer === null) return run(memory, call, wantWeights);
  const { out, weights } = run(memory, fewer.call, wantWeights);
  return { out, weights: weights && spread(memory, weights, fewer.kept, call.edges) };
}

export function graphAttention(memory: Memory, query: Data, key: Data, value: Data, graph: Csr | Graph, given?: GraphAttentionOptions): Matrix | Attended {
  return memory.run(() => {
    const call = prepare(memory, query, key, value, graph, given);
    const { out, weights } = forward(memory, call, call.needWeights);
    const output = matrixOf(memory, out);
    return weights === null ? output : { output, weights: matrixOf(memory, weights) };
  });
}

export interface GraphAttentionGradients {
  query: Matrix;
  key: Matrix;
  value: Matrix;
  bias?: Matrix;
}

export function graphAttentionVjp(memory: Memory, query: Data, key: Data, value: Data, graph: Csr | Graph, given: GraphAttentionOptions = {}): Vjp<Matrix, GraphAttentionGradients> {
  return memory.run(() => {
    const call = prepare(memory, query, key, value, graph, { ...given, needWeights: false });
    const { out, weights } = forward(memory, call, true);
    const output = matrixOf(memory, out);
    const kept = matrixOf(memory, weights!);
    const [q, k, v] = [query, key, value].map((x, i) => remember(memory, x, [call.q, call.k, call.v][i]!, [call.q, call.k, call.v][i]!.shape)) as [Data, Data, Data];
    const lists = graph instanceof Graph ? graph : { indptr: Int32Array.from(graph.indptr), indices: Int32Array.from(graph.indices) };
    const bias = call.bias === null ? {} : { bias: remember(memory, given.bias, call.bias, call.edges) as Data };
    const options: GraphAttentionOptions = { scale: call.scale, ...bias };
    const pullback = (gradient: Data): GraphAttentionGradients => memory.run(() =>
      backward(memory, prepare(memory, q, k, v, lists, options), check.floats(memory, kept, "weights"), cotangent(memory, gradient, output.shape)));
    return { output, pullback };
  });
}

function backward(memory: Memory, whole: Call, allWeights: Block, g: Block): GraphAttentionGradients {
  const fewer = withoutHidden(memory, whole);
  const call = fewer?.call ?? whole;
  const { q, k, v, start, index, scale, edges } = call;
  const [dq, dk, dv, dbias] = [q, k, v].map((x) => memory.zeros(x.shape)).concat(memory.room(edges)) as [Block, Block, Block, Block];
  if (index.size > 0) {
    let weights = allWeights;
    if (fewer !== null) {
      const heads = edges[1] ?? 1;
      weights = memory.room(edges);
      fewer.kept.forEach((e, i) => memory.f32.copyWithin((weights.data >> 2) + i * heads, (allWeights.data >> 2) + e * heads, (allWeights.data >> 2) + (e + 1) * heads));
    }
    memory.must("graph_attend_vjp", q, k, v, g, dq, dk, dv, start, index, weights, dbias, scale);
  }
  const gradients: GraphAttentionGradients = { query: matrixOf(memory, dq), key: matrixOf(memory, dk), value: matrixOf(memory, dv) };
  if (whole.bias !== null) gradients.bias = matrixOf(memory, fewer === null ? dbias : spread(memory, dbias, fewer.kept, whole.edges));
  return gradients;
}

export interface GatParameters {
  /** (H, D, E), or (D, E) for one head. */
  w: Data;
  /** (H, E). */
  aQuery: Data;
  aKey: Data;
  /** Of the features of edges: (H, e, E) and (H, E). */
  wE?: Data;
  aEdge?: Data;
  /** (H·E,), or (E,) where heads are averaged. */
  bias?: Data;
}

/** Parameters by their names, in either spelling. */
export function named<K extends string>(memory: Memory, given: unknown, names: readonly K[], needed: readonly K[]): { [name in K]?: Block } {
  if (typeof given !== "object" || given === null || Array.isArray(given) || given instanceof Tensor) {
    throw invalid("parameters", `expected a mapping of names to arrays, got ${check.show(given)}`, { expected: "a mapping", actual: given });
  }
  const all = check.options(given, names, "parameters");
  const missing = needed.find((name) => all[name] === undefined);
  if (missing !== undefined) throw invalid("parameters", `${check.snake(missing)} is missing`, { expected: names });
  const out: { [name in K]?: Block } = {};
  for (const name of names) if (all[name] !== undefined) out[name] = check.floats(memory, all[name], check.snake(name));
  return out;
}

/** What a layer of graph attention adds and joins at its end. */
export function finishHeads(memory: Memory, out: Block, heads: number, concat: boolean, bias: Block | undefined): Block {
  const width = tail(out, 1) / heads;
  const rows = out.size / tail(out, 1);
  let y = out;
  if (!concat && heads > 1) {
    y = unbroadcast(memory, memory.view(out, [rows, heads, width]), [rows, 1, width]);
    for (let i = 0; i < y.size; i++) memory.f32[(y.data >> 2) + i]! /= heads;
  }
  const columns = concat ? heads * width : width;
  if (bias !== undefined) {
    check.checkShape(bias, "bias", [columns]);
    memory.must("accumulate", memory.view(bias, [rows, columns], [0, 1]), memory.view(y, [rows, columns]));
  }
  return memory.view(y, [...out.shape.slice(0, -1), columns]);
}

/** Weights, score vectors and head count, checked against the width of the nodes. */
export function gatShapes(memory: Memory, p: { [name: string]: Block | undefined }, matrices: readonly string[], vectors: readonly string[], dim: number): { heads: number; width: number } {
  for (const name of matrices) {
    const w = check.checkAxes(p[name]!, check.snake(name), 2, 3);
    if (w.shape.length === 2) p[name] = memory.view(w, [1, ...w.shape]);
  }
  for (const name of vectors) {
    const a = check.checkAxes(p[name]!, check.snake(name), 1, 2);
    if (a.shape.length === 1) p[name] = memory.view(a, [1, ...a.shape]);
  }
  const first = p[matrices[0]!]!;
  const [heads, , width] = first.shape as [number, number, number];
  check.checkLength(first, check.snake(matrices[0]!), 1, dim, "the width of the nodes");
  for (const name of matrices.slice(1)) check.checkShape(p[name]!, check.snake(name), name === "wE" ? [heads, p[name]!.shape[1]!, width] : [heads, dim, width]);
  for (const name of vectors) check.checkShape(p[name]!, check.snake(name), [heads, width]);
  return { heads, width };
}

export interface GatLayerOptions {
  /** Join the heads (the default), else average them. */
  concat?: boolean;
  /** Slope of the LeakyReLU below zero, 0.2 by default. */
  negativeSlope?: number;
  /** Features of the edges, (K, e). */
  edgeFeatures?: Data | null;
  /** Also return the weights, (K, H), in CSR order. */
  needWeights?: boolean;
}

/** Score of each edge before LeakyReLU from its features: features · (w_e a_edge). */
export function edgeScores(memory: Memory, features: Block, wE: Block, aEdge: Block): Block {
  const [heads, width] = [wE.shape[0]!, wE.shape[2]!];
  check.checkLength(features, "edge_features", -1, wE.shape[1]!, "the rows of w_e");
  const factor = memory.room([heads, wE.shape[1]!, 1]);
  memory.must("matmul", wE, memory.view(aEdge, [heads, width, 1]), factor, 0);
  const rows = features.size / tail(features, 1);
  const out = memory.room([rows, heads]);
  memory.must("matmul", memory.view(features, [rows, tail(features, 1)]), memory.view(factor, [heads, wE.shape[1]!]), out, 2);
  return out;
}

/** A whole layer over a graph in one kernel. */
export function gatLayer(memory: Memory, x: Data, graph: Csr | Graph, parameters: GatParameters, given?: GatLayerOptions): Matrix | Attended {
  return memory.run(() => {
    const o = check.options(given, ["concat", "negativeSlope", "edgeFeatures", "needWeights"], "gat_layer");
    const concat = o.concat === undefined || check.flag(o.concat, "concat");
    const slope = o.negativeSlope === undefined ? 0.2 : check.number(o.negativeSlope, "negative_slope", { least: 0 });
    const needWeights = o.needWeights !== undefined && check.flag(o.needWeights, "need_weights");
    const nodes = check.checkAxes(check.floats(memory, x, "x"), "x", 2, 2);
    check.checkFilled(nodes, "x");
    const withEdges = o.edgeFeatures !== undefined;
    const p = named(memory, parameters, ["w", "aQuery", "aKey", "wE", "aEdge", "bias"], withEdges ? ["w", "aQuery", "aKey", "wE", "aEdge"] : ["w", "aQuery", "aKey"]);
    const { heads, width } = gatShapes(memory, p, withEdges ? ["w", "wE"] : ["w"], withEdges ? ["aQuery", "aKey", "aEdge"] : ["aQuery", "aKey"], tail(nodes, 1));
    const { start, index } = listsOf(memory, graph, nodes.shape[0]!);
    check.checkLength(start, "indptr", 0, nodes.shape[0]! + 1, "one row per node, and the end");
    let added: Block | null = null;
    if (withEdges) {
      const features = check.checkAxes(check.floats(memory, o.edgeFeatures, "edge_features"), "edge_features", 2, 2);
      check.checkLength(features, "edge_features", 0, index.size, "one row per edge");
      if (index.size > 0) added = edgeScores(memory, features, p.wE!, p.aEdge!);
    }
    const n = nodes.shape[0]!;
    const out = memory.zeros([n, heads, width]);
    const hidden = memory.room([n, heads * width]);
    const weights = needWeights ? memory.room([index.size, heads]) : null;
    if (index.size > 0 && !memory.must("gat", nodes, p.w!, p.aQuery!, p.aKey!, start, index, added, hidden, out, weights, slope) && isFinite(memory, nodes, p.w!)) {
      throw overflow("gat_layer");
    }
    const output = matrixOf(memory, finishHeads(memory, memory.view(out, [n, heads * width]), heads, concat, p.bias));
    return weights === null ? output : { output, weights: matrixOf(memory, weights) };
  });
}
