import { Attention, type AttentionFor } from "./attention.js";
import type { Backend } from "./backend.js";
import { invalid, look, reason } from "./errors.js";
import {
  kept,
  loadFormat,
  type Remote,
  splitCall,
  splitOptions,
  Tensor,
  vjpResult,
  type Described,
  type VjpResult,
} from "./objects.js";
import {
  FUNCTIONS,
  type CreateOptions,
  type Functions,
  type Graph,
  type Manifold,
  type MechanismKey,
  type MechanismOptions,
  type Schema,
} from "./schema.js";
import { train, type TrainOptions, type TrainResult } from "./train.js";
import type {
  CallOptions,
  Data,
  GraphData,
  GraphInput,
  Input,
  ManifoldFunctions,
  Matrix,
  ScoreMod,
  Value,
} from "./types.js";
import { Args, decode, encode, listed, Plain } from "./wire.js";

/** The backend that computes; see `graphattend.backend_info` in Python. */
export interface BackendInfo {
  backend: "wasm-relaxed-simd" | "wasm-simd128" | "numpy";
  available: string[];
  reason: string;
  platform: string;
  numpy: string;
  version: string;
  /** NumPy's BLAS and the instruction sets it was built for; Pyodide's official NumPy has neither. */
  numpy_build: { blas: string | null; simd: string[] };
  /** Whether NumPy's loops are replaced by SIMD loops, and which. */
  accelerated: { active: boolean; backend: string; loops: string[] };
  /** Number of objects that Python keeps for JavaScript, and of memory blocks that it has allocated. */
  objects: number;
  blocks: number;
}

/** A recommended mechanism for a graph, with options and reasons. */
export type Recommendation = {
  [K in MechanismKey]: {
    key: K;
    options: Omit<MechanismOptions[K], "dim">;
    reasons: string[];
  };
}[MechanismKey];

/** A connection to Python, the object that `connect` returns. */
export class GraphAttend {
  /** The name, also if a minifier has shortened the name of the class. */
  static readonly name: string = "GraphAttend";
  /** Functions of `graphattend.functional` with names in camel case. */
  readonly functional: Functions["functional"];
  readonly geometry: Functions["geometry"];
  readonly training: Functions["training"] & { readonly schedules: Functions["training.schedules"] };
  readonly compression: Functions["compression"];
  /** Functions of whole graphs; functions of nodes are methods of a graph. */
  readonly graphs: Functions["graph"];
  readonly analysis: Functions["analysis"];
  readonly evaluation: Functions["evaluation"];

  /** @internal */
  constructor(
    private readonly backend: Backend,
    readonly version: string,
    readonly mechanisms: readonly MechanismKey[],
    /** JSON. */
    private readonly schemas: string,
  ) {
    const space = (module: keyof Functions): never => {
      const out = Object.create(null) as Record<string, unknown>;
      for (const name of FUNCTIONS[module]) out[name] = (...args: Input[]) => this.call(`${module}.${name}`, ...args);
      return out as never;
    };
    this.functional = Object.freeze(space("functional"));
    this.geometry = Object.freeze(space("geometry"));
    this.training = Object.freeze(
      Object.assign(space("training"), { schedules: Object.freeze(space("training.schedules")) }),
    );
    this.compression = Object.freeze(space("compression"));
    this.graphs = Object.freeze(space("graph"));
    this.analysis = Object.freeze(space("analysis"));
    this.evaluation = Object.freeze(space("evaluation"));
  }

  /** Create a mechanism by its key. */
  async create<K extends MechanismKey>(
    key: K,
    options: CreateOptions<K>,
    call: CallOptions = {},
  ): Promise<AttentionFor<K>> {
    if (typeof options !== "object" || options === null)
      throw invalid("options", "expected an object with at least dim");
    return (await this.made("create", { key, options: new Plain(options) }, call)) as AttentionFor<K>;
  }

  /** Load the bytes that `save` returned: a mechanism, or `load<Compressed>(…)`, `load<Graph>(…)`. */
  async load<R = AttentionFor<MechanismKey>>(bytes: Uint8Array | ArrayBuffer, call: CallOptions = {}): Promise<R> {
    const data = look(() => (bytes instanceof ArrayBuffer ? new Uint8Array(bytes) : bytes), "bytes");
    if (!ArrayBuffer.isView(data)) throw invalid("bytes", "expected a Uint8Array or ArrayBuffer");
    return (await this.made("load", { bytes: data, format: loadFormat(data) }, call)) as R;
  }

  /** Copy a matrix to Python's memory once, to use it in many calls. */
  async tensor(data: Data, shape?: readonly number[], call: CallOptions = {}): Promise<Tensor> {
    const keep = this.backend.nextId();
    const source = shape === undefined ? data : { data, shape };
    const reply = await this.backend.request(encode("tensor", { data: source }, { keep }), call);
    return new Tensor(this.backend, keep, decode(reply) as Described & { shape: number[] });
  }

  /**
   * Create a graph in Python's memory from CSR rows, edges between numbers or names, d3's nodes and links, or the text or bytes
   * of a file. `directed` says whether edges are directed; the default depends on the kind of graph.
   */
  async graph(graph: GraphInput, options: CallOptions & { directed?: boolean } = {}): Promise<Graph> {
    const linked = look(() => typeof graph === "object" && graph !== null && "nodes" in graph, "graph");
    const [rest, call] = splitCall(options);
    return (await this.made("graph", { graph: linked ? new Plain(graph) : graph, options: rest }, call)) as Graph;
  }

