// The service worker: fetched files are available offline. It requests each file from the network first, so that a new version
// of the page shows immediately, and uses the cache if the network fails.

declare const FILES: string[];
declare const VERSION: string;

interface ExtendableEvent extends Event {
  waitUntil(work: Promise<unknown>): void;
}
interface FetchEvent extends ExtendableEvent {
  request: Request;
  respondWith(response: Promise<Response>): void;
}
interface Scope {
  addEventListener(type: "install" | "activate", listener: (event: ExtendableEvent) => void): void;
  addEventListener(type: "fetch", listener: (event: FetchEvent) => void): void;
  skipWaiting(): Promise<void>;
  clients: { claim(): Promise<void> };
  location: Location;
}
const scope = self as unknown as Scope;
const PREFIX = "graphattend-demo-",
  NAME = PREFIX + VERSION;
/** Python's files that a start loads; files missing from the folder are left out. */
const PYTHON = [
  "pyodide.mjs",
  "pyodide.asm.mjs",
  "pyodide.asm.wasm",
  "python_stdlib.zip",
  "pyodide-lock.json",
  "snapshot.mjs",
];

scope.addEventListener("install", (event) => event.waitUntil(install()));
scope.addEventListener("activate", (event) => event.waitUntil(activate()));
scope.addEventListener("fetch", (event) => {
  const address = new URL(event.request.url);
  if (event.request.method === "GET" && address.origin === scope.location.origin)
    event.respondWith(answer(event.request));
});

async function install(): Promise<void> {
  const cache = await caches.open(NAME);
  await cache.addAll(["./", ...FILES]);
  await Promise.all(PYTHON.map((file) => cache.add(`pyodide/${file}`).catch(() => undefined)));
  await packages(cache);
  await scope.skipWaiting();
}

/** Return the wheels that the lock file names and a start loads. */
async function packages(cache: Cache): Promise<void> {
  const found = await cache.match("pyodide/pyodide-lock.json");
  if (found === undefined) return;
  const lock = (await found.json()) as { packages: Record<string, { file_name: string } | undefined> };
  const wanted = ["numpy", "graphattend"].flatMap((name) => lock.packages[name]?.file_name ?? []);
  await Promise.all(wanted.map((file) => cache.add(`pyodide/${file}`).catch(() => undefined)));
}

async function activate(): Promise<void> {
  for (const name of await caches.keys()) if (name.startsWith(PREFIX) && name !== NAME) await caches.delete(name);
  await scope.clients.claim();
}

async function answer(request: Request): Promise<Response> {
  const cache = await caches.open(NAME);
  try {
    const response = await fetch(request);
    if (response.ok) await cache.put(request, response.clone());
    return isolated(response);
  } catch (error) {
    const kept = await cache.match(request, { ignoreSearch: true });
    if (kept === undefined) throw error;
    return isolated(kept);
  }
}

/** Add the headers for isolation, which static hosts do not send, so that the worker's computation can be interrupted. */
function isolated(response: Response): Response {
  if (response.status === 0 || response.headers.has("Cross-Origin-Embedder-Policy")) return response;
  const headers = new Headers(response.headers);
  headers.set("Cross-Origin-Opener-Policy", "same-origin");
  headers.set("Cross-Origin-Embedder-Policy", "require-corp");
  headers.set("Cross-Origin-Resource-Policy", "same-origin");
  return new Response(response.body, { status: response.status, statusText: response.statusText, headers });
}
