// State → compute → views. Holds the state, computes with kernels or Python, and reports when to redraw.

import type { Progress, Schema } from "graphattend";
import { Address } from "./address.js";
import type { KernelCompute } from "./compute/kernels.js";
import { layOut } from "./compute/layout.js";
import { pack, unpack } from "./compute/pack.js";
import { projected } from "./compute/projection.js";
import { MOST_BYTES } from "./compute/formats.js";
import type { Python } from "./compute/python.js";
import { fromGallery, GALLERY } from "./gallery.js";
import { nodeOf, size, sources, spread, without, type Advice, type Graph, type Lists, type Result } from "./graph.js";
import { keep, kept, keptName } from "./kept.js";
import { shared } from "./schema.js";
import { DEFAULT_GRAPH, fromHash, IN_ADDRESS, onGraph, START, toHash, type Options, type State } from "./state.js";
import { message, reworded } from "./words.js";

/** Larger graphs get vectors from projections, and the rest only on request. */
const MOST_NODES = 1500,
  MOST_EDGES = 20_000;
const small = (graph: Graph): boolean => size(graph) <= MOST_NODES && graph.indices.length <= MOST_EDGES;
/** Milliseconds that a slider has to rest before Python is called; meanwhile the kernels answer. */
const REST = 150;

export interface Work {
  what: string;
  done: number;
  stop: () => void;
}

export class Session {
  state: State;
  graph: Graph | undefined;
  /** Results of the chosen mechanism with its options, and of the compared one. */
  chosen: Result | undefined;
  other: Result | undefined;
  /** Results of every mechanism with default options. */
  results = new Map<string, Result>();
  skipped: Record<string, string> = {};
  kernels: KernelCompute | undefined;
  python: Python | undefined;
  progress: Progress | { phase: "compute"; loaded: number } = { phase: "runtime", loaded: 0, total: undefined };
  problem = "";
  notice = "";
  work: Work | undefined;
  advice: Advice | undefined;
  /** Whether Python is computing the current state. */
  busy = true;
  /** Whether there is no result of the current state to show. */
  waiting = true;
  /** The edge that is pointed at outside the graph's picture. */
  peek: { from: string; to: string } | undefined;
  /** Number of redraws. */
  revision = 0;
  /** Number of changes of options that did not come from their controls. */
  hand = 0;
  private asked = 0;
  private computed = 0;
  private draw: () => void = () => undefined;
  private lists: { of: string; lists: Lists; graph: Graph } | undefined;
  private readonly address = new Address(() => toHash(this.state));
  private endLayout: () => void = () => undefined;
  /** Results of graphs that were shown before. */
  private readonly known = new WeakMap<Graph, Pick<Session, "results" | "skipped" | "advice">>();
  private file: { name: string; bytes: Uint8Array<ArrayBuffer> } | undefined;

  readonly schemas: Record<string, Schema>;

  constructor(schemas: Record<string, Schema>, hash: string) {
    this.schemas = Object.assign(Object.create(null), schemas) as Record<string, Schema>; // without inherited names such as __proto__
    this.state = this.settled(fromHash(hash));
  }

  /** Call `draw` after every change. */
  watch(draw: () => void): void {
    this.draw = draw;
  }

  tell(): void {
    this.revision++;
    this.draw();
  }

  /** Highlight an edge in the graph's picture while it is pointed at. */
  point(from: string, to: string, on: boolean): void {
    if (!on && (this.peek?.from !== from || this.peek.to !== to)) return;
    this.peek = on ? { from, to } : undefined;
    this.draw();
  }

  change(by: Partial<State>): void {
    const to = by.mechanism === undefined ? undefined : this.schemas[by.mechanism];
    if (to !== undefined && by.options === undefined) {
      by = { ...by, options: shared(this.schemas[this.state.mechanism], to, this.state.options) };
      this.hand++;
    }
    // Beside itself, a mechanism has nothing to show.
    if (by.mechanism === this.state.other && by.other === undefined) by = { ...by, other: this.state.mechanism };
    if (by.node !== undefined && by.node !== this.state.node) by = { to: "", masked: [], ...by };
    const before = this.state;
    this.state = { ...before, ...by };
    this.address.write();
    void this.follow(before);
  }

