// The script of docs/navigator.md, unchanged: an HNSW index built in the page, searched by itself and by the navigator.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, it } from "node:test";
import { build } from "esbuild";
import { launch } from "./browsers.mjs";
import { serve } from "./server.mjs";
import { js, root, vendored } from "./setup.mjs";

const timeout = 180_000;
const work = mkdtempSync(join(tmpdir(), "graphattend-hnsw-"));
const page = readFileSync(join(root, "docs", "navigator.md"), "utf8");
const script = /^## In a page$.*?^```ts\n(.*?)^```/ms.exec(page)[1];

/** The folder with the script and the worker, bundled from the installed packages. */
async function bundled(platform, indexURL) {
  writeFileSync(join(work, "main.ts"), script.replace('"/pyodide/"', JSON.stringify(indexURL)));
  const outdir = join(work, platform);
  await build({
    absWorkingDir: work,
    entryPoints: { main: "main.ts", worker: "graphattend/worker" },
    bundle: true,
    format: "esm",
    target: "es2022",
    platform,
    outdir,
    logLevel: "error",
  });
  return outdir;
}

/** Return the recall of the three searches, as the script prints it. */
function check(lines) {
  assert.equal(lines.length, 3, lines.join("\n"));
  const [own, greedy, navigator] = lines.map((line) => Number(/^.*: (0\.\d\d|1\.00)$/.exec(line)?.[1]));
  assert.ok(own > 0.97, `the index's own search finds ${own}`);
  assert.ok(navigator > 0.85 && navigator > greedy, `the navigator finds ${navigator}, greedy search ${greedy}`);
}

before(() => {
  mkdirSync(join(work, "node_modules"));
  writeFileSync(join(work, "package.json"), '{ "type": "module" }');
  symlinkSync(js, join(work, "node_modules", "graphattend"), "junction");
  for (const name of ["hnsw", "idb"])
    symlinkSync(join(js, "node_modules", name), join(work, "node_modules", name), "junction");
});
after(() => rmSync(work, { recursive: true, force: true }));

it("Node.js", { timeout }, async () => {
  const file = join(await bundled("node", vendored()), "main.js");
  check(execFileSync(process.execPath, ["--no-warnings", file], { encoding: "utf8" }).trim().split("\n"));
});

it("a page", { timeout }, async () => {
  const folders = { "/app/": await bundled("browser", "/pyodide/"), "/pyodide/": vendored() };
  const server = await serve(folders, {
    "/page.html": '<!doctype html><script type="module" src="/app/main.js"></script>',
  });
  const browser = await launch();
  try {
    const tab = await browser.newPage();
    const lines = [];
    const printed = new Promise((resolve, reject) => {
      tab.on("console", (message) => {
        if (message.type() === "log") lines.push(message.text());
        if (lines.length === 3) resolve();
      });
      tab.on("pageerror", reject);
    });
    await tab.goto(`${server.url}/page.html`);
    await printed;
    check(lines);
  } finally {
    await browser.close();
    await server.close();
  }
});
