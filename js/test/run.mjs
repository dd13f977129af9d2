// Runs every suite: builds the package first if it is not there.
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { distribution, js } from "./setup.mjs";

process.chdir(js);
distribution();
if (!existsSync("dist/index.js") || process.argv.includes("--build")) {
  const built = spawnSync(process.execPath, ["build.mjs"], { stdio: "inherit" });
  if (built.status !== 0) process.exit(built.status ?? 1);
}
const named = process.argv.slice(2).filter((a) => !a.startsWith("--"));
const files = readdirSync("test").filter((f) => f.endsWith(".test.mjs") && (named.length === 0 || named.some((n) => f.startsWith(n))));
const options = ["--test", "--test-concurrency=1", "--expose-gc", "--no-warnings"];
const { status } = spawnSync(process.execPath, [...options, ...files.map((f) => `test/${f}`)], { stdio: "inherit" });
process.exit(status ?? 1);
