// More shared checks: repeated calls, which may bypass Python, and results that are views.
import { equal, ok, rejects } from "./suite-assert.mjs";

const numbers = (count, seed) => Float32Array.from({ length: count }, (_x, i) => 0.3 * Math.sin(i * seed + seed));
const equalBits = (actual, expected) => actual.data.every((x, i) => Object.is(x, expected.data[i]));
const same = (actual, expected, what) => {
  equal(actual.shape, expected.shape, `${what}: shape`);
  equal(actual.data.constructor.name, expected.data.constructor.name, `${what}: type`);
  ok(equalBits(actual, expected), `${what}: the same bits`);
};
/** Return Python's own answer, because a call that creates an object is never repeated by a plan. */
const python = (attn, ...args) => attn.call("forward", ...args);
/** The same for rows of queries, in the parts into which a pool of two splits them. */
const inParts = async (attn, rows, ...others) => {
  const [count, width] = rows.shape;
  const parts = [rows.data.subarray(0, 2 * width), rows.data.subarray(2 * width)];
  const found = [];
  for (const data of parts)
    found.push(...(await python(attn, { data, shape: [data.length / width, width] }, ...others)).data);
  return { data: Float32Array.from(found), shape: [count, width] };
};
/** A mechanism, and resident keys and values. */
async function resident(ga, key, n, dim) {
  const attn = await ga.create(key, { dim });
  const [k, v] = [numbers(n * dim, 0.7), numbers(n * dim, 1.3)];
  return {
    attn,
    k,
    v,
    keys: await ga.tensor(k, [n, dim]),
    values: await ga.tensor(v, [n, dim]),
    query: numbers(dim, 2),
  };
}

