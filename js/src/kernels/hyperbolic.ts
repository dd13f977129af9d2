import { AttentionError } from "../errors.js";
import { fitMask, isFinite, leadOf, matrixOf, tail } from "./core.js";
import { sizeOf, type Block, type Memory } from "./memory.js";
import * as check from "./operands.js";
import type { Attended, Data, Mask, Output } from "./types.js";

export interface HyperbolicOptions {
  /** Of the ball, below zero; -1 by default. */
  curvature?: number;
  /** Small values sharpen the weights; 1 by default. */
  temperature?: number;
  /** Boolean or float, broadcastable to (..., M, N). */
  attnMask?: Mask | null;
  /** Also return the weights (..., M, N). */
  needWeights?: boolean;
}
const NAME = "hyperbolic_attention";

/** Offsets, in entries of (r, c), of an operand's matrices for each index of the leading axes it broadcasts to. */
export function offsets(lead: readonly number[], own: readonly number[], each: number): number[] {
  let at = [0];
  for (let axis = 0; axis < lead.length; axis++) {
    const i = axis - lead.length + own.length;
    const length = i < 0 ? 1 : own[i]!;
    const step = length === 1 ? 0 : own.slice(i + 1).reduce((a, b) => a * b, each);
    at = at.flatMap((from) => Array.from({ length: lead[axis]! }, (_x, j) => from + j * step));
  }
  return at;
}

/** Mechanisms refuse NaN and infinity, as in Python. */
export function refuseNonFinite(memory: Memory, blocks: readonly (readonly [Block, string])[]): void {
  for (const [block, name] of blocks) {
    if (isFinite(memory, block)) continue;
    throw new AttentionError("numerical_instability", `${name}: expected finite numbers, got NaN or infinity`, {
      argument: name,
      expected: "finite numbers",
    });
  }
}

/** Weights softmax(-distance / temperature) in the Poincaré ball, values averaged by the gyromidpoint. */
export function hyperbolic(
  memory: Memory,
  query: Data,
  keys: Data,
  values: Data,
  given?: HyperbolicOptions,
): Output | Attended {
  return memory.run(() => {
    const o = check.options(given, ["curvature", "temperature", "attnMask", "needWeights"], NAME);
    const c = o.curvature === undefined ? 1 : -check.number(o.curvature, "curvature", { below: 0 });
    const temperature = o.temperature === undefined ? 1 : check.number(o.temperature, "temperature", { above: 0 });
    const needWeights = o.needWeights !== undefined && check.flag(o.needWeights, "need_weights");
    let q = check.checkAxes(check.floats(memory, query, "query"), "query", 1);
    const dim = tail(q, 1);
    const k = check.checkAxes(check.matrix(memory, keys, "keys", { width: dim }), "keys", 2);
    const v =
      values === keys ? k : check.checkAxes(check.matrix(memory, values, "values", { width: dim }), "values", 2);
    const all = [
      [q, "query"],
      [k, "keys"],
      [v, "values"],
    ] as const;
    all.forEach(([x, name]) => check.checkFilled(x, name));
    check.checkLength(k, "keys", -1, dim, "the query's width");
    check.checkLength(v, "values", -2, tail(k, 2), "one value per key");
    check.checkLength(v, "values", -1, dim, "the query's width");
    const single = q.shape.length === 1;
    if (single) q = memory.view(q, [1, dim]);
    const lead = check.broadcastAll("query, keys, values", leadOf(q), leadOf(k), leadOf(v));
    const [m, n] = [tail(q, 2), tail(k, 2)];
    const mask =
      o.attnMask === undefined ? null : fitMask(memory, check.mask(memory, o.attnMask), [...lead, m, n], single);
    const out = memory.room([...lead, m, dim]);
    const weights = needWeights || mask !== null || lead.length > 0 ? memory.room([...lead, m, n]) : null;
    if (lead.length > 0 || mask !== null || memory.call("poincare", q, k, v, out, weights, c, temperature) !== true) {
      refuseNonFinite(memory, all);
      exact(memory, { q, k, v, mask, out, weights, lead, c, temperature });
    }
    const output = matrixOf(memory, out, single ? [...lead, dim] : out.shape);
    return needWeights
      ? { output, weights: matrixOf(memory, weights!, single ? [...lead, n] : weights!.shape) }
      : output;
  });
}

/** How far inside the ball points are kept, relative to its radius: given ones, and rounded results. */
const EPS = 1e-12;
const EPS_SINGLE = 1e-6;

