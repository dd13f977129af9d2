// Prints, as JSON, the milliseconds that importing NumPy and then graphattend take in Pyodide in Node.js.
// The package imports NumPy and its own modules on first use; `graphattend.simd` needs most of what a first call needs.
// Usage: node tools/import_time.mjs DISTRIBUTION [RUNS]   (DISTRIBUTION: the folder `make dist-path` prints)

import { resolve } from "node:path";
import { pathToFileURL } from "node:url";

const [folder, runs = "3"] = process.argv.slice(2);
if (!folder) {
  console.error("Usage: node tools/import_time.mjs DISTRIBUTION [RUNS]");
  process.exit(2);
}
const { loadPyodide } = await import(pathToFileURL(resolve(folder, "pyodide.mjs")).href);

process.on("uncaughtException", (error) => {
  // Without this Node.js prints the line of Pyodide's source the error passed through: a megabyte.
  console.error(error.message);
  process.exit(1);
});

const samples = [];
for (let run = 0; run < Number(runs); run += 1) {
  // A fresh interpreter each time: a second import costs nothing.
  const pyodide = await loadPyodide({ indexURL: resolve(folder) });
  await pyodide.loadPackage(["graphattend"], { messageCallback: () => {} });
  const time = (module) => {
    const start = performance.now();
    pyodide.runPython(`import ${module}`);
    return performance.now() - start;
  };
  samples.push({ numpy: time("numpy"), graphattend: time("graphattend.simd") });
}
const median = (name) => samples.map((sample) => sample[name]).sort((a, b) => a - b)[Math.floor(samples.length / 2)];
console.log(
  JSON.stringify({ numpy_ms: Math.round(median("numpy")), graphattend_ms: Math.round(median("graphattend")) }),
);
