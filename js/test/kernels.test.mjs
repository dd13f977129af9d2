// graphattend/kernels in Node.js: Python's answers, resident tensors, memory, refusals.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { gzipSync } from "node:zlib";
import { AttentionError as Other } from "graphattend";
import { AttentionError, UnsupportedError, load } from "graphattend/kernels";
import { answer, argument, compare } from "./kernel-table.mjs";
import { js } from "./setup.mjs";

const table = JSON.parse(readFileSync(`${js}test/kernel-cases.json`, "utf8"));
const numbers = (n, seed = 1) => {
  let state = seed;
  return Float32Array.from({ length: n }, () => ((state = (state * 48271) % 2147483647) / 2147483647 - 0.5) * 2);
};
const refused = (code, expected, work) =>
  assert.throws(work, (error) => {
    assert.ok(error instanceof AttentionError, String(error));
    assert.equal(error.code, code, error.message);
    assert.match(error.message, expected);
    return true;
  });

describe("the table of Python's answers", async () => {
  const k = await load({ backend: "wasm-simd128" });
  const tensors = [];
  const resident = (x, given) => {
    if (
      typeof x !== "object" ||
      x === null ||
      x.data === undefined ||
      (given.dtype !== "float32" && given.dtype !== "bool")
    )
      return x;
    tensors.push(k.tensor(x));
    return tensors.at(-1);
  };
  for (const c of table) {
    it(`${c.call}: ${c.name}`, () => {
      assert.equal(compare(answer(k, c), c.expected), "");
      assert.equal(compare(answer(k, c, { nested: true }), c.expected), "", "nested");
      if (c.expected.error === undefined)
        assert.equal(compare(answer(k, c, { place: resident }), c.expected), "", "resident");
      while (tensors.length > 0) tensors.pop().free();
      assert.equal(k.memory().tensors, 0);
    });
  }
  it("a wrong number is seen", () => {
    const c = table.find(({ call }) => call === "softmax");
    const found = answer(k, c);
    found.output.data[0] += 1e-5;
    assert.match(compare(found, c.expected), /differs at 0/);
  });
  it("relaxed SIMD answers the same, where the engine has it", () => {
    const printed = execFileSync(
      process.execPath,
      ["--no-warnings", "--experimental-wasm-relaxed-simd", "test/kernels-check.mjs"],
      { cwd: js, encoding: "utf8" },
    );
    assert.deepEqual(JSON.parse(printed), { backend: "wasm-relaxed-simd", count: table.length, faults: [] });
  });
});

