// graphattend/kernels in Node.js: valid arguments and options, and the copies that pullbacks keep of them.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { load } from "graphattend/kernels";
import { numbers, refused } from "./kernel-refusals.mjs";
import { argument } from "./kernel-table.mjs";
import { js } from "./setup.mjs";

const table = JSON.parse(readFileSync(`${js}test/kernel-cases.json`, "utf8"));

describe("arguments", async () => {
  const k = await load();
  it("are never changed, and results are not views", () => {
    const c = table.find(
      ({ call, name }) => call === "scaled_dot_product_attention" && name === "hidden keys hold NaN",
    );
    const [q, key, v] = ["query", "key", "value"].map((name) => argument(c.args[name]));
    const before = structuredClone([q, key, v]);
    const first = k.scaledDotProductAttention(q, key, v, argument(c.options));
    assert.deepEqual([q, key, v], before);
    const copy = structuredClone(first);
    k.softmax(numbers(5000));
    assert.deepEqual(first, copy);
  });
  it("pullbacks remember their arguments, whatever becomes of them", () => {
    const [q, key, v] = [numbers(4), numbers(12), numbers(12)];
    const { output, pullback } = k.scaledDotProductAttentionVjp(q, key, v);
    const once = pullback(output);
    for (const x of [q, key, v]) x.fill(0);
    assert.deepEqual(pullback(output), once);
    refused("dimension_mismatch", /gradient: expected shape \(4,\), got \(3,\)/, () => pullback([1, 2, 3]));
  });
  it("a Vjp with the gradient of the output gives gradients by name, options or not", () => {
    const [q, key, v, g] = [
      [1, 0],
      [
        [1, 0],
        [0, 1],
        [1, 1],
      ],
      [[1], [2], [4]],
      [1],
    ];
    const wanted = k.scaledDotProductAttentionVjp(q, key, v).pullback(g);
    assert.deepEqual(Object.keys(wanted), ["query", "key", "value"]);
    for (const gradient of [g, Float32Array.of(1), { data: [1], shape: [1] }]) {
      assert.deepEqual(k.scaledDotProductAttentionVjp(q, key, v, gradient), wanted);
      for (const options of [{}, null, undefined])
        assert.deepEqual(k.scaledDotProductAttentionVjp(q, key, v, options, gradient), wanted);
    }
    const tensor = k.tensor(g);
    assert.deepEqual(k.scaledDotProductAttentionVjp(q, key, v, tensor), wanted);
    tensor.free();
    assert.deepEqual(
      k.scaledDotProductAttentionVjp(q, key, v, { returnWeights: true, returnLse: true }, g),
      wanted,
      "more outputs change nothing",
    );
    assert.deepEqual(Object.keys(k.scaledDotProductAttentionVjp(q, key, v, { attnMask: [0, 1, -Infinity] }, g)), [
      "query",
      "key",
      "value",
      "attnMask",
    ]);
    refused("unsupported", /gradients are those of the output alone/, () =>
      k.scaledDotProductAttentionVjp(q, key, v, { returnLse: true }),
    );
    refused("dimension_mismatch", /gradient: expected shape \(1,\), got \(2,\)/, () =>
      k.scaledDotProductAttentionVjp(q, key, v, [1, 2]),
    );
    refused("invalid_config", /options: expected an object of options, got an array/, () =>
      k.scaledDotProductAttentionVjp(q, key, v, g, g),
    );
    refused("invalid_config", /gradient: expected an array of real numbers, got null/, () =>
      k.scaledDotProductAttentionVjp(q, key, v, {}, null),
    );
    const eye = [
      [1, 0],
      [0, 1],
    ];
    const p = { wQ: eye, wK: eye, wV: eye, wO: eye };
    assert.deepEqual(
      k.multiHeadAttentionVjp(q, key, key, p, { num_heads: 2 }, q),
      k.multiHeadAttentionVjp(q, key, key, p, { num_heads: 2 }).pullback(q),
    );
    assert.deepEqual(Object.keys(k.multiHeadAttentionVjp(q, key, key, p, { numHeads: 1, needWeights: true }, q)), [
      "query",
      "key",
      "value",
      "parameters",
    ]);
    const graph = { indptr: [0, 2, 3, 3], indices: [0, 1, 2] };
    assert.deepEqual(Object.keys(k.graphAttentionVjp(graph, key, key, v, { edge_bias: [0, 1, 2] }, [1, 2, 3])), [
      "query",
      "key",
      "value",
      "edgeBias",
    ]);
  });
  it("pullbacks remember options and graphs, too", () => {
    const [x, options, graph] = [
      [
        [1, 0],
        [0, 1],
      ],
      { scale: 2 },
      { indptr: { data: Int32Array.of(0, 2, 3), shape: [3] }, indices: k.tensor([0, 1, 1], [3], { dtype: "int32" }) },
    ];
    const first = k.scaledDotProductAttentionVjp(x, x, x, options).pullback(x);
    const { pullback } = k.scaledDotProductAttentionVjp(x, x, x, options);
    const over = k.graphAttentionVjp(graph, x, x, x);
    const wanted = over.pullback(x);
    options.scale = 5;
    graph.indptr.data.fill(0);
    graph.indices.free();
    assert.deepEqual(pullback(x), first);
    assert.deepEqual(over.pullback(x), wanted);
  });
  it("gradients of graph attention over a graph are slopes, under the caller's names", () => {
    const graph = { indptr: [0, 3, 4, 4, 6], indices: [0, 1, 3, 2, 0, 3] };
    const x = { data: numbers(12, 3), shape: [4, 3] };
    const edgeFeatures = { data: numbers(12, 4), shape: [6, 2] };
    const part = (seed, ...shape) => ({
      data: numbers(
        shape.reduce((a, b) => a * b),
        seed,
      ),
      shape,
    });
    const calls = {
      gat: {
        w: part(5, 2, 3, 2),
        a_query: part(6, 2, 2),
        a_key: part(7, 2, 2),
        w_e: part(8, 2, 2, 2),
        a_edge: part(9, 2, 2),
        bias: part(10, 2),
      },
      gatv2: {
        wQuery: part(11, 2, 3, 2),
        wKey: part(12, 2, 3, 2),
        a: part(13, 2, 2),
        wE: part(14, 2, 2, 2),
        bias: part(15, 4),
      },
    };
    for (const [variant, parameters] of Object.entries(calls)) {
      const options = { variant, edgeFeatures, concat: variant === "gatv2", negativeSlope: 0.3 };
      const g = part(16, 4, variant === "gatv2" ? 4 : 2);
      const loss = () =>
        k.gatAttention(graph, x, parameters, options).data.reduce((sum, y, i) => sum + y * g.data[i], 0);
      const found = k.gatAttentionVjp(graph, x, parameters, options, g);
      assert.deepEqual(Object.keys(found).sort(), ["edgeFeatures", "x", ...Object.keys(parameters)].sort());
      for (const [name, input] of Object.entries({ x, edgeFeatures, ...parameters })) {
        assert.deepEqual(found[name].shape, input.shape, name);
        input.data.forEach((given, i) => {
          const step = 1 / 128;
          input.data[i] = given + step;
          const above = loss();
          input.data[i] = given - step;
          const slope = (above - loss()) / (2 * step);
          input.data[i] = given;
          assert.ok(
            Math.abs(slope - found[name].data[i]) < 2e-3,
            `${variant}, ${name}[${i}]: ${found[name].data[i]} where the slope is ${slope}`,
          );
        });
      }
      const unused = k.gatAttentionVjp(graph, x, parameters, { variant, concat: options.concat }, g);
      assert.ok(
        unused[variant === "gat" ? "w_e" : "wE"].data.every((y) => y === 0) && unused.edgeFeatures === undefined,
        "features that are not there",
      );
    }
    refused("invalid_config", /graph: expected \{ indptr, indices \}/, () => k.gatAttentionVjp(x, x, calls.gat, x));
    refused("invalid_config", /attnMask: no such option of gatAttention/, () =>
      k.gatAttention(graph, x, calls.gat, { attnMask: [true] }),
    );
    refused("dimension_mismatch", /bias: expected shape \(4,\), got \(2,\)/, () =>
      k.gatAttentionVjp(graph, x, calls.gat, { variant: "gat" }, { data: numbers(16), shape: [4, 4] }),
    );
    refused("numerical_instability", /gatAttention: expected a finite result, got an overflow/, () =>
      k.gatAttention(
        { indptr: [0, 1], indices: [0] },
        [[1e30]],
        { wQuery: [[1e30]], wKey: [[1]], a: [[1]] },
        { variant: "gatv2" },
      ),
    );
  });
  it("a result is read as a matrix or by `output`, which is no part of it where it is compared or sent", () => {
    const all = k.softmax([0, 0]);
    const { output } = all;
    assert.equal(output, all);
    assert.equal(JSON.stringify(k.softmax({ data: [1], shape: [1] })), '{"data":{"0":1},"shape":[1]}');
    assert.deepEqual(structuredClone(all), { data: Float32Array.of(0.5, 0.5), shape: [2] });
    const x = k.tensor([[1, 2]]);
    const y = k.tensor([[0, 0]]);
    assert.equal(k.softmax(x, { out: y }).output, y);
    for (const t of [x, y]) t.free();
  });
  it("flat keys and values are rows of the query's width", () => {
    assert.deepEqual(k.scaledDotProductAttention([1, 0], [1, 0, 0, 1], [3, 4]).shape, [1]);
    refused("dimension_mismatch", /key: expected at least 2 axes, got shape \(3,\)/, () =>
      k.scaledDotProductAttention([1, 0], [1, 0, 0], [3, 4]),
    );
  });
  it("other types of numbers", () => {
    const wanted = k.softmax([1, 2, 3]);
    for (const Type of [Float64Array, Int8Array, Uint8Array, Int16Array, Uint16Array, Int32Array, Uint32Array])
      assert.deepEqual(k.softmax(Type.of(1, 2, 3)), wanted);
    assert.deepEqual(k.softmax(BigInt64Array.of(1n, 2n, 3n)), wanted);
    refused("numerical_instability", /x: expected numbers that float32 can hold, got 1e\+300/, () =>
      k.softmax([1e300, 0]),
    );
  });
  it("whatever is no array of numbers is named", () => {
    for (const [x, what] of [
      ["1", "string"],
      [null, "null"],
      [undefined, "undefined"],
      [[1, "2"], "string"],
      [[[1], [2, 3]], "rows of different"],
      [[[1, 2], 3], "rows of different"],
      [[true], "booleans"],
      [() => 1, "function"],
    ]) {
      refused("invalid_config", new RegExp(`^x: expected an array of real numbers, got ${what}`), () => k.softmax(x));
    }
    refused("invalid_config", /x: expected shape to be whole numbers/, () => k.softmax({ data: [1], shape: [-1] }));
    refused("dimension_mismatch", /x: expected 6 numbers for shape \(2, 3\), got 5/, () =>
      k.softmax({ data: numbers(5), shape: [2, 3] }),
    );
    const loop = [];
    loop.push(loop);
    refused("invalid_config", /nested too deeply/, () => k.softmax(loop));
    refused("dimension_mismatch", /expected at most \d+ axes/, () =>
      k.softmax({ data: [1], shape: new Array(12).fill(1) }),
    );
    refused("invalid_config", /could not be read \(no\)/, () =>
      k.softmax({
        shape: [1],
        get data() {
          throw new Error("no");
        },
      }),
    );
  });
  it("options: both spellings, unknown ones refused, kinds checked", () => {
    assert.deepEqual(
      k.scaledDotProductAttention(
        [[1, 0]],
        [
          [1, 0],
          [0, 1],
        ],
        [[1], [2]],
        { is_causal: true },
      ),
      k.scaledDotProductAttention(
        [[1, 0]],
        [
          [1, 0],
          [0, 1],
        ],
        [[1], [2]],
        { isCausal: true },
      ),
    );
    refused("invalid_config", /causal: no such option of scaledDotProductAttention/, () =>
      k.scaledDotProductAttention([1], [[1]], [[1]], { causal: true }),
    );
    refused("invalid_config", /isCausal: expected true or false, got 1/, () =>
      k.scaledDotProductAttention([1], [[1]], [[1]], { isCausal: 1 }),
    );
    refused("invalid_config", /scale: expected a finite number, got NaN/, () =>
      k.scaledDotProductAttention([1], [[1]], [[1]], { scale: NaN }),
    );
    refused("invalid_config", /numHeads: expected a whole number >= 1, got undefined/, () =>
      k.multiHeadAttention([1], [[1]], [[1]], {}),
    );
    refused("invalid_config", /options: expected an object of options, got true/, () => k.softmax([1], true));
    refused("invalid_config", /no such option of quantizedAttention/, () =>
      k.quantizedAttention([1], { codes: [[1]], scale: 1 }, [[1]], { scale: 1 }),
    );
  });
  it("overflow is refused by name, not returned", () => {
    refused("numerical_instability", /scaledDotProductAttention: expected a finite result, got an overflow/, () =>
      k.scaledDotProductAttention(
        [1e30, 1],
        [
          [1e30, 1],
          [1, 1],
        ],
        [[1], [2]],
      ),
    );
  });
  it("hyperbolic and local+global attention refuse NaN as their classes do", () => {
    refused("numerical_instability", /keys: expected finite numbers/, () =>
      k.hyperbolicAttention([0, 0], [[0, NaN]], [[0, 0]]),
    );
    refused("numerical_instability", /values: expected finite numbers/, () =>
      k.localGlobalAttention([[1, 2]], [[1, 2]], [[NaN]]),
    );
  });
});
