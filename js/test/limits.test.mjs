// Memories of 64 MB, 2 GB and 4 GB, limited by the engine: the last size that fits works, the next one is a typed error, and
// the runtime answers as before. The largest needs GRAPHATTEND_ALL.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { describe, it } from "node:test";
import { promisify } from "node:util";
import { distribution, js, relaxedSimd } from "./setup.mjs";

const run = promisify(execFile);
const [MB, PAGES] = [2 ** 20, 16]; // bytes, and the number of WebAssembly pages in them
const ALL = process.env.GRAPHATTEND_ALL === "1";
const flags = ["--no-warnings", ...relaxedSimd];

async function limited(megabytes, ...words) {
  const { NODE_TEST_CONTEXT, ...env } = process.env;
  const limit = `--wasm-max-mem-pages=${megabytes * PAGES}`;
  const { stdout } = await run(process.execPath, [...flags, limit, "test/limits-check.mjs", ...words], {
    cwd: js,
    env,
  });
  return JSON.parse(stdout.trim().split("\n").at(-1));
}

function asItShould({ again, beyond, told, failures, grown, heap, answered }) {
  assert.deepEqual({ again, beyond, told }, { again: true, beyond: false, told: "out_of_memory" });
  assert.deepEqual({ failures, grown, answered }, { failures: 1000, grown: 0, answered: true });
  assert.ok(heap < 4 * MB, `1000 failures left ${heap} bytes`);
}

describe("graphattend/kernels", () => {
  for (const [megabytes, most] of [[64, 4], [2048, 128], ...(ALL ? [[4096, 128]] : [])])
    it(`in ${megabytes} MB`, { timeout: 300_000 }, async () => {
      const found = await limited(megabytes, "kernels", `${most}`, ...(megabytes === 64 ? ["rows"] : []));
      asItShould(found);
      assert.equal(found.size, Math.min(megabytes, 2048) * MB, "all of it is used, up to 2 GB");
      assert.ok(4 * found.floats > 0.9 * found.size - 6 * MB, `${found.floats} numbers`);
      assert.equal(found.more, "out_of_memory");
      if (megabytes === 64) assert.ok(4 * found.seen ** 2 > 24 * MB, `weights of ${found.seen} rows`);
    });
});

describe("through Python", () => {
  for (const [megabytes, most] of ALL
    ? [
        [64, 1],
        [2048, 64],
        [4096, 64],
      ]
    : [[64, 1]])
    it(`in ${megabytes} MB`, { timeout: 600_000 }, async () => {
      const found = await limited(megabytes, "pyodide", distribution(), `${most}`);
      asItShould(found);
      assert.ok(found.answers >= 10, `${found.answers} mechanisms answered`);
      assert.ok(found.same, "the answers beside large arrays");
      // 9 arrays of 256 MB: the last one is above 2³¹.
      assert.equal(found.held === 9, megabytes === 4096, `${found.held} arrays of 256 MB`);
    });
});
