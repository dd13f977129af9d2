// Written by tools/gen_types.py from the Python library; do not edit.
import type { Attention, AttentionFor } from "./attention.js";
import type { Remote } from "./objects.js";
import type { MechanismConfig } from "./schema.js";
import type {
  CallOptions, Data, Dtype, GraphData, Json, ManifoldFunctions, Mask, Matrix, Metadata, Numbers, Ranked, Reduced, Reduction, ScoreMod,
} from "./types.js";

/** Scaled dot-product attention: softmax(scale · q·k / temperature) over the keys, applied to the values. */
export interface ScaledDotProductOptions {
  /** width of queries and keys (≥ 1, ≤ 2.14748e+09). */
  dim: number;
  /** seed of the initial parameters (≥ 0). @default 0 */
  seed?: number;
  /** refuse NaN and infinity in the inputs. @default true */
  checkFinite?: boolean;
  /** divides the scores; small values sharpen the weights (> 0). @default 1.0 */
  temperature?: number;
  /** factor of the dot products; null means 1/√dim. @default null */
  scale?: number | null;
  /** probability of dropping a weight in training (≥ 0, ≤ 1). @default 0.0 */
  dropout?: number;
  /** scale queries and keys to length one first. @default false */
  normalize?: boolean;
}

/** Multi-head attention: H attentions in projected subspaces, concatenated and projected back. */
export interface MultiHeadOptions {
  /** width of queries and keys (≥ 1, ≤ 2.14748e+09). */
  dim: number;
  /** seed of the initial parameters (≥ 0). @default 0 */
  seed?: number;
  /** refuse NaN and infinity in the inputs. @default true */
  checkFinite?: boolean;
  /** number of heads (≥ 1). @default 4 */
  numHeads?: number;
  /** width of a head; null means dim / num_heads (≥ 1). @default null */
  headDim?: number | null;
  /** whether the projections have biases. @default true */
  bias?: boolean;
  /** divides the scores; small values sharpen the weights (> 0). @default 1.0 */
  temperature?: number;
  /** probability of dropping a weight in training (≥ 0, ≤ 1). @default 0.0 */
  dropout?: number;
}

/** Graph attention: an additive score of query, key and edge through a LeakyReLU. */
export interface EdgeFeaturedOptions {
  /** width of queries and keys (≥ 1, ≤ 2.14748e+09). */
  dim: number;
  /** seed of the initial parameters (≥ 0). @default 0 */
  seed?: number;
  /** refuse NaN and infinity in the inputs. @default true */
  checkFinite?: boolean;
  /** width of the edge features; 0 means none (≥ 0). @default 0 */
  edgeDim?: number;
  /** number of heads (≥ 1). @default 4 */
  numHeads?: number;
  /** width of a head; null means dim / num_heads (≥ 1). @default null */
  headDim?: number | null;
  /** where the nonlinearity stands. @default "gat" */
  variant?: "gat" | "gatv2";
  /** join the heads; else average them. @default true */
  concat?: boolean;
  /** whether the output has a bias. @default true */
  bias?: boolean;
  /** slope of the LeakyReLU below zero (≥ 0, ≤ 1). @default 0.2 */
  negativeSlope?: number;
  /** whether each query also attends to itself. @default false */
  addSelfLoops?: boolean;
  /** edge features of an added loop: "mean" of the other edges or a number. @default "mean" */
  fillValue?: string | number;
  /** probability of dropping a weight in training (≥ 0, ≤ 1). @default 0.0 */
  dropout?: number;
}

/** Attention in hyperbolic space: weights softmax(-d(q, k) / temperature), values averaged inside the ball. */
export interface HyperbolicOptions {
  /** width of queries and keys (≥ 1, ≤ 2.14748e+09). */
  dim: number;
  /** seed of the initial parameters (≥ 0). @default 0 */
  seed?: number;
  /** refuse NaN and infinity in the inputs. @default true */
  checkFinite?: boolean;
  /** initial curvature of the ball (< 0). @default -1.0 */
  curvature?: number;
  /** initial temperature; small values sharpen the weights (> 0). @default 1.0 */
  temperature?: number;
  /** how values are averaged. @default "midpoint" */
  aggregation?: "midpoint" | "tangent" | "frechet";
  /** refuse points on or outside the boundary. @default false */
  strict?: boolean;
  /** probability of dropping a weight in training (≥ 0, ≤ 1). @default 0.0 */
  dropout?: number;
}

/** Attention in a product of flat, hyperbolic and spherical spaces with learnable shares. */
export interface MixedCurvatureOptions {
  /** width of queries and keys (≥ 1, ≤ 2.14748e+09). */
  dim: number;
  /** seed of the initial parameters (≥ 0). @default 0 */
  seed?: number;
  /** refuse NaN and infinity in the inputs. @default true */
  checkFinite?: boolean;
  /** [name, coordinates, curvature] of each space; null means half flat, half a ball of curvature -1. @default null */
  spaces?: readonly Space[] | null;
  /** initial temperature; small values sharpen the weights (> 0). @default 1.0 */
  temperature?: number;
  /** probability of dropping a weight in training (≥ 0, ≤ 1). @default 0.0 */
  dropout?: number;
}

/** Attention by geodesic distance: weights softmax(-d(q, k) / temperature), values averaged on the manifold. */
export interface ManifoldOptions {
  /** width of queries and keys (≥ 1, ≤ 2.14748e+09). */
  dim: number;
  /** seed of the initial parameters (≥ 0). @default 0 */
  seed?: number;
  /** refuse NaN and infinity in the inputs. @default true */
  checkFinite?: boolean;
  /** the manifold, as {"type": "poincare", "curvature": -1} for example. @default {"type": "euclidean"} */
  manifold?: ManifoldConfig | Manifold | ManifoldFunctions;
  /** divides the distances; small values sharpen the weights (> 0). @default 1.0 */
  temperature?: number;
  /** how values are averaged. @default "frechet" */
  aggregation?: "frechet" | "midpoint";
  /** probability of dropping a weight in training (≥ 0, ≤ 1). @default 0.0 */
  dropout?: number;
}

/** Dot-product attention over a window of nearby keys and a few global keys. */
export interface LocalGlobalOptions {
  /** width of queries and keys (≥ 1, ≤ 2.14748e+09). */
  dim: number;
  /** seed of the initial parameters (≥ 0). @default 0 */
  seed?: number;
  /** refuse NaN and infinity in the inputs. @default true */
  checkFinite?: boolean;
  /** divides the scores; small values sharpen the weights (> 0). @default 1.0 */
  temperature?: number;
  /** factor of the dot products; null means 1/√dim. @default null */
  scale?: number | null;
  /** probability of dropping a weight in training (≥ 0, ≤ 1). @default 0.0 */
  dropout?: number;
  /** largest |i - j| that is seen; null sees all (≥ 0). @default 16 */
  window?: number | null;
  /** positions of the keys that every query sees, or how many of the first ones (≥ 0). @default [] */
  globalNodes?: readonly number[] | number;
}

/** Linear attention (Performer, FAVOR+): estimate softmax attention in time linear in the number of keys. */
export interface LinearOptions {
  /** width of queries and keys (≥ 1, ≤ 2.14748e+09). */
  dim: number;
  /** seed of the initial parameters (≥ 0). @default 0 */
  seed?: number;
  /** refuse NaN and infinity in the inputs. @default true */
  checkFinite?: boolean;
  /** number of random features (≥ 1). @default 256 */
  numFeatures?: number;
  /** number of the draw; another one gives other random directions (≥ 0). @default 0 */
  redraw?: number;
  /** query i sees key j iff j <= i. @default false */
  isCausal?: boolean;
  /** divides the scores; small values sharpen the weights (> 0). @default 1.0 */
  temperature?: number;
  /** probability of dropping a weight in training (≥ 0, ≤ 1). @default 0.0 */
  dropout?: number;
}

/** Exact scaled dot-product attention in tiles, without the M×N matrix in memory. */
export interface FlashOptions {
  /** width of queries and keys (≥ 1, ≤ 2.14748e+09). */
  dim: number;
  /** seed of the initial parameters (≥ 0). @default 0 */
  seed?: number;
  /** refuse NaN and infinity in the inputs. @default true */
  checkFinite?: boolean;
  /** divides the scores; small values sharpen the weights (> 0). @default 1.0 */
  temperature?: number;
  /** factor of the dot products; null means 1/√dim. @default null */
  scale?: number | null;
  /** probability of dropping a weight in training (≥ 0, ≤ 1). @default 0.0 */
  dropout?: number;
  /** query i sees key j iff j <= i. @default false */
  isCausal?: boolean;
  /** rows and columns of a tile (≥ 1). @default 128 */
  blockSize?: number;
}

/** Dot-product attention with keys rotated by their distance from the query: score = scale · q·R(d_j)k_j. */
export interface GraphRopeOptions {
  /** width of queries and keys (≥ 1, ≤ 2.14748e+09). */
  dim: number;
  /** seed of the initial parameters (≥ 0). @default 0 */
  seed?: number;
  /** refuse NaN and infinity in the inputs. @default true */
  checkFinite?: boolean;
  /** divides the scores; small values sharpen the weights (> 0). @default 1.0 */
  temperature?: number;
  /** factor of the dot products; null means 1/√dim. @default null */
  scale?: number | null;
  /** probability of dropping a weight in training (≥ 0, ≤ 1). @default 0.0 */
  dropout?: number;
  /** ratio of the slowest to the fastest rotation (> 0). @default 10000.0 */
  base?: number;
  /** coordinate pairs are (2i, 2i+1), else (i, i + D/2). @default true */
  interleaved?: boolean;
}

/** Dot-product attention with a learnable bias or embedding for the HNSW layers of query and keys. */
export interface HnswAwareOptions {
  /** width of queries and keys (≥ 1, ≤ 2.14748e+09). */
  dim: number;
  /** seed of the initial parameters (≥ 0). @default 0 */
  seed?: number;
  /** refuse NaN and infinity in the inputs. @default true */
  checkFinite?: boolean;
  /** divides the scores; small values sharpen the weights (> 0). @default 1.0 */
  temperature?: number;
  /** factor of the dot products; null means 1/√dim. @default null */
  scale?: number | null;
  /** probability of dropping a weight in training (≥ 0, ≤ 1). @default 0.0 */
  dropout?: number;
  /** how layers enter the scores. @default "decay" */
  encoding?: "decay" | "bias" | "embedding";
  /** number of layers of the learned tables (≥ 1). @default 16 */
  numLayers?: number;
  /** initial decrease of the score per layer between query and key. @default 1.0 */
  decay?: number;
}

/** Dual-space attention: over graph neighbours, over latent neighbours, and from the first to the second. */
export interface CrossSpaceOptions {
  /** width of queries and keys (≥ 1, ≤ 2.14748e+09). */
  dim: number;
  /** seed of the initial parameters (≥ 0). @default 0 */
  seed?: number;
  /** refuse NaN and infinity in the inputs. @default true */
  checkFinite?: boolean;
  /** divides the scores; small values sharpen the weights (> 0). @default 1.0 */
  temperature?: number;
  /** factor of the dot products; null means 1/√dim. @default null */
  scale?: number | null;
  /** probability of dropping a weight in training (≥ 0, ≤ 1). @default 0.0 */
  dropout?: number;
  /** how the three parts are joined. @default "concat" */
  fusion?: "concat" | "gated" | "mean";
  /** number of nearest nodes that attend uses as latent neighbours (≥ 1). @default 8 */
  latentNeighbors?: number;
}

/** Dot-product attention with structural features of query and keys, as biases or as added features. */
export interface StructuralOptions {
  /** width of queries and keys (≥ 1, ≤ 2.14748e+09). */
  dim: number;
  /** seed of the initial parameters (≥ 0). @default 0 */
  seed?: number;
  /** refuse NaN and infinity in the inputs. @default true */
  checkFinite?: boolean;
  /** divides the scores; small values sharpen the weights (> 0). @default 1.0 */
  temperature?: number;
  /** factor of the dot products; null means 1/√dim. @default null */
  scale?: number | null;
  /** probability of dropping a weight in training (≥ 0, ≤ 1). @default 0.0 */
  dropout?: number;
  /** number of structural features (≥ 1). @default 5 */
  numFeatures?: number;
  /** how the features enter. @default "both" */
  mode?: "bias" | "features" | "both";
}

/** A sparse mixture of attention mechanisms: output Σ weight · expert(query, keys, values) over the chosen experts. */
export interface MoeOptions {
  /** width of queries and keys (≥ 1, ≤ 2.14748e+09). */
  dim: number;
  /** seed of the initial parameters (≥ 0). @default 0 */
  seed?: number;
  /** refuse NaN and infinity in the inputs. @default true */
  checkFinite?: boolean;
  /** configs of the mechanisms that are mixed; null means local, hierarchical, global and structural. @default null */
  experts?: readonly (MechanismConfig | Attention)[] | null;
  /** how many experts are used per query (≥ 1). @default 2 */
  topK?: number;
}

/** Route each query to mechanisms by a learned linear router. */
export interface LearnedRoutingOptions {
  /** width of queries and keys (≥ 1, ≤ 2.14748e+09). */
  dim: number;
  /** seed of the initial parameters (≥ 0). @default 0 */
  seed?: number;
  /** refuse NaN and infinity in the inputs. @default true */
  checkFinite?: boolean;
  /** configs of the mechanisms to choose from; null means scaled_dot_product and hyperbolic. @default null */
  mechanisms?: readonly (MechanismConfig | Attention)[] | null;
  /** weigh all mechanisms or use the likeliest. @default "soft" */
  mode?: "soft" | "hard";
  /** divides the router's logits (> 0). @default 1.0 */
  routerTemperature?: number;
}

