// Shared code of the tests of graphattend/kernels: numbers, and refused calls.
import assert from "node:assert/strict";
import { AttentionError } from "graphattend/kernels";

export const numbers = (n, seed = 1) => {
  let state = seed;
  return Float32Array.from({ length: n }, () => ((state = (state * 48271) % 2147483647) / 2147483647 - 0.5) * 2);
};
export const refused = (code, expected, work) =>
  assert.throws(work, (error) => {
    assert.ok(error instanceof AttentionError, String(error));
    assert.equal(error.code, code, error.message);
    assert.match(error.message, expected);
    return true;
  });
