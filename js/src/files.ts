import { AttentionError } from "./errors.js";
import { filePath, isNode, nodeModule } from "./platform.js";
import type { Progress } from "./types.js";

type Report = (progress: Progress) => void;

/** The error of a start that failed because of one file: its address, the fault and the remedy. */
export function fileError(address: string, what: string, remedy: string, cause?: unknown): AttentionError {
  return new AttentionError("startup_failed", `${address}: ${what}; ${remedy}`, { cause });
}

/** Kinds of files, and the bytes they begin with. */
const KINDS = {
  wasm: { magic: [0, 0x61, 0x73, 0x6d], name: "WebAssembly" },
  zip: { magic: [0x50, 0x4b], name: "a zip archive" },
  json: { magic: [0x7b], name: "JSON" },
  gzip: { magic: [0x1f, 0x8b], name: "a gzip file" },
} as const;
export type Kind = keyof typeof KINDS;

export interface Expected {
  kind: Kind;
  /** The sha256 in hexadecimal digits, if known. */
  sha256?: string | undefined | Promise<string | undefined>;
  /** The size of the file in bytes, if known. */
  size?: number | undefined;
}

export const SERVE = "serve the folder that `npx graphattend vendor` writes, and give its address as indexURL";

/** Fetches and checks the files of one start, and reports the progress. */
export class Files {
  phase: Progress["phase"] = "runtime";
  snapshot: string | undefined;
  private loaded = 0;
  private readonly sizes = new Map<string, number | undefined>();

  constructor(
    private readonly report: Report,
    private readonly signal: AbortSignal | undefined,
  ) {}

  /** Report the progress. */
  tell(file?: string): void {
    let total: number | undefined = 0;
    for (const size of this.sizes.values())
      total = size === undefined || total === undefined ? undefined : total + size;
    this.report({
      phase: this.phase,
      loaded: this.loaded,
      total: total || undefined,
      ...(file ? { file } : {}),
      ...(this.snapshot ? { snapshot: this.snapshot } : {}),
    });
  }

  /** Return the checked bytes at an address (in Node.js also at a path). */
  async bytes(address: string, expected: Expected): Promise<Uint8Array> {
    const data = await this.read(address, expected.size);
    await check(address, data, expected);
    return data;
  }

  /** Return a compiled module; it is compiled while it is fetched if the server sends the content type. */
  async module(address: string, expected: Expected): Promise<WebAssembly.Module> {
    let data: Uint8Array;
    if (isNode && !isURL(address)) {
      data = await this.bytes(address, expected);
    } else {
      const response = await this.fetch(address);
      if (response.headers.get("content-type")?.split(";")[0]?.trim() === "application/wasm") {
        const copy = response.clone();
        const [module, bytes] = await Promise.allSettled([
          WebAssembly.compileStreaming(response),
          this.body(address, copy, expected.size),
        ]);
        if (bytes.status === "rejected") throw bytes.reason;
        data = bytes.value;
        if (module.status === "fulfilled") {
          await check(address, data, expected);
          return module.value;
        }
      } else {
        data = await this.body(address, response, expected.size);
      }
      await check(address, data, expected);
    }
    try {
      return await WebAssembly.compile(data as Uint8Array<ArrayBuffer>);
    } catch (error) {
      throw fileError(
        address,
        `${data.length} bytes that are not valid WebAssembly (${String(error)})`,
        "fetch the file again",
        error,
      );
    }
  }

  /** Return an error with the reason why a script could not be imported, which browsers do not report. */
  async diagnose(address: string, cause: unknown): Promise<AttentionError> {
    if (isNode)
      return fileError(address, "no such file", "give indexURL a folder made by `npx graphattend vendor`", cause);
    try {
      const type = (await this.fetch(address)).headers.get("content-type") ?? "no type";
      return fileError(
        address,
        `a script that cannot be run (served as ${type}; ${String(cause)})`,
        "serve .mjs files as text/javascript, and allow them in the Content-Security-Policy's script-src",
        cause,
      );
    } catch (error) {
      return error as AttentionError;
    }
  }