/** A policy over the neighbours of a node, given a query. The attention weights are the probabilities of a step. */
export interface RlNavigatorOptions {
  /** width of queries and keys (≥ 1, ≤ 2.14748e+09). */
  dim: number;
  /** seed of the initial parameters (≥ 0). @default 0 */
  seed?: number;
  /** refuse NaN and infinity in the inputs. @default true */
  checkFinite?: boolean;
  /** width of the scores' products; null means dim (≥ 1). @default null */
  rank?: number | null;
  /** initial factor of the scores; small values explore (> 0). @default 1.0 */
  sharpness?: number;
  /** probability of dropping a weight in training (≥ 0, ≤ 1). @default 0.0 */
  dropout?: number;
}

/** Multi-head attention with a gate per head and query, which switches heads off. */
export interface DynamicHeadsOptions {
  /** width of queries and keys (≥ 1, ≤ 2.14748e+09). */
  dim: number;
  /** seed of the initial parameters (≥ 0). @default 0 */
  seed?: number;
  /** refuse NaN and infinity in the inputs. @default true */
  checkFinite?: boolean;
  /** number of heads (≥ 1). @default 4 */
  numHeads?: number;
  /** width of a head; null means dim / num_heads (≥ 1). @default null */
  headDim?: number | null;
  /** whether the projections have biases. @default true */
  bias?: boolean;
  /** divides the scores; small values sharpen the weights (> 0). @default 1.0 */
  temperature?: number;
  /** probability of dropping a weight in training (≥ 0, ≤ 1). @default 0.0 */
  dropout?: number;
  /** least gate of an active head (≥ 0, ≤ 1). @default 0.5 */
  threshold?: number;
  /** divides the logits of the gates (> 0). @default 1.0 */
  gateTemperature?: number;
}

/** Options by mechanism. */
export interface MechanismOptions {
  scaled_dot_product: ScaledDotProductOptions;
  multi_head: MultiHeadOptions;
  edge_featured: EdgeFeaturedOptions;
  hyperbolic: HyperbolicOptions;
  mixed_curvature: MixedCurvatureOptions;
  manifold: ManifoldOptions;
  local_global: LocalGlobalOptions;
  linear: LinearOptions;
  flash: FlashOptions;
  graph_rope: GraphRopeOptions;
  hnsw_aware: HnswAwareOptions;
  cross_space: CrossSpaceOptions;
  structural: StructuralOptions;
  moe: MoeOptions;
  learned_routing: LearnedRoutingOptions;
  rl_navigator: RlNavigatorOptions;
  dynamic_heads: DynamicHeadsOptions;
}

/** Metadata that a mechanism cannot do without. */
export interface MechanismNeeds {
  scaled_dot_product: never;
  multi_head: never;
  edge_featured: never;
  hyperbolic: never;
  mixed_curvature: never;
  manifold: never;
  local_global: never;
  linear: never;
  flash: never;
  graph_rope: "distances";
  hnsw_aware: "hnswLayers" | "queryLayer";
  cross_space: "latentKeys";
  structural: "structuralFeatures";
  moe: never;
  learned_routing: never;
  rl_navigator: never;
  dynamic_heads: never;
}

/** Methods beyond those of every mechanism. */
export interface MechanismMethods {
  scaled_dot_product: {};
  multi_head: {
  /** Compute the weights of every head, (H, N) for a single query, else (..., H, M, N). */
  headAttentionWeights<D extends Dtype = "float32">(query: Data, keys: Data, options?: {
    /** As for `forward`. */
    attnMask?: Mask | null;
  } & CallOptions<D>): Promise<Numbers<D>>;
  /** Compute the output of a single head before `w_o`, (E,) or (..., M, E). */
  headOutput<D extends Dtype = "float32">(head: number, query: Data, keys: Data, values: Data, options?: {
    /** As for `forward`. */
    attnMask?: Mask | null;
  } & CallOptions<D>): Promise<Numbers<D>>;
  };
  edge_featured: {};
  hyperbolic: {};
  mixed_curvature: {
  /** Return each space's score term, (S, N) for a single query, else (S, ..., M, N). The score is their sum. */
  contributions<D extends Dtype = "float32">(query: Data, keys: Data, options?: CallOptions<D>): Promise<Numbers<D>>;
  /** Return the weight of each space, (S,), with mean one. */
  shares<D extends Dtype = "float32">(options?: CallOptions<D>): Promise<Numbers<D>>;
  };
  manifold: {};
  local_global: {
  /** Return the graph that `attend` uses: `graph` with the missing edges from and to the global nodes. */
  pattern(graph: GraphData, options?: CallOptions): Promise<Graph>;
  /** Return the keys that each query row of `forward` sees, as CSR lists. */
  rowPattern(rows: number, nKeys: number, options?: CallOptions): Promise<[Matrix<Int32Array>, Matrix<Int32Array>]>;
  };
  linear: {
  /** Return a copy with the next draw of random directions. */
  redrawn(options?: CallOptions): Promise<AttentionFor<"linear">>;
  };
  flash: {};
  graph_rope: {
  /** Rotate embeddings (..., D) by distances (...). */
  applyRotation<D extends Dtype = "float32">(embedding: Data | number, distance: Data | number, options?: CallOptions<D>): Promise<Numbers<D>>;
  };
  hnsw_aware: {};
  cross_space: {
  /** Compute the three attentions before fusion and their weights. */
  parts<D extends Dtype = "float32">(query: Data, keys: Data, values: Data, options: {
    /** With `latent_keys`, and `latent_values` if these differ from the keys. */
    metadata: Metadata;
    /** Mask of the graph part, as for `forward`. */
    attnMask?: Mask | null;
  } & CallOptions<D>): Promise<{ graph: Numbers<D>; latent: Numbers<D>; cross: Numbers<D>; graph_weights: Numbers<D>; latent_weights: Numbers<D>; cross_weights: Numbers<D> }>;
  /** Return a copy whose `attend` and `attend_vjp` take the latent neighbours from a graph instead of a search. */
  withLatentGraph(graph: GraphData, options?: CallOptions): Promise<AttentionFor<"cross_space">>;
  };
  structural: {};
  moe: {
  /** Return the load of each expert, the fraction of queries that are routed to it, (X,). */
  expertLoad<D extends Dtype = "float32">(query: Data, options?: CallOptions<D>): Promise<Numbers<D>>;
  /** Return the experts selected for a query and their gate weights. */
  getRouting<X extends Data>(query: X, options?: CallOptions): Promise<Ranked<X>>;
  /** Compute the load-balancing loss of these queries; see `graphattend.functional.load_balance_loss`. */
  loadBalanceLoss(query: Data, options?: CallOptions): Promise<number>;
  /** Return the router's logits, (X,) for a single query, else (..., M, X). */
  routerLogits<D extends Dtype = "float32">(query: Data, options?: CallOptions<D>): Promise<Numbers<D>>;
  /** Return the share of every expert, (X,) for a single query, else (..., M, X). Rows sum to one. */
  shares<D extends Dtype = "float32">(query: Data, options?: CallOptions<D>): Promise<Numbers<D>>;
  };
  learned_routing: {
  /** Return the gate weights of the mechanisms for a query. */
  getRouting<X extends Data>(query: X, options?: CallOptions): Promise<Ranked<X>>;
  /** Return the router's logits, (X,) for a single query, else (..., M, X). */
  routerLogits<D extends Dtype = "float32">(query: Data, options?: CallOptions<D>): Promise<Numbers<D>>;
  /** Return the share of every expert, (X,) for a single query, else (..., M, X). Rows sum to one. */
  shares<D extends Dtype = "float32">(query: Data, options?: CallOptions<D>): Promise<Numbers<D>>;
  };
  rl_navigator: {
  /** Measure the recall@k that each budget reaches, for `search` with `recall`. */
  calibrate(graph: GraphData, vectors: Data, queries: Data, options?: {
    /** Number of neighbours to find. @default 10 */
    k?: number;
    /** Node from which the searches start. @default 0 */
    entry?: number;
    /** The largest budget to measure, at least 2r. @default 1000 */
    budget?: number;
  } & CallOptions): Promise<AttentionFor<"rl_navigator">>;
  /** Project the vectors to r coordinates, once for many searches. */
  encode<D extends Dtype = "float32">(vectors: Data, options?: CallOptions<D>): Promise<Numbers<D>>;
  /** Return a navigator with the principal axes of the vectors, the best initial value for `train`. */
  fitted(vectors: Data, options?: CallOptions): Promise<AttentionFor<"rl_navigator">>;
  /** Run the baseline, best-first search by exact distances; arguments and result as for `search`. */
  greedySearch(graph: GraphData, vectors: Data, query: Data, options?: {
    /** @default 0 */
    entry?: number;
    /** @default 10 */
    k?: number;
    /** @default 200 */
    budget?: number;
  } & CallOptions): Promise<Navigation>;
  /** Find the vectors nearest to the query by a walk on the graph that is guided by estimates. */
  search(graph: GraphData, vectors: Data, query: Data, options?: {
    /** Node to start from. @default 0 */
    entry?: number;
    /** Number of neighbours to find. @default 10 */
    k?: number;
    /** The largest work, at least 1. The default is 200 if `recall` is not given either. */
    budget?: number | null;
    /** The mean recall@k to reach. The budget is then the smallest one that reached it in `calibrate`, with the same k and entry. */
    recall?: number | null;
    /** `encode(vectors)`, (V, r), to be reused for several queries. */
    codes?: Data | null;
  } & CallOptions): Promise<Navigation>;
  /** Learn the policy by REINFORCE with a baseline: walks that come nearer to their query become more likely. */
  train(graph: GraphData, vectors: Data, queries: Data, options?: {
    /** Length of a walk, which starts at a random node. @default 8 */
    steps?: number;
    /** Walks per query and step of the optimizer (Adam). @default 4 */
    rollouts?: number;
    /** Factor of a reward for each later step, 0 … 1. @default 0.5 */
    discount?: number;
    /** Passes over the queries. @default 10 */
    epochs?: number;
    /** Queries per step. @default 64 */
    batchSize?: number;
    /** Learning rate. @default 0.001 */
    lr?: number;
    /** Seed of all random numbers. The same seed gives bitwise equal results. @default 0 */
    seed?: number;
  } & CallOptions): Promise<AttentionFor<"rl_navigator">>;
  };
  dynamic_heads: {
  /** Return the number of active heads: an integer for a single query, else (..., M). */
  activeHeads<X extends Data, D extends Dtype = "float32">(query: X, options?: CallOptions<D>): Promise<Reduced<X, D, Int32Array>>;
  /** Compute the weights of every head, (H, N) for a single query, else (..., H, M, N). */
  headAttentionWeights<D extends Dtype = "float32">(query: Data, keys: Data, options?: {
    /** As for `forward`. */
    attnMask?: Mask | null;
  } & CallOptions<D>): Promise<Numbers<D>>;
  /** Return the gate of every head, zero if it is inactive: (H,) for a single query, else (..., M, H). */
  headGates<D extends Dtype = "float32">(query: Data, options?: CallOptions<D>): Promise<Numbers<D>>;
  /** Compute the output of a single head before `w_o`, (E,) or (..., M, E). */
  headOutput<D extends Dtype = "float32">(head: number, query: Data, keys: Data, values: Data, options?: {
    /** As for `forward`. */
    attnMask?: Mask | null;
  } & CallOptions<D>): Promise<Numbers<D>>;
  };
}

/** Any of them. */
export type Manifold = Euclidean | Lorentz | Poincare | Product | Sphere;

/** Any of them. */
export type Codec = Hierarchical | LowRank | Quantizer | SparseStorage | Tucker;

/** Any of them. */
export type Optimizer = SGD | Adam | AdamW | RMSprop | RiemannianSGD | RiemannianAdam;

/** A rate for every step. */
export type Schedule = Constant | Step | Warmup | Cosine | Chain;
export type LossName = "info_nce" | "local_contrastive" | "laplacian_regularization" | "laplacian" | "orthogonality" | "norm_penalty" | "cross_entropy" | "reconstruction" | "adjacency_reconstruction" | "triplet";
export type OptimizerName = "SGD" | "Adam" | "AdamW" | "RMSprop" | "RiemannianSGD" | "RiemannianAdam";

/** A manifold as JSON. */
export type ManifoldConfig = { type: "euclidean" } | { type: "lorentz" | "poincare" | "sphere"; curvature?: number } | { type: "product"; factors: readonly (readonly [ManifoldConfig, number])[] };

/** Name, coordinates and curvature of a space. */
export type Space = readonly ["lorentz" | "poincare" | "sphere", number, number] | readonly ["euclidean", number, 0];

/** Adam: steps scaled by running averages of the gradient and of its square, bias-corrected. */
export interface Adam extends Remote {
  readonly fields: Readonly<{ amsgrad: boolean; eps: number; weight_decay: number }>;
  get(name: "betas", options?: CallOptions): Promise<[number, number]>;
  get(name: "slots", options?: CallOptions): Promise<string[]>;
  /** Return the state before the first step. */
  init(params: Readonly<Record<string, Data | number>>, options?: CallOptions): Promise<Record<string, Matrix | number>>;
  /** Take one step. Inputs are not modified. */
  update<D extends Dtype = "float32">(params: Readonly<Record<string, Data | number>>, grads: Readonly<Record<string, Data | number>>, state: Readonly<Record<string, Data | number>>, options?: CallOptions<D>): Promise<[Record<string, Numbers<D>>, Record<string, Matrix | number>]>;
}

