// graphattend/kernels in Node.js: resident tensors and graphs, and their memory.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { load } from "graphattend/kernels";
import { numbers, refused } from "./kernel-refusals.mjs";

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
