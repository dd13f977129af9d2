// Compiled, never run: results, nested options and graphs. A line after @ts-expect-error must not compile.
import { connect, type Matrix } from "graphattend";

const ga = await connect();
const data = new Float32Array(8);
const attn = await ga.create("flash", { dim: 8 });
const heads = await ga.create("multi_head", { dim: 8 });
const moe = await ga.create("moe", { dim: 8, topK: 1 });
const ball = await ga.geometry.Poincare();
const distances: Matrix = await ball.dist([[0, 0]], [[0.1, 0]]);

// Options determine the types of results.
const deep: Float64Array = (await ga.functional.softmax(data, { axis: -1, dtype: "float64" })).data;
const [attended, shares] = await ga.functional.scaledDotProductAttention(data, data, data, { returnWeights: true });
const [, , sums]: [Matrix, Matrix, Matrix] = await ga.functional.scaledDotProductAttention(data, data, data, {
  returnWeights: true,
  returnLse: true,
});
const loss: number = await ga.training.triplet(data, data, data, { margin: 2 });
const each: Matrix = await ga.training.triplet(data, data, data, { reduction: "none" });
const hard: Int32Array = (await ga.training.sampleHardNegatives(data, [[1]], [0], 1, { strategy: "semi_hard", rng: 1 }))
  .data;
const { indices } = await attn.attentionWeights(data, data, { topK: 2 });
const positions: Int32Array = indices.data;
const club = await ga.graph({ edges: [["a", "b"]] });
const measures: Matrix[] = [
  await club.pagerank(),
  await club.betweenness({ samples: 3 }),
  await club.closeness(),
  await club.clustering(),
];
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
await ga.create("moe", {
  dim: 8,
  experts: [{ key: "multi_head", dim: 8, options: { numHeads: 2 } }, { key: "flash", dim: 8 }, heads],
});
await ga.create("mixed_curvature", {
  dim: 4,
  spaces: [
    ["poincare", 2, -1],
    ["euclidean", 2, 0],
  ],
});
await ga.create("manifold", {
  dim: 4,
  manifold: {
    type: "product",
    factors: [
      [{ type: "sphere" }, 2],
      [{ type: "euclidean" }, 2],
    ],
  },
});
const suited = await ga.recommend(club, { dim: 8 });
await ga.create(suited.key, { dim: 8, ...suited.options });
await ga.train(heads, {
  graph: club,
  features: data,
  labels: [0],
  loss: "cross_entropy",
  optimizer: "AdamW",
  onProgress: (p) => p.epochLoss,
});

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

export {
  deep,
  attended,
  shares,
  distances,
  sums,
  loss,
  each,
  hard,
  positions,
  measures,
  degrees,
  names,
  rows,
  nodes,
  dense,
  routes,
  nearest,
  work,
  weight,
  codes,
  many,
};
