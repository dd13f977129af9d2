// More shared checks: the inputs of graphs and files, and the results.
import { equal, ok, rejects, twoPairs } from "./suite-assert.mjs";

/** A mask in every form that selects keys. */
const forms = (mask) => {
  const flat = mask.flat();
  const bytes = Uint8Array.from(flat, Number);
  const rows = Array.isArray(mask[0])
    ? {
        "rows of numbers": mask.map((row) => row.map(Number)),
        "rows of bytes": mask.map((row) => Uint8Array.from(row, Number)),
        "rows of integers": mask.map((row) => Int32Array.from(row, Number)),
      }
    : { numbers: mask.map(Number), integers: Int8Array.from(mask, Number) };
  const shape = Array.isArray(mask[0]) ? [mask.length, mask[0].length] : [mask.length];
  return {
    ...rows,
    "shaped bytes": { data: bytes.map((b) => 7 * b), shape },
    "shaped numbers": { data: flat.map(Number), shape },
    "shaped booleans": { data: flat, shape },
  };
};

export const dataChecks = {
  "masks mean the same in every function, in every form": async (ga) => {
    const x = [
      [1, 0],
      [0, 1],
      [1, 1],
    ];
    const square = [
      [true, false, true],
      [false, true, true],
      [true, true, false],
    ];
    const heads = await ga.create("multi_head", { dim: 2, numHeads: 1 });
    const cross = await ga.create("cross_space", { dim: 2 });
    const { functional: f, training: t } = ga;
    const identity = x.slice(0, 2);
    const parameters = { w_q: identity, w_k: identity, w_v: identity, w_o: identity };
    const gat = { w: identity, a_query: [[1, 1]], a_key: [[1, 1]] };
    const uses = {
      forward: [square, async (attnMask) => (await heads.forward(x, x, x, { attnMask })).output],
      attentionWeights: [square, (attnMask) => heads.attentionWeights(x, x, { attnMask })],
      vjp: [square, async (attnMask) => (await heads.vjp(x, x, x, { attnMask })).output],
      headAttentionWeights: [square, (attnMask) => heads.headAttentionWeights(x, x, { attnMask })],
      parts: [
        square,
        async (attnMask) => (await cross.parts(x, x, x, { attnMask, metadata: { latentKeys: x } })).graph,
      ],
      scaledDotProductAttention: [square, (attnMask) => f.scaledDotProductAttention(x, x, x, { attnMask })],
      multiHeadAttention: [square, (attnMask) => f.multiHeadAttention(x, x, x, parameters, { numHeads: 1, attnMask })],
      keyPaddingMask: [
        square[0],
        (keyPaddingMask) => f.multiHeadAttention(x, x, x, parameters, { numHeads: 1, keyPaddingMask }),
      ],
      gatAttention: [square, (attnMask) => f.gatAttention(x, x, gat, { attnMask })],
      fromTorchMask: [square, (mask) => f.fromTorchMask(mask)],
      localContrastive: [square[0], (neighborMask) => t.localContrastive([1, 0], x, x, { neighborMask })],
      gradient: [
        square,
        async (attnMask) => (await ga.vjp("functional.scaledDotProductAttention", [x, x, x], { attnMask })).output,
      ],
    };
    for (const [name, [mask, use]] of Object.entries(uses)) {
      const wanted = await use(mask);
      for (const [form, given] of Object.entries(forms(mask))) equal(await use(given), wanted, `${name}, ${form}`);
    }
    const added = await heads.attentionWeights(x, x, {
      attnMask: [
        [0, -5, 0],
        [-5, 0, 0],
        [0, 0, -5],
      ],
    });
    const floats = { data: Float32Array.of(0, -5, 0, -5, 0, 0, 0, 0, -5), shape: [3, 3] };
    equal(await heads.attentionWeights(x, x, { attnMask: floats }), added, "numbers beyond 0 and 1 are added");
    // Without a mask another kernel answers, which may round differently; both are close to the exact value. The scores
    // s <= sqrt(2) are products of zeros and ones. The scale and s round once each (2 |s| u), s - max once (|s| u), exp within
    // an ulp (2 u), likewise in the sum, which adds twice and divides (3 u): in total below 2 (3 * 1.42 + 2) u + 3 u < 16 u.
    const plain = await ga.create("scaled_dot_product", { dim: 2 });
    const zeros = { data: new Float32Array(9), shape: [3, 3] };
    for (const options of [{ attnMask: zeros }, {}]) {
      const { data } = await plain.attentionWeights(x, x, options);
      for (const [i, query] of x.entries()) {
        const exp = x.map((key) => Math.exp((query[0] * key[0] + query[1] * key[1]) / Math.SQRT2));
        const total = exp.reduce((a, b) => a + b);
        for (const [j, e] of exp.entries())
          ok(
            Math.abs(data[3 * i + j] - e / total) <= (16 * 2 ** -24 * e) / total,
            `floats are added, also when all are 0`,
          );
      }
    }
  },

  "training that goes on, validates, and takes functions and optimizers": async (ga) => {
    const attn = await ga.create("multi_head", { dim: 4, numHeads: 2, seed: 1 });
    const { features } = twoPairs;
    const task = { ...twoPairs, graph: await ga.graph(twoPairs.graph), epochs: 8, batchSize: 2 };
    const whole = await ga.train(attn, task);
    const files = [];
    await ga.train(attn, { ...task, epochs: 4, onCheckpoint: (bytes) => files.push(bytes), checkpointEvery: 2 });
    ok(files.length > 0 && files.at(-1) instanceof Uint8Array, "checkpoints");
    const resumed = await ga.train(attn, { ...task, resume: files.at(-1) });
    equal([resumed.losses, resumed.steps], [whole.losses, whole.steps], "a run that was interrupted");
    equal((await resumed.attention.parameters()).w_q, (await whole.attention.parameters()).w_q, "its parameters");
    await rejects(ga.train(attn, { ...task, resume: new Uint8Array(3) }), "load_error");
    const validated = await ga.train(attn, {
      ...task,
      nodes: [0, 2],
      validationNodes: [1, 3],
      metric: "accuracy",
      validateEvery: 2,
    });
    equal(
      validated.metrics.map(([epoch]) => epoch),
      [1, 3, 5, 7],
      "validations",
    );
    ok(
      validated.best >= 0.5 &&
        validated.metrics.some(([epoch, value]) => epoch === validated.bestEpoch && value === validated.best),
      "the best",
    );
    // An own implementation of the mean squared error.
    const wanted = features.flat();
    let batches = 0;
    const loss = (output, nodes) => {
      ok(nodes.data instanceof Int32Array && output.shape.join() === "4,4", "what a loss is given");
      batches += 1;
      const gradient = new Float32Array(output.data.length);
      let sum = 0;
      for (const node of nodes.data) {
        for (let i = 4 * node; i < 4 * node + 4; i++) {
          sum += (output.data[i] - wanted[i]) ** 2;
          gradient[i] = (2 * (output.data[i] - wanted[i])) / (4 * nodes.data.length);
        }
      }
      return { loss: sum / (4 * nodes.data.length), gradient };
    };
    const { labels, ...bare } = task;
    const [ours, theirs] = [
      await ga.train(attn, { ...bare, loss }),
      await ga.train(attn, { ...bare, targets: features }),
    ];
    equal(batches, 16, "batches");
    ours.losses.forEach((x, i) => ok(Math.abs(x - theirs.losses[i]) < 1e-5, `loss ${i}: ${x}, ${theirs.losses[i]}`));
    const { lr, ...rest } = task;
    equal(
      (await ga.train(attn, { ...rest, optimizer: await ga.training.Adam({ lr }) })).losses,
      whole.losses,
      "an optimizer",
    );
    await rejects(ga.train(attn, { ...bare, loss: () => ({ loss: 1, gradient: [1, 2] }) }), "dimension_mismatch", {
      argument: "gradient",
    });
    await rejects(ga.train(attn, { ...bare, loss: () => ({ loss: NaN, gradient: features }) }), "invalid_config", {
      argument: "loss",
    });
  },

  "keys that stream in": async (ga) => {
    const x = Array.from({ length: 6 }, (_x, i) => [Math.sin(i), Math.cos(2 * i), 0.1 * i, 1]);
    const linear = await ga.create("linear", { dim: 4 });
    const causal = await ga.create("linear", { dim: 4, isCausal: true });
    const rows = (await causal.forward(x, x, x)).output;
    let state = await linear.prepare([x[0]], [x[0]]);
    for (let i = 0; i < x.length; i++) {
      if (i > 0) state = await state.extended([x[i]], [x[i]]);
      const { output } = await linear.forward(x[i], state, null);
      output.data.forEach((v, j) =>
        ok(Math.abs(v - rows.data[4 * i + j]) < 1e-5, `row ${i}: ${v}, ${rows.data[4 * i + j]}`),
      );
    }
    await rejects(linear.attentionWeights(x[0], state), "unsupported", { argument: "keys" });
  },

  "errors speak JavaScript, inside options too": async (ga) => {
    const expert = (options) =>
      ga.create("moe", {
        dim: 8,
        experts: [
          { key: "flash", dim: 8 },
          { key: "multi_head", dim: 8, options },
        ],
      });
    await rejects(expert({ numHeds: 2 }), "invalid_config", {
      argument: "experts[1].options.numHeds",
      actual: "numHeds",
    });
    const error = await rejects(expert({ numHeads: 3 }), "invalid_config", { argument: "experts[1].options.numHeads" });
    ok(error.message.startsWith("experts[1].options.numHeads: ") && !error.message.includes("_"), error.message);
    await rejects(ga.create("moe", { dim: 8, experts: [{ key: "flush", dim: 8 }] }), "invalid_config", {
      argument: "experts[0].key",
    });
    await rejects(ga.training.schedules.cosine(1, 0), "invalid_config", { argument: "totalSteps" });
    await rejects(ga.training.LossBalancer({ alfa: 1 }), "invalid_config", { argument: "alfa" });
    const heads = await ga.create("multi_head", { dim: 2, numHeads: 1 });
    const parameter = await rejects(heads.withParameters({ w_q: [1] }), "dimension_mismatch", { argument: "w_q" });
    ok(parameter.message.startsWith("w_q: "), "names of parameters are data");
    await rejects(heads.withParameters({ w_qq: [1] }), "invalid_config", { argument: "parameters", actual: "w_qq" });
  },

  "graphs from what people have": async (ga) => {
    const nodes = [{ id: "a" }, { id: "b" }, { id: "c" }];
    const links = [
      { source: "a", target: "b", value: 2 },
      { source: nodes[1], target: nodes[2], value: 3 },
    ];
    const attn = await ga.create("scaled_dot_product", { dim: 2 });
    const x = [
      [1, 0],
      [0, 1],
      [1, 1],
    ];
    const outputs = [];
    const inputs = [
      { nodes, links },
      "a,b,2\nb,c,3\n",
      "a b 2\nb c 3\n",
      new TextEncoder().encode("a b 2\nb c 3\n"),
      {
        edges: [
          ["a", "b"],
          ["b", "c"],
        ],
      },
      { edges: Int32Array.of(0, 1, 1, 2), numNodes: 3 },
    ];
    for (const input of inputs) {
      const graph = await ga.graph(input, { directed: false });
      equal((await graph.get("indices")).data.length, 4, "edges both ways");
      outputs.push((await attn.attend(graph, x)).output);
      if (!(input.edges instanceof Int32Array)) equal(await graph.get("names"), ["a", "b", "c"], "names");
      const again = await ga.load(await graph.save());
      equal(again.type, "NeighborGraph", "a graph that was saved");
    }
    for (const output of outputs) equal(output, outputs[0], "the same graph");
    equal((await (await ga.graph({ edges: [["a", "b"]] })).get("indices")).data.length, 1, "directed by default");
    await rejects(ga.graph({ nodes, links: [{ from: "a" }] }), "invalid_config", { argument: "graph.links[0]" });
    await rejects(ga.graph('{"nodes": 3'), "load_error");
    equal((await (await ga.knn([[0], [1], [3]], 1)).get("indices")).data.join(), "1,0,1", "neighbours");
  },

  "the largest weights, computed inside": async (ga) => {
    const attn = await ga.create("scaled_dot_product", { dim: 1, scale: 1 });
    const keys = [[0], [3], [1], [2]];
    const { indices, weights } = await attn.attentionWeights([[1], [-1]], keys, { topK: 2 });
    equal(
      [indices.data.constructor.name, indices.shape, [...indices.data]],
      ["Int32Array", [2, 2], [1, 3, 0, 2]],
      "indices",
    );
    const all = await attn.attentionWeights([[1], [-1]], keys);
    equal([...weights.data], [all.data[1], all.data[3], all.data[4], all.data[6]], "weights");
    const both = await attn.forward([1], keys, keys, { topK: 1 });
    equal([both.output.shape, both.indices.data[0], both.weights.shape], [[1], 1, [1]], "with the output");
    await rejects(attn.attentionWeights([1], keys, { topK: 5 }), "invalid_config", { argument: "topK" });
  },

  "what is saved loads, and mappings are data where a function says so": async (ga) => {
    const codec = await ga.compression.Quantizer({ bits: 8 });
    const x = { data: Float32Array.of(1, -2, 3, 4), shape: [2, 2] };
    const packed = await codec.encode(x);
    const again = await ga.load(await packed.save());
    equal(await again.decode(), await packed.decode(), "a compressed array that was saved");
    const adam = await ga.training.Adam({ lr: 0.1 });
    const state = await adam.init({ w: x });
    const [params] = await adam.update({ w: x }, { w: x }, state);
    ok(params.w.data[0] < 1, "a step down");
    const layers = await ga.compression.Hierarchical({ 0: codec });
    equal(layers.type, "Hierarchical", "codecs by layer");
    equal((await ga.geometry.fromConfig({ type: "poincare", curvature: -2 })).fields.curvature, -2, "from a config");
  },
};
