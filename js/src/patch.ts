/**
 * Small changes to Pyodide's loader, by which a started interpreter can be kept and put back: it notes where side modules
 * lie, and can put them there again. Each place has to be found exactly once.
 */
const CHANGES: readonly [from: string, to: string][] = [
  [
    "var loadWebAssemblyModule=",
    "Module.sideModules={loaded:[],replay:undefined,GOT,get table(){return wasmTable}," +
      "libraries:()=>Object.values(LDSO.loadedLibsByName),add:newDSO,load:(...args)=>loadWebAssemblyModule(...args),set:setWasmTableEntry," +
      "grow(bytes){const pages=(bytes-wasmMemory.buffer.byteLength)/65536;if(pages>0){wasmMemory.grow(pages);updateMemoryViews()}}};" +
      "var loadWebAssemblyModule=",
  ],
  [
    "var memoryBase=metadata.memorySize?alignMemory(",
    "var replay=Module.sideModules.replay;" +
      // The same place in every engine, whatever it put into the table before.
      "if(!replay&&!Module.sideModules.loaded.length)wasmTable.grow(-wasmTable.length&511);" +
      "var memoryBase=replay?replay.memoryBase:metadata.memorySize?alignMemory(",
  ],
  [
    "var tableBase=metadata.tableSize?wasmTable.length:0;",
    "var tableBase=replay?replay.tableBase:metadata.tableSize?wasmTable.length:0;",
  ],
  [
    "if(metadata.tableSize){wasmTable.grow(metadata.tableSize)}",
    "if(metadata.tableSize&&!replay){wasmTable.grow(metadata.tableSize)}",
  ],
  [
    "function postInstantiation(module,instance){",
    "function postInstantiation(module,instance){if(!replay)Module.sideModules.loaded.push(" +
      "{name:libName,memoryBase,tableBase,tableSize:metadata.tableSize,handle:handle||0});",
  ],
  [
    "moduleExports=relocateExports(instance.exports,memoryBase);updateGOT(moduleExports);",
    "moduleExports=relocateExports(instance.exports,memoryBase);if(!replay)updateGOT(moduleExports);",
  ],
  [
    // Functions of JavaScript that the table takes: one module for all of a signature.
    "var module=new WebAssembly.Module(bytes);var instance=new WebAssembly.Instance(module,{e:{f:func}});",
    "var module=(Module.wrappers??={})[sig]??=new WebAssembly.Module(bytes);" +
      "var instance=new WebAssembly.Instance(module,{e:{f:func}});",
  ],
  [
    'var applyRelocs=moduleExports["__wasm_apply_data_relocs"];',
    "if(replay)return moduleExports;" + 'var applyRelocs=moduleExports["__wasm_apply_data_relocs"];',
  ],
];

/** sha256 of the loaders that the changes are known to fit, and of what they become. */
const KNOWN: Readonly<Record<string, string>> = {
  // Pyodide 314.0.3
  "1a9775427ef6e8abaa7db88ece0515422d1886915ae5c9093776410c865dfd8d":
    "f8b50f3ccc0bb969ca84e329e11fdfc87b7bde42600bcc96aae71177eac93316",
};

/** The loader that can be replayed; undefined if this one is not known. */
export function patchLoader(loader: Uint8Array, sha256: (data: Uint8Array) => string): Uint8Array | undefined {
  const hash = sha256(loader);
  if (Object.values(KNOWN).includes(hash)) return loader;
  if (KNOWN[hash] === undefined) return undefined;
  let text = new TextDecoder().decode(loader);
  for (const [from, to] of CHANGES) {
    const parts = text.split(from);
    if (parts.length !== 2) return undefined;
    text = parts.join(to);
  }
  const patched = new TextEncoder().encode(text);
  return sha256(patched) === KNOWN[hash] ? patched : undefined;
}
