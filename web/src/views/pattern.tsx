// The editor of a sparse pattern: pairs are drawn and erased with the pointer or by keys; cost and results update
// immediately.

import type { JSX } from "preact";
import { useMemo, useRef, useState } from "preact/hooks";
import {
  equal,
  LIMITS,
  mask,
  N,
  PRESETS,
  reach,
  square,
  way,
  within,
  withPairs,
  type Pattern,
  type Reach,
  type Size,
} from "../pattern.js";
import type { Session } from "../session.js";
import { grouped, percent } from "../words.js";
import { Behind, Card, Slider } from "./bits.js";

const CELL = 12,
  SIDE = N * CELL,
  BRUSHES = [1, 2, 4],
  MOST_STEPS = 200;
const NAMES: Record<Size, string> = {
  window: "Window to each side",
  globals: "Global positions",
  random: "Random keys per position",
  block: "Block size",
};
const plural = (count: number, one: string, many: string): string => `${count} ${count === 1 ? one : many}`;

/** The state's pattern, and its changes with undo. Consecutive changes of one name are one step. */
interface Edits {
  pattern: Pattern;
  set: (next: Pattern, name: string) => void;
  undo: (() => void) | undefined;
  redo: (() => void) | undefined;
}

function useEdits(session: Session): Edits {
  const past = useRef<Pattern[]>([]),
    future = useRef<Pattern[]>([]),
    last = useRef("");
  const step = (from: Pattern[], to: Pattern[]): (() => void) | undefined =>
    from.length === 0
      ? undefined
      : () => {
          to.push(session.state.pattern);
          last.current = "";
          session.change({ pattern: from.pop()! });
        };
  return {
    pattern: session.state.pattern,
    set: (next, name) => {
      const now = session.state.pattern;
      if (equal(now, next)) return;
      if (name !== last.current) past.current = [...past.current.slice(-MOST_STEPS), now];
      future.current = [];
      last.current = name;
      session.change({ pattern: next });
    },
    undo: step(past.current, future.current),
    redo: step(future.current, past.current),
  };
}

/** The kernels' results with and without the pattern. */
interface Found {
  weights: ArrayLike<number>;
  /** Share of the full attention outside the pattern. */
  lost: number;
  /** Relative error of the outputs against full attention. */
  off: number;
}

function useAttention(session: Session, x: Float32Array, dim: number, seen: Uint8Array): Found | undefined {
  const k = session.kernels?.k,
    rows = { data: x, shape: [N, dim] };
  const full = useMemo(() => k?.scaledDotProductAttention(rows, rows, rows, { returnWeights: true }), [k, x]);
  return useMemo(() => {
    if (k === undefined || full === undefined) return undefined;
    const attnMask = { data: seen, shape: [N, N] },
      { output, weights } = k.scaledDotProductAttention(rows, rows, rows, { attnMask, returnWeights: true });
    const exact = full.weights.data;
    return {
      weights: weights.data,
      lost: seen.reduce((sum, on, pair) => sum + (on === 1 ? 0 : exact[pair]! / N), 0),
      off:
        Math.hypot(...output.data.map((y, i) => y - full.output.data[i]!)) /
        Math.max(1e-12, Math.hypot(...full.output.data)),
    };
  }, [k, full, seen]);
}

