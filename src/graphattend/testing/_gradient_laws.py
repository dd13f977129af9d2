"""Laws of a mechanism's gradients."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

from ..mechanisms._base import Attention
from ..mechanisms._boundary import DIFFERENTIABLE
from ._case import Case, vjp_of
from .finite_differences import compare, tangent


def gradients(case: Case) -> None:
    rng = case.rng
    n = case.inputs["keys"].shape[0]
    variants: list[dict[str, Any]] = [
        {},
        {"query": case.queries(3)},
        {"query": case.queries(3), "attn_mask": rng.standard_normal(n)},
        {"attn_mask": np.arange(n) != 2},
    ]
    for changes in variants:
        x = {**case.inputs, **changes}
        y, pullback = vjp_of(case, changes)
        g_out = rng.standard_normal(y.shape)
        g = pullback(g_out)

        d: Any

        def loss(attn: Attention, at: dict[str, Any], g_out: np.ndarray = g_out) -> float:
            return float(np.vdot(g_out, case.forward(attn, **at)))

        scale = 1e-3 * max(float(np.linalg.norm(a)) for a in (g.query, g.keys, g.values))
        for name, gradient in (("query", g.query), ("keys", g.keys), ("values", g.values)):
            base = np.asarray(x[name])
            assert gradient.shape == base.shape, f"{name}: gradient of shape {gradient.shape}"
            for _ in range(3):
                d = rng.standard_normal(base.shape)
                reference = float(tangent(lambda t, d=d, b=base, nm=name: loss(case.attn, {**x, nm: b + t * d})))  # type: ignore[misc]
                compare(float(np.vdot(gradient, d)), reference, 1e-6, scale, name)
        for name, value in case.attn.parameters().items():
            gradient = np.asarray(g.parameters[name])
            assert gradient.shape == value.shape, f"{name}: gradient of shape {gradient.shape}"
            for _ in range(3):
                d = rng.standard_normal(value.shape)
                reference = float(
                    tangent(
                        lambda t, d=d, v=value, nm=name: loss(case.attn.with_parameters({nm: v + t * d}), x)  # type: ignore[misc]
                    )
                )
                compare(float(np.vdot(gradient, d)), reference, 1e-6, scale, f"parameter {name}")
        _check_metadata_gradients(case, x, g, loss, rng, scale)


def _check_metadata_gradients(
    case: Case, x: dict[str, Any], g: Any, loss: Callable[..., float], rng: np.random.Generator, scale: float
) -> None:
    metadata = x.get("metadata")
    if metadata is None:
        return
    for name in DIFFERENTIABLE:
        value = getattr(metadata, name)
        if value is None or name not in case.attn.needed + case.attn.used:
            continue
        base = np.asarray(value, np.float64)
        assert name in g.metadata, f"metadata.{name}: no gradient"
        for _ in range(3):
            d = rng.standard_normal(base.shape)
            reference = float(
                tangent(
                    lambda t, d=d, b=base, nm=name: loss(  # type: ignore[misc]
                        case.attn, {**x, "metadata": dataclasses.replace(metadata, **{nm: b + t * d})}
                    )
                )
            )
            compare(float(np.vdot(g.metadata[name], d)), reference, 1e-6, scale, f"metadata.{name}")


def weight_gradients(case: Case) -> None:
    rng = case.rng
    _, weights = case.forward(need_weights=True)
    y, pullback = vjp_of(case, {})
    gw = rng.standard_normal(weights.shape)
    g = pullback(np.zeros_like(y), gw)
    keys = case.inputs["keys"]
    d = rng.standard_normal(keys.shape)
    reference = float(tangent(lambda t: float(np.vdot(gw, case.forward(keys=keys + t * d, need_weights=True)[1]))))
    scale = 1e-3 * float(np.linalg.norm(g.keys))
    compare(float(np.vdot(g.keys, d)), reference, 1e-6, scale, "weights by keys")
