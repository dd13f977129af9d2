// graphattend/kernels in Node.js: Python's answers, and loading.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { inspect } from "node:util";
import { gzipSync } from "node:zlib";
import { AttentionError as Other } from "graphattend";
import { AttentionError, UnsupportedError, load } from "graphattend/kernels";
import { answer, compare } from "./kernel-table.mjs";
import { js, relaxedSimd } from "./setup.mjs";

const table = JSON.parse(readFileSync(`${js}test/kernel-cases.json`, "utf8"));

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
    const options = ["--no-warnings", ...relaxedSimd, "test/kernels-check.mjs"];
    const printed = execFileSync(process.execPath, options, { cwd: js, encoding: "utf8" });
    assert.deepEqual(JSON.parse(printed), { backend: "wasm-relaxed-simd", count: table.length, faults: [] });
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
  it("objects print the names of their classes", async () => {
    const k = await load();
    const graph = k.graph({ indptr: [0, 1], indices: [0] });
    assert.equal(
      inspect([k.tensor([1]), graph]),
      "[\n  Tensor { shape: [ 1 ], dtype: 'float32' },\n  Graph { numNodes: 1, numEdges: 1, numTargets: 1 }\n]",
    );
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
