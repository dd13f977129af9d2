// Shared parts of the tests: the local Pyodide distribution, a folder that `vendor` wrote, the native answers.
import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

export const root = fileURLToPath(new URL("../..", import.meta.url));
export const js = fileURLToPath(new URL("..", import.meta.url));

/** Node.js 20 has relaxed SIMD behind a flag, which later versions do not know. */
export const relaxedSimd = parseInt(process.versions.node) < 22 ? ["--experimental-wasm-relaxed-simd"] : [];

/** Return the last line of a command's output. */
export const lastLine = (text) => text.trim().split("\n").at(-1);

/** Folder with Pyodide, NumPy and graphattend. */
export function distribution() {
  process.env.GRAPHATTEND_DIST ??= lastLine(
    execFileSync("make", ["-s", "dist-path"], {
      cwd: root,
      encoding: "utf8",
      stdio: ["ignore", "pipe", "inherit"],
    }),
  );
  return process.env.GRAPHATTEND_DIST;
}

/** The path of a Python with NumPy, for the native answers. */
function python() {
  const candidates = [process.env.GRAPHATTEND_PYTHON, `${root}.venv/bin/python`, `${root}.venv/Scripts/python.exe`];
  return candidates.find((path) => path !== undefined && existsSync(path)) ?? "python3";
}

/** NumPy's WASM-SIMD wheel if `make numpy-simd` has built it, else "". */
export function numpySimd() {
  const command = [`${root}recipes/numpy/distribution.py`, distribution()];
  return lastLine(`\n${execFileSync(python(), command, { encoding: "utf8" })}`);
}

export const python3 = python;

/** Parts that take long to make and are only read. */
const PARTS = {
  "native.json": (path) => {
    const env = { ...process.env, PYTHONPATH: `${root}src`, OPENBLAS_NUM_THREADS: "1" };
    writeFileSync(path, execFileSync(python(), [`${js}test/native.py`], { maxBuffer: 1 << 28, env }));
  },
  python: (path) => {
    const command = [`${js}dist/cli.js`, "vendor", path, "--from", distribution()];
    execFileSync(process.execPath, command, { stdio: ["ignore", "ignore", "pipe"] });
  },
};

/** Return such a part. `run.mjs` makes them once for all files; a file that runs alone makes those it needs. */
function part(name) {
  if (process.env.GRAPHATTEND_SHARED === undefined) {
    const folder = mkdtempSync(join(tmpdir(), "graphattend-tests-"));
    process.once("exit", () => rmSync(folder, { recursive: true, force: true }));
    process.env.GRAPHATTEND_SHARED = folder;
  }
  const path = join(process.env.GRAPHATTEND_SHARED, name);
  if (!existsSync(path)) PARTS[name](path);
  return path;
}

export const nativeAnswers = () => JSON.parse(readFileSync(part("native.json"), "utf8"));

/** A folder that `vendor` wrote, from which Python starts faster than from the distribution. Tests that write need their own. */
export const vendored = () => part("python");
