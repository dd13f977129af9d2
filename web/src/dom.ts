// Elements from names, attributes and children. Text is text: nothing is ever parsed as HTML.

type Attributes = Record<string, string | number | boolean | undefined | ((event: never) => void)>;
type Child = Node | string | undefined;

const SVG = "http://www.w3.org/2000/svg";

function fill<E extends Element>(element: E, attributes: Attributes, children: Child[]): E {
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name, value as (event: Event) => void);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== undefined && value !== false) element.setAttribute(name, String(value));
  }
  element.append(...children.filter((c) => c !== undefined));
  return element;
}

/** An HTML element. Functions among the attributes listen to the event of that name. */
export function h<K extends keyof HTMLElementTagNameMap>(tag: K, attributes: Attributes = {}, ...children: Child[]): HTMLElementTagNameMap[K] {
  return fill(document.createElement(tag), attributes, children);
}

/** An SVG element. */
export function s<K extends keyof SVGElementTagNameMap>(tag: K, attributes: Attributes = {}, ...children: Child[]): SVGElementTagNameMap[K] {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

/** Puts a view into its place whenever what it depends on has changed; the focus stays where it was. */
export class Slot {
  private last: readonly unknown[] | undefined;

  constructor(private readonly place: HTMLElement) {}

  show(depends: readonly unknown[], view: () => readonly Node[]): void {
    if (this.last !== undefined && depends.every((d, i) => d === this.last![i])) return;
    this.last = depends;
    const focused = this.place.contains(document.activeElement) ? document.activeElement?.getAttribute("data-key") : null;
    this.place.replaceChildren(...view());
    if (focused != null) this.place.querySelector<HTMLElement | SVGElement>(`[data-key="${CSS.escape(focused)}"]`)?.focus({ preventScroll: true });
  }
}
