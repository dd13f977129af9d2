// Checks that hold on every runtime: main thread, worker and pool, in Node.js and in browsers.
import { dataChecks } from "./suite-data.mjs";
import { functionChecks } from "./suite-functions.mjs";
import { repeatChecks } from "./suite-repeat.mjs";

class CheckError extends Error {}

export function ok(condition, message) {
  if (!condition) throw new CheckError(message ?? "expected something true");
}

export function equal(actual, expected, what = "value") {
  const [a, b] = [JSON.stringify(actual), JSON.stringify(expected)];
  ok(a === b, `${what}: expected ${b?.slice(0, 300)}, got ${a?.slice(0, 300)}`);
}

export function close(actual, expected, what, tolerance = 2e-6, least = 1e-3) {
  if (typeof expected === "number") {
    ok(
      Math.abs(actual - expected) <= tolerance * Math.max(1, Math.abs(expected)),
      `${what}: expected ${expected}, got ${actual}`,
    );
    return;
  }
  equal(actual.shape, expected.shape, `${what}'s shape`);
  ok(actual.data instanceof Float32Array, `${what}: expected a Float32Array`);
  let scale = least;
  for (const x of expected.data) scale = Math.max(scale, Math.abs(x));
  for (let i = 0; i < expected.data.length; i++) {
    ok(
      Math.abs(actual.data[i] - expected.data[i]) <= tolerance * scale,
      `${what}[${i}]: expected ${expected.data[i]}, got ${actual.data[i]}`,
    );
  }
}

export async function rejects(promise, code, test = {}) {
  let value;
  try {
    value = await promise;
  } catch (error) {
    ok(error instanceof Error && error.code === code, `expected code ${code}, got ${error.code}: ${error.message}`);
    for (const [name, expected] of Object.entries(test)) equal(error[name], expected, name);
    return error;
  }
  throw new CheckError(`expected a rejection with ${code}, got ${JSON.stringify(value)?.slice(0, 200)}`);
}

/** A task to learn: two pairs of nodes that see each other and themselves, each pair a class. */
export const twoPairs = {
  graph: {
    indptr: [0, 2, 4, 6, 8],
    indices: [0, 1, 0, 1, 2, 3, 2, 3],
  },
  features: [
    [1, 0, 0, 0.5],
    [0.9, 0.1, 0, 0.4],
    [0, 0, 1, 0.1],
    [0, 0.1, 0.9, 0.3],
  ],
  labels: [0, 0, 1, 1],
  lr: 0.05,
  seed: 3,
};

const f32 = (m) => ({ data: Float32Array.from(m.data), shape: m.shape });
const camel = (name) => name.replace(/_([a-z])/g, (_m, c) => c.toUpperCase());

function metadataOf(c) {
  const entries = Object.entries(c.metadata).map(([name, m]) => [
    camel(name),
    typeof m === "number"
      ? m
      : name.endsWith("layers") || name.endsWith("layer")
        ? { data: Int32Array.from(m.data), shape: m.shape }
        : f32(m),
  ]);
  return entries.length ? { metadata: Object.fromEntries(entries) } : {};
}

async function mechanismCase(ga, c) {
  const { key, dim, options } = c.config;
  const attn = await ga.create(key, { dim, ...options });
  equal(attn.config, c.config, "config");
  const { query, keys, values } = c.inputs;
  const args = [f32(query), f32(keys), f32(values)];
  const metadata = metadataOf(c);
  const { output, weights } = await attn.forward(...args, metadata);
  close(output, c.output, "output");
  ok(weights === undefined, "no weights unless asked for");
  for (let i = 0; i < 2; i++)
    close((await attn.forward(...args, metadata)).output, c.output, "output, asked for again");
  if (c.weights === null) await rejects(attn.attentionWeights(args[0], args[1], metadata), "unsupported");
  else close(await attn.attentionWeights(args[0], args[1], metadata), c.weights, "weights");
  const { output: again, pullback } = await attn.vjp(...args, metadata);
  close(again, c.output, "output of vjp");
  const ones = { data: new Float32Array(again.data.length).fill(1), shape: again.shape };
  const gradients = await pullback(ones);
  for (const name of ["query", "keys", "values"])
    close(gradients[name], c.gradients[name], `gradient of ${name}`, 2e-5, 0.1);
  equal(Object.keys(gradients.parameters), Object.keys(c.parameters), "names of parameters");
  for (const [name, g] of Object.entries(c.parameters))
    close(gradients.parameters[name], g, `gradient of ${name}`, 5e-5, 0.1);
  await pullback.free();
  await attn.free();
}

