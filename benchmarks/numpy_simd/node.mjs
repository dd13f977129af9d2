// bench.py inside Pyodide in Node.js: answers lines of JSON, [function, ...arguments], with lines of JSON.
//     node benchmarks/numpy_simd/node.mjs DISTRIBUTION
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

const folder = resolve(process.argv[2]);
const { loadPyodide } = await import(pathToFileURL(resolve(folder, "pyodide.mjs")).href);
const { start } = await import("./runtime.mjs");
const source = readFileSync(new URL("bench.py", import.meta.url), "utf8");
const call = await start(loadPyodide, folder, source);
console.log('{"value":"ready"}');
for await (const line of createInterface({ input: process.stdin }))
  console.log(JSON.stringify({ value: call(...JSON.parse(line)) }));
