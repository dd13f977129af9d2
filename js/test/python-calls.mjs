// One valid call of every function of the package that calls Python: its arguments by name, then its options.

const numbers = (...shape) => {
  const count = shape.reduce((a, b) => a * b, 1);
  return { data: Float32Array.from({ length: count }, (_x, i) => Math.sin(i + 1) / 4), shape };
};
const x = numbers(5, 4);
const weights = { data: Float32Array.of(0.5, 0.5, 1, 1, 1, 1), shape: [6] };
const graph = { indptr: Int32Array.of(0, 2, 3, 4, 5, 6), indices: Int32Array.of(1, 4, 0, 1, 2, 3) };
const pairs = { data: Int32Array.of(0, 1, 2, 3, 1, 2, 3, 4), shape: [2, 4] };
const query = numbers(2, 4);
const [logits, projection] = [numbers(5, 3), numbers(6, 4)];
const square = { data: Float32Array.from({ length: 16 }, (_x, i) => Number(i % 5 === 0)), shape: [4, 4] };
const heads = { w_q: square, w_k: square, w_v: square, w_o: square };
const edges =
  '{"nodes": [{"id": 0}, {"id": 1}, {"id": 2}], "links": [{"source": 0, "target": 1}, {"source": 1, "target": 2}]}';
const quick = { x, labels: [0, 1, 0, 1, 0], split: { train: [0, 1], validation: [2], test: [3, 4] } };
const short = { epochs: 1, patience: 1, hidden: 4, lr: 0.01 };
const rates = { lr: 0.1, weightDecay: 0, groups: undefined };
const reduction = "mean";

/** Python objects that the calls need, and their methods. */
export async function objects(ga) {
  const { compression, geometry, training } = ga;
  const manifolds = {
    Euclidean: await geometry.Euclidean(),
    Lorentz: await geometry.Lorentz(),
    Poincare: await geometry.Poincare(),
    Sphere: await geometry.Sphere(),
  };
  const stage = await training.Stage(3);
  const constant = await training.schedules.constant(0.1);
  const codecs = {
    Quantizer: await compression.Quantizer(),
    LowRank: await compression.LowRank({ rank: 1 }),
    Tucker: await compression.Tucker([1, 1, 1]),
    SparseStorage: await compression.SparseStorage({ topK: 1 }),
  };
  const rows = await compression.Quantizer({ granularity: "row" });
  const made = {
    ...manifolds,
    Product: await geometry.Product([
      [manifolds.Poincare, 2],
      [manifolds.Euclidean, 2],
    ]),
    ...codecs,
    Hierarchical: await compression.Hierarchical({ 0: codecs.Quantizer }),
    Compressed: await codecs.LowRank.encode(x),
    Sparse: await codecs.SparseStorage.encode(x),
    Cube: await codecs.Tucker.encode(numbers(2, 3, 4)),
    QuantizedArray: await rows.encode(x),
    Stage: stage,
    Constant: constant,
    Step: await training.schedules.step(0.1, 2),
    Warmup: await training.schedules.warmup(0.1, 2),
    Cosine: await training.schedules.cosine(0.1, 4),
    Chain: await training.schedules.chain([constant, 2], constant),
    CurriculumScheduler: await training.CurriculumScheduler([stage]),
    LossBalancer: await training.LossBalancer(),
    Nodes: await training.Nodes([0, 1, 2]),
    Rows: await training.Rows(x),
    Pairs: await training.Pairs(pairs, 5, { numNegatives: 1 }),
    Neighborhoods: await training.Neighborhoods(graph),
    Graph: await ga.graph(graph),
    Analysis: await ga.analysis.analyze(graph, { keys: ["flash"], dim: 4 }),
    Evaluation: await ga.evaluation.evaluate(graph, "labels", {
      mechanisms: ["flash"],
      ...quick,
      ...short,
      seeds: 1,
      baselines: false,
    }),
    Fit: await ga.evaluation.fit(graph, "labels", "flash", { ...quick, ...short }),
    Tensor: await ga.tensor(x),
    attention: await ga.create("multi_head", { dim: 4, numHeads: 2 }),
  };
  for (const name of ["Adam", "AdamW", "RMSprop", "SGD"]) made[name] = await training[name]();
  for (const name of ["RiemannianAdam", "RiemannianSGD"])
    made[name] = await training[name]({ manifold: manifolds.Euclidean });
  for (const key of ["cross_space", "dynamic_heads", "graph_rope", "learned_routing", "linear", "local_global"])
    made[key] = await ga.create(key, { dim: 4 });
  for (const name of ["Adam", "RMSprop", "SGD", "RiemannianAdam", "RiemannianSGD"])
    made[`${name}State`] = await made[name].init({ w: x });
  made.mixed_curvature = await ga.create("mixed_curvature", {
    dim: 4,
    spaces: [
      ["euclidean", 2, 0],
      ["poincare", 2, -1],
    ],
  });
  made.Layered = await made.Hierarchical.encode(x, [0, 0, 0, 0, 0]);
  made.Balance = await made.LossBalancer.init(["a"]);
  made.moe = await ga.create("moe", { dim: 4 });
  made.rl_navigator = await ga.create("rl_navigator", { dim: 4 });
  made.Navigation = await made.rl_navigator.greedySearch(graph, x, query.data.subarray(0, 4));
  return made;
}

