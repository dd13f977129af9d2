"""LinearAttention against exact softmax attention and its own quadratic form, and states for streaming."""

import math

import numpy as np
import pytest

import graphattend as ga

F = ga.functional


def quadratic(attn, q, k, v, mask=None, causal=False):
    w = attn.parameters()["projection"]
    root = attn.temperature**-0.5
    a = F.favor_features(q * root, w, is_query=True) @ F.favor_features(k * root, w, is_query=False).T
    if mask is not None:
        a = a * (mask if mask.dtype == bool else np.exp(mask))
    if causal:
        a = a * np.tri(*a.shape)
    total = a.sum(1, keepdims=True)
    w = np.where(total > 0, a / np.where(total > 0, total, 1), 0)
    return w @ v, w


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("temperature", [1.0, 3.0])
def test_all_masks(rng, causal, temperature):
    q, k, v = rng.standard_normal((9, 4)), rng.standard_normal((9, 4)), rng.standard_normal((9, 3))
    attn = ga.LinearAttention(4, num_features=12, is_causal=causal, temperature=temperature)
    for mask in (None, rng.random(9) < 0.5, rng.standard_normal(9), rng.random((9, 9)) < 0.6, rng.standard_normal((1, 9)),
                 np.zeros(9, bool)):  # fmt: skip
        expected = quadratic(attn, q, k, v, mask, causal)
        np.testing.assert_allclose(attn.forward(q, k, v, attn_mask=mask), expected[0], rtol=1e-10, atol=1e-12)
        out, w = attn.forward(q, k, v, attn_mask=mask, need_weights=True)
        np.testing.assert_allclose(out, expected[0], rtol=1e-10, atol=1e-12)
        np.testing.assert_allclose(w, expected[1], rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("shift", [0.0, 12.0, 1e5, -1e5])
def test_a_constant_in_the_mask_of_one_query_changes_nothing(rng, shift):
    """A large number in the mask, which float32 would round, is added in float64."""
    q, k, v = (rng.standard_normal(shape).astype(np.float32) for shape in ((4,), (40, 4), (40, 3)))
    attn, whole = ga.LinearAttention(4, num_features=12), rng.integers(-3, 4, 40)
    mask = np.where(rng.random(40) < 0.6, whole, -np.inf)  # whole numbers and their sums with `shift` fit float32
    out, w = attn.forward(q, k, v, attn_mask=mask, need_weights=True)
    shifted, alone = attn.forward(q, k, v, attn_mask=mask + shift, need_weights=True)
    np.testing.assert_allclose(shifted, out, atol=2e-6)
    np.testing.assert_allclose(alone, w, atol=2e-6)
    np.testing.assert_allclose(attn.forward(q, k, v, attn_mask=mask + shift), out, atol=2e-6)


def test_error_against_softmax_falls(rng):
    q, k, v = (rng.standard_normal((40, 8)) * 0.6 for _ in range(3))
    exact = ga.ScaledDotProductAttention(8, temperature=1.3).forward(q, k, v)

    def error(m):
        runs = [ga.LinearAttention(8, num_features=m, seed=s, temperature=1.3)(q, k, v) - exact for s in range(16)]
        return float(np.sqrt(np.mean(np.square(runs))))

    assert error(1024) < 0.6 * error(64)


def test_weights_are_unbiased_up_to_the_normaliser(rng):
    """Unnormalised weights average to exp(q·k/√D) over the seeds, checked by the ratio of two keys' means."""
    q, k = rng.standard_normal(5) * 0.6, rng.standard_normal((2, 5)) * 0.6
    draws = []
    for seed in range(400):
        w = ga.LinearAttention(5, num_features=10, seed=seed).parameters()["projection"]
        z = [np.exp(w @ y * 5**-0.25 - y @ y / (2 * math.sqrt(5))) for y in (q, *k)]
        draws.append([z[0] @ z[1] / 10, z[0] @ z[2] / 10])
    truth = np.exp(k @ q / math.sqrt(5))
    assert (np.abs(np.mean(draws, 0) - truth) < 5 * np.std(draws, 0) / 20).all()


def test_draws():
    a = ga.LinearAttention(6, num_features=9)
    p = a.parameters()["projection"]
    assert p.shape == (9, 6)
    assert not np.array_equal(p, a.redrawn().parameters()["projection"])
    assert np.array_equal(
        a.redrawn().parameters()["projection"],
        ga.LinearAttention(6, num_features=9, redraw=1).parameters()["projection"],
    )
    assert not np.array_equal(p, ga.LinearAttention(6, num_features=9, seed=1).parameters()["projection"])
    gram = p[:6] @ p[:6].T
    assert np.abs(gram - np.diag(np.diag(gram))).max() < 1e-12 * np.abs(gram).max()


@pytest.mark.parametrize("size", [1e-6, 1.0, 50.0])
def test_streaming(rng, size):
    """Keys in pieces of any sizes give the same result as all keys at once."""
    attn = ga.LinearAttention(4, num_features=16, temperature=0.8)
    q, k, v = rng.standard_normal((3, 4)), rng.standard_normal((10, 4)) * size, rng.standard_normal((10, 2))
    expected = attn.forward(q, k, v)
    for cuts in ((3,), (1, 9), (2, 5, 7), (9, 9 - 1)):
        cuts = sorted(set(cuts))
        parts = list(zip(np.split(k, cuts), np.split(v, cuts), strict=True))
        state = attn.prepare(*parts[0])
        for more in parts[1:]:
            before = state.state.total.copy()
            longer = state.extended(*more)
            assert np.array_equal(state.state.total, before)
            state = longer
        np.testing.assert_allclose(attn.forward(q, state), expected, rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(attn.forward(q[0], state), expected[0], rtol=1e-9, atol=1e-12)
        assert state.state.total.shape == (16, 3)


def test_streaming_batches_and_dtypes(rng):
    attn = ga.LinearAttention(4, num_features=16)
    q, k, v = rng.standard_normal((2, 3, 4)), rng.standard_normal((2, 10, 4)), rng.standard_normal((2, 10, 2))
    state = attn.prepare(k[:, :6], v[:, :6]).extended(k[:, 6:], v[:, 6:])
    np.testing.assert_allclose(attn.forward(q, state), attn.forward(q, k, v), rtol=1e-10)
    small = attn.prepare(k[0, :6].astype(np.float32), v[0, :6].astype(np.float32)).extended(k[0, 6:], v[0, 6:])
    assert attn.forward(q[0].astype(np.float32), small).dtype == np.float32
    assert attn.forward(q[0], small).dtype == np.float64
    np.testing.assert_allclose(attn.forward(q[0], small), attn.forward(q[0], k[0], v[0]), rtol=1e-3, atol=1e-4)


def test_streaming_refusals(rng):
    attn = ga.LinearAttention(4, num_features=8, dropout=0.5)
    k, v = rng.standard_normal((5, 4)), rng.standard_normal((5, 2))
    first = attn.prepare(k, v)
    streamed = first.extended(k, v)
    for options in ({"need_weights": True}, {"attn_mask": np.ones(5, bool)}, {"training": True, "rng": rng}):
        with pytest.raises(ga.UnsupportedError, match="keys"):
            attn.forward(k, streamed, **options)
        attn.forward(k, first, **options)
    with pytest.raises(ga.UnsupportedError, match="keys"):
        attn.attention_weights(k, streamed)
    for bad in (
        (k, v[:, :1]),
        (k[:, :3], v),
        (k[:0], v[:0]),
        (k, v[:4]),
        ("a", v),
        (k * np.nan, v),
        (k[None].repeat(2, 0), v),
    ):
        with pytest.raises(ga.AttentionError):
            first.extended(*bad)
    causal = ga.LinearAttention(4, is_causal=True)
    prepared = causal.prepare(k, v)
    assert not hasattr(prepared, "extended")
    np.testing.assert_allclose(causal.forward(k, prepared), causal.forward(k, k, v), rtol=1e-12)


def estimator(attn, q, k, v, seen):
    """Compute Σ_j φ(q)·φ(k_j) v_j / Σ_j φ(q)·φ(k_j) over the visible keys in 60 digits; `seen` (M, N) is a log-mask."""
    mpmath = pytest.importorskip("mpmath")
    with mpmath.workdps(60):
        w = [[mpmath.mpf(float(a)) for a in row] for row in attn.parameters()["projection"]]
        root = mpmath.mpf(q.shape[-1]) ** (-mpmath.mpf(1) / 4)

        def features(x):
            x = [root * mpmath.mpf(float(a)) for a in x]
            half = sum(a * a for a in x) / 2
            return [mpmath.exp(sum(a * b for a, b in zip(row, x, strict=True)) - half) for row in w]

        fq, fk = [features(x) for x in q], [features(x) for x in k]
        out = np.zeros((len(q), v.shape[-1]))
        for i, a in enumerate(fq):
            s = [
                sum(x * y for x, y in zip(a, b, strict=True)) * mpmath.exp(mpmath.mpf(float(m)))
                if m > -np.inf
                else mpmath.mpf(0)
                for b, m in zip(fk, seen[i], strict=True)
            ]
            if total := sum(s):
                out[i] = [float(sum(x * mpmath.mpf(float(y)) for x, y in zip(s, c, strict=True)) / total) for c in v.T]
        return out


@pytest.mark.parametrize("size", [1, 15])
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("kind", [None, "keys", "pairs", "float keys", "float pairs"])
def test_what_a_row_does_not_see_changes_nothing(rng, size, causal, kind):
    attn = ga.LinearAttention(8, num_features=12, is_causal=causal)
    q, k, v = (rng.standard_normal((9, 8)) * s for s in (size, size, 1))
    k[-1] *= 3  # far from the others
    mask = None if kind is None else rng.random((1 if "keys" in kind else 9, 9)) < 0.6
    seen = np.zeros((9, 9)) if mask is None else np.where(mask, 0, -np.inf) * np.ones((9, 1))
    if kind is not None and "float" in kind:
        mask = np.where(mask, 700.0, -np.inf)
    if causal:
        seen = np.where(np.tri(9, dtype=bool), seen, -np.inf)
    expected = estimator(attn, q, k, v, seen)
    np.testing.assert_allclose(attn.forward(q, k, v, attn_mask=mask), expected, rtol=1e-12, atol=1e-12)
    weights = attn.forward(q, k, v, attn_mask=mask, need_weights=True)[1]
    np.testing.assert_allclose(weights @ v, expected, rtol=1e-12, atol=1e-12)
    g = rng.standard_normal((9, 8))
    pull = attn.vjp(q, k, v, attn_mask=mask)[1](g)
    for name, x, got in (("q", q, pull.query), ("k", k, pull.keys), ("v", v, pull.values)):
        d = rng.standard_normal(x.shape) * 1e-6
        args = {"q": q, "k": k, "v": v}
        high, low = (attn.forward(*{**args, name: x + t * d}.values(), attn_mask=mask) for t in (1, -1))
        np.testing.assert_allclose(np.vdot(got, d) * 2, np.vdot(g, high - low), rtol=1e-4, atol=1e-11)


def test_a_far_key_that_is_hidden_leaves_the_neighbour_its_weight():
    x = np.zeros((2, 4))
    x[0, 0] = 30
    v = np.array([[1.0] * 4, [2.0] * 4])
    attn, graph = ga.create("linear", 4), ga.NeighborGraph.from_edge_index([[0], [1]], 2)
    np.testing.assert_allclose(attn.attend(graph, x, x, v)[1], 1, rtol=1e-15)
    state = attn.prepare(x[1:], v[1:]).extended(x[:1], v[:1])
    np.testing.assert_allclose(attn.forward(x, state), attn.forward(x, x, v), rtol=1e-12)


@pytest.mark.parametrize(("dtype", "offset", "tolerance"), [(np.float32, -200, 1e-5), (np.float64, 800, 1e-12)])
@pytest.mark.parametrize("shape", [(1, 7), (5, 7)])
def test_a_constant_added_to_a_float_mask_changes_nothing(rng, dtype, offset, tolerance, shape):
    attn = ga.LinearAttention(4, num_features=32)
    q, k, v = (rng.standard_normal(s).astype(dtype) for s in ((5, 4), (7, 4), (7, 3)))
    mask = rng.integers(-2, 3, shape).astype(dtype)
    np.testing.assert_allclose(
        attn.forward(q, k, v, attn_mask=mask + dtype(offset)), attn.forward(q, k, v, attn_mask=mask), atol=tolerance
    )


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float32, 1e-5), (np.float64, 1e-12)])
def test_the_functional_causal_form_does_not_look_ahead(rng, dtype, tolerance):
    q, k, v = (rng.standard_normal((150, 16)).astype(dtype) for _ in range(3))
    k[-1] *= 30
    w = ga.functional.orthogonal_projection(32, 16, seed=0)
    full = ga.functional.linear_attention(q, k, v, w, is_causal=True)
    before = ga.functional.linear_attention(q[:-1], k[:-1], v[:-1], w, is_causal=True)
    np.testing.assert_allclose(full[:-1], before, rtol=0, atol=tolerance)


