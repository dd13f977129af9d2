"""The arithmetic backends. One is selected at import; `backend_info` reports it, and it never changes silently.

The functions take checked arrays. Each has a NumPy formulation in `numpy_ops`. If kernels are loaded and support the
arrays, they run instead and give the same result.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, TypeVar, cast

import numpy as np

from .. import _float64_fallback, _validate
from . import backends, graph_ops, numpy_graph_ops, numpy_ops, products
from .graph_ops import GatProjection as GatProjection
from .graph_ops import gat_columns as gat_columns
from .graph_ops import gat_projection as gat_projection
from .threads import get_num_threads as get_num_threads
from .threads import num_threads as num_threads
from .threads import set_num_threads as set_num_threads
from .thresholds import FEW_ROWS as FEW_ROWS
from .thresholds import MATMUL_IN_BLAS, numpy_build

if TYPE_CHECKING:
    from .accelerate import Acceleration as Acceleration
    from .accelerate import accelerate_numpy as accelerate_numpy
    from .accelerate import accelerated as accelerated

#: The public names. The operations below are internal.
__all__ = ["Acceleration", "accelerate_numpy", "backend_info", "use_backend"]

F = TypeVar("F", bound=Callable[..., Any])

#: `kernel_ops` while kernels are in use, else None. A kernel returns None if it does not apply.
_kernels: Any = None


def _op(reference: F) -> F:
    name = reference.__name__

    def op(*args: Any, **options: Any) -> Any:
        if _kernels is not None:
            fast = getattr(_kernels, name, None)
            if fast is not None:
                result = fast(*args, **options)
                if result is not None:
                    return result
        return reference(*args, **options)

    op.__name__ = name
    op.__doc__ = reference.__doc__
    return cast("F", op)


if MATMUL_IN_BLAS:
    matmul_nt, matmul_tn = products.matmul_nt, products.matmul_tn
else:
    matmul_nt, matmul_tn = (_op(f) for f in (numpy_ops.matmul_nt, numpy_ops.matmul_tn))
matmul = products.matmul if MATMUL_IN_BLAS else _op(numpy_ops.matmul)


def _affine(x: np.ndarray, w: np.ndarray, b: np.ndarray) -> np.ndarray:
    y = matmul(x, w)
    y += b
    return y


#: ``affine(x, w, b)`` is ``x @ w + b``.
affine = products.matmul if MATMUL_IN_BLAS else _affine
exp = _op(numpy_ops.exp)
softmax = _op(numpy_ops.softmax)
segment_softmax = _op(numpy_ops.segment_softmax)
rotate = _op(numpy_ops.rotate)
favor_exponentials = _op(numpy_ops.favor_exponentials)
segment_sum = numpy_ops.segment_sum
scatter_add = numpy_ops.scatter_add


def attention(
    q: np.ndarray,
    k: np.ndarray,
    v: np.ndarray,
    *,
    scale: float,
    mask: np.ndarray | None = None,
    causal: bool = False,
    block_size: int = 128,
) -> tuple[np.ndarray, np.ndarray]:
    """Compute exact attention without the score matrix: output (..., M, E) and softmax statistics (..., M, 2)."""
    if _kernels is not None:
        found = _kernels.attention(q, k, v, scale=scale, mask=mask, causal=causal)
        if found is not None:
            return found[0], found[1]
    return numpy_ops.attention(q, k, v, scale=scale, mask=mask, causal=causal, block_size=block_size)


def attention_vjp(
    q: np.ndarray,
    k: np.ndarray,
    v: np.ndarray,
    out: np.ndarray,
    stats: np.ndarray,
    grad: np.ndarray,
    *,
    scale: float,
    mask: np.ndarray | None = None,
    causal: bool = False,
    block_size: int = 128,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Compute the gradients of q, k and v for `attention`, from its results and the gradient of its output."""
    if _kernels is not None:
        found = _kernels.attention_vjp(q, k, v, out, stats, grad, scale=scale, mask=mask, causal=causal)
        if found is not None:
            return cast("tuple[np.ndarray, np.ndarray, np.ndarray]", found)
    return numpy_ops.attention_vjp(
        q, k, v, out, stats, grad, scale=scale, mask=mask, causal=causal, block_size=block_size
    )


