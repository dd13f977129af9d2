// A trainable graph attention layer: forward and backward by the kernels, steps by AdamW (Loshchilov & Hutter 2019).

import type { Kernels } from "graphattend/kernels";
import { scaled, size, sources, type Graph } from "../graph.js";
import type { Random } from "./random.js";

export const HEADS = 4,
  WIDTH = 4;

/** A layer in which every node attends to its neighbours and to itself. */
export function withLoops(
  graph: Graph,
  hidden: ReadonlySet<number> = new Set(),
): { indptr: number[]; indices: number[] } {
  const from = sources(graph),
    rows = graph.nodes.map((): number[] => []);
  graph.indices.forEach((to, e) => {
    if (to !== from[e] && !hidden.has(e)) rows[from[e]!]!.push(to);
  });
  rows.forEach((row, i) => row.push(i));
  const indptr = [0];
  for (const row of rows) indptr.push(indptr.at(-1)! + row.length);
  return { indptr, indices: rows.flat() };
}

export class AdamW {
  private readonly moments = new Map<string, { m: Float64Array; v: Float64Array }>();
  private t = 0;

  constructor(
    private readonly lr: number,
    private readonly decay = 0.5,
  ) {}

  step(parameters: Record<string, Float32Array>, gradients: Record<string, ArrayLike<number>>): void {
    this.t++;
    for (const [name, p] of Object.entries(parameters)) {
      const g = gradients[name]!;
      let known = this.moments.get(name);
      if (known === undefined)
        this.moments.set(name, (known = { m: new Float64Array(p.length), v: new Float64Array(p.length) }));
      const { m, v } = known;
      for (let i = 0; i < p.length; i++) {
        m[i] = 0.9 * m[i]! + 0.1 * g[i]!;
        v[i] = 0.999 * v[i]! + 0.001 * g[i]! ** 2;
        p[i]! -=
          this.lr * this.decay * p[i]! +
          (this.lr * m[i]!) / (1 - 0.9 ** this.t) / (Math.sqrt(v[i]! / (1 - 0.999 ** this.t)) + 1e-8);
      }
    }
  }
}

export class GatLayer {
  readonly p: Record<"w" | "aQuery" | "aKey" | "bias", Float32Array>;
  readonly x: { data: Float32Array; shape: number[] };

  constructor(
    private readonly k: Kernels,
    graph: Graph,
    private readonly lists: { indptr: number[]; indices: number[] },
    random: Random,
  ) {
    const { dim } = graph,
      uniform = (n: number, limit: number): Float32Array =>
        Float32Array.from({ length: n }, () => limit * (2 * random() - 1));
    this.x = { data: Float32Array.from(scaled(graph)), shape: [size(graph), dim] };
    this.p = {
      w: uniform(HEADS * dim * WIDTH, Math.sqrt(6 / (dim + WIDTH))),
      aQuery: uniform(HEADS * WIDTH, 1),
      aKey: uniform(HEADS * WIDTH, 1),
      bias: new Float32Array(HEADS * WIDTH),
    };
  }

  private parameters(): { w: object; aQuery: object; aKey: object; bias: Float32Array } & Parameters<
    Kernels["gatAttention"]
  >[2] {
    const { w, aQuery, aKey, bias } = this.p,
      dim = this.x.shape[1]!;
    return {
      w: { data: w, shape: [HEADS, dim, WIDTH] },
      aQuery: { data: aQuery, shape: [HEADS, WIDTH] },
      aKey: { data: aKey, shape: [HEADS, WIDTH] },
      bias,
    };
  }

  /** Set the parameters. */
  take(p: GatLayer["p"]): void {
    for (const name of ["w", "aQuery", "aKey", "bias"] as const) this.p[name].set(p[name]);
  }

  forward(): { output: Float32Array; weights: Float32Array } {
    const { output, weights } = this.k.gatAttention(this.lists, this.x, this.parameters(), { needWeights: true });
    return { output: output.data, weights: weights.data };
  }

  backward(gradient: Float32Array): Record<"w" | "aQuery" | "aKey" | "bias", Float32Array> {
    const found = this.k.gatAttentionVjp(this.lists, this.x, this.parameters(), null, {
      data: gradient,
      shape: [this.x.shape[0]!, HEADS * WIDTH],
    });
    return {
      w: found.w.data,
      aQuery: found.aQuery.data,
      aKey: found.aKey.data,
      bias: (found as unknown as { bias: { data: Float32Array } }).bias.data,
    };
  }

  /** Return the weights of one node's row by neighbour, averaged over the heads. */
  row(node: number, weights: Float32Array): Map<number, number> {
    const out = new Map<number, number>();
    for (let e = this.lists.indptr[node]!; e < this.lists.indptr[node + 1]!; e++) {
      let sum = 0;
      for (let h = 0; h < HEADS; h++) sum += weights[e * HEADS + h]!;
      out.set(this.lists.indices[e]!, sum / HEADS);
    }
    return out;
  }
}
