// Names and formats of numbers.

export const title = (key: string): string => key.replaceAll("_", " ");
/** Mechanisms with heads, and mixtures of experts. */
export const WITH_HEADS: readonly string[] = ["multi_head", "edge_featured"],
  WITH_EXPERTS: readonly string[] = ["moe", "learned_routing"],
  WITH_PARTS: readonly string[] = [...WITH_HEADS, ...WITH_EXPERTS];
export const percent = (weight: number): string => `${(100 * weight).toFixed(1)} %`;
/** Format an integer with separated thousands. */
export const grouped = (count: number): string => String(count).replace(/\B(?=(\d{3})+$)/g, "\u202f");
/** Format a number with three significant digits, if possible without an exponent. */
export function digits(x: number, count = 3): string {
  if (x === 0) return "0";
  const size = Math.abs(x);
  if (!Number.isFinite(x) || size >= 1e6 || size < 1e-4) return x.toExponential(2).replace("-", "−");
  return String(Number(x.toPrecision(count))).replace("-", "−");
}
export const message = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/** Data that a graph lacks for a mechanism, in plain words by Python's names. */
const MISSING: Record<string, string> = {
  layers: "this graph has no layers",
  edge_features: "the edges of this graph have no features",
  distances: "the edges of this graph have no lengths",
  edge_weights: "the edges of this graph have no weights",
};
export function reworded(said: string): string {
  const field = /graph\.(\w+): expected \w+, which \w+ needs, got None/.exec(said)?.[1];
  return field === undefined ? said : `${MISSING[field] ?? `this graph has no ${title(field)}`}.`;
}

/** Mechanisms with equal weights over a graph by definition, and the reasons. */
const SAME: Record<string, string> = {
  flash: "Flash attention is scaled dot-product attention computed in tiles: another order of the same sums.",
  local_global:
    "Over a graph the neighbours are what is local: with no global nodes this is scaled dot-product attention.",
};
export function sameByDefinition(a: string, b: string): string | undefined {
  if (a === b) return "It is the same mechanism twice.";
  const base = "scaled_dot_product";
  const both = [a, b].filter((key) => key in SAME);
  const [x, y] = [a in SAME ? base : a, b in SAME ? base : b];
  return x === y ? both.map((key) => SAME[key]).join(" ") : undefined;
}
