// Written by tools/gen_types.py from the Python library; do not edit.
import type { Remote } from "./objects.js";
import type { CallOptions, Input, Matrix } from "./types.js";

/** Attention by dot products: softmax(scale · q·k / temperature) over the keys, applied to the values. */
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

/** H attentions side by side in projected subspaces, joined and projected back. */
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
  spaces?: readonly (readonly (unknown)[])[] | null;
  /** initial temperature; small values sharpen the weights (> 0). @default 1.0 */
  temperature?: number;
  /** probability of dropping a weight in training (≥ 0, ≤ 1). @default 0.0 */
  dropout?: number;
}

/** Attention by geodesic distance: weights softmax(-d(q, k) / temperature), values averaged intrinsically. */
export interface ManifoldOptions {
  /** width of queries and keys (≥ 1, ≤ 2.14748e+09). */
  dim: number;
  /** seed of the initial parameters (≥ 0). @default 0 */
  seed?: number;
  /** refuse NaN and infinity in the inputs. @default true */
  checkFinite?: boolean;
  /** the manifold, as {"type": "poincare", "curvature": -1} for example. @default {"type": "euclidean"} */
  manifold?: Record<string, unknown>;
  /** divides the distances; small values sharpen the weights (> 0). @default 1.0 */
  temperature?: number;
  /** how values are averaged. @default "frechet" */
  aggregation?: "frechet" | "midpoint";
  /** probability of dropping a weight in training (≥ 0, ≤ 1). @default 0.0 */
  dropout?: number;
}

/** Dot-product attention that looks at few keys: those nearby and those that are global. */
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
  /** positions of the keys that everyone sees, or how many of the first ones (≥ 0). @default [] */
  globalNodes?: readonly (number)[] | number;
}

/** An estimate of softmax attention in time linear in the number of keys (Performer, FAVOR+). */
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

/** Scaled dot-product attention in tiles: the same result, without the M×N matrix in memory. */
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

/** Dot-product attention whose keys are rotated by their distance from the query: score = scale · q·R(d_j)k_j. */
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

/** Dot-product attention with a learnable word about the HNSW layers of query and keys. */
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
  /** initial loss of score per layer between query and key. @default 1.0 */
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
  /** how many nearest nodes attend takes (≥ 1). @default 8 */
  latentNeighbors?: number;
}

/** Dot-product attention with structural features of query and keys, as biases and as features. */
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
  experts?: readonly (Record<string, unknown>)[] | null;
  /** how many experts answer a query (≥ 1). @default 2 */
  topK?: number;
}

/** Routes each query to mechanisms by a learned linear router. */
export interface LearnedRoutingOptions {
  /** width of queries and keys (≥ 1, ≤ 2.14748e+09). */
  dim: number;
  /** seed of the initial parameters (≥ 0). @default 0 */
  seed?: number;
  /** refuse NaN and infinity in the inputs. @default true */
  checkFinite?: boolean;
  /** configs of the mechanisms to choose from; null means scaled_dot_product and hyperbolic. @default null */
  mechanisms?: readonly (Record<string, unknown>)[] | null;
  /** weigh all mechanisms or use the likeliest. @default "soft" */
  mode?: "soft" | "hard";
  /** divides the router's logits (> 0). @default 1.0 */
  routerTemperature?: number;
}

/** A policy over the neighbours of a node, given a query: the attention weights are the chances of going there. */
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

/** Multi-head attention with a gate per head and query: heads whose gate is low are switched off. */
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
  scaled_dot_product: unknown;
  multi_head: {
  /** The weights of every head, (H, N) for a single query, else (..., H, M, N). */
  headAttentionWeights<R = Matrix>(query: Input, keys: Input, options?: { attnMask?: Input } & CallOptions): Promise<R>;
  /** The output of a single head before `w_o`, (E,) or (..., M, E). */
  headOutput<R = Matrix>(head: number, query: Input, keys: Input, values: Input, options?: { attnMask?: Input } & CallOptions): Promise<R>;
  };
  edge_featured: unknown;
  hyperbolic: unknown;
  mixed_curvature: {
  /** Each space's part of the scores, (S, N) for a single query, else (S, ..., M, N); they add up to the score. */
  contributions<R = Matrix>(query: Input, keys: Input, options?: CallOptions): Promise<R>;
  /** How much each space counts, (S,); the mean is one. */
  shares<R = Matrix>(options?: CallOptions): Promise<R>;
  };
  manifold: unknown;
  local_global: {
  /** The graph that `attend` works on: `graph` with the missing edges from and to the global nodes. */
  pattern<R = Remote>(graph: Input, options?: CallOptions): Promise<R>;
  /** Which keys each query row of `forward` sees, as CSR lists. */
  rowPattern<R = [Matrix, Matrix]>(rows: number, nKeys: number, options?: CallOptions): Promise<R>;
  };
  linear: {
  /** The same mechanism with the next draw of random directions. */
  redrawn<R = Remote>(options?: CallOptions): Promise<R>;
  };
  flash: unknown;
  graph_rope: {
  /** Rotate embeddings (..., D) by distances (...). */
  applyRotation<R = Matrix>(embedding: Input, distance: Input, options?: CallOptions): Promise<R>;
  };
  hnsw_aware: unknown;
  cross_space: {
  /** The three attentions before fusion and their weights. */
  parts<R = { graph: Matrix; latent: Matrix; cross: Matrix; graph_weights: Matrix; latent_weights: Matrix; cross_weights: Matrix }>(query: Input, keys: Input, values: Input, options: { metadata: Input; attnMask?: Input } & CallOptions): Promise<R>;
  /** A copy whose `attend` and `attend_vjp` take the latent neighbours from a graph instead of searching them. */
  withLatentGraph<R = Remote>(graph: Input, options?: CallOptions): Promise<R>;
  };
  structural: unknown;
  moe: {
  /** Which experts answer a query, and with what weight. */
  getRouting<R = unknown>(query: Input, options?: CallOptions): Promise<R>;
  /** How unevenly these queries use the experts; see `graphattend.functional.load_balance_loss`. */
  loadBalanceLoss<R = number>(query: Input, options?: CallOptions): Promise<R>;
  /** The router's logits, (X,) for a single query, else (..., M, X). */
  routerLogits<R = Matrix>(query: Input, options?: CallOptions): Promise<R>;
  /** The share of every expert, (X,) for a single query, else (..., M, X); rows sum to one. */
  shares<R = Matrix>(query: Input, options?: CallOptions): Promise<R>;
  };
  learned_routing: {
  /** The share of every mechanism for a query. */
  getRouting<R = unknown>(query: Input, options?: CallOptions): Promise<R>;
  /** The router's logits, (X,) for a single query, else (..., M, X). */
  routerLogits<R = Matrix>(query: Input, options?: CallOptions): Promise<R>;
  /** The share of every expert, (X,) for a single query, else (..., M, X); rows sum to one. */
  shares<R = Matrix>(query: Input, options?: CallOptions): Promise<R>;
  };
  rl_navigator: {
  /** Measure what recall@k each budget reaches, for `search` with `recall`. */
  calibrate<R = Remote>(graph: Input, vectors: Input, queries: Input, options?: { k?: number; entry?: number; budget?: number } & CallOptions): Promise<R>;
  /** What `search` needs to know of the vectors, computed once for many queries. */
  encode<R = { keys: Matrix; offsets: Matrix }>(vectors: Input, options?: CallOptions): Promise<R>;
  /** The navigator that knows the vectors' principal axes, the best start for `train`. */
  fitted<R = Remote>(vectors: Input, options?: CallOptions): Promise<R>;
  /** The baseline: best-first search by exact distances; arguments and result as for `search`. */
  greedySearch<R = Remote>(graph: Input, vectors: Input, query: Input, options?: { entry?: number; k?: number; budget?: number } & CallOptions): Promise<R>;
  /** Look for the vectors nearest to the query, walking the graph by the policy. */
  search<R = Remote>(graph: Input, vectors: Input, query: Input, options?: { entry?: number; k?: number; budget?: number | null; recall?: number | null; codes?: Input | null } & CallOptions): Promise<R>;
  /** Learn the policy by REINFORCE with a baseline: walks that come nearer to their query become more likely. */
  train<R = Remote>(graph: Input, vectors: Input, queries: Input, options?: { steps?: number; rollouts?: number; discount?: number; epochs?: number; batchSize?: number; lr?: number; seed?: number; onProgress?: Input | null; cancel?: Input } & CallOptions): Promise<R>;
  };
  dynamic_heads: {
  /** How many heads each query uses: an integer for a single query, else (..., M). */
  activeHeads<R = unknown>(query: Input, options?: CallOptions): Promise<R>;
  /** The weights of every head, (H, N) for a single query, else (..., H, M, N). */
  headAttentionWeights<R = Matrix>(query: Input, keys: Input, options?: { attnMask?: Input } & CallOptions): Promise<R>;
  /** The gate of every head, zero where it is off: (H,) for a single query, else (..., M, H). */
  headGates<R = Matrix>(query: Input, options?: CallOptions): Promise<R>;
  /** The output of a single head before `w_o`, (E,) or (..., M, E). */
  headOutput<R = Matrix>(head: number, query: Input, keys: Input, values: Input, options?: { attnMask?: Input } & CallOptions): Promise<R>;
  };
}

