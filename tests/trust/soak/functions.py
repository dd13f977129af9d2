"""Calls of every function of `ga.functional`, each with its gradient."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import graphattend as ga
from graphattend.functional.gat import parameter_shapes

from .draw import Draw
from .watch import REFUSED, Watch

F = ga.functional
Made = tuple[tuple[Any, ...], dict[str, Any]]


def _qkv(d: Draw, *, lead: tuple[int, ...] = (), width: int = 4) -> tuple[np.ndarray, ...]:
    m, n, dtype = d.pick((1, 2, 5)), d.pick((1, 2, 7)), d.dtype()
    return tuple(d.array(*lead, rows, width, dtype=dtype) for rows in (m, n, n))


def _scaled_dot_product_attention(d: Draw) -> Made:
    q, k, v = _qkv(d, lead=d.pick(((), (), (2,), (2, 3))), width=d.pick((1, 4, 5)))
    options: dict[str, Any] = {"is_causal": d.chance(0.2), "return_weights": d.chance(0.3)}
    options["return_lse"] = d.chance(0.2)
    if not options["is_causal"]:
        options["attn_mask"] = d.mask(q.shape[-2], k.shape[-2])
    options["scale"] = d.pick((None, None, 0.0, 1e-3, 10.0))
    options["softcap"] = d.pick((None, None, None, 5.0))
    if options["return_lse"]:  # -inf for a row that sees no key
        options["attn_mask"] = None
    return (q, k, v), options


def _multi_head_attention(d: Draw) -> Made:
    arrays = _qkv(d, lead=d.pick(((), (2,))), width=4)
    parameters = {f"w_{n}": d.array(4, 4, dtype=arrays[0].dtype) if d.chance(0.2) else np.eye(4) for n in "qkvo"}
    return (*arrays, parameters), {"num_heads": d.pick((1, 2, 4)), "need_weights": d.chance(0.3)}


def _gat_attention(d: Draw) -> Made:
    variant, concat, edge = d.pick(("gat", "gatv2")), d.chance(0.5), d.pick((0, 2))
    shapes = parameter_shapes(4, 2, 3, edge, variant, concat, True)
    parameters = {n: d.rng.standard_normal(s) * d.pick((1.0, 1.0, 1e3)) for n, s in shapes.items()}
    q, k, _ = _qkv(d)
    features = (d.array(k.shape[0], edge, dtype=q.dtype),) if edge else ()
    options = {"variant": variant, "concat": concat, "negative_slope": d.pick((0.0, 0.2, 1.0))}
    return (q[0], k, parameters, *features), options


def _projection(d: Draw) -> np.ndarray:
    return F.orthogonal_projection(6, 4, seed=d.number(5))


#: Name → function that draws the arguments of a call. The tests fail for a function without an entry.
FUNCTIONS: dict[str, Callable[[Draw], Made]] = {
    "favor_features": lambda d: ((_qkv(d)[0], _projection(d)), {"is_query": d.chance(0.5), "eps": d.pick((0.0, 1e-4))}),
    "from_torch_mask": lambda d: ((d.rng.random((2, 3)) < 0.5,), {}),
    "gat_attention": _gat_attention,
    "linear_attention": lambda d: ((*_qkv(d), _projection(d)), {"is_causal": d.chance(0.3)}),
    "load_balance_loss": lambda d: ((d.array(d.pick((1, 5)), 3, dtype=d.dtype()), d.pick((1, 2, 3))), {}),
    "matmul": lambda d: ((d.array(3, 4, dtype=d.dtype()), d.array(4, 2, dtype=d.dtype())), {}),
    "multi_head_attention": _multi_head_attention,
    "orthogonal_projection": lambda d: ((d.pick((1, 3, 20)), d.pick((1, 4))), {"seed": d.number(100)}),
    "quantized_attention": lambda d: (
        (
            d.array(4),
            ga.compression.Quantizer(8, granularity="row").encode(d.rng.standard_normal((5, 4))),
            d.array(5, 3),
        ),
        {},
    ),
    "rotary": lambda d: (
        (d.array(3, d.pick((1, 2, 5)), dtype=d.dtype()), d.pick((np.arange(3), np.array([0.0, 1e9, -1e-300])))),
        {"interleaved": d.chance(0.5), "base": d.pick((10000.0, 1.5))},
    ),
    "scaled_dot_product_attention": _scaled_dot_product_attention,
    "segment_softmax": lambda d: ((d.array(7, dtype=d.dtype()), np.array([0, 0, 3, 6, 7])), {}),
    "softmax": lambda d: ((d.array(*d.pick(((5,), (2, 3), (1,))), dtype=d.dtype()),), {}),
    "top_k_gating": lambda d: ((d.array(d.pick((1, 5)), 3, dtype=d.dtype()), d.pick((1, 2, 3))), {}),
}
NAMES = sorted(FUNCTIONS)


def case(d: Draw, call: Watch) -> None:
    """Call a function, its gradient, and the gradient's pullback."""
    name = d.pick(NAMES)
    function = getattr(F, name)
    args, options = FUNCTIONS[name](d)
    call(name, function, *args, **options)
    if hasattr(function, "vjp_rule"):
        found = call(f"{name}'s vjp", ga.vjp, function, *args, **options)
        if found is REFUSED:
            return
        outputs = found[0] if isinstance(found[0], tuple) else (found[0],)
        g = tuple(d.array(*np.shape(y), dtype=np.asarray(y).dtype) if y.dtype.kind == "f" else None for y in outputs)
        call(f"{name}'s pullback", found[1], g if isinstance(found[0], tuple) else g[0])
