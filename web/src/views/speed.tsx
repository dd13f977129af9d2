// Speed of this device: plain JavaScript, the kernels, and Python with kernels and with NumPy alone.

import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { seeded } from "../train/random.js";
import { digits, message } from "../words.js";
import { Bar, Card, type Seen } from "./bits.js";
import { save } from "./share.js";

const N = 1000,
  DIM = 64,
  ROUND = 120;
interface Measured {
  name: string;
  perSecond: number;
}

/** Compute one query over all keys in plain JavaScript. */
function plain(q: Float32Array, x: Float32Array): Float32Array {
  const scores = new Float32Array(N),
    out = new Float32Array(DIM);
  let most = -Infinity,
    sum = 0;
  for (let j = 0; j < N; j++) {
    let s = 0;
    for (let d = 0; d < DIM; d++) s += q[d]! * x[j * DIM + d]!;
    scores[j] = s / 8;
    most = Math.max(most, scores[j]!);
  }
  for (let j = 0; j < N; j++) sum += scores[j] = Math.exp(scores[j]! - most);
  for (let j = 0; j < N; j++) for (let d = 0; d < DIM; d++) out[d]! += (scores[j]! / sum) * x[j * DIM + d]!;
  return out;
}

/** Return calls per second, the best of several short rounds between which the page can respond. */
async function rate(call: () => unknown): Promise<number> {
  let best = 0;
  for (let round = 0; round < 5; round++) {
    const begin = performance.now();
    let calls = 0;
    while (performance.now() - begin < ROUND / 5) {
      const pending = call();
      if (pending instanceof Promise) await pending;
      calls++;
    }
    best = Math.max(best, (1000 * calls) / (performance.now() - begin));
    await new Promise((resolve) => setTimeout(resolve));
  }
  return best;
}

export function SpeedView({ session }: Seen): JSX.Element {
  const [found, setFound] = useState<Measured[]>([]);
  const [said, say] = useState("");
  const measure = async (): Promise<void> => {
    setFound([]);
    const random = seeded(5),
      x = Float32Array.from({ length: N * DIM }, () => 2 * random() - 1),
      q = x.subarray(0, DIM).slice();
    const add = async (name: string, call: () => unknown): Promise<void> => {
      say(`Measuring ${name}…`);
      const perSecond = await rate(call);
      setFound((known) => [...known, { name, perSecond }]);
    };
    try {
      await add("plain JavaScript", () => plain(q, x));
      if (session.kernels !== undefined) {
        const { k } = session.kernels,
          held = k.tensor(x, [N, DIM]);
        await add(`graphattend/kernels (${k.variant})`, () => k.scaledDotProductAttention(q, held, held));
        held.free();
      }
      if (session.python !== undefined) {
        const { ga } = session.python,
          attention = await ga.create("scaled_dot_product", { dim: DIM }),
          held = await ga.tensor(x, [N, DIM]);
        await add("Python with SIMD kernels, through the worker", () => attention.forward(q, held, held));
        const double = { dtype: "float64" } as const,
          exact = await ga.tensor(Float64Array.from(x), [N, DIM]);
        await add("Python with NumPy alone, through the worker", () =>
          attention.forward(Float64Array.from(q), exact, exact, double),
        );
        await Promise.all([attention.free(), held.free(), exact.free()]);
      }
      say(session.python === undefined ? "Measured. Python joins when it has started." : "Measured.");
    } catch (error) {
      say(message(error));
    }
  };
  const most = Math.max(1e-9, ...found.map((m) => m.perSecond));
  return (
    <div class="wide">
      <Card
        id="speed"
        heading="How fast is this device?"
        help={`One query attends over ${N} keys of ${DIM} numbers, as often as fits into a tenth of a second; the best of five rounds. The way into the worker and back is part of Python's figures; NumPy alone is measured in double precision, for which there are no kernels.`}
      >
        <div class="row wrap">
          <button type="button" class="quiet go" onClick={() => void measure()}>
            Measure
          </button>
          <button
            type="button"
            class="quiet"
            disabled={found.length === 0}
            onClick={() =>
              say(
                save(
                  "speed.json",
                  "application/json",
                  JSON.stringify(
                    {
                      keys: N,
                      dim: DIM,
                      agent: navigator.userAgent,
                      callsPerSecond: Object.fromEntries(found.map((m) => [m.name, m.perSecond])),
                    },
                    null,
                    1,
                  ),
                ),
              )
            }
          >
            Save as JSON
          </button>
        </div>
        <p role="status">{said}</p>
        {found.length === 0 ? null : (
          <table id="speeds">
            <thead>
              <tr>
                <th scope="col">Who</th>
                <th scope="col" class="n">
                  Calls per second
                </th>
                <th>
                  <span class="unseen">Bar</span>
                </th>
              </tr>
            </thead>
            <tbody>
              {found.map((m) => (
                <tr data-who={m.name} data-rate={m.perSecond}>
                  <th scope="row">{m.name}</th>
                  <td class="n">{digits(m.perSecond, 3)}</td>
                  <td class="bar">
                    <Bar share={m.perSecond / most} />
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        )}
      </Card>
    </div>
  );
}