  /** Take over the state of an address. */
  goTo(hash: string): void {
    const before = this.state;
    this.state = this.settled(fromHash(hash));
    this.hand++;
    void this.follow(before);
  }

  /** Return an address's state with unknown values replaced, and set a notice about them. */
  private settled(wanted: State): State {
    const missing: string[] = [];
    let out = wanted;
    if (this.schemas[out.mechanism] === undefined) {
      missing.push(`There is no mechanism “${out.mechanism.slice(0, 60)}”.`);
      out = { ...out, mechanism: START.mechanism, options: {} };
    }
    if (this.schemas[out.other] === undefined) out = { ...out, other: START.other };
    const known =
      Object.hasOwn(GALLERY, out.graph) ||
      (out.graph === IN_ADDRESS && out.data !== "") ||
      out.graph === this.graph?.name ||
      out.graph === keptName();
    if (!known) {
      missing.push(
        `${out.graph.slice(0, 80)} has to be opened again: files stay on your computer. This is Les Misérables.`,
      );
      out = { ...out, graph: DEFAULT_GRAPH, data: "", node: "" };
    }
    this.notice = missing.join(" ");
    return { ...out, options: shared(undefined, this.schemas[out.mechanism]!, out.options) };
  }

  private async follow(before: State | undefined): Promise<void> {
    const now = this.state;
    if (before === undefined || before.graph !== now.graph || (now.graph === IN_ADDRESS && before.data !== now.data))
      await this.fetch();
    else if (
      before.mechanism !== now.mechanism ||
      before.other !== now.other ||
      before.options !== now.options ||
      before.masked !== now.masked
    )
      this.compute();
    else this.tell();
  }

  /** Load the state's graph. */
  private async fetch(): Promise<void> {
    const wanted = this.state.graph;
    this.busy = this.waiting = true;
    this.tell();
    try {
      if (Object.hasOwn(GALLERY, wanted)) this.take(await fromGallery(wanted));
      else if (wanted === IN_ADDRESS) this.take(await unpack(this.state.data, wanted));
      else await this.reopen();
      this.problem = "";
    } catch (error) {
      this.problem = reworded(message(error));
      this.busy = false;
      if (this.graph !== undefined) this.state = { ...this.state, graph: this.graph.name, data: "" };
      else if (wanted !== DEFAULT_GRAPH) this.change({ graph: DEFAULT_GRAPH, data: "", node: "" });
    }
    this.tell();
  }

  /** Replace the shown graph. */
  private take(graph: Graph): void {
    if (this.graph === graph) return this.compute();
    this.endLayout();
    this.work?.stop();
    this.graph = graph;
    const brought = Object.entries(graph.results).map(
      ([key, weights]) => [key, { key, options: {}, weights, by: "beforehand" }] as const,
    );
    const known = this.known.get(graph) ?? {
      results: new Map(brought),
      skipped: { ...graph.skipped },
      advice: graph.advice,
    };
    this.known.set(graph, known);
    ({ results: this.results, skipped: this.skipped, advice: this.advice } = known);
    this.chosen = this.other = undefined;
    if (graph.latents.length === 0 && !small(graph)) Object.assign(graph, projected(graph));
    if (graph.positions.length === 0) {
      this.endLayout = layOut(graph, sources(graph), ({ positions, done }) => {
        graph.positions = Array.from(positions);
        this.work =
          done < 1
            ? {
                what: "Drawing the graph",
                done,
                stop: () => {
                  this.endLayout();
                  this.work = undefined;
                  this.tell();
                },
              }
            : undefined;
        this.tell();
      });
    }
    this.compute();
    void this.complete(graph);
  }

  /** Compute missing latent vectors and parameters, then all other mechanisms. */
  private async complete(graph: Graph): Promise<void> {
    const { python } = this;
    if (python === undefined) return;
    try {
      if (graph.latents.length === 0) Object.assign(graph, await python.latents(graph));
      if (graph.parameters["multi_head"] === undefined) {
        for (const key of ["multi_head", "edge_featured"] as const)
          graph.parameters[key] = await python.parameters(key, graph.dim);
        if (this.graph === graph) this.compute();
      }
      if (this.graph === graph && small(graph)) {
        if (this.advice === undefined) await this.advise();
        await this.computeAll();
      }
    } catch (error) {
      if (this.graph !== graph) return;
      this.problem = reworded(message(error));
      this.busy = false;
      this.tell();
    }
  }

