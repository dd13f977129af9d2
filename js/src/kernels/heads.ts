import { invalid, look } from "../errors.js";
import {
  attend,
  attendPullback,
  cotangent,
  fitMask,
  isFinite,
  leadOf,
  matrixOf,
  mix,
  optionsAndGradient,
  remember,
  tail,
  unbroadcast,
  type Result,
  type Rows,
} from "./core.js";
import { rowMajor, type Block, type Memory } from "./memory.js";
import * as check from "./operands.js";
import { Tensor } from "./tensor.js";
import type { Attended, Data, Mask, Output, Vjp } from "./types.js";

/** y = x · w + b: w_q (D, D), w_k (Dk, D), w_v (Dv, D), w_o (D, D), biases (D,). */
export interface MultiHeadParameters<T = Data> {
  wQ: T;
  wK: T;
  wV: T;
  wO: T;
  bQ?: T;
  bK?: T;
  bV?: T;
  bO?: T;
}

export interface MultiHeadOptions {
  /** H, a divisor of D; head h owns columns h·D/H … (h+1)·D/H of the projections. */
  numHeads: number;
  /** Broadcastable to (..., H, M, N); one of shape (B, M, N) holds for every head. */
  attnMask?: Mask | null;
  /** (B, N), true = attend. */
  keyPaddingMask?: Mask | null;
  /** Also return the weights of every head, (..., H, M, N). */
  needWeights?: boolean;
}

const NAME = "multi_head_attention";
const WEIGHTS = ["wQ", "wK", "wV", "wO"] as const;
const BIASES = ["bQ", "bK", "bV", "bO"] as const;
type Name = (typeof WEIGHTS)[number] | (typeof BIASES)[number];
const python = (name: Name): string => `${name[0]!}_${name[1]!.toLowerCase()}`;

type Parameters = Record<(typeof WEIGHTS)[number], Block> & Partial<Record<(typeof BIASES)[number], Block>>;

interface Call {
  x: { q: Block; k: Block; v: Block };
  shapes: readonly (readonly number[])[];
  p: Parameters;
  heads: number;
  mask: Block | null;
  lead: readonly number[];
  single: boolean;
  needWeights: boolean;
}

function readParameters(memory: Memory, given: unknown, widths: readonly number[], heads: number): Parameters {
  if (typeof given !== "object" || given === null || Tensor.is(given) || Array.isArray(given)) {
    throw invalid("parameters", `expected a mapping of names to arrays, got ${check.show(given)}`, {
      expected: "a mapping",
      actual: given,
    });
  }
  const names = [...WEIGHTS, ...BIASES] as const;
  for (const key of look(() => Object.keys(given), "parameters")) {
    if (!names.some((n) => n === key || python(n) === key)) {
      throw invalid("parameters", `unknown name ${check.show(key)}`, { expected: names, actual: key });
    }
  }
  const all = check.options(given, names, "parameters", "parameters");
  const p: Partial<Record<Name, Block>> = {};
  for (const name of names) if (all[name] !== undefined) p[name] = check.floats(memory, all[name], python(name));
  for (const name of WEIGHTS) {
    if (p[name] === undefined)
      throw invalid(python(name), `expected ${WEIGHTS.map(python).join(", ")}, it is missing`, { expected: WEIGHTS });
    check.checkAxes(p[name], python(name), 2, 2);
  }
  const found = p as Parameters;
  const inputs = { wQ: "query", wK: "key", wV: "value" } as const;
  (["wQ", "wK", "wV"] as const).forEach((name, i) =>
    check.checkLength(found[name], python(name), 0, widths[i]!, `the ${inputs[name]}'s width`),
  );
  check.checkLength(found.wK, "w_k", 1, found.wQ.shape[1]!, "the width of w_q");
  for (const name of ["wQ", "wV"] as const) {
    const columns = found[name].shape[1]!;
    if (columns % heads !== 0)
      throw check.mismatch(
        "num_heads",
        columns,
        heads,
        `a divisor of ${columns} (columns of ${python(name)})`,
        `${heads}`,
      );
  }
  check.checkLength(found.wO, "w_o", 0, found.wV.shape[1]!, "the width of w_v");
  BIASES.forEach((bias, i) => {
    const b = found[bias];
    if (b !== undefined) check.checkShape(b, python(bias), [found[WEIGHTS[i]!].shape[1]!]);
  });
  return found;
}

