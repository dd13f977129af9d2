/** A snapshot as bytes: a header in JSON, what of the memory is not zero, and the files. */

/** A side module's place, as the patched loader notes it. */
export interface Place {
  name: string;
  memoryBase: number;
  tableBase: number;
  tableSize: number;
  handle: number;
}

export interface Header {
  places: Place[];
  /** How long the table of functions is, and which of a library's functions lie outside its own part of it. */
  table: number;
  slots: [at: number, library: string, symbol: string][];
  globals: Record<string, number>;
  /** Objects of JavaScript that Python holds. */
  objects: object;
  memory: number;
  /** What of the memory is not zero, page by page. */
  runs: [start: number, end: number][];
  files: [path: string, size: number][];
}

export interface Snapshot extends Omit<Header, "files" | "runs"> {
  runs: [start: number, data: Uint8Array][];
  files: [path: string, data: Uint8Array][];
  modules: WebAssembly.Module[];
}

/** A snapshot on its way: with the header an engine can begin to start, while the rest is read and compiled. */
export interface Coming {
  header: Promise<Header>;
  all: Promise<Snapshot>;
}

export const MAGIC = "graphattend snapshot 1\n";
/** After the name of the format come sums of all that follows, in four numbers, and the length of the header. */
const SUMS = 32,
  PRELUDE = 52;
/** The header of a response that tells how long it is. */
export const LENGTH = "content-length";
/** What a storage keeps where there can be no snapshot, before the reason. */
export const REFUSED = "graphattend has no snapshot: ";

const align = (bytes: number): number => Math.ceil(bytes / 16) * 16;

/** The snapshot with this header, and with these runs of the memory and files. */
export function toBytes(header: Header, parts: readonly ArrayLike<number>[]): Uint8Array {
  const text = new TextEncoder().encode(JSON.stringify(header));
  const start = align(PRELUDE + text.length);
  const out = new Uint8Array(align(parts.reduce((sum, { length }) => sum + length, start)));
  out.set(new TextEncoder().encode(MAGIC));
  new Uint32Array(out.buffer)[PRELUDE / 4 - 1] = text.length;
  out.set(text, PRELUDE);
  let at = start;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  new Uint32Array(out.buffer).set(sums(out), SUMS / 4);
  return out;
}

/**
 * Whether a storage has given back what it was given: four sums over the words. A cryptographic hash would take longer than
 * all the rest, and who can write there can run code in the page anyway.
 */
function sums(data: Uint8Array): Uint32Array {
  const words = new Uint32Array(data.buffer, data.byteOffset, data.length >>> 2);
  let a = 1,
    b = 2,
    c = 3,
    d = 4;
  for (let at = PRELUDE / 4 - 1; at + 3 < words.length; at += 4) {
    a = (Math.imul(a, 31) + words[at]!) | 0;
    b = (Math.imul(b, 31) + words[at + 1]!) | 0;
    c = (Math.imul(c, 31) + words[at + 2]!) | 0;
    d = (Math.imul(d, 31) + words[at + 3]!) | 0;
  }
  return Uint32Array.of(a, b, c, d);
}

/** Why there can be no snapshot, where that is what was kept. */
export class Refusal extends Error {}

/** Read what `take` wrote, and compile its side modules. */
export function read(source: Uint8Array | Response): Coming {
  const { head, data } = source instanceof Uint8Array ? { head: source, data: source } : arriving(source);
  const header = Promise.resolve(head).then(headerOf);
  const all = header.then(async (known) => parse(known, await data));
  for (const promise of [header, all]) promise.catch(() => undefined); // reported where they are awaited
  return { header, all };
}

/**
 * Responses that are being read. Chromium collects a response whose body only a reader of blocks refers to, and the reader
 * then never answers.
 */
const held = new Set<Response>();

/** The bytes of a response in one block, and of these already the header as soon as it is there. */
function arriving(response: Response): Record<"head" | "data", Promise<Uint8Array>> {
  let begun: (head: Uint8Array) => void;
  const first = new Promise<Uint8Array>((resolve) => (begun = resolve));
  const fill = async (): Promise<Uint8Array> => {
    const size = Number(response.headers.get(LENGTH)),
      reader = size > 0 ? blockReader(response) : undefined;
    if (reader === undefined) return new Uint8Array(await response.arrayBuffer());
    let out = new Uint8Array(size),
      isAhead = true;
    for (let at = 0; at < size;) {
      const { done, value } = await reader.read(out.subarray(at));
      if (value === undefined) throw new Error("it cannot be read");
      out = new Uint8Array(value.buffer);
      at += value.length;
      if (done) return out.subarray(0, at);
      if (isAhead && at >= PRELUDE && at >= textEnd(out)) {
        isAhead = false;
        begun(out.slice(0, textEnd(out)));
      }
    }
    return out;
  };
  held.add(response);
  const data = fill().finally(() => held.delete(response));
  return { head: Promise.race([first, data]), data };
}

/** A reader that fills a block of ours, where the engine has one: this takes half the time of `arrayBuffer`. */
function blockReader(response: Response): ReadableStreamBYOBReader | undefined {
  try {
    return response.body?.getReader({ mode: "byob" });
  } catch {
    return undefined;
  }
}

/** The place after the header's text. */
const textEnd = (data: Uint8Array): number =>
  PRELUDE + new Uint32Array(data.buffer, data.byteOffset, PRELUDE / 4).at(-1)!;

const damaged = (error: unknown): Error => new Error(`a damaged snapshot (${String(error)})`, { cause: error });

function headerOf(data: Uint8Array): Header {
  const text = (from: number, to: number): string => new TextDecoder().decode(data.subarray(from, to));
  if (text(0, REFUSED.length) === REFUSED) throw new Refusal(text(REFUSED.length, data.length));
  if (data.length < PRELUDE || text(0, MAGIC.length) !== MAGIC) throw new Error("not a snapshot");
  try {
    return JSON.parse(text(PRELUDE, textEnd(data))) as Header;
  } catch (error) {
    throw damaged(error);
  }
}

async function parse(header: Header, data: Uint8Array): Promise<Snapshot> {
  try {
    let at = align(textEnd(data));
    const runs = header.runs.map(([from, to]): [number, Uint8Array] => [from, data.subarray(at, (at += to - from))]);
    const files = header.files.map(([path, size]): [string, Uint8Array] => [path, data.subarray(at, (at += size))]);
    const named = new Map(files);
    const compiling = Promise.all(
      header.places.map(({ name }) => WebAssembly.compile(named.get(name) as Uint8Array<ArrayBuffer>)),
    );
    compiling.catch(() => undefined); // the sums say more; taken meanwhile
    const words = new Uint32Array(data.buffer, data.byteOffset, PRELUDE / 4);
    if (data.length % 16 !== 0 || !sums(data).every((sum, i) => sum === words[SUMS / 4 + i]))
      throw new Error("its sums are others");
    return { ...header, runs, files, modules: await compiling };
  } catch (error) {
    throw damaged(error);
  }
}
