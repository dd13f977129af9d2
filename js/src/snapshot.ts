/**
 * A started interpreter as bytes: Python, NumPy, graphattend and its kernels. `graphattend vendor` puts this module beside a
 * Pyodide whose loader tells where side modules lie, and can put them there again; see `patch.ts`.
 */
import type { Boot, Parts } from "./boot.js";
import { reason } from "./errors.js";
import type { Ahead } from "./keep.js";
import { isNode, nodeModule } from "./platform.js";
import type { Pyodide } from "./runtime.js";

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

/** A side module's place, as the patched loader notes it. */
interface Place {
  name: string;
  memoryBase: number;
  tableBase: number;
  tableSize: number;
  handle: number;
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

interface Header {
  places: Place[];
  /** How long the table of functions is, and which of a library's functions lie outside its own part of it. */
  table: number;
  slots: [at: number, library: string, symbol: string][];
  globals: Record<string, number>;
  /** Objects of JavaScript that Python holds. */
  objects: object;
  memory: number;
  /** What of the memory is not zero, page by page. */
  runs: [start: number, end: number][];
  files: [path: string, size: number][];
}

interface Snapshot extends Omit<Header, "files" | "runs"> {
  runs: [start: number, data: Uint8Array][];
  files: [path: string, data: Uint8Array][];
  modules: WebAssembly.Module[];
}

/** A snapshot on its way: with the header an engine can begin to start, while the rest is read and compiled. */
export interface Coming {
  header: Promise<Header>;
  all: Promise<Snapshot>;
}

/** How a start with snapshots ended: "used", "vendored" (made by vendor), "none" (yet), or why there can be none. */
export interface Revived {
  python?: Pyodide;
  state: string;
}

const PAGE = 4096;
const MAGIC = "graphattend snapshot 1\n";
/** After the name of the format come sums of all that follows, in four numbers, and the length of the header. */
const SUMS = 32,
  PRELUDE = 52;
const FILES = "/lib";
/** A file that all may read and write. */
const FILE = 0o100666;
const NAME = "graphattend-snapshots";
const LENGTH = "content-length";

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
  const text = new TextEncoder().encode(JSON.stringify(header));
  const start = align(PRELUDE + text.length);
  const parts = [...runs.map(([from, to]) => module.HEAP8.subarray(from, to)), ...files.map(([, data]) => data)];
  const out = new Uint8Array(align(parts.reduce((sum, { length }) => sum + length, start)));
  out.set(new TextEncoder().encode(MAGIC));
  new Uint32Array(out.buffer)[PRELUDE / 4 - 1] = text.length;
  out.set(text, PRELUDE);
  let at = start;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  new Uint32Array(out.buffer).set(sums(out), SUMS / 4);
  return out;
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

const align = (bytes: number): number => Math.ceil(bytes / 16) * 16;

/**
 * Whether a storage has given back what it was given: four sums over the words. A cryptographic hash would take longer than
 * all the rest, and who can write there can run code in the page anyway.
 */
function sums(data: Uint8Array): Uint32Array {
  const words = new Uint32Array(data.buffer, data.byteOffset, data.length >>> 2);
  let a = 1,
    b = 2,
    c = 3,
    d = 4;
  for (let at = PRELUDE / 4 - 1; at + 3 < words.length; at += 4) {
    a = (Math.imul(a, 31) + words[at]!) | 0;
    b = (Math.imul(b, 31) + words[at + 1]!) | 0;
    c = (Math.imul(c, 31) + words[at + 2]!) | 0;
    d = (Math.imul(d, 31) + words[at + 3]!) | 0;
  }
  return Uint32Array.of(a, b, c, d);
}

/** Why there can be no snapshot, where that is what was kept. */
class Refusal extends Error {}

/** Read what `take` wrote, and compile its side modules. */
export function read(source: Uint8Array | Response): Coming {
  const { head, data } = source instanceof Uint8Array ? { head: source, data: source } : arriving(source);
  const header = Promise.resolve(head).then(headerOf);
  const all = header.then(async (known) => parse(known, await data));
  for (const promise of [header, all]) promise.catch(() => undefined); // reported where they are awaited
  return { header, all };
}

/** The bytes of a response in one block, and of these already the header as soon as it is there. */
function arriving(response: Response): Record<"head" | "data", Promise<Uint8Array>> {
  let begun: (head: Uint8Array) => void;
  const first = new Promise<Uint8Array>((resolve) => (begun = resolve));
  const fill = async (): Promise<Uint8Array> => {
    const size = Number(response.headers.get(LENGTH)),
      reader = size > 0 ? blockReader(response) : undefined;
    if (reader === undefined) return new Uint8Array(await response.arrayBuffer());
    let out = new Uint8Array(size),
      isAhead = true;
    for (let at = 0; at < size;) {
      const { done, value } = await reader.read(out.subarray(at));
      if (value === undefined) throw new Error("it cannot be read");
      out = new Uint8Array(value.buffer);
      at += value.length;
      if (done) return out.subarray(0, at);
      if (isAhead && at >= PRELUDE && at >= textEnd(out)) {
        isAhead = false;
        begun(out.slice(0, textEnd(out)));
      }
    }
    return out;
  };
  const data = fill();
  return { head: Promise.race([first, data]), data };
}

/** A reader that fills a block of ours, where the engine has one: this takes half the time of `arrayBuffer`. */
function blockReader(response: Response): ReadableStreamBYOBReader | undefined {
  try {
    return response.body?.getReader({ mode: "byob" });
  } catch {
    return undefined;
  }
}

/** The place after the header's text. */
const textEnd = (data: Uint8Array): number =>
  PRELUDE + new Uint32Array(data.buffer, data.byteOffset, PRELUDE / 4).at(-1)!;

const damaged = (error: unknown): Error => new Error(`a damaged snapshot (${String(error)})`, { cause: error });

function headerOf(data: Uint8Array): Header {
  const text = (from: number, to: number): string => new TextDecoder().decode(data.subarray(from, to));
  if (text(0, REFUSED.length) === REFUSED) throw new Refusal(text(REFUSED.length, data.length));
  if (data.length < PRELUDE || text(0, MAGIC.length) !== MAGIC) throw new Error("not a snapshot");
  try {
    return JSON.parse(text(PRELUDE, textEnd(data))) as Header;
  } catch (error) {
    throw damaged(error);
  }
}

async function parse(header: Header, data: Uint8Array): Promise<Snapshot> {
  try {
    let at = align(textEnd(data));
    const runs = header.runs.map(([from, to]): [number, Uint8Array] => [from, data.subarray(at, (at += to - from))]);
    const files = header.files.map(([path, size]): [string, Uint8Array] => [path, data.subarray(at, (at += size))]);
    const named = new Map(files);
    const compiling = Promise.all(
      header.places.map(({ name }) => WebAssembly.compile(named.get(name) as Uint8Array<ArrayBuffer>)),
    );
    compiling.catch(() => undefined); // the sums say more; taken meanwhile
    const words = new Uint32Array(data.buffer, data.byteOffset, PRELUDE / 4);
    if (data.length % 16 !== 0 || !sums(data).every((sum, i) => sum === words[SUMS / 4 + i]))
      throw new Error("its sums are others");
    return { ...header, runs, files, modules: await compiling };
  } catch (error) {
    throw damaged(error);
  }
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

/** This engine: the snapshot of one is nothing to another. */
export function engine(): string {
  // V8's flags change what WebAssembly can, and a worker is not told of them.
  const relaxed = WebAssembly.validate(RELAXED) ? "relaxed" : "";
  return isNode ? `${process.version} ${process.arch} ${process.platform} ${relaxed}` : navigator.userAgent;
}

/** A module with one instruction of relaxed SIMD. */
const RELAXED = Uint8Array.of(
  ...[0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 15, 1, 13, 0],
  ...[65, 1, 253, 15, 65, 2, 253, 15, 253, 128, 2, 11],
);

/** Where snapshots of one folder are kept: the page's Cache Storage, or files in the folder. */
export class Store {
  private constructor(
    private readonly folder: string,
    private readonly prefix: string,
    private readonly key: string,
  ) {}

  /** `content` says what is in the snapshot. */
  static async open(folder: string, content: string): Promise<Store> {
    const hash = async (text: string): Promise<string> =>
      Array.from(new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text))), (b) =>
        b.toString(16).padStart(2, "0"),
      ).join("");
    // In Node.js several engines may share a folder; a browser that has another name has been updated.
    const prefix = `${NAME}-${isNode ? `${await hash(engine())}-` : ""}`;
    return new Store(folder, prefix, prefix + (await hash(`${MAGIC}${engine()}\n${content}`)));
  }

  get name(): string {
    return this.folder + this.key;
  }

  async load(): Promise<Uint8Array | Response | undefined> {
    if (isNode) {
      const { readFile } = await nodeModule("node:fs/promises");
      return readFile(this.name).then(
        (data) => new Uint8Array(data.buffer, data.byteOffset, data.length),
        () => undefined,
      );
    }
    return (await caches.open(NAME)).match(this.name);
  }

  /** Keep a snapshot, or a short text that says why there can be none, in place of what is there. */
  async save(data: Uint8Array | string): Promise<void> {
    const bytes = (
      typeof data === "string" ? new TextEncoder().encode(`${REFUSED}${data}`) : data
    ) as Uint8Array<ArrayBuffer>;
    if (isNode) {
      const { rename, writeFile } = await nodeModule("node:fs/promises");
      const draft = `${this.name}.${process.pid}-${Math.random().toString(36).slice(2)}`;
      await writeFile(draft, bytes);
      await rename(draft, this.name);
    } else {
      await (await caches.open(NAME)).put(this.name, new Response(bytes, { headers: { [LENGTH]: `${bytes.length}` } }));
    }
    await this.remove(false);
  }

  /** Remove the snapshots of this folder that nothing can use any more, and this one if so wanted. */
  async remove(all: boolean): Promise<void> {
    if (isNode) {
      const { readdir, rm } = await nodeModule("node:fs/promises");
      for (const name of await readdir(this.folder))
        if (name.startsWith(this.prefix) && (all || !name.startsWith(this.key)))
          await rm(this.folder + name, { force: true });
      return;
    }
    const cache = await caches.open(NAME);
    for (const { url } of await cache.keys())
      if (url.startsWith(this.folder + this.prefix) && (all || url !== this.name)) await cache.delete(url);
  }

  /** Let only one thread of all the pages make it. */
  async alone(make: () => Promise<void>): Promise<void> {
    if (isNode || !("locks" in navigator)) return make();
    return navigator.locks.request(this.name, { ifAvailable: true }, async (lock) =>
      lock === null ? undefined : make(),
    );
  }
}

const REFUSED = "graphattend has no snapshot: ";