/** Named checks; each gets a connection and the native answers. */
export const checks = {
  "every mechanism answers as natively, one query": async (ga, native) => {
    equal(ga.mechanisms, native.mechanisms, "mechanisms");
    for (const [key, c] of Object.entries(native.cases)) await named(key, mechanismCase(ga, c));
  },

  "every mechanism answers as natively, several queries": async (ga, native) => {
    for (const [key, c] of Object.entries(native.rows)) await named(key, mechanismCase(ga, c));
  },

  "schema is Python's": (ga, native) => {
    equal(ga.schema(), reordered(native.schema, ga.schema()), "schema");
    equal(ga.schema("moe").title, "moe");
    let error;
    try {
      ga.schema("__proto__");
    } catch (e) {
      error = e;
    }
    equal(error?.code, "invalid_config");
  },

  "the same call over and over, with other numbers": async (ga) => {
    const [n, dim] = [6, 4];
    const attn = await ga.create("scaled_dot_product", { dim });
    const numbers = (count, seed) => Float32Array.from({ length: count }, (_x, i) => Math.sin(i * seed + seed));
    const [k, v] = [numbers(n * dim, 0.7), numbers(n * dim, 1.3)];
    const [keys, values] = [await ga.tensor(k, [n, dim]), await ga.tensor(v, [n, dim])];
    const kept = [];
    for (let i = 0; i < 12; i++) {
      const query = numbers(dim, i + 0.5);
      // By plain arithmetic, in double precision.
      const scores = Array.from(
        { length: n },
        (_x, j) => query.reduce((sum, x, d) => sum + x * k[j * dim + d], 0) / Math.sqrt(dim),
      );
      const exp = scores.map((s) => Math.exp(s));
      const total = exp.reduce((a, b) => a + b);
      const weights = { data: exp.map((e) => e / total), shape: [n] };
      const output = {
        data: Array.from({ length: dim }, (_x, d) => weights.data.reduce((s, w, j) => s + w * v[j * dim + d], 0)),
        shape: [dim],
      };
      const resident = await attn.forward(query, keys, values);
      close(resident.output, output, `resident, time ${i}`, 2e-6, 1); // of values up to 1, which cancel
      close((await attn.forward(query, k, v)).output, output, `copied, time ${i}`, 2e-6, 1);
      const both = await attn.forward(query, keys, values, { needWeights: true });
      close(both.weights, weights, `weights, time ${i}`);
      kept.push([resident.output, output]);
      if (i === 3)
        await rejects(attn.forward(Float32Array.of(NaN, 0, 0, 0), keys, values), "numerical_instability", {
          argument: "query",
        });
      if (i === 5) await (await ga.tensor(new Float32Array(3e6), [3000, 1000])).free(); // the arena grows and moves
      if (i === 7) await (await ga.tensor([1, 2, 3])).free();
    }
    for (const [given, output] of kept) close(given, output, "an earlier answer", 2e-6, 1); // its numbers are nobody else's
    await values.free();
    await rejects(attn.forward(numbers(dim, 1), keys, values), "freed");
    const others = await ga.tensor(k, [n, dim]);
    const { output } = await attn.forward(numbers(dim, 1), keys, others);
    close(output, f32((await attn.forward(numbers(dim, 1), k, k)).output), "with other values");
  },

  "prepared keys and values": async (ga, native) => {
    for (const key of ["multi_head", "linear", "hyperbolic"]) {
      const c = native.cases[key],
        [query, keys, values] = ["query", "keys", "values"].map((name) => f32(c.inputs[name]));
      const attn = await ga.create(key, { dim: c.config.dim, ...c.config.options });
      const prepared = await attn.prepare(keys, values);
      for (let i = 0; i < 4; i++)
        close((await attn.forward(query, prepared, null)).output, c.output, `output of ${key}, time ${i}`);
      close(await attn.attentionWeights(query, prepared), c.weights, `weights of ${key}`);
      const other = await ga.create(key, { dim: c.config.dim, ...c.config.options });
      close((await other.forward(query, prepared, null)).output, c.output, `output of an equal ${key}`);
      await rejects(attn.forward(query, prepared, values), "invalid_config", { argument: "values" });
      await prepared.free();
      await rejects(attn.forward(query, prepared, null), "freed");
    }
    const [one, two] = [await ga.create("flash", { dim: 2 }), await ga.create("linear", { dim: 2 })];
    await rejects(two.forward([1, 0], await one.prepare([[1, 0]], [[3, 4]]), null), "invalid_config", {
      argument: "keys",
    });
  },

  "all kinds of input mean the same": async (ga) => {
    const attn = await ga.create("scaled_dot_product", { dim: 4 });
    const rows = [
      [1, 2, 3, 4],
      [0.5, -1, 2, 0],
      [4, 3, 2, 1],
    ];
    const flat = rows.flat();
    const kinds = {
      rows: rows,
      "flat Float32Array": Float32Array.from(flat),
      "flat Float64Array": Float64Array.from(flat),
      "flat array": flat,
      shaped: { data: Float32Array.from(flat), shape: [3, 4] },
      "shaped array": { data: flat, shape: [3, 4] },
      "rows of Float32Array": rows.map((r) => Float32Array.from(r)),
      "a view": Float32Array.from([9, ...flat, 9]).subarray(1, 13),
      tensor: await ga.tensor(Float32Array.from(flat), [3, 4]),
      "flat tensor": await ga.tensor(Float32Array.from(flat)),
    };
    if (typeof SharedArrayBuffer === "function") {
      const shared = new Float32Array(new SharedArrayBuffer(48));
      shared.set(flat);
      kinds["shared memory"] = shared;
    }
    const query = Float32Array.of(1, 0, -1, 2);
    const reference = await attn.forward(query, kinds.rows, kinds.rows, { needWeights: true });
    equal(reference.output.shape, [4]);
    equal(reference.weights.shape, [3]);
    for (const [name, keys] of Object.entries(kinds)) {
      const { output, weights } = await attn.forward(query, keys, keys, { needWeights: true });
      close(output, { data: [...reference.output.data], shape: [4] }, name);
      close(weights, { data: [...reference.weights.data], shape: [3] }, name);
      const all = await attn.forward(keys, keys, keys);
      equal(all.output.shape, [3, 4], name);
    }
    const integers = await attn.forward(
      Int32Array.of(1, 0, -1, 2),
      new Uint8Array(8).fill(1),
      new Int16Array(8).fill(3),
    );
    close(integers.output, { data: [3, 3, 3, 3], shape: [4] }, "integers");
    const wide = await attn.forward(query, kinds.rows, Float32Array.of(1, 2, 3));
    equal(wide.output.shape, [1], "values of another width");
  },

  "masks: true = attend": async (ga) => {
    const attn = await ga.create("scaled_dot_product", { dim: 2 });
    const [q, k, v] = [
      [1, 0],
      [
        [1, 0],
        [0, 1],
        [1, 1],
      ],
      [
        [1, 0],
        [2, 0],
        [3, 0],
      ],
    ];
    const only = async (attnMask) => (await attn.forward(q, k, v, { attnMask })).output.data[0];
    for (const mask of [
      [false, true, false],
      Uint8Array.of(0, 7, 0),
      [-Infinity, 0, -Infinity],
      { data: [false, true, false], shape: [1, 3] },
    ]) {
      equal(await only(mask), 2, JSON.stringify(mask));
    }
    equal(await only([false, false, false]), 0);
    const square = await attn.forward(k, k, v, { attnMask: Uint8Array.of(1, 0, 0, 0, 1, 0, 0, 0, 1) });
    equal([...square.output.data], [1, 0, 2, 0, 3, 0]);
    await rejects(attn.forward(q, k, v, { attnMask: [true, true] }), "dimension_mismatch");
    await rejects(attn.forward(q, k, v, { attnMask: "all" }), "invalid_config");
    equal(await only(Int32Array.of(0, 1, 0)), 2, "integers");
    const rows = await attn.forward(k, k, v, {
      attnMask: [Uint8Array.of(1, 0, 0), Uint8Array.of(0, 1, 0), Uint8Array.of(0, 0, 1)],
    });
    equal([...rows.output.data], [1, 0, 2, 0, 3, 0], "rows of bytes");
    const kept = await ga.tensor([
      [true, false, false],
      [false, true, false],
      [false, false, true],
    ]);
    equal(
      [...(await attn.forward(k, k, v, { attnMask: kept })).output.data],
      [1, 0, 2, 0, 3, 0],
      "a mask that is kept",
    );
  },

  "attend over a graph": async (ga, { attend }) => {
    const attn = await ga.create("scaled_dot_product", { dim: 8 });
    const x = f32(attend.x);
    const graphs = [
      { indptr: Int32Array.from(attend.indptr), indices: Int32Array.from(attend.indices) },
      { indptr: attend.indptr, indices: attend.indices },
      { edges: attend.edges, numNodes: 6 },
      { edges: Int32Array.from(attend.edges.flat()), numNodes: 6 },
      await ga.graph({ edges: attend.edges, numNodes: 6 }),
      { edgeIndex: [attend.edges.map(([source]) => source), attend.edges.map(([, target]) => target)], numNodes: 6 },
    ];
    for (const graph of graphs) {
      const { output, weights } = await attn.attend(graph, x, undefined, undefined, { needWeights: true });
      close(output, attend.output, "output");
      close(weights, attend.weights, "weights");
    }
    const { output, weights } = await attn.attend(graphs[0], x.data, { needWeights: true });
    close(output, attend.output, "short form");
    close(weights, attend.weights, "short form");
    close(
      (await attn.attend(graphs[0], x, x, { needWeights: true })).weights,
      attend.weights,
      "options after the keys",
    );
    const { pullback } = await attn.attendVjp(graphs[4], x);
    equal((await pullback(new Float32Array(48))).query.shape, [6, 8]);
    equal([...(await graphs[4].degree()).data], [3, 2, 1, 1, 1, 0]);
    equal(graphs[4].fields.num_nodes, 6);
    await rejects(attn.attend({ indptr: [0, 1], indices: [7] }, x), "out_of_bounds");
    await rejects(attn.attend({ indptr: [0, 5], indices: [0] }, x), "dimension_mismatch");
    await rejects(attn.attend({ nodes: [] }, x), "invalid_config");
  },

  "errors are typed": async (ga) => {
    await rejects(ga.create("hyperbolik", { dim: 4 }), "invalid_config", { argument: "key", actual: "hyperbolik" });
    await rejects(ga.create("multi_head", { dim: 8, numHeds: 2 }), "invalid_config", { argument: "numHeds" });
    await rejects(ga.create("multi_head", { dim: 8, numHeads: 3 }), "invalid_config", { argument: "numHeads" });
    await rejects(ga.create("multi_head", { dim: 8, numHeads: 2, num_heads: 2 }), "invalid_config", {
      argument: "numHeads",
    });
    await rejects(ga.create("multi_head", {}), "invalid_config", { argument: "dim" });
    await rejects(ga.create("multi_head"), "invalid_config");
    await rejects(ga.create("scaled_dot_product", { dim: 4, temperature: NaN }), "invalid_config", {
      argument: "temperature",
    });
    const attn = await ga.create("scaled_dot_product", { dim: 4 });
    const k = new Float32Array(8).fill(1);
    await rejects(attn.forward(new Float32Array(3), k, k), "dimension_mismatch", {
      argument: "query",
      expected: 4,
      actual: 3,
    });
    await rejects(attn.forward(new Float32Array(4), new Float32Array(6), k), "dimension_mismatch", {
      argument: "keys",
    });
    await rejects(attn.forward(new Float32Array(4), new Float32Array(0), k), "empty_input", { argument: "keys" });
    await rejects(attn.forward([1, NaN, 1, 1], k, k), "numerical_instability", { argument: "query" });
    await rejects(attn.forward([1, 2, 3, "4"], k, k), "invalid_config", { argument: "query" });
    await rejects(
      attn.forward(
        [
          [1, 2, 3, 4],
          [1, 2],
        ],
        k,
        k,
      ),
      "invalid_config",
      { argument: "query" },
    );
    await rejects(attn.forward([1, null, 3, 4], k, k), "invalid_config", { argument: "query" });
    await rejects(attn.forward("query", k, k), "invalid_config", { argument: "query" });
    await rejects(attn.forward(undefined, k, k), "invalid_config", { argument: "query" });
    await rejects(attn.forward({ data: new Float32Array(4), shape: [5] }, k, k), "dimension_mismatch", {
      expected: 5,
      actual: 4,
    });
    await rejects(attn.forward({ data: new Float32Array(4), shape: [-4] }, k, k), "invalid_config");
    await rejects(attn.forward(new DataView(new ArrayBuffer(16)), k, k), "invalid_config");
    await rejects(
      attn.forward(() => 1, k, k),
      "invalid_config",
    );
    await rejects(attn.forward(k, k, k, { metadata: { edgeFeature: k } }), "invalid_config", {
      argument: "edgeFeature",
    });
    const error = await rejects(attn.forward(new Float32Array(4), k, k, { needWeight: true }), "invalid_config");
    ok(error.message.includes("needWeights"), "the near miss is named");
    const python = await rejects(attn.forward(new Float32Array(4), k, new Float32Array(9)), "dimension_mismatch");
    ok(python.traceback?.includes("Traceback"), "Python's traceback is there");
    for (const options of [5, "options", [1], true])
      await rejects(attn.forward(k, k, k, options), "invalid_config", { argument: "options" });
    for (const signal of [5, {}, "stop"])
      await rejects(attn.forward(k, k, k, { signal }), "invalid_config", { argument: "signal" });
    for (const timeout of [0, -1, NaN, "10"])
      await rejects(ga.tensor(k, [2, 4], { timeout }), "invalid_config", { argument: "timeout" });
    for (const data of ["text", undefined, null, 3, {}]) await rejects(ga.tensor(data), "invalid_config");
    const plain = await attn.forward(k, k, k);
    const nothing = { signal: null, timeout: null, attnMask: null, metadata: null };
    for (const options of [null, undefined, {}, nothing])
      equal((await attn.forward(k, k, k, options)).output, plain.output, "no options");
    const edges = await ga.create("edge_featured", { dim: 4, edgeDim: 2, numHeads: 2 });
    await rejects(edges.forward(k, k, k), "invalid_config", { argument: "metadata.edgeFeatures" });
  },

  "hostile names and options": async (ga) => {
    const attn = await ga.create("scaled_dot_product", { dim: 2 });
    const cyclic = { dim: 2 };
    cyclic.self = cyclic;
    const ring = [];
    ring.push(ring);
    const throwing = {
      dim: 2,
      get temperature() {
        throw new Error("boom");
      },
    };
    const long = "x".repeat(10_000_000);
    const proto = JSON.parse('{"dim": 2, "__proto__": {"polluted": true}}');
    for (const key of ["__proto__", "constructor", "toString", "", long, null, undefined, 3, {}, [], Symbol.iterator]) {
      await rejects(ga.create(key, { dim: 2 }), "invalid_config");
    }
    for (const options of [
      cyclic,
      throwing,
      proto,
      { dim: 2, constructor: 1 },
      { dim: 2, [long]: 1 },
      { dim: 2, temperature: long },
      { dim: 2, self: 1 },
      { dim: 2, cls: 1 },
      { dim: 2, key: 1 },
      { dim: ring },
      { dim: 2, $h: 1 },
      { $a: [1] },
      { $f: "nan" },
      { dim: 2, temperature: 10n ** 400n },
      { dim: 2, temperature: () => 1 },
      { dim: 2, temperature: Symbol("x") },
      "dim",
      2,
      null,
    ]) {
      await rejects(ga.create("scaled_dot_product", options), "invalid_config");
    }
    for (const name of [
      "__class__",
      "__init__",
      "_core",
      "save",
      "builder",
      "to_config.__globals__",
      long,
      "constructor",
    ]) {
      await rejects(attn.call(name), "invalid_config");
    }
    for (const name of [
      "os.system",
      "functional.__dict__",
      "functional._vjp",
      "builtins.eval",
      "functional",
      "a.b.c",
      long,
      "graph.patterns",
    ]) {
      await rejects(ga.call(name, 1), "invalid_config");
    }
    for (const query of [
      cyclic,
      ring,
      throwing,
      proto,
      new Proxy([1, 2], {
        get() {
          throw new TypeError("trap");
        },
      }),
      new Date(),
      /x/,
      new Map(),
      Object.create({ data: 1 }),
      { data: 3, shape: [1] },
      { data: long, shape: [long.length] },
      [[[[[[[]]]]]]],
      [long],
      [ring],
    ]) {
      await rejectsAny(attn.forward(query, [[1, 2]], [[1, 2]]));
    }
    ok({}.polluted === undefined && Object.prototype.polluted === undefined, "prototypes are untouched");
    equal((await attn.forward([1, 0], [[1, 0]], [[5, 6]])).output.shape, [2], "the next call works");
  },

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
      scratch.fill(i); // the call has taken its own copy
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

async function named(name, promise) {
  try {
    await promise;
  } catch (error) {
    error.message = `${name}: ${error.message}`;
    throw error;
  }
}

async function rejectsAny(promise) {
  try {
    await promise;
  } catch (error) {
    ok(
      ["invalid_config", "dimension_mismatch", "empty_input"].includes(error.code),
      `typed error, got ${error.code}: ${error.message}`,
    );
    return;
  }
  throw new CheckError("expected a rejection");
}

/** The same data with properties in the other's order. */
function reordered(x, like) {
  if (Array.isArray(x) || typeof x !== "object" || x === null) return x;
  const names = Object.keys(x);
  const order = Object.keys(like ?? {}).filter((n) => names.includes(n));
  return Object.fromEntries(
    [...order, ...names.filter((n) => !order.includes(n))].map((n) => [n, reordered(x[n], like?.[n])]),
  );
}
