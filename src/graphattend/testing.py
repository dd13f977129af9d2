"""Checks for people who write their own mechanism or differentiable function.

`check_vjp` compares a gradient with finite differences; `check_mechanism` runs every law that all mechanisms of
graphattend keep. Both raise AssertionError that says what was compared.
"""

from __future__ import annotations

import dataclasses
import json
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from . import _validate, mechanisms
from ._vjp import vjp
from .errors import AttentionError, InvalidConfigError
from .graph import GraphMetadata, NeighborGraph
from .mechanisms._base import Attention
from .mechanisms._boundary import DIFFERENTIABLE

_STEP = 1e-5


def _close(actual: object, expected: object, rtol: float, what: str) -> None:
    a, b = np.asarray(actual), np.asarray(expected)
    assert a.shape == b.shape, f"{what}: shapes {a.shape} and {b.shape}"
    if not a.size:
        return
    scale = max(float(np.abs(b).max()), 1e-30)
    worst = float(np.abs(a - b).max()) / scale
    assert worst <= rtol, f"{what}: relative difference {worst:.2e} > {rtol:.0e}"


def _tangent(f: Callable[[Any], Any]) -> Any:
    """The derivative at 0 by a fourth-order central difference."""
    return (8 * (f(_STEP) - f(-_STEP)) - (f(2 * _STEP) - f(-2 * _STEP))) / (12 * _STEP)


def _compare(value: float, reference: float, rtol: float, scale: float, what: str) -> None:
    error = abs(value - reference) / max(abs(reference), scale, 1e-12)
    assert error <= rtol, f"{what}: gradient {value:.12g}, finite difference {reference:.12g} (relative {error:.1e})"


def check_vjp(
    function: Callable[..., Any],
    *arrays: object,
    rtol: float = 1e-6,
    directions: int = 3,
    seed: int = 0,
    **options: object,
) -> None:
    """Compare `ga.vjp` of a function with finite differences in random directions.

    Args:
        function: A function with a gradient rule.
        *arrays: Its positional arrays; float64 ones are varied.
        rtol: Largest relative difference, against the size of the derivative.
        directions: Number of random directions per array.
        seed: Seed of the directions and the cotangent.
        **options: Keyword arguments, held constant.

    Raises:
        AssertionError: The gradient and the finite difference disagree.

    Example:
        >>> import numpy as np, graphattend as ga
        >>> from graphattend.testing import check_vjp
        >>> check_vjp(ga.functional.softmax, np.array([0.3, -1.0, 2.0]))
    """
    rng = np.random.default_rng(seed)
    output, pullback = vjp(function, *arrays, **options)
    outputs = output if isinstance(output, tuple) else (output,)
    cotangents = tuple(rng.standard_normal(np.shape(y)) for y in outputs)
    gradients = pullback(cotangents if isinstance(output, tuple) else cotangents[0])

    def along(index: int, direction: Any) -> Callable[[Any], float]:
        def f(t: float) -> float:
            moved = [a + t * direction if i == index else a for i, a in enumerate(arrays)]
            y = function(*moved, **options)
            ys = y if isinstance(y, tuple) else (y,)
            return float(sum(np.vdot(c, part) for c, part in zip(cotangents, ys, strict=True)))

        return f

    for i, a in enumerate(arrays):
        if not isinstance(a, np.ndarray) or a.dtype != np.float64:
            continue
        gradient = np.asarray(gradients[i])
        assert gradient.shape == a.shape, f"argument {i}: gradient of shape {gradient.shape} for {a.shape}"
        for _ in range(directions):
            direction = rng.standard_normal(a.shape)
            reference = float(_tangent(along(i, direction)))
            value = float(np.vdot(gradient, direction))
            scale = float(np.linalg.norm(gradient)) * 1e-2
            _compare(value, reference, rtol, scale, f"argument {i}")


