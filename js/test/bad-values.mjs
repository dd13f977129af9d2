// Values that hardly any argument accepts, and the check of a call with them. Runs in Node.js and in browsers.

import { argument } from "./kernel-table.mjs";

/** An object that fails in every operation. */
const touchy = () =>
  new Proxy(
    {},
    {
      get() {
        throw new RangeError("no property today");
      },
      has() {
        throw new RangeError("no property today");
      },
      ownKeys() {
        throw new RangeError("no names today");
      },
      getPrototypeOf() {
        throw new RangeError("no class today");
      },
    },
  );

const detached = () => {
  const x = new Float32Array(4);
  structuredClone(x.buffer, { transfer: [x.buffer] });
  return x;
};

const own = () => {
  const x = [];
  x.push(x);
  return x;
};

const deep = () => {
  let x = [1];
  for (let i = 0; i < 5000; i++) x = [x];
  return x;
};

/** Values that no argument accepts. */
export const NEVER = {
  "a symbol": () => Symbol("a"),
  "one that breaks": touchy,
  "a map": () => new Map([[1, 2]]),
  "a date": () => new Date(0),
  "a regular expression": () => /a/,
  "a promise": () => Promise.resolve([1]),
  "a class": () => class Nothing {},
};

/** The same, and values that some arguments accept. */
export const BAD = {
  ...NEVER,
  undefined: () => undefined,
  null: () => null,
  NaN: () => NaN,
  infinity: () => Infinity,
  "-1": () => -1,
  "-0": () => -0,
  "a half": () => 0.5,
  "10^12": () => 1e12,
  "2^53": () => 2 ** 53,
  "1e308": () => 1e308,
  "a large bigint": () => 10n ** 40n,
  true: () => true,
  "no text": () => "",
  text: () => "text",
  "a null in text": () => "a\0b",
  __proto__: () => "__proto__",
  "a function": () => Math.max,
  "an empty object": () => ({}),
  "an object without a prototype": () => Object.create(null),
  "an object of objects": () => ({ w: {}, a: {} }),
  "an empty array": () => [],
  "an array of nothing": () => [[]],
  "an array of holes": () => new Array(5),
  "an array of null": () => [null, null],
  "an array of text": () => ["a", "b"],
  "an array of NaN": () => [NaN, NaN],
  ragged: () => [[1], [1, 2]],
  "mixed depths": () => [[1], 2],
  "itself in an array": own,
  deep,
  "an array of 2^32 - 1": () => new Array(2 ** 32 - 1),
  "a length that lies": () => ({ length: 1e12 }),
  "no numbers for a shape": () => ({ data: [1], shape: "no" }),
  "10^12 numbers that are not there": () => ({ data: [1], shape: [1e12] }),
  "10^12 rows of nothing": () => ({ data: [], shape: [1e12, 0] }),
  "a shape that overflows": () => ({ data: [1], shape: [2 ** 31, 2 ** 31, 2 ** 31] }),
  "a negative shape": () => ({ data: [1], shape: [-1, -1] }),
  "shape of halves": () => ({ data: [1], shape: [0.5, 2] }),
  "twenty axes": () => ({ data: [1], shape: new Array(20).fill(1) }),
  "memory that is gone": detached,
  "a buffer": () => new ArrayBuffer(16),
  "a DataView": () => new DataView(new ArrayBuffer(16)),
  "bytes of text": () => new TextEncoder().encode("bytes"),
  "large integers": () => BigInt64Array.of(2n ** 62n, -(2n ** 62n)),
  "doubles beyond float32": () => Float64Array.of(1e300, -1e300),
  "no numbers": () => new Float32Array(0),
};

/** What is tried of them in every run where calls are slow; with GRAPHATTEND_ALL everything. */
export const KINDS = globalThis.process?.env.GRAPHATTEND_ALL
  ? Object.keys(BAD)
  : ["a map", "one that breaks", "text", "-1", "10^12", "10^12 rows of nothing", "an empty array", "a half"].concat(
      "an object of objects",
      "a large bigint",
    );

/** Sizes that no memory has. */
export const ABSURD = ["10^12", "2^53", "an array of 2^32 - 1", "a length that lies"].concat(
  "10^12 numbers that are not there",
  "10^12 rows of nothing",
  "a shape that overflows",
);

/** Yield every typed array inside a value. */
function* arrays(value, depth = 0) {
  if (ArrayBuffer.isView(value)) yield value;
  else if (value !== null && typeof value === "object" && depth < 4)
    for (const part of Object.values(value)) yield* arrays(part, depth + 1);
}
const bytes = (x) => new Uint8Array(x.buffer, x.byteOffset, x.byteLength).slice().join();

/**
 * Return what is wrong with the outcome of a call, or "". `call` gets all arguments by name; `names` are those that an error may
 * name instead of the bad one.
 */
export async function outcome(call, good, argument, kind, names, isTyped) {
  const others = [...arrays(Object.fromEntries(Object.entries(good).filter(([name]) => name !== argument)))];
  const before = others.map(bytes);
  try {
    await call({ ...good, [argument]: BAD[kind]() });
    if (kind in NEVER) return "was taken";
  } catch (error) {
    if (!isTyped(error)) return `${error?.name}: ${String(error?.message).slice(0, 150)}`;
    if (error.code === "internal_error" || error.message.includes("\n") || error.message.length > 1500)
      return `${error.code}: ${error.message.slice(0, 150)}`;
    const named = String(error.argument ?? "").split(/[.[]/)[0];
    const fine = named === argument || error.message.includes(argument) || (!(kind in NEVER) && names.includes(named));
    if (!fine && !["numerical_instability", "out_of_memory"].includes(error.code))
      return `names another argument (${named}): ${error.message.slice(0, 150)}`;
  }
  return others.some((x, i) => bytes(x) !== before[i]) ? "changed another argument" : "";
}

const snake = (name) => name.replace(/[A-Z]/g, (c) => `_${c.toLowerCase()}`);
const camel = (name) => name.replace(/_([a-z0-9])/g, (_m, c) => c.toUpperCase());

/** Return from kernel-cases.json a call of each function with each set of arguments, and the options of all its cases. */
export function callsOf(table) {
  const calls = new Map();
  for (const c of table.filter(({ expected }) => expected.error === undefined)) {
    const name = camel(c.call);
    const graph = ({ indptr, indices }) => ({
      indptr: Int32Array.from(indptr.data),
      indices: Int32Array.from(indices.data),
    });
    const args = Object.fromEntries(
      Object.entries(c.args).map(([part, x]) =>
        // gatAttention takes anything but a graph for a query.
        part === "graph" ? [name === "gatAttention" ? "query" : part, graph(x)] : [camel(part), argument(x)],
      ),
    );
    const id = `${name}(${Object.keys(args)})`;
    const found = calls.get(id) ?? {
      name,
      args,
      options: argument(c.options),
      known: new Set(),
      gradient: c.cotangent,
    };
    for (const option of Object.keys(c.options)) found.known.add(camel(option));
    calls.set(id, found);
  }
  return calls;
}

/** Return the names that an error may have: arguments, options, weights, and keys of an object of data or options. */
export const namesOf = ({ args, known }) => [
  ...Object.keys(args),
  ...known,
  ...Object.keys(args.parameters ?? {}).flatMap((name) => [name, snake(name)]),
  ...["data", "w", "a", "length", "0", "keys_q8", "codes", "gradient"],
];
