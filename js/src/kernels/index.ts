/**
 * The attention kernels without Python: a WebAssembly module of 37 kB (gzipped) and functions with the names and arguments
 * of the Python library's `functional` layer.
 */
import { invalid } from "../errors.js";
import * as attention from "./attention.js";
import * as basic from "./basic.js";
import { gat, type GatOptions } from "./gat.js";
import { gatGraph, gatGraphVjp, type GatGradients, type GatGraphOptions } from "./gat-graph.js";
import type { GatParameters, GatV2Parameters } from "./gat-parameters.js";
import * as graphs from "./graph.js";
import * as heads from "./heads.js";
import { hyperbolic, type HyperbolicOptions } from "./hyperbolic.js";
import { localGlobal, type LocalGlobalOptions } from "./local.js";
import { Memory } from "./memory.js";
import { VARIANTS, instantiate, type Backend, type Build } from "./module.js";
import * as check from "./operands.js";
import { quantized, type QuantizedKeys } from "./quantized.js";
import { rotary, type RotaryOptions } from "./rotary.js";
import { Tensor as ResidentTensor, type DType } from "./tensor.js";
import type { Attended, Data, Mask, Matrix, Output, Vjp } from "./types.js";

export { AttentionError, type ErrorCode, type ErrorDetails } from "../errors.js";
export { UnsupportedError } from "./module.js";
export type { Backend, Build } from "./module.js";
export type { AttentionGradients, AttentionOptions } from "./attention.js";
export type { MatmulOptions, SoftmaxOptions } from "./basic.js";
export type { Csr, Graph, GraphAttentionGradients, GraphAttentionOptions } from "./graph.js";
export type { MultiHeadGradients, MultiHeadOptions, MultiHeadParameters } from "./heads.js";
export type {
  GatGradients,
  GatGraphOptions,
  GatOptions,
  GatParameters,
  GatV2Parameters,
  HyperbolicOptions,
  LocalGlobalOptions,
  QuantizedKeys,
  RotaryOptions,
};
export type { Tensor } from "./tensor.js";
export type { Attended, Data, DType, Mask, Matrix, Output, Vjp };

export interface LoadOptions {
  /** The build to take; by default the fastest that this engine runs. */
  backend?: Backend;
}

export interface TensorOptions {
  /** "float32" unless the data are booleans or codes; a `Uint8Array` of a mask needs "bool". */
  dtype?: DType;
}

/** With the extra outputs that were asked for. */
type WithWeights = { returnWeights: true } | { needWeights: true };

type Neighbors = graphs.Csr | graphs.Graph;
type Heads = heads.MultiHeadParameters;
type Gat = GatParameters | GatV2Parameters;

/**
 * What `load` gives. Every function works at once, in the memory of this one module, and never changes its arguments.
 *
 * A `…Vjp` takes the arguments of its function and the gradient of the output, before or after the options, and gives the gradients of the arguments by
 * name; without that gradient it gives the output and a `pullback` to call with one.
 */
export interface Kernels {
  readonly backend: Backend;
  /** The build that this engine runs: with relaxed SIMD or without. */
  readonly variant: Build;
  /** Bytes of the module's memory, and of the tensors in it. */
  memory(): { size: number; tensors: number };
  /** Copies data into the module's memory once, to be used in many calls. */
  tensor(data: Data | Mask, shape?: readonly number[], options?: TensorOptions): ResidentTensor;

  /** softmax(scale · q·kᵀ) v: query (..., M, D) or (D,), key (..., N, D), value (..., N, E). */
  scaledDotProductAttention(
    query: Data,
    key: Data,
    value: Data,
    options: attention.AttentionOptions & {
      out: ResidentTensor;
      returnWeights?: false;
      needWeights?: false;
      returnLse?: false;
    },
  ): ResidentTensor;
  scaledDotProductAttention(
    query: Data,
    key: Data,
    value: Data,
    options: attention.AttentionOptions & WithWeights & { returnLse: true },
  ): Attended & { lse: Output };
  scaledDotProductAttention(
    query: Data,
    key: Data,
    value: Data,
    options: attention.AttentionOptions & WithWeights,
  ): Attended;
  scaledDotProductAttention(
    query: Data,
    key: Data,
    value: Data,
    options: attention.AttentionOptions & { returnLse: true },
  ): { output: Output; lse: Output };
  scaledDotProductAttention(query: Data, key: Data, value: Data, options?: attention.AttentionOptions): Output;
  scaledDotProductAttentionVjp(
    query: Data,
    key: Data,
    value: Data,
    gradient: Data,
    options?: attention.AttentionOptions | null,
  ): attention.AttentionGradients;
  scaledDotProductAttentionVjp(
    query: Data,
    key: Data,
    value: Data,
    options: attention.AttentionOptions | null | undefined,
    gradient: Data,
  ): attention.AttentionGradients;
  scaledDotProductAttentionVjp(
    query: Data,
    key: Data,
    value: Data,
    options?: attention.AttentionOptions,
  ): Vjp<Output, attention.AttentionGradients>;

