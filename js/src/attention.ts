import type { Backend } from "./backend.js";
import { look } from "./errors.js";
import {
  addMethods,
  callMethod,
  classes,
  Owned,
  Remote,
  saved,
  splitCall,
  vjpResult,
  type Described,
  type VjpResult,
} from "./objects.js";
import type { MechanismKey, MechanismMethods, MechanismNeeds } from "./schema.js";
import { Repeats } from "./repeat.js";
import { join, shards, type SplitOptions } from "./shards.js";
import type {
  CallOptions,
  Data,
  Dtype,
  Fresh,
  GraphData,
  Input,
  Json,
  Mask,
  Matrix,
  Metadata,
  Numbers,
  Value,
} from "./types.js";
import { Args, decode, encode, ID, isOfClass } from "./wire.js";

/** The config of a mechanism, as Python's `to_config` returns it. */
export interface Config {
  key: string;
  dim: number;
  options: Record<string, Json>;
  version: number;
}

type Needs<K extends MechanismKey> = MechanismNeeds[K];
type MetadataFor<K extends MechanismKey> = [Needs<K>] extends [never]
  ? { metadata?: Metadata | undefined }
  : { metadata: Metadata & Required<Pick<Metadata, Needs<K>>> };

interface PassOptions<D extends Dtype> extends CallOptions<D> {
  attnMask?: Mask | null | undefined;
  /** Whether dropout is on, which needs `rng`. */
  training?: boolean | undefined;
  /** Seed of the dropout. */
  rng?: number | undefined;
}

interface Strongest<T> {
  /** Return only the k largest weights of each row, in descending order, and the indices of their keys. */
  topK?: T | undefined;
}
type Count = number | undefined;

export type WeightsOptions<
  K extends MechanismKey = MechanismKey,
  T extends Count = Count,
  D extends Dtype = Dtype,
> = CallOptions<D> & Strongest<T> & { attnMask?: Mask | null | undefined } & MetadataFor<K>;
export type VjpOptions<K extends MechanismKey = MechanismKey, D extends Dtype = Dtype> = PassOptions<D> &
  MetadataFor<K>;
export type ForwardOptions<
  K extends MechanismKey = MechanismKey,
  W extends boolean = boolean,
  T extends Count = Count,
  D extends Dtype = Dtype,
> = VjpOptions<K, D> & Strongest<T> & { needWeights?: W | undefined };
export interface AttendOptions<W extends boolean = boolean, D extends Dtype = Dtype> extends CallOptions<D> {
  needWeights?: W | undefined;
  training?: boolean | undefined;
  rng?: number | undefined;
}

/** Options are required if the mechanism needs metadata. */
type Rest<K extends MechanismKey, O> = [Needs<K>] extends [never] ? [options?: O | null] : [options: O];
/** The result of a forward pass with `needWeights` W, `topK` T and `dtype` D. */
export interface Result<W extends boolean = false, T extends Count = undefined, D extends Dtype = "float32"> {
  output: Numbers<D>;
  weights: T extends number ? Numbers<D> : W extends true ? Numbers<D> : undefined;
  /** With `topK`: the indices of the keys with the largest weights. */
  indices: T extends number ? Matrix<Int32Array> : undefined;
}

/** The weights, or with `topK` the largest weights and the indices of their keys. */
export type Weights<T extends Count = undefined, D extends Dtype = "float32"> = T extends number
  ? { indices: Matrix<Int32Array>; weights: Numbers<D> }
  : Numbers<D>;

/** Gradients of inputs, parameters and metadata. */
export interface Gradients<D extends Dtype = "float32"> {
  query: Numbers<D>;
  keys: Numbers<D>;
  values: Numbers<D>;
  parameters: Record<string, Numbers<D> | number>;
  metadata: Record<string, Numbers<D>>;
}

/** Keys and values that `prepare` has checked and projected, for use with the same mechanism. */
export type Prepared = Remote;

/** Keys and values of linear attention as a state of fixed size, which can be extended by more of them. */
export interface LinearState extends Remote {
  /** Return a new state extended by rows of keys and values. */
  extended(keys: Data, values: Data, call?: CallOptions): Promise<LinearState>;
}
type PreparedFor<K extends MechanismKey> = [K] extends ["linear"] ? LinearState : Prepared;

