// Aborts, timeouts, crashes, restarts and closing, in Node.js with the real interpreter.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { after, before, describe, it } from "node:test";
import { promisify } from "node:util";
import { Worker } from "node:worker_threads";
import { connect } from "graphattend";
import { js, vendored } from "./setup.mjs";

const indexURL = vendored();
const run = promisify(execFile);
/** Do what `await using` does, which Node.js 20 cannot parse. */
async function using(options, body) {
  const ga = await connect({ indexURL, ...options });
  try {
    await body(ga);
  } finally {
    await ga[Symbol.asyncDispose]();
  }
}

const big = (n, dim = 64) => ({ data: new Float32Array(n * dim).fill(0.5), shape: [n, dim] });
const code = (expected) => (error) => {
  assert.equal(error.constructor.name, "AttentionError");
  assert.equal(error.code, expected, error.message);
  return true;
};

describe("a worker that is stopped goes on", () => {
  let ga, attn, tensor, copy, worker;
  before(async () => {
    const make = () => (worker = new Worker(new URL("../dist/worker.js", import.meta.url)));
    ga = await connect({ indexURL, worker: make });
    attn = await ga.create("multi_head", { dim: 64, numHeads: 4, seed: 3 });
    tensor = await ga.tensor(big(8));
    const { w_q } = await attn.parameters();
    copy = await attn.withParameters({ w_q: { data: w_q.data.map((x) => -x), shape: w_q.shape } });
    await attn.free(); // the restarted copy depends on it
    attn = copy;
  });
  after(() => ga.close());

  const works = async () => {
    const { output } = await attn.forward(new Float32Array(64).fill(1), tensor, tensor);
    assert.equal(output.shape[0], 64);
    assert.ok(output.data.every(Number.isFinite));
    return output.data;
  };
  // Takes long enough to be interrupted: many tiles of a large attention.
  const long = (options) => ga.functional.scaledDotProductAttention(big(6000), big(6000), big(6000), options);

  it("abort before, during, while waiting", async () => {
    const expected = await works();
    await assert.rejects(attn.forward(big(1), tensor, tensor, { signal: AbortSignal.abort() }), code("aborted"));
    const controller = new AbortController();
    const running = long({ signal: controller.signal });
    const waiting = attn.forward(big(1), tensor, tensor, { signal: controller.signal });
    const other = works();
    setTimeout(() => controller.abort(), 30);
    const error = await running.catch((e) => e);
    assert.equal(error.name, "AbortError");
    code("aborted")(error);
    await assert.rejects(waiting, code("aborted"));
    assert.deepEqual(await other, expected, "the other call in flight is answered");
    assert.deepEqual(await works(), expected);
  });

  it("timeout", async () => {
    const expected = await works();
    const start = performance.now();
    await assert.rejects(long({ timeout: 40 }), code("timeout"));
    assert.ok(performance.now() - start < 300, "it rejects in time");
    assert.deepEqual(await works(), expected);
  });

  it("a worker that dies", async () => {
    const expected = await works();
    const running = long({});
    await new Promise((resolve) => setTimeout(resolve, 20));
    await worker.terminate();
    await assert.rejects(running, code("crashed"));
    assert.deepEqual(await works(), expected, "handles are made again");
  });

  it("a worker that dies while nothing runs", async () => {
    const expected = await works();
    await worker.terminate();
    assert.deepEqual(await works().catch(works), expected);
  });

  it("out of memory is an error, and the next call works", async () => {
    const expected = await works();
    const error = await ga.functional
      .softmax({ data: new Float32Array(1 << 16), shape: [1 << 16, 1] })
      .then(
        (x) => ga.functional.scaledDotProductAttention(x, x, x, { returnWeights: true }),
        (e) => e,
      )
      .catch((e) => e);
    assert.ok(["out_of_memory", "crashed"].includes(error.code), `${error.code}: ${error.message}`);
    assert.deepEqual(await works(), expected);
  });
});

