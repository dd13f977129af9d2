// Compiled with the types, then run: every public function, with each result passed to a check of its declared type.
import { connect, type GraphAttend, type Matrix } from "graphattend";

class Mismatch extends Error {}

const checked =
  // prettier-ignore
  <T,>(title: string, test: (x: unknown) => boolean) =>
  (x: T): T => {
    if (!test(x))
      throw new Mismatch(
        `expected ${title}, got ${JSON.stringify(x)?.slice(0, 200)} ${(x as Matrix | null)?.data?.constructor?.name ?? ""}`,
      );
    return x;
  };
const matrix =
  (kind: abstract new (...args: never[]) => object) =>
  (x: unknown): boolean => {
    const { data, shape } = x as { data?: object; shape?: number[] };
    return (
      data instanceof kind && Array.isArray(shape) && (data as Float32Array).length === shape.reduce((a, b) => a * b, 1)
    );
  };
const f32 = checked<Matrix>("a Float32Array", matrix(Float32Array));
const f64 = checked<Matrix<Float64Array>>("a Float64Array", matrix(Float64Array));
const i32 = checked<Matrix<Int32Array>>("an Int32Array", matrix(Int32Array));
const i8 = checked<Matrix<Int8Array>>("an Int8Array", matrix(Int8Array));
const u8 = checked<Matrix<Uint8Array>>("a Uint8Array", matrix(Uint8Array));
const number = checked<number>("a number", (x) => typeof x === "number");
const text = checked<string>("text", (x) => typeof x === "string");
const record =
  // prettier-ignore
  <T,>(check: (x: T) => T) =>
  (x: Record<string, T>): void => {
    if (Object.keys(x).length === 0) throw new Mismatch("expected entries");
    Object.values(x).forEach(check);
  };
const list =
  // prettier-ignore
  <T,>(check: (x: T) => T) =>
  (x: T[]): void =>
    x.forEach(check);
const either = checked<Matrix | number>("numbers or a number", (x) => typeof x === "number" || matrix(Float32Array)(x));

/** The connection, which notes what is called. */
function watched(ga: GraphAttend, called: Set<string>): GraphAttend {
  const note = <T extends object>(space: T, name: string): T =>
    new Proxy(space, {
      get: (target, key) => {
        const found = Reflect.get(target, key) as unknown;
        if (typeof found === "function") called.add(`${name}.${String(key)}`);
        return typeof found === "object" && found !== null && key === "schedules"
          ? note(found, `${name}.schedules`)
          : found;
      },
    });
  const plain = (target: Record<string, unknown>): Record<string, unknown> => ({
    ...target, // frozen members cannot be proxied
    ...("schedules" in target ? { schedules: note({ ...(target["schedules"] as object) }, "training.schedules") } : {}),
  });
  const spaces = ["functional", "geometry", "training", "compression", "graphs", "analysis", "evaluation"] as const;
  const own = Object.fromEntries(spaces.map((s) => [s, note(plain(ga[s] as never), s === "graphs" ? "graph" : s)]));
  return new Proxy(ga, {
    get: (target, key) => {
      if (typeof key === "string" && key in own) return own[key];
      const found = Reflect.get(target, key) as unknown;
      return typeof found === "function" ? (found as (...args: unknown[]) => unknown).bind(target) : found;
    },
  });
}

async function functional({ functional: f, compression }: GraphAttend): Promise<void> {
  const [q, x] = [
    [1, 0],
    [
      [1, 0],
      [0, 1],
      [1, 1],
    ],
  ];
  const directions = f32(await f.orthogonalProjection(4, 2, { seed: 1 }));
  f32(await f.favorFeatures(x, directions, { isQuery: true }));
  f32(await f.linearAttention(x, x, x, directions));
  u8((await f.fromTorchMask([true, false])) as Matrix<Uint8Array>);
  f32(
    await f.gatAttention(x, x, {
      w: [
        [1, 0],
        [0, 1],
      ],
      a_query: [[1, 1]],
      a_key: [[1, 1]],
    }),
  );
  const [output, weights] = await f.gatAttention(
    x,
    x,
    {
      w: [
        [1, 0],
        [0, 1],
      ],
      a_query: [[1, 1]],
      a_key: [[1, 1]],
    },
    { needWeights: true },
  );
  [output, weights].forEach(f32);
  number(
    await f.loadBalanceLoss(
      [
        [1, 2],
        [2, 1],
      ],
      1,
    ),
  );
  const parameters = Object.fromEntries(
    ["w_q", "w_k", "w_v", "w_o"].map((name) => [
      name,
      [
        [1, 0],
        [0, 1],
      ],
    ]),
  );
  f32(await f.matmul(x, [[1], [2]]));
  f32(await f.multiHeadAttention(x, x, x, parameters, { numHeads: 1 }));
  f32(await f.quantizedAttention(q, await (await compression.Quantizer()).encode(x), x));
  f32(await f.rotary(x, [0, 1, 2]));
  f32(await f.scaledDotProductAttention([q], x, x));
  (await f.scaledDotProductAttention([q], x, x, { returnWeights: true, returnLse: true })).forEach(f32);
  (await f.scaledDotProductAttention([q], x, x, { returnLse: true, dtype: "float64" })).forEach(f64);
  f32(await f.segmentSoftmax([1, 2, 3], [0, 2, 3]));
  f64(await f.softmax(q, { dtype: "float64" }));
  const [chosen, shares] = await f.topKGating([[1, 2, 3]], 2);
  i32(chosen);
  f32(shares);
}

