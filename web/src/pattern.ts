// A sparse attention pattern: a union of shapes, with single pairs drawn or erased by hand.

import { seeded, shuffled } from "./train/random.js";

/** Positions of the pattern. A pair is a number: query · N + key. */
export const N = 32;

/** Limits of every number. */
export const LIMITS = { window: [0, N - 1], globals: [0, 8], random: [0, 8], block: [1, 16] } as const;
export type Size = keyof typeof LIMITS;
const SIZES = Object.keys(LIMITS) as Size[];

export interface Pattern extends Readonly<Record<Size, number>> {
  /** No query sees later keys. */
  readonly causal: boolean;
  /** Pairs that differ from the shapes, in increasing order. */
  readonly drawn: readonly number[];
  readonly erased: readonly number[];
}

const ITSELF: Pattern = { window: 0, globals: 0, random: 0, block: 1, causal: false, drawn: [], erased: [] };
export const PRESETS: Readonly<Record<string, Pattern>> = {
  "Local window": { ...ITSELF, window: 3 },
  "Local and global": { ...ITSELF, window: 2, globals: 2 },
  Random: { ...ITSELF, random: 4 },
  Blocks: { ...ITSELF, block: 8 },
  "Window, global, random": { ...ITSELF, window: 1, globals: 2, random: 2 },
  Causal: { ...ITSELF, window: N - 1, causal: true },
  "All pairs": { ...ITSELF, window: N - 1 },
  "Only itself": ITSELF,
};
export const START_PATTERN = PRESETS["Local and global"]!;

/** Clamp a number to its limits. */
export const within = (name: Size, value: number): number =>
  Math.round(Math.min(LIMITS[name][1], Math.max(LIMITS[name][0], value)));

/** Return the mask (N, N), 1 where the query sees the key. */
export function mask(p: Pattern): Uint8Array {
  const out = shapes(p);
  for (const pair of p.drawn) out[pair] = 1;
  for (const pair of p.erased) out[pair] = 0;
  return out;
}

function shapes(p: Pattern): Uint8Array {
  const out = new Uint8Array(N * N);
  for (let i = 0; i < N; i++) {
    const others = Array.from({ length: N }, (_, j) => j).filter((j) => j !== i),
      chosen = new Set(shuffled(others, seeded(i + 1)).slice(0, p.random));
    for (let j = 0; j < N; j++) {
      const near = Math.abs(i - j) <= p.window || Math.floor(i / p.block) === Math.floor(j / p.block),
        far = i < p.globals || j < p.globals || chosen.has(j);
      out[i * N + j] = Number((near || far) && !(p.causal && j > i));
    }
  }
  return out;
}

/** Return the pattern with these pairs on or off. */
export function withPairs(p: Pattern, pairs: readonly number[], on: boolean): Pattern {
  const base = shapes(p),
    drawn = new Set(p.drawn),
    erased = new Set(p.erased);
  for (const pair of pairs) {
    drawn.delete(pair);
    erased.delete(pair);
    if (base[pair] !== Number(on)) (on ? drawn : erased).add(pair);
  }
  const rising = (set: Set<number>): number[] => [...set].sort((a, b) => a - b);
  return { ...p, drawn: rising(drawn), erased: rising(erased) };
}

export const equal = (a: Pattern, b: Pattern): boolean => String(toEntries(a)) === String(toEntries(b));

/** Return the square of pairs around a pair. */
export function square(pair: number, side: number): number[] {
  const [i, j] = [Math.floor(pair / N), pair % N].map((at) => at - Math.floor((side - 1) / 2)) as [number, number];
  const reach = (from: number): number[] =>
    Array.from({ length: side }, (_, k) => from + k).filter((at) => at >= 0 && at < N);
  return reach(i).flatMap((row) => reach(j).map((column) => row * N + column));
}

/** Return the pairs on the straight line between two pairs. */
export function way(from: number, to: number): number[] {
  const [a, b] = [Math.floor(from / N), from % N],
    [down, across] = [Math.floor(to / N) - a, (to % N) - b],
    steps = Math.max(Math.abs(down), Math.abs(across), 1);
  return Array.from(
    { length: steps + 1 },
    (_, s) => Math.round(a + (down * s) / steps) * N + Math.round(b + (across * s) / steps),
  );
}

/** How information spreads between positions when layers with this pattern are stacked. */
export interface Reach {
  /** Number of layers after which no more pairs are connected. */
  layers: number;
  /** Number of pairs that are never connected; for a causal pattern, among the allowed pairs. */
  never: number;
}

export function reach(seen: Uint8Array, causal: boolean): Reach {
  const out: Reach = { layers: 0, never: 0 };
  for (let from = 0; from < N; from++) {
    const depth = new Map([[from, 0]]);
    for (const [i, layers] of depth) {
      for (let j = 0; j < N; j++) if (seen[i * N + j] === 1 && !depth.has(j)) depth.set(j, layers + 1);
      out.layers = Math.max(out.layers, layers);
    }
    for (let j = 0; j < N; j++) out.never += Number(!depth.has(j) && !(causal && j > from));
  }
  return out;
}

/** Return the differences from the initial pattern, as names and texts for an address. */
export function toEntries(p: Pattern): [string, string][] {
  const whole = SIZES.filter((name) => p[name] !== START_PATTERN[name]).map((name) => [name, String(p[name])]);
  const pairs = (["drawn", "erased"] as const)
    .filter((name) => p[name].length > 0)
    .map((name) => [name, runs(p[name])]);
  return [...whole, ...(p.causal ? [["causal", "true"]] : []), ...pairs] as [string, string][];
}

/** Return the pattern of such texts; unreadable parts keep their initial values. */
export function fromEntries(given: (name: string) => string | null): Pattern {
  const sizes = SIZES.map((name) => {
    const value = Number(given(name) ?? Number.NaN);
    return [name, value === within(name, value) ? value : START_PATTERN[name]];
  });
  return {
    ...START_PATTERN,
    ...(Object.fromEntries(sizes) as Record<Size, number>),
    causal: given("causal") === "true",
    drawn: pairsOf(given("drawn") ?? ""),
    erased: pairsOf(given("erased") ?? ""),
  };
}

/** Format pairs as runs: query.key or query.key-key, counted from 0. */
function runs(pairs: readonly number[]): string {
  const out: [number, number][] = [];
  for (const pair of pairs) {
    const last = out.at(-1);
    if (last !== undefined && pair === last[1] + 1 && pair % N !== 0) last[1] = pair;
    else out.push([pair, pair]);
  }
  return out.map(([a, b]) => `${Math.floor(a / N)}.${a % N}${a === b ? "" : `-${b % N}`}`).join("_");
}

function pairsOf(text: string): number[] {
  const out = new Set<number>();
  for (const [, row, from, to] of text
    .slice(0, 8 * N * N)
    .matchAll(/(?:^|_)(\d{1,2})\.(\d{1,2})(?:-(\d{1,2}))?(?=_|$)/g)) {
    for (let key = Number(from); key <= Number(to ?? from); key++)
      if (Number(row) < N && key < N) out.add(Number(row) * N + key);
  }
  return [...out].sort((a, b) => a - b);
}