/** Adam with decoupled weight decay: p ← (1 - lr·weight_decay)·p before the step. */
export interface AdamW extends Remote {
  readonly fields: Readonly<{ amsgrad: boolean; eps: number; weight_decay: number }>;
  get(name: "betas", options?: CallOptions): Promise<[number, number]>;
  get(name: "slots", options?: CallOptions): Promise<string[]>;
  /** Return the state before the first step. */
  init(params: Readonly<Record<string, Data | number>>, options?: CallOptions): Promise<Record<string, Matrix | number>>;
  /** Take one step. Inputs are not modified. */
  update<D extends Dtype = "float32">(params: Readonly<Record<string, Data | number>>, grads: Readonly<Record<string, Data | number>>, state: Readonly<Record<string, Data | number>>, options?: CallOptions<D>): Promise<[Record<string, Numbers<D>>, Record<string, Matrix | number>]>;
}

/** The result of `analyze`. */
export interface Analysis extends Remote {
  readonly fields: Readonly<{ directed: boolean | null }>;
  get<D extends Dtype = "float32">(name: "agreement", options?: CallOptions<D>): Promise<Numbers<D>>;
  get<D extends Dtype = "float32">(name: "latents", options?: CallOptions<D>): Promise<Numbers<D>>;
  get(name: "names", options?: CallOptions): Promise<string[]>;
  get(name: "skipped", options?: CallOptions): Promise<Record<string, string>>;
  /** Return the analysis as JSON types. */
  toDict(options?: CallOptions): Promise<{ [name: string]: Json }>;
  /** Return the neighbours with the largest weights of `node`; the weights of parallel edges are summed. */
  top(key: string, node: number, options?: {
    /** @default 3 */
    count?: number;
  } & CallOptions): Promise<[number, number][]>;
}

/** A sequence of schedules, each of which counts its steps from 0. */
export interface Chain extends Remote {
  /** Return the rate of step `t`, for callers that cannot call an object. */
  at(t: number, options?: CallOptions): Promise<number>;
}

/** A compressed array, with the codec that encoded it. */
export interface Compressed extends Remote {
  readonly fields: Readonly<{ error_bound: number; nbytes: number; ratio: number }>;
  get<D extends Dtype = "float32">(name: "arrays", options?: CallOptions<D>): Promise<Record<string, Numbers<D>>>;
  get(name: "shape", options?: CallOptions): Promise<number[]>;
  /** Decode the array by its codec. */
  decode<D extends Dtype = "float32">(options?: CallOptions<D>): Promise<Numbers<D>>;
  /** Return the content of the file that `save` would write. */
  toBytes(options?: {
    /** `"npz"` or `"safetensors"`. @default "npz" */
    format?: "npz" | "safetensors";
  } & CallOptions): Promise<Matrix<Uint8Array>>;
}

/** The same rate at every step. */
export interface Constant extends Remote {
  readonly fields: Readonly<{ lr: number }>;
  /** Return the rate of step `t`, for callers that cannot call an object. */
  at(t: number, options?: CallOptions): Promise<number>;
}

/** Cosine annealing from `lr` at step 0 to `min_lr` at `total_steps`, then `min_lr`. */
export interface Cosine extends Remote {
  readonly fields: Readonly<{ lr: number; min_lr: number; total_steps: number }>;
  /** Return the rate of step `t`, for callers that cannot call an object. */
  at(t: number, options?: CallOptions): Promise<number>;
}

/** A sequence of stages. The values of the last stage also apply to all later steps. */
export interface CurriculumScheduler extends Remote {
  readonly fields: Readonly<{ mode: "step" | "linear"; total_steps: number }>;
  /** Return the fraction of the samples, easiest first, that step `t` uses. */
  difficulty(t: number, options?: CallOptions): Promise<number>;
  /** Select the easiest samples, at least one, that step `t` uses. */
  select(t: number, difficulties: Data, options?: CallOptions): Promise<Matrix<Int32Array>>;
  /** Return the index of the stage that contains step `t`. */
  stage(t: number, options?: CallOptions): Promise<number>;
  /** Return the weight of each loss at step `t`. */
  weights(t: number, options?: CallOptions): Promise<Record<string, number>>;
}

/** Flat space R^D. */
export interface Euclidean extends Remote {
  readonly fields: Readonly<{ curvature: number }>;
  /** Geodesic distance. */
  dist<X extends Data, Y extends Data, D extends Dtype = "float32">(x: X, y: Y, options?: CallOptions<D>): Promise<Reduced<X | Y, D>>;
  /** Riemannian gradient from the Euclidean gradient g (..., D) at x (..., D). */
  egrad2rgrad<D extends Dtype = "float32">(x: Data, g: Data, options?: CallOptions<D>): Promise<Numbers<D>>;
  /** Exponential map: the point at time 1 of the geodesic from x (..., D) with velocity v (..., D). */
  expmap<D extends Dtype = "float32">(x: Data, v: Data, options?: CallOptions<D>): Promise<Numbers<D>>;
  /** Exponential map at the origin, (..., D) -> (..., D). */
  expmap0<D extends Dtype = "float32">(v: Data, options?: CallOptions<D>): Promise<Numbers<D>>;
  /** Weighted Fréchet mean: the point m that minimises Σ w d(m, x)^2. */
  frechetMean<D extends Dtype = "float32">(points: Data, weights: Data, options?: {
    /** The iteration ends when the Riemannian length of a step is at most this, plus the rounding error of the coordinates (near the boundary of the ball, 1e-16 times the conformal factor). @default 1e-12 */
    tolerance?: number;
    /** Maximum number of Newton steps. @default 100 */
    maxIterations?: number;
  } & CallOptions<D>): Promise<Numbers<D>>;
  /** Riemannian inner product of tangent vectors u and v at x, (..., D) -> (...). */
  inner<X extends Data, Y extends Data, Z extends Data, D extends Dtype = "float32">(x: X, u: Y, v: Z, options?: CallOptions<D>): Promise<Reduced<X | Y | Z, D>>;
  /** Logarithmic map: the velocity at x (..., D) of the geodesic that reaches y (..., D) at time 1. */
  logmap<D extends Dtype = "float32">(x: Data, y: Data, options?: CallOptions<D>): Promise<Numbers<D>>;
  /** Logarithmic map at the origin, (..., D) -> (..., D). */
  logmap0<D extends Dtype = "float32">(y: Data, options?: CallOptions<D>): Promise<Numbers<D>>;
  /** Weighted midpoint in closed form. */
  midpoint<D extends Dtype = "float32">(points: Data, weights: Data, options?: CallOptions<D>): Promise<Numbers<D>>;
  /** Riemannian length of the tangent vector v at x, (..., D) -> (...). */
  norm<X extends Data, Y extends Data, D extends Dtype = "float32">(x: X, v: Y, options?: CallOptions<D>): Promise<Reduced<X | Y, D>>;
  /** The base point of `expmap0` and `logmap0`, (D,). */
  origin<D extends Dtype = "float32">(dim: number, options?: CallOptions<D>): Promise<Numbers<D>>;
  /** Pairwise distances. */
  pairwise<D extends Dtype = "float32">(x: Data, y: Data, options?: CallOptions<D>): Promise<Numbers<D>>;
  /** Project vectors (..., D) onto the manifold; points on it are unchanged. */
  project<D extends Dtype = "float32">(x: Data, options?: CallOptions<D>): Promise<Numbers<D>>;
  /** Project v (..., D) onto the tangent space at x (..., D). */
  projectTangent<D extends Dtype = "float32">(x: Data, v: Data, options?: CallOptions<D>): Promise<Numbers<D>>;
  /** Random points (float64) around the origin. */
  random<D extends Dtype = "float32">(rng: number, shape: readonly number[], options?: CallOptions<D>): Promise<Numbers<D>>;
  /** `{"type": "euclidean"}`. */
  toConfig(options?: CallOptions): Promise<{ [name: string]: Json }>;
  /** Parallel transport of tangent vectors v (..., D) from x to y (..., D) along the geodesic. */
  transport<D extends Dtype = "float32">(x: Data, y: Data, v: Data, options?: CallOptions<D>): Promise<Numbers<D>>;
}

/** The result of `evaluate`. */
export interface Evaluation extends Remote {
  readonly fields: Readonly<{ best: string; best_baseline: string | null; complete: boolean; primary: string; task: string }>;
  get(name: "metrics", options?: CallOptions): Promise<string[]>;
  get(name: "skipped", options?: CallOptions): Promise<Record<string, string>>;
  /** Compare predicted probabilities with observed frequencies on the test parts of all seeds. */
  calibration<D extends Dtype = "float32">(name: string, options?: CallOptions<D>): Promise<Numbers<D> | null>;
  /** Return the mechanisms' names and the Jensen–Shannon divergences of their attentions, (R, R) in bits. */
  disagreement<D extends Dtype = "float32">(options?: CallOptions<D>): Promise<[string[], Numbers<D>]>;
  /** Return how much the learned attentions of all mechanisms differ at each node. */
  disagreementByNode<D extends Dtype = "float32">(options?: CallOptions<D>): Promise<Numbers<D>>;
  /** Return how training changed the attention of each mechanism. */
  learned(options?: CallOptions): Promise<Record<string, Matrix | number>[]>;
  /** Return the rows, best first, and the attention before and after training as text for a terminal. */
  table(options?: CallOptions): Promise<string>;
  /** Return the evaluation as JSON values. */
  toDict(options?: CallOptions): Promise<{ [name: string]: Json }>;
  /** Return `to_dict` as JSON text. */
  toJson(options?: CallOptions): Promise<string>;
  /** Return the neighbours that `node` attends to most after (or before) training, with their weights. */
  top(name: string, node: number, options?: {
    /** @default 3 */
    count?: number;
    /** @default false */
    before?: boolean;
  } & CallOptions): Promise<[number, number][]>;
}

/** One mechanism trained on a task. */
export interface Fit extends Remote {
  readonly fields: Readonly<{ epochs: number }>;
  get<D extends Dtype = "float32">(name: "latents", options?: CallOptions<D>): Promise<Numbers<D>>;
  get(name: "metrics", options?: CallOptions): Promise<Record<string, number>>;
  get<D extends Dtype = "float32">(name: "output", options?: CallOptions<D>): Promise<Numbers<D>>;
}

/** A graph in CSR form: row i lists the nodes that node i attends to. */
export interface Graph extends Remote {
  readonly fields: Readonly<{ num_edges: number; num_nodes: number; structural_samples: number | null }>;
  get<D extends Dtype = "float32">(name: "distances", options?: CallOptions<D>): Promise<Numbers<D> | null>;
  get<D extends Dtype = "float32">(name: "edgeFeatures", options?: CallOptions<D>): Promise<Numbers<D> | null>;
  get<D extends Dtype = "float32">(name: "edgeWeights", options?: CallOptions<D>): Promise<Numbers<D> | null>;
  get(name: "indices", options?: CallOptions): Promise<Matrix<Int32Array>>;
  get(name: "indptr", options?: CallOptions): Promise<Matrix<Int32Array>>;
  get(name: "layers", options?: CallOptions): Promise<Matrix<Int32Array> | null>;
  get(name: "names", options?: CallOptions): Promise<string[] | null>;
  /** Betweenness centrality in hops, normalised, as in networkx. */
  betweenness<D extends Dtype = "float32">(options?: {
    /** Number of random nodes (pivots) whose outgoing shortest paths give the estimate, in O(samples · K) time. If None, or if the graph has no more nodes, the result is exact and takes O(V · K) time. Memory is bounded in both cases. */
    samples?: number | null;
    /** Seed of the choice of pivots. @default 0 */
    seed?: number;
  } & CallOptions<D>): Promise<Numbers<D>>;
  /** Closeness centrality in hops, over incoming paths, with the Wasserman-Faust factor, as in networkx. */
  closeness<D extends Dtype = "float32">(options?: {
    /** Number of random nodes (pivots) to estimate the distances from, in O(samples · K) time. If None, or if the graph has no more nodes, the result is exact and takes O(V · K) time. Memory is bounded in both cases. */
    samples?: number | null;
    /** Seed of the choice of pivots. @default 0 */
    seed?: number;
  } & CallOptions<D>): Promise<Numbers<D>>;
  /** Clustering coefficient of each node, as in networkx; loops, duplicates and weights are ignored. */
  clustering<D extends Dtype = "float32">(options?: CallOptions<D>): Promise<Numbers<D>>;
  /** Number of neighbours of each node, which is the length of its row. */
  degree(options?: CallOptions): Promise<Matrix<Int32Array>>;
  /** The graph Laplacian D - A, as in networkx: A[source, target] is the weight, D holds the row sums of A. */
  laplacian<D extends Dtype = "float32">(options?: {
    /** Return D^(-1/2) (D - A) D^(-1/2) instead; nodes without outgoing edges get zeros. @default false */
    normalized?: boolean;
  } & CallOptions<D>): Promise<Numbers<D>>;
  /** Return the metadata of one node's neighbourhood, for `Attention.forward`. */
  metadata(node: number, options?: CallOptions): Promise<Remote>;
  /** PageRank over source → target, weighted by `edge_weights`, as in networkx, converged to 1e-12. */
  pagerank<D extends Dtype = "float32">(options?: {
    /** Probability of following an edge, 0 … 1. @default 0.85 */
    alpha?: number;
  } & CallOptions<D>): Promise<Numbers<D>>;
  /** Lengths of the shortest paths source → target: sums of `distances` if the graph has them, else hops. */
  shortestPathLengths<D extends Dtype = "float32">(options?: {
    /** Nodes to start from, (S,) or one node; all if None. */
    sources?: Data | number | null;
    /** Largest length to compute, inclusive. */
    cutoff?: number | null;
  } & CallOptions<D>): Promise<Numbers<D>>;
  /** Degree, closeness, betweenness, PageRank and clustering of every node. */
  structuralFeatures<D extends Dtype = "float32">(options?: {
    /** Pivots for closeness and betweenness: a number, None for the exact values, or "auto" for `structural_samples`. The features for "auto" are cached. @default "auto" */
    samples?: number | "auto" | null;
  } & CallOptions<D>): Promise<Numbers<D>>;
  /** Return the subgraph of the given nodes and the edges between them. */
  subgraph(nodes: Data | number, options?: CallOptions): Promise<Graph>;
  /** Return the edges as columns (source j, target i) in row order, the input of `from_edge_index`. */
  toEdgeIndex(options?: CallOptions): Promise<Matrix<Int32Array>>;
  /** Return the graph with all edges reversed; per-edge data stay with their edges. */
  transpose(options?: CallOptions): Promise<Graph>;
  /** Replace all self-loops by one self-loop per node, at the end of its row. */
  withSelfLoops(options?: {
    /** Features and weights of the loops: `"mean"` of the node's other edges (0 if there are none), or a number. Their distances are 0. @default "mean" */
    fillValue?: number | string;
  } & CallOptions): Promise<Graph>;
}

