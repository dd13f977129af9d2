// graphattend/kernels in a browser: Python's answers on both builds, in pages and workers, under policies, from bundlers; and the page of docs/kernels.md.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { engine, launch, open } from "./browsers.mjs";
import { serve } from "./server.mjs";
import { js, root } from "./setup.mjs";

const text = readFileSync(join(root, "docs", "kernels.md"), "utf8");
const documented = text.match(/^```html\n(.*?)^```/ms)[1];
const examples = [...text.matchAll(/^```js\n(.*?)^```/gms)].map((m) => m[1]).join("\n");

const source = `import { load } from "graphattend/kernels";
  const run = () => load().then((k) => k.scaledDotProductAttention([1, 0], [[1, 0]], [[3, 4]]).data.join() + " " + k.backend,
    (error) => error.constructor.name + " " + error.code + ": " + error.message);`;
const onPage = `${source}\nrun().then((result) => { globalThis.result = result; globalThis.when = performance.now(); });`;
const inWorker = `${source}\nrun().then((result) => postMessage(result));`;
const starter = (url) =>
  `new Worker(${JSON.stringify(url)}, { type: "module" }).onmessage = ({ data }) => { globalThis.result = data; };`;
const html = (script) =>
  `<!doctype html><meta charset="utf-8"><title>test</title><link rel="icon" href="data:,"><script type="module" src="${script}"></script>`;
/** The builds that the engine supports, the faster one first; WebKit has no relaxed SIMD. */
const BACKENDS = engine === "WebKit" ? ["wasm-simd128"] : ["wasm-relaxed-simd", "wasm-simd128"];
const ANSWER = `3,4 ${BACKENDS[0]}`;

const work = mkdtempSync(join(tmpdir(), "graphattend-kernels-"));
const app = join(work, "app");
let server, browser;

before(async () => {
  cpSync(join(js, "dist"), join(app, "node_modules", "graphattend", "dist"), { recursive: true });
  cpSync(join(js, "package.json"), join(app, "node_modules", "graphattend", "package.json"));
  writeFileSync(join(app, "package.json"), '{"type": "module"}');
  writeFileSync(join(app, "app.js"), onPage);
  writeFileSync(join(app, "worker.js"), inWorker);
  writeFileSync(join(app, "index.html"), html("./app.js"));
  mkdirSync(join(work, "plain"));
  for (const [name, code] of Object.entries({ app: onPage, worker: inWorker })) {
    writeFileSync(join(work, "plain", `${name}.js`), code.replace('"graphattend/kernels"', '"/dist/kernels.js"'));
    writeFileSync(join(work, "plain", `start-${name}.js`), starter(`/plain/${name}.js`));
  }
  const { build: vite } = await import("vite");
  await vite({ root: app, base: "./", logLevel: "error", build: { outDir: join(work, "vite"), emptyOutDir: true } });
  const { default: webpack } = await import("webpack");
  const stats = await new Promise((resolve, reject) =>
    webpack(
      {
        mode: "production",
        context: app,
        entry: "./app.js",
        output: { path: join(work, "webpack"), filename: "app.js", publicPath: "auto" },
      },
      (error, result) => (error ? reject(error) : resolve(result)),
    ),
  );
  const { errors, warnings } = stats.toJson({ all: false, errors: true, warnings: true });
  assert.deepEqual([errors, warnings.filter((w) => !/size limit|limit the size/.test(w.message))], [[], []]);
  const { build: esbuild } = await import("esbuild");
  const options = { absWorkingDir: app, entryPoints: ["app.js"], bundle: true, minify: true, logLevel: "error" };
  await esbuild({ ...options, format: "esm", splitting: true, outdir: join(work, "esbuild") });
  await esbuild({ ...options, format: "iife", outdir: join(work, "one-file") });

  const policies = {
    "": undefined,
    "strict-": "default-src 'self'; img-src data:; script-src 'self' 'wasm-unsafe-eval'",
    "blocked-": "default-src 'self'; img-src data:",
  };
  const pages = {
    "/page.html": documented,
    "/table.html": "<!doctype html><link rel=icon href=data:,>",
    "/worker.html": html("/plain/start-worker.js"),
  };
  const headers = {};
  for (const [prefix, policy] of Object.entries(policies)) {
    for (const tool of ["plain", "vite", "webpack", "esbuild", "one-file"]) {
      const path = `/${prefix}${tool}.html`;
      pages[path] =
        tool === "vite"
          ? readFileSync(join(work, "vite", "index.html"), "utf8").replaceAll("./assets/", "/vite/assets/")
          : html(`/${tool}/app.js`);
      if (policy !== undefined) headers[path] = { "content-security-policy": policy };
    }
    pages[`/${prefix}worker.html`] = html("/plain/start-worker.js");
    if (policy !== undefined) headers[`/${prefix}worker.html`] = { "content-security-policy": policy };
  }
  headers["/plain/worker.js"] = {};
  const folders = Object.fromEntries(
    ["plain", "vite", "webpack", "esbuild", "one-file"].map((name) => [`/${name}/`, join(work, name)]),
  );
  server = await serve(
    {
      ...folders,
      "/dist/": join(js, "dist"),
      "/test/": join(js, "test"),
      "/node_modules/graphattend/dist/": join(js, "dist"),
    },
    pages,
    headers,
  );
  browser = await launch();
});
after(async () => {
  await browser?.close();
  await server?.close();
  rmSync(work, { recursive: true, force: true });
});

