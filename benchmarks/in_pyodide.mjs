// Runs one of the benchmark scripts inside Pyodide in Node.js, with graphattend from a distribution (`make dist-path`):
//     node benchmarks/in_pyodide.mjs DISTRIBUTION benchmarks/poincare_mammals.py --quick
// NumPy uses the fast loops, as in the package's own runtime (Node.js 20 needs --experimental-wasm-relaxed-simd for the fastest
// kernels). The script has the same current folder and paths as here.
import { existsSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";

const [distribution, script, ...given] = process.argv.slice(2);
if (!script) {
  console.error("usage: node benchmarks/in_pyodide.mjs DISTRIBUTION SCRIPT [ARGUMENT...]");
  process.exit(2);
}
const folder = resolve(distribution);
const { loadPyodide } = await import(pathToFileURL(join(folder, "pyodide.mjs")).href);
const pyodide = await loadPyodide({ indexURL: folder });
await pyodide.loadPackage(["graphattend"], { messageCallback: () => {} });
const paths = [process.cwd(), ...given.filter((word) => existsSync(word)).map((path) => resolve(path))];
for (const root of new Set(paths.map((path) => `/${path.split("/")[1]}`))) {
  pyodide.FS.mkdirTree(root);
  pyodide.FS.mount(pyodide.FS.filesystems.NODEFS, { root }, root);
}
pyodide.globals.set("given", pyodide.toPy([script, ...given]));
pyodide.globals.set("folder", process.cwd());
pyodide.runPython(`
import os, sys, js  # before the folder js of the repository could be taken for it
import graphattend
os.chdir(folder)
sys.path.insert(0, folder)
sys.argv[:] = given
graphattend.simd.accelerate_numpy()
`);
pyodide.globals.set("__name__", "__main__");
pyodide.globals.set("__file__", resolve(script));
try {
  pyodide.runPython(readFileSync(script, "utf8"), { filename: resolve(script) });
} catch (error) {
  console.error(error.message);
  process.exit(1);
}
