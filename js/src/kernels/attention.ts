import { AttentionError } from "../errors.js";
import {
  attend,
  attendPullback,
  cotangent,
  delivered,
  destination,
  fitMask,
  leadOf,
  matrixOf,
  optionsAndGradient,
  outputOf,
  remember,
  tail,
  unbroadcast,
  type Rows,
} from "./core.js";
import type { Block, Memory } from "./memory.js";
import * as check from "./operands.js";
import type { Tensor } from "./tensor.js";
import type { Attended, Data, Mask, Output, Vjp } from "./types.js";

export interface AttentionOptions {
  /** Boolean (true = attend) or float (added to the scores), broadcastable to (..., M, N). */
  attnMask?: Mask | null;
  /** Query i sees key j iff j <= i. */
  isCausal?: boolean;
  /** Factor of the scores; 1/√D by default. */
  scale?: number | null;
  /** Squash scores to ±softcap by softcap · tanh(score / softcap). */
  softcap?: number | null;
  /** Grouped queries: (..., H, M, D) over keys (..., H_kv, N, D), head h using key head h // (H / H_kv). */
  enableGqa?: boolean;
  /** Also return the weights (..., M, N); the package's mechanisms call it `needWeights`. */
  returnWeights?: boolean;
  needWeights?: boolean;
  /** A tensor that receives the output, and is it. */
  out?: Tensor;
  /** Also return the log-sum-exp of the scores (..., M); -Infinity where nothing is attended. */
  returnLse?: boolean;
}
const OPTIONS = [
  "attnMask",
  "isCausal",
  "scale",
  "softcap",
  "enableGqa",
  "returnWeights",
  "needWeights",
  "returnLse",
  "out",
] as const;

interface Call extends Rows {
  single: boolean;
  groups: number;
  /** Shapes of the arguments. */
  shapes: readonly (readonly number[])[];
  maskShape: readonly number[] | null;
  fitted: readonly number[] | null;
  weights: boolean;
  lse: boolean;
  out: unknown;
}
const NAME = "scaled_dot_product_attention";

function prepare(memory: Memory, query: unknown, key: unknown, value: unknown, given: unknown): Call {
  const o = check.options(given, OPTIONS, NAME);
  let q = check.checkAxes(check.floats(memory, query, "query"), "query", 1);
  let k = check.checkAxes(check.matrix(memory, key, "key", { width: tail(q, 1) }), "key", 2);
  let v = check.checkAxes(check.matrix(memory, value, "value", { rows: tail(k, 2) }), "value", 2);
  const shapes = [q.shape, k.shape, v.shape];
  check.checkFilled(q, "query");
  check.checkFilled(k, "key");
  check.checkFilled(v, "value");
  check.checkLength(k, "key", -1, tail(q, 1), "the query's width");
  check.checkLength(v, "value", -2, tail(k, 2), "one value per key");
  const single = q.shape.length === 1;
  if (single) q = memory.view(q, [1, q.shape[0]!]);
  const groups = o.enableGqa !== undefined && check.flag(o.enableGqa, "enable_gqa") ? groupsOf(q, k, v) : 1;
  const heads = groups > 1 ? tail(q, 3) : 0;
  if (groups > 1) {
    q = memory.view(q, [...q.shape.slice(0, -3), heads / groups, groups, tail(q, 2), tail(q, 1)]);
    [k, v] = [k, v].map((x) => memory.view(x, [...x.shape.slice(0, -2), 1, tail(x, 2), tail(x, 1)])) as [Block, Block];
  }
  const lead = check.broadcastAll("query, key, value", leadOf(q), leadOf(k), leadOf(v));
  const causal = o.isCausal !== undefined && check.flag(o.isCausal, "is_causal");
  const weights = [o.returnWeights, o.needWeights].some(
    (x, i) => x !== undefined && check.flag(x, i === 0 ? "return_weights" : "need_weights"),
  );
  const lse = o.returnLse !== undefined && check.flag(o.returnLse, "return_lse");
  const scale = o.scale === undefined ? tail(q, 1) ** -0.5 : check.number(o.scale, "scale");
  const softcap = o.softcap === undefined ? undefined : check.number(o.softcap, "softcap", { above: 0 });
  let mask: Block | null = null;
  let maskShape: readonly number[] | null = null;
  let fitted: readonly number[] | null = null;
  if (o.attnMask !== undefined) {
    const whole = groups > 1 ? [...lead.slice(0, -2), heads] : lead;
    mask = check.mask(memory, o.attnMask);
    maskShape = mask.shape;
    mask = fitMask(memory, mask, [...whole, tail(q, 2), tail(k, 2)], single);
    fitted = mask.shape;
    if (groups > 1 && mask.shape.length > 2) {
      const axis = tail(mask, 3) === 1 ? [1, 1] : [heads / groups, groups];
      mask = memory.view(mask, [...mask.shape.slice(0, -3), ...axis, tail(mask, 2), tail(mask, 1)]);
    }
  }
  return {
    q,
    k,
    v,
    mask,
    causal,
    scale,
    softcap,
    lead,
    single,
    groups,
    shapes,
    maskShape,
    fitted,
    weights,
    lse,
    out: o.out,
  };
}

function groupsOf(q: Block, k: Block, v: Block): number {
  check.checkAxes(q, "query", 3);
  check.checkAxes(k, "key", 3);
  check.checkAxes(v, "value", 3);
  const [heads, kvHeads] = [tail(q, 3), tail(k, 3)];
  check.checkLength(v, "value", -3, kvHeads, "the key's heads");
  if (heads % kvHeads !== 0)
    throw check.mismatch("query", kvHeads, heads, `a multiple of the ${kvHeads} key heads`, `${heads} heads`);
  return heads / kvHeads;
}

