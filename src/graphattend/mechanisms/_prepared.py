"""Keys and values that stay the same between calls: checked and projected once."""

from __future__ import annotations

import dataclasses
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from .._frozen import Frozen
from .._validate import ArrayLike, as_float, check_finite
from ..errors import InvalidConfigError
from ..functional.hidden import holds_rubbish
from ._boundary import Call, Inputs, check_inputs
from ._hidden import without_rubbish

if TYPE_CHECKING:
    from ._base import Attention


@dataclasses.dataclass(frozen=True, eq=False)
class Prepared(Frozen):
    """What `Attention.prepare` returns; `forward` and `attention_weights` take it in the place of the keys.

    Args:
        attn: The mechanism that made it.
        keys: The checked keys, (..., N, D), in the common dtype of keys and values.
        values: The checked values, (..., N, E).
        projected: Keys and values as the mechanism's core wants them.

    Example:
        >>> import numpy as np, graphattend as ga
        >>> x = np.random.default_rng(0).standard_normal((5, 8))
        >>> attn = ga.MultiHeadAttention(8)
        >>> prepared = attn.prepare(x, x)
        >>> bool(np.allclose(attn.forward(x[0], prepared), attn.forward(x[0], x, x)))
        True
    """

    attn: Attention
    keys: np.ndarray
    values: np.ndarray
    projected: tuple[Any, ...]

    @cached_property
    def holds_rubbish(self) -> bool:
        """Whether keys or values hold NaN, infinity or numbers whose products overflow, which a mask may hide."""
        return holds_rubbish(self.keys, self.values)

    def check_call(self, exact: bool) -> None:
        """Refuse a call that this preparation does not serve; `exact` if it needs the keys themselves."""

    def check_owner(self, attn: Attention) -> None:
        """Refuse the preparation of another mechanism, or of one with other parameters."""
        if self.attn is not attn and self.attn != attn:
            raise InvalidConfigError.of(
                "keys",
                attn.key,
                self.attn.key,
                text=f"what this {attn.key} prepared",
                got=f"the preparation of another mechanism ({self.attn.key})",
            )


def frozen_copy(x: np.ndarray) -> np.ndarray:
    """A copy that nobody can change."""
    out = x.copy()
    out.setflags(write=False)
    return out


def check_keys(attn: Attention, keys: ArrayLike, values: ArrayLike) -> Inputs:
    """Keys and values checked as for `forward`, before there is a query."""
    return check_inputs(attn._expected._replace(needs=()), np.zeros((1, attn.dim), np.float32), keys, values)


def prepare(attn: Attention, keys: ArrayLike, values: ArrayLike) -> Prepared:
    """The implementation of `Attention.prepare`."""
    x = check_keys(attn, keys, values)
    assert x.v is not None
    k, v = frozen_copy(x.k), frozen_copy(x.v)
    # Stages act on each row alone, so that one row of keys can stand in for the queries, and later the other way round.
    with np.errstate(over="ignore", invalid="ignore"):  # too large for float32: found and mended when it is used
        (_, p_k, p_v), _ = attn._project(k[..., :1, :], k, v, attn._params(k.dtype))
    # Heads one after the other, as kernels read them fastest.
    return Prepared(attn, k, v, tuple(np.ascontiguousarray(a) if isinstance(a, np.ndarray) else a for a in (p_k, p_v)))


def check_prepared(
    attn: Attention,
    query: ArrayLike,
    prepared: Prepared,
    values: ArrayLike | None,
    attn_mask: ArrayLike | None,
    metadata: Any,
    call: Call,
) -> Inputs:
    """The inputs of a pass over prepared keys and values: the query is checked, and what fits what."""
    prepared.check_owner(attn)
    if values is not None:
        raise InvalidConfigError(
            "values: expected none beside prepared keys, which contain them",
            argument="values",
            expected=None,
            actual=type(values).__name__,
        )
    prepared.check_call(attn_mask is not None or call.need_weights or (call.training and attn.dropout > 0))
    q = as_float(query, "query", beside=prepared.keys.dtype)
    if attn.check_finite:
        check_finite(q, "query")
    # The rest is checked again because it costs nothing; only the scan of all keys and values is left out.
    x = attn._check(q, prepared.keys, prepared.values, attn_mask, metadata, finite=False)
    hides = x.mask is not None or attn.is_causal
    if hides and prepared.holds_rubbish:  # what was prepared does not know what this call hides
        return without_rubbish(x, attn.heads, attn.is_causal)
    return x._replace(prepared=prepared, tame=hides)
