"""Integers together with floating-point data keep their digits; float32 cannot represent 2^24 + 1."""

import numpy as np
import pytest

import graphattend as ga
from graphattend import training
from graphattend._validate import as_float, as_floats
from graphattend.mechanisms import mechanism_class

BIG = 2**24 + 1
F = ga.functional
F4, F8 = np.dtype(np.float32), np.dtype(np.float64)


def test_the_rule():
    whole = np.array([BIG, -BIG])
    assert as_float(whole, "x").dtype == F4  # without other data it becomes float32, as documented
    assert as_float(np.array([2**24]), "x", beside=F4).dtype == F4
    for dtype in (F4, F8):
        kept = as_float(whole, "x", beside=dtype)
        assert kept.dtype == F8
        np.testing.assert_array_equal(kept, whole)
    assert as_float(np.array([], np.int64), "x", beside=F4).dtype == F4
    assert as_float(np.array([np.iinfo(np.int64).min]), "x", beside=F4).dtype == F8
    assert as_float(np.array([BIG], ">i8"), "x", beside=F4)[0] == BIG
    assert as_float(np.array([1], np.uint8), "x", beside=F8).dtype == F8
    assert as_float(np.float32([1.5]), "x", beside=F8).dtype == F4  # floating-point numbers keep their dtype


def test_arrays_together():
    a, b = as_floats("ab", [BIG], np.array([0.5]))
    assert (a.dtype, b.dtype) == (F8, F8)
    assert a[0] == BIG
    assert [x.dtype for x in as_floats("ab", [1], np.float32([0.5]))] == [F4, F4]
    assert [x.dtype for x in as_floats("abc", [1], [2], np.int8([3]))] == [F4, F4, F4]
    with pytest.raises(ga.InvalidConfigError, match=r"^b: "):
        as_floats("ab", [1], ["text"])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_rotary(dtype):
    x = np.array([1.0, 0.0], dtype)
    out = F.rotary(x, BIG)
    assert out.dtype == dtype
    np.testing.assert_allclose(
        out, [np.cos(float(BIG)), np.sin(float(BIG))], atol=1e-6 if dtype == np.float32 else 1e-12
    )


@pytest.mark.parametrize("which", [0, 1, 2])
@pytest.mark.parametrize("name", ["scaled_dot_product_attention", "linear_attention", "multi_head_attention"])
def test_attention_over_whole_and_real_numbers(name, which, rng):
    arrays = [rng.standard_normal((3, 2)), rng.standard_normal((3, 2)), rng.standard_normal((3, 2))]
    arrays[which] = np.array([[0, 1], [1, 0], [1, 1]])
    if which == 2:
        arrays[which] = arrays[which] + BIG - 1
    rest, options = (), {}
    if name == "linear_attention":
        rest = (F.orthogonal_projection(8, 2, seed=0),)
    if name == "multi_head_attention":
        rest, options = ({f"w_{n}": np.eye(2) for n in "qkvo"},), {"num_heads": 1}
    function = getattr(F, name)
    real = [a.astype(np.float64) for a in arrays]
    whole, floating = function(*arrays, *rest, **options), function(*real, *rest, **options)
    assert whole.dtype == floating.dtype
    np.testing.assert_array_equal(whole, floating)  # converted first, both take the same path


@pytest.mark.parametrize("key", ga.list_mechanisms())
def test_mechanisms(key):
    """Integers in any one input give the same result as equal float64 numbers."""
    attn, inputs = mechanism_class(key).example(np.random.default_rng(0), 5)
    metadata = inputs.pop("metadata", None)
    names = [n for n in ("query", "keys", "values") if n in inputs]
    fields = {} if metadata is None else {k: v for k, v in vars(metadata).items() if v is not None}

    def call(which, cast):
        given = {n: np.rint(np.asarray(x) * 3) if n == which else np.asarray(x, np.float64) for n, x in inputs.items()}
        meta = {n: np.rint(np.asarray(x) * 3) if n == which else x for n, x in fields.items()}
        given, meta = ({n: cast(x) if n == which else x for n, x in d.items()} for d in (given, meta))
        if metadata is not None:
            given["metadata"] = ga.GraphMetadata(**meta)
        return attn.forward(**given)

    reals = [n for n, x in fields.items() if np.asarray(x).dtype.kind == "f"]
    for which in [*names, *reals]:
        # Float arrays may use a kernel directly, integers are converted first; the two paths round differently.
        whole, real = call(which, lambda x: x.astype(np.int64)), call(which, np.asarray)
        assert whole.dtype == real.dtype == np.float64
        np.testing.assert_allclose(whole, real, rtol=1e-12, atol=1e-14)


