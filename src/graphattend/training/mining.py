"""Hard negative sampling."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from .._validate import (
    ArrayLike,
    as_array,
    as_choice,
    as_float,
    as_floats,
    as_index,
    as_int,
    as_number,
    as_rng,
    check_finite,
    check_length,
    check_ndim,
    check_nonempty,
    check_shape,
    common_dtype,
)
from ..errors import InvalidConfigError

STRATEGIES = ("distance", "degree", "mixed", "semi_hard")
#: Number of rows whose differences from the anchor are in memory at once.
_CHUNK = 16_384


def _distances(anchor: np.ndarray, embeddings: np.ndarray, manifold: Any) -> np.ndarray:
    """Compute the distances (V,) from the anchor in chunks of rows."""
    out = np.empty(len(embeddings))
    for start in range(0, len(embeddings), _CHUNK):
        rows = embeddings[start : start + _CHUNK]
        if manifold is None:
            difference = (rows - anchor).astype(np.float64, copy=False)
            out[start : start + len(rows)] = np.sqrt(np.einsum("vd,vd->v", difference, difference))
        else:
            out[start : start + len(rows)] = manifold.dist(anchor, rows)
    return out


def _smallest(keys: np.ndarray, candidates: np.ndarray, k: int) -> np.ndarray:
    """Return the k candidates with the smallest keys, in increasing order; ties are broken by index."""
    if k < len(candidates):
        bound = np.partition(keys, k - 1)[k - 1]
        keep = keys <= bound
        candidates, keys = candidates[keep], keys[keep]
    return np.asarray(candidates[np.argsort(keys, kind="stable")[:k]])


def _sampled(weights: np.ndarray, candidates: np.ndarray, k: int, rng: np.random.Generator) -> np.ndarray:
    """Draw k candidates without replacement, with probabilities proportional to the weights.

    Candidates of weight 0 are drawn only after all others.
    """
    # Gumbel top-k trick: the k largest of log w + Gumbel noise are such a sample.
    with np.errstate(divide="ignore"):
        score = np.log(weights) + rng.gumbel(size=len(weights))
    order = np.lexsort((rng.random(len(weights)), -score))
    return np.asarray(candidates[order[:k]])


def _degree_weights(degrees: ArrayLike | None, count: int) -> np.ndarray:
    if degrees is None:
        raise InvalidConfigError.of(
            "degrees", f"shape ({count},)", None, text="one number per embedding for this strategy"
        )
    d = as_float(degrees, "degrees", beside=np.dtype(np.float64))
    check_shape(d, "degrees", (count,))
    check_finite(d, "degrees")
    if d.min() < 0:
        raise InvalidConfigError.of("degrees", "numbers >= 0", float(d.min()), got=f"{float(d.min()):g}")
    return d.astype(np.float64, copy=False)


def _excluded(positive_indices: ArrayLike, count: int) -> np.ndarray:
    positives = as_array(positive_indices, "positive_indices")
    if positives.ndim == 0:
        positives = positives[None]
    return as_index(positives, "positive_indices", count, ndim=1)


def sample_hard_negatives(
    anchor: ArrayLike,
    embeddings: ArrayLike,
    positive_indices: ArrayLike,
    k: int,
    *,
    strategy: Literal["distance", "degree", "mixed", "semi_hard"] = "distance",
    degrees: ArrayLike | None = None,
    rng: np.random.Generator | int | None = None,
    manifold: object = None,
    mix: float = 0.5,
) -> np.ndarray:
    """Select k different hard negatives for an anchor. Positives are never selected.

    - ``"distance"``: the k nodes nearest to the anchor, nearest first. The search is exact.
    - ``"degree"``: nodes of high degree. With `rng`, they are drawn without replacement with probability proportional
      to the degree; without it, the k nodes of highest degree are taken.
    - ``"mixed"``: the ``round(mix·k)`` nearest nodes, then nodes by degree from the remaining ones.
    - ``"semi_hard"``: as in FaceNet, nodes farther from the anchor than its farthest positive, nearest first.
      If there are fewer than k, the farthest of the nearer nodes follow, farthest (easiest) first.

    To exclude the anchor itself, list its index among the positives.

    Args:
        anchor: (D,).
        embeddings: (V, D).
        positive_indices: (P,) indices into the embeddings; may be empty, except for "semi_hard".
        k: Number of negatives, at least 1.
        strategy: One of the four strategies above.
        degrees: (V,) numbers ≥ 0, for "degree" and "mixed".
        rng: Generator or seed; without it every strategy is deterministic.
        manifold: Manifold whose `dist` replaces the Euclidean distance.
        mix: Fraction of the negatives that "mixed" selects by distance.

    Returns:
        (k,) int64 indices into the embeddings.

    Raises:
        InvalidConfigError: There are fewer than k candidates, degrees are missing, or an option is out of range.
        OutOfBoundsError: A positive index is out of range.
        DimensionMismatchError: Shapes do not fit.
        NumericalInstabilityError: NaN or infinity in the data.

    Source:
        Schroff et al. 2015, "FaceNet", section 3.2 (semi-hard); Robinson et al. 2021, "Contrastive Learning with
        Hard Negative Samples" (distance); Mikolov et al. 2013 (by degree).

    Example:
        >>> from graphattend.training import sample_hard_negatives
        >>> sample_hard_negatives([0.0], [[0.0], [1.0], [2.0], [3.0]], [0], 2).tolist()
        [1, 2]
        >>> sample_hard_negatives([0.0], [[0.0], [1.0], [2.0], [3.0]], [0, 2], 1, strategy="semi_hard").tolist()
        [3]
    """
    a, x = as_floats(("anchor", "embeddings"), anchor, embeddings)
    check_ndim(a, "anchor", 1, 1)
    check_ndim(x, "embeddings", 2, 2)
    check_nonempty(x, "embeddings")
    check_length(a, "anchor", 0, x.shape[1], "the width of embeddings")
    check_finite(a, "anchor")
    check_finite(x, "embeddings")
    a, x = common_dtype(a, x)
    positives = _excluded(positive_indices, len(x))
    number = as_int(k, "k", minimum=1)
    as_choice(strategy, "strategy", STRATEGIES)
    share = as_number(mix, "mix", minimum=0, maximum=1)
    generator = None if rng is None else as_rng(rng)
    if manifold is not None and not callable(getattr(manifold, "dist", None)):
        raise InvalidConfigError.of("manifold", "a manifold", type(manifold).__name__)
    allowed = np.ones(len(x), bool)
    allowed[positives] = False
    candidates = np.flatnonzero(allowed).astype(np.int64)
    if len(candidates) < number:
        raise InvalidConfigError.of(
            "k",
            f"<= {len(candidates)}",
            number,
            text=f"at most {len(candidates)}, the number of embeddings that are not positives",
        )
    if strategy == "degree":
        return _by_degree(_degree_weights(degrees, len(x)), candidates, number, generator)
    if strategy == "mixed":
        weights = _degree_weights(degrees, len(x))
        near_count = round(share * number)
        nearest = candidates[:0]
        if near_count:
            nearest = _smallest(_distances(a, x, manifold)[candidates], candidates, near_count)
        rest = np.setdiff1d(candidates, nearest, assume_unique=True)
        return np.concatenate([nearest, _by_degree(weights, rest, number - near_count, generator)])
    distance = _distances(a, x, manifold)
    if strategy == "distance":
        return _smallest(distance[candidates], candidates, number)
    if len(positives) == 0:
        raise InvalidConfigError.of(
            "positive_indices", "at least one", 0, text="at least one for strategy 'semi_hard'", got="none"
        )
    beyond = distance[candidates] > distance[positives].max()
    far, near = candidates[beyond], candidates[~beyond]
    chosen = _smallest(distance[far], far, min(number, len(far)))
    missing = number - len(chosen)
    return chosen if missing == 0 else np.concatenate([chosen, _smallest(-distance[near], near, missing)])


def _by_degree(weights: np.ndarray, candidates: np.ndarray, k: int, rng: np.random.Generator | None) -> np.ndarray:
    if k == 0:
        return candidates[:0]
    if rng is None:
        return _smallest(-weights[candidates], candidates, k)
    return _sampled(weights[candidates], candidates, k, rng)