async function geometry({ geometry: g }: GraphAttend): Promise<void> {
  const ball = await g.Poincare({ curvature: -2 });
  const plane = await g.Euclidean();
  const product = await g.Product([
    [ball, 2],
    [plane, 1],
  ]);
  number(ball.fields.curvature);
  number(product.fields.dim);
  list(f32)(await product.split([0.1, 0, 3]));
  number(await ball.lambdaX([0.1, 0]));
  f32(await ball.mobiusAdd([0.1, 0], [0, 0.2]));
  f32(await ball.mobiusScalarMul(2, [0.1, 0]));
  const found = await g.fromConfig({ type: "poincare" });
  f32(await found.project([3, 4]));
  for (const space of [ball, plane, await g.Sphere(), await g.Lorentz()]) {
    const [x, y] = [f32(await space.random(1, [2])), f32(await space.random(2, [2]))];
    const v = f32(await space.projectTangent(x, [0.1, 0.2]));
    number(await space.dist([...x.data], [...y.data]));
    either(await space.dist(x, y));
    f32(await space.dist([[...x.data]], [[...y.data]]));
    for (const m of [
      space.expmap(x, v),
      space.logmap(x, y),
      space.expmap0(await space.logmap0(x)),
      space.egrad2rgrad(x, v),
      space.transport(x, y, v),
      space.origin(2),
      space.midpoint([[...x.data], [...y.data]], [1, 1]),
      space.frechetMean([[...x.data], [...y.data]], [1, 1]),
      space.pairwise([[...x.data]], [[...y.data]]),
    ])
      f32(await m);
    number(await space.norm([...x.data], [...v.data]));
    number(await space.inner([...x.data], [...v.data], [...v.data]));
    text((await space.toConfig())["type"] as string);
  }
}

async function training({ training: t, geometry: g }: GraphAttend): Promise<void> {
  const [a, b] = [
    [
      [1, 0],
      [0, 1],
    ],
    [
      [0.5, 0.5],
      [1, 1],
    ],
  ];
  const ball = await g.Poincare();
  const { schedules } = t;
  const lr = await schedules.chain(await schedules.warmup(0.1, 2), await schedules.cosine(0.1, 4), [
    await schedules.constant(1),
    2,
  ]);
  number(await lr.at(3));
  number((await schedules.step(1, 2)).fields.gamma);
  const optimizers = [
    await t.Adam({ lr }),
    await t.AdamW(),
    await t.SGD({ momentum: 0.9, groups: { w: { lr: 0.1 } } }),
    await t.RMSprop(),
    await t.RiemannianSGD({ manifold: ball }),
    await t.RiemannianAdam({ manifold: ball }),
  ];
  for (const optimizer of optimizers) {
    const start = await optimizer.init({ w: b });
    const [params, state] = await optimizer.update(
      { w: [[0.1, 0]] },
      { w: [[0.2, 0]] },
      await optimizer.init({ w: [[0.1, 0]] }),
    );
    record(f32)(params);
    record(either)(state);
    record(either)(start);
  }
  const plan = await t.CurriculumScheduler([
    await t.Stage(3, { difficulty: 0.5, weights: { nce: 1 } }),
    await t.Stage(3),
  ]);
  number(plan.fields.total_steps);
  number(await plan.difficulty(1));
  number(await plan.stage(4));
  record(number)(await plan.weights(1));
  i32(await plan.select(1, [3, 1, 2, 0]));
  const balancer = await t.LossBalancer({ method: "pcgrad" });
  const state = await balancer.init(["a", "b"]);
  const [total, gradients] = await balancer.combine({ a: 1, b: 2 }, { a: { x: [1, 0] }, b: { x: [-1, 1] } }, state);
  number(total);
  record(f32)(gradients);
  const graph = {
    edges: [
      [0, 1],
      [1, 2],
    ],
    numNodes: 3,
  };
  Object.values(await (await t.Neighborhoods(graph)).batch([0, 1], 1)).forEach(i32);
  i32(await (await t.Nodes([5, 7, 9])).batch([0, 2], 1));
  Object.values(
    await (
      await t.Pairs(
        [
          [0, 1],
          [1, 2],
        ],
        4,
        { numNegatives: 2 },
      )
    ).batch([0], 1),
  ).forEach(i32);
  list(f32)(await (await t.Rows([[1.5], [2]])).batch([1], 1));
  for (const loss of [
    t.adjacencyReconstruction(a, [[0], [1]], [1]),
    t.crossEntropy(a, [0, 1]),
    t.infoNce(a, a, b),
    t.laplacian(a, [[0], [1]]),
    t.laplacianRegularization(a, [[0], [1]]),
    t.localContrastive(a, [b, b], [b, b]),
    t.normPenalty(a),
    t.orthogonality(a),
    t.reconstruction(a, b),
    t.triplet(a, a, b),
  ])
    number(await loss);
  f32(await t.triplet(a, a, b, { reduction: "none" }));
  record(f32)(await t.clipByNorm({ w: a }, 1));
  record(f32)(await t.clipByValue({ w: a }, 1));
  number(await t.globalNorm({ w: a }));
  i32(
    await t.sampleHardNegatives(
      [1, 0],
      [
        [1, 0],
        [0.5, 0],
        [0, 1],
      ],
      [0],
      1,
      { strategy: "mixed", rng: 3, degrees: [1, 2, 3] },
    ),
  );
}