def test_distances_of_a_graph_and_of_metadata():
    graph = ga.NeighborGraph([0, 1, 2], [1, 0], distances=[BIG, 3], edge_weights=[BIG, 1])
    assert graph.distances[0] == graph.edge_weights[0] == BIG
    small = ga.NeighborGraph([0, 1, 2], [1, 0], distances=[5, 3])
    assert small.distances.dtype == np.float32
    same = ga.NeighborGraph.from_edge_index([[0, 1], [1, 0]], 2, distances=[BIG, 3], edge_features=[[BIG], [1]])
    assert same.distances.max() == same.edge_features.max() == BIG
    attn = ga.GraphRoPEAttention(4)
    x = np.random.default_rng(0).standard_normal((3, 4))
    whole, real = (
        attn.forward(x[0], x, x, metadata=ga.GraphMetadata(distances=np.array([BIG, 1, 2]).astype(t)))
        for t in (np.int64, np.float64)
    )
    np.testing.assert_array_equal(whole, real)


MANIFOLDS = [ga.geometry.Euclidean(), ga.geometry.Poincare(), ga.geometry.Lorentz(), ga.geometry.Sphere()]


@pytest.mark.parametrize("manifold", MANIFOLDS, ids=lambda m: type(m).__name__)
def test_weights_of_a_mean(manifold, rng):
    points = manifold.random(rng, (3, 4))
    weights = np.array([BIG, 2**25 + 1, 1])
    for mean in (manifold.midpoint, manifold.frechet_mean):
        np.testing.assert_array_equal(mean(points, weights), mean(points, weights.astype(float)))
    x, y = np.array([BIG, 1, 0, 0]), np.array([BIG - 1.0, 1.0, 0.0, 0.0])
    if isinstance(manifold, ga.geometry.Euclidean):
        assert manifold.dist(x, y) == 1.0
        assert manifold.pairwise(x[None], y[None]).item() == 1.0


def test_losses(rng):
    near = np.array([[BIG, 0.0], [BIG, 1.0]]) + 0.25
    whole = np.array([[BIG, 0], [BIG, 1]])
    for name, arrays in {
        "triplet": (whole, near, near + 1),
        "info_nce": (whole, near, near + 1),
        "reconstruction": (near, whole),
        "laplacian": (near, [[0], [1]], [BIG]),
    }.items():
        loss = getattr(training, name, None)
        assert loss is not None, name
        real = [np.asarray(a, float) if name != "laplacian" or a is not arrays[1] else a for a in arrays]
        assert loss(*arrays) == loss(*real), name


def test_degrees():
    found = training.sample_hard_negatives(
        [0.0], [[0.0], [1.0], [2.0], [3.0]], [0], 1, strategy="degree", degrees=[0, BIG, BIG + 1, BIG]
    )
    assert found.tolist() == [2]


def test_gradients_and_states_of_optimizers():
    optimizer = training.SGD(lr=1.0)
    params = {"x": np.zeros(1)}
    new, _ = optimizer.update(params, {"x": np.array([BIG])}, optimizer.init(params))
    assert new["x"][0] == -BIG


def test_cotangents():
    x = np.ones(1)
    assert ga.vjp(F.softmax, np.zeros(2))[1](np.array([BIG, 0]))[0][0] == pytest.approx(BIG / 4, rel=1e-15)
    assert ga.vjp(ga.geometry.Euclidean().expmap, x, x)[1](np.array([BIG]))[0][0] == BIG