def check_mechanism(
    target: type[Attention] | Attention, *, seed: int = 0, laws: Sequence[str] | None = None
) -> list[str]:
    """Run every law that all mechanisms keep, and those its class declares, on one mechanism.

    Args:
        target: A mechanism class (its `example` is used) or a mechanism with its class's `example` inputs.
        seed: Seed of the inputs.
        laws: Names of the laws to run; all by default.

    Returns:
        The names of the laws that ran.

    Raises:
        AssertionError: A law is broken; the message names it.
        InvalidConfigError: Something else than a mechanism, or no law of this name.

    Example:
        >>> import graphattend as ga
        >>> from graphattend.testing import check_mechanism
        >>> "gradients" in check_mechanism(ga.ScaledDotProductAttention)
        True
    """
    if not issubclass(target if isinstance(target, type) else type(target), Attention):
        raise InvalidConfigError.of("target", "a mechanism or its class", type(target).__name__)
    case = _Case.make(target, _validate.as_int(seed, "seed", minimum=0))
    wanted = list(LAWS) if laws is None else _validate.as_list(laws, "laws", "a list of names")
    for name in wanted:
        _validate.as_choice(name, "laws", LAWS)
    ran = []
    for name in wanted:
        law, declared = LAWS[name]
        if declared and name not in case.attn.laws:
            continue
        try:
            law(case)
        except AssertionError as error:
            raise AssertionError(f"{case.attn.key}: {name}: {error}") from None
        ran.append(name)
    return ran


@dataclasses.dataclass(frozen=True)
class _Case:
    attn: Attention
    inputs: dict[str, Any]
    seed: int

    @classmethod
    def make(cls, target: type[Attention] | Attention, seed: int, n: int = 7) -> _Case:
        rng = np.random.default_rng(seed)
        kind = target if isinstance(target, type) else type(target)
        attn, inputs = kind.example(rng, n)
        attn = attn if isinstance(target, type) else target
        if attn.unread and "metadata" in inputs:  # with its options it must not be given them
            inputs = inputs | {"metadata": dataclasses.replace(inputs["metadata"], **dict.fromkeys(attn.unread))}
        return cls(attn, inputs, seed)

    @property
    def rng(self) -> np.random.Generator:
        return np.random.default_rng(self.seed + 1)

    def forward(self, attn: Attention | None = None, **changes: object) -> Any:
        x = {**self.inputs, **changes}
        return (attn or self.attn).forward(x.pop("query"), x.pop("keys"), x.pop("values"), **x)

    def queries(self, m: int = 3) -> np.ndarray:
        """Several queries like the example's; none equals a key, where some distances have no derivative."""
        others = (type(self.attn).example(np.random.default_rng([self.seed, i]), 1)[1] for i in range(1, m))
        return np.stack([self.inputs["query"], *(x["query"] for x in others)])

    def batched(self, b: int = 2) -> dict[str, Any]:
        """The example with a leading axis: entry 1 has the keys in reverse order."""
        x = dict(self.inputs)
        x["query"] = np.stack([self.queries(3), self.queries(3)[::-1]])
        for name in ("keys", "values"):
            x[name] = np.stack([x[name], x[name][::-1]])
        if x.get("metadata") is not None:
            x["metadata"] = _map_metadata(x["metadata"], lambda a: np.stack([a, a[::-1]]))
        return x


def _map_metadata(metadata: GraphMetadata, f: Callable[[np.ndarray], np.ndarray]) -> GraphMetadata:
    """Change the fields that have one row per key (or per latent key)."""
    fields = {}
    for field in dataclasses.fields(metadata):
        value = getattr(metadata, field.name)
        if value is not None and not field.name.startswith("query"):
            value = f(np.asarray(value))
        fields[field.name] = value
    return GraphMetadata(**fields)


