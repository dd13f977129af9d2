// Small components shared by several views.

import type { ComponentChildren, JSX, TargetedEvent } from "preact";
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import type { Graph, Result } from "../graph.js";
import type { Session } from "../session.js";
import { percent, reworded, title } from "../words.js";

export interface Seen {
  session: Session;
  graph: Graph;
}
/** A node's row under the chosen mechanism. */
export interface OfNode extends Seen {
  chosen: Result;
  node: number;
}
type Kids = { children?: ComponentChildren };

/** Content further down the page, drawn after the first screen. */
export function Below({ children }: Kids): JSX.Element | null {
  const [on, set] = useState(false);
  useEffect(() => set(true), []);
  return on ? <>{children}</> : null;
}

/** A section with a heading and a few sentences. */
export function Card({
  id,
  heading,
  help,
  children,
}: { id: string; heading: string; help?: ComponentChildren } & Kids): JSX.Element {
  return (
    <section id={id} class="card" aria-labelledby={`${id}-heading`}>
      <h2 id={`${id}-heading`}>{heading}</h2>
      {help === undefined ? null : <p class="help">{help}</p>}
      {children}
    </section>
  );
}

export function Bar({ share }: { share: number }): JSX.Element {
  return (
    <svg viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true">
      <rect class="track" width={100} height={8} rx={1} />
      <rect class="fill" width={(100 * Math.max(0, Math.min(1, share))).toFixed(2)} height={8} rx={1} />
    </svg>
  );
}

/** The numbers of a picture as a table that can be opened. */
export function Behind({
  what,
  head,
  rows,
}: {
  what: string;
  head: readonly string[];
  rows: () => readonly (readonly (string | number)[])[];
}): JSX.Element {
  const [open, setOpen] = useState(false);
  return (
    <details class="behind" onToggle={(e) => setOpen(e.currentTarget.open)}>
      <summary>{what} as a table</summary>
      {open ? (
        <Scroll label={what}>
          <table>
            <thead>
              <tr>
                {head.map((h) => (
                  <th scope="col">{h}</th>
                ))}
              </tr>
            </thead>
            <tbody>
              {rows()
                .slice(0, 1000)
                .map((cells) => (
                  <tr>{cells.map((c, i) => (i === 0 ? <th scope="row">{c}</th> : <td>{c}</td>))}</tr>
                ))}
            </tbody>
          </table>
        </Scroll>
      ) : null}
    </details>
  );
}

/** A container that scrolls content wider than the page, also by keyboard. */
export function Scroll({ label, children }: { label: string } & Kids): JSX.Element {
  return (
    <div class="scroll" tabIndex={0} role="region" aria-label={label}>
      {children}
    </div>
  );
}

export interface Choice<T extends string> {
  value: T;
  name: string;
  off?: boolean;
  why?: string | undefined;
}

export function Select<T extends string>({
  id,
  label,
  value,
  choices,
  pick,
}: {
  id: string;
  label: string;
  value: T;
  choices: readonly Choice<T>[];
  pick: (value: T) => void;
}): JSX.Element {
  // Avoids comparing a list of a thousand nodes at every step of a slider.
  const options = useMemo(
    () =>
      choices.map((c) => (
        <option value={c.value} selected={c.value === value} disabled={c.off === true} title={c.why}>
          {c.name}
        </option>
      )),
    [choices, value],
  );
  return (
    <div>
      <label for={id}>{label}</label>
      <select id={id} value={value} onChange={(e) => pick(e.currentTarget.value as T)}>
        {options}
      </select>
    </div>
  );
}

/** A choice of all mechanisms, by family. */
export function MechanismSelect({
  session,
  id,
  label,
  value,
  pick,
}: {
  session: Session;
  id: string;
  label: string;
  value: string;
  pick: (key: string) => void;
}): JSX.Element {
  const { schemas, skipped } = session;
  const families = [...new Set(Object.values(schemas).map((schema) => schema["x-family"] as string))];
  return (
    <div>
      <label for={id}>{label}</label>
      <select
        id={id}
        value={value}
        disabled={session.state.lock.includes("mechanism")}
        onChange={(e) => pick(e.currentTarget.value)}
      >
        {families.map((family) => (
          <optgroup label={family}>
            {Object.entries(schemas)
              .filter(([, schema]) => schema["x-family"] === family)
              .map(([key]) => (
                <option
                  value={key}
                  selected={key === value}
                  disabled={key in skipped && key !== value}
                  title={key in skipped ? reworded(skipped[key]!) : undefined}
                >
                  {title(key) + (key in skipped ? " (does not apply to this graph)" : "")}
                </option>
              ))}
          </optgroup>
        ))}
      </select>
    </div>
  );
}

