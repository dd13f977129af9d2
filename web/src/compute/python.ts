// Attention computed by Python in a worker: every mechanism, every file format.

import { connect, type GraphAttend, type Progress } from "graphattend";
import type { AttentionFor, Graph as Handle, Navigation } from "graphattend";
import { scaled, size, type Advice, type Graph, type Parameters } from "../graph.js";
import type { Options } from "../state.js";
import { MOST_BYTES } from "./formats.js";

/** Dimension of the latent vectors of a graph that has none. */
const DIM = 16;

type Edges = Pick<Graph, "indptr" | "indices">;
/** The nodes that two searches visited, with the number of distances evaluated up to each. */
export interface Walk {
  visited: number[];
  at: number[];
}

interface Shown {
  results: { key: string; weights: number[] }[];
}

export class Python {
  private readonly handles = new WeakMap<object, Promise<Handle>>();
  private navigator: Promise<AttentionFor<"rl_navigator">> | undefined;

  private constructor(
    readonly ga: GraphAttend,
    readonly about: string,
  ) {}

  static async start(onProgress: (progress: Progress) => void): Promise<Python> {
    const ga = await connect({ indexURL: "pyodide/", worker: true, onProgress });
    const info = await ga.backendInfo();
    return new Python(ga, `graphattend ${ga.version}, NumPy ${info.numpy}, ${info.backend}`);
  }

  /** Return the graph, or some of its edges, as an object in Python's memory. */
  private handle(graph: Graph, lists: Edges & { kept?: number[] }): Promise<Handle> {
    let found = this.handles.get(lists);
    if (found === undefined) {
      const weights = graph.edgeWeights,
        { kept } = lists;
      found = this.ga.graph({
        indptr: Int32Array.from(lists.indptr),
        indices: Int32Array.from(lists.indices),
        names: graph.nodes,
        ...(weights === null
          ? {}
          : { edgeWeights: Float64Array.from(kept === undefined ? weights : kept.map((e) => weights[e]!)) }),
        ...(graph.layers === null ? {} : { layers: Int32Array.from(graph.layers) }),
      });
      this.handles.set(lists, found);
    }
    return found;
  }

  /** Return the weight of every edge of `lists`, which are all or some edges of the graph. */
  async attend(
    graph: Graph,
    lists: Edges,
    key: string,
    options: Options,
    call: { latest?: boolean; signal?: AbortSignal } = {},
  ): Promise<number[]> {
    const embeddings = { data: Float64Array.from(graph.latents), shape: [size(graph), graph.dim] };
    const found = await this.ga.analysis.analyze(await this.handle(graph, lists), {
      embeddings,
      keys: [key],
      options: options as never,
      ...call,
    });
    try {
      return ((await found.toDict()) as unknown as Shown).results[0]!.weights;
    } finally {
      await found.free();
    }
  }

  /** Read a file as a graph; `directed` says whether its edges are directed, undefined leaves it to the file. */
  async read(name: string, bytes: Uint8Array, directed: boolean | undefined, signal?: AbortSignal): Promise<Graph> {
    if (bytes.length > MOST_BYTES) throw new Error(`${name}: larger than ${MOST_BYTES >> 20} MB`);
    const given = `graph${/(\.[a-z0-9]{1,12}){0,2}$/i.exec(name)![0].toLowerCase()}`;
    const how = directed === undefined ? [] : [directed ? "--directed" : "--undirected"];
    const said = await this.ga.commandLine(
      ["convert", given, "out.npz", ...how],
      { [given]: bytes },
      ["out.npz"],
      signal ? { signal } : {},
    );
    if (said.status !== 0) throw new Error(reworded(said.stderr, given, name));
    const handle = await this.ga.load<Handle>(said.files["out.npz"]!);
    const [indptr, indices, names, weights, layers] = await Promise.all([
      handle.get("indptr"),
      handle.get("indices"),
      handle.get("names"),
      handle.get("edgeWeights", { dtype: "float64" }),
      handle.get("layers"),
    ]);
    const nodes =
      names === null ? Array.from({ length: handle.fields.num_nodes }, (_, i) => String(i)) : names.map(String);
    const graph: Graph = {
      name,
      title: name,
      about: "",
      nodes,
      indptr: [...indptr.data],
      indices: [...indices.data],
      edges: Number(/([\d,]+) edges/.exec(said.stdout)?.[1]?.replaceAll(",", "") ?? indices.data.length),
      edgeWeights: weights === null ? null : [...weights.data],
      layers: layers === null ? null : [...layers.data],
      labels: null,
      dim: 0,
      latents: [],
      positions: [],
      results: {},
      skipped: {},
      parameters: {},
    };
    this.handles.set(graph, Promise.resolve(handle));
    return graph;
  }

