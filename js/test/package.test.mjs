// The published package: its content, its command line, and pages built by common tools in Chromium.
import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { createHash } from "node:crypto";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { gzipSync } from "node:zlib";
import { connect } from "graphattend";
import { engine, launch, open } from "./browsers.mjs";
import { environment, versionOf } from "./record.mjs";
import { serve } from "./server.mjs";
import { distribution, js, python3, root, vendored } from "./setup.mjs";

const indexURL = distribution();
const python = vendored();
const work = mkdtempSync(join(tmpdir(), "graphattend-package-"));
const app = join(work, "app");
const installed = join(app, "node_modules", "graphattend");
const bin = (name) => join(js, "node_modules", ".bin", name);
const cli = (...args) =>
  spawnSync(process.execPath, [join(installed, "dist", "cli.js"), ...args], {
    cwd: work,
    encoding: "utf8",
    env: { ...process.env, GRAPHATTEND_DIST: python },
  });

let tarball;
before(() => {
  mkdirSync(installed, { recursive: true });
  const printed = execFileSync("npm", ["pack", "--silent", "--ignore-scripts", "--pack-destination", work], {
    cwd: js,
    encoding: "utf8",
  });
  tarball = join(work, printed.trim().split("\n").at(-1));
  execFileSync("tar", ["-xzf", tarball, "-C", installed, "--strip-components=1"]);
});
after(() => rmSync(work, { recursive: true, force: true }));