export function PatternCard({ session, x, dim }: { session: Session; x: Float32Array; dim: number }): JSX.Element {
  const edits = useEdits(session),
    { pattern } = edits;
  const [brush, setBrush] = useState(1);
  const seen = useMemo(() => mask(pattern), [pattern]);
  const found = useAttention(session, x, dim, seen);
  const stacked = useMemo(() => reach(seen, pattern.causal), [seen, pattern.causal]);
  const count = seen.reduce((sum, on) => sum + on, 0);
  return (
    <Card
      id="pattern"
      heading="A sparse pattern"
      help="Instead of all pairs, every position sees some: those near it, a few global ones, its block, some at random. Start from a shape, then draw and erase pairs as you like. Cost and memory shrink with the share of pairs that is left; what is lost is the attention that would have gone elsewhere. Rows ask, columns are seen; the darker a cell, the more of its row's attention. Press and drag to draw, or to erase where you start on a drawn cell."
    >
      <div class="tabs" role="group" aria-label="Shapes to start from">
        {Object.entries(PRESETS).map(([name, preset]) => (
          <button
            type="button"
            aria-pressed={equal(preset, pattern)}
            onClick={() => edits.set(preset, `preset ${name}`)}
          >
            {name}
          </button>
        ))}
      </div>
      <div class="grid editor">
        <div>
          {(Object.keys(LIMITS) as Size[]).map((name) => (
            <Slider
              id={name}
              label={NAMES[name]}
              value={pattern[name]}
              low={LIMITS[name][0]}
              high={LIMITS[name][1]}
              step={1}
              set={(value) => edits.set({ ...edits.pattern, [name]: within(name, value) }, name)}
            />
          ))}
          <div class="row">
            <input
              id="causal"
              type="checkbox"
              checked={pattern.causal}
              onChange={(e) => edits.set({ ...edits.pattern, causal: e.currentTarget.checked }, "")}
            />
            <label for="causal">Causal: nobody sees what comes later</label>
          </div>
        </div>
        <p
          class="reason actions"
          id="pattern-state"
          role="status"
          data-density={count / N ** 2}
          data-lost={found?.lost}
          data-off={found?.off}
          data-layers={stacked.layers}
          data-never={stacked.never}
        >
          {`${percent(count / N ** 2)} of all ${N * N} pairs: ${grouped(count * 2 * dim)} multiplications instead of ${grouped(N * N * 2 * dim)}, and ${grouped(count * 4)} bytes for the weights instead of ${grouped(N * N * 4)}. `}
          {found === undefined
            ? ""
            : `For random vectors ${percent(found.lost)} of the full attention falls outside the pattern, and the outputs are off by ${percent(found.off)}. `}
          {inLayers(stacked, pattern.causal)}
          {blind(seen)}
        </p>
        <Cells edits={edits} seen={seen} weights={found?.weights} brush={brush} setBrush={setBrush} />
      </div>
      <Behind
        what="The pattern"
        head={["Position", "Sees", "How many", "Most attention"]}
        rows={() =>
          Array.from({ length: N }, (_, i) => {
            const row = Array.from(seen.subarray(i * N, (i + 1) * N)),
              weights = row.map((_, j) => found?.weights[i * N + j] ?? 0),
              best = weights.indexOf(Math.max(...weights));
            return [
              i + 1,
              listed(row) || "nobody",
              row.filter((on) => on === 1).length,
              found === undefined || row.every((on) => on === 0) ? "" : `${percent(weights[best]!)} to ${best + 1}`,
            ];
          })
        }
      />
    </Card>
  );
}

function inLayers({ layers, never }: Reach, causal: boolean): string {
  if (never > 0)
    return `However many such layers are stacked, ${plural(never, "pair never hears", "pairs never hear")} from each other. `;
  return `After ${plural(layers, "layer", "layers")} every position has heard from every ${causal ? "earlier" : "other"} one. `;
}

function blind(seen: Uint8Array): string {
  const count = Array.from({ length: N }, (_, i) => seen.subarray(i * N, (i + 1) * N)).filter((row) =>
    row.every((on) => on === 0),
  ).length;
  return count === 0 ? "" : `${plural(count, "position sees", "positions see")} nobody: the output there is zero.`;
}

/** Format the positions that are on, counted from 1, as ranges. */
function listed(row: readonly number[]): string {
  const out: [number, number][] = [];
  row.forEach((on, j) => {
    if (on === 0) return;
    if (out.at(-1)?.[1] === j) out.at(-1)![1] = j + 1;
    else out.push([j + 1, j + 1]);
  });
  return out.map(([a, b]) => (a === b ? String(a) : `${a}–${b}`)).join(", ");
}

interface CellsProps {
  edits: Edits;
  seen: Uint8Array;
  weights: ArrayLike<number> | undefined;
  brush: number;
  setBrush: (size: number) => void;
}