/** Flat space R^D. */
export interface Euclidean extends Remote {
  /** Geodesic distance. */
  dist<R = Matrix>(x: Input, y: Input, options?: CallOptions): Promise<R>;
  /** Riemannian gradient from the Euclidean gradient g (..., D) at x (..., D). */
  egrad2rgrad<R = Matrix>(x: Input, g: Input, options?: CallOptions): Promise<R>;
  /** Exponential map: where the geodesic from x (..., D) with velocity v (..., D) is at time one. */
  expmap<R = Matrix>(x: Input, v: Input, options?: CallOptions): Promise<R>;
  /** Exponential map at the origin, (..., D) -> (..., D). */
  expmap0<R = Matrix>(v: Input, options?: CallOptions): Promise<R>;
  /** Weighted Fréchet mean: the point with the least Σ w d(m, x)^2. */
  frechetMean<R = Matrix>(points: Input, weights: Input, options?: { tolerance?: number; maxIterations?: number } & CallOptions): Promise<R>;
  /** Riemannian inner product of tangent vectors u and v at x, (..., D) -> (...). */
  inner<R = Matrix>(x: Input, u: Input, v: Input, options?: CallOptions): Promise<R>;
  /** Logarithm: the velocity at x (..., D) of the geodesic that reaches y (..., D) at time one. */
  logmap<R = Matrix>(x: Input, y: Input, options?: CallOptions): Promise<R>;
  /** Logarithm at the origin, (..., D) -> (..., D). */
  logmap0<R = Matrix>(y: Input, options?: CallOptions): Promise<R>;
  /** Weighted midpoint in closed form. */
  midpoint<R = Matrix>(points: Input, weights: Input, options?: CallOptions): Promise<R>;
  /** Riemannian length of the tangent vector v at x, (..., D) -> (...). */
  norm<R = Matrix>(x: Input, v: Input, options?: CallOptions): Promise<R>;
  /** The base point of `expmap0` and `logmap0`: (D,). */
  origin<R = Matrix>(dim: number, options?: CallOptions): Promise<R>;
  /** Distances of all pairs. */
  pairwise<R = Matrix>(x: Input, y: Input, options?: CallOptions): Promise<R>;
  /** Any vectors (..., D) moved onto the manifold; points on it stay. */
  project<R = Matrix>(x: Input, options?: CallOptions): Promise<R>;
  /** The part of v (..., D) that is tangent at x (..., D). */
  projectTangent<R = Matrix>(x: Input, v: Input, options?: CallOptions): Promise<R>;
  /** Random points (float64) around the origin. */
  random<R = Matrix>(rng: Input, shape: Input, options?: CallOptions): Promise<R>;
  /** ``{"type": "euclidean"}``. */
  toConfig<R = Record<string, unknown>>(options?: CallOptions): Promise<R>;
  /** Parallel transport of tangent vectors v (..., D) from x to y (..., D) along the geodesic. */
  transport<R = Matrix>(x: Input, y: Input, v: Input, options?: CallOptions): Promise<R>;
}
/** Hyperbolic space as the upper sheet of −x₀² + x₁² + … = 1/curvature. */
export interface Lorentz extends Remote {
  readonly fields: Readonly<{ curvature: number; [more: string]: unknown }>;
  /** Geodesic distance. */
  dist<R = Matrix>(x: Input, y: Input, options?: CallOptions): Promise<R>;
  /** Riemannian gradient from the Euclidean gradient g (..., D) at x (..., D). */
  egrad2rgrad<R = Matrix>(x: Input, g: Input, options?: CallOptions): Promise<R>;
  /** Exponential map: where the geodesic from x (..., D) with velocity v (..., D) is at time one. */
  expmap<R = Matrix>(x: Input, v: Input, options?: CallOptions): Promise<R>;
  /** Exponential map at the origin, (..., D) -> (..., D). */
  expmap0<R = Matrix>(v: Input, options?: CallOptions): Promise<R>;
  /** Weighted Fréchet mean: the point with the least Σ w d(m, x)^2. */
  frechetMean<R = Matrix>(points: Input, weights: Input, options?: { tolerance?: number; maxIterations?: number } & CallOptions): Promise<R>;
  /** Riemannian inner product of tangent vectors u and v at x, (..., D) -> (...). */
  inner<R = Matrix>(x: Input, u: Input, v: Input, options?: CallOptions): Promise<R>;
  /** Logarithm: the velocity at x (..., D) of the geodesic that reaches y (..., D) at time one. */
  logmap<R = Matrix>(x: Input, y: Input, options?: CallOptions): Promise<R>;
  /** Logarithm at the origin, (..., D) -> (..., D). */
  logmap0<R = Matrix>(y: Input, options?: CallOptions): Promise<R>;
  /** Weighted midpoint in closed form. */
  midpoint<R = Matrix>(points: Input, weights: Input, options?: CallOptions): Promise<R>;
  /** Riemannian length of the tangent vector v at x, (..., D) -> (...). */
  norm<R = Matrix>(x: Input, v: Input, options?: CallOptions): Promise<R>;
  /** The point (1/√c, 0, …), of `dim` coordinates. */
  origin<R = Matrix>(dim: number, options?: CallOptions): Promise<R>;
  /** Distances of all pairs. */
  pairwise<R = Matrix>(x: Input, y: Input, options?: CallOptions): Promise<R>;
  /** Any vectors (..., D) moved onto the manifold; points on it stay. */
  project<R = Matrix>(x: Input, options?: CallOptions): Promise<R>;
  /** The part of v (..., D) that is tangent at x (..., D). */
  projectTangent<R = Matrix>(x: Input, v: Input, options?: CallOptions): Promise<R>;
  /** Random points (float64) around the origin. */
  random<R = Matrix>(rng: Input, shape: Input, options?: CallOptions): Promise<R>;
  /** ``{"type": "lorentz", "curvature": ...}``. */
  toConfig<R = Record<string, unknown>>(options?: CallOptions): Promise<R>;
  /** Parallel transport of tangent vectors v (..., D) from x to y (..., D) along the geodesic. */
  transport<R = Matrix>(x: Input, y: Input, v: Input, options?: CallOptions): Promise<R>;
}
/** Hyperbolic space as a ball of radius 1/√−curvature. */
export interface Poincare extends Remote {
  readonly fields: Readonly<{ curvature: number; [more: string]: unknown }>;
  /** Geodesic distance. */
  dist<R = Matrix>(x: Input, y: Input, options?: CallOptions): Promise<R>;
  /** Riemannian gradient from the Euclidean gradient g (..., D) at x (..., D). */
  egrad2rgrad<R = Matrix>(x: Input, g: Input, options?: CallOptions): Promise<R>;
  /** Exponential map: where the geodesic from x (..., D) with velocity v (..., D) is at time one. */
  expmap<R = Matrix>(x: Input, v: Input, options?: CallOptions): Promise<R>;
  /** Exponential map at the origin, (..., D) -> (..., D). */
  expmap0<R = Matrix>(v: Input, options?: CallOptions): Promise<R>;
  /** Weighted Fréchet mean: the point with the least Σ w d(m, x)^2. */
  frechetMean<R = Matrix>(points: Input, weights: Input, options?: { tolerance?: number; maxIterations?: number } & CallOptions): Promise<R>;
  /** Riemannian inner product of tangent vectors u and v at x, (..., D) -> (...). */
  inner<R = Matrix>(x: Input, u: Input, v: Input, options?: CallOptions): Promise<R>;
  /** Conformal factor 2 / (1 + curvature |x|^2), (..., D) -> (...). */
  lambdaX<R = Matrix>(x: Input, options?: CallOptions): Promise<R>;
  /** Logarithm: the velocity at x (..., D) of the geodesic that reaches y (..., D) at time one. */
  logmap<R = Matrix>(x: Input, y: Input, options?: CallOptions): Promise<R>;
  /** Logarithm at the origin, (..., D) -> (..., D). */
  logmap0<R = Matrix>(y: Input, options?: CallOptions): Promise<R>;
  /** Weighted midpoint in closed form. */
  midpoint<R = Matrix>(points: Input, weights: Input, options?: CallOptions): Promise<R>;
  /** Möbius addition x (+) y, (..., D) and (..., D) -> (..., D). */
  mobiusAdd<R = Matrix>(x: Input, y: Input, options?: CallOptions): Promise<R>;
  /** Möbius scalar product: r times as far from the origin. */
  mobiusScalarMul<R = Matrix>(r: Input, x: Input, options?: CallOptions): Promise<R>;
  /** Riemannian length of the tangent vector v at x, (..., D) -> (...). */
  norm<R = Matrix>(x: Input, v: Input, options?: CallOptions): Promise<R>;
  /** The base point of `expmap0` and `logmap0`: (D,). */
  origin<R = Matrix>(dim: number, options?: CallOptions): Promise<R>;
  /** Distances of all pairs. */
  pairwise<R = Matrix>(x: Input, y: Input, options?: CallOptions): Promise<R>;
  /** Any vectors (..., D) moved onto the manifold; points on it stay. */
  project<R = Matrix>(x: Input, options?: CallOptions): Promise<R>;
  /** The part of v (..., D) that is tangent at x (..., D). */
  projectTangent<R = Matrix>(x: Input, v: Input, options?: CallOptions): Promise<R>;
  /** Random points (float64) around the origin. */
  random<R = Matrix>(rng: Input, shape: Input, options?: CallOptions): Promise<R>;
  /** ``{"type": "poincare", "curvature": ...}``. */
  toConfig<R = Record<string, unknown>>(options?: CallOptions): Promise<R>;
  /** Parallel transport of tangent vectors v (..., D) from x to y (..., D) along the geodesic. */
  transport<R = Matrix>(x: Input, y: Input, v: Input, options?: CallOptions): Promise<R>;
}
/** A product of manifolds: coordinates side by side, distance √Σ dᵢ². */
export interface Product extends Remote {
  readonly fields: Readonly<{ dim: number; [more: string]: unknown }>;
  /** Geodesic distance. */
  dist<R = Matrix>(x: Input, y: Input, options?: CallOptions): Promise<R>;
  /** Riemannian gradient from the Euclidean gradient g (..., D) at x (..., D). */
  egrad2rgrad<R = Matrix>(x: Input, g: Input, options?: CallOptions): Promise<R>;
  /** Exponential map: where the geodesic from x (..., D) with velocity v (..., D) is at time one. */
  expmap<R = Matrix>(x: Input, v: Input, options?: CallOptions): Promise<R>;
  /** Exponential map at the origin, (..., D) -> (..., D). */
  expmap0<R = Matrix>(v: Input, options?: CallOptions): Promise<R>;
  /** Weighted Fréchet mean: the point with the least Σ w d(m, x)^2. */
  frechetMean<R = Matrix>(points: Input, weights: Input, options?: { tolerance?: number; maxIterations?: number } & CallOptions): Promise<R>;
  /** Riemannian inner product of tangent vectors u and v at x, (..., D) -> (...). */
  inner<R = Matrix>(x: Input, u: Input, v: Input, options?: CallOptions): Promise<R>;
  /** Logarithm: the velocity at x (..., D) of the geodesic that reaches y (..., D) at time one. */
  logmap<R = Matrix>(x: Input, y: Input, options?: CallOptions): Promise<R>;
  /** Logarithm at the origin, (..., D) -> (..., D). */
  logmap0<R = Matrix>(y: Input, options?: CallOptions): Promise<R>;
  /** Weighted midpoint in closed form. */
  midpoint<R = Matrix>(points: Input, weights: Input, options?: CallOptions): Promise<R>;
  /** Riemannian length of the tangent vector v at x, (..., D) -> (...). */
  norm<R = Matrix>(x: Input, v: Input, options?: CallOptions): Promise<R>;
  /** The factors' origins. */
  origin<R = Matrix>(options?: { dim?: number | null } & CallOptions): Promise<R>;
  /** Distances of all pairs. */
  pairwise<R = Matrix>(x: Input, y: Input, options?: CallOptions): Promise<R>;
  /** Any vectors (..., D) moved onto the manifold; points on it stay. */
  project<R = Matrix>(x: Input, options?: CallOptions): Promise<R>;
  /** The part of v (..., D) that is tangent at x (..., D). */
  projectTangent<R = Matrix>(x: Input, v: Input, options?: CallOptions): Promise<R>;
  /** Random points of every factor (float64). */
  random<R = Matrix>(rng: Input, shape: Input, options?: CallOptions): Promise<R>;
  /** Views of the factors' coordinates: (..., D) -> [(..., D_1), ...]. */
  split<R = (Matrix)[]>(x: Input, options?: CallOptions): Promise<R>;
  /** ``{"type": "product", "factors": [[factor's config, coordinates], ...]}``. */
  toConfig<R = Record<string, unknown>>(options?: CallOptions): Promise<R>;
  /** Parallel transport of tangent vectors v (..., D) from x to y (..., D) along the geodesic. */
  transport<R = Matrix>(x: Input, y: Input, v: Input, options?: CallOptions): Promise<R>;
}
/** The sphere of radius 1/√curvature in R^D; its origin is (radius, 0, …). */
export interface Sphere extends Remote {
  readonly fields: Readonly<{ curvature: number; [more: string]: unknown }>;
  /** Geodesic distance. */
  dist<R = Matrix>(x: Input, y: Input, options?: CallOptions): Promise<R>;
  /** Riemannian gradient from the Euclidean gradient g (..., D) at x (..., D). */
  egrad2rgrad<R = Matrix>(x: Input, g: Input, options?: CallOptions): Promise<R>;
  /** Exponential map: where the geodesic from x (..., D) with velocity v (..., D) is at time one. */
  expmap<R = Matrix>(x: Input, v: Input, options?: CallOptions): Promise<R>;
  /** Exponential map at the origin, (..., D) -> (..., D). */
  expmap0<R = Matrix>(v: Input, options?: CallOptions): Promise<R>;
  /** Weighted Fréchet mean: the point with the least Σ w d(m, x)^2. */
  frechetMean<R = Matrix>(points: Input, weights: Input, options?: { tolerance?: number; maxIterations?: number } & CallOptions): Promise<R>;
  /** Riemannian inner product of tangent vectors u and v at x, (..., D) -> (...). */
  inner<R = Matrix>(x: Input, u: Input, v: Input, options?: CallOptions): Promise<R>;
  /** Logarithm: the velocity at x (..., D) of the geodesic that reaches y (..., D) at time one. */
  logmap<R = Matrix>(x: Input, y: Input, options?: CallOptions): Promise<R>;
  /** Logarithm at the origin, (..., D) -> (..., D). */
  logmap0<R = Matrix>(y: Input, options?: CallOptions): Promise<R>;
  /** Weighted midpoint in closed form. */
  midpoint<R = Matrix>(points: Input, weights: Input, options?: CallOptions): Promise<R>;
  /** Riemannian length of the tangent vector v at x, (..., D) -> (...). */
  norm<R = Matrix>(x: Input, v: Input, options?: CallOptions): Promise<R>;
  /** The point (radius, 0, …), of `dim` coordinates. */
  origin<R = Matrix>(dim: number, options?: CallOptions): Promise<R>;
  /** Distances of all pairs. */
  pairwise<R = Matrix>(x: Input, y: Input, options?: CallOptions): Promise<R>;
  /** Any vectors (..., D) moved onto the manifold; points on it stay. */
  project<R = Matrix>(x: Input, options?: CallOptions): Promise<R>;
  /** The part of v (..., D) that is tangent at x (..., D). */
  projectTangent<R = Matrix>(x: Input, v: Input, options?: CallOptions): Promise<R>;
  /** Uniformly distributed points (float64). */
  random<R = Matrix>(rng: Input, shape: Input, options?: CallOptions): Promise<R>;
  /** ``{"type": "sphere", "curvature": ...}``. */
  toConfig<R = Record<string, unknown>>(options?: CallOptions): Promise<R>;
  /** Parallel transport of tangent vectors v (..., D) from x to y (..., D) along the geodesic. */
  transport<R = Matrix>(x: Input, y: Input, v: Input, options?: CallOptions): Promise<R>;
}

