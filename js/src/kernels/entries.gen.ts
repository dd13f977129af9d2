// Written by tools/build_js_kernels.py from kernels.def and js/kernels/steps.def; do not edit.

/** The kernels that are called, each with its operands in order; `?` marks one that may be null. */
export const ENTRIES = {
  softmax: ["x", "out"],
  segment_softmax: ["scores", "indptr", "out"],
  matmul: ["a", "b", "out", "transposes"],
  attend: ["q", "k", "v", "out", "stats?", "scale", "mask?", "causal", "lengths?"],
  attend_vjp: ["q", "k", "v", "out", "stats", "grad", "dq", "dk", "dv", "scale", "mask?", "causal", "lengths?"],
  heads: ["q", "k", "v?", "w_q", "w_k", "w_v?", "w_o?", "b_q?", "b_v?", "b_o?", "w_gate?", "b_gate?", "out?", "weights?", "heads", "scale", "mask?", "sharpness", "threshold"],
  graph_attend: ["q", "k", "v", "indptr", "indices", "bias?", "positions?", "frequency?", "gain?", "out", "weights?", "mixture?", "scale", "interleaved", "plain"],
  graph_attend_vjp: ["grad", "k", "v", "indptr", "indices", "weights", "dscores", "dq?", "scale", "plain"],
  graph_sum: ["x", "indptr", "indices", "order?", "weights?", "out", "scale", "add"],
  head_dots: ["x", "a", "out"],
  gat: ["hidden", "query", "key", "indptr", "indices", "added?", "gain?", "out", "weights?", "mixture?", "slope"],
  int8_scores: ["x", "codes", "scale", "zero", "group?", "out"],
  rotate: ["x", "positions", "frequency", "interleaved", "out"],
  finite: ["x"],
  mask_scores: ["scores", "mask?", "causal", "scale", "softcap?"],
  sum_of_seen: ["w", "x", "out", "transposed"],
  softmax_pullback: ["w", "g"],
  additive_scores: ["q", "k", "a", "slope", "out"],
  accumulate: ["x", "out"],
  edge_scores: ["left", "right", "indptr", "indices", "edge?", "a", "slope", "out"],
  edge_scores_vjp: ["left", "right", "indptr", "indices", "edge?", "a", "slope", "g", "by_left", "by_right", "by_edge?", "by_a"],
  poincare: ["q", "k", "v", "out", "weights?", "c", "temperature"],
} as const;