/** A mechanism with its additional methods. */
export type AttentionFor<K extends MechanismKey> = Attention<K> & MechanismMethods[K];

/** An attention mechanism that lives in Python. */
export class Attention<K extends MechanismKey = MechanismKey> extends Owned {
  /** The name, also if a minifier has shortened the name of the class. */
  static override readonly name: string = "Attention";
  readonly config: Config;
  readonly key: K;
  readonly dim: number;
  readonly family: string;
  readonly complexity: string;
  readonly supportsVariableLength: boolean;
  readonly #rowwise: boolean;
  readonly #repeats = new Repeats();

  private constructor(backend: Backend, id: number, described: Described) {
    super(backend, id);
    this.config = described["config"] as Config;
    this.key = described["key"] as K;
    this.dim = described["dim"] as number;
    this.family = described["family"] as string;
    this.complexity = described["complexity"] as string;
    this.supportsVariableLength = described["supportsVariableLength"] as boolean;
    this.#rowwise = described["rowwise"] as boolean;
    addMethods(this, described.methods, (name, args) => callMethod(backend, this, name, args));
  }

  /** @internal */
  static make<K extends MechanismKey>(backend: Backend, id: number, described: Described): AttentionFor<K> {
    return new Attention<K>(backend, id, described) as AttentionFor<K>;
  }

  /** Compute the attention output. With keys from `prepare`, `values` is null. */
  async forward<W extends boolean = false, T extends Count = undefined, D extends Dtype = "float32">(
    query: Data,
    keys: Data | Prepared,
    values: Data | null,
    ...[options]: Rest<K, ForwardOptions<K, W, T, D>>
  ): Promise<Result<W, T, D>> {
    const results = await this.#rows("forward", query, [keys, values], options);
    const [output, ...rest] = [results].flat();
    // With topK the indices are between output and weights.
    return { output, weights: rest.at(-1), indices: rest[1] && rest[0] } as Result<W, T, D>;
  }

  /** Compute only the weights: (M, N), with heads (H, M, N); without the axis M for a single query. */
  async attentionWeights<T extends Count = undefined, D extends Dtype = "float32">(
    query: Data,
    keys: Data | Prepared,
    ...[options]: Rest<K, WeightsOptions<K, T, D>>
  ): Promise<Weights<T, D>> {
    const results = await this.#rows("attention_weights", query, [keys], options);
    // With topK the indices are before the weights.
    const [first, weights] = [results].flat();
    return (weights ? { indices: first, weights } : first) as Weights<T, D>;
  }

  /** Check and project keys and values once, for many calls. */
  async prepare(keys: Data, values: Data, call: CallOptions = {}): Promise<PreparedFor<K>> {
    const keep = this.backend.nextId();
    return Remote.make(
      this.backend,
      keep,
      (await this.#pass("prepare", [keys, values], call, keep, ["keys", "values"])) as Described,
    ) as PreparedFor<K>;
  }

  /** Compute the output and its pullback, which returns the gradients of inputs, parameters and metadata. */
  async vjp<D extends Dtype = "float32">(
    query: Data,
    keys: Data,
    values: Data,
    ...[options]: Rest<K, VjpOptions<K, D>>
  ): Promise<VjpResult<Gradients<D>, Numbers<D>>> {
    const keep = this.backend.nextId();
    const [, call] = splitCall(options);
    return vjpResult(this.backend, keep, await this.#pass("vjp", [query, keys, values], options, keep), call);
  }

  /** Compute the attention of every node to its neighbours; the weights are in the order of the graph's rows. */
  async attend<W extends boolean = false, D extends Dtype = "float32">(
    graph: GraphData,
    queries: Data,
    keys?: Data | null | AttendOptions<W, D>,
    values?: Data | null | AttendOptions<W, D>,
    options?: AttendOptions<W, D>,
  ): Promise<Result<W, undefined, D>> {
    // The options may take the place of keys or values, as in attend(graph, x, { needWeights }).
    const given: unknown[] = [keys, values];
    const at = options === undefined ? look(() => given.findIndex(isOptions)) : -1;
    if (at >= 0)
      return this.attend(
        graph,
        queries,
        ...((at === 0 ? [null, null] : [keys as Data, null]) as [Data, null]),
        given[at] as AttendOptions<W, D>,
      );
    const result = await this.#pass("attend", [graph, queries, keys, values], options, undefined, [
      "graph",
      "queries",
      "keys",
      "values",
    ]);
    const [output, weights] = [result].flat();
    return { output, weights } as Result<W, undefined, D>;
  }

