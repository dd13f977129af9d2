// Runs functions of the tests inside Pyodide: each line of the input is [module, function, arguments], each line of the
// output {result} or {error}, with bytes of memory and seconds of processor time. tools/pyodide_process.py writes and reads them.
//     node tools/pyodide_process.mjs DISTRIBUTION ROOT BACKEND PACKAGE...
// A package is a name in the distribution's lock file or the path of a wheel.
import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

const [distribution, root, backend, ...packages] = process.argv.slice(2);
const folder = resolve(distribution);
const { loadPyodide } = await import(pathToFileURL(join(folder, "pyodide.mjs")).href);
const pyodide = await loadPyodide({
  indexURL: folder,
  stdout: (line) => process.stderr.write(`${line}\n`),
  env: { HOME: "/home", ...(backend !== "auto" && { GRAPHATTEND_BACKEND: backend }) },
});
await pyodide.loadPackage(packages, { messageCallback: () => {} });
pyodide.FS.mkdirTree("/repository/tests");
pyodide.FS.mount(pyodide.FS.filesystems.NODEFS, { root: resolve(root, "tests") }, "/repository/tests");
pyodide.FS.writeFile("/repository/pyproject.toml", readFileSync(join(root, "pyproject.toml")));
const call = pyodide.runPython(`
import importlib, json, os, sys, traceback

os.chdir("/repository")
sys.dont_write_bytecode = True
sys.path[:0] = [f"/repository/tests/{name}" for name in ("helpers", "pyodide", "simd", "trust")]

def call(line):
    module, function, arguments = json.loads(line)
    try:
        return json.dumps({"result": getattr(importlib.import_module(module), function)(*arguments)})
    except Exception:
        return json.dumps({"error": traceback.format_exc()})

call
`);
for await (const line of createInterface({ input: process.stdin })) {
  const answer = JSON.parse(call(line));
  const { user, system } = process.cpuUsage();
  const spent = { memory: pyodide._module.HEAP8.length, seconds: (user + system) / 1e6 };
  process.stdout.write(`${JSON.stringify({ ...answer, ...spent })}\n`);
}
