// Weights as a matrix of squares: the row's node attends to the column's node.

import type { JSX } from "preact";

export function Matrix({
  about,
  values,
  names,
  marked,
  cell: [row, column],
  pick,
  point,
}: {
  about: string;
  values: number[][];
  names: string[];
  marked: number;
  cell: readonly [number, number];
  pick: (row: number, column?: number) => void;
  /** Called when the pointer enters or leaves a cell. */
  point?: (row: number, column: number, on: boolean) => void;
}): JSX.Element {
  const cut = (name: string): string => (name.length > 22 ? `${name.slice(0, 21)}…` : name);
  const longest = names.reduce((m, n) => Math.max(m, cut(n).length), 0);
  const cell = 24,
    left = 8 + 6.8 * longest,
    top = 0.78 * left + 10,
    side = cell * names.length;
  const most = values.flat().reduce((m, v) => Math.max(m, v), 1e-9);
  const width = left + side + 0.62 * left,
    height = top + side + 6;
  const keys = (e: KeyboardEvent): void => {
    const by = { ArrowDown: 1, ArrowUp: -1 }[e.key];
    if (by === undefined || names.length === 0) return;
    e.preventDefault();
    pick(marked < 0 ? 0 : (marked + by + names.length) % names.length);
  };
  return (
    <svg
      class="matrix"
      viewBox={`0 0 ${width.toFixed(0)} ${height.toFixed(0)}`}
      width={width.toFixed(0)}
      height={height.toFixed(0)}
      role="img"
      tabindex={0}
      aria-label={`${about}; arrow keys choose a row`}
      onKeyDown={keys}
    >
      {values.flatMap((line, i) =>
        line.flatMap((value, j) =>
          value <= 0
            ? []
            : [
                <rect
                  class={`cell${i === row && j === column ? " marked" : ""}`}
                  x={left + j * cell}
                  y={top + i * cell}
                  width={cell - 1}
                  height={cell - 1}
                  rx={2}
                  data-row={names[i]}
                  data-column={names[j]}
                  data-value={value}
                  fill-opacity={Math.sqrt(value / most).toFixed(3)}
                  onClick={() => pick(i, j)}
                  onPointerEnter={() => point?.(i, j, true)}
                  onPointerLeave={() => point?.(i, j, false)}
                >
                  <title>{`${names[i]} → ${names[j]}: ${value.toFixed(3)}`}</title>
                </rect>,
              ],
        ),
      )}
      {names.flatMap((name, i) => [
        <text
          class={i === marked ? "mine" : ""}
          x={left - 6}
          y={top + i * cell + 16}
          text-anchor="end"
          onClick={() => pick(i)}
        >
          {cut(name)}
        </text>,
        <text
          class={i === marked ? "mine" : ""}
          transform={`translate(${left + i * cell + 15} ${top - 6}) rotate(-52)`}
        >
          {cut(name)}
        </text>,
      ])}
      {marked < 0 ? null : (
        <rect class="mark" x={left - 1} y={top + marked * cell - 1} width={side + 1} height={cell + 1} rx={3} />
      )}
    </svg>
  );
}
