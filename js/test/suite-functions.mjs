// More shared checks: the caller's functions that Python calls during a call.
import { close, equal, ok, rejects, twoPairs } from "./suite-assert.mjs";

const rows = [
  [1, 0],
  [0, 1],
  [1, 1],
];

/** The plane with doubled lengths; `seen` records the name and the shapes of each call. */
const stretched = (seen = []) => {
  const by = (name, f) => [name, (...args) => (seen.push([name, ...args.map((m) => m.shape?.join())]), f(...args))];
  const each = (x, y, f) => x.data.map((a, i) => f(a, y.data[i]));
  const offsets = (x, y) => each(x, y, (a, b) => b - a);
  const lengths = (v) => Float64Array.from({ length: v.length / 2 }, (_x, i) => Math.hypot(v[2 * i], v[2 * i + 1]));
  const mean = ({ data, shape: [lists, n, width] }, weights) => {
    const out = new Float64Array(lists * width);
    for (let b = 0; b < lists; b++) {
      const own = weights.data.subarray(b * n, (b + 1) * n);
      const total = own.reduce((a, c) => a + c);
      for (let j = 0; j < n; j++)
        for (let d = 0; d < width; d++) out[b * width + d] += (own[j] / total) * data[(b * n + j) * width + d];
    }
    return out;
  };
  const gradients = {
    dist: (x, y, g) => {
      const offset = offsets(x, y);
      const length = lengths(offset);
      const by = offset.map((o, i) => (length[i >> 1] === 0 ? 0 : (2 * g.data[i >> 1] * o) / length[i >> 1]));
      return [by.map((b) => -b), by];
    },
    midpoint: (points, weights, g) => {
      const [lists, n, width] = points.shape;
      const middle = mean(points, weights);
      const [byPoints, byWeights] = [new Float64Array(lists * n * width), new Float64Array(lists * n)];
      for (let b = 0; b < lists; b++) {
        const total = weights.data.subarray(b * n, (b + 1) * n).reduce((a, c) => a + c);
        for (let j = b * n; j < (b + 1) * n; j++)
          for (let d = 0; d < width; d++) {
            byPoints[j * width + d] = (weights.data[j] / total) * g.data[b * width + d];
            byWeights[j] += (g.data[b * width + d] * (points.data[j * width + d] - middle[b * width + d])) / total;
          }
      }
      return [byPoints, byWeights];
    },
  };
  return {
    ...Object.fromEntries([
      by("expmap", (x, v) => each(x, v, (a, b) => a + b)),
      by("logmap", offsets),
      by("dist", (x, y) => lengths(offsets(x, y)).map((d) => 2 * d)),
      by("inner", (_x, u, v) =>
        lengths(u.data).map((_y, i) => 4 * (u.data[2 * i] * v.data[2 * i] + u.data[2 * i + 1] * v.data[2 * i + 1])),
      ),
      by("midpoint", mean),
    ]),
    gradients,
  };
};

/** Attention by distances in the stretched plane. */
const attention = (query, keys, values, factor = 2) => {
  const out = query.flatMap((q) => {
    const w = keys.map((k) => Math.exp(-factor * Math.hypot(q[0] - k[0], q[1] - k[1])));
    const total = w.reduce((a, b) => a + b);
    return [0, 1].map((d) => w.reduce((sum, x, j) => sum + (x / total) * values[j][d], 0));
  });
  return { data: out, shape: [query.length, 2] };
};
const points = [
  [0.1, 0.4],
  [-0.3, 0.2],
  [0.5, -0.6],
  [0.7, 0.1],
];