/** A text field. Redraws of the page keep what is being typed. */
export function Input({
  value,
  onChange,
  ...rest
}: {
  type: "number" | "text";
  value: string | number | undefined;
  onChange: (event: TargetedEvent<HTMLInputElement>) => void;
  [attribute: string]: unknown;
}): JSX.Element {
  const [draft, setDraft] = useState<string>();
  return (
    <input
      {
        ...(rest as { type: "number" }) /* preact's types distinguish types of input, this component does not */
      }
      value={draft ?? value}
      onInput={(e) => setDraft(e.currentTarget.value)}
      onBlur={() => setDraft(undefined)}
      onChange={(e) => {
        onChange(e);
        if (!e.currentTarget.validity.customError) setDraft(undefined);
      }}
    />
  );
}

/** A slider with its number. With `factors` steps are factors; with `free` numbers beyond the ends may be typed. */
export function Slider({
  id,
  label,
  value,
  low,
  high,
  factors = false,
  free = false,
  step = 0.01,
  set,
  text,
  help,
}: {
  id: string;
  label: string;
  value: number;
  low: number;
  high: number;
  factors?: boolean;
  free?: boolean;
  step?: number;
  set: (value: number) => void;
  text?: string;
  help?: string;
}): JSX.Element {
  const steps = factors ? 100 : Math.round((high - low) / step);
  const span = Math.log(high / low);
  const position = factors
    ? Math.round((steps * Math.log(Math.max(value, 1e-12) / low)) / span)
    : Math.round((value - low) / step);
  const valueAt = (at: number): number =>
    factors ? Number((low * Math.exp((span * at) / steps)).toPrecision(2)) : Number((low + at * step).toFixed(6));
  const range = useRef<HTMLInputElement>(null);
  return (
    <>
      <div class="row spread">
        <label for={id}>{label}</label>
        <Input
          type="number"
          class="short"
          step="any"
          value={value}
          aria-label={`${label}, as a number`}
          onChange={(e) => {
            if (e.currentTarget.value === "") return;
            const typed = e.currentTarget.valueAsNumber,
              next = free ? typed : Math.min(high, Math.max(low, typed));
            if (next !== typed) e.currentTarget.value = String(next);
            set(next);
          }}
        />
      </div>
      <input
        ref={range}
        id={id}
        type="range"
        min={0}
        max={steps}
        step={1}
        value={position}
        aria-valuetext={text ?? String(value)}
        aria-describedby={help === undefined ? undefined : `${id}-help`}
        onInput={(e) => set(valueAt(e.currentTarget.valueAsNumber))}
      />
      {help === undefined ? null : (
        <small id={`${id}-help`} class="help">
          {help}
        </small>
      )}
    </>
  );
}

/** Weights of a row as bars; a click or Enter chooses one. */
export function Rows({
  rows,
  pick,
  point,
  caption,
  current,
  head = ["Neighbour", "Attention"],
}: {
  rows: readonly { name: string; weight: number; note?: string }[];
  pick: (name: string) => void;
  /** Called when the pointer enters or leaves a row. */
  point?: (name: string, on: boolean) => void;
  caption: string;
  current?: string;
  head?: readonly string[];
}): JSX.Element {
  const most = rows.reduce((m, r) => Math.max(m, Math.abs(r.weight)), 1e-9);
  return (
    <table aria-label={caption}>
      <thead>
        <tr>
          <th scope="col">{head[0]}</th>
          <th scope="col" class="n">
            {head[1]}
          </th>
          <th>
            <span class="unseen">Bar</span>
          </th>
        </tr>
      </thead>
      <tbody>
        {rows.map((r) => (
          <tr
            aria-current={r.name === current ? "true" : undefined}
            onPointerEnter={() => point?.(r.name, true)}
            onPointerLeave={() => point?.(r.name, false)}
            onFocusIn={() => point?.(r.name, true)}
            onFocusOut={() => point?.(r.name, false)}
          >
            <th scope="row">
              <button type="button" class="link" onClick={() => pick(r.name)}>
                {r.name}
              </button>
            </th>
            <td class="n">{r.note ?? percent(r.weight)}</td>
            <td class="bar">
              <Bar share={Math.abs(r.weight) / most} />
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}