/** Adam: steps scaled by running averages of the gradient and of its square, bias-corrected. */
export interface Adam extends Remote {
  readonly fields: Readonly<{ amsgrad: boolean; eps: number; weight_decay: number; [more: string]: unknown }>;
  /** The state before the first step. */
  init<R = Record<string, unknown>>(params: Input, options?: CallOptions): Promise<R>;
  /** One step. Nothing that is passed in is changed. */
  update<R = [Record<string, Matrix>, Record<string, unknown>]>(params: Input, grads: Input, state: Input, options?: CallOptions): Promise<R>;
}
/** Adam with decoupled weight decay: p ← (1 - lr·weight_decay)·p before the step. */
export interface AdamW extends Remote {
  readonly fields: Readonly<{ amsgrad: boolean; eps: number; weight_decay: number; [more: string]: unknown }>;
  /** The state before the first step. */
  init<R = Record<string, unknown>>(params: Input, options?: CallOptions): Promise<R>;
  /** One step. Nothing that is passed in is changed. */
  update<R = [Record<string, Matrix>, Record<string, unknown>]>(params: Input, grads: Input, state: Input, options?: CallOptions): Promise<R>;
}
/** Stages one after the other; after the last one its values stay. */
export interface CurriculumScheduler extends Remote {
  readonly fields: Readonly<{ mode: string; total_steps: number; [more: string]: unknown }>;
  /** Share of the samples, easiest first, that step `t` may use. */
  difficulty<R = number>(t: number, options?: CallOptions): Promise<R>;
  /** Samples that step `t` may use: the easiest share, at least one. */
  select<R = Matrix>(t: number, difficulties: Input, options?: CallOptions): Promise<R>;
  /** Number (from 0) of the stage that step `t` falls in. */
  stage<R = number>(t: number, options?: CallOptions): Promise<R>;
  /** Weight of each loss at step `t`. */
  weights<R = Record<string, number>>(t: number, options?: CallOptions): Promise<R>;
}
/** Combines the losses of several objectives, and their gradients, into one step. */
export interface LossBalancer extends Remote {
  readonly fields: Readonly<{ alpha: number; lr: number; method: string; [more: string]: unknown }>;
  /** One step's total loss and gradients. Nothing that is passed in is changed. */
  combine<R = [number, Record<string, Matrix>, Record<string, unknown>]>(losses: Input, gradients: Input, state: Input, options?: { rng?: Input } & CallOptions): Promise<R>;
  /** The state before the first step. */
  init<R = Record<string, unknown>>(names: Input, options?: CallOptions): Promise<R>;
}
/** Batches of nodes, each with its neighbours in a graph, or with a sample of them. */
export interface Neighborhoods extends Remote {
  /** The chosen nodes with their neighbours, in the graph's order. */
  batch<R = { nodes: Matrix; indptr: Matrix; neighbors: Matrix }>(index: Input, rng: number, options?: CallOptions): Promise<R>;
}
/** Batches of nodes: arrays (b,) of node indices. */
export interface Nodes extends Remote {
  /** The chosen nodes. */
  batch<R = Matrix>(index: Input, rng: number, options?: CallOptions): Promise<R>;
}
/** Batches of node pairs, each with nodes drawn uniformly from those its source is not paired with. */
export interface Pairs extends Remote {
  /** The chosen pairs, with fresh negatives. */
  batch<R = { source: Matrix; target: Matrix; negatives: Matrix }>(index: Input, rng: number, options?: CallOptions): Promise<R>;
  /** Whether each source (K,) is paired with, or the same as, the other node (K,). */
  contains<R = Matrix>(source: Input, other: Input, options?: CallOptions): Promise<R>;
}
/** RMSprop: gradients divided by the root of a running average of their squares. */
export interface RMSprop extends Remote {
  readonly fields: Readonly<{ alpha: number; centered: boolean; eps: number; momentum: number; weight_decay: number; [more: string]: unknown }>;
  /** The state before the first step. */
  init<R = Record<string, unknown>>(params: Input, options?: CallOptions): Promise<R>;
  /** One step. Nothing that is passed in is changed. */
  update<R = [Record<string, Matrix>, Record<string, unknown>]>(params: Input, grads: Input, state: Input, options?: CallOptions): Promise<R>;
}
/** Riemannian Adam: the second average is the squared Riemannian norm of the gradient, one number per point. */
export interface RiemannianAdam extends Remote {
  readonly fields: Readonly<{ amsgrad: boolean; eps: number; weight_decay: number; [more: string]: unknown }>;
  /** The state before the first step. */
  init<R = Record<string, unknown>>(params: Input, options?: CallOptions): Promise<R>;
  /** One step. Nothing that is passed in is changed. */
  update<R = [Record<string, Matrix>, Record<string, unknown>]>(params: Input, grads: Input, state: Input, options?: CallOptions): Promise<R>;
}
/** Riemannian stochastic gradient descent, with momentum (also Nesterov's). */
export interface RiemannianSGD extends Remote {
  readonly fields: Readonly<{ dampening: number; momentum: number; nesterov: boolean; weight_decay: number; [more: string]: unknown }>;
  /** The state before the first step. */
  init<R = Record<string, unknown>>(params: Input, options?: CallOptions): Promise<R>;
  /** One step. Nothing that is passed in is changed. */
  update<R = [Record<string, Matrix>, Record<string, unknown>]>(params: Input, grads: Input, state: Input, options?: CallOptions): Promise<R>;
}
/** Batches of rows of arrays that have the same number of them: tuples of arrays. */
export interface Rows extends Remote {
  /** The chosen rows of each array. */
  batch<R = (Matrix)[]>(index: Input, rng: number, options?: CallOptions): Promise<R>;
}
/** Stochastic gradient descent, with momentum (also Nesterov's). */
export interface SGD extends Remote {
  readonly fields: Readonly<{ dampening: number; momentum: number; nesterov: boolean; weight_decay: number; [more: string]: unknown }>;
  /** The state before the first step. */
  init<R = Record<string, unknown>>(params: Input, options?: CallOptions): Promise<R>;
  /** One step. Nothing that is passed in is changed. */
  update<R = [Record<string, Matrix>, Record<string, unknown>]>(params: Input, grads: Input, state: Input, options?: CallOptions): Promise<R>;
}
/** One stage of a curriculum. */
export interface Stage extends Remote {
  readonly fields: Readonly<{ difficulty: number; steps: number; [more: string]: unknown }>;
}