async function compression(ga: GraphAttend): Promise<void> {
  const { compression: c } = ga;
  const x = { data: Float32Array.from({ length: 24 }, (_x, i) => Math.sin(i)), shape: [6, 4] };
  const quantizer = await c.Quantizer({ bits: 8, granularity: "row" });
  const packed = await quantizer.encode(x);
  i8(await packed.get("codes"));
  f32(await packed.decode());
  number(packed.fields.error_bound);
  u8(await packed.toBytes());
  list(number)(await packed.get("shape"));
  const codecs = [await c.LowRank({ rank: 2 }), await c.SparseStorage({ topK: 2 }), quantizer];
  for (const codec of codecs) f32(await codec.decode(await codec.encode(x)));
  const tucker = await c.Tucker([1, 2, 2]);
  f32(await tucker.decode(await tucker.encode({ data: x.data, shape: [2, 3, 4] })));
  const layered = await c.Hierarchical({ 0: codecs[0]!, 1: quantizer });
  f32(await layered.decode(await layered.encode(x, [0, 0, 0, 1, 1, 1])));
}

async function graphs(ga: GraphAttend): Promise<void> {
  const graph = await ga.graph({
    edges: [
      ["a", "b"],
      ["b", "c"],
      ["c", "a"],
      ["b", "a"],
    ],
  });
  for (const measure of [
    graph.betweenness(),
    graph.closeness(),
    graph.clustering(),
    graph.pagerank(),
    graph.laplacian(),
    graph.shortestPathLengths(),
    graph.structuralFeatures({ samples: null }),
  ])
    f32(await measure);
  i32(await graph.degree());
  i32(await graph.toEdgeIndex());
  i32(await (await graph.transpose()).get("indices"));
  i32(await (await graph.subgraph([0, 1])).get("indptr"));
  number((await graph.withSelfLoops()).fields.num_edges);
  list(text)((await graph.get("names")) ?? []);
  number(await ga.graphs.density(graph));
  number(await ga.graphs.density({ edges: [[0, 1]], numNodes: 2 }));
  checked<boolean>("a truth", (x) => typeof x === "boolean")(await ga.graphs.isUndirected(graph));
  record(number)(await ga.graphs.deltaHyperbolicity(graph));
  f32(await ga.graphs.spectralEmbedding(graph, 1));
  const analysis = await ga.analysis.analyze(graph, { dim: 2, keys: ["scaled_dot_product"] });
  f32(await analysis.get("latents"));
  for (const [node, weight] of await analysis.top("scaled_dot_product", 0)) number(node + weight);
  text(await ga.analysis.textTable(analysis));
  record(checked("anything", (x) => x !== undefined))(
    await ga.analysis.analyzeFile("a b\nb c\n", { suffix: ".edges", keys: ["scaled_dot_product"] }),
  );
  f32((await ga.knn([[0.5], [1], [3]], 1)) && (await graph.pagerank()));
}

