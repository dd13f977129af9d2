import { AttentionError, invalid, look } from "../errors.js";
import { cotangent, isFinite, matrixOf, optionsAndGradient, overflow, remember, tail } from "./core.js";
import type { Block, Memory } from "./memory.js";
import * as check from "./operands.js";
import type { Tensor } from "./tensor.js";
import type { Attended, Data, Output, Vjp } from "./types.js";

/** Neighbour lists (CSR): row i of `indices` lists the nodes that node i attends to. */
export interface Csr {
  /** Row starts, (M+1,). */
  indptr: Whole;
  /** Neighbours, (K,). */
  indices: Whole;
}

type Whole = ArrayLike<number> | ArrayLike<bigint> | { data: ArrayLike<number>; shape: readonly number[] } | Tensor;

/** Neighbour lists in the kernels' memory: checked and copied once. */
export class Graph {
  /** The name, also if a minifier has shortened the name of the class. */
  static readonly name: string = "Graph";
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

  /** @internal Whether something is one, asked without touching what a caller gave. */
  static is(x: unknown): x is Graph {
    return typeof x === "object" && x !== null && #memory in x;
  }

  /** @internal Its lists in this memory. */
  static lists(graph: Graph, memory: Memory): Lists {
    if (graph.#memory !== memory)
      throw invalid("graph", "expected a graph of these kernels, got one of another `load()`");
    if (graph.#lists === undefined)
      throw new AttentionError("freed", "graph: the graph has been freed", { argument: "graph" });
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

export interface Lists {
  start: Block;
  index: Block;
}

function readLists(memory: Memory, given: unknown): Lists {
  if (!isLists(given)) {
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

/** The lists turned round: for every target the rows that list it, and where in `index` they do. */
export function transposed(memory: Memory, { start, index }: Lists, targets: number): Lists & { order: Block } {
  const turned = {
    start: memory.room([targets + 1], "int64"),
    index: memory.room(index.shape, "int32"),
    order: memory.room(index.shape, "int32"),
  };
  const { i32 } = memory;
  const [rows, nodes, starts, sources, order] = [start, index, turned.start, turned.index, turned.order].map(
    (x) => x.data >> 2,
  ) as [number, number, number, number, number];
  const next = new Int32Array(targets + 1);
  for (let e = 0; e < index.size; e++) next[i32[nodes + e]! + 1]!++;
  for (let node = 0; node < targets; node++) next[node + 1]! += next[node]!;
  next.forEach((at, node) => {
    i32[starts + 2 * node] = at;
    i32[starts + 2 * node + 1] = 0;
  });
  for (let row = 0; row + 1 < start.size; row++) {
    for (let e = i32[rows + 2 * row]!; e < i32[rows + 2 * row + 2]!; e++) {
      const at = next[i32[nodes + e]!]!++;
      i32[sources + at] = row;
      i32[order + at] = e;
    }
  }
  return turned;
}

/** The lists of a graph, all pointing to `targets` nodes. */
export function listsOf(memory: Memory, graph: unknown, targets: number): Lists {
  if (!Graph.is(graph)) {
    const lists = readLists(memory, graph);
    checkTargets(memory, lists.index, targets);
    return lists;
  }
  const lists = Graph.lists(graph, memory);
  if (graph.numTargets > targets) checkTargets(memory, lists.index, targets);
  return lists;
}

/** A graph to come back to: one in this memory as it is, else a copy. */
export function rememberGraph(memory: Memory, graph: unknown, { start, index }: Lists): Csr | Graph {
  if (Graph.is(graph)) return graph;
  const from = index.data >> 2;
  return {
    indptr: Int32Array.from({ length: start.size }, (_x, i) => memory.i32[(start.data >> 2) + 2 * i]!),
    indices: memory.i32.slice(from, from + index.size),
  };
}

/** Whether an argument stands for a graph, well formed or not. */
const isLists = (x: unknown): x is Csr =>
  look(() => typeof x === "object" && x !== null && "indptr" in x && "indices" in x, "graph");

export const isGraph = (x: unknown): x is Csr | Graph =>
  Graph.is(x) || look(() => typeof x === "object" && x !== null && ("indptr" in x || "indices" in x), "query");

export interface GraphAttentionOptions {
  /** Factor of the scores; 1/√D by default. */
  scale?: number | null;
  /** Added to the scores, (K,) or (K, H); -Infinity hides an edge. */
  edgeBias?: Data | null;
  /** Also return the weights, (K,) or (K, H), in CSR order. */
  needWeights?: boolean;
}
const NAME = "graph_attention";
const OPTIONS = ["scale", "edgeBias", "needWeights"] as const;

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

function prepare(memory: Memory, graph: unknown, query: unknown, key: unknown, value: unknown, given: unknown): Call {
  const o = check.options(given, OPTIONS, NAME);
  const [q, k, v] = (
    [
      ["query", query],
      ["key", key],
      ["value", value],
    ] as const
  ).map(([name, x]) => {
    const block = check.checkAxes(check.floats(memory, x, name), name, 2, 3);
    check.checkFilled(block, name);
    return block;
  }) as [Block, Block, Block];
  const heads = q.shape.length === 3 ? q.shape[1]! : 0;
  (
    [
      [k, "key"],
      [v, "value"],
    ] as const
  ).forEach(([x, name]) => {
    check.checkAxes(x, name, q.shape.length, q.shape.length);
    if (heads > 0) check.checkLength(x, name, 1, heads, "the query's heads");
  });
  check.checkLength(k, "key", -1, tail(q, 1), "the query's width");
  check.checkLength(v, "value", 0, k.shape[0]!, "one value per key");
  const { start, index } = listsOf(memory, graph, k.shape[0]!);
  check.checkLength(start, "indptr", 0, q.shape[0]! + 1, "one row per query, and the end");
  const edges = heads > 0 ? [index.size, heads] : [index.size];
  const bias = o.edgeBias === undefined ? null : check.floats(memory, o.edgeBias, "edge_bias");
  if (bias !== null) check.checkShape(bias, "edge_bias", edges);
  const scale = o.scale === undefined ? tail(q, 1) ** -0.5 : check.number(o.scale, "scale");
  return {
    q,
    k,
    v,
    start,
    index,
    bias,
    scale,
    edges,
    needWeights: o.needWeights !== undefined && check.flag(o.needWeights, "need_weights"),
  };
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
  const finite = memory.must(
    "graph_attend",
    q,
    k,
    v,
    start,
    index,
    bias,
    null,
    null,
    null,
    out,
    weights,
    null,
    scale,
    false,
    false,
  );
  if (finite) return { out, weights };
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
  const fewer = {
    ...readLists(memory, {
      indptr: Int32Array.from(starts),
      indices: Int32Array.from(kept, (e) => memory.i32[(index.data >> 2) + e]!),
    }),
  };
  const added = memory.room(edges);
  kept.forEach((e, i) =>
    memory.f32.copyWithin(
      (added.data >> 2) + i * heads,
      (bias.data >> 2) + e * heads,
      (bias.data >> 2) + (e + 1) * heads,
    ),
  );
  return { call: { ...call, ...fewer, bias: added, edges }, kept: Int32Array.from(kept) };
}

/** Values by edge back among those that were left out, which have 0. */
function spread(memory: Memory, some: Block, kept: Int32Array, edges: readonly number[]): Block {
  const all = memory.zeros(edges);
  const heads = edges[1] ?? 1;
  kept.forEach((e, i) =>
    memory.f32.copyWithin(
      (all.data >> 2) + e * heads,
      (some.data >> 2) + i * heads,
      (some.data >> 2) + (i + 1) * heads,
    ),
  );
  return all;
}

function forward(memory: Memory, call: Call, wantWeights: boolean): Result {
  const fewer = withoutHidden(memory, call);
  if (fewer === null) return run(memory, call, wantWeights);
  const { out, weights } = run(memory, fewer.call, wantWeights);
  return { out, weights: weights && spread(memory, weights, fewer.kept, call.edges) };
}

export function graphAttention(
  memory: Memory,
  graph: Csr | Graph,
  query: Data,
  key: Data,
  value: Data,
  given?: GraphAttentionOptions,
): Output | Attended {
  return memory.run(() => {
    const call = prepare(memory, graph, query, key, value, given);
    const { out, weights } = forward(memory, call, call.needWeights);
    const output = matrixOf(memory, out);
    return weights === null ? output : { output, weights: matrixOf(memory, weights) };
  });
}

export interface GraphAttentionGradients {
  query: Output;
  key: Output;
  value: Output;
  edgeBias?: Output;
}

export function graphAttentionVjp(
  memory: Memory,
  graph: Csr | Graph,
  query: Data,
  key: Data,
  value: Data,
  given?: unknown,
  g?: unknown,
): Vjp<Output, GraphAttentionGradients> | GraphAttentionGradients {
  const [options, gradient] = optionsAndGradient(given, g);
  return memory.run(() => {
    const call = prepare(memory, graph, query, key, value, options);
    const { out, weights } = forward(memory, call, true);
    if (gradient !== undefined) return backward(memory, call, weights!, gradient);
    const [output, kept] = [matrixOf(memory, out), matrixOf(memory, weights!)];
    const [q, k, v] = (
      [
        [query, call.q],
        [key, call.k],
        [value, call.v],
      ] as const
    ).map(([x, block]) => remember(memory, x, block, block.shape));
    const lists = rememberGraph(memory, graph, call);
    const { edgeBias } = check.options(options, OPTIONS, NAME);
    const again = {
      scale: call.scale,
      ...(call.bias === null ? {} : { edgeBias: remember(memory, edgeBias, call.bias, call.edges) }),
    };
    return {
      output,
      pullback: (later) =>
        memory.run(() =>
          backward(memory, prepare(memory, lists, q, k, v, again), check.floats(memory, kept, "weights"), later),
        ),
    };
  });
}

function backward(memory: Memory, whole: Call, allWeights: Block, gradient: unknown): GraphAttentionGradients {
  const g = cotangent(memory, gradient, [...whole.q.shape.slice(0, -1), tail(whole.v, 1)]);
  const fewer = withoutHidden(memory, whole);
  const call = fewer?.call ?? whole;
  const { q, k, v, start, index, scale, edges } = call;
  const [dq, dk, dv, dbias] = [q, k, v].map((x) => memory.zeros(x.shape)).concat(memory.room(edges)) as [
    Block,
    Block,
    Block,
    Block,
  ];
  if (index.size > 0) {
    let weights = allWeights;
    if (fewer !== null) {
      const heads = edges[1] ?? 1;
      weights = memory.room(edges);
      fewer.kept.forEach((e, i) =>
        memory.f32.copyWithin(
          (weights.data >> 2) + i * heads,
          (allWeights.data >> 2) + e * heads,
          (allWeights.data >> 2) + (e + 1) * heads,
        ),
      );
    }
    memory.must("graph_attend_vjp", g, k, v, start, index, weights, dbias, dq, scale, false);
    const turned = transposed(memory, call, k.shape[0]!);
    memory.must("graph_sum", q, turned.start, turned.index, turned.order, dbias, dk, scale, false);
    memory.must("graph_sum", g, turned.start, turned.index, turned.order, weights, dv, 1, false);
  }
  const gradients: GraphAttentionGradients = {
    query: matrixOf(memory, dq),
    key: matrixOf(memory, dk),
    value: matrixOf(memory, dv),
  };
  if (whole.bias !== null)
    gradients.edgeBias = matrixOf(memory, fewer === null ? dbias : spread(memory, dbias, fewer.kept, whole.edges));
  return gradients;
}
