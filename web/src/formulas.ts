// The steps of one row of attention in double precision, with the result of each step for every neighbour.

import { latent, row, scaled, size, type Graph, type Parameters } from "./graph.js";
import type { Options } from "./state.js";

export interface Step {
  name: string;
  /** The formula. */
  formula: string;
  /** One number per neighbour. */
  values: number[];
}

export interface Explained {
  /** Edges of the row, and their neighbours. */
  at: number[];
  to: number[];
  /** Steps from vectors to the score, per head; mechanisms without heads have one. */
  heads: {
    name: string;
    steps: Step[];
    scores: number[];
    weights: number[];
    query: number[];
    keys: number[][];
    pairs: "product" | "difference" | "none";
  }[];
  /** Mean over the heads. */
  weights: number[];
}

/** Return the largest number of a list of any length. */
export const largestOf = (list: ArrayLike<number>): number => {
  let most = -Infinity;
  for (let i = 0; i < list.length; i++) most = Math.max(most, list[i]!);
  return most;
};
const dot = (a: readonly number[], b: readonly number[]): number => a.reduce((sum, x, i) => sum + x * b[i]!, 0);
const number = (options: Options, name: string, otherwise: number): number =>
  typeof options[name] === "number" ? options[name] : otherwise;

export function softmax(scores: readonly number[]): number[] {
  const most = largestOf(scores);
  const shares = scores.map((s) => Math.exp(s - most));
  const sum = shares.reduce((a, b) => a + b, 0);
  return shares.map((s) => s / sum);
}

/** Return the distance in the Poincaré ball of this curvature. */
export function poincareDistance(x: readonly number[], y: readonly number[], curvature = -1): number {
  const c = -curvature,
    squared = dot(
      x.map((v, i) => v - y[i]!),
      x.map((v, i) => v - y[i]!),
    );
  return (2 / Math.sqrt(c)) * Math.asinh(Math.sqrt((c * squared) / ((1 - c * dot(x, x)) * (1 - c * dot(y, y)))));
}

/** Steps are not shown for longer rows. */
const MOST_EXPLAINED = 5000;

/** Return the steps from vectors to weights, or undefined if only Python can compute them. */
export function explain(
  graph: Graph,
  key: string,
  options: Options,
  node: number,
  masked: readonly string[] = [],
): Explained | undefined {
  if (graph.latents.length === 0 || size(graph) === 0) return undefined;
  if (graph.indptr[node + 1]! - graph.indptr[node]! > MOST_EXPLAINED) return undefined;
  const edges = row(graph, [], node).filter(({ to }) => !masked.includes(graph.nodes[to]!));
  const at = edges.map((e) => e.at),
    to = edges.map((e) => e.to);
  const heads = headsOf(graph, key, options, node, to);
  if (heads === undefined) return undefined;
  return { at, to, heads, weights: to.map((_, i) => heads.reduce((sum, h) => sum + h.weights[i]!, 0) / heads.length) };
}

