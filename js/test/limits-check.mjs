// Largest sizes that fit into a limited memory, and larger ones; limits.test.mjs runs it and sets the limit.
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

setFlagsFromString("--expose-gc");
const gc = runInNewContext("gc");
const MB = 2 ** 20;
const [what, ...rest] = process.argv.slice(2);

/** Return the largest count in [0, most] that fits. */
async function largest(most, fits) {
  let [low, high] = [0, most];
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if (await fits(middle)) low = middle;
    else high = middle - 1;
  }
  return low;
}

/** Return the code of a call's error, or "". */
async function code(call) {
  try {
    await call();
    return "";
  } catch (error) {
    return error.code ?? String(error);
  }
}

/** Fill a memory to its last `step` numbers with tensors; report its answers at the limit and beyond. */
async function edge({ tensor, answer, size, most, chunk, step }) {
  const source = new Float32Array(Math.max(most, 6 * chunk));
  const tensors = [];
  let full = "";
  const took = async (count) => {
    full = await code(async () => tensors.push(await tensor(source.subarray(0, count))));
    return full === "";
  };
  while (await took(most));
  const large = tensors.length;
  while (await took(chunk));
  const fits = async (n) => {
    if (!(await took(n * step))) return false;
    await tensors.pop().free();
    return true;
  };
  const last = await largest(chunk / step, fits);
  const again = await fits(last);
  const [beyond, told] = [await fits(last + 1), full];
  await tensors.pop()?.free();
  const answered = await answer();
  const [before, bytes] = [await size(), process.memoryUsage()];
  let failures = 0;
  for (let i = 0; i < 1000; i++) {
    failures += !(await took(6 * chunk));
    if (i % 10 === 0) await answer();
    if (i === 100) gc();
  }
  gc();
  const grown = (await size()) - before;
  const heap = process.memoryUsage().heapUsed - bytes.heapUsed;
  for (const tensor of tensors) await tensor.free();
  return {
    floats: large * most + (tensors.length - large) * chunk,
    again,
    beyond,
    told,
    failures,
    grown,
    heap,
    answered,
    size: await size(),
  };
}

const tasks = {
  /** graphattend/kernels */
  async kernels(most) {
    const { load } = await import("graphattend/kernels");
    const k = await load();
    const wanted = k.softmax([1, 2, 3]).data.join();
    const answer = () => k.softmax([1, 2, 3]).data.join() === wanted;
    const told = await edge({
      tensor: (data) => k.tensor(data),
      answer,
      size: () => k.memory().size,
      most: (Number(most) * MB) / 4,
      chunk: MB / 2,
      step: 16,
    });
    // A call that uses the memory for its work: the largest number of rows of weights, and one more.
    const rows = (m) => () => {
      const x = { data: new Float32Array(m), shape: [m, 1] };
      return k.scaledDotProductAttention(x, x, x, { needWeights: true });
    };
    const seen = rest[1] === "rows" ? await largest(8000, async (m) => (await code(rows(m))) === "") : 1;
    return { ...told, seen, more: await code(rows(2 * seen + 20_000)), answered: told.answered && answer() };
  },

  /** The npm package, through Python. */
  async pyodide(indexURL, most) {
    const { connect } = await import("graphattend");
    let ga;
    const start = await code(async () => (ga = await connect({ indexURL })));
    if (ga === undefined) return { start };
    const calls = async () => {
      const x = Float32Array.from({ length: 64 }, (_x, i) => Math.sin(i) / 4);
      const found = { softmax: [...(await ga.functional.softmax(x)).data] };
      for (const key of ga.mechanisms) {
        const attn = await ga.create(key, { dim: 8 });
        const told = await code(async () => {
          const { output, pullback } = await attn.vjp(x, x, x);
          const gradient = await pullback({ data: new Float32Array(output.data.length).fill(1), shape: output.shape });
          found[key] = [...output.data, ...gradient.query.data, ...gradient.keys.data];
          await pullback.free();
        });
        found[key] ??= told;
        await attn.free();
      }
      return JSON.stringify(found);
    };
    const wanted = await calls();
    const tensor = (data) => ga.tensor(data);
    // Pointers above 2³¹, if the memory is that large.
    const source = new Float32Array(64 * MB);
    const held = [];
    for (let i = 0; i < 9; i++) if ((await code(async () => held.push(await tensor(source)))) !== "") break;
    const far = await calls();
    const high = {
      held: held.length,
      same: far === wanted,
      answers: Object.values(JSON.parse(wanted)).filter(Array.isArray).length,
    };
    for (const tensor of held) await tensor.free();
    const told = await edge({
      tensor,
      answer: async () => (await ga.functional.softmax([0, 0])).data.join() === "0.5,0.5",
      size: async () => (await ga.backendInfo()).objects,
      most: (Number(most) * MB) / 4,
      chunk: MB / 4,
      step: MB / 64,
    });
    const answered = told.answered && (await calls()) === wanted;
    await ga.close();
    return { start, ...high, ...told, answered };
  },
};

console.log(JSON.stringify(await tasks[what](...rest)));
