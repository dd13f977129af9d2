import { AttentionError, reason } from "./errors.js";
import { fileError } from "./files.js";
import { isNode, nodeModule } from "./platform.js";
import type { Pyodide } from "./runtime.js";

/** Everything Pyodide needs, fetched and checked. */
export interface Parts {
  /** Creates the interpreter's module: the default export of `pyodide.asm.mjs`. */
  factory: (settings: object) => Promise<Emscripten>;
  wasm: WebAssembly.Module;
  stdlib: Uint8Array;
  lock: Lock;
  indexURL: string;
}

/** Options of a start of Python. */
export interface Boot extends Omit<Parts, "stdlib"> {
  /** Not needed if a snapshot restores the files. */
  stdlib?: Uint8Array;
  /** Indices, in a snapshot's table, of the functions that Python's libraries share. */
  addresses?: Record<string, number>;
  /** Whether a snapshot will be taken. */
  recording?: boolean;
  /** Restores a snapshot into the module; resolves to the object that the interpreter needs to continue. */
  restore?(module: never): Promise<object>;
}

export interface LockedPackage {
  name: string;
  version?: string;
  file_name: string;
  sha256: string;
  depends: string[];
  install_dir?: string;
  [more: string]: unknown;
}

export interface Lock {
  info: { python: string; abi_version: string; [more: string]: unknown };
  packages: Record<string, LockedPackage>;
  /** Hashes and sizes of the other files, written by `graphattend vendor`. */
  files?: Record<string, { sha256: string; size: number }>;
}

/** The members of Emscripten's module and of Pyodide's internal API that a start needs. */
interface Emscripten {
  FS: {
    mkdirTree(path: string): void;
    writeFile(path: string, data: Uint8Array, options: object): void;
    chdir(path: string): void;
  };
  ENV: Record<string, string>;
  HEAPU32: Uint32Array;
  API: PyodideInside;
  addRunDependency(name: string): void;
  removeRunDependency(name: string): void;
}

interface PyodideInside {
  version: string;
  sitePackages: string;
  pyVersionTuple: number[];
  packageIndexReady: Promise<void> | undefined;
  sys: { path: { insert(at: number, path: string): void } };
  _pyodide: { set_excepthook(): void };
  finalizeBootstrap(snapshot: object | undefined): Pyodide;
  initializeStreams(): void;
  [more: string]: unknown;
}

/** The two functions by which Pyodide's C code distinguishes JavaScript errors from values; as in `pyodide.mjs`. */
const ERROR_MARKER =
  "AGFzbQEAAAABDANfAGAAAW9gAW8BfwMDAgECBygCE0pzdl9HZXRFcnJvcl9pbXBvcnQAAA5Kc3ZFcnJvcl9DaGVjawABChMCBwD7AQD7GwsJACAA+xr7FAAL";

async function errorMarker(): Promise<object> {
  try {
    const bytes = Uint8Array.from(atob(ERROR_MARKER), (c) => c.charCodeAt(0));
    return (await WebAssembly.instantiate(await WebAssembly.compile(bytes))).exports;
  } catch {
    const marker = Symbol("error");
    return { Jsv_GetError_import: () => marker, JsvError_Check: (x: unknown) => x === marker };
  }
}

function runtimeEnvironment(): object {
  const g = globalThis as {
    window?: unknown;
    WorkerGlobalScope?: unknown;
    Bun?: unknown;
    Deno?: unknown;
    navigator?: { userAgent?: string };
  };
  const agent = g.navigator?.userAgent ?? "";
  const page = !isNode && g.window !== undefined;
  return {
    IN_BUN: g.Bun !== undefined,
    IN_DENO: g.Deno !== undefined,
    IN_NODE: isNode,
    IN_NODE_ESM: isNode,
    IN_NODE_COMMONJS: false,
    IN_SAFARI: agent.includes("Safari") && !agent.includes("Chrome"),
    IN_SHELL: false,
    IN_WORKERD: false,
    IN_BROWSER: !isNode,
    IN_BROWSER_MAIN_THREAD: page,
    IN_BROWSER_WEB_WORKER: !isNode && !page,
  };
}

