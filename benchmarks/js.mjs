// Overhead of the npm package over Python, and its speed relative to plain JavaScript, in Node.js.
// Usage: node --experimental-wasm-relaxed-simd benchmarks/js.mjs DISTRIBUTION [SECONDS [ROUNDS]]; prints JSON.

import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import * as ruvector from "ruvector-attention-wasm";
import { connect } from "../js/dist/index.js";
import { plain } from "./plain.mjs";

const [folder, seconds = "0.3", rounds = "3", start] = process.argv.slice(2);
const [N, D] = [1000, 128];

/** Return the milliseconds from the start to the first result, in a new process. */
const STARTS = {
  async bare() {
    const { loadPyodide } = await import(`${folder}/pyodide.mjs`);
    const pyodide = await loadPyodide({ indexURL: folder });
    await pyodide.loadPackage("numpy", { messageCallback: () => undefined });
    pyodide.runPython("import numpy; float(numpy.ones(2) @ numpy.ones(2))");
  },
  async connect() {
    const ga = await connect({ indexURL: folder });
    const attn = await ga.create("scaled_dot_product", { dim: 2 });
    await attn.forward([1, 0], [[1, 0]], [[3, 4]]);
  },
};

const PYTHON = `
import time
import numpy as np
import graphattend as ga

from graphattend.simd.accelerate import accelerate_numpy

accelerate_numpy()
rng = np.random.default_rng(0)
q, k, v = (rng.standard_normal(shape).astype(np.float32) for shape in (${D}, (${N}, ${D}), (${N}, ${D})))
distances = np.resize(np.float32([0, 1, 2, 3, 4, 5]), ${N})
attn, rope = ga.create("scaled_dot_product", ${D}), ga.create("graph_rope", ${D})
metadata = ga.GraphMetadata(distances=distances)
calls = {
    "plain": lambda: attn.forward(q, k, v),
    "weights": lambda: attn.forward(q, k, v, need_weights=True),
    "metadata": lambda: rope.forward(q, k, v, metadata=metadata),
}

def microseconds(seconds, kind, count=50):
    run, best, end = calls[kind], np.inf, time.perf_counter() + seconds
    while time.perf_counter() < end:
        begin = time.perf_counter()
        for _ in range(count):
            run()
        best = min(best, (time.perf_counter() - begin) / count)
    return best * 1e6
`;

async function microseconds(run, count = 50) {
  let best = Infinity;
  for (const end = performance.now() + Number(seconds) * 1e3; best === Infinity || performance.now() < end;) {
    const begin = performance.now();
    for (let i = 0; i < count; i++) {
      const found = run();
      if (found instanceof Promise) await found;
    }
    best = Math.min(best, (performance.now() - begin) / count);
  }
  return best * 1e3;
}

/** Time a call that transfers its keys, without the time to create the next ones. */
async function transferred(attn, q, k, values) {
  let best = Infinity;
  for (const end = performance.now() + Number(seconds) * 1e3; performance.now() < end;) {
    const [query, keys] = [q.slice(), { data: k.slice(), shape: [N, D] }];
    const begin = performance.now();
    await attn.forward(query, keys, values, { transfer: true });
    best = Math.min(best, performance.now() - begin);
  }
  return best * 1e3;
}

const coldStart = (which) =>
  Number(
    execFileSync(process.execPath, [...process.execArgv, ...process.argv.slice(1, 5), which], { encoding: "utf8" }),
  );

async function main() {
  const { loadPyodide } = await import(`${folder}/pyodide.mjs`);
  const pyodide = await loadPyodide({ indexURL: folder });
  await pyodide.loadPackage("graphattend", { messageCallback: () => undefined });
  pyodide.runPython(PYTHON);
  const python = pyodide.globals.get("microseconds");
  const [q, k, v] = ["q", "k", "v"].map((name) => {
    const proxy = pyodide.globals.get(name);
    const { data } = proxy.getBuffer("f32");
    proxy.destroy();
    return Float32Array.from(data);
  });
  const ga = await connect({ indexURL: folder });
  const worker = await connect({ indexURL: folder, worker: true });
  const [attn, distant] = await Promise.all([ga, worker].map((x) => x.create("scaled_dot_product", { dim: D })));
  const rope = await ga.create("graph_rope", { dim: D });
  const metadata = { distances: Float32Array.from({ length: N }, (_x, i) => i % 6) };
  const [keys, values, distantValues] = [
    await ga.tensor(k, [N, D]),
    await ga.tensor(v, [N, D]),
    await worker.tensor(v, [N, D]),
  ];
  ruvector.initSync({
    module: readFileSync(
      new URL("node_modules/ruvector-attention-wasm/ruvector_attention_wasm_bg.wasm", import.meta.url),
    ),
  });
  const rows = (x) => Array.from({ length: N }, (_x, i) => x.subarray(i * D, (i + 1) * D));
  const loop = plain.attention({ m: 1, n: N, d: D, scale: D ** -0.5 }, { q, k, v });
  const expected = loop();
  const { output } = await attn.forward(q, keys, values);
  if (!output.data.every((x, i) => Math.abs(x - expected[i]) < 1e-4))
    throw new Error("the loop computes something else");

  const best = {};
  const note = (name, value) => (best[name] = Math.min(best[name] ?? Infinity, value));
  for (let round = 0; round < Number(rounds); round++) {
    for (const [kind, call] of Object.entries({
      plain: () => attn.forward(q, keys, values),
      weights: () => attn.forward(q, keys, values, { needWeights: true }),
      metadata: () => rope.forward(q, keys, values, { metadata }),
    })) {
      const suffix = kind === "plain" ? "" : `_${kind}`;
      note(`python${suffix}_us`, python(Number(seconds), kind));
      note(`resident${suffix}_us`, await microseconds(call));
    }
    note("copied_us", await microseconds(() => attn.forward(q, k, v)));
    note("transferred_us", await transferred(distant, q, k, distantValues));
    note("loop_us", await microseconds(loop));
    // The caller's data are flat, but it takes rows.
    note("ruvector_us", await microseconds(() => ruvector.scaled_dot_attention(q, rows(k), rows(v), D ** -0.5), 2));
    for (const which of Object.keys(STARTS)) note(`${which}_ms`, coldStart(which));
  }
  process.stdout.write(`${JSON.stringify(best)}\n`);
  process.exit(0);
}

if (start === undefined) await main();
else {
  const begin = performance.now();
  await STARTS[start]();
  process.stdout.write(`${performance.now() - begin}\n`);
  process.exit(0);
}
