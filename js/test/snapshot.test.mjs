// Snapshots are made, used and discarded, with a plain start if one cannot be used; everything works after a restore.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { connect } from "graphattend";
import { distribution, js } from "./setup.mjs";
import { engine, launch } from "./browsers.mjs";
import { byDefault, checkPage, native, ownFolder, pages, start as startIn, stateOf } from "./snapshots.mjs";
import { checks } from "./suite.mjs";

const folder = ownFolder({ snapshot: false });
const lock = join(folder, "pyodide-lock.json");
const kept = () => readdirSync(folder).filter((name) => /^graphattend-snapshots-[\da-f]+-[\da-f]+$/.test(name));
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

async function until(condition, what, ms = 120_000) {
  for (const end = Date.now() + ms; Date.now() < end; await sleep(100)) {
    const found = await condition();
    if (found) return found;
  }
  throw new Error(`${what}: not within ${ms} ms`);
}

/** Return the snapshot with another header, and matching checksums. */
function withHeader(data, change) {
  const SUMS = 32,
    PRELUDE = 52;
  const out = new Uint8Array(data);
  const words = new Uint32Array(out.buffer);
  const length = words[PRELUDE / 4 - 1];
  const header = JSON.parse(new TextDecoder().decode(out.subarray(PRELUDE, PRELUDE + length)));
  change(header);
  const text = new TextEncoder().encode(JSON.stringify(header));
  assert.equal(text.length, length);
  out.set(text, PRELUDE);
  const sums = [1, 2, 3, 4];
  for (let at = PRELUDE / 4 - 1; at + 3 < words.length; at += 4)
    for (let i = 0; i < 4; i++) sums[i] = (Math.imul(sums[i], 31) + words[at + i]) | 0;
  words.set(sums, SUMS / 4);
  return out;
}

const nodeStart = (options) => startIn(folder, options);
const nodeState = ({ indexURL = folder, ...options } = {}) => stateOf(indexURL, options);

describe("Node.js", () => {
  it("the first start leaves a snapshot, the next one uses it", async () => {
    for (const snapshot of [undefined, false]) assert.equal(await nodeState({ snapshot }), undefined);
    assert.deepEqual(kept(), []);
    assert.equal(await nodeState(), "none");
    await until(() => kept().length === 1, "a snapshot");
    assert.equal(await nodeState(), "used");
    assert.equal(await nodeState({ worker: true }), "used");
  });

  it("a flag of V8, which workers are not told of", () => {
    const script = `import { connect } from "graphattend";
      let state;
      const onProgress = (progress) => (state = progress.snapshot);
      const ga = await connect({ indexURL: ${JSON.stringify(folder)}, snapshot: true, onProgress });
      await ga.close();
      console.log(state);`;
    const flags = ["--no-warnings", "--wasm-max-mem-pages=65536", "--input-type=module"];
    assert.equal(execFileSync(process.execPath, [...flags, "-e", script], { cwd: js, encoding: "utf8" }), "used\n");
  });

  it("an option of the start that is not in the snapshot", async () => {
    const { ga, state } = await nodeStart({ accelerate: false });
    assert.equal(state, "used");
    assert.equal((await ga.backendInfo()).accelerated.active, false);
    await ga.close();
  });

  it("an aborted start, and two at once", async () => {
    for (const worker of [false, true]) {
      const stop = new AbortController();
      const started = nodeState({ signal: stop.signal, worker });
      setTimeout(() => stop.abort(), 20);
      await assert.rejects(started, { code: "aborted" });
      assert.deepEqual(await Promise.all([nodeState({ worker }), nodeState({ worker })]), ["used", "used"]);
    }
  });

  for (const [name, options] of Object.entries({ "main thread": {}, worker: { worker: true } })) {
    describe(`everything on a restored interpreter, ${name}`, () => {
      let ga;
      before(async () => {
        const started = await nodeStart(options);
        assert.equal(started.state, "used");
        ga = started.ga;
      });
      after(() => ga?.close());
      for (const [title, check] of Object.entries(checks)) it(title, async () => check(ga, native));
    });
  }

  it("a damaged snapshot is made anew, after a plain start", async () => {
    const damage = {
      "a changed byte": (data) => ((data[data.length >> 1] ^= 1), data),
      "cut off": (data) => data.subarray(0, data.length / 2),
      empty: () => "",
    };
    for (const [name, change] of Object.entries(damage)) {
      const [file] = kept();
      writeFileSync(join(folder, file), change(readFileSync(join(folder, file))));
      assert.equal(await nodeState(), "none", name);
      await until(() => kept().length === 1, "a new snapshot");
      assert.equal(await nodeState(), "used");
    }
  });

  it("a snapshot that cannot be put back is not tried again", async () => {
    const [file] = kept();
    const good = readFileSync(join(folder, file));
    writeFileSync(
      join(folder, file),
      withHeader(good, (header) => {
        header.slots[0][2] = header.slots[0][2].replace(/./g, "x");
      }),
    );
    assert.match(await nodeState(), /has no x+/);
    assert.match(readFileSync(join(folder, file), "utf8"), /^graphattend has no snapshot: .*has no x+/);
    assert.match(await nodeState(), /has no x+/);
    writeFileSync(join(folder, file), good);
    assert.equal(await nodeState(), "used");
  });

  it("a folder that has changed makes another", async () => {
    const before = kept();
    const text = readFileSync(lock, "utf8");
    const changed = JSON.parse(text);
    changed.info = { ...changed.info, changed: true };
    writeFileSync(lock, JSON.stringify(changed));
    try {
      assert.equal(await nodeState(), "none");
      await until(() => kept().length === 1 && kept()[0] !== before[0], "another snapshot in its place");
      assert.equal(await nodeState(), "used");
    } finally {
      writeFileSync(lock, text);
    }
  });

  it("says why there can be none", async () => {
    assert.match(
      await nodeState({ indexURL: distribution() }),
      /needs a folder that this version's `npx graphattend vendor` wrote/,
    );
    const wheel = join(
      folder,
      readdirSync(folder).find((name) => /^graphattend.*whl$/.test(name)),
    );
    assert.equal(await nodeState({ wheelURL: wheel }), "not with a wheelURL");
    await assert.rejects(connect({ indexURL: folder, snapshot: "yes" }), {
      code: "invalid_config",
      argument: "snapshot",
    });
  });
});

