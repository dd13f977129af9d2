// Two vectors by coordinate, with their products (or squared differences) and the running sum.

import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { digits } from "../words.js";
import { useGlide } from "./glide.js";

type Pairs = "product" | "difference" | "none";

/** Milliseconds per coordinate in the animation of the sum. */
const PACE = 110;

export function Vectors({
  query,
  keyVector,
  of,
  name,
  pairs,
}: {
  query: readonly number[];
  keyVector: readonly number[];
  of: string;
  name: string;
  pairs: Pairs;
}): JSX.Element {
  const count = query.length;
  const [wanted, setWanted] = useState(Infinity);
  const { glide, stop } = useGlide();
  const upTo = pairs === "none" ? count : Math.min(wanted, count);
  const third = query.map((x, i) => (pairs === "product" ? x * keyVector[i]! : x - keyVector[i]!));
  const most = reach([...query, ...keyVector]);
  const point = (i: number): void => {
    stop();
    setWanted(i);
  };
  return (
    <div class="summed">
      <table class="vectors" aria-label="Vectors">
        <tbody>
          <Strip name={`q: ${of}`} values={query} most={most} upTo={upTo} point={point} />
          <Strip name={`k: ${name}`} values={keyVector} most={most} upTo={upTo} point={point} />
          {pairs === "none" ? null : (
            <Strip
              name={pairs === "product" ? "qᵢ kᵢ" : "qᵢ − kᵢ"}
              values={third}
              most={reach(third)}
              upTo={upTo}
              point={point}
            />
          )}
        </tbody>
      </table>
      {pairs === "none" ? null : (
        <div class="row sum">
          <button
            type="button"
            class="quiet"
            onClick={() => glide(1, count, PACE * count, (x) => setWanted(Math.round(x)))}
          >
            Add up
          </button>
          <input
            type="range"
            aria-label="Coordinates that are added up"
            aria-valuetext={told(pairs, query, keyVector, upTo)}
            min={1}
            max={count}
            value={upTo}
            onInput={(e) => point(e.currentTarget.valueAsNumber)}
          />
          <output>{told(pairs, query, keyVector, upTo)}</output>
        </div>
      )}
    </div>
  );
}

const reach = (values: readonly number[]): number => values.reduce((m, x) => Math.max(m, Math.abs(x)), 1e-9);

/** The last coordinate added, and the sum so far. */
function told(pairs: Pairs, query: readonly number[], keyVector: readonly number[], upTo: number): string {
  const terms = query.map((x, i) => (pairs === "product" ? x * keyVector[i]! : (x - keyVector[i]!) ** 2));
  const sum = digits(
    terms.slice(0, upTo).reduce((a, b) => a + b, 0),
    4,
  );
  const [what, i] = [pairs === "product" ? "q·k" : "|q − k|²", upTo - 1];
  if (upTo === query.length) return `${what} = ${sum}`;
  const [q, k] = [digits(query[i]!, 2), digits(keyVector[i]!, 2)];
  const term = pairs === "product" ? `${q} × ${bracketed(k)}` : `(${q} − ${bracketed(k)})²`;
  return `${term} = ${digits(terms[i]!, 2)}; sum of ${upTo}: ${sum}`;
}

const bracketed = (number: string): string => (number.startsWith("−") ? `(${number})` : number);

function Strip({
  name,
  values,
  most,
  upTo,
  point,
}: {
  name: string;
  values: readonly number[];
  most: number;
  upTo: number;
  point: (upTo: number) => void;
}): JSX.Element {
  const text = values.map((x) => digits(x, 3)).join(", "),
    step = 240 / values.length;
  return (
    <tr>
      <th scope="row">{name}</th>
      <td>
        <svg
          viewBox="0 0 240 24"
          preserveAspectRatio="none"
          role="img"
          aria-label={text}
          onPointerMove={(e) => {
            const box = e.currentTarget.getBoundingClientRect();
            point(Math.min(values.length, 1 + Math.floor((values.length * (e.clientX - box.left)) / box.width)));
          }}
          onPointerLeave={() => point(Infinity)}
        >
          <title>{text}</title>
          <line class="axis" x1={0} x2={240} y1={12} y2={12} />
          {values.map((x, i) => (
            <rect
              class={`${x < 0 ? "minus" : "plus"}${i < upTo ? "" : " rest"}`}
              x={i * step + 1}
              width={step - 2}
              y={x < 0 ? 12 : 12 - (12 * x) / most}
              height={Math.abs((12 * x) / most)}
            />
          ))}
        </svg>
      </td>
    </tr>
  );
}
