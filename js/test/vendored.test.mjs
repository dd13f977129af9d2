// First starts from the snapshot that `vendor` made in Node.js: there, in a browser, and without it if it is damaged.
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { engine } from "./browsers.mjs";
import { byDefault, checkPage, ownFolder, pages, stateOf } from "./snapshots.mjs";

const folder = ownFolder({ snapshot: true });

describe(engine, () => {
  const { site, open: openIn } = pages(folder);
  /** A page without any cache. */
  const open = async () => openIn(await site.browser.newContext());

  it("chooses the kernels that are the fastest here, not those that were where the snapshot was made", async () => {
    const [plain, tab] = [await open(), await open()];
    await plain.evaluate(() => start({ snapshot: false }));
    assert.deepEqual(await tab.evaluate(() => start({ snapshot: true })), ["vendored", "0.5,0.5"]);
    assert.equal(await tab.evaluate(() => backend()), await plain.evaluate(() => backend()));
    for (const one of [plain, tab]) await one.context().close();
  });

  it("is the default in Chromium only", async () => {
    const tab = await open();
    assert.deepEqual(await tab.evaluate(() => start()), [byDefault ? "vendored" : undefined, "0.5,0.5"]);
    await tab.context().close();
  });

  it("a first visit does without what is in the snapshot", async () => {
    const tab = await open();
    site.server.requests.length = 0;
    await tab.evaluate(() => start({ snapshot: true }));
    for (const name of ["python_stdlib.zip", ".whl"])
      assert.ok(!site.server.requests.some((path) => path.endsWith(name)), name);
    await tab.context().close();
  });

  checkPage("everything on a first visit's interpreter, worker", open, { snapshot: true, worker: true }, "vendored");

  it("a damaged one, or none at all, ends in a plain start", async () => {
    for (const response of [{ status: 404 }, { body: "x" }]) {
      const tab = await open();
      await tab.context().route("**/python/snapshot.bin", (route) => route.fulfill(response));
      assert.deepEqual(await tab.evaluate(() => start({ snapshot: true, worker: true })), ["none", "0.5,0.5"]);
      await tab.context().close();
    }
  });
});

describe("Node.js", () => {
  it("a damaged one ends in a plain start", async () => {
    const file = join(folder, "snapshot.bin");
    const data = readFileSync(file);
    writeFileSync(file, data.subarray(0, data.length - 9));
    assert.equal(await stateOf(folder, { worker: true }), "none");
    writeFileSync(file, data);
  });
});