  /** Ask Python for its recommendation for this graph. */
  async advise(): Promise<void> {
    const { graph, python } = this;
    if (graph === undefined || python === undefined) return;
    const advice = await python.recommend(graph);
    this.known.get(graph)!.advice = advice;
    if (this.graph === graph) this.advice = advice;
    this.tell();
  }

  /** Compute every mechanism without a result, one by one. */
  async computeAll(): Promise<void> {
    const { graph, python } = this;
    if (graph === undefined || python === undefined || graph.latents.length === 0) return;
    const stop = new AbortController();
    const keys = Object.keys(this.schemas).filter((key) => !this.results.has(key) && !(key in this.skipped));
    for (const [i, key] of keys.entries()) {
      if (stop.signal.aborted || this.graph !== graph) break;
      this.work = { what: `Comparing: ${key}`, done: i / keys.length, stop: () => stop.abort() };
      this.tell();
      try {
        const weights = await python.attend(graph, graph, key, {}, { signal: stop.signal });
        if (this.graph === graph) this.results.set(key, { key, options: {}, weights, by: "python" });
      } catch (error) {
        if (this.graph === graph && !stop.signal.aborted) this.skipped[key] = message(error);
      }
    }
    if (this.graph === graph) {
      this.work = undefined;
      this.tell();
    }
  }

  /** Return the edges in use: all except the masked ones. */
  private attended(): Lists {
    const graph = this.graph!,
      { masked } = this.state;
    if (masked.length === 0) return graph;
    const node = nodeOf(graph, this.state.node),
      of = JSON.stringify([node, masked]);
    if (this.lists?.graph !== graph || this.lists.of !== of)
      this.lists = { of, graph, lists: without(graph, node, masked) };
    return this.lists.lists;
  }

  /** Return an immediate result, precomputed or from the kernels. */
  now(key: string, options: Options, lists: Lists): Result | undefined {
    const graph = this.graph!;
    const usual = lists === graph && Object.keys(options).length === 0 ? this.results.get(key) : undefined;
    if (usual !== undefined || this.kernels?.can(graph, key, options) !== true) return usual;
    const { weights, heads } = this.kernels.attend(graph, lists, key, options);
    return { key, options, weights: spread(graph, lists, weights), by: "kernels", ...(heads ? { heads } : {}) };
  }

  /** Compute the state's result: immediately if possible, and exactly when Python has finished. */
  compute(): void {
    const { graph, python } = this;
    if (graph === undefined) return;
    const lists = this.attended(),
      ticket = ++this.asked;
    const { mechanism, other, options } = this.state;
    const quick = this.now(mechanism, options, lists);
    if (quick !== undefined) this.chosen = quick;
    this.other = this.now(other, {}, lists) ?? (this.other?.key === other ? this.other : undefined);
    if (quick !== undefined) this.problem = "";
    this.waiting = quick === undefined;
    const asks = (
      [
        ["chosen", quick],
        ["other", this.other],
      ] as const
    ).filter(([, found]) => found?.by !== "beforehand" && (found === undefined || found.by === "kernels"));
    const exact =
      python === undefined || graph.latents.length === 0
        ? []
        : asks.filter(([slot]) => slot === "chosen" || this.state.view === "compare");
    this.busy = exact.length > 0 || quick === undefined;
    this.tell();
    const moved = performance.now();
    const rest = quick !== undefined && moved - this.computed < REST ? REST : 0;
    this.computed = moved;
    if (exact.length === 0) return;
    const slots = exact.map(([slot]) => slot);
    setTimeout(() => {
      if (ticket === this.asked) void this.settle(ticket, lists, slots);
    }, rest);
  }