#: Largest error of a result against the exact value of the estimator, relative to the largest entry.
LONG = {np.float32: 1e-5, np.float64: 1e-12}


def near(found, expected, tolerance, floor=0.0):
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance * max(floor, np.abs(expected).max()))


@pytest.mark.parametrize("dtype", LONG)
@pytest.mark.parametrize("causal", [False, True])
def test_exponents_near_a_thousand(rng, dtype, causal):
    """Compare with 60 digits for vectors N(0, 15²) of 64 dimensions, whose exponents float32 only holds to 6e-5."""
    attn = ga.LinearAttention(64, num_features=48, is_causal=causal)
    q, k, v = (rng.standard_normal((8, d)).astype(dtype) for d in (64, 64, 3))
    q, k = (x / 8 + rng.standard_normal(64).astype(dtype) * dtype(15) for x in (q, k))  # all keys have weight
    w = attn.parameters()["projection"]
    assert np.abs(k @ w.T * 64**-0.25 - np.square(k).sum(1, keepdims=True) / 16).max() > 600
    full = np.where(np.tri(8, dtype=bool), 0, -np.inf) if causal else np.zeros((8, 8))
    expected = estimator(attn, q, k, v, full)
    keys = rng.random(8) < 0.7
    keys[0] = True
    pairs = rng.random((8, 8)) < 0.6
    tolerance = LONG[dtype]
    near(attn.forward(q, k, v), expected, tolerance)
    near(attn.forward(q, attn.prepare(k, v)), expected, tolerance)
    near(attn.attention_weights(q, k).astype(float) @ v, expected, tolerance)
    near(attn.attention_weights(q, attn.prepare(k, v)).astype(float) @ v, expected, tolerance)
    near(ga.functional.linear_attention(q, k, v, w, is_causal=causal), expected, tolerance)
    if not causal:
        near(attn.forward(q, attn.prepare(k[:3], v[:3]).extended(k[3:], v[3:])), expected, tolerance)
    for seen in (keys, pairs):
        wanted = estimator(attn, q, k, v, np.where(seen, full, -np.inf))
        near(attn.forward(q, k, v, attn_mask=seen), wanted, tolerance)
        near(attn.forward(q, k, v, attn_mask=np.where(seen, dtype(200), dtype(-np.inf))), wanted, tolerance)


