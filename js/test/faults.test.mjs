// A thousand faults of a misbehaving worker: every promise settles once, and the next call is correct.
import assert from "node:assert/strict";
import { EventEmitter } from "node:events";
import { it } from "node:test";
import { connect } from "graphattend";

const FAULTS = [
  "throw",
  "exit",
  "crash message",
  "garbage",
  "garbage reply",
  "twice",
  "late",
  "hang",
  "out of memory",
  "message error",
  "python error",
  "abort before",
  "abort during",
  "abort after",
  "not JSON",
  "foreign id",
];

/** A worker without Python: `softmax` returns its input, which also contains the wanted fault. */
class FakeWorker extends EventEmitter {
  static live = 0;
  #stopped = false;
  #objects = new Set();

  constructor() {
    super();
    FakeWorker.live++;
  }

  postMessage(message) {
    if (this.#stopped) return;
    if (message.type === "start")
      return this.#later({ type: "started", started: '{"ok":{"version":"0","mechanisms":["flash"]}}' });
    if (message.type === "free") return message.ids.forEach((id) => this.#objects.delete(id));
    const request = JSON.parse(message.text);
    const answer = (ok, arrays = []) => ({ type: "reply", id: message.id, text: JSON.stringify(ok), arrays });
    if (request.keep !== undefined) {
      this.#objects.add(request.keep);
      return this.#later(answer({ ok: { $h: request.keep, shape: [1], type: "x", methods: [] } }));
    }
    for (const used of message.text.matchAll(/"\$h":(\d+)/g)) {
      if (!this.#objects.has(Number(used[1])))
        return this.#later(answer({ error: { code: "internal_error", message: "lost object" } }));
    }
    const data = message.arrays[0];
    const good = answer({ ok: { $a: [0, [1]] } }, [Float32Array.from(data ?? [0])]);
    const fault = FAULTS[Math.round(((data?.[0] ?? 0) % 1) * 100) - 1];
    switch (fault) {
      case "throw":
        return setImmediate(() => this.emit("error", new Error("thrown in the worker")));
      case "exit":
        return setImmediate(() => this.emit("exit", 1));
      case "crash message":
        return this.#later({ type: "crash", message: "memory access out of bounds" });
      case "garbage":
        return ([null, 7, "x", [], {}, { type: "?" }].forEach((x) => this.#later(x)), this.#later(good));
      case "garbage reply":
        return this.#later({ type: "reply", id: message.id, text: 7 });
      case "not JSON":
        return this.#later({ type: "reply", id: message.id, text: "{", arrays: [] });
      case "foreign id":
        return (this.#later({ ...good, id: 99999, text: '{"ok":13}' }), this.#later(good));
      case "twice":
        return (this.#later(good), this.#later(good));
      case "late":
        return setTimeout(() => this.#stopped || this.emit("message", good), 25);
      case "hang":
        return undefined;
      case "abort during":
        return setTimeout(() => this.#stopped || this.emit("message", good), 20);
      case "out of memory":
        return this.#later(answer({ error: { code: "out_of_memory", message: "out of memory" } }));
      case "python error":
        return this.#later(answer({ error: { code: "invalid_config", message: "no" } }));
      case "message error":
        return setImmediate(() => this.emit("messageerror", new Error("cannot clone")));
      default:
        return this.#later(good);
    }
  }

  #later(message) {
    setImmediate(() => this.#stopped || this.emit("message", message));
  }

  terminate() {
    if (!this.#stopped) FakeWorker.live--;
    this.#stopped = true;
  }

  ref() {}
  unref() {}
}

it("1 000 faults", { timeout: 120_000 }, async () => {
  const unhandled = [];
  const note = (error) => unhandled.push(error);
  process.on("unhandledRejection", note);
  const ga = await connect({ worker: () => new FakeWorker(), timeout: 15 });
  const kept = await ga.tensor([5]);
  const counts = {};
  let slowest = 0;
  for (let i = 0; i < 1000; i++) {
    const number = i % FAULTS.length;
    const fault = FAULTS[number];
    const controller = new AbortController();
    if (fault === "abort before") controller.abort();
    let settled = 0;
    const value = Float64Array.of(i + (number + 1) / 100);
    const call = ga.functional.softmax(value, {
      signal: controller.signal,
      timeout: fault === "late" || fault === "hang" ? 10 : 2000,
    });
    const watched = call
      .then(
        () => "answered",
        (error) => error.code,
      )
      .finally(() => settled++);
    const neighbour = ga.functional.softmax([i], { timeout: 2000 }); // waits behind the faulty one
    if (fault === "abort during") setTimeout(() => controller.abort(), 1);
    const start = performance.now();
    const outcome = await watched;
    slowest = Math.max(slowest, performance.now() - start);
    if (fault === "abort after") controller.abort();
    counts[`${fault}: ${outcome}`] = (counts[`${fault}: ${outcome}`] ?? 0) + 1;
    assert.equal((await neighbour).data[0], i, `the call that waited behind ${fault}`);
    assert.equal((await ga.functional.softmax(kept)).data[0], 0, `an object after ${fault}`);
    await new Promise((resolve) => setTimeout(resolve, fault === "late" ? 30 : 0));
    assert.equal(settled, 1, fault);
  }
  const outcomes = Object.fromEntries(Object.keys(counts).map((key) => key.split(": ")));
  assert.deepEqual(outcomes, {
    throw: "crashed",
    exit: "crashed",
    "crash message": "crashed",
    garbage: "answered",
    "garbage reply": "crashed",
    twice: "answered",
    late: "timeout",
    hang: "timeout",
    "out of memory": "out_of_memory",
    "message error": "crashed",
    "python error": "invalid_config",
    "abort before": "aborted",
    "abort during": "aborted",
    "abort after": "answered",
    "not JSON": "internal_error",
    "foreign id": "answered",
  });
  assert.ok(slowest < 250, `the slowest fault took ${slowest} ms`);
  assert.equal(FakeWorker.live, 1, "workers that were given up are ended");
  await ga.close();
  assert.equal(FakeWorker.live, 0);
  process.off("unhandledRejection", note);
  assert.deepEqual(unhandled, []);
});