export const functionChecks = {
  "a manifold of functions": async (ga) => {
    const seen = [];
    const wanted = attention(rows, points, points);
    for (const aggregation of ["frechet", "midpoint"]) {
      const attn = await ga.create("manifold", { dim: 2, manifold: stretched(seen), aggregation });
      for (let i = 0; i < 3; i++) close((await attn.forward(rows, points, points)).output, wanted, aggregation, 1e-5);
      close(
        (await attn.attend({ indptr: [0, 4, 4, 4, 4], indices: [0, 1, 2, 3] }, points)).output,
        { data: [...attention([points[0]], points, points).data, 0, 0, 0, 0, 0, 0], shape: [4, 2] },
        "over a graph",
        1e-5,
      );
      await rejects(attn.save(), "unsupported", { argument: "manifold" });
      equal(attn.config.options.aggregation, aggregation);
    }
    // Each started interpreter calls the function for its own rows, which together are all rows, once.
    const attending = await ga.create("manifold", { dim: 2, manifold: stretched(seen), aggregation: "midpoint" });
    seen.length = 0;
    await attending.forward(rows, points, points);
    const asked = (name, shapes) =>
      seen.reduce((sum, [called, ...given]) => {
        if (called !== name) return sum;
        const count = Number.parseInt(given[0]);
        equal(given, shapes(count), `what ${name} is given`);
        return sum + count;
      }, 0);
    equal(
      asked("dist", (n) => [`${n},2`, `${n},2`]),
      12,
      "pairs",
    );
    equal(
      asked("midpoint", (n) => [`${n},4,2`, `${n},4`]),
      3,
      "lists with weights",
    );
    const attn = await ga.create("manifold", { dim: 2, manifold: stretched(), aggregation: "midpoint" });
    const inputs = [rows, points, points].map((x) => ({ data: Float64Array.from(x.flat()), shape: [x.length, 2] }));
    const { pullback } = await attn.vjp(...inputs, { dtype: "float64" });
    const gradient = await pullback(new Float64Array(6).fill(1));
    const sum = (q, k) => attention(q, k, points).data.reduce((a, b) => a + b);
    const moved = (x, i, d, step) => x.map((row, j) => row.map((v, c) => (i === j && c === d ? v + step : v)));
    for (const [name, x, f] of [
      ["query", rows, (q) => sum(q, points)],
      ["keys", points, (k) => sum(rows, k)],
    ])
      for (let i = 0; i < x.length; i++)
        for (let d = 0; d < 2; d++) {
          const slope = (f(moved(x, i, d, 1e-6)) - f(moved(x, i, d, -1e-6))) / 2e-6;
          ok(Math.abs(gradient[name].data[2 * i + d] - slope) < 1e-8, `gradient of ${name}: ${slope}`);
        }
    const none = await ga.create("manifold", { dim: 2, manifold: { ...stretched(), gradients: undefined } });
    const without = await none.vjp(rows, points, points);
    const error = await rejects(without.pullback(new Float32Array(6)), "unsupported");
    ok(/gradient rule/.test(error.message), error.message);
  },

  "a manifold of functions by itself": async (ga) => {
    const plane = await ga.manifold(stretched());
    close(await plane.dist([0, 0], [3, 4]), 10, "a distance");
    close(await plane.norm([0, 0], [3, 4]), 10, "a length");
    close(await plane.frechetMean(points, [1, 1, 1, 1]), { data: [0.25, 0.025], shape: [2] }, "a mean", 1e-6);
    const graph = await ga.knn(points, 1, { manifold: plane });
    const same = await ga.knn(points, 1, { manifold: stretched() });
    const indices = (await (await ga.knn(points, 1)).get("indices")).data.join();
    for (const g of [graph, same]) equal((await g.get("indices")).data.join(), indices, "the nearest");
    const attn = await ga.create("manifold", { dim: 2, manifold: plane });
    await plane.free();
    close(
      (await attn.forward(rows, points, points)).output,
      attention(rows, points, points),
      "a manifold in use",
      1e-5,
    );
    await rejects(ga.manifold({ expmap: (x) => x.data }), "invalid_config", { argument: "manifold.logmap" });
    await rejects(ga.manifold({ expmapp: (x) => x.data }), "invalid_config", { argument: "expmapp" });
    await rejects(ga.manifold(null), "invalid_config");
    const short = await ga.manifold({ expmap: () => [1], logmap: () => "no" });
    await rejects(short.expmap([0, 0], [1, 1]), "dimension_mismatch", { argument: "manifold.expmap" });
    await rejects(short.logmap([0, 0], [1, 1]), "invalid_config", { argument: "manifold.logmap" });
  },

  "a function of the scores, and its gradient": async (ga) => {
    const seen = [];
    const scoreMod = (scores) => (seen.push(scores), scores.data.map((s) => 2 * s));
    const { scaledDotProductAttention } = ga.functional;
    const [found, wanted] = [
      await scaledDotProductAttention(rows, rows, rows, { scoreMod, scale: 0.5 }),
      await scaledDotProductAttention(rows, rows, rows, { scale: 1 }),
    ];
    close(found, { data: [...wanted.data], shape: [3, 2] }, "twice the scores");
    ok(seen[0].data instanceof Float64Array && seen[0].shape.join() === "3,3", "what it is given");
    await rejects(scaledDotProductAttention(rows, rows, rows, { scoreMod: () => [1] }), "dimension_mismatch");
    const name = "functional.scaledDotProductAttention";
    const [ours, theirs] = [
      await ga.vjp(name, [rows, rows, rows], { scoreMod, scale: 0.5 }),
      await ga.vjp(name, [rows, rows, rows], { scale: 1 }),
    ];
    const [a, b] = [await ours.pullback(found), await theirs.pullback(found)];
    for (let i = 0; i < 3; i++) close(a[i], { data: [...b[i].data], shape: [3, 2] }, `gradient ${i}`);
  },

  "functions that take their time, fail, or are not wanted any more": async (ga) => {
    const { scaledDotProductAttention } = ga.functional;
    const call = (scoreMod, options = {}) => scaledDotProductAttention(rows, rows, rows, { scoreMod, ...options });
    // A called function may make calls itself, and other calls get a turn.
    const inside = await call(async (scores) => (await ga.functional.softmax(scores, { dtype: "float64" })).data);
    equal(inside.shape, [3, 2]);
    let answer;
    const slow = call((scores) => new Promise((resolve) => (answer = () => resolve(scores.data))));
    const attn = await ga.create("flash", { dim: 2 });
    await attn.forward(rows, rows, rows);
    await until(() => answer !== undefined);
    await attn.free();
    answer();
    close(await slow, { data: [...(await scaledDotProductAttention(rows, rows, rows)).data], shape: [3, 2] }, "late");
    const thrown = new RangeError("not today");
    for (const f of [
      () => {
        throw thrown;
      },
      () => Promise.reject(thrown),
    ]) {
      let error;
      await call(f).catch((e) => (error = e));
      ok(error === thrown, "an error of the function's own");
    }
    const never = () => new Promise(() => undefined);
    await rejects(call(never, { timeout: 300 }), "timeout");
    const stop = new AbortController();
    const stopped = call(never, { signal: stop.signal });
    setTimeout(() => stop.abort(), 100);
    await rejects(stopped, "aborted");
    equal((await ga.functional.softmax([0, 0])).data.join(), "0.5,0.5", "the next call");
    for (const bad of [() => undefined, () => ({}), () => "x", () => [[1], [2, 3]]])
      await rejects(call(bad), "invalid_config", { argument: "scoreMod" });
  },

  "a loss of the caller's that takes its time": async (ga) => {
    const attn = await ga.create("multi_head", { dim: 4, numHeads: 2, seed: 1 });
    const { labels, ...task } = twoPairs;
    const loss = async (output, nodes) => {
      await new Promise((resolve) => setTimeout(resolve, 1));
      ok(output.data instanceof Float32Array && nodes.data instanceof Int32Array, "what a loss is given");
      return { loss: 1, gradient: new Float32Array(output.data.length).fill(0.1) };
    };
    const seen = [];
    const result = await ga.train(attn, { ...task, loss, epochs: 3, onProgress: (p) => seen.push(p.step) });
    equal(
      [result.losses, seen],
      [
        [1, 1, 1],
        [1, 2, 3],
      ],
      "losses, and progress after each step",
    );
  },
};

async function until(condition) {
  for (let i = 0; i < 1000 && !condition(); i++) await new Promise((resolve) => setTimeout(resolve, 5));
  ok(condition(), "it comes to pass");
}