def _law_shapes(case: _Case) -> None:
    n = case.inputs["keys"].shape[0]
    heads = () if case.attn.heads is None else (case.attn.heads,)
    out, weights = case.forward(need_weights=True)
    assert out.ndim == 1, f"single query: output of shape {out.shape}"
    assert weights.shape == (*heads, n), f"single query: weights of shape {weights.shape}"
    out3, weights3 = case.forward(query=case.queries(3), need_weights=True)
    assert out3.shape == (3, out.shape[0]), f"queries: output of shape {out3.shape}"
    assert weights3.shape == (*heads, 3, n), f"queries: weights of shape {weights3.shape}"
    batch = case.forward(**case.batched())
    assert batch.shape == (2, 3, out.shape[0]), f"batch: output of shape {batch.shape}"


def _law_dtype(case: _Case) -> None:
    for dtype in (np.float32, np.float64):
        x: dict[str, Any] = {name: np.asarray(case.inputs[name], dtype) for name in ("query", "keys", "values")}
        out, weights = case.forward(**x, need_weights=True)
        assert out.dtype == dtype, f"{np.dtype(dtype)} in, {out.dtype} out"
        assert weights.dtype == dtype, f"{np.dtype(dtype)} in, weights {weights.dtype}"
    exact = case.forward()
    x32: dict[str, Any] = {name: np.asarray(case.inputs[name], np.float32) for name in ("query", "keys", "values")}
    _close(case.forward(**x32), exact, 1e-4, "float32 against float64")


def _law_finite(case: _Case) -> None:
    out, weights = case.forward(query=case.queries(4), need_weights=True)
    assert np.isfinite(out).all(), "output not finite"
    assert np.isfinite(weights).all(), "weights not finite"
    assert (weights >= 0).all(), "negative weights"


def _law_inputs_unchanged(case: _Case) -> None:
    before = {name: np.array(a, copy=True) for name, a in case.inputs.items() if isinstance(a, np.ndarray)}
    parameters = case.attn.parameters()
    out, pullback = _vjp(case, {})
    pullback(np.ones_like(out))
    for name, a in before.items():
        assert np.array_equal(case.inputs[name], a), f"{name} was modified"
    for name, a in case.attn.parameters().items():
        assert np.array_equal(parameters[name], a), f"parameter {name} was modified"


def _law_batch_is_loop(case: _Case) -> None:
    x = case.batched()
    whole = case.forward(**x)
    for b in range(2):
        entry = {**x, "query": x["query"][b], "keys": x["keys"][b], "values": x["values"][b]}
        if x.get("metadata") is not None:
            entry["metadata"] = _map_metadata(x["metadata"], lambda a, b=b: a[b])  # type: ignore[misc]
        _close(whole[b], case.forward(**entry), 1e-9, "leading batch axis against a loop")
    queries = case.queries(3)
    if not case.attn.rows_are_positions:
        rows = np.stack([case.forward(query=q) for q in queries])
        _close(case.forward(query=queries), rows, 1e-9, "queries against a loop over single ones")


def _law_masks(case: _Case) -> None:
    n = case.inputs["keys"].shape[0]
    keep = np.arange(n) % 3 != 1
    out, weights = case.forward(attn_mask=keep, need_weights=True)
    assert not weights[..., ~keep].any(), "a masked key has weight"
    additive = np.where(keep, 0.0, -np.inf)
    _close(case.forward(attn_mask=additive), out, 1e-9, "boolean against additive mask")
    _, none = case.forward(attn_mask=np.zeros(n, bool), need_weights=True)
    assert not none.any(), "a fully masked row has weight"
    y, pullback = _vjp(case, {"attn_mask": np.zeros(n, bool)})
    g = pullback(np.ones_like(y))
    assert all(np.isfinite(a).all() for a in (y, g.query, g.keys, g.values)), "a fully masked row is not finite"


def _vjp(case: _Case, changes: dict[str, Any], attn: Attention | None = None) -> Any:
    x = {**case.inputs, **changes}
    return (attn or case.attn).vjp(x.pop("query"), x.pop("keys"), x.pop("values"), **x)


