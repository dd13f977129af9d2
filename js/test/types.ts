// Compiled, never run: the types that users see. A line after @ts-expect-error must not compile.
import {
  connect,
  AttentionError,
  type Attention,
  type CreateOptions,
  type ErrorCode,
  type ManifoldFunctions,
  type Matrix,
  type Metadata,
  type Prepared,
  type Tensor,
} from "graphattend";

import {
  load,
  UnsupportedError,
  type Backend,
  type Data,
  type Graph,
  type Kernels,
  type Tensor as KernelTensor,
} from "graphattend/kernels";

const ga = await connect({
  worker: true,
  indexURL: "/pyodide/",
  onProgress: (p) => console.log(p.phase, p.loaded, p.total),
  timeout: 1000,
});
const attn = await ga.create("hyperbolic", { dim: 128, curvature: -1 });
const data = new Float32Array(128);

const plain = await attn.forward(data, data, data);
const output: Matrix = plain.output;
const none: undefined = plain.weights;
const full = await attn.forward(
  data,
  [[1, 2]],
  { data, shape: [1, 128] },
  { needWeights: true, attnMask: [true], signal: AbortSignal.timeout(5) },
);
const weights: Float32Array = full.weights.data;
const precise: Float64Array = (await attn.forward(data, data, data, { dtype: "float64" })).output.data;
const resident: Tensor = await ga.tensor(data, [1, 128]);
await attn.forward(resident, resident, resident, { transfer: true, timeout: 5 });
const graph = await attn.attend({ indptr: [0, 1], indices: [0] }, data, null, null, { needWeights: true });
const perEdge: Matrix = graph.weights;
await attn.attend({ edges: [[0, 1]], numNodes: 2 }, data);
const { pullback } = await attn.vjp(data, data, data);
const gradient: Matrix = (await pullback(data)).query;

await ga.create("multi_head", { dim: 8, numHeads: 2 });
await ga.create("multi_head", { dim: 8, num_heads: 2 });
const heads = await ga.create("multi_head", { dim: 8 });
const perHead = await heads.headAttentionWeights(data, data);
const moe = await ga.create("moe", { dim: 8, topK: 1 });
await moe.getRouting(data);
const edges = await ga.create("edge_featured", { dim: 8, edgeDim: 2 });
const prepared: Prepared = await attn.prepare(data, resident);
await attn.forward(data, prepared, null);
await attn.attentionWeights(data, prepared);
await edges.forward(data, data, data, { metadata: { edgeFeatures: data } });
const rope = await ga.create("graph_rope", { dim: 8 });
await rope.forward(data, data, data, { metadata: { distances: [1, 2] } });
const ball = await ga.geometry.Poincare({ curvature: -2 });
const distance: number = await ball.dist([0, 0], [0.1, 0]);
const softmax: Matrix = await ga.functional.softmax(data, { axis: -1 });
const options: CreateOptions<"flash"> = { dim: 4, isCausal: true };
const metadata: Metadata = { hnswLayers: [0, 1], queryLayer: 0 };
const anyone: Attention = attn;
const code: ErrorCode = new AttentionError("aborted", "x").code;

const kernels: Kernels = await load({ backend: "wasm-simd128" });
const flat: Float32Array = kernels.scaledDotProductAttention(data, [[1, 2]], { data, shape: [1, 128] }).data;
const attended = kernels.scaledDotProductAttention(data, data, data, {
  needWeights: true,
  attnMask: [true],
  isCausal: false,
  scale: null,
});
const seen: number[] = attended.weights.shape;
const lse: Float32Array = kernels.scaledDotProductAttention(data, data, data, { returnLse: true }).lse.data;
const kept: KernelTensor = kernels.tensor([[1, 2]], undefined, { dtype: "float32" });
const same: KernelTensor = kernels.softmax(kept, { axis: 0, out: kept });
const lists: Graph = kernels.graph({ indptr: [0, 1], indices: Int32Array.of(0) });
const perEdgeToo: Float32Array = kernels.graphAttention(lists, kept, kept, kept, { needWeights: true }).weights.data;
const back = kernels
  .multiHeadAttentionVjp(kept, kept, kept, { wQ: kept, wK: kept, wV: kept, wO: kept }, { numHeads: 1 })
  .pullback([[1, 2]]);
