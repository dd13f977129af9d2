"""Finite inputs that overflow float32 give float64's result or a typed error, never a warning."""

import numpy as np
import pytest

import graphattend as ga
from graphattend import _float64_fallback, simd
from graphattend.mechanisms import mechanism_class


@pytest.fixture(autouse=True, params=["flags", "no flags"])
def flags(request, monkeypatch):
    """Run with NumPy's floating-point flags (if it has them) and, as in WebAssembly, without."""
    if request.param == "no flags":
        monkeypatch.setattr(_float64_fallback, "FLAGS", False)


def _case(key, scale, dtype, sign=1):
    attn, inputs = mechanism_class(key).example(np.random.default_rng(1), 7)
    x = (np.random.default_rng(0).standard_normal((7, attn.dim)) * scale).astype(dtype)
    return attn, (sign * x[:2], x, x), inputs.get("metadata")


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("scale", [1e19, 1e30, 1e37])
@pytest.mark.parametrize("key", ga.list_mechanisms())
def test_what_overflows_in_float32_equals_float64(key, scale, sign):
    attn, arrays, metadata = _case(key, scale, np.float32, sign)
    expected = attn.forward(*(a.astype(np.float64) for a in arrays), metadata=metadata)
    got = attn.forward(*arrays, metadata=metadata)
    prepared = attn.prepare(*arrays[1:])
    assert got.dtype == np.float32
    for actual in (got, attn.forward(arrays[0], prepared, metadata=metadata)):
        np.testing.assert_allclose(actual, expected, rtol=1e-3, atol=1e-4 * scale)
    assert np.isfinite(attn.attention_weights(*arrays[:2], metadata=metadata)).all()
    output, pullback = attn.vjp(*arrays, metadata=metadata)
    wide = attn.vjp(*(a.astype(np.float64) for a in arrays), metadata=metadata)[1](np.ones(output.shape))
    largest = max(np.abs(a).max(initial=0) for a in (*wide[:3], *wide.parameters.values()))
    if largest > np.finfo(np.float32).max:  # no dtype can represent them
        with pytest.raises(ga.NumericalInstabilityError, match="grad_output"):
            pullback(np.ones_like(output))
        return
    gradients = pullback(np.ones_like(output))
    assert gradients.query.dtype == np.float32
    assert all(np.isfinite(a).all() for a in (*gradients[:3], *gradients.parameters.values()))


def test_whole_graphs(rng):
    graph = ga.NeighborGraph.from_edge_index(np.array([[0, 1, 2, 0], [1, 2, 0, 2]]), 3)
    x = (rng.standard_normal((3, 8)) * 1e30).astype(np.float32)
    attn = ga.MultiHeadAttention(8)
    output, weights = attn.attend(graph, x, need_weights=True)
    np.testing.assert_allclose(output, attn.attend(graph, x.astype(np.float64)), rtol=1e-3)
    assert output.dtype == weights.dtype == np.float32
    out, pullback = attn.attend_vjp(graph, x)
    gradients = pullback(np.full_like(out, 1e-30))
    wide = attn.attend_vjp(graph, x.astype(np.float64))[1](np.full_like(out, 1e-30))
    np.testing.assert_allclose(gradients.query, wide.query, rtol=1e-3, atol=1e-36)
    assert {a.dtype for a in gradients.parameters.values()} == {np.dtype(np.float32)}


def test_a_head_alone(rng):
    x = (rng.standard_normal((4, 8)) * 1e30).astype(np.float32)
    attn = ga.MultiHeadAttention(8)
    np.testing.assert_allclose(
        attn.head_output(1, x[0], x, x), attn.head_output(1, *(a.astype(np.float64) for a in (x[0], x, x))), rtol=1e-3
    )


@pytest.mark.parametrize("key", ["scaled_dot_product", "multi_head", "flash", "structural"])
def test_what_overflows_in_float64_is_refused(key):
    attn, arrays, metadata = _case(key, 1e300, np.float64)
    with pytest.raises(ga.NumericalInstabilityError, match="too large"):
        attn.forward(*arrays, metadata=metadata)
    with pytest.raises(ga.NumericalInstabilityError, match="too large"):
        attn.vjp(*arrays, metadata=metadata)


def test_a_gradient_that_overflows_is_refused(rng):
    x = (rng.standard_normal((4, 8))).astype(np.float32)
    output, pullback = ga.ScaledDotProductAttention(8).vjp(x[0], x, x * np.float32(1e5))
    with pytest.raises(ga.NumericalInstabilityError, match="grad_output"):
        pullback(np.full_like(output, 1e37))


def test_a_gradient_whose_parts_overflow_is_that_of_float64(rng):
    x = rng.standard_normal((4, 8)).astype(np.float32)
    attn, arrays = ga.ScaledDotProductAttention(8, temperature=1e-3), (x[0], x, x * np.float32(1e5))
    found = attn.vjp(*arrays)[1](np.full(8, 1e37, np.float32))
    wide = attn.vjp(*(a.astype(np.float64) for a in arrays))[1](np.full(8, 1e37))
    for a, b in zip(found[:3], wide[:3], strict=True):
        assert a.dtype == np.float32
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-3 * np.abs(b).max())
    graph = ga.NeighborGraph.from_edge_index([[1, 2, 3], [0, 0, 0]], 4)
    found, wide = (
        attn.attend_vjp(graph, *y)[1](np.full((4, 8), 1e37))
        for y in ((x, x, arrays[2]), (x.astype(float),) * 2 + (arrays[2].astype(float),))
    )
    np.testing.assert_allclose(found.query, wide.query, rtol=1e-3, atol=1e-3 * np.abs(wide.query).max() + 1e-40)


