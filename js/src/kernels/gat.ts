import { fitMask, leadOf, matrixOf, mix, tail } from "./core.js";
import {
  NAME,
  edgeScores,
  finishHeads,
  layer,
  readParameters,
  scoreVector,
  type GatBasics,
  type GatParameters,
  type GatV2Parameters,
} from "./gat-parameters.js";
import { splitHeads } from "./heads.js";
import { rowMajor, type Block, type Memory } from "./memory.js";
import * as check from "./operands.js";
import type { Attended, Data, Mask, Output } from "./types.js";

export interface GatOptions extends GatBasics {
  /** Features of the edges to the keys, (..., N, e). */
  edgeFeatures?: Data | null;
  /** Broadcastable to (..., H, M, N). */
  attnMask?: Mask | null;
  /** Also return the weights, (..., H, M, N). */
  needWeights?: boolean;
}

/** x (..., N, D) by w (H, D, E): (..., H, N, E), each head a product of its own. */
function perHead(memory: Memory, x: Block, w: Block): Block {
  const wide = memory.view(x, [...leadOf(x), 1, tail(x, 2), tail(x, 1)]);
  const out = memory.room([...leadOf(x), w.shape[0]!, tail(x, 2), w.shape[2]!]);
  memory.must("matmul", wide, w, out, 0);
  return out;
}

/** Adds to keys (..., H, N, c) what edges (..., H, N, c) contribute; leading axes broadcast. */
function plus(memory: Memory, k: Block, e: Block): Block {
  const lead = check.broadcastAll("key, edge_features", leadOf(k), leadOf(e));
  const out = memory.zeros([...lead, tail(k, 2), tail(k, 1)]);
  for (const x of [k, e]) {
    const missing = out.shape.length - x.shape.length;
    const strides = rowMajor(x.shape).map((step, i) => (x.shape[i] === 1 ? 0 : (x.strides[i] ?? step)));
    memory.must("accumulate", memory.view(x, out.shape, [...new Array<number>(missing).fill(0), ...strides]), out);
  }
  return out;
}

export function gat(
  memory: Memory,
  query: Data,
  key: Data,
  parameters: GatParameters | GatV2Parameters,
  given?: GatOptions,
): Output | Attended {
  return memory.run(() => {
    const { variant, concat, slope, needWeights, features, attnMask } = layer(memory, given, ["attnMask"]);
    let q = check.checkAxes(check.floats(memory, query, "query"), "query", 1);
    const single = q.shape.length === 1;
    if (single) q = memory.view(q, [1, q.shape[0]!]);
    const k = check.checkAxes(check.matrix(memory, key, "key", { width: tail(q, 1) }), "key", 2);
    check.checkFilled(q, "query");
    check.checkFilled(k, "key");
    check.checkLength(k, "key", -1, tail(q, 1), "the query's width");
    if (features !== null) check.checkLength(features, "edge_features", -2, tail(k, 2), "one row per key");

    const { p, heads, width } = readParameters(memory, parameters, variant, features !== null, tail(q, 1));
    const values = perHead(memory, k, variant === "gat" ? p["w"]! : p["wKey"]!);
    let [left, right, vector] =
      variant === "gat"
        ? [
            perHead(memory, q, scoreVector(memory, p["w"]!, p["aQuery"]!)),
            perHead(memory, k, scoreVector(memory, p["w"]!, p["aKey"]!)),
            ones(memory, heads),
          ]
        : [perHead(memory, q, p["wQuery"]!), values, p["a"]!];
    if (features !== null) {
      const edge =
        variant === "gat"
          ? byHead(memory, edgeScores(memory, features, p["wE"]!, p["aEdge"]!), features, heads)
          : perHead(memory, features, p["wE"]!);
      right = plus(memory, right, edge);
    }
    const [m, n] = [tail(q, 2), tail(k, 2)];
    const lead = check.broadcastAll("query, key", leadOf(left), leadOf(right));
    const scores = memory.room([...lead, m, n]);
    memory.must("additive_scores", left, right, vector, slope, scores);
    const mask = attnMask === undefined ? null : fitMask(memory, check.mask(memory, attnMask), scores.shape, single);
    const mixed = memory.room([...lead.slice(0, -1), m, heads * width]);
    const rows = { q: left, k: right, v: values, mask, causal: false, scale: 1 };
    const { weights } = mix(memory, scores, rows, NAME, splitHeads(memory, mixed, heads));
    const out = finishHeads(memory, mixed, heads, concat, p["bias"]);
    const shape = single ? [...out.shape.slice(0, -2), tail(out, 1)] : out.shape;
    const output = matrixOf(memory, out, shape);
    if (!needWeights) return output;
    return { output, weights: matrixOf(memory, weights, single ? [...lead, n] : weights.shape) };
  });
}

function ones(memory: Memory, heads: number): Block {
  const block = memory.room([heads, 1]);
  memory.f32.fill(1, block.data >> 2, (block.data >> 2) + heads);
  return block;
}

/** Scores of edges (rows, H) seen as (..., H, N, 1). */
function byHead(memory: Memory, scores: Block, features: Block, heads: number): Block {
  const shape = [...leadOf(features), tail(features, 2), heads];
  const strides = rowMajor(shape);
  return memory.view(
    scores,
    [...leadOf(features), heads, tail(features, 2), 1],
    [...strides.slice(0, -2), 1, heads, 1],
  );
}
