"""Losses against independent implementations of their formulas, and at the limits of the number range."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays as np_arrays

import graphattend as ga
from graphattend.training import (
    adjacency_reconstruction,
    cross_entropy,
    info_nce,
    laplacian_regularization,
    local_contrastive,
    norm_penalty,
    orthogonality,
    reconstruction,
    triplet,
)

RNG = np.random.default_rng(3)


def plain_info_nce(anchor, positives, negatives, temperature, normalize=True):
    """Compute the loss of one anchor in plain floats with exact sums."""

    def similarity(x, y):
        dot = math.fsum(a * b for a, b in zip(x, y, strict=True))
        return dot / (math.hypot(*x) * math.hypot(*y)) if normalize else dot

    bad = math.fsum(math.exp(similarity(anchor, n) / temperature) for n in negatives)
    terms = []
    for p in positives:
        good = math.exp(similarity(anchor, p) / temperature)
        terms.append(-math.log(good / (good + bad)))
    return math.fsum(terms) / len(terms)


@pytest.mark.parametrize("normalize", [True, False])
def test_info_nce_is_its_formula_batched_and_shared(normalize):
    a, p, n = RNG.normal(size=(3, 4)), RNG.normal(size=(3, 2, 4)), RNG.normal(size=(5, 4))
    options = {"temperature": 0.5, "normalize": normalize}
    each = info_nce(a, p, n, reduction="none", **options)
    expected = [plain_info_nce(a[i], p[i], n, 0.5, normalize) for i in range(3)]
    np.testing.assert_allclose(each, expected, rtol=1e-12)
    assert info_nce(a[0], p[0], n, **options) == pytest.approx(expected[0], rel=1e-12)
    assert info_nce(a, p, np.broadcast_to(n, (3, 5, 4)), **options) == pytest.approx(np.mean(expected), rel=1e-12)


def test_info_nce_gradient_against_autograd():
    autograd = pytest.importorskip("autograd")
    anp = pytest.importorskip("autograd.numpy")

    def unit(x):
        return x / anp.sqrt(anp.sum(x**2, axis=-1, keepdims=True))

    def reference(a, p, n):
        a, p, n = unit(a), unit(p), unit(n)
        good = anp.exp(anp.einsum("bd,bpd->bp", a, p) / 0.2)
        bad = anp.sum(anp.exp(anp.einsum("bd,nd->bn", a, n) / 0.2), axis=-1, keepdims=True)
        return -anp.mean(anp.log(good / (good + bad)))

    args = RNG.normal(size=(3, 4)), RNG.normal(size=(3, 2, 4)), RNG.normal(size=(6, 4))
    value, pullback = ga.vjp(info_nce, *args, temperature=0.2)
    assert value == pytest.approx(reference(*args), rel=1e-13)
    for i, grad in enumerate(pullback(1.0)):
        np.testing.assert_allclose(grad, autograd.grad(reference, i)(*args), rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_info_nce_at_a_temperature_of_a_thousandth(dtype):
    a = np.array([1.0, 0.0], dtype)
    opposite = info_nce(a, -a[None], a[None], temperature=1e-3)  # worst case: log(1 + e^2000)
    assert opposite == pytest.approx(2000, rel=1e-6)
    value, pullback = ga.vjp(info_nce, a, a[None], -a[None], temperature=1e-3)
    assert value == 0  # e^-2000 is below the smallest float
    assert all(np.isfinite(g).all() for g in pullback(1.0))


def test_small_losses_keep_their_digits():
    # log(1 + e^-40) = e^-40 to 1e-17: the textbook formula log(e^p + e^n) - p gives 0.
    assert info_nce([1.0], [[20.0]], [[-20.0]], temperature=1.0, normalize=False) == pytest.approx(
        math.exp(-40), rel=1e-6
    )
    assert info_nce(np.array([1.0]), np.array([[20.0]]), np.array([[-20.0]]), temperature=1.0, normalize=False) == (
        pytest.approx(math.exp(-40), rel=1e-13)
    )


def test_a_hundred_thousand_negatives():
    rng = np.random.default_rng(0)
    a, p = rng.normal(size=16).astype(np.float32), rng.normal(size=(1, 16)).astype(np.float32)
    n = rng.normal(size=(100_000, 16)).astype(np.float32)
    value, pullback = ga.vjp(info_nce, a, p, n, temperature=1e-3)
    cosine = [(x.astype(float) @ a.astype(float)) / np.linalg.norm(a.astype(float)) for x in (p, n)]
    good, bad = (c / np.linalg.norm(x.astype(float), axis=-1) * 1000 for c, x in zip(cosine, (p, n), strict=True))
    expected = np.logaddexp.reduce(np.append(bad, good)) - good[0]
    assert value.dtype == np.float32
    assert value == pytest.approx(expected, rel=1e-5)
    assert all(np.isfinite(g).all() for g in pullback(1.0))


@pytest.mark.parametrize("loss", [info_nce, local_contrastive])
def test_zero_vectors_have_cosine_zero_and_no_gradient(loss):
    zero = np.zeros((1, 3))
    a, p, n = np.array([[1.0, 2.0, 2.0]]), np.array([[2.0, 0.0, 0.0]]), np.array([[0.0, 0.0, 3.0]])
    value, pullback = ga.vjp(loss, a, p, zero, temperature=1.0)
    assert value == pytest.approx(math.log1p(math.exp(-1 / 3)), rel=1e-14)
    assert not pullback(1.0)[2].any()
    value, pullback = ga.vjp(loss, zero, p, n, temperature=1e-3)
    assert value == pytest.approx(math.log(2), rel=1e-14)
    assert all(np.isfinite(g).all() for g in pullback(1.0))


@pytest.mark.parametrize("scale", [1e-200, 1e200])
def test_cosines_do_not_depend_on_the_scale_of_vectors(scale):
    a, p, n = RNG.normal(size=(3, 4)), RNG.normal(size=(2, 4)), RNG.normal(size=(5, 4))
    assert info_nce(a * scale, p / scale, n * scale) == pytest.approx(info_nce(a, p, n), rel=1e-12)


def test_local_contrastive_masks_are_ragged_neighbourhoods():
    x = RNG.normal(size=(4, 3))
    neighbors, others = RNG.normal(size=(4, 2, 3)), RNG.normal(size=(4, 5, 3))
    keep = np.array([[True, True], [False, True], [False, False], [True, False]])
    away = np.array([[True] * 5, [True, False, True, False, True], [True] * 5, [False] * 5])
    each = local_contrastive(
        x, neighbors, others, temperature=0.5, neighbor_mask=keep, non_neighbor_mask=away, reduction="none"
    )
    assert each[0] == pytest.approx(plain_info_nce(x[0], neighbors[0], others[0], 0.5), rel=1e-12)
    assert each[1] == pytest.approx(plain_info_nce(x[1], neighbors[1][1:], others[1][away[1]], 0.5), rel=1e-12)
    assert each[2] == 0
    assert each[3] == 0
    with pytest.raises(ga.InvalidConfigError, match="neighbor_mask"):
        local_contrastive(x, neighbors, others, neighbor_mask=keep.astype(int))
    with pytest.raises(ga.DimensionMismatchError, match="non_neighbor_mask"):
        local_contrastive(x, neighbors, others, non_neighbor_mask=keep)


def test_contrastive_errors_name_the_argument():
    a, p, n = np.ones(3), np.ones((2, 3)), np.ones((4, 3))
    for args, error, name in [
        ((a, np.ones((2, 4)), n), ga.DimensionMismatchError, "positives"),
        ((a, p, np.ones((2, 4))), ga.DimensionMismatchError, "negatives"),
        ((np.ones((1, 1, 3)), p, n), ga.DimensionMismatchError, "anchor"),
        ((a, np.ones((0, 3)), n), ga.EmptyInputError, "positives"),
        ((a, p, np.ones((0, 3))), ga.EmptyInputError, "negatives"),
        ((np.ones(0), p, n), ga.EmptyInputError, "anchor"),
    ]:
        with pytest.raises(error) as caught:
            info_nce(*args)
        assert caught.value.argument == name
    with pytest.raises(ga.DimensionMismatchError):
        info_nce(np.ones((2, 3)), np.ones((3, 2, 3)), n)
    for bad in (0, -1, np.nan, "x", True):
        with pytest.raises(ga.InvalidConfigError, match="temperature"):
            info_nce(a, p, n, temperature=bad)
    with pytest.raises(ga.InvalidConfigError, match="normalize"):
        info_nce(a, p, n, normalize=1)


def test_triplet_by_hand_and_at_coinciding_points():
    a, p, n = np.zeros((3, 2)), np.array([[3.0, 4], [0, 1], [0, 0]]), np.array([[0.0, 2], [0, 9], [0, 0]])
    np.testing.assert_allclose(triplet(a, p, n, reduction="none"), [4.0, 0.0, 1.0], rtol=1e-15)
    _, pullback = ga.vjp(triplet, a, p, n, reduction="sum")
    ga_, gp, gn = pullback(1.0)
    np.testing.assert_allclose(gp, [[0.6, 0.8], [0, 0], [0, 0]], atol=1e-15)
    np.testing.assert_allclose(gn, [[0, -1], [0, 0], [0, 0]], atol=1e-15)
    np.testing.assert_allclose(ga_, -gp - gn, atol=1e-15)
    with pytest.raises(ga.DimensionMismatchError, match="negative"):
        triplet(a, p, n[:2])
    with pytest.raises(ga.InvalidConfigError, match="margin"):
        triplet(a, p, n, margin=-1)


def test_laplacian_is_the_quadratic_form_of_networkx():
    nx = pytest.importorskip("networkx")
    graph = nx.karate_club_graph()
    edges = np.array(graph.edges).T
    weights = np.array([w for _, _, w in graph.edges(data="weight")], float)
    x = RNG.normal(size=(34, 3))
    matrix = np.diag([d for _, d in graph.degree(weight="weight")]) - nx.to_numpy_array(graph, weight="weight")
    assert laplacian_regularization(x, edges, weights) == pytest.approx(np.trace(x.T @ matrix @ x), rel=1e-12)
    _, pullback = ga.vjp(laplacian_regularization, x, edges, weights)
    grad_x, grad_edges, grad_w = pullback(1.0)
    np.testing.assert_allclose(grad_x, 2 * matrix @ x, rtol=1e-11, atol=1e-12)
    assert grad_edges is None
    np.testing.assert_allclose(grad_w, ((x[edges[0]] - x[edges[1]]) ** 2).sum(-1), rtol=1e-12)


def test_laplacian_is_an_alias():
    assert ga.training.laplacian is laplacian_regularization
    assert ga.training.LOSSES["laplacian"] is ga.training.LOSSES["laplacian_regularization"] is laplacian_regularization
    assert "`laplacian` is an alias" in laplacian_regularization.__doc__


def test_laplacian_without_edges_and_with_bad_ones():
    x = np.ones((3, 2))
    empty = np.zeros((2, 0), int)
    for reduction in ("sum", "mean"):
        value, pullback = ga.vjp(laplacian_regularization, x, empty, reduction=reduction)
        assert value == 0
        assert not pullback(1.0)[0].any()
    assert laplacian_regularization(x, empty, reduction="none").shape == (0,)
    with pytest.raises(ga.OutOfBoundsError):
        laplacian_regularization(x, [[0], [3]])
    with pytest.raises(ga.OutOfBoundsError):
        laplacian_regularization(x, [[0], [-1]])
    with pytest.raises(ga.DimensionMismatchError):
        laplacian_regularization(x, [[0, 1]])
    with pytest.raises(ga.DimensionMismatchError, match="edge_weights"):
        laplacian_regularization(x, [[0], [1]], [1.0, 2.0])


def test_orthogonality_is_zero_for_orthonormal_columns():
    q = np.linalg.qr(RNG.normal(size=(6, 3)))[0]
    assert orthogonality(q) == pytest.approx(0, abs=1e-28)
    x = RNG.normal(size=(2, 5, 3))
    expected = [np.linalg.norm(m.T @ m - np.eye(3), "fro") ** 2 for m in x]
    np.testing.assert_allclose(orthogonality(x, reduction="none"), expected, rtol=1e-12)
    assert orthogonality(x) == pytest.approx(np.mean(expected), rel=1e-12)


def test_norm_penalty_pulls_towards_the_norm_and_leaves_zero_alone():
    x = np.array([[3.0, 4.0], [0.0, 0.0]])
    value, pullback = ga.vjp(norm_penalty, x, 1.0)
    assert value == pytest.approx((16 + 1) / 2)
    np.testing.assert_allclose(pullback(1.0)[0], [[2.4, 3.2], [0, 0]], rtol=1e-15)
    assert pullback(1.0)[1] == pytest.approx(-(2 * 4 - 2 * 1) / 2)
    with pytest.raises(ga.InvalidConfigError, match="target_norm"):
        norm_penalty(x, -1)


def test_cross_entropy_against_scipy():
    special = pytest.importorskip("scipy.special")
    z, y = RNG.normal(size=(6, 4)) * 50, np.array([0, 1, 2, 3, 1, 1])
    log_p = special.log_softmax(z, axis=-1)
    nll = -log_p[np.arange(6), y]
    np.testing.assert_allclose(cross_entropy(z, y, reduction="none"), nll, rtol=1e-12, atol=1e-12)
    index = [5, 0, 5]
    assert cross_entropy(z, y, index=index) == pytest.approx(nll[index].mean(), rel=1e-12)
    smoothed = 0.9 * nll - 0.1 * log_p.mean(axis=-1)
    assert cross_entropy(z, y, label_smoothing=0.1) == pytest.approx(smoothed.mean(), rel=1e-12)
    assert cross_entropy([1e4, -1e4], 1) == pytest.approx(2e4)
    mask = np.zeros(6, bool)
    mask[2] = True
    _, pullback = ga.vjp(cross_entropy, z, y, index=mask)
    grad = pullback(1.0)[0]
    assert not grad[~mask].any()
    np.testing.assert_allclose(grad[2], special.softmax(z[2]) - np.eye(4)[2], atol=1e-14)


def test_cross_entropy_errors():
    z = np.zeros((3, 2))
    for y, options, error in [
        ([0, 1, 2], {}, ga.OutOfBoundsError),
        ([0, 1, -1], {}, ga.OutOfBoundsError),
        ([0.0, 1.0, 1.0], {}, ga.InvalidConfigError),
        ([0, 1], {}, ga.DimensionMismatchError),
        ([0, 1, 1], {"index": [3]}, ga.OutOfBoundsError),
        ([0, 1, 1], {"index": []}, ga.EmptyInputError),
        ([0, 1, 1], {"index": np.zeros(3, bool)}, ga.EmptyInputError),
        ([0, 1, 1], {"index": np.ones(2, bool)}, ga.DimensionMismatchError),
        ([0, 1, 1], {"label_smoothing": 1.5}, ga.InvalidConfigError),
    ]:
        with pytest.raises(error):
            cross_entropy(z, y, **options)
    with pytest.raises(ga.InvalidConfigError, match="index"):
        cross_entropy([0.0, 1.0], 0, index=[0])


def test_reconstruction_losses_against_numpy_and_scipy():
    special = pytest.importorskip("scipy.special")
    x, y = RNG.normal(size=(4, 3)), RNG.normal(size=(4, 3))
    assert reconstruction(x, y) == pytest.approx(np.mean((x - y) ** 2), rel=1e-13)
    pairs = np.array(np.meshgrid(range(4), range(4))).reshape(2, -1)
    labels = RNG.integers(0, 2, 16).astype(float)
    p = special.expit((x @ x.T)[pairs[0], pairs[1]] - 0.5)
    expected = -np.mean(3 * labels * np.log(p) + (1 - labels) * np.log1p(-p))
    assert adjacency_reconstruction(x, pairs, labels, pos_weight=3, bias=-0.5) == pytest.approx(expected, rel=1e-12)
    far = adjacency_reconstruction([[100.0], [100.0], [-100.0]], [[0, 0], [1, 2]], [0, 1], reduction="none")
    np.testing.assert_allclose(far, [1e4, 1e4])
    with pytest.raises(ga.InvalidConfigError, match="labels"):
        adjacency_reconstruction(x, [[0], [1]], [2])
    with pytest.raises(ga.InvalidConfigError, match="bias"):
        adjacency_reconstruction(x, [[0], [1]], [1], bias=np.inf)
    with pytest.raises(ga.EmptyInputError, match="pairs"):
        adjacency_reconstruction(x, np.zeros((2, 0), int), np.zeros(0))


@given(np_arrays(np.float64, (3, 4), elements=st.floats(-1e3, 1e3)), st.integers(0, 2**32 - 1))
@settings(max_examples=50, deadline=None)
def test_info_nce_is_never_negative_and_ignores_the_order_of_negatives(x, seed):
    a, p, n = x[0], x[1:2], np.concatenate([x[2:], x[:1] * 0.5, -x[1:2]])
    value = info_nce(a, p, n)
    assert value >= 0
    assert np.isfinite(value)
    shuffled = np.random.default_rng(seed).permutation(n)
    assert info_nce(a, p, shuffled) == pytest.approx(value, rel=1e-12, abs=1e-300)