def _law_gradients(case: _Case) -> None:
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
        y, pullback = _vjp(case, changes)
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
                reference = float(_tangent(lambda t, d=d, b=base, nm=name: loss(case.attn, {**x, nm: b + t * d})))  # type: ignore[misc]
                _compare(float(np.vdot(gradient, d)), reference, 1e-6, scale, name)
        for name, value in case.attn.parameters().items():
            gradient = np.asarray(g.parameters[name])
            assert gradient.shape == value.shape, f"{name}: gradient of shape {gradient.shape}"
            for _ in range(3):
                d = rng.standard_normal(value.shape)
                reference = float(
                    _tangent(
                        lambda t, d=d, v=value, nm=name: loss(case.attn.with_parameters({nm: v + t * d}), x)  # type: ignore[misc]
                    )
                )
                _compare(float(np.vdot(gradient, d)), reference, 1e-6, scale, f"parameter {name}")
        _check_metadata_gradients(case, x, g, loss, rng, scale)


def _check_metadata_gradients(
    case: _Case, x: dict[str, Any], g: Any, loss: Callable[..., float], rng: np.random.Generator, scale: float
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
                _tangent(
                    lambda t, d=d, b=base, nm=name: loss(  # type: ignore[misc]
                        case.attn, {**x, "metadata": dataclasses.replace(metadata, **{nm: b + t * d})}
                    )
                )
            )
            _compare(float(np.vdot(g.metadata[name], d)), reference, 1e-6, scale, f"metadata.{name}")


def _law_weight_gradients(case: _Case) -> None:
    rng = case.rng
    _, weights = case.forward(need_weights=True)
    y, pullback = _vjp(case, {})
    gw = rng.standard_normal(weights.shape)
    g = pullback(np.zeros_like(y), gw)
    keys = case.inputs["keys"]
    d = rng.standard_normal(keys.shape)
    reference = float(_tangent(lambda t: float(np.vdot(gw, case.forward(keys=keys + t * d, need_weights=True)[1]))))
    scale = 1e-3 * float(np.linalg.norm(g.keys))
    _compare(float(np.vdot(g.keys, d)), reference, 1e-6, scale, "weights by keys")


def _example_graph(case_inputs: dict[str, Any], rng: np.random.Generator) -> NeighborGraph:
    """A small directed graph over the example's rows, with an isolated node and every kind of edge data it needs."""
    n = case_inputs["keys"].shape[0] + 1
    pairs = [(j, i) for i in range(n - 1) for j in range(n) if j != i and rng.random() < 0.4 + 0.1 * (i % 3)]
    pairs += [(1, 0)] if not pairs else []
    edges = np.array(pairs, np.int64).T
    metadata = case_inputs.get("metadata")
    count = edges.shape[1]
    extra: dict[str, Any] = {}
    if metadata is not None:
        if metadata.edge_features is not None:
            extra["edge_features"] = rng.standard_normal((count, np.shape(metadata.edge_features)[-1]))
        if metadata.edge_weights is not None:
            extra["edge_weights"] = rng.random(count) + 0.5
        if metadata.distances is not None:
            extra["distances"] = rng.random(count) + 0.5
        if metadata.hnsw_layers is not None or metadata.query_layer is not None:
            extra["layers"] = rng.integers(0, 3, n)
    return NeighborGraph.from_edge_index(edges, n, **extra)


def _nodes(case: _Case) -> np.ndarray:
    return np.concatenate([case.inputs["query"][None], case.inputs["keys"]])


def _law_attend_is_loop(case: _Case) -> None:
    graph = _example_graph(case.inputs, case.rng)
    x = _nodes(case)
    values = np.concatenate([case.inputs["values"][:1], case.inputs["values"]])
    out, weights = case.attn.attend(graph, x, x, values, need_weights=True)
    if case.attn.rows_are_positions:  # a node alone would stand at position 0
        return
    loop_out, loop_weights = _attend_loop(case.attn, graph, x, x, values)
    _close(out, loop_out, 1e-9, "attend against a loop over nodes")
    _close(weights, loop_weights, 1e-9, "weights of attend against a loop over nodes")


