// Speed of the npm package and of graphattend/kernels compared with onnxruntime-web and TensorFlow.js, in a page in Chromium: the
// first answer after opening the page, and calls with resident keys and values (microseconds per call, the best of several
// rounds, in turns). Usage: node benchmarks/without_python.mjs FOLDER [ROUNDS [MS]]; `graphattend vendor` writes FOLDER. Needs the
// built package (tools/build_js.py) and benchmarks/node_modules. Prints JSON.
import { resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { inNewProfile, launch } from "../js/test/browsers.mjs";
import { serve } from "../js/test/server.mjs";

const folder = resolve(process.argv[2] ?? "");
const [ROUNDS, MS] = [Number(process.argv[3] ?? 5), Number(process.argv[4] ?? 100)];
const here = fileURLToPath(new URL(".", import.meta.url));
const attention = "const q = Float32Array.of(1, 0, 0, 0), kv = Float32Array.of(1, 0, 0, 0, 0, 1, 0, 0);";
const done = "globalThis.done = performance.now();";
const tfjs = `<script src="/benchmarks/node_modules/@tensorflow/tfjs-core/dist/tf-core.min.js"></script>
  <script src="/benchmarks/node_modules/@tensorflow/tfjs-backend-wasm/dist/tf-backend-wasm.min.js"></script>`;
const setTf =
  'tf.wasm.setWasmPaths("/benchmarks/node_modules/@tensorflow/tfjs-backend-wasm/dist/"); tf.wasm.setThreadsCount(1); await tf.setBackend("wasm");';
const page = (head, script) =>
  `<!doctype html><meta charset="utf-8"><title>x</title><link rel="icon" href="data:,">${head}<script type="module">${script}</script>`;
const start = (worker) => `import { connect } from "/dist/index.js"; ${attention}
    const ga = await connect({ indexURL: "/python/", worker: ${worker}, snapshot: true });
    const attn = await ga.create("scaled_dot_product", { dim: 4 }); await attn.forward(q, kv, kv); ${done}`;
const pages = {
  "/package.html": page("", start(false)),
  "/worker.html": page("", start(true)),
  "/nothing.html": page("", done),
  "/kernels.html": page(
    '<link rel="modulepreload" href="/dist/kernels.js"><link rel="modulepreload" href="/dist/kernels-relaxed.js">',
    `import { load } from "/dist/kernels.js"; ${attention}
    const k = await load(); k.scaledDotProductAttention(q, kv, kv); ${done}`,
  ),
  "/tfjs.html": page(
    tfjs,
    `${setTf} ${attention}
    tf.matMul(tf.softmax(tf.matMul(tf.tensor(q, [1, 4]), tf.tensor(kv, [2, 4]), false, true)), tf.tensor(kv, [2, 4])).dataSync(); ${done}`,
  ),
  "/onnxruntime.html": page(
    "",
    `import * as ort from "/benchmarks/node_modules/onnxruntime-web/dist/ort.wasm.min.mjs"; import { onnxModel } from "/benchmarks/onnx.mjs";
    ort.env.wasm.numThreads = 1; ort.env.logLevel = "error"; ${attention}
    const model = onnxModel({ q: [1, 4] }, { k: [kv, [4, 2]], v: [kv, [2, 4]] }, [["MatMul", ["q", "k"], ["s"]], ["Softmax", ["s"], ["p"], { axis: -1 }], ["MatMul", ["p", "v"], ["out"]]], ["out", [1, 4]]);
    const session = await ort.InferenceSession.create(model, { executionProviders: ["wasm"] });
    await session.run({ q: new ort.Tensor("float32", q, [1, 4]) }); ${done}`,
  ),
  "/calls.html": page(
    tfjs,
    `import * as ort from "/benchmarks/node_modules/onnxruntime-web/dist/ort.wasm.min.mjs"; import { contenders } from "/benchmarks/peers.mjs";
    import { connect } from "/dist/index.js"; import { load } from "/dist/kernels.js"; import { calls } from "/benchmarks/without_python_calls.mjs";
    ort.env.wasm.numThreads = 1; ort.env.logLevel = "error"; ${setTf}
    globalThis.calls = await calls(await load(), await connect({ indexURL: "/python/" }), (kind, sizes, inputs) => contenders({ ort, tf, ruvector: {} }, kind, sizes, inputs)); ${done}`,
  ),
};

const server = await serve(
  { "/benchmarks/": here, "/dist/": fileURLToPath(new URL("../js/dist/", import.meta.url)), "/python/": folder },
  pages,
);
const least = {};
const note = (title, name, value) => {
  const row = (least[title] ??= {});
  row[name] = Math.min(row[name] ?? Infinity, value);
};
const first = "first answer after opening the page (ms)";
async function visit(context, name, as) {
  const tab = await context.newPage();
  await tab.goto(`${server.url}/${name}.html`);
  await tab.waitForFunction(() => globalThis.done !== undefined, undefined, { timeout: 60_000 });
  note(first, as, await tab.evaluate(() => globalThis.done));
  return tab;
}
for (let round = 0; round < ROUNDS; round++) {
  for (const name of ["nothing", "kernels", "tfjs", "onnxruntime", "package", "worker"]) {
    await inNewProfile(async (context) => {
      const tab = await visit(context, name, name);
      if (name !== "package" && name !== "worker") return;
      // The first visit stores a snapshot for the next ones.
      await tab.evaluate(async () => {
        for (let i = 0; i < 600 && (await (await caches.open("graphattend-snapshots")).keys()).length === 0; i++)
          await new Promise((r) => setTimeout(r, 100));
      });
      await tab.close();
      await visit(context, name, `${name} again`);
    });
  }
}
const browser = await launch();
const tab = await browser.newPage();
await tab.goto(`${server.url}/calls.html`);
await tab.waitForFunction(() => globalThis.calls !== undefined, undefined, { timeout: 120_000 });
const titles = await tab.evaluate(() => Object.keys(globalThis.calls));
for (const title of titles) {
  for (let round = 0; round < ROUNDS; round++) {
    for (const [name, value] of Object.entries(
      await tab.evaluate((t) => globalThis.calls[t.title](t.ms), { title, ms: MS }),
    ))
      note(title, name, value);
  }
}
await browser.close();
await server.close();
console.log(JSON.stringify(least, (_key, x) => (typeof x === "number" ? Number(x.toPrecision(3)) : x), 1));