/** Encodes each row by the codec of its node's HNSW layer: finely for the few upper nodes, coarsely below. */
export interface Hierarchical extends Remote {
  readonly fields: Readonly<{ key: string }>;
  /** Decode an array; the error of each element is at most `compressed.error_bound`. */
  decode<D extends Dtype = "float32">(compressed: Compressed, options?: CallOptions<D>): Promise<Numbers<D>>;
  /** Encode the rows of a matrix by layer. */
  encode(x: Data, layers: Data, options?: CallOptions): Promise<Compressed>;
  /** Return key and options as JSON types. */
  toConfig(options?: CallOptions): Promise<{ [name: string]: Json }>;
}

/** Hyperbolic space as the upper sheet of −x₀² + x₁² + … = 1/curvature. */
export interface Lorentz extends Remote {
  readonly fields: Readonly<{ curvature: number }>;
  /** Geodesic distance. */
  dist<X extends Data, Y extends Data, D extends Dtype = "float32">(x: X, y: Y, options?: CallOptions<D>): Promise<Reduced<X | Y, D>>;
  /** Riemannian gradient from the Euclidean gradient g (..., D) at x (..., D). */
  egrad2rgrad<D extends Dtype = "float32">(x: Data, g: Data, options?: CallOptions<D>): Promise<Numbers<D>>;
  /** Exponential map: the point at time 1 of the geodesic from x (..., D) with velocity v (..., D). */
  expmap<D extends Dtype = "float32">(x: Data, v: Data, options?: CallOptions<D>): Promise<Numbers<D>>;
  /** Exponential map at the origin, (..., D) -> (..., D). */
  expmap0<D extends Dtype = "float32">(v: Data, options?: CallOptions<D>): Promise<Numbers<D>>;
  /** Weighted Fréchet mean: the point m that minimises Σ w d(m, x)^2. */
  frechetMean<D extends Dtype = "float32">(points: Data, weights: Data, options?: {
    /** The iteration ends when the Riemannian length of a step is at most this, plus the rounding error of the coordinates (near the boundary of the ball, 1e-16 times the conformal factor). @default 1e-12 */
    tolerance?: number;
    /** Maximum number of Newton steps. @default 100 */
    maxIterations?: number;
  } & CallOptions<D>): Promise<Numbers<D>>;
  /** Riemannian inner product of tangent vectors u and v at x, (..., D) -> (...). */
  inner<X extends Data, Y extends Data, Z extends Data, D extends Dtype = "float32">(x: X, u: Y, v: Z, options?: CallOptions<D>): Promise<Reduced<X | Y | Z, D>>;
  /** Logarithmic map: the velocity at x (..., D) of the geodesic that reaches y (..., D) at time 1. */
  logmap<D extends Dtype = "float32">(x: Data, y: Data, options?: CallOptions<D>): Promise<Numbers<D>>;
  /** Logarithmic map at the origin, (..., D) -> (..., D). */
  logmap0<D extends Dtype = "float32">(y: Data, options?: CallOptions<D>): Promise<Numbers<D>>;
  /** Weighted midpoint in closed form. */
  midpoint<D extends Dtype = "float32">(points: Data, weights: Data, options?: CallOptions<D>): Promise<Numbers<D>>;
  /** Riemannian length of the tangent vector v at x, (..., D) -> (...). */
  norm<X extends Data, Y extends Data, D extends Dtype = "float32">(x: X, v: Y, options?: CallOptions<D>): Promise<Reduced<X | Y, D>>;
  /** Return the point (1/√c, 0, …) with `dim` coordinates. */
  origin<D extends Dtype = "float32">(dim: number, options?: CallOptions<D>): Promise<Numbers<D>>;
  /** Pairwise distances. */
  pairwise<D extends Dtype = "float32">(x: Data, y: Data, options?: CallOptions<D>): Promise<Numbers<D>>;
  /** Project vectors (..., D) onto the manifold; points on it are unchanged. */
  project<D extends Dtype = "float32">(x: Data, options?: CallOptions<D>): Promise<Numbers<D>>;
  /** Project v (..., D) onto the tangent space at x (..., D). */
  projectTangent<D extends Dtype = "float32">(x: Data, v: Data, options?: CallOptions<D>): Promise<Numbers<D>>;
  /** Random points (float64) around the origin. */
  random<D extends Dtype = "float32">(rng: number, shape: readonly number[], options?: CallOptions<D>): Promise<Numbers<D>>;
  /** `{"type": "lorentz", "curvature": ...}`. */
  toConfig(options?: CallOptions): Promise<{ [name: string]: Json }>;
  /** Parallel transport of tangent vectors v (..., D) from x to y (..., D) along the geodesic. */
  transport<D extends Dtype = "float32">(x: Data, y: Data, v: Data, options?: CallOptions<D>): Promise<Numbers<D>>;
}

/** Combine the losses of several objectives, and their gradients, into one step. */
export interface LossBalancer extends Remote {
  readonly fields: Readonly<{ alpha: number; lr: number; method: "fixed" | "uncertainty" | "gradnorm" | "pcgrad" }>;
  get(name: "shared", options?: CallOptions): Promise<string[] | null>;
  get(name: "weights", options?: CallOptions): Promise<Record<string, number> | null>;
  /** Combine the losses and gradients of one step. Inputs are not modified. */
  combine<D extends Dtype = "float32">(losses: Readonly<Record<string, number>>, gradients: Readonly<Record<string, Readonly<Record<string, Data | number>>>>, state: Readonly<Record<string, Data | number>>, options?: {
    /** Generator or seed for the order of PCGrad's projections. */
    rng?: number | null;
  } & CallOptions<D>): Promise<[number, Record<string, Numbers<D>>, Record<string, Matrix | number>]>;
  /** Return the state before the first step. */
  init(names: readonly string[], options?: CallOptions): Promise<Record<string, Matrix | number>>;
}

/** Truncated singular value decomposition, the best approximation of a given rank (Eckart-Young). */
export interface LowRank extends Remote {
  readonly fields: Readonly<{ energy: number | null; key: string; rank: number | null }>;
  /** Decode an array; the error of each element is at most `compressed.error_bound`. */
  decode<D extends Dtype = "float32">(compressed: Compressed, options?: CallOptions<D>): Promise<Numbers<D>>;
  /** Decompose a matrix. */
  encode(x: Data, options?: CallOptions): Promise<Compressed>;
  /** Return key and options as JSON types. */
  toConfig(options?: CallOptions): Promise<{ [name: string]: Json }>;
}

/** The result of a search and its cost. */
export interface Navigation extends Remote {
  readonly fields: Readonly<{ work: number }>;
  get<D extends Dtype = "float32">(name: "distances", options?: CallOptions<D>): Promise<Numbers<D>>;
  get(name: "indices", options?: CallOptions): Promise<Matrix<Int32Array>>;
  get(name: "visited", options?: CallOptions): Promise<Matrix<Int32Array>>;
  get<D extends Dtype = "float32">(name: "visitedAt", options?: CallOptions<D>): Promise<Numbers<D>>;
}

/** Batches of nodes, each with its neighbours in a graph, or with a sample of them. */
export interface Neighborhoods extends Remote {
  /** Return the nodes at the positions `index` (B,) and their neighbours, in the order of the graph. */
  batch(index: Data, rng: number, options?: CallOptions): Promise<{ nodes: Matrix<Int32Array>; indptr: Matrix<Int32Array>; neighbors: Matrix<Int32Array> }>;
}

/** Batches of nodes: arrays (b,) of node indices. */
export interface Nodes extends Remote {
  /** Return the nodes at the positions `index` (B,). */
  batch(index: Data, rng: number, options?: CallOptions): Promise<Matrix<Int32Array>>;
}

/** Batches of node pairs with negatives, drawn uniformly from the nodes that are not paired with the source. */
export interface Pairs extends Remote {
  /** Return the pairs at the positions `index` (B,) with new negatives. */
  batch(index: Data, rng: number, options?: CallOptions): Promise<{ source: Matrix<Int32Array>; target: Matrix<Int32Array>; negatives: Matrix<Int32Array> }>;
  /** Return whether each source (K,) is paired with, or equal to, the other node (K,). */
  contains<D extends Dtype = "float32">(source: Data, other: Data, options?: CallOptions<D>): Promise<Numbers<D>>;
}

/** Hyperbolic space as a ball of radius 1/√−curvature. */
export interface Poincare extends Remote {
  readonly fields: Readonly<{ curvature: number }>;
  /** Geodesic distance. */
  dist<X extends Data, Y extends Data, D extends Dtype = "float32">(x: X, y: Y, options?: CallOptions<D>): Promise<Reduced<X | Y, D>>;
  /** Riemannian gradient from the Euclidean gradient g (..., D) at x (..., D). */
  egrad2rgrad<D extends Dtype = "float32">(x: Data, g: Data, options?: CallOptions<D>): Promise<Numbers<D>>;
  /** Exponential map: the point at time 1 of the geodesic from x (..., D) with velocity v (..., D). */
  expmap<D extends Dtype = "float32">(x: Data, v: Data, options?: CallOptions<D>): Promise<Numbers<D>>;
  /** Exponential map at the origin, (..., D) -> (..., D). */
  expmap0<D extends Dtype = "float32">(v: Data, options?: CallOptions<D>): Promise<Numbers<D>>;
  /** Weighted Fréchet mean: the point m that minimises Σ w d(m, x)^2. */
  frechetMean<D extends Dtype = "float32">(points: Data, weights: Data, options?: {
    /** The iteration ends when the Riemannian length of a step is at most this, plus the rounding error of the coordinates (near the boundary of the ball, 1e-16 times the conformal factor). @default 1e-12 */
    tolerance?: number;
    /** Maximum number of Newton steps. @default 100 */
    maxIterations?: number;
  } & CallOptions<D>): Promise<Numbers<D>>;
  /** Riemannian inner product of tangent vectors u and v at x, (..., D) -> (...). */
  inner<X extends Data, Y extends Data, Z extends Data, D extends Dtype = "float32">(x: X, u: Y, v: Z, options?: CallOptions<D>): Promise<Reduced<X | Y | Z, D>>;
  /** Conformal factor 2 / (1 + curvature |x|^2), (..., D) -> (...). */
  lambdaX<X extends Data, D extends Dtype = "float32">(x: X, options?: CallOptions<D>): Promise<Reduced<X, D>>;
  /** Logarithmic map: the velocity at x (..., D) of the geodesic that reaches y (..., D) at time 1. */
  logmap<D extends Dtype = "float32">(x: Data, y: Data, options?: CallOptions<D>): Promise<Numbers<D>>;
  /** Logarithmic map at the origin, (..., D) -> (..., D). */
  logmap0<D extends Dtype = "float32">(y: Data, options?: CallOptions<D>): Promise<Numbers<D>>;
  /** Weighted midpoint in closed form. */
  midpoint<D extends Dtype = "float32">(points: Data, weights: Data, options?: CallOptions<D>): Promise<Numbers<D>>;
  /** Möbius addition x (+) y, (..., D) and (..., D) -> (..., D). */
  mobiusAdd<D extends Dtype = "float32">(x: Data, y: Data, options?: CallOptions<D>): Promise<Numbers<D>>;
  /** Möbius scalar multiplication: the point on the ray of x at r times its distance from the origin. */
  mobiusScalarMul<D extends Dtype = "float32">(r: Data | number, x: Data, options?: CallOptions<D>): Promise<Numbers<D>>;
  /** Riemannian length of the tangent vector v at x, (..., D) -> (...). */
  norm<X extends Data, Y extends Data, D extends Dtype = "float32">(x: X, v: Y, options?: CallOptions<D>): Promise<Reduced<X | Y, D>>;
  /** The base point of `expmap0` and `logmap0`, (D,). */
  origin<D extends Dtype = "float32">(dim: number, options?: CallOptions<D>): Promise<Numbers<D>>;
  /** Pairwise distances. */
  pairwise<D extends Dtype = "float32">(x: Data, y: Data, options?: CallOptions<D>): Promise<Numbers<D>>;
  /** Project vectors (..., D) onto the manifold; points on it are unchanged. */
  project<D extends Dtype = "float32">(x: Data, options?: CallOptions<D>): Promise<Numbers<D>>;
  /** Project v (..., D) onto the tangent space at x (..., D). */
  projectTangent<D extends Dtype = "float32">(x: Data, v: Data, options?: CallOptions<D>): Promise<Numbers<D>>;
  /** Random points (float64) around the origin. */
  random<D extends Dtype = "float32">(rng: number, shape: readonly number[], options?: CallOptions<D>): Promise<Numbers<D>>;
  /** `{"type": "poincare", "curvature": ...}`. */
  toConfig(options?: CallOptions): Promise<{ [name: string]: Json }>;
  /** Parallel transport of tangent vectors v (..., D) from x to y (..., D) along the geodesic. */
  transport<D extends Dtype = "float32">(x: Data, y: Data, v: Data, options?: CallOptions<D>): Promise<Numbers<D>>;
}

