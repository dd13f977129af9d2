/**
 * A started interpreter as bytes: Python, NumPy, graphattend and its kernels. `graphattend vendor` puts this module beside a
 * Pyodide whose loader tells where side modules lie, and can put them there again; see `patch.ts`.
 */
import type { Boot, Parts } from "./boot.js";
import { reason } from "./errors.js";
import type { Ahead } from "./keep.js";
import type { Pyodide } from "./runtime.js";
import { read, Refusal, toBytes, type Coming, type Header, type Place, type Snapshot } from "./snapshot-format.js";
import type { Store } from "./snapshot-store.js";

export { read } from "./snapshot-format.js";
export { engine, Store } from "./snapshot-store.js";

/** What of Emscripten's module is needed. */
export interface SnapshotModule {
  HEAP8: Int8Array;
  HEAPU32: Uint32Array;
  FS: {
    mkdirTree(path: string): void;
    lookupPath(path: string): { node: FileNode };
    readdir(path: string): string[];
    stat(path: string): { mode: number };
    isDir(mode: number): boolean;
    readFile(path: string): Uint8Array;
  };
  API: { serializeHiwireState(): object; [more: string]: unknown };
  __PyRuntime: number;
  __PyEM_EMSCRIPTEN_TRAMPOLINE_OFFSET: number;
  sideModules?: SideModules;
}

/** A file or folder in memory. */
interface FileNode {
  contents: unknown;
  usedBytes: number;
  node_ops: { mknod(parent: FileNode, name: string, mode: number, device: number): FileNode };
}

interface Library {
  name: string;
  exports: Record<string, unknown>;
}

/** What the patched loader gives out. */
interface SideModules {
  loaded: Place[];
  replay: Place | undefined;
  table: WebAssembly.Table;
  GOT: Record<string, WebAssembly.Global>;
  libraries(): Library[];
  add(name: string, handle: number | undefined, exports: unknown): void;
  load(module: WebAssembly.Module, flags: object, name: string, scope: object, handle: number): unknown;
  set(at: number, value: unknown): void;
  grow(bytes: number): void;
}

/** How a start with snapshots ended: "used", "vendored" (made by vendor), "none" (yet), or why there can be none. */
export interface Revived {
  python?: Pyodide;
  state: string;
}

const PAGE = 4096;
const FILES = "/lib";
/** A file that all may read and write. */
const FILE = 0o100666;
/** What a snapshot has to have in it. */
export const PREPARE = `
import gc, importlib, json, pkgutil, random, tempfile, numpy.fft, numpy.linalg, numpy.random
import graphattend.functional, graphattend.geometry, graphattend.graph, graphattend.mechanisms
import graphattend._bridge as bridge
for found in pkgutil.iter_modules(graphattend.mechanisms.__path__, "graphattend.mechanisms."):
    importlib.import_module(found.name)
bridge.call(json.dumps({"op": "start", "args": [True]}))
del found
gc.collect()
`;

/** Answers that tell whether all of it works. */
export const CHECK = `
import json, numpy as np, graphattend
x = np.linspace(-0.1, 0.1, 64, dtype=np.float32).reshape(8, 8)
json.dumps([
    [np.asarray(graphattend.create(key, 8).forward(x[0], x, x)).tolist() for key in ("flash", "multi_head", "hyperbolic", "linear")],
    np.linalg.svd(x)[1].tolist(), np.fft.fft(x[0]).real.tolist(), np.random.default_rng(0).normal(size=3).tolist(),
    graphattend.backend_info()["backend"],
])
`;

type Starter = (parts: Boot) => Promise<Pyodide>;
type Engine = Pick<Parts, "factory" | "wasm">;

/** Start from the snapshot that this engine left, else from vendor's, if there is one that works. */
export async function revive(
  store: Store,
  boot: Starter,
  engine: Promise<Engine>,
  parts: Omit<Boot, keyof Engine>,
  vendored: () => Promise<Uint8Array | undefined>,
  ahead: Ahead | undefined,
): Promise<Revived> {
  const own = await (ahead?.name === store.name ? ahead.found : store.load());
  const source = own ?? (await vendored());
  if (source === undefined) return { state: "none" };
  const coming = read(source);
  const given = { ...parts, ...(await engine) };
  try {
    const python = await start(boot, given, coming, own === undefined);
    return { python, state: own === undefined ? "vendored" : "used" };
  } catch (error) {
    if (own === undefined) return { state: "none" };
    if (error instanceof Refusal) return { state: error.message };
    // What is damaged can be made again; what cannot be put back is not tried again.
    const state = reason(error);
    const whole = await coming.all.then(
      () => true,
      () => false,
    );
    await (whole ? store.save(state) : store.remove(true)).catch(() => undefined);
    return { state: whole ? state : "none" };
  }
}

/** An interpreter from a snapshot; `elsewhere` where another engine took it, so that this one may run faster kernels. */
export async function start(boot: Starter, parts: Boot, { header, all }: Coming, elsewhere: boolean): Promise<Pyodide> {
  const python = await boot({
    ...parts,
    addresses: (await header).globals,
    restore: async (module) => restore(module, await all),
  });
  // Not by `runPython`, for which the engine would have to compile Python's own compiler.
  const bridge = python.pyimport("graphattend._bridge");
  (bridge["restored"] as (elsewhere: boolean) => void)(elsewhere);
  bridge.destroy();
  return python;
}

function sideModules(module: SnapshotModule): SideModules {
  if (module.sideModules === undefined) throw new Error("this Pyodide's loader is not the one that vendor writes");
  return module.sideModules;
}

