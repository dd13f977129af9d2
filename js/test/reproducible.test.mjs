// Two builds in different folders at different times give byte-identical tarballs.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, utimesSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { it } from "node:test";
import { js, root } from "./setup.mjs";

const LEFT_OUT = /^(dist|node_modules|test|.*\.tgz)$/;

/** Return the tarball of a copy of the sources with this modification time. */
function pack(name, seconds) {
  const folder = mkdtempSync(join(tmpdir(), name));
  try {
    for (const entry of readdirSync(js))
      if (!LEFT_OUT.test(entry)) cpSync(join(js, entry), join(folder, entry), { recursive: true });
    for (const entry of readdirSync(folder, { recursive: true })) utimesSync(join(folder, entry), seconds, seconds);
    symlinkSync(join(js, "node_modules"), join(folder, "node_modules"));
    const env = {
      ...process.env,
      GRAPHATTEND_WHEEL: join(js, "dist", "graphattend.whl"),
      GRAPHATTEND_KERNELS: join(root, "build", "js-kernels"),
    };
    execFileSync("npm", ["pack", "--silent", "--pack-destination", folder], { cwd: folder, env, stdio: "pipe" });
    const [tarball] = readdirSync(folder).filter((entry) => entry.endsWith(".tgz"));
    return createHash("sha256")
      .update(readFileSync(join(folder, tarball)))
      .digest("hex");
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

it("the same bytes", { timeout: 300_000 }, () => {
  if (!existsSync(join(root, "build", "js-kernels"))) execFileSync("make", ["-s", "js-kernels"], { cwd: root });
  assert.equal(pack("one-", 1e9), pack("another place ", 1.7e9));
});
