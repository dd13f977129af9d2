// Written by tools/gen_types.py from the Python library; do not edit.
import type { Remote } from "./objects.js";
import type { CallOptions, Input, Matrix } from "./types.js";

/** Attention by dot products: softmax(scale · q·k / temperature) over the keys, applied to the values. */
export interface ScaledDotProductOptions {
  /** width of queries and keys (≥ 1). */
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
  /** width of queries and keys (≥ 1). */
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
  /** width of queries and keys (≥ 1). */
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

/** An estimate of softmax attention in time linear in the number of keys (Performer, FAVOR+). */
export interface LinearOptions {
  /** width of queries and keys (≥ 1). */
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
  /** width of queries and keys (≥ 1). */
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
  /** width of queries and keys (≥ 1). */
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
  /** width of queries and keys (≥ 1). */
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

/** Dot-product attention with structural features of query and keys, as biases and as features. */
export interface StructuralOptions {
  /** width of queries and keys (≥ 1). */
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

/** Options by mechanism. */
export interface MechanismOptions {
  scaled_dot_product: ScaledDotProductOptions;
  multi_head: MultiHeadOptions;
  edge_featured: EdgeFeaturedOptions;
  linear: LinearOptions;
  flash: FlashOptions;
  graph_rope: GraphRopeOptions;
  hnsw_aware: HnswAwareOptions;
  structural: StructuralOptions;
}

/** Metadata that a mechanism cannot do without. */
export interface MechanismNeeds {
  scaled_dot_product: never;
  multi_head: never;
  edge_featured: never;
  linear: never;
  flash: never;
  graph_rope: "distances";
  hnsw_aware: "hnswLayers" | "queryLayer";
  structural: "structuralFeatures";
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
  linear: {
  /** The same mechanism with the next draw of random directions. */
  redrawn<R = unknown>(options?: CallOptions): Promise<R>;
  };
  flash: unknown;
  graph_rope: {
  /** Rotate embeddings (..., D) by distances (...). */
  applyRotation<R = Matrix>(embedding: Input, distance: Input, options?: CallOptions): Promise<R>;
  };
  hnsw_aware: unknown;
  structural: unknown;
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
  /** Any vectors (..., D) moved onto the manifold; points on it stay. */
  project<R = Matrix>(x: Input, options?: CallOptions): Promise<R>;
  /** The part of v (..., D) that is tangent at x (..., D). */
  projectTangent<R = Matrix>(x: Input, v: Input, options?: CallOptions): Promise<R>;
  /** Random points (float64) around the origin. */
  random<R = Matrix>(rng: Input, shape: Input, options?: CallOptions): Promise<R>;
  /** ``{"type": "euclidean"}``. */
  toConfig<R = unknown>(options?: CallOptions): Promise<R>;
  /** Parallel transport of tangent vectors v (..., D) from x to y (..., D) along the geodesic. */
  transport<R = Matrix>(x: Input, y: Input, v: Input, options?: CallOptions): Promise<R>;
}
/** Derive from this for a manifold of your own: write ``dist``, ``expmap``, ``logmap``, gain the rest. */
export interface ManifoldBase extends Remote {
  /** Geodesic distance, (..., D) and (..., D) -> (...); by default the length of `logmap`. */
  dist<R = unknown>(x: Input, y: Input, options?: CallOptions): Promise<R>;
  /** Riemannian gradient from the Euclidean one; by default its tangent part. */
  egrad2rgrad<R = unknown>(x: Input, g: Input, options?: CallOptions): Promise<R>;
  /** Exponential map, (..., D); to be written. */
  expmap<R = unknown>(x: Input, v: Input, options?: CallOptions): Promise<R>;
  /** `expmap` at the origin. */
  expmap0<R = unknown>(v: Input, options?: CallOptions): Promise<R>;
  /** Weighted Fréchet mean by gradient steps, (..., N, D) and (..., N) -> (..., D); see `Manifold`. */
  frechetMean<R = unknown>(points: Input, weights: Input, options?: { tolerance?: number; maxIterations?: number } & CallOptions): Promise<R>;
  /** Riemannian inner product, (..., D) -> (...); Euclidean by default. */
  inner<R = unknown>(x: Input, u: Input, v: Input, options?: CallOptions): Promise<R>;
  /** Logarithm, (..., D); to be written. */
  logmap<R = unknown>(x: Input, y: Input, options?: CallOptions): Promise<R>;
  /** `logmap` at the origin. */
  logmap0<R = unknown>(y: Input, options?: CallOptions): Promise<R>;
  /** Weighted midpoint, (..., N, D) and (..., N) -> (..., D); by default the Fréchet mean. */
  midpoint<R = unknown>(points: Input, weights: Input, options?: CallOptions): Promise<R>;
  /** Riemannian length, (..., D) -> (...). */
  norm<R = unknown>(x: Input, v: Input, options?: CallOptions): Promise<R>;
  /** The base point of `expmap0` and `logmap0`: (D,). */
  origin<R = Matrix>(dim: number, options?: CallOptions): Promise<R>;
  /** The point as it is. */
  project<R = unknown>(x: Input, options?: CallOptions): Promise<R>;
  /** The vector as it is. */
  projectTangent<R = unknown>(x: Input, v: Input, options?: CallOptions): Promise<R>;
  /** Random points: `expmap0` of standard normal vectors; the last entry of `shape` is the point's length. */
  random<R = unknown>(rng: Input, shape: Input, options?: CallOptions): Promise<R>;
  /** Parallel transport; to be written where it is needed (Riemannian momentum). */
  transport<R = unknown>(x: Input, y: Input, v: Input, options?: CallOptions): Promise<R>;
}
/** Hyperbolic space as a ball of radius 1/√−curvature. */
export interface Poincare extends Remote {
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
  /** Any vectors (..., D) moved onto the manifold; points on it stay. */
  project<R = Matrix>(x: Input, options?: CallOptions): Promise<R>;
  /** The part of v (..., D) that is tangent at x (..., D). */
  projectTangent<R = Matrix>(x: Input, v: Input, options?: CallOptions): Promise<R>;
  /** Random points (float64) around the origin. */
  random<R = Matrix>(rng: Input, shape: Input, options?: CallOptions): Promise<R>;
  /** ``{"type": "poincare", "curvature": ...}``. */
  toConfig<R = unknown>(options?: CallOptions): Promise<R>;
  /** Parallel transport of tangent vectors v (..., D) from x to y (..., D) along the geodesic. */
  transport<R = Matrix>(x: Input, y: Input, v: Input, options?: CallOptions): Promise<R>;
}

/** Public functions and classes by module. */
export interface Functions {
  functional: {
  /** Positive random features whose dot products estimate exp(q·k/√D), up to the stabiliser. */
  favorFeatures<R = Matrix>(x: Input, projection: Input, options: { isQuery: boolean; eps?: number } & CallOptions): Promise<R>;
  /** Turn PyTorch's module masks (True = ignore) into ours (True = attend); float masks stay as they are. */
  fromTorchMask<R = Matrix>(mask: Input, options?: CallOptions): Promise<R>;
  /** An estimate of softmax attention in time linear in M and N, by positive random features. */
  linearAttention<R = Matrix>(query: Input, key: Input, value: Input, projection: Input, options?: { isCausal?: boolean; eps?: number } & CallOptions): Promise<R>;
  /** Project, attend in H subspaces side by side, join, project: y = x @ w + b. */
  multiHeadAttention<R = unknown>(query: Input, key: Input, value: Input, parameters: Input, options: { numHeads: number; attnMask?: Input; keyPaddingMask?: Input; needWeights?: boolean } & CallOptions): Promise<R>;
  /** Random directions for `favor_features`: orthogonal in blocks of D, each row distributed like a Gaussian vector. */
  orthogonalProjection<R = Matrix>(numFeatures: number, dim: number, options: { seed: number } & CallOptions): Promise<R>;
  /** Rotate pairs of coordinates by position · base^(-2i/D); dot products then depend on differences of positions. */
  rotary<R = Matrix>(x: Input, positions: Input, options?: { base?: number; interleaved?: boolean } & CallOptions): Promise<R>;
  /** Attention weights softmax(scale · q·kᵀ) applied to the values: PyTorch's function of this name. */
  scaledDotProductAttention<R = unknown>(query: Input, key: Input, value: Input, options?: { attnMask?: Input; dropoutP?: number; isCausal?: boolean; scale?: number | null; enableGqa?: boolean; softcap?: number | null; scoreMod?: Input | null; rng?: number | null; returnWeights?: boolean; returnLse?: boolean } & CallOptions): Promise<R>;
  /** Softmax within each row of a CSR list: one distribution per node over its own edges. */
  segmentSoftmax<R = Matrix>(scores: Input, indptr: Input, options?: CallOptions): Promise<R>;
  /** Softmax along one axis: exp(x) / Σ exp(x), shifted by the maximum so that no logit overflows. */
  softmax<R = Matrix>(x: Input, options?: { axis?: number } & CallOptions): Promise<R>;
  };
  geometry: {
  /** Flat space R^D. */
  Euclidean<R = Euclidean>(options?: CallOptions): Promise<R>;
  /** Derive from this for a manifold of your own: write ``dist``, ``expmap``, ``logmap``, gain the rest. */
  ManifoldBase<R = ManifoldBase>(options?: CallOptions): Promise<R>;
  /** Hyperbolic space as a ball of radius 1/√−curvature. */
  Poincare<R = Poincare>(options?: { curvature?: number } & CallOptions): Promise<R>;
  /** Attach `rule` to the function it differentiates, so that `ga.vjp` finds it. */
  differentiable<R = unknown>(rule: Input, options?: CallOptions): Promise<R>;
  };
  training: {
  };
  compression: {
  };
}

export const FUNCTIONS = {"functional": ["favorFeatures", "fromTorchMask", "linearAttention", "multiHeadAttention", "orthogonalProjection", "rotary", "scaledDotProductAttention", "segmentSoftmax", "softmax"], "geometry": ["Euclidean", "ManifoldBase", "Poincare", "differentiable"], "training": [], "compression": []};

export const SHORT_SCHEMAS = {
 "scaled_dot_product": {
  "description": "Attention by dot products: softmax(scale · q·k / temperature) over the keys, applied to the values.",
  "properties": {
   "dim": {
    "type": "integer",
    "minimum": 1,
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
  "x-key": "scaled_dot_product",
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
  "x-key": "multi_head",
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
  "x-key": "edge_featured",
  "x-class": "EdgeFeaturedAttention",
  "x-family": "geometric",
  "x-complexity": "O((M+N)·D² + M·N·H)",
  "x-needs": [],
  "x-uses": [
   "edge_features"
  ],
  "x-value-width": "dim"
 },
 "linear": {
  "description": "An estimate of softmax attention in time linear in the number of keys (Performer, FAVOR+).",
  "properties": {
   "dim": {
    "type": "integer",
    "minimum": 1,
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
  "x-key": "linear",
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
  "x-key": "flash",
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
  "x-key": "graph_rope",
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
  "x-key": "hnsw_aware",
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
 "structural": {
  "description": "Dot-product attention with structural features of query and keys, as biases and as features.",
  "properties": {
   "dim": {
    "type": "integer",
    "minimum": 1,
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
  "x-key": "structural",
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
 }
};