def _attend_loop(
    attn: Attention, graph: NeighborGraph, queries: np.ndarray, keys: np.ndarray, values: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """`attend` as its definition reads: one `forward` per node over that node's neighbours."""
    outputs: list[np.ndarray] = []
    weights: list[np.ndarray] = []
    busy = int(np.argmax(np.diff(graph.indptr)))
    for i in range(graph.num_nodes):
        empty = graph.indptr[i] == graph.indptr[i + 1]
        source = busy if empty else i  # a node without neighbours is one whose keys are all masked
        row = graph.indices[graph.indptr[source] : graph.indptr[source + 1]]
        metadata = attn._node_metadata(graph, i, source, keys, values)
        mask = np.zeros(row.size, bool) if empty else None
        out, w = attn.forward(queries[i], keys[row], values[row], attn_mask=mask, metadata=metadata, need_weights=True)
        outputs.append(out)
        if not empty:
            weights.append(w if w.ndim == 1 else w.T)
    return np.stack(outputs), np.concatenate(weights)


def _law_attend_gradients(case: _Case) -> None:
    rng = case.rng
    graph = _example_graph(case.inputs, case.rng)
    x = _nodes(case)
    y, pullback = case.attn.attend_vjp(graph, x)
    g_out = rng.standard_normal(y.shape)
    g = pullback(g_out)
    scale = 1e-3 * float(np.linalg.norm(g.query))
    for _ in range(3):
        d = rng.standard_normal(x.shape)
        reference = float(_tangent(lambda t, d=d: float(np.vdot(g_out, case.attn.attend(graph, x + t * d)))))  # type: ignore[misc]
        _compare(float(np.vdot(g.query, d)), reference, 1e-6, scale, "nodes")
    for name, value in case.attn.parameters().items():
        d = rng.standard_normal(value.shape)
        reference = float(
            _tangent(
                lambda t, d=d, v=value, nm=name: float(  # type: ignore[misc]
                    np.vdot(g_out, case.attn.with_parameters({nm: v + t * d}).attend(graph, x))
                )
            )
        )
        _compare(float(np.vdot(g.parameters[name], d)), reference, 1e-6, scale, f"parameter {name}")


def _law_round_trip(case: _Case) -> None:
    attn = case.attn
    if attn.key in mechanisms.REGISTRY:
        config = json.loads(json.dumps(attn.to_config(), allow_nan=False))
        again = mechanisms.from_config(config)
        assert again.to_config() == attn.to_config(), "config changed in the round trip"
        rng = case.rng
        changed = attn.with_parameters({n: a + 0.01 * rng.random(a.shape) for n, a in attn.parameters().items()})
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "mechanism.npz")
            changed.save(path)
            from .mechanisms._files import load

            loaded = load(path)
        assert loaded == changed, "file round trip changed the mechanism"
        assert np.array_equal(case.forward(loaded), case.forward(changed)), "file round trip changed the output"
    same = attn.with_parameters(attn.parameters())
    assert np.array_equal(case.forward(same), case.forward()), (
        "with_parameters of its own parameters changed the output"
    )


def _law_prepared(case: _Case) -> None:
    x = {**case.inputs, **case.batched()}
    for inputs in (case.inputs, {**case.inputs, "query": case.queries(3)}, x):
        x = dict(inputs)
        query, keys, values = (x.pop(name) for name in ("query", "keys", "values"))
        prepared = case.attn.prepare(keys, values)
        _close(case.attn.forward(query, prepared, **x), case.attn.forward(query, keys, values, **x), 1e-9, "prepared")
        _, w = case.attn.forward(query, prepared, need_weights=True, **x)
        _, expected = case.attn.forward(query, keys, values, need_weights=True, **x)
        _close(w, expected, 1e-9, "weights over prepared keys")
        _close(case.attn.attention_weights(query, prepared, **x), expected, 1e-9, "attention_weights of prepared keys")