@pytest.mark.parametrize("key", ga.list_mechanisms())
def test_no_gradient_overflows_in_silence(key):
    """All gradients are checked, not only the query's."""
    attn, (q, k, v), metadata = _case(key, 1e3, np.float32)
    for g in (1e30, 3e38):
        output, pullback = attn.vjp(q, k, v, metadata=metadata)
        try:
            found = pullback(np.full_like(output, g))
        except ga.NumericalInstabilityError as error:
            assert error.argument == "grad_output"  # noqa: PT017
        else:
            assert all(np.isfinite(a).all() for a in (*found[:3], *found.parameters.values()))


def test_without_the_scan_infinity_passes():
    attn = ga.ScaledDotProductAttention(2, check_finite=False)
    x = np.full((2, 2), np.inf, np.float32)
    output, pullback = attn.vjp(x, x, x)
    assert np.isnan(output).all()
    assert np.isnan(pullback(np.ones_like(output)).query).all()


@pytest.mark.parametrize("key", ["scaled_dot_product", "multi_head", "flash", "hyperbolic"])
@pytest.mark.parametrize("value", [-1e300, float(np.finfo(np.float64).min), 1e300])
def test_a_finite_mask_that_float32_cannot_hold_stays_finite(key, value):
    attn, (q, k, v), _ = _case(key, 0.1, np.float32)
    mask = np.where(np.arange(7) < 3, value, 0.0) if value < 0 else np.where(np.arange(7) < 3, value, -np.inf)
    seen = np.arange(7) >= 3 if value < 0 else np.arange(7) < 3
    np.testing.assert_array_equal(attn.attention_weights(q, k, attn_mask=mask)[..., ~seen], 0)
    everywhere = attn.attention_weights(q, k, attn_mask=np.full(7, value))
    np.testing.assert_allclose(everywhere.sum(axis=-1), 1, rtol=1e-5)  # equal scores are not masked ones
    assert np.isfinite(attn.forward(q, k, v, attn_mask=mask)).all()


def test_metadata_that_float32_cannot_hold_is_refused():
    attn, (q, k, v), _ = _case("edge_featured", 0.1, np.float32)
    edges = ga.GraphMetadata(edge_features=np.full((7, 3), 1e300))
    with pytest.raises(ga.NumericalInstabilityError, match="edge_features"):
        attn.forward(q, k, v, metadata=edges)


def test_a_curvature_that_float32_rounds_to_zero():
    attn, arrays, _ = _case("hyperbolic", 0.1, np.float32)
    tiny = ga.create("hyperbolic", attn.dim, curvature=-1e-300)
    flat = tiny.forward(*(a.astype(np.float64) for a in arrays))
    np.testing.assert_allclose(tiny.forward(*arrays), flat, rtol=1e-5)


def _alarming(function):
    """Return the function with a spurious overflow flag, as some BLAS libraries raise."""

    def wrapped(*args):
        np.square(np.full(2, 1e30, np.float32))
        return function(*args)

    return wrapped


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_false_alarm_changes_nothing(dtype, monkeypatch, rng):
    q, k, v = (rng.standard_normal((3, 8)).astype(dtype) for _ in range(3))
    attn, optimizer = ga.MultiHeadAttention(8), ga.training.Adam()
    state = optimizer.init({"x": q})

    def results():
        output, pullback = attn.vjp(q, k, v)
        functional = ga.functional.scaled_dot_product_attention(q, k, v)
        return attn.forward(q, k, v), output, pullback(np.ones_like(output)).query, functional

    quiet = results()
    for name in ("matmul", "matmul_nt", "matmul_tn"):
        monkeypatch.setattr(simd, name, _alarming(getattr(simd, name)))
    for a, b in zip(quiet, results(), strict=True):
        np.testing.assert_array_equal(a, b)
    step = optimizer.update({"x": q}, {"x": k}, state)[0]["x"]
    monkeypatch.setattr(ga.training.Adam, "_step", _alarming_method(ga.training.Adam._step))
    np.testing.assert_array_equal(optimizer.update({"x": q}, {"x": k}, state)[0]["x"], step)


def _alarming_method(method):
    return lambda self, *args: _alarming(method)(self, *args)


@pytest.mark.parametrize("scale", [1.0, 1e37])
def test_projections_that_overflow(scale):
    eye = np.eye(8, dtype=np.float32)
    attn = ga.MultiHeadAttention(8).with_parameters({"w_q": 100 * eye, "w_k": eye, "w_v": eye, "w_o": 10 * eye})
    query, keys = np.full(8, scale, np.float32), np.ones((3, 8), np.float32)
    for given in ((keys, keys), (attn.prepare(keys, keys),)):
        np.testing.assert_allclose(attn.forward(query, *given), 10, rtol=1e-6)
    values = np.full((3, 8), 1e38, np.float32)
    for given in ((keys, values), (attn.prepare(keys, values),)):
        with pytest.raises(ga.NumericalInstabilityError, match="expected a finite result"):
            attn.forward(query, *given)


@pytest.mark.parametrize(("key", "name"), [("structural", "structural_features"), ("edge_featured", "edge_features")])
def test_biases_of_a_single_query_that_overflow(key, name):
    attn, inputs = mechanism_class(key).example(np.random.default_rng(1), 7)
    fields = {n: x.astype(np.float32) for n, x in vars(inputs["metadata"]).items() if x is not None}
    query, keys = np.full(attn.dim, 1e37, np.float32), np.ones((7, attn.dim), np.float32)
    metadata = ga.GraphMetadata(**fields | {name: fields[name] * np.float32(1e37)})
    expected = attn.attention_weights(query.astype(np.float64), keys.astype(np.float64), metadata=metadata)
    np.testing.assert_allclose(attn.attention_weights(query, keys, metadata=metadata), expected, rtol=1e-3, atol=1e-6)