@pytest.mark.parametrize("size", [0.5, 2, 15])
@pytest.mark.parametrize("causal", [False, True])
def test_gradients_in_float32_have_its_digits(rng, size, causal):
    """They equal those in float64 for vectors of any norm; also if only the keys are short or long."""
    attn = ga.LinearAttention(64, num_features=48, is_causal=causal)
    w = attn.parameters()["projection"]
    for size_q, size_k in ((size, size), (0.3, size), (size, 0.3)):
        q, k = (rng.standard_normal((150, 64)).astype(np.float32) * np.float32(s) for s in (size_q, size_k))
        v, g = rng.standard_normal((2, 150, 3)).astype(np.float32)
        wide = [a.astype(np.float64) for a in (q, k, v)]
        for mask in (None, rng.random((150, 150)) < 0.5):
            out, pull = attn.vjp(q, k, v, attn_mask=mask)
            expected, pull_wide = attn.vjp(*wide, attn_mask=mask)
            near(out, expected, 1e-5)
            for found, wanted in zip(pull(g)[:3], pull_wide(g)[:3], strict=True):
                assert found.dtype == np.float32
                near(found, wanted, 1e-5, floor=1e-3)
            near(pull(g).parameters["projection"], pull_wide(g).parameters["projection"], 1e-5, floor=1e-3)
        out, pull = ga.vjp(ga.functional.linear_attention, q, k, v, w, is_causal=causal)
        expected, pull_wide = ga.vjp(ga.functional.linear_attention, *wide, w, is_causal=causal)
        near(out, expected, 1e-5)
        for found, wanted in zip(pull(g), pull_wide(g), strict=True):
            near(found, wanted, 1e-5, floor=1e-3)


