// Runs functions of the tests inside Pyodide: each line of the input is [module, function, arguments], each line of the
// output {result} or {error}, with bytes of memory and seconds of processor time. tools/inside.py writes and reads them.
//     node tools/inside.mjs DISTRIBUTION TESTS BACKEND
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

const [distribution, tests, backend] = process.argv.slice(2);
const folder = resolve(distribution);
const { loadPyodide } = await import(pathToFileURL(join(folder, "pyodide.mjs")).href);
const pyodide = await loadPyodide({
  indexURL: folder,
  stdout: (line) => process.stderr.write(`${line}\n`),
  env: { HOME: "/home", GRAPHATTEND_BACKEND: backend },
});
await pyodide.loadPackage(["graphattend", "pytest", "hypothesis", "networkx", "mpmath", "autograd"], {
  messageCallback: () => {},
});
pyodide.FS.mkdirTree("/repository/tests");
pyodide.FS.mount(pyodide.FS.filesystems.NODEFS, { root: resolve(tests) }, "/repository/tests");
const call = pyodide.runPython(`
import importlib, json, os, sys, traceback

os.chdir("/repository")
sys.dont_write_bytecode = True
sys.path[:0] = [f"/repository/tests/{name}" for name in ("helpers", "simd", "trust")]

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