describe("connect", () => {
  it("can be aborted", async () => {
    for (const options of [{}, { worker: true }, { workers: 2 }]) {
      await assert.rejects(connect({ indexURL, ...options, signal: AbortSignal.timeout(20) }), code("aborted"));
      await assert.rejects(connect({ indexURL, ...options, signal: AbortSignal.abort() }), code("aborted"));
    }
  });

  it("says what is missing", async () => {
    for (const worker of [false, true]) {
      await assert.rejects(connect({ indexURL: `${js}test`, worker }), code("startup_failed"));
      await assert.rejects(connect({ indexURL, wheelURL: `${js}no.whl`, worker }), code("startup_failed"));
    }
    await assert.rejects(connect({ indexURL: "https://example.org/" }), code("startup_failed"));
    await assert.rejects(connect({ workers: 0 }), code("invalid_config"));
    await assert.rejects(connect({ timeout: -1 }), code("invalid_config"));
    await assert.rejects(connect({ signal: 5 }), code("invalid_config"));
  });

  it("tells how far it is, once for all workers", async () => {
    for (const options of [{}, { worker: true }, { workers: 2 }]) {
      const phases = [];
      await using({ ...options, onProgress: ({ phase }) => phases.push(phase) }, () => undefined);
      assert.deepEqual([...new Set(phases)], ["runtime", "packages", "graphattend", "ready"]);
      assert.equal(phases.indexOf("ready"), phases.length - 1, "ready means ready, and comes once");
      const failing = connect({
        indexURL,
        ...options,
        onProgress() {
          throw new Error("of the page");
        },
      });
      await assert.rejects(failing, (error) => code("startup_failed")(error) && error.message.includes("of the page"));
    }
  });

  it("takes file URLs, and the wheel of this package", async () => {
    const wheelURL = new URL("../dist/graphattend.whl", import.meta.url).href;
    await using({ indexURL: new URL(`file://${indexURL}/`).href, wheelURL }, (ga) =>
      assert.ok(ga.mechanisms.includes("flash")),
    );
  });
});

describe("close", () => {
  it("rejects what waits and everything after", async () => {
    const ga = await connect({ indexURL, worker: true });
    const attn = await ga.create("scaled_dot_product", { dim: 64 });
    const waiting = [attn.forward(big(1), big(5000), big(5000)), attn.forward(big(1), big(1), big(1))];
    await ga.close();
    for (const call of waiting) await assert.rejects(call, code("closed"));
    await assert.rejects(attn.forward(big(1), big(1), big(1)), code("closed"));
    await assert.rejects(ga.create("flash", { dim: 2 }), code("closed"));
    await ga.close();
    await attn.free();
  });

  it("lets Node.js end, with and without it", async () => {
    for (const options of ["{}", "{ worker: true }", "{ workers: 2 }"]) {
      for (const end of ["await ga.close();", ""]) {
        const script = `import { connect } from "graphattend";
          const ga = await connect({ indexURL: ${JSON.stringify(indexURL)}, ...${options} });
          const attn = await ga.create("flash", { dim: 2 });
          console.log((await attn.forward([1, 0], [[1, 0]], [[3, 4]])).output.data.join()); ${end}`;
        const { stdout } = await run(process.execPath, ["--input-type=module", "-e", script], {
          cwd: js,
          timeout: 60_000,
        });
        assert.equal(stdout.trim(), "3,4");
      }
    }
  });
});

describe("transfer", () => {
  it("gives buffers to the worker, and only then", () =>
    using({ worker: true }, async (ga) => {
      const attn = await ga.create("scaled_dot_product", { dim: 64 });
      const [q, k, v] = [big(1), big(4), big(4)];
      await attn.forward(q, k, v);
      assert.equal(k.data.length, 256);
      await attn.forward(q, k, v, { transfer: true });
      assert.equal(k.data.length, 0, "the buffer is the worker's now");
      const both = [big(4), big(4)];
      const calls = both.map((x) => attn.forward(x, x, x, { transfer: true }));
      assert.deepEqual(
        both.map((x) => x.data.length),
        [0, 0],
        "also of calls that wait",
      );
      for (const { output } of await Promise.all(calls)) assert.ok(output.data.every((x) => x === 0.5));
      const detached = big(1);
      structuredClone(detached.data, { transfer: [detached.data.buffer] });
      await assert.rejects(attn.forward(detached, big(1), big(1)), code("dimension_mismatch"));
      for (const transfer of [true, false]) {
        await assert.rejects(attn.forward(detached.data, big(1), big(1), { transfer }), code("invalid_config"));
        assert.equal((await attn.forward(big(1), big(2), big(2))).output.shape[0], 1, "the next call works");
      }
    }));
});

describe("a start that is not wanted any more", () => {
  for (const turns of [0, 1, 2, 5, 20]) {
    it(`aborted after ${turns} turns`, async () => {
      const stop = new AbortController();
      const started = connect({ indexURL, worker: true, signal: stop.signal });
      for (let i = 0; i < turns; i++) await null;
      stop.abort();
      await assert.rejects(started, { code: "aborted" });
    });
  }
});

it("an abort that comes when its call has ended does not touch what comes next", () =>
  using({ worker: true }, async (ga) => {
    const make = () => ga.create("scaled_dot_product", { dim: 64 });
    const check = await make();
    for (let round = 0; round < 40; round++) {
      const freed = await Promise.all(Array.from({ length: 20 }, make));
      const controller = new AbortController();
      const call = freed[0].forward(big(1), big(2), big(2), { signal: controller.signal }).catch((error) => error.code);
      await new Promise((sent) => setTimeout(sent, 0));
      const until = performance.now() + 15;
      while (performance.now() < until); // the call ends before this thread receives the message
      controller.abort();
      await Promise.all([call, ...freed.map((attention) => attention.free())]);
      const { output } = await check.forward(big(1), big(2), big(2));
      assert.equal(output.data[0], 0.5);
    }
  }));
