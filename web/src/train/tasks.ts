// Learning tasks of the page. A task runs one epoch at a time and gives the nodes' positions.

import type { Kernels } from "graphattend/kernels";
import { size, sources, type Graph } from "../graph.js";
import { AdamW, GatLayer, HEADS, WIDTH, withLoops } from "./gat.js";
import { seeded, shuffled } from "./random.js";

export interface Epoch {
  loss: number;
  score: number;
}
export interface Task {
  /** Name of the score. */
  scored: string;
  epoch(): Epoch;
  /** Positions of the nodes, (-1 … 1)². */
  places(): [number, number][];
  layer?: GatLayer;
  /** Continue from the parameters of a saved layer. */
  resume?(p: GatLayer["p"]): void;
}
export type TaskName = "labels" | "links" | "poincare";
const SIZE = HEADS * WIDTH;
/** Number of pairs that are ranked after an epoch. */
const MOST_RANKED = 200;

/** Predict the class of every node from a few labels. */
export class Labels implements Task {
  readonly scored = "accuracy on nodes whose class was not told";
  readonly layer: GatLayer;
  readonly told: Set<number>;
  private readonly classes: string[];
  private readonly target: number[];
  private readonly out: { w: Float32Array; b: Float32Array };
  private readonly adam: AdamW;
  private chances: number[][] = [];

  constructor(k: Kernels, graph: Graph, lr: number, seed: number) {
    const random = seeded(seed);
    this.classes = [...new Set(graph.labels)];
    this.target = graph.labels!.map((l) => this.classes.indexOf(l));
    this.told = new Set(
      this.classes.flatMap((_, c) => {
        const members = this.target.flatMap((t, i) => (t === c ? [i] : []));
        return shuffled(members, random).slice(0, Math.max(1, Math.round(0.2 * members.length)));
      }),
    );
    this.layer = new GatLayer(k, graph, withLoops(graph), random);
    this.out = {
      w: Float32Array.from({ length: SIZE * this.classes.length }, () => 0.5 * (2 * random() - 1)),
      b: new Float32Array(this.classes.length),
    };
    this.adam = new AdamW(lr);
    this.predict();
  }

  resume(p: GatLayer["p"]): void {
    this.layer.take(p);
    this.predict();
  }

  private predict(): Float32Array {
    const { output } = this.layer.forward(),
      count = this.classes.length;
    this.chances = this.target.map((_, i) => {
      const logits = Array.from({ length: count }, (_x, c) => {
        let sum = this.out.b[c]!;
        for (let d = 0; d < SIZE; d++) sum += elu(output[i * SIZE + d]!) * this.out.w[d * count + c]!;
        return sum;
      });
      const most = Math.max(...logits),
        shares = logits.map((l) => Math.exp(l - most)),
        sum = shares.reduce((a, b) => a + b, 0);
      return shares.map((s) => s / sum);
    });
    return output;
  }

  epoch(): Epoch {
    const output = this.predict(),
      count = this.classes.length;
    const g = new Float32Array(output.length),
      gw = new Float32Array(this.out.w.length),
      gb = new Float32Array(count);
    let loss = 0;
    for (const i of this.told) {
      const p = this.chances[i]!,
        t = this.target[i]!;
      loss -= Math.log(Math.max(p[t]!, 1e-12)) / this.told.size;
      for (let c = 0; c < count; c++) {
        const by = (p[c]! - Number(c === t)) / this.told.size;
        gb[c]! += by;
        for (let d = 0; d < SIZE; d++) {
          const z = output[i * SIZE + d]!;
          gw[d * count + c]! += by * elu(z);
          g[i * SIZE + d]! += by * this.out.w[d * count + c]! * (z > 0 ? 1 : Math.exp(z));
        }
      }
    }
    const back = this.layer.backward(g);
    this.adam.step({ ...this.layer.p, outW: this.out.w, outB: this.out.b }, { ...back, outW: gw, outB: gb });
    return { loss, score: this.accuracy() };
  }

  accuracy(): number {
    const rest = this.target.flatMap((t, i) =>
      this.told.has(i) ? [] : [this.chances[i]!.indexOf(Math.max(...this.chances[i]!)) === t],
    );
    return rest.filter(Boolean).length / Math.max(rest.length, 1);
  }

