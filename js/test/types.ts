// Compiled, never run: the types that users see. A line after @ts-expect-error must not compile.
import { connect, AttentionError, type Attention, type CreateOptions, type ErrorCode, type Matrix, type Metadata, type Prepared, type Tensor } from "graphattend";

const ga = await connect({ worker: true, indexURL: "/pyodide/", onProgress: (p) => console.log(p.phase, p.loaded, p.total), timeout: 1000 });
const attn = await ga.create("hyperbolic", { dim: 128, curvature: -1 });
const data = new Float32Array(128);

const plain = await attn.forward(data, data, data);
const output: Matrix = plain.output;
const none: undefined = plain.weights;
const full = await attn.forward(data, [[1, 2]], { data, shape: [1, 128] }, { needWeights: true, attnMask: [true], signal: AbortSignal.timeout(5) });
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
const distances: Matrix = await ball.dist([[0, 0]], [[0.1, 0]]);
const softmax: Matrix = await ga.functional.softmax(data, { axis: -1 });
const options: CreateOptions<"flash"> = { dim: 4, isCausal: true };
const metadata: Metadata = { hnswLayers: [0, 1], queryLayer: 0 };
const anyone: Attention = attn;
const code: ErrorCode = new AttentionError("aborted", "x").code;

// Results are what the options ask for.
const deep: Float64Array = (await ga.functional.softmax(data, { axis: -1, dtype: "float64" })).data;
const [attended, shares] = await ga.functional.scaledDotProductAttention(data, data, data, { returnWeights: true });
const [, , sums]: [Matrix, Matrix, Matrix] = await ga.functional.scaledDotProductAttention(data, data, data, { returnWeights: true, returnLse: true });
const loss: number = await ga.training.triplet(data, data, data, { margin: 2 });
const each: Matrix = await ga.training.triplet(data, data, data, { reduction: "none" });
const hard: Int32Array = (await ga.training.sampleHardNegatives(data, [[1]], [0], 1, { strategy: "semi_hard", rng: 1 })).data;
const { indices } = await attn.attentionWeights(data, data, { topK: 2 });
const positions: Int32Array = indices.data;
const club = await ga.graph({ edges: [["a", "b"]] });
const measures: Matrix[] = [await club.pagerank(), await club.betweenness({ samples: 3 }), await club.closeness(), await club.clustering()];
const degrees: Int32Array = (await club.degree()).data;
const names: string[] | null = await club.get("names");
const rows: Int32Array = (await club.get("indices")).data;
const nodes: number = club.fields.num_nodes;
const dense: number = await ga.graphs.density(club);
const routes: [number, number][][] = await moe.getRouting([[1, 2]]);
const navigator = await ga.create("rl_navigator", { dim: 128 });
const fitted = await navigator.fitted(data);
const found = await fitted.search(club, data, data, { k: 3 });
const nearest: Int32Array = (await found.get("indices")).data;
const work: number = found.fields.work;
const adam = await ga.training.Adam({ lr: await ga.training.schedules.cosine(0.1, 10), betas: [0.9, 0.99] });
const [params, state] = await adam.update({ w: data }, { w: data }, await adam.init({ w: data }));
const weight: Matrix = params.w!;
await adam.update(params, params, state);
const codec = await ga.compression.Quantizer({ bits: 4, granularity: "row" });
const codes: Int8Array = (await (await codec.encode(data)).get("codes")).data;
await ga.create("moe", { dim: 8, experts: [{ key: "multi_head", dim: 8, options: { numHeads: 2 } }, { key: "flash", dim: 8 }, heads] });
await ga.create("mixed_curvature", { dim: 4, spaces: [["poincare", 2, -1], ["euclidean", 2, 0]] });
await ga.create("manifold", { dim: 4, manifold: { type: "product", factors: [[{ type: "sphere" }, 2], [{ type: "euclidean" }, 2]] } });
const suited = await ga.recommend(club, { dim: 8 });
await ga.create(suited.key, { dim: 8, ...suited.options });
await ga.train(heads, { graph: club, features: data, labels: [0], loss: "cross_entropy", optimizer: "AdamW", onProgress: (p) => p.epochLoss });

// @ts-expect-error -- no such precision
await ga.functional.softmax(data, { dtype: "float16" });
// @ts-expect-error -- no such option
await ga.functional.softmax(data, { axes: 0 });
// @ts-expect-error -- no such option
await attn.forward(data, data, data, { needWeight: true });
// @ts-expect-error -- only 4 or 8
await ga.compression.Quantizer({ bits: 3 });
// @ts-expect-error -- no such strategy
await ga.training.sampleHardNegatives(data, [[1]], [0], 1, { strategy: "hardest" });
// @ts-expect-error -- no such reduction
await ga.training.triplet(data, data, data, { reduction: "max" });
// @ts-expect-error -- no such method
await ga.training.LossBalancer({ method: "equal" });
// @ts-expect-error -- an expert's option that does not exist
await ga.create("moe", { dim: 8, experts: [{ key: "multi_head", dim: 8, options: { numHeds: 2 } }] });
// @ts-expect-error -- nor such an expert
await ga.create("moe", { dim: 8, experts: [{ key: "multihead", dim: 8 }] });
// @ts-expect-error -- no such space
await ga.create("mixed_curvature", { dim: 4, spaces: [["torus", 4, 0]] });
// @ts-expect-error -- flat space has no curvature
await ga.create("mixed_curvature", { dim: 4, spaces: [["euclidean", 4, -1]] });
// @ts-expect-error -- no such manifold
await ga.create("manifold", { dim: 4, manifold: { type: "poincaré" } });
// @ts-expect-error -- no such loss
await ga.train(heads, { graph: club, features: data, labels: [0], loss: "crossEntropy" });
// @ts-expect-error -- no such field
club.fields.numNodes;
// @ts-expect-error -- no such attribute
await club.get("edges");
// @ts-expect-error -- a codec is no manifold
await ga.knn(data, 2, { manifold: codec });
// @ts-expect-error -- one number is no loss per sample
const many: Matrix = await ga.training.triplet(data, data, data);
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

export { distances, deep, attended, shares, sums, loss, each, hard, positions, measures, degrees, names, rows, nodes, dense, routes, nearest, work, weight, codes, many, none, weights, precise, perEdge, gradient, perHead, distance, softmax, options, metadata, anyone, code, wrong };
