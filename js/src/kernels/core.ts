import { AttentionError, invalid } from "../errors.js";
import { rowMajor, sizeOf, type Block, type Memory } from "./memory.js";
import * as check from "./operands.js";
import { Tensor } from "./tensor.js";
import type { Output } from "./types.js";

/** Rows of queries against rows of keys, all checked; leading axes broadcast. */
export interface Rows {
  /** (..., M, D), (..., N, D), (..., N, E). */
  q: Block;
  k: Block;
  v: Block;
  /** With at least two axes, or null. */
  mask: Block | null;
  causal: boolean;
  scale: number;
  /** Scores are squashed to ± this. */
  softcap?: number | undefined;
  /** What broadcasting makes of the leading axes. */
  lead: readonly number[];
}

export interface Result {
  out: Block;
  stats: Block | null;
  weights: Block | null;
  /** Hidden keys hold what is not finite. */
  careful: boolean;
}

interface Want {
  weights?: boolean;
  stats?: boolean;
  /** Where the output goes. */
  to?: Block;
}

export const overflow = (name: string): AttentionError =>
  new AttentionError(
    "numerical_instability",
    `${name}: expected a finite result, got an overflow: the arguments are too large`,
    {
      argument: name,
      expected: "a finite result",
      actual: "overflow",
    },
  );

export const isFinite = (memory: Memory, ...blocks: readonly Block[]): boolean =>
  blocks.every((block) => memory.call("finite", block) !== false);

export const leadOf = (block: Block): readonly number[] => block.shape.slice(0, -2);
/** Length of an axis counted from the end, 1 is the last. */
export const tail = (block: Block, i: number): number => block.shape[block.shape.length - i]!;

/** A mask with axes so that it broadcasts to scores of `shape`, or a typed error. */
export function fitMask(memory: Memory, mask: Block, shape: readonly number[], single: boolean): Block {
  const candidates = [mask];
  if (single && mask.shape.length > 0)
    candidates.push(memory.view(mask, [...mask.shape.slice(0, -1), 1, ...mask.shape.slice(-1)]));
  for (const candidate of candidates) {
    if (!check.isSame(check.broadcast(candidate.shape, shape), shape)) continue;
    const missing = 2 - candidate.shape.length;
    return missing > 0
      ? memory.view(candidate, [...new Array<number>(missing).fill(1), ...candidate.shape])
      : candidate;
  }
  throw check.mismatch(
    "attn_mask",
    shape,
    mask.shape,
    `a shape that broadcasts to ${check.tuple(shape)}`,
    check.tuple(mask.shape),
  );
}

/** Attention without the matrix of weights; null where hidden keys hold what is not finite, so that care is needed. */
function fused(memory: Memory, { q, k, v, mask, causal, scale, lead }: Rows, name: string, want: Want): Result | null {
  const m = tail(q, 2);
  const out = want.to ?? memory.room([...lead, m, tail(v, 1)]);
  const stats = want.stats === true ? memory.room([...lead, m, 2]) : null;
  if (!memory.must("attend", q, k, v, out, stats, scale, mask, causal, null)) {
    if (isFinite(memory, q, k, v)) throw overflow(name);
    if (mask !== null || causal) return null;
  }
  return { out, stats, weights: null, careful: false };
}

/** From scores to the output, step by step. Hidden keys contribute nothing, whatever they hold. */
export function mix(
  memory: Memory,
  scores: Block,
  rows: Omit<Rows, "lead">,
  name: string,
  to?: Block,
): Result & { weights: Block } {
  const { q, k, v, mask, causal, scale, softcap = null } = rows;
  const plain = isFinite(memory, scores);
  memory.must("mask_scores", scores, mask, causal, scale, softcap);
  const weights = memory.room(scores.shape);
  memory.must("softmax", scores, weights);
  const out = to ?? memory.room([...scores.shape.slice(0, -1), tail(v, 1)]);
  const careful = (mask !== null || causal) && !isFinite(memory, q, k, v);
  if (careful) memory.must("sum_of_seen", weights, v, out, false);
  else memory.must("matmul", weights, v, out, 0);
  if ((!plain || !isFinite(memory, out)) && isFinite(memory, q, k, v)) throw overflow(name);
  return { out, stats: null, weights, careful };
}

/** Attention of rows, with the weights or with the statistics that `attendPullback` needs. */
export function attend(memory: Memory, rows: Rows, name: string, want: Want = {}): Result {
  const done = want.weights === true || rows.softcap !== undefined ? null : fused(memory, rows, name, want);
  if (done !== null) return done;
  const scores = memory.room([...rows.lead, tail(rows.q, 2), tail(rows.k, 2)]);
  memory.must("matmul", rows.q, rows.k, scores, 2);
  return mix(memory, scores, rows, name, want.to);
}

