// The JavaScript scripts of examples/ and the start pages of the documentation, as a user types them into an empty folder.
import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { after, before, describe, it } from "node:test";
import { promisify } from "node:util";
import { launch, open } from "./browsers.mjs";
import { serve } from "./server.mjs";
import { js, python3, root, vendored } from "./setup.mjs";

const run = promisify(execFile);
const work = mkdtempSync(join(tmpdir(), "graphattend-examples-"));
const env = { ...process.env, PYODIDE: vendored(), PYTHONPATH: join(root, "src"), NODE_NO_WARNINGS: "1" };
const blocks = (page, language) =>
  [
    ...readFileSync(join(root, "docs", "start", page), "utf8").matchAll(
      new RegExp(`^\`\`\`${language}\\n(.*?)^\`\`\``, "gms"),
    ),
  ].map((m) => m[1]);

before(() => {
  mkdirSync(join(work, "node_modules"));
  symlinkSync(js, join(work, "node_modules", "graphattend"), "junction");
  cpSync(join(root, "examples"), join(work, "examples"), { recursive: true });
});
after(() => rmSync(work, { recursive: true, force: true }));

it("a model trained in JavaScript is loaded in Python", { timeout: 180_000 }, async () => {
  const trained = await run(process.execPath, ["examples/train_in_node.mjs", "karate.npz"], { cwd: work, env });
  assert.match(trained.stdout, /^3[0-4] of 34 members/);
  const loaded = await run(python3(), ["examples/load_trained.py", "karate.npz"], { cwd: work, env });
  assert.equal(loaded.stdout, `edge_featured 2 heads\n${trained.stdout}`);
});

it("the server answers queries, refuses wrong ones and ends", { timeout: 180_000 }, async () => {
  const server = spawn(process.execPath, ["examples/serve.mjs", "0"], {
    cwd: work,
    env,
    stdio: ["ignore", "pipe", "inherit"],
  });
  try {
    const [url] = await new Promise((resolve, reject) => {
      createInterface(server.stdout).once("line", (line) => resolve([line]));
      server.once("exit", (code) => reject(new Error(`ended with ${code}`)));
    });
    const ask = async (body) => {
      const response = await fetch(url, { method: "POST", body, headers: { connection: "close" } });
      return [response.status, await response.json()];
    };
    const [status, answer] = await ask('{"query": [1, 0, 0, 0]}');
    assert.equal(status, 200);
    assert.equal(answer.documents.length, 3);
    assert.ok(answer.weights[0] >= answer.weights[1]);
    assert.deepEqual((await ask('{"query": [1, 0]}'))[0], 400);
    assert.equal((await ask('{"query": [1, 0]}'))[1].code, "dimension_mismatch");
    assert.equal((await ask("not JSON"))[0], 400);
  } finally {
    server.kill();
  }
});

it("the start page for Node.js prints what it says", { timeout: 180_000 }, async () => {
  const printed = [];
  for (const block of blocks("nodejs.md", "js")) {
    writeFileSync(join(work, "block.mjs"), block.replace("connect()", "connect({ indexURL: process.env.PYODIDE })"));
    printed.push((await run(process.execPath, ["block.mjs"], { cwd: work, env })).stdout);
  }
  const [main, table, kernels] = printed;
  assert.match(main, /^\[ 3, 2 \] \[ 4 \]\n[a-z_]+\n$/);
  assert.equal(table, "8\n");
  const [head, ...rows] = readFileSync(join(work, "weights.csv"), "utf8").split("\n");
  assert.deepEqual([head, rows.length, rows[0].split(",").slice(0, 2)], ["who,attends to,weight", 8, ["ann", "bob"]]);
  assert.equal(kernels, "[ 2 ]\n");
});

describe("in Chromium", () => {
  let server, browser;
  before(async () => {
    const [kernels, python] = blocks("web-page.md", "html");
    const demo = readFileSync(join(root, "examples", "attention_demo.html"), "utf8");
    const folders = { "/node_modules/graphattend/dist/": join(js, "dist"), "/pyodide/": vendored() };
    server = await serve(folders, { "/kernels.html": kernels, "/python.html": python, "/demo.html": demo });
    browser = await launch();
  });
  after(async () => {
    await browser?.close();
    await server?.close();
  });
  const answered = async (page, selector) => {
    const { page: tab, problems } = await open(browser, `${server.url}/${page}.html`);
    await tab.waitForFunction((s) => document.querySelector(s).textContent, selector, { timeout: 90_000 });
    const result = { text: await tab.textContent(selector), tab, problems };
    assert.deepEqual(problems, []);
    return result;
  };

  it("the start page's first page answers without Python", async () => {
    assert.match((await answered("kernels", "#answer")).text, /^The root attends to itself by 0\.\d\d$/);
    assert.ok(!server.requests.some((path) => path.includes("pyodide")));
  });
  it("the start page's second page answers with Python", { timeout: 180_000 }, async () => {
    const { text } = await answered("python", "#answer");
    const [ann, bob, dan] = text
      .match(/^cid attends to ann, bob and dan by (.*)$/)[1]
      .split(", ")
      .map(Number);
    assert.ok(Math.abs(ann + bob + dan - 1) < 0.02, text);
    assert.ok(ann > dan && dan > bob, text); // in order of distance from cid: 0.7, 1.0, 1.6
  });
  it("the demo of 30 lines follows the pointer", async () => {
    const { text, tab } = await answered("demo", "#near");
    await tab.mouse.move(60, 60);
    await tab.mouse.move(80, 80);
    assert.notEqual(await tab.textContent("#near"), text);
  });
});
