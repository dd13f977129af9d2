import { matrixOf, tail } from "./core.js";
import type { Block, Memory } from "./memory.js";
import * as check from "./operands.js";
import { Tensor } from "./tensor.js";
import type { Data, Output } from "./types.js";

export interface RotaryOptions {
  /** Ratio of the slowest to the fastest rotation, 10000 by default. */
  base?: number;
  /** Pairs are (2i, 2i+1), the default; else (i, i + D/2). */
  interleaved?: boolean;
}

/** Turns pairs of coordinates by position · base^(-2i/D). */
export function rotary(memory: Memory, x: Data, positions: Data | number, given?: RotaryOptions): Output {
  return memory.run(() => {
    const o = check.options(given, ["base", "interleaved"], "rotary");
    const a = check.checkAxes(check.floats(memory, x, "x"), "x", 1);
    check.checkFilled(a, "x");
    const at = doubles(memory, positions);
    const base = o.base === undefined ? 10000 : check.number(o.base, "base", { above: 0 });
    const interleaved = o.interleaved === undefined || check.flag(o.interleaved, "interleaved");
    const lead = a.shape.slice(0, -1);
    if (!check.isSame(check.broadcastAll("positions", at.shape, lead), lead)) {
      throw check.mismatch(
        "positions",
        lead,
        at.shape,
        `a shape that broadcasts to ${check.tuple(lead)}`,
        check.tuple(at.shape),
      );
    }
    const d = tail(a, 1);
    const pairs = Math.floor(d / 2);
    const frequency = Array.from({ length: pairs }, (_x, i) => base ** ((-2 * i) / d));
    const out = memory.room(a.shape);
    if (pairs === 0) memory.f32.copyWithin(out.data >> 2, a.data >> 2, (a.data >> 2) + a.size);
    else {
      const rates = memory.room([pairs], "float64");
      memory.f64.set(frequency, rates.data >> 3);
      if (memory.call("rotate", a, at, rates, interleaved ? 1 : 0, out) !== true)
        turn(memory, a, at, frequency, interleaved, out);
    }
    return matrixOf(memory, out);
  });
}

function doubles(memory: Memory, positions: unknown): Block {
  const single = Tensor.is(positions) ? check.floats(memory, positions, "positions") : null;
  const given = single === null ? check.inspect(memory, positions, "positions") : null;
  const block = memory.room(single?.shape ?? given!.shape, "float64");
  if (given !== null) return given.place(block);
  for (let i = 0; i < block.size; i++) memory.f64[(block.data >> 3) + i] = memory.f32[(single!.data >> 2) + i]!;
  return block;
}

/** Angles and rates too large for the kernel. */
function turn(
  memory: Memory,
  x: Block,
  positions: Block,
  frequency: readonly number[],
  interleaved: boolean,
  out: Block,
): void {
  const d = tail(x, 1);
  const lead = x.shape.slice(0, -1);
  const half = frequency.length;
  const missing = lead.length - positions.shape.length;
  const { f32, f64 } = memory;
  for (let row = 0; row < x.size / d; row++) {
    let at = 0;
    for (let axis = 0, rest = row, span = x.size / d; axis < lead.length; axis++) {
      span /= lead[axis]!;
      const i = Math.floor(rest / span);
      rest %= span;
      const length = axis < missing ? 1 : positions.shape[axis - missing]!;
      at = at * length + (length === 1 ? 0 : i);
    }
    const position = f64[(positions.data >> 3) + at]!;
    const [from, to] = [(x.data >> 2) + row * d, (out.data >> 2) + row * d];
    for (let i = 0; i < half; i++) {
      const [first, second] = interleaved ? [2 * i, 2 * i + 1] : [i, i + half];
      const angle = position * frequency[i]!;
      const [c, s] = [Math.fround(Math.cos(angle)), Math.fround(Math.sin(angle))];
      f32[to + first] = f32[from + first]! * c - f32[from + second]! * s;
      f32[to + second] = f32[from + first]! * s + f32[from + second]! * c;
    }
    if (d % 2 === 1) f32[to + d - 1] = f32[from + d - 1]!;
  }
}
