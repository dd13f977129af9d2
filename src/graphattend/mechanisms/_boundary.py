"""Conversion of a caller's arguments to checked arrays with explicit axes, and of gradients back to their shapes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from .._validate import (
    ArrayLike,
    all_finite,
    as_bool,
    as_float,
    as_floats,
    as_index,
    as_mask,
    as_rng,
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


class _Field(NamedTuple):
    """A metadata field: the number of axes of an entry, and what has one entry ("key", "query" or "latent key")."""

    axes: int
    per: str
    whole: bool = False


_FIELDS = {
    "edge_features": _Field(1, "key"),
    "edge_weights": _Field(0, "key"),
    "distances": _Field(0, "key"),
    "structural_features": _Field(1, "key"),
    "query_structural": _Field(1, "query"),
    "hnsw_layers": _Field(0, "key", whole=True),
    "query_layer": _Field(0, "query", whole=True),
    "latent_keys": _Field(1, "latent key"),
    "latent_values": _Field(1, "latent key"),
}
#: The fields that have gradients.
DIFFERENTIABLE = ("edge_features", "edge_weights", "distances", "structural_features")


def axes_of(name: str, width: int | None) -> tuple[int, ...] | None:
    """Return the axes after the keys' of a field with one entry of real numbers per key, or None for other fields."""
    axes, per, whole = _FIELDS[name]
    if per != "key" or whole:
        return None
    if axes == 0:
        return ()
    return None if width is None else (width,)


class Inputs(NamedTuple):
    """Checked inputs q (..., M, D), k (..., N, D), v (..., N, E) in one dtype; `batch` holds their broadcast axes.

    `tame` tells that keys and values contain no rubbish (see `functional.hidden`) that a mask would have to hide.
    `prepared` is the result of `Attention.prepare` for these keys and values, or None.
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
    """The requirements of a mechanism on its inputs.

    Args:
        dim: Width D of queries and keys.
        heads: H if weights and masks have a head axis, else None.
        any_value_width: Whether the width of values may differ from D.
        needs: Metadata fields that are required.
        uses: Metadata fields that are optional.
        finite: Whether NaN and infinity raise an error.
        unread: Fields that would be ignored because an option is not set: field → option.
    """

    dim: int
    heads: int | None
    any_value_width: bool
    needs: tuple[str, ...]
    uses: tuple[str, ...]
    finite: bool
    unread: Mapping[str, str]


class Call(NamedTuple):
    """The options of a pass, which all its stages receive.

    Args:
        need_weights: Whether to return the weights.
        training: Whether dropout is applied.
        rng: Generator for the dropout.
        differentiate: Whether the pullback will be called.
    """

    need_weights: bool = False
    training: bool = False
    rng: Any = None
    differentiate: bool = False

    @classmethod
    def checked(cls, need_weights: object, training: object, rng: np.random.Generator | int | None) -> Call:
        """Check a caller's options."""
        if type(need_weights) is not bool or type(training) is not bool:
            need_weights, training = as_bool(need_weights, "need_weights"), as_bool(training, "training")
        return cls(need_weights, training, None if rng is None else as_rng(rng))


#: A forward pass without weights and dropout, and such a pass whose pullback will be called.
PLAIN, WITH_PULLBACK = Call(), Call(differentiate=True)


class Context(NamedTuple):
    """The arguments of a core other than queries, keys and values.

    Args:
        mask: Boolean (True = attend) or additive, (..., [H,] M, N), or None.
        metadata: Checked fields by name.
        parameters: Parameters in the dtype of the call.
        drop: Multiplier of the weights, or None.
        need_weights: Whether to return the weights. If False, a core may return None for them.
    """

    mask: np.ndarray | None = None
    metadata: Mapping[str, np.ndarray] = {}
    parameters: Mapping[str, np.ndarray] = {}
    drop: np.ndarray | None = None
    need_weights: bool = False


def check_inputs(
    expected: Expected,
    query: ArrayLike,
    keys: ArrayLike,
    values: ArrayLike | None,
    attn_mask: ArrayLike | None = None,
    metadata: GraphMetadata | None = None,
    *,
    weights_only: bool = False,
) -> Inputs:
    """Check all inputs of a mechanism. With `weights_only` there are no values."""
    dim, heads, any_value_width, needs, uses, finite, unread = expected
    # Conditions are tested inline, and functions are called only to raise errors: few calls keep small inputs fast.
    v = None
    if weights_only:
        arrays = q, k = as_floats(("query", "keys"), query, keys)
        if q.ndim < 1 or k.ndim < 2 or not q.size or not k.size:
            _refuse_axes(arrays)
    else:
        arrays = q, k, v = as_floats(("query", "keys", "values"), query, keys, values)
        if q.ndim < 1 or k.ndim < 2 or v.ndim < 2 or not q.size or not k.size or not v.size:
            _refuse_axes(arrays)
    if q.shape[-1] != dim or k.shape[-1] != dim:
        check_length(q, "query", -1, dim, "the mechanism's dim")
        check_length(k, "keys", -1, dim, "the mechanism's dim")
    if v is not None:
        if v.shape[-2] != k.shape[-2]:
            check_length(v, "values", -2, k.shape[-2], "one value per key")
        if v.shape[-1] != dim and not any_value_width:
            check_length(v, "values", -1, dim, "the mechanism's dim")
    tame = finite and attn_mask is not None and not holds_rubbish(k, v)
    scanned = arrays[:1] if tame else arrays
    if finite and not all_finite(*scanned):
        for name, x in zip(("query", "keys", "values"), scanned, strict=False):
            check_finite(x, name)
    if q.dtype != k.dtype or (v is not None and v.dtype != q.dtype):
        q, k, *rest = common_dtype(*arrays)
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
        if unread:
            refuse_unread(unread, metadata)
        meta = check_metadata(metadata, needs, uses, batch, q.shape[-2], k.shape[-2], q.dtype)
    return Inputs(q, k, v, mask, meta, batch, single, tame)


