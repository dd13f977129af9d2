// Assertions of the shared checks, for every runtime: they need no test runner and no Node.js.
class CheckError extends Error {}

export function ok(condition, message) {
  if (!condition) throw new CheckError(message ?? "expected something true");
}

export function equal(actual, expected, what = "value") {
  const [a, b] = [JSON.stringify(actual), JSON.stringify(expected)];
  ok(a === b, `${what}: expected ${b?.slice(0, 300)}, got ${a?.slice(0, 300)}`);
}

export function close(actual, expected, what, tolerance = 2e-6, least = 1e-3) {
  if (typeof expected === "number") {
    ok(
      Math.abs(actual - expected) <= tolerance * Math.max(1, Math.abs(expected)),
      `${what}: expected ${expected}, got ${actual}`,
    );
    return;
  }
  equal(actual.shape, expected.shape, `${what}'s shape`);
  ok(actual.data instanceof Float32Array, `${what}: expected a Float32Array`);
  let scale = least;
  for (const x of expected.data) scale = Math.max(scale, Math.abs(x));
  for (let i = 0; i < expected.data.length; i++) {
    ok(
      Math.abs(actual.data[i] - expected.data[i]) <= tolerance * scale,
      `${what}[${i}]: expected ${expected.data[i]}, got ${actual.data[i]}`,
    );
  }
}

export async function rejects(promise, code, test = {}) {
  let value;
  try {
    value = await promise;
  } catch (error) {
    ok(error instanceof Error && error.code === code, `expected code ${code}, got ${error.code}: ${error.message}`);
    for (const [name, expected] of Object.entries(test)) equal(error[name], expected, name);
    return error;
  }
  throw new CheckError(`expected a rejection with ${code}, got ${JSON.stringify(value)?.slice(0, 200)}`);
}

/** A learning task: two pairs of nodes that attend to each other and themselves; each pair is a class. */
export const twoPairs = {
  graph: {
    indptr: [0, 2, 4, 6, 8],
    indices: [0, 1, 0, 1, 2, 3, 2, 3],
  },
  features: [
    [1, 0, 0, 0.5],
    [0.9, 0.1, 0, 0.4],
    [0, 0, 1, 0.1],
    [0, 0.1, 0.9, 0.3],
  ],
  labels: [0, 0, 1, 1],
  lr: 0.05,
  seed: 3,
};

export const f32 = (m) => ({ data: Float32Array.from(m.data), shape: m.shape });

export async function rejectsAny(promise) {
  try {
    await promise;
  } catch (error) {
    ok(
      ["invalid_config", "dimension_mismatch", "empty_input"].includes(error.code),
      `typed error, got ${error.code}: ${error.message}`,
    );
    return;
  }
  throw new CheckError("expected a rejection");
}