const losses = {
  adjacencyReconstruction: [
    { embeddings: x, pairs, labels: [1, 0, 1, 1] },
    { posWeight: 1, bias: 0, reduction },
  ],
  crossEntropy: [
    { logits, targets: [0, 1, 2, 0, 1] },
    { index: undefined, labelSmoothing: 0, reduction },
  ],
  infoNce: [
    { anchor: query, positives: x, negatives: x },
    { temperature: 0.5, normalize: true, reduction },
  ],
  laplacian: [
    { embeddings: x, edges: pairs },
    { edgeWeights: undefined, reduction },
  ],
  laplacianRegularization: [
    { embeddings: x, edges: pairs },
    { edgeWeights: [1, 1, 1, 1], reduction },
  ],
  localContrastive: [
    { node: numbers(4), neighbors: x, nonNeighbors: x },
    { temperature: 0.5, neighborMask: undefined, nonNeighborMask: undefined, reduction },
  ],
  normPenalty: [{ embeddings: x }, { targetNorm: 1, reduction }],
  orthogonality: [{ embeddings: x }, { reduction }],
  reconstruction: [
    { prediction: x, target: x },
    { index: undefined, reduction },
  ],
  triplet: [
    { anchor: x, positive: x, negative: x },
    { margin: 1, reduction },
  ],
};

const functional = {
  favorFeatures: [
    { x, projection },
    { isQuery: true, eps: 0 },
  ],
  fromTorchMask: [{ mask: [[true, false]] }],
  gatAttention: [
    { query: numbers(4), key: x, parameters: { w: numbers(2, 4, 3), a_query: numbers(2, 3), a_key: numbers(2, 3) } },
    {
      edgeFeatures: undefined,
      variant: "gat",
      concat: true,
      negativeSlope: 0.2,
      attnMask: undefined,
      needWeights: true,
    },
  ],
  linearAttention: [
    { query, key: x, value: x, projection },
    { isCausal: false, eps: 0 },
  ],
  loadBalanceLoss: [{ logits, k: 2 }],
  matmul: [{ a: query, b: numbers(4, 3) }],
  multiHeadAttention: [
    { query, key: x, value: x, parameters: heads },
    { numHeads: 2, attnMask: undefined, keyPaddingMask: undefined, needWeights: false },
  ],
  orthogonalProjection: [{ numFeatures: 6, dim: 4 }, { seed: 0 }],
  quantizedAttention: [{ query: numbers(4), keysQ8: "QuantizedArray", values: x }],
  rotary: [
    { x, positions: [0, 1, 2, 3, 4] },
    { base: 100, interleaved: true },
  ],
  scaledDotProductAttention: [
    { query, key: x, value: x },
    {
      ...{ attnMask: [true, true, false, true, true], dropoutP: 0.1, isCausal: false, scale: 1, enableGqa: false },
      ...{ softcap: 5, scoreMod: undefined, rng: 0, returnWeights: true, returnLse: true },
    },
  ],
  segmentSoftmax: [{ scores: [1, 2, 3], indptr: [0, 1, 3] }],
  softmax: [{ x }, { axis: -1 }],
  topKGating: [{ logits, k: 2 }],
};

