"""Properties of a whole graph: density, symmetry, hyperbolicity, components."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from .. import _validate as check
from ..errors import InvalidConfigError, UnsupportedError
from . import _csr
from .paths import batch_size, hop_counts

if TYPE_CHECKING:
    from .neighbor_graph import NeighborGraph

#: Largest dense result, in entries: 800 MB of float64.
MAX_DENSE = 10_000**2
# Largest number of nodes from which quadruples are drawn, and of edge visits of the searches.
_MAX_LANDMARKS = 200
_MAX_VISITS = 30_000_000


def as_graph(graph: object, argument: str = "graph") -> NeighborGraph:
    """Return the graph, or raise an error if it is not a `NeighborGraph`."""
    from .neighbor_graph import NeighborGraph

    if not isinstance(graph, NeighborGraph):
        raise InvalidConfigError.of(argument, "a NeighborGraph", type(graph).__name__)
    return graph


def check_dense(rows: int, columns: int, argument: str) -> None:
    """Raise an error if a dense result would have too many entries."""
    if rows * columns > MAX_DENSE:
        expected = f"at most {MAX_DENSE} entries"
        raise UnsupportedError(
            f"{argument}: a dense result of shape ({rows}, {columns}) is beyond {expected}",
            argument=argument,
            expected=expected,
            actual=rows * columns,
        )


def density(graph: NeighborGraph) -> float:
    """Fraction of the V (V - 1) possible edges that exist; loops and duplicates are ignored.

    Args:
        graph: The graph.

    Returns:
        A number from 0 to 1; 0 for a single node.

    Example:
        >>> from graphattend.graph import NeighborGraph, density
        >>> density(NeighborGraph.from_edge_index([[0, 1, 2], [1, 0, 2]], 3))
        0.3333333333333333
    """
    size = as_graph(graph).num_nodes
    _, indices = _csr.simple(graph.indptr, graph.indices)
    return len(indices) / (size * (size - 1)) if size > 1 else 0.0


def is_undirected(graph: NeighborGraph) -> bool:
    """Return whether every edge also exists in the other direction, equally often and with the same data.

    Args:
        graph: The graph.

    Returns:
        True for a graph that was built as undirected, and for a graph without edges.

    Example:
        >>> from graphattend.graph import NeighborGraph, is_undirected
        >>> is_undirected(NeighborGraph.from_edge_index([[0, 1, 2], [1, 0, 2]], 3))
        True
    """
    sources, targets = as_graph(graph).indices, graph.targets
    there = _csr.joined(targets, sources, graph.num_nodes)
    back = _csr.joined(sources, targets, graph.num_nodes)
    if not np.array_equal(np.sort(there), np.sort(back)):
        return False
    data = [a for a in (graph.edge_weights, graph.distances) if a is not None]
    data += [] if graph.edge_features is None else list(graph.edge_features.T)
    forth, other = (np.lexsort((*data, keys)) for keys in (there, back))
    return all(np.array_equal(a[forth], a[other]) for a in data)


def count_edges(graph: NeighborGraph, directed: bool | None = None) -> tuple[int, bool]:
    """Return the number of edges, with undirected edges counted once, and whether the edges are directed.

    Args:
        graph: The graph.
        directed: Whether an edge in both directions counts as two. None means False if all edges run both ways.
    """
    if directed is None:
        directed = not is_undirected(graph)
    loops = int(np.count_nonzero(graph.indices == graph.targets))
    return (graph.num_edges if directed else (graph.num_edges + loops) // 2), directed


def described(graph: NeighborGraph, directed: bool | None = None) -> str:
    """Return a text with the numbers of nodes and edges."""
    count, directed = count_edges(graph, directed)
    word = "" if count == 0 else ", directed" if directed else ", undirected"
    return f"{graph.num_nodes} nodes, {count} edges{word}"


class Hyperbolicity(NamedTuple):
    """Sampled hyperbolicity of a graph, in hops.

    Args:
        delta: The largest sampled defect, a lower bound of Gromov's δ. 0 for a tree.
        mean: The mean defect.
        diameter: The largest distance between the sampled nodes. δ / diameter ≤ 1/2 is comparable between graphs.

    Example:
        >>> from graphattend.graph import NeighborGraph, delta_hyperbolicity
        >>> path = NeighborGraph.from_edge_index([[0, 1, 2, 3], [1, 2, 3, 4]], 5)
        >>> delta_hyperbolicity(path).delta
        0.0
    """

    delta: float
    mean: float
    diameter: float


def delta_hyperbolicity(
    graph: NeighborGraph, *, samples: int = 10_000, rng: np.random.Generator | int | None = 0
) -> Hyperbolicity:
    """Estimate Gromov's δ by the four-point condition on random quadruples of the largest component.

    For nodes x, y, z, w the defect is half the difference between the two largest of d(x,y)+d(z,w), d(x,z)+d(y,w)
    and d(x,w)+d(y,z). Distances are hops; the directions of edges are ignored.

    Args:
        graph: The graph.
        samples: Number of quadruples.
        rng: A `numpy.random.Generator` or a seed.

    Returns:
        `Hyperbolicity`; all zero if no component has four nodes.

    Raises:
        InvalidConfigError: ``samples`` is not a whole number ≥ 1, or ``rng`` is neither a generator nor a seed.

    Source: Gromov (1987); Chami et al., "Hyperbolic Graph Convolutional Neural Networks" (2019), for its use.

    Example:
        >>> import numpy as np
        >>> from graphattend.graph import NeighborGraph, delta_hyperbolicity
        >>> ring = np.arange(8)
        >>> edges = np.stack([np.append(ring, (ring + 1) % 8), np.append((ring + 1) % 8, ring)])
        >>> delta_hyperbolicity(NeighborGraph.from_edge_index(edges, 8)).delta
        2.0
    """
    samples = check.as_int(samples, "samples", minimum=1, maximum=10_000_000)
    rng = check.as_rng(rng)
    size = as_graph(graph).num_nodes
    rows = graph.targets
    both_ways = [_csr.joined(rows, graph.indices, size), _csr.joined(graph.indices, rows, size)]
    rows, indices = _csr.parted(_csr.distinct(np.concatenate(both_ways)), size)
    indptr = _csr.indptr_of(rows, size)
    labels = components(size, rows, indices)
    nodes = np.flatnonzero(labels == np.bincount(labels).argmax())
    if len(nodes) < 4:
        return Hyperbolicity(0.0, 0.0, 0.0)
    count = min(len(nodes), _MAX_LANDMARKS, max(12, _MAX_VISITS // (size + len(indices))))
    landmarks = rng.choice(nodes, count, replace=False)
    step = batch_size(size, len(indices))
    parts = [landmarks[start : start + step] for start in range(0, count, step)]
    hops = np.concatenate([hop_counts(part, indptr, indices)[:, landmarks] for part in parts])
    delta = total = 0.0
    for start in range(0, samples, 1 << 18):
        draw = rng.random((min(samples - start, 1 << 18), 4)) * (count - np.arange(4))
        x, y, z, w = _distinct_columns(draw.astype(np.intp)).T
        sums = np.sort([hops[x, y] + hops[z, w], hops[x, z] + hops[y, w], hops[x, w] + hops[y, z]], axis=0)
        defect = (sums[2] - sums[1]) / 2
        delta, total = max(delta, float(defect.max())), total + float(defect.sum())
    return Hyperbolicity(delta, total / samples, float(hops.max()))


def _distinct_columns(draw: np.ndarray) -> np.ndarray:
    """Map each row of draws from 0 … n - 1, … n - 2, … n - 3 and … n - 4 to four different numbers below n."""
    for column in range(1, draw.shape[1]):
        taken = np.sort(draw[:, :column], axis=1)
        for k in range(column):
            draw[:, column] += draw[:, column] >= taken[:, k]
    return draw


def components(size: int, rows: np.ndarray, indices: np.ndarray) -> np.ndarray:
    """Return the smallest node of each node's component, (V,), for edges stored in both directions."""
    label = np.arange(size)
    while True:
        new = label.copy()
        np.minimum.at(new, rows, label[indices])
        # A label is a node of the same component: lower the label's own label too, then follow the chains of labels.
        np.minimum.at(new, label, new)
        while not np.array_equal(jumped := new[new], new):
            new = jumped
        if np.array_equal(new, label):
            return label
        label = new