function headsOf(
  graph: Graph,
  key: string,
  options: Options,
  node: number,
  to: number[],
): Explained["heads"] | undefined {
  const temperature = number(options, "temperature", 1);
  const vectors = (ball?: number): { query: number[]; keys: number[][] } => {
    const x = { ...graph, latents: scaled(graph, ball) as unknown as number[] };
    return { query: [...latent(x, node)], keys: to.map((j) => [...latent(x, j)]) };
  };
  const finish = (
    name: string,
    query: number[],
    keys: number[][],
    pairs: Explained["heads"][number]["pairs"],
    steps: Step[],
  ): Explained["heads"][number] => {
    const scores = steps.at(-1)?.values ?? [];
    const weights = softmax(scores),
      most = largestOf(scores);
    return {
      name,
      query,
      keys,
      pairs,
      scores,
      weights,
      steps: [
        ...steps,
        { name: "exp", formula: "exp(score − largest score)", values: scores.map((s) => Math.exp(s - most)) },
        { name: "weight", formula: "exp ÷ sum of the row", values: weights },
      ],
    };
  };
  switch (key) {
    case "scaled_dot_product":
    case "flash":
    case "local_global": {
      if (Array.isArray(options["global_nodes"]) || typeof options["global_nodes"] === "number") return undefined;
      let { query, keys } = vectors();
      if (options["normalize"] === true) [query, keys] = [unit(query), keys.map(unit)];
      const products = keys.map((k) => dot(query, k));
      const scale = number(options, "scale", graph.dim ** -0.5);
      return [
        finish("", query, keys, "product", [
          { name: "q·k", formula: "Σ qᵢ kᵢ", values: products },
          {
            name: "score",
            formula: `q·k × ${short(scale)} ÷ ${short(temperature)}`,
            values: products.map((p) => (p * scale) / temperature),
          },
        ]),
      ];
    }
    case "hyperbolic": {
      const curvature = number(options, "curvature", -1);
      const { query, keys } = vectors(curvature);
      const distances = keys.map((k) => poincareDistance(query, k, curvature));
      return [
        finish("", query, keys, "difference", [
          { name: "distance", formula: "arcosh(1 + 2c|q − k|² ÷ ((1 − c|q|²)(1 − c|k|²))) ÷ √c", values: distances },
          {
            name: "score",
            formula: `−distance ÷ ${short(temperature)}`,
            values: distances.map((d) => -d / temperature),
          },
        ]),
      ];
    }
    case "multi_head": {
      const p = graph.parameters[key];
      if (p === undefined || ["num_heads", "head_dim", "bias", "seed"].some((name) => name in options))
        return undefined;
      const { query, keys } = vectors();
      const width = p["w_q"]!.shape[1]! / 4;
      const [q, k] = [projected(query, p, "q"), keys.map((x) => projected(x, p, "k"))];
      return Array.from({ length: 4 }, (_, h) => {
        const part = (x: number[]): number[] => x.slice(h * width, (h + 1) * width);
        const products = k.map((x) => dot(part(q), part(x)));
        return finish(`head ${h + 1}`, part(q), k.map(part), "product", [
          { name: "q·k", formula: "(W_q x_i) · (W_k x_j)", values: products },
          {
            name: "score",
            formula: `q·k × ${short(width ** -0.5)} ÷ ${short(temperature)}`,
            values: products.map((s) => (s * width ** -0.5) / temperature),
          },
        ]);
      });
    }
    case "edge_featured": {
      const p = graph.parameters[key];
      if (
        p === undefined ||
        Object.keys(options).some((name) => !["negative_slope", "concat", "dropout"].includes(name))
      )
        return undefined;
      const { query, keys } = vectors();
      const slope = number(options, "negative_slope", 0.2);
      const [heads, dim, width] = p["w"]!.shape as [number, number, number];
      return Array.from({ length: heads }, (_, h) => {
        const apply = (x: number[]): number[] =>
          Array.from({ length: width }, (_x, e) =>
            x.reduce((sum, v, d) => sum + v * p["w"]!.data[(h * dim + d) * width + e]!, 0),
          );
        const a = (name: string): number[] => [...p[name]!.data.slice(h * width, (h + 1) * width)];
        const mine = dot(a("a_query"), apply(query)),
          theirs = keys.map((x) => dot(a("a_key"), apply(x)));
        return finish(`head ${h + 1}`, apply(query), keys.map(apply), "none", [
          { name: "a_q·Wh_i", formula: "the query's share, the same for all", values: theirs.map(() => mine) },
          { name: "a_k·Wh_j", formula: "the key's share", values: theirs },
          {
            name: "score",
            formula: `LeakyReLU(a_q·Wh_i + a_k·Wh_j), slope ${short(slope)}`,
            values: theirs.map((t) => (mine + t > 0 ? mine + t : slope * (mine + t))),
          },
        ]);
      });
    }
    default:
      return undefined;
  }
}

function projected(x: number[], p: Parameters, name: string): number[] {
  const {
    shape: [dim, width],
    data,
  } = p[`w_${name}`]!;
  const bias = p[`b_${name}`]?.data;
  return Array.from({ length: width! }, (_, e) => {
    let sum = bias?.[e] ?? 0;
    for (let d = 0; d < dim!; d++) sum += x[d]! * data[d * width! + e]!;
    return sum;
  });
}

const unit = (x: number[]): number[] => {
  const norm = Math.hypot(...x);
  return norm > 0 ? x.map((v) => v / norm) : x;
};
const short = (x: number): string => String(Number(x.toPrecision(3)));