const training = {
  ...losses,
  Adam: [{}, { ...rates, betas: [0.9, 0.99], eps: 1e-8, amsgrad: false }],
  AdamW: [{}, { ...rates, betas: [0.9, 0.99], eps: 1e-8, amsgrad: false }],
  RMSprop: [{}, { ...rates, alpha: 0.9, eps: 1e-8, momentum: 0, centered: false }],
  SGD: [{}, { ...rates, momentum: 0, dampening: 0, nesterov: false }],
  RiemannianAdam: [{}, { ...rates, betas: [0.9, 0.99], eps: 1e-8, amsgrad: false, manifold: "Sphere" }],
  RiemannianSGD: [{}, { ...rates, momentum: 0, dampening: 0, nesterov: false, manifold: "Sphere" }],
  CurriculumScheduler: [{ stages: ["Stage"] }, { mode: "step" }],
  LossBalancer: [{}, { method: "gradnorm", weights: { a: 1 }, lr: 0.1, alpha: 1, shared: ["w"] }],
  Neighborhoods: [{ graph }, { nodes: [0, 1], fanout: 2 }],
  Nodes: [{ nodes: [0, 1] }],
  Pairs: [{ pairs, numNodes: 5 }, { numNegatives: 1 }],
  Rows: [{ arrays: x }],
  Stage: [{ steps: 3 }, { difficulty: 0.5, weights: { a: 1 } }],
  clipByNorm: [{ grads: { w: x }, maxNorm: 1 }],
  clipByValue: [{ grads: { w: x }, maxValue: 1 }],
  globalNorm: [{ grads: { w: x } }],
  sampleHardNegatives: [
    { anchor: numbers(4), embeddings: x, positiveIndices: [0], k: 2 },
    { strategy: "mixed", degrees: [1, 2, 3, 4, 5], rng: 0, manifold: undefined, mix: 0.5 },
  ],
};

const evaluation = {
  calibration: [
    {
      labels: [0, 1],
      probabilities: [0.1, 0.8],
    },
    { bins: 2 },
  ],
  accuracy: [{ labels: [1, 0, 1], predicted: [1, 0, 0] }],
  averagePrecision: [{ labels: [1, 0, 1], scores: [0.9, 0.1, 0.3] }],
  evaluate: [
    { graph, task: "labels" },
    { ...quick, ...short, mechanisms: ["flash"], seeds: 1, baselines: false, cache: undefined },
  ],
  evaluateFile: [
    { content: edges },
    {
      ...{ task: "labels", suffix: ".json", name: "a", report: false, x: numbers(3, 4), labels: [0, 1, 0] },
      ...{
        split: { train: [0, 1], validation: [2], test: [2] },
        mechanisms: ["flash"],
        seeds: 1,
        baselines: false,
        ...short,
        cache: undefined,
      },
    },
  ],
  fit: [
    { graph, task: "labels", mechanism: "flash" },
    { ...quick, ...short, seed: 0 },
  ],
  hitsAt: [{ positive: [0.5], negatives: [[0.1, 0.7]] }, { k: 1 }],
  jensenShannon: [{ graph, first: weights, second: weights }],
  macroF1: [{ labels: [1, 0, 1], predicted: [1, 0, 0] }],
  meanReciprocalRank: [{ positive: [0.5], negatives: [[0.1, 0.7]] }],
  rocAuc: [{ labels: [1, 0, 1], scores: [0.9, 0.1, 0.3] }],
  signFlipTest: [{ differences: [0.1, 0.2] }, { samples: 10, seed: 0 }],
  topOverlap: [{ graph, first: weights, second: weights }, { k: 1 }],
};

/** Calls by the path to the function; a text that names one of `objects` stands for the object. */
export const FUNCTIONS = {
  functional,
  training,
  evaluation,
  geometry: {
    Euclidean: [{}],
    Lorentz: [{}, { curvature: -1 }],
    Poincare: [{}, { curvature: -1 }],
    Sphere: [{}, { curvature: 1 }],
    Product: [{ factors: [["Sphere", 3]] }],
    fromConfig: [{ config: { type: "sphere", curvature: 1 } }],
  },
  "training.schedules": {
    chain: [{ first: ["Constant", 2], second: "Constant" }],
    constant: [{ lr: 0.1 }],
    cosine: [{ lr: 0.1, totalSteps: 4 }, { minLr: 0 }],
    step: [{ lr: 0.1, stepSize: 2 }, { gamma: 0.5 }],
    warmup: [{ lr: 0.1, warmupSteps: 2 }],
  },
  compression: {
    Hierarchical: [{ codecs: { 0: "Quantizer" } }],
    LowRank: [{}, { rank: 1, energy: undefined }],
    Quantizer: [{}, { bits: 8, symmetric: true, granularity: "group", groupSize: 2 }],
    SparseStorage: [{}, { topK: 1, threshold: undefined, format: "csr" }],
    Tucker: [{ ranks: [1, 1, 1] }],
  },
  graphs: {
    deltaHyperbolicity: [{ graph }, { samples: 5, rng: 0 }],
    density: [{ graph }],
    isUndirected: [{ graph }],
    spectralEmbedding: [{ graph, dim: 2 }, { seed: 0 }],
  },
  analysis: {
    analyze: [
      { graph },
      { embeddings: x, keys: ["flash"], options: { temperature: 1 }, dim: 4, seed: 0, models: undefined },
    ],
    analyzeFile: [
      { content: edges },
      {
        suffix: ".json",
        keys: ["flash"],
        options: undefined,
        embeddings: undefined,
        seed: 0,
        name: "a",
        report: false,
        drawing: true,
      },
    ],
    textTable: [{ analysis: "Analysis" }, { nodes: 1, count: 1, width: 80 }],
  },
};

