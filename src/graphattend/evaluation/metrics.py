"""Metrics of predictions, and measures of the difference between two attentions over the same graph."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .._validate import (
    ArrayLike,
    as_array,
    as_float,
    as_index,
    as_int,
    check_finite,
    check_ndim,
    check_nonempty,
    check_shape,
)
from ..errors import InvalidConfigError
from ..graph import NeighborGraph
from ..graph.properties import as_graph


def _scores(scores: ArrayLike, argument: str, ndim: int = 1) -> np.ndarray:
    s = as_float(scores, argument, beside=np.dtype(np.float64)).astype(np.float64)
    check_ndim(s, argument, ndim, ndim)
    check_nonempty(s, argument)
    check_finite(s, argument)
    return s


def _binary(labels: ArrayLike, scores: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    s = _scores(scores, "scores")
    y = as_array(labels, "labels")
    check_shape(y, "labels", s.shape)
    _check_zeros_and_ones(y)
    if y.all() or not y.any():
        raise InvalidConfigError.of("labels", "zeros and ones, some of each", np.unique(y).tolist())
    return y.astype(bool), s


def _check_zeros_and_ones(labels: np.ndarray) -> None:
    known = np.isin(labels, (0, 1))
    if not known.all():
        raise InvalidConfigError.of("labels", "zeros and ones", labels[~known][:5].tolist())


def roc_auc(labels: ArrayLike, scores: ArrayLike) -> float:
    """Area under the ROC curve: the probability that a positive scores above a negative; a tie counts one half.

    Args:
        labels: (K,) zeros and ones.
        scores: (K,).

    Returns:
        A number in 0 … 1; chance level is 0.5.

    Raises:
        InvalidConfigError: A label is not 0 or 1, or all labels are equal.

    Source:
        Fawcett 2006, "An introduction to ROC analysis".

    Example:
        >>> from graphattend.evaluation import roc_auc
        >>> roc_auc([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])
        0.75
    """
    y, s = _binary(labels, scores)
    values, place = np.unique(s, return_inverse=True)
    count = np.bincount(place, minlength=values.size)
    rank = (np.cumsum(count) - (count - 1) / 2)[place]
    positive = int(y.sum())
    return float((rank[y].sum() - positive * (positive + 1) / 2) / (positive * (y.size - positive)))


def average_precision(labels: ArrayLike, scores: ArrayLike) -> float:
    """Average precision Σ (R_n - R_{n-1}) P_n over the distinct scores in decreasing order.

    Args:
        labels: (K,) zeros and ones.
        scores: (K,).

    Returns:
        A number in 0 … 1; chance level is the share of positives.

    Raises:
        InvalidConfigError: A label is not 0 or 1, or all labels are equal.

    Source:
        Zhu 2004, "Recall, precision and average precision".

    Example:
        >>> from graphattend.evaluation import average_precision
        >>> round(average_precision([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8]), 4)
        0.8333
    """
    y, s = _binary(labels, scores)
    order = np.argsort(-s, kind="stable")
    last = np.flatnonzero(np.append(np.diff(s[order]) != 0, True))
    hits = np.cumsum(y[order])[last]
    return float((np.diff(hits, prepend=0) * hits / (last + 1)).sum() / y.sum())


def _ranks(positive: ArrayLike, negatives: ArrayLike) -> np.ndarray:
    p, n = _scores(positive, "positive"), _scores(negatives, "negatives", 2)
    check_shape(n, "negatives", (p.size, n.shape[1]))
    return np.asarray(1 + (n > p[:, None]).sum(axis=1) + (n == p[:, None]).sum(axis=1) / 2)


def mean_reciprocal_rank(positive: ArrayLike, negatives: ArrayLike) -> float:
    """Mean of 1 / rank of each positive among its own negatives; a tie counts one half.

    Args:
        positive: (K,) scores of the positives.
        negatives: (K, n) scores of the negatives of each positive.

    Returns:
        A number above 0, at most 1.

    Source:
        Voorhees 1999, "The TREC-8 question answering track report".

    Example:
        >>> from graphattend.evaluation import mean_reciprocal_rank
        >>> mean_reciprocal_rank([2.0, 1.0], [[1.0, 0.0], [3.0, 0.0]])
        0.75
    """
    return float((1 / _ranks(positive, negatives)).mean())


def hits_at(positive: ArrayLike, negatives: ArrayLike, k: int = 10) -> float:
    """Share of the positives that rank among the first k when sorted with their own negatives.

    Args:
        positive: (K,) scores of the positives.
        negatives: (K, n) scores of the negatives of each positive.
        k: Number of ranks that count.

    Returns:
        A number in 0 … 1.

    Source:
        Bordes et al. 2013, "Translating Embeddings for Modeling Multi-relational Data".

    Example:
        >>> from graphattend.evaluation import hits_at
        >>> hits_at([2.0, 1.0], [[1.0, 0.0], [3.0, 0.0]], 1)
        0.5
    """
    return float((_ranks(positive, negatives) <= as_int(k, "k", minimum=1, maximum=1 << 53)).mean())


def _classes(labels: ArrayLike, predicted: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    most = np.iinfo(np.int64).max
    y, p = as_index(labels, "labels", most, ndim=1), as_index(predicted, "predicted", most, ndim=1)
    check_nonempty(y, "labels")
    check_shape(p, "predicted", y.shape)
    return y, p


def accuracy(labels: ArrayLike, predicted: ArrayLike) -> float:
    """Share of correct predictions.

    Args:
        labels: (K,) classes.
        predicted: (K,) classes.

    Returns:
        A number in 0 … 1.

    Example:
        >>> from graphattend.evaluation import accuracy
        >>> accuracy([0, 1, 1, 2], [0, 1, 2, 2])
        0.75
    """
    y, p = _classes(labels, predicted)
    return float((y == p).mean())


def macro_f1(labels: ArrayLike, predicted: ArrayLike) -> float:
    """F1 = 2 TP / (2 TP + FP + FN) of each class, averaged over the classes that occur in either argument.

    Args:
        labels: (K,) classes.
        predicted: (K,) classes.

    Returns:
        A number in 0 … 1.

    Source:
        van Rijsbergen 1979, "Information Retrieval".

    Example:
        >>> from graphattend.evaluation import macro_f1
        >>> round(macro_f1([0, 1, 1, 2], [0, 1, 2, 2]), 4)
        0.7778
    """
    y, p = _classes(labels, predicted)
    own = [2 * ((y == c) & (p == c)).sum() / ((y == c).sum() + (p == c).sum()) for c in np.union1d(y, p)]
    return float(np.mean(own))


def calibration(labels: ArrayLike, probabilities: ArrayLike, bins: int = 10) -> np.ndarray:
    """Compare predicted probabilities with observed frequencies, in intervals of equal width.

    Args:
        labels: (K,) true labels, zeros and ones.
        probabilities: (K,) predicted probabilities of the label 1.
        bins: Number B of intervals.

    Returns:
        (B, 3): for each interval the number of predictions, their mean probability, and the share of ones among their
        labels; zeros if the interval is empty. The last two are equal for a calibrated predictor.

    Raises:
        InvalidConfigError: A label is not 0 or 1, or a probability is outside 0 … 1.

    Source:
        Niculescu-Mizil & Caruana 2005, "Predicting good probabilities with supervised learning".

    Example:
        >>> from graphattend.evaluation import calibration
        >>> calibration([0, 0, 1, 1], [0.25, 0.25, 0.25, 1.0], bins=2).tolist()
        [[3.0, 0.25, 0.3333333333333333], [1.0, 1.0, 1.0]]
    """
    p = _scores(probabilities, "probabilities")
    y = as_array(labels, "labels")
    check_shape(y, "labels", p.shape)
    _check_zeros_and_ones(y)
    if p.min() < 0 or p.max() > 1:
        raise InvalidConfigError.of("probabilities", "numbers in 0 … 1", [float(p.min()), float(p.max())])
    bins = as_int(bins, "bins", minimum=1, maximum=1_000_000)
    place = np.minimum((p * bins).astype(np.intp), bins - 1)
    sums = np.stack([np.bincount(place, weights, bins) for weights in (np.ones(p.size), p, y.astype(np.float64))], 1)
    sums[:, 1:] /= np.maximum(sums[:, :1], 1)
    return sums


def sign_flip_test(differences: ArrayLike, *, samples: int = 10_000, seed: int = 0) -> float:
    """Two-sided p-value of paired differences: the share of sign patterns whose mean is at least as large in magnitude.

    For up to 13 differences all 2^N sign patterns are tried, so the value is exact; for 3 pairs it is at least 0.25.

    Args:
        differences: (N,) one difference per pair.
        samples: Number of random sign patterns if N is above 13.
        seed: Seed of the random sign patterns.

    Returns:
        A number above 0, at most 1.

    Source:
        Fisher 1935, "The Design of Experiments", section 21.

    Example:
        >>> from graphattend.evaluation import sign_flip_test
        >>> sign_flip_test([1.0, 2.0, 3.0])
        0.25
    """
    d = _scores(differences, "differences")
    seed, samples = as_int(seed, "seed", minimum=0), as_int(samples, "samples", minimum=1, maximum=100_000_000)
    if d.size <= 13:
        signs = 1 - 2 * (np.arange(2**d.size)[:, None] >> np.arange(d.size) & 1)
    else:
        random = np.random.default_rng(seed)
        signs = 1 - 2 * random.integers(0, 2, (samples, d.size))
        signs[0] = 1  # the observed signs are one of the possible patterns
    sums = np.abs(signs @ d)
    return float((sums >= np.abs(d.sum()) * (1 - 1e-12)).mean())


def _attentions(graph: NeighborGraph, *weights: ArrayLike) -> list[np.ndarray]:
    found = [_scores(w, name) for w, name in zip(weights, ("first", "second"), strict=False)]
    for w, name in zip(found, ("first", "second"), strict=False):
        check_shape(w, name, (as_graph(graph).num_edges,))
        if (w < 0).any():
            raise InvalidConfigError.of(name, "weights >= 0", float(w.min()))
    return found


def jensen_shannon(graph: NeighborGraph, first: ArrayLike, second: ArrayLike) -> float:
    """Jensen–Shannon divergence of two attentions, averaged over the nodes that have neighbours.

    Args:
        graph: A `NeighborGraph`.
        first: (K,) one weight per edge; the weights of a node sum to 1.
        second: (K,) likewise.

    Returns:
        A number of bits: 0 if the attentions are equal, 1 if no node attends to the same neighbour under both.

    Source:
        Lin 1991, "Divergence measures based on the Shannon entropy".

    Example:
        >>> import graphattend as ga
        >>> from graphattend.evaluation import jensen_shannon
        >>> star = ga.NeighborGraph.from_edge_index([[1, 2], [0, 0]], 3)
        >>> jensen_shannon(star, [1.0, 0.0], [0.0, 1.0])
        1.0
    """
    by_node = divergence_by_node(graph, _attentions(graph, first, second))
    return float(by_node.sum() / max(int((graph.degree() > 0).sum()), 1))


def divergence_by_node(graph: NeighborGraph, attentions: Sequence[np.ndarray]) -> np.ndarray:
    """Return the Jensen–Shannon divergence of R attentions (K,) at each node, (V,) in bits, at most log2 R."""
    middle = np.mean(attentions, axis=0)
    ratios = (np.divide(x, middle, out=np.ones_like(x), where=x > 0) for x in attentions)
    terms = sum(x * np.log2(ratio) for x, ratio in zip(attentions, ratios, strict=True))
    return np.asarray(np.bincount(graph.targets, terms, graph.num_nodes) / len(attentions))


def top_overlap(graph: NeighborGraph, first: ArrayLike, second: ArrayLike, k: int = 3) -> float:
    """Share of a node's k strongest edges that two attentions have in common, averaged over the nodes.

    Only nodes with more than k neighbours count; if there are none, the result is 1. Ties are broken by edge index.

    Args:
        graph: A `NeighborGraph`.
        first: (K,) one weight per edge.
        second: (K,) likewise.
        k: Number of edges per node.

    Returns:
        A number in 0 … 1.

    Example:
        >>> import graphattend as ga
        >>> from graphattend.evaluation import top_overlap
        >>> star = ga.NeighborGraph.from_edge_index([[1, 2], [0, 0]], 3)
        >>> top_overlap(star, [0.9, 0.1], [0.6, 0.4], 1)
        1.0
    """
    k = as_int(k, "k", minimum=1)
    rows = np.flatnonzero(as_graph(graph).degree() > k)
    if not rows.size:
        return 1.0
    tops = [_among_top(graph, w, k) for w in _attentions(graph, first, second)]
    return float(np.isin(graph.targets, rows)[tops[0] & tops[1]].sum() / (k * rows.size))


def _among_top(graph: NeighborGraph, weights: np.ndarray, k: int) -> np.ndarray:
    order = np.lexsort((-weights, graph.targets))
    top = np.zeros(graph.num_edges, bool)
    top[order] = np.arange(graph.num_edges) - graph.indptr[graph.targets] < k
    return top