/** Schedules one after the other, each counting from 0 when its turn comes. */
export interface Chain extends Remote {
  /** The rate of step `t`, for where an object cannot be called. */
  at<R = number>(t: number, options?: CallOptions): Promise<R>;
}
/** The same rate at every step. */
export interface Constant extends Remote {
  readonly fields: Readonly<{ lr: number; [more: string]: unknown }>;
  /** The rate of step `t`, for where an object cannot be called. */
  at<R = number>(t: number, options?: CallOptions): Promise<R>;
}
/** Half a cosine from `lr` at step 0 down to `min_lr` at `total_steps`, and `min_lr` from there on. */
export interface Cosine extends Remote {
  readonly fields: Readonly<{ lr: number; min_lr: number; total_steps: number; [more: string]: unknown }>;
  /** The rate of step `t`, for where an object cannot be called. */
  at<R = number>(t: number, options?: CallOptions): Promise<R>;
}
/** The rate times `gamma` after every `step_size` steps. */
export interface Step extends Remote {
  readonly fields: Readonly<{ gamma: number; lr: number; step_size: number; [more: string]: unknown }>;
  /** The rate of step `t`, for where an object cannot be called. */
  at<R = number>(t: number, options?: CallOptions): Promise<R>;
}
/** Linear warm-up: lr·(t+1)/warmup_steps, then lr. */
export interface Warmup extends Remote {
  readonly fields: Readonly<{ lr: number; warmup_steps: number; [more: string]: unknown }>;
  /** The rate of step `t`, for where an object cannot be called. */
  at<R = number>(t: number, options?: CallOptions): Promise<R>;
}

/** Base of the codecs: a frozen object with the options, and the pair ``encode(x)`` / ``decode(c)``. */
export interface Codec extends Remote {
  /** The array again, each element within ``compressed.error_bound``. */
  decode<R = Matrix>(compressed: Input, options?: CallOptions): Promise<R>;
  /** Key and options as JSON types. */
  toConfig<R = Record<string, unknown>>(options?: CallOptions): Promise<R>;
}
/** An array in compressed form, with the codec that made it. */
export interface Compressed extends Remote {
  readonly fields: Readonly<{ error_bound: number; nbytes: number; ratio: number; [more: string]: unknown }>;
  /** The decoded array, by the codec that made it. */
  decode<R = Matrix>(options?: CallOptions): Promise<R>;
  /** The content of the file that `save` would write. */
  toBytes<R = Matrix<Uint8Array>>(options?: { format?: "npz" | "safetensors" } & CallOptions): Promise<R>;
}
/** Each node's row is encoded by the codec of its HNSW layer: fine for the few upper nodes, coarse below. */
export interface Hierarchical extends Remote {
  /** The array again, each element within ``compressed.error_bound``. */
  decode<R = Matrix>(compressed: Input, options?: CallOptions): Promise<R>;
  /** Encode the rows of a matrix by layer. */
  encode<R = Compressed>(x: Input, layers: Input, options?: CallOptions): Promise<R>;
  /** Key and options as JSON types. */
  toConfig<R = Record<string, unknown>>(options?: CallOptions): Promise<R>;
}
/** Truncated singular value decomposition, the best approximation of a given rank (Eckart-Young). */
export interface LowRank extends Remote {
  /** The array again, each element within ``compressed.error_bound``. */
  decode<R = Matrix>(compressed: Input, options?: CallOptions): Promise<R>;
  /** Decompose a matrix. */
  encode<R = Compressed>(x: Input, options?: CallOptions): Promise<R>;
  /** Key and options as JSON types. */
  toConfig<R = Record<string, unknown>>(options?: CallOptions): Promise<R>;
}
/** A compressed array of whole-number codes: ``x ≈ (codes − zero_point) · scale``. */
export interface QuantizedArray extends Remote {
  readonly fields: Readonly<{ error_bound: number; nbytes: number; ratio: number; [more: string]: unknown }>;
  /** The decoded array, by the codec that made it. */
  decode<R = Matrix>(options?: CallOptions): Promise<R>;
  /** The content of the file that `save` would write. */
  toBytes<R = Matrix<Uint8Array>>(options?: { format?: "npz" | "safetensors" } & CallOptions): Promise<R>;
}
/** Whole numbers of 8 or 4 bits with one scale per tensor, row or group; zero is kept exactly. */
export interface Quantizer extends Remote {
  readonly fields: Readonly<{ bits: number; symmetric: boolean; [more: string]: unknown }>;
  /** The array again, each element within ``compressed.error_bound``. */
  decode<R = Matrix>(compressed: Input, options?: CallOptions): Promise<R>;
  /** Quantise an array. */
  encode<R = QuantizedArray>(x: Input, options?: CallOptions): Promise<R>;
  /** Key and options as JSON types. */
  toConfig<R = Record<string, unknown>>(options?: CallOptions): Promise<R>;
}
/** Sparse rows: the largest entries of each row, the entries above a threshold, or all that are not zero. */
export interface SparseStorage extends Remote {
  /** The array again, each element within ``compressed.error_bound``. */
  decode<R = Matrix>(compressed: Input, options?: CallOptions): Promise<R>;
  /** Keep the entries that the options ask for. */
  encode<R = Compressed>(x: Input, options?: CallOptions): Promise<R>;
  /** Key and options as JSON types. */
  toConfig<R = Record<string, unknown>>(options?: CallOptions): Promise<R>;
}
/** Tucker decomposition of a three-way array: HOSVD, then higher-order orthogonal iteration. */
export interface Tucker extends Remote {
  /** The array again, each element within ``compressed.error_bound``. */
  decode<R = Matrix>(compressed: Input, options?: CallOptions): Promise<R>;
  /** Decompose a three-way array. */
  encode<R = Compressed>(x: Input, options?: CallOptions): Promise<R>;
  /** Key and options as JSON types. */
  toConfig<R = Record<string, unknown>>(options?: CallOptions): Promise<R>;
}

