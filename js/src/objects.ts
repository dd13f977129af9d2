import type { Backend } from "./backend.js";
import { AttentionError, invalid, look } from "./errors.js";
import type { CallOptions, Data, Dtype, Fresh, Input, Matrix, Numbers, Scalar, TensorLike, Value } from "./types.js";
import { Args, decode, encode, ID, isOfClass } from "./wire.js";

/** @internal Python's description of an object that it keeps. */
export interface Described {
  $h: number;
  type: string;
  methods: string[];
  fields?: Record<string, Scalar>;
  [more: string]: unknown;
}

/** An object that lives in Python until it is freed. */
export class Owned {
  #id: number | undefined;
  declare protected readonly backend: Backend;

  constructor(backend: Backend, id: number) {
    // Not enumerable, so that printing or copying an object leaves its connection out.
    Object.defineProperty(this, "backend", { value: backend });
    this.#id = id;
    backend.watch(this, id);
  }

  /** @internal */
  [ID](): number {
    if (this.#id === undefined) throw new AttentionError("freed", "this object was freed", { argument: "this" });
    return this.#id;
  }

  /** Free the object in Python; further calls with it reject. */
  async free(): Promise<void> {
    if (this.#id === undefined) return Promise.resolve();
    this.backend.unwatch(this);
    this.backend.free(this.#id);
    this.#id = undefined;
    return Promise.resolve();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.free();
  }
}

/** A matrix in Python's memory, usable wherever a matrix is. */
export class Tensor extends Owned implements TensorLike {
  /** The name, also if a minifier has shortened the name of the class. */
  static override readonly name: string = "Tensor";
  readonly shape: readonly number[];

  /** @internal */
  constructor(backend: Backend, id: number, described: { shape: number[] }) {
    super(backend, id);
    this.shape = described.shape;
  }

  /** Return its numbers. */
  async read<D extends Dtype = "float32">(call: CallOptions<D> = {}): Promise<Numbers<D>> {
    return decode(await this.backend.request(encode("read", [this], { dtype: call.dtype }), call)) as Numbers<D>;
  }
}

/** Any other object in Python: a manifold, a graph, a codec … with its Python methods. */
export class Remote extends Owned {
  /** The name, also if a minifier has shortened the name of the class. */
  static override readonly name: string = "Remote";
  /** Name of the class in Python. */
  readonly type: string;
  /** Its plain attributes by their Python names. */
  readonly fields: Readonly<Record<string, Scalar>>;

  private constructor(backend: Backend, id: number, described: Described) {
    super(backend, id);
    this.type = described.type;
    this.fields = described.fields ?? {};
    addMethods(this, described.methods, (name, args) => callMethod(backend, this, name, args));
  }

  /** @internal */
  static make(backend: Backend, id: number, described: Described): Remote {
    return new Remote(backend, id, described);
  }

  /** Call a public method. */
  async call(name: string, ...args: readonly Input[]): Promise<Value> {
    return callMethod(this.backend, this, name, args);
  }

  /** Read a public attribute that is not among `fields`, such as an array. */
  async get(name: string, call: CallOptions = {}): Promise<Value> {
    const wire = encode("attribute", { this: this, name }, { dtype: call.dtype });
    return decode(await this.backend.request(wire, call)) as Value;
  }

  /** Return the object as the bytes of a file. */
  async save(format: "npz" | "safetensors" = "npz", call: CallOptions = {}): Promise<Fresh<Uint8Array>> {
    return saved(this.backend, this, format, call);
  }
}

/** @internal An object as the bytes of a file. */
export async function saved(
  backend: Backend,
  object: Owned,
  format: string,
  call: CallOptions,
): Promise<Fresh<Uint8Array>> {
  const wire = encode("save", { this: object, format });
  return (decode(await backend.request(wire, call)) as Matrix<Uint8Array>).data;
}

/** @internal The class of mechanisms, which attention.ts sets; other objects are `Remote`. */
export const classes = { mechanism: Remote.make as (backend: Backend, id: number, described: Described) => Owned };
/** @internal */
export const kept = (backend: Backend, id: number, described: Described): Owned =>
  (described["config"] === undefined ? Remote : { make: classes.mechanism }).make(backend, id, described);

/** @internal Call a public method; it returns data or one object. */
export async function callMethod(
  backend: Backend,
  target: Owned,
  name: string,
  args: readonly unknown[],
): Promise<Value> {
  const [values, options, call] = splitOptions(args);
  const keep = backend.nextId();
  const double = target instanceof Remote;
  const wire = encode(
    "method",
    { this: target, name, values: new Args(values), options },
    {
      keep,
      dtype: call.dtype,
      double,
    },
  );
  const result = decode(await backend.request(wire, call));
  if (typeof result === "object" && result !== null && "$h" in result) return kept(backend, keep, result as Described);
  backend.free(keep);
  return result as Value;
}

/** @internal Add the Python methods that the class lacks, with names in camel case. */
export function addMethods(
  target: object,
  names: string[],
  call: (name: string, args: unknown[]) => Promise<Value>,
): void {
  for (const name of names) {
    const spelled = camel(name);
    if (spelled in target) continue;
    Object.defineProperty(target, spelled, { value: (...args: unknown[]) => call(name, args) });
  }
}

export const camel = (name: string): string => name.replace(/_([a-z0-9])/g, (_match, c: string) => c.toUpperCase());

const CALL_OPTIONS = ["signal", "timeout", "transfer", "latest", "view"] as const;

/** @internal Split options into those for Python and those of the call. */
export function splitCall(options: object | null | undefined): [object | null, CallOptions] {
  if (options === undefined || options === null) return [null, {}];
  if (typeof options !== "object" || look(() => isOfClass(options))) throw invalid("options", "expected an object");
  const rest = look(() => ({ ...options }), "options") as Record<string, unknown>;
  const call: Record<string, unknown> = {};
  for (const name of CALL_OPTIONS) {
    if (Object.hasOwn(rest, name)) {
      call[name] = rest[name];
      delete rest[name];
    }
  }
  if (rest["dtype"] === "float64" || rest["dtype"] === "float32") {
    call["dtype"] = rest["dtype"];
    delete rest["dtype"];
  }
  return [rest, call];
}

/** @internal Split the options off arguments whose last one may be an object with options. */
export function splitOptions(args: readonly unknown[]): [readonly unknown[], object | null, CallOptions] {
  const last = args.at(-1);
  if (!look(() => isOptions(last))) return [args, null, {}];
  return [args.slice(0, -1), ...splitCall(last as object)];
}

function isOptions(x: unknown): x is object {
  if (typeof x !== "object" || x === null || Array.isArray(x) || ArrayBuffer.isView(x) || x instanceof Owned)
    return false;
  return !("data" in x && "shape" in x);
}

/** Computes the gradients of all inputs from a gradient of the output (and of the weights). */
export interface Pullback<G> {
  (gradOutput: Data | number, gradWeights?: Data): Promise<G>;
  /** Free the state of the forward pass in Python; also happens when the pullback is garbage-collected. */
  free(): Promise<void>;
}

export interface VjpResult<G, O = Matrix> {
  output: O;
  pullback: Pullback<G>;
}

/** @internal */
export function vjpResult<G, O>(backend: Backend, id: number, result: unknown, call: CallOptions): VjpResult<G, O> {
  const held = new Owned(backend, id);
  const apply = async (gradOutput: Data | number, gradWeights?: Data): Promise<G> => {
    const args = new Args([gradOutput, gradWeights], ["gradOutput", "gradWeights"]);
    const wire = encode("method", [held, "apply", args, null], { dtype: call.dtype });
    return decode(await backend.request(wire, call.timeout === undefined ? {} : { timeout: call.timeout })) as G;
  };
  const pullback = Object.assign(apply, { free: () => held.free() });
  return { output: (result as { output: O }).output, pullback };
}

/** The format of a saved file; a zip archive is .npz. */
export const loadFormat = (data: Uint8Array): "npz" | "safetensors" =>
  data[0] === 0x50 && data[1] === 0x4b ? "npz" : "safetensors";
