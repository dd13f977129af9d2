// Builds dist/: the package, its worker and command line bundled by esbuild, types by tsc, and the wheel beside them.
import { execFileSync } from "node:child_process";
import { cpSync, existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { sbom } from "./sbom.mjs";

const here = fileURLToPath(new URL(".", import.meta.url));
process.chdir(here);

function wheel() {
  if (process.env.GRAPHATTEND_WHEEL) return process.env.GRAPHATTEND_WHEEL;
  const output = execFileSync("make", ["-s", "wheel"], {
    cwd: "..",
    encoding: "utf8",
    stdio: ["ignore", "pipe", "inherit"],
  });
  return output.trim().split("\n").at(-1);
}

/**
 * Text that holds bytes in printable letters, the inverse of `decode` in src/kernels/module.ts: the 256 values, the frequent
 * ones first, then for each byte its place among them.
 */
function encode(bytes) {
  const letters = Array.from({ length: 95 }, (_x, i) => String.fromCharCode(32 + i)).filter(
    (c) => !"\"\\`$<'|}".includes(c),
  );
  const counts = new Uint32Array(256);
  for (const byte of bytes) counts[byte]++;
  const frequent = [...counts.keys()].sort((a, b) => counts[b] - counts[a]);
  const groups = [frequent.slice(0, 86), frequent.slice(86, 172), frequent.slice(172)];
  const order = groups.flatMap((group) => group.sort((a, b) => a - b));
  return [...order, ...Array.from(bytes, (byte) => order.indexOf(byte))]
    .map((n) => (n < 86 ? letters[n] : n < 172 ? `|${letters[n - 86]}` : `}${letters[n - 172]}`))
    .join("");
}

/** dist/kernels.js, and beside it the two modules, of which a page loads one. */
async function buildKernels() {
  if (!process.env.GRAPHATTEND_KERNELS)
    execFileSync("make", ["-s", "js-kernels"], { cwd: "..", stdio: ["ignore", "ignore", "inherit"] });
  const folder = process.env.GRAPHATTEND_KERNELS ?? "../build/js-kernels";
  for (const path of ["relaxed", "simd128"])
    packed[`kernels_${path}.wasm`] = [
      `${folder}/kernels_${path}.wasm`,
      `compiled C, as text in dist/kernels-${path}.js`,
    ];
  const modules = {
    name: "wasm",
    setup(esbuild) {
      esbuild.onResolve({ filter: /^wasm:/ }, ({ path }) => ({ path: path.slice(5), namespace: "wasm" }));
      esbuild.onLoad({ filter: /.*/, namespace: "wasm" }, ({ path }) => ({
        contents: `export default ${JSON.stringify(encode(readFileSync(`${folder}/kernels_${path}.wasm`)))};`,
        loader: "js",
      }));
    },
  };
  const { lineLimit, ...options } = common; // lines of text stay whole
  await build({
    ...options,
    entryPoints: { kernels: "src/kernels/index.ts" },
    splitting: true,
    chunkNames: "kernels-[name]",
    plugins: [modules],
  });
}

const { version } = JSON.parse(readFileSync("package.json", "utf8"));
rmSync("dist", { recursive: true, force: true });
const common = {
  bundle: true,
  format: "esm",
  target: "es2022",
  platform: "neutral",
  minify: true,
  lineLimit: 1000,
  outdir: "dist",
  define: { GRAPHATTEND_VERSION: JSON.stringify(version) },
  legalComments: "none",
};
const packed = {}; // what the package is made from beside its own sources
await build({ ...common, entryPoints: ["src/index.ts"], splitting: true, chunkNames: "index-[name]" });
await build({ ...common, entryPoints: ["src/worker.ts", "src/snapshot.ts"] });
if (existsSync("src/cli.ts")) {
  await build({
    ...common,
    entryPoints: ["src/cli.ts"],
    platform: "node",
    external: ["./index.js"],
    banner: { js: "#!/usr/bin/env node" },
  });
}
await buildKernels();
// Minifying drops the comments by which bundlers leave imports of unknown modules alone.
for (const file of readdirSync("dist")
  .filter((name) => name.endsWith(".js") && !/^(cli|kernels)/.test(name))
  .map((name) => `dist/${name}`)) {
  writeFileSync(
    file,
    readFileSync(file, "utf8").replace(/\bimport\((?!["'])/g, "import(/* webpackIgnore: true *//* @vite-ignore */"),
  );
}
execFileSync(process.execPath, ["node_modules/typescript/bin/tsc"], { stdio: "inherit" });
cpSync(wheel(), "dist/graphattend.whl");
packed["graphattend.whl"] = ["dist/graphattend.whl", "the Python library; its own bill is in it"];
writeFileSync("dist/sbom.cdx.json", sbom(packed));
