// More shared checks: valid arguments, and errors for bad ones.
import { close, equal, f32, ok, rejects, rejectsAny } from "./suite-assert.mjs";

export const inputChecks = {
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

  "large whole numbers mean what they say": async (ga) => {
    const attn = await ga.create("scaled_dot_product", { dim: 2 });
    for (const large of [1, 3e9, -5e9, 1e30])
      for (const keys of [Float32Array.of(1 / large, 0, 0, 1), [1 / large, 0, 0, 1]]) {
        const { data } = await attn.attentionWeights([large, 0], keys);
        close(data[0], 1 / (1 + Math.exp(-Math.SQRT1_2)), 1e-6);
      }
    equal([...(await ga.functional.softmax([3e9, 3e9 + 512])).data], [0, 1]);
    const values = Float64Array.of(1e200, 0, 0, 1);
    for (let i = 0; i < 3; i++) {
      const call = [Float64Array.of(1, 0), Float64Array.of(1, 0, 1, 0), values];
      await rejects(attn.forward(...call), "numerical_instability", { argument: "dtype" });
      equal([...(await attn.forward(...call, { dtype: "float64" })).output.data], [5e199, 0.5]);
    }
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
    // Their entries are no properties: as options, they would be ignored.
    for (const options of [new Map([["directed", true]]), new Date(), [true]]) {
      await rejects(ga.graph({ edges: [[0, 1]] }, options), "invalid_config");
      await rejects(attn.forward([1, 0], [[1, 0]], [[5, 6]], options), "invalid_config");
    }
    ok({}.polluted === undefined && Object.prototype.polluted === undefined, "prototypes are untouched");
    equal((await attn.forward([1, 0], [[1, 0]], [[5, 6]])).output.shape, [2], "the next call works");
  },
};
