"""Tasks: link prediction and node classification."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, NamedTuple

import numpy as np

from .._validate import as_array, as_index, as_number, check_length, check_nonempty, check_shape
from .._vjp import vjp
from ..errors import InvalidConfigError
from ..functional import softmax
from ..functional.gating import sigmoid
from ..graph import NeighborGraph
from ..training.batches import Nodes, Pairs
from ..training.supervised import adjacency_reconstruction, cross_entropy
from .metrics import accuracy, average_precision, hits_at, macro_f1, mean_reciprocal_rank, roc_auc

#: Shares of the links, or of the labelled nodes, for training, validation and test.
LINK_SHARES, LABEL_SHARES = (0.7, 0.1, 0.2), (0.6, 0.2, 0.2)
#: Number of negatives that a held-out link is ranked against; half of them two steps from its source, if possible.
RANKED = 50
#: Subtracted from the scores of links in the loss, so that a score of 0 means unlinked.
UNLINKED = 1.25
_PARTS = ("train", "validation", "test")

#: Maps pairs of nodes (2, K) to scores (K,).
PairScores = Callable[[np.ndarray], np.ndarray]


class LinkBatch(NamedTuple):
    """Links (2, K), and as many pairs of nodes without a link (2, K)."""

    pairs: np.ndarray
    unlinked: np.ndarray


class UnlinkedPairs:
    """All pairs of different nodes that are not linked in either direction, to draw from.

    Args:
        links: (2, K) linked nodes.
        num_nodes: Number of nodes.
    """

    def __init__(self, links: np.ndarray, num_nodes: int) -> None:
        own = np.arange(num_nodes, dtype=np.int64)
        both = np.concatenate([links, links[::-1], [own, own]], axis=1, dtype=np.int64)
        taken = np.unique(both[0] * num_nodes + both[1])
        self._count = num_nodes**2 - taken.size
        if not self._count:
            raise InvalidConfigError.of("graph", "two nodes without a link", "none")
        self._num_nodes, self._below = num_nodes, taken - np.arange(taken.size)

    def draw(self, count: int, rng: np.random.Generator) -> np.ndarray:
        """Draw pairs (2, count) uniformly, with replacement."""
        place = rng.integers(self._count, size=count)
        # `_below` counts the free pairs before each taken one, so this steps over all taken pairs before the place.
        code = place + np.searchsorted(self._below, place, side="right")
        return np.stack([code // self._num_nodes, code % self._num_nodes])


class TrainingLinks:
    """Batches of links, each with as many new unlinked pairs.

    Args:
        links: (2, K) linked nodes.
        num_nodes: Number of nodes.
    """

    def __init__(self, links: np.ndarray, num_nodes: int) -> None:
        self._links, self._unlinked = links, UnlinkedPairs(links, num_nodes)

    def __len__(self) -> int:
        return int(self._links.shape[1])

    def batch(self, index: np.ndarray, rng: np.random.Generator) -> LinkBatch:
        """Return the links at the positions `index` (B,)."""
        return LinkBatch(self._links[:, index], self._unlinked.draw(len(index), rng))


class Held(NamedTuple):
    """Held-out links (2, K), n nodes for each that are not linked with its source (K, n), and unlinked pairs (2, K)."""

    pairs: np.ndarray
    negatives: np.ndarray
    unlinked: np.ndarray


@dataclasses.dataclass(frozen=True)
class Links:
    """Link prediction: predict held-out links of a graph.

    A link is a pair of nodes regardless of direction. Its score is the dot product of the two nodes' outputs.
    """

    graph: NeighborGraph
    train: np.ndarray
    validation: Held
    test: Held

    primary: ClassVar[str] = "roc_auc"
    metrics: ClassVar[tuple[str, ...]] = ("roc_auc", "average_precision", "mrr", "hits@10")
    out_dim: ClassVar[int | None] = None
    dropout: ClassVar[float] = 0.0

    def data(self) -> TrainingLinks:
        """Return the training links; each epoch draws as many unlinked pairs."""
        return TrainingLinks(self.train, self.graph.num_nodes)

    def loss(self, output: np.ndarray, batch: LinkBatch) -> tuple[Any, Callable[..., Any]]:
        """Return the binary cross-entropy of the pairs' dot products, less `UNLINKED`, and its pullback."""
        pairs = np.concatenate(batch, axis=1)
        labels = np.repeat(np.array([1, 0], output.dtype), batch.pairs.shape[1])
        return vjp(adjacency_reconstruction, output, pairs, labels, bias=-UNLINKED)

    def validation_loss(self, output: np.ndarray) -> float:
        """Return the loss on the validation links and as many unlinked pairs."""
        return float(self.loss(output, LinkBatch(self.validation.pairs, self.validation.unlinked))[0])

    def measure(self, output: np.ndarray, part: str) -> dict[str, float]:
        """Return all metrics on a held-out part, from the nodes' outputs (V, E)."""
        return self.measure_scores(dot_product(output), part)

    def measure_scores(self, score: PairScores, part: str) -> dict[str, float]:
        """Return all metrics on a held-out part, from a function that scores pairs."""
        held: Held = getattr(self, part)
        count, ranked = held.negatives.shape
        positive = score(held.pairs).astype(np.float64)
        source = np.repeat(held.pairs[0], ranked)
        negative = score(np.stack([source, held.negatives.ravel()])).astype(np.float64).reshape(count, ranked)
        labels = np.repeat([1, 0], count)
        both = np.concatenate([positive, score(held.unlinked).astype(np.float64)])
        found: tuple[float, ...] = (roc_auc(labels, both), average_precision(labels, both))
        found += (mean_reciprocal_rank(positive, negative), hits_at(positive, negative, 10))
        return dict(zip(self.metrics, found, strict=True))

    def probabilities(self, output: np.ndarray, part: str) -> tuple[np.ndarray, np.ndarray]:
        """Return labels and predicted probabilities of a part's links and of as many unlinked pairs."""
        held: Held = getattr(self, part)
        scores = dot_product(output)(np.concatenate([held.pairs, held.unlinked], axis=1))
        return np.repeat([1, 0], held.pairs.shape[1]), sigmoid(scores.astype(np.float64) - UNLINKED)