const byWeight: Float32Array = back.parameters.wQ.data;
const maybe: Float32Array | undefined = back.parameters.bQ?.data;
const build: Backend = kernels.backend;
const given: Data = [new Float32Array(2)];
kernels.quantizedAttention(data, { codes: { data: new Int8Array(2), shape: [1, 2] }, scale: 1 }, data);
kernels.gatAttention(data, data, { w: data, aQuery: data, aKey: data }, { variant: "gat" });
const overGraph: Float32Array = kernels.gatAttention(
  lists,
  kept,
  { wQuery: data, wKey: data, a: data },
  { variant: "gatv2", needWeights: true },
).weights.data;
const byName = kernels.gatAttentionVjp(
  { indptr: [0, 1], indices: [0] },
  kept,
  { wQuery: data, wKey: data, a: data },
  { variant: "gatv2" },
  kept,
);
const byParameter: Float32Array[] = [byName.wQuery.data, byName.a.data, byName.x.data];
const byBias: Float32Array | undefined = kernels.graphAttentionVjp(lists, kept, kept, kept, [[1, 2]]).edgeBias?.data;
const atOnce: Float32Array = kernels.scaledDotProductAttentionVjp(kept, kept, kept, { isCausal: true }, kept).query
  .data;
const { output: alone } = kernels.scaledDotProductAttention(data, data, data);
const which: "relaxed" | "simd128" = kernels.variant;
// @ts-expect-error -- the graph comes first
kernels.graphAttention(kept, kept, kept, lists);
// @ts-expect-error -- no mask over a graph
kernels.gatAttention(lists, kept, { wQuery: data, wKey: data, a: data }, { attnMask: [true] });
// @ts-expect-error -- gradients, not a pullback
kernels.scaledDotProductAttentionVjp(kept, kept, kept, kept).pullback;
if (build === "wasm-simd128") throw new UnsupportedError("x");
// @ts-expect-error -- no such option
kernels.softmax(data, { axes: 1 });
// @ts-expect-error -- weights were not asked for
kernels.hyperbolicAttention(data, data, data).weights;
// @ts-expect-error -- how many heads?
kernels.multiHeadAttention(data, data, data, { wQ: data, wK: data, wV: data, wO: data });
// @ts-expect-error -- text is no data
kernels.matmul("a", data);
// @ts-expect-error -- no such build
await load({ backend: "wasm" });

// @ts-expect-error -- no such mechanism
await ga.create("hyperbolik", { dim: 2 });
// @ts-expect-error -- no such option
await ga.create("hyperbolic", { dim: 2, curvatur: -1 });
// @ts-expect-error -- dim is missing
await ga.create("hyperbolic", { curvature: -1 });
// @ts-expect-error -- wrong kind
await ga.create("hyperbolic", { dim: 2, curvature: "flat" });
// @ts-expect-error -- not one of the words
await ga.create("hyperbolic", { dim: 2, aggregation: "mean" });
// @ts-expect-error -- graph_rope needs distances
await rope.forward(data, data, data);
// @ts-expect-error -- and these are not distances
await rope.forward(data, data, data, { metadata: { edgeWeights: data } });
// @ts-expect-error -- text is no data
await attn.forward("query", data, data);
// @ts-expect-error -- weights were not asked for
plain.weights.data;
// @ts-expect-error -- hyperbolic has no such method
await attn.headAttentionWeights(data, data);
// @ts-expect-error -- no such schema
ga.schema("hyperbolik");
// @ts-expect-error -- no such option of connect
await connect({ wheel: "x" });
// @ts-expect-error -- results are not nullable
const wrong: null = output;

export {
  flat,
  seen,
  lse,
  same,
  perEdgeToo,
  byWeight,
  maybe,
  given,
  none,
  weights,
  precise,
  perEdge,
  gradient,
  perHead,
  distance,
  softmax,
  options,
  metadata,
  anyone,
  code,
  wrong,
};

const own = await ga.manifold({
  expmap: (x, v) => x.data.map((a, i) => a + v.data[i]!),
  logmap: async (x, y) => Promise.resolve(y.data.map((b, i) => b - x.data[i]!)),
  gradients: { logmap: (x, _y, g) => [x.data, g.data] },
});
await ga.create("manifold", { dim: 2, manifold: own });
const functions: ManifoldFunctions = { expmap: (x) => x.data, logmap: (x) => x.data };
await ga.create("manifold", { dim: 2, manifold: functions });
// @ts-expect-error: logmap is missing
await ga.manifold({ expmap: (x) => x.data });
// @ts-expect-error: no such function
await ga.manifold({ expmap: (x) => x.data, logmap: (x) => x.data, expmapp: (x) => x.data });
await ga.vjp("functional.scaledDotProductAttention", [data], { scoreMod: (scores) => scores.data });
