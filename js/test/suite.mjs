// Checks for every runtime: main thread, worker and pool, in Node.js and in browsers.
import { close, equal, ok, rejects, twoPairs } from "./suite-assert.mjs";
import { dataChecks } from "./suite-data.mjs";
import { functionChecks } from "./suite-functions.mjs";
import { inputChecks } from "./suite-inputs.mjs";
import { mechanismChecks } from "./suite-mechanisms.mjs";
import { repeatChecks } from "./suite-repeat.mjs";

/** Named checks; each takes a connection and the native answers. */
export const checks = {
  ...mechanismChecks,
  ...inputChecks,

  "parameters, copies with others, save and load": async (ga) => {
    const attn = await ga.create("multi_head", { dim: 8, numHeads: 2, seed: 5 });
    const parameters = await attn.parameters();
    equal(parameters.w_q.shape, [8, 8]);
    const doubled = await attn.withParameters({ w_q: { data: parameters.w_q.data.map((x) => 2 * x), shape: [8, 8] } });
    close((await doubled.parameters()).w_q, { data: [...parameters.w_q.data].map((x) => 2 * x), shape: [8, 8] }, "w_q");
    await rejects(attn.withParameters({ w: [1] }), "invalid_config");
    for (const format of ["npz", "safetensors"]) {
      const bytes = await doubled.save(format);
      ok(bytes instanceof Uint8Array && bytes.length > 100, "bytes");
      const loaded = await ga.load(bytes);
      equal(loaded.config, doubled.config, "config");
      const x = Float32Array.from({ length: 24 }, (_x, i) => Math.sin(i));
      const [a, b] = [await doubled.forward(x, x, x), await loaded.forward(x, x, x)];
      close(a.output, { data: [...b.output.data], shape: [3, 8] }, "loaded", 1e-7);
      const broken = bytes.slice(0, bytes.length - 40);
      await rejects(ga.load(broken), "load_error");
    }
    await rejects(ga.load(new Uint8Array(0)), "load_error");
    await rejects(ga.load("file.npz"), "invalid_config");
    equal(
      (await attn.headAttentionWeights(new Float32Array(8), new Float32Array(24))).shape,
      [2, 3],
      "a method of its own",
    );
    await rejects(
      attn.headOutput(5, new Float32Array(8), new Float32Array(24), new Float32Array(24)),
      "out_of_bounds",
      { index: 5, length: 2 },
    );
  },

  ...dataChecks,
  ...functionChecks,
  ...repeatChecks,

  "functions, geometry, losses and their gradients": async (ga) => {
    close(await ga.functional.softmax([0, Math.log(3)]), { data: [0.25, 0.75], shape: [2] }, "softmax");
    const ball = await ga.geometry.Poincare({ curvature: -1 });
    const d = await ball.dist([0, 0], [0.5, 0], { dtype: "float64" });
    ok(Math.abs(d - 2 * Math.atanh(0.5)) < 1e-12, `distance in double precision, got ${d}`);
    const y = await ball.expmap([0.1, 0.2], [0.3, -0.1]);
    close(await ball.logmap([0.1, 0.2], y), { data: [0.3, -0.1], shape: [2] }, "logmap inverts expmap", 1e-5);
    equal(
      (
        await ball.midpoint(
          [
            [0.1, 0],
            [-0.1, 0],
          ],
          [1, 1],
        )
      ).shape,
      [2],
    );
    const { output, pullback } = await ga.vjp(
      [ball, "dist"],
      [
        [0, 0],
        [0.5, 0],
      ],
    );
    close(output, 2 * Math.atanh(0.5), "distance");
    const [gx, gy] = await pullback(1);
    ok(Math.abs(gy.data[0] - 2 / (1 - 0.25)) < 1e-5 && gx.shape[0] === 2, "gradient of the distance");
    await rejects(ball.dist([0, 0], [0, 0, 0]), "dimension_mismatch");
    await rejects(ga.geometry.Poincare({ curvature: 1 }), "invalid_config");
    await ball.free();
    const loss = await ga.training.triplet([0, 0], [1, 0], [3, 0], { margin: 3 });
    close(loss, 1, "triplet");
    const a = [
      [1, 0],
      [0, 1],
    ];
    const info = await ga.vjp("training.infoNce", [a, [[[1, 0]], [[0, 1]]], [[[0, 1]], [[1, 0]]]], {
      temperature: 0.5,
    });
    close(info.output, Math.log(1 + Math.exp(-2)), "info_nce");
    equal(
      (await info.pullback(1)).map((g) => g.shape),
      [
        [2, 2],
        [2, 1, 2],
        [2, 1, 2],
      ],
    );
    close(
      await ga.training.laplacian(
        [
          [0, 0],
          [1, 1],
        ],
        [[0], [1]],
      ),
      2,
      "laplacian",
    );
    close(
      await ga.training.orthogonality([
        [1, 0],
        [0, 1],
      ]),
      0,
      "orthogonality",
    );
  },

  "training with progress and cancel": async (ga) => {
    const attn = await ga.create("multi_head", { dim: 4, numHeads: 2, seed: 1 });
    const { graph, features } = twoPairs;
    const seen = [];
    const before = await attn.parameters();
    const options = { ...twoPairs, epochs: 40 };
    const result = await ga.train(attn, { ...options, onProgress: (p) => seen.push(p) });
    ok(
      result.losses.length === 40 && result.losses[39] < 0.2 * result.losses[0],
      `the loss falls: ${result.losses[0]} to ${result.losses[39]}`,
    );
    equal(result.reason, "finished");
    ok(seen.length > 0 && seen.at(-1).fraction === 1 && seen.at(-1).epochs === 40, "progress");
    const { output } = await result.attention.attend(graph, features);
    const best = [0, 1, 2, 3].map((i) => (output.data[4 * i] > output.data[4 * i + 1] ? 0 : 1));
    equal(best, [0, 0, 1, 1], "it has learned the classes");
    const again = await ga.train(attn, options);
    equal(again.losses, result.losses, "the same seed");
    const targets = await ga.train(attn, { graph, features, targets: features, optimizer: "SGD", epochs: 3 });
    ok(targets.losses[2] < targets.losses[0], "mean squared error falls");
    const controller = new AbortController();
    const stopped = await ga.train(attn, {
      ...options,
      epochs: 1_000_000,
      signal: controller.signal,
      onProgress: () => controller.abort(),
    });
    equal(stopped.reason, "cancelled");
    ok(stopped.losses.length < 1_000_000 && stopped.steps > 0, "it ended early");
    ok(
      (await stopped.attention.parameters()).w_q.data.some((x, i) => x !== before.w_q.data[i]),
      "what was learned is kept",
    );
    await rejects(ga.train(attn, { ...options, signal: AbortSignal.abort() }), "aborted");
    await rejects(ga.train(attn, { graph, features }), "invalid_config", { argument: "labels" });
    await rejects(ga.train(attn, { ...options, optimizer: "Magic" }), "invalid_config", { argument: "optimizer" });
    await rejects(ga.train(attn, { ...options, epoch: 3 }), "invalid_config", { argument: "epoch" });
  },

  "recommend and the command line": async (ga) => {
    const found = await ga.recommend(
      {
        edges: [
          [0, 1],
          [0, 2],
          [1, 3],
          [1, 4],
        ],
        numNodes: 5,
      },
      { dim: 8 },
    );
    ok(ga.mechanisms.includes(found.key) && found.reasons.length > 0, "a mechanism and reasons");
    await (await ga.create(found.key, { dim: 8, ...found.options })).free();
    const graph = new TextEncoder().encode("0 1\n1 2\n2 0\n2 3\n");
    const { status, stdout, stderr, files } = await ga.commandLine(
      ["analyze", "--graph", "g.txt", "--mechanism", "scaled_dot_product", "--dim", "2", "--plot", "r.html"],
      { "g.txt": graph },
      ["r.html"],
    );
    equal([status, stderr.includes("Traceback")], [0, false], stderr);
    ok(stdout.includes("scaled_dot_product"), "a table");
    ok(new TextDecoder().decode(files["r.html"]).includes("<svg"), "a report");
    const missing = await ga.commandLine(["analyze", "--graph", "none.txt"]);
    equal(missing.status, 2);
    ok(
      missing.stderr.includes("none.txt") && missing.stderr.trim().split("\n").length === 1,
      "one line that names the file",
    );
  },

  compression: async (ga) => {
    const x = { data: Float32Array.from({ length: 64 }, (_x, i) => Math.sin(i)), shape: [8, 8] };
    const codec = await ga.compression.Quantizer({ bits: 8 });
    const packed = await codec.encode(x);
    equal(packed.type.startsWith("Compressed") || packed.type.length > 0, true);
    ok(packed.fields.nbytes < 64 * 4 && packed.fields.ratio > 1, "it is smaller");
    const codes = await packed.get("codes");
    ok(codes.data instanceof Int8Array, "codes are int8");
    const back = await codec.decode(packed);
    for (let i = 0; i < 64; i++)
      ok(Math.abs(back.data[i] - x.data[i]) <= packed.fields.error_bound + 1e-7, "within the bound");
    const weights = await ga.functional.quantizedAttention?.(new Float32Array(8).fill(1), packed, x);
    ok(weights === undefined || weights.shape[0] === 8, "attention over codes");
  },

  "backend and close to hand": async (ga) => {
    const info = await ga.backendInfo();
    ok(["wasm-relaxed-simd", "wasm-simd128", "numpy"].includes(info.backend), "backend");
    equal(info.version, ga.version);
    ok("accelerated" in info, "whether NumPy's loops were replaced");
  },

  schedules: async (ga) => {
    const { schedules } = ga.training;
    const schedule = await schedules.chain(await schedules.warmup(1, 2), await schedules.cosine(1, 4, { minLr: 0.5 }));
    const rates = [];
    for (let step = 0; step < 7; step++) rates.push(await schedule.at(step));
    close(
      { data: Float32Array.from(rates), shape: [7] },
      { data: [0.5, 1, 1, 0.9267767, 0.75, 0.5732233, 0.5], shape: [7] },
      "rates",
    );
    await rejects(schedules.cosine(1, 0), "invalid_config", { argument: "totalSteps" });
    const attn = await ga.create("multi_head", { dim: 2, numHeads: 1, seed: 2 });
    const task = {
      graph: {
        edges: [
          [0, 1],
          [1, 0],
        ],
        numNodes: 2,
      },
      features: [
        [1, 0],
        [0, 1],
      ],
      labels: [0, 1],
      epochs: 5,
    };
    const [fixed, same, none] = [0.05, await schedules.constant(0.05), await schedules.constant(0)];
    const losses = async (lr) => (await ga.train(attn, { ...task, lr })).losses;
    equal(await losses(same), await losses(fixed), "a schedule in the place of a rate");
    equal(new Set(await losses(none)).size, 1, "nothing is learned at a rate of 0");
  },

  "an aborted call, and an object freed while calls wait for it": async (ga) => {
    const attn = await ga.create("scaled_dot_product", { dim: 2 });
    const x = [
      [1, 0],
      [0, 1],
      [1, 1],
    ];
    const { output } = await attn.forward(x, x, x);
    const controller = new AbortController();
    const call = attn.forward(x, x, x, { signal: controller.signal });
    controller.abort();
    await rejects(call, "aborted");
    equal((await attn.forward(x, x, x)).output, output, "the next call");
    const keys = await ga.tensor(x);
    const calls = Array.from({ length: 4 }, () => attn.forward(x, keys, keys));
    await keys.free();
    for (const result of await Promise.all(calls)) equal(result.output, output, "calls made before");
    await rejects(attn.forward(x, keys, keys), "freed");
  },

  "handles show no connection": async (ga) => {
    const tensor = await ga.tensor([[1, 2]]);
    equal(JSON.stringify(tensor), '{"shape":[1,2]}');
    equal(
      Object.keys(await ga.create("flash", { dim: 2 })),
      ["config", "key", "dim", "family", "complexity", "supportsVariableLength"],
      "properties",
    );
  },

  "objects print the names of their classes": async (ga) => {
    const objects = [
      ga,
      await ga.create("flash", { dim: 2 }),
      await ga.tensor([[1, 2]]),
      await ga.geometry.Euclidean(),
    ];
    const names = objects.map((x) => x.constructor.name);
    equal(names, ["GraphAttend", "Attention", "Tensor", "Remote"], "names");
  },

  "freed objects reject": async (ga) => {
    const attn = await ga.create("scaled_dot_product", { dim: 2 });
    const t = await ga.tensor([[1, 2]]);
    equal([...(await t.read()).data], [1, 2]);
    await attn.free();
    await attn.free();
    await rejects(attn.forward([1, 0], [[1, 0]], [[1, 0]]), "freed");
    const other = await ga.create("scaled_dot_product", { dim: 2 });
    await t.free();
    await rejects(other.forward([1, 0], t, t), "freed");
  },

  "many calls at once keep their order and data": async (ga) => {
    const attn = await ga.create("scaled_dot_product", { dim: 2 });
    const scratch = new Float32Array(2);
    const calls = [];
    for (let i = 0; i < 50; i++) {
      scratch.fill(i); // the call has copied it
      calls.push(attn.forward([1, 0], scratch, scratch));
    }
    scratch.fill(-1);
    const results = await Promise.all(calls);
    equal(
      results.map((r) => r.output.data[0]),
      Array.from({ length: 50 }, (_x, i) => i),
    );
  },
};