function prepare(
  memory: Memory,
  query: unknown,
  key: unknown,
  value: unknown,
  parameters: unknown,
  given: unknown,
): Call {
  const o = check.options(given, ["numHeads", "attnMask", "keyPaddingMask", "needWeights"], NAME);
  const heads = check.whole(o.numHeads, "num_heads", 1);
  const needWeights = o.needWeights !== undefined && check.flag(o.needWeights, "need_weights");
  let q = check.floats(memory, query, "query");
  let k = check.floats(memory, key, "key");
  let v = check.floats(memory, value, "value");
  (
    [
      [q, "query", 1],
      [k, "key", 2],
      [v, "value", 2],
    ] as const
  ).forEach(([x, name, least]) => {
    check.checkAxes(x, name, least);
    check.checkFilled(x, name);
  });
  const shapes = [q.shape, k.shape, v.shape];
  const single = q.shape.length === 1;
  if (single) q = memory.view(q, [1, q.shape[0]!]);
  check.checkLength(v, "value", -2, tail(k, 2), "one value per key");
  const lead = check.broadcastAll("query, key, value", leadOf(q), leadOf(k), leadOf(v));
  const p = readParameters(memory, parameters, [tail(q, 1), tail(k, 1), tail(v, 1)], heads);
  const mask = joinMasks(memory, o.attnMask, o.keyPaddingMask, [...lead, heads, tail(q, 2), tail(k, 2)], single);
  if (mask !== null && !isFinite(memory, k, v))
    [k, v] = [withoutUnseen(memory, k, mask), withoutUnseen(memory, v, mask)];
  return { x: { q, k, v }, shapes, p, heads, mask, lead, single, needWeights };
}

function joinMasks(
  memory: Memory,
  attnMask: unknown,
  paddingMask: unknown,
  shape: readonly number[],
  single: boolean,
): Block | null {
  const lead = shape.slice(0, -3);
  let mask: Block | null = null;
  if (attnMask !== undefined) {
    mask = check.mask(memory, attnMask);
    if (lead.length > 0 && check.isSame(mask.shape.slice(0, -2), lead) && mask.shape.length === lead.length + 2) {
      mask = memory.view(mask, [...lead, 1, ...mask.shape.slice(-2)]);
    }
    mask = fitMask(memory, mask, shape, single);
  }
  if (paddingMask === undefined) return mask;
  const padding = check.mask(memory, paddingMask, "key_padding_mask");
  const expected = [...lead, shape.at(-1)!];
  if (
    padding.shape.length === 0 ||
    !check.isSame(check.broadcastAll("key_padding_mask", padding.shape, expected), expected)
  ) {
    throw check.mismatch(
      "key_padding_mask",
      expected,
      padding.shape,
      `shape ${check.tuple(expected)}`,
      check.tuple(padding.shape),
    );
  }
  const over = memory.view(padding, [...padding.shape.slice(0, -1), 1, 1, padding.shape.at(-1)!]);
  return mask === null ? over : both(memory, mask, over);
}

/** One mask of two: what either hides is hidden, what both add is added. */
function both(memory: Memory, a: Block, b: Block): Block {
  const shape = check.broadcastAll("attn_mask, key_padding_mask", a.shape, b.shape);
  const isAdded = a.kind === "float32" || b.kind === "float32";
  const out = memory.room(shape, isAdded ? "float32" : "bool");
  const steps = [a, b].map(({ shape: own }) => {
    const missing = shape.length - own.length;
    return [...new Array<number>(missing).fill(0), ...rowMajor(own).map((step, i) => (own[i] === 1 ? 0 : step))];
  });
  const value = (x: Block, at: number): number =>
    x.kind === "bool" ? (memory.u8[x.data + at] !== 0 ? 0 : -Infinity) : memory.f32[(x.data >> 2) + at]!;
  const at = [0, 0];
  const index = new Array<number>(shape.length).fill(0);
  for (let i = 0; i < out.size; i++) {
    const sum = value(a, at[0]!) + value(b, at[1]!);
    if (isAdded) memory.f32[(out.data >> 2) + i] = sum;
    else memory.u8[out.data + i] = sum === 0 ? 1 : 0;
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      const back = ++index[axis]! < shape[axis]! ? 0 : shape[axis]!;
      for (let x = 0; x < 2; x++) at[x]! += steps[x]![axis]! * (1 - back);
      if (back === 0) break;
      index[axis] = 0;
    }
  }
  return out;
}