  /** Compute `attend` and its pullback, for training over whole graphs. */
  async attendVjp<D extends Dtype = "float32">(
    graph: GraphData,
    queries: Data,
    keys?: Data | null,
    values?: Data | null,
    options?: AttendOptions<boolean, D>,
  ): Promise<VjpResult<Gradients<D>, Numbers<D>>> {
    const keep = this.backend.nextId();
    const [, call] = splitCall(options);
    const names = ["graph", "queries", "keys", "values"];
    return vjpResult(
      this.backend,
      keep,
      await this.#pass("attend_vjp", [graph, queries, keys, values], options, keep, names),
      call,
    );
  }

  /** Return copies of the learnable parameters by name. */
  async parameters(call: CallOptions = {}): Promise<Record<string, Matrix | number>> {
    return (await this.#pass("parameters", [], call)) as Record<string, Matrix | number>;
  }

  /** Return a new mechanism with some or all parameters replaced. */
  async withParameters(parameters: Record<string, Data | number>, call: CallOptions = {}): Promise<AttentionFor<K>> {
    const keep = this.backend.nextId();
    return Attention.make<K>(
      this.backend,
      keep,
      (await this.#pass("with_parameters", [parameters], call, keep, ["parameters"])) as Described,
    );
  }

  /** Return options and parameters as the bytes of a file, which `load` reads, also in Python. */
  async save(format: "npz" | "safetensors" = "npz", call: CallOptions = {}): Promise<Fresh<Uint8Array>> {
    return saved(this.backend, this, format, call);
  }

  /** Call any public method by name. */
  async call(name: string, ...args: readonly Input[]): Promise<Value> {
    return callMethod(this.backend, this, name, args);
  }

  /** Make a call whose query rows can be split among several interpreters, or repeat one without Python. */
  async #rows(
    method: string,
    query: Data,
    others: (Data | Prepared | null)[],
    options: SplitOptions,
  ): Promise<unknown> {
    this[ID]();
    const values = [query, ...others];
    const found = look(
      () =>
        this.backend.isIdle &&
        isPlain(options) &&
        this.#repeats.call(method + JSON.stringify(options), values, (options as CallOptions | null)?.view),
    );
    if (found) return found;
    const { size } = this.backend;
    const parts = size > 1 && this.#rowwise ? look(() => shards(query, this.dim, options, size)) : undefined;
    if (parts === undefined) return this.#pass(method, values, options);
    return join(await Promise.all(parts.map((part) => this.#pass(method, [part, ...others], options))));
  }

  async #pass(
    method: string,
    values: unknown[],
    options: object | null | undefined,
    keep?: number,
    names = NAMES,
  ): Promise<unknown> {
    this[ID]();
    const [rest, call] = splitCall(options);
    const wire = encode(
      "method",
      { this: this, name: method, values: new Args(values, names), options: rest },
      {
        keep: keep!,
        dtype: call.dtype,
      },
    );
    const learn = isPlain(options) && this.#repeats.learn(method + JSON.stringify(options), values);
    const reply = await this.backend.request(wire, call);
    const result = decode(reply);
    if (reply.direct && learn) learn(reply.direct, result as Matrix[]);
    return result;
  }
}

/** Whether a call with these options may be repeated without Python. */
const isPlain = (options: object | null | undefined): boolean =>
  Object.entries(options ?? {}).every(
    ([name, x]) => x === undefined || ((name === "view" || name === "needWeights") && typeof x === "boolean"),
  );

const NAMES = ["query", "keys", "values"];
classes.mechanism = Attention.make;

function isOptions(x: unknown): boolean {
  return typeof x === "object" && x !== null && !isOfClass(x) && !("data" in x);
}