describe("tensors and memory", async () => {
  const k = await load();
  it("tensors are used in place and read back", () => {
    const key = numbers(600 * 16);
    const [K, q] = [k.tensor(key, [600, 16]), numbers(16, 7)];
    assert.deepEqual([K.shape, K.dtype], [[600, 16], "float32"]);
    assert.deepEqual(
      k.scaledDotProductAttention(q, K, K),
      k.scaledDotProductAttention(q, { data: key, shape: [600, 16] }, key),
    );
    assert.deepEqual(K.read(), { data: key, shape: [600, 16] });
    K.free();
    K.free();
    refused("freed", /key: the tensor has been freed/, () => k.scaledDotProductAttention(q, K, K));
    refused("freed", /freed/, () => K.read());
  });
  it("other dtypes: masks, codes, indices", () => {
    const mask = k.tensor([
      [true, false],
      [true, true],
    ]);
    assert.equal(mask.dtype, "bool");
    const { weights } = k.scaledDotProductAttention(
      [
        [1, 0],
        [0, 1],
      ],
      [
        [1, 2],
        [3, 4],
      ],
      [
        [1, 2],
        [3, 4],
      ],
      { attnMask: mask, needWeights: true },
    );
    assert.deepEqual([...weights.data.subarray(0, 2)], [1, 0]);
    const bytes = k.tensor(Uint8Array.of(1, 0), undefined, { dtype: "bool" });
    assert.deepEqual([...bytes.read().data], [1, 0]);
    const codes = k.tensor(Int8Array.of(-3, 5), [1, 2]);
    assert.deepEqual([...codes.read().data], [-3, 5]);
    assert.deepEqual([...k.quantizedAttention([1, 1], { codes, scale: 0.5 }, [[7]]).data], [7]);
    refused("invalid_config", /key: expected an array of real numbers, got a tensor of int8/, () =>
      k.scaledDotProductAttention([1, 1], codes, [[1]]),
    );
    refused("invalid_config", /dtype: expected one of float32/, () => k.tensor([1], null, { dtype: "float16" }));
    const bad = k.tensor([[0, NaN]]);
    refused("numerical_instability", /attnMask: expected finite numbers or -inf/, () =>
      k.scaledDotProductAttention(
        [1, 1],
        [
          [1, 1],
          [1, 1],
        ],
        [[1], [1]],
        { attnMask: bad },
      ),
    );
    for (const t of [mask, bytes, codes, bad]) t.free();
    assert.equal(k.memory().tensors, 0);
  });
  it("results can stay: `out`", () => {
    const x = k.tensor(numbers(12), [3, 4]);
    const y = k.tensor(numbers(12, 2), [3, 4]);
    const square = k.tensor(numbers(9), [3, 3]);
    assert.equal(k.softmax(x, { out: y }), y);
    assert.deepEqual(y.read(), k.softmax(x));
    k.softmax(x, { out: y, axis: 0 });
    assert.deepEqual(y.read(), k.softmax(x, { axis: 0 }));
    assert.equal(k.matmul(x, y, { transposeB: true, out: square }), square);
    assert.deepEqual(square.read(), k.matmul(x, y, { transposeB: true }));
    assert.equal(k.scaledDotProductAttention(x, x, x, { isCausal: true, out: y }), y);
    assert.deepEqual(y.read(), k.scaledDotProductAttention(x, x, x, { isCausal: true }));
    const { output, weights } = k.scaledDotProductAttention(x, x, x, { needWeights: true, out: y });
    assert.deepEqual([output, weights.shape], [y, [3, 3]]);
    refused("invalid_config", /out: expected a tensor that is none of the arguments/, () => k.softmax(x, { out: x }));
    refused("invalid_config", /out: expected a tensor, got an object/, () => k.softmax(x, { out: numbers(12) }));
    refused("dimension_mismatch", /out: expected shape \(3, 4\), got \(3, 3\)/, () => k.softmax(x, { out: square }));
    for (const t of [x, y, square]) t.free();
  });
  it("a tensor of other kernels is refused", async () => {
    const other = (await load()).tensor([[1, 2]]);
    refused("invalid_config", /key: expected a tensor of these kernels/, () =>
      k.scaledDotProductAttention([1, 2], other, [[1]]),
    );
  });
  it("`using` frees", { skip: Symbol.dispose === undefined && "no Symbol.dispose" }, () => {
    const t = k.tensor([1, 2, 3]);
    t[Symbol.dispose]();
    assert.equal(k.memory().tensors, 0);
  });
  it("graphs stay, are checked once, and are freed", () => {
    const g = k.graph({ indptr: [0, 2, 3], indices: [0, 1, 1] });
    assert.deepEqual([g.numNodes, g.numEdges], [2, 3]);
    const x = [
      [1, 0],
      [0, 1],
    ];
    assert.deepEqual(
      k.graphAttention(g, x, x, x, { needWeights: true }),
      k.graphAttention({ indptr: [0, 2, 3], indices: [0, 1, 1] }, x, x, x, { needWeights: true }),
    );
    refused("out_of_bounds", /indices: expected 0 <= index < 1, got 1/, () => k.graphAttention(g, x, [[1, 0]], [[1]]));
    g.free();
    refused("freed", /graph has been freed/, () => k.graphAttention(g, x, x, x));
    refused("out_of_bounds", /indices: expected 0 <= index < 2, got 2/, () =>
      k.graph({ indptr: [0, 2, 3], indices: [0, 2, 1] }),
    );
    refused("invalid_config", /graph: expected \{ indptr, indices \}/, () => k.graphAttention([[0, 1]], x, x, x));
    assert.equal(k.memory().tensors, 0);
  });
  it("memory grows when it has to, comes back after each call, and is used again", () => {
    const x = numbers(300 * 64);
    const query = { data: x, shape: [300, 64] };
    k.scaledDotProductAttention(query, query, query, { needWeights: true });
    const { size } = k.memory();
    assert.ok(size > 300 * 300 * 4);
    for (let i = 0; i < 50; i++) k.scaledDotProductAttention(query, query, query, { needWeights: true });
    const made = Array.from({ length: 20 }, () => k.tensor(x, [300, 64]));
    made.forEach((t, i) => i % 2 === 0 && t.free());
    const again = Array.from({ length: 10 }, () => k.tensor(numbers(300 * 64, 3), [300, 64]));
    made.forEach((t, i) => i % 2 === 1 && assert.deepEqual(t.read().data, x));
    for (const t of [...made, ...again]) t.free();
    const after = k.memory().size;
    for (let i = 0; i < 50; i++) k.tensor(x, [300, 64]).free();
    assert.deepEqual(k.memory(), { size: after, tensors: 0 });
  });
  it(
    "tensors that nobody holds are collected",
    { skip: globalThis.gc === undefined && "needs --expose-gc" },
    async () => {
      for (let i = 0; i < 20; i++) k.tensor(numbers(1000));
      for (let i = 0; i < 50 && k.memory().tensors > 0; i++) {
        globalThis.gc();
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
      assert.equal(k.memory().tensors, 0);
    },
  );
  it("what is beyond the memory is refused before anything is allocated", () => {
    const { size } = k.memory();
    const q = { data: new Float32Array(40_000), shape: [40_000, 1] };
    refused("out_of_memory", /expected at most 2147483648 bytes in all, got \d+/, () =>
      k.scaledDotProductAttention(q, q, q, { needWeights: true }),
    );
    assert.ok(k.memory().size < size + 4e6);
    assert.deepEqual([...k.softmax([0, 0]).data], [0.5, 0.5], "and the next call works");
  });
  it("a call inside a call (a getter of its arguments) disturbs neither", () => {
    const t = k.tensor([[5, 6]]);
    let kept;
    const sly = {
      shape: [1, 2],
      get data() {
        k.softmax([1, 2, 3]);
        kept = k.tensor([9, 9, 9]);
        return [1, 2];
      },
    };
    assert.deepEqual([...k.scaledDotProductAttention([3, 4], sly, t).data], [5, 6]);
    assert.deepEqual([...kept.read().data], [9, 9, 9]);
    kept.free();
    t.free();
    assert.equal(k.memory().tensors, 0);
  });
});

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

describe("loading", () => {
  it("tells the build in two ways", async () => {
    const k = await load({ backend: "wasm-simd128" });
    assert.deepEqual([k.backend, k.variant], ["wasm-simd128", "simd128"]);
    assert.ok(["relaxed", "simd128"].includes((await load()).variant));
  });
  it("an error of this file is one for the whole package", () => {
    const error = new AttentionError("aborted", "x");
    assert.ok(error instanceof Other && new Other("aborted", "x") instanceof AttentionError);
    assert.ok(!(new Error("x") instanceof Other) && !(error instanceof UnsupportedError));
    assert.ok(new UnsupportedError("x") instanceof Other && new UnsupportedError("x") instanceof UnsupportedError);
    assert.deepEqual(
      Object.keys(error)
        .filter((name) => error[name] !== undefined)
        .sort(),
      ["code", "name"],
    );
  });
  it("an engine without SIMD gets an UnsupportedError that says what has it", async () => {
    const { validate } = WebAssembly;
    WebAssembly.validate = () => false;
    try {
      await assert.rejects(
        load(),
        (error) =>
          error instanceof UnsupportedError &&
          error.code === "unsupported" &&
          /no SIMD in WebAssembly: Chrome/.test(error.message),
      );
      await assert.rejects(load({ backend: "wasm-simd128" }), /no wasm-simd128/);
    } finally {
      WebAssembly.validate = validate;
    }
    await assert.rejects(
      load({ backend: "wasm" }),
      /backend: expected one of wasm-relaxed-simd, wasm-simd128, got "wasm"/,
    );
    await assert.rejects(load({ backends: 1 }), /backends: no such option of load/);
  });
  it("an engine that compiles in the background only is waited for", async () => {
    const script = `
      WebAssembly.Module = class { constructor() { throw new RangeError("buffer size"); } };
      const { load } = await import("graphattend/kernels");
      console.log((await load()).softmax([0, 0]).data.join());`;
    assert.equal(
      execFileSync(process.execPath, ["--input-type=module", "-e", script], { cwd: js, encoding: "utf8" }).trim(),
      "0.5,0.5",
    );
  });
  it("two loads share nothing but the compiled module", async () => {
    const [a, b] = await Promise.all([load(), load()]);
    a.tensor([1, 2, 3]);
    assert.equal(b.memory().tensors, 0);
  });
  it("what a page loads is at most 60 kB, gzipped", () => {
    const bytes = (name) => gzipSync(readFileSync(`${js}dist/${name}.js`), { level: 9 }).length;
    for (const variant of ["relaxed", "simd128"]) {
      const sum = bytes("kernels") + bytes(`kernels-${variant}`);
      console.log(`kernels.js and kernels-${variant}.js: ${sum} bytes gzipped`);
      assert.ok(sum <= 60_000, `${sum}`);
    }
  });
});