  places(): [number, number][] {
    const count = this.classes.length;
    return this.chances.map((p, i) => {
      const [x, y] = p.reduce(
        ([a, b], share, c): [number, number] => [
          a + share * Math.cos((2 * Math.PI * c) / count),
          b + share * Math.sin((2 * Math.PI * c) / count),
        ],
        [0, 0] as [number, number],
      );
      // Nodes at the same place are drawn side by side.
      return [
        0.85 * x + 0.1 * Math.cos(2.4 * i) * Math.sqrt((i % 17) / 17),
        (count === 2 ? 0 : 0.85 * y) + (count === 2 ? 0.6 : 0.1) * Math.sin(2.4 * i) * Math.sqrt((i % 17) / 17),
      ];
    });
  }
}

/** Distinguish edges from other pairs. */
export class Links implements Task {
  readonly scored = "AUC on edges that were held out";
  readonly layer: GatLayer;
  private readonly adam: AdamW;
  private readonly train: [number, number][];
  private readonly test: [number, number][];
  private readonly no: [number, number][];
  private readonly edges: Set<number>;
  private readonly random;
  private readonly nodes: number;
  private output: Float32Array;

  constructor(k: Kernels, graph: Graph, lr: number, seed: number) {
    this.random = seeded(seed);
    this.nodes = size(graph);
    const from = sources(graph),
      key = (a: number, b: number): number => Math.min(a, b) * this.nodes + Math.max(a, b);
    const pairs = new Map<number, [number, number]>();
    graph.indices.forEach((to, e) => {
      if (from[e] !== to) pairs.set(key(from[e]!, to), [from[e]!, to]);
    });
    this.edges = new Set(pairs.keys());
    const mixed = shuffled([...pairs.values()], this.random),
      held = Math.max(1, Math.round(0.15 * mixed.length));
    this.test = mixed.slice(0, held);
    this.train = mixed.slice(held);
    const hidden = new Set(this.test.map(([a, b]) => key(a, b)));
    this.layer = new GatLayer(
      k,
      graph,
      withLoops(graph, new Set(graph.indices.flatMap((to, e) => (hidden.has(key(from[e]!, to)) ? [e] : [])))),
      this.random,
    );
    this.no = Array.from({ length: held }, () => this.none());
    this.adam = new AdamW(lr);
    this.output = this.layer.forward().output;
  }

  resume(p: GatLayer["p"]): void {
    this.layer.take(p);
    this.output = this.layer.forward().output;
  }

  private none(): [number, number] {
    for (let tries = 0; ; tries++) {
      const a = Math.floor(this.random() * this.nodes),
        b = Math.floor(this.random() * this.nodes);
      if (tries > 200 || (a !== b && !this.edges.has(Math.min(a, b) * this.nodes + Math.max(a, b)))) return [a, b];
    }
  }

  private score([a, b]: [number, number]): number {
    let sum = 0;
    for (let d = 0; d < SIZE; d++) sum += this.output[a * SIZE + d]! * this.output[b * SIZE + d]!;
    return sum / Math.sqrt(SIZE);
  }

  epoch(): Epoch {
    this.output = this.layer.forward().output;
    const g = new Float32Array(this.output.length),
      all = [...this.train.map((p) => [p, 1] as const), ...this.train.map(() => [this.none(), 0] as const)];
    let loss = 0;
    for (const [pair, label] of all) {
      const s = this.score(pair),
        chance = 1 / (1 + Math.exp(-s)),
        by = (chance - label) / all.length / Math.sqrt(SIZE);
      loss -= Math.log(Math.max(label === 1 ? chance : 1 - chance, 1e-12)) / all.length;
      for (let d = 0; d < SIZE; d++) {
        g[pair[0] * SIZE + d]! += by * this.output[pair[1] * SIZE + d]!;
        g[pair[1] * SIZE + d]! += by * this.output[pair[0] * SIZE + d]!;
      }
    }
    this.adam.step(this.layer.p, this.layer.backward(g));
    const yes = this.test.map((p) => this.score(p)),
      no = this.no.map((p) => this.score(p));
    const won = yes.reduce((sum, y) => sum + no.reduce((s, n) => s + (y > n ? 1 : y === n ? 0.5 : 0), 0), 0);
    return { loss, score: won / yes.length / no.length };
  }

  places(): [number, number][] {
    const points = Array.from({ length: this.nodes }, (_, i): [number, number] => [
      this.output[i * SIZE]!,
      this.output[i * SIZE + 1]!,
    ]);
    const most = points.reduce((m, p) => Math.max(m, Math.abs(p[0]), Math.abs(p[1])), 1e-9);
    return points.map(([x, y]) => [(0.9 * x) / most, (0.9 * y) / most]);
  }
}