  /** Create the graph in which every row attends to its k nearest neighbours. */
  async knn(
    x: Data,
    k: number,
    options: CallOptions & { manifold?: Manifold | ManifoldFunctions } = {},
  ): Promise<Graph> {
    const [rest, call] = splitCall(options);
    return (await this.made("knn", { x, k, options: rest }, call)) as Graph;
  }

  /**
   * Create a manifold from your own functions, for `create("manifold", { dim, manifold })`, `knn` and optimizers. It has the
   * methods of the built-in manifolds. `create` and `knn` also accept the functions themselves.
   */
  async manifold(manifold: ManifoldFunctions, call: CallOptions = {}): Promise<Manifold> {
    return (await this.made("manifold", { manifold }, call)) as Manifold;
  }

  /** The object that an operation makes. */
  private async made(operation: string, args: object, call: CallOptions): Promise<unknown> {
    const keep = this.backend.nextId();
    const reply = await this.backend.request(encode(operation, args, { keep }), call);
    return kept(this.backend, keep, decode(reply) as Described);
  }

  /** Return the JSON schema of a mechanism's options, or of all mechanisms by key. */
  schema(): Record<MechanismKey, Schema>;
  schema(key: MechanismKey): Schema;
  schema(key?: MechanismKey): Schema | Record<MechanismKey, Schema> {
    const all = JSON.parse(this.schemas) as Record<MechanismKey, Schema>;
    if (key === undefined) return all;
    if (!this.mechanisms.includes(key)) {
      throw invalid("key", "expected a mechanism", {
        expected: this.mechanisms,
        actual: key,
      });
    }
    return all[key];
  }

  /** Return the backend that computes, and its versions. */
  async backendInfo(call: CallOptions = {}): Promise<BackendInfo> {
    return decode(await this.backend.request(encode("info", []), call)) as BackendInfo;
  }

  /** Recommend a mechanism for a graph, with reasons. */
  async recommend(graph: GraphData, options: { dim?: number } = {}, call: CallOptions = {}): Promise<Recommendation> {
    const wire = encode("recommend", { graph, options });
    return decode(await this.backend.request(wire, call)) as never;
  }

  /** Call any public function or class of graphattend, for example `call("functional.softmax", x, { axis: -1 })`. */
  async call(name: string, ...args: readonly Input[]): Promise<Value> {
    const [values, options, call] = splitOptions(args);
    const [module, member] = splitName(name, "name");
    const keep =
      /^([A-Z]|from_?[cC]onfig$|analyze$|evaluate$|fit$)/.test(member) || module.endsWith("schedules")
        ? this.backend.nextId()
        : undefined;
    const wire = encode(
      "function",
      { module, name: member, values: new Args(values), options },
      {
        keep: keep!,
        dtype: call.dtype,
        double: true,
      },
    );
    const result = decode(await this.backend.request(wire, call));
    return keep === undefined || result === null ? (result as Value) : kept(this.backend, keep, result as Described);
  }

  /**
   * Compute output and pullback of a public function or of a method of an object: `vjp("training.infoNce", [a, p, n])`,
   * `vjp([ball, "dist"], [x, y])`. The pullback returns one gradient per array.
   */
  async vjp(
    target: string | readonly [Remote, string],
    args: readonly Input[],
    options: { readonly [name: string]: Input | ScoreMod } = {},
    call: CallOptions = {},
  ): Promise<VjpResult<(Matrix | number | null)[], Matrix | number>> {
    const keep = this.backend.nextId();
    const [of, name] = Array.isArray(target) ? (target as unknown[]) : splitName(target, "target");
    const wire = encode(
      "function_vjp",
      { target: of, name, values: listed(args, "args"), options },
      {
        keep,
        dtype: call.dtype,
        double: true,
      },
    );
    return vjpResult(this.backend, keep, decode(await this.backend.request(wire, call)), call);
  }

  /** Train a mechanism over a graph, with progress and cancellation. */
  async train<K extends MechanismKey>(attention: Attention<K>, options: TrainOptions): Promise<TrainResult<K>> {
    return train(this.backend, attention, options);
  }

  /** Run Python's command line on files by name; returns the files named in `outputs`. */
  async commandLine(
    args: readonly string[],
    files: Readonly<Record<string, Uint8Array>> = {},
    outputs: readonly string[] = [],
    call: CallOptions = {},
    /** @internal Whether the process's standard error is a terminal, which shows the progress. */
    terminal = false,
  ): Promise<{ status: number; stdout: string; stderr: string; files: Record<string, Uint8Array> }> {
    const lists = { args: listed(args, "args"), files, outputs: listed(outputs, "outputs") };
    const wire = encode("command_line", { ...lists, terminal });
    const reply = await this.backend.request(wire, call);
    const result = decode(reply) as {
      status: number;
      stdout: string;
      stderr: string;
      files: Record<string, Matrix<Uint8Array>>;
    };
    return { ...result, files: Object.fromEntries(Object.entries(result.files).map(([name, m]) => [name, m.data])) };
  }

  /** End the interpreter and free everything. Waiting calls reject. */
  async close(): Promise<void> {
    this.backend.close();
    return Promise.resolve();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

function splitName(name: unknown, argument: string): [string, string] {
  const [, module, member] = /^([a-z]+|training\.schedules)\.(\w+)$/.exec(reason(name)) ?? [];
  if (module === undefined || member === undefined) throw invalid(argument, "expected module.name");
  return [module, member];
}
