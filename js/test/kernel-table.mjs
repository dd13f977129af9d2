// Calls kernels with the table of kernel-cases.json and compares with Python's answers. Runs in Node.js and in browsers.
const TOLERANCE = 2e-6;
const camel = (name) => name.replace(/_([a-z0-9])/g, (_m, c) => c.toUpperCase());
const isArray = (x) => x !== null && typeof x === "object" && "dtype" in x;
const number = (x) => (x === "nan" ? NaN : x === "inf" ? Infinity : x === "-inf" ? -Infinity : x);
const TYPES = { float32: Float32Array, int8: Int8Array, int32: Int32Array, int64: Int32Array };

/** Return an argument in a caller's form; with `nested`, arrays of arrays instead of { data, shape }. */
export function argument(x, nested = false) {
  if (x === null || typeof x !== "object") return x;
  if (Array.isArray(x)) return x;
  if (!isArray(x))
    return Object.fromEntries(Object.entries(x).map(([name, part]) => [camel(name), argument(part, nested)]));
  const numbers = x.data.map(number);
  if (x.shape.length === 0) return numbers[0];
  const Type = TYPES[x.dtype];
  if (nested && x.data.length > 0 && x.dtype !== "int8") {
    const rows = (at, axis) => {
      if (axis === x.shape.length - 1) return numbers.slice(at, at + x.shape[axis]);
      const step = x.shape.slice(axis + 1).reduce((a, b) => a * b, 1);
      return Array.from({ length: x.shape[axis] }, (_y, i) => rows(at + i * step, axis + 1));
    };
    return rows(0, 0);
  }
  return { data: Type ? Type.from(numbers) : numbers, shape: x.shape };
}

/** Return CSR lists as plain arrays. */
const list = (x) => ({ indptr: Int32Array.from(x.indptr.data), indices: Int32Array.from(x.indices.data) });

function flat(result) {
  if (result.data !== undefined) return { output: result };
  return Object.fromEntries(Object.entries(result).filter(([, x]) => x !== undefined));
}

function flatGradients(gradients) {
  const snake = (name) => name.replace(/[A-Z]/g, (c) => `_${c.toLowerCase()}`);
  const out = {};
  for (const [name, x] of Object.entries(gradients)) {
    if (name === "parameters")
      for (const [part, y] of Object.entries(x)) out[`gradient of parameters.${snake(part)}`] = y;
    else out[`gradient of ${snake(name)}`] = x;
  }
  return out;
}

/** Return the kernels' answer to a case. */
export function answer(k, c, { nested = false, place = (x) => x } = {}) {
  const args = Object.entries(c.args).map(([name, x]) => (name === "graph" ? list(x) : place(argument(x, nested), x)));
  const options = argument(c.options, nested);
  const name = camel(c.call);
  try {
    const result = k[name](...args, options);
    if (result.output.output !== result.output) throw new Error("the output is not its own `output`");
    const found = flat(result);
    if (c.cotangent === undefined) return found;
    delete options.needWeights;
    const { output, pullback } = k[`${name}Vjp`](...args, options);
    const again = difference(output, { ...found.output, data: Array.from(found.output.data, String) });
    if (again !== "") throw new Error(`the output under Vjp ${again}`);
    const g = argument(c.cotangent, nested);
    const gradients = flatGradients(pullback(g));
    const ways = [k[`${name}Vjp`](...args, options, g)];
    ways.push(k[`${name}Vjp`](...args, g, options));
    if (Object.keys(options).length === 0) ways.push(k[`${name}Vjp`](...args, g));
    for (const way of ways) {
      for (const [part, x] of Object.entries(flatGradients(way))) {
        const why = difference(x, { ...gradients[part], data: Array.from(gradients[part].data, String) });
        if (why !== "") throw new Error(`the ${part}, asked for at once, ${why}`);
      }
    }
    return { ...found, ...gradients };
  } catch (error) {
    if (error.code === undefined) throw error;
    return { error: { code: error.code, argument: error.argument ?? null, message: error.message } };
  }
}

function difference(given, wanted) {
  if (given === undefined) return "is missing";
  if (given.shape.join() !== wanted.shape.join()) return `has shape ${given.shape} instead of ${wanted.shape}`;
  if (given.data.length !== wanted.data.length)
    return `has ${given.data.length} numbers instead of ${wanted.data.length}`;
  const numbers = wanted.data.map((x) => (typeof x === "string" ? Number(number(x)) : x));
  const scale = numbers.reduce((a, b) => (Number.isFinite(b) ? Math.max(a, Math.abs(b)) : a), 0) || 1;
  for (let i = 0; i < numbers.length; i++) {
    const [a, b] = [given.data[i], numbers[i]];
    if (Object.is(a, b) || Math.abs(a - b) <= TOLERANCE * scale) continue;
    return `differs at ${i}: ${a} instead of ${b} (${(Math.abs(a - b) / scale).toExponential(1)})`;
  }
  return "";
}

/** Return Python's error in camel case; names of weights are the same in both languages. */
const spelled = (error) =>
  JSON.stringify(error).replace(/\b(?:attn_mask|global_nodes|key_padding_mask|num_heads)\b/g, camel);

/** Return the differences from the table, or "". */
export function compare(found, expected) {
  if (Object.keys(found).sort().join() !== Object.keys(expected).sort().join()) {
    return `${JSON.stringify(found.error ?? Object.keys(found))} instead of ${JSON.stringify(expected.error ?? Object.keys(expected))}`;
  }
  for (const [name, x] of Object.entries(expected)) {
    const why =
      name === "error"
        ? JSON.stringify(found.error) === spelled(x)
          ? ""
          : `${JSON.stringify(found.error)} instead of ${spelled(x)}`
        : difference(found[name], x);
    if (why !== "") return `${name} ${why}`;
  }
  return "";
}
