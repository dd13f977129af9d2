// Builds dist/: the package, its worker and command line bundled by esbuild, types by tsc, and the wheel beside them.
import { execFileSync } from "node:child_process";
import { cpSync, existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const here = fileURLToPath(new URL(".", import.meta.url));
process.chdir(here);

function wheel() {
  if (process.env.GRAPHATTEND_WHEEL) return process.env.GRAPHATTEND_WHEEL;
  const output = execFileSync("make", ["-s", "wheel"], { cwd: "..", encoding: "utf8", stdio: ["ignore", "pipe", "inherit"] });
  return output.trim().split("\n").at(-1);
}

const { version } = JSON.parse(readFileSync("package.json", "utf8"));
rmSync("dist", { recursive: true, force: true });
const common = { bundle: true, format: "esm", target: "es2022", platform: "neutral", minify: true, lineLimit: 500, outdir: "dist",
  define: { GRAPHATTEND_VERSION: JSON.stringify(version) }, legalComments: "none" };
await build({ ...common, entryPoints: ["src/index.ts", "src/worker.ts", "src/snapshot.ts"] });
if (existsSync("src/cli.ts")) {
  await build({ ...common, entryPoints: ["src/cli.ts"], platform: "node", external: ["./index.js"], banner: { js: "#!/usr/bin/env node" } });
}
// Minifying drops the comments by which bundlers leave imports of unknown modules alone.
for (const file of ["dist/index.js", "dist/worker.js", "dist/snapshot.js"]) {
  writeFileSync(file, readFileSync(file, "utf8").replace(/\bimport\((?!["'])/g, "import(/* webpackIgnore: true *//* @vite-ignore */"));
}
execFileSync(process.execPath, ["node_modules/typescript/bin/tsc"], { stdio: "inherit" });
cpSync(wheel(), "dist/graphattend.whl");
