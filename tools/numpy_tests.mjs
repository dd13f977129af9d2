// Runs NumPy's own tests inside Pyodide, with its own loops or with ours, and writes what each test gave as JSON.
//     node tools/numpy_tests.mjs DISTRIBUTION TESTS RESULT own|ours FILE...
// TESTS is a folder that holds numpy/…/tests as in NumPy's wheel for other systems; see numpy_tests.py.
import { readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";

const [distribution, tests, result, loops, ...files] = process.argv.slice(2);
const folder = resolve(distribution);
const { loadPyodide } = await import(pathToFileURL(join(folder, "pyodide.mjs")).href);
const pyodide = await loadPyodide({ indexURL: folder });
await pyodide.loadPackage(["graphattend", "pytest", "hypothesis"], { messageCallback: () => {} });
pyodide.FS.mkdir("/given");
pyodide.FS.mount(pyodide.FS.filesystems.NODEFS, { root: resolve(tests) }, "/given");
const inside = new URL("numpy_tests_inside.py", import.meta.url);
pyodide.FS.writeFile("numpy_tests_inside.py", readFileSync(inside, "utf8"));
writeFileSync(result, pyodide.pyimport("numpy_tests_inside").run(loops, pyodide.toPy(files)));
