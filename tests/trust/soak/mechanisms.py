"""Calls of every registered mechanism, over all paths to a result and its gradients."""

from __future__ import annotations

import functools
import zlib
from typing import Any

import numpy as np

import graphattend as ga
from graphattend.mechanisms import mechanism_class

from .draw import Draw
from .watch import REFUSED, Watch

KEYS = ga.list_mechanisms()
DIM = 8
VARIANTS = 24
NODES = 6
#: Options that describe the metadata, or contain other objects.
KEPT = {
    "edge_dim",
    "num_features",
    "num_layers",
    "dim",
    "check_finite",
    "experts",
    "mechanisms",
    "spaces",
    "global_nodes",
}
MANIFOLDS = [
    {"type": "euclidean"},
    {"type": "poincare", "curvature": -0.7},
    {"type": "lorentz", "curvature": -1.3},
    {"type": "sphere", "curvature": 0.5},
]


def _option(d: Draw, rule: dict[str, Any]) -> Any:
    """Draw a value that the schema of an option allows."""
    if "enum" in rule:
        return d.pick([value for value in rule["enum"] if value is not None])
    kinds = rule.get("type")
    kinds = kinds if isinstance(kinds, list) else [kinds]
    if "boolean" in kinds:
        return d.chance(0.5)
    if "integer" in kinds:
        return max(rule.get("minimum", 0), d.pick((0, 1, 2, 4)))
    if "number" in kinds:
        low = rule.get("minimum", rule.get("exclusiveMinimum", -np.inf))
        high = rule.get("maximum", rule.get("exclusiveMaximum", np.inf))
        inside = [x for x in (1e-3, 0.07, 1.0, 2.5, 1e3, -1e-3, -1.0, -1e3) if low < x < high]
        return d.pick(inside)
    return rule.get("default")


@functools.cache
def mechanism(key: str, variant: int) -> ga.Attention:
    """Return the example of a mechanism, or a variant with other options and parameters."""
    d = Draw(zlib.crc32(key.encode()) + variant)
    attn, _ = mechanism_class(key).example(d.rng, 4, DIM)
    if variant:
        config = attn.to_config()
        for name, rule in ga.schema(key)["properties"].items():
            if name == "manifold":
                config["options"][name] = d.pick(MANIFOLDS)
            elif name not in KEPT and name != "dropout" and d.chance(0.4):
                config["options"][name] = _option(d, rule)
        try:
            attn = ga.from_config(config)
        except ga.InvalidConfigError:  # incompatible options
            return attn
        if variant % 3 == 0:
            scale = d.pick((0.0, 1e-3, 3.0))
            learned = {n: p * scale for n, p in attn.parameters().items() if p.ndim > 1}
            attn = attn.with_parameters(learned)
    return attn


@functools.cache
def metadata(key: str, n: int) -> dict[str, np.ndarray]:
    """Return the metadata of a mechanism's example for n keys."""
    given = mechanism_class(key).example(np.random.default_rng(n), n, DIM)[1].get("metadata")
    return {} if given is None else {name: value for name, value in vars(given).items() if value is not None}


def _metadata(d: Draw, attn: ga.Attention, n: int, dtype: Any) -> ga.GraphMetadata | None:
    fields = {name: value for name, value in metadata(attn.key, n).items() if name in attn.needed + attn.used}
    if not fields:
        return None
    for name, value in fields.items():
        if np.asarray(value).dtype.kind == "f" and d.chance(0.3):
            drawn = d.array(*np.shape(value), dtype=dtype)
            fields = fields | {name: np.abs(drawn) if name in ("distances", "edge_weights") else drawn}
    return ga.GraphMetadata(**fields)


@functools.cache
def graph(width: int, number: int) -> ga.NeighborGraph:
    """Return a small graph with loops, duplicate edges, isolated nodes, and data of every kind."""
    d = Draw(number)
    count = d.pick((1, 5, 12))
    edges = d.rng.integers(0, NODES - 1, (2, count))
    return ga.NeighborGraph.from_edge_index(
        edges,
        NODES,
        edge_features=d.rng.standard_normal((count, width)) * d.pick((1.0, 1.0, 1e4)),
        distances=d.rng.random(count) * d.pick((1.0, 1e-310, 1e4)),
        edge_weights=d.rng.random(count) * d.pick((1.0, 1e-30)),
        layers=d.rng.integers(0, 3, NODES),
    )


def _width(attn: ga.Attention) -> int:
    features = metadata(attn.key, 1).get("edge_features")
    return 1 if features is None else int(features.shape[-1])