interface Points {
  /** √c times the coordinates, in double precision. */
  x: Float64Array;
  /** 1 - c|x|². */
  gap: Float64Array;
}

/** Points scaled to the unit ball; those outside are moved radially to just inside it. */
function inBall(memory: Memory, block: Block, c: number): Points {
  const dim = tail(block, 1);
  const rows = block.size / dim;
  const x = new Float64Array(block.size);
  const gap = new Float64Array(rows);
  const root = Math.sqrt(c);
  for (let i = 0; i < rows; i++) {
    let square = 0;
    for (let j = i * dim; j < (i + 1) * dim; j++) {
      x[j] = memory.f32[(block.data >> 2) + j]! * root;
      square += x[j]! * x[j]!;
    }
    gap[i] = 1 - square;
    if (gap[i]! >= EPS * (2 - EPS)) continue;
    const factor = (1 - EPS) / Math.sqrt(square);
    for (let j = i * dim; j < (i + 1) * dim; j++) x[j]! *= factor;
    gap[i] = EPS * (2 - EPS); // from the coordinates it would be rounding alone
  }
  return { x, gap };
}

interface Exact {
  q: Block;
  k: Block;
  v: Block;
  mask: Block | null;
  out: Block;
  weights: Block | null;
  lead: readonly number[];
  c: number;
  temperature: number;
}

/** In double precision: masks, leading axes, and points on or near the boundary or outside. */
function exact(memory: Memory, { q, k, v, mask, out, weights, lead, c, temperature }: Exact): void {
  const [m, n, dim] = [tail(q, 2), tail(k, 2), tail(q, 1)];
  const [a, b] = [inBall(memory, q, c), inBall(memory, k, c)];
  const d = v === k ? b : inBall(memory, v, c);
  const [qAt, kAt, vAt] = [q, k, v].map((x) => offsets(lead, leadOf(x), tail(x, 2))) as [number[], number[], number[]];
  const maskAt = mask === null ? [] : offsets(lead, leadOf(mask), tail(mask, 2) * tail(mask, 1));
  const seen = (batch: number, i: number, j: number): number => {
    if (mask === null) return 0;
    const at = maskAt[batch]! + (tail(mask, 2) === 1 ? 0 : i * tail(mask, 1)) + (tail(mask, 1) === 1 ? 0 : j);
    return mask.kind === "float32"
      ? memory.f32[(mask.data >> 2) + at]!
      : memory.u8[mask.data + at] !== 0
        ? 0
        : -Infinity;
  };
  const root = Math.sqrt(c);
  const w = new Float64Array(n);
  const sum = new Float64Array(dim);
  for (let batch = 0; batch < sizeOf(lead); batch++) {
    for (let i = 0; i < m; i++) {
      const row = qAt[batch]! + i;
      let top = -Infinity;
      for (let j = 0; j < n; j++) {
        const added = seen(batch, i, j);
        const key = kAt[batch]! + j;
        let square = 0;
        for (let e = 0; e < dim; e++) square += (a.x[row * dim + e]! - b.x[key * dim + e]!) ** 2;
        w[j] = added - ((2 / root) * Math.asinh(Math.sqrt(square / (a.gap[row]! * b.gap[key]!)))) / temperature;
        top = Math.max(top, w[j]!);
      }
      let total = 0;
      for (let j = 0; j < n; j++) total += w[j] = top === -Infinity ? 0 : Math.exp(w[j]! - top);
      let mass = 0;
      sum.fill(0);
      for (let j = 0; j < n; j++) {
        w[j] = total === 0 ? 0 : w[j]! / total;
        const value = vAt[batch]! + j;
        const conformal = 2 / d.gap[value]!;
        mass += w[j]! * (conformal - 1);
        for (let e = 0; e < dim; e++) sum[e]! += w[j]! * conformal * d.x[value * dim + e]!;
      }
      const reach = Math.sqrt(sum.reduce((s, x) => s + x * x, 0));
      const divisor = mass + Math.sqrt(Math.max((mass - reach) * (mass + reach), 0));
      // The midpoint lies inside; rounding must not lead it out.
      const length = divisor === 0 ? 0 : reach / divisor;
      const limit = (1 - EPS_SINGLE) * (1 - 6e-8);
      const factor = divisor === 0 ? 0 : (length > 1 - EPS_SINGLE ? limit / length : 1) / (divisor * root);
      for (let e = 0; e < dim; e++) memory.f32[(out.data >> 2) + (batch * m + i) * dim + e] = sum[e]! * factor;
      if (weights !== null) memory.f32.set(w, (weights.data >> 2) + (batch * m + i) * n);
    }
  }
}
