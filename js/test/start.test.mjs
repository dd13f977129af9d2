// A start that cannot succeed: every failure is told soon, with the address, what came and what to do.
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { readFileSync } from "node:fs";
import { launch } from "./browsers.mjs";
import { serve } from "./server.mjs";
import { distribution, js } from "./setup.mjs";

const page = (policy) => `<!doctype html><meta charset="utf-8"><title>graphattend</title>${policy}<script type="module">
  import { connect } from "/dist/index.js";
  globalThis.rejections = [];
  addEventListener("unhandledrejection", (event) => rejections.push(String(event.reason)));
  globalThis.attempt = async (options) => {
    const before = globalThis.fetch;
    const start = performance.now();
    let message;
    try {
      const ga = await connect({ indexURL: "/pyodide/", ...options });
      message = (await ga.functional.softmax([0, 0])).data.join();
      await ga.close();
    } catch (error) {
      message = error.constructor.name + " " + error.code + ": " + error.message;
    }
    const ms = Math.round(performance.now() - start);
    await new Promise((resolve) => setTimeout(resolve, 50));
    return { message, ms, rejections, fetchKept: before === globalThis.fetch };
  };
  globalThis.two = async () => {
    const before = globalThis.fetch;
    const both = await Promise.all([connect({ indexURL: "/pyodide/" }), connect({ indexURL: "/pyodide/", worker: true })]);
    const during = (await fetch("/page.html")).url;
    await Promise.all(both.map((ga) => ga.close()));
    return { kept: before === globalThis.fetch, during };
  };
  globalThis.loaded = true;
</script>`;
const POLICY = `<meta http-equiv="Content-Security-Policy" content="script-src 'self' 'unsafe-inline' 'wasm-unsafe-eval'; connect-src 'none'">`;
const WASM = "pyodide.asm.wasm";

let server, browser;
before(async () => {
  server = await serve(
    { "/dist/": `${js}dist`, "/pyodide/": distribution() },
    { "/page.html": page(""), "/closed.html": page(POLICY) },
  );
  browser = await launch();
});
after(async () => {
  await browser?.close();
  await server?.close();
});

async function attempt(options, break_, path = "/page.html") {
  const tab = await browser.newPage();
  try {
    for (const [name, answer] of Object.entries(break_)) {
      await tab.route(
        (url) => url.pathname === `/pyodide/${name}`,
        (route) => (answer === "abort" ? route.abort() : route.fulfill(answer)),
      );
    }
    await tab.goto(server.url + path);
    await tab.waitForFunction("globalThis.loaded");
    return await tab.evaluate((o) => attempt(o), options);
  } finally {
    await tab.close();
  }
}

const html = { status: 200, contentType: "text/html", body: "<!doctype html><title>the app</title>" };
const wheel = /^numpy.*whl$/;
const numpy = () =>
  Object.values(JSON.parse(readFileSync(`${distribution()}/pyodide-lock.json`, "utf8")).packages).find((p) =>
    wheel.test(p.file_name),
  ).file_name;

