"""The fused kernels: same function names as `numpy_ops`, each returning None where the kernel does not apply.

The kernels are compiled from `kernels/*.c` and check their arguments themselves (see `kernels/args.h`): dtype, layout,
alignment, overlap. What they cannot take (float64, a strided last axis, nothing to do) comes back as None, and the caller
falls back to NumPy. Contradictory shapes raise ValueError; the validation before them should have refused those.
"""

from __future__ import annotations

import importlib.util
import sys
from functools import cache
from importlib.machinery import ExtensionFileLoader
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from .._vjp import unbroadcast

Array = np.ndarray
_F4 = np.dtype(np.float32)

#: The best first; see `kernels/build.py`.
VARIANTS = ("relaxed", "simd128")

_k: Any = None
_empty = np.empty


def load(path: Path) -> ModuleType:
    """Load a compiled kernel module and let it check that NumPy's arrays are laid out as it expects.

    Raises:
        ImportError: The file is missing, the engine lacks its instructions, or the layout differs.
    """
    loader = ExtensionFileLoader("graphattend.simd._kernels", str(path))
    spec = importlib.util.spec_from_file_location(loader.name, path, loader=loader)
    if spec is None:
        raise ImportError(f"cannot load {path}")
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    probe = np.zeros((3, 5), dtype=np.float32)
    module.setup(probe, probe.ctypes.data, 3, probe.strides[0])
    return module


@cache
def variant(name: str) -> ModuleType | None:
    """The kernels built for one instruction set, or None where this engine cannot run them."""
    path = Path(__file__).with_name(f"kernels_{name}.wasm")
    if sys.platform != "emscripten" or not path.exists():
        return None
    try:
        return load(path)
    except ImportError:
        return None


def use(module: ModuleType | None) -> None:
    """Send the calls below to this module (from `variant` or `load`)."""
    global _k
    _k = module


def current() -> ModuleType | None:
    """The module in use."""
    module: ModuleType | None = _k
    return module


def _int64(x: Array) -> Array:
    return np.ascontiguousarray(x, dtype=np.int64)


def matmul(a: Array, b: Array) -> Array | None:
    """``a @ b`` for arrays with at least two axes."""
    return _matmul(a, b, 0)


def matmul_nt(a: Array, b: Array) -> Array | None:
    """``a @ b.mT``."""
    return _matmul(a, b, 2)


def matmul_tn(a: Array, b: Array) -> Array | None:
    """``a.mT @ b``."""
    return _matmul(a, b, 1)


def _matmul(a: Array, b: Array, transposes: int) -> Array | None:
    if a.ndim < 2 or b.ndim < 2 or a.dtype != _F4 or b.dtype != _F4:
        return None
    m = a.shape[-1] if transposes & 1 else a.shape[-2]
    n = b.shape[-2] if transposes & 2 else b.shape[-1]
    if a.ndim == b.ndim == 2:
        out = _empty((m, n), _F4)
    else:
        out = _empty((*np.broadcast_shapes(a.shape[:-2], b.shape[:-2]), m, n), _F4)
    # A transposed view has its contiguous axis elsewhere; say so instead of copying it.
    if a.strides[-1] != 4 and a.strides[-2] == 4:
        a, transposes = a.swapaxes(-1, -2), transposes ^ 1
    if b.strides[-1] != 4 and b.strides[-2] == 4:
        b, transposes = b.swapaxes(-1, -2), transposes ^ 2
    return out if _k.matmul(a, b, out, transposes) else None


def exp(x: Array) -> Array | None:
    """``np.exp(x)``."""
    out = _empty(x.shape, x.dtype)
    return out if _k.exp(x, out) else None


def softmax(x: Array) -> Array | None:
    """Softmax over the last axis; a row of -inf gives zeros."""
    out = _empty(x.shape, x.dtype)
    return out if _k.softmax(x, out) else None


def segment_softmax(scores: Array, indptr: Array) -> Array | None:
    """Softmax of scores (K,) or (K, H) within the segments of `indptr` (V+1,)."""
    out = _empty(scores.shape, scores.dtype)
    return out if _k.segment_softmax(scores, _int64(indptr), out) else None


def sdpa_single(q: Array, k: Array, v: Array, scale: float) -> tuple[Array, bool] | None:
    """Attention of one query (..., D) over keys (..., N, D) and values (..., N, E).

    Returns:
        The output (..., E), and whether everything was finite: False means that q, k or v holds NaN or infinity (or
        that their products overflow), found out without reading them again.
    """
    if q.ndim == 1 and k.ndim == 2 and v.ndim == 2:
        out = _empty(v.shape[1], _F4)
    else:
        lead = np.broadcast_shapes(q.shape[:-1], k.shape[:-2], v.shape[:-2])
        out = _empty((*lead, v.shape[-1]), _F4)
    finite = _k.attend_one(q, k, v, out, scale)
    return None if finite is None else (out, finite)


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
    """Exact attention without the score matrix.

    Args:
        q: Queries (..., M, D).
        k: Keys (..., N, D).
        v: Values (..., N, E).
        scale: Factor of the scores.
        mask: Boolean (True = attend) or float32 (added), broadcast against (..., M, N).
        causal: Query i sees keys j <= i only.
        lengths: Query i of a batch entry sees keys j < lengths[..., i] only; integers, broadcast against (..., M).

    Returns:
        Output (..., M, E), log-sum-exp (..., M) (-inf where nothing was visible), and whether q, k and v were finite.
    """
    if mask is not None and mask.ndim < 2:
        mask = np.atleast_2d(mask)
    if lengths is not None:
        lengths = _int64(np.atleast_1d(lengths))
    lead = _lead(q, k, v, mask, lengths)
    out, lse = _empty((*lead, q.shape[-2], v.shape[-1]), _F4), _empty((*lead, q.shape[-2]), _F4)
    finite = _k.attend(q, k, v, out, lse, scale, mask, causal, lengths)
    return None if finite is None else (out, lse, finite)


def _lead(q: Array, k: Array, v: Array, mask: Array | None, lengths: Array | None) -> tuple[int, ...]:
    """The leading axes of an attention's output."""
    lead = q.shape[:-2]
    if k.shape[:-2] == lead and v.shape[:-2] == lead and mask is None and lengths is None:
        return lead
    shapes = [lead, k.shape[:-2], v.shape[:-2]]
    if mask is not None:
        shapes.append(mask.shape[:-2])
    if lengths is not None:
        shapes.append(lengths.shape[:-1])
    return np.broadcast_shapes(*shapes)


def attention_vjp(
    q: Array,
    k: Array,
    v: Array,
    out: Array,
    lse: Array,
    grad: Array,
    *,
    scale: float,
    mask: Array | None = None,
    causal: bool = False,
    lengths: Array | None = None,
) -> tuple[Array, Array, Array] | None:
    """Gradients of `attention` by q, k and v, from its results `out` and `lse` and the gradient by the output."""
    if mask is not None and mask.ndim < 2:
        mask = np.atleast_2d(mask)
    if lengths is not None:
        lengths = _int64(np.atleast_1d(lengths))
    lead = out.shape[:-2]
    dq, dk, dv = (_empty((*lead, *x.shape[-2:]), _F4) for x in (q, k, v))
    if not _k.attend_vjp(q, k, v, out, lse, grad, dq, dk, dv, scale, mask, causal, lengths):
        return None
    return unbroadcast(dq, q.shape), unbroadcast(dk, k.shape), unbroadcast(dv, v.shape)
