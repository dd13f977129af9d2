// Sparse patterns and linear attention: who sees whom, what it costs, and how far the cheap way is from the exact one.

import type { JSX } from "preact";
import { useMemo, useState } from "preact/hooks";
import { seeded } from "../train/random.js";
import { digits, percent } from "../words.js";
import { Card, Slider, type Seen } from "./bits.js";

const N = 48,
  DIM = 16,
  CELL = 8,
  SERIES = [4, 8, 16, 32, 64, 128, 256];

/** Whether query i sees key j. */
export const seen = (i: number, j: number, window: number, globals: number): boolean =>
  Math.abs(i - j) <= window || i < globals || j < globals;

export function SparseView({ session }: Seen): JSX.Element {
  const [window, setWindow] = useState(4);
  const [globals, setGlobals] = useState(2);
  const [features, setFeatures] = useState(32);
  const k = session.kernels?.k;
  const x = useMemo(() => gaussian(N * DIM, 3), []);
  const rows = { data: x, shape: [N, DIM] };
  const density = useMemo(() => {
    let n = 0;
    for (let i = 0; i < N; i++) for (let j = 0; j < N; j++) n += Number(seen(i, j, window, globals));
    return n / N ** 2;
  }, [window, globals]);
  const weights = useMemo(
    () =>
      k === undefined
        ? undefined
        : k.localGlobalAttention(rows, rows, rows, {
            window,
            globalNodes: Array.from({ length: globals }, (_, i) => i),
            needWeights: true,
          }).weights.data,
    [k, window, globals],
  );
  const lost = useMemo(
    () =>
      k === undefined
        ? undefined
        : missed(k.scaledDotProductAttention(rows, rows, rows, { returnWeights: true }).weights.data, window, globals),
    [k, window, globals],
  );
  const errors = useMemo(() => SERIES.map((m) => performerError(x, m)), []);
  const now = useMemo(() => performerError(x, features), [features]);
  const most = Math.max(...errors),
    across = (m: number): number => 40 + (420 * Math.log(m / SERIES[0]!)) / Math.log(SERIES.at(-1)! / SERIES[0]!),
    up = (error: number): number => 150 - (130 * error) / most;
  return (
    <div class="wide">
      <Card
        id="pattern"
        heading="A sparse pattern"
        help="Instead of all pairs, every position sees a window around it and a few global ones, as in Longformer. Cost and memory shrink with the share of pairs that is left; what is lost is the attention that would have gone elsewhere."
      >
        <div class="grid">
          <div>
            <Slider id="window" label="Window" value={window} low={0} high={N - 1} step={1} set={setWindow} />
            <Slider id="globals" label="Global positions" value={globals} low={0} high={12} step={1} set={setGlobals} />
            <p class="reason" id="pattern-state" role="status" data-density={density} data-lost={lost}>
              {`${percent(density)} of all ${N * N} pairs: about ${digits(density * N * N * 2 * DIM, 2)} multiplications instead of ${digits(N * N * 2 * DIM, 2)}. `}
              {lost === undefined
                ? ""
                : `For random vectors ${percent(lost)} of the full attention falls outside the pattern.`}
            </p>
          </div>
          <svg
            data-picture=""
            class="chart"
            viewBox={`0 0 ${N * CELL} ${N * CELL}`}
            role="img"
            aria-label={`Pattern of ${N} positions, ${percent(density)} of the pairs`}
          >
            <rect class="plane" width={N * CELL} height={N * CELL} />
            {Array.from({ length: N * N }, (_, e) => [Math.floor(e / N), e % N] as const)
              .filter(([i, j]) => seen(i, j, window, globals))
              .map(([i, j]) => (
                <rect
                  class="fill"
                  x={j * CELL}
                  y={i * CELL}
                  width={CELL - 1}
                  height={CELL - 1}
                  fill-opacity={
                    weights === undefined
                      ? 0.7
                      : (0.15 + 0.85 * Math.sqrt(Math.min(1, 4 * weights[i * N + j]!))).toFixed(2)
                  }
                />
              ))}
          </svg>
        </div>
      </Card>
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
          set={(m) => setFeatures(Math.round(m))}
        />
        <p
          class="reason"
          id="linear-state"
          role="status"
          data-error={now}
        >{`With ${features} features the weights are off by ${percent(now)} of the attention (half the sum of differences, mean over rows).`}</p>
        <svg class="chart" viewBox="0 0 480 190" role="img" aria-label="Error by number of features">
          {[0, most / 2, most].map((error) => (
            <>
              <line class="grid-line" x1={40} x2={470} y1={up(error)} y2={up(error)} />
              <text x={34} y={up(error) + 4} text-anchor="end">
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
          <text x={255} y={186} text-anchor="middle">
            random features
          </text>
        </svg>
      </Card>
    </div>
  );
}

function missed(full: ArrayLike<number>, window: number, globals: number): number {
  let out = 0;
  for (let i = 0; i < N; i++) for (let j = 0; j < N; j++) if (!seen(i, j, window, globals)) out += full[i * N + j]! / N;
  return out;
}

function gaussian(n: number, seed: number): Float32Array {
  const random = seeded(seed);
  return Float32Array.from(
    { length: n },
    () => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random()),
  );
}

/** Half the absolute difference between exact weights and those of so many random features, mean over rows. */
export function performerError(x: Float32Array, count: number): number {
  const w = gaussian(count * DIM, 11),
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