function Cells({ edits, seen, weights, brush, setBrush }: CellsProps): JSX.Element {
  const svg = useRef<SVGSVGElement>(null),
    stroke = useRef<{ at: number; on: boolean; name: string } | undefined>(undefined);
  const strokes = useRef(0);
  const [cursor, setCursor] = useState(0);
  const paint = (pairs: readonly number[], on: boolean, name: string): void => {
    const covered = new Set(pairs.flatMap((pair) => square(pair, brush)));
    edits.set(withPairs(edits.pattern, [...covered], on), name);
  };
  const pairAt = (e: PointerEvent): number => {
    const box = svg.current!.getBoundingClientRect(),
      cell = (share: number): number => Math.min(N - 1, Math.max(0, Math.floor(share * N)));
    return cell((e.clientY - box.top) / box.height) * N + cell((e.clientX - box.left) / box.width);
  };
  const end = (): void => {
    stroke.current = undefined;
  };
  const keys = (e: KeyboardEvent): void => {
    const key = e.key.toLowerCase();
    if ((e.ctrlKey || e.metaKey) && (key === "z" || key === "y")) {
      e.preventDefault();
      return (key === "y" || e.shiftKey ? edits.redo : edits.undo)?.();
    }
    const [i, j] = [Math.floor(cursor / N), cursor % N];
    const to = {
      ArrowRight: [i, j + 1],
      ArrowLeft: [i, j - 1],
      ArrowDown: [i + 1, j],
      ArrowUp: [i - 1, j],
      Home: [i, 0],
      End: [i, N - 1],
      PageUp: [0, j],
      PageDown: [N - 1, j],
    }[e.key];
    if (to !== undefined) {
      const [row, column] = to.map((at) => Math.min(N - 1, Math.max(0, at))) as [number, number],
        next = row * N + column;
      // The next cells take the state of the cell from which the cursor comes.
      if (e.shiftKey) paint(way(cursor, next), seen[cursor] === 1, "extend");
      setCursor(next);
    } else if (e.key === " " || e.key === "Enter") paint([cursor], seen[cursor] === 0, `key ${strokes.current++}`);
    else return;
    e.preventDefault();
  };
  return (
    <div>
      <div class="row wrap two" role="group" aria-label="Drawing">
        <button type="button" class="quiet" disabled={edits.undo === undefined} onClick={edits.undo}>
          Undo
        </button>
        <button type="button" class="quiet" disabled={edits.redo === undefined} onClick={edits.redo}>
          Redo
        </button>
        <label for="brush">Brush</label>
        <select
          id="brush"
          class="short"
          value={String(brush)}
          onChange={(e) => setBrush(Number(e.currentTarget.value))}
        >
          {BRUSHES.map((size) => (
            <option value={String(size)} selected={size === brush}>{`${size} × ${size}`}</option>
          ))}
        </select>
      </div>
      <svg
        ref={svg}
        data-picture=""
        class="chart pattern"
        viewBox={`0 0 ${SIDE} ${SIDE}`}
        tabindex={0}
        role="application"
        aria-label={`Pattern of ${N} positions. Arrow keys move, Space draws or erases, Shift and an arrow key draw on, Ctrl Z undoes`}
        aria-describedby="pattern-cell"
        onKeyDown={keys}
        onPointerDown={(e) => {
          if (e.button !== 0) return;
          const at = pairAt(e);
          stroke.current = { at, on: seen[at] === 0, name: `stroke ${strokes.current++}` };
          svg.current!.setPointerCapture(e.pointerId);
          svg.current!.focus({ preventScroll: true });
          e.preventDefault();
          setCursor(at);
          paint([at], stroke.current.on, stroke.current.name);
        }}
        onPointerMove={(e) => {
          const at = pairAt(e),
            now = stroke.current;
          if (at === cursor) return;
          setCursor(at);
          if (now === undefined) return;
          paint(way(now.at, at), now.on, now.name);
          now.at = at;
        }}
        onPointerUp={end}
        onPointerCancel={end}
      >
        <rect class="plane" width={SIDE} height={SIDE} />
        <path
          class="axis"
          d={Array.from({ length: N + 1 }, (_, i) => `M0 ${i * CELL}H${SIDE}M${i * CELL} 0V${SIDE}`).join("")}
        />
        {Array.from(seen, (on, pair) =>
          on === 0 ? null : (
            <rect
              class="fill"
              data-pair={pair}
              data-weight={weights?.[pair]}
              x={(pair % N) * CELL}
              y={Math.floor(pair / N) * CELL}
              width={CELL - 1}
              height={CELL - 1}
              fill-opacity={weights === undefined ? 0.7 : (0.2 + 0.8 * Math.sqrt(weights[pair]!)).toFixed(2)}
            />
          ),
        )}
        <Cursor pairs={square(cursor, brush)} />
      </svg>
      <p id="pattern-cell" class="help" role="status">
        {told(cursor, seen, weights)}
      </p>
    </div>
  );
}

function Cursor({ pairs }: { pairs: readonly number[] }): JSX.Element {
  const [a, b] = [pairs[0]!, pairs.at(-1)!],
    [top, left] = [Math.floor(a / N), a % N];
  return (
    <rect
      class="mark"
      x={left * CELL - 0.5}
      y={top * CELL - 0.5}
      width={((b % N) - left + 1) * CELL}
      height={(Math.floor(b / N) - top + 1) * CELL}
    />
  );
}

function told(pair: number, seen: Uint8Array, weights: ArrayLike<number> | undefined): string {
  const [i, j] = [Math.floor(pair / N) + 1, (pair % N) + 1];
  if (seen[pair] === 0) return `Position ${i} does not see position ${j}.`;
  return `Position ${i} sees position ${j}${weights === undefined ? "" : `: ${percent(weights[pair]!)} of its attention`}.`;
}
