import { cotangent, isFinite, matrixOf, optionsAndGradient, overflow, remember, tail, unbroadcast } from "./core.js";
import {
  NAME,
  NAMES,
  edgeScores,
  finishHeads,
  layer,
  readParameters,
  scoreVector,
  type GatBasics,
  type GatParameters,
  type GatV2Parameters,
  type Layer,
  type Parameters,
  type Variant,
} from "./gat-parameters.js";
import { listsOf, rememberGraph, transposed, type Csr, type Graph, type Lists } from "./graph.js";
import type { Block, Memory } from "./memory.js";
import * as check from "./operands.js";
import type { Attended, Data, Output, Vjp } from "./types.js";

export interface GatGraphOptions extends GatBasics {
  /** Features of the edges, (K, e). */
  edgeFeatures?: Data | null;
  /** Also return the weights, (K, H), in CSR order. */
  needWeights?: boolean;
}

interface Call extends Lists, Parameters, Omit<Layer, "attnMask"> {
  x: Block;
}

function prepare(memory: Memory, graph: unknown, x: unknown, parameters: unknown, given: unknown): Call {
  const own = layer(memory, given, [], 2);
  const { features } = own;
  const nodes = check.checkAxes(check.floats(memory, x, "x"), "x", 2, 2);
  check.checkFilled(nodes, "x");
  const read = readParameters(memory, parameters, own.variant, features !== null, tail(nodes, 1));
  const { start, index } = listsOf(memory, graph, nodes.shape[0]!);
  check.checkLength(start, "indptr", 0, nodes.shape[0]! + 1, "one row per node, and the end");
  if (features !== null) {
    check.checkLength(features, "edge_features", 0, index.size, "one row per edge");
    check.checkLength(features, "edge_features", -1, read.p["wE"]!.shape[1]!, "the rows of w_e");
  }
  return { ...own, ...read, x: nodes, start, index };
}

/** w (H, D, E) seen as (D, H, E). */
const across = (memory: Memory, w: Block): Block => {
  const [heads, dim, width] = w.shape as [number, number, number];
  return memory.view(w, [dim, heads, width], [width, dim * width, 1]);
};

/** w (H, D, E) as one matrix (D, H·E), so that all heads are one product. */
function joined(memory: Memory, w: Block): Block {
  const [heads, dim, width] = w.shape as [number, number, number];
  const out = memory.zeros([dim, heads, width]);
  memory.must("accumulate", across(memory, w), out);
  return memory.view(out, [dim, heads * width]);
}

/** x (N, D) by w (H, D, E): (N, H·E), all heads of a node side by side. */
function project(memory: Memory, x: Block, w: Block): Block {
  const out = memory.room([x.shape[0]!, w.shape[0]! * w.shape[2]!]);
  memory.must("matmul", x, joined(memory, w), out, 0);
  return out;
}

interface Pulled {
  x: Block;
  w: Block;
  a?: Block;
}

/** Gradients of `project` by x and w. */
function projectPullback(memory: Memory, x: Block, w: Block, g: Block): Pulled {
  const [heads, dim, width] = w.shape as [number, number, number];
  const [gx, gw, together] = [memory.room(x.shape), memory.zeros(w.shape), memory.room([dim, heads * width])];
  memory.must("matmul", x, g, together, 1);
  memory.must("accumulate", memory.view(together, [dim, heads, width]), across(memory, gw));
  memory.must("matmul", g, joined(memory, w), gx, 2);
  return { x: gx, w: gw };
}

/**
 * What the scores of edges are made of: a · LeakyReLU(left of the row's node + right of the neighbour + edge), C numbers for
 * each head. GAT has taken the products with its vectors before; there C = 1 and a = 1.
 */
interface Parts {
  /** (N, H·C), (N, H·C), (K, H·C), (H, C). */
  left: Block;
  right: Block;
  edge: Block | null;
  a: Block;
  /** What is averaged, (N, H·E). */
  values: Block;
}