def _law_deterministic(case: _Case) -> None:
    assert np.array_equal(case.forward(), case.forward()), "two calls differ"
    again = _Case.make(type(case.attn), case.seed)
    if again.attn.to_config() == case.attn.to_config():
        assert np.array_equal(again.forward(), case.forward()), "same seed, different output"


def _law_bad_input(case: _Case) -> None:
    x = case.inputs
    bad: Sequence[dict[str, Any]] = (
        {"query": np.append(x["query"], 0.0)},
        {"keys": x["keys"][:, :-1]},
        {"values": x["values"][:-1]},
        {"keys": x["keys"][:0], "values": x["values"][:0]},
        {"query": x["query"] * np.nan},
        {"keys": np.where(np.arange(x["keys"].shape[0])[:, None] == 0, np.inf, x["keys"])},
        {"query": "text"},
        {"keys": None},
        {"values": x["values"] + 1j},
        {"attn_mask": np.ones(x["keys"].shape[0] + 1, bool)},
        {"attn_mask": np.ones(x["keys"].shape[0], np.int64)},
        {"metadata": {"edge_features": 1}},
    )
    for changes in bad:
        try:
            case.forward(**changes)
        except AttentionError:
            continue
        raise AssertionError(f"accepted bad {', '.join(changes)}")
    if case.attn.needed:
        try:
            case.forward(metadata=None)
        except InvalidConfigError as error:
            assert any(name in str(error) for name in case.attn.needed), f"does not name the field: {error}"
        else:
            raise AssertionError("accepted missing metadata")


def _law_permutation(case: _Case) -> None:
    order = case.rng.permutation(case.inputs["keys"].shape[0])
    x = {"keys": case.inputs["keys"][order], "values": case.inputs["values"][order]}
    if case.inputs.get("metadata") is not None:
        metadata = case.inputs["metadata"]
        fields = {}
        for f in dataclasses.fields(metadata):
            value = getattr(metadata, f.name)
            per_key = value is not None and not f.name.startswith(("query", "latent"))
            fields[f.name] = np.asarray(value)[order] if per_key else value
        x["metadata"] = GraphMetadata(**fields)
    _close(case.forward(**x), case.forward(), 1e-9, "keys in another order")


def _law_weights_times_values(case: _Case) -> None:
    out, weights = case.forward(query=case.queries(3), need_weights=True)
    _close(weights @ case.inputs["values"], out, 1e-9, "weights @ values against the output")


def _law_stays_on_manifold(case: _Case) -> None:
    out = case.forward(query=case.queries(3))
    manifold = case.attn.output_manifold
    _close(manifold.project(out), out, 1e-9, "output against its projection to the manifold")


#: Name → (law, whether a class must declare it).
LAWS: dict[str, tuple[Callable[[_Case], None], bool]] = {
    "shapes": (_law_shapes, False),
    "dtype": (_law_dtype, False),
    "finite": (_law_finite, False),
    "inputs_unchanged": (_law_inputs_unchanged, False),
    "batch_is_loop": (_law_batch_is_loop, False),
    "masks": (_law_masks, False),
    "gradients": (_law_gradients, False),
    "weight_gradients": (_law_weight_gradients, False),
    "attend_is_loop": (_law_attend_is_loop, False),
    "attend_gradients": (_law_attend_gradients, False),
    "round_trip": (_law_round_trip, False),
    "prepared": (_law_prepared, False),
    "deterministic": (_law_deterministic, False),
    "bad_input": (_law_bad_input, False),
    "permutation": (_law_permutation, True),
    "weights_times_values": (_law_weights_times_values, True),
    "stays_on_manifold": (_law_stays_on_manifold, True),
}