  /** Compute latent vectors from the graph alone, as `graphattend.analysis.analyze` does. */
  async latents(graph: Graph, signal?: AbortSignal): Promise<Pick<Graph, "dim" | "latents">> {
    const nodes = size(graph),
      wanted = Math.min(DIM, nodes - 1);
    if (wanted === 0) return padded(new Float64Array(nodes), nodes, 1);
    const found = await this.ga.graphs.spectralEmbedding(await this.handle(graph, graph), wanted, {
      dtype: "float64",
      ...(signal ? { signal } : {}),
    });
    return padded(found.data, nodes, wanted);
  }

  /** Return the initial parameters of a mechanism with default options. */
  async parameters(key: "multi_head" | "edge_featured", dim: number): Promise<Parameters> {
    const attention = await this.ga.create(key, { dim });
    try {
      const found = await attention.parameters();
      return Object.fromEntries(
        Object.entries(found).flatMap(([name, p]) =>
          typeof p === "number" ? [] : [[name, { shape: [...p.shape], data: p.data as never }]],
        ),
      );
    } finally {
      await attention.free();
    }
  }

  /** Return the share of every expert in every node's output (V · X), with the initial router. */
  async routing(
    graph: Graph,
    key: "moe" | "learned_routing",
    options: Options,
  ): Promise<{ experts: string[]; shares: number[] }> {
    const named = Object.fromEntries(
      Object.entries(options).map(([name, value]) => [name.replace(/_(.)/g, (_, c: string) => c.toUpperCase()), value]),
    );
    const attention = await this.ga.create(key, { ...named, dim: graph.dim });
    try {
      const { experts, mechanisms } = attention.config.options as Record<string, { key: string }[]>;
      // The hyperbolic expert needs vectors inside its ball.
      const x = { data: scaled(graph, -1), shape: [size(graph), graph.dim] };
      const found = await (attention as AttentionFor<"moe">).shares(x, { dtype: "float64" });
      return { experts: (experts ?? mechanisms!).map((e) => e.key), shares: [...found.data] };
    } finally {
      await attention.free();
    }
  }

  /** Search points of the plane: best-first by distances, and guided by estimates along one axis. */
  async navigate(
    graph: Graph,
    points: readonly number[],
    query: readonly number[],
    entry: number,
    budget: number,
  ): Promise<{ greedy: Walk; guided: Walk }> {
    const x = { data: Float64Array.from(points), shape: [points.length / 2, 2] };
    this.navigator ??= this.ga.create("rl_navigator", { dim: 2, rank: 1 }).then((fresh) => fresh.fitted(x));
    const [navigator, handle] = await Promise.all([this.navigator, this.handle(graph, graph)]);
    const q = Float64Array.from(query),
      rules = { entry, k: 1, budget };
    const walk = async (found: Navigation): Promise<Walk> => {
      const [visited, at] = await Promise.all([found.get("visited"), found.get("visitedAt", { dtype: "float64" })]);
      await found.free();
      return { visited: [...visited.data], at: [...at.data] };
    };
    return {
      greedy: await walk(await navigator.greedySearch(handle, x, q, rules)),
      guided: await walk(await navigator.search(handle, x, q, rules)),
    };
  }

  async recommend(graph: Graph): Promise<Advice> {
    return this.ga.recommend(await this.handle(graph, graph));
  }
}

/** Pad vectors with zeros to a width divisible by the heads, which changes neither dot products nor distances. */
export function padded(rows: ArrayLike<number>, nodes: number, width: number): Pick<Graph, "dim" | "latents"> {
  const dim = 4 * Math.ceil(width / 4);
  return {
    dim,
    latents: Array.from({ length: nodes * dim }, (_, i) =>
      i % dim < width ? rows[Math.floor(i / dim) * width + (i % dim)]! : 0,
    ),
  };
}

/** Return the command line's message about a file, with the visitor's name of the file. */
function reworded(said: string, given: string, name: string): string {
  const line = said.trim().split("\n").at(-1) ?? "";
  return (
    line
      .replace(/^graphattend[^:]*:\s*(error:\s*)?/, "")
      .replaceAll(given, name.slice(0, 80))
      .slice(0, 300) || `${name}: cannot be read`
  );
}