  private async settle(ticket: number, lists: Lists, slots: ("chosen" | "other")[]): Promise<void> {
    const graph = this.graph!,
      { mechanism, other, options } = this.state;
    try {
      for (const slot of slots) {
        const [key, given] = slot === "chosen" ? [mechanism, options] : [other, {}];
        const weights = await this.python!.attend(graph, lists, key, given, { latest: true });
        if (ticket !== this.asked) return;
        const heads = this[slot]?.key === key ? this[slot].heads : undefined;
        this[slot] = {
          key,
          options: given,
          weights: spread(graph, lists, weights),
          by: "python",
          ...(heads ? { heads } : {}),
        };
        if (lists === graph && Object.keys(given).length === 0) this.results.set(key, this[slot]);
      }
      this.problem = "";
      this.waiting = false;
    } catch (error) {
      if (ticket !== this.asked) return;
      this.problem = reworded(message(error));
    }
    this.busy = false;
    this.tell();
  }

  /** Move a node's drawing to another point of the unit square. */
  place(node: number, x: number, y: number): void {
    const { graph } = this;
    if (graph === undefined) return;
    graph.positions = graph.positions.map((old, i) => (i === 2 * node ? x : i === 2 * node + 1 ? y : old));
    this.tell();
  }

  /** Open the visitor's file; a bad file changes nothing. */
  async open(name: string, bytes: Uint8Array<ArrayBuffer>, directed?: boolean): Promise<void> {
    const own = /\.npz$/i.test(name) && bytes.length <= MOST_BYTES;
    if (this.python === undefined && !own) {
      this.problem = "Files are read by Python, which is still starting: try again in a moment.";
      return this.tell();
    }
    const stop = new AbortController();
    this.busy = true;
    this.work = { what: `Reading ${name.slice(0, 60)}`, done: 0, stop: () => stop.abort() };
    this.tell();
    try {
      const classified = own ? await (await import("./compute/npz.js")).readClassified(name, bytes) : undefined;
      if (classified === undefined && this.python === undefined)
        throw new Error("This file is read by Python, which is still starting: try again in a moment.");
      const graph = classified ?? (await this.python!.read(name, bytes, directed, stop.signal));
      this.file = { name, bytes };
      keep(name, bytes);
      const data = classified === undefined ? await pack(graph) : "";
      graph.name = data === "" ? graph.name : IN_ADDRESS;
      this.notice = "";
      this.work = undefined;
      this.state = { ...this.state, ...onGraph(graph.name, data) };
      this.address.write();
      this.take(graph);
    } catch (error) {
      this.problem = stop.signal.aborted ? "" : message(error);
      this.busy = false;
      this.work = undefined;
      this.tell();
    }
  }

  /** Set the visitor's latent vectors for the shown graph. */
  embed(vectors: Pick<Graph, "dim" | "latents">): void {
    const { graph } = this;
    if (graph === undefined || vectors.latents.length !== size(graph) * vectors.dim) {
      this.problem = `The file has ${vectors.latents.length / vectors.dim} rows; the graph has ${graph?.nodes.length ?? 0} nodes.`;
      return this.tell();
    }
    const own: Graph = { ...graph, ...vectors, ownLatents: true, results: {}, parameters: {} };
    this.take(own);
  }

  /** Read the visitor's file again, with directedness switched. */
  redirect(directed: boolean): void {
    if (this.file !== undefined) void this.open(this.file.name, this.file.bytes, directed);
  }
  get canRedirect(): boolean {
    return (
      this.file !== undefined && this.graph?.name === this.state.graph && !Object.hasOwn(GALLERY, this.state.graph)
    );
  }

  /** Read the file that an earlier page of this tab stored. */
  private async reopen(): Promise<void> {
    const found = kept();
    if (found === undefined)
      throw new Error(`${this.state.graph.slice(0, 80)} has to be opened again: files stay on your computer.`);
    if (this.python === undefined) return; // `started` calls this again
    await this.open(found.name, found.bytes);
  }

  /** Start with the graph and the kernels. */
  async begin(kernels: Promise<KernelCompute>): Promise<void> {
    kernels.then(
      (k) => {
        this.kernels = k;
        this.compute();
      },
      () => undefined,
    );
    await this.follow(undefined);
  }

  /** Continue when Python has started. */
  async started(python: Python): Promise<void> {
    this.python = python;
    this.progress = { phase: "compute", loaded: 0 };
    this.tell();
    if (this.graph === undefined || this.graph.name !== this.state.graph) await this.fetch();
    else {
      this.compute();
      await this.complete(this.graph);
    }
    this.progress = { phase: "ready", loaded: 0, total: undefined };
    this.tell();
  }
}
