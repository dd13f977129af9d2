"""From what a caller hands to a mechanism to arrays with explicit axes, and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from .._validate import (
    all_finite,
    as_bool,
    as_float,
    as_floats,
    as_index,
    as_mask,
    broadcast_shapes,
    cast_data,
    cast_mask,
    check_finite,
    check_length,
    check_ndim,
    check_nonempty,
    check_shape,
    common_dtype,
)
from .._vjp import unbroadcast
from ..errors import DimensionMismatchError, InvalidConfigError
from ..functional.attention import fit_mask
from ..functional.hidden import holds_rubbish
from ..graph.metadata import GraphMetadata, NodeMetadata

#: Metadata that are real numbers per key, with how many axes a single key's entry has.
_KEY_FLOATS = {"edge_features": 1, "edge_weights": 0, "distances": 0, "structural_features": 1}
#: Those that have a gradient.
DIFFERENTIABLE = ("edge_features", "edge_weights", "distances", "structural_features")


class Inputs(NamedTuple):
    """Checked inputs: q (..., M, D), k (..., N, D), v (..., N, E) in one dtype; `batch` are their joint axes.

    `tame` says that keys and values are known to hold no rubbish that the mask would have to hide;
    `prepared` is what `Attention.prepare` made of the keys and values, where that serves.
    """

    q: np.ndarray
    k: np.ndarray
    v: np.ndarray | None
    mask: np.ndarray | None
    metadata: Mapping[str, np.ndarray]
    batch: tuple[int, ...]
    single: bool
    tame: bool = False
    prepared: Any = None


class Expected(NamedTuple):
    """What a mechanism expects of its inputs.

    Args:
        dim: Width D of queries and keys.
        heads: H if weights and masks have an axis of heads, else None.
        any_value_width: Whether values may have another width than D.
        needs: Metadata fields that must be given.
        uses: Those that are read where they are given.
        finite: Whether NaN and infinity are refused.
    """

    dim: int
    heads: int | None
    any_value_width: bool
    needs: tuple[str, ...]
    uses: tuple[str, ...]
    finite: bool

    @property
    def reads(self) -> tuple[str, ...]:
        return self.needs + self.uses


class Call(NamedTuple):
    """How a pass runs: the same value through all its stages.

    Args:
        need_weights: Whether the weights are asked for.
        training: Whether dropout is on.
        rng: Generator for the dropout.
        differentiate: Whether the pullback will be called.
    """

    need_weights: bool = False
    training: bool = False
    rng: Any = None
    differentiate: bool = False

    @classmethod
    def checked(cls, need_weights: Any, training: Any, rng: Any) -> Call:
        """From what a caller says."""
        if type(need_weights) is not bool or type(training) is not bool:
            need_weights, training = as_bool(need_weights, "need_weights"), as_bool(training, "training")
        return cls(need_weights, training, rng)


class Context(NamedTuple):
    """What a core needs beside queries, keys and values.

    Args:
        mask: What may be seen, (..., [H,] M, N), or None.
        metadata: Checked fields by name.
        parameters: In the dtype of the call.
        drop: The multiplier of the weights, or None.
        need_weights: Whether the weights are asked for; a core may give None otherwise.
    """

    mask: np.ndarray | None = None
    metadata: Mapping[str, np.ndarray] = {}
    parameters: Mapping[str, np.ndarray] = {}
    drop: np.ndarray | None = None
    need_weights: bool = False


def check_inputs(
    expected: Expected,
    query: Any,
    keys: Any,
    values: Any,
    attn_mask: Any = None,
    metadata: Any = None,
    *,
    weights_only: bool = False,
) -> Inputs:
    """Check everything a mechanism is given, once; with `weights_only` there are no values."""
    dim, heads, any_value_width, needs, uses, finite = expected
    v = None
    if weights_only:
        q, k = as_floats(("query", "keys"), query, keys)
        named: tuple[tuple[str, np.ndarray, int], ...] = (("query", q, 1), ("keys", k, 2))
    else:
        q, k, v = as_floats(("query", "keys", "values"), query, keys, values)
        named = (("query", q, 1), ("keys", k, 2), ("values", v, 2))
    # Each condition stands here and is said in words by the function that it calls: few calls make small inputs fast.
    for name, x, axes in named:
        if x.ndim < axes:
            check_ndim(x, name, axes)
    for name, x, _ in named:
        if not x.size:
            check_nonempty(x, name)
    if q.shape[-1] != dim or k.shape[-1] != dim:
        check_length(q, "query", -1, dim, "the mechanism's dim")
        check_length(k, "keys", -1, dim, "the mechanism's dim")
    if v is not None:
        if v.shape[-2] != k.shape[-2]:
            check_length(v, "values", -2, k.shape[-2], "one value per key")
        if v.shape[-1] != dim and not any_value_width:
            check_length(v, "values", -1, dim, "the mechanism's dim")
    tame = finite and attn_mask is not None and not holds_rubbish(k, v)
    scanned = named[:1] if tame else named
    if finite and not all_finite(*[x for _, x, _ in scanned]):
        for name, x, _ in scanned:
            check_finite(x, name)
    if q.dtype != k.dtype or (v is not None and v.dtype != q.dtype):
        q, k, *rest = common_dtype(*[x for _, x, _ in named])
        v = rest[0] if rest else None
    single = q.ndim == 1
    if single:
        q = q[None, :]
    batch = q.shape[:-2]
    if k.ndim > 2 or batch or (v is not None and v.ndim > 2):
        batch = broadcast_shapes("query, keys, values", batch, k.shape[:-2], () if v is None else v.shape[:-2])
    mask = None
    if attn_mask is not None:
        shape = (*batch, *(() if heads is None else (heads,)), q.shape[-2], k.shape[-2])
        mask = cast_mask(fit_mask(as_mask(attn_mask), shape, single), q.dtype)
    meta: Mapping[str, np.ndarray] = {}
    if metadata is not None or needs:
        meta = check_metadata(metadata, needs, uses, batch, q.shape[-2], k.shape[-2], q.dtype)
    return Inputs(q, k, v, mask, meta, batch, single, tame)


def refuse_unread(unread: Mapping[str, str], metadata: Any) -> None:
    """Refuse fields that are given but would be ignored because an option is not set.

    What a graph says about a node is given whole, whoever reads it.
    """
    if isinstance(metadata, NodeMetadata):
        return
    for name, option in unread.items():
        value = getattr(metadata, name, None)
        if value is not None:
            width = np.shape(value)[-1] if np.ndim(value) else 1
            raise InvalidConfigError(
                f"metadata.{name}: given, but {option} = 0 leaves them unread; expected {option}={width}",
                argument=option.rpartition("/")[2],
                expected=width,
                actual=0,
            )


def check_metadata(
    metadata: Any,
    needs: tuple[str, ...],
    uses: tuple[str, ...],
    batch: tuple[int, ...],
    rows: int,
    n_keys: int,
    dtype: np.dtype[Any],
) -> dict[str, np.ndarray]:
    """The fields a mechanism reads, as arrays; a needed one that is missing is named."""
    if metadata is None:
        metadata = GraphMetadata()
    if not isinstance(metadata, GraphMetadata):
        raise InvalidConfigError.of("metadata", "a GraphMetadata", type(metadata).__name__)
    for name in needs:
        if getattr(metadata, name) is None:
            raise InvalidConfigError.of(f"metadata.{name}", name, None, text="because this mechanism needs it")
    out: dict[str, np.ndarray] = {}
    for name in dict.fromkeys(needs + uses):
        value = getattr(metadata, name)
        if value is not None:
            out[name] = _check_field(name, value, batch, rows, n_keys, dtype)
    return out


def _check_field(
    name: str, value: Any, batch: tuple[int, ...], rows: int, n_keys: int, dtype: np.dtype[Any]
) -> np.ndarray:
    argument = f"metadata.{name}"
    if name == "hnsw_layers":
        x = as_index(value, argument)
        _check_axes(x, argument, 0, n_keys, batch)
    elif name == "query_layer":
        x = as_index(value, argument)
        if x.ndim:
            _check_axes(x, argument, 0, rows, batch)
    else:
        x = as_float(value, argument, beside=dtype)
        check_finite(x, argument)
        x = cast_data(x, dtype, argument)
        if name in _KEY_FLOATS:
            _check_axes(x, argument, _KEY_FLOATS[name], n_keys, batch)
        elif name == "query_structural":
            check_ndim(x, argument, 1)
            if x.ndim > 1:
                _check_axes(x, argument, 1, rows, batch)
        else:  # the latent keys and values
            check_ndim(x, argument, 2)
            check_nonempty(x, argument)
    if x.dtype.kind == "i" and x.size and x.min() < 0:
        raise InvalidConfigError.of(argument, ">= 0", int(x.min()), text="layers >= 0")
    return x


def _check_axes(x: np.ndarray, argument: str, trailing: int, length: int, batch: tuple[int, ...]) -> None:
    check_ndim(x, argument, trailing + 1)
    check_length(x, argument, x.ndim - 1 - trailing, length, "one row per key")
    lead = x.shape[: x.ndim - 1 - trailing]
    if broadcast_shapes(argument, lead, batch) != batch:
        raise DimensionMismatchError.of(
            argument, batch, x.shape, text=f"leading axes that broadcast to {batch}", got=f"shape {x.shape}"
        )


def cotangent(g: Any, argument: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> np.ndarray:
    """What a caller hands to a pullback, in the shape and dtype of what it belongs to."""
    a = as_float(g, argument, beside=dtype)
    check_shape(a, argument, shape)
    if a.dtype == dtype:
        return a
    with np.errstate(over="ignore"):
        return a.astype(dtype)


def no_gradients(metadata: Any, dtype: np.dtype[Any]) -> dict[str, np.ndarray]:
    """Zeros for every field of checked metadata that is given and has a gradient."""
    given = {name: getattr(metadata, name, None) for name in DIFFERENTIABLE}
    return {name: np.zeros(np.shape(a), dtype) for name, a in given.items() if a is not None}


def restore(gradient: np.ndarray, original: Any) -> np.ndarray:
    """A gradient in the shape of what the caller passed (broadcast axes summed, the M axis of a single query gone)."""
    shape = np.shape(original)
    if len(shape) == 1:
        return np.asarray(unbroadcast(gradient, (1, *shape))[0])
    return unbroadcast(gradient, shape)