function partsOf(memory: Memory, { x, features, p, variant, heads, index }: Call): Parts {
  const edges = index.size > 0 ? features : null;
  if (variant === "gatv2") {
    const values = project(memory, x, p["wKey"]!);
    return {
      left: project(memory, x, p["wQuery"]!),
      right: values,
      edge: edges && project(memory, edges, p["wE"]!),
      a: p["a"]!,
      values,
    };
  }
  const values = project(memory, x, p["w"]!);
  const rows = byHead(memory, values, heads);
  const a = memory.room([heads, 1]);
  memory.f32.fill(1, a.data >> 2, (a.data >> 2) + heads);
  return {
    left: headDots(memory, rows, p["aQuery"]!),
    right: headDots(memory, rows, p["aKey"]!),
    a,
    values,
    edge: edges && edgeScores(memory, edges, p["wE"]!, p["aEdge"]!),
  };
}

/** What rows (N, H, E) add to the scores of edges: their products with a (H, E). */
function headDots(memory: Memory, rows: Block, a: Block): Block {
  const out = memory.room([rows.shape[0]!, a.shape[0]!]);
  memory.must("head_dots", rows, a, out);
  return out;
}

/** A block (N, H·C) by head. */
const byHead = (memory: Memory, x: Block, heads: number): Block =>
  memory.view(x, [x.shape[0]!, heads, x.shape[1]! / heads]);

/** Weights (K, H) of the edges. */
function weightsOf(memory: Memory, { heads, index, slope, start }: Call, { left, right, edge, a }: Parts): Block {
  const weights = memory.room([index.size, heads]);
  if (index.size === 0) return weights;
  const scores = memory.room([index.size, heads]);
  const [l, r] = [byHead(memory, left, heads), byHead(memory, right, heads)];
  memory.must("edge_scores", l, r, start, index, edge && byHead(memory, edge, heads), a, slope, scores);
  memory.must("segment_softmax", scores, start, weights);
  return weights;
}

/** Averages of the neighbours' values, (N, H·E). */
function average(memory: Memory, { heads, index, start }: Call, weights: Block, values: Block): Block {
  const [out, order] = [memory.room(values.shape), memory.room(index.shape, "int32")];
  for (let e = 0; e < index.size; e++) memory.i32[(order.data >> 2) + e] = e;
  const [x, y] = [byHead(memory, values, heads), byHead(memory, out, heads)];
  memory.must("graph_sum", x, start, index, order, weights, y, 1, false);
  return out;
}

/** Output before the heads are joined, (N, H·E), and the weights (K, H) if they are wanted. */
function forward(memory: Memory, call: Call, wantWeights: boolean): { out: Block; weights: Block | null } {
  const { x, features, p, variant, heads, width, slope, start, index } = call;
  const n = x.shape[0]!;
  if (index.size === 0)
    return { out: memory.zeros([n, heads * width]), weights: wantWeights ? memory.room([0, heads]) : null };
  let out: Block;
  let weights: Block | null = null;
  let finite: boolean;
  const parts = partsOf(memory, call);
  if (variant === "gat") {
    out = memory.room([n, heads * width]);
    if (wantWeights) weights = memory.room([index.size, heads]);
    const [rows, mixed] = [byHead(memory, parts.values, heads), byHead(memory, out, heads)];
    finite = memory.must(
      "gat",
      rows,
      parts.left,
      parts.right,
      start,
      index,
      parts.edge,
      null,
      mixed,
      weights,
      null,
      slope,
    );
  } else {
    weights = weightsOf(memory, call, parts);
    out = average(memory, call, weights, parts.values);
    finite = isFinite(memory, weights, out, parts.left, parts.right);
  }
  if (!finite && isFinite(memory, x, ...Object.values(p), ...(features === null ? [] : [features])))
    throw overflow(NAME);
  return { out, weights };
}