/** Embed the nodes in the Poincaré disk with neighbours close together (Nickel & Kiela 2017). */
export class PoincareEmbedding implements Task {
  readonly scored = "mean reciprocal rank of neighbours";
  private readonly at: [number, number][];
  private readonly pairs: [number, number][];
  private readonly near: Set<number>[];
  private readonly random;
  private done = 0;

  constructor(
    graph: Graph,
    private readonly lr: number,
    seed: number,
  ) {
    this.random = seeded(seed);
    this.at = graph.nodes.map(() => [0.002 * (this.random() - 0.5), 0.002 * (this.random() - 0.5)]);
    const from = sources(graph);
    this.pairs = graph.indices.flatMap((to, e): [number, number][] => (to === from[e] ? [] : [[from[e]!, to]]));
    this.near = graph.nodes.map(() => new Set<number>());
    for (const [a, b] of this.pairs) this.near[a]!.add(b);
  }

  epoch(): Epoch {
    const rate = this.done++ < 10 ? this.lr / 10 : this.lr,
      negatives = 10;
    let loss = 0;
    for (const [u, v] of shuffled(this.pairs, this.random)) {
      const others = [
        v,
        ...Array.from({ length: negatives }, () => Math.floor(this.random() * this.at.length)).filter(
          (n) => n !== u && !this.near[u]!.has(n),
        ),
      ];
      const d = others.map((o) => distanceAndPull(this.at[u]!, this.at[o]!));
      const sum = d.reduce((s, { far }) => s + Math.exp(-far), 0);
      loss += (d[0]!.far + Math.log(sum)) / this.pairs.length;
      const gu: [number, number] = [0, 0];
      others.forEach((o, i) => {
        const by = Number(i === 0) - Math.exp(-d[i]!.far) / sum;
        gu[0] += by * d[i]!.gx[0];
        gu[1] += by * d[i]!.gx[1];
        this.move(o, d[i]!.gy.map((g) => by * g) as [number, number], rate);
      });
      this.move(u, gu, rate);
    }
    return { loss, score: this.rank() };
  }

  private move(i: number, [gx, gy]: [number, number], rate: number): void {
    const p = this.at[i]!,
      factor = (1 - p[0] ** 2 - p[1] ** 2) ** 2 / 4;
    const [x, y] = [p[0] - rate * factor * gx, p[1] - rate * factor * gy],
      length = Math.hypot(x, y),
      most = 1 - 1e-5;
    this.at[i] = length > most ? [(x / length) * most, (y / length) * most] : [x, y];
  }

  private rank(): number {
    let sum = 0;
    const step = Math.ceil(this.pairs.length / MOST_RANKED),
      ranked = this.pairs.filter((_, i) => i % step === 0);
    for (const [u, v] of ranked) {
      const mine = distanceAndPull(this.at[u]!, this.at[v]!).far;
      sum +=
        1 /
        (1 +
          this.at.filter((p, i) => i !== u && !this.near[u]!.has(i) && distanceAndPull(this.at[u]!, p).far < mine)
            .length);
    }
    return sum / Math.max(ranked.length, 1);
  }

  places(): [number, number][] {
    return this.at.map(([x, y]) => [x, y]);
  }
}

function distanceAndPull(
  x: [number, number],
  y: [number, number],
): { far: number; gx: [number, number]; gy: [number, number] } {
  const dx = x[0] - y[0],
    dy = x[1] - y[1],
    q = dx * dx + dy * dy,
    a = Math.max(1 - x[0] ** 2 - x[1] ** 2, 1e-10),
    b = Math.max(1 - y[0] ** 2 - y[1] ** 2, 1e-10);
  const gamma = 1 + (2 * q) / (a * b),
    root = Math.sqrt(Math.max(gamma * gamma - 1, 1e-14));
  const pull = (p: [number, number], own: number, other: number, sign: number): [number, number] => [
    (4 / (other * own * root)) * (sign * dx + (q * p[0]) / own),
    (4 / (other * own * root)) * (sign * dy + (q * p[1]) / own),
  ];
  return { far: Math.acosh(gamma), gx: pull(x, a, b, 1), gy: pull(y, b, a, -1) };
}

const elu = (z: number): number => (z > 0 ? z : Math.expm1(z));
