// Start-up: milliseconds from the import of a library to its first answer, in Chromium, Firefox and Node.js, on the main thread and in
// a worker, at the first and at later visits, beside the peers. Files come from this machine, by a server that lets browsers keep
// them. Usage: node benchmarks/start.mjs FOLDER DISTRIBUTION [JSON]: a folder that `graphattend vendor` wrote, and Pyodide with NumPy.
// Needs the built package (tools/build_js.py) and benchmarks/node_modules. CHROMIUM and FIREFOX say where the browsers are.
import { spawnSync } from "node:child_process";
import { cpSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { cpus, loadavg, tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { inNewProfile } from "../js/test/browsers.mjs";
import { serve } from "../js/test/server.mjs";

const ROUNDS = Number(process.env.ROUNDS ?? 3);
const [folder, distribution] = process.argv.slice(2, 4).map((path) => resolve(path));
const out = process.argv[4];
const here = fileURLToPath(new URL(".", import.meta.url));
const dist = fileURLToPath(new URL("../js/dist/", import.meta.url));

/** `start(at, worker)` goes from nothing to an answer; `at` says where things lie. */
const ours = (options) => `export async function start(at, worker) {
  const { connect } = await import(at.dist + "index.js");
  const ga = await connect({ indexURL: at.python, worker, ...${JSON.stringify(options)} });
  const attn = await ga.create("flash", { dim: 4 });
  await attn.forward([1, 0, 0, 0], [[1, 0, 0, 0]], [[1, 2, 3, 4]]);
  return () => ga.close();
}`;
const attention = "const q = Float32Array.of(1, 0, 0, 0), kv = Float32Array.of(1, 0, 0, 0, 0, 1, 0, 0);";
const CONTENDERS = {
  graphattend: { code: ours({ snapshot: true }), own: true, node: true },
  "graphattend without snapshots": { code: ours({ snapshot: false }), own: true, node: true },
  "Pyodide and NumPy alone": {
    code: `export async function start(at) {
      const { loadPyodide } = await import(at.pyodide + "pyodide.mjs");
      const python = await loadPyodide({ indexURL: at.folder });
      await python.loadPackage("numpy", { messageCallback: () => undefined });
      python.runPython("import numpy; float(numpy.ones(2) @ numpy.ones(2))");
    }`,
    node: true,
  },
  "onnxruntime-web": {
    code: `export async function start(at) {
      const ort = await import(at.modules + "onnxruntime-web/dist/ort.wasm.min.mjs");
      const { onnxModel } = await import(at.benchmarks + "onnx.mjs");
      ort.env.wasm.numThreads = 1; ort.env.logLevel = "error"; ${attention}
      const model = onnxModel({ q: [1, 4] }, { k: [kv, [4, 2]], v: [kv, [2, 4]] }, [["MatMul", ["q", "k"], ["s"]], ["Softmax", ["s"], ["p"], { axis: -1 }], ["MatMul", ["p", "v"], ["out"]]], ["out", [1, 4]]);
      const session = await ort.InferenceSession.create(model, { executionProviders: ["wasm"] });
      await session.run({ q: new ort.Tensor("float32", q, [1, 4]) });
    }`,
  },
  "TensorFlow.js (WebAssembly)": {
    code: `export async function start(at) {
      const tfjs = at.modules + "@tensorflow/tfjs-";
      await import(tfjs + "core/dist/tf-core.min.js"); await import(tfjs + "backend-wasm/dist/tf-backend-wasm.min.js");
      tf.wasm.setWasmPaths(tfjs + "backend-wasm/dist/"); tf.wasm.setThreadsCount(1); await tf.setBackend("wasm"); ${attention}
      tf.matMul(tf.softmax(tf.matMul(tf.tensor(q, [1, 4]), tf.tensor(kv, [2, 4]), false, true)), tf.tensor(kv, [2, 4])).dataSync();
    }`,
  },
};
const names = Object.keys(CONTENDERS);

const found = {};
/** The least of all rounds: whatever else the machine does only slows down. */
function note(name, thread, engine, visit, ms) {
  const row = (((found[thread] ??= {})[name] ??= {})[engine] ??= {});
  row[visit] = Math.min(row[visit] ?? Infinity, Math.round(ms));
}

const work = mkdtempSync(join(tmpdir(), "graphattend-start-"));
names.forEach((name, i) => writeFileSync(join(work, `${i}.mjs`), CONTENDERS[name].code));
// What runs on the main thread by itself, in a worker.
writeFileSync(
  join(work, "worker.mjs"),
  `addEventListener("message", async ({ data: { module, at } }) => {
    const { start } = await import(module);
    await start(at);
    postMessage("answered");
  });`,
);

const site = await serve(
  {
    "/dist/": dist,
    "/python/": folder,
    "/pyodide/": distribution,
    "/benchmarks/": here,
    "/contenders/": work,
  },
  { "/": '<!doctype html><title>start</title><link rel="icon" href="data:,">' },
  {},
  true,
);
const at = {
  dist: "/dist/",
  python: "/python/",
  pyodide: "/pyodide/",
  folder: "/pyodide/",
  modules: "/benchmarks/node_modules/",
  benchmarks: "/benchmarks/",
};

/** One visit of a page: milliseconds to the answer. */
async function visit(context, i, worker) {
  const { own } = CONTENDERS[names[i]];
  const page = await context.newPage();
  await page.goto(site.url);
  const ms = await page.evaluate(
    async ({ module, at, worker, own }) => {
      const begin = performance.now();
      if (worker && !own) {
        const thread = new Worker("/contenders/worker.mjs", { type: "module" });
        await new Promise((resolve, reject) => {
          thread.onmessage = resolve;
          thread.onerror = (event) => reject(new Error(event.message ?? "the worker failed"));
          thread.postMessage({ module, at });
        });
      } else {
        const { start } = await import(module);
        globalThis.end = await start(at, worker);
      }
      return performance.now() - begin;
    },
    { module: `/contenders/${i}.mjs`, at, worker, own },
  );
  return { page, ms };
}

/** Until the snapshot of the first visit is there. */
const kept = async () => {
  for (let i = 0; i < 600 && (await (await caches.open("graphattend-snapshots")).keys()).length === 0; i++)
    await new Promise((r) => setTimeout(r, 100));
};

const versions = {};

/** Visits of somebody new, in a browser of its own, which keeps on disk what it is told to keep. */
async function visits(context, engine, i, worker) {
  versions[engine] = context.browser().version();
  for (const when of ["first", "later", "later"]) {
    const { page, ms } = await visit(context, i, worker);
    note(names[i], worker ? "worker" : "main", engine, when, ms);
    if (names[i] === "graphattend") await page.evaluate(kept);
    await page.close();
  }
}

/** Every contender's; one whose browser dies is tried once more, and the others have their turn. */
async function inBrowser(engine) {
  for (let i = 0; i < names.length; i++)
    for (const worker of [false, true]) {
      const once = () => inNewProfile((context) => visits(context, engine, i, worker), engine);
      await once()
        .catch(once)
        .catch((error) => {
          console.error(`${names[i]}, ${worker ? "worker" : "main"}, ${engine}: ${error.message.split("\n", 1)[0]}`);
          process.exitCode = 1;
        });
    }
}

/** A process of its own; without what an earlier one has left for a first start. */
function inNode(i, worker, when) {
  versions["Node.js"] = process.version.slice(1);
  const python = join(work, "python");
  if (when === "first") {
    for (const name of readdirSync(python))
      if (name.startsWith("graphattend-snapshots")) rmSync(join(python, name), { force: true });
  }
  const places = {
    dist: pathToFileURL(dist).href,
    python,
    pyodide: `${pathToFileURL(distribution).href}/`,
    folder: distribution,
  };
  const code = `const begin = performance.now();
    const { start } = await import(${JSON.stringify(pathToFileURL(join(work, `${i}.mjs`)).href)});
    const end = await start(${JSON.stringify(places)}, ${worker});
    console.log(performance.now() - begin);
    await end?.();`;
  const { stdout, stderr } = spawnSync(process.execPath, ["--no-warnings", "--input-type=module", "-e", code], {
    encoding: "utf8",
  });
  if (!Number(stdout)) throw new Error(stderr);
  note(names[i], worker ? "worker" : "main", "Node.js", when, Number(stdout));
}

/** What there is so far. */
function save() {
  const date = new Date().toISOString().slice(0, 10);
  const text = JSON.stringify({ date, rounds: ROUNDS, cores: cpus().length, load, versions, ms: found }, undefined, 1);
  writeFileSync(out ?? process.stdout.fd, `${text}\n`);
}

cpSync(folder, join(work, "python"), { recursive: true });
const engines = (process.env.ENGINES ?? "Chromium,Firefox,Node.js").split(",");
let load = 0;
for (let round = 0; round < ROUNDS; round++) {
  for (const engine of engines) {
    if (engine === "Node.js") {
      for (let i = 0; i < names.length; i++) {
        if (!CONTENDERS[names[i]].node) continue;
        for (const worker of CONTENDERS[names[i]].own ? [false, true] : [false])
          for (const when of ["first", "later", "later"]) inNode(i, worker, when);
      }
    } else await inBrowser(engine);
    load = Math.max(load, Number(loadavg()[0].toFixed(1)));
    console.error(`round ${round + 1} of ${ROUNDS}: ${engine}`);
    save();
  }
}
await site.close();
rmSync(work, { recursive: true, force: true });