/** The shape a caller sees of a result (lead..., M, x): heads are one axis, a single query has none. */
function outer({ lead, groups, single, q }: Call, ...last: readonly number[]): number[] {
  const whole = groups > 1 ? [...lead.slice(0, -2), lead.at(-2)! * lead.at(-1)!] : [...lead];
  return single ? [...whole, ...last] : [...whole, tail(q, 2), ...last];
}

export function sdpa(
  memory: Memory,
  query: unknown,
  key: unknown,
  value: unknown,
  given?: unknown,
): Output | Tensor | (Attended<Output | Tensor> & { lse?: Output }) {
  return memory.run(() => {
    const call = prepare(memory, query, key, value, given);
    const shape = outer(call, tail(call.v, 1));
    const whole = destination(memory, call.out, shape, [call.q, call.k, call.v]);
    const to = memory.view(whole, [...call.lead, tail(call.q, 2), tail(call.v, 1)]);
    const { stats, weights } = attend(memory, call, NAME, { weights: call.weights, stats: call.lse, to });
    const output = delivered(memory, call.out, whole);
    if (!call.weights && !call.lse) return output;
    const result: { output: Output | Tensor; weights?: Output; lse?: Output } = { output };
    if (weights !== null && call.weights) result.weights = matrixOf(memory, weights, outer(call, tail(weights, 1)));
    if (call.lse) result.lse = outputOf(logSumExp(memory, call, stats), outer(call));
    return result as Attended;
  });
}

function logSumExp(memory: Memory, call: Call, known: Block | null): Float32Array {
  let stats = known;
  if (stats === null) {
    // the weights were made step by step
    const scores = memory.room([...call.lead, tail(call.q, 2), tail(call.k, 2)]);
    memory.must("matmul", call.q, call.k, scores, 2);
    memory.must("mask_scores", scores, call.mask, call.causal, call.scale, call.softcap ?? null);
    const [rows, n] = [scores.size / tail(call.k, 2), tail(call.k, 2)];
    stats = memory.room([rows, 2]);
    for (let i = 0; i < rows; i++) {
      const row = memory.f32.subarray((scores.data >> 2) + i * n, (scores.data >> 2) + (i + 1) * n);
      const top = row.reduce((a, b) => (a > b ? a : b), -Infinity);
      memory.f32.set(
        [top, row.reduce((sum, x) => sum + Math.exp(x - (top === -Infinity ? 0 : top)), 0)],
        (stats.data >> 2) + 2 * i,
      );
    }
  }
  const from = stats.data >> 2;
  return Float32Array.from(
    { length: stats.size / 2 },
    (_x, i) => memory.f32[from + 2 * i]! + Math.log(memory.f32[from + 2 * i + 1]!),
  );
}

/** Gradients by the arguments; by the mask if it is a float one. */
export interface AttentionGradients {
  query: Output;
  key: Output;
  value: Output;
  attnMask?: Output;
}

export function sdpaVjp(
  memory: Memory,
  query: Data,
  key: Data,
  value: Data,
  given?: unknown,
  g?: unknown,
): Vjp<Output, AttentionGradients> | AttentionGradients {
  const [options, gradient] = optionsAndGradient(given, g);
  return memory.run(() => {
    const call = prepare(memory, query, key, value, options);
    if (call.out !== undefined || (gradient === undefined && (call.weights || call.lse))) {
      throw new AttentionError("unsupported", `${NAME}: gradients are those of the output alone, in fresh memory`, {
        argument: call.out === undefined ? "return_weights" : "out",
      });
    }
    if (gradient !== undefined) return backward(memory, call, gradient);
    const [q, k, v] = [query, key, value].map((x, i) =>
      remember(memory, x, [call.q, call.k, call.v][i]!, call.shapes[i]!),
    );
    const { attnMask } = check.options(options, OPTIONS, NAME);
    const kept = {
      ...(options as object),
      ...(call.mask === null ? {} : { attnMask: remember(memory, attnMask, call.mask, call.maskShape!) }),
    };
    const output = matrixOf(memory, attend(memory, call, NAME).out, outer(call, tail(call.v, 1)));
    return { output, pullback: (later) => memory.run(() => backward(memory, prepare(memory, q, k, v, kept), later)) };
  });
}

function backward(memory: Memory, call: Call, gradient: unknown): AttentionGradients {
  const rows = cotangent(memory, gradient, outer(call, tail(call.v, 1)));
  const isAdded = call.mask?.kind === "float32";
  const result = attend(memory, call, NAME, { weights: isAdded, stats: true });
  const g = attendPullback(memory, call, result, memory.view(rows, [...call.lead, tail(call.q, 2), tail(call.v, 1)]));
  const [query, key, value] = (
    [
      [g.q, call.q],
      [g.k, call.k],
      [g.v, call.v],
    ] as const
  ).map(([x, like], i) => matrixOf(memory, unbroadcast(memory, x, like.shape), call.shapes[i])) as [
    Output,
    Output,
    Output,
  ];
  const gradients: AttentionGradients = { query, key, value };
  if (isAdded && g.scores !== null) {
    const scores = call.groups > 1 ? memory.view(g.scores, [...outer(call), tail(call.k, 2)]) : g.scores;
    gradients.attnMask = matrixOf(memory, unbroadcast(memory, scores, call.fitted!), call.maskShape!);
  }
  return gradients;
}
