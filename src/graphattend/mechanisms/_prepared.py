"""Keys and values that stay the same between calls: checked and projected once."""

from __future__ import annotations

import dataclasses
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from .._frozen import Frozen
from .._validate import as_float, check_finite
from ..errors import InvalidConfigError
from ..functional.hidden import holds_rubbish
from ._inputs import Call, Inputs, check_inputs

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

    def check_owner(self, attn: Attention) -> None:
        """Refuse the preparation of another mechanism, or of one with other parameters."""
        if self.attn is not attn and self.attn != attn:
            raise InvalidConfigError(
                f"keys: expected what this {attn.key} prepared, got the preparation of another mechanism"
                f" ({self.attn.key})",
                argument="keys",
                expected=attn.key,
                actual=self.attn.key,
            )


def frozen_copy(x: np.ndarray) -> np.ndarray:
    """A copy that nobody can change."""
    out = x.copy()
    out.setflags(write=False)
    return out


def check_keys(attn: Attention, keys: Any, values: Any) -> Inputs:
    """Keys and values checked as for `forward`, before there is a query."""
    return check_inputs(attn._expected._replace(needs=()), np.zeros((1, attn.dim), np.float32), keys, values)


def prepare(attn: Attention, keys: Any, values: Any) -> Prepared:
    """The implementation of `Attention.prepare`."""
    x = check_keys(attn, keys, values)
    assert x.v is not None
    k, v = frozen_copy(x.k), frozen_copy(x.v)
    # Stages act on each row alone, so that one row of keys can stand in for the queries, and later the other way round.
    with np.errstate(over="ignore", invalid="ignore"):  # too large for float32: found and mended when it is used
        (_, p_k, p_v), _ = attn._project(k[..., :1, :], k, v, attn._params(k.dtype))
    # Heads one after the other, as kernels read them fastest.
    return Prepared(attn, k, v, tuple(np.ascontiguousarray(a) if isinstance(a, np.ndarray) else a for a in (p_k, p_v)))


def use(
    attn: Attention,
    query: Any,
    prepared: Prepared,
    values: Any,
    *,
    attn_mask: Any = None,
    metadata: Any = None,
    need_weights: bool = True,
    training: Any = False,
    rng: Any = None,
    weights_only: bool = False,
) -> tuple[Inputs, Any, Any]:
    """Inputs, output and weights (each with the M axis) of a query over prepared keys and values."""
    call = Call(need_weights, training, rng)
    q = check_query(attn, query, prepared, values)
    # The rest is checked again because it costs nothing; only the scan of all keys and values is left out.
    x = attn._check(q, prepared.keys, prepared.values, attn_mask, metadata, finite=False)
    if x.k.dtype != prepared.keys.dtype:  # a float64 query over float32 keys: projected anew, in double precision
        out, weights, _ = attn._run(x._replace(v=None) if weights_only else x, call)
        return x, out, weights
    assert x.v is not None
    p = attn._params(x.q.dtype)
    (q, _, _), _ = attn._project(x.q, x.k[..., :1, :], x.v[..., :1, :], p)
    k, v = prepared.projected
    drop = attn._drop_weights(x, call) if call.training else None
    mixed, weights, _ = attn._core(q, k, None if weights_only else v, x.mask, x.metadata, p, drop, need_weights)
    return x, None if weights_only else attn._finish(mixed, p)[0], weights


def use_anew(
    attn: Attention,
    query: Any,
    prepared: Prepared,
    values: Any,
    *,
    attn_mask: Any = None,
    metadata: Any = None,
    need_weights: bool = True,
    training: Any = False,
    rng: Any = None,
    weights_only: bool = False,
) -> tuple[Inputs, Any, Any]:
    """`use` without what was prepared, of keys that hold rubbish: that does not know what this call hides."""
    q = check_query(attn, query, prepared, values)
    x = attn._check(q, prepared.keys, prepared.values, attn_mask, metadata)
    out, weights, _ = attn._run_seen(x._replace(v=None) if weights_only else x, Call(need_weights, training, rng))
    return x, out, weights


def check_query(attn: Attention, query: Any, prepared: Prepared, values: Any) -> np.ndarray:
    """The query as an array, and that nothing but it was given beside a preparation of this mechanism."""
    prepared.check_owner(attn)
    if values is not None:
        raise InvalidConfigError(
            "values: expected none beside prepared keys, which contain them",
            argument="values",
            expected=None,
            actual=type(values).__name__,
        )
    q = as_float(query, "query")
    if attn.check_finite:
        check_finite(q, "query")
    return q
