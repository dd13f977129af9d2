"""Graph attention (GAT, GATv2) as a pure function of its inputs and parameters."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from .._validate import as_bool, as_choice, as_float, as_mapping, check_ndim
from .._vjp import differentiable
from ..errors import InvalidConfigError


def _gat_vjp(
    query: Any,
    key: Any,
    parameters: Mapping[str, Any],
    edge_features: Any = None,
    *,
    variant: str = "gat",
    concat: bool = True,
    negative_slope: float = 0.2,
    attn_mask: Any = None,
    need_weights: bool = False,
) -> tuple[Any, Callable[..., tuple[Any, ...]]]:
    from ..graph import GraphMetadata
    from ..mechanisms.edge_featured import EdgeFeaturedAttention

    as_bool(need_weights, "need_weights")
    variant = as_choice(variant, "variant", ("gat", "gatv2"))
    as_mapping(parameters, "parameters")
    name = "w" if variant == "gat" else "w_query"
    if name not in parameters:
        raise InvalidConfigError(f"parameters: {name} is missing", argument="parameters", expected=name)
    w = as_float(parameters[name], name)
    check_ndim(w, name, 2, 3)
    features = None if edge_features is None else as_float(edge_features, "edge_features", beside=w.dtype)
    if features is not None:
        check_ndim(features, "edge_features", 2)
    attn = EdgeFeaturedAttention(
        w.shape[-2],
        edge_dim=0 if features is None else features.shape[-1],
        num_heads=w.shape[0] if w.ndim == 3 else 1,
        head_dim=w.shape[-1],
        variant=variant,
        concat=concat,
        negative_slope=negative_slope,
        bias="bias" in parameters,
        check_finite=False,
    )
    missing = [n for n in attn.parameters() if n not in parameters]
    if missing:
        raise InvalidConfigError(
            f"parameters: {missing[0]} is missing", argument="parameters", expected=list(attn.parameters())
        )
    attn = attn.with_parameters(parameters)
    call = {"attn_mask": attn_mask, "metadata": None if features is None else GraphMetadata(edge_features=features)}
    output, weights, pull = attn._vjp(query, key, key, need_weights, **call)

    def pullback(g: Any) -> tuple[Any, ...]:
        g_out, g_weights = g if need_weights else (g, None)
        c = pull(np.zeros_like(output) if g_out is None else g_out, g_weights)
        gp = {n: a.reshape(np.shape(parameters[n])) for n, a in c.parameters.items()}
        return c.query, c.keys + c.values, gp, c.metadata.get("edge_features")

    return (output, weights) if need_weights else output, pullback


@differentiable(_gat_vjp)
def gat_attention(
    query: Any,
    key: Any,
    parameters: Mapping[str, Any],
    edge_features: Any = None,
    *,
    variant: str = "gat",
    concat: bool = True,
    negative_slope: float = 0.2,
    attn_mask: Any = None,
    need_weights: bool = False,
) -> Any:
    """Graph attention of queries over the keys that are their neighbours; a key is also its value.

    Args:
        query: (..., M, D), or (D,).
        key: (..., N, D).
        parameters: For "gat" ``w (H, D, E)``, ``a_query, a_key (H, E)``, with edges ``w_e (H, e, E)`` and
            ``a_edge (H, E)``; for "gatv2" ``w_query, w_key (H, D, E)``, ``a (H, E)``, with edges ``w_e``; if
            wanted ``bias``. One head may leave out the head axis.
        edge_features: (..., N, e), or None.
        variant: "gat" or "gatv2".
        concat: Join the heads; else average them.
        negative_slope: Slope of the LeakyReLU below zero.
        attn_mask: Boolean (True = attend) or float mask, broadcastable to (..., H, M, N).
        need_weights: Also return the weights, (..., H, M, N).

    Returns:
        Output (..., M, H·E) or, averaged, (..., M, E); or (output, weights). Under `ga.vjp` the parameters' gradient is
        a mapping.

    Raises:
        DimensionMismatchError, EmptyInputError, InvalidConfigError.

    Source:
        Veličković et al. 2018, "Graph Attention Networks", eq. 1-6; Brody et al. 2022, "How Attentive are Graph
        Attention Networks?", eq. 7.

    Example:
        >>> import numpy as np, graphattend as ga
        >>> p = {"w": np.eye(2), "a_query": np.zeros(2), "a_key": np.array([1.0, 0.0])}
        >>> ga.functional.gat_attention(np.zeros(2), np.eye(2), p).round(3)
        array([0.731, 0.269])
    """
    return _gat_vjp(
        query,
        key,
        parameters,
        edge_features,
        variant=variant,
        concat=concat,
        negative_slope=negative_slope,
        attn_mask=attn_mask,
        need_weights=need_weights,
    )[0]