  /** Project, attend in H subspaces side by side, join, project. */
  multiHeadAttention(
    query: Data,
    key: Data,
    value: Data,
    parameters: Heads,
    options: heads.MultiHeadOptions & { needWeights: true },
  ): Attended;
  multiHeadAttention(query: Data, key: Data, value: Data, parameters: Heads, options: heads.MultiHeadOptions): Output;
  multiHeadAttentionVjp(
    query: Data,
    key: Data,
    value: Data,
    parameters: Heads,
    gradient: Data,
    options: heads.MultiHeadOptions,
  ): heads.MultiHeadGradients;
  multiHeadAttentionVjp(
    query: Data,
    key: Data,
    value: Data,
    parameters: Heads,
    options: heads.MultiHeadOptions,
    gradient: Data,
  ): heads.MultiHeadGradients;
  multiHeadAttentionVjp(
    query: Data,
    key: Data,
    value: Data,
    parameters: Heads,
    options: heads.MultiHeadOptions,
  ): Vjp<Output, heads.MultiHeadGradients>;

  /** Neighbour lists, checked and copied into the module's memory once; edges may point to `targets` nodes. */
  graph(graph: graphs.Csr, options?: { targets?: number }): graphs.Graph;
  /** Every node over its own neighbours: query (M, D) or (M, H, D), key (V, ...), value (V, ...). */
  graphAttention(
    graph: Neighbors,
    query: Data,
    key: Data,
    value: Data,
    options: graphs.GraphAttentionOptions & { needWeights: true },
  ): Attended;
  graphAttention(graph: Neighbors, query: Data, key: Data, value: Data, options?: graphs.GraphAttentionOptions): Output;
  graphAttentionVjp(
    graph: Neighbors,
    query: Data,
    key: Data,
    value: Data,
    gradient: Data,
    options?: graphs.GraphAttentionOptions | null,
  ): graphs.GraphAttentionGradients;
  graphAttentionVjp(
    graph: Neighbors,
    query: Data,
    key: Data,
    value: Data,
    options: graphs.GraphAttentionOptions | null | undefined,
    gradient: Data,
  ): graphs.GraphAttentionGradients;
  graphAttentionVjp(
    graph: Neighbors,
    query: Data,
    key: Data,
    value: Data,
    options?: graphs.GraphAttentionOptions,
  ): Vjp<Output, graphs.GraphAttentionGradients>;

  /** Graph attention (GAT, GATv2) of the nodes of a graph, x (V, D), over their neighbours. */
  gatAttention(graph: Neighbors, x: Data, parameters: Gat, options: GatGraphOptions & { needWeights: true }): Attended;
  gatAttention(graph: Neighbors, x: Data, parameters: Gat, options?: GatGraphOptions): Output;
  /** The same of queries over all keys; a key is also its value. */
  gatAttention(query: Data, key: Data, parameters: Gat, options: GatOptions & { needWeights: true }): Attended;
  gatAttention(query: Data, key: Data, parameters: Gat, options?: GatOptions): Output;
  gatAttentionVjp<P extends Gat>(
    graph: Neighbors,
    x: Data,
    parameters: P,
    gradient: Data,
    options?: GatGraphOptions | null,
  ): GatGradients<P>;
  gatAttentionVjp<P extends Gat>(
    graph: Neighbors,
    x: Data,
    parameters: P,
    options: GatGraphOptions | null | undefined,
    gradient: Data,
  ): GatGradients<P>;
  gatAttentionVjp<P extends Gat>(
    graph: Neighbors,
    x: Data,
    parameters: P,
    options?: GatGraphOptions,
  ): Vjp<Output, GatGradients<P>>;