/** Sums what broadcasting repeated: (..., r, c) to the shape of an argument. */
export function unbroadcast(memory: Memory, x: Block, shape: readonly number[]): Block {
  if (check.isSame(x.shape, shape)) return x;
  const out = memory.zeros(shape);
  const missing = x.shape.length - shape.length;
  const strides = rowMajor(shape).map((step, i) => (shape[i] === 1 ? 0 : step));
  memory.must("accumulate", x, memory.view(out, x.shape, [...new Array<number>(missing).fill(0), ...strides]));
  return out;
}

export interface Gradients {
  q: Block;
  k: Block;
  v: Block;
  /** By what was added to the scores, if the weights were made. */
  scores: Block | null;
}

/**
 * Gradients of `attend` by q, k and v, still with all leading axes, from its result (with statistics or weights) and the
 * gradient `g` (..., M, E) of its output.
 */
export function attendPullback(
  memory: Memory,
  rows: Rows,
  { out, stats, weights, careful }: Result,
  g: Block,
): Gradients {
  const { q, k, v, mask, causal, scale, softcap, lead } = rows;
  const [m, d, n, e] = [tail(q, 2), tail(q, 1), tail(k, 2), tail(v, 1)];
  const [dq, dk, dv] = [memory.room([...lead, m, d]), memory.room([...lead, n, d]), memory.room([...lead, n, e])];
  if (weights === null && stats !== null) {
    memory.must("attend_vjp", q, k, v, out, stats, g, dq, dk, dv, scale, mask, causal, null);
    return { q: dq, k: dk, v: dv, scores: null };
  }
  if (weights === null) throw new AttentionError("internal_error", "attention was computed without statistics");
  memory.must("matmul", weights, g, dv, 1);
  const gs = memory.room(weights.shape);
  memory.must("matmul", g, v, gs, 2);
  memory.must("softmax_pullback", weights, gs);
  const scaled = memory.room(gs.shape);
  const [from, to] = [gs.data >> 2, scaled.data >> 2];
  for (let i = 0; i < gs.size; i++) memory.f32[to + i] = memory.f32[from + i]! * scale;
  if (softcap !== undefined) {
    const scores = memory.room(gs.shape);
    memory.must("matmul", q, k, scores, 2);
    memory.must("mask_scores", scores, null, false, scale, softcap);
    const at = scores.data >> 2;
    // Hidden scores may be NaN; their gradient is 0.
    for (let i = 0; i < gs.size; i++)
      if (memory.f32[to + i] !== 0) memory.f32[to + i]! *= 1 - (memory.f32[at + i]! / softcap) ** 2;
  }
  if (careful) {
    memory.must("sum_of_seen", scaled, k, dq, false);
    memory.must("sum_of_seen", scaled, q, dk, true);
  } else {
    memory.must("matmul", scaled, k, dq, 0);
    memory.must("matmul", scaled, q, dk, 1);
  }
  return { q: dq, k: dk, v: dv, scores: gs };
}

/** An argument to come back to: a tensor as it is, else a copy. */
export function remember(memory: Memory, given: unknown, block: Block, shape: readonly number[]): unknown {
  if (Tensor.is(given)) return given;
  if (block.kind === "bool") return { data: memory.u8.slice(block.data, block.data + sizeOf(shape)), shape };
  const from = block.data >> 2;
  return { data: memory.f32.slice(from, from + sizeOf(shape)), shape };
}

/** The gradient of an output, in its shape. */
export function cotangent(memory: Memory, g: unknown, shape: readonly number[]): Block {
  let block = check.floats(memory, g, "gradient");
  if (block.shape.length === 1 && block.size === sizeOf(shape)) block = memory.view(block, shape);
  check.checkShape(block, "gradient", shape);
  return block;
}

/** A result. `output` does not count as a part of it where results are compared, printed or sent. */
export function outputOf(data: Float32Array, shape: number[]): Output {
  const made = { data, shape };
  return Object.defineProperty(made, "output", { value: made }) as Output;
}

export const matrixOf = (memory: Memory, block: Block, shape: readonly number[] = block.shape): Output =>
  outputOf(memory.read(block), [...shape]);

/** What stands at the end of a call of `…Vjp`: options and a gradient in either order, one of them, or nothing. */
export const optionsAndGradient = (given: unknown, other: unknown): [options: unknown, gradient: unknown] =>
  check.isData(given) && !check.isData(other) ? [other, given] : [given, other];

/** Where a result goes: the tensor that the caller gave for it, or a new place. */
export function destination(memory: Memory, out: unknown, shape: readonly number[], inputs: readonly Block[]): Block {
  if (out === undefined) return memory.room(shape);
  const block = check.resident(memory, out, "out", "float32");
  if (block === undefined) throw invalid("out", `expected a tensor, got ${check.show(out)}`, { expected: "a tensor" });
  check.checkShape(block, "out", shape);
  if (inputs.some((x) => x.data === block.data))
    throw invalid("out", "expected a tensor that is none of the arguments", { expected: "another tensor" });
  return block;
}

/** The result: the caller's own tensor, or a copy. */
export function delivered(
  memory: Memory,
  out: unknown,
  block: Block,
  shape: readonly number[] = block.shape,
): Output | Tensor {
  return Tensor.is(out) ? out : matrixOf(memory, block, shape);
}
