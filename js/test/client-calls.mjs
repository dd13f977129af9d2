// One good call of what is not a function of a module (`graph`, `create`, `train`, `get`, `save` and the like).

const x = { data: Float32Array.from({ length: 20 }, (_x, i) => Math.sin(i) / 4), shape: [5, 4] };
const graph = { indptr: Int32Array.of(0, 2, 3, 4, 5, 6), indices: Int32Array.of(1, 4, 0, 1, 2, 3) };
const labels = Int32Array.of(0, 1, 0, 1, 0);
const euclidean = {
  expmap: (a, v) => ({ data: a.data.map((c, i) => c + v.data[i]), shape: a.shape }),
  logmap: (a, b) => ({ data: b.data.map((c, i) => c - a.data[i]), shape: a.shape }),
};

/** Name → arguments by name, and the call of them. */
export async function clientCalls(ga) {
  const attention = await ga.create("multi_head", { dim: 4, numHeads: 2 });
  const ball = await ga.geometry.Poincare();
  const saved = await attention.save();
  const { pullback } = await ga.vjp("functional.softmax", [x]);
  return {
    graph: [{ graph, directed: true }, ({ graph, directed }) => ga.graph(graph, { directed })],
    knn: [{ x, k: 2, manifold: undefined }, ({ x, k, manifold }) => ga.knn(x, k, { manifold })],
    manifold: [{ manifold: euclidean }, ({ manifold }) => ga.manifold(manifold)],
    tensor: [{ data: x.data, shape: [5, 4] }, ({ data, shape }) => ga.tensor(data, shape)],
    load: [{ bytes: undefined }, ({ bytes }) => ga.load(bytes ?? saved)],
    schema: [{ key: "flash" }, async ({ key }) => ga.schema(key)],
    recommend: [{ graph, options: { dim: 4 } }, ({ graph, options }) => ga.recommend(graph, options)],
    call: [{ name: "functional.softmax" }, ({ name }) => ga.call(name, [1, 2])],
    vjp: [
      { target: "functional.softmax", args: [x], options: { axis: -1 } },
      ({ target, args, options }) => ga.vjp(target, args, options),
    ],
    pullback: [{ gradOutput: x }, ({ gradOutput }) => pullback(gradOutput)],
    create: [{ key: "flash", options: { dim: 4 } }, ({ key, options }) => ga.create(key, options)],
    train: [
      {
        ...{ graph, features: x, labels, targets: undefined, nodes: undefined, loss: undefined },
        ...{ optimizer: "Adam", lr: 0.1 },
        ...{ epochs: 1, batchSize: 5, seed: 0, shuffle: true, validationNodes: [0], metric: "loss", validateEvery: 1 },
        ...{ patience: 1, minDelta: 0, clipNorm: 1, clipValue: 1, checkpointEvery: 1, resume: undefined },
        ...{ onProgress: undefined, onCheckpoint: undefined, signal: undefined },
      },
      (options) => ga.train(attention, options),
    ],
    "the mechanism of train": [
      { attention: undefined },
      ({ attention: given }) => ga.train(given ?? attention, { graph, features: x, labels, epochs: 1 }),
    ],
    commandLine: [
      { args: ["list"], files: {}, outputs: [] },
      ({ args, files, outputs }) => ga.commandLine(args, files, outputs),
    ],
    "a manifold's get": [{ name: "curvature" }, ({ name }) => ball.get(name)],
    "a manifold's call": [{ name: "dist" }, ({ name }) => ball.call(name, [0.1, 0.2], [0.3, 0])],
    "a mechanism's call": [{ name: "parameters" }, ({ name }) => attention.call(name)],
    "a mechanism's save": [{ format: "npz" }, ({ format }) => attention.save(format)],
    withParameters: [{ parameters: {} }, ({ parameters }) => attention.withParameters(parameters)],
  };
}

/** Graphs whose parts are of the wrong kind, and the argument that errors name. */
export const BAD_GRAPHS = [
  [{ nodes: 5 }, "graph"],
  [{ nodes: 5, links: [] }, "graph.nodes"],
  [{ nodes: [1], links: 5 }, "graph.links"],
  [{ nodes: ["a"], edges: [["a", "a"]] }, "graph.links[0]"],
  [{ edges: [1, "a"] }, "graph.edges"],
  [{ edges: "text" }, "graph.edges"],
  [{ edges: [["a", "b", "c"]] }, "graph.edges"],
  [{ indptr: 5 }, "graph"],
  [{ indptr: 5, indices: [0] }, "indptr"],
];
