"""Laws of a mechanism's outputs, weights, files and errors."""

from __future__ import annotations

import dataclasses
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .. import mechanisms
from ..errors import AttentionError, InvalidConfigError
from ..graph import GraphMetadata
from ._case import Case, close, map_metadata, vjp_of


def shapes(case: Case) -> None:
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


def dtype(case: Case) -> None:
    for dtype in (np.float32, np.float64):
        x: dict[str, Any] = {name: np.asarray(case.inputs[name], dtype) for name in ("query", "keys", "values")}
        out, weights = case.forward(**x, need_weights=True)
        assert out.dtype == dtype, f"{np.dtype(dtype)} in, {out.dtype} out"
        assert weights.dtype == dtype, f"{np.dtype(dtype)} in, weights {weights.dtype}"
    exact = case.forward()
    x32: dict[str, Any] = {name: np.asarray(case.inputs[name], np.float32) for name in ("query", "keys", "values")}
    close(case.forward(**x32), exact, 1e-4, "float32 against float64")


def finite(case: Case) -> None:
    out, weights = case.forward(query=case.queries(4), need_weights=True)
    assert np.isfinite(out).all(), "output not finite"
    assert np.isfinite(weights).all(), "weights not finite"
    assert (weights >= 0).all(), "negative weights"


def inputs_unchanged(case: Case) -> None:
    before = {name: np.array(a, copy=True) for name, a in case.inputs.items() if isinstance(a, np.ndarray)}
    parameters = case.attn.parameters()
    out, pullback = vjp_of(case, {})
    pullback(np.ones_like(out))
    for name, a in before.items():
        assert np.array_equal(case.inputs[name], a), f"{name} was modified"
    for name, a in case.attn.parameters().items():
        assert np.array_equal(parameters[name], a), f"parameter {name} was modified"


def batch_is_loop(case: Case) -> None:
    x = case.batched()
    whole = case.forward(**x)
    for b in range(2):
        entry = {**x, "query": x["query"][b], "keys": x["keys"][b], "values": x["values"][b]}
        if x.get("metadata") is not None:
            entry["metadata"] = map_metadata(x["metadata"], lambda a, b=b: a[b])  # type: ignore[misc]
        close(whole[b], case.forward(**entry), 1e-9, "leading batch axis against a loop")
    queries = case.queries(3)
    if not case.attn.rows_are_positions:
        rows = np.stack([case.forward(query=q) for q in queries])
        close(case.forward(query=queries), rows, 1e-9, "queries against a loop over single ones")


def masks(case: Case) -> None:
    n = case.inputs["keys"].shape[0]
    keep = np.arange(n) % 3 != 1
    out, weights = case.forward(attn_mask=keep, need_weights=True)
    assert not weights[..., ~keep].any(), "a masked key has weight"
    additive = np.where(keep, 0.0, -np.inf)
    close(case.forward(attn_mask=additive), out, 1e-9, "boolean against additive mask")
    _, none = case.forward(attn_mask=np.zeros(n, bool), need_weights=True)
    assert not none.any(), "a fully masked row has weight"
    y, pullback = vjp_of(case, {"attn_mask": np.zeros(n, bool)})
    g = pullback(np.ones_like(y))
    assert all(np.isfinite(a).all() for a in (y, g.query, g.keys, g.values)), "a fully masked row is not finite"


def round_trip(case: Case) -> None:
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
            from ..mechanisms._files import load

            loaded = load(path)
        assert loaded == changed, "file round trip changed the mechanism"
        assert np.array_equal(case.forward(loaded), case.forward(changed)), "file round trip changed the output"
    same = attn.with_parameters(attn.parameters())
    assert np.array_equal(case.forward(same), case.forward()), (
        "with_parameters of its own parameters changed the output"
    )


def prepared(case: Case) -> None:
    x = {**case.inputs, **case.batched()}
    for inputs in (case.inputs, {**case.inputs, "query": case.queries(3)}, x):
        x = dict(inputs)
        query, keys, values = (x.pop(name) for name in ("query", "keys", "values"))
        prepared = case.attn.prepare(keys, values)
        close(case.attn.forward(query, prepared, **x), case.attn.forward(query, keys, values, **x), 1e-9, "prepared")
        _, w = case.attn.forward(query, prepared, need_weights=True, **x)
        _, expected = case.attn.forward(query, keys, values, need_weights=True, **x)
        close(w, expected, 1e-9, "weights over prepared keys")
        close(case.attn.attention_weights(query, prepared, **x), expected, 1e-9, "attention_weights of prepared keys")


def deterministic(case: Case) -> None:
    assert np.array_equal(case.forward(), case.forward()), "two calls differ"
    again = Case.make(type(case.attn), case.seed)
    if again.attn.to_config() == case.attn.to_config():
        assert np.array_equal(again.forward(), case.forward()), "same seed, different output"


def bad_input(case: Case) -> None:
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


def permutation(case: Case) -> None:
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
    close(case.forward(**x), case.forward(), 1e-9, "keys in another order")


def weights_times_values(case: Case) -> None:
    out, weights = case.forward(query=case.queries(3), need_weights=True)
    close(weights @ case.inputs["values"], out, 1e-9, "weights @ values against the output")


def stays_on_manifold(case: Case) -> None:
    out = case.forward(query=case.queries(3))
    manifold = case.attn.output_manifold
    close(manifold.project(out), out, 1e-9, "output against its projection to the manifold")
