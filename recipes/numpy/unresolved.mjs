// What the .so files of a folder import that neither Pyodide nor they themselves have, as JSON by file.
//     node unresolved.mjs PYODIDE FOLDER
import { readFileSync, readdirSync } from "node:fs";
import { basename, join } from "node:path";

const [pyodide, folder] = process.argv.slice(2);
const runtime = await WebAssembly.compile(readFileSync(join(pyodide, "pyodide.asm.wasm")));
const known = new Set(WebAssembly.Module.exports(runtime).map((entry) => entry.name));
const script = readFileSync(join(pyodide, "pyodide.asm.mjs"), "utf8");
const inScript = (name) => script.includes(`_${name}`) || script.includes(`${name}:`);
const found = {};
for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
  if (!entry.isFile() || !entry.name.endsWith(".so")) continue;
  const path = join(entry.parentPath, entry.name);
  const module = await WebAssembly.compile(readFileSync(path));
  const own = new Set(WebAssembly.Module.exports(module).map((e) => e.name));
  found[basename(path)] = WebAssembly.Module.imports(module)
    .filter((i) => i.kind === "function" || i.module.startsWith("GOT"))
    .map((i) => i.name)
    .filter((name) => !known.has(name) && !own.has(name) && !inScript(name));
}
console.log(JSON.stringify(found));