async function evaluation({ evaluation: e }: GraphAttend): Promise<void> {
  const [labels, scores] = [
    [0, 1, 1, 0],
    [0.1, 0.9, 0.4, 0.5],
  ];
  for (const measure of [
    e.accuracy(labels, [0, 1, 0, 0]),
    e.macroF1(labels, [0, 1, 0, 0]),
    e.averagePrecision(labels, scores),
    e.rocAuc(labels, scores),
    e.hitsAt([0.9], [[0.5, 0.1]], { k: 1 }),
    e.meanReciprocalRank([0.9], [[0.5, 0.1]]),
    e.signFlipTest([0.1, 0.2, -0.1]),
  ])
    number(await measure);
  either(await e.calibration(labels, scores));
  const graph = {
    edges: [
      [0, 1],
      [1, 2],
      [2, 0],
    ],
    numNodes: 3,
  };
  number(await e.jensenShannon(graph, [0.5, 0.3, 0.2], [0.2, 0.3, 0.5]));
  const ring = { edges: Array.from({ length: 24 }, (_x, i) => [i, (i + 1 + (i % 3)) % 24]), numNodes: 24 };
  const quick = { epochs: 1, seeds: 1, mechanisms: ["scaled_dot_product"] as const };
  text((await e.evaluate(ring, "links", { ...quick, baselines: false })).type);
  text((await e.fit(ring, "links", "scaled_dot_product", { epochs: 1 }))!.type);
  const lines = ring.edges.map((pair) => pair.join(" ")).join("\n");
  if (Object.keys(await e.evaluateFile(lines, { ...quick, task: "links", suffix: ".edges" })).length === 0)
    throw new Mismatch("expected entries");
  number(await e.topOverlap(graph, [0.5, 0.3, 0.2], [0.2, 0.3, 0.5], { k: 1 }));
}

async function mechanisms(ga: GraphAttend): Promise<void> {
  const x = [
    [1, 0, 0.5, 0],
    [0, 1, 0, 0.5],
    [1, 1, 0, 0],
  ];
  const heads = await ga.create("multi_head", { dim: 4, numHeads: 2 });
  f32(await heads.headAttentionWeights(x, x));
  f32(await heads.headOutput(1, x, x, x));
  const moe = await ga.create("moe", {
    dim: 4,
    topK: 1,
    experts: [{ key: "multi_head", dim: 4, options: { numHeads: 2 } }, heads],
  });
  for (const row of await moe.getRouting(x)) for (const [index, weight] of row) number(index + weight);
  number(await moe.loadBalanceLoss(x));
  f32(await moe.shares(x));
  const dynamic = await ga.create("dynamic_heads", { dim: 4, numHeads: 2 });
  i32(await dynamic.activeHeads(x));
  f32(await dynamic.headGates(x));
  const mixed = await ga.create("mixed_curvature", {
    dim: 4,
    spaces: [
      ["poincare", 2, -1],
      ["euclidean", 2, 0],
    ],
  });
  f32(await mixed.shares());
  f32(await mixed.contributions([[0.1, 0, 1, 1]], [[0, 0.1, 1, 1]]));
  f32((await (await ga.create("manifold", { dim: 4, manifold: { type: "sphere" } })).forward(x[0]!, x, x)).output);
  const local = await ga.create("local_global", { dim: 4, window: 1 });
  (await local.rowPattern(2, 3)).forEach(i32);
  i32(await (await local.pattern({ edges: [[0, 1]], numNodes: 3 })).get("indices"));
  const linear = await ga.create("linear", { dim: 4, numFeatures: 8 });
  f32((await (await linear.redrawn()).forward(x, x, x)).output);
  f32(await (await ga.create("graph_rope", { dim: 4 })).applyRotation(x, [0, 1, 2]));
  const cross = await ga.create("cross_space", { dim: 4 });
  Object.values(await cross.parts(x, x, x, { metadata: { latentKeys: x } })).forEach(f32);
  const navigator = await ga.create("rl_navigator", { dim: 4, rank: 2 });
  const graph = await ga.knn(x, 2);
  const fitted = await navigator.fitted(x);
  const codes = await fitted.encode(x);
  f32(codes);
  const found = await fitted.search(graph, x, x[0]!, { k: 2, codes });
  i32(await found.get("indices"));
  f32(await found.get("distances"));
  number(found.fields.work);
  i32(await (await fitted.greedySearch(graph, x, x[0]!, { k: 1 })).get("visited"));
  const calibrated = await (await fitted.train(graph, x, x, { epochs: 1 })).calibrate(graph, x, x, { k: 1 });
  i32(await (await calibrated.search(graph, x, x[0]!, { k: 1, recall: 0.5 })).get("indices"));
  const { output, pullback } = await heads.vjp(x, x, x, { dtype: "float64" });
  f64(output);
  f64((await pullback(output)).query);
  const distance = await ga.vjp("functional.softmax", [[1, 2]]);
  either(distance.output);
}

/** Every public function of the modules is called; those that are not are named. */
export async function run(options: { indexURL: string }, names: Record<string, string[]>): Promise<string[]> {
  const called = new Set<string>();
  const ga = watched(await connect(options), called);
  for (const part of [functional, geometry, training, compression, graphs, evaluation, mechanisms]) await part(ga);
  await ga.close();
  return Object.entries(names)
    .flatMap(([module, members]) => members.map((m) => `${module}.${m}`))
    .filter((name) => !called.has(name));
}
