/** What differs between Node.js and browsers, in one place. */
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

/** A module of Node.js; the name is not a literal at the import, so that bundlers for browsers leave it alone. */
export async function nodeModule<K extends keyof NodeModules>(name: K): Promise<NodeModules[K]> {
  return (await import(/* webpackIgnore: true */ /* @vite-ignore */ name)) as NodeModules[K];
}

/** A path from a path or file: URL. */
export async function filePath(url: string): Promise<string> {
  return url.startsWith("file:") ? (await nodeModule("node:url")).fileURLToPath(url) : url;
}