/** Product of manifolds. A point is the concatenation of the factors' coordinates; the distance is √Σ dᵢ². */
export interface Product extends Remote {
  readonly fields: Readonly<{ curvature: number; dim: number }>;
  /** Geodesic distance. */
  dist<X extends Data, Y extends Data, D extends Dtype = "float32">(x: X, y: Y, options?: CallOptions<D>): Promise<Reduced<X | Y, D>>;
  /** Riemannian gradient from the Euclidean gradient g (..., D) at x (..., D). */
  egrad2rgrad<D extends Dtype = "float32">(x: Data, g: Data, options?: CallOptions<D>): Promise<Numbers<D>>;
  /** Exponential map: the point at time 1 of the geodesic from x (..., D) with velocity v (..., D). */
  expmap<D extends Dtype = "float32">(x: Data, v: Data, options?: CallOptions<D>): Promise<Numbers<D>>;
  /** Exponential map at the origin, (..., D) -> (..., D). */
  expmap0<D extends Dtype = "float32">(v: Data, options?: CallOptions<D>): Promise<Numbers<D>>;
  /** Weighted Fréchet mean: the point m that minimises Σ w d(m, x)^2. */
  frechetMean<D extends Dtype = "float32">(points: Data, weights: Data, options?: {
    /** The iteration ends when the Riemannian length of a step is at most this, plus the rounding error of the coordinates (near the boundary of the ball, 1e-16 times the conformal factor). @default 1e-12 */
    tolerance?: number;
    /** Maximum number of Newton steps. @default 100 */
    maxIterations?: number;
  } & CallOptions<D>): Promise<Numbers<D>>;
  /** Riemannian inner product of tangent vectors u and v at x, (..., D) -> (...). */
  inner<X extends Data, Y extends Data, Z extends Data, D extends Dtype = "float32">(x: X, u: Y, v: Z, options?: CallOptions<D>): Promise<Reduced<X | Y | Z, D>>;
  /** Logarithmic map: the velocity at x (..., D) of the geodesic that reaches y (..., D) at time 1. */
  logmap<D extends Dtype = "float32">(x: Data, y: Data, options?: CallOptions<D>): Promise<Numbers<D>>;
  /** Logarithmic map at the origin, (..., D) -> (..., D). */
  logmap0<D extends Dtype = "float32">(y: Data, options?: CallOptions<D>): Promise<Numbers<D>>;
  /** Weighted midpoint in closed form. */
  midpoint<D extends Dtype = "float32">(points: Data, weights: Data, options?: CallOptions<D>): Promise<Numbers<D>>;
  /** Riemannian length of the tangent vector v at x, (..., D) -> (...). */
  norm<X extends Data, Y extends Data, D extends Dtype = "float32">(x: X, v: Y, options?: CallOptions<D>): Promise<Reduced<X | Y, D>>;
  /** Return the origins of the factors, (D,); `dim`, if given, must be D. */
  origin<D extends Dtype = "float32">(options?: {
    dim?: number | null;
  } & CallOptions<D>): Promise<Numbers<D>>;
  /** Pairwise distances. */
  pairwise<D extends Dtype = "float32">(x: Data, y: Data, options?: CallOptions<D>): Promise<Numbers<D>>;
  /** Project vectors (..., D) onto the manifold; points on it are unchanged. */
  project<D extends Dtype = "float32">(x: Data, options?: CallOptions<D>): Promise<Numbers<D>>;
  /** Project v (..., D) onto the tangent space at x (..., D). */
  projectTangent<D extends Dtype = "float32">(x: Data, v: Data, options?: CallOptions<D>): Promise<Numbers<D>>;
  /** Random points: the concatenation of random points of the factors (float64). */
  random<D extends Dtype = "float32">(rng: number, shape: readonly number[], options?: CallOptions<D>): Promise<Numbers<D>>;
  /** Return views of the coordinates of each factor, (..., D) -> [(..., D_1), ...]. */
  split<D extends Dtype = "float32">(x: Data, options?: CallOptions<D>): Promise<Numbers<D>[]>;
  /** `{"type": "product", "factors": [[factor's config, coordinates], ...]}`. */
  toConfig(options?: CallOptions): Promise<{ [name: string]: Json }>;
  /** Parallel transport of tangent vectors v (..., D) from x to y (..., D) along the geodesic. */
  transport<D extends Dtype = "float32">(x: Data, y: Data, v: Data, options?: CallOptions<D>): Promise<Numbers<D>>;
}

/** A compressed array of integer codes, one per number: `x ≈ (codes − zero_point) · scale`. */
export interface QuantizedArray extends Remote {
  readonly fields: Readonly<{ error_bound: number; group_size: number | null; nbytes: number; ratio: number }>;
  get<D extends Dtype = "float32">(name: "arrays", options?: CallOptions<D>): Promise<Record<string, Numbers<D>>>;
  get(name: "codes", options?: CallOptions): Promise<Matrix<Int8Array>>;
  get(name: "data", options?: CallOptions): Promise<Matrix<Int8Array> | Matrix<Uint8Array>>;
  get(name: "scale", options?: CallOptions): Promise<Matrix | number>;
  get(name: "shape", options?: CallOptions): Promise<number[]>;
  get(name: "zeroPoint", options?: CallOptions): Promise<Matrix<Int8Array> | number>;
  /** Decode the array by its codec. */
  decode<D extends Dtype = "float32">(options?: CallOptions<D>): Promise<Numbers<D>>;
  /** Return the content of the file that `save` would write. */
  toBytes(options?: {
    /** `"npz"` or `"safetensors"`. @default "npz" */
    format?: "npz" | "safetensors";
  } & CallOptions): Promise<Matrix<Uint8Array>>;
}

/** Linear quantisation to 8- or 4-bit integers with one scale per tensor, row or group; zero stays exact. */
export interface Quantizer extends Remote {
  readonly fields: Readonly<{ bits: 4 | 8; granularity: "tensor" | "row" | "group"; group_size: number | null; key: string; symmetric: boolean }>;
  /** Decode an array; the error of each element is at most `compressed.error_bound`. */
  decode<D extends Dtype = "float32">(compressed: Compressed, options?: CallOptions<D>): Promise<Numbers<D>>;
  /** Quantise an array. */
  encode(x: Data, options?: CallOptions): Promise<QuantizedArray>;
  /** Return key and options as JSON types. */
  toConfig(options?: CallOptions): Promise<{ [name: string]: Json }>;
}

/** RMSprop: gradients divided by the root of a running average of their squares. */
export interface RMSprop extends Remote {
  readonly fields: Readonly<{ alpha: number; centered: boolean; eps: number; momentum: number; weight_decay: number }>;
  get(name: "slots", options?: CallOptions): Promise<string[]>;
  /** Return the state before the first step. */
  init(params: Readonly<Record<string, Data | number>>, options?: CallOptions): Promise<Record<string, Matrix | number>>;
  /** Take one step. Inputs are not modified. */
  update<D extends Dtype = "float32">(params: Readonly<Record<string, Data | number>>, grads: Readonly<Record<string, Data | number>>, state: Readonly<Record<string, Data | number>>, options?: CallOptions<D>): Promise<[Record<string, Numbers<D>>, Record<string, Matrix | number>]>;
}

/** Riemannian Adam: the second average is the squared Riemannian norm of the gradient, one number per point. */
export interface RiemannianAdam extends Remote {
  readonly fields: Readonly<{ amsgrad: boolean; eps: number; weight_decay: number }>;
  get(name: "betas", options?: CallOptions): Promise<[number, number]>;
  get(name: "slots", options?: CallOptions): Promise<string[]>;
  /** Return the state before the first step. */
  init(params: Readonly<Record<string, Data | number>>, options?: CallOptions): Promise<Record<string, Matrix | number>>;
  /** Take one step. Inputs are not modified. */
  update<D extends Dtype = "float32">(params: Readonly<Record<string, Data | number>>, grads: Readonly<Record<string, Data | number>>, state: Readonly<Record<string, Data | number>>, options?: CallOptions<D>): Promise<[Record<string, Numbers<D>>, Record<string, Matrix | number>]>;
}

/** Riemannian stochastic gradient descent, with momentum (also Nesterov's). */
export interface RiemannianSGD extends Remote {
  readonly fields: Readonly<{ dampening: number; momentum: number; nesterov: boolean; weight_decay: number }>;
  get(name: "slots", options?: CallOptions): Promise<string[]>;
  /** Return the state before the first step. */
  init(params: Readonly<Record<string, Data | number>>, options?: CallOptions): Promise<Record<string, Matrix | number>>;
  /** Take one step. Inputs are not modified. */
  update<D extends Dtype = "float32">(params: Readonly<Record<string, Data | number>>, grads: Readonly<Record<string, Data | number>>, state: Readonly<Record<string, Data | number>>, options?: CallOptions<D>): Promise<[Record<string, Numbers<D>>, Record<string, Matrix | number>]>;
}

/** Batches of rows of several arrays: tuples of arrays. */
export interface Rows extends Remote {
  /** Return the rows `index` (B,) of each array. */
  batch<D extends Dtype = "float32">(index: Data, rng: number, options?: CallOptions<D>): Promise<Numbers<D>[]>;
}

/** Stochastic gradient descent, with momentum (also Nesterov's). */
export interface SGD extends Remote {
  readonly fields: Readonly<{ dampening: number; momentum: number; nesterov: boolean; weight_decay: number }>;
  get(name: "slots", options?: CallOptions): Promise<string[]>;
  /** Return the state before the first step. */
  init(params: Readonly<Record<string, Data | number>>, options?: CallOptions): Promise<Record<string, Matrix | number>>;
  /** Take one step. Inputs are not modified. */
  update<D extends Dtype = "float32">(params: Readonly<Record<string, Data | number>>, grads: Readonly<Record<string, Data | number>>, state: Readonly<Record<string, Data | number>>, options?: CallOptions<D>): Promise<[Record<string, Numbers<D>>, Record<string, Matrix | number>]>;
}

/** Sparse rows: the largest entries of each row, the entries from a threshold on, or all nonzero entries. */
export interface SparseStorage extends Remote {
  readonly fields: Readonly<{ format: "csr" | "coo"; key: string; threshold: number | null; top_k: number | null }>;
  /** Decode an array; the error of each element is at most `compressed.error_bound`. */
  decode<D extends Dtype = "float32">(compressed: Compressed, options?: CallOptions<D>): Promise<Numbers<D>>;
  /** Encode an array as the entries that the options select. */
  encode(x: Data, options?: CallOptions): Promise<Compressed>;
  /** Return key and options as JSON types. */
  toConfig(options?: CallOptions): Promise<{ [name: string]: Json }>;
}

