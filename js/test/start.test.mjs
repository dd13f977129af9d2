// Failing starts: every failure is reported quickly, with the address, the response and a remedy.
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { readFileSync } from "node:fs";
import { launch } from "./browsers.mjs";
import { record } from "./record.mjs";
import { serve } from "./server.mjs";
import { distribution, js } from "./setup.mjs";

const page = (
  dist = "dist",
  head = "",
) => `<!doctype html><meta charset="utf-8"><title>graphattend</title>${head}<script type="module">
  import { connect } from "/${dist}/index.js";
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
const policy = (rules) =>
  `<meta http-equiv="Content-Security-Policy" content="script-src 'self' 'unsafe-inline' ${rules}">`;
const WASM = "pyodide.asm.wasm";

let server, browser;
before(async () => {
  server = await serve(
    // A worker has its own file's policy.
    { "/dist/": `${js}dist`, "/strict/": `${js}dist`, "/closed/": `${js}dist`, "/pyodide/": distribution() },
    {
      "/page.html": page(),
      "/strict.html": page("strict", policy("")),
      "/closed.html": page("closed", policy("'wasm-unsafe-eval'; connect-src 'none'")),
    },
    {
      "/strict/": { "content-security-policy": "script-src 'self'" },
      "/closed/": { "content-security-policy": "script-src 'self' 'wasm-unsafe-eval'; connect-src 'none'" },
    },
  );
  browser = await launch();
});
after(async () => {
  await browser?.close();
  await server?.close();
});

async function attempt(options, { answers = {}, path = "/page.html", cut, offline }) {
  const tab = await browser.newPage();
  try {
    for (const [name, answer] of Object.entries(answers)) {
      await tab.route(
        (url) => url.pathname === (name.startsWith("/") ? name : `/pyodide/${name}`),
        (route) => (answer === "abort" ? route.abort() : route.fulfill(answer)),
      );
    }
    if (cut !== undefined) server.cut.add(`/pyodide/${cut}`);
    await tab.goto(server.url + path);
    await tab.waitForFunction("globalThis.loaded");
    if (offline) await tab.context().setOffline(true);
    return await tab.evaluate((o) => attempt(o), options);
  } finally {
    server.cut.clear();
    await tab.close();
  }
}

const html = { status: 200, contentType: "text/html", body: "<!doctype html><title>the app</title>" };
const wheel = /^numpy.*whl$/;
const numpy = Object.values(JSON.parse(readFileSync(`${distribution()}/pyodide-lock.json`, "utf8")).packages).find(
  (p) => wheel.test(p.file_name),
).file_name;

/** Failures and their messages, in the page and in a worker. */
const FAILURES = {
  "`pyodide.asm.wasm` is missing": [
    { answers: { [WASM]: { status: 404 } } },
    /pyodide\.asm\.wasm: status 404.*graphattend vendor/,
  ],
  "HTML in place of `pyodide.asm.wasm`": [
    { answers: { [WASM]: html } },
    /pyodide\.asm\.wasm: expected WebAssembly, got HTML/,
  ],
  "`pyodide.asm.wasm` is not valid WebAssembly": [
    {
      answers: {
        [WASM]: {
          status: 200,
          contentType: "application/wasm",
          body: Buffer.from([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0, 9, 9]),
        },
      },
    },
    /pyodide\.asm\.wasm: 10 bytes that are not valid WebAssembly/,
  ],
  "`pyodide.asm.wasm` breaks off": [{ cut: WASM }, /pyodide\.asm\.wasm: broke off after \d+ bytes/],
  "the connection for `pyodide.asm.wasm` fails": [
    { answers: { [WASM]: "abort" } },
    /pyodide\.asm\.wasm: could not be fetched .*connect-src/,
  ],
  "a policy forbids WebAssembly": [{ path: "/strict.html" }, /WebAssembly is blocked here: .*'wasm-unsafe-eval'/],
  "a policy forbids to fetch": [{ path: "/closed.html" }, /\/pyodide\/\S+: could not be fetched .*connect-src/],
  "`pyodide.asm.mjs` is missing": [
    { answers: { "pyodide.asm.mjs": { status: 404 } } },
    /pyodide\.asm\.mjs: status 404/,
  ],
  "`pyodide.asm.mjs` has the wrong MIME type": [
    { answers: { "pyodide.asm.mjs": { status: 200, contentType: "text/plain", body: "export default 1" } } },
    /pyodide\.asm\.mjs: a script that cannot be run \(served as text\/plain/,
  ],
  "the standard library is missing": [
    { answers: { "python_stdlib.zip": { status: 404 } } },
    /python_stdlib\.zip: status 404/,
  ],
  "the lock file is missing": [{ answers: { "pyodide-lock.json": { status: 404 } } }, /pyodide-lock\.json: status 404/],
  "the lock file is another file": [
    { answers: { "pyodide-lock.json": { status: 200, body: "{}" } } },
    /pyodide-lock\.json: not a lock file of Pyodide/,
  ],
  "a wheel is missing": [{ answers: { [numpy]: { status: 503 } } }, /numpy.*\.whl: status 503/],
  "a wheel is not the one of the lock file": [
    { answers: { [numpy]: { status: 200, body: Buffer.from("PK and something else") } } },
    /numpy.*\.whl: its sha256 \w+ is not the lock file's/,
  ],
  "a wheel is truncated": [{ cut: numpy }, /numpy.*\.whl: broke off after \d+ bytes/],
  "the worker's file is missing": [
    { answers: { "/dist/worker.js": { status: 404 } } },
    /worker\.js: could not be run as a module worker/,
    ["worker"],
  ],
  "the machine is offline": [
    { offline: true },
    /dist\/\S+(: could not be run as a module worker; |; is the server reachable)/,
  ],
};
const THREADS = { page: {}, worker: { worker: true } };
for (const [where, options] of Object.entries(THREADS)) {
  describe(`a start that cannot succeed, ${where}`, () => {
    for (const [name, [break_, expected, only = [where]]] of Object.entries(FAILURES)) {
      if (!only.includes(where)) continue;
      it(name, async () => {
        const { message, ms, rejections, fetchKept } = await attempt(options, break_);
        seen(name, where, message, ms);
        assert.match(message, /^AttentionError startup_failed: /);
        assert.match(message, expected);
        assert.ok(ms < 3000, `${ms} ms`);
        assert.deepEqual(rejections, []);
        assert.ok(fetchKept);
      });
    }
    it("the start takes longer than `timeout: 150`", async (test) => {
      const { message, ms } = await attempt({ ...options, timeout: 150 }, {});
      seen(test.name, where, message, ms);
      assert.equal(message, "AttentionError timeout: the start took more than 150 ms");
      assert.ok(ms < 3000, `${ms} ms`);
    });
  });
}

/** Return a row of the table of failures, with generic addresses and hashes. */
function seen(name, where, message, ms) {
  const [, code, text] = /^AttentionError (\w+): (.*)$/s.exec(message) ?? [];
  record("failures", name, {
    code,
    message: text
      ?.replaceAll(server.url, "https://app.example")
      .replaceAll(/\b[0-9a-f]{64}\b/g, (hash) => `${hash.slice(0, 6)}…`),
    [where]: ms,
  });
}

it("the right bytes of the wrong type are taken", async () => {
  const body = readFileSync(`${distribution()}/${WASM}`);
  const { message } = await attempt({}, { answers: { [WASM]: { status: 200, contentType: "text/plain", body } } });
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
    const call = ga.functional.scaledDotProductAttention(x, x, x).catch((error) => error);
    let start;
    setTimeout(() => {
      start = performance.now();
      worker.terminate();
    }, 30);
    const { code, message } = await call;
    const ms = Math.round(performance.now() - start);
    return { code, message, ms, next: (await ga.functional.softmax([0, 0])).data.length };
  });
  seen(
    "the worker is ended from outside during a call",
    "worker",
    `AttentionError ${found.code}: ${found.message}`,
    found.ms,
  );
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
    let [stopped, waited, message] = [0, 0, ""];
    let controller = new AbortController();
    for (let i = 0; i < 9; i++) {
      stopped = performance.now();
      controller.abort();
      controller = new AbortController();
      answers.push(
        ga.functional.scaledDotProductAttention(q, q, q, { signal: controller.signal }).then(
          () => "answered",
          (error) => {
            waited = Math.max(waited, performance.now() - stopped);
            ({ message } = error);
            return error.code;
          },
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
    return { made, settled, message, waited: Math.round(waited), latest: await Promise.all(latest) };
  });
  seen(
    "a call is stopped, on a page that is not isolated",
    "worker",
    `AttentionError aborted: ${found.message}`,
    found.waited,
  );
  assert.equal(found.made, 1, "no restart");
  assert.deepEqual(found.settled, [...Array(8).fill("aborted"), "answered"]);
  assert.deepEqual(found.latest, ["answered", "aborted", "aborted", "aborted", "answered"]);
  await tab.close();
});