def _refuse_axes(arrays: Sequence[np.ndarray]) -> None:
    """Raise the error for an array with too few axes or without entries."""
    for name, x in zip(("query", "keys", "values"), arrays, strict=False):
        check_ndim(x, name, 1 if name == "query" else 2)
    for name, x in zip(("query", "keys", "values"), arrays, strict=False):
        check_nonempty(x, name)


def refuse_unread(unread: Mapping[str, str], metadata: GraphMetadata | None) -> None:
    """Raise an error for fields that are given but would be ignored because an option is not set.

    The metadata of a graph's node is exempt, because it always contains all fields.
    """
    if isinstance(metadata, NodeMetadata):
        return
    for name, option in unread.items():
        value = getattr(metadata, name, None)
        if value is not None:
            width = np.shape(value)[-1] if np.ndim(value) else 1
            raise InvalidConfigError(
                f"metadata.{name}: expected {option} = {width} to read them, got {option} = 0",
                argument=option.rpartition("/")[2],
                expected=width,
                actual=0,
            )


def check_metadata(
    metadata: GraphMetadata | None,
    needs: tuple[str, ...],
    uses: tuple[str, ...],
    batch: tuple[int, ...],
    rows: int,
    n_keys: int,
    dtype: np.dtype[Any],
) -> dict[str, np.ndarray]:
    """Return the fields that a mechanism reads as checked arrays. A missing required field raises an error."""
    if metadata is None:
        metadata = GraphMetadata()
    if type(metadata) is not GraphMetadata and not isinstance(metadata, GraphMetadata):
        raise InvalidConfigError.of("metadata", "a GraphMetadata", type(metadata).__name__)
    for name in needs:
        if getattr(metadata, name) is None:
            raise InvalidConfigError.of(f"metadata.{name}", name, None, text=f"{name}, which this mechanism needs")
    out: dict[str, np.ndarray] = {}
    for name in needs + uses:
        value = getattr(metadata, name)
        if value is not None and name not in out:
            out[name] = _check_field(name, value, batch, rows, n_keys, dtype)
    return out


def _check_field(
    name: str, value: np.ndarray, batch: tuple[int, ...], rows: int, n_keys: int, dtype: np.dtype[Any]
) -> np.ndarray:
    axes, per, whole = _FIELDS[name]
    argument = f"metadata.{name}"
    if whole:
        x = as_index(value, argument)
        if x.size and np.minimum.reduce(x, axis=None) < 0:
            raise InvalidConfigError.of(argument, ">= 0", int(x.min()), text="layers >= 0")
    else:
        x = value
        if type(x) is not np.ndarray or x.dtype != dtype:
            x = as_float(value, argument, beside=dtype)
        if not all_finite(x):
            check_finite(x, argument)
        if x.dtype != dtype:
            x = cast_data(x, dtype, argument)
    if per == "latent key":
        check_ndim(x, argument, 2)
        check_nonempty(x, argument)
        return x
    length = n_keys if per == "key" else rows
    if x.ndim == axes + 1 and x.shape[0] == length:
        return x
    if per == "query" and x.ndim == axes:  # one entry for all queries
        return x
    check_ndim(x, argument, axes + 1)
    check_length(x, argument, x.ndim - 1 - axes, length, f"one row per {per}")
    lead = x.shape[: x.ndim - 1 - axes]
    if broadcast_shapes(argument, lead, batch) != batch:
        raise DimensionMismatchError.of(
            argument, batch, x.shape, text=f"leading axes that broadcast to {batch}", got=f"shape {x.shape}"
        )
    return x


def cotangent(g: object, argument: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> np.ndarray:
    """Check a gradient that a caller passes to a pullback, and return it in the expected dtype."""
    a = as_float(g, argument, beside=dtype)
    check_shape(a, argument, shape)
    if a.dtype == dtype:
        return a
    with np.errstate(over="ignore"):
        return a.astype(dtype)


def no_gradients(
    metadata: GraphMetadata | None, dtype: np.dtype[Any], known: dict[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """Return the known gradients of metadata, and zeros for every other given field that has a gradient."""
    if metadata is None:
        return known
    given = {name: getattr(metadata, name, None) for name in DIFFERENTIABLE if name not in known}
    return {name: np.zeros(np.shape(a), dtype) for name, a in given.items() if a is not None} | known


def restore(gradient: np.ndarray, original: ArrayLike) -> np.ndarray:
    """Return a gradient in the shape of the caller's array: sum broadcast axes, remove the M axis of a single query."""
    shape = np.shape(original)
    if len(shape) == 1:
        return np.asarray(unbroadcast(gradient, (1, *shape))[0])
    return unbroadcast(gradient, shape)