const visit = async (path, address = server.url) => {
  const { page, problems } = await open(browser, address + path);
  await page.waitForFunction(() => globalThis.result !== undefined, undefined, { timeout: 30_000 });
  const found = await page.evaluate(() => ({ result: globalThis.result, when: globalThis.when }));
  await page.close();
  return { ...found, problems };
};

describe(`kernels in ${engine}`, () => {
  for (const backend of BACKENDS) {
    for (const place of ["page", "worker"]) {
      it(`the table of Python's answers, ${backend}, ${place}`, async () => {
        const { page, problems } = await open(browser, `${server.url}/table.html`);
        const code = `import { load } from "${server.url}/dist/kernels.js"; import { answer, compare } from "${server.url}/test/kernel-table.mjs";
          const table = await (await fetch("${server.url}/test/kernel-cases.json")).json(); const k = await load({ backend: "${backend}" });
          const found = table.map((c) => [c.call + ", " + c.name, compare(answer(k, c), c.expected)]).filter(([, why]) => why !== "");
          const result = { faults: found, count: table.length, backend: k.backend };`;
        const found = await page.evaluate(
          ([text, inside]) =>
            new Promise((resolve, reject) => {
              const url = URL.createObjectURL(
                new Blob([`${text} ${inside ? "postMessage(result)" : "globalThis.done(result)"};`], {
                  type: "text/javascript",
                }),
              );
              if (!inside) {
                globalThis.done = resolve;
                import(url).catch(reject);
                return;
              }
              const worker = new Worker(url, { type: "module" });
              worker.onmessage = ({ data }) => resolve(data);
              worker.onerror = (event) => reject(new Error(event.message));
            }),
          [code, place === "worker"],
        );
        assert.deepEqual([found.faults, found.backend, problems], [[], backend, []]);
        assert.ok(found.count > 90);
        await page.close();
      });
    }
  }
  for (const tool of ["plain", "vite", "webpack", "esbuild", "one-file"]) {
    it(`${tool}: page, also under a strict policy`, async () => {
      for (const prefix of ["", "strict-"]) {
        const { result, problems, when } = await visit(`/${prefix}${tool}.html`);
        assert.deepEqual({ result, problems }, { result: ANSWER, problems: [] });
        if (prefix === "") console.log(`${tool}: ${when.toFixed(0)} ms from opening the page to the answer`);
      }
    });
  }
  it("a worker, also under a strict policy", async () => {
    for (const path of ["/worker.html", "/strict-worker.html"]) assert.equal((await visit(path)).result, ANSWER);
  });
  it("Vite's development server", async () => {
    const { createServer } = await import("vite");
    const development = await createServer({
      root: app,
      configFile: false,
      logLevel: "error",
      cacheDir: join(work, "vite-cache"),
      server: { host: "127.0.0.1", port: 0, hmr: false },
    });
    try {
      await development.listen();
      const { result, problems } = await visit("", development.resolvedUrls.local[0]);
      assert.deepEqual({ result, problems }, { result: ANSWER, problems: [] });
    } finally {
      await development.close();
    }
  });
  it("a policy that blocks WebAssembly is named", async () => {
    assert.match(
      (await visit("/blocked-plain.html")).result,
      /^\S+ unsupported: WebAssembly is blocked here: .*'wasm-unsafe-eval'\)$/,
    );
  });
  it("one build is loaded, not both", async () => {
    server.requests.length = 0;
    await visit("/plain.html");
    assert.deepEqual(
      server.requests.filter((path) => path.startsWith("/dist/")),
      ["/dist/kernels.js", `/dist/kernels-${BACKENDS[0].split("-")[1]}.js`],
    );
  });
  it("the page of the documentation: at most 30 lines of script, and an answer", async () => {
    const script = documented.match(/<script type="module">\n(.*?)<\/script>/s)[1];
    assert.ok(script.trim().split("\n").length <= 30);
    const { page, problems } = await open(browser, `${server.url}/page.html`);
    await page.waitForFunction(() => document.querySelector("#time").textContent);
    const answer = await page.textContent("#time");
    assert.match(answer, /^\d+ ms after the page was opened; sharper than dot products$/);
    assert.equal(await page.locator("tr").count(), 8);
    const row = await page.locator("tr").nth(4).locator("td").allTextContents();
    assert.equal(row[0], "a");
    assert.ok(Math.abs(row.slice(1).reduce((a, b) => a + Number(b), 0) - 1) < 0.05);
    console.log(`docs/kernels.md: ${answer}`);
    assert.deepEqual(problems, []);
    await page.close();
  });
});

it("the examples of docs/kernels.md print what they say", () => {
  const expected = [...examples.matchAll(/console\.log\(.*\); \/\/ (.*)$/gm)].map((m) => m[1]);
  assert.ok(expected.length >= 5);
  const file = join(js, "test", ".kernels.mjs");
  writeFileSync(file, examples);
  try {
    const printed = execFileSync(process.execPath, ["--no-warnings", file], { encoding: "utf8" });
    assert.deepEqual(printed.trim().split("\n"), expected);
  } finally {
    rmSync(file);
  }
});
