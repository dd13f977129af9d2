"""Outputs and gradients of every mechanism agree on all backends, over neighbourhoods and graphs."""

import numpy as np
import pytest

import graphattend as ga
from graphattend.mechanisms import mechanism_class
from graphattend.simd import backends

KERNELS = [name for name in ga.backend_info()["available"] if name != "numpy"]


def single(x):
    return x.astype(np.float32) if isinstance(x, np.ndarray) and x.dtype == np.float64 else x


def close(actual, expected, rtol=2e-6, together=False):
    """Compare relative to the largest entry of each array, or `together` of all: some gradients are only rounding."""
    largest = max(float(np.abs(b).max(initial=0)) for b in expected)
    for a, b in zip(actual, expected, strict=True):
        assert a.shape == b.shape
        assert a.dtype == b.dtype
        scale = largest if together else float(np.abs(b).max(initial=0))
        assert np.abs(a - b).max(initial=0) <= rtol * scale


def case(key, n=37, dim=32):
    attn, inputs = mechanism_class(key).example(np.random.default_rng(5), n, dim)
    return attn, {name: single(x) for name, x in inputs.items()}


@pytest.mark.parametrize("backend", KERNELS)
@pytest.mark.parametrize("key", ga.list_mechanisms())
def test_forward_and_gradients(key, backend):
    attn, x = case(key)
    queries = np.stack([x["query"], x["query"][::-1] * np.float32(0.5)])

    def run():
        out = [attn.forward(**x), attn.forward(**{**x, "query": queries})]
        y, pullback = attn.vjp(**x)
        g = pullback(np.ones_like(y))
        return [*out, g.query, g.keys, g.values, *(g.parameters[n] for n in sorted(g.parameters))]

    with ga.use_backend("numpy"):
        expected = run()
    with ga.use_backend(backend):
        actual = run()
    close(actual[:2], expected[:2])
    close(actual[2:], expected[2:], 2e-5, together=True)  # gradients are differences of nearly equal numbers


@pytest.mark.parametrize("backend", KERNELS)
@pytest.mark.parametrize("key", ["scaled_dot_product", "multi_head", "flash", "edge_featured"])
def test_attend_and_gradients(key, backend):
    rng = np.random.default_rng(2)
    edges = rng.integers(0, 60, (2, 400))
    graph = ga.NeighborGraph.from_edge_index(edges, 64)  # four nodes have no neighbours
    x = rng.standard_normal((64, 16)).astype(np.float32)
    attn = ga.create(key, 16)
    g_out = rng.standard_normal((64, 16)).astype(np.float32)
    g_weights = rng.standard_normal(attn.attend(graph, x, need_weights=True)[1].shape).astype(np.float32)

    def run():
        out, weights = attn.attend(graph, x, need_weights=True)
        y, pullback = attn.attend_vjp(graph, x)
        g, both = pullback(g_out), pullback(g_out, g_weights)
        names = sorted(g.parameters)
        return [out, weights, y], [g.query, both.query, *(g.parameters[n] for n in names)]

    with ga.use_backend("numpy"):
        expected = run()
    with ga.use_backend(backend):
        actual = run()
    close(actual[0], expected[0])
    close(actual[1], expected[1], 2e-5, together=True)


def test_unknown_backend_is_refused():
    for name in ("wasm", "", None, "numpy "):
        with pytest.raises(ga.UnsupportedError, match="numpy"), ga.use_backend(name):
            pass


def test_the_backend_comes_back_after_an_error():
    before = ga.backend_info()["backend"]
    with pytest.raises(RuntimeError), ga.use_backend("numpy"):
        raise RuntimeError
    assert ga.backend_info()["backend"] == before


def test_the_environment_chooses(monkeypatch):
    monkeypatch.setenv(backends.VARIABLE, "numpy")
    assert backends.choose().name == "numpy"
    monkeypatch.setenv(backends.VARIABLE, "nonsense")
    with pytest.raises(ga.UnsupportedError, match="nonsense"):
        backends.choose()
