"""Keys and values that are checked and projected once, for many calls."""

from __future__ import annotations

import dataclasses
from functools import cached_property
from typing import Any

import numpy as np

from .._frozen import Frozen
from .._validate import ArrayLike
from ..errors import InvalidConfigError
from ..functional.hidden import holds_rubbish
from ._boundary import Inputs, check_inputs
from ._mechanism import Mechanism


@dataclasses.dataclass(frozen=True, eq=False)
class Prepared(Frozen):
    """The result of `Attention.prepare`, which `forward` and `attention_weights` accept in place of the keys.

    Args:
        attn: The mechanism that prepared it.
        keys: The checked keys, (..., N, D), in the common dtype of keys and values.
        values: The checked values, (..., N, E).
        projected: The projected keys and values, inputs of the mechanism's core.

    Example:
        >>> import numpy as np, graphattend as ga
        >>> x = np.random.default_rng(0).standard_normal((5, 8))
        >>> attn = ga.MultiHeadAttention(8)
        >>> prepared = attn.prepare(x, x)
        >>> bool(np.allclose(attn.forward(x[0], prepared), attn.forward(x[0], x, x)))
        True
    """

    attn: Mechanism
    keys: np.ndarray
    values: np.ndarray
    projected: tuple[Any, ...]

    @cached_property
    def holds_rubbish(self) -> bool:
        """Whether keys or values contain NaN, infinity or numbers whose products overflow, which a mask may hide."""
        return holds_rubbish(self.keys, self.values)

    def check_call(self, exact: bool) -> None:
        """Raise an error for a call that this preparation does not support; `exact` if it needs the keys."""

    def check_owner(self, attn: Mechanism) -> None:
        """Raise an error if another mechanism, or one with other parameters, made this preparation."""
        if self.attn is not attn and self.attn != attn:
            raise InvalidConfigError.of(
                "keys",
                attn.key,
                self.attn.key,
                text=f"what this {attn.key} prepared",
                got=f"the preparation of another mechanism ({self.attn.key})",
            )


def frozen_copy(x: np.ndarray) -> np.ndarray:
    """Return a read-only copy."""
    out = x.copy()
    out.setflags(write=False)
    return out


def check_keys(attn: Mechanism, keys: ArrayLike, values: ArrayLike) -> Inputs:
    """Check keys and values as in `forward`, but without a query."""
    return check_inputs(attn._expected._replace(needs=()), np.zeros((1, attn.dim), np.float32), keys, values)


def prepare(attn: Mechanism, keys: ArrayLike, values: ArrayLike) -> Prepared:
    """Compute `Attention.prepare`."""
    x = check_keys(attn, keys, values)
    assert x.v is not None
    k, v = frozen_copy(x.k), frozen_copy(x.v)
    # `_project` acts on each row independently, so a row of the keys can replace the queries here, and vice versa.
    with np.errstate(over="ignore", invalid="ignore"):  # overflow in float32 is handled at use
        (_, p_k, p_v), _ = attn._project(k[..., :1, :], k, v, attn._params(k.dtype))
    # Kernels are fastest if each head is contiguous.
    return Prepared(attn, k, v, tuple(np.ascontiguousarray(a) if isinstance(a, np.ndarray) else a for a in (p_k, p_v)))


def parts(attn: Mechanism, keys: object, values: object) -> tuple[Any, Any]:
    """Return the keys and values, taken from a `Prepared` of `attn` if one was passed."""
    if type(keys) is Prepared and keys.attn is attn and values is None:
        return keys.keys, keys.values
    return keys, values