  private async read(address: string, size: number | undefined): Promise<Uint8Array> {
    if (isNode && !isURL(address)) {
      try {
        // A Uint8Array, because Pyodide does not accept Node's Buffer.
        return new Uint8Array(await (await nodeModule("node:fs/promises")).readFile(await filePath(address)));
      } catch (error) {
        throw fileError(
          address,
          (error as { code?: string }).code === "ENOENT" ? "no such file" : String(error),
          "give indexURL a folder made by `npx graphattend vendor`",
          error,
        );
      }
    }
    return this.body(address, await this.fetch(address), size);
  }

  private async fetch(address: string): Promise<Response> {
    let response: Response;
    try {
      response = await fetch(address, this.signal === undefined ? {} : { signal: this.signal });
    } catch (error) {
      throw fileError(
        address,
        `could not be fetched (${String(error)})`,
        isNode
          ? "is the server reachable from here?"
          : "is the server reachable, and do CORS and the Content-Security-Policy's connect-src allow it?",
        error,
      );
    }
    if (!response.ok) throw fileError(address, `status ${response.status} ${response.statusText}`.trim(), SERVE);
    return response;
  }

  private async body(address: string, response: Response, size: number | undefined): Promise<Uint8Array> {
    const name = address.slice(address.lastIndexOf("/") + 1);
    const { headers } = response;
    // With a content encoding, content-length counts the encoded bytes, which are not visible here.
    const length = Number(headers.get("content-length") ?? NaN);
    const known = size ?? (headers.has("content-encoding") || !Number.isFinite(length) ? undefined : length);
    this.sizes.set(address, known);
    const chunks: Uint8Array[] = [];
    let count = 0;
    try {
      const reader = response.body?.getReader();
      for (let part = await reader?.read(); part !== undefined && !part.done; part = await reader!.read()) {
        chunks.push(part.value);
        count += part.value.length;
        this.loaded += part.value.length;
        this.tell(name);
      }
    } catch (error) {
      throw fileError(address, `broke off after ${count} bytes (${String(error)})`, "try again", error);
    }
    this.sizes.set(address, count);
    if (known !== undefined && known !== count)
      throw fileError(address, `expected ${known} bytes, got ${count}`, "fetch the file again");
    const out = new Uint8Array(count);
    let at = 0;
    for (const chunk of chunks) {
      out.set(chunk, at);
      at += chunk.length;
    }
    return out;
  }
}

async function check(address: string, data: Uint8Array, { kind, sha256: known, size }: Expected): Promise<void> {
  const { magic, name } = KINDS[kind];
  if (!magic.every((byte, i) => data[i] === byte)) {
    const html = /^\s*</.test(new TextDecoder().decode(data.subarray(0, 100)));
    throw fileError(
      address,
      `expected ${name}, got ${html ? "HTML" : data.length === 0 ? "an empty file" : "something else"}`,
      SERVE,
    );
  }
  if (size !== undefined && data.length !== size)
    throw fileError(address, `expected ${size} bytes, got ${data.length}`, "fetch the file again");
  // `subtle` exists only in secure contexts.
  const { subtle } = globalThis.crypto ?? {};
  const sha256 = await known;
  if (sha256 === undefined || subtle === undefined) return;
  const found = hex(new Uint8Array(await subtle.digest("SHA-256", data as Uint8Array<ArrayBuffer>)));
  if (found !== sha256)
    throw fileError(address, `its sha256 ${found} is not the lock file's ${sha256}`, "make the folder anew");
}

export const hex = (bytes: Uint8Array): string => Array.from(bytes, (b) => b.toString(16).padStart(2, "0")).join("");

export const isURL = (address: string): boolean => /^(https?|data|blob):/.test(address);
