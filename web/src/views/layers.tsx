// Drawing of a layer of an index.

import type { JSX } from "preact";
import { useMemo } from "preact/hooks";
import type { Layer } from "../graph.js";

export const SIDE = 420;
const MARGIN = 16;
export type Placed = (node: number) => [number, number];

const inPicture = (share: number): number => MARGIN + share * (SIDE - 2 * MARGIN);

/** Convert points of the unit square to places in the picture. */
export const placed =
  (points: readonly number[]): Placed =>
  (i) => [inPicture(points[2 * i]!), inPicture(points[2 * i + 1]!)];

/** Convert a share of the picture's side to a coordinate of the unit square. */
export const pointAt = (share: number): number =>
  Math.min(1, Math.max(0, Number(((share * SIDE - MARGIN) / (SIDE - 2 * MARGIN)).toFixed(2))));

/** A cross at the query. */
export function cross([x, y]: readonly [number, number]): string {
  const [cx, cy] = [inPicture(x), inPicture(y)];
  return `M${cx - 8} ${cy}H${cx + 8}M${cx} ${cy - 8}V${cy + 8}`;
}

export function LayerLines({ layer: { indptr, indices }, at }: { layer: Layer; at: Placed }): JSX.Element {
  const d = useMemo(
    () =>
      indptr
        .slice(1)
        .flatMap((end, i) =>
          indices
            .slice(indptr[i], end)
            .filter((j) => i < j || !indices.slice(indptr[j], indptr[j + 1]).includes(i))
            .map(
              (j) =>
                `M${at(i)
                  .map((v) => v.toFixed(1))
                  .join(" ")}L${at(j)
                  .map((v) => v.toFixed(1))
                  .join(" ")}`,
            ),
        )
        .join(""),
    [indptr, indices],
  );
  return <path class="edge" opacity={0.5} stroke-width={0.8} d={d} />;
}