def _check_weights(call: Watch, attn: ga.Attention, weights: Any, mask: Any, what: str) -> None:
    if weights is REFUSED:
        return
    call.check((weights >= 0).all(), f"{what}: a negative weight")
    if "weights_times_values" in attn.laws:
        sums = weights.sum(axis=-1)
        call.check(((np.abs(sums - 1) < 1e-3) | (sums == 0)).all(), f"{what}: weights of a row sum to {sums.flat[0]}")
    if mask is not None and mask.dtype == bool and mask.shape == weights.shape[-1:]:
        call.check(not weights[..., ~mask].any(), f"{what}: a hidden key has weight")


def _check_range(call: Watch, attn: ga.Attention, out: Any, values: np.ndarray, what: str) -> None:
    if out is REFUSED or "weights_times_values" not in attn.laws:
        return
    limit = float(np.abs(values).max()) * 1.001 + 1e-37
    call.check(np.abs(out).max() <= limit, f"{what}: {np.abs(out).max():.3g} from values up to {limit:.3g}")


def case(d: Draw, call: Watch) -> None:
    """Take some of the paths through one mechanism."""
    key = d.pick(KEYS)
    attn = mechanism(key, d.number(VARIANTS))
    may: tuple[type[Exception], ...] = (ga.NumericalInstabilityError,)
    if getattr(attn, "strict", False):  # rejects points outside the ball
        may = (*may, ga.InvalidConfigError, ga.OutOfBoundsError)
    dtype = d.dtype()
    if d.chance(0.25):
        _whole_graph(d, call, attn, dtype, may)
        return
    n, rows = d.pick((1, 1, 2, 3, 5, 9, 33)), d.pick((None, None, 1, 2, 5))
    if key == "local_global" and attn.global_nodes:
        n = max(n, attn.global_nodes[-1] + 1)
    lead = d.pick(((), (), (), (2,), (1, 2))) if rows else ()
    q = d.array(*lead, *(() if rows is None else (rows,)), DIM, dtype=dtype)
    k, v = (d.array(*lead, n, DIM, dtype=dtype) for _ in range(2))
    options = {"attn_mask": d.mask(rows, n), "metadata": _metadata(d, attn, n, dtype)}
    mask, name = options["attn_mask"], key
    out = call(f"{name}.forward", attn.forward, q, k, v, may=may, **options)
    _check_range(call, attn, out, v, f"{name}.forward")
    way = d.number(5)
    if way == 0:
        pair = call(f"{name}.forward with weights", attn.forward, q, k, v, need_weights=True, may=may, **options)
        if pair is not REFUSED:
            _check_weights(call, attn, pair[1], mask, name)
            _check_range(call, attn, pair[0], v, name)
    elif way == 1:
        weights = call(f"{name}.attention_weights", attn.attention_weights, q, k, may=may, **options)
        _check_weights(call, attn, weights, mask, name)
    elif way == 2:
        prepared = call(f"{name}.prepare", attn.prepare, k, v, may=may)
        if prepared is not REFUSED:
            call(f"{name}.forward of prepared keys", attn.forward, q, prepared, may=may, **options)
    else:
        training = {"training": True, "rng": np.random.default_rng(0)} if way == 3 else {}
        found = call(f"{name}.vjp", attn.vjp, q, k, v, may=may, **options, **training)
        if found is not REFUSED:
            g = d.array(*found[0].shape, dtype=dtype)
            call(f"{name}.vjp's pullback", found[1], g, may=may)


def _whole_graph(d: Draw, call: Watch, attn: ga.Attention, dtype: Any, may: Any) -> None:
    g = graph(_width(attn), d.number(40))
    x = d.array(NODES, DIM, dtype=dtype)
    others = [] if d.chance(0.5) else [d.array(NODES, DIM, dtype=dtype) for _ in range(2)]
    if attn.key == "edge_featured" and others:
        others = others[:1]
    if attn.is_causal:  # a node's neighbours have no order
        may = (*may, ga.UnsupportedError)
    if d.chance(0.5):
        found = call(f"{attn.key}.attend", attn.attend, g, x, *others, need_weights=d.chance(0.5), may=may)
        out = found[0] if isinstance(found, tuple) else found
        values = [x, *others][-1]
        _check_range(call, attn, out, values, f"{attn.key}.attend")
    else:
        found = call(f"{attn.key}.attend_vjp", attn.attend_vjp, g, x, *others, may=may)
        if found is not REFUSED:
            call(f"{attn.key}.attend_vjp's pullback", found[1], d.array(*found[0].shape, dtype=dtype), may=may)