/** Keys or values (..., N, D) with zeros where the mask (..., H, M, N) hides them from every row of every head. */
function withoutUnseen(memory: Memory, x: Block, mask: Block): Block {
  const n = tail(x, 2);
  const width = tail(x, 1);
  const rows = x.size / width;
  const lead = check.broadcastAll("attn_mask", mask.shape.slice(0, -3), leadOf(x));
  const maskLead = mask.shape.slice(0, -3);
  const hides = (at: number): boolean =>
    mask.kind === "bool" ? memory.u8[mask.data + at] === 0 : memory.f32[(mask.data >> 2) + at] === -Infinity;
  const seen = new Uint8Array(rows);
  const per = (mask.shape.at(-3) ?? 1) * tail(mask, 2);
  const batches = lead.reduce((a, b) => a * b, 1);
  const position = (batch: number, own: readonly number[]): number => {
    // of an entry of `lead` in axes that broadcast to it
    let at = 0;
    for (let axis = 0, rest = batch, span = batches; axis < lead.length; axis++) {
      span /= lead[axis]!;
      const i = Math.floor(rest / span);
      rest %= span;
      const length = own[axis - lead.length + own.length] ?? 1;
      at = at * length + (length === 1 ? 0 : i);
    }
    return at;
  };
  const columns = tail(mask, 1);
  for (let b = 0; b < batches; b++) {
    const from = position(b, maskLead) * per * columns;
    const to = position(b, leadOf(x)) * n;
    for (let j = 0; j < n; j++) {
      for (let r = 0; r < per && seen[to + j] === 0; r++)
        if (!hides(from + r * columns + (columns === 1 ? 0 : j))) seen[to + j] = 1;
    }
  }
  const out = memory.room(x.shape);
  memory.f32.copyWithin(out.data >> 2, x.data >> 2, (x.data >> 2) + x.size);
  for (let i = 0; i < rows; i++)
    if (seen[i] === 0) memory.f32.fill(0, (out.data >> 2) + i * width, (out.data >> 2) + (i + 1) * width);
  return out;
}

/** x · w + b as one flat product: (..., N, columns of w). */
export function linear(memory: Memory, x: Block, w: Block, b?: Block): Block {
  const columns = w.shape[1]!;
  const rows = x.size / tail(x, 1);
  const y = memory.room([...x.shape.slice(0, -1), columns]);
  const flat = memory.view(y, [rows, columns]);
  memory.must("matmul", memory.view(x, [rows, tail(x, 1)]), w, flat, 0);
  if (b !== undefined) memory.must("accumulate", memory.view(b, [rows, columns], [0, 1]), flat);
  return y;
}

/** (..., N, H·E) seen as (..., H, N, E), where it lies. */
export function splitHeads(memory: Memory, x: Block, heads: number): Block {
  const [n, width] = [tail(x, 2), tail(x, 1)];
  const strides = rowMajor(x.shape);
  return memory.view(x, [...leadOf(x), heads, n, width / heads], [...strides.slice(0, -2), width / heads, width, 1]);
}

interface Forward {
  rows: Rows;
  result: Result;
  /** Heads side by side, before the last projection. */
  mixed: Block;
  out: Block;
}

function forward(
  memory: Memory,
  { x, p, heads, mask, lead }: Call,
  want: { weights?: boolean; stats?: boolean },
): Forward {
  const [q, k, v] = (
    [
      [x.q, p.wQ, p.bQ],
      [x.k, p.wK, p.bK],
      [x.v, p.wV, p.bV],
    ] as const
  ).map(([input, w, b]) => splitHeads(memory, linear(memory, input, w, b), heads)) as [Block, Block, Block];
  const rows: Rows = { q, k, v, mask, causal: false, scale: tail(q, 1) ** -0.5, lead: [...lead, heads] };
  const mixed = memory.room([...lead, tail(q, 2), p.wV.shape[1]!]);
  const result = attend(memory, rows, NAME, { ...want, to: splitHeads(memory, mixed, heads) });
  return { rows, result, mixed, out: linear(memory, mixed, p.wO, p.bO) };
}

