// Builds dist/: the page, its scripts bundled with the graphattend package, the package's worker and wheel, the gallery, and
// the service worker that keeps all of it for later.
//
//   node build.mjs GALLERY
import { createHash } from "node:crypto";
import { cpSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const [gallery = "../build/gallery"] = process.argv.slice(2);
process.chdir(fileURLToPath(new URL(".", import.meta.url)));
rmSync("dist", { recursive: true, force: true });
const common = {
  bundle: true,
  format: "esm",
  target: "es2022",
  minify: true,
  outdir: "dist",
  legalComments: "none",
  logLevel: "warning",
  alias: { "graphattend/kernels": "../js/dist/kernels.js", graphattend: "../js/dist/index.js" },
  jsx: "automatic",
  jsxImportSource: "preact",
};
await build({
  ...common,
  entryPoints: ["src/main.tsx"],
  splitting: true,
  chunkNames: "part-[hash]",
  define: { LINKS: JSON.stringify(links()) },
});
await build({
  ...common,
  entryPoints: {
    "layout-worker": "src/compute/layout-worker.ts",
    "paint-worker": "src/compute/paint-worker.ts",
    embed: "src/embed.ts",
    style: "src/style.css",
  },
});
cpSync("src/index.html", "dist/index.html");
cpSync("src/icon.svg", "dist/icon.svg");
cpSync(gallery, "dist/gallery", { recursive: true });
// The package looks for these two beside the script that it is bundled into.
for (const file of ["worker.js", "graphattend.whl"]) cpSync(`../js/dist/${file}`, `dist/${file}`);
/** Where the project is found: what the packages say of themselves, and their pages. */
function links() {
  const { repository, homepage } = JSON.parse(readFileSync("../js/package.json", "utf8"));
  const python = readFileSync("../pyproject.toml", "utf8");
  const named = (pattern) => new RegExp(`^"?(?:${pattern})"? *= *"(https:[^"]+)"`, "im").exec(python)?.[1];
  const source = (repository?.url ?? repository)?.replace(/^git\+/, "").replace(/\.git$/, "");
  return Object.fromEntries(
    Object.entries({
      Repository: source ?? named("repository|source|source code"),
      Documentation: named("documentation|docs") ?? homepage ?? "https://www.npmjs.com/package/graphattend#readme",
      npm: "https://www.npmjs.com/package/graphattend",
      PyPI: "https://pypi.org/project/graphattend/",
    }).filter(([, address]) => address !== undefined),
  );
}

const files = readdirSync("dist", { recursive: true, withFileTypes: true })
  .filter((f) => f.isFile())
  .map((f) => `${f.parentPath}/${f.name}`.replaceAll("\\", "/").replace(/^dist\//, ""))
  .sort();
const hash = createHash("sha256");
for (const file of files) hash.update(readFileSync(`dist/${file}`));
await build({
  ...common,
  entryPoints: { sw: "src/offline/sw.ts" },
  define: { FILES: JSON.stringify(files), VERSION: JSON.stringify(hash.digest("hex").slice(0, 12)) },
});
