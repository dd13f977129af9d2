// Who attends to whom in Les Misérables, and which mechanism predicts its links: the main job, Python in WebAssembly driven
// from Node.js.
//
//   node examples/les_miserables.mjs DISTRIBUTION GRAPH.json [REPORT.html]
//
// DISTRIBUTION is a folder with Pyodide (`make dist-path` prints one), GRAPH a JSON node-link, CSV or edge-list file.

import { mkdir, readFile, writeFile } from "node:fs/promises";
import { basename, dirname, extname, resolve } from "node:path";
import { connect } from "../js/dist/index.js";

const [indexURL, file, out = "out/les_miserables.html"] = process.argv.slice(2);

function fail(message) {
  console.error(`les_miserables: ${message}`);
  process.exit(2);
}

if (!indexURL || !file) fail("expected a Pyodide distribution and a graph file");
const content = await readFile(file, "utf8").catch((error) => fail(`${file}: cannot be read (${error.code})`));

const started = performance.now();
const ga = await connect({ indexURL });
const { backend, numpy_loops: loops } = await ga.backendInfo();
const speed = loops?.active ? "SIMD loops in NumPy" : "NumPy's own loops";
console.log(
  `Python in WebAssembly after ${((performance.now() - started) / 1000).toFixed(1)} s; ${backend}, ${speed}\n`,
);

/** Every mechanism that applies, trained on held-out links: one after the other, so that the terminal shows where it is. */
async function evaluate(graph) {
  const settings = { ...graph, seeds: 2, epochs: 60, cache: "/tmp" };
  const keys = [];
  for (const [i, key] of ga.mechanisms.entries()) {
    progress(`training ${i + 1}/${ga.mechanisms.length} ${key}`);
    try {
      await ga.call("evaluation.evaluateFile", content, "links", { ...settings, mechanisms: [key], baselines: false });
      keys.push(key);
    } catch (error) {
      if (error.code !== "invalid_config") throw error; // a mechanism that does not apply to this graph
      console.log(`skipped ${key}: ${error.message.replaceAll("\n", " ")}`);
    }
  }
  progress("");
  // All of it is in the cache now; this call compares.
  return ga.call("evaluation.evaluateFile", content, "links", { ...settings, mechanisms: keys, report: true });
}

function progress(text) {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${text}`);
}

try {
  const name = basename(file, extname(file)).replaceAll("_", " ");
  const found = await ga.call("analysis.analyzeFile", content, { suffix: extname(file), name, report: true });
  console.log(found.table);
  await mkdir(dirname(resolve(out)), { recursive: true });
  await writeFile(out, found.report);
  console.log(`\nReport with pictures: ${resolve(out)}\n`);
  const learned = await evaluate({ suffix: extname(file), name });
  console.log(learned.table);
  const second = out.replace(/(\.html)?$/, "_evaluation.html");
  await writeFile(second, learned.report);
  console.log(`\nReport with pictures: ${resolve(second)}`);
} catch (error) {
  fail(error.message.replaceAll("\n", " "));
} finally {
  await ga.close();
}
