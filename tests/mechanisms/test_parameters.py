"""The laws also hold for non-default options."""

import pytest

import graphattend as ga
from graphattend.testing import LAWS, check_mechanism

BALL, SPHERE, LORENTZ = ga.geometry.Poincare(-0.4), ga.geometry.Sphere(1.0), ga.geometry.Lorentz(-0.8)
SPACES = [("euclidean", 2, 0.0), ("poincare", 3, -0.7), ("sphere", 3, 1.3)]
TWO = [ga.create("scaled_dot_product", 8), ga.create("hyperbolic", 8, aggregation="tangent")]
EDGES = {"edge_dim": 3, "num_heads": 2}
CASES = [
    ("scaled_dot_product", {"temperature": 0.3, "scale": 0.7}),
    ("scaled_dot_product", {"normalize": True}),
    ("multi_head", {"num_heads": 1}),
    ("multi_head", {"num_heads": 3, "head_dim": 5, "bias": False, "temperature": 0.5}),
    ("multi_head", {"num_heads": 8, "head_dim": 1}),
    ("edge_featured", {**EDGES, "variant": "gatv2"}),
    ("edge_featured", {**EDGES, "concat": False, "bias": False}),
    ("edge_featured", {**EDGES, "variant": "gatv2", "concat": False, "head_dim": 3, "negative_slope": 0.0}),
    ("edge_featured", {"edge_dim": 0, "num_heads": 1}),
    ("edge_featured", {"edge_dim": 0, "variant": "gatv2", "num_heads": 4, "negative_slope": 1.0}),
    ("hyperbolic", {"aggregation": "tangent", "curvature": -0.3, "temperature": 0.5}),
    ("hyperbolic", {"aggregation": "frechet"}),
    ("hyperbolic", {"curvature": -0.1, "strict": True}),
    ("mixed_curvature", {"spaces": SPACES, "temperature": 0.4}),
    ("mixed_curvature", {"spaces": [("sphere", 3, 1.3), ("lorentz", 3, -1.0), ("euclidean", 2, 0.0)]}),
    ("mixed_curvature", {"spaces": [("euclidean", 4, 0.0), ("poincare", 4, -0.3)]}),
    ("manifold", {"manifold": SPHERE, "aggregation": "midpoint", "temperature": 0.3}),
    ("manifold", {"manifold": BALL, "aggregation": "frechet"}),
    ("manifold", {"manifold": LORENTZ, "aggregation": "midpoint"}),
    ("manifold", {"manifold": ga.geometry.Product([(SPHERE, 4), (ga.geometry.Euclidean(), 4)])}),
    ("local_global", {"window": 0, "global_nodes": 2}),
    ("local_global", {"window": 1}),
    ("local_global", {"window": None, "global_nodes": [1], "temperature": 0.5}),
    ("local_global", {"window": 3, "global_nodes": [0, 1, 2, 3, 4, 5, 6], "scale": 0.2}),
    ("linear", {"num_features": 5, "temperature": 2.0, "redraw": 3}),
    ("flash", {"block_size": 2, "temperature": 0.5}),
    ("flash", {"block_size": 1, "scale": 0.1}),
    ("graph_rope", {"base": 3.0, "interleaved": False, "temperature": 0.5}),
    ("hnsw_aware", {"encoding": "bias", "num_layers": 3}),
    ("hnsw_aware", {"encoding": "embedding", "num_layers": 5, "temperature": 0.5}),
    ("cross_space", {"fusion": "gated", "temperature": 0.5}),
    ("cross_space", {"fusion": "mean", "latent_neighbors": 2}),
    ("structural", {"mode": "bias"}),
    ("structural", {"mode": "features", "scale": 0.2}),
    ("moe", {"experts": TWO, "top_k": 1}),
    ("moe", {"experts": [ga.create("multi_head", 8), ga.create("local_global", 8, window=1)], "top_k": 2}),
    ("learned_routing", {"mechanisms": TWO, "router_temperature": 0.5}),
    ("dynamic_heads", {"threshold": 0.0}),
    ("dynamic_heads", {"threshold": 0.7, "gate_temperature": 0.5, "num_heads": 2, "bias": False}),
]
#: Laws in which a rearranged input may change a query's expert or set of heads.
WITHOUT = {"deterministic"}


@pytest.mark.parametrize(("key", "options"), CASES, ids=lambda x: x if isinstance(x, str) else ",".join(x))
def test_laws(key, options):
    attn = ga.create(key, 8, **options)
    laws = [law for law in LAWS if law not in WITHOUT and (law != "permutation" or not attn.rows_are_positions)]
    assert len(check_mechanism(attn, laws=laws)) >= 12


CAUSAL = [("flash", {"is_causal": True, "block_size": 2}), ("linear", {"is_causal": True, "num_features": 6})]


@pytest.mark.parametrize(("key", "options"), CAUSAL)
def test_causal(key, options):
    """Rows are positions, so laws about the order of keys and about graphs do not apply."""
    attn = ga.create(key, 8, **options)
    assert attn.rows_are_positions
    laws = [law for law in LAWS if law not in ("permutation", "attend_is_loop", "attend_gradients")]
    check_mechanism(attn, laws=[law for law in laws if law not in ("gradients", "weight_gradients")])
    with pytest.raises(ga.UnsupportedError, match="is_causal"):
        attn.attend(ga.NeighborGraph.from_edge_index([[0], [1]], 2), [[1.0] * 8] * 2)


def test_straight_through_is_not_the_derivative():
    """Hard routing satisfies all laws except those of gradients, which by design are those of soft routing."""
    attn = ga.create("learned_routing", 8, mode="hard", mechanisms=TWO)
    check_mechanism(attn, laws=[law for law in LAWS if "gradients" not in law])
