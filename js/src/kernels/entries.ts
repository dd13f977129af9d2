/**
 * The entry points of the C kernels (src/graphattend/simd/kernels) and of the steps between them (js/kernels), each with
 * its operands in order; `?` marks one that may be null. A kernel becomes callable by a line here: the build exports it.
 */
export const ENTRIES = {
  softmax: ["x", "out"],
  segment_softmax: ["scores", "indptr", "out"],
  matmul: ["a", "b", "out", "transposes"],
  attend: ["q", "k", "v", "out", "stats?", "scale", "mask?", "causal", "lengths?"],
  attend_vjp: ["q", "k", "v", "out", "stats", "grad", "dq", "dk", "dv", "scale", "mask?", "causal", "lengths?"],
  heads: ["q", "k", "v", "w_q", "w_k", "w_v", "w_o", "b_q?", "b_v?", "b_o?", "out", "num_heads", "scale"],
  graph_attend: ["q", "k", "v", "indptr", "indices", "bias?", "out", "weights?", "scale"],
  graph_attend_vjp: ["q", "k", "v", "grad", "dq", "dk", "dv", "indptr", "indices", "weights", "dbias?", "scale"],
  gat: ["x", "w", "a_query", "a_key", "indptr", "indices", "added?", "hidden", "out", "weights?", "negative_slope"],
  poincare: ["q", "k", "v?", "out?", "distances?", "weights?", "c", "temperature"],
  int8_scores: ["q", "codes", "scale", "zero_point", "group_size?", "out"],
  rotate: ["x", "positions", "frequency", "interleaved", "out"],
  finite: ["x"],
  mask_scores: ["scores", "mask?", "causal", "scale"],
  sum_of_seen: ["w", "x", "out", "transposed"],
  softmax_pullback: ["w", "g"],
  additive_scores: ["q", "k", "a", "slope", "out"],
  accumulate: ["x", "out"],
} as const;

export type Entry = keyof typeof ENTRIES;

type Each<Names extends readonly string[], T> = { readonly [I in keyof Names]: Names[I] extends `${string}?` ? T | null : T };
/** What a call of this entry point takes: as many operands as are declared, null where it is allowed. */
export type Operands<E extends Entry, T> = Each<(typeof ENTRIES)[E], T>;
