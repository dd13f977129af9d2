import { AttentionError, invalid } from "../errors.js";
import { delivered, destination, matrixOf, outputOf } from "./core.js";
import type { Memory } from "./memory.js";
import * as check from "./operands.js";
import type { Tensor } from "./tensor.js";
import type { Data, Output } from "./types.js";

export interface SoftmaxOptions {
  /** The axis that sums to one; the last by default. */
  axis?: number;
  /** A tensor that receives the result, and is it. */
  out?: Tensor;
}

export function softmax(memory: Memory, x: Data, given?: SoftmaxOptions): Output | Tensor {
  return memory.run(() => {
    const { axis = -1, out: wanted } = check.options(given, ["axis", "out"], "softmax");
    const a = check.checkAxes(check.floats(memory, x, "x"), "x", 1);
    const { shape } = a;
    const ndim = shape.length;
    if (!Number.isInteger(axis) || (axis as number) < -ndim || (axis as number) >= ndim) {
      const expected = `a whole number in [${-ndim}, ${ndim})`;
      throw invalid("axis", `expected ${expected}, got ${check.show(axis)}`, { expected, actual: axis });
    }
    const at = (axis as number) < 0 ? ndim + (axis as number) : (axis as number);
    const n = shape[at]!;
    if (n === 0) {
      throw new AttentionError(
        "empty_input",
        `x: expected at least one entry along axis ${String(axis)}, got shape ${check.tuple(shape)}`,
        {
          argument: "x",
          expected: "at least one entry",
          actual: shape,
        },
      );
    }
    const out = destination(memory, wanted, shape, [a]);
    if (a.size === 0) return delivered(memory, wanted, out);
    const inner = shape.slice(at + 1).reduce((p, q) => p * q, 1);
    if (inner === 1) {
      memory.must("softmax", memory.view(a, [a.size / n, n]), memory.view(out, [a.size / n, n]));
      return delivered(memory, wanted, out);
    }
    // (outer, n, inner) with the axis last, and back
    const turned = memory.room([a.size / n, n]);
    const weights = memory.room([a.size / n, n]);
    const { f32 } = memory;
    const [from, to, back, last] = [a.data >> 2, turned.data >> 2, weights.data >> 2, out.data >> 2];
    const each = (move: (lying: number, standing: number) => void): void => {
      for (let i = 0, lying = 0; i < a.size; i += n * inner) {
        for (let j = 0; j < n; j++) for (let k = 0; k < inner; k++) move(lying++, i + k * n + j);
      }
    };
    each((lying, standing) => {
      f32[to + standing] = f32[from + lying]!;
    });
    memory.must("softmax", turned, weights);
    each((lying, standing) => {
      memory.f32[last + lying] = memory.f32[back + standing]!;
    });
    return delivered(memory, wanted, out);
  });
}

export function segmentSoftmax(memory: Memory, scores: Data, indptr: Data): Output {
  return memory.run(() => {
    const s = check.checkAxes(check.floats(memory, scores, "scores"), "scores", 1);
    const starts = check.rowStarts(memory, indptr, s.shape[0]!);
    if (s.size === 0) return outputOf(new Float32Array(0), [...s.shape]);
    const flat = s.shape.length > 2 ? memory.view(s, [s.shape[0]!, s.size / s.shape[0]!]) : s;
    const out = memory.room(flat.shape);
    memory.must("segment_softmax", flat, starts, out);
    return matrixOf(memory, out, s.shape);
  });
}

export interface MatmulOptions {
  /** Take a as (..., K, M). */
  transposeA?: boolean;
  /** Take b as (..., N, K). */
  transposeB?: boolean;
  /** A tensor that receives the result, and is it. */
  out?: Tensor;
}

export function matmul(memory: Memory, a: Data, b: Data, given?: MatmulOptions): Output | Tensor {
  return memory.run(() => {
    const o = check.options(given, ["transposeA", "transposeB", "out"], "matmul");
    const ta = o.transposeA !== undefined && check.flag(o.transposeA, "transpose_a");
    const tb = o.transposeB !== undefined && check.flag(o.transposeB, "transpose_b");
    let x = check.checkAxes(check.floats(memory, a, "a"), "a", 1);
    let y = check.checkAxes(check.floats(memory, b, "b"), "b", 1);
    const [row, column] = [x.shape.length === 1, y.shape.length === 1]; // as in NumPy, a vector is a row at the left, a column at the right
    if (row) x = memory.view(x, ta ? [x.shape[0]!, 1] : [1, x.shape[0]!]);
    if (column) y = memory.view(y, tb ? [1, y.shape[0]!] : [y.shape[0]!, 1]);
    const m = x.shape.at(ta ? -1 : -2)!;
    const k = x.shape.at(ta ? -2 : -1)!;
    const n = y.shape.at(tb ? -2 : -1)!;
    check.checkLength(y, "b", tb ? -1 : -2, k, "the inner length of a");
    const lead = check.broadcastAll("a, b", x.shape.slice(0, -2), y.shape.slice(0, -2));
    const shape = [...lead, ...(row ? [] : [m]), ...(column ? [] : [n])];
    const whole = destination(memory, o.out, shape, [x, y]);
    const out = memory.view(whole, [...lead, m, n]);
    if (k === 0) memory.f32.fill(0, out.data >> 2, (out.data >> 2) + out.size);
    else if (out.size > 0) memory.must("matmul", x, y, out, (ta ? 1 : 0) + (tb ? 2 : 0));
    return delivered(memory, o.out, whole);
  });
}
