import { cotangent, isFinite, matrixOf, optionsAndGradient, overflow, remember, tail, unbroadcast } from "./core.js";
import {
  BASICS,
  NAME,
  NAMES,
  basics,
  edgeScores,
  finishHeads,
  readParameters,
  scoreVector,
  type GatBasics,
  type GatParameters,
  type GatV2Parameters,
  type Parameters,
  type Variant,
} from "./gat-parameters.js";
import { listsOf, rememberGraph, type Csr, type Graph, type Lists } from "./graph.js";
import { splitHeads } from "./heads.js";
import type { Block, Memory } from "./memory.js";
import * as check from "./operands.js";
import type { Attended, Data, Output, Vjp } from "./types.js";

export interface GatGraphOptions extends GatBasics {
  /** Features of the edges, (K, e). */
  edgeFeatures?: Data | null;
  /** Also return the weights, (K, H), in CSR order. */
  needWeights?: boolean;
}
const OPTIONS = [...BASICS, "edgeFeatures", "needWeights"] as const;

interface Call extends Lists, Parameters {
  x: Block;
  features: Block | null;
  variant: Variant;
  concat: boolean;
  slope: number;
  needWeights: boolean;
}

function prepare(memory: Memory, graph: unknown, x: unknown, parameters: unknown, given: unknown): Call {
  const o = check.options(given, OPTIONS, NAME);
  const needWeights = o.needWeights !== undefined && check.flag(o.needWeights, "need_weights");
  const nodes = check.checkAxes(check.floats(memory, x, "x"), "x", 2, 2);
  check.checkFilled(nodes, "x");
  const own = basics(o);
  const read = readParameters(memory, parameters, own.variant, o.edgeFeatures !== undefined, tail(nodes, 1));
  const { start, index } = listsOf(memory, graph, nodes.shape[0]!);
  check.checkLength(start, "indptr", 0, nodes.shape[0]! + 1, "one row per node, and the end");
  let features: Block | null = null;
  if (o.edgeFeatures !== undefined) {
    features = check.checkAxes(check.floats(memory, o.edgeFeatures, "edge_features"), "edge_features", 2, 2);
    check.checkLength(features, "edge_features", 0, index.size, "one row per edge");
    check.checkLength(features, "edge_features", -1, read.p["wE"]!.shape[1]!, "the rows of w_e");
  }
  return { ...own, ...read, x: nodes, start, index, features, needWeights };
}

/** x (N, D) by w (H, D, E): (N, H·E), all heads of a node side by side. */
function project(memory: Memory, x: Block, w: Block): Block {
  const [heads, dim, width] = w.shape as [number, number, number];
  const out = memory.room([x.shape[0]!, heads * width]);
  memory.must("matmul", memory.view(x, [1, x.shape[0]!, dim]), w, splitHeads(memory, out, heads), 0);
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
  const gw = memory.room(w.shape);
  memory.must("matmul", memory.view(x, [1, ...x.shape]), splitHeads(memory, g, heads), gw, 1);
  const joined = memory.zeros([dim, heads, width]);
  memory.must("accumulate", memory.view(w, [dim, heads, width], [width, dim * width, 1]), joined);
  const gx = memory.room(x.shape);
  memory.must("matmul", g, memory.view(joined, [dim, heads * width]), gx, 2);
  return { x: gx, w: gw };
}

/** a · h of each head: h (N, H·E), a (H, E), to (N, H). */
function headDots(memory: Memory, h: Block, a: Block): Block {
  const [heads, width] = a.shape as [number, number];
  const out = memory.zeros([h.shape[0]!, heads]);
  const [from, by, to] = [h.data >> 2, a.data >> 2, out.data >> 2];
  const { f32 } = memory;
  for (let i = 0; i < out.size; i++) {
    let sum = 0;
    for (let c = 0; c < width; c++) sum += f32[from + i * width + c]! * f32[by + (i % heads) * width + c]!;
    f32[to + i] = sum;
  }
  return out;
}

/** Adds what `headDots` gives back to the gradient of h, and returns that of a. */
function headDotsPullback(memory: Memory, h: Block, a: Block, g: Block, gh: Block): Block {
  const [heads, width] = a.shape as [number, number];
  const ga = memory.zeros(a.shape);
  const [from, by, at, to, sum] = [h, a, g, gh, ga].map((x) => x.data >> 2) as [number, number, number, number, number];
  const { f32 } = memory;
  for (let i = 0; i < g.size; i++) {
    const factor = f32[at + i]!;
    const row = (i % heads) * width;
    for (let c = 0; c < width; c++) {
      f32[to + i * width + c]! += factor * f32[by + row + c]!;
      f32[sum + row + c]! += factor * f32[from + i * width + c]!;
    }
  }
  return ga;
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
  const a = memory.room([heads, 1]);
  memory.f32.fill(1, a.data >> 2, (a.data >> 2) + heads);
  return {
    left: headDots(memory, values, p["aQuery"]!),
    right: headDots(memory, values, p["aKey"]!),
    a,
    values,
    edge: edges && edgeScores(memory, edges, p["wE"]!, p["aEdge"]!),
  };
}

/** Calls `work` for every edge, row by row; then `done` for the row. */
function eachEdge(
  memory: Memory,
  { start, index }: Lists,
  work: (edge: number, row: number, node: number) => void,
  done?: (row: number, from: number, to: number) => void,
): void {
  const [bounds, at] = [start.data >> 2, index.data >> 2]; // the starts are int64
  for (let row = 0; row + 1 < start.size; row++) {
    const [from, to] = [memory.i32[bounds + 2 * row]!, memory.i32[bounds + 2 * row + 2]!];
    for (let edge = from; edge < to; edge++) work(edge, row, memory.i32[at + edge]!);
    done?.(row, from, to);
  }
}