def test_neighbourhoods_of_long_vectors(rng):
    x, v, g = (rng.standard_normal((200, d)).astype(np.float32) * s for d, s in ((64, np.float32(15)), (5, 1), (5, 1)))
    graph = ga.NeighborGraph.knn(x, 6)
    attn = ga.LinearAttention(64, num_features=48)
    for need_weights in (False, True):
        found, wanted = (
            attn.attend(graph, *a, need_weights=need_weights)
            for a in ((x, x, v), [y.astype(np.float64) for y in (x, x, v)])
        )
        for a, b in zip(found, wanted, strict=True) if need_weights else [(found, wanted)]:
            assert a.dtype == np.float32
            near(a, b, 1e-5)
    pulls = (attn.attend_vjp(graph, *a)[1](g) for a in ((x, x, v), [y.astype(np.float64) for y in (x, x, v)]))
    for a, b in zip(*(p[:3] for p in pulls), strict=True):
        near(a, b, 1e-5)


def test_features_of_long_vectors_have_the_digits_of_float32(rng):
    x, w = rng.standard_normal((5, 64)).astype(np.float32) * 15, F.orthogonal_projection(32, 64, seed=0)
    for is_query in (True, False):
        found, wanted = (F.favor_features(a, w, is_query=is_query, eps=1e-3) for a in (x, x.astype(np.float64)))
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, wanted, rtol=1e-5)