/** Public functions and classes by module. */
export interface Functions {
  "functional": {
  /** Positive random features whose dot products estimate exp(q·k/√D), up to the stabiliser. */
  favorFeatures<R = Matrix>(x: Input, projection: Input, options: { isQuery: boolean; eps?: number } & CallOptions): Promise<R>;
  /** Turn PyTorch's module masks (True = ignore) into ours (True = attend); float masks stay as they are. */
  fromTorchMask<R = Matrix>(mask: Input, options?: CallOptions): Promise<R>;
  /** Graph attention of queries over the keys that are their neighbours; a key is also its value. */
  gatAttention(query: Input, key: Input, parameters: Input, options: { edgeFeatures?: Input; variant?: string; concat?: boolean; negativeSlope?: number; attnMask?: Input; needWeights?: boolean } & CallOptions & { needWeights: true }): Promise<[Matrix, Matrix]>;
  gatAttention<R = Matrix>(query: Input, key: Input, parameters: Input, options?: { edgeFeatures?: Input; variant?: string; concat?: boolean; negativeSlope?: number; attnMask?: Input; needWeights?: boolean } & CallOptions): Promise<R>;
  /** An estimate of softmax attention in time linear in M and N, by positive random features. */
  linearAttention<R = Matrix>(query: Input, key: Input, value: Input, projection: Input, options?: { isCausal?: boolean; eps?: number } & CallOptions): Promise<R>;
  /** How unevenly experts are chosen: X · Σ_x f_x P_x, least (equal to k) when all are used alike. */
  loadBalanceLoss<R = Matrix>(logits: Input, k: number, options?: CallOptions): Promise<R>;
  /** Project, attend in H subspaces side by side, join, project: y = x @ w + b. */
  multiHeadAttention(query: Input, key: Input, value: Input, parameters: Input, options: { numHeads: number; attnMask?: Input; keyPaddingMask?: Input; needWeights?: boolean } & CallOptions & { needWeights: true }): Promise<[Matrix, Matrix]>;
  multiHeadAttention<R = Matrix>(query: Input, key: Input, value: Input, parameters: Input, options: { numHeads: number; attnMask?: Input; keyPaddingMask?: Input; needWeights?: boolean } & CallOptions): Promise<R>;
  /** Random directions for `favor_features`: orthogonal in blocks of D, each row distributed like a Gaussian vector. */
  orthogonalProjection<R = Matrix>(numFeatures: number, dim: number, options: { seed: number } & CallOptions): Promise<R>;
  /** softmax(query · keysᵀ / √D) · values, with keys that are read as INT8 and never decoded as a matrix. */
  quantizedAttention<R = Matrix>(query: Input, keysQ8: Input, values: Input, options?: CallOptions): Promise<R>;
  /** Rotate pairs of coordinates by position · base^(-2i/D); dot products then depend on differences of positions. */
  rotary<R = Matrix>(x: Input, positions: Input, options?: { base?: number; interleaved?: boolean } & CallOptions): Promise<R>;
  /** Attention weights softmax(scale · q·kᵀ) applied to the values: PyTorch's function of this name. */
  scaledDotProductAttention(query: Input, key: Input, value: Input, options: { attnMask?: Input; dropoutP?: number; isCausal?: boolean; scale?: number | null; enableGqa?: boolean; softcap?: number | null; scoreMod?: Input | null; rng?: number | null; returnWeights?: boolean; returnLse?: boolean } & CallOptions & { returnWeights: true; returnLse: true }): Promise<[Matrix, Matrix, Matrix]>;
  scaledDotProductAttention(query: Input, key: Input, value: Input, options: { attnMask?: Input; dropoutP?: number; isCausal?: boolean; scale?: number | null; enableGqa?: boolean; softcap?: number | null; scoreMod?: Input | null; rng?: number | null; returnWeights?: boolean; returnLse?: boolean } & CallOptions & { returnWeights: true }): Promise<[Matrix, Matrix]>;
  scaledDotProductAttention(query: Input, key: Input, value: Input, options: { attnMask?: Input; dropoutP?: number; isCausal?: boolean; scale?: number | null; enableGqa?: boolean; softcap?: number | null; scoreMod?: Input | null; rng?: number | null; returnWeights?: boolean; returnLse?: boolean } & CallOptions & { returnLse: true }): Promise<[Matrix, Matrix]>;
  scaledDotProductAttention<R = Matrix>(query: Input, key: Input, value: Input, options?: { attnMask?: Input; dropoutP?: number; isCausal?: boolean; scale?: number | null; enableGqa?: boolean; softcap?: number | null; scoreMod?: Input | null; rng?: number | null; returnWeights?: boolean; returnLse?: boolean } & CallOptions): Promise<R>;
  /** Softmax within each row of a CSR list: one distribution per node over its own edges. */
  segmentSoftmax<R = Matrix>(scores: Input, indptr: Input, options?: CallOptions): Promise<R>;
  /** Softmax along one axis: exp(x) / Σ exp(x), shifted by the maximum so that no logit overflows. */
  softmax<R = Matrix>(x: Input, options?: { axis?: number } & CallOptions): Promise<R>;
  /** The k experts with the highest logits and the softmax over those. */
  topKGating<R = [Matrix, Matrix]>(logits: Input, k: number, options?: CallOptions): Promise<R>;
  };
  "geometry": {
  /** Flat space R^D. */
  Euclidean<R = Euclidean>(options?: CallOptions): Promise<R>;
  /** Hyperbolic space as the upper sheet of −x₀² + x₁² + … = 1/curvature. */
  Lorentz<R = Lorentz>(options?: { curvature?: number } & CallOptions): Promise<R>;
  /** Hyperbolic space as a ball of radius 1/√−curvature. */
  Poincare<R = Poincare>(options?: { curvature?: number } & CallOptions): Promise<R>;
  /** A product of manifolds: coordinates side by side, distance √Σ dᵢ². */
  Product<R = Product>(factors: Input, options?: CallOptions): Promise<R>;
  /** The sphere of radius 1/√curvature in R^D; its origin is (radius, 0, …). */
  Sphere<R = Sphere>(options?: { curvature?: number } & CallOptions): Promise<R>;
  /** The manifold that ``to_config`` described. */
  fromConfig<R = Remote>(config: Input, options?: CallOptions): Promise<R>;
  };
  "training": {
  /** Adam: steps scaled by running averages of the gradient and of its square, bias-corrected. */
  Adam<R = Adam>(options?: { lr?: number | Input; betas?: Input; eps?: number; weightDecay?: number; amsgrad?: boolean; groups?: Input | null } & CallOptions): Promise<R>;
  /** Adam with decoupled weight decay: p ← (1 - lr·weight_decay)·p before the step. */
  AdamW<R = AdamW>(options?: { lr?: number | Input; betas?: Input; eps?: number; weightDecay?: number; amsgrad?: boolean; groups?: Input | null } & CallOptions): Promise<R>;
  /** Stages one after the other; after the last one its values stay. */
  CurriculumScheduler<R = CurriculumScheduler>(stages: Input, options?: { mode?: string } & CallOptions): Promise<R>;
  /** Combines the losses of several objectives, and their gradients, into one step. */
  LossBalancer<R = LossBalancer>(options?: { method?: string; weights?: Input | null; lr?: number; alpha?: number; shared?: Input | null } & CallOptions): Promise<R>;
  /** Batches of nodes, each with its neighbours in a graph, or with a sample of them. */
  Neighborhoods<R = Neighborhoods>(graph: Input, options?: { nodes?: Input; fanout?: Input } & CallOptions): Promise<R>;
  /** Batches of nodes: arrays (b,) of node indices. */
  Nodes<R = Nodes>(nodes: Input, options?: CallOptions): Promise<R>;
  /** Batches of node pairs, each with nodes drawn uniformly from those its source is not paired with. */
  Pairs<R = Pairs>(pairs: Input, numNodes: Input, options?: { numNegatives?: Input } & CallOptions): Promise<R>;
  /** RMSprop: gradients divided by the root of a running average of their squares. */
  RMSprop<R = RMSprop>(options?: { lr?: number | Input; alpha?: number; eps?: number; weightDecay?: number; momentum?: number; centered?: boolean; groups?: Input | null } & CallOptions): Promise<R>;
  /** Riemannian Adam: the second average is the squared Riemannian norm of the gradient, one number per point. */
  RiemannianAdam<R = RiemannianAdam>(options: { lr?: number | Input; betas?: Input; eps?: number; weightDecay?: number; amsgrad?: boolean; groups?: Input | null; manifold: Input } & CallOptions): Promise<R>;
  /** Riemannian stochastic gradient descent, with momentum (also Nesterov's). */
  RiemannianSGD<R = RiemannianSGD>(options: { lr?: number | Input; momentum?: number; dampening?: number; weightDecay?: number; nesterov?: boolean; groups?: Input | null; manifold: Input } & CallOptions): Promise<R>;
  /** Batches of rows of arrays that have the same number of them: tuples of arrays. */
  Rows<R = Rows>(...arrays: Input[]): Promise<R>;
  /** Stochastic gradient descent, with momentum (also Nesterov's). */
  SGD<R = SGD>(options?: { lr?: number | Input; momentum?: number; dampening?: number; weightDecay?: number; nesterov?: boolean; groups?: Input | null } & CallOptions): Promise<R>;
  /** One stage of a curriculum. */
  Stage<R = Stage>(steps: number, options?: { difficulty?: number; weights?: Input } & CallOptions): Promise<R>;
  /** Inner-product decoder of a graph autoencoder: x_i·x_j is the logit that i and j are joined. */
  adjacencyReconstruction(embeddings: Input, pairs: Input, labels: Input, options: { posWeight?: number; reduction?: string } & CallOptions & { reduction: "none" }): Promise<Matrix>;
  adjacencyReconstruction<R = number>(embeddings: Input, pairs: Input, labels: Input, options?: { posWeight?: number; reduction?: string } & CallOptions): Promise<R>;
  /** Scale all gradients together so that their global norm is at most `max_norm`. */
  clipByNorm<R = Record<string, Matrix>>(grads: Input, maxNorm: number, options?: CallOptions): Promise<R>;
  /** Clip every entry of every gradient to ±`max_value`. */
  clipByValue<R = Record<string, Matrix>>(grads: Input, maxValue: number, options?: CallOptions): Promise<R>;
  /** Cross-entropy of class logits, for node classification: -log softmax(logits)[target]. */
  crossEntropy(logits: Input, targets: Input, options: { index?: Input; labelSmoothing?: number; reduction?: string } & CallOptions & { reduction: "none" }): Promise<Matrix>;
  crossEntropy<R = number>(logits: Input, targets: Input, options?: { index?: Input; labelSmoothing?: number; reduction?: string } & CallOptions): Promise<R>;
  /** Euclidean norm of all gradients taken as one vector. */
  globalNorm<R = number>(grads: Input, options?: CallOptions): Promise<R>;
  /** Objective of a mechanism that attends over a whole graph, for `Trainer`. */
  graphObjective<R = unknown>(model: Input, graph: Input, queries: Input, loss: Input, options?: CallOptions): Promise<R>;
  /** InfoNCE: the anchor should pick each positive out of the negatives. */
  infoNce(anchor: Input, positives: Input, negatives: Input, options: { temperature?: number; normalize?: boolean; reduction?: string } & CallOptions & { reduction: "none" }): Promise<Matrix>;
  infoNce<R = number>(anchor: Input, positives: Input, negatives: Input, options?: { temperature?: number; normalize?: boolean; reduction?: string } & CallOptions): Promise<R>;
  /** Laplacian smoothness: joined nodes should have similar embeddings. */
  laplacian(embeddings: Input, edges: Input, options: { edgeWeights?: Input; reduction?: string } & CallOptions & { reduction: "none" }): Promise<Matrix>;
  laplacian<R = number>(embeddings: Input, edges: Input, options?: { edgeWeights?: Input; reduction?: string } & CallOptions): Promise<R>;
  /** Graph-local InfoNCE: a node should be nearer to its neighbours than to nodes it is not joined to. */
  localContrastive(node: Input, neighbors: Input, nonNeighbors: Input, options: { temperature?: number; neighborMask?: Input; nonNeighborMask?: Input; reduction?: string } & CallOptions & { reduction: "none" }): Promise<Matrix>;
  localContrastive<R = number>(node: Input, neighbors: Input, nonNeighbors: Input, options?: { temperature?: number; neighborMask?: Input; nonNeighborMask?: Input; reduction?: string } & CallOptions): Promise<R>;
  /** Norm penalty: every embedding should have a given norm, mean of (‖x‖ - target)². */
  normPenalty(embeddings: Input, options: { targetNorm?: Input; reduction?: string } & CallOptions & { reduction: "none" }): Promise<Matrix>;
  normPenalty<R = number>(embeddings: Input, options?: { targetNorm?: Input; reduction?: string } & CallOptions): Promise<R>;
  /** Orthogonality: columns should be orthonormal, ‖XᵀX - I‖²_F. */
  orthogonality(embeddings: Input, options: { reduction?: string } & CallOptions & { reduction: "none" }): Promise<Matrix>;
  orthogonality<R = number>(embeddings: Input, options?: { reduction?: string } & CallOptions): Promise<R>;
  /** Squared error of a reconstruction, element by element: (x - y)². */
  reconstruction(prediction: Input, target: Input, options: { index?: Input; reduction?: string } & CallOptions & { reduction: "none" }): Promise<Matrix>;
  reconstruction<R = number>(prediction: Input, target: Input, options?: { index?: Input; reduction?: string } & CallOptions): Promise<R>;
  /** Choose k hard negatives for an anchor; never a positive, never the same twice. */
  sampleHardNegatives<R = Matrix>(anchor: Input, embeddings: Input, positiveIndices: Input, k: number, options?: { strategy?: string; degrees?: Input; rng?: Input; manifold?: Input; mix?: number } & CallOptions): Promise<R>;
  /** Triplet loss: the positive should be nearer than the negative by a margin. */
  triplet(anchor: Input, positive: Input, negative: Input, options: { margin?: number; reduction?: string } & CallOptions & { reduction: "none" }): Promise<Matrix>;
  triplet<R = number>(anchor: Input, positive: Input, negative: Input, options?: { margin?: number; reduction?: string } & CallOptions): Promise<R>;
  };
  "training.schedules": {
  /** Schedules one after the other, each counting from 0 when its turn comes. */
  chain<R = Chain>(...parts: Input[]): Promise<R>;
  /** The same rate at every step. */
  constant<R = Constant>(lr: number, options?: CallOptions): Promise<R>;
  /** Half a cosine from `lr` at step 0 down to `min_lr` at `total_steps`, and `min_lr` from there on. */
  cosine<R = Cosine>(lr: number, totalSteps: number, options?: { minLr?: number } & CallOptions): Promise<R>;
  /** The rate times `gamma` after every `step_size` steps. */
  step<R = Step>(lr: number, stepSize: number, options?: { gamma?: number } & CallOptions): Promise<R>;
  /** Linear warm-up: lr·(t+1)/warmup_steps, then lr. */
  warmup<R = Warmup>(lr: number, warmupSteps: number, options?: CallOptions): Promise<R>;
  };
  "compression": {
  /** Base of the codecs: a frozen object with the options, and the pair ``encode(x)`` / ``decode(c)``. */
  Codec<R = Codec>(options?: CallOptions): Promise<R>;
  /** An array in compressed form, with the codec that made it. */
  Compressed<R = Compressed>(codec: Input, shape: Input, dtype: Input, arrays: Input, errorBound: number, options?: CallOptions): Promise<R>;
  /** Each node's row is encoded by the codec of its HNSW layer: fine for the few upper nodes, coarse below. */
  Hierarchical<R = Hierarchical>(codecs: Input, options?: CallOptions): Promise<R>;
  /** Truncated singular value decomposition, the best approximation of a given rank (Eckart-Young). */
  LowRank<R = LowRank>(options?: { rank?: number | null; energy?: number | null } & CallOptions): Promise<R>;
  /** A compressed array of whole-number codes: ``x ≈ (codes − zero_point) · scale``. */
  QuantizedArray<R = QuantizedArray>(codec: Input, shape: Input, dtype: Input, arrays: Input, errorBound: number, options?: CallOptions): Promise<R>;
  /** Whole numbers of 8 or 4 bits with one scale per tensor, row or group; zero is kept exactly. */
  Quantizer<R = Quantizer>(options?: { bits?: number; symmetric?: boolean; granularity?: "tensor" | "row" | "group"; groupSize?: number | null } & CallOptions): Promise<R>;
  /** Sparse rows: the largest entries of each row, the entries above a threshold, or all that are not zero. */
  SparseStorage<R = SparseStorage>(options?: { topK?: number | null; threshold?: number | null; format?: "csr" | "coo" } & CallOptions): Promise<R>;
  /** Tucker decomposition of a three-way array: HOSVD, then higher-order orthogonal iteration. */
  Tucker<R = Tucker>(ranks: Input, options?: CallOptions): Promise<R>;
  };
}