describe(engine, () => {
  const { site, open: openIn } = pages(folder);
  let context;
  before(async () => {
    context = await site.browser.newContext();
  });
  const open = () => openIn(context);
  const used = ["used", "0.5,0.5"],
    none = ["none", "0.5,0.5"],
    plain = [undefined, "0.5,0.5"];
  const start = async (options = {}) => {
    const tab = await open();
    try {
      return await tab.evaluate((o) => start({ snapshot: true, ...o }), options);
    } finally {
      await tab.close();
    }
  };

  it("two tabs at once make one snapshot, which both threads use", async () => {
    const tabs = await Promise.all([open(), open()]);
    const started = await Promise.all(
      tabs.map((tab, i) => tab.evaluate((o) => start(o), { snapshot: true, worker: i === 1 })),
    );
    assert.deepEqual(started, [none, none]);
    const names = await until(
      () => tabs[0].evaluate(() => kept()).then((found) => found.length > 0 && found),
      "a snapshot",
    );
    await Promise.all(tabs.map((tab) => tab.close()));
    assert.equal(names.length, 1);
    assert.deepEqual(await Promise.all([start(), start({ worker: true }), start({ workers: 2 })]), [used, used, used]);
    assert.deepEqual(await start({ snapshot: undefined }), byDefault ? used : plain, "unasked");
    assert.deepEqual(await start({ snapshot: false }), plain);
  });

  it("an aborted start", async () => {
    for (const worker of [false, true]) {
      const tab = await open();
      const code = await tab.evaluate(async (w) => {
        const stop = new AbortController();
        setTimeout(() => stop.abort(), 20);
        return start({ snapshot: true, worker: w, signal: stop.signal }).then(
          () => "started",
          (error) => error.code,
        );
      }, worker);
      assert.equal(code, "aborted");
      assert.deepEqual(await tab.evaluate((w) => start({ snapshot: true, worker: w }), worker), used);
      await tab.close();
    }
  });

  const skip = engine !== "Chromium" && "only Chromium collects garbage on request";
  it("garbage collected while a snapshot is read", { skip }, async () => {
    const browser = await launch(engine, ["--js-flags=--expose-gc"]);
    try {
      const tab = await openIn(await browser.newContext());
      assert.deepEqual(await tab.evaluate(() => start({ snapshot: true })), none);
      await until(() => tab.evaluate(() => kept()).then((found) => found.length === 1), "a snapshot");
      await tab.evaluate(() => setInterval(gc, 5));
      assert.deepEqual(await tab.evaluate(() => start({ snapshot: true })), used);
    } finally {
      await browser.close();
    }
  });

  for (const [name, options] of Object.entries({ "main thread": {}, worker: { worker: true } }))
    checkPage(`everything on a restored interpreter, ${name}`, open, { snapshot: true, ...options }, "used");

  it("a damaged snapshot is made anew, after a plain start", async () => {
    // In the middle, and in the header, from which the engine starts before it has read everything.
    for (const [worker, place] of [
      [false, 0.5],
      [true, 0.5],
      [false, 0.001],
    ]) {
      const tab = await open();
      await tab.evaluate(async (place) => {
        const cache = await caches.open("graphattend-snapshots");
        const [request] = await cache.keys();
        const found = await cache.match(request);
        const data = new Uint8Array(await found.arrayBuffer());
        data[Math.floor(data.length * place)] ^= 1;
        await cache.put(request, new Response(data, { headers: found.headers }));
      }, place);
      assert.deepEqual(await tab.evaluate((o) => start(o), { snapshot: true, worker }), none);
      await until(() => tab.evaluate(() => kept()).then((found) => found.length === 1), "a new snapshot");
      assert.deepEqual(await tab.evaluate((o) => start(o), { snapshot: true, worker }), used);
      await tab.close();
    }
  });

  it("a folder that has changed makes another", async () => {
    const tab = await open();
    const before = await tab.evaluate(() => kept());
    const changed = JSON.parse(readFileSync(lock, "utf8"));
    changed.info = { ...changed.info, changed: true };
    await context.route("**/python/pyodide-lock.json", (route) => route.fulfill({ json: changed }));
    try {
      assert.deepEqual(await tab.evaluate(() => start({ snapshot: true })), none);
      const found = await until(
        () => tab.evaluate(() => kept()).then((names) => names[0] !== before[0] && names.length === 1 && names),
        "another snapshot",
      );
      assert.equal(found.length, 1);
      assert.deepEqual(await tab.evaluate(() => start({ snapshot: true })), used);
    } finally {
      await context.unroute("**/python/pyodide-lock.json");
      await tab.close();
    }
  });
});