describe("the package", () => {
  it("holds what it should and no more, and is small", () => {
    const files = readdirSync(join(installed, "dist"));
    for (const name of [
      "index.js",
      "index-asking.js",
      "index-chunk.js",
      "index-host.js",
      "index.d.ts",
      "worker.js",
      "worker.d.ts",
      "kernels.js",
      "kernels-relaxed.js",
      "kernels-simd128.js",
      "cli.js",
      "graphattend.whl",
    ])
      assert.ok(files.includes(name), name);
    assert.ok(existsSync(join(installed, "README.md")) && existsSync(join(installed, "LICENSE")));
    assert.ok(!existsSync(join(installed, "src")) && !existsSync(join(installed, "test")));
    // The wrapper is everything that `import "graphattend"` may load into a page, including the code that runs Python in the
    // page (not needed with a worker) and the code that calls the caller's functions (loaded on demand). It excludes the
    // worker's file, which a page with a worker does not load, and `graphattend/kernels`, a separate entry point.
    const wrapper = files.filter((name) => /^index.*\.js$/.test(name));
    const sizes = wrapper.map((name) => gzipSync(readFileSync(join(installed, "dist", name)), { level: 9 }).length);
    const total = sizes.reduce((sum, size) => sum + size, 0);
    assert.ok(total <= 20_000, `${total} bytes gzipped: ${wrapper.map((name, i) => `${name} ${sizes[i]}`).join(", ")}`);
    assert.deepEqual(JSON.parse(readFileSync(join(installed, "package.json"), "utf8")).dependencies ?? {}, {});
  });

  it("publint and are-the-types-wrong find nothing", () => {
    const lint = spawnSync(bin("publint"), [tarball, "--strict"], { encoding: "utf8" });
    assert.equal(lint.status, 0, lint.stdout + lint.stderr);
    const types = spawnSync(
      bin("attw"),
      [tarball, "--profile", "esm-only", "--exclude-entrypoints", "./graphattend.whl"],
      { encoding: "utf8" },
    );
    assert.equal(types.status, 0, types.stdout + types.stderr);
  });

  it("the lock file names no registry", () => {
    assert.doesNotMatch(readFileSync(join(js, "package-lock.json"), "utf8"), /"resolved": "http/);
  });
});

describe("command line", () => {
  it("vendor writes a folder that works, and refuses damaged files", async () => {
    const folder = join(work, "vendored");
    mkdirSync(folder); // an empty folder is filled
    const done = cli("vendor", folder, "--from", indexURL);
    assert.equal(done.status, 0, done.stderr);
    const hashes = JSON.parse(readFileSync(join(folder, "sha256.json"), "utf8"));
    assert.deepEqual(
      Object.keys(hashes).sort(),
      readdirSync(folder)
        .filter((n) => n !== "sha256.json")
        .sort(),
    );
    for (const [name, hash] of Object.entries(hashes)) {
      assert.equal(
        createHash("sha256")
          .update(readFileSync(join(folder, name)))
          .digest("hex"),
        hash,
        name,
      );
    }
    const ga = await connect({ indexURL: folder });
    assert.equal((await ga.backendInfo()).version, ga.version);
    await ga.close();
    const damaged = join(work, "damaged");
    cpSync(folder, damaged, { recursive: true });
    const numpy = readdirSync(damaged).find((n) => n.startsWith("numpy"));
    writeFileSync(join(damaged, numpy), "not a wheel");
    const refused = cli("vendor", join(work, "second"), "--from", damaged);
    assert.deepEqual([refused.status, refused.stderr.includes("sha256")], [2, true], refused.stderr);
    assert.deepEqual(
      readdirSync(work).filter((n) => n.includes("second")),
      [],
      "nothing is left behind",
    );
  });

  it("vendor takes another NumPy, which connect can ask for", async () => {
    const official = readdirSync(indexURL).find((name) => name.startsWith("numpy-"));
    const [, version, ...tags] = official.split("-");
    // The official wheel under the other's name, because this tests only how the wheel is found and requested.
    const wheel = join(work, ["numpy", `${version}+simd.0`, ...tags].join("-"));
    cpSync(join(indexURL, official), wheel);
    const folder = join(work, "simd");
    const done = cli("vendor", folder, "--from", indexURL, "--no-snapshot", "--numpy-simd", wheel);
    assert.equal(done.status, 0, done.stderr);
    const ga = await connect({ indexURL: folder, numpy: "simd" });
    assert.equal((await (await ga.create("flash", { dim: 2 })).forward([1, 0], [[1, 0]], [[3, 4]])).output.data[1], 4);
    await ga.close();
    await assert.rejects(connect({ indexURL, numpy: "simd" }), /not the WASM-SIMD build.*--numpy-simd/s);
    await assert.rejects(connect({ indexURL, numpy: "fast" }), /numpy: expected "simd"/);
    writeFileSync(join(work, "other-1.0-py3-none-any.whl"), "x");
    for (const path of ["other-1.0-py3-none-any.whl", "missing.whl"]) {
      const refused = cli("vendor", join(work, "no"), "--from", indexURL, "--numpy-simd", path);
      assert.deepEqual([refused.status, refused.stderr.includes(path)], [2, true], refused.stderr);
    }
  });

  it("vendor removes only what it wrote", () => {
    const vendor = (folder) => cli("vendor", folder, "--no-snapshot", "--from", indexURL);
    const listing = (folder) => readdirSync(folder).sort();
    const folder = join(work, "shared");
    mkdirSync(folder);
    writeFileSync(join(folder, "index.html"), "mine");
    for (const name of [folder, ".", join(folder, "index.html")]) {
      const before = listing(work);
      const { status, stderr } = vendor(name);
      assert.deepEqual([status, stderr.trim().split("\n").length], [2, 1], stderr);
      assert.deepEqual(listing(work), before);
    }
    assert.equal(readFileSync(join(folder, "index.html"), "utf8"), "mine");
    // A folder of an earlier version, with an obsolete file, the snapshot, and a file of the user.
    const manifest = join(folder, "sha256.json");
    const hashes = JSON.parse(readFileSync(join(python, "sha256.json"), "utf8"));
    for (const name of Object.keys(hashes)) cpSync(join(python, name), join(folder, name));
    const stale = createHash("sha256").update("old").digest("hex");
    writeFileSync(manifest, JSON.stringify({ ...hashes, "old.whl": stale }));
    writeFileSync(join(folder, "old.whl"), "old");
    const again = vendor(folder);
    assert.equal(again.status, 0, again.stderr);
    const kept = Object.keys(hashes).filter((name) => name !== "snapshot.bin");
    assert.deepEqual(listing(folder), [...kept, "sha256.json", "index.html"].sort());
    writeFileSync(join(folder, "worker.js"), "changed by hand");
    const refused = vendor(folder);
    assert.deepEqual([refused.status, /worker\.js: has changed/.test(refused.stderr)], [2, true], refused.stderr);
    assert.equal(readFileSync(join(folder, "worker.js"), "utf8"), "changed by hand");
    assert.deepEqual(
      readdirSync(work).filter((n) => n.startsWith(".shared")),
      [],
      "no draft is left behind",
    );
  });

  before(() => {
    const nodes = Array.from({ length: 8 }, (_x, id) => ({ id: `n${id}` }));
    const links = nodes.flatMap((n, i) => [1, 3].map((step) => ({ source: n.id, target: nodes[(i + step) % 8].id })));
    writeFileSync(join(work, "graph.json"), JSON.stringify({ directed: false, multigraph: false, nodes, links }));
  });

  it("analyze prints what Python's command line prints", () => {
    const options = ["--mechanism", "hyperbolic", "--dim", "3", "--seed", "1"];
    const ours = cli("analyze", "graph.json", ...options);
    const theirs = spawnSync(python3(), ["-m", "graphattend", "analyze", "--graph", "graph.json", ...options], {
      cwd: work,
      encoding: "utf8",
      env: { ...process.env, PYTHONPATH: join(root, "src") },
    });
    // Measured times differ; everything else is the same.
    const timeless = (text) => text.replace(/ +/g, " ").replace(/^(hyperbolic \S+ \S+) \S+/m, "$1 time");
    assert.equal(theirs.status, 0, theirs.stderr);
    assert.equal(ours.status, 0, ours.stderr);
    assert.equal(timeless(ours.stdout), timeless(theirs.stdout));
    const report = cli("analyze", "graph.json", ...options, "--plot", "report.html");
    assert.equal(report.status, 0, report.stderr);
    assert.match(readFileSync(join(work, "report.html"), "utf8"), /<svg/);
  });

  it("train writes a model that analyze reads", () => {
    const trained = cli(
      "train",
      "--graph=graph.json",
      "--task",
      "links",
      "--mechanism",
      "flash",
      "--hidden",
      "4",
      "--epochs",
      "2",
      "--out=model.npz",
      "--latents",
      "latents.npy",
    );
    assert.equal(trained.status, 0, trained.stderr);
    const shown = cli("analyze", "graph.json", "--model", "model.npz", "--embeddings", "latents.npy", "--json");
    assert.equal(shown.status, 0, shown.stderr);
    assert.deepEqual(
      JSON.parse(shown.stdout).results.map((r) => r.key),
      ["model.npz"],
    );
    const refused = cli("evaluate", "--graph", "graph.json", "--task", "links", "--cache", "runs");
    assert.deepEqual([refused.status, /--cache/.test(refused.stderr)], [2, true]);
    const parts = cli("partition", "--graph", "graph.json", "--parts", "2", "--out", "parts");
    assert.deepEqual([parts.status, /^graphattend: partition: .*folders\n$/.test(parts.stderr)], [2, true]);
  });

  it("shows the time that is left on a terminal, and Ctrl-C ends it with one line and no file", () => {
    const endless = ["--epochs", "1000000", "--patience", "1000000", "--plot", "never.html"];
    const command = [process.execPath, join(installed, "dist", "cli.js"), "compare", "--graph", "graph.json"];
    const printed = execFileSync(
      python3(),
      [join(js, "test", "terminal.py"), " left", ...command, "--task", "links", ...endless],
      { cwd: work, encoding: "utf8", env: { ...process.env, GRAPHATTEND_DIST: python } },
    );
    const { status, output } = JSON.parse(printed);
    const lines = output.split("\r\x1b[K");
    assert.match(lines[2], /^\[ {24}\] 1\/\d{7,} \w+, \d+:\d\d left/);
    assert.deepEqual([status, lines.at(-1)], [130, "graphattend: interrupted\r\n"]);
    assert.ok(!existsSync(join(work, "never.html")));
  });

  it("convert takes the standard input and writes a file", () => {
    const made = spawnSync(process.execPath, [join(installed, "dist", "cli.js"), "convert", "-", "made.csv"], {
      cwd: work,
      encoding: "utf8",
      input: "a b\nb c\n",
      env: { ...process.env, GRAPHATTEND_DIST: python },
    });
    assert.deepEqual([made.status, made.stdout], [0, "3 nodes, 2 edges, directed\n"], made.stderr);
    assert.equal(readFileSync(join(work, "made.csv"), "utf8"), "source,target\na,b\nb,c\n");
    const back = cli("convert", "made.csv", "made.json");
    assert.equal(back.status, 0, back.stderr);
    assert.equal(JSON.parse(readFileSync(join(work, "made.json"), "utf8")).edges.length, 2);
  });

  it("bad usage ends with 2 and one line", () => {
    for (const args of [
      ["analyze", "missing.json"],
      ["analyze", "graph.json", "--mechanism", "x"],
      ["vendor"],
      ["vendor", "a", "--nope"],
      ["frobnicate"],
    ]) {
      const { status, stderr, stdout } = cli(...args);
      assert.equal(status, 2, `${args.join(" ")}: ${stderr}`);
      assert.equal(stdout, "");
      assert.equal(stderr.trim().split("\n").length, 1, stderr);
    }
    for (const args of [["--help"], ["vendor", "--help"], ["doctor", "--help"]]) {
      const { status, stdout } = cli(...args);
      assert.deepEqual([status, stdout.startsWith("Usage:")], [0, true]);
    }
  });

  it("doctor tells what is missing, else starts", () => {
    const healthy = cli("doctor", indexURL);
    assert.equal(healthy.status, 0, healthy.stderr);
    assert.match(healthy.stdout, /^graphattend \S+, NumPy \S+, \S+: started in \d+ ms/);
    const sick = cli("doctor", app);
    assert.equal(sick.status, 2);
    assert.match(
      sick.stderr,
      /^graphattend: .*: no such file; give indexURL a folder made by `npx graphattend vendor`/,
    );
  });
});

describe("pages in Chromium", () => {
  const source = `import { connect } from "graphattend";
    const worker = new URLSearchParams(location.search).has("worker");
    connect({ indexURL: "/pyodide/", worker }).then(async (ga) => {
      const attn = await ga.create("flash", { dim: 2 });
      const { output } = await attn.forward([1, 0], [[1, 0]], [[3, 4]]);
      await ga.close();
      globalThis.result = output.data.join();
    }).catch((error) => { globalThis.result = String(error.code) + ": " + error.message; });`;
  const html = (script) =>
    `<!doctype html><meta charset="utf-8"><title>test</title><link rel="icon" href="data:,"><script type="module" src="${script}"></script>`;
  let server, browser;

  before(async () => {
    writeFileSync(join(app, "app.js"), source);
    writeFileSync(join(app, "index.html"), html("./app.js"));
    writeFileSync(join(app, "package.json"), '{"type": "module"}');
    const { build: vite } = await import("vite");
    await vite({
      root: app,
      base: "./",
      logLevel: "error",
      build: { outDir: join(work, "vite"), emptyOutDir: true, target: "es2022" },
    });
    const { default: webpack } = await import("webpack");
    const stats = await new Promise((resolve, reject) =>
      webpack(
        {
          mode: "production",
          context: app,
          entry: "./app.js",
          output: { path: join(work, "webpack"), filename: "app.js" },
          experiments: { outputModule: true },
        },
        (error, result) => (error ? reject(error) : resolve(result)),
      ),
    );
    assert.deepEqual(stats.toJson({ all: false, errors: true, warnings: true }).errors, []);
    const { build: esbuild } = await import("esbuild");
    await esbuild({
      absWorkingDir: app,
      entryPoints: { app: "app.js", worker: "graphattend/worker" },
      bundle: true,
      format: "esm",
      outdir: join(work, "esbuild"),
      minify: true,
      logLevel: "error",
    });
    mkdirSync(join(work, "plain"));
    writeFileSync(join(work, "plain", "app.js"), source.replace('"graphattend"', '"/package/dist/index.js"'));
    const folders = { "/pyodide/": python, "/package/": installed };
    const pages = {};
    const headers = {};
    const policies = {
      "": undefined,
      "strict-": "default-src 'self'; img-src data:; script-src 'self' 'wasm-unsafe-eval'",
      "blocked-": "default-src 'self'; img-src data:",
    };
    for (const tool of ["vite", "webpack", "esbuild", "plain"]) {
      folders[`/${tool}/`] = join(work, tool);
      for (const [prefix, policy] of Object.entries(policies)) {
        const path = `/${prefix}${tool}.html`;
        pages[path] =
          tool === "vite"
            ? readFileSync(join(work, "vite", "index.html"), "utf8").replaceAll("./assets/", "/vite/assets/")
            : html(`/${tool}/app.js`);
        if (policy !== undefined) headers[path] = { "content-security-policy": policy };
      }
    }
    server = await serve(folders, pages, headers);
    browser = await launch();
  });
  after(async () => {
    await browser?.close();
    await server?.close();
  });

  const visit = async (path, address = server.url) => {
    const { page, problems } = await open(browser, address + path);
    await page.waitForFunction(() => globalThis.result !== undefined, undefined, { timeout: 120_000 });
    const result = await page.evaluate(() => globalThis.result);
    await page.close();
    return { result, problems };
  };
  const tools = { Vite: "vite", webpack: "webpack", esbuild: "esbuild", "A page without a bundler": "plain" };
  for (const [name, tool] of Object.entries(tools)) {
    environment(name, "page, worker", async () => {
      assert.deepEqual(await visit(`/${tool}.html`), { result: "3,4", problems: [] });
      assert.deepEqual(await visit(`/${tool}.html?worker`), { result: "3,4", problems: [] });
      return tool === "plain" ? `${engine} ${browser.version()}` : versionOf(join(js, "node_modules"), tool);
    });
  }
  environment("Vite's development server", "page, worker", async () => {
    const { createServer } = await import("vite");
    const development = await createServer({
      root: app,
      configFile: false,
      logLevel: "error",
      cacheDir: join(work, "vite-cache"),
      optimizeDeps: { exclude: ["graphattend"] },
      server: { host: "127.0.0.1", port: 0, hmr: false, proxy: { "/pyodide": server.url } },
    });
    try {
      await development.listen();
      const [address] = development.resolvedUrls.local;
      assert.deepEqual(await visit("", address), { result: "3,4", problems: [] });
      assert.deepEqual(await visit("?worker", address), { result: "3,4", problems: [] });
    } finally {
      await development.close();
    }
    return versionOf(join(js, "node_modules"), "vite");
  });
  it("Content-Security-Policy script-src 'self' 'wasm-unsafe-eval' is enough", async () => {
    for (const path of ["/strict-plain.html", "/strict-plain.html?worker", "/strict-vite.html?worker"]) {
      assert.deepEqual(await visit(path), { result: "3,4", problems: [] }, path);
    }
  });
  it("a policy that blocks WebAssembly is named at once", async () => {
    const { result } = await visit("/blocked-plain.html");
    assert.match(result, /^startup_failed: WebAssembly is blocked here: .*wasm-unsafe-eval/);
  });
});