/** Graph attention (GAT, GATv2) of every node over its own neighbours. */
export function gatGraph(
  memory: Memory,
  graph: Csr | Graph,
  x: Data,
  parameters: GatParameters | GatV2Parameters,
  given?: GatGraphOptions,
): Output | Attended {
  return memory.run(() => {
    const call = prepare(memory, graph, x, parameters, given);
    const { out, weights } = forward(memory, call, call.needWeights);
    const output = matrixOf(memory, finishHeads(memory, out, call.heads, call.concat, call.p["bias"]));
    return call.needWeights ? { output, weights: matrixOf(memory, weights!) } : output;
  });
}

/** Gradients by the parameters' own names, by x, and by the features of the edges if they were given. */
export type GatGradients<P> = { [Name in keyof P]: Output } & { x: Output; edgeFeatures?: Output };

export function gatGraphVjp(
  memory: Memory,
  graph: Csr | Graph,
  x: Data,
  parameters: GatParameters | GatV2Parameters,
  given?: unknown,
  g?: unknown,
): Vjp<Output, GatGradients<object>> | GatGradients<object> {
  const [options, gradient] = optionsAndGradient(given, g);
  return memory.run(() => {
    const call = prepare(memory, graph, x, parameters, options);
    if (gradient !== undefined) return backward(memory, call, parameters, gradient);
    const { out } = forward(memory, call, false);
    const output = matrixOf(memory, finishHeads(memory, out, call.heads, call.concat, call.p["bias"]));
    const nodes = remember(memory, x, call.x, call.x.shape);
    const lists = rememberGraph(memory, graph, call);
    const kept = Object.fromEntries(
      namesOf(parameters, call.variant).map(([key, name]) => [
        key,
        remember(memory, (parameters as unknown as Record<string, unknown>)[key], call.p[name]!, call.shapes[name]!),
      ]),
    );
    const { edgeFeatures, edge_features } = (options ?? {}) as Record<string, unknown>;
    const again = {
      variant: call.variant,
      concat: call.concat,
      negativeSlope: call.slope,
      ...(call.features === null
        ? {}
        : { edgeFeatures: remember(memory, edgeFeatures ?? edge_features, call.features, call.features.shape) }),
    };
    return {
      output,
      pullback: (later) => memory.run(() => backward(memory, prepare(memory, lists, nodes, kept, again), kept, later)),
    };
  });
}

/** The parameters that were given, as the caller and as this file spells them. */
function namesOf(parameters: object, variant: Variant): [key: string, name: string][] {
  const names: readonly string[] = NAMES[variant];
  const given = Object.entries(parameters).filter(([, x]) => x !== undefined && x !== null);
  return given.map(([key]) => [key, names.find((name) => name === key || check.snake(name) === key)!]);
}

function backward(memory: Memory, call: Call, parameters: object, gradient: unknown): GatGradients<object> {
  const { x, features, p, variant, heads, width, concat, index } = call;
  const rows = x.shape[0]!;
  const g = cotangent(memory, gradient, [rows, concat ? heads * width : width]);
  const found: { [name: string]: Block } = {};
  if (p["bias"] !== undefined) {
    check.checkShape(p["bias"], "bias", [tail(g, 1)]);
    found["bias"] = unbroadcast(memory, g, [1, tail(g, 1)]);
  }
  const parts = partsOf(memory, call);
  const by = edgesPullback(memory, call, parts, concat ? g : shareHeads(memory, g, heads));
  let gx: Block;
  if (variant === "gat") {
    const back = projectPullback(memory, x, p["w"]!, by.values);
    [found["w"], gx] = [back.w, back.x];
    for (const [name, g] of [
      ["aQuery", by.left],
      ["aKey", by.right],
    ] as const) {
      const scores = edgeScoresPullback(memory, x, p["w"]!, g, p[name]!);
      memory.must("accumulate", scores.w, back.w);
      memory.must("accumulate", scores.x, back.x);
      found[name] = scores.a!;
    }
  } else {
    memory.must("accumulate", by.right, by.values); // keys are values, too
    found["a"] = by.a;
    const [q, k] = [
      projectPullback(memory, x, p["wQuery"]!, by.left),
      projectPullback(memory, x, p["wKey"]!, by.values),
    ];
    [found["wQuery"], found["wKey"], gx] = [q.w, k.w, k.x];
    memory.must("accumulate", q.x, gx);
  }
  let gFeatures = features && memory.zeros(features.shape);
  if (features !== null && index.size > 0) {
    const back = (variant === "gat" ? edgeScoresPullback : projectPullback)(
      memory,
      features,
      p["wE"]!,
      by.edge!,
      p["aEdge"]!,
    );
    gFeatures = back.x;
    found["wE"] = back.w;
    if (back.a !== undefined) found["aEdge"] = back.a;
  }
  const gradients: { [name: string]: Output } = { x: matrixOf(memory, gx) };
  for (const [key, name] of namesOf(parameters, variant))
    gradients[key] = matrixOf(memory, found[name] ?? memory.zeros(call.shapes[name]!), call.shapes[name]);
  if (gFeatures !== null) gradients["edgeFeatures"] = matrixOf(memory, gFeatures);
  return gradients as GatGradients<object>;
}