const y = numbers(5, 4);
const manifold = {
  dist: [{ x, y }],
  egrad2rgrad: [{ x, g: y }],
  expmap: [{ x, v: y }],
  expmap0: [{ v: y }],
  frechetMean: [
    { points: x, weights: [1, 1, 1, 1, 1] },
    { tolerance: 1e-6, maxIterations: 100 },
  ],
  inner: [{ x, u: y, v: y }],
  logmap: [{ x, y }],
  logmap0: [{ y }],
  midpoint: [{ points: x, weights: [1, 1, 1, 1, 1] }],
  norm: [{ x, v: y }],
  pairwise: [{ x, y }],
  project: [{ x }],
  projectTangent: [{ x, v: y }],
  random: [{ rng: 0, shape: [2, 4] }],
  toConfig: [{}],
  transport: [{ x, y, v: y }],
};
const origin = { origin: [{ dim: 4 }] };
const codec = { decode: [{ compressed: "Compressed" }], encode: [{ x }], toConfig: [{}] };
const compressed = { decode: [{}], toBytes: [{}, { format: "npz" }] };
const init = { init: [{ params: { w: x } }] };
const step = { params: { w: x }, grads: { w: x } };
const optimizer = { ...init, update: [{ ...step, state: "AdamState" }] };
const at = { at: [{ t: 1 }] };
const over = { query, keys: x };
const search = { graph, vectors: x, query: numbers(4) };
const pass = { attnMask: undefined, metadata: undefined };

