// Points of the plane, the Poincaré disk and the sphere: drawing, movement and attention.

import type { Kernels } from "graphattend/kernels";
import { poincareDistance, softmax } from "../formulas.js";

export type Space = "plane" | "disk" | "sphere";
export type Point = readonly number[];

/** Half the side of the shown part of each space, and the largest norm of points in the disk. */
export const REACH: Record<Space, number> = { plane: 2, disk: 1, sphere: 1 };
const RIM = 0.97;

export const dot = (a: Point, b: Point): number => a.reduce((sum, x, i) => sum + x * b[i]!, 0);

/** Convert a place in the picture, (-1 … 1)², to a point, projected into the space if it is outside. */
export function fromPlace(space: Space, x: number, y: number): number[] {
  if (space === "plane") return [clamp(x, 1) * REACH.plane, clamp(y, 1) * REACH.plane];
  const length = Math.hypot(x, y),
    most = space === "disk" ? RIM : 0.999,
    shrink = length > most ? most / length : 1;
  const [a, b] = [x * shrink, y * shrink];
  return space === "disk" ? [a, b] : [a, b, Math.sqrt(1 - a * a - b * b)];
}

const clamp = (x: number, most: number): number => Math.max(-most, Math.min(most, x));
export const placeOf = (space: Space, [x, y]: Point): [number, number] => [x! / REACH[space], y! / REACH[space]];

/** Return whether numbers from an address are a point of the space. */
export function inSpace(space: Space, point: Point): boolean {
  if (point.length !== (space === "sphere" ? 3 : 2) || !point.every(Number.isFinite)) return false;
  const length = Math.hypot(...point);
  return space === "plane"
    ? Math.max(...point.map(Math.abs)) <= REACH.plane
    : space === "disk"
      ? length < 0.99
      : Math.abs(length - 1) < 0.01;
}

/** Return the score of two points before the temperature, and its description. */
export const SCORE: Record<Space, { formula: string; of: (q: Point, k: Point) => number }> = {
  plane: { formula: "q·k ÷ √2", of: (q, k) => dot(q, k) / Math.SQRT2 },
  disk: { formula: "−distance in the disk", of: (q, k) => -poincareDistance(q, k) },
  sphere: { formula: "q·k, the cosine", of: (q, k) => dot(q, k) },
};

/** Return the weights of the keys for a query, from the kernels once they are loaded. */
export function weigh(
  space: Space,
  query: Point,
  keys: readonly Point[],
  temperature: number,
  kernels: Kernels | undefined,
): number[] {
  if (keys.length === 0) return [];
  if (kernels === undefined) return softmax(keys.map((k) => SCORE[space].of(query, k) / temperature));
  const rows = { data: Float32Array.from(keys.flat()), shape: [keys.length, query.length] };
  const { weights } =
    space === "disk"
      ? kernels.hyperbolicAttention(Float32Array.from(query), rows, rows, { temperature, needWeights: true })
      : kernels.scaledDotProductAttention(Float32Array.from(query), rows, rows, {
          scale: (space === "plane" ? Math.SQRT1_2 : 1) / temperature,
          returnWeights: true,
        });
  return Array.from(weights.data);
}

/** Return the geodesic between two points, as places in the picture. */
export function geodesic(space: Space, a: Point, b: Point, steps = 32): [number, number][] {
  return Array.from({ length: steps + 1 }, (_, i) => placeOf(space, between(space, a, b, i / steps)));
}

/** Return the point at a fraction t of the geodesic from a to b. */
export function between(space: Space, a: Point, b: Point, t: number): number[] {
  if (space === "plane") return a.map((x, i) => x + t * (b[i]! - x));
  if (space === "sphere") {
    const angle = Math.acos(clamp(dot(a, b), 1));
    if (angle < 1e-9) return [...a];
    return a.map((x, i) => (Math.sin((1 - t) * angle) * x + Math.sin(t * angle) * b[i]!) / Math.sin(angle));
  }
  const way = mobius(
      a.map((x) => -x),
      b,
    ),
    length = Math.hypot(...way);
  if (length < 1e-12) return [...a];
  const reach = Math.tanh(t * Math.atanh(Math.min(length, 1 - 1e-12)));
  return mobius(
    a,
    way.map((x) => (x / length) * reach),
  );
}

/** Addition in the disk of curvature −1. */
export function mobius(x: Point, y: Point): number[] {
  const xy = dot(x, y),
    xx = dot(x, x),
    yy = dot(y, y),
    below = 1 + 2 * xy + xx * yy;
  return x.map((v, i) => ((1 + 2 * xy + yy) * v + (1 - xx) * y[i]!) / below);
}