/** The sphere of radius 1/√curvature in R^D; its origin is (radius, 0, …). */
export interface Sphere extends Remote {
  readonly fields: Readonly<{ curvature: number }>;
  /** Geodesic distance. */
  dist<X extends Data, Y extends Data, D extends Dtype = "float32">(x: X, y: Y, options?: CallOptions<D>): Promise<Reduced<X | Y, D>>;
  /** Riemannian gradient from the Euclidean gradient g (..., D) at x (..., D). */
  egrad2rgrad<D extends Dtype = "float32">(x: Data, g: Data, options?: CallOptions<D>): Promise<Numbers<D>>;
  /** Exponential map: the point at time 1 of the geodesic from x (..., D) with velocity v (..., D). */
  expmap<D extends Dtype = "float32">(x: Data, v: Data, options?: CallOptions<D>): Promise<Numbers<D>>;
  /** Exponential map at the origin, (..., D) -> (..., D). */
  expmap0<D extends Dtype = "float32">(v: Data, options?: CallOptions<D>): Promise<Numbers<D>>;
  /** Weighted Fréchet mean: the point m that minimises Σ w d(m, x)^2. */
  frechetMean<D extends Dtype = "float32">(points: Data, weights: Data, options?: {
    /** The iteration ends when the Riemannian length of a step is at most this, plus the rounding error of the coordinates (near the boundary of the ball, 1e-16 times the conformal factor). @default 1e-12 */
    tolerance?: number;
    /** Maximum number of Newton steps. @default 100 */
    maxIterations?: number;
  } & CallOptions<D>): Promise<Numbers<D>>;
  /** Riemannian inner product of tangent vectors u and v at x, (..., D) -> (...). */
  inner<X extends Data, Y extends Data, Z extends Data, D extends Dtype = "float32">(x: X, u: Y, v: Z, options?: CallOptions<D>): Promise<Reduced<X | Y | Z, D>>;
  /** Logarithmic map: the velocity at x (..., D) of the geodesic that reaches y (..., D) at time 1. */
  logmap<D extends Dtype = "float32">(x: Data, y: Data, options?: CallOptions<D>): Promise<Numbers<D>>;
  /** Logarithmic map at the origin, (..., D) -> (..., D). */
  logmap0<D extends Dtype = "float32">(y: Data, options?: CallOptions<D>): Promise<Numbers<D>>;
  /** Weighted midpoint in closed form. */
  midpoint<D extends Dtype = "float32">(points: Data, weights: Data, options?: CallOptions<D>): Promise<Numbers<D>>;
  /** Riemannian length of the tangent vector v at x, (..., D) -> (...). */
  norm<X extends Data, Y extends Data, D extends Dtype = "float32">(x: X, v: Y, options?: CallOptions<D>): Promise<Reduced<X | Y, D>>;
  /** Return the point (radius, 0, …) with `dim` coordinates. */
  origin<D extends Dtype = "float32">(dim: number, options?: CallOptions<D>): Promise<Numbers<D>>;
  /** Pairwise distances. */
  pairwise<D extends Dtype = "float32">(x: Data, y: Data, options?: CallOptions<D>): Promise<Numbers<D>>;
  /** Project vectors (..., D) onto the manifold; points on it are unchanged. */
  project<D extends Dtype = "float32">(x: Data, options?: CallOptions<D>): Promise<Numbers<D>>;
  /** Project v (..., D) onto the tangent space at x (..., D). */
  projectTangent<D extends Dtype = "float32">(x: Data, v: Data, options?: CallOptions<D>): Promise<Numbers<D>>;
  /** Uniformly distributed points (float64). */
  random<D extends Dtype = "float32">(rng: number, shape: readonly number[], options?: CallOptions<D>): Promise<Numbers<D>>;
  /** `{"type": "sphere", "curvature": ...}`. */
  toConfig(options?: CallOptions): Promise<{ [name: string]: Json }>;
  /** Parallel transport of tangent vectors v (..., D) from x to y (..., D) along the geodesic. */
  transport<D extends Dtype = "float32">(x: Data, y: Data, v: Data, options?: CallOptions<D>): Promise<Numbers<D>>;
}

/** One stage of a curriculum. */
export interface Stage extends Remote {
  readonly fields: Readonly<{ difficulty: number; steps: number }>;
  get(name: "weights", options?: CallOptions): Promise<Record<string, number>>;
}

/** A rate that is multiplied by `gamma` after every `step_size` steps. */
export interface Step extends Remote {
  readonly fields: Readonly<{ gamma: number; lr: number; step_size: number }>;
  /** Return the rate of step `t`, for callers that cannot call an object. */
  at(t: number, options?: CallOptions): Promise<number>;
}

/** Tucker decomposition of a three-way array: HOSVD, then higher-order orthogonal iteration. */
export interface Tucker extends Remote {
  readonly fields: Readonly<{ key: string }>;
  get(name: "ranks", options?: CallOptions): Promise<number[]>;
  /** Decode an array; the error of each element is at most `compressed.error_bound`. */
  decode<D extends Dtype = "float32">(compressed: Compressed, options?: CallOptions<D>): Promise<Numbers<D>>;
  /** Decompose a three-way array. */
  encode(x: Data, options?: CallOptions): Promise<Compressed>;
  /** Return key and options as JSON types. */
  toConfig(options?: CallOptions): Promise<{ [name: string]: Json }>;
}

/** Linear warm-up: lr·(t+1)/warmup_steps, then lr. */
export interface Warmup extends Remote {
  readonly fields: Readonly<{ lr: number; warmup_steps: number }>;
  /** Return the rate of step `t`, for callers that cannot call an object. */
  at(t: number, options?: CallOptions): Promise<number>;
}