@pytest.mark.parametrize(
    "shape", [(1, 1), (2, 2), (7, 7), (64, 64), (77, 77), (130, 130), (70, 200), (200, 70), (5, 1)]
)
@pytest.mark.parametrize("batch", [((), ()), ((2,), ()), ((), (2,)), ((3, 1), (2,))])
def test_causal_rows_far_apart_in_linear_memory(rng, shape, batch):
    """Compare with the matrix of weights for keys that grow so fast that no two blocks share a stabiliser."""
    (m, n), (lead_q, lead_k) = shape, batch
    attn = ga.LinearAttention(4, num_features=6, is_causal=True)
    w = attn.parameters()["projection"]
    q, k = rng.standard_normal((*lead_q, m, 4)), rng.standard_normal((*lead_k, n, 4))
    k *= np.geomspace(100, 0.1, n)[:, None]  # the exponents change by thousands
    v, g = rng.standard_normal((*lead_k, n, 3)), rng.standard_normal((*np.broadcast_shapes(lead_q, lead_k), m, 3))
    results = [ga.vjp(ga.functional.linear_attention, q, k, v, w, is_causal=True)]
    results.append(attn.vjp(q, k, v, attn_mask=np.ones((m, n), bool)))  # a mask forces the matrix of weights
    np.testing.assert_allclose(results[0][0], results[1][0], rtol=1e-11, atol=1e-12)
    for found, wanted in zip(results[0][1](g)[:3], results[1][1](g)[:3], strict=True):
        near(found, wanted, 1e-11, floor=1.0)  # the gradient of a row with a single key is zero


def test_causal_rows_far_apart_need_no_matrix(rng):
    import tracemalloc

    x = rng.standard_normal((6000, 4)) * np.geomspace(100, 0.1, 6000)[:, None]
    attn = ga.LinearAttention(4, num_features=6, is_causal=True)
    tracemalloc.start()
    attn.vjp(x, x, x)[1](x)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 6000 * 6000 * 8 / 10
