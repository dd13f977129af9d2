// graphattend/kernels in Deno and Bun: Python's answers, with relaxed SIMD.
import assert from "node:assert/strict";
import { execFile, execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { it } from "node:test";
import { promisify } from "node:util";
import { js } from "./setup.mjs";

const run = promisify(execFile);
const folder = `${js}test/other-runtimes`;

for (const [name, ...options] of [["bun"], ["deno", "run", "--allow-read", "--no-lock"]]) {
  it(name, { timeout: 300_000 }, async () => {
    const binary = `${folder}/node_modules/.bin/${name}`;
    if (!existsSync(binary))
      execFileSync("npm", ["ci", "--loglevel=error"], {
        cwd: folder,
        stdio: "inherit",
        shell: process.platform === "win32",
      });
    const { stdout } = await run(binary, [...options, "test/kernels-check.mjs"], { cwd: js });
    const { backend, count, faults } = JSON.parse(stdout);
    assert.deepEqual([backend, faults], ["wasm-relaxed-simd", []]);
    assert.ok(count > 90);
  });
}
