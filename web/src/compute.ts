// From state to picture: the calls into Python, which runs in a worker.

import { connect, type GraphAttend, type Progress } from "graphattend";
import { agreement, type Found, type Picture } from "./data.js";
import type { Options } from "./state.js";

export interface GraphFile { name: string; suffix: string; content: string }

export const SUFFIXES = [
  ".json", ".csv", ".tsv", ".txt", ".edges", ".edgelist", ".graphml", ".gexf", ".gml", ".net", ".mtx", ".adjlist", ".cyjs",
];
const MOST_BYTES = 8 << 20;

/** A file that the visitor opened, as Python reads it. */
export async function readGraphFile(file: File): Promise<GraphFile> {
  const suffix = /\.[^.]*$/.exec(file.name)?.[0].toLowerCase() ?? "";
  if (!SUFFIXES.includes(suffix)) throw new Error(`${file.name}: expected a name ending in ${SUFFIXES.join(", ")}`);
  if (file.size > MOST_BYTES) throw new Error(`${file.name}: larger than ${MOST_BYTES >> 20} MB`);
  return { name: file.name, suffix, content: await file.text() };
}

export class Engine {
  private overview: { graph: GraphFile; found: Promise<Found> } | undefined;

  private constructor(readonly ga: GraphAttend) {}

  static async start(onProgress: (progress: Progress) => void): Promise<Engine> {
    return new Engine(await connect({ indexURL: "pyodide/", worker: true, onProgress }));
  }

  /** All mechanisms as they are by default; kept, because only the graph changes it. */
  private all(graph: GraphFile): Promise<Found> {
    if (this.overview?.graph !== graph) {
      const found = this.analyze(graph, {});
      this.overview = { graph, found };
      found.catch(() => { this.overview = undefined; });
    }
    return this.overview!.found;
  }

  /** Make this graph the one that is kept, if it can be analysed. */
  async adopt(graph: GraphFile): Promise<void> {
    const found = await this.analyze(graph, {});
    this.overview = { graph, found: Promise.resolve(found) };
  }

  private async analyze({ content, suffix, name }: GraphFile, more: object): Promise<Found> {
    return (await this.ga.call("analysis.analyzeFile", content, { suffix, name, ...more })) as unknown as Found;
  }

  async picture(graph: GraphFile, mechanism: string, options: Options): Promise<Picture> {
    const found = await this.all(graph);
    const usual = found.analysis.results.find((r) => r.key === mechanism);
    if (usual !== undefined && Object.keys(options).length === 0) return { found, results: found.analysis.results, chosen: usual };
    const one = await this.analyze(graph, { keys: [mechanism], options, drawing: false });
    const chosen = one.analysis.results[0]!;
    return { found, results: found.analysis.results.map((r) => (r.key === mechanism ? chosen : r)), chosen };
  }
}

/** Agreement of every mechanism with every other. */
export function agreements({ found, results }: Picture): number[][] {
  return results.map((p) => results.map((q) => agreement(found.analysis, p.weights, q.weights)));
}
