// The README's examples run unchanged, and print the documented output.
import assert from "node:assert/strict";
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { it } from "node:test";
import { js, vendored } from "./setup.mjs";

it("the examples of the README print what they say", () => {
  const text = readFileSync(join(js, "README.md"), "utf8");
  const code = [...text.matchAll(/^```js\n(.*?)^```/gms)].map((m) => m[1]).join("\n");
  const expected = [...code.matchAll(/console\.log\(.*\); \/\/ (.*)$/gm)].map((m) => m[1]);
  assert.ok(expected.length > 12);
  const file = join(js, "test", ".readme.mjs");
  writeFileSync(file, code.replace("connect({", `connect({ indexURL: ${JSON.stringify(vendored())},`));
  try {
    const printed = execFileSync(process.execPath, ["--no-warnings", file], { encoding: "utf8", timeout: 120_000 });
    assert.deepEqual(printed.trim().split("\n"), expected);
  } finally {
    rmSync(file);
  }
});