export const repeatChecks = {
  "calls that come again give the bits that Python gives": async (ga) => {
    const [n, dim] = [7, 8];
    for (const key of [
      "scaled_dot_product",
      "flash",
      "multi_head",
      "hyperbolic",
      "local_global",
      "linear",
      "dynamic_heads",
    ]) {
      const { attn, k, v, keys, values } = await resident(ga, key, n, dim);
      const prepared = await attn.prepare(k, v);
      const shaped = (x, rows) => ({ data: x, shape: [rows, dim] });
      for (let i = 0; i < 5; i++) {
        const [query, rows] = [numbers(dim, i + 0.5), numbers(3 * dim, i + 0.2)];
        const [k2, v2] = [numbers(n * dim, i + 0.9), numbers(n * dim, i + 1.1)];
        const calls = {
          tensors: [query, keys, values],
          rows: [shaped(rows, 3), keys, values],
          "flat rows": [rows, keys, values],
          prepared: [query, prepared, null],
          arrays: [query, k2, v2],
          "shaped arrays": [query, shaped(k2, n), shaped(v2, n)],
          "no values": [query, prepared],
          "other keys": [query, shaped(k2.subarray(0, 4 * dim), 4), shaped(v2.subarray(0, 4 * dim), 4)],
        };
        for (const [name, args] of Object.entries(calls)) {
          const found = await attn.forward(...args);
          const wanted = await python(attn, ...args);
          if (name.endsWith("rows") && !equalBits(found.output, wanted))
            same(
              found.output,
              await inParts(attn, shaped(rows, 3), keys, values),
              `${key}, ${name} in parts, time ${i}`,
            );
          else same(found.output, wanted, `${key}, ${name}, time ${i}`);
          equal(Object.keys(found), ["output", "weights", "indices"], "what a result has");
          ok(found.weights === undefined && found.indices === undefined, "weights and indices");
        }
        const doubles = [...[query, k, v].map((x) => Float64Array.from(x)), { dtype: "float64" }];
        same((await attn.forward(...doubles)).output, await python(attn, ...doubles), `${key} in double precision`);
      }
      await attn.free();
      await rejects(attn.forward(numbers(dim, 1), keys, values), "freed");
    }
  },

  "weights, masks, metadata and functions that come again give the bits that Python gives": async (ga) => {
    const [n, dim] = [7, 8];
    const masks = (i) => ({
      booleans: Array.from({ length: n }, (_x, j) => (i + j) % 3 !== 0),
      bytes: Uint8Array.from({ length: n }, (_x, j) => (i + j) % 4),
      numbers: numbers(n, i + 0.4),
    });
    const cases = {
      scaled_dot_product: [{}, () => undefined],
      multi_head: [{ numHeads: 2 }, () => undefined],
      hyperbolic: [{}, () => undefined],
      edge_featured: [{ edgeDim: 3, numHeads: 2 }, (i) => ({ edgeFeatures: numbers(n * 3, i + 0.1) })],
      graph_rope: [{}, (i) => ({ distances: numbers(n, i + 0.1).map(Math.abs) })],
      hnsw_aware: [{}, (i) => ({ hnswLayers: Int32Array.from({ length: n }, (_x, j) => (i + j) % 3), queryLayer: 1 })],
      structural: [
        { numFeatures: 3 },
        (i) => ({ structuralFeatures: numbers(n * 3, i + 0.1), queryStructural: numbers(3, i + 0.7) }),
      ],
      cross_space: [{}, (i) => ({ latentKeys: numbers(4 * dim, i + 0.1), latentValues: numbers(4 * dim, i + 0.7) })],
    };
    for (const [key, [options, metadataOf]] of Object.entries(cases)) {
      const attn = await ga.create(key, { dim, ...options });
      const [keys, values] = [await ga.tensor(numbers(n * dim, 0.7), [n, dim]), numbers(n * dim, 1.3)];
      for (let i = 0; i < 5; i++) {
        const [query, metadata] = [numbers(dim, i + 0.5), metadataOf(i)];
        const plain = metadata === undefined ? {} : { metadata };
        const calls = { weights: { needWeights: true }, output: { needWeights: false } };
        if (key !== "cross_space") for (const [kind, attnMask] of Object.entries(masks(i))) calls[kind] = { attnMask };
        for (const [name, more] of Object.entries(calls)) {
          const [what, given] = [`${key}, ${name}, time ${i}`, { ...plain, ...more }];
          const { output, weights } = await attn.forward(query, keys, values, given);
          const wanted = [await python(attn, query, keys, values, given)].flat();
          same(output, wanted[0], what);
          if (name === "weights") same(weights, wanted[1], what);
          else equal(weights, undefined, what);
        }
        same(
          await attn.attentionWeights(query, keys, plain),
          await attn.call("attention_weights", query, keys, plain),
          `${key}, its weights, time ${i}`,
        );
      }
      const [query, wrong] = [numbers(dim, 1), Object.entries(metadataOf(1) ?? {})];
      for (const [name, x] of wrong.filter(([, x]) => x instanceof Float32Array)) {
        const bad = { metadata: Object.fromEntries([...wrong, [name, x.map(() => NaN)]]) };
        await rejects(attn.forward(query, keys, values, { ...bad, needWeights: true }), "numerical_instability");
      }
      await Promise.all([attn.free(), keys.free()]);
    }
    const { softmax, scaledDotProductAttention } = ga.functional;
    for (let i = 0; i < 5; i++) {
      const x = { data: numbers(6, i + 0.3), shape: [2, 3] };
      const fresh = await ga.tensor(x.data, x.shape); // a call with an object that is new is never repeated
      same(await softmax(x), await softmax(fresh), `softmax, time ${i}`);
      same(await softmax(x, { axis: 0 }), await softmax(fresh, { axis: 0 }), `softmax of columns, time ${i}`);
      const attention = await scaledDotProductAttention(fresh, fresh, fresh);
      same(await scaledDotProductAttention(x, x, x), attention, `attention, time ${i}`);
      await fresh.free();
    }
  },

  "a call that came before is checked as the first was": async (ga) => {
    const dim = 4;
    const { attn, keys, values, query } = await resident(ga, "flash", 5, dim);
    const warm = async () => {
      for (let i = 0; i < 3; i++) await attn.forward(query, keys, values);
      return python(attn, query, keys, values);
    };
    const expected = await warm();
    for (const bad of [NaN, Infinity, -Infinity]) {
      await rejects(attn.forward(Float32Array.of(0, bad, 0, 0), keys, values), "numerical_instability", {
        argument: "query",
      });
      same((await attn.forward(query, keys, values)).output, expected, `after ${bad}`);
    }
    await warm();
    await rejects(attn.forward(numbers(dim + 1, 1), keys, values), "dimension_mismatch", { argument: "query" });
    await rejects(attn.forward({ data: query, shape: [2, 3] }, keys, values), "dimension_mismatch");
    await rejects(attn.forward(query, keys, null), "invalid_config");
    await rejects(attn.forward(query, keys, values, { nothing: 1 }), "invalid_config");
    await rejects(attn.forward(query, keys, values, { view: "yes" }), "invalid_config", { argument: "view" });
    await rejects(attn.forward(query, keys, values, { signal: AbortSignal.abort() }), "aborted");
    const big = Float32Array.of(3e38, 3e38, 0, 0); // their products overflow float32, so Python computes them in double precision
    const [k, v] = [Float32Array.of(3e38, 0, 0, 0, -3e38, 0, 0, 0), Float32Array.of(1, 2, 3, 4, 5, 6, 7, 8)];
    const steady = await python(attn, big, k, v);
    for (let i = 0; i < 3; i++) {
      await attn.forward(query, v, v);
      same((await attn.forward(big, k, v)).output, steady, "with large numbers");
    }
    const floats = (await attn.forward(Float32Array.of(1, 2, 0, 1), keys, values)).output;
    for (const whole of [Int32Array.of(1, 2, 0, 1), [1, 2, 0, 1]])
      same((await attn.forward(whole, keys, values)).output, floats, "whole numbers");
    const half = await attn.forward(query, keys, values, { attnMask: [true, true, false, false, false] });
    ok(
      half.output.data.some((x, i) => x !== expected.data[i]),
      "a mask counts",
    );
    // Simultaneous calls are answered in order, whichever path they take.
    const several = await Promise.all(
      [0, 1, 2, 3].map((i) => attn.forward(numbers(dim, i + 3), keys, values, i === 1 ? { needWeights: true } : {})),
    );
    for (const [i, { output }] of several.entries())
      if (i !== 1) same(output, await python(attn, numbers(dim, i + 3), keys, values), `call ${i} of several`);
    await warm();
    await values.free();
    await rejects(attn.forward(query, keys, values), "freed");
  },

  "the memory grows between calls": async (ga) => {
    const { attn, keys, values, query } = await resident(ga, "scaled_dot_product", 6, 4);
    const expected = await python(attn, query, keys, values);
    for (let round = 0; round < 3; round++) {
      for (let i = 0; i < 3; i++) same((await attn.forward(query, keys, values)).output, expected, "output");
      const large = await ga.tensor(new Float32Array(8e6), [1000, 8000]);
      for (let i = 0; i < 3; i++)
        same((await attn.forward(query, keys, values)).output, expected, "after the memory grew");
      await large.free();
    }
  },

  "results that are views": async (ga) => {
    const { attn, keys, values, query } = await resident(ga, "scaled_dot_product", 6, 4);
    const expected = await python(attn, query, keys, values);
    for (let i = 0; i < 4; i++) {
      const { output } = await attn.forward(query, keys, values, { view: true });
      same(output, expected, `a view, time ${i}`);
      const copy = (await attn.forward(query, keys, values)).output;
      same(copy, expected, `a copy, time ${i}`);
      ok(copy.data.byteLength === copy.data.buffer.byteLength, "a copy has memory of its own");
    }
    const large = await ga.tensor(numbers(1e6, 0.01), [1000, 1000]);
    const sums = [];
    for (const view of [false, true]) {
      const { data, shape } = await ga.functional.softmax(large, { view });
      equal(shape, [1000, 1000]);
      sums.push(data.reduce((a, b) => a + b));
    }
    equal(sums[0], sums[1], "sums");
    const [a, b] = [
      await ga.tensor([1, 2, 3, 4, 5, 6], [2, 3]),
      { data: Float32Array.of(1, 0, 2, 1, 0, 3), shape: [3, 2] },
    ];
    for (const view of [false, true])
      same(
        await ga.functional.matmul(a, b, { view }),
        { data: Float32Array.of(5, 11, 14, 23), shape: [2, 2] },
        "a product",
      );
    await rejects(ga.functional.matmul(a, a), "dimension_mismatch", { argument: "b" });
    const both = await attn.forward(query, keys, values, { view: true, needWeights: true, topK: 2 });
    equal([both.weights.shape, both.indices.shape], [[2], [2]], "shapes");
    same(await large.read({ view: true }), { data: numbers(1e6, 0.01), shape: [1000, 1000] }, "a tensor");
    await large.free();
  },
};