/** Public functions and classes by module. */
export interface Functions {
  "functional": {
  /** Compute positive random features whose dot products estimate exp(q·k/√D), up to the stabiliser. */
  favorFeatures<D extends Dtype = "float32">(x: Data, projection: Data, options: {
    /** Whether the rows are queries; this selects the stabiliser. */
    isQuery: boolean;
    /** Added to every feature. With 0, linear attention does not depend on the stabiliser. @default 0.0 */
    eps?: number;
  } & CallOptions<D>): Promise<Numbers<D>>;
  /** Convert a mask of PyTorch's modules, where True = ignore, to True = attend. A float mask is copied. */
  fromTorchMask<D extends Dtype = "float32">(mask: Mask, options?: CallOptions<D>): Promise<Matrix<Uint8Array> | Numbers<D>>;
  /** Graph attention (GAT, GATv2) of queries over their neighbours, whose features are both keys and values. */
  gatAttention<W extends boolean = false, D extends Dtype = "float32">(query: Data, key: Data, parameters: Readonly<Record<string, Data | number>>, options?: {
    /** (..., N, e), or None. */
    edgeFeatures?: Data | null;
    /** "gat" or "gatv2". @default "gat" */
    variant?: "gat" | "gatv2";
    /** Concatenate the heads; otherwise average them. @default true */
    concat?: boolean;
    /** Slope of the LeakyReLU below zero. @default 0.2 */
    negativeSlope?: number;
    /** Boolean (True = attend) or float mask, broadcastable to (..., H, M, N). */
    attnMask?: Mask | null;
    /** Also return the weights, (..., H, M, N). @default false */
    needWeights?: W;
  } & CallOptions<D>): Promise<W extends true ? [Numbers<D>, Numbers<D>] : Numbers<D>>;
  /** Linear attention: estimate softmax attention with positive random features, in time linear in M and N. */
  linearAttention<D extends Dtype = "float32">(query: Data, key: Data, value: Data, projection: Data, options?: {
    /** Query i sees key j iff j <= i; also in linear time. @default false */
    isCausal?: boolean;
    /** Added to every feature. With 0, each row is stabilised over the keys that it sees. With eps > 0, `eps` is relative to the stabiliser of `favor_features`, which is the same for all keys. @default 0.0 */
    eps?: number;
  } & CallOptions<D>): Promise<Numbers<D>>;
  /** Load-balancing loss X · Σ_x f_x P_x, with its minimum, k, when all experts are used equally. */
  loadBalanceLoss(logits: Data, k: number, options?: CallOptions): Promise<number>;
  /** Multiply two matrices, or two stacks of matrices. */
  matmul<D extends Dtype = "float32">(a: Data, b: Data, options?: CallOptions<D>): Promise<Numbers<D>>;
  /** Multi-head attention: project the inputs, attend in H subspaces, concatenate the heads, project the result. */
  multiHeadAttention<W extends boolean = false, D extends Dtype = "float32">(query: Data, key: Data, value: Data, parameters: Readonly<Record<string, Data | number>>, options: {
    /** H, a divisor of D. */
    numHeads: number;
    /** Boolean (True = attend) or float mask, broadcastable to (..., H, M, N); a mask (B, M, N) applies to every head. */
    attnMask?: Mask | null;
    /** (B, N), True = attend. `from_torch_mask` converts masks where True = ignore, as in PyTorch. */
    keyPaddingMask?: Mask | null;
    /** Also return the weights of every head, (..., H, M, N). @default false */
    needWeights?: W;
  } & CallOptions<D>): Promise<W extends true ? [Numbers<D>, Numbers<D>] : Numbers<D>>;
  /** Draw random directions for `favor_features`: Gaussian rows, orthogonal within blocks of D rows. */
  orthogonalProjection<D extends Dtype = "float32">(numFeatures: number, dim: number, options: {
    /** Seed, or a `numpy.random.Generator`. */
    seed: number;
  } & CallOptions<D>): Promise<Numbers<D>>;
  /** Attention softmax(query · keysᵀ / √D) · values over INT8 keys, without decoding all keys at once. */
  quantizedAttention<D extends Dtype = "float32">(query: Data, keysQ8: QuantizedArray, values: Data, options?: CallOptions<D>): Promise<Numbers<D>>;
  /** Rotate pair i of coordinates by position · base^(-2i/D). Dot products then depend on position differences. */
  rotary<D extends Dtype = "float32">(x: Data, positions: Data, options?: {
    /** Ratio of the slowest to the fastest rotation. @default 10000.0 */
    base?: number;
    /** Whether pairs are (2i, 2i+1); otherwise they are (i, i + D/2). @default true */
    interleaved?: boolean;
  } & CallOptions<D>): Promise<Numbers<D>>;
  /** Scaled dot-product attention softmax(scale · q·kᵀ) · v, with the arguments of PyTorch's function. */
  scaledDotProductAttention<W extends boolean = false, L extends boolean = false, D extends Dtype = "float32">(query: Data, key: Data, value: Data, options?: {
    /** Boolean (True = attend) or float (added to the scores), broadcastable to (..., M, N). */
    attnMask?: Mask | null;
    /** Probability of dropping a weight; needs `rng`. @default 0.0 */
    dropoutP?: number;
    /** Query i sees key j iff j <= i (aligned top left, also for M != N). @default false */
    isCausal?: boolean;
    /** Factor of the scores; 1/√D by default. */
    scale?: number | null;
    /** Grouped-query attention: query (..., H, M, D) over key (..., H_kv, N, D). Head h uses key head h // (H / H_kv). @default false */
    enableGqa?: boolean;
    /** Squash scores to ±softcap by softcap · tanh(score / softcap). */
    softcap?: number | null;
    /** `score_mod(score, batch, head, query_index, key_index)` returns modified scores, element by element, before the mask is applied. The index arguments are arrays that broadcast to the scores. The backward pass takes the derivative by central differences in float64. */
    scoreMod?: ScoreMod | null;
    /** Generator for the dropout. */
    rng?: number | null;
    /** Also return the weights (..., M, N). @default false */
    returnWeights?: W;
    /** Also return the log-sum-exp of the scores (..., M); -inf for a row that attends to nothing. @default false */
    returnLse?: L;
  } & CallOptions<D>): Promise<W extends true ? (L extends true ? [Numbers<D>, Numbers<D>, Numbers<D>] : [Numbers<D>, Numbers<D>]) : L extends true ? [Numbers<D>, Numbers<D>] : Numbers<D>>;
  /** Softmax within each row of a CSR list: one distribution per node over its own edges. */
  segmentSoftmax<D extends Dtype = "float32">(scores: Data, indptr: Data, options?: CallOptions<D>): Promise<Numbers<D>>;
  /** Softmax along one axis: exp(x) / Σ exp(x), shifted by the maximum to avoid overflow. */
  softmax<D extends Dtype = "float32">(x: Data, options?: {
    /** The axis that sums to one. @default -1 */
    axis?: number;
  } & CallOptions<D>): Promise<Numbers<D>>;
  /** Select the k experts with the highest logits and take the softmax over their logits. */
  topKGating<D extends Dtype = "float32">(logits: Data, k: number, options?: CallOptions<D>): Promise<[Matrix<Int32Array>, Numbers<D>]>;
  };
  "geometry": {
  /** Flat space R^D. */
  Euclidean(options?: CallOptions): Promise<Euclidean>;
  /** Hyperbolic space as the upper sheet of −x₀² + x₁² + … = 1/curvature. */
  Lorentz(options?: {
    /** Negative. @default -1.0 */
    curvature?: number;
  } & CallOptions): Promise<Lorentz>;
  /** Hyperbolic space as a ball of radius 1/√−curvature. */
  Poincare(options?: {
    /** Negative. @default -1.0 */
    curvature?: number;
  } & CallOptions): Promise<Poincare>;
  /** Product of manifolds. A point is the concatenation of the factors' coordinates; the distance is √Σ dᵢ². */
  Product(factors: readonly (readonly [Manifold, number])[], options?: CallOptions): Promise<Product>;
  /** The sphere of radius 1/√curvature in R^D; its origin is (radius, 0, …). */
  Sphere(options?: {
    /** Positive. @default 1.0 */
    curvature?: number;
  } & CallOptions): Promise<Sphere>;
  /** Create a manifold from the dictionary that its `to_config` returned. */
  fromConfig(config: ManifoldConfig, options?: CallOptions): Promise<Manifold>;
  };
  "training": {
  /** Adam: steps scaled by running averages of the gradient and of its square, bias-corrected. */
  Adam(options?: {
    /** Learning rate, or a schedule of it. @default 0.001 */
    lr?: number | Schedule;
    /** Decay of the two averages. */
    betas?: readonly [number, number];
    /** Added to the root of the second. @default 1e-08 */
    eps?: number;
    /** L2 penalty, part of the gradient. @default 0.0 */
    weightDecay?: number;
    /** Use the largest second average so far. @default false */
    amsgrad?: boolean;
    /** Other options for some parameters, as in `SGD`. */
    groups?: Readonly<Record<string, Readonly<Record<string, number | boolean | readonly number[]>>>> | null;
  } & CallOptions): Promise<Adam>;
  /** Adam with decoupled weight decay: p ← (1 - lr·weight_decay)·p before the step. */
  AdamW(options?: {
    /** Learning rate, or a schedule of it. @default 0.001 */
    lr?: number | Schedule;
    /** Decay of the two averages. */
    betas?: readonly [number, number];
    /** Added to the root of the second. @default 1e-08 */
    eps?: number;
    /** Fraction of a parameter that is removed per step and unit of learning rate. @default 0.01 */
    weightDecay?: number;
    /** Use the largest second average so far. @default false */
    amsgrad?: boolean;
    /** Other options for some parameters, as in `SGD`. */
    groups?: Readonly<Record<string, Readonly<Record<string, number | boolean | readonly number[]>>>> | null;
  } & CallOptions): Promise<AdamW>;
  /** A sequence of stages. The values of the last stage also apply to all later steps. */
  CurriculumScheduler(stages: readonly Stage[], options?: {
    /** "step" or "linear". @default "step" */
    mode?: "step" | "linear";
  } & CallOptions): Promise<CurriculumScheduler>;
  /** Combine the losses of several objectives, and their gradients, into one step. */
  LossBalancer(options?: {
    /** One of the four methods above. @default "fixed" */
    method?: "fixed" | "uncertainty" | "gradnorm" | "pcgrad";
    /** Initial weight of each loss, 1 by default. "uncertainty" does not use it. */
    weights?: Readonly<Record<string, number>> | null;
    /** Learning rate of the learned weights ("uncertainty", "gradnorm"). @default 0.025 */
    lr?: number;
    /** Strength of GradNorm's restoring force. @default 1.5 */
    alpha?: number;
    /** Names or patterns of the parameters whose gradients GradNorm measures; all by default. */
    shared?: readonly string[] | null;
  } & CallOptions): Promise<LossBalancer>;
  /** Batches of nodes, each with its neighbours in a graph, or with a sample of them. */
  Neighborhoods(graph: GraphData, options?: {
    /** The nodes; all by default. */
    nodes?: Data | number | null;
    /** Largest number of neighbours per node, drawn without replacement; all by default. */
    fanout?: number | null;
  } & CallOptions): Promise<Neighborhoods>;
  /** Batches of nodes: arrays (b,) of node indices. */
  Nodes(nodes: Data | number, options?: CallOptions): Promise<Nodes>;
  /** Batches of node pairs with negatives, drawn uniformly from the nodes that are not paired with the source. */
  Pairs(pairs: Data, numNodes: number, options?: {
    /** Negatives per pair, drawn with replacement; never the source itself. @default 0 */
    numNegatives?: number;
  } & CallOptions): Promise<Pairs>;
  /** RMSprop: gradients divided by the root of a running average of their squares. */
  RMSprop(options?: {
    /** Learning rate, or a schedule of it. @default 0.01 */
    lr?: number | Schedule;
    /** Decay of the average. @default 0.99 */
    alpha?: number;
    /** Added to the root of the average. @default 1e-08 */
    eps?: number;
    /** L2 penalty. @default 0.0 */
    weightDecay?: number;
    /** Momentum of the scaled gradient. @default 0.0 */
    momentum?: number;
    /** Subtract the square of the average gradient, which gives a running variance. @default false */
    centered?: boolean;
    /** Other options for some parameters, as in `SGD`. */
    groups?: Readonly<Record<string, Readonly<Record<string, number | boolean | readonly number[]>>>> | null;
  } & CallOptions): Promise<RMSprop>;
  /** Riemannian Adam: the second average is the squared Riemannian norm of the gradient, one number per point. */
  RiemannianAdam(options: {
    /** Learning rate, or a schedule of it. @default 0.001 */
    lr?: number | Schedule;
    /** Decay of the two averages. */
    betas?: readonly [number, number];
    /** Added to the root of the second. @default 1e-08 */
    eps?: number;
    /** L2 penalty, part of the Euclidean gradient. @default 0.0 */
    weightDecay?: number;
    /** Use the largest second average so far. @default false */
    amsgrad?: boolean;
    /** Other options for some parameters, as in `SGD`. */
    groups?: Readonly<Record<string, Readonly<Record<string, number | boolean | readonly number[]>>>> | null;
    /** One manifold for all parameters, or a mapping from parameter names (or patterns) to manifolds. */
    manifold: Manifold | ManifoldFunctions;
  } & CallOptions): Promise<RiemannianAdam>;
  /** Riemannian stochastic gradient descent, with momentum (also Nesterov's). */
  RiemannianSGD(options: {
    /** Learning rate, or a schedule of it. @default 0.001 */
    lr?: number | Schedule;
    /** μ ≥ 0. @default 0.0 */
    momentum?: number;
    /** Fraction of the gradient that does not enter the momentum. @default 0.0 */
    dampening?: number;
    /** L2 penalty, part of the Euclidean gradient. @default 0.0 */
    weightDecay?: number;
    /** Use Nesterov momentum; requires momentum and no dampening. @default false */
    nesterov?: boolean;
    /** Other options for some parameters, as in `SGD`. */
    groups?: Readonly<Record<string, Readonly<Record<string, number | boolean | readonly number[]>>>> | null;
    /** One manifold for all parameters, or a mapping from parameter names (or patterns) to manifolds. */
    manifold: Manifold | ManifoldFunctions;
  } & CallOptions): Promise<RiemannianSGD>;
  /** Batches of rows of several arrays: tuples of arrays. */
  Rows(...arrays: readonly Data[]): Promise<Rows>;
  /** Stochastic gradient descent, with momentum (also Nesterov's). */
  SGD(options?: {
    /** Learning rate, or a schedule of it. @default 0.001 */
    lr?: number | Schedule;
    /** μ ≥ 0. @default 0.0 */
    momentum?: number;
    /** Fraction of the gradient that does not enter the momentum. @default 0.0 */
    dampening?: number;
    /** L2 penalty. @default 0.0 */
    weightDecay?: number;
    /** Use Nesterov momentum; requires momentum and no dampening. @default false */
    nesterov?: boolean;
    /** Other options for some parameters: {name or pattern ("w_*"): {option: value}}. An exact name takes precedence, then the first matching pattern. */
    groups?: Readonly<Record<string, Readonly<Record<string, number | boolean | readonly number[]>>>> | null;
  } & CallOptions): Promise<SGD>;
  /** One stage of a curriculum. */
  Stage(steps: number, options?: {
    /** Fraction (0 … 1) of the samples, easiest first, that is used at the end of the stage. @default 1.0 */
    difficulty?: number;
    /** Weight of each loss, by name, at the end of the stage. */
    weights?: Readonly<Record<string, number>>;
  } & CallOptions): Promise<Stage>;
  /** Inner-product decoder of a graph autoencoder: x_i·x_j + bias is the logit of an edge between i and j. */
  adjacencyReconstruction<R extends Reduction = "mean", D extends Dtype = "float32">(embeddings: Data, pairs: Data, labels: Data, options?: {
    /** Factor of the terms of edges, for few edges among many pairs. @default 1.0 */
    posWeight?: number;
    /** Added to every logit; negative if most pairs are not edges. @default 0.0 */
    bias?: number;
    /** "mean" or "sum" over the pairs, or "none" for one loss per pair. @default "mean" */
    reduction?: R;
  } & CallOptions<D>): Promise<R extends "none" ? Numbers<D> : number>;
  /** Scale all gradients by one factor so that their global norm is at most `max_norm`. */
  clipByNorm<D extends Dtype = "float32">(grads: Readonly<Record<string, Data | number>>, maxNorm: number, options?: CallOptions<D>): Promise<Record<string, Numbers<D>>>;
  /** Clip every entry of every gradient to ±`max_value`. */
  clipByValue<D extends Dtype = "float32">(grads: Readonly<Record<string, Data | number>>, maxValue: number, options?: CallOptions<D>): Promise<Record<string, Numbers<D>>>;
  /** Cross-entropy of class logits, for node classification: -log softmax(logits)[target]. */
  crossEntropy<R extends Reduction = "mean", D extends Dtype = "float32">(logits: Data, targets: Data, options?: {
    /** Rows to use (the training nodes), as indices or as a boolean mask (V,); all by default. */
    index?: Data | null;
    /** Fraction of the target, 0 … 1, that is spread evenly over all classes. @default 0.0 */
    labelSmoothing?: number;
    /** "mean" or "sum" over the chosen rows, or "none" for one loss per chosen row. @default "mean" */
    reduction?: R;
  } & CallOptions<D>): Promise<R extends "none" ? Numbers<D> : number>;
  /** Compute the Euclidean norm of all gradients, taken as one vector. */
  globalNorm(grads: Readonly<Record<string, Data | number>>, options?: CallOptions): Promise<number>;
  /** InfoNCE: classify each positive among the negatives. */
  infoNce<R extends Reduction = "mean", D extends Dtype = "float32">(anchor: Data, positives: Data, negatives: Data, options?: {
    /** τ > 0. @default 0.07 */
    temperature?: number;
    /** Whether to normalise the vectors; if False, the scores are plain dot products. @default true */
    normalize?: boolean;
    /** "mean" or "sum" over the batch, or "none" for one loss per anchor. @default "mean" */
    reduction?: R;
  } & CallOptions<D>): Promise<R extends "none" ? Numbers<D> : number>;
  /** Laplacian regularization: nodes joined by an edge should have similar embeddings. */
  laplacian<R extends Reduction = "sum", D extends Dtype = "float32">(embeddings: Data, edges: Data, options?: {
    /** (K,), 1 by default; differentiable. */
    edgeWeights?: Data | null;
    /** "sum" (default) or "mean" over the edges, or "none" for one term per edge. @default "sum" */
    reduction?: R;
  } & CallOptions<D>): Promise<R extends "none" ? Numbers<D> : number>;
  /** Laplacian regularization: nodes joined by an edge should have similar embeddings. */
  laplacianRegularization<R extends Reduction = "sum", D extends Dtype = "float32">(embeddings: Data, edges: Data, options?: {
    /** (K,), 1 by default; differentiable. */
    edgeWeights?: Data | null;
    /** "sum" (default) or "mean" over the edges, or "none" for one term per edge. @default "sum" */
    reduction?: R;
  } & CallOptions<D>): Promise<R extends "none" ? Numbers<D> : number>;
  /** Graph-local InfoNCE: neighbours are the positives, other nodes are the negatives. */
  localContrastive<R extends Reduction = "mean", D extends Dtype = "float32">(node: Data, neighbors: Data, nonNeighbors: Data, options?: {
    /** τ > 0. @default 0.07 */
    temperature?: number;
    /** Booleans (P,) or (B, P), True = valid; all by default. */
    neighborMask?: Mask | null;
    /** Booleans (N,) or (B, N), likewise. */
    nonNeighborMask?: Mask | null;
    /** "mean" or "sum" over the batch, or "none" for one loss per node. @default "mean" */
    reduction?: R;
  } & CallOptions<D>): Promise<R extends "none" ? Numbers<D> : number>;
  /** Norm penalty, the mean of (‖x‖ - target)²: every embedding should have a given norm. */
  normPenalty<R extends Reduction = "mean", D extends Dtype = "float32">(embeddings: Data, options?: {
    /** A number or (...), at least 0; differentiable. @default 1.0 */
    targetNorm?: Data | number;
    /** "mean" or "sum" over the rows, or "none" for one loss per row. @default "mean" */
    reduction?: R;
  } & CallOptions<D>): Promise<R extends "none" ? Numbers<D> : number>;
  /** Orthogonality penalty ‖XᵀX - I‖²_F: the columns should be orthonormal. */
  orthogonality<R extends Reduction = "mean", D extends Dtype = "float32">(embeddings: Data, options?: {
    /** "mean" or "sum" over the matrices, or "none" for one loss per matrix. @default "mean" */
    reduction?: R;
  } & CallOptions<D>): Promise<R extends "none" ? Numbers<D> : number>;
  /** Squared error (x - y)² of a reconstruction, element by element. */
  reconstruction<R extends Reduction = "mean", D extends Dtype = "float32">(prediction: Data, target: Data, options?: {
    /** Rows to use, as indices (R,) or as a boolean mask (V,); all by default. */
    index?: Data | null;
    /** "mean" or "sum" over all elements, or "none". @default "mean" */
    reduction?: R;
  } & CallOptions<D>): Promise<R extends "none" ? Numbers<D> : number>;
  /** Select k different hard negatives for an anchor. Positives are never selected. */
  sampleHardNegatives(anchor: Data, embeddings: Data, positiveIndices: Data, k: number, options?: {
    /** One of the four strategies above. @default "distance" */
    strategy?: "distance" | "degree" | "mixed" | "semi_hard";
    /** (V,) numbers ≥ 0, for "degree" and "mixed". */
    degrees?: Data | null;
    /** Generator or seed; without it every strategy is deterministic. */
    rng?: number | null;
    /** Manifold whose `dist` replaces the Euclidean distance. */
    manifold?: Manifold | ManifoldFunctions | null;
    /** Fraction of the negatives that "mixed" selects by distance. @default 0.5 */
    mix?: number;
  } & CallOptions): Promise<Matrix<Int32Array>>;
  /** Triplet loss max(0, ‖a - p‖ - ‖a - n‖ + margin), row by row. */
  triplet<R extends Reduction = "mean", D extends Dtype = "float32">(anchor: Data, positive: Data, negative: Data, options?: {
    /** At least 0. @default 1.0 */
    margin?: number;
    /** "mean" or "sum" over the rows, or "none" for one loss per row. @default "mean" */
    reduction?: R;
  } & CallOptions<D>): Promise<R extends "none" ? Numbers<D> : number>;
  };
  "training.schedules": {
  /** A sequence of schedules, each of which counts its steps from 0. */
  chain(...parts: readonly (Schedule | readonly [Schedule, number])[]): Promise<Chain>;
  /** The same rate at every step. */
  constant(lr: number, options?: CallOptions): Promise<Constant>;
  /** Cosine annealing from `lr` at step 0 to `min_lr` at `total_steps`, then `min_lr`. */
  cosine(lr: number, totalSteps: number, options?: {
    /** The final rate. @default 0.0 */
    minLr?: number;
  } & CallOptions): Promise<Cosine>;
  /** A rate that is multiplied by `gamma` after every `step_size` steps. */
  step(lr: number, stepSize: number, options?: {
    /** The factor. @default 0.1 */
    gamma?: number;
  } & CallOptions): Promise<Step>;
  /** Linear warm-up: lr·(t+1)/warmup_steps, then lr. */
  warmup(lr: number, warmupSteps: number, options?: CallOptions): Promise<Warmup>;
  };
  "compression": {
  /** Encodes each row by the codec of its node's HNSW layer: finely for the few upper nodes, coarsely below. */
  Hierarchical(codecs: Readonly<Record<number, Codec>>, options?: CallOptions): Promise<Hierarchical>;
  /** Truncated singular value decomposition, the best approximation of a given rank (Eckart-Young). */
  LowRank(options?: {
    /** Number of singular values to keep. */
    rank?: number | null;
    /** Keep the fewest singular values that have this share (0 < energy <= 1) of the squared Frobenius norm. */
    energy?: number | null;
  } & CallOptions): Promise<LowRank>;
  /** Linear quantisation to 8- or 4-bit integers with one scale per tensor, row or group; zero stays exact. */
  Quantizer(options?: {
    /** 8 or 4. @default 8 */
    bits?: 4 | 8;
    /** Whether zero has code 0. @default true */
    symmetric?: boolean;
    /** `"tensor"` (one scale), `"row"` (one per vector along the last axis) or `"group"` (one per `group_size` consecutive coordinates of a vector; the last group may be shorter). @default "tensor" */
    granularity?: "tensor" | "row" | "group";
    /** Coordinates per group; required for `"group"`, otherwise not allowed. */
    groupSize?: number | null;
  } & CallOptions): Promise<Quantizer>;
  /** Sparse rows: the largest entries of each row, the entries from a threshold on, or all nonzero entries. */
  SparseStorage(options?: {
    /** Keep this many entries of each row (vector along the last axis), the largest in magnitude. */
    topK?: number | null;
    /** Keep entries with |x| >= threshold. */
    threshold?: number | null;
    /** `"csr"` (compressed rows) or `"coo"` (row and column of each entry). @default "csr" */
    format?: "csr" | "coo";
  } & CallOptions): Promise<SparseStorage>;
  /** Tucker decomposition of a three-way array: HOSVD, then higher-order orthogonal iteration. */
  Tucker(ranks: readonly number[], options?: CallOptions): Promise<Tucker>;
  };
  "graph": {
  /** Estimate Gromov's δ by the four-point condition on random quadruples of the largest component. */
  deltaHyperbolicity(graph: GraphData, options?: {
    /** Number of quadruples. @default 10000 */
    samples?: number;
    /** A `numpy.random.Generator` or a seed. @default 0 */
    rng?: number;
  } & CallOptions): Promise<{ delta: number; mean: number; diameter: number }>;
  /** Fraction of the V (V - 1) possible edges that exist; loops and duplicates are ignored. */
  density(graph: GraphData, options?: CallOptions): Promise<number>;
  /** Return whether every edge also exists in the other direction, equally often and with the same data. */
  isUndirected(graph: GraphData, options?: CallOptions): Promise<boolean>;
  /** Embed nodes by the smoothest eigenvectors of the normalized Laplacian, ignoring directions. */
  spectralEmbedding<D extends Dtype = "float32">(graph: GraphData, dim: number, options?: {
    /** Seed of the initial vectors for large graphs. It affects the basis of eigenvalues that nearly coincide. @default 0 */
    seed?: number;
  } & CallOptions<D>): Promise<Numbers<D>>;
  };
  "analysis": {
  /** Compute the attention of every node to its neighbours under several mechanisms, and compare the mechanisms. */
  analyze(graph: GraphData, options?: {
    /** Latent vectors (V, D); by default a spectral embedding with `dim` coordinates. They are scaled for each mechanism: to mean length √D for dot products, into the ball for hyperbolic mechanisms. */
    embeddings?: Data | null;
    /** Registry keys; by default all mechanisms that apply to the graph, or none if `models` are given. */
    keys?: readonly string[] | null;
    /** Options by name; each mechanism gets those that it has. */
    options?: Readonly<Record<string, Data | number>> | null;
    /** Coordinates of the spectral embedding (at most V - 1 are used, padded with zeros to a multiple of 4). @default 16 */
    dim?: number;
    /** Seed of the mechanisms' parameters. @default 0 */
    seed?: number;
    /** More mechanisms, such as trained ones, by their name in the results. They get `embeddings` without scaling. */
    models?: Readonly<Record<string, Attention>> | null;
  } & CallOptions): Promise<Analysis>;
  /** Analyse the text of a graph file, and return the results in the forms that a page or a script shows. */
  analyzeFile(content: string, options?: {
    /** Suffix of its format, such as ".json", ".csv", ".edges" or ".graphml". @default ".json" */
    suffix?: string;
    /** Registry keys, as for `analyze`. */
    keys?: readonly string[] | null;
    /** Options of the mechanisms, as for `analyze`. */
    options?: Readonly<Record<string, Data | number>> | null;
    /** Latent vectors (V, D), as for `analyze`. */
    embeddings?: Data | null;
    /** Seed, as for `analyze`. @default 0 */
    seed?: number;
    /** Name of the graph in the report. @default "graph" */
    name?: string;
    /** Whether to create the HTML report. @default false */
    report?: boolean;
    /** Whether to compute a layout; graphs of more than `MOST_LAID_OUT` nodes get none. @default true */
    drawing?: boolean;
  } & CallOptions): Promise<{ [name: string]: Json }>;
  /** Format the analysis as text for a terminal. */
  textTable(analysis: Analysis, options?: {
    /** Number of nodes to list, those of highest degree. @default 5 */
    nodes?: Data | number;
    /** Number of neighbours to list per node. @default 3 */
    count?: number;
    /** Maximum number of characters per line. @default 100 */
    width?: number;
  } & CallOptions): Promise<string>;
  };
  "evaluation": {
  /** Share of correct predictions. */
  accuracy(labels: Data, predicted: Data, options?: CallOptions): Promise<number>;
  /** Average precision Σ (R_n - R_{n-1}) P_n over the distinct scores in decreasing order. */
  averagePrecision(labels: Data, scores: Data, options?: CallOptions): Promise<number>;
  /** Compare predicted probabilities with observed frequencies, in intervals of equal width. */
  calibration<D extends Dtype = "float32">(labels: Data, probabilities: Data, options?: {
    /** Number B of intervals. @default 10 */
    bins?: number;
  } & CallOptions<D>): Promise<Numbers<D>>;
  /** Train every mechanism on the same task, and measure it on held-out data. */
  evaluate(graph: GraphData, task: string, options?: {
    /** Registry keys, or mechanisms of width `hidden`; all that apply to the graph by default. */
    mechanisms?: readonly (string | Attention)[] | null;
    /** (V, F) features; by default a spectral embedding of the graph without the held-out links. */
    x?: Data | null;
    /** (V,) classes for the task "labels": integers, with -1 for unknown, or text. */
    labels?: Data | null;
    /** Shares of training, validation and test, or the parts themselves, as a tuple or by name: nodes (indices or masks) for labels, (2, K) pairs of nodes for links. By default 70/10/20 % of the links, and 60/20/20 % of each class. */
    split?: Data | null;
    /** Number of seeds, or the seeds. @default 3 */
    seeds?: number | readonly number[];
    /** Whether to measure common neighbours, Adamic–Adar, the features alone, the spectral embedding alone, and a graph convolution, too. @default true */
    baselines?: boolean;
    /** Maximum number of epochs per run. @default 200 */
    epochs?: number;
    /** Number of epochs without improvement in validation after which a run stops. @default 30 */
    patience?: number;
    /** Width D of the mechanisms. @default 32 */
    hidden?: number;
    /** Learning rate. @default 0.01 */
    lr?: number;
    /** Number of layers of the network, 1 or 2. The second layer is the same mechanism with its own parameters, and attends over the outputs of the first. The result describes the attention of the last layer. @default 1 */
    layers?: number;
    /** Folder that stores every run under a hash of everything that affects it. Stored runs are not repeated. */
    cache?: string | null;
  } & CallOptions): Promise<Evaluation>;
  /** Evaluate mechanisms on a graph, given the text of its file. */
  evaluateFile(content: string, options?: {
    /** "links" or "labels". @default "links" */
    task?: string;
    /** Suffix of the file's name, which determines the format. @default ".json" */
    suffix?: string;
    /** Name of the graph in error messages. @default "graph" */
    name?: string;
    /** Also make the HTML page. @default false */
    report?: boolean;
    /** As for `evaluate`, like all arguments that follow. */
    mechanisms?: readonly string[] | null;
    /** (V, F) features. */
    x?: Data | null;
    /** (V,) classes. */
    labels?: Data | null;
    /** Shares or parts for training, validation and test. */
    split?: Data | null;
    /** Number of seeds, or the seeds. @default 3 */
    seeds?: number | readonly number[];
    /** Whether to measure the baselines. @default true */
    baselines?: boolean;
    /** Maximum number of epochs per run. @default 200 */
    epochs?: number;
    /** Epochs without improvement after which a run stops. @default 30 */
    patience?: number;
    /** Width D. @default 32 */
    hidden?: number;
    /** Learning rate. @default 0.01 */
    lr?: number;
    /** Number of layers of the network, 1 or 2. @default 1 */
    layers?: number;
    /** Folder in which finished runs are stored. */
    cache?: string | null;
  } & CallOptions): Promise<Record<string, Matrix | number>>;
  /** Train one mechanism as `evaluate` does, and return the trained mechanism. */
  fit(graph: GraphData, task: string, mechanism: string | Attention, options?: {
    /** (V, F) features. */
    x?: Data | null;
    /** (V,) classes. */
    labels?: Data | null;
    /** Shares or parts for training, validation and test. */
    split?: Data | null;
    /** Seed of split, parameters and negatives. @default 0 */
    seed?: number;
    /** Maximum number of epochs. @default 200 */
    epochs?: number;
    /** Epochs without improvement after which training stops. @default 30 */
    patience?: number;
    /** Width D. @default 32 */
    hidden?: number;
    /** Learning rate. @default 0.01 */
    lr?: number;
    /** Number of layers, 1 or 2. The result is the last layer. @default 1 */
    layers?: number;
  } & CallOptions): Promise<Fit | null>;
  /** Share of the positives that rank among the first k when sorted with their own negatives. */
  hitsAt(positive: Data, negatives: Data, options?: {
    /** Number of ranks that count. @default 10 */
    k?: number;
  } & CallOptions): Promise<number>;
  /** Jensen–Shannon divergence of two attentions, averaged over the nodes that have neighbours. */
  jensenShannon(graph: GraphData, first: Data, second: Data, options?: CallOptions): Promise<number>;
  /** F1 = 2 TP / (2 TP + FP + FN) of each class, averaged over the classes that occur in either argument. */
  macroF1(labels: Data, predicted: Data, options?: CallOptions): Promise<number>;
  /** Mean of 1 / rank of each positive among its own negatives; a tie counts one half. */
  meanReciprocalRank(positive: Data, negatives: Data, options?: CallOptions): Promise<number>;
  /** Area under the ROC curve: the probability that a positive scores above a negative; a tie counts one half. */
  rocAuc(labels: Data, scores: Data, options?: CallOptions): Promise<number>;
  /** Two-sided p-value of paired differences: the share of sign patterns whose mean is at least as large in magnitude. */
  signFlipTest(differences: Data, options?: {
    /** Number of random sign patterns if N is above 13. @default 10000 */
    samples?: number;
    /** Seed of the random sign patterns. @default 0 */
    seed?: number;
  } & CallOptions): Promise<number>;
  /** Share of a node's k strongest edges that two attentions have in common, averaged over the nodes. */
  topOverlap(graph: GraphData, first: Data, second: Data, options?: {
    /** Number of edges per node. @default 3 */
    k?: number;
  } & CallOptions): Promise<number>;
  };
}

