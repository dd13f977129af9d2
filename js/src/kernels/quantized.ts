import { invalid, look } from "../errors.js";
import { isFinite, leadOf, matrixOf, overflow, tail } from "./core.js";
import type { Block, Memory } from "./memory.js";
import * as check from "./operands.js";
import { Tensor } from "./tensor.js";
import type { Data, Output } from "./types.js";

/** Keys as whole-number codes, x ≈ (codes - zeroPoint) · scale: what the Python library's `Quantizer` makes. */
export interface QuantizedKeys {
  /** int8, (..., N, D). */
  codes: { data: Int8Array; shape: readonly number[] } | readonly (readonly number[])[] | Tensor;
  /** One number, or (..., N), or with `groupSize` (..., N, G). */
  scale: number | Data;
  /** Codes of zero, one number or shaped like `scale`; 0 by default. */
  zeroPoint?: number | Data;
  /** How many coordinates share a scale; null or absent: all of a row. */
  groupSize?: number | null;
}
const NAME = "quantized_attention";

function codesOf(memory: Memory, x: unknown, name: string): Block {
  if (Tensor.is(x)) {
    const block = check.resident(memory, x, name, "int8")!;
    return block;
  }
  const given = check.inspect(memory, x, name);
  const wide = given.place(memory.room(given.shape, "float64"));
  const block = memory.room(given.shape, "int8");
  const from = wide.data >> 3;
  for (let i = 0; i < block.size; i++) {
    const code = memory.f64[from + i]!;
    if (!Number.isInteger(code) || code < -128 || code > 127)
      throw invalid(name, `expected whole numbers from -128 to 127, got ${code}`, { actual: code });
    memory.u8[block.data + i] = code;
  }
  return block;
}

/** softmax(query · keysᵀ / √D) · values, with keys that are read as int8 and never decoded as a matrix. */
export function quantized(
  memory: Memory,
  query: Data,
  keysQ8: QuantizedKeys,
  values: Data,
  given?: Record<string, never>,
): Output {
  return memory.run(() => {
    check.options(given, [], NAME);
    if (
      !look(() => typeof keysQ8 === "object" && keysQ8 !== null && "codes" in keysQ8 && "scale" in keysQ8, "keys_q8")
    ) {
      throw invalid("keys_q8", `expected { codes, scale, zeroPoint, groupSize }, got ${check.show(keysQ8)}`, {
        expected: "keys compressed by a Quantizer",
      });
    }
    const codes = check.checkAxes(codesOf(memory, keysQ8.codes, "keys_q8"), "keys_q8", 2);
    let q = check.checkAxes(check.floats(memory, query, "query"), "query", 1);
    const v = check.checkAxes(check.matrix(memory, values, "values", { rows: tail(codes, 2) }), "values", 2);
    check.checkFilled(codes, "keys_q8");
    check.checkFilled(q, "query");
    check.checkFilled(v, "values");
    check.checkLength(q, "query", -1, tail(codes, 1), "the keys' width");
    check.checkLength(v, "values", -2, tail(codes, 2), "the number of keys");
    const group =
      keysQ8.groupSize === undefined || keysQ8.groupSize === null
        ? null
        : check.whole(keysQ8.groupSize, "group_size", 1);
    const perRow = [...codes.shape.slice(0, -1), ...(group === null ? [] : [Math.ceil(tail(codes, 1) / group)])];
    const [scale, zero] = [
      check.floats(memory, keysQ8.scale, "scale"),
      codesOf(memory, keysQ8.zeroPoint ?? 0, "zero_point"),
    ];
    (
      [
        [scale, "scale"],
        [zero, "zero_point"],
      ] as const
    ).forEach(([x, name]) => {
      if (x.shape.length > 0) check.checkShape(x, name, perRow);
    });
    const single = q.shape.length === 1;
    if (single) q = memory.view(q, [1, q.shape[0]!]);
    const lead = check.broadcastAll("query, keys_q8, values", leadOf(q), leadOf(codes), leadOf(v));
    const [m, n, e] = [tail(q, 2), tail(codes, 2), tail(v, 1)];
    // The factor goes to the query, the one thing that is small.
    const scaled = memory.room(q.shape);
    const [from, to, factor] = [q.data >> 2, scaled.data >> 2, Math.fround(tail(q, 1) ** -0.5)];
    for (let i = 0; i < q.size; i++) memory.f32[to + i] = memory.f32[from + i]! * factor;
    const scores = memory.room([...check.broadcastAll("query, keys_q8", leadOf(q), leadOf(codes)), m, n]);
    memory.must("int8_scores", scaled, codes, scale, zero, group, scores);
    const weights = memory.room(scores.shape);
    memory.must("softmax", scores, weights);
    const out = memory.room([...lead, m, e]);
    memory.must("matmul", weights, v, out, 0);
    if (!isFinite(memory, out) && isFinite(memory, q, v)) throw overflow(NAME);
    return matrixOf(memory, out, single ? [...lead, e] : out.shape);
  });
}
