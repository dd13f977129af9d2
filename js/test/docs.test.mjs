// The page of docs/browser.md, unchanged: it trains and saves at the first visit, and loads at the second.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { it } from "node:test";
import { launch, open } from "./browsers.mjs";
import { serve } from "./server.mjs";
import { js, vendored } from "./setup.mjs";

it("train, save and load in the browser", { timeout: 180_000 }, async () => {
  const text = readFileSync(join(js, "..", "docs", "browser.md"), "utf8");
  const page = text.match(/^```html\n(.*?)^```/ms)[1];
  const folders = { "/node_modules/graphattend/dist/": join(js, "dist"), "/pyodide/": vendored() };
  const server = await serve(folders, { "/page.html": page });
  const browser = await launch();
  try {
    const { page: tab, problems } = await open(browser, `${server.url}/page.html`);
    const result = async () => {
      await tab.waitForFunction(() => document.querySelector("#result").textContent, undefined, { timeout: 90_000 });
      return tab.textContent("#result");
    };
    const first = await result();
    assert.match(first, /^trained and saved: (29|3[0-4]) of 34 members/);
    assert.equal(await tab.evaluate(() => document.querySelector("progress").value), 1);
    await tab.reload();
    assert.equal(await result(), first.replace("trained and saved", "loaded"));
    assert.deepEqual(problems, []);
  } finally {
    await browser.close();
    await server.close();
  }
});
