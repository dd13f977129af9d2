// The packed package in its users' environments: runtimes, module systems, classic scripts, strict pages; with GRAPHATTEND_ALL
// also test runners and frameworks. Each test installs the tarball, builds if necessary, runs and checks the answer.
import assert from "node:assert/strict";
import { execFile, execFileSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { promisify } from "node:util";
import { engine, launch, open } from "./browsers.mjs";
import { environment, versionOf } from "./record.mjs";
import { serve } from "./server.mjs";
import { distribution, js, vendored } from "./setup.mjs";

const run = promisify(execFile);
const all = Boolean(process.env.GRAPHATTEND_ALL);
const work = mkdtempSync(join(tmpdir(), "graphattend-environments-"));
const installed = join(work, "node_modules", "graphattend");
const python = vendored();

/** The expected answer of every environment: attention to a single key is its value. */
const task = (options) => `async () => {
  const ga = await connect(${options});
  const attn = await ga.create("flash", { dim: 2 });
  const { output } = await attn.forward([1, 0], [[1, 0]], [[3, 4]]);
  await ga.close();
  return output.data.join();
}`;
const inFolder = `{ indexURL: ${JSON.stringify(python)}, worker: process.argv.includes("worker") }`;
const script = `import { connect } from "graphattend";\n(${task(inFolder)})().then(console.log);`;

/** The folder in which tools are installed on first use. */
function tools(name) {
  const folder = join(js, "test", name);
  if (!existsSync(join(folder, "node_modules"))) {
    execFileSync("npm", ["ci", "--no-audit", "--no-fund", "--loglevel=error"], {
      cwd: folder,
      stdio: "inherit",
      shell: process.platform === "win32",
    });
  }
  return join(folder, "node_modules");
}

const threads = "main thread, worker";
/** Check a program's answer on the main thread and in a worker; return the version of the runtime. */
async function answers(command, args) {
  for (const thread of ["", "worker"]) {
    const { stdout } = await run(command, [...args, thread], { cwd: work });
    assert.equal(stdout.trim(), "3,4", thread);
  }
  return /\d[\d.]+/.exec((await run(command, ["--version"])).stdout)[0];
}

before(() => {
  mkdirSync(installed, { recursive: true });
  const printed = execFileSync("npm", ["pack", "--silent", "--ignore-scripts", "--pack-destination", work], {
    cwd: js,
    encoding: "utf8",
  });
  execFileSync("tar", ["-xzf", join(work, printed.trim().split("\n").at(-1)), "-C", installed, "--strip-components=1"]);
  writeFileSync(
    join(work, "package.json"),
    '{ "type": "module", "private": true, "dependencies": { "graphattend": "*" } }',
  );
  writeFileSync(join(work, "main.mjs"), script);
  writeFileSync(
    join(work, "main.cjs"),
    script.replace(
      'import { connect } from "graphattend";\n(async () => {',
      '(async () => {\n  const { connect } = await import("graphattend");',
    ),
  );
});
after(() => rmSync(work, { recursive: true, force: true }));

describe("runtimes and module systems", () => {
  environment("Node.js, ES modules", threads, () => answers(process.execPath, ["--no-warnings", "main.mjs"]));
  environment("Node.js, CommonJS", threads, () => answers(process.execPath, ["--no-warnings", "main.cjs"]));
  environment("Node.js, a CommonJS bundle without `import.meta.url`", threads, async () => {
    const { build } = await import("esbuild");
    await build({
      absWorkingDir: work,
      entryPoints: ["main.mjs"],
      bundle: true,
      platform: "node",
      format: "cjs",
      outfile: "bundle.cjs",
      logLevel: "error",
    });
    return answers(process.execPath, ["--no-warnings", "bundle.cjs"]);
  });
  environment("Bun", threads, () => answers(join(tools("other-runtimes"), ".bin", "bun"), ["main.mjs"]));
  environment("Deno", threads, () =>
    answers(join(tools("other-runtimes"), ".bin", "deno"), [
      "run",
      "-A",
      "--node-modules-dir=manual",
      "--no-lock",
      "main.mjs",
    ]),
  );
});

describe("pages", () => {
  const page = (body) =>
    `<!doctype html><meta charset="utf-8"><title>test</title><link rel="icon" href="data:,">${body}`;
  const search = `{ indexURL: "/python/", worker: location.search === "?worker" }`;
  let server, browser;
  const pages = {};
  const headers = {};
  const folders = { "/python/": python, "/package/": installed, "/built/": join(work, "built") };

  before(async () => {
    const { build } = await import("esbuild");
    writeFileSync(
      join(work, "classic.js"),
      `import { connect } from "graphattend"; (${task(search)})().then((x) => { globalThis.result = x; }, (e) => { globalThis.result = String(e); });`,
    );
    await build({
      absWorkingDir: work,
      entryPoints: ["classic.js"],
      bundle: true,
      format: "iife",
      outdir: "built",
      logLevel: "error",
    });
    pages["/classic.html"] = page('<script src="/built/classic.js"></script>');
    // Trusted Types: only the address of a worker needs a policy.
    writeFileSync(
      join(work, "built", "trusted.js"),
      `import { connect } from "/package/dist/index.js";
      const policy = trustedTypes.createPolicy("app", { createScriptURL: (url) => url });
      const worker = () => new Worker(policy.createScriptURL("/python/worker.js"), { type: "module" });
      const options = { indexURL: "/python/", worker: location.search === "?worker" ? worker : false };
      (${task("options")})().then((x) => { globalThis.result = x; }, (e) => { globalThis.result = String(e); });`,
    );
    pages["/trusted.html"] = page('<script type="module" src="/built/trusted.js"></script>');
    headers["/trusted.html"] = {
      "content-security-policy":
        "default-src 'self'; img-src data:; script-src 'self' 'wasm-unsafe-eval'; require-trusted-types-for 'script'; trusted-types app",
    };
    if (all) await strictMode(build);
    server = await serve(folders, pages, headers);
    browser = await launch();
  });
  after(async () => {
    await browser?.close();
    await server?.close();
  });

  /** The hook of the README in React's StrictMode, which mounts, unmounts and mounts again. */
  async function strictMode(build) {
    const hook = /^```tsx\n(.*?)^```/ms.exec(readFileSync(join(js, "README.md"), "utf8"))[1];
    for (const name of ["react", "react-dom", "scheduler"])
      symlinkSync(join(tools("environments"), name), join(work, "node_modules", name));
    writeFileSync(
      join(work, "strict.tsx"),
      `${hook}
      import { StrictMode } from "react";
      import { createRoot } from "react-dom/client";
      function App() {
        const ga = useGraphAttend({ indexURL: "/python/" });
        useEffect(() => {
          void ga?.create("flash", { dim: 2 }).then((attn) => attn.forward([1, 0], [[1, 0]], [[3, 4]]))
            .then(({ output }) => { globalThis.result = output.data.join(); });
        }, [ga]);
        return <p>{ga ? "ready" : "starting"}</p>;
      }
      createRoot(document.querySelector("#root")!).render(<StrictMode><App /></StrictMode>);`,
    );
    await build({
      absWorkingDir: work,
      entryPoints: { strict: "strict.tsx", worker: "graphattend/worker" },
      bundle: true,
      format: "esm",
      outdir: "built",
      jsx: "automatic",
      logLevel: "error",
      define: { "process.env.NODE_ENV": '"development"' },
    });
    pages["/strict.html"] = page('<div id="root"></div><script type="module" src="/built/strict.js"></script>');
  }

  const visit = async (path, address = server.url) => {
    const { page: tab, problems } = await open(browser, address + path);
    await tab.waitForFunction(() => globalThis.result !== undefined, undefined, { timeout: 120_000 });
    const result = await tab.evaluate(() => globalThis.result);
    await tab.close();
    return { result, problems };
  };
  for (const name of ["classic", "trusted"]) {
    const title = { classic: "A classic script (esbuild's `iife`)", trusted: "Trusted Types and a strict policy" }[
      name
    ];
    environment(title, "page, worker", async () => {
      for (const thread of ["", "?worker"])
        assert.deepEqual(await visit(`/${name}.html${thread}`), { result: "3,4", problems: [] }, thread);
      return `${engine} ${browser.version()}`;
    });
  }
  if (all) {
    environment("React's StrictMode", "worker", async () => {
      assert.deepEqual(await visit("/strict.html"), { result: "3,4", problems: [] });
      return versionOf(tools("environments"), "react");
    });
    environment("Next.js", "server component, client component with a worker", async () => {
      const app = join(work, "next");
      mkdirSync(join(app, "app"), { recursive: true });
      cpSync(python, join(app, "public", "python"), { recursive: true });
      mkdirSync(join(app, "node_modules"));
      for (const name of ["next", "react", "react-dom", "@next", "@swc", "styled-jsx", "scheduler"]) {
        if (existsSync(join(tools("environments"), name)))
          symlinkSync(join(tools("environments"), name), join(app, "node_modules", name));
      }
      cpSync(installed, join(app, "node_modules", "graphattend"), { recursive: true });
      writeFileSync(
        join(app, "package.json"),
        '{ "private": true, "type": "module", "dependencies": { "graphattend": "*" } }',
      );
      writeFileSync(join(app, "next.config.mjs"), 'export default { serverExternalPackages: ["graphattend"] };');
      writeFileSync(
        join(app, "app", "layout.jsx"),
        'export default ({ children }) => <html lang="en"><body>{children}</body></html>;',
      );
      writeFileSync(
        join(app, "app", "client.jsx"),
        `"use client";
        import { useEffect, useState } from "react";
        import { connect } from "graphattend";
        export default function Client() {
          const [answer, setAnswer] = useState("starting");
          useEffect(() => { (${task('{ indexURL: "/python/", worker: () => new Worker("/python/worker.js", { type: "module" }) }')})().then((x) => { globalThis.result = x; setAnswer(x); }, (e) => { globalThis.result = String(e); }); }, []);
          return <p id="client">{answer}</p>;
        }`,
      );
      writeFileSync(
        join(app, "app", "page.jsx"),
        `import { connect } from "graphattend";
        import Client from "./client.jsx";
        export const dynamic = "force-dynamic";
        export default async function Page() {
          const answer = await (${task(`{ indexURL: ${JSON.stringify(python)} }`)})();
          return <><p id="server">{answer}</p><Client /></>;
        }`,
      );
      const next = join(tools("environments"), "next", "dist", "bin", "next");
      const env = { ...process.env, NEXT_TELEMETRY_DISABLED: "1" };
      await run(process.execPath, [next, "build", "--webpack"], { cwd: app, env, timeout: 240_000 });
      const { spawn } = await import("node:child_process");
      const started = spawn(process.execPath, [next, "start", "--port", "0", "--hostname", "127.0.0.1"], {
        cwd: app,
        env,
      });
      try {
        const address = await new Promise((resolve, reject) => {
          started.stdout.on("data", (text) => {
            const found = /http:\/\/[\w.]+:\d+/.exec(String(text));
            if (found) resolve(found[0]);
          });
          started.on("exit", (code) => reject(new Error(`next ended with ${code}`)));
        });
        const html = await (await fetch(address)).text();
        assert.match(html, /<p id="server">3,4<\/p>/);
        assert.equal((await visit("/", address)).result, "3,4");
      } finally {
        started.kill();
      }
      return versionOf(tools("environments"), "next");
    });
  }
});

if (all) {
  describe("releases of Pyodide", () => {
    const { devDependencies } = JSON.parse(readFileSync(join(js, "test", "environments", "package.json"), "utf8"));
    const releases = Object.keys(devDependencies).filter((name) => name.startsWith("pyodide-"));
    for (const release of releases) {
      environment(release.replace("pyodide-", "Pyodide "), `Node.js, ${threads}`, async () => {
        // npm's package, and NumPy from the tests' distribution; all these releases have the same ABI.
        const folder = join(work, release);
        cpSync(join(tools("environments"), release), folder, { recursive: true });
        const read = (from) => JSON.parse(readFileSync(join(from, "pyodide-lock.json"), "utf8"));
        const lock = read(folder);
        const { numpy } = read(distribution()).packages;
        lock.packages.numpy = numpy;
        writeFileSync(join(folder, "pyodide-lock.json"), JSON.stringify(lock));
        cpSync(join(distribution(), numpy.file_name), join(folder, numpy.file_name));
        writeFileSync(join(work, `${release}.mjs`), script.replaceAll(JSON.stringify(python), JSON.stringify(folder)));
        await answers(process.execPath, ["--no-warnings", `${release}.mjs`]);
        return versionOf(tools("environments"), release);
      });
    }
    it("the range of the peer dependency holds them, and the newest of npm's", () => {
      const { peerDependencies } = JSON.parse(readFileSync(join(js, "package.json"), "utf8"));
      assert.equal(peerDependencies.pyodide, ">=314.0.3 <314.1.0");
      assert.ok(releases.every((name) => /^pyodide-314\.0\.[3-9]$/.test(name)));
    });
  });

  describe("test runners", () => {
    const test = `import { connect } from "graphattend";
      test("attention", async () => { expect(await (${task(`{ indexURL: ${JSON.stringify(python)}, worker: true }`)})()).toBe("3,4"); }, 60_000);`;
    environment("Vitest", "worker", async () => {
      mkdirSync(join(work, "vitest"));
      writeFileSync(join(work, "vitest", "a.test.mjs"), `import { expect, test } from "vitest";\n${test}`);
      const { stdout } = await run(
        process.execPath,
        [join(tools("environments"), "vitest", "vitest.mjs"), "run", "--root", "vitest"],
        { cwd: work },
      );
      assert.match(stdout, /1 passed/);
      return versionOf(tools("environments"), "vitest");
    });
    environment("Jest", "worker", async () => {
      mkdirSync(join(work, "jest"));
      writeFileSync(join(work, "jest", "a.test.mjs"), test);
      writeFileSync(
        join(work, "jest", "package.json"),
        '{ "type": "module", "jest": { "transform": {}, "testMatch": ["**/*.test.mjs"] } }',
      );
      const { stderr } = await run(
        process.execPath,
        ["--experimental-vm-modules", "--no-warnings", join(tools("environments"), "jest", "bin", "jest.js")],
        { cwd: join(work, "jest") },
      );
      assert.match(stderr, /1 passed/);
      return versionOf(tools("environments"), "jest");
    });
  });
}
