// The rows of docs/move.md about packages of npm: their calls and ours on the same numbers.
//
//     node tools/moves/javascript.mjs    # after `npm ci` in benchmarks/ and a build of js/
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { onnxModel } from "../../benchmarks/onnx.mjs";

const root = fileURLToPath(new URL("../../", import.meta.url));
const page = readFileSync(join(root, "docs", "move.md"), "utf8");
const folder = (name) => join(root, "benchmarks", "node_modules", name);
const imported = (...path) => import(pathToFileURL(join(...path)).href);

const { load } = await imported(root, "js", "dist", "kernels.js");
const kernels = await load();
const ort = await imported(folder("onnxruntime-web"), "dist", "ort.wasm.min.mjs");
ort.env.wasm.numThreads = 1;
const ruvector = await imported(folder("ruvector-attention-wasm"), "ruvector_attention_wasm.js");
const wasm = join(folder("ruvector-attention-wasm"), "ruvector_attention_wasm_bg.wasm");
ruvector.initSync({ module: readFileSync(wasm) });

const D = 8;
const N = 5;
const numbers = (length, start) => Float32Array.from({ length }, (_x, i) => Math.sin(3 * (start + i)));
const query = numbers(D, 0);
const keys = Array.from({ length: N }, (_x, i) => numbers(D, 10 * (i + 1)));
const values = Array.from({ length: N }, (_x, i) => numbers(D, 100 * (i + 1)));
const matrix = (rows) => ({ data: Float32Array.from(rows.flatMap((row) => [...row])), shape: [rows.length, D] });

function near(ours, theirs) {
  assert.equal(ours.length, theirs.length);
  ours.forEach((x, i) => assert.ok(Math.abs(x - theirs[i]) < 1e-5, `${x} and ${theirs[i]}`));
}

const ROWS = {
  "onnxruntime-web": {
    "`InferenceSession.create(model)`, `session.run(feeds)`": async () => {
      const x = numbers(6, 1);
      const model = onnxModel({ x: [2, 3] }, {}, [["Softmax", ["x"], ["y"], { axis: -1 }]], ["y", [2, 3]]);
      const session = await ort.InferenceSession.create(model);
      const { y } = await session.run({ x: new ort.Tensor("float32", x, [2, 3]) });
      near(kernels.softmax({ data: x, shape: [2, 3] }).data, y.data);
    },
    '`new ort.Tensor("float32", data, dims)`': () =>
      assert.deepEqual(new ort.Tensor("float32", new Float32Array(6), [2, 3]).dims, [2, 3]),
  },
  "ruvector-attention-wasm": {
    "`scaled_dot_attention(query, keys, values, scale)`": () => {
      const theirs = ruvector.scaled_dot_attention(query, keys, values);
      near(kernels.scaledDotProductAttention(query, matrix(keys), matrix(values)).output.data, theirs);
      assert.deepEqual(ruvector.scaled_dot_attention(query, keys, values, 0.3), theirs, "their scale has no effect");
    },
    "`new WasmMultiHeadAttention(dim, heads).compute(query, keys, values)`": () => {
      const cut = new ruvector.WasmMultiHeadAttention(D, 2).compute(query, keys, values);
      const identity = matrix(
        Array.from({ length: D }, (_x, i) => Float32Array.from({ length: D }, (_y, j) => +(i === j))),
      );
      const parameters = { wQ: identity, wK: identity, wV: identity, wO: identity };
      const { output } = kernels.multiHeadAttention(query, matrix(keys), matrix(values), parameters, { numHeads: 2 });
      near(output.data, cut);
    },
    "`new WasmHyperbolicAttention(dim, curvature).compute(…)`": () => {
      const small = (x) => x.map((y) => y / 10);
      const theirs = new ruvector.WasmHyperbolicAttention(D, -1).compute(
        small(query),
        keys.map(small),
        values.map(small),
      );
      const [q, k, v] = [small(query), matrix(keys.map(small)), matrix(values.map(small))];
      const { output } = kernels.hyperbolicAttention(q, k, v, { curvature: -1 });
      assert.equal(theirs.length, output.data.length); // its maps are exchanged: the numbers differ
      assert.ok(Math.hypot(...output.data) < 1);
    },
    "`new WasmFlashAttention(dim, block).compute(…)`": () =>
      near(
        kernels.scaledDotProductAttention(query, matrix(keys), matrix(values)).output.data,
        new ruvector.WasmFlashAttention(D, 2).compute(query, keys, values),
      ),
    "`softmax(vec)`": () => {
      const changed = query.slice();
      ruvector.softmax(changed);
      near(kernels.softmax(query).data, changed);
    },
  },
};

const version = (name) => JSON.parse(readFileSync(join(folder(name), "package.json"), "utf8")).version;
for (const [name, rows] of Object.entries(ROWS)) {
  assert.ok(page.includes(`\`${name} ${version(name)}\``), `docs/move.md names another version than ${version(name)}`);
  for (const [cell, run] of Object.entries(rows)) {
    assert.ok(page.includes(`\n| ${cell} |`), `docs/move.md has no row ${cell}`);
    await run();
    console.log(`${name} ${version(name)}: ${cell}`);
  }
}