def dot_product(output: np.ndarray) -> PairScores:
    """Return a function that scores pairs by the dot product of their nodes' vectors (V, E)."""
    return lambda pairs: np.einsum("kd,kd->k", output[pairs[0]], output[pairs[1]])


@dataclasses.dataclass(frozen=True)
class Labels:
    """Node classification: predict the classes of unlabelled nodes."""

    graph: NeighborGraph
    labels: np.ndarray
    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray

    primary: ClassVar[str] = "accuracy"
    metrics: ClassVar[tuple[str, ...]] = ("accuracy", "macro_f1")
    dropout: ClassVar[float] = 0.5

    @property
    def out_dim(self) -> int:
        """Number of classes."""
        return int(self.labels.max()) + 1

    def data(self) -> Nodes:
        """Return the training nodes."""
        return Nodes(self.train)

    def loss(self, output: np.ndarray, batch: np.ndarray) -> tuple[Any, Callable[..., Any]]:
        """Return the cross-entropy of the logits (V, C) on the batch, and its pullback."""
        return vjp(cross_entropy, output, np.maximum(self.labels, 0), index=batch)

    def validation_loss(self, output: np.ndarray) -> float:
        """Return the loss on the validation nodes."""
        return float(self.loss(output, self.validation)[0])

    def measure(self, output: np.ndarray, part: str) -> dict[str, float]:
        """Return all metrics on a part, from the logits (V, C)."""
        nodes = getattr(self, part)
        truth, predicted = self.labels[nodes], output[nodes].argmax(axis=1)
        return {"accuracy": accuracy(truth, predicted), "macro_f1": macro_f1(truth, predicted)}

    def probabilities(self, output: np.ndarray, part: str) -> tuple[np.ndarray, np.ndarray]:
        """Return for each node of a part whether the predicted class is correct, and its probability."""
        nodes = getattr(self, part)
        chances = softmax(output[nodes].astype(np.float64))
        return self.labels[nodes] == chances.argmax(axis=1), chances.max(axis=1)