export const FUNCTIONS = {"functional": ["favorFeatures", "fromTorchMask", "gatAttention", "linearAttention", "loadBalanceLoss", "matmul", "multiHeadAttention", "orthogonalProjection", "quantizedAttention", "rotary", "scaledDotProductAttention", "segmentSoftmax", "softmax", "topKGating"], "geometry": ["Euclidean", "Lorentz", "Poincare", "Product", "Sphere", "fromConfig"], "training": ["Adam", "AdamW", "CurriculumScheduler", "LossBalancer", "Neighborhoods", "Nodes", "Pairs", "RMSprop", "RiemannianAdam", "RiemannianSGD", "Rows", "SGD", "Stage", "adjacencyReconstruction", "clipByNorm", "clipByValue", "crossEntropy", "globalNorm", "infoNce", "laplacian", "laplacianRegularization", "localContrastive", "normPenalty", "orthogonality", "reconstruction", "sampleHardNegatives", "triplet"], "training.schedules": ["chain", "constant", "cosine", "step", "warmup"], "compression": ["Hierarchical", "LowRank", "Quantizer", "SparseStorage", "Tucker"], "graph": ["deltaHyperbolicity", "density", "isUndirected", "spectralEmbedding"], "analysis": ["analyze", "analyzeFile", "textTable"], "evaluation": ["accuracy", "averagePrecision", "calibration", "evaluate", "evaluateFile", "fit", "hitsAt", "jensenShannon", "macroF1", "meanReciprocalRank", "rocAuc", "signFlipTest", "topOverlap"]};