def attend_few(
    q: np.ndarray, k: np.ndarray, v: np.ndarray | None, **options: Any
) -> tuple[np.ndarray | None, np.ndarray] | None:
    """Compute output and weights of a few queries by `kernel_ops.attend_few`, or return None if it does not apply."""
    if _kernels is None:
        return None
    found = _kernels.attend_few(q, k, v, **options)
    return None if found is None else (found[0], found[1])


def attend_few_vjp(
    q: np.ndarray,
    k: np.ndarray,
    v: np.ndarray,
    weights: np.ndarray,
    grad: np.ndarray,
    *,
    scale: float,
    grad_weights: np.ndarray | None = None,
    squares: bool = False,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Compute the gradients of q, k, v and the scores with their bias; see `kernel_ops.attend_few_vjp`.

    With `squares`, the last is Σ gradient of the score · |k|², (..., M, 1), instead of the gradient of the scores.
    """
    options: dict[str, Any] = {"scale": scale, "grad_weights": grad_weights, "squares": squares}
    found = None if _kernels is None else _kernels.attend_few_vjp(q, k, v, weights, grad, **options)
    if found is not None:
        return cast("Any", (*found[:3], found[4] if squares else found[3]))
    return numpy_ops.attend_few_vjp(q, k, v, weights, grad, **options)


def is_single(query: Any, keys: Any, values: Any, dim: int) -> bool:
    """Return whether these are one query (D,), keys (N, D) and values (N, E) or None, in a form for the kernels."""
    if _kernels is None or type(query) is not np.ndarray or type(keys) is not np.ndarray or query.shape != (dim,):
        return False
    dtype = query.dtype
    if dtype not in _kernels.DTYPES or keys.dtype != dtype or keys.ndim != 2 or keys.shape[1] != dim:
        return False
    if not 0 < len(keys) <= _validate.LARGEST:
        return False
    if values is None:
        return True
    return type(values) is np.ndarray and values.dtype == dtype and values.ndim == 2 and len(values) == len(keys)


def plain_mask(mask: Any, query: Any, keys: Any) -> np.ndarray | None:
    """Return a mask (N,), (1, N) or (M, N) of a query (D,) or queries (M, D) with two axes.

    Returns None if the arrays are unusual or the mask is none of these.
    """
    if type(mask) is not np.ndarray or type(query) is not np.ndarray or type(keys) is not np.ndarray:
        return None
    if query.ndim not in (1, 2) or keys.ndim != 2 or not mask.size or mask.shape[-1:] != keys.shape[:1]:
        return None
    rows = 1 if query.ndim == 1 else len(query)
    if mask.ndim > 2 or (mask.ndim == 2 and len(mask) not in (1, rows)):
        return None
    if mask.dtype != np.bool_ and (mask.dtype != query.dtype or not np.maximum.reduce(mask, axis=None) < np.inf):
        return None
    return mask if mask.ndim == 2 else mask[None]


def single_with_weights(
    rows: np.ndarray, keys: np.ndarray, values: np.ndarray | None, options: Mapping[str, Any]
) -> tuple[Any, np.ndarray] | None:
    """Compute output (M, E) and weights (M, N) of the rows that replace a query; None if a result is not finite."""
    if options.get("bias") is not None and _kernels.finite(options["bias"]) is False:  # overflow; masks are separate
        return None
    found = _kernels.attend_few(rows, keys, values, **options)
    return found[:2] if found is not None and found[2] else None


def single_product(x: np.ndarray, y: np.ndarray) -> np.ndarray | None:
    """Compute x @ y of one row x (D,) in one kernel call, which does not warn, or return None if it does not apply."""
    if _kernels is None:
        return None
    out = np.empty((1, y.shape[1]), y.dtype)
    return out[0] if _kernels._k.matmul(x[None], y, out, 0) else None


def favor_single(
    query: np.ndarray,
    keys: np.ndarray,
    values: np.ndarray | None,
    directions: np.ndarray,
    root: float,
    reach: float,
    mask: np.ndarray | None = None,
) -> tuple[Any, np.ndarray] | None:
    """Compute `kernel_ops.favor_single`, or return None without kernels or if a result is not finite."""
    found = None if _kernels is None else _kernels.favor_single(query, keys, values, directions, root, reach, mask)
    return found[:2] if found is not None and found[2] else None


def cross_single(query: np.ndarray, keys: np.ndarray, values: np.ndarray, *layer: object) -> np.ndarray | None:
    """Compute `kernel_ops.cross_single`, or return None if a result is not finite."""
    found = _kernels.cross_single(query, keys, values, *layer)
    return found[0] if found is not None and found[1] else None


def gat_single(
    query: np.ndarray, keys: np.ndarray, values: np.ndarray | None, *layer: object
) -> tuple[Any, np.ndarray] | None:
    """Compute `kernel_ops.gat_single`, or return None if a result is not finite."""
    found = _kernels.gat_single(query, keys, values, *layer)
    return found[:2] if found is not None and found[2] else None


def single_vjp(
    rows: np.ndarray, keys: np.ndarray, values: np.ndarray, weights: np.ndarray, grad: np.ndarray, **options: Any
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray | None] | None:
    """Compute `kernel_ops.attend_few_vjp` for the rows that replace a query, without its test of finiteness.

    Returns None without kernels or if a result is not finite.
    """
    found = None if _kernels is None else _kernels.attend_few_vjp(rows, keys, values, weights, grad, **options)
    return None if found is None or not found[5] else cast("Any", found[:5])


def has_kernels(dtype: np.dtype[Any]) -> bool:
    """Return whether fused kernels support this dtype. Otherwise, callers should use the separate NumPy operations."""
    return _kernels is not None and dtype in _kernels.DTYPES


def _plain(query: Any, keys: Any, values: Any) -> bool:
    """Return whether a kernel may be called with these arrays. The kernel makes all other checks."""
    return _kernels is not None and type(query) is type(keys) is type(values) is np.ndarray


def single(
    query: Any,
    keys: Any,
    values: Any,
    dim: int,
    scale: float,
    check_finite: bool,
    mask: np.ndarray | None = None,
) -> np.ndarray | None:
    """Compute attention of (D,) or (M, D) over keys (N, D) in one kernel call, which checks its arguments.

    `mask` is (1, N) for a single query, else (M, N).

    Like the functions below, it returns None without kernels or if an argument is unusual. The caller then runs the
    checked pass, which computes the result or raises an error.
    """
    # This is the most frequent call. Over few keys Python dominates, so it calls the kernel directly.
    if _kernels is None or not (type(query) is type(keys) is type(values) is np.ndarray):
        return None
    if keys.ndim != 2 or values.ndim != 2 or keys.shape[1] != dim:
        return None
    out: np.ndarray
    try:
        if query.ndim == 1:
            out = np.empty(values.shape[1], values.dtype)
            finite = _kernels._k.attend_one(query, keys, values, out, scale, mask)
        elif query.ndim == 2:
            out, _, finite = _kernels.attention(query, keys, values, scale=scale, mask=mask) or (query, None, None)
        else:
            return None
    except (ValueError, MemoryError):
        return None
    return out if finite or (finite is False and not check_finite) else None


def single_weights(
    query: Any, keys: Any, values: Any, dim: int, scale: float, mask: np.ndarray | None = None
) -> tuple[np.ndarray | None, np.ndarray] | None:
    """Compute the output of `single` (None without values) and the weights, (N,) or (M, N), in a few kernel calls.

    Also returns None if a score or an output is not finite, or for a mask (M, N) over many queries.
    """
    if _kernels is None or not (type(query) is type(keys) is np.ndarray) or query.dtype not in _kernels.DTYPES:
        return None
    if keys.ndim != 2 or query.ndim not in (1, 2) or query.shape[-1] != dim or keys.shape[1] != dim:
        return None
    if query.dtype != keys.dtype or not keys.size or not query.size:
        return None
    if values is not None and (type(values) is not np.ndarray or values.ndim != 2 or values.dtype != keys.dtype):
        return None
    if values is not None and (len(values) != len(keys) or not values.size):
        return None
    rows = query if query.ndim == 2 else query[None]
    if len(rows) <= FEW_ROWS:
        found = single_with_weights(rows, keys, values, {"scale": scale, "mask": mask})
        if found is None:
            return None
        out, weights = found
    elif mask is not None:
        return None
    else:
        with _float64_fallback.silence():
            scores = matmul_nt(rows, keys)
            scores *= scores.dtype.type(scale)
            weights = softmax(scores)
            out = None if values is None else matmul(weights, values)
        if not _kernels.finite(scores) or (out is not None and not _kernels.finite(out)):
            return None
    if query.ndim == 2:
        return out, weights
    return None if out is None else out[0], weights[0]


def multi_head_single(
    query: Any,
    keys: Any,
    values: Any,
    p: Mapping[str, np.ndarray],
    heads: int,
    scale: float,
    check_finite: bool,
    weights: np.ndarray | None = None,
    gates: tuple[float, float] | None = None,
    mask: np.ndarray | None = None,
) -> np.ndarray | None:
    """Compute folded multi-head attention of one query in one kernel call, or return None.

    `weights` (H, N), if given, is filled with the weights; for `gates` see `kernel_ops.multi_head_single`. `mask` is
    (1, N).
    """
    if not _plain(query, keys, values) or query.ndim != 1 or keys.ndim != 2 or values.ndim != 2:
        return None
    try:
        found = _kernels.multi_head_single(query, keys, values, p, heads, scale, weights, gates, mask)
    except ValueError:
        return None
    if found is None or (check_finite and not found[1]):
        return None
    return cast("np.ndarray", found[0])


def multi_head_weights(
    query: np.ndarray, keys: np.ndarray, p: Mapping[str, np.ndarray], heads: int, scale: float, mask: np.ndarray | None
) -> np.ndarray | None:
    """Compute the weights (H, N) of one query as `multi_head_single` does, or return None."""
    weights = np.empty((heads, len(keys)), query.dtype)
    try:
        found = _kernels.multi_head_single(query, keys, None, p, heads, scale, weights, None, mask)
    except ValueError:
        return None
    return weights if found is not None and found[1] else None


def multi_head_projected(
    query: np.ndarray, k: np.ndarray, v: np.ndarray, p: Mapping[str, np.ndarray], scale: float, check_finite: bool
) -> np.ndarray | None:
    """Compute multi-head attention of one query (D,) over projected keys and values (H, N, E), or return None."""
    if not has_kernels(query.dtype) or k.ndim != 3:
        return None
    with _float64_fallback.silence():
        q = matmul(query[None], p["w_q"])
        if "b_q" in p:
            q += p["b_q"]
        found = _kernels.attention(q.reshape(len(k), 1, -1), k, v, scale=scale)
        if found is None or (check_finite and not found[2]):
            return None
        out: np.ndarray = matmul(found[0].reshape(1, -1), p["w_o"])[0]
        if "b_o" in p:
            out += p["b_o"]
    return None if check_finite and not _kernels.finite(out) else out


def graph_attention(
    q: np.ndarray,
    k: np.ndarray,
    v: np.ndarray,
    indptr: np.ndarray,
    indices: np.ndarray,
    scale: float,
    weights: bool,
    **options: Any,
) -> tuple[np.ndarray, np.ndarray | None] | None:
    """Attend from every node to its neighbours, for q, k, v (V, [H,] D), without gathered copies, or return None."""
    if _kernels is None:
        return None
    found = graph_ops.graph_attention(q, k, v, indptr, indices, scale, need_weights=weights, **options)
    return None if found is None else (found[0], found[1])


def graph_attention_vjp(
    q: np.ndarray,
    k: np.ndarray,
    v: np.ndarray,
    graph: Any,
    weights: np.ndarray,
    grad: np.ndarray,
    scale: float,
    *,
    grad_weights: np.ndarray | None = None,
    keys_are_queries: bool = False,
    values_are_keys: bool = False,
    **options: Any,
) -> tuple[np.ndarray, np.ndarray | None, np.ndarray | None, np.ndarray]:
    """Compute the gradients of q, k, v and the scores with their bias for `graph_attention`.

    With ``keys_are_queries`` the gradient of k is added to that of q and returned as None; with ``values_are_keys`` the
    gradient of v is added to that of k and returned as None. With a ``rotation``, the last gradient is that of its
    positions instead of the scores.
    """
    if _kernels is not None and grad_weights is None:
        arrays = q, k, v, graph.indptr, graph.indices, graph._transposed, weights, grad, scale
        found = graph_ops.graph_attention_vjp(*arrays, keys_are_queries, values_are_keys, **options)
        if found is not None:
            return found
    dq, dk, dv, dscores = numpy_graph_ops.graph_attention_vjp(
        *(q, k, v, graph.indptr, graph.indices, weights, grad, scale), grad_weights=grad_weights, **options
    )
    if values_are_keys:
        dk += dv
    if keys_are_queries:
        dq += dk
    return dq, None if keys_are_queries else dk, None if values_are_keys else dv, dscores


def __getattr__(name: str) -> Any:
    if name in ("Acceleration", "accelerate_numpy", "accelerated"):
        from . import accelerate

        return getattr(accelerate, name)
    if name in ("int8_scores", "int8_combine"):
        from . import quantized_ops

        globals()[name] = _op(getattr(quantized_ops, name))
        return globals()[name]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def gat_layer(*arrays: np.ndarray, **options: Any) -> tuple[np.ndarray, np.ndarray | None, GatProjection] | None:
    """Compute a graph attention layer: output (V, H, E), weights (K, H), and the projection of the nodes."""
    if _kernels is None:
        return None
    found = graph_ops.gat_layer(*arrays, **options)
    return None if found is None else found[:3]


def gat_vjp(
    grad: np.ndarray, projection: GatProjection, graph: Any, weights: np.ndarray, **options: Any
) -> tuple[np.ndarray, np.ndarray] | None:
    """Compute the gradients of the scores before LeakyReLU and of the projection for `gat_layer`, or return None."""
    if _kernels is None:
        return None
    lists = graph.indptr, graph.indices, graph._transposed
    return graph_ops.gat_vjp(grad, *projection, *lists, weights, **options)


def backend_info() -> dict[str, Any]:
    """Describe the backend in use.

    Returns:
        ``backend`` ("native-avx512", "native-avx2", "native-sse4", "native-neon", "wasm-relaxed-simd", "wasm-simd128"
        or "numpy"), ``available`` (all usable backends), ``reason`` (of the selection), ``platform``, ``numpy`` (its
        version), ``numpy_build`` (its ``blas`` or None, and the ``simd`` instruction sets it was built for; the
        official wheel for Pyodide has neither) and ``numpy_loops`` (the result of `accelerated`).

    Example:
        >>> import graphattend as ga
        >>> ga.backend_info()["backend"] in ga.backend_info()["available"]
        True
    """
    from .accelerate import accelerated

    return {
        "backend": _current.name,
        "available": [name for name in backends.NAMES if backends.load(name) is not None],
        "reason": _current.reason,
        "platform": sys.platform,
        "numpy": np.__version__,
        "numpy_build": numpy_build(),
        "numpy_loops": accelerated(),
    }


def use_backend(name: str) -> AbstractContextManager[None]:
    """Use another backend inside a ``with`` block.

    Args:
        name: One of ``backend_info()["available"]``.

    Returns:
        A context manager that restores the previous backend at its end.

    Raises:
        UnsupportedError: The backend is unknown or not available.

    Example:
        >>> import graphattend as ga
        >>> with ga.use_backend("numpy"):
        ...     print(ga.backend_info()["backend"])
        numpy
    """
    return _using(backends.require(name, "asked for by use_backend"))


@contextlib.contextmanager
def _using(chosen: backends.Backend) -> Iterator[None]:
    before = _current
    _activate(chosen)
    try:
        yield
    finally:
        _activate(before)


def choose_again() -> None:
    """Select the backend again as at import, because a restored interpreter may run on another engine."""
    backends.look_again()
    _activate(backends.choose())


def _activate(backend: backends.Backend) -> None:
    global _current, _kernels
    _current = backend
    _kernels = None
    finite, shared = None, None
    if backend.kernels is not None:
        from . import kernel_ops

        kernel_ops.use(backend.kernels)
        _kernels = kernel_ops
        finite, shared = backend.kernels.finite, kernel_ops.all_finite
    _float64_fallback.set_kernels(backend.kernels is not None)
    _validate.set_finite_test(finite, shared)


_current: backends.Backend
_activate(backends.choose())
