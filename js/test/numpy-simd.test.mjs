// vendor and connect with NumPy's WASM-SIMD wheel, if `make numpy-simd` has built it.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { connect } from "graphattend";
import { distribution, js, nativeAnswers, numpySimd, python3 } from "./setup.mjs";
import { checks } from "./suite.mjs";

const wheel = numpySimd();
const skip = wheel === "" && "the wheel is not built here: run `make numpy-simd`";

describe("NumPy's WASM-SIMD build", { skip }, () => {
  const work = mkdtempSync(join(tmpdir(), "graphattend-numpy-simd-"));
  const folder = join(work, "python");
  const native = skip === false && nativeAnswers();
  const states = [];
  let ga;
  before(async () => {
    const command = [join(js, "dist/cli.js"), "vendor", folder, "--from", distribution(), "--numpy-simd", wheel];
    execFileSync(process.execPath, command, { stdio: "ignore" });
    ga = await connect({ indexURL: folder, numpy: "simd", snapshot: true, onProgress: (p) => states.push(p.snapshot) });
  });
  after(async () => {
    await ga?.close();
    rmSync(work, { recursive: true, force: true });
  });

  it("is vendored with compiled files and a snapshot, which the start uses", () => {
    const names = readdirSync(folder);
    const file = names.find((name) => name.startsWith("numpy-"));
    assert.match(file, /\+simd\./);
    const listed = execFileSync(python3(), ["-m", "zipfile", "-l", join(folder, file)], { encoding: "utf8" });
    assert.match(listed, /numpy\/__init__\.pyc/);
    assert.doesNotMatch(listed, /numpy\/__init__\.py /);
    assert.ok(names.includes("snapshot.bin"));
    assert.equal(states.at(-1), "vendored");
  });

  it("says so", async () => {
    const info = await ga.backendInfo();
    assert.deepEqual(info.numpy_build, { blas: "graphattend-blas", simd: ["SIMD128"] });
    assert.match(info.backend, /^wasm-/);
  });

  for (const title of Object.keys(checks)) it(title, () => checks[title](ga, native));
});
