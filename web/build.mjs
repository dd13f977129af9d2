// Builds dist/: the page, its script bundled with the graphattend package, the package's worker and wheel, and the graph.
//
//   node build.mjs GRAPH.json
import { cpSync, rmSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const [graph = "../build/les_miserables.json"] = process.argv.slice(2);
process.chdir(fileURLToPath(new URL(".", import.meta.url)));
rmSync("dist", { recursive: true, force: true });
await build({
  entryPoints: ["src/main.ts", "src/style.css"],
  bundle: true, format: "esm", target: "es2022", minify: true, outdir: "dist", legalComments: "none",
  alias: { graphattend: "../js/dist/index.js" }, logLevel: "warning",
});
cpSync("src/index.html", "dist/index.html");
cpSync("src/icon.svg", "dist/icon.svg");
cpSync(graph, "dist/les_miserables.json");
// The package looks for these two beside the script that it is bundled into.
for (const file of ["worker.js", "graphattend.whl"]) cpSync(`../js/dist/${file}`, `dist/${file}`);
