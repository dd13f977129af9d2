import { boot, install, type Lock, type LockedPackage, type Parts } from "./boot.js";
import { AttentionError, reason } from "./errors.js";
import { fileError, Files, isURL, SERVE } from "./files.js";
import { lookAhead, make, openKeeper, record, snapshotsOf, unpack, VENDORED, type Ahead, type Keeper } from "./keep.js";
import { filePath, isNode, nodeModule } from "./platform.js";
import type { Progress, RuntimeOptions } from "./types.js";

export const PYODIDE_VERSION = "314.0.3";
const LOCK = "pyodide-lock.json";
export const CDN = `https://cdn.jsdelivr.net/pyodide/v${PYODIDE_VERSION}/full/`;

/** The part of Pyodide's interface that is used. */
export interface Proxy {
  destroy(): void;
  [name: string]: unknown;
}
export interface Pyodide {
  pyimport(name: string): Proxy;
  unpackArchive(data: Uint8Array, format: string, options: { extractDir: string }): void;
  setInterruptBuffer(buffer: Uint8Array | undefined): void;
  runPython(code: string): unknown;
  readonly _module: object;
}

type Report = (progress: Progress) => void;

/** Load Pyodide, NumPy and graphattend. All files are fetched at once. */
export async function loadRuntime(options: RuntimeOptions, report: Report): Promise<Pyodide> {
  return load(options, report, async (files, indexURL, given) => {
    const { lock, engine } = given;
    const snapshot = options.snapshot === true ? await fromSnapshot(files, indexURL, given, options) : undefined;
    if (snapshot !== undefined) return snapshot;
    const { stdlib, wheels } = await given.rest();
    // Python boots without reporting any progress.
    const python = await boot({ ...(await engine), stdlib, lock, indexURL });
    files.phase = "packages";
    files.tell();
    for (const [file, data] of wheels) {
      if (file.startsWith("graphattend")) files.phase = "graphattend";
      files.tell(file);
      install(python, data);
    }
    return python;
  });
}

async function fromSnapshot(
  files: Files,
  indexURL: string,
  { lock, engine, ahead }: Given,
  options: RuntimeOptions,
): Promise<Pyodide | undefined> {
  try {
    const sha256 = lock.files?.[VENDORED]?.sha256;
    const take = async (): Promise<Uint8Array | undefined> =>
      sha256 === undefined || savesData()
        ? undefined
        : files
            .bytes(indexURL + VENDORED, { kind: "gzip", sha256 })
            .then(unpack)
            .catch(() => undefined);
    // A first visit has no other snapshot.
    const early = isNode || ahead !== undefined ? undefined : take();
    const { snapshots, store } = await keeperOf(indexURL, lock, options);
    const { python, state } = await snapshots.revive(
      store,
      boot,
      engine,
      { lock, indexURL },
      async () => early ?? take(),
      ahead,
    );
    files.snapshot = state;
    for (const phase of python === undefined ? [] : (["packages", "graphattend"] as const)) {
      files.phase = phase;
      files.tell();
    }
    return python;
  } catch (error) {
    await engine; // if the engine has failed, so has the start
    files.snapshot = reason(error);
    return undefined;
  }
}

/** Whether the user wants to save data; the snapshot is larger than the files it replaces. */
const savesData = (): boolean =>
  (globalThis.navigator as { connection?: { saveData?: boolean } } | undefined)?.connection?.saveData === true;

function keeperOf(indexURL: string, lock: Lock, options: RuntimeOptions): Promise<Keeper> {
  if (options.wheelURL !== undefined) throw new Error("not with a wheelURL");
  return openKeeper(indexURL, lock);
}

/** Make the snapshot for later starts with these options. */
export async function makeSnapshot(options: RuntimeOptions): Promise<void> {
  await load(
    options,
    () => undefined,
    async (_files, indexURL, { lock, engine, rest }) => {
      const { stdlib, wheels } = await rest();
      await make(
        await keeperOf(indexURL, lock, options),
        { ...(await engine), stdlib, lock, indexURL },
        wheels.map(([, data]) => data),
      );
    },
  );
}

/** Make a snapshot of the contents of a folder. */
export async function recordSnapshot(folder: string): Promise<Uint8Array> {
  return load(
    { indexURL: folder },
    () => undefined,
    async (_files, indexURL, { lock, engine, rest }) => {
      const { stdlib, wheels } = await rest();
      return record(
        await snapshotsOf(indexURL),
        { ...(await engine), stdlib, lock, indexURL },
        wheels.map(([, data]) => data),
      );
    },
  );
}