function fully(memory: Memory, call: Call): { out: Block; weights: Block | null } {
  const { out, result } = forward(memory, call, { weights: call.needWeights });
  return { out, weights: result.weights };
}

/** Whether folding the projections of keys and values into the queries costs fewer multiply-adds. */
function folds({ x: { q, k, v }, p, heads, mask, lead }: Call): boolean {
  if ((mask !== null && !isRow(mask)) || lead.length > 0 || p.wV.shape[1] !== p.wQ.shape[1]) return false;
  const [m, n, d, both] = [tail(q, 2), tail(k, 2), p.wQ.shape[1]!, tail(k, 1) + tail(v, 1)];
  return m * heads * n * both <= n * both * d + 2 * m * n * d;
}

/** Whether all heads and queries share one row of a mask. */
function isRow(mask: Block): boolean {
  return mask.shape.slice(0, -1).every((length) => length === 1);
}

/** A few queries in one kernel, without projecting the keys and values; null where something is not finite. */
function folded(memory: Memory, { x: { q, k, v }, p, heads, mask }: Call): Block | null {
  const out = memory.room([tail(q, 2), p.wO.shape[1]!]);
  const scale = (p.wQ.shape[1]! / heads) ** -0.5;
  const finite = memory.call(
    "heads",
    q,
    k,
    v,
    p.wQ,
    p.wK,
    p.wV,
    p.wO,
    p.bQ ?? null,
    p.bV ?? null,
    p.bO ?? null,
    null,
    null,
    out,
    null,
    heads,
    scale,
    mask && memory.view(mask, [1, tail(mask, 1)]),
    1,
    0,
  );
  return finite === true ? out : null;
}

/** The same step by step, for the weights: each head's query is taken to the raw keys, and the average of the raw values is projected. */
function foldedWithWeights(
  memory: Memory,
  { x: { q, k, v }, p, heads, mask }: Call,
): { out: Block; weights: Block } | null {
  if (!isFinite(memory, q, k, v)) return null;
  const [m, n, d] = [tail(q, 2), tail(k, 2), p.wQ.shape[1]!];
  const width = d / heads;
  const columns = (w: Block): Block => memory.view(w, [heads, w.shape[0]!, width], [width, d, 1]);
  const keyed = memory.room([heads, m, tail(k, 1)]);
  memory.must("matmul", splitHeads(memory, linear(memory, q, p.wQ, p.bQ), heads), columns(p.wK), keyed, 2);
  const scores = memory.room([heads, m, n]);
  // The bias of the keys adds the same to all scores of a row.
  memory.must("matmul", memory.view(keyed, [heads * m, tail(k, 1)]), k, memory.view(scores, [heads * m, n]), 2);
  const average = memory.room([heads, m, tail(v, 1)]);
  const wide = memory.view(v, [1, n, tail(v, 1)]);
  const row = mask && memory.view(mask, [1, n]);
  const rows = { q: keyed, k, v: wide, mask: row, causal: false, scale: width ** -0.5 };
  const { weights } = mix(memory, scores, rows, NAME, average);
  const mixed = memory.room([m, d]);
  memory.must("matmul", average, columns(p.wV), splitHeads(memory, mixed, heads), 0);
  if (p.bV !== undefined) memory.must("accumulate", memory.view(p.bV, [m, d], [0, 1]), mixed);
  return { out: linear(memory, mixed, p.wO, p.bO), weights };
}

const outer = ({ lead, single, x }: Call, ...last: readonly number[]): number[] =>
  single ? [...lead, ...last] : [...lead, tail(x.q, 2), ...last];

export function multiHead(
  memory: Memory,
  query: Data,
  key: Data,
  value: Data,
  parameters: MultiHeadParameters,
  given: MultiHeadOptions,
): Output | Attended {
  return memory.run(() => {
    const call = prepare(memory, query, key, value, parameters, given);
    const few = folds(call);
    const once = few && !call.needWeights ? folded(memory, call) : null;
    if (once !== null) return matrixOf(memory, once, outer(call, tail(once, 1)));
    const inSteps = few && call.needWeights ? foldedWithWeights(memory, call) : null;
    const { out, weights } = inSteps ?? fully(memory, call);
    const output = matrixOf(memory, out, outer(call, tail(out, 1)));
    if (!call.needWeights) return output;
    const shape = [...call.lead, call.heads, ...(call.single ? [] : [tail(call.x.q, 2)]), tail(call.x.k, 2)];
    return { output, weights: matrixOf(memory, weights!, shape) };
  });
}