/** The slot for Python's calls into C, which depends on what the engine can. */
const trampoline = (module: SnapshotModule): number =>
  (module.__PyRuntime + module.HEAPU32[module.__PyEM_EMSCRIPTEN_TRAMPOLINE_OFFSET >>> 2]!) >>> 2;

/** The interpreter as it is now. No call may run in it. */
export function take(module: SnapshotModule): Uint8Array {
  const side = sideModules(module);
  const owners = new Map<unknown, [string, string]>();
  for (const { name, exports } of side.libraries()) {
    for (const [symbol, value] of Object.entries(exports))
      if (typeof value === "function" && !owners.has(value)) owners.set(value, [name, symbol]);
  }
  const places = side.loaded;
  const first = Math.min(...places.map((place) => place.tableBase));
  const slots: Header["slots"] = [];
  for (let at = first; at < side.table.length; at++) {
    const value: unknown = side.table.get(at);
    if (value === null || places.some((p) => at >= p.tableBase && at < p.tableBase + p.tableSize)) continue;
    const owner = owners.get(value);
    if (owner === undefined) throw new Error(`nobody knows the function at ${at}`);
    slots.push([at, ...owner]);
  }
  const files = listing(module.FS, FILES).map((path): [string, Uint8Array] => [path, module.FS.readFile(path)]);
  const runs = notZero(module.HEAPU32);
  const header: Header = {
    places,
    table: side.table.length,
    slots,
    memory: module.HEAP8.length,
    runs,
    objects: module.API.serializeHiwireState(),
    globals: Object.fromEntries(Object.entries(side.GOT).map(([name, global]) => [name, global.value as number])),
    files: files.map(([path, data]) => [path, data.length]),
  };
  return toBytes(header, [
    ...runs.map(([from, to]) => module.HEAP8.subarray(from, to)),
    ...files.map(([, data]) => data),
  ]);
}

function notZero(heap: Uint32Array): Header["runs"] {
  const runs: Header["runs"] = [];
  for (let at = 0; at < heap.length; at += PAGE / 4) {
    if (heap.subarray(at, at + PAGE / 4).every((word) => word === 0)) continue;
    const last = runs.at(-1);
    if (last?.[1] === at * 4) last[1] += PAGE;
    else runs.push([at * 4, at * 4 + PAGE]);
  }
  return runs;
}

function listing(fs: SnapshotModule["FS"], folder: string): string[] {
  return fs
    .readdir(folder)
    .filter((name) => name !== "." && name !== "..")
    .flatMap((name) => {
      const path = `${folder}/${name}`;
      return fs.isDir(fs.stat(path).mode) ? listing(fs, path) : [path];
    });
}

/** Put a snapshot into a module whose Python has not started; what `finalizeBootstrap` takes. */
export function restore(module: SnapshotModule, snapshot: Snapshot): object {
  const side = sideModules(module);
  const { table } = side;
  const slot = module.HEAPU32[trampoline(module)]!;
  const first = Math.min(...snapshot.places.map((place) => place.tableBase));
  if (table.length > first) throw new Error(`the table has ${table.length} functions, not ${first}`);
  side.grow(snapshot.memory);
  if (module.HEAP8.length !== snapshot.memory)
    throw new Error(`the memory has ${module.HEAP8.length} bytes, not ${snapshot.memory}`);
  table.grow(snapshot.table - table.length);
  snapshot.places.forEach((place, i) => {
    side.replay = place;
    try {
      side.add(
        place.name,
        place.handle || undefined,
        side.load(snapshot.modules[i]!, { global: false, nodelete: true, allowUndefined: true }, place.name, {}, 0),
      );
    } finally {
      side.replay = undefined;
    }
  });
  const libraries = new Map(side.libraries().map(({ name, exports }) => [name, exports]));
  for (const [at, library, symbol] of snapshot.slots) {
    const value = libraries.get(library)?.[symbol];
    if (typeof value !== "function") throw new Error(`${library} has no ${symbol}`);
    side.set(at, value);
  }
  for (const [name, value] of Object.entries(snapshot.globals)) {
    const global = (side.GOT[name] ??= new WebAssembly.Global({ value: "i32", mutable: true }));
    if (global.value !== value) global.value = value;
  }
  let end = 0;
  for (const [start, data] of snapshot.runs) {
    clear(module.HEAPU32, end, start);
    module.HEAP8.set(data, start);
    end = start + data.length;
  }
  clear(module.HEAPU32, end, snapshot.memory);
  module.HEAPU32[trampoline(module)] = slot;
  writeFiles(module.FS, snapshot.files);
  return snapshot.objects;
}

/** New files in memory. `FS.writeFile` would look up every path from the root three times. */
function writeFiles(fs: SnapshotModule["FS"], files: Snapshot["files"]): void {
  const folders = new Map<string, FileNode>();
  for (const [path, data] of files) {
    const end = path.lastIndexOf("/"),
      folder = path.slice(0, end);
    let parent = folders.get(folder);
    if (parent === undefined) {
      fs.mkdirTree(folder);
      folders.set(folder, (parent = fs.lookupPath(folder).node));
    }
    const node = parent.node_ops.mknod(parent, path.slice(end + 1), FILE, 0);
    node.contents = data;
    node.usedBytes = data.length;
  }
}

/** Zeros where nearly all are zero. Pages that nobody has written to take neither memory nor time, and stay like that. */
function clear(heap: Uint32Array, from: number, to: number): void {
  for (let at = from >>> 2; at < to >>> 2; at++) if (heap[at] !== 0) heap[at] = 0;
}
