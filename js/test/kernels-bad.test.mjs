// Bad values for every argument of every function of graphattend/kernels: a typed error that names it, and no changes.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { AttentionError, load } from "graphattend/kernels";
import { ABSURD, BAD, callsOf, namesOf, outcome } from "./bad-values.mjs";
import { argument } from "./kernel-table.mjs";
import { js } from "./setup.mjs";

const k = await load();
const isTyped = (error) => error instanceof AttentionError;
/** Functions of `load` that the table does not call, with reasons. */
const ELSEWHERE = ["memory" /* takes nothing */, "tensor", "graph" /* below */];
const calls = callsOf(JSON.parse(readFileSync(`${js}test/kernel-cases.json`, "utf8")));

async function check(good, call, names) {
  const wrong = [];
  const size = k.memory().size;
  for (const argument of Object.keys(good)) {
    for (const kind of Object.keys(BAD)) {
      const why = await outcome(call, good, argument, kind, names, isTyped);
      if (why !== "") wrong.push(`${argument} = ${kind}: ${why}`);
    }
  }
  assert.deepEqual(wrong, []);
  assert.equal(k.memory().tensors, 0, "no memory is held");
  assert.ok(k.memory().size - size <= 2 ** 20, "and next to none was taken");
}

describe("positions", () => {
  for (const [id, c] of calls)
    it(id, () => check(c.args, (all) => k[c.name](...Object.values(all), c.options), namesOf(c)));
});

describe("options", () => {
  for (const [id, c] of calls) {
    const { name, args, options, known } = c;
    if (known.size === 0) continue;
    const all = Object.fromEntries([...known].map((option) => [option, options[option]]));
    it(id, () => check(all, (given) => k[name](...Object.values(args), given), namesOf(c)));
    it(`${id}: in the place of options`, () =>
      check({ options }, ({ options }) => k[name](...Object.values(args), options), namesOf(c)));
  }
});

it("absurd sizes are refused, or taken as numbers, without computing", () => {
  const slow = [];
  for (const [id, { name, args, options, known }] of calls) {
    const all = { ...args, ...Object.fromEntries([...known].map((option) => [option, options[option]])) };
    for (const argument of Object.keys(all))
      for (const kind of ABSURD) {
        const given = { ...all, [argument]: BAD[kind]() };
        const [positions, chosen] = [Object.keys(args), [...known]].map((names) =>
          names.map((each) => [each, given[each]]),
        );
        const start = process.cpuUsage(); // of this process alone, however busy the machine is
        try {
          k[name](...positions.map(([, value]) => value), Object.fromEntries(chosen));
        } catch (error) {
          assert.ok(isTyped(error), `${id}: ${argument} = ${kind}: ${error}`);
        }
        const { user, system } = process.cpuUsage(start);
        if (user + system > 100_000) slow.push(`${id}: ${argument} = ${kind}: ${user + system} µs`);
      }
  }
  assert.deepEqual(slow, []);
});

describe("gradients", () => {
  for (const [id, { name, args, options, gradient }] of calls) {
    if (gradient === undefined) continue;
    const { needWeights, ...plain } = options;
    it(id, () =>
      check(
        { gradient: argument(gradient) },
        ({ gradient }) => k[`${name}Vjp`](...Object.values(args), plain).pullback(gradient),
        ["gradOutput", "grad_output"],
      ),
    );
  }
});

describe("what is kept", () => {
  const freed = (made) => {
    made.free();
    return made;
  };
  const tensor = { data: Float32Array.of(1, 2), shape: [2], options: {} };
  it("tensor", () =>
    check(tensor, ({ data, shape, options }) => freed(k.tensor(data, shape, options)), [
      ...Object.keys(tensor),
      "dtype",
      "w",
      "a",
      "length",
    ]));
  const graph = { graph: { indptr: Int32Array.of(0, 1, 2), indices: Int32Array.of(0, 1) }, options: {} };
  it("graph", () =>
    check(graph, ({ graph, options }) => freed(k.graph(graph, options)), [
      "graph",
      "indptr",
      "indices",
      "options",
      "targets",
      "data",
      "w",
      "a",
      "length",
    ]));
  for (const [name, ...names] of [
    ["indptr", "indices"],
    ["indices", "indptr"],
  ])
    it(`graph.${name}`, () => {
      const good = { [name]: graph.graph[name] };
      return check(good, (given) => freed(k.graph({ ...graph.graph, ...given })), [name, ...names]);
    });
  it("load", () => check({ backend: undefined }, ({ backend }) => load({ backend }), ["backend"]));
});

it("no function is left out", () => {
  const called = [...calls.values()].flatMap(({ name, gradient }) =>
    gradient === undefined ? [name] : [name, `${name}Vjp`],
  );
  const functions = Object.keys(k).filter((name) => typeof k[name] === "function");
  assert.deepEqual(
    functions.filter((name) => !called.includes(name) && !ELSEWHERE.includes(name)),
    [],
  );
});
