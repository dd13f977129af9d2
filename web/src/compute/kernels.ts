// Attention by the kernels of graphattend/kernels, which answer within a frame, without Python.

import { load, type Kernels } from "graphattend/kernels";
import { scaled, size, type Graph, type Parameters } from "../graph.js";
import type { Options, Value } from "../state.js";

/** Options that the kernels support, by mechanism; all others must have their defaults. */
const KNOWN: Record<string, readonly string[]> = {
  scaled_dot_product: ["temperature", "scale", "normalize", "dropout"],
  flash: ["temperature", "scale", "block_size", "dropout"],
  local_global: ["temperature", "scale", "window", "dropout"],
  hyperbolic: ["temperature", "curvature", "aggregation", "strict", "dropout"],
  multi_head: ["temperature", "dropout"],
  edge_featured: ["negative_slope", "concat", "dropout"],
};
const PARAMETRIC = ["multi_head", "edge_featured"];

export interface Lists {
  indptr: ArrayLike<number>;
  indices: ArrayLike<number>;
}
export interface Found {
  weights: Float32Array;
  heads?: { count: number; weights: Float32Array };
}

const number = (value: Value | undefined, otherwise: number): number => (typeof value === "number" ? value : otherwise);

export class KernelCompute {
  private readonly vectors = new WeakMap<Graph, Map<number, Float32Array>>();

  private constructor(readonly k: Kernels) {}

  static async start(): Promise<KernelCompute> {
    return new KernelCompute(await load());
  }

  /** Return whether the kernels can compute this. */
  can(graph: Graph, key: string, options: Options): boolean {
    return (
      graph.latents.length > 0 &&
      size(graph) > 0 &&
      key in KNOWN &&
      Object.keys(options).every((name) => KNOWN[key]!.includes(name)) &&
      (!PARAMETRIC.includes(key) || graph.parameters[key] !== undefined) &&
      valid(options)
    );
  }

  private latents(graph: Graph, ball?: number): Float32Array {
    let known = this.vectors.get(graph);
    if (known === undefined) this.vectors.set(graph, (known = new Map<number, Float32Array>()));
    let found = known.get(ball ?? 0);
    if (found === undefined) known.set(ball ?? 0, (found = Float32Array.from(scaled(graph, ball))));
    return found;
  }

  /** Return the weight of every edge of `lists`, which are all or some edges of the graph. */
  attend(graph: Graph, lists: Lists, key: string, options: Options): Found {
    if (key === "hyperbolic") return this.hyperbolic(graph, lists, options);
    const nodes = size(graph),
      shape = [nodes, graph.dim];
    const x = { data: this.latents(graph), shape };
    const temperature = number(options["temperature"], 1);
    if (key === "edge_featured") {
      const p = graph.parameters[key]!;
      const { weights } = this.k.gatAttention(
        lists,
        x,
        {
          w: p["w"]!,
          aQuery: p["a_query"]!,
          aKey: p["a_key"]!,
          ...(p["bias"] && options["concat"] !== false ? { bias: p["bias"] } : {}),
        },
        {
          negativeSlope: number(options["negative_slope"], 0.2),
          concat: options["concat"] !== false,
          needWeights: true,
        },
      );
      return averaged(weights.data, lists.indices.length);
    }
    if (key === "multi_head") {
      const p = graph.parameters[key]!;
      const heads = 4,
        width = p["w_q"]!.shape[1]! / heads;
      const [q, k, v] = (["q", "k", "v"] as const).map((name) => ({
        data: this.projected(x, p, name),
        shape: [nodes, heads, width],
      }));
      const { weights } = this.k.graphAttention(lists, q!, k!, v!, {
        scale: width ** -0.5 / temperature,
        needWeights: true,
      });
      return averaged(weights.data, lists.indices.length);
    }
    const q = options["normalize"] === true ? { data: unit(x.data, graph.dim), shape } : x;
    const scale = number(options["scale"], graph.dim ** -0.5) / temperature;
    return { weights: this.k.graphAttention(lists, q, q, x, { scale, needWeights: true }).weights.data };
  }

  private projected(x: { data: Float32Array; shape: number[] }, p: Parameters, name: string): Float32Array {
    const out = this.k.matmul(x, p[`w_${name}`]!).data;
    const bias = p[`b_${name}`]?.data;
    return bias === undefined ? out : out.map((y, i) => y + bias[i % bias.length]!);
  }

  private hyperbolic(graph: Graph, { indptr, indices }: Lists, options: Options): Found {
    const curvature = number(options["curvature"], -1),
      temperature = number(options["temperature"], 1);
    const x = this.latents(graph, curvature),
      { dim } = graph;
    const out = new Float32Array(indices.length);
    for (let i = 0; i + 1 < indptr.length; i++) {
      const from = indptr[i]!,
        count = indptr[i + 1]! - from;
      if (count === 0) continue;
      const keys = new Float32Array(count * dim);
      for (let e = 0; e < count; e++)
        keys.set(x.subarray(indices[from + e]! * dim, (indices[from + e]! + 1) * dim), e * dim);
      const near = { data: keys, shape: [count, dim] };
      out.set(
        this.k.hyperbolicAttention(x.subarray(i * dim, (i + 1) * dim), near, near, {
          curvature,
          temperature,
          needWeights: true,
        }).weights.data,
        from,
      );
    }
    return { weights: out };
  }
}

/** Leave values that Python rejects to Python, which explains the error. */
function valid(options: Options): boolean {
  return Object.entries(options).every(([name, value]) =>
    name === "temperature"
      ? typeof value === "number" && value > 0 && Number.isFinite(value)
      : name === "curvature"
        ? typeof value === "number" && value < 0 && Number.isFinite(value)
        : name === "negative_slope"
          ? typeof value === "number" && value >= 0 && value <= 1
          : name === "scale"
            ? value === null || (typeof value === "number" && Number.isFinite(value))
            : ["normalize", "concat", "strict"].includes(name)
              ? typeof value === "boolean"
              : name === "aggregation"
                ? ["midpoint", "tangent", "frechet"].includes(value as string)
                : name === "window" || name === "block_size"
                  ? value === null || (Number.isInteger(value) && Number(value) >= 1)
                  : name === "dropout" && value === 0,
  );
}

function averaged(weights: Float32Array, edges: number): Found {
  const count = edges === 0 ? 1 : weights.length / edges;
  const out = new Float32Array(edges);
  for (let e = 0; e < edges; e++) {
    let sum = 0;
    for (let h = 0; h < count; h++) sum += weights[e * count + h]!;
    out[e] = sum / count;
  }
  return { weights: out, heads: { count, weights } };
}

function unit(x: Float32Array, dim: number): Float32Array {
  const out = x.slice();
  for (let from = 0; from < x.length; from += dim) {
    const norm = Math.hypot(...x.subarray(from, from + dim));
    for (let c = 0; c < dim; c++) out[from + c] = norm > 0 ? x[from + c]! / norm : 0;
  }
  return out;
}
