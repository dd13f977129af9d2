// The benchmark's runtime in Node.js: reads one JSON request per line and answers with one JSON line.
// Usage: node --experimental-wasm-relaxed-simd benchmarks/node.mjs DISTRIBUTION

import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { resolve } from "node:path";
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

const require = createRequire(import.meta.url);
const here = new URL(".", import.meta.url);
const folder = resolve(process.argv[2]);
// Standard output is only for answers; libraries' output goes elsewhere.
console.log = console.info = console.warn = console.error;

async function loadPeers() {
  const ort = await import(new URL("node_modules/onnxruntime-web/dist/ort.wasm.min.mjs", here));
  ort.env.wasm.numThreads = 1;
  ort.env.logLevel = "error";
  const tf = require("@tensorflow/tfjs-core");
  require("@tensorflow/tfjs-backend-wasm").setThreadsCount(1);
  await tf.setBackend("wasm");
  const ruvector = await import("ruvector-attention-wasm");
  const wasm = await readFile(new URL("node_modules/ruvector-attention-wasm/ruvector_attention_wasm_bg.wasm", here));
  ruvector.initSync({ module: wasm });
  return { ort, tf, ruvector };
}

async function main() {
  const peers = await loadPeers();
  const { loadPyodide } = await import(pathToFileURL(resolve(folder, "pyodide.mjs")).href);
  const { start } = await import("./runtime.mjs");
  const read = (name) => readFile(new URL(name, here), "utf8");
  const runtime = await start({ load: loadPyodide, indexURL: folder, read, peers });
  process.stdout.write('{"value":"ready"}\n');
  for await (const line of createInterface({ input: process.stdin })) {
    const [name, ...given] = JSON.parse(line);
    let answer;
    try {
      answer = { value: await runtime[name](...given) };
    } catch (error) {
      answer = { error: String(error.message ?? error).slice(-2000) };
    }
    process.stdout.write(`${JSON.stringify(answer)}\n`);
  }
  process.exit(0);
}

await main();
