// Ten thousand calls leak no memory in JavaScript, Python or WebAssembly.
import assert from "node:assert/strict";
import { it } from "node:test";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { connect } from "graphattend";
import { vendored } from "./setup.mjs";

setFlagsFromString("--expose-gc");
const gc = runInNewContext("gc");
const CALLS = 10_000;

/** Python's memories in this thread, exported by the engine's instances. */
const memories = [];
const { instantiate } = WebAssembly;
WebAssembly.instantiate = async (...given) => {
  const made = await instantiate(...given);
  const { exports } = made.instance ?? made;
  memories.push(...Object.values(exports).filter((value) => value instanceof WebAssembly.Memory));
  return made;
};

/** Make calls of every kind until Python has received `count` requests. */
async function calls(ga, count) {
  const attn = await ga.create("multi_head", { dim: 16, numHeads: 2 });
  const data = new Float32Array(64 * 16).fill(0.1);
  const query = new Float32Array(16).fill(1);
  const tensor = await ga.tensor(data, [64, 16]);
  const graph = { indptr: Int32Array.of(0, 2, 4), indices: Int32Array.of(0, 1, 0, 1) };
  for (let i = 0; i < count; i += 10) {
    for (const keys of [tensor, data, tensor]) await attn.forward(query, keys, data, { needWeights: true });
    await attn.attend(graph, data.subarray(0, 32));
    const { pullback } = await attn.vjp(query, tensor, tensor);
    await pullback(query);
    await pullback.free();
    // Changing lengths: the cache of requests is bounded.
    await ga.functional.softmax(new Float32Array(1 + (i % 5000)));
    await (await ga.tensor(data, [64, 16])).free();
    if (i % 20) await (await ga.create("flash", { dim: 2 })).free();
    else await (await ga.geometry.Poincare()).free();
    await assert.rejects(attn.forward(query, [1, 2], data));
    if (i % 100 === 0) {
      // Not freed explicitly: garbage-collected here, then in Python.
      await ga.tensor(data, [64, 16]);
      await attn.vjp(query, tensor, tensor);
    }
  }
  await tensor.free();
  await attn.free();
}

async function measure(ga) {
  for (let i = 0; i < 5; i++) {
    gc();
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  const { heapUsed, external, arrayBuffers } = process.memoryUsage();
  const { objects, blocks } = await ga.backendInfo();
  const wasm = memories.reduce((sum, memory) => sum + memory.buffer.byteLength, 0);
  return { heapUsed, external, arrayBuffers, objects, blocks, wasm };
}

for (const [name, options] of Object.entries({ "main thread": {}, worker: { worker: true } })) {
  it(`${CALLS} calls, ${name}: memory stays flat`, { timeout: 300_000 }, async () => {
    memories.length = 0;
    const ga = await connect({ indexURL: vendored(), ...options });
    await calls(ga, CALLS / 5);
    const measured = [await measure(ga)];
    for (let round = 0; round < 3; round++) {
      await calls(ga, CALLS / 2);
      measured.push(await measure(ga));
    }
    const [before, after] = [measured[0], measured.at(-1)];
    assert.equal(after.objects, 0, "objects left in Python");
    assert.equal(memories.length > 0, name === "main thread", "the memory is watched");
    assert.equal(after.wasm, before.wasm, "WebAssembly's memory");
    assert.ok(
      after.blocks - before.blocks < CALLS / 20,
      `Python holds ${after.blocks - before.blocks} blocks of memory more`,
    );
    for (const heap of ["heapUsed", "external", "arrayBuffers"]) {
      // A leak grows in every round; memory for code that the engine compiles at some point does not.
      const grown = measured.slice(1).map((m, i) => m[heap] - measured[i][heap]);
      assert.ok(Math.min(...grown) < 10 * CALLS, `${heap} grew by ${grown.join(", ")} bytes`);
    }
    await ga.close();
  });
}
