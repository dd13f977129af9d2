import { boot, install, type Lock, type Parts } from "./boot.js";
import { reason } from "./errors.js";
import { isNode, nodeModule } from "./platform.js";
import { VERSION } from "./version.js";

type Snapshots = typeof import("./snapshot.js");
type Store = Awaited<ReturnType<Snapshots["Store"]["open"]>>;
type Wheels = readonly Uint8Array[];

/** The store of a folder's snapshots, and the module in the folder that reads and writes them. */
export interface Keeper {
  snapshots: Snapshots;
  store: Store;
}

/** Name of the module in the folders that vendor writes, beside the loader that it needs. */
export const SNAPSHOTS = "snapshot.mjs";

/** The compressed snapshot that vendor made. It is not named .gz, because some servers would send it with a content encoding. */
export const VENDORED = "snapshot.bin";

export async function unpack(data: Uint8Array): Promise<Uint8Array> {
  const stream = new Blob([data as Uint8Array<ArrayBuffer>]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/** A folder's snapshot of an earlier visit, which is being read; its name shows whether it fits the lock file. */
export interface Ahead {
  name: string;
  found: Promise<Response | undefined>;
}

const CACHE = "graphattend-snapshots";

/** Begin to read the snapshot of an earlier visit, the largest part, while the lock file and the engine are fetched. */
export async function lookAhead(indexURL: string): Promise<Ahead | undefined> {
  if (isNode || !(await caches.has(CACHE))) return undefined;
  const cache = await caches.open(CACHE);
  const found = (await cache.keys()).find(({ url }) => url.startsWith(`${indexURL}${CACHE}-`));
  if (found === undefined) return undefined;
  void snapshotsOf(indexURL).catch(() => undefined); // the module that reads it
  return { name: found.url, found: cache.match(found) };
}

/** Import the snapshot module from Pyodide's folder. */
export async function snapshotsOf(indexURL: string): Promise<Snapshots> {
  const address = indexURL + SNAPSHOTS;
  const entry = isNode ? (await nodeModule("node:url")).pathToFileURL(address).href : address;
  return (await import(/* webpackIgnore: true */ /* @vite-ignore */ entry)) as Snapshots;
}

export async function openKeeper(indexURL: string, lock: Lock): Promise<Keeper> {
  if (lock.files?.[SNAPSHOTS] === undefined)
    throw new Error("needs a folder that this version's `npx graphattend vendor` wrote");
  if (!isNode && globalThis.caches === undefined) throw new Error("needs a secure context: https, or localhost");
  const snapshots = await snapshotsOf(indexURL);
  return { snapshots, store: await snapshots.Store.open(indexURL, VERSION + JSON.stringify(lock)) };
}

/** Make a snapshot with a new interpreter, so that it contains no data of the user. */
export async function make({ snapshots, store }: Keeper, parts: Parts, wheels: Wheels): Promise<void> {
  await store.alone(async () => {
    if ((await store.load()) !== undefined) return;
    await store.save(await record(snapshots, parts, wheels).catch(reason));
  });
}

/** Return a snapshot of a new interpreter; throws unless the restored interpreter gives the same answers. */
export async function record(snapshots: Snapshots, parts: Parts, wheels: Wheels): Promise<Uint8Array> {
  const python = await boot({ ...parts, recording: true });
  for (const wheel of wheels) install(python, wheel);
  python.runPython(snapshots.PREPARE);
  const result = snapshots.take(python._module as never);
  const again = await snapshots.start(boot, parts, snapshots.read(result), false);
  const [expected, found] = [python, again].map((one) => one.runPython(snapshots.CHECK) as string);
  if (found !== expected) throw new Error(`a restored interpreter answers ${found}, not ${expected}`);
  return result;
}
