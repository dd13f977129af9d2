/**
 * Small changes to Pyodide's loader that allow to save and restore a started interpreter: the loader records the places of
 * side modules and can load them there again. Each text has to occur exactly once.
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
      // The same index in every engine, whatever it put into the table before.
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
    "var convertJsFunctionToWasm=(func,sig)=>{var bytes=",
    "var convertJsFunctionToWasm=(func,sig)=>{var module=(Module.wrappers??={})[sig]??=wrapperOf(sig);" +
      "var instance=new WebAssembly.Instance(module,{e:{f:func}});return instance.exports.f};" +
      "var wrapperOf=sig=>{var bytes=",
  ],
  [
    "var module=new WebAssembly.Module(bytes);var instance=new WebAssembly.Instance(module,{e:{f:func}});" +
      'var wrappedFunc=instance.exports["f"];return wrappedFunc};',
    "return new WebAssembly.Module(bytes)};",
  ],
  [
    // A snapshot gives a function's index in the table, which then need not be searched.
    "var updateGOT=",
    "var placed=(name,func,sig)=>{var at=Module.addresses?.[name];if(at===undefined)return addFunction(func,sig);" +
      "wasmTableMirror.length||=wasmTable.length;Module.ownFunctions??=wasmTable.length;" +
      "if(at>=wasmTable.length)wasmTable.grow(at+1-wasmTable.length);" +
      "if(at>=Module.ownFunctions&&!wasmTableMirror[at])" +
      "setWasmTableEntry(at,sig?convertJsFunctionToWasm(func,sig):func);return at};var updateGOT=",
  ],
  ["newValue=addFunction(value)}", "newValue=placed(symName,value)}"],
  ["entry.value=addFunction(value,value.sig)", "entry.value=placed(symName,value,value.sig)"],
  [
    // Shared memory is created only for a wait, because browsers warn of it on pages that are not isolated.
    "var oo=new Int32Array(new WebAssembly.Memory({shared:!0,initial:1,maximum:1}).buffer);" +
      "function ao(t){try{return Atomics.wait(oo,0,0,t),!0}",
    "var oo;function ao(t){try{return Atomics.wait(" +
      "oo??=new Int32Array(new WebAssembly.Memory({shared:!0,initial:1,maximum:1}).buffer),0,0,t),!0}",
  ],
  [
    'var applyRelocs=moduleExports["__wasm_apply_data_relocs"];',
    "if(replay)return moduleExports;" + 'var applyRelocs=moduleExports["__wasm_apply_data_relocs"];',
  ],
];

/** sha256 of the known loaders, and of the changed loaders. */
const KNOWN: Readonly<Record<string, string>> = {
  // Pyodide 314.0.3
  "1a9775427ef6e8abaa7db88ece0515422d1886915ae5c9093776410c865dfd8d":
    "5f6a61a4852229eaaea9764893e40b7818924c5e6f1d1638dcbcb7b0d4ad45fb",
};

/** Return the changed loader, or undefined if the loader is not known. */
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
