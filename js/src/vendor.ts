import { createHash } from "node:crypto";
import { mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { gzipSync } from "node:zlib";
import { basename, dirname, join, resolve } from "node:path";
import { AttentionError } from "./errors.js";
import { CDN, npmPyodide, PYODIDE_VERSION, recordSnapshot, versionIn } from "./runtime.js";
import { SNAPSHOTS, VENDORED } from "./keep.js";
import { patchLoader } from "./patch.js";
import { precompile } from "./precompile.js";
import { VERSION } from "./version.js";

/** The files of Pyodide that are needed, without its consoles, source maps and types. */
const LOADER = "pyodide.asm.mjs";
const RUNTIME = ["pyodide.mjs", LOADER, "pyodide.asm.wasm", "python_stdlib.zip"];
const LOCK = "pyodide-lock.json";
/** File with the hashes of a folder's files by name; it identifies a folder that vendor wrote, and its files. */
const MANIFEST = "sha256.json";

type Hashes = Readonly<Record<string, string>>;

interface LockEntry {
  file_name: string;
  sha256: string;
  depends: string[];
  [more: string]: unknown;
}

interface Lock {
  packages: Record<string, LockEntry>;
  [more: string]: unknown;
}

const sha256 = (data: Uint8Array): string => createHash("sha256").update(data).digest("hex");

export interface VendorOptions {
  /** Folder with Pyodide; npm's by default. */
  from: string | undefined;
  /** Whether to start Python once and keep the snapshot. */
  snapshot: boolean;
  /** A wheel of NumPy that replaces Pyodide's, such as the WASM-SIMD build. */
  numpy: string | undefined;
}

/** Return the lock file's entry of another wheel of NumPy; throws unless it is for the same Pyodide. */
async function otherNumpy(path: string, official: LockEntry): Promise<[LockEntry, Uint8Array]> {
  const file = basename(path);
  const data = new Uint8Array(
    await readFile(path).catch((error: Error) => {
      throw problem(`--numpy-simd ${path}: ${error.message}`);
    }),
  );
  const [name, version, ...tags] = file.replace(/\.whl$/, "").split("-");
  const wanted = official.file_name
    .replace(/\.whl$/, "")
    .split("-")
    .slice(2)
    .join("-");
  if (name !== "numpy" || tags.join("-") !== wanted) {
    throw problem(`--numpy-simd ${path}: expected a wheel of NumPy for ${wanted}, got ${file}`);
  }
  return [{ ...official, version, file_name: file, sha256: sha256(data) }, data];
}

/**
 * Write a folder for `indexURL` with only the files that are needed; every package is checked against the lock file's hash.
 * In an existing folder, only files that an earlier call wrote are replaced or removed.
 */
export async function vendor(
  folder: string,
  { from, snapshot, numpy: other }: VendorOptions,
  log: (line: string) => void,
): Promise<void> {
  const target = resolve(folder);
  await written(target);
  const source = from ?? (await installed());
  const lock = JSON.parse(new TextDecoder().decode(await take(source, LOCK, undefined))) as Lock;
  await mkdir(dirname(target), { recursive: true });
  const draft = await mkdtemp(join(dirname(target), `.${basename(target)}.`));
  const hashes: Record<string, string> = {};
  const sizes: Record<string, { sha256: string; size: number }> = {};
  const put = async (name: string, data: Uint8Array): Promise<void> => {
    await writeFile(join(draft, name), data);
    hashes[name] = sha256(data);
    sizes[name] = { sha256: hashes[name], size: data.length };
    log(`${name} (${(data.length / 1e6).toFixed(1)} MB)`);
  };
  try {
    for (const name of RUNTIME) {
      const data = await take(source, name, undefined);
      const patched = name === LOADER ? patchLoader(data, sha256) : undefined;
      if (patched !== undefined)
        await put(SNAPSHOTS, new Uint8Array(await readFile(new URL("./snapshot.js", import.meta.url))));
      await put(name, patched ?? data);
    }
    const official = lock.packages["numpy"];
    if (official === undefined) throw problem("the lock file does not know numpy");
    const [numpy, numpyWheel] =
      other === undefined
        ? [official, await take(source, official.file_name, official.sha256)]
        : await otherNumpy(other, official);
    await put(numpy.file_name, numpyWheel);
    const wheel = new Uint8Array(await readFile(new URL("./graphattend.whl", import.meta.url)));
    const file = `graphattend-${VERSION}-py3-none-any.whl`;
    await put(file, wheel);
    lock.packages = {
      numpy: { ...numpy, depends: [] },
      graphattend: {
        name: "graphattend",
        version: VERSION,
        file_name: file,
        install_dir: "site",
        sha256: sha256(wheel),
        package_type: "package",
        imports: ["graphattend"],
        depends: ["numpy"],
        unvendored_tests: false,
      },
    };
    // The folder is complete: Python starts from it and compiles its own files.
    await writeFile(join(draft, LOCK), JSON.stringify(lock));
    log("compiling Python's files");
    const archives: Record<string, Uint8Array> = {};
    for (const name of ["python_stdlib.zip", numpy.file_name, file])
      archives[name] = new Uint8Array(await readFile(join(draft, name)));
    for (const [name, data] of Object.entries(await precompile(draft, archives))) await put(name, data);
    for (const entry of Object.values(lock.packages)) entry.sha256 = hashes[entry.file_name]!;
    if (snapshot && SNAPSHOTS in sizes) {
      log("starting Python once for all");
      await writeFile(join(draft, LOCK), JSON.stringify(lock));
      await put(VENDORED, new Uint8Array(gzipSync(await recordSnapshot(draft))));
    }
    lock["files"] = Object.fromEntries(
      [...RUNTIME, SNAPSHOTS, VENDORED].flatMap((name) => (name in sizes ? [[name, sizes[name]]] : [])),
    );
    await put(LOCK, new TextEncoder().encode(JSON.stringify(lock)));
    await put("worker.js", new Uint8Array(await readFile(new URL("./worker.js", import.meta.url))));
    await writeFile(join(draft, MANIFEST), `${JSON.stringify(hashes, null, 2)}\n`);
    await install(draft, target, hashes);
  } finally {
    await rm(draft, { recursive: true, force: true });
  }
  log(target);
}

const problem = (message: string): AttentionError => new AttentionError("load_error", message);

/** Return the hashes of the files that an earlier call wrote, or undefined for an empty folder; throws for other content. */
async function written(target: string): Promise<Hashes | undefined> {
  const names = await readdir(target).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return [];
    throw problem(`${target}: ${error.code === "ENOTDIR" ? "is not a folder" : error.message}`);
  });
  if (names.length === 0) return undefined;
  const text = await readFile(join(target, MANIFEST), "utf8").catch(() => "");
  try {
    const found: unknown = JSON.parse(text);
    if (
      typeof found === "object" &&
      found !== null &&
      LOCK in found &&
      Object.entries(found).every(([name, hash]) => name === basename(name) && /^[0-9a-f]{64}$/.test(String(hash)))
    )
      return found as Hashes;
  } catch {
    /* no manifest of ours */
  }
  throw problem(`${target}: is not empty, and not a folder that vendor wrote; name a new folder`);
}