  /** Attention in the Poincaré ball: weights softmax(-distance / temperature), values averaged by the gyromidpoint. */
  hyperbolicAttention(
    query: Data,
    keys: Data,
    values: Data,
    options: HyperbolicOptions & { needWeights: true },
  ): Attended;
  hyperbolicAttention(query: Data, keys: Data, values: Data, options?: HyperbolicOptions): Output;
  /** Dot-product attention over a window of keys around each row's position, and a few global ones. */
  localGlobalAttention(
    query: Data,
    keys: Data,
    values: Data,
    options: LocalGlobalOptions & { needWeights: true },
  ): Attended;
  localGlobalAttention(query: Data, keys: Data, values: Data, options?: LocalGlobalOptions): Output;
  /** softmax(query · keysᵀ / √D) · values with keys that stay int8. */
  quantizedAttention(query: Data, keysQ8: QuantizedKeys, values: Data): Output;
  /** Rotary position encoding for real-valued positions, broadcastable to x.shape without its last axis. */
  rotary(x: Data, positions: Data | number, options?: RotaryOptions): Output;

  /** exp(x) / Σ exp(x) along an axis; a line of nothing but -Infinity gives zeros. */
  softmax(x: Data, options: basic.SoftmaxOptions & { out: ResidentTensor }): ResidentTensor;
  softmax(x: Data, options?: basic.SoftmaxOptions): Output;
  /** Softmax within each row of a CSR list: scores (K,) or (K, H), row starts (V+1,). */
  segmentSoftmax(scores: Data, indptr: Data): Output;
  /** Products of matrices as in NumPy: a (..., M, K), b (..., K, N); leading axes broadcast. */
  matmul(a: Data, b: Data, options: basic.MatmulOptions & { out: ResidentTensor }): ResidentTensor;
  matmul(a: Data, b: Data, options?: basic.MatmulOptions): Output;
}

const DTYPES = ["float32", "bool", "int32", "int8"] as const;

function tensor(memory: Memory, data: unknown, shape: unknown, given: unknown): ResidentTensor {
  return memory.run(() => {
    const { dtype: wanted } = check.options(given, ["dtype"], "tensor");
    const x = check.inspect(memory, shape === undefined || shape === null ? data : { data, shape }, "data");
    const dtype = wanted ?? (x.holds === "booleans" ? "bool" : data instanceof Int8Array ? "int8" : "float32");
    if (!DTYPES.includes(dtype as DType))
      throw invalid("dtype", `expected one of ${DTYPES.join(", ")}, got ${check.show(dtype)}`);
    const made = new ResidentTensor(memory, x.shape, dtype as DType);
    try {
      x.place(ResidentTensor.block(made, memory, "data"));
    } catch (error) {
      made.free();
      throw error;
    }
    return made;
  });
}

/** Over a graph, or of queries over keys. */
function gatAttention(
  memory: Memory,
  first: Neighbors | Data,
  second: Data,
  parameters: Gat,
  given?: GatGraphOptions & GatOptions,
): Output | Attended {
  return graphs.isGraph(first)
    ? gatGraph(memory, first, second, parameters, given)
    : gat(memory, first, second, parameters, given);
}

/** Start the kernels: chooses the build for this engine and compiles it, once per page. */
export async function load(options: LoadOptions = {}): Promise<Kernels> {
  const { backend: wanted } = check.options(options, ["backend"], "load");
  const { backend, instance } = await instantiate(wanted);
  const memory = new Memory(instance);
  /** A function in this memory. The results depend on options as the overloads of `Kernels` say. */
  const bind =
    <A extends unknown[], R>(work: (memory: Memory, ...args: A) => R) =>
    (...args: A): never =>
      work(memory, ...args) as never;
  return {
    backend,
    variant: VARIANTS[backend],
    memory: () => ({ size: memory.size, tensors: memory.used }),
    tensor: (data, shape, given) => tensor(memory, data, shape, given),
    scaledDotProductAttention: bind(attention.sdpa),
    scaledDotProductAttentionVjp: bind(attention.sdpaVjp),
    multiHeadAttention: bind(heads.multiHead),
    multiHeadAttentionVjp: bind(heads.multiHeadVjp),
    graph: (csr, given) =>
      memory.run(() => {
        const { targets } = check.options(given, ["targets"], "graph");
        return new graphs.Graph(memory, csr, targets === undefined ? undefined : check.whole(targets, "targets", 0));
      }),
    graphAttention: bind(graphs.graphAttention),
    graphAttentionVjp: bind(graphs.graphAttentionVjp),
    gatAttention: bind(gatAttention),
    gatAttentionVjp: bind(gatGraphVjp),
    hyperbolicAttention: bind(hyperbolic),
    localGlobalAttention: bind(localGlobal),
    quantizedAttention: bind(quantized),
    rotary: bind(rotary),
    softmax: bind(basic.softmax),
    segmentSoftmax: bind(basic.segmentSoftmax),
    matmul: bind(basic.matmul),
  };
}
