// Shared code of the snapshot tests: a folder that vendor wrote, and starts from it in Node.js and in pages.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { cpSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { connect } from "graphattend";
import { engine, launch } from "./browsers.mjs";
import { serve } from "./server.mjs";
import { distribution, js, nativeAnswers, vendored } from "./setup.mjs";
import { checks } from "./suite.mjs";

export const native = nativeAnswers();

/** Whether this browser starts from snapshots without being asked to. */
export const byDefault = engine === "Chromium";

/** A writeable folder for the duration of the tests, with or without vendor's snapshot. */
export function ownFolder({ snapshot }) {
  const work = mkdtempSync(join(tmpdir(), "graphattend-vendored-"));
  const folder = join(work, "python");
  const command = [join(js, "dist/cli.js"), "vendor", folder, "--no-snapshot", "--from", distribution()];
  before(() => {
    if (snapshot) cpSync(vendored(), folder, { recursive: true });
    else execFileSync(process.execPath, command, { stdio: "ignore" });
  });
  after(() => rmSync(work, { recursive: true, force: true }));
  return folder;
}

/** Start in Node.js; return the connection, the snapshot's state, and an answer. */
export async function start(indexURL, options = {}) {
  let state;
  const ga = await connect({
    indexURL,
    snapshot: true,
    onProgress: (p) => {
      state = p.snapshot;
    },
    ...options,
  });
  return { ga, state, answer: (await ga.functional.softmax([0, 0])).data.join() };
}

/** Start and close. */
export async function stateOf(indexURL, options) {
  const { ga, state, answer } = await start(indexURL, options);
  await ga.close();
  assert.equal(answer, "0.5,0.5");
  return state;
}

const page = `<!doctype html><meta charset="utf-8"><title>snapshots</title><link rel="icon" href="data:,">
<script type="module">
  import { connect } from "/dist/index.js";
  import { checks } from "/test/suite.mjs";
  let ga;
  globalThis.start = async (options) => {
    let state;
    ga = await connect({ indexURL: "/python/", onProgress: (p) => { state = p.snapshot; }, ...options });
    return [state, (await ga.functional.softmax([0, 0])).data.join()];
  };
  globalThis.check = async (title) => checks[title](ga, native);
  globalThis.backend = async () => (await ga.backendInfo()).backend;
  globalThis.stop = () => ga.close();
  globalThis.kept = async () => (await (await caches.open("graphattend-snapshots")).keys()).map(({ url }) => url);
  globalThis.loaded = true;
</script>`;

/** Pages in the browser: `open(context)` opens one; `site` has the server and the browser during the tests. */
export function pages(folder) {
  const site = {};
  before(async () => {
    site.server = await serve(
      { "/dist/": `${js}dist`, "/test/": `${js}test`, "/python/": folder },
      { "/page.html": page },
    );
    site.browser = await launch();
  });
  after(async () => {
    await site.browser?.close();
    await site.server?.close();
  });
  const open = async (context) => {
    const tab = await context.newPage();
    await tab.goto(`${site.server.url}/page.html`);
    await tab.waitForFunction("globalThis.loaded");
    return tab;
  };
  return { site, open };
}

/** Run every check on an interpreter restored in a page. */
export function checkPage(name, open, options, state) {
  describe(name, () => {
    let tab;
    before(async () => {
      tab = await open();
      await tab.evaluate((n) => {
        globalThis.native = n;
      }, native);
      assert.deepEqual(await tab.evaluate((o) => start(o), options), [state, "0.5,0.5"]);
    });
    after(async () => {
      await tab.evaluate(() => stop());
      await tab.close();
    });
    for (const title of Object.keys(checks)) it(title, () => tab.evaluate((t) => check(t), title));
  });
}