/**
 * Start Python as Pyodide's `loadPyodide` does, but from files that are fetched already. `loadPyodide` fetches them itself
 * and never settles if a file is missing or WebAssembly is blocked.
 */
export async function boot({
  factory,
  wasm,
  stdlib,
  lock,
  indexURL,
  addresses,
  recording = false,
  restore,
}: Boot): Promise<Pyodide> {
  const imports = await errorMarker();
  if (isNode) await nodeModule("node:url");
  const HOME = "/home/pyodide";
  const installStdlib = (module: Emscripten): void => {
    const version = module.HEAPU32[(module as unknown as { _Py_Version: number })._Py_Version >>> 2]!;
    const [major, minor, micro] = [version >>> 24, (version >>> 16) & 255, (version >>> 8) & 255];
    module.API.pyVersionTuple = [major, minor, micro];
    module.API.sitePackages = `/lib/python${major}.${minor}/site-packages`;
    module.FS.mkdirTree(module.API.sitePackages);
    if (stdlib !== undefined) module.FS.writeFile(`/lib/python${major}${minor}.zip`, stdlib, { canOwn: true });
    module.FS.mkdirTree(HOME);
    module.FS.chdir(HOME);
    Object.assign(module.ENV, { HOME, PYTHONINSPECT: "1" });
  };
  const noise: string[] = [];
  const config = {
    jsglobals: globalThis,
    args: [],
    env: { HOME, PYTHONINSPECT: "1" },
    packages: [],
    enableRunUntilComplete: true,
    checkAPIVersion: true,
    indexURL,
    packageBaseUrl: indexURL,
    packageCacheDir: indexURL,
    cdnUrl: indexURL,
    lockFileContents: lock,
    BUILD_ID: "",
    _makeSnapshot: recording,
  };
  const api = { config, runtimeEnv: runtimeEnvironment(), lockFilePromise: Promise.resolve(lock) };
  return new Promise((resolve, reject) => {
    const fail = (error: unknown): void =>
      reject(
        new AttentionError(
          "startup_failed",
          [`Python could not be started: ${reason(error)}`, ...noise.slice(-3)].join("; "),
          { cause: error },
        ),
      );
    const settings = {
      noImageDecoding: true,
      noAudioDecoding: true,
      noWasmDecoding: false,
      preRun: [installStdlib],
      noInitialRun: restore !== undefined,
      arguments: [],
      addresses,
      API: api,
      printErr: (line: string) => noise.push(line),
      onAbort: fail,
      locateFile: (name: string) => indexURL + name,
      instantiateWasm: (
        info: { env: object },
        done: (instance: WebAssembly.Instance, module: WebAssembly.Module) => void,
      ) => {
        Object.assign(info.env, imports);
        WebAssembly.instantiate(wasm, info as unknown as WebAssembly.Imports)
          .then((instance) => done(instance, wasm))
          .catch(fail);
        return {};
      },
    };
    factory(settings)
      .then(async (module) => {
        const inside = module.API;
        if (!inside.version.startsWith("314.0.")) {
          throw fileError(
            indexURL,
            `expected Pyodide 314.0, got ${inside.version}`,
            "make the folder anew with `npx graphattend vendor`",
          );
        }
        const python = inside.finalizeBootstrap(await restore?.(module as never));
        inside.sys.path.insert(0, "");
        inside._pyodide.set_excepthook();
        await inside.packageIndexReady;
        inside.initializeStreams();
        resolve(python);
      })
      .catch((error: unknown) => (error instanceof AttentionError ? reject(error) : fail(error)));
  });
}

/**
 * Unpack a wheel into the interpreter's site-packages. Its libraries are compiled on import, most of them never. Python notices
 * the change by the folder's time; `invalidate_caches` would make it read the standard library's directory again.
 */
export function install(python: Pyodide, wheel: Uint8Array): void {
  const inside = (python as unknown as { _api: PyodideInside })._api;
  python.unpackArchive(wheel, "wheel", { extractDir: inside.sitePackages });
}