const FAILURES = {
  "a missing pyodide.asm.wasm": [{ [WASM]: { status: 404 } }, /pyodide\.asm\.wasm: status 404.*graphattend vendor/],
  "HTML for pyodide.asm.wasm": [{ [WASM]: html }, /pyodide\.asm\.wasm: expected WebAssembly, got HTML/],
  "a broken pyodide.asm.wasm": [
    {
      [WASM]: {
        status: 200,
        contentType: "application/wasm",
        body: Buffer.from([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0, 9, 9]),
      },
    },
    /pyodide\.asm\.wasm: 10 bytes that are not valid WebAssembly/,
  ],
  "a fetch that fails": [{ [WASM]: "abort" }, /pyodide\.asm\.wasm: could not be fetched .*connect-src/],
  "a missing pyodide.asm.mjs": [{ "pyodide.asm.mjs": { status: 404 } }, /pyodide\.asm\.mjs: status 404/],
  "a script of the wrong type": [
    { "pyodide.asm.mjs": { status: 200, contentType: "text/plain", body: "export default 1" } },
    /pyodide\.asm\.mjs: a script that cannot be run \(served as text\/plain/,
  ],
  "a missing standard library": [{ "python_stdlib.zip": { status: 404 } }, /python_stdlib\.zip: status 404/],
  "a missing lock file": [{ "pyodide-lock.json": { status: 404 } }, /pyodide-lock\.json: status 404/],
  "a lock file that is none": [
    { "pyodide-lock.json": { status: 200, body: "{}" } },
    /pyodide-lock\.json: not a lock file of Pyodide/,
  ],
  "a missing wheel": [{ [numpy()]: { status: 503 } }, /numpy.*\.whl: status 503/],
  "a wheel that was changed": [
    { [numpy()]: { status: 200, body: Buffer.from("PK and something else") } },
    /numpy.*\.whl: its sha256 \w+ is not the lock file's/,
  ],
};
for (const [where, options] of [
  ["main thread", {}],
  ["worker", { worker: true }],
]) {
  describe(`a start that cannot succeed, ${where}`, () => {
    for (const [name, [break_, expected]] of Object.entries(FAILURES)) {
      it(name, async () => {
        const { message, ms, rejections, fetchKept } = await attempt(options, break_);
        assert.match(message, /^AttentionError startup_failed: http:/);
        assert.match(message, expected);
        assert.ok(ms < 3000, `${ms} ms`);
        assert.deepEqual(rejections, []);
        assert.ok(fetchKept);
      });
    }
    it("a start that takes too long", async () => {
      const { message, ms } = await attempt({ ...options, timeout: 150 }, {});
      assert.equal(message, "AttentionError timeout: the start took more than 150 ms");
      assert.ok(ms < 3000, `${ms} ms`);
    });
  });
}

it("a policy that blocks every fetch", async () => {
  const { message, ms } = await attempt({}, {}, "/closed.html");
  assert.match(message, /startup_failed: http.*could not be fetched .*connect-src/);
  assert.ok(ms < 3000, `${ms} ms`);
});

it("the right bytes of the wrong type are taken", async () => {
  const body = readFileSync(`${distribution()}/${WASM}`);
  const { message } = await attempt({}, { [WASM]: { status: 200, contentType: "text/plain", body } });
  assert.equal(message, "0.5,0.5");
});

it("two connections at once leave the page's fetch alone", async () => {
  const tab = await browser.newPage();
  await tab.goto(`${server.url}/page.html`);
  await tab.waitForFunction("globalThis.loaded");
  assert.deepEqual(await tab.evaluate(() => two()), { kept: true, during: `${server.url}/page.html` });
  await tab.close();
});

it("a worker that is ended from outside rejects its calls, and the next one works", async () => {
  const tab = await browser.newPage();
  await tab.goto(`${server.url}/page.html`);
  const found = await tab.evaluate(async () => {
    const { connect } = await import("/dist/index.js");
    let worker;
    const ga = await connect({
      indexURL: "/pyodide/",
      worker: () => (worker = new Worker("/dist/worker.js", { type: "module" })),
    });
    const x = { data: new Float32Array(4000 * 64).fill(0.5), shape: [4000, 64] };
    const call = ga.functional.scaledDotProductAttention(x, x, x).catch((error) => error.code);
    const start = performance.now();
    setTimeout(() => worker.terminate(), 30);
    const code = await call;
    const ms = performance.now() - start;
    return { code, ms, next: (await ga.functional.softmax([0, 0])).data.length };
  });
  assert.equal(found.code, "crashed");
  assert.ok(found.ms < 2000, `${found.ms} ms`);
  assert.equal(found.next, 2);
  await tab.close();
});

it("a stopped call leaves a page without isolation at work", async () => {
  const tab = await browser.newPage();
  await tab.goto(`${server.url}/page.html`);
  const found = await tab.evaluate(async () => {
    const { connect } = await import("/dist/index.js");
    let made = 0;
    const ga = await connect({
      indexURL: "/pyodide/",
      worker: () => (made++, new Worker("/dist/worker.js", { type: "module" })),
    });
    const x = { data: new Float32Array(1500 * 64).fill(0.5), shape: [1500, 64] };
    const q = await ga.tensor(x.data, x.shape);
    const answers = [];
    let controller = new AbortController();
    for (let i = 0; i < 9; i++) {
      controller.abort();
      controller = new AbortController();
      answers.push(
        ga.functional.scaledDotProductAttention(q, q, q, { signal: controller.signal }).then(
          () => "answered",
          (error) => error.code,
        ),
      );
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    const settled = await Promise.all(answers);
    const latest = Array.from({ length: 5 }, () =>
      ga.functional.scaledDotProductAttention(q, q, q, { latest: true }).then(
        () => "answered",
        (e) => e.code,
      ),
    );
    return { made, settled, latest: await Promise.all(latest) };
  });
  assert.equal(found.made, 1, "no restart");
  assert.deepEqual(found.settled, [...Array(8).fill("aborted"), "answered"]);
  assert.deepEqual(found.latest, ["answered", "aborted", "aborted", "aborted", "answered"]);
  await tab.close();
});
