/** Whether this is Node.js, not a browser. */
export const isNode =
  typeof process === "object" &&
  process !== null &&
  typeof process.versions?.node === "string" &&
  (globalThis as { process?: { type?: string } }).process?.type !== "renderer";

interface NodeModules {
  "node:module": typeof import("node:module");
  "node:url": typeof import("node:url");
  "node:fs/promises": typeof import("node:fs/promises");
  "node:worker_threads": typeof import("node:worker_threads");
}

/** Import a module of Node.js; the name is not a literal, so that bundlers for browsers ignore the import. */
export async function nodeModule<K extends keyof NodeModules>(name: K): Promise<NodeModules[K]> {
  return (await import(/* webpackIgnore: true */ /* @vite-ignore */ name)) as NodeModules[K];
}

/** Return the path of a path or a file: URL. */
export async function filePath(url: string): Promise<string> {
  return url.startsWith("file:") ? (await nodeModule("node:url")).fileURLToPath(url) : url;
}
