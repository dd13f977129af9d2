"""Validation of the fields of a `NeighborGraph`: each input becomes a read-only copy, or a typed error is raised."""

from __future__ import annotations

import numpy as np

from .. import _validate as check
from ..errors import DimensionMismatchError, EmptyInputError, InvalidConfigError

_FLOAT32 = np.dtype(np.float32)


def frozen(a: np.ndarray) -> np.ndarray:
    """Return a read-only copy of an array."""
    copy = np.array(a, order="C")
    copy.setflags(write=False)
    return copy


def per_edge(x: object, argument: str, num_edges: int, ndim: int = 1) -> np.ndarray | None:
    if x is None:
        return None
    a = check.as_float(x, argument, beside=_FLOAT32)  # integers stay exact
    check.check_ndim(a, argument, ndim, ndim)
    check.check_length(a, argument, 0, num_edges, "one entry per edge")
    if ndim == 2 and a.shape[1] == 0:
        raise EmptyInputError.of(argument, "at least one feature per edge", a.shape, got=f"shape {a.shape}")
    check.check_finite(a, argument)
    return frozen(a)


def not_negative(a: np.ndarray | None, argument: str) -> np.ndarray | None:
    if a is not None and a.size and a.min() < 0:
        expected = "numbers >= 0"
        raise InvalidConfigError.of(argument, expected, a.min().item())
    return a


def layers(x: object, num_nodes: int) -> np.ndarray | None:
    if x is None:
        return None
    a = check.as_index(x, "layers", ndim=1)
    check.check_length(a, "layers", 0, num_nodes, "one entry per node")
    return not_negative(frozen(a), "layers")


def names(names: object, num_nodes: int) -> tuple[str, ...] | None:
    if names is None:
        return None
    if isinstance(names, np.ndarray) and names.dtype.kind == "U":
        names = names.tolist()
    if not isinstance(names, (list, tuple)) or not all(isinstance(n, str) for n in names):
        expected = "a sequence of strings"
        raise InvalidConfigError.of("names", expected, type(names).__name__)
    if len(names) != num_nodes:
        raise DimensionMismatchError.of("names", num_nodes, len(names), text=f"{num_nodes}, one per node")
    return tuple(str(n) for n in names)


def offsets(indptr: object, num_edges: int) -> np.ndarray:
    a = check.as_index(indptr, "indptr", ndim=1)
    if len(a) < 2:
        raise EmptyInputError.of("indptr", "at least one node", a.shape, got=f"shape {a.shape}")
    if a[0] != 0 or (a[1:] < a[:-1]).any():
        expected = "offsets that start at 0 and never fall"
        raise InvalidConfigError(f"indptr: expected {expected}", argument="indptr", expected=expected, actual=None)
    if a[-1] != num_edges:
        raise DimensionMismatchError.of(
            "indptr", num_edges, int(a[-1]), text=f"its last entry to be {num_edges}, the length of indices"
        )
    return frozen(a)
