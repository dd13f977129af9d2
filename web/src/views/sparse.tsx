// Sparse patterns and linear attention: mask, cost, and error against exact attention.

import type { JSX } from "preact";
import { useMemo } from "preact/hooks";
import { N } from "../pattern.js";
import { seeded } from "../train/random.js";
import { percent } from "../words.js";
import { Card, Slider, type Seen } from "./bits.js";
import { PatternCard } from "./pattern.js";

const DIM = 16,
  SERIES = [4, 8, 16, 32, 64, 128, 256],
  DRAWS = [11, 12, 13, 14, 15];

export function SparseView({ session }: Seen): JSX.Element {
  const { features } = session.state;
  const x = useMemo(() => gaussian(N * DIM, 3), []);
  const errors = useMemo(() => SERIES.map((m) => performerError(x, m)), []);
  const now = useMemo(() => performerError(x, features), [features]);
  const most = Math.max(...errors),
    across = (m: number): number => 60 + (400 * Math.log(m / SERIES[0]!)) / Math.log(SERIES.at(-1)! / SERIES[0]!),
    up = (error: number): number => 150 - (130 * error) / most;
  return (
    <div class="wide">
      <PatternCard session={session} x={x} dim={DIM} />
      <Card
        id="linear"
        heading="Linear attention"
        help="Performers replace exp(q·k) by a product of positive random features φ(q)·φ(k). Then keys and values are summed once, and the cost no longer grows with the number of pairs. The price is an error that falls with the square root of the number of features (Choromanski et al. 2021)."
      >
        <Slider
          id="features"
          label="Random features"
          value={features}
          low={4}
          high={256}
          factors
          set={(m) => session.change({ features: Math.round(m) })}
        />
        <p
          class="reason"
          id="linear-state"
          role="status"
          data-error={now}
        >{`With ${features} features the weights are off by ${percent(now)} of the attention (half the sum of differences, mean over rows and ${DRAWS.length} draws).`}</p>
        <svg class="chart" viewBox="0 0 480 190" role="img" aria-label="Error by number of features">
          {[0, most / 2, most].map((error) => (
            <>
              <line class="grid-line" x1={60} x2={470} y1={up(error)} y2={up(error)} />
              <text x={54} y={up(error) + 4} text-anchor="end">
                {Math.round(100 * error)} %
              </text>
            </>
          ))}
          <polyline class="line a" points={SERIES.map((m, i) => `${across(m)},${up(errors[i]!)}`).join(" ")} />
          {SERIES.map((m, i) => (
            <>
              <circle class="dot" cx={across(m)} cy={up(errors[i]!)} r={4}>
                <title>{`${m} features: ${percent(errors[i]!)}`}</title>
              </circle>
              <text x={across(m)} y={168} text-anchor="middle">
                {m}
              </text>
            </>
          ))}
          <circle class="dot mine" cx={across(features)} cy={up(Math.min(now, most))} r={6} />
          <text x={260} y={186} text-anchor="middle">
            random features
          </text>
        </svg>
      </Card>
    </div>
  );
}

function gaussian(n: number, seed: number): Float32Array {
  const random = seeded(seed);
  return Float32Array.from(
    { length: n },
    () => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random()),
  );
}

/** Return half the absolute difference of exact and random-feature weights, averaged over rows and draws. */
export function performerError(x: Float32Array, count: number): number {
  return DRAWS.reduce((sum, seed) => sum + errorOf(x, count, seed), 0) / DRAWS.length;
}

function errorOf(x: Float32Array, count: number, seed: number): number {
  const w = gaussian(count * DIM, seed),
    scale = DIM ** -0.25,
    features: number[][] = [];
  for (let i = 0; i < N; i++) {
    const v = Array.from(x.subarray(i * DIM, (i + 1) * DIM), (c) => c * scale),
      half = v.reduce((s, c) => s + c * c, 0) / 2;
    features.push(
      Array.from({ length: count }, (_, m) => Math.exp(v.reduce((s, c, d) => s + c * w[m * DIM + d]!, 0) - half)),
    );
  }
  let error = 0;
  for (let i = 0; i < N; i++) {
    const exact = Array.from({ length: N }, (_, j) => {
      let s = 0;
      for (let d = 0; d < DIM; d++) s += x[i * DIM + d]! * x[j * DIM + d]!;
      return Math.exp(s * scale * scale);
    });
    const rough = features.map((f) => f.reduce((s, c, m) => s + c * features[i]![m]!, 0));
    const [a, b] = [exact, rough].map((list) => list.reduce((s, c) => s + c, 0)) as [number, number];
    error += exact.reduce((s, e, j) => s + Math.abs(e / a - rough[j]! / b), 0) / 2 / N;
  }
  return error;
}
