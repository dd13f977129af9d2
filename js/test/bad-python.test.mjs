// Bad values for every argument of every function that calls Python: a typed error that names it, and no changes.
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { AttentionError, connect } from "graphattend";
import { KINDS, outcome } from "./bad-values.mjs";
import { BAD_GRAPHS, clientCalls } from "./client-calls.mjs";
import { FUNCTIONS, METHODS, objects, resolved } from "./python-calls.mjs";
import { vendored } from "./setup.mjs";

let ga, made;
before(async () => {
  ga = await connect({ indexURL: vendored(), snapshot: false });
  made = await objects(ga);
});
after(() => ga.close());

const CODES = ["invalid_config", "dimension_mismatch", "empty_input", "numerical_instability", "out_of_bounds"].concat(
  "unsupported",
  "load_error",
  "out_of_memory",
);
const isTyped = (error) => error instanceof AttentionError && CODES.includes(error.code);
/** Names in errors that are inside an argument (`w` and `a` in an object of objects, `length`, which no mechanism has), or are other arguments. */
const INSIDE = [
  "w",
  "a",
  "dim",
  "indptr",
  "indices",
  "names",
  "parameters",
  "config",
  "type",
  "parts",
  "path",
  "key",
].concat("positions", "temperature", "length");
/** Valid values that take long. */
const LONG = { epochs: ["10^12", "2^53"] };
/** Functions of the caller, whose errors reach the caller as they are: a class is one that throws when it is called. */
const CALLED = ["onProgress", "onCheckpoint", "scoreMod"];
const allowed = (argument, kind) => LONG[argument]?.includes(kind) || (CALLED.includes(argument) && kind === "a class");
/** Methods of every object, which take names of methods, or nothing. */
const ELSEWHERE = ["constructor", "free", "call", "get", "save", "toConfig"];

/** Check each entry: functions that `find` returns, with positional arguments and options. */
function checks(entries, find) {
  for (const [name, [args, options = {}]] of Object.entries(entries))
    it(name, async () => {
      const positions = Object.keys(args);
      const good = resolved({ ...args, ...options }, made);
      const call = (all) =>
        find()[name](
          ...positions.map((argument) => all[argument]),
          Object.fromEntries(Object.keys(options).map((option) => [option, all[option]])),
        );
      await call(good);
      const wrong = [];
      for (const argument of Object.keys(good))
        for (const kind of KINDS) {
          if (allowed(argument, kind)) continue;
          // Only Python knows the names of positional arguments.
          const own = (all) =>
            call(all).catch((error) => {
              if (!String(error.argument).startsWith(`argument ${positions.indexOf(argument) + 1}`)) throw error;
              throw new AttentionError(error.code, error.message, { argument });
            });
          const why = await outcome(own, good, argument, kind, [...Object.keys(good), ...INSIDE], isTyped);
          if (why !== "") wrong.push(`${argument} = ${kind}: ${why}`);
        }
      assert.deepEqual(wrong, []);
      assert.equal((await ga.functional.softmax([0, 0])).data.join(), "0.5,0.5", "it answers afterwards");
    });
}

const space = (name) => name.split(".").reduce((found, part) => found[part], ga);
for (const [name, entries] of Object.entries(FUNCTIONS)) describe(name, () => checks(entries, () => space(name)));
for (const [name, entries] of Object.entries(METHODS)) describe(name, () => checks(entries, () => made[name]));

it("no function is left out", () => {
  const missing = [];
  for (const [name, entries] of Object.entries(FUNCTIONS))
    for (const each of Object.keys(space(name)))
      if (typeof space(name)[each] === "function" && !(each in entries)) missing.push(`${name}.${each}`);
  for (const [name, entries] of Object.entries(METHODS))
    for (const each of Object.getOwnPropertyNames(made[name]))
      if (typeof made[name][each] === "function" && !ELSEWHERE.includes(each) && !(each in entries))
        missing.push(`${name}.${each}`);
  assert.deepEqual(missing, []);
});

describe("what is not a function of a module", () => {
  /** What errors name beside the arguments: a name that does not exist. */
  const names = [...INSIDE, "arguments", "text", "x", "a\0b"];

  it("refuses bad values", async () => {
    const wrong = [];
    for (const [name, [good, call]] of Object.entries(await clientCalls(ga))) {
      await call(good);
      for (const argument of Object.keys(good))
        for (const kind of [...KINDS, "an array of 2^32 - 1"].filter((each) => !allowed(argument, each))) {
          const why = await outcome(call, good, argument, kind, [...Object.keys(good), ...names], isTyped);
          if (why !== "") wrong.push(`${name}: ${argument} = ${kind}: ${why}`);
        }
    }
    assert.deepEqual(wrong, []);
  });

  it("refuses graphs whose parts are of the wrong kind", async () => {
    for (const [bad, argument] of BAD_GRAPHS)
      await assert.rejects(ga.graph(bad), (error) => {
        assert.equal(error.argument, argument, error.message);
        return isTyped(error);
      });
  });
});
