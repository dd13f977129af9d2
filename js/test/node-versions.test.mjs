// The suite on the other supported versions of Node.js, on the main thread and in a worker.
import assert from "node:assert/strict";
import { execFile, execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { it } from "node:test";
import { promisify } from "node:util";
import { distribution, js } from "./setup.mjs";

const run = promisify(execFile);
const folder = `${js}test/node-versions`;
distribution();
const binary = (version) =>
  `${folder}/node_modules/node-${version}-${process.platform}-${process.arch}/bin/${process.platform === "win32" ? "node.exe" : "node"}`;

for (const version of [22, 24]) {
  it(`Node.js ${version}`, { timeout: 300_000 }, async () => {
    if (!existsSync(binary(version)))
      execFileSync("npm", ["ci", "--loglevel=error"], {
        cwd: folder,
        stdio: "inherit",
        shell: process.platform === "win32",
      });
    const { NODE_TEST_CONTEXT, ...env } = { ...process.env, GRAPHATTEND_RUNTIMES: "main thread,worker" };
    const { stdout } = await run(
      binary(version),
      ["--no-warnings", "--test", "--test-reporter=tap", "test/runtimes.test.mjs"],
      { cwd: js, env },
    ).catch((e) => e);
    const count = (name) => Number(new RegExp(`^# ${name} (\\d+)$`, "m").exec(stdout)?.[1]);
    assert.equal(count("fail"), 0, stdout);
    assert.ok(count("pass") >= 30, stdout);
    assert.ok(stdout.includes(`# Running on v${version}.`), "it ran on that version");
  });
}