/** The gradient (N, E) of an average of heads, for each of them: (N, H·E). */
function shareHeads(memory: Memory, g: Block, heads: number): Block {
  const [rows, width] = g.shape as [number, number];
  const out = memory.zeros([rows, heads * width]);
  memory.must(
    "accumulate",
    memory.view(g, [rows, heads, width], [width, 0, 1]),
    memory.view(out, [rows, heads, width]),
  );
  for (let i = 0; i < out.size; i++) memory.f32[(out.data >> 2) + i]! /= heads;
  return out;
}

/** Gradients by all parts from that of the output (N, H·E): through the average, the softmax and the LeakyReLU. */
function edgesPullback(memory: Memory, call: Call, parts: Parts, g: Block): Parts {
  const { heads, slope, start, index } = call;
  const { left, right, edge, a, values } = parts;
  const by: Parts = {
    left: memory.zeros(left.shape),
    right: memory.zeros(right.shape),
    edge: edge && memory.zeros(edge.shape),
    a: memory.zeros(a.shape),
    values: memory.zeros(values.shape),
  };
  if (index.size === 0) return by;
  const weights = weightsOf(memory, call, parts);
  const [x, to] = [byHead(memory, values, heads), byHead(memory, g, heads)];
  const [scores, unused] = [memory.room(weights.shape), byHead(memory, memory.room(g.shape), heads)];
  memory.must("graph_attend_vjp", to, x, x, start, index, weights, scores, unused, 1, false);
  const turned = transposed(memory, call, values.shape[0]!);
  const byValues = byHead(memory, by.values, heads);
  memory.must("graph_sum", to, turned.start, turned.index, turned.order, weights, byValues, 1, false);
  const head = (block: Block): Block => byHead(memory, block, heads);
  memory.must(
    "edge_scores_vjp",
    head(left),
    head(right),
    start,
    index,
    edge && head(edge),
    a,
    slope,
    scores,
    head(by.left),
    head(by.right),
    by.edge && head(by.edge),
    by.a,
  );
  return by;
}

/** Gradients of `edgeScores` by the features, w_e and a_edge. */
function edgeScoresPullback(memory: Memory, features: Block, wE: Block, g: Block, aEdge: Block): Pulled {
  const [heads, dim, width] = wE.shape as [number, number, number];
  const x = memory.room(features.shape);
  memory.must("matmul", g, memory.view(scoreVector(memory, wE, aEdge), [heads, dim]), x, 0);
  const factor = memory.room([heads, dim]);
  memory.must("matmul", g, features, factor, 1);
  const w = memory.room(wE.shape);
  memory.must("matmul", memory.view(factor, [heads, dim, 1]), memory.view(aEdge, [heads, 1, width]), w, 0);
  const a = memory.room([heads, 1, width]);
  memory.must("matmul", memory.view(factor, [heads, 1, dim]), wE, a, 0);
  return { x, w, a };
}