/** Replace the files that an earlier call wrote by those of the draft. */
async function install(draft: string, target: string, hashes: Hashes): Promise<void> {
  const old = await written(target);
  for (const name of new Set([...Object.keys(old ?? {}), ...Object.keys(hashes)])) {
    const data = await readFile(join(target, name)).catch((error: NodeJS.ErrnoException) => {
      if (error.code === "ENOENT") return undefined;
      throw problem(`${join(target, name)}: ${error.message}`);
    });
    // Files of this version are there if an earlier call was interrupted.
    if (data !== undefined && ![old?.[name], hashes[name]].includes(sha256(data))) {
      throw problem(`${join(target, name)}: has changed since vendor wrote it, or is not its file; move it away first`);
    }
  }
  await mkdir(target, { recursive: true });
  const files = Object.keys(hashes);
  // In an empty folder the manifest comes first, so that the next call recognises the files of an interrupted one.
  for (const name of old === undefined ? [MANIFEST, ...files] : files)
    await rename(join(draft, name), join(target, name));
  for (const name of Object.keys(old ?? {})) if (!(name in hashes)) await rm(join(target, name), { force: true });
  if (old !== undefined) await rename(join(draft, MANIFEST), join(target, MANIFEST));
}

async function installed(): Promise<string> {
  try {
    return await npmPyodide();
  } catch {
    throw problem(`Pyodide not found: run \`npm install pyodide@${PYODIDE_VERSION}\`, or give a folder with --from`);
  }
}

/** Read a file of the source folder, else of Pyodide's CDN; throws if its hash differs. */
async function take(source: string, name: string, expected: string | undefined): Promise<Uint8Array> {
  let data: Uint8Array;
  try {
    data = new Uint8Array(await readFile(join(source, name)));
  } catch (error) {
    if (expected === undefined) throw problem(`${join(source, name)}: ${(error as Error).message}`);
    const address = CDN.replace(PYODIDE_VERSION, await versionIn(`${source}/`)) + name;
    const response = await fetch(address).catch((cause: unknown) => {
      throw problem(`${name} is not in ${source}, and Pyodide's CDN is out of reach (${String(cause)})`);
    });
    if (!response.ok) throw problem(`${address}: ${response.status}`);
    data = new Uint8Array(await response.arrayBuffer());
  }
  if (expected !== undefined && sha256(data) !== expected) throw problem(`${name}: its sha256 is not the lock file's`);
  return data;
}
