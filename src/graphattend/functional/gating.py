"""Gates: the sigmoid, top-k gating of experts, and the load-balancing loss."""

from __future__ import annotations

import numpy as np

from .. import simd
from .._float64_fallback import float64_fallback
from .._validate import ArrayLike, as_float, as_int, check_ndim, check_nonempty
from .._vjp import WithPullback, with_vjp
from .softmax import softmax_pullback


def sigmoid(z: np.ndarray) -> np.ndarray:
    """Compute 1 / (1 + e^-z) without overflow, accurately for large and small z."""
    return np.asarray(np.exp(-np.logaddexp(z.dtype.type(0), -z)))


def top_k(logits: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the indices of the k largest logits of the last axis, in decreasing order, and the softmax over them.

    Ties are broken by index.
    """
    chosen = (-logits).argsort(axis=-1, kind="stable")[..., :k]
    rows, columns = logits.reshape(-1, logits.shape[-1]), chosen.reshape(-1, k)
    highest = rows[np.arange(len(rows))[:, None], columns]  # same as `take_along_axis`, in a third of the time
    return chosen, simd.softmax(highest.reshape(chosen.shape))


def scatter(values: np.ndarray, chosen: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Write values (..., k) at the chosen indices of the last axis into zeros of the given shape (..., X)."""
    out = np.zeros((values.size // values.shape[-1], shape[-1]), values.dtype)
    out[np.arange(len(out))[:, None], chosen.reshape(len(out), -1)] = values.reshape(len(out), -1)
    return out.reshape(shape)


def _check(logits: ArrayLike, k: object) -> tuple[np.ndarray, int]:
    x = as_float(logits, "logits")
    check_ndim(x, "logits", 1)
    check_nonempty(x, "logits")
    return x, as_int(k, "k", minimum=1, maximum=x.shape[-1])


@with_vjp
@float64_fallback
def top_k_gating(logits: ArrayLike, k: int) -> WithPullback[tuple[np.ndarray, np.ndarray]]:
    """Select the k experts with the highest logits and take the softmax over their logits.

    Args:
        logits: (..., X), one per expert.
        k: 1 <= k <= X.

    Returns:
        ``(indices, weights)``, both (..., k), in order of decreasing logit. The weights sum to one. For `ga.vjp`,
        pass None as the gradient of the indices.

    Raises:
        InvalidConfigError: `k` is out of range.

    Source:
        Shazeer et al. 2017, "Outrageously Large Neural Networks", eq. 3-5 (without the noise).

    Example:
        >>> import graphattend as ga
        >>> indices, weights = ga.functional.top_k_gating([[0.0, 2.0, 2.0]], 2)
        >>> indices, weights
        (array([[1, 2]]), array([[0.5, 0.5]]))
    """
    x, count = _check(logits, k)
    chosen, weights = top_k(x, count)

    def pullback(g: np.ndarray) -> tuple[np.ndarray, None]:
        if g[1] is None:
            return np.zeros_like(x), None
        return scatter(softmax_pullback(weights, np.asarray(g[1], x.dtype)), chosen, x.shape), None

    return (chosen, weights), pullback


@with_vjp
@float64_fallback
def load_balance_loss(logits: ArrayLike, k: int) -> WithPullback[np.ndarray]:
    """Load-balancing loss X · Σ_x f_x P_x, with its minimum, k, when all experts are used equally.

    f_x is the fraction of rows that choose expert x (constant in gradients) and P_x is its mean probability.

    Args:
        logits: (..., X), one row per token.
        k: Number of experts per row.

    Returns:
        A scalar.

    Source:
        Fedus et al. 2022, "Switch Transformers", eq. 4-6.

    Example:
        >>> import graphattend as ga
        >>> float(ga.functional.load_balance_loss([[1.0, 0.0], [0.0, 1.0]], 1))
        1.0
    """
    x, count = _check(logits, k)
    rows = x.reshape(-1, x.shape[-1])
    experts = rows.shape[1]
    chosen, _ = top_k(rows, count)
    share = np.bincount(chosen.reshape(-1), minlength=experts).astype(x.dtype) / x.dtype.type(rows.shape[0])
    p = simd.softmax(rows)
    loss = x.dtype.type(experts) * (share * p.mean(axis=0)).sum()

    def pullback(g: np.ndarray) -> tuple[np.ndarray, None]:
        factor = x.dtype.type(experts / rows.shape[0]) * np.asarray(g, x.dtype)
        return softmax_pullback(p, np.broadcast_to(factor * share, p.shape)).reshape(x.shape), None

    return np.asarray(loss), pullback
