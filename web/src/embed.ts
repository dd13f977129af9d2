// <graph-attention graph="karate" mechanism="hyperbolic" node="…">: the page in a frame, for any other page.

const NAMES = ["view", "graph", "data", "mechanism", "other", "node", "to", "top", "space"];
const HIDDEN = ["header", "views", "share", "tour"];

class GraphAttention extends HTMLElement {
  static readonly observedAttributes = [...NAMES, "options", "hide", "height"];
  private readonly frame = document.createElement("iframe");

  connectedCallback(): void {
    const root = this.shadowRoot ?? this.attachShadow({ mode: "open" });
    this.frame.title = this.getAttribute("title") ?? "Who attends to whom";
    this.frame.width = "100%";
    this.frame.setAttribute("frameborder", "0");
    root.replaceChildren(this.frame);
    this.show();
  }

  attributeChangedCallback(): void {
    if (this.isConnected) this.show();
  }

  private show(): void {
    const hash = new URLSearchParams();
    for (const name of NAMES) {
      const value = this.getAttribute(name);
      if (value !== null) hash.set(name, value);
    }
    for (const part of (this.getAttribute("hide") ?? HIDDEN.join(" ")).split(/\s+/).filter((word) => word !== ""))
      hash.append("hide", part);
    try {
      for (const [name, value] of Object.entries(JSON.parse(this.getAttribute("options") ?? "{}") as object))
        hash.set(`option.${name}`, JSON.stringify(value));
    } catch {
      console.warn("graph-attention: options is no JSON");
    }
    this.frame.height = this.getAttribute("height") ?? "900";
    this.frame.src = `${new URL("index.html", import.meta.url).href}#${hash}`;
  }
}

if (customElements.get("graph-attention") === undefined) customElements.define("graph-attention", GraphAttention);
