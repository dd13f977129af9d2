// First starts from the snapshot that `vendor` made in Node.js: there, in Chromium, and without it where it is damaged.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { connect } from "graphattend";
import { engine, launch } from "./browsers.mjs";
import { serve } from "./server.mjs";
import { distribution, js, nativeAnswers } from "./setup.mjs";
import { checks } from "./suite.mjs";

const native = nativeAnswers();
const work = mkdtempSync(join(tmpdir(), "graphattend-vendored-"));
const folder = join(work, "python");
before(() =>
  execFileSync(process.execPath, [join(js, "dist/cli.js"), "vendor", folder, "--from", distribution()], {
    stdio: "ignore",
  }),
);
after(() => rmSync(work, { recursive: true, force: true }));

async function start(options = {}) {
  let state;
  const ga = await connect({
    indexURL: folder,
    snapshot: true,
    onProgress: (p) => {
      state = p.snapshot;
    },
    ...options,
  });
  const { data } = await ga.functional.softmax([0, 0]);
  await ga.close();
  return [state, data.join()];
}

describe(engine, () => {
  const page = `<!doctype html><title>vendored</title><link rel="icon" href="data:,">
  <script type="importmap">{ "imports": { "graphattend": "/dist/index.js" } }</script>
  <script type="module">
    import { connect } from "graphattend";
    import { checks } from "/test/suite.mjs";
    let ga;
    globalThis.start = async (options) => {
      let state;
      ga = await connect({ indexURL: "/python/", onProgress: (p) => { state = p.snapshot; }, ...options });
      return [state, (await ga.functional.softmax([0, 0])).data.join(), (await ga.backendInfo()).backend];
    };
    globalThis.check = async (title) => checks[title](ga, native);
    globalThis.loaded = true;
  </script>`;
  let server, browser;
  before(async () => {
    server = await serve({ "/dist/": `${js}dist`, "/test/": `${js}test`, "/python/": folder }, { "/page.html": page });
    browser = await launch();
  });
  after(async () => {
    await browser?.close();
    await server?.close();
  });
  /** A page of somebody who was never here. */
  const open = async () => {
    const tab = await (await browser.newContext()).newPage();
    await tab.goto(`${server.url}/page.html`);
    await tab.waitForFunction("globalThis.loaded");
    return tab;
  };

  it("chooses the kernels that are the fastest here, not those that were where the snapshot was made", async () => {
    const plain = await open();
    const [, , backend] = await plain.evaluate(() => start({ snapshot: false }));
    await plain.context().close();
    const tab = await open();
    assert.deepEqual(await tab.evaluate(() => start()), ["vendored", "0.5,0.5", backend]);
    await tab.context().close();
  });

  it("a first visit does without what is in the snapshot", async () => {
    const tab = await open();
    server.requests.length = 0;
    await tab.evaluate(() => start());
    for (const name of ["python_stdlib.zip", ".whl"])
      assert.ok(!server.requests.some((path) => path.endsWith(name)), name);
    await tab.context().close();
  });

  describe("everything on a first visit's interpreter, worker", () => {
    let tab;
    before(async () => {
      tab = await open();
      await tab.evaluate((n) => {
        globalThis.native = n;
      }, native);
      assert.equal((await tab.evaluate(() => start({ worker: true })))[0], "vendored");
    });
    after(() => tab.context().close());
    for (const title of Object.keys(checks)) it(title, () => tab.evaluate((t) => check(t), title));
  });

  it("a damaged one, or none at all, ends in a plain start", async () => {
    for (const response of [{ status: 404 }, { body: "x" }]) {
      const tab = await open();
      await tab.context().route("**/python/snapshot.bin", (route) => route.fulfill(response));
      assert.deepEqual((await tab.evaluate(() => start({ worker: true }))).slice(0, 2), ["none", "0.5,0.5"]);
      await tab.context().close();
    }
  });
});

describe("Node.js", () => {
  it("a damaged one ends in a plain start", async () => {
    const file = join(folder, "snapshot.bin");
    const data = readFileSync(file);
    writeFileSync(file, data.subarray(0, data.length - 9));
    assert.deepEqual(await start({ worker: true }), ["none", "0.5,0.5"]);
    writeFileSync(file, data);
  });
});