Task = Links | Labels


def undirected_pairs(graph: NeighborGraph) -> np.ndarray:
    """Return every linked pair of different nodes once, (2, K), smaller index first, sorted."""
    low, high = np.minimum(graph.indices, graph.targets), np.maximum(graph.indices, graph.targets)
    code = np.unique(low[low != high].astype(np.int64) * graph.num_nodes + high[low != high])
    return np.stack([code // graph.num_nodes, code % graph.num_nodes])


def without_pairs(graph: NeighborGraph, pairs: np.ndarray) -> NeighborGraph:
    """Return the graph without the edges between these pairs of nodes, in either direction."""
    low, high = np.minimum(graph.indices, graph.targets), np.maximum(graph.indices, graph.targets)
    gone = np.isin(low.astype(np.int64) * graph.num_nodes + high, np.min(pairs, 0) * graph.num_nodes + np.max(pairs, 0))
    kept = np.flatnonzero(~gone)
    fields = ("edge_features", "edge_weights", "distances")
    chosen = {name: None if getattr(graph, name) is None else getattr(graph, name)[kept] for name in fields}
    indptr = np.concatenate([[0], np.cumsum(np.bincount(graph.targets[kept], minlength=graph.num_nodes))])
    return dataclasses.replace(graph, indptr=indptr, indices=graph.indices[kept], **chosen)


def links(graph: NeighborGraph, split: object, seed: int) -> Links:
    """Hold out links at random or as `split` specifies, and draw negatives for each."""
    rng = np.random.default_rng([seed, 1])
    every = undirected_pairs(graph)
    if every.shape[1] < 3:
        raise InvalidConfigError.of("graph", "at least three links", every.shape[1])
    if _names_parts(split):
        train, validation, test = (_pairs(part, name, graph.num_nodes) for name, part in _parts(split))
    else:
        order = rng.permutation(every.shape[1])
        train, validation, test = (every[:, i] for i in _cut(order, LINK_SHARES if split is None else split))
    both = np.concatenate([every, every[::-1]], axis=1)
    known = Pairs(both, graph.num_nodes)
    attended = without_pairs(graph, np.concatenate([validation, test], axis=1))
    held = [_held(_away_from_hubs(pairs, graph), graph, known, rng) for pairs in (validation, test)]
    return Links(attended, _away_from_hubs(train, graph), *held)


def _away_from_hubs(pairs: np.ndarray, graph: NeighborGraph) -> np.ndarray:
    """Put first in each pair a node that is not linked with all others, so that it has negatives."""
    full = np.bincount(undirected_pairs(graph).ravel(), minlength=graph.num_nodes) >= graph.num_nodes - 1
    turned = np.where(full[pairs[0]], pairs[::-1], pairs)
    if full[turned[0]].any():
        raise InvalidConfigError.of("graph", "nodes that are not linked with all others", int(full.sum()))
    return turned


def _held(pairs: np.ndarray, graph: NeighborGraph, known: Pairs, rng: np.random.Generator) -> Held:
    """Draw `RANKED` uniform negatives per link, and replace the second half by nodes two steps from the source."""
    count = pairs.shape[1]
    source = np.repeat(pairs[0], RANKED)
    sources = np.isin(known.pairs[0], pairs[0])  # other nodes may be linked with all others and have no negatives
    uniform = Pairs(known.pairs[:, sources], known.num_nodes, num_negatives=RANKED)
    order = np.argsort(uniform.pairs[0], kind="stable")
    first = order[np.searchsorted(uniform.pairs[0][order], pairs[0])]
    negatives = uniform.batch(first, rng).negatives
    near = _step(graph, _step(graph, source, rng), rng).reshape(count, RANKED)
    again = near.ravel()
    wrong = (again < 0) | (again == source) | known.contains(source, np.maximum(again, 0))
    half = np.arange(RANKED) >= RANKED // 2
    negatives = np.where(half & ~wrong.reshape(near.shape), near, negatives)
    return Held(pairs, negatives, UnlinkedPairs(known.pairs, known.num_nodes).draw(count, rng))


def _step(graph: NeighborGraph, nodes: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return a random neighbour of each node, or -1 if it has none."""
    degree = np.where(nodes < 0, 0, graph.degree()[nodes])
    place = graph.indptr[nodes] + (rng.random(nodes.size) * degree).astype(np.int64)
    return np.where(degree > 0, graph.indices[np.minimum(place, graph.num_edges - 1)], -1)


def labels(graph: NeighborGraph, given: object, split: object, seed: int) -> Labels:
    """Split the labelled nodes at random within each class, or as `split` specifies."""
    found = as_array(given, "labels")
    classes = np.unique(found, return_inverse=True)[1] if found.dtype.kind == "U" else as_index(found, "labels", ndim=1)
    check_shape(classes, "labels", (graph.num_nodes,))
    if classes.min() < -1:
        raise InvalidConfigError.of("labels", "classes, or -1 where none is known", int(classes.min()))
    if _names_parts(split):
        parts = [_nodes(part, name, graph.num_nodes) for name, part in _parts(split)]
        for (name, _), nodes in zip(_parts(split), parts, strict=True):
            if (classes[nodes] < 0).any():
                raise InvalidConfigError.of(f"split.{name}", "labelled nodes", f"{(classes[nodes] < 0).sum()} without")
        return Labels(graph, classes, *parts)
    rng = np.random.default_rng([seed, 1])
    shares = LABEL_SHARES if split is None else split
    cut = [_cut(rng.permutation(np.flatnonzero(classes == c)), shares) for c in np.unique(classes[classes >= 0])]
    if not cut:
        raise InvalidConfigError.of("labels", "a class for some nodes", "none")
    return Labels(graph, classes, *(np.sort(np.concatenate(part)) for part in zip(*cut, strict=True)))


def _cut(order: np.ndarray, shares: object) -> list[np.ndarray]:
    """Cut `order` into three parts with these shares, none empty if there are at least three entries."""
    if not isinstance(shares, (tuple, list)) or len(shares) != 3:
        raise InvalidConfigError.of("split", "three shares, or three parts", shares, got=f"{shares!r:.80}")
    train, validation, test = (as_number(s, f"split[{i}]", above=0) for i, s in enumerate(shares))
    total = train + validation + test
    held = [max(1, round(order.size * share / total)) for share in (validation, test)]
    if order.size < 3:
        return [order, order[:0], order[:0]]
    ends = [order.size - sum(held), order.size - held[1]]
    return np.split(order, ends)


def _names_parts(split: object) -> bool:
    """Return whether `split` gives the parts themselves rather than their shares."""
    if split is None:
        return False
    if isinstance(split, Mapping):
        return True
    return isinstance(split, (tuple, list)) and len(split) == 3 and all(np.ndim(part) for part in split)


def _parts(split: Any) -> list[tuple[str, Any]]:
    if isinstance(split, Mapping):
        if set(split) != set(_PARTS):
            raise InvalidConfigError.of("split", "train, validation and test", sorted(map(str, split)))
        return [(name, split[name]) for name in _PARTS]
    return list(zip(_PARTS, split, strict=True))


def _pairs(part: object, name: str, num_nodes: int) -> np.ndarray:
    found = as_index(part, f"split.{name}", num_nodes, ndim=2)
    check_length(found, f"split.{name}", 0, 2, "source over target")
    check_nonempty(found, f"split.{name}")
    return found


def _nodes(part: object, name: str, num_nodes: int) -> np.ndarray:
    found = as_array(part, f"split.{name}")
    if found.dtype == np.bool_:
        check_shape(found, f"split.{name}", (num_nodes,))
        found = np.flatnonzero(found)
    found = as_index(found, f"split.{name}", num_nodes, ndim=1)
    check_nonempty(found, f"split.{name}")
    return found