export interface MultiHeadGradients {
  query: Output;
  key: Output;
  value: Output;
  parameters: MultiHeadParameters<Output>;
}

export function multiHeadVjp(
  memory: Memory,
  query: Data,
  key: Data,
  value: Data,
  parameters: MultiHeadParameters,
  given?: unknown,
  g?: unknown,
): Vjp<Output, MultiHeadGradients> | MultiHeadGradients {
  const [options, gradient] = optionsAndGradient(given, g);
  return memory.run(() => {
    const call = prepare(memory, query, key, value, parameters, options);
    if (gradient !== undefined) return backward(memory, call, gradient);
    const { out } = forward(memory, call, {});
    const output = matrixOf(memory, out, outer(call, tail(out, 1)));
    const inputs = [query, key, value].map((x, i) =>
      remember(memory, x, [call.x.q, call.x.k, call.x.v][i]!, call.shapes[i]!),
    );
    const all = check.options(parameters, [...WEIGHTS, ...BIASES], "parameters", "parameters");
    const kept = Object.fromEntries(
      Object.entries(all).map(([name, x]) => [
        name,
        remember(memory, x, call.p[name as Name]!, call.p[name as Name]!.shape),
      ]),
    );
    const masks = call.mask === null ? {} : { attnMask: remember(memory, null, call.mask, call.mask.shape) };
    const again = { numHeads: call.heads, ...masks };
    return {
      output,
      pullback: (later) =>
        memory.run(() => backward(memory, prepare(memory, inputs[0], inputs[1], inputs[2], kept, again), later)),
    };
  });
}

/** Gradients of `linear` by x, w and b. */
function linearPullback(
  memory: Memory,
  x: Block,
  w: Block,
  g: Block,
  biased: boolean,
): { x: Block; w: Block; b: Block | null } {
  const rows = x.size / tail(x, 1);
  const flatX = memory.view(x, [rows, tail(x, 1)]);
  const flatG = memory.view(g, [rows, tail(g, 1)]);
  const gx = memory.room(flatX.shape);
  memory.must("matmul", flatG, w, gx, 2);
  const gw = memory.room(w.shape);
  memory.must("matmul", flatX, flatG, gw, 1);
  return { x: gx, w: gw, b: biased ? memory.view(unbroadcast(memory, flatG, [1, tail(g, 1)]), [tail(g, 1)]) : null };
}

function backward(memory: Memory, call: Call, gradient: unknown): MultiHeadGradients {
  const { p, x, heads } = call;
  const { rows, result, mixed } = forward(memory, call, { stats: true });
  const g = cotangent(memory, gradient, outer(call, p.wO.shape[1]!));
  const last = linearPullback(
    memory,
    mixed,
    p.wO,
    memory.view(g, [...mixed.shape.slice(0, -1), p.wO.shape[1]!]),
    p.bO !== undefined,
  );
  const inner = attendPullback(memory, rows, result, splitHeads(memory, memory.view(last.x, mixed.shape), heads));
  const parameters: Partial<Record<Name, Output>> = {};
  const inputs = (["q", "k", "v"] as const).map((name, i) => {
    const own = memory.zeros([...x[name].shape.slice(0, -1), p[WEIGHTS[i]!].shape[1]!]);
    const split = splitHeads(memory, own, heads);
    memory.must("accumulate", unbroadcast(memory, inner[name], split.shape), split);
    const part = linearPullback(memory, x[name], p[WEIGHTS[i]!], own, p[BIASES[i]!] !== undefined);
    parameters[WEIGHTS[i]!] = matrixOf(memory, part.w);
    if (part.b !== null) parameters[BIASES[i]!] = matrixOf(memory, part.b);
    return matrixOf(memory, part.x, call.shapes[i]);
  });
  parameters.wO = matrixOf(memory, last.w);
  if (last.b !== null) parameters.bO = matrixOf(memory, last.b);
  return {
    query: inputs[0]!,
    key: inputs[1]!,
    value: inputs[2]!,
    parameters: parameters as MultiHeadParameters<Output>,
  };
}
