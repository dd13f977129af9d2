"""More threads give the same bits, and impossible numbers of threads raise an error."""

import itertools
import sys
import threading

import numpy as np
import pytest

import graphattend as ga
from graphattend import _validate, simd
from graphattend.simd import threads

BROWSER = sys.platform == "emscripten"
native = pytest.mark.native  # WebAssembly has one thread


@pytest.fixture
def always(monkeypatch):
    """Split any amount of work."""
    monkeypatch.setattr(threads, "MIN_WORK", 1)
    monkeypatch.setattr(_validate, "_MANY", 0)


@native
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("sizes", [(1000,), (1000, 0, 1), (300, 5), (1, 2)])
def test_threads_share_the_search_for_nan(always, rng, sizes, dtype):
    given = [rng.standard_normal(n).astype(dtype) for n in sizes]
    with threads.num_threads(3):
        assert _validate.all_finite(*given)
        for a in given:
            for at in {0, a.size // 2, a.size - 1} if a.size else ():
                a[at], before = np.nan, a[at]
                assert not _validate.all_finite(*given)
                a[at] = before
        assert _validate.all_finite(given[0][::2], *given)


def graph(nodes, degree, rng):
    """Draw a graph with rows of very different lengths, some empty."""
    lengths = rng.integers(0, 2 * degree, nodes) * (rng.random(nodes) < 0.8)
    indptr = np.concatenate([[0], np.cumsum(lengths)])
    return ga.NeighborGraph(indptr, rng.integers(0, nodes, indptr[-1]))


@native
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("count", [2, 3, 7])
def test_same_bits_over_a_graph(always, rng, dtype, count):
    g = graph(700, 9, rng)
    x = rng.standard_normal((700, 16)).astype(dtype)
    gat = ga.create("edge_featured", 16, num_heads=2)
    for attn in (*(ga.create(key, 16) for key in ("scaled_dot_product", "flash")), ga.create("multi_head", 16), gat):
        one = attn.attend(g, x, need_weights=True, threads=1)
        more = attn.attend(g, x, need_weights=True, threads=count)
        for a, b in zip(one, more, strict=True):
            np.testing.assert_array_equal(a, b)
        outputs, gradients = zip(*(run(attn, g, x, n) for n in (1, count)), strict=True)
        np.testing.assert_array_equal(*outputs)
        for a, b in zip(*gradients, strict=True):
            np.testing.assert_array_equal(a, b)


@native
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("key", ["multi_head", "edge_featured", "dynamic_heads"])
def test_same_bits_with_projections_by_pieces(always, rng, key, dtype):
    g, attn = graph(3000, 5, rng), ga.create(key, 16)
    x = rng.standard_normal((3000, 16)).astype(dtype)
    for given in ([x], [x, x[::-1].copy(), x[:, ::-1].copy()]):
        one = gradients(attn, g, given, 1)
        for count in (2, 5):
            for a, b in zip(one, gradients(attn, g, given, count), strict=True):
                np.testing.assert_array_equal(a, b)


@native
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("key", ["hyperbolic", "mixed_curvature", "manifold"])
def test_same_bits_by_distance(always, rng, key, dtype):
    g, attn = graph(700, 9, rng), ga.create(key, 16)
    x = (0.1 * rng.standard_normal((700, 16))).astype(dtype)
    for need_weights in (False, True):
        one, more = (attn.attend(g, x, need_weights=need_weights, threads=n) for n in (1, 3))
        for a, b in zip(one, more, strict=True):
            np.testing.assert_array_equal(a, b)
    one, more = (gradients(attn, g, [x], n) for n in (1, 3))
    for a, b in zip(one, more, strict=True):
        np.testing.assert_array_equal(a, b)


def gradients(attn, g, given, count):
    """Return the output and all gradients."""
    out, pullback = attn.attend_vjp(g, *given, threads=count)
    found = pullback(np.ones_like(out))
    return [out, *found[:3], *found.parameters.values()]


def run(attn, g, x, count):
    out, pullback = attn.attend_vjp(
        g, x, *(() if attn.key == "edge_featured" else (x, x[:, ::-1].copy())), threads=count
    )
    return out, pullback(np.ones_like(out))[:3]


@native
@pytest.mark.parametrize("key", ["scaled_dot_product", "flash", "multi_head", "hyperbolic", "local_global"])
@pytest.mark.parametrize("shape", [(1,), (200,), (513,), (5, 70)])
def test_same_bits_of_queries(always, rng, key, shape):
    attn = ga.create(key, 8)
    q = 0.1 * rng.standard_normal((*shape, 8)).astype(np.float32)
    k = 0.1 * rng.standard_normal((*shape[:-1], 90, 8)).astype(np.float32)
    heads = (1,) if key == "multi_head" and len(shape) == 2 else ()
    mask = rng.random((*shape[:-1], *heads, shape[-1], 90)) < 0.8
    for options in ({}, {"attn_mask": mask}):
        np.testing.assert_array_equal(
            attn.forward(q, k, k, threads=1, **options), attn.forward(q, k, k, threads=3, **options)
        )


@native
def test_rows_that_end_early_and_causal_rows(always, rng):
    q, k = (rng.standard_normal((300, 8)).astype(np.float32) for _ in range(2))
    attn = ga.create("flash", 8, is_causal=True)
    np.testing.assert_array_equal(attn.forward(q, k, k, threads=1), attn.forward(q, k, k, threads=4))


@native
def test_the_work_is_split(always, monkeypatch, rng):
    monkeypatch.setattr(_validate, "_MANY", 1 << 17)  # without the search for NaN
    seen = []
    run = threads.run
    monkeypatch.setattr(threads, "run", lambda work, parts: seen.append(len(parts)) or run(work, parts))
    x = rng.standard_normal((300, 8)).astype(np.float32)
    if simd.backend_info()["backend"] != "numpy":
        ga.create("flash", 8).forward(x, x, x, threads=2)
        ga.create("scaled_dot_product", 8).attend(graph(300, 9, rng), x, threads=2)
        ga.create("multi_head", 8, num_heads=4).forward(x, x, x, threads=2)
        assert seen == [2, 2, 2]
        seen.clear()
        ga.create("scaled_dot_product", 8).attend_vjp(graph(300, 9, rng), x, threads=2)[1](x)
        assert seen == [2, 2, 2, 2]  # forward, by row, and twice by neighbour


@native
def test_blocks_cover_the_rows(always):
    with simd.num_threads(4):
        for weight in (5, 64, 1000, 1001, np.array([0, 0, 10_000, 10_000, 10_001]), np.arange(1001) ** 2):
            rows = weight if isinstance(weight, int) else len(weight) - 1
            parts = threads.blocks(weight, 1e9)
            assert [parts[0].start, parts[-1].stop] == [0, rows]
            assert all(a.stop == b.start for a, b in itertools.pairwise(parts))
            assert all(part.start % threads.ALIGN == 0 for part in parts)
            if not isinstance(weight, int):
                assert all(weight[part.start] < weight[part.stop] for part in parts)
        assert len(threads.blocks(1000, 1e9)) == 4


def test_little_work_is_not_split():
    with simd.num_threads(1 if BROWSER else 4):
        assert len(threads.blocks(10_000, 100)) == 1


@native
def test_the_number_is_the_callers_alone():
    assert ga.get_num_threads() == 1
    ga.set_num_threads(3)
    try:
        with simd.num_threads(2):
            assert ga.get_num_threads() == 2
            seen = []
            other = threading.Thread(target=lambda: seen.append(ga.get_num_threads()))
            other.start()
            other.join()
            assert seen == [3]
        assert ga.get_num_threads() == 3
    finally:
        ga.set_num_threads(1)


@pytest.mark.parametrize("bad", [0, -1, 1.5, "2", True, 257])
def test_bad_numbers_are_named(bad, rng):
    with pytest.raises(ga.InvalidConfigError, match="threads"):
        ga.set_num_threads(bad)
    x = rng.standard_normal((3, 4))
    with pytest.raises(ga.InvalidConfigError, match="threads"):
        ga.create("flash", 4).forward(x, x, x, threads=bad)


def test_webassembly_has_one(monkeypatch):
    monkeypatch.setattr(threads, "MOST", 1)
    ga.set_num_threads(1)
    with pytest.raises(ga.UnsupportedError, match="workers"):
        ga.set_num_threads(2)
