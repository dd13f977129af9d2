// A runtime of the benchmark, in Node.js and in pages: Pyodide with graphattend, and the JavaScript peers.

import { contenders } from "./peers.mjs";

const TOLERANCE = 2e-3;
/** Milliseconds that a batch takes, if a call is shorter. */
const BATCH = 1;

/** Python's part of the runtime, modules of the package `benchmarks`. */
const MODULES = ["timing", "peak_loop", "workloads"];

/** Starts Pyodide; `load` is its loadPyodide, `read` returns the text of a file of this folder. */
export async function start({ load, indexURL, read, peers }) {
  const pyodide = await load({ indexURL });
  await pyodide.loadPackage(["graphattend"], { messageCallback: () => {} });
  const clock = (module) => {
    const begin = performance.now();
    pyodide.runPython(`import ${module}`);
    return performance.now() - begin;
  };
  const imports = { numpy_ms: clock("numpy"), graphattend_ms: clock("graphattend") };
  pyodide.FS.mkdir("benchmarks");
  for (const module of MODULES) pyodide.FS.writeFile(`benchmarks/${module}.py`, await read(`${module}.py`));
  const python = pyodide.pyimport("benchmarks.workloads");
  const plainObject = (proxy) => {
    const found = proxy.toJs({ dict_converter: Object.fromEntries });
    proxy.destroy?.();
    return found;
  };
  const state = { pyodide, python, peers, plainObject, name: undefined, runs: {} };
  return {
    facts: () => ({
      ...plainObject(python.facts()),
      ...imports,
      agent: globalThis.navigator?.userAgent ?? process.version,
    }),
    extraMemory: () => python.extra_memory(),
    contenders: (name) => prepare(state, name),
    rate: (name, contender, seconds) =>
      state.runs[contender] ? rate(state.runs[contender], seconds) : python.rate(name, contender, seconds),
    memory: (name) => python.memory(name),
    accelerate: (bench, names) => accelerate(pyodide, bench, names),
  };
}

/** Return a workload's contenders; its data stay in memory until another one is prepared. */
async function prepare(state, name) {
  for (const run of Object.values(state.runs)) await run.close?.();
  // TensorFlow.js frees the tensors of a workload with their scope.
  const engine = state.peers.tf.engine();
  if (state.name !== undefined) engine.endScope();
  engine.startScope();
  state.python.forget();
  state.name = name;
  state.runs = {};
  const { kind, sizes, inputs, expected } = state.plainObject(state.python.data_for_javascript(name));
  const ofPython = state.plainObject(state.python.contenders(name));
  if (!kind) return ofPython;
  for (const [contender, variants] of Object.entries(await contenders(state.peers, kind, sizes, inputs))) {
    let best = 0;
    for (const run of variants) {
      const result = await (run.result ?? run)();
      if (!run.unlike) compare(`${contender}, ${name}`, result, expected);
      const speed = variants.length > 1 ? await rate(run, 0.1) : 1;
      if (speed > best) {
        state.runs[contender] = run;
        best = speed;
      }
    }
  }
  if (kind === "copied") {
    const { q, k, v } = inputs,
      call = state.python.call_from_javascript,
      room = views(state.python);
    state.runs.graphattend = () => {
      const [toQ, toK, toV, out] = room();
      (toQ.set(q), toK.set(k), toV.set(v));
      call();
      return out.slice();
    };
    compare(`graphattend, ${name}`, state.runs.graphattend(), expected);
  }
  return [...ofPython, ...Object.keys(state.runs)];
}

/** Views of Python's arrays, recreated after growth of the memory has detached them. */
function views(python) {
  let buffers = [];
  return () => {
    if (!buffers.length || buffers[0].data.byteLength === 0) {
      for (const buffer of buffers) buffer.release();
      const arrays = python.room();
      buffers = Array.from({ length: arrays.length }, (_, i) => {
        const array = arrays.get(i);
        const buffer = array.getBuffer("f32");
        array.destroy();
        return buffer;
      });
      arrays.destroy();
    }
    return buffers.map((buffer) => buffer.data);
  };
}

/** Check a peer's result, because a faster peer that computes something else is no comparison. */
function compare(what, result, expected) {
  if (result.length !== expected.length)
    throw new Error(`${what}: ${result.length} numbers, expected ${expected.length}`);
  for (let i = 0; i < result.length; i++) {
    if (!(Math.abs(result[i] - expected[i]) <= TOLERANCE * Math.max(1, Math.abs(expected[i])))) {
      throw new Error(`${what}: element ${i} is ${result[i]}, expected ${expected[i]}`);
    }
  }
}

/** Return calls per second of the fastest batch within `seconds`, as in timing.py. */
async function rate(run, seconds) {
  run.count ??= await calibrate(run);
  let best = 0;
  for (const end = performance.now() + seconds * 1e3; !best || performance.now() < end;) {
    best = Math.max(best, (run.count * 1e3) / (await batch(run, run.count)));
  }
  return best;
}

async function batch(run, count) {
  const begin = performance.now();
  for (let i = 0; i < count; i++) {
    const found = run();
    // Awaiting a plain value would cost synchronous calls a turn of the event loop.
    if (found instanceof Promise) await found;
  }
  return performance.now() - begin;
}

/** Return how many warm calls fill a batch, from three tries, because an interruption lengthens a short batch. */
async function calibrate(run) {
  await batch(run, 1);
  let count = 1;
  for (; count < 1 << 20; count *= 2) {
    let shortest = await batch(run, count);
    for (let i = 0; i < 2 && shortest < 20 * BATCH; i++) shortest = Math.min(shortest, await batch(run, count));
    if (shortest >= BATCH) break;
  }
  return count;
}

/** Return the gain of accelerate_numpy() on some loops: name → ratio, by benchmarks/accelerate/bench.py. */
function accelerate(pyodide, bench, names) {
  pyodide.FS.writeFile("accelerate_bench.py", bench);
  pyodide.globals.set("names", pyodide.toPy(names));
  const text = pyodide.runPython(`
import json, accelerate_bench
found = {}
for name in names:
    found |= {key: entry["ratio"] for key, entry in json.loads(accelerate_bench.main(name))["results"].items() if key == name}
json.dumps(found)`);
  return JSON.parse(text);
}
