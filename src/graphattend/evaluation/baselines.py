"""Baselines of the tasks, by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..graph import NeighborGraph, spectral_embedding
from ..registry import Registry
from ._runs import Settings, network
from .networks import GCNLayer, LinearNetwork, Network
from .tasks import Labels, Links, PairScores, Task, dot_product, undirected_pairs

#: Width of the spectral embedding that replaces missing features.
SPECTRAL = 16
#: ``baseline(task, x, settings)`` returns a network to train, a function that scores pairs, or None if not applicable.
Baseline = Callable[[Task, np.ndarray, Settings], Network | PairScores | None]
#: Baselines by their names in the results.
BASELINES: Registry[Baseline] = Registry("baseline")


def own_features(graph: NeighborGraph) -> np.ndarray:
    """Return the spectral embedding that replaces missing features."""
    wanted = min(SPECTRAL, graph.num_nodes - 1)
    return spectral_embedding(graph, wanted) if wanted else np.ones((graph.num_nodes, 1))


def scaled(x: np.ndarray) -> np.ndarray:
    """Return the features in float32, scaled so that the mean norm of a row is 1.

    The dot products that score links then start near 0 for any number of features F. Rows of norm √F would make the
    first scores large if F is large (bags of words), and training would fit the training links alone.
    """
    mean = float(np.sqrt(np.square(x, dtype=np.float64).sum(axis=1)).mean())
    return np.asarray(x / (mean or 1.0), np.float32)


def _neighbours(graph: NeighborGraph) -> list[np.ndarray]:
    both = undirected_pairs(graph)
    source, target = np.concatenate([both, both[::-1]], axis=1)
    order = np.lexsort((target, source))
    return np.split(target[order], np.cumsum(np.bincount(source, minlength=graph.num_nodes))[:-1])


def _common(graph: NeighborGraph, weight: np.ndarray) -> PairScores:
    """Return a function that scores pairs of nodes by the sum of the weights of their common neighbours."""
    sets = _neighbours(graph)

    def score(pairs: np.ndarray) -> np.ndarray:
        found = (np.intersect1d(sets[u], sets[v], assume_unique=True) for u, v in pairs.T)
        return np.array([weight[shared].sum() for shared in found])

    return score


@BASELINES.register("common_neighbors")
def common_neighbors(task: Task, x: np.ndarray, settings: Settings) -> PairScores | None:
    """Score pairs by the number of common neighbours: Liben-Nowell & Kleinberg 2007, table 1."""
    return _common(task.graph, np.ones(task.graph.num_nodes)) if isinstance(task, Links) else None


@BASELINES.register("adamic_adar")
def adamic_adar(task: Task, x: np.ndarray, settings: Settings) -> PairScores | None:
    """Score pairs by Σ 1 / log(degree) over their common neighbours: Adamic & Adar 2003."""
    if not isinstance(task, Links):
        return None
    degree = np.array([near.size for near in _neighbours(task.graph)])
    return _common(task.graph, 1 / np.log(np.maximum(degree, 2)))


@BASELINES.register("features")
def features(task: Task, x: np.ndarray, settings: Settings) -> Network | PairScores:
    """Use the features without the graph: cosine similarity for links, logistic regression for labels."""
    if isinstance(task, Labels):
        return LinearNetwork(x, task.out_dim)
    length = np.sqrt((x * x).sum(axis=1, keepdims=True))
    return dot_product(x / np.where(length > 0, length, 1))


@BASELINES.register("spectral")
def spectral(task: Task, x: np.ndarray, settings: Settings) -> Network | PairScores | None:
    """Use the spectral embedding of the graph in the same way, if the features are others."""
    own = scaled(own_features(task.graph))
    return None if np.array_equal(own, x) else features(task, own, settings)


@BASELINES.register("gcn")
def gcn(task: Task, x: np.ndarray, settings: Settings) -> Network:
    """Use graph convolutions instead of attention: Kipf & Welling 2017."""
    return network(GCNLayer(task.graph, settings.hidden), task, x, settings)


def applicable(task: Task, x: np.ndarray, settings: Settings) -> dict[str, Any]:
    """Return the baselines that apply to a task, by name."""
    made = {name: make(task, x, settings) for name, make in BASELINES.items()}
    return {name: found for name, found in made.items() if found is not None}