export const FUNCTIONS = {"functional": ["favorFeatures", "fromTorchMask", "gatAttention", "linearAttention", "loadBalanceLoss", "multiHeadAttention", "orthogonalProjection", "quantizedAttention", "rotary", "scaledDotProductAttention", "segmentSoftmax", "softmax", "topKGating"], "geometry": ["Euclidean", "Lorentz", "Poincare", "Product", "Sphere", "fromConfig"], "training": ["Adam", "AdamW", "CurriculumScheduler", "LossBalancer", "Neighborhoods", "Nodes", "Pairs", "RMSprop", "RiemannianAdam", "RiemannianSGD", "Rows", "SGD", "Stage", "adjacencyReconstruction", "clipByNorm", "clipByValue", "crossEntropy", "globalNorm", "graphObjective", "infoNce", "laplacian", "localContrastive", "normPenalty", "orthogonality", "reconstruction", "sampleHardNegatives", "triplet"], "training.schedules": ["chain", "constant", "cosine", "step", "warmup"], "compression": ["Codec", "Compressed", "Hierarchical", "LowRank", "QuantizedArray", "Quantizer", "SparseStorage", "Tucker"]};

export const SHORT_SCHEMAS = {
 "scaled_dot_product": {
  "description": "Attention by dot products: softmax(scale · q·k / temperature) over the keys, applied to the values.",
  "properties": {
   "dim": {
    "type": "integer",
    "minimum": 1,
    "maximum": 2147483647,
    "description": "width of queries and keys"
   },
   "seed": {
    "type": "integer",
    "minimum": 0,
    "default": 0,
    "description": "seed of the initial parameters"
   },
   "check_finite": {
    "type": "boolean",
    "default": true,
    "description": "refuse NaN and infinity in the inputs"
   },
   "temperature": {
    "type": "number",
    "exclusiveMinimum": 0.0,
    "default": 1.0,
    "description": "divides the scores; small values sharpen the weights"
   },
   "scale": {
    "type": [
     "number",
     "null"
    ],
    "default": null,
    "description": "factor of the dot products; null means 1/√dim"
   },
   "dropout": {
    "type": "number",
    "minimum": 0.0,
    "maximum": 1.0,
    "default": 0.0,
    "description": "probability of dropping a weight in training"
   },
   "normalize": {
    "type": "boolean",
    "default": false,
    "description": "scale queries and keys to length one first"
   }
  },
  "x-class": "ScaledDotProductAttention",
  "x-family": "core",
  "x-complexity": "O(M·N·D)",
  "x-needs": [],
  "x-uses": [],
  "x-value-width": "any"
 },
 "multi_head": {
  "description": "H attentions side by side in projected subspaces, joined and projected back.",
  "properties": {
   "dim": {
    "type": "integer",
    "minimum": 1,
    "maximum": 2147483647,
    "description": "width of queries and keys"
   },
   "seed": {
    "type": "integer",
    "minimum": 0,
    "default": 0,
    "description": "seed of the initial parameters"
   },
   "check_finite": {
    "type": "boolean",
    "default": true,
    "description": "refuse NaN and infinity in the inputs"
   },
   "num_heads": {
    "type": "integer",
    "minimum": 1,
    "default": 4,
    "description": "number of heads"
   },
   "head_dim": {
    "type": [
     "integer",
     "null"
    ],
    "minimum": 1,
    "default": null,
    "description": "width of a head; null means dim / num_heads"
   },
   "bias": {
    "type": "boolean",
    "default": true,
    "description": "whether the projections have biases"
   },
   "temperature": {
    "type": "number",
    "exclusiveMinimum": 0.0,
    "default": 1.0,
    "description": "divides the scores; small values sharpen the weights"
   },
   "dropout": {
    "type": "number",
    "minimum": 0.0,
    "maximum": 1.0,
    "default": 0.0,
    "description": "probability of dropping a weight in training"
   }
  },
  "x-class": "MultiHeadAttention",
  "x-family": "core",
  "x-complexity": "O((M+N)·D² + M·N·D)",
  "x-needs": [],
  "x-uses": [],
  "x-value-width": "dim"
 },
 "edge_featured": {
  "description": "Graph attention: an additive score of query, key and edge through a LeakyReLU.",
  "properties": {
   "dim": {
    "type": "integer",
    "minimum": 1,
    "maximum": 2147483647,
    "description": "width of queries and keys"
   },
   "seed": {
    "type": "integer",
    "minimum": 0,
    "default": 0,
    "description": "seed of the initial parameters"
   },
   "check_finite": {
    "type": "boolean",
    "default": true,
    "description": "refuse NaN and infinity in the inputs"
   },
   "edge_dim": {
    "type": "integer",
    "minimum": 0,
    "default": 0,
    "description": "width of the edge features; 0 means none"
   },
   "num_heads": {
    "type": "integer",
    "minimum": 1,
    "default": 4,
    "description": "number of heads"
   },
   "head_dim": {
    "type": [
     "integer",
     "null"
    ],
    "minimum": 1,
    "default": null,
    "description": "width of a head; null means dim / num_heads"
   },
   "variant": {
    "type": "string",
    "enum": [
     "gat",
     "gatv2"
    ],
    "default": "gat",
    "description": "where the nonlinearity stands"
   },
   "concat": {
    "type": "boolean",
    "default": true,
    "description": "join the heads; else average them"
   },
   "bias": {
    "type": "boolean",
    "default": true,
    "description": "whether the output has a bias"
   },
   "negative_slope": {
    "type": "number",
    "minimum": 0.0,
    "maximum": 1.0,
    "default": 0.2,
    "description": "slope of the LeakyReLU below zero"
   },
   "add_self_loops": {
    "type": "boolean",
    "default": false,
    "description": "whether each query also attends to itself"
   },
   "fill_value": {
    "type": [
     "string",
     "number"
    ],
    "default": "mean",
    "description": "edge features of an added loop: \"mean\" of the other edges or a number"
   },
   "dropout": {
    "type": "number",
    "minimum": 0.0,
    "maximum": 1.0,
    "default": 0.0,
    "description": "probability of dropping a weight in training"
   }
  },
  "x-class": "EdgeFeaturedAttention",
  "x-family": "geometric",
  "x-complexity": "O((M+N)·D² + M·N·H)",
  "x-needs": [],
  "x-uses": [
   "edge_features"
  ],
  "x-value-width": "dim"
 },
 "hyperbolic": {
  "description": "Attention in hyperbolic space: weights softmax(-d(q, k) / temperature), values averaged inside the ball.",
  "properties": {
   "dim": {
    "type": "integer",
    "minimum": 1,
    "maximum": 2147483647,
    "description": "width of queries and keys"
   },
   "seed": {
    "type": "integer",
    "minimum": 0,
    "default": 0,
    "description": "seed of the initial parameters"
   },
   "check_finite": {
    "type": "boolean",
    "default": true,
    "description": "refuse NaN and infinity in the inputs"
   },
   "curvature": {
    "type": "number",
    "exclusiveMaximum": 0.0,
    "default": -1.0,
    "description": "initial curvature of the ball"
   },
   "temperature": {
    "type": "number",
    "exclusiveMinimum": 0.0,
    "default": 1.0,
    "description": "initial temperature; small values sharpen the weights"
   },
   "aggregation": {
    "type": "string",
    "enum": [
     "midpoint",
     "tangent",
     "frechet"
    ],
    "default": "midpoint",
    "description": "how values are averaged"
   },
   "strict": {
    "type": "boolean",
    "default": false,
    "description": "refuse points on or outside the boundary"
   },
   "dropout": {
    "type": "number",
    "minimum": 0.0,
    "maximum": 1.0,
    "default": 0.0,
    "description": "probability of dropping a weight in training"
   }
  },
  "x-class": "HyperbolicAttention",
  "x-family": "geometric",
  "x-complexity": "O(M·N·D)",
  "x-needs": [],
  "x-uses": [],
  "x-value-width": "dim"
 },
 "mixed_curvature": {
  "description": "Attention in a product of flat, hyperbolic and spherical spaces with learnable shares.",
  "properties": {
   "dim": {
    "type": "integer",
    "minimum": 1,
    "maximum": 2147483647,
    "description": "width of queries and keys"
   },
   "seed": {
    "type": "integer",
    "minimum": 0,
    "default": 0,
    "description": "seed of the initial parameters"
   },
   "check_finite": {
    "type": "boolean",
    "default": true,
    "description": "refuse NaN and infinity in the inputs"
   },
   "spaces": {
    "type": [
     "array",
     "null"
    ],
    "items": {
     "type": "array",
     "minItems": 3,
     "maxItems": 3
    },
    "default": null,
    "description": "[name, coordinates, curvature] of each space; null means half flat, half a ball of curvature -1"
   },
   "temperature": {
    "type": "number",
    "exclusiveMinimum": 0.0,
    "default": 1.0,
    "description": "initial temperature; small values sharpen the weights"
   },
   "dropout": {
    "type": "number",
    "minimum": 0.0,
    "maximum": 1.0,
    "default": 0.0,
    "description": "probability of dropping a weight in training"
   }
  },
  "x-class": "MixedCurvatureAttention",
  "x-family": "geometric",
  "x-complexity": "O(M·N·D)",
  "x-needs": [],
  "x-uses": [],
  "x-value-width": "dim"
 },
 "manifold": {
  "description": "Attention by geodesic distance: weights softmax(-d(q, k) / temperature), values averaged intrinsically.",
  "properties": {
   "dim": {
    "type": "integer",
    "minimum": 1,
    "maximum": 2147483647,
    "description": "width of queries and keys"
   },
   "seed": {
    "type": "integer",
    "minimum": 0,
    "default": 0,
    "description": "seed of the initial parameters"
   },
   "check_finite": {
    "type": "boolean",
    "default": true,
    "description": "refuse NaN and infinity in the inputs"
   },
   "manifold": {
    "type": "object",
    "properties": {
     "type": {
      "type": "string"
     },
     "curvature": {
      "type": "number"
     }
    },
    "default": {
     "type": "euclidean"
    },
    "description": "the manifold, as {\"type\": \"poincare\", \"curvature\": -1} for example"
   },
   "temperature": {
    "type": "number",
    "exclusiveMinimum": 0.0,
    "default": 1.0,
    "description": "divides the distances; small values sharpen the weights"
   },
   "aggregation": {
    "type": "string",
    "enum": [
     "frechet",
     "midpoint"
    ],
    "default": "frechet",
    "description": "how values are averaged"
   },
   "dropout": {
    "type": "number",
    "minimum": 0.0,
    "maximum": 1.0,
    "default": 0.0,
    "description": "probability of dropping a weight in training"
   }
  },
  "x-class": "ManifoldAttention",
  "x-family": "geometric",
  "x-complexity": "O(M·N·D)",
  "x-needs": [],
  "x-uses": [],
  "x-value-width": "dim"
 },
 "local_global": {
  "description": "Dot-product attention that looks at few keys: those nearby and those that are global.",
  "properties": {
   "dim": {
    "type": "integer",
    "minimum": 1,
    "maximum": 2147483647,
    "description": "width of queries and keys"
   },
   "seed": {
    "type": "integer",
    "minimum": 0,
    "default": 0,
    "description": "seed of the initial parameters"
   },
   "check_finite": {
    "type": "boolean",
    "default": true,
    "description": "refuse NaN and infinity in the inputs"
   },
   "temperature": {
    "type": "number",
    "exclusiveMinimum": 0.0,
    "default": 1.0,
    "description": "divides the scores; small values sharpen the weights"
   },
   "scale": {
    "type": [
     "number",
     "null"
    ],
    "default": null,
    "description": "factor of the dot products; null means 1/√dim"
   },
   "dropout": {
    "type": "number",
    "minimum": 0.0,
    "maximum": 1.0,
    "default": 0.0,
    "description": "probability of dropping a weight in training"
   },
   "window": {
    "type": [
     "integer",
     "null"
    ],
    "minimum": 0,
    "default": 16,
    "description": "largest |i - j| that is seen; null sees all"
   },
   "global_nodes": {
    "type": [
     "array",
     "integer"
    ],
    "items": {
     "type": "integer",
     "minimum": 0
    },
    "minimum": 0,
    "default": [],
    "description": "positions of the keys that everyone sees, or how many of the first ones"
   }
  },
  "x-class": "LocalGlobalAttention",
  "x-family": "sparse",
  "x-complexity": "O(M·(k_local + k_global)·D)",
  "x-needs": [],
  "x-uses": [],
  "x-value-width": "any"
 },
 "linear": {
  "description": "An estimate of softmax attention in time linear in the number of keys (Performer, FAVOR+).",
  "properties": {
   "dim": {
    "type": "integer",
    "minimum": 1,
    "maximum": 2147483647,
    "description": "width of queries and keys"
   },
   "seed": {
    "type": "integer",
    "minimum": 0,
    "default": 0,
    "description": "seed of the initial parameters"
   },
   "check_finite": {
    "type": "boolean",
    "default": true,
    "description": "refuse NaN and infinity in the inputs"
   },
   "num_features": {
    "type": "integer",
    "minimum": 1,
    "default": 256,
    "description": "number of random features"
   },
   "redraw": {
    "type": "integer",
    "minimum": 0,
    "default": 0,
    "description": "number of the draw; another one gives other random directions"
   },
   "is_causal": {
    "type": "boolean",
    "default": false,
    "description": "query i sees key j iff j <= i"
   },
   "temperature": {
    "type": "number",
    "exclusiveMinimum": 0.0,
    "default": 1.0,
    "description": "divides the scores; small values sharpen the weights"
   },
   "dropout": {
    "type": "number",
    "minimum": 0.0,
    "maximum": 1.0,
    "default": 0.0,
    "description": "probability of dropping a weight in training"
   }
  },
  "x-class": "LinearAttention",
  "x-family": "sparse",
  "x-complexity": "O((M+N)·m·D)",
  "x-needs": [],
  "x-uses": [],
  "x-value-width": "any"
 },
 "flash": {
  "description": "Scaled dot-product attention in tiles: the same result, without the M×N matrix in memory.",
  "properties": {
   "dim": {
    "type": "integer",
    "minimum": 1,
    "maximum": 2147483647,
    "description": "width of queries and keys"
   },
   "seed": {
    "type": "integer",
    "minimum": 0,
    "default": 0,
    "description": "seed of the initial parameters"
   },
   "check_finite": {
    "type": "boolean",
    "default": true,
    "description": "refuse NaN and infinity in the inputs"
   },
   "temperature": {
    "type": "number",
    "exclusiveMinimum": 0.0,
    "default": 1.0,
    "description": "divides the scores; small values sharpen the weights"
   },
   "scale": {
    "type": [
     "number",
     "null"
    ],
    "default": null,
    "description": "factor of the dot products; null means 1/√dim"
   },
   "dropout": {
    "type": "number",
    "minimum": 0.0,
    "maximum": 1.0,
    "default": 0.0,
    "description": "probability of dropping a weight in training"
   },
   "is_causal": {
    "type": "boolean",
    "default": false,
    "description": "query i sees key j iff j <= i"
   },
   "block_size": {
    "type": "integer",
    "minimum": 1,
    "default": 128,
    "description": "rows and columns of a tile"
   }
  },
  "x-class": "FlashAttention",
  "x-family": "sparse",
  "x-complexity": "O(M·N·D) time, O(M) extra memory",
  "x-needs": [],
  "x-uses": [],
  "x-value-width": "any"
 },
 "graph_rope": {
  "description": "Dot-product attention whose keys are rotated by their distance from the query: score = scale · q·R(d_j)k_j.",
  "properties": {
   "dim": {
    "type": "integer",
    "minimum": 1,
    "maximum": 2147483647,
    "description": "width of queries and keys"
   },
   "seed": {
    "type": "integer",
    "minimum": 0,
    "default": 0,
    "description": "seed of the initial parameters"
   },
   "check_finite": {
    "type": "boolean",
    "default": true,
    "description": "refuse NaN and infinity in the inputs"
   },
   "temperature": {
    "type": "number",
    "exclusiveMinimum": 0.0,
    "default": 1.0,
    "description": "divides the scores; small values sharpen the weights"
   },
   "scale": {
    "type": [
     "number",
     "null"
    ],
    "default": null,
    "description": "factor of the dot products; null means 1/√dim"
   },
   "dropout": {
    "type": "number",
    "minimum": 0.0,
    "maximum": 1.0,
    "default": 0.0,
    "description": "probability of dropping a weight in training"
   },
   "base": {
    "type": "number",
    "exclusiveMinimum": 0.0,
    "default": 10000.0,
    "description": "ratio of the slowest to the fastest rotation"
   },
   "interleaved": {
    "type": "boolean",
    "default": true,
    "description": "coordinate pairs are (2i, 2i+1), else (i, i + D/2)"
   }
  },
  "x-class": "GraphRoPEAttention",
  "x-family": "graph",
  "x-complexity": "O(M·N·D)",
  "x-needs": [
   "distances"
  ],
  "x-uses": [],
  "x-value-width": "any"
 },
 "hnsw_aware": {
  "description": "Dot-product attention with a learnable word about the HNSW layers of query and keys.",
  "properties": {
   "dim": {
    "type": "integer",
    "minimum": 1,
    "maximum": 2147483647,
    "description": "width of queries and keys"
   },
   "seed": {
    "type": "integer",
    "minimum": 0,
    "default": 0,
    "description": "seed of the initial parameters"
   },
   "check_finite": {
    "type": "boolean",
    "default": true,
    "description": "refuse NaN and infinity in the inputs"
   },
   "temperature": {
    "type": "number",
    "exclusiveMinimum": 0.0,
    "default": 1.0,
    "description": "divides the scores; small values sharpen the weights"
   },
   "scale": {
    "type": [
     "number",
     "null"
    ],
    "default": null,
    "description": "factor of the dot products; null means 1/√dim"
   },
   "dropout": {
    "type": "number",
    "minimum": 0.0,
    "maximum": 1.0,
    "default": 0.0,
    "description": "probability of dropping a weight in training"
   },
   "encoding": {
    "type": "string",
    "enum": [
     "decay",
     "bias",
     "embedding"
    ],
    "default": "decay",
    "description": "how layers enter the scores"
   },
   "num_layers": {
    "type": "integer",
    "minimum": 1,
    "default": 16,
    "description": "number of layers of the learned tables"
   },
   "decay": {
    "type": "number",
    "default": 1.0,
    "description": "initial loss of score per layer between query and key"
   }
  },
  "x-class": "HNSWAwareAttention",
  "x-family": "graph",
  "x-complexity": "O(M·N·D)",
  "x-needs": [
   "hnsw_layers",
   "query_layer"
  ],
  "x-uses": [],
  "x-value-width": "any"
 },
 "cross_space": {
  "description": "Dual-space attention: over graph neighbours, over latent neighbours, and from the first to the second.",
  "properties": {
   "dim": {
    "type": "integer",
    "minimum": 1,
    "maximum": 2147483647,
    "description": "width of queries and keys"
   },
   "seed": {
    "type": "integer",
    "minimum": 0,
    "default": 0,
    "description": "seed of the initial parameters"
   },
   "check_finite": {
    "type": "boolean",
    "default": true,
    "description": "refuse NaN and infinity in the inputs"
   },
   "temperature": {
    "type": "number",
    "exclusiveMinimum": 0.0,
    "default": 1.0,
    "description": "divides the scores; small values sharpen the weights"
   },
   "scale": {
    "type": [
     "number",
     "null"
    ],
    "default": null,
    "description": "factor of the dot products; null means 1/√dim"
   },
   "dropout": {
    "type": "number",
    "minimum": 0.0,
    "maximum": 1.0,
    "default": 0.0,
    "description": "probability of dropping a weight in training"
   },
   "fusion": {
    "type": "string",
    "enum": [
     "concat",
     "gated",
     "mean"
    ],
    "default": "concat",
    "description": "how the three parts are joined"
   },
   "latent_neighbors": {
    "type": "integer",
    "minimum": 1,
    "default": 8,
    "description": "how many nearest nodes attend takes"
   }
  },
  "x-class": "CrossSpaceAttention",
  "x-family": "graph",
  "x-complexity": "O(M·(N + L)·D + M·D²)",
  "x-needs": [
   "latent_keys"
  ],
  "x-uses": [
   "latent_values"
  ],
  "x-value-width": "dim"
 },
 "structural": {
  "description": "Dot-product attention with structural features of query and keys, as biases and as features.",
  "properties": {
   "dim": {
    "type": "integer",
    "minimum": 1,
    "maximum": 2147483647,
    "description": "width of queries and keys"
   },
   "seed": {
    "type": "integer",
    "minimum": 0,
    "default": 0,
    "description": "seed of the initial parameters"
   },
   "check_finite": {
    "type": "boolean",
    "default": true,
    "description": "refuse NaN and infinity in the inputs"
   },
   "temperature": {
    "type": "number",
    "exclusiveMinimum": 0.0,
    "default": 1.0,
    "description": "divides the scores; small values sharpen the weights"
   },
   "scale": {
    "type": [
     "number",
     "null"
    ],
    "default": null,
    "description": "factor of the dot products; null means 1/√dim"
   },
   "dropout": {
    "type": "number",
    "minimum": 0.0,
    "maximum": 1.0,
    "default": 0.0,
    "description": "probability of dropping a weight in training"
   },
   "num_features": {
    "type": "integer",
    "minimum": 1,
    "default": 5,
    "description": "number of structural features"
   },
   "mode": {
    "type": "string",
    "enum": [
     "bias",
     "features",
     "both"
    ],
    "default": "both",
    "description": "how the features enter"
   }
  },
  "x-class": "StructuralAttention",
  "x-family": "graph",
  "x-complexity": "O(M·N·D)",
  "x-needs": [
   "structural_features"
  ],
  "x-uses": [
   "query_structural"
  ],
  "x-value-width": "any"
 },
 "moe": {
  "description": "A sparse mixture of attention mechanisms: output Σ weight · expert(query, keys, values) over the chosen experts.",
  "properties": {
   "dim": {
    "type": "integer",
    "minimum": 1,
    "maximum": 2147483647,
    "description": "width of queries and keys"
   },
   "seed": {
    "type": "integer",
    "minimum": 0,
    "default": 0,
    "description": "seed of the initial parameters"
   },
   "check_finite": {
    "type": "boolean",
    "default": true,
    "description": "refuse NaN and infinity in the inputs"
   },
   "experts": {
    "type": [
     "array",
     "null"
    ],
    "items": {
     "type": "object"
    },
    "default": null,
    "description": "configs of the mechanisms that are mixed; null means local, hierarchical, global and structural"
   },
   "top_k": {
    "type": "integer",
    "minimum": 1,
    "default": 2,
    "description": "how many experts answer a query"
   }
  },
  "x-class": "MoEAttention",
  "x-family": "adaptive",
  "x-complexity": "O(M·D·X) + top_k of the experts",
  "x-needs": [],
  "x-uses": [],
  "x-value-width": "dim"
 },
 "learned_routing": {
  "description": "Routes each query to mechanisms by a learned linear router.",
  "properties": {
   "dim": {
    "type": "integer",
    "minimum": 1,
    "maximum": 2147483647,
    "description": "width of queries and keys"
   },
   "seed": {
    "type": "integer",
    "minimum": 0,
    "default": 0,
    "description": "seed of the initial parameters"
   },
   "check_finite": {
    "type": "boolean",
    "default": true,
    "description": "refuse NaN and infinity in the inputs"
   },
   "mechanisms": {
    "type": [
     "array",
     "null"
    ],
    "items": {
     "type": "object"
    },
    "default": null,
    "description": "configs of the mechanisms to choose from; null means scaled_dot_product and hyperbolic"
   },
   "mode": {
    "type": "string",
    "enum": [
     "soft",
     "hard"
    ],
    "default": "soft",
    "description": "weigh all mechanisms or use the likeliest"
   },
   "router_temperature": {
    "type": "number",
    "exclusiveMinimum": 0.0,
    "default": 1.0,
    "description": "divides the router's logits"
   }
  },
  "x-class": "LearnedRoutingAttention",
  "x-family": "adaptive",
  "x-complexity": "O(M·D·X) + all mechanisms (soft) or one (hard)",
  "x-needs": [],
  "x-uses": [],
  "x-value-width": "dim"
 },
 "rl_navigator": {
  "description": "A policy over the neighbours of a node, given a query: the attention weights are the chances of going there.",
  "properties": {
   "dim": {
    "type": "integer",
    "minimum": 1,
    "maximum": 2147483647,
    "description": "width of queries and keys"
   },
   "seed": {
    "type": "integer",
    "minimum": 0,
    "default": 0,
    "description": "seed of the initial parameters"
   },
   "check_finite": {
    "type": "boolean",
    "default": true,
    "description": "refuse NaN and infinity in the inputs"
   },
   "rank": {
    "type": [
     "integer",
     "null"
    ],
    "minimum": 1,
    "default": null,
    "description": "width of the scores' products; null means dim"
   },
   "sharpness": {
    "type": "number",
    "exclusiveMinimum": 0.0,
    "default": 1.0,
    "description": "initial factor of the scores; small values explore"
   },
   "dropout": {
    "type": "number",
    "minimum": 0.0,
    "maximum": 1.0,
    "default": 0.0,
    "description": "probability of dropping a weight in training"
   }
  },
  "x-class": "RLNavigator",
  "x-family": "adaptive",
  "x-complexity": "O((M+N)·D·r + M·N·r)",
  "x-needs": [],
  "x-uses": [],
  "x-value-width": "any"
 },
 "dynamic_heads": {
  "description": "Multi-head attention with a gate per head and query: heads whose gate is low are switched off.",
  "properties": {
   "dim": {
    "type": "integer",
    "minimum": 1,
    "maximum": 2147483647,
    "description": "width of queries and keys"
   },
   "seed": {
    "type": "integer",
    "minimum": 0,
    "default": 0,
    "description": "seed of the initial parameters"
   },
   "check_finite": {
    "type": "boolean",
    "default": true,
    "description": "refuse NaN and infinity in the inputs"
   },
   "num_heads": {
    "type": "integer",
    "minimum": 1,
    "default": 4,
    "description": "number of heads"
   },
   "head_dim": {
    "type": [
     "integer",
     "null"
    ],
    "minimum": 1,
    "default": null,
    "description": "width of a head; null means dim / num_heads"
   },
   "bias": {
    "type": "boolean",
    "default": true,
    "description": "whether the projections have biases"
   },
   "temperature": {
    "type": "number",
    "exclusiveMinimum": 0.0,
    "default": 1.0,
    "description": "divides the scores; small values sharpen the weights"
   },
   "dropout": {
    "type": "number",
    "minimum": 0.0,
    "maximum": 1.0,
    "default": 0.0,
    "description": "probability of dropping a weight in training"
   },
   "threshold": {
    "type": "number",
    "minimum": 0.0,
    "maximum": 1.0,
    "default": 0.5,
    "description": "least gate of an active head"
   },
   "gate_temperature": {
    "type": "number",
    "exclusiveMinimum": 0.0,
    "default": 1.0,
    "description": "divides the logits of the gates"
   }
  },
  "x-class": "DynamicHeadAttention",
  "x-family": "adaptive",
  "x-complexity": "O((M+N)·D² + M·N·D)",
  "x-needs": [],
  "x-uses": [],
  "x-value-width": "dim"
 }
};
