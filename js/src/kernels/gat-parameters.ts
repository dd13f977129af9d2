import { invalid } from "../errors.js";
import { unbroadcast } from "./core.js";
import type { Block, Memory } from "./memory.js";
import * as check from "./operands.js";
import { Tensor } from "./tensor.js";
import type { Data } from "./types.js";

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

export interface GatV2Parameters {
  /** (H, D, E), or (D, E) for one head. */
  wQuery: Data;
  wKey: Data;
  /** (H, E). */
  a: Data;
  /** Of the features of edges, (H, e, E). */
  wE?: Data;
  /** (H·E,), or (E,) where heads are averaged. */
  bias?: Data;
}

export type Variant = "gat" | "gatv2";

/** What both forms of graph attention, over a graph and over matrices, take besides. */
export interface GatBasics {
  /** "gat" (the default) or "gatv2". */
  variant?: Variant;
  /** Join the heads (the default), else average them. */
  concat?: boolean;
  /** Slope of the LeakyReLU below zero, 0.2 by default. */
  negativeSlope?: number;
}
const BASICS = ["variant", "concat", "negativeSlope"] as const;
export const NAME = "gat_attention";

export const NAMES = {
  gat: ["w", "aQuery", "aKey", "wE", "aEdge", "bias"],
  gatv2: ["wQuery", "wKey", "a", "wE", "bias"],
} as const;

/** Options of either form. */
export interface Layer {
  variant: Variant;
  concat: boolean;
  slope: number;
  needWeights: boolean;
  /** Features of the edges, (…, K, e). */
  features: Block | null;
  attnMask: unknown;
}

/** The options that were given, checked; `axes` is how many features of edges have at most. */
export function layer(memory: Memory, given: unknown, more: readonly "attnMask"[], axes?: number): Layer {
  const o = check.options(given, [...BASICS, "edgeFeatures", "needWeights", ...more], NAME);
  const variant = o.variant ?? "gat";
  if (variant !== "gat" && variant !== "gatv2") {
    throw invalid("variant", `expected one of gat, gatv2, got ${check.show(variant)}`, {
      expected: ["gat", "gatv2"],
      actual: variant,
    });
  }
  const name = "edge_features";
  return {
    variant,
    concat: o.concat === undefined || check.flag(o.concat, "concat"),
    slope: o.negativeSlope === undefined ? 0.2 : check.number(o.negativeSlope, "negative_slope", { least: 0 }),
    needWeights: o.needWeights !== undefined && check.flag(o.needWeights, "need_weights"),
    features:
      o.edgeFeatures === undefined ? null : check.checkAxes(check.floats(memory, o.edgeFeatures, name), name, 2, axes),
    attnMask: o.attnMask,
  };
}

export interface Parameters {
  /** By name, weights and score vectors with a leading head axis. */
  p: { [name: string]: Block };
  /** As they were given. */
  shapes: { [name: string]: readonly number[] };
  heads: number;
  width: number;
}

/** Parameters by their names, in either spelling, checked against the width of the nodes. */
export function readParameters(
  memory: Memory,
  given: unknown,
  variant: Variant,
  withEdges: boolean,
  dim: number,
): Parameters {
  if (typeof given !== "object" || given === null || Array.isArray(given) || Tensor.is(given)) {
    throw invalid("parameters", `expected a mapping of names to arrays, got ${check.show(given)}`, {
      expected: "a mapping",
      actual: given,
    });
  }
  const names: readonly string[] = NAMES[variant];
  const needed = names.filter((name) => name !== "bias" && (withEdges || (name !== "wE" && name !== "aEdge")));
  const all = check.options(given, names, "parameters", "parameters");
  const missing = needed.find((name) => all[name] === undefined);
  if (missing !== undefined) throw invalid("parameters", `${check.snake(missing)} is missing`, { expected: names });
  const p: { [name: string]: Block } = {};
  const shapes: { [name: string]: readonly number[] } = {};
  for (const name of names) {
    if (all[name] === undefined) continue;
    const block = (p[name] = check.floats(memory, all[name], check.snake(name)));
    shapes[name] = block.shape;
  }
  const matrices = needed.filter((name) => name.startsWith("w"));
  const vectors = needed.filter((name) => name.startsWith("a"));
  for (const [some, axes] of [
    [matrices, 2],
    [vectors, 1],
  ] as const) {
    for (const name of some) {
      const block = check.checkAxes(p[name]!, check.snake(name), axes, axes + 1);
      if (block.shape.length === axes) p[name] = memory.view(block, [1, ...block.shape]);
    }
  }
  const first = p[matrices[0]!]!;
  const [heads, , width] = first.shape as [number, number, number];
  check.checkLength(first, check.snake(matrices[0]!), 1, dim, "the width of the nodes");
  for (const name of matrices.slice(1))
    check.checkShape(p[name]!, check.snake(name), [heads, name === "wE" ? p[name]!.shape[1]! : dim, width]);
  for (const name of vectors) check.checkShape(p[name]!, check.snake(name), [heads, width]);
  return { p, shapes, heads, width };
}

/** What a layer of graph attention adds and joins at its end. */
export function finishHeads(
  memory: Memory,
  out: Block,
  heads: number,
  concat: boolean,
  bias: Block | undefined,
): Block {
  const width = out.shape.at(-1)! / heads;
  const rows = out.size / out.shape.at(-1)!;
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

/** w a of each head, (H, D, 1). */
export function scoreVector(memory: Memory, w: Block, a: Block): Block {
  const out = memory.room([w.shape[0]!, w.shape[1]!, 1]);
  memory.must("matmul", w, memory.view(a, [w.shape[0]!, w.shape[2]!, 1]), out, 0);
  return out;
}

/** What nodes or edges add to scores before LeakyReLU by their features: features · (w a), (rows, H). */
export function edgeScores(memory: Memory, features: Block, wE: Block, aEdge: Block): Block {
  const [heads, width] = [wE.shape[0]!, wE.shape[1]!];
  check.checkLength(features, "edge_features", -1, width, "the rows of w_e");
  const factor = scoreVector(memory, wE, aEdge);
  const rows = features.size / width;
  const out = memory.room([rows, heads]);
  memory.must("matmul", memory.view(features, [rows, width]), memory.view(factor, [heads, width]), out, 2);
  return out;
}
