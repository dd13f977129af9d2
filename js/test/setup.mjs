// What the tests share: the local Pyodide distribution, the native answers, connections.
import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";

export const root = fileURLToPath(new URL("../..", import.meta.url));
export const js = fileURLToPath(new URL("..", import.meta.url));

/** The last line of what a command printed. */
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

/** A Python with NumPy, for the native answers. */
function python() {
  const candidates = [process.env.GRAPHATTEND_PYTHON, `${root}.venv/bin/python`, `${root}.venv/Scripts/python.exe`];
  return candidates.find((path) => path !== undefined && existsSync(path)) ?? "python3";
}

/** NumPy's WASM-SIMD wheel, where `make numpy-simd` has built it, else "". */
export function numpySimd() {
  const command = [`${root}recipes/numpy/distribution.py`, distribution()];
  return lastLine(`\n${execFileSync(python(), command, { encoding: "utf8" })}`);
}

export function nativeAnswers() {
  const text = execFileSync(python(), [`${js}test/native.py`], {
    encoding: "utf8",
    maxBuffer: 1 << 28,
    env: { ...process.env, PYTHONPATH: `${root}src`, OPENBLAS_NUM_THREADS: "1" },
  });
  return JSON.parse(text);
}

export const python3 = python;
