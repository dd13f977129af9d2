"""Kernels on matrices and batches of matrices, and the kernel module in use; `graph_ops` has those on neighbour lists.

The functions are named as in `numpy_ops`. The kernels are compiled from `kernels/*.c`, once for float32 and once for
float64. They check their arguments as declared in `kernels/kernels.def`: dtype, layout, alignment, overlap. A function
returns None if its kernel does not support the arguments (two dtypes in one call, a strided last axis, empty arrays);
the caller then uses NumPy. Inconsistent shapes raise ValueError; earlier validation should have rejected them.
"""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Mapping
from importlib.machinery import ExtensionFileLoader, ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import numpy as np

from .._vjp import unbroadcast
from . import numpy_ops, threads
from .thresholds import MATMUL_IN_BLAS, MATMUL_MIN_WORK

Array = np.ndarray
#: The dtypes that the kernels are compiled for.
DTYPES: Final = (np.dtype(np.float32), np.dtype(np.float64))

#: In how many parts threads share the test of large arrays for NaN and infinity.
_SHARES: Final = 256
_k: Any = None
_empty = np.empty


def load(path: Path, name: str = "_kernels") -> ModuleType:
    """Load the kernel module `name` of a file. It checks that NumPy's arrays have the layout that it expects.

    Raises:
        ImportError: The file is missing, the machine lacks its instructions, or the layout differs.
    """
    loader = ExtensionFileLoader(f"graphattend.simd.{name}", str(path))
    module = importlib.util.module_from_spec(ModuleSpec(loader.name, loader, origin=str(path)))
    loader.exec_module(module)
    probe = np.zeros((3, 5), dtype=np.float32)
    module.setup(probe, probe.ctypes.data, 3, probe.strides[0])
    return module


def use(module: ModuleType | None) -> None:
    """Use this module (from `load`) for the functions below."""
    global _k
    _k = module


def current() -> Any:
    """Return the module in use, or None."""
    return _k


def as_int64(x: Array) -> Array:
    """Convert integers to contiguous int64, which the kernels read."""
    return np.ascontiguousarray(x, dtype=np.int64)


def joined(lead: tuple[int, ...], *others: tuple[int, ...]) -> tuple[int, ...]:
    """Compute `np.broadcast_shapes`, which takes as long as a small kernel, without it if all are equal."""
    return lead if others.count(lead) == len(others) else np.broadcast_shapes(lead, *others)


