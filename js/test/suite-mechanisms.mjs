// More shared checks: every mechanism answers as natively, in repeated calls and in every form of call.
import { close, equal, f32, ok, rejects } from "./suite-assert.mjs";

const camel = (name) => name.replace(/_([a-z])/g, (_m, c) => c.toUpperCase());

function metadataOf(c) {
  const entries = Object.entries(c.metadata).map(([name, m]) => [
    camel(name),
    typeof m === "number"
      ? m
      : name.endsWith("layers") || name.endsWith("layer")
        ? { data: Int32Array.from(m.data), shape: m.shape }
        : f32(m),
  ]);
  return entries.length ? { metadata: Object.fromEntries(entries) } : {};
}

async function mechanismCase(ga, c) {
  const { key, dim, options } = c.config;
  const attn = await ga.create(key, { dim, ...options });
  equal(attn.config, c.config, "config");
  const { query, keys, values } = c.inputs;
  const args = [f32(query), f32(keys), f32(values)];
  const metadata = metadataOf(c);
  const { output, weights } = await attn.forward(...args, metadata);
  close(output, c.output, "output");
  ok(weights === undefined, "no weights unless asked for");
  for (let i = 0; i < 2; i++)
    close((await attn.forward(...args, metadata)).output, c.output, "output, asked for again");
  if (c.weights === null) await rejects(attn.attentionWeights(args[0], args[1], metadata), "unsupported");
  else close(await attn.attentionWeights(args[0], args[1], metadata), c.weights, "weights");
  const { output: again, pullback } = await attn.vjp(...args, metadata);
  close(again, c.output, "output of vjp");
  const ones = { data: new Float32Array(again.data.length).fill(1), shape: again.shape };
  const gradients = await pullback(ones);
  for (const name of ["query", "keys", "values"])
    close(gradients[name], c.gradients[name], `gradient of ${name}`, 2e-5, 0.1);
  equal(Object.keys(gradients.parameters), Object.keys(c.parameters), "names of parameters");
  for (const [name, g] of Object.entries(c.parameters))
    close(gradients.parameters[name], g, `gradient of ${name}`, 5e-5, 0.1);
  await pullback.free();
  await attn.free();
}

async function named(name, promise) {
  try {
    await promise;
  } catch (error) {
    error.message = `${name}: ${error.message}`;
    throw error;
  }
}

/** Return the same data with properties in the order of the other. */
function reordered(x, like) {
  if (Array.isArray(x) || typeof x !== "object" || x === null) return x;
  const names = Object.keys(x);
  const order = Object.keys(like ?? {}).filter((n) => names.includes(n));
  return Object.fromEntries(
    [...order, ...names.filter((n) => !order.includes(n))].map((n) => [n, reordered(x[n], like?.[n])]),
  );
}

export const mechanismChecks = {
  "every mechanism answers as natively, one query": async (ga, native) => {
    equal(ga.mechanisms, native.mechanisms, "mechanisms");
    for (const [key, c] of Object.entries(native.cases)) await named(key, mechanismCase(ga, c));
  },

  "every mechanism answers as natively, several queries": async (ga, native) => {
    for (const [key, c] of Object.entries(native.rows)) await named(key, mechanismCase(ga, c));
  },

  "schema is Python's": (ga, native) => {
    equal(ga.schema(), reordered(native.schema, ga.schema()), "schema");
    equal(ga.schema("moe").title, "moe");
    let error;
    try {
      ga.schema("__proto__");
    } catch (e) {
      error = e;
    }
    equal(error?.code, "invalid_config");
  },

  "the same call over and over, with other numbers": async (ga) => {
    const [n, dim] = [6, 4];
    const attn = await ga.create("scaled_dot_product", { dim });
    const numbers = (count, seed) => Float32Array.from({ length: count }, (_x, i) => Math.sin(i * seed + seed));
    const [k, v] = [numbers(n * dim, 0.7), numbers(n * dim, 1.3)];
    const [keys, values] = [await ga.tensor(k, [n, dim]), await ga.tensor(v, [n, dim])];
    const kept = [];
    for (let i = 0; i < 12; i++) {
      const query = numbers(dim, i + 0.5);
      // By plain arithmetic in double precision.
      const scores = Array.from(
        { length: n },
        (_x, j) => query.reduce((sum, x, d) => sum + x * k[j * dim + d], 0) / Math.sqrt(dim),
      );
      const exp = scores.map((s) => Math.exp(s));
      const total = exp.reduce((a, b) => a + b);
      const weights = { data: exp.map((e) => e / total), shape: [n] };
      const output = {
        data: Array.from({ length: dim }, (_x, d) => weights.data.reduce((s, w, j) => s + w * v[j * dim + d], 0)),
        shape: [dim],
      };
      const resident = await attn.forward(query, keys, values);
      close(resident.output, output, `resident, time ${i}`, 2e-6, 1); // relative to cancelling values up to 1
      close((await attn.forward(query, k, v)).output, output, `copied, time ${i}`, 2e-6, 1);
      const both = await attn.forward(query, keys, values, { needWeights: true });
      close(both.weights, weights, `weights, time ${i}`);
      kept.push([resident.output, output]);
      if (i === 3)
        await rejects(attn.forward(Float32Array.of(NaN, 0, 0, 0), keys, values), "numerical_instability", {
          argument: "query",
        });
      if (i === 5) await (await ga.tensor(new Float32Array(3e6), [3000, 1000])).free(); // the arena grows and moves
      if (i === 7) await (await ga.tensor([1, 2, 3])).free();
    }
    for (const [given, output] of kept) close(given, output, "an earlier answer", 2e-6, 1); // later calls have not changed its numbers
    await values.free();
    await rejects(attn.forward(numbers(dim, 1), keys, values), "freed");
    const others = await ga.tensor(k, [n, dim]);
    const { output } = await attn.forward(numbers(dim, 1), keys, others);
    close(output, f32((await attn.forward(numbers(dim, 1), k, k)).output), "with other values");
  },

  "prepared keys and values": async (ga, native) => {
    for (const key of ["multi_head", "linear", "hyperbolic"]) {
      const c = native.cases[key],
        [query, keys, values] = ["query", "keys", "values"].map((name) => f32(c.inputs[name]));
      const attn = await ga.create(key, { dim: c.config.dim, ...c.config.options });
      const prepared = await attn.prepare(keys, values);
      for (let i = 0; i < 4; i++)
        close((await attn.forward(query, prepared, null)).output, c.output, `output of ${key}, time ${i}`);
      close(await attn.attentionWeights(query, prepared), c.weights, `weights of ${key}`);
      const other = await ga.create(key, { dim: c.config.dim, ...c.config.options });
      close((await other.forward(query, prepared, null)).output, c.output, `output of an equal ${key}`);
      await rejects(attn.forward(query, prepared, values), "invalid_config", { argument: "values" });
      await prepared.free();
      await rejects(attn.forward(query, prepared, null), "freed");
    }
    const [one, two] = [await ga.create("flash", { dim: 2 }), await ga.create("linear", { dim: 2 })];
    await rejects(two.forward([1, 0], await one.prepare([[1, 0]], [[3, 4]]), null), "invalid_config", {
      argument: "keys",
    });
  },
};