/** Weights (K, H) of the edges. */
function weightsOf(memory: Memory, call: Call, { left, right, edge, a }: Parts): Block {
  const { heads, index, slope, start } = call;
  const weights = memory.room([index.size, heads]);
  if (index.size === 0) return weights;
  const scores = memory.room([index.size, heads]);
  const c = a.shape[1]!;
  const [l, r, e, v, to] = [left.data >> 2, right.data >> 2, (edge?.data ?? 0) >> 2, a.data >> 2, scores.data >> 2];
  const { f32 } = memory;
  const all = heads * c;
  eachEdge(memory, call, (k, i, j) => {
    for (let h = 0; h < heads; h++) {
      let sum = 0;
      for (let n = h * c; n < (h + 1) * c; n++) {
        const t = f32[l + i * all + n]! + f32[r + j * all + n]! + (edge === null ? 0 : f32[e + k * all + n]!);
        sum += f32[v + n]! * (t > 0 ? t : slope * t);
      }
      f32[to + k * heads + h] = sum;
    }
  });
  memory.must("segment_softmax", scores, start, weights);
  return weights;
}

/** Averages of the neighbours' values, (N, H·E). */
function average(memory: Memory, call: Call, weights: Block, values: Block): Block {
  const { heads, width } = call;
  const out = memory.zeros(values.shape);
  const [w, v, to] = [weights.data >> 2, values.data >> 2, out.data >> 2];
  const { f32 } = memory;
  const all = heads * width;
  eachEdge(memory, call, (k, i, j) => {
    for (let h = 0; h < heads; h++) {
      const weight = f32[w + k * heads + h]!;
      for (let n = h * width; n < (h + 1) * width; n++) f32[to + i * all + n]! += weight * f32[v + j * all + n]!;
    }
  });
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
  if (variant === "gat") {
    out = memory.room([n, heads * width]);
    const added = features && edgeScores(memory, features, p["wE"]!, p["aEdge"]!);
    if (wantWeights) weights = memory.room([index.size, heads]);
    finite = memory.must(
      "gat",
      x,
      p["w"]!,
      p["aQuery"]!,
      p["aKey"]!,
      start,
      index,
      added,
      memory.room([n, heads * width]),
      memory.view(out, [n, heads, width]),
      weights,
      slope,
    );
  } else {
    const parts = partsOf(memory, call);
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
    const { edgeFeatures } = check.options(options, OPTIONS, NAME);
    const again = {
      variant: call.variant,
      concat: call.concat,
      negativeSlope: call.slope,
      ...(call.features === null
        ? {}
        : { edgeFeatures: remember(memory, edgeFeatures, call.features, call.features.shape) }),
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
    found["aQuery"] = headDotsPullback(memory, parts.values, p["aQuery"]!, by.left, by.values);
    found["aKey"] = headDotsPullback(memory, parts.values, p["aKey"]!, by.right, by.values);
    const back = projectPullback(memory, x, p["w"]!, by.values);
    [found["w"], gx] = [back.w, back.x];
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
  const { heads, width, slope } = call;
  const { left, right, edge, a, values } = parts;
  const weights = weightsOf(memory, call, parts);
  const by: Parts = {
    left: memory.zeros(left.shape),
    right: memory.zeros(right.shape),
    edge: edge && memory.zeros(edge.shape),
    a: memory.zeros(a.shape),
    values: memory.zeros(values.shape),
  };
  const scores = memory.zeros(weights.shape);
  const c = a.shape[1]!;
  const [all, inner] = [heads * c, heads * width];
  const { f32 } = memory;
  const [w, s, to, v, gv] = [weights, scores, g, values, by.values].map((x) => x.data >> 2) as [
    number,
    number,
    number,
    number,
    number,
  ];
  eachEdge(
    memory,
    call,
    (k, i, j) => {
      for (let h = 0; h < heads; h++) {
        const weight = f32[w + k * heads + h]!;
        let sum = 0;
        for (let n = h * width; n < (h + 1) * width; n++) {
          sum += f32[to + i * inner + n]! * f32[v + j * inner + n]!;
          f32[gv + j * inner + n]! += weight * f32[to + i * inner + n]!;
        }
        f32[s + k * heads + h] = sum;
      }
    },
    (_row, from, end) => {
      for (let h = 0; h < heads; h++) {
        let mean = 0;
        for (let k = from; k < end; k++) mean += f32[w + k * heads + h]! * f32[s + k * heads + h]!;
        for (let k = from; k < end; k++)
          f32[s + k * heads + h] = f32[w + k * heads + h]! * (f32[s + k * heads + h]! - mean);
      }
    },
  );
  const [l, r, e, at] = [left.data >> 2, right.data >> 2, (edge?.data ?? 0) >> 2, a.data >> 2];
  const [gl, gr, ge, ga] = [by.left.data >> 2, by.right.data >> 2, (by.edge?.data ?? 0) >> 2, by.a.data >> 2];
  eachEdge(memory, call, (k, i, j) => {
    for (let h = 0; h < heads; h++) {
      const gs = f32[s + k * heads + h]!;
      for (let n = h * c; n < (h + 1) * c; n++) {
        const t = f32[l + i * all + n]! + f32[r + j * all + n]! + (edge === null ? 0 : f32[e + k * all + n]!);
        const gt = t > 0 ? gs : slope * gs;
        f32[ga + n]! += gt * t;
        const back = gt * f32[at + n]!;
        f32[gl + i * all + n]! += back;
        f32[gr + j * all + n]! += back;
        if (edge !== null) f32[ge + k * all + n] = back;
      }
    }
  });
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
