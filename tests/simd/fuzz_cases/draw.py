"""Parts of the cases: random arrays of the dtype under test, outputs with guards, and softmax in float64."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

#: The dtype under test, and the tolerance of its results against the formulas in float64.
REAL: Any = np.dtype(np.float32)
TOLERANCES = {"float32": 2e-5, "float64": 1e-12}
GUARD, FILL = 64, 7.25  # the length of the guards around an output, and what all of it contains before


class Case(NamedTuple):
    """A kernel: its arguments, and the expected outputs."""

    make: Callable[[np.random.Generator], list[Any]]
    reference: Callable[..., list[Any]]  # returns the outputs in the order of their declaration
    extra: int = 0  # number of trailing arguments only for the formula
    renew: Callable[[list[Any]], None] | None = None  # recomputes arguments that depend on changed ones


def normal(rng, *shape):
    return rng.standard_normal(shape).astype(REAL)


def size(rng, most=12):
    return int(rng.integers(1, most))


def output(*shape):
    """Return an array surrounded by guard memory, which is checked afterwards."""
    count = int(np.prod(shape))
    whole = np.full(count + 2 * GUARD, FILL, REAL)
    return whole[GUARD : GUARD + count].reshape(shape)


def softmax64(s):
    s = np.asarray(s, float)
    top = s.max(-1, keepdims=True)
    e = np.exp(s - np.where(np.isfinite(top), top, 0))
    total = e.sum(-1, keepdims=True)
    return e / np.where(total == 0, 1, total)


def lead(rng):
    return tuple(rng.integers(1, 3, int(rng.integers(0, 3))))


def indptr_of(rng, rows, most=5):
    return np.concatenate([[0], np.cumsum(rng.integers(0, most, rows))]).astype(np.int64)


def graph_of(rng, rows, targets):
    indptr = indptr_of(rng, rows)
    kind = np.int64 if rng.random() < 0.5 else np.int32
    return indptr, rng.integers(0, targets, int(indptr[-1])).astype(kind)


def output_with(gain, *shape):
    """Return an output, zeros if there is a gain, because the kernel then adds to it."""
    out = output(*shape)
    if gain is not None:
        out[...] = 0
    return out


def gain_of(rng, *shape):
    """Draw factors, some of them 0, or None."""
    return None if rng.random() < 0.6 else normal(rng, *shape) * (rng.random(shape) < 0.7).astype(REAL)


def mixture_with(rng, gain, edges):
    """What weights times the gain are added to, or none; there is none without a gain."""
    return None if gain is None or rng.random() < 0.5 else output_with(gain, edges)


def scaled(x, gain):
    """Rows times their factors; a row whose factor is zero is not computed, so it may be infinite or NaN."""
    return np.where(gain == 0, 0, x * gain)


def mixed(mixture, gain, source, w):
    """That sum: gain (M, [H]) times weights (K, [H]), averaged over the heads."""
    if mixture is None:
        return None
    shares = gain.reshape(len(gain), -1)[source].astype(float)
    return scaled(w.reshape(len(source), -1), shares).mean(-1)


class Sums(NamedTuple):
    """Sums whose terms may cancel, and the size of the largest term, which says how well they can be known."""

    values: np.ndarray
    term: float


def close(actual, expected):
    """Whether all numbers agree, up to the rounding of the largest."""
    expected, term = expected if isinstance(expected, Sums) else (expected, 1)
    actual, expected = np.asarray(actual, float), np.asarray(expected, float)
    if actual.size == expected.size:
        expected = expected.reshape(actual.shape)
    else:  # broadcasting fills an output with more leading axes than needed
        expected = np.broadcast_to(expected, actual.shape)
    same = (actual == expected) | (np.isnan(actual) & np.isnan(expected))
    scale = max(np.abs(expected[np.isfinite(expected)]).max(initial=0), term, 1)
    with np.errstate(invalid="ignore"):
        return bool((same | (np.abs(actual - expected) <= TOLERANCES[REAL.name] * scale)).all())


def row_of_mask(rng, *shape):
    """Draw a mask or None."""
    if rng.random() < 0.4:
        return None
    seen = rng.random(shape) < rng.choice([0.0, 0.7, 1.0])
    return seen if rng.random() < 0.5 else np.where(seen, 0.5, -np.inf).astype(REAL)


def hide(s, mask):
    """Apply a mask to scores."""
    if mask is None:
        return s
    return np.where(mask, s, -np.inf) if mask.dtype == bool else s + mask