/** Methods of objects, by name in `objects`. */
export const METHODS = {
  Euclidean: { ...manifold, ...origin },
  Lorentz: { ...manifold, ...origin },
  Poincare: { ...manifold, ...origin, lambdaX: [{ x }], mobiusAdd: [{ x, y }], mobiusScalarMul: [{ r: 0.5, x }] },
  Sphere: { ...manifold, ...origin },
  Product: { ...manifold, origin: [{}, { dim: 4 }], split: [{ x }] },
  Quantizer: { ...codec, decode: [{ compressed: "QuantizedArray" }] },
  LowRank: codec,
  SparseStorage: { ...codec, decode: [{ compressed: "Sparse" }] },
  Tucker: { ...codec, decode: [{ compressed: "Cube" }], encode: [{ x: numbers(2, 3, 4) }] },
  Hierarchical: { ...codec, decode: [{ compressed: "Layered" }], encode: [{ x, layers: [0, 0, 0, 0, 0] }] },
  Compressed: compressed,
  QuantizedArray: compressed,
  Constant: at,
  Step: at,
  Warmup: at,
  Cosine: at,
  Chain: at,
  CurriculumScheduler: {
    difficulty: [{ t: 1 }],
    select: [{ t: 1, difficulties: [0.1, 0.9] }],
    stage: [{ t: 1 }],
    weights: [{ t: 1 }],
  },
  LossBalancer: {
    combine: [{ losses: { a: 1 }, gradients: { a: { w: x } }, state: "Balance" }, { rng: 0 }],
    init: [{ names: ["a"] }],
  },
  Nodes: { batch: [{ index: [0, 1], rng: 0 }] },
  Neighborhoods: { batch: [{ index: [0, 1], rng: 0 }] },
  Pairs: { batch: [{ index: [0, 1], rng: 0 }], contains: [{ source: [0, 1], other: [1, 2] }] },
  Rows: { batch: [{ index: [0, 1], rng: 0 }] },
  Graph: {
    betweenness: [{}, { samples: 2, seed: 0 }],
    closeness: [{}, { samples: 2, seed: 0 }],
    clustering: [{}],
    degree: [{}],
    laplacian: [{}, { normalized: true }],
    metadata: [{ node: 1 }],
    pagerank: [{}, { alpha: 0.5 }],
    shortestPathLengths: [{}, { sources: [0, 1], cutoff: 2 }],
    structuralFeatures: [{}, { samples: 2 }],
    subgraph: [{ nodes: [0, 1] }],
    toEdgeIndex: [{}],
    transpose: [{}],
    withSelfLoops: [{}, { fillValue: 1 }],
  },
  Analysis: { toDict: [{}], top: [{ key: "flash", node: 0 }, { count: 2 }] },
  Evaluation: {
    calibration: [{ name: "flash" }],
    disagreement: [{}],
    disagreementByNode: [{}],
    learned: [{}],
    table: [{}],
    toDict: [{}],
    toJson: [{}],
    top: [
      { name: "flash", node: 0 },
      { count: 2, before: false },
    ],
  },
  Adam: optimizer,
  AdamW: optimizer,
  RMSprop: { ...init, update: [{ ...step, state: "RMSpropState" }] },
  SGD: { ...init, update: [{ ...step, state: "SGDState" }] },
  RiemannianAdam: { ...init, update: [{ ...step, state: "RiemannianAdamState" }] },
  RiemannianSGD: { ...init, update: [{ ...step, state: "RiemannianSGDState" }] },
  Tensor: { read: [{}, { dtype: "float32" }] },
  attention: {
    forward: [
      { ...over, values: x },
      { ...pass, needWeights: true, training: true, rng: 0, topK: 2 },
    ],
    attentionWeights: [over, { ...pass, topK: undefined }],
    attend: [
      { graph, queries: x, keys: x, values: x },
      { needWeights: true, training: true, rng: 0 },
    ],
    vjp: [
      { ...over, values: x },
      { ...pass, training: true, rng: 0 },
    ],
    attendVjp: [
      { graph, queries: x, keys: x, values: x },
      { training: true, rng: 0 },
    ],
    prepare: [{ keys: x, values: x }],
    parameters: [{}],
    withParameters: [{ parameters: heads }],
    headAttentionWeights: [over, { attnMask: undefined }],
    headOutput: [{ head: 0, ...over, values: x }, { attnMask: undefined }],
  },
  cross_space: {
    parts: [
      { ...over, values: x },
      { metadata: { latentKeys: x }, attnMask: undefined },
    ],
    withLatentGraph: [{ graph }],
  },
  dynamic_heads: {
    headAttentionWeights: [over, { attnMask: undefined }],
    headOutput: [{ head: 0, ...over, values: x }, { attnMask: undefined }],
    activeHeads: [{ query }],
    headGates: [{ query }],
  },
  graph_rope: { applyRotation: [{ embedding: query, distance: [1, 2] }] },
  learned_routing: { getRouting: [{ query }], routerLogits: [{ query }], shares: [{ query }] },
  linear: { redrawn: [{}] },
  local_global: { pattern: [{ graph }], rowPattern: [{ rows: 2, nKeys: 5 }] },
  mixed_curvature: { contributions: [over], shares: [{}] },
  moe: {
    expertLoad: [{ query }],
    getRouting: [{ query }],
    loadBalanceLoss: [{ query }],
    routerLogits: [{ query }],
    shares: [{ query }],
  },
  rl_navigator: {
    calibrate: [
      { graph, vectors: x, queries: query },
      { k: 1, entry: 0, budget: 20 },
    ],
    encode: [{ vectors: x }],
    fitted: [{ vectors: x }],
    greedySearch: [search, { entry: 0, k: 1, budget: 20 }],
    search: [search, { entry: 0, k: 1, budget: 20, recall: undefined, codes: undefined }],
    train: [
      { graph, vectors: x, queries: query },
      { steps: 2, rollouts: 1, discount: 0.5, epochs: 1, batchSize: 2, lr: 0.01, seed: 0 },
    ],
  },
};

/** Return a value with names replaced by objects. */
export function resolved(value, made) {
  if (typeof value === "string" && /^[A-Z]/.test(value)) return made[value] ?? value;
  if (Array.isArray(value)) return value.map((part) => resolved(part, made));
  if (typeof value !== "object" || value === null || ArrayBuffer.isView(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([name, part]) => [name, resolved(part, made)]));
}
