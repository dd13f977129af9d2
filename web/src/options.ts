// The controls of a mechanism's options, made from its schema.

import { h } from "./dom.js";
import type { Control } from "./schema.js";
import type { Value } from "./state.js";

type Set = (name: string, value: Value) => void;

export function options(list: readonly Control[], set: Set, reset: (() => void) | undefined): Node[] {
  return [
    h("h2", {}, "Options"),
    ...list.map((c) => h("div", { class: "option" }, ...field(c, set))),
    ...(reset === undefined ? [] : [h("button", { type: "button", class: "quiet", "data-key": "reset", click: reset }, "Reset options")]),
  ];
}

function field(c: Control, set: Set): Node[] {
  const id = `option-${c.name}`, about = `${id}-help`;
  const label = h("label", { for: id }, c.name.replaceAll("_", " "));
  const common = { id, "data-key": id, "aria-describedby": about };
  const help = h("small", { id: about, class: "help" }, c.help);
  switch (c.kind) {
    case "check":
      return [h("div", { class: "row" }, h("input", { ...common, type: "checkbox", checked: c.value, change: (e: Event) => set(c.name, input(e).checked) }), label), help];
    case "choice":
      return [label, h("select", { ...common, change: (e: Event) => set(c.name, (e.target as HTMLSelectElement).value) },
        ...c.choices.map((choice) => h("option", { value: choice, selected: choice === c.value }, choice))), help];
    case "slider":
      return slider(c, label, common, help, set);
    case "number":
      return [label, h("input", {
        ...common, type: "number", step: c.step, min: c.min, max: c.max, value: c.value ?? "", placeholder: "automatic",
        change: (e: Event) => set(c.name, input(e).value === "" ? null : input(e).valueAsNumber),
      }), help];
    case "json":
      return [label, h("input", { ...common, type: "text", spellcheck: "false", value: JSON.stringify(c.value), change: (e: Event) => json(input(e), c.name, set) }), help];
  }
}

/** A slider whose steps are factors: 0.1 and 10 are equally far from 1. */
function slider(c: Control & { kind: "slider" }, label: HTMLLabelElement, common: Record<string, string>, help: Node, set: Set): Node[] {
  const steps = 100, span = Math.log(c.high / c.low);
  const position = (value: number): string => String(Math.round(steps * Math.log(value / c.low) / span));
  const number = h("input", {
    type: "number", class: "short", step: "any", value: c.value, "aria-label": `${c.name}, as a number`, "data-key": `${common["id"]}-number`,
    change: () => {
      if (number.value === "") return;
      range.value = position(number.valueAsNumber);
      set(c.name, number.valueAsNumber);
    },
  });
  const range = h("input", {
    ...common, type: "range", min: 0, max: steps, step: 1, value: position(c.value), "aria-valuetext": String(c.value),
    input: () => {
      number.value = String(Number((c.low * Math.exp(span * range.valueAsNumber / steps)).toPrecision(2)));
      range.setAttribute("aria-valuetext", number.value);
      set(c.name, number.valueAsNumber);
    },
  });
  return [h("div", { class: "row spread" }, label, number), range, help];
}

function json(element: HTMLInputElement, name: string, set: Set): void {
  try {
    const value = JSON.parse(element.value) as Value;
    element.setCustomValidity("");
    set(name, value);
  } catch {
    element.setCustomValidity("Expected JSON, for example [1, 2] or null");
    element.reportValidity();
  }
}

const input = (event: Event): HTMLInputElement => event.target as HTMLInputElement;
