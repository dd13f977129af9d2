"""Recommend a mechanism for a graph."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

from ._validate import as_bool, as_function, as_int
from .errors import InvalidConfigError
from .graph import NeighborGraph, delta_hyperbolicity, density
from .graph.properties import described
from .mechanisms import mechanism_class

#: From this number of nodes on, scoring all pairs costs too much.
MANY_NODES = 4096
#: From this number of nodes on, a graph gets global nodes that carry information across it.
HUGE_NODES = 100_000
#: Share of all possible edges from which almost every node is a neighbour of every other.
DENSE = 0.25
#: 2δ / diameter up to which a graph counts as tree-like (0 for a tree, 1 for a ring).
TREE_LIKE = 0.25
#: Mean clustering coefficient up to which a graph can be tree-like, and from which it has communities.
FEW_TRIANGLES, MANY_TRIANGLES = 0.1, 0.3
#: Maximum number of pairs of neighbours for which the clustering coefficient is computed.
MAX_WEDGES = 20_000_000
#: Maximum number of nodes for which centralities are worth their O(V·K) time.
MAX_CENTRALITY_NODES = 5000


@dataclasses.dataclass(frozen=True)
class Recommendation:
    """A mechanism for a graph; ``ga.create(key, dim, **options)`` creates it.

    Args:
        key: Registry key of the mechanism.
        options: Options that the graph determines and that differ from the defaults.
        reasons: Measurements and conclusions in words; the last one decided.

    Example:
        >>> import graphattend as ga
        >>> ga.Recommendation("linear", {}, ("4 000 000 nodes, no edges",)).key
        'linear'
    """

    key: str
    options: dict[str, Any]
    reasons: tuple[str, ...]


def recommend(
    graph: object,
    *,
    dim: int | None = None,
    measure: bool = False,
    on_progress: Callable[[int, int, str], Any] | None = None,
) -> Recommendation:
    """Choose a mechanism from the data and the structure of a graph. The choice is deterministic.

    The first property that holds decides: edge features (edge_featured), HNSW layers (hnsw_aware), edge lengths
    (graph_rope), similarity to a tree by δ-hyperbolicity and few triangles (hyperbolic), no edges or nearly all of them
    (scaled_dot_product; linear for many nodes), a huge number of nodes (local_global with the nodes of highest degree
    as global nodes), many triangles (structural), none of these (multi_head). The remaining properties are not
    measured.

    Args:
        graph: A `NeighborGraph`.
        dim: Width D of the mechanism, to choose a number of heads that divides it; the options for None fit every
            width.
        measure: Train every mechanism that applies, and recommend the one that best predicts held-out links of the
            graph (see `evaluate`); the reasons are then the measurements.
        on_progress: With `measure`, as for `evaluate`.

    Returns:
        Key, options and reasons.

    Raises:
        InvalidConfigError: Not a graph, or ``dim`` is not a whole number >= 1.

    Example:
        >>> import graphattend as ga
        >>> tree = ga.NeighborGraph.from_edge_index([[0, 0, 1, 1, 2, 2], [1, 2, 3, 4, 5, 6]], 7)
        >>> advice = ga.recommend(tree, dim=16)
        >>> advice.key, ga.create(advice.key, 16, **advice.options).curvature
        ('hyperbolic', -1.0)
        >>> advice.reasons[-1]
        'it is like a tree (δ = 0 at diameter 4, clustering 0.00): hyperbolic distances fit with little distortion'
    """
    if not isinstance(graph, NeighborGraph):
        raise InvalidConfigError.of("graph", "a NeighborGraph", type(graph).__name__)
    if dim is not None:
        dim = as_int(dim, "dim", minimum=1)
    as_function(on_progress, "on_progress")
    if as_bool(measure, "measure"):
        return _measured(graph, dim, on_progress)
    dense = density(graph)
    facts = f"{described(graph)}, density {dense:.2g}"
    triangles = _mean_clustering(graph)
    choice = _by_data(graph, dim) or _if_tree(graph, triangles) or _if_dense(graph, dense)
    key, options, reason = choice or _by_size(graph, triangles, dim)
    return Recommendation(key, options, (facts, reason))


#: Key, options and the reason in words.
Choice = tuple[str, dict[str, Any], str]


def _measured(
    graph: NeighborGraph, dim: int | None, on_progress: Callable[[int, int, str], Any] | None
) -> Recommendation:
    """Recommend the mechanism that best predicts held-out links after training; the reasons compare the next best."""
    from .evaluation import evaluate

    found = evaluate(graph, "links", hidden=dim or 32, on_progress=on_progress)
    rows = {row["mechanism"]: row for row in found.rows}
    best, baseline = rows[found.best], rows.get(found.best_baseline or "")
    metric, seeds = found.primary, len(found.settings["seeds"])

    def told(row: dict[str, Any]) -> str:
        return f"{row['mechanism']} reaches {metric} {row[metric][0]:.3f} ± {row[metric][1]:.3f}"

    others = sorted((r for r in found.rows if not r["baseline"] and r is not best), key=lambda r: -r[metric][0])
    reasons = [
        f"{described(graph)}; held-out links, {seeds} seeds",
        *(f"next: {told(row)}, p = {row['p_value']:.2f}" for row in others[:2] if row["p_value"] is not None),
    ]
    if baseline is not None:
        word = "a simple baseline is ahead" if baseline[metric][0] > best[metric][0] else "the best baseline"
        reasons.append(f"{word}: {told(baseline)}")
    reasons.append(f"{told(best)}, {1e3 * best['seconds_per_epoch']:.1f} ms an epoch")
    cls = mechanism_class(found.best)
    own = cls.options_from_graph(graph)
    options = {n: v for n, v in found[found.best].options.items() if n in own}
    return Recommendation(found.best, options, tuple(reasons))


def _heads(dim: int | None) -> int:
    """Return the largest number of heads, 8, 4, 2 or 1, that divides the width; 1 for None."""
    return 1 if dim is None else next(h for h in (8, 4, 2, 1) if dim % h == 0)


def _by_data(graph: NeighborGraph, dim: int | None) -> Choice | None:
    """Choose by the data of the graph: edge features, layers or distances."""
    features, layers = graph.edge_features, graph.layers
    if features is not None and graph.num_edges:
        width = features.shape[1]
        options = {"edge_dim": width, "num_heads": _heads(dim)}
        return "edge_featured", options, f"edges have {width} features, which its scores read"
    if layers is not None and layers.max() > 0:
        count = int(layers.max()) + 1
        return "hnsw_aware", {"num_layers": count}, f"nodes lie on {count} layers, which its scores read"
    if graph.distances is not None and graph.num_edges:
        return "graph_rope", {}, "edges have lengths, by which it rotates queries against keys"
    return None


def _if_tree(graph: NeighborGraph, triangles: float | None) -> Choice | None:
    """Choose hyperbolic attention if there are few triangles and the distances are those of a tree."""
    if triangles is None or triangles > FEW_TRIANGLES:
        return None
    found = delta_hyperbolicity(graph)
    if found.diameter < 2 or 2 * found.delta > TREE_LIKE * found.diameter:
        return None
    measured = f"δ = {found.delta:g} at diameter {found.diameter:g}, clustering {triangles:.2f}"
    return "hyperbolic", {}, f"it is like a tree ({measured}): hyperbolic distances fit with little distortion"


def _if_dense(graph: NeighborGraph, dense: float) -> Choice | None:
    """Choose attention to all nodes if there are no edges or nearly all."""
    if graph.num_edges and dense < DENSE:
        return None
    words = "almost every node is a neighbour of every other" if graph.num_edges else "without edges all nodes count"
    if graph.num_nodes > MANY_NODES:
        return "linear", {}, f"{words} and they are many: attention over all of them in linear time"
    return "scaled_dot_product", {}, f"{words} and they are few: exact attention is affordable"


def _by_size(graph: NeighborGraph, triangles: float | None, dim: int | None) -> Choice:
    """Choose for a sparse graph that is not like a tree."""
    if graph.num_nodes >= HUGE_NODES:
        hubs = np.argsort(-np.bincount(graph.indices, minlength=graph.num_nodes), kind="stable")[:8]
        return (
            "local_global",
            {"global_nodes": sorted(int(i) for i in hubs)},
            "it is huge: neighbours, and the eight best connected nodes as hubs that everyone sees",
        )
    if triangles is not None and triangles >= MANY_TRIANGLES and graph.num_nodes <= MAX_CENTRALITY_NODES:
        return "structural", {}, f"it has communities (clustering {triangles:.2f}): a node's place in it tells much"
    return "multi_head", {"num_heads": _heads(dim)}, "nothing about it is peculiar: heads learn what to look at"


def _mean_clustering(graph: NeighborGraph) -> float | None:
    """Return the mean clustering coefficient, or None if counting triangles would take too long."""
    degree = graph.degree() + np.bincount(graph.indices, minlength=graph.num_nodes)
    if float(np.square(degree.astype(np.float64)).sum()) > MAX_WEDGES:
        return None
    return float(graph.clustering().mean())
