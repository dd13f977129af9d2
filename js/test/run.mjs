// Runs every suite; builds the package first if it is missing.
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { distribution, js, nativeAnswers, vendored } from "./setup.mjs";

process.chdir(js);
distribution();
if (!existsSync("dist/index.js") || process.argv.includes("--build")) {
  const built = spawnSync(process.execPath, ["build.mjs"], { stdio: "inherit" });
  if (built.status !== 0) process.exit(built.status ?? 1);
}
const named = process.argv.slice(2).filter((a) => !a.startsWith("--"));
const files = readdirSync("test").filter(
  (f) => f.endsWith(".test.mjs") && (named.length === 0 || named.some((n) => f.startsWith(n))),
);
if (files.length > 2) [nativeAnswers, vendored].forEach((make) => make()); // for all files
// A file that hangs fails, and the others still run.
const LIMIT = `--test-timeout=${(process.env.GRAPHATTEND_ALL ? 1800 : 600) * 1000}`;
// Files that measure time run one at a time, the others two at a time.
const alone = files.filter((f) => /^(faults|lifecycle|start)/.test(f));
const groups = [
  [files.filter((f) => !alone.includes(f)), 2],
  [alone, 1],
];
let failed = 0;
for (const [group, concurrency] of groups) {
  if (group.length === 0) continue;
  const options = ["--test", `--test-concurrency=${concurrency}`, LIMIT, "--expose-gc", "--no-warnings"];
  const { status } = spawnSync(process.execPath, [...options, ...group.map((f) => `test/${f}`)], { stdio: "inherit" });
  failed ||= status ?? 1;
}
process.exit(failed);
