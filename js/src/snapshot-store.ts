/** Where snapshots are kept, and for which engine. */
import { isNode, nodeModule } from "./platform.js";
import { LENGTH, MAGIC, REFUSED } from "./snapshot-format.js";

const NAME = "graphattend-snapshots";

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
