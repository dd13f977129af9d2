// The shared suite in a browser: on the page's thread, in a worker and in a pool, with and without isolation.
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { engine, launch, open } from "./browsers.mjs";
import { serve } from "./server.mjs";
import { distribution, js, nativeAnswers } from "./setup.mjs";
import { checks } from "./suite.mjs";

const ISOLATED = { "cross-origin-opener-policy": "same-origin", "cross-origin-embedder-policy": "require-corp" };
const page = `<!doctype html><meta charset="utf-8"><title>graphattend</title><script type="module">
  import { connect } from "/dist/index.js";
  import { checks } from "/test/suite.mjs";
  let ga;
  globalThis.progress = [];
  globalThis.start = async (options) => {
    ga = await connect({ indexURL: "/pyodide/", onProgress: (p) => progress.push(p), ...options });
  };
  globalThis.check = async (title) => { await checks[title](ga, native); };
  globalThis.stop = () => ga.close();
  globalThis.ready = true;
</script>`;

const native = nativeAnswers();
let server, browser;

before(async () => {
  const folders = { "/dist/": `${js}dist`, "/test/": `${js}test`, "/pyodide/": distribution() };
  server = await serve(
    folders,
    { "/page.html": page, "/isolated.html": page },
    { "/isolated": ISOLATED, "/dist/worker.js": ISOLATED },
  );
  browser = await launch();
});
after(async () => {
  await browser?.close();
  await server?.close();
});

const RUNTIMES = {
  "main thread": ["/page.html", {}],
  worker: ["/page.html", { worker: true }],
  "worker, isolated": ["/isolated.html", { worker: true }],
  "pool of 2": ["/page.html", { workers: 2 }],
};
// In Firefox only a worker is tested, unless everything is requested.
const chosen = engine === "Firefox" && !process.env.GRAPHATTEND_ALL ? ["worker"] : Object.keys(RUNTIMES);
for (const name of chosen) {
  const [path, options] = RUNTIMES[name];
  describe(`${engine}, ${name}`, () => {
    let tab;
    before(async () => {
      tab = await open(browser, server.url + path);
      await tab.page.waitForFunction("globalThis.ready");
      await tab.page.evaluate(
        ([o, n]) => {
          globalThis.native = n;
          return start(o);
        },
        [options, native],
      );
    });
    after(async () => {
      await tab.page.evaluate(() => stop());
      await tab.page.close();
    });
    for (const title of Object.keys(checks)) {
      it(title, async () => {
        await tab.page.evaluate((t) => check(t), title);
        assert.deepEqual(tab.problems, []);
      });
    }
    it("progress tells phases and bytes", async () => {
      const progress = await tab.page.evaluate(() => globalThis.progress);
      const phases = [...new Set(progress.map((p) => p.phase))];
      assert.ok(phases.includes("runtime") && phases.includes("packages") && phases.at(-1) === "ready", phases.join());
      const loaded = Math.max(...progress.map((p) => p.loaded));
      assert.ok(loaded > 10e6 && progress.some((p) => p.file === "pyodide.asm.wasm"), `${loaded} bytes`);
      assert.ok(progress.every((p) => p.total === undefined || p.loaded <= p.total));
    });
  });
}