def block(dtype: np.dtype[Any], *shapes: tuple[int, ...] | None) -> list[Any]:
    """Create arrays of these shapes (None for None) in one allocation, each aligned to a cache line.

    If they were freed separately, malloc would return pages to the system that the next call must request again.
    """
    item, ends = dtype.itemsize, [0]
    for shape in shapes:
        ends.append(ends[-1] if shape is None else ends[-1] + (-(-math.prod(shape) * item // 64) * 64))
    whole = _empty(ends[-1], np.uint8)
    return [None if s is None else np.ndarray(s, dtype, whole, at) for s, at in zip(shapes, ends, strict=False)]


def all_finite(arrays: tuple[Array, ...]) -> bool | None:
    """Return whether all numbers are finite, shared by the threads in use; None with one thread or little work."""
    if threads.get_num_threads() == 1 or not all(x.flags.c_contiguous and x.dtype in DTYPES for x in arrays):
        return None
    # A number takes as long as four products.
    parts = threads.blocks(_SHARES, 4.0 * sum(x.size for x in arrays), align=1)

    def test(part: slice) -> bool | None:
        for x in arrays:
            share = x.reshape(-1)[x.size * part.start // _SHARES : x.size * part.stop // _SHARES]
            answer: bool | None = _k.finite(share) if share.size else True  # the kernel declines empty arrays
            if not answer:
                return answer
        return True

    answers = threads.run(test, parts) if len(parts) > 1 else [None]
    return None if None in answers else all(answers)


def matmul(a: Array, b: Array) -> Array | None:
    """Compute ``a @ b`` for arrays with at least two axes."""
    return _matmul(a, b, 0)


def matmul_nt(a: Array, b: Array) -> Array | None:
    """``a @ b.mT``."""
    return _matmul(a, b, 2)


def matmul_tn(a: Array, b: Array) -> Array | None:
    """``a.mT @ b``."""
    return _matmul(a, b, 1)


def _matmul(a: Array, b: Array, transposes: int) -> Array | None:
    if a.ndim < 2 or b.ndim < 2 or a.dtype not in DTYPES or b.dtype != a.dtype:
        return None
    m = a.shape[-1] if transposes & 1 else a.shape[-2]
    n = b.shape[-2] if transposes & 2 else b.shape[-1]
    if a.ndim == b.ndim == 2:
        if a.size * n < MATMUL_MIN_WORK:
            return None
        out = _empty((m, n), a.dtype)
    else:
        out = _empty((*joined(a.shape[:-2], b.shape[:-2]), m, n), a.dtype)
    # Pass a transposed view without a copy by toggling its transpose flag.
    if a.strides[-1] != a.itemsize and a.strides[-2] == a.itemsize:
        a, transposes = a.swapaxes(-1, -2), transposes ^ 1
    if b.strides[-1] != b.itemsize and b.strides[-2] == b.itemsize:
        b, transposes = b.swapaxes(-1, -2), transposes ^ 2
    return out if _k.matmul(a, b, out, transposes) else None


def exp(x: Array) -> Array | None:
    """``np.exp(x)``."""
    out = _empty(x.shape, x.dtype)
    return out if _k.exp(x, out) else None


def softmax(x: Array) -> Array | None:
    """Compute softmax over the last axis. A row of -inf gives zeros."""
    out = _empty(x.shape, x.dtype)
    return out if _k.softmax(x, out) else None


def segment_softmax(scores: Array, indptr: Array) -> Array | None:
    """Compute softmax of scores (K,) or (K, H) within the segments of `indptr` (V+1,)."""
    out = _empty(scores.shape, scores.dtype)
    return out if _k.segment_softmax(scores, as_int64(indptr), out) else None


def attention(
    q: Array,
    k: Array,
    v: Array,
    *,
    scale: float,
    mask: Array | None = None,
    causal: bool = False,
    lengths: Array | None = None,
) -> tuple[Array, Array, bool] | None:
    """Compute exact attention without the score matrix.

    Args:
        q: Queries (..., M, D).
        k: Keys (..., N, D).
        v: Values (..., N, E).
        scale: Factor of the scores.
        mask: Boolean (True = attend) or of the dtype of q (added), broadcast against (..., M, N).
        causal: Query i sees only keys j <= i.
        lengths: Query i of a batch entry sees only keys j < lengths[..., i]; integers, broadcast against (..., M).

    Returns:
        Output (..., M, E), softmax statistics (..., M, 2), and whether q, k and v were finite.
    """
    if mask is not None and mask.ndim < 2:
        mask = np.atleast_2d(mask)
    if lengths is not None:
        lengths = as_int64(np.atleast_1d(lengths))
    lead = _lead(q, k, v, mask, lengths)
    out, stats = _empty((*lead, q.shape[-2], v.shape[-1]), q.dtype), _empty((*lead, q.shape[-2], 2), q.dtype)
    parts = _attention_parts(q, k, v, lead, mask is None and lengths is None, causal)
    if len(parts) == 1:
        finite = _k.attend(q, k, v, out, stats, scale, mask, bool(causal), lengths)
        return None if finite is None else (out, stats, finite)
    shared = not lead  # without leading axes, the parts are query rows that share the keys

    def attend(part: slice) -> bool | None:
        own = None if mask is None else mask[part] if len(mask) > 1 else mask
        seen = None if lengths is None else lengths[part] if len(lengths) > 1 else lengths
        keys, values = (k, v) if shared else (k[part], v[part])
        found: bool | None = _k.attend(q[part], keys, values, out[part], stats[part], scale, own, bool(causal), seen)
        return found

    done = threads.run(attend, parts)
    return None if None in done else (out, stats, all(done))


def attend_few(
    q: Array,
    k: Array,
    v: Array | None,
    *,
    scale: float,
    bias: Array | None = None,
    mask: Array | None = None,
    slope: float = 1.0,
    squares: bool = False,
    rotation: tuple[Array, Array, bool] | None = None,
) -> tuple[Array | None, Array, bool] | None:
    """Compute attention of a few queries with its weights, the softmax of LeakyReLU(scale · product + bias) and mask.

    Args:
        q: Queries (..., M, D).
        k: Keys (..., N, D).
        v: Values (..., N, E), or None for the weights alone.
        scale: Factor of the products.
        bias: Added to the scores, broadcast against (..., M, N).
        mask: Boolean (True = attend) or of the dtype of q (added), broadcast against (..., M, N).
        slope: Slope of the LeakyReLU below zero.
        squares: Whether the product is q·k - |k|² instead of q·k.
        rotation: If given, the product is q·(k rotated by position · frequency): positions (..., N) of the dtype of
            q, frequency (D // 2,), and whether coordinate pairs are adjacent.

    Returns:
        Output (..., M, E) or None, weights (..., M, N), and whether q, k and v were finite.
    """
    if bias is not None and bias.ndim < 2:
        bias = np.atleast_2d(bias)
    if mask is not None and mask.ndim < 2:
        mask = np.atleast_2d(mask)
    positions, frequency, interleaved = rotation or (None, None, False)
    lead = _lead(q, k, k if v is None else v, mask, None if positions is None else positions)
    if bias is not None:
        lead = joined(lead, bias.shape[:-2])
    weights = _empty((*lead, q.shape[-2], k.shape[-2]), q.dtype)
    out = None if v is None else _empty((*lead, q.shape[-2], v.shape[-1]), q.dtype)
    finite = _k.attend_few(
        q, k, v, bias, mask, positions, frequency, out, weights, scale, slope, bool(squares), bool(interleaved)
    )
    return None if finite is None else (out, weights, finite)


def attend_few_vjp(
    q: Array,
    k: Array,
    v: Array,
    weights: Array,
    grad: Array,
    *,
    scale: float,
    grad_weights: Array | None = None,
    slopes: Array | None = None,
    squares: bool = False,
    rotation: tuple[Array, Array, bool] | None = None,
    sums: tuple[Array, Array, bool] | None = None,
) -> tuple[Array, Array, Array, Array, Array | None, bool] | None:
    """Compute the gradients of q, k, v and the scores with their bias, for `attend_few`.

    Args:
        q: Queries, as for `attend_few`.
        k: Keys, as for `attend_few`.
        v: Values, as for `attend_few`.
        weights: The weights that `attend_few` returned, (..., M, N).
        grad: Gradient of the output (..., M, E).
        scale: Factor of the products, as for `attend_few`.
        grad_weights: Gradient of the weights (..., M, N), or None.
        slopes: Slopes of the LeakyReLU at the scores (..., M, N); 1 by default.
        squares: As for `attend_few`.
        rotation: As for `attend_few`.
        sums: Arrays for the gradients of k and v, and whether to add to them; new arrays by default.

    Returns:
        The gradients, with the leading axes of the weights; Σ gradient of the score · |k|² (..., M, 1) with `squares`,
        the gradients of the positions (..., M, N) with a rotation, else None; and whether all of them are finite, apart
        from what was in `sums` before.
    """
    lead = weights.shape[:-2]
    shapes = [(*lead, *x.shape[-2:]) for x in (q, k, v)]
    extra = (*weights.shape[:-1], 1) if squares else weights.shape if rotation else None
    if sums is None:
        dq, dk, dv, scores, more = block(q.dtype, *shapes, weights.shape, extra)
    else:
        (dq, scores, more), (dk, dv, _) = block(q.dtype, shapes[0], weights.shape, extra), sums
    positions, frequency, interleaved = rotation or (None, None, False)
    if positions is not None:
        positions = positions.astype(np.float64, copy=False)
    finite = _k.attend_few_vjp(
        *(q, k, v, weights, grad, grad_weights, slopes, positions, frequency, dq, dk, dv, scores, more),
        *(scale, bool(interleaved), sums is not None and sums[2]),
    )
    return None if finite is None else (dq, dk, dv, scores, more, finite)


def _attention_parts(q: Array, k: Array, v: Array, lead: tuple[int, ...], plain: bool, causal: bool) -> list[slice]:
    """Split the query rows, or the entries of the batch, into one part per thread."""
    if threads.get_num_threads() == 1:
        return [slice(0, 1)]
    work = math.prod(lead) * q.shape[-2] * k.shape[-2] * (q.shape[-1] + v.shape[-1])
    if not lead and not causal:
        return threads.blocks(q.shape[-2], work)
    if plain and lead and q.shape[:-2] == k.shape[:-2] == v.shape[:-2]:
        return threads.blocks(lead[0], work, align=1)
    return [slice(0, 1)]


def _lead(q: Array, k: Array, v: Array, mask: Array | None, lengths: Array | None) -> tuple[int, ...]:
    """Return the leading axes of the output of attention."""
    others = [k.shape[:-2], v.shape[:-2]]
    if mask is not None:
        others.append(mask.shape[:-2])
    if lengths is not None:
        others.append(lengths.shape[:-1])
    return joined(q.shape[:-2], *others)


def attention_vjp(
    q: Array,
    k: Array,
    v: Array,
    out: Array,
    stats: Array,
    grad: Array,
    *,
    scale: float,
    mask: Array | None = None,
    causal: bool = False,
    lengths: Array | None = None,
) -> tuple[Array, Array, Array] | None:
    """Compute the gradients of q, k and v for `attention`, from its `out` and `stats` and the gradient of `out`."""
    if mask is not None and mask.ndim < 2:
        mask = np.atleast_2d(mask)
    if lengths is not None:
        lengths = as_int64(np.atleast_1d(lengths))
    lead = out.shape[:-2]
    dq, dk, dv = (_empty((*lead, *x.shape[-2:]), q.dtype) for x in (q, k, v))
    if not _k.attend_vjp(q, k, v, out, stats, grad, dq, dk, dv, scale, mask, bool(causal), lengths):
        return None
    return unbroadcast(dq, q.shape), unbroadcast(dk, k.shape), unbroadcast(dv, v.shape)


def multi_head_single(
    q: Array,
    k: Array,
    v: Array | None,
    parameters: Mapping[str, Array],
    num_heads: int,
    scale: float | None = None,
    weights: Array | None = None,
    gates: tuple[float, float] | None = None,
    mask: Array | None = None,
) -> tuple[Array | None, bool] | None:
    """Compute multi-head attention of one query (Dq,) or a few (M, Dq) without projecting keys and values.

    This costs 4·M·N·D·H instead of 4·N·D² multiply-adds; the caller chooses (`functional.multi_head.folds`).

    Args:
        q: The queries.
        k: The keys, (N, Dk).
        v: The values, (N, Dv), or None for the weights alone.
        parameters: ``w_q, w_k, w_v, w_o`` and optionally ``b_q, b_k, b_v, b_o`` (y = x @ w + b), and with `gates`
            ``w_gate`` and ``b_gate``.
        num_heads: H. Head h uses columns h·D/H … (h+1)·D/H.
        scale: Factor of the scores, default 1/√(D/H).
        weights: Output array for the weights, (H, N) or (M·H, N), or None.
        gates: Sharpness and threshold of the heads' gates, sigmoid(sharpness · (q @ w_gate + b_gate)), which multiply
            them; gates below the threshold are 0, except the highest of a query. None for no gates.
        mask: Boolean (True = attend) or of the dtype of q (added), (1, N), or None.

    Returns:
        Output (Do,) or (M, Do), None without values, and whether it, q, k and v are finite.
    """
    p = parameters
    w_q, w_o = p["w_q"], p["w_o"]
    if scale is None:
        scale = (w_q.shape[1] / num_heads) ** -0.5
    rows = q[None] if q.ndim == 1 else q
    if v is None:
        alone = None, w_q, p["w_k"], None, None, p.get("b_q"), None, None, None, None, None, weights
        finite = _k.heads(rows, k, *alone, num_heads, scale, mask, 1.0, 0.0)
        return None if finite is None else (None, finite)
    out = _empty((len(rows), w_o.shape[1]), q.dtype)
    by_gate = (None, None) if gates is None else (p["w_gate"], p["b_gate"])
    finite = _k.heads(
        *(rows, k, v, w_q, p["w_k"], p["w_v"], w_o, p.get("b_q"), p.get("b_v"), p.get("b_o"), *by_gate),
        *(out, weights, num_heads, scale, mask, *(gates or (1.0, 0.0))),
    )
    if finite is None:
        return None
    return (out[0] if q.ndim == 1 else out), finite


def finite(x: Array) -> bool | None:
    """Return whether x contains neither NaN nor infinity."""
    answer: bool | None = _k.finite(x)
    return answer


def favor_exponentials(x: Array, projection: Array, *, is_query: bool, shift: bool = False) -> Array | None:
    """Compute exp(x Wᵀ·D^(-1/4) − |x|²/(2√D) − stabiliser), the core of FAVOR+ features.

    Args:
        x: (..., N, D).
        projection: W (m, D).
        is_query: Whether the stabiliser is a maximum over each row; otherwise it is one over each leading index.
        shift: Whether the maximum is taken of the whole exponent; otherwise of x Wᵀ·D^(-1/4).

    Returns:
        (..., N, m).
    """
    z = numpy_ops.matmul_nt(x, projection) if MATMUL_IN_BLAS and x.dtype in DTYPES else matmul_nt(x, projection)
    return z if z is not None and _k.favor(z, x, x.shape[-1] ** -0.25, int(is_query), int(shift)) else None


def favor_single(
    q: Array, k: Array, v: Array | None, directions: Array, root: float, reach: float, mask: Array | None = None
) -> tuple[Array | None, Array, bool] | None:
    """Compute linear attention of one query by FAVOR+ features, without the features of the keys.

    Args:
        q: The query, (D,).
        k: The keys, (N, D).
        v: The values, (N, E), or None.
        directions: W, (m, D).
        root: Factor of q and k.
        reach: Largest |root·x|²/2 of a query or key for which the result is wanted.
        mask: Boolean (True = attend) or of the dtype of q (the logarithms of factors of the weights), (1, N), or None.

    Returns:
        Output (E,), None without values; weights (N,); whether all is finite. None if a vector is out of reach.
    """
    out, weights = None if v is None else _empty(v.shape[-1], q.dtype), _empty(len(k), q.dtype)
    finite = _k.favor_one(q, k, v, directions, out, weights, root, reach, mask)
    return None if finite is None else (out, weights, finite)


def cross_single(
    q: Array,
    k: Array,
    v: Array,
    latent_k: Array,
    latent_v: Array,
    fusion: tuple[Array | None, Array | None],
    scale: float,
    gated: bool,
    weights: Array | None = None,
    mask: Array | None = None,
) -> tuple[Array, bool] | None:
    """Compute attention of one query over keys and over latent keys, of the result over the latent keys, and fuse them.

    Args:
        q: The query, (D,).
        k: The keys, (N, D).
        v: The values, (N, D).
        latent_k: The latent keys, (L, D).
        latent_v: The latent values, (L, D).
        fusion: (3D, D) and (D,), if `gated` (3D, 3) and (3,), or None twice for the mean.
        scale: Factor of the scores.
        gated: Whether the fusion mixes the three results with a softmax.
        weights: Output array for the weights of the keys, (N,), or None.
        mask: Boolean (True = attend) or of the dtype of q (added), (1, N), or None.

    Returns:
        Output (D,) and whether all is finite.
    """
    out = _empty(q.shape, q.dtype)
    finite = _k.cross_one(q, k, v, latent_k, latent_v, *fusion, mask, out, weights, scale, gated)
    return None if finite is None else (out, finite)


def gat_single(
    q: Array,
    k: Array,
    v: Array | None,
    edges: Array | None,
    vectors: tuple[Array, Array, Array | None],
    w: Array,
    b: Array | None,
    slope: float,
    concat: bool,
    mask: Array | None = None,
) -> tuple[Array | None, Array, bool] | None:
    """Compute a graph attention layer for one query without projecting keys and values.

    Args:
        q: The query, (D,).
        k: The keys, (N, D).
        v: The values, (N, D), or None for the weights alone.
        edges: Edge features (N, e), or None.
        vectors: Factors of the query (H, D), the keys (H, D) and the edges (H, e) in the scores.
        w: Projection of the values, (H, D, E).
        b: Bias of the output, or None.
        slope: Slope of the LeakyReLU below zero.
        concat: Whether the heads are joined; otherwise they are averaged.
        mask: Boolean (True = attend) or of the dtype of q (added), broadcast against (H, N), or None.

    Returns:
        Output (H·E,) or (E,), None without values; weights (H, N); whether all is finite.
    """
    heads, _, e = w.shape
    by_query, by_key, by_edge = vectors
    weights = _empty((heads, len(k)), q.dtype)
    if v is None:
        out, w, b = None, None, None  # type: ignore[assignment]
    else:
        out = _empty(heads * e if concat else e, q.dtype)
    finite = _k.gat_one(q, k, v, edges, by_query, by_key, by_edge, w, b, mask, out, weights, slope)
    return None if finite is None else (out, weights, finite)


def int8_scores(q: Array, codes: Array, scale: Array, zero_point: Array, group_size: int | None = None) -> Array | None:
    """Compute ``q (..., M, D) @ ((codes (..., N, D) − zero_point) · scale)ᵀ``; see `quantized_ops.int8_scores`."""
    out = _empty((*joined(q.shape[:-2], codes.shape[:-2]), q.shape[-2], codes.shape[-2]), q.dtype)
    return out if _k.int8_scores(q, codes, scale, zero_point, group_size, out) else None


def int8_combine(
    w: Array, codes: Array, scale: Array, zero_point: Array, group_size: int | None = None
) -> Array | None:
    """Compute ``w (..., M, N) @ ((codes (..., N, D) − zero_point) · scale)``; see `quantized_ops.int8_combine`."""
    out = _empty((*joined(w.shape[:-2], codes.shape[:-2]), w.shape[-2], codes.shape[-1]), w.dtype)
    return out if _k.int8_combine(w, codes, scale, zero_point, group_size, out) else None


def rotate(x: Array, positions: Array, frequency: Array, interleaved: bool) -> Array | None:
    """Rotate pair i of x (..., D) by position · frequency[i]; see `numpy_ops.rotate`."""
    out = _empty(np.broadcast_shapes(x.shape, (*positions.shape, x.shape[-1])), x.dtype)
    at = np.asarray(positions, np.float64)
    return out if _k.rotate(x, at, frequency, int(interleaved), out) else None
