// The calls that without_python.mjs measures in a page.

const random = (n) => Float32Array.from({ length: n }, () => Math.random() * 2 - 1);

async function microseconds(run, budget) {
  let best = Infinity;
  let count = 1;
  for (const end = performance.now() + budget; performance.now() < end;) {
    const begin = performance.now();
    for (let i = 0; i < count; i++) {
      const found = run();
      if (found instanceof Promise) await found;
    }
    const spent = performance.now() - begin;
    if (spent < 2)
      count *= 2; // the clock of a page is coarse
    else best = Math.min(best, spent / count);
  }
  return best * 1e3;
}

/** Title → measurement of microseconds per call by library; `k` is graphattend/kernels, `ga` a connection. */
export async function calls(k, ga, contenders) {
  const out = {};
  const add = async (title, kind, sizes, inputs, ours, through) => {
    const others = await contenders(kind, sizes, inputs);
    const runs = {
      package: [through],
      kernels: [ours],
      tfjs: others.tfjs,
      onnxruntime: others.onnxruntime,
      javascript: others.javascript,
    };
    out[title] = async (budget) => {
      const found = {};
      for (const [name, variants] of Object.entries(runs)) {
        for (const run of variants) found[name] = Math.min(found[name] ?? Infinity, await microseconds(run, budget));
      }
      return found;
    };
  };
  const d = 128;
  for (const n of [100, 1000, 10000]) {
    const [q, key, value] = [random(d), random(n * d), random(n * d)];
    const [K, V] = [k.tensor(key, [n, d]), k.tensor(value, [n, d])];
    const [keys, values, attn] = [
      await ga.tensor(key, [n, d]),
      await ga.tensor(value, [n, d]),
      await ga.create("scaled_dot_product", { dim: d }),
    ];
    const sizes = { m: 1, n, d, scale: d ** -0.5 };
    await add(
      `one query, ${n} keys (µs)`,
      "attention",
      sizes,
      { q, k: key, v: value },
      () => k.scaledDotProductAttention(q, K, V),
      () => attn.forward(q, keys, values),
    );
  }
  const [m, width] = [1024, 64];
  const rows = random(m * width);
  const [given, flash] = [await ga.tensor(rows, [m, width]), await ga.create("flash", { dim: width })];
  const [R, S] = [k.tensor(rows, [m, width]), k.tensor(rows, [m, width])];
  await add(
    "1024 queries, 1024 keys, width 64 (µs)",
    "attention",
    { m, n: m, d: width, scale: 0.125 },
    { q: rows, k: rows, v: rows },
    () => k.scaledDotProductAttention(R, R, R, { out: S }),
    () => flash.forward(given, given, given, { view: true }),
  );
  const [a, b] = [random(512 * 512), random(512 * 512)];
  const [A, B, C] = [a, b, a].map((y) => k.tensor(y, [512, 512]));
  const [left, right] = [await ga.tensor(a, [512, 512]), await ga.tensor(b, [512, 512])];
  await add(
    "matrix product 512³ (µs)",
    "gemm",
    { m: 512, k: 512, n: 512 },
    { a, b },
    () => k.matmul(A, B, { out: C }),
    () => ga.functional.matmul(left, right, { view: true }),
  );
  const x = random(1e6);
  const logits = await ga.tensor(x, [1000, 1000]);
  const [X, Y] = [k.tensor(x, [1000, 1000]), k.tensor(x, [1000, 1000])]; // results stay resident, as with the others
  await add(
    "softmax 1000 × 1000 (µs)",
    "softmax",
    { m: 1000, n: 1000 },
    { x },
    () => k.softmax(X, { out: Y }),
    () => ga.functional.softmax(logits, { view: true }),
  );
  return out;
}
