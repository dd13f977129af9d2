import { boot, install, type Lock, type LockedPackage, type Parts } from "./boot.js";
import { AttentionError, reason } from "./errors.js";
import { fileError, Files, isURL, SERVE } from "./files.js";
import { filePath, isNode, nodeModule } from "./platform.js";
import type { Progress, RuntimeOptions } from "./types.js";

export const PYODIDE_VERSION = "314.0.3";
const LOCK = "pyodide-lock.json";
export const CDN = `https://cdn.jsdelivr.net/pyodide/v${PYODIDE_VERSION}/full/`;

/** The little of Pyodide's interface that is used here. */
export interface Proxy {
  destroy(): void;
  [name: string]: unknown;
}
export interface Pyodide {
  pyimport(name: string): Proxy;
  unpackArchive(data: Uint8Array, format: string, options: { extractDir: string }): void;
  setInterruptBuffer(buffer: Uint8Array): void;
  runPython(code: string): unknown;
}

type Report = (progress: Progress) => void;

/** Load Pyodide, NumPy and graphattend: everything is fetched at once, and installed as it comes. */
export async function loadRuntime(options: RuntimeOptions, report: Report): Promise<Pyodide> {
  probe();
  const stop = new AbortController();
  const files = new Files(report, stop.signal);
  try {
    const indexURL = await findIndex(options.indexURL);
    files.tell();
    const [parts, wheels] = await gather(files, indexURL, options);
    // Python boots without telling anything, so a timer does where it can.
    const python = await boot(await parts);
    files.phase = "packages";
    files.tell();
    for (const [file, data] of wheels) {
      const wheel = await data;
      if (file.startsWith("graphattend")) files.phase = "graphattend";
      files.tell(file);
      install(python, wheel);
    }
    return python;
  } catch (error) {
    stop.abort();
    if (error instanceof AttentionError) throw error;
    throw new AttentionError("startup_failed", `Python could not be started: ${reason(error)}`, { cause: error });
  }
}

type Wheels = [file: string, data: Promise<Uint8Array>][];

/** Ask for all files at once. */
async function gather(files: Files, indexURL: string, options: RuntimeOptions): Promise<[Promise<Parts>, Wheels]> {
  const quiet = <T>(promise: Promise<T>): Promise<T> => {
    promise.catch(() => undefined); // reported where it is awaited
    return promise;
  };
  const lockURL = options.lockFileURL === undefined ? `${indexURL}${LOCK}`
    : isNode ? await filePath(options.lockFileURL) : new URL(options.lockFileURL, globalThis.location.href).href;
  const wheelOf = (url: string): [string, Promise<Uint8Array>] =>
    ["graphattend-0-py3-none-any.whl", quiet(files.bytes(isNode || isURL(url) ? url : new URL(url, globalThis.location.href).href, { kind: "zip" }))];
  const explicit = options.wheelURL === undefined ? undefined : wheelOf(options.wheelURL);
  const factory = quiet(loadFactory(files, indexURL));
  const wasm = quiet(files.module(`${indexURL}pyodide.asm.wasm`, { kind: "wasm" }));
  const stdlib = quiet(files.bytes(`${indexURL}python_stdlib.zip`, { kind: "zip" }));
  const lock = parseLock(lockURL, await files.bytes(lockURL, { kind: "json" }));
  const base = lockURL.replace(/[^\\/]*$/, "");
  const wheels: Wheels = dependencies(lock, "numpy", lockURL).map((entry) => [entry.file_name, quiet(lockedWheel(files, base, entry))]);
  const own = lock.packages["graphattend"];
  if (explicit !== undefined) wheels.push(explicit);
  else if (own !== undefined) wheels.push([own.file_name, quiet(lockedWheel(files, base, own))]);
  else wheels.push(wheelOf(options.bundledWheelURL!));
  const parts = Promise.all([factory, wasm, stdlib]).then(([f, w, s]) => ({ factory: f, wasm: w, stdlib: s, lock, indexURL }));
  // One that is missing ends the start, before Python boots in vain.
  const all = Promise.all([parts, ...wheels.map(([, data]) => data)]).then(([p]) => p);
  return [quiet(all), wheels];
}

async function lockedWheel(files: Files, base: string, { name, file_name, sha256 }: LockedPackage): Promise<Uint8Array> {
  const address = isURL(file_name) ? file_name : base + file_name;
  try {
    return await files.bytes(address, { kind: "zip", sha256 });
  } catch (error) {
    if (!isNode || isURL(address) || (error as { cause?: { code?: string } }).cause?.code !== "ENOENT") throw error;
  }
  // npm's pyodide has no packages: they are fetched once and kept beside it, where that is allowed.
  const data = await files.bytes(CDN + file_name, { kind: "zip", sha256 }).catch((error: unknown) => {
    throw fileError(address, `no such file, and Pyodide's CDN is out of reach (${reason(error)})`,
      `npm's pyodide has no ${name}: run \`npx graphattend vendor DIR\` where the network allows it and give DIR as indexURL`, error);
  });
  await (await nodeModule("node:fs/promises")).writeFile(address, data).catch(() => undefined);
  return data;
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

/** A package and what it needs, those first. */
function dependencies(lock: Lock, name: string, address: string, found: LockedPackage[] = []): LockedPackage[] {
  const entry = lock.packages[name];
  if (entry === undefined) throw fileError(address, `the lock file does not know ${name}`, SERVE);
  for (const other of entry.depends) if (!found.some((e) => e.name === other)) dependencies(lock, other, address, found);
  if (!found.includes(entry)) found.push(entry);
  return found;
}

async function loadFactory(files: Files, indexURL: string): Promise<Parts["factory"]> {
  const address = `${indexURL}pyodide.asm.mjs`;
  const entry = isNode ? (await nodeModule("node:url")).pathToFileURL(address).href : address;
  try {
    return (await import(/* webpackIgnore: true */ /* @vite-ignore */ entry) as { default: Parts["factory"] }).default;
  } catch (error) {
    if (isNode && (error as { code?: string }).code !== "ERR_MODULE_NOT_FOUND") throw error;
    throw await files.diagnose(address, error);
  }
}

/** Without WebAssembly Pyodide's start hangs silently, so it is tried first. */
function probe(): void {
  try {
    new WebAssembly.Module(Uint8Array.of(0, 97, 115, 109, 1, 0, 0, 0));
  } catch (error) {
    throw new AttentionError("startup_failed",
      "WebAssembly is blocked here: allow it with script-src 'wasm-unsafe-eval' in the Content-Security-Policy", {
        cause: error,
      });
  }
}

async function findIndex(given: string | undefined): Promise<string> {
  if (!isNode) return new URL(given ?? CDN, globalThis.location.href).href.replace(/\/?$/, "/");
  let folder = given;
  if (folder === undefined) {
    try {
      folder = await npmPyodide();
    } catch (error) {
      throw new AttentionError("startup_failed",
        "Node.js needs Pyodide on disk: `npm install pyodide`, or give indexURL a folder made by `npx graphattend vendor`", {
          cause: error,
        });
    }
  }
  const path = await filePath(folder);
  if (/^https?:/.test(path)) {
    throw new AttentionError("startup_failed", `indexURL: expected a folder in Node.js, got ${path}`, { argument: "indexURL" });
  }
  return path.replace(/[\\/]?$/, "/");
}

/** The folder of npm's pyodide. Not by `import.meta.resolve`, which bundlers for browsers would follow. */
export async function npmPyodide(): Promise<string> {
  const path = (await nodeModule("node:module")).createRequire(import.meta.url).resolve("pyodide");
  return path.replace(/[^\\/]*$/, "");
}
