// Start-up: milliseconds from connect() to the first answer, in Chromium (page and worker, first and later visits) and Node.js.
// Usage: node benchmarks/start.mjs NAME=PACKAGE,FOLDER[,snapshot] … (a built js/dist and a folder for indexURL), rounds
// interleaved. With `snapshot` later starts use the one that the first has left behind.
import { spawnSync } from "node:child_process";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { launch } from "../js/test/browsers.mjs";
import { serve } from "../js/test/server.mjs";

const ROUNDS = Number(process.env.ROUNDS ?? 3);
const variants = process.argv.slice(2).map((arg) => {
  const [name, places] = arg.split("=");
  const [dist, folder, snapshot] = places.split(",");
  return { name, dist: resolve(dist), folder: resolve(folder), snapshot: snapshot === "snapshot" };
});
const measure = `async (connect, options) => {
  const start = performance.now();
  const ga = await connect(options);
  const attn = await ga.create("flash", { dim: 4 });
  await attn.forward([1, 0, 0, 0], [[1, 0, 0, 0]], [[1, 2, 3, 4]]);
  const ms = performance.now() - start;
  await ga.close();
  return ms;
}`;
const kept = `(async () => {
  for (let i = 0; i < 600 && (await (await caches.open("graphattend-snapshots")).keys()).length === 0; i++) await new Promise((r) => setTimeout(r, 100));
})()`;

const folders = Object.fromEntries(
  variants.flatMap(({ dist, folder }, i) => [
    [`/${i}/dist/`, dist],
    [`/${i}/python/`, folder],
  ]),
);
const server = await serve(folders, { "/": "<!doctype html><title>start</title>" });
const browser = await launch();
const found = {};
const note = (name, what, ms) => ((found[name] ??= {})[what] ??= []).push(ms);
function inNode({ dist, folder, snapshot }, worker) {
  const code = `const { connect } = await import(${JSON.stringify(pathToFileURL(`${dist}/index.js`).href)});
    console.log(await (${measure})(connect, ${JSON.stringify({ indexURL: folder, worker, snapshot })}));`;
  return Number(
    spawnSync(process.execPath, ["--no-warnings", "--input-type=module", "-e", code], { encoding: "utf8" }).stdout,
  );
}
for (const variant of variants) inNode(variant, false);
for (let round = 0; round < ROUNDS; round++) {
  for (const [i, variant] of variants.entries()) {
    const { name, snapshot } = variant;
    for (const worker of [false, true]) {
      const context = await browser.newContext();
      for (const visit of ["cold", "warm", "warm"]) {
        const page = await context.newPage();
        await page.goto(server.url);
        const options = JSON.stringify({ indexURL: `/${i}/python/`, worker, snapshot });
        note(
          name,
          `Chromium ${worker ? "worker" : "page"} ${visit}`,
          await page.evaluate(`import("/${i}/dist/index.js").then(({ connect }) => (${measure})(connect, ${options}))`),
        );
        if (snapshot) await page.evaluate(kept);
        await page.close();
      }
      await context.close();
      note(name, `Node.js ${worker ? "worker" : "main"}`, inNode(variant, worker));
    }
  }
}
await browser.close();
await server.close();
for (const [name, kinds] of Object.entries(found)) {
  for (const [what, times] of Object.entries(kinds))
    console.log(`${name}\t${what}\t${Math.round(Math.min(...times))} ms`);
}