async function load<T>(
  options: RuntimeOptions,
  report: Report,
  use: (files: Files, indexURL: string, given: Given) => Promise<T>,
): Promise<T> {
  probe();
  const stop = new AbortController();
  const files = new Files(report, stop.signal);
  try {
    const indexURL = await findIndex(options.indexURL);
    files.tell();
    return await use(files, indexURL, await gather(files, indexURL, options));
  } catch (error) {
    stop.abort();
    if (error instanceof AttentionError) throw error;
    throw new AttentionError("startup_failed", `Python could not be started: ${reason(error)}`, { cause: error });
  }
}

/** The files of a start, which are being fetched. */
interface Given {
  lock: Lock;
  engine: Promise<Pick<Parts, "factory" | "wasm">>;
  ahead: Ahead | undefined;
  /** Fetch the files that a snapshot replaces. */
  rest(): Promise<{ stdlib: Uint8Array; wheels: [file: string, data: Uint8Array][] }>;
}

const quiet = <T>(promise: Promise<T>): Promise<T> => {
  promise.catch(() => undefined); // reported where it is awaited
  return promise;
};

/** Begin to fetch all files at once; if there is a snapshot, without the files that it replaces. */
async function gather(files: Files, indexURL: string, options: RuntimeOptions): Promise<Given> {
  const lockURL =
    options.lockFileURL === undefined
      ? `${indexURL}${LOCK}`
      : isNode
        ? await filePath(options.lockFileURL)
        : new URL(options.lockFileURL, globalThis.location.href).href;
  const wheelOf = async (url: string): Promise<[string, Uint8Array]> => [
    "graphattend-0-py3-none-any.whl",
    await files.bytes(isNode || isURL(url) ? url : new URL(url, globalThis.location.href).href, { kind: "zip" }),
  ];
  const looking = options.snapshot === true ? lookAhead(indexURL).catch(() => undefined) : undefined;
  const explicit = options.wheelURL === undefined ? undefined : quiet(wheelOf(options.wheelURL));
  const reading = quiet(files.bytes(lockURL, { kind: "json" }).then((data) => parseLock(lockURL, data)));
  // The hashes of Pyodide's files, if vendor wrote the lock file.
  const expected = async (name: string): Promise<string | undefined> => (await reading).files?.[name]?.sha256;
  const parts = [
    loadFactory(files, indexURL),
    files.module(`${indexURL}pyodide.asm.wasm`, { kind: "wasm", sha256: quiet(expected("pyodide.asm.wasm")) }),
  ] as const;
  const engine = quiet(Promise.all(parts).then(([factory, wasm]) => ({ factory, wasm })));
  const library = (): Promise<Uint8Array> =>
    quiet(files.bytes(`${indexURL}python_stdlib.zip`, { kind: "zip", sha256: quiet(expected("python_stdlib.zip")) }));
  const early = options.snapshot === true ? undefined : library();
  const lock = await reading;
  if (options.numpy === "simd" && !lock.packages["numpy"]?.version?.includes("+simd")) {
    throw fileError(
      lockURL,
      `its NumPy is ${lock.packages["numpy"]?.version ?? "missing"}, not the WASM-SIMD build`,
      "run `npx graphattend vendor DIR --numpy-simd WHEEL` and give DIR as indexURL",
    );
  }
  const base = lockURL.replace(/[^\\/]*$/, "");
  const locked = async (entry: LockedPackage): Promise<[string, Uint8Array]> => [
    entry.file_name,
    await lockedWheel(files, base, entry),
  ];
  const rest: Given["rest"] = async () => {
    const own = lock.packages["graphattend"];
    const all = [
      ...dependencies(lock, "numpy", lockURL).map(locked),
      explicit ?? (own === undefined ? wheelOf(options.bundledWheelURL!) : locked(own)),
    ];
    // A missing file ends the start before Python boots.
    const [stdlib, wheels] = await Promise.all([early ?? library(), Promise.all(all), engine]);
    return { stdlib, wheels };
  };
  const ahead = await looking;
  const hasSnapshot =
    options.snapshot === true && (isNode || lock.files?.[VENDORED] !== undefined || ahead !== undefined);
  if (hasSnapshot) return { lock, engine, ahead, rest };
  const given = quiet(rest());
  return { lock, engine, ahead, rest: () => given };
}

