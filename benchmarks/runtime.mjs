// A runtime of the benchmark, in Node.js and in pages: Pyodide with graphattend, and the JavaScript peers.

import { contenders } from "./peers.mjs";

const TOLERANCE = 2e-3;

/** Starts Pyodide; `load` is its loadPyodide, `source` the text of workloads.py. */
export async function start({ load, indexURL, source, peers }) {
  const pyodide = await load({ indexURL });
  await pyodide.loadPackage(["graphattend"], { messageCallback: () => {} });
  const clock = (module) => {
    const begin = performance.now();
    pyodide.runPython(`import ${module}`);
    return performance.now() - begin;
  };
  const imports = { numpy_ms: clock("numpy"), graphattend_ms: clock("graphattend") };
  pyodide.FS.writeFile("workloads.py", source);
  const python = pyodide.pyimport("workloads");
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
    measure: (name, seconds) => measure(state, name, seconds),
    accelerate: (bench, names) => accelerate(pyodide, bench, names),
  };
}

/** Return calls per second of every contender; a workload's data stay in memory until another one is requested. */
async function measure(state, name, seconds) {
  if (state.name !== name) await prepare(state, name);
  const found = state.plainObject(state.python.measure(name, seconds));
  for (const [contender, run] of Object.entries(state.runs)) found[contender] = await rate(run, seconds);
  return found;
}

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
  if (!kind) return;
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

/** Return calls per second of the fastest batch within `seconds`, as in workloads.py. */
async function rate(run, seconds) {
  run.count ??= await calibrate(run, seconds / 300);
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

/** Return how many warm calls fill this time, from three tries, because an interruption lengthens a short batch. */
async function calibrate(run, seconds) {
  await batch(run, 1);
  let count = 1;
  for (; count < 1 << 20; count *= 2) {
    let shortest = await batch(run, count);
    for (let i = 0; i < 2 && shortest < 2e4 * seconds; i++) shortest = Math.min(shortest, await batch(run, count));
    if (shortest >= seconds * 1e3) break;
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
