import { AttentionError, reason } from "./errors.js";
import { filePath, isNode, nodeModule } from "./platform.js";
import type { Progress, RuntimeOptions } from "./types.js";

export const PYODIDE_VERSION = "314.0.3";
export const CDN = `https://cdn.jsdelivr.net/pyodide/v${PYODIDE_VERSION}/full/`;

/** The little of Pyodide's interface that is used here. */
export interface Proxy {
  destroy(): void;
  [name: string]: unknown;
}
export interface Pyodide {
  pyimport(name: string): Proxy;
  loadPackage(names: string[], options: object): Promise<unknown>;
  unpackArchive(data: Uint8Array, format: string, options: { extractDir: string }): void;
  setInterruptBuffer(buffer: Uint8Array): void;
  runPython(code: string): unknown;
  lockfile?: { packages: Record<string, unknown> };
}

type Report = (progress: Progress) => void;

/** Load Pyodide, NumPy and graphattend. */
export async function loadRuntime(options: RuntimeOptions, report: Report): Promise<Pyodide> {
  probe();
  const counter = new Counter(report);
  const restore = counter.watchFetch();
  try {
    const indexURL = await findIndex(options.indexURL);
    report({ phase: "runtime", loaded: 0, total: undefined });
    const explicit = options.wheelURL === undefined ? undefined : readFile(options.wheelURL);
    explicit?.catch(() => undefined); // reported where it is awaited
    const python = await startPyodide(indexURL, options);
    counter.phase = "packages";
    counter.tell();
    const packages = ["numpy"];
    const locked = explicit === undefined && python.lockfile?.packages["graphattend"] !== undefined;
    if (locked) packages.push("graphattend");
    await install(python, packages);
    if (!locked) {
      counter.phase = "graphattend";
      const wheel = await (explicit ?? readFile(options.bundledWheelURL!));
      python.unpackArchive(wheel, "wheel", { extractDir: String(python.runPython("import site; site.getsitepackages()[0]")) });
      python.runPython("import importlib; importlib.invalidate_caches()");
    }
    counter.phase = "ready";
    counter.tell();
    return python;
  } catch (error) {
    if (error instanceof AttentionError) throw error;
    throw new AttentionError("startup_failed", `Python could not be started: ${reason(error)}`, { cause: error });
  } finally {
    restore();
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

async function startPyodide(indexURL: string, options: RuntimeOptions): Promise<Pyodide> {
  const entry = isNode ? (await nodeModule("node:url")).pathToFileURL(`${indexURL}pyodide.mjs`).href : `${indexURL}pyodide.mjs`;
  const module = await import(/* webpackIgnore: true */ /* @vite-ignore */ entry) as {
    loadPyodide(options: object): Promise<Pyodide>;
  };
  const lock = options.lockFileURL;
  return module.loadPyodide({
    indexURL,
    ...(lock === undefined ? {} : { lockFileURL: isNode ? await filePath(lock) : new URL(lock, globalThis.location.href).href }),
  });
}

async function install(python: Pyodide, packages: string[]): Promise<void> {
  const problems: string[] = [];
  await python.loadPackage(packages, {
    messageCallback: () => undefined,
    errorCallback: (message: string) => problems.push(message),
  });
  if (problems.length > 0) throw new Error(problems.join("; "));
}

/** The bytes behind a URL, or in Node.js also a path. */
export async function readFile(url: string): Promise<Uint8Array> {
  if (isNode && !/^(https?|data|blob):/.test(url)) {
    // A view of our own: Pyodide does not take Node's Buffer.
    return new Uint8Array(await (await nodeModule("node:fs/promises")).readFile(await filePath(url)));
  }
  const response = await fetch(url);
  if (!response.ok) throw new Error(`${url}: ${response.status} ${response.statusText}`);
  return new Uint8Array(await response.arrayBuffer());
}

/** Counts the bytes of everything fetched while Python starts. */
class Counter {
  phase: Progress["phase"] = "runtime";
  private loaded = 0;
  private total = 0;

  constructor(private readonly report: Report) {}

  tell(file?: string): void {
    this.report({ phase: this.phase, loaded: this.loaded, total: this.total || undefined, ...(file ? { file } : {}) });
  }

  /** Watch `fetch`, through which Pyodide loads its files in browsers; returns what undoes it. */
  watchFetch(): () => void {
    const original = globalThis.fetch;
    if (isNode || typeof original !== "function") return () => undefined;
    const watching: typeof fetch = async (input, init) => {
      const response = await original.call(globalThis, input, init);
      return response.ok && response.body !== null ? this.counted(response, response.body) : response;
    };
    globalThis.fetch = watching;
    return () => {
      if (globalThis.fetch === watching) globalThis.fetch = original;
    };
  }

  private counted(response: Response, body: ReadableStream<Uint8Array>): Response {
    const file = response.url.slice(response.url.lastIndexOf("/") + 1);
    // With a content encoding the length is that of the packed bytes, which are not seen here.
    const length = response.headers.has("content-encoding") ? 0 : Number(response.headers.get("content-length") ?? 0);
    this.total += length;
    const stream = body.pipeThrough(new TransformStream<Uint8Array, Uint8Array>({
      transform: (chunk, controller) => {
        this.loaded += chunk.byteLength;
        this.tell(file);
        controller.enqueue(chunk);
      },
    }));
    const { status, statusText, headers } = response;
    return new Response(stream, { status, statusText, headers });
  }
}