async function lockedWheel(
  files: Files,
  base: string,
  { name, file_name, sha256 }: LockedPackage,
): Promise<Uint8Array> {
  const address = isURL(file_name) ? file_name : base + file_name;
  try {
    return await files.bytes(address, { kind: "zip", sha256 });
  } catch (error) {
    if (!isNode || isURL(address) || (error as { cause?: { code?: string } }).cause?.code !== "ENOENT") throw error;
  }
  // npm's pyodide has no packages: they are fetched once and saved in its folder if it is writable.
  const cdn = CDN.replace(PYODIDE_VERSION, await versionIn(base));
  const data = await files.bytes(cdn + file_name, { kind: "zip", sha256 }).catch((error: unknown) => {
    throw fileError(
      address,
      `no such file, and Pyodide's CDN is out of reach (${reason(error)})`,
      `npm's pyodide has no ${name}: run \`npx graphattend vendor DIR\` where the network allows it and give DIR as indexURL`,
      error,
    );
  });
  await (await nodeModule("node:fs/promises")).writeFile(address, data).catch(() => undefined);
  return data;
}

/** Return the version of npm's pyodide in a folder. */
export async function versionIn(folder: string): Promise<string> {
  const text = await (await nodeModule("node:fs/promises")).readFile(`${folder}package.json`, "utf8").catch(() => "{}");
  return (JSON.parse(text) as { version?: string }).version ?? PYODIDE_VERSION;
}

function parseLock(address: string, data: Uint8Array): Lock {
  try {
    const lock = JSON.parse(new TextDecoder().decode(data)) as Lock;
    if (typeof lock.packages !== "object" || typeof lock.info !== "object") throw new Error("no packages in it");
    return lock;
  } catch (error) {
    throw fileError(address, `not a lock file of Pyodide (${reason(error)})`, SERVE, error);
  }
}

/** Return a package and its dependencies; dependencies come first. */
function dependencies(lock: Lock, name: string, address: string, found: LockedPackage[] = []): LockedPackage[] {
  const entry = lock.packages[name];
  if (entry === undefined) throw fileError(address, `the lock file does not know ${name}`, SERVE);
  for (const other of entry.depends)
    if (!found.some((e) => e.name === other)) dependencies(lock, other, address, found);
  if (!found.includes(entry)) found.push(entry);
  return found;
}

async function loadFactory(files: Files, indexURL: string): Promise<Parts["factory"]> {
  const address = `${indexURL}pyodide.asm.mjs`;
  const entry = isNode ? (await nodeModule("node:url")).pathToFileURL(address).href : address;
  try {
    return ((await import(/* webpackIgnore: true */ /* @vite-ignore */ entry)) as { default: Parts["factory"] })
      .default;
  } catch (error) {
    if (isNode && (error as { code?: string }).code !== "ERR_MODULE_NOT_FOUND") throw error;
    throw await files.diagnose(address, error);
  }
}

/** Throw if WebAssembly is blocked, because Pyodide's start would hang silently. */
function probe(): void {
  try {
    new WebAssembly.Module(Uint8Array.of(0, 97, 115, 109, 1, 0, 0, 0));
  } catch (error) {
    throw new AttentionError(
      "startup_failed",
      "WebAssembly is blocked here: allow it with script-src 'wasm-unsafe-eval' in the Content-Security-Policy",
      {
        cause: error,
      },
    );
  }
}

async function findIndex(given: string | undefined): Promise<string> {
  if (!isNode) return new URL(given ?? CDN, globalThis.location.href).href.replace(/\/?$/, "/");
  let folder = given;
  if (folder === undefined) {
    try {
      folder = await npmPyodide();
    } catch (error) {
      throw new AttentionError(
        "startup_failed",
        "Node.js needs Pyodide on disk: `npm install pyodide`, or give indexURL a folder made by `npx graphattend vendor`",
        {
          cause: error,
        },
      );
    }
  }
  const path = await filePath(folder);
  if (/^https?:/.test(path)) {
    throw new AttentionError("startup_failed", `indexURL: expected a folder in Node.js, got ${path}`, {
      argument: "indexURL",
    });
  }
  return path.replace(/[\\/]?$/, "/");
}

/** Return the folder of npm's pyodide, without `import.meta.resolve`, which bundlers for browsers would follow. */
export async function npmPyodide(): Promise<string> {
  const path = (await nodeModule("node:module"))
    .createRequire(import.meta.url ?? `${process.cwd()}/`)
    .resolve("pyodide");
  return path.replace(/[^\\/]*$/, "");
}
