"""Laws that every exported loss satisfies; losses are discovered, so a new loss without a case here fails."""

import inspect

import numpy as np
import pytest

import graphattend as ga
from graphattend import training
from graphattend.errors import AttentionError

RNG = np.random.default_rng(7)
EDGES = np.array([[0, 1, 2, 2], [1, 2, 3, 0]])


def normal(*shape):
    return RNG.normal(size=shape)


# name -> list of (arrays, options), with every batched form.
CASES = {
    "info_nce": [
        ((normal(5), normal(2, 5), normal(7, 5)), {}),
        ((normal(5), normal(5), normal(5)), {"temperature": 1.0}),
        ((normal(3, 5), normal(2, 5), normal(7, 5)), {"temperature": 0.5}),
        ((normal(3, 5), normal(3, 2, 5), normal(3, 7, 5)), {"normalize": False, "temperature": 2.0}),
        ((normal(3, 5), normal(3, 2, 5), normal(7, 5)), {"temperature": 0.3}),
        ((normal(5), normal(3, 2, 5), normal(7, 5)), {"temperature": 0.3}),
        ((normal(5), normal(2, 5), normal(3, 7, 5)), {"temperature": 0.3}),
    ],
    "local_contrastive": [
        ((normal(5), normal(2, 5), normal(7, 5)), {}),
        (
            (normal(3, 5), normal(3, 2, 5), normal(3, 4, 5)),
            {
                "temperature": 0.4,
                "neighbor_mask": np.array([[True, True], [True, False], [False, False]]),
                "non_neighbor_mask": np.array([[True] * 4, [False] * 4, [True] * 4]),
            },
        ),
        ((normal(3, 5), normal(2, 5), normal(4, 5)), {"neighbor_mask": np.array([False, True])}),
    ],
    "triplet": [
        ((normal(4), normal(4), normal(4)), {"margin": 3.0}),
        ((normal(6, 4), normal(6, 4), normal(6, 4)), {}),
        ((normal(2, 3, 4), normal(2, 3, 4), normal(2, 3, 4)), {"margin": 0.5}),
    ],
    "laplacian_regularization": [
        ((normal(4, 3), EDGES), {}),
        ((normal(4, 3), EDGES, normal(4) ** 2), {}),
    ],
    "orthogonality": [((normal(6, 3),), {}), ((normal(2, 6, 3),), {}), ((normal(2, 6),), {})],
    "norm_penalty": [((normal(3),), {"target_norm": 2.0}), ((normal(4, 3), 1.5), {}), ((normal(2, 4, 3), 0.3), {})],
    "cross_entropy": [
        ((normal(4), 2), {}),
        ((normal(5, 4), np.array([0, 3, 1, 1, 2])), {}),
        ((normal(5, 4), np.array([0, 3, 1, 1, 2])), {"label_smoothing": 0.2, "index": np.array([4, 0, 0])}),
        ((normal(5, 4), np.array([0, 3, 1, 1, 2])), {"index": np.array([True, False, True, False, False])}),
    ],
    "reconstruction": [
        ((normal(3, 4), normal(3, 4)), {}),
        ((normal(3, 4), normal(3, 4)), {"index": [2, 0]}),
        ((1.5, 0.5), {}),
    ],
    "adjacency_reconstruction": [
        ((normal(4, 3), EDGES, np.array([0.9, 0.1, 0.8, 0.3])), {"pos_weight": 2.0, "bias": -1.5}),
    ],
}
CASES["laplacian"] = CASES["laplacian_regularization"]  # its alias
FUNCTIONS = {name: getattr(training, name) for name in training.__all__ if callable(getattr(training, name))}
LOSSES = [name for name, f in FUNCTIONS.items() if "reduction" in inspect.signature(f).parameters]
FLAT = [(name, *case) for name, cases in CASES.items() for case in cases]
IDS = [f"{name}-{i}" for name, cases in CASES.items() for i in range(len(cases))]


def is_real(x):
    return np.asarray(x).dtype.kind == "f"


def test_every_exported_loss_has_cases_and_a_rule():
    assert set(LOSSES) == set(CASES)
    assert all(hasattr(getattr(training, name), "vjp_rule") for name in LOSSES)


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize(("name", "arrays", "options"), FLAT, ids=IDS)
def test_gradient_by_finite_differences(name, arrays, options, reduction):
    loss = getattr(training, name)
    rng = np.random.default_rng(1)
    output, pullback = ga.vjp(loss, *arrays, reduction=reduction, **options)
    g = rng.normal(size=np.shape(output))
    gradients = pullback(g)
    assert len(gradients) == len(arrays)
    for i, x in enumerate(arrays):
        if not is_real(x):
            assert gradients[i] is None
            continue
        x = np.asarray(x, float)
        assert gradients[i].shape == x.shape
        for _ in range(3):
            direction = rng.normal(size=x.shape)
            h = 1e-5

            def at(step, i=i, x=x, direction=direction):
                moved = [*arrays[:i], x + step * direction, *arrays[i + 1 :]]
                moved = [float(m) if np.ndim(m) == 0 and is_real(m) else m for m in moved]
                return np.sum(g * loss(*moved, reduction=reduction, **options))

            # Fourth-order differences make the check exact to about 1e-10.
            numeric = (8 * (at(h) - at(-h)) - (at(2 * h) - at(-2 * h))) / (12 * h)
            exact = np.sum(gradients[i] * direction)
            assert numeric == pytest.approx(exact, rel=1e-6, abs=1e-8)


@pytest.mark.parametrize(("name", "arrays", "options"), FLAT, ids=IDS)
def test_reductions_agree(name, arrays, options):
    loss = getattr(training, name)
    each = loss(*arrays, reduction="none", **options)
    assert loss(*arrays, reduction="sum", **options) == pytest.approx(np.sum(each), rel=1e-12)
    assert loss(*arrays, reduction="mean", **options) == pytest.approx(np.mean(each), rel=1e-12)
    with pytest.raises(ga.InvalidConfigError, match="reduction"):
        loss(*arrays, reduction="average", **options)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("name", "arrays", "options"), FLAT, ids=IDS)
def test_dtype_is_kept_and_inputs_are_not_modified(name, arrays, options, dtype):
    cast = [np.asarray(x, dtype) if is_real(x) and np.ndim(x) else x for x in arrays]
    if not any(isinstance(x, np.ndarray) and x.dtype == dtype for x in cast):
        cast = [np.asarray(x, dtype) for x in arrays]
    copies = [np.copy(x) for x in cast]
    loss = getattr(training, name)
    output, pullback = ga.vjp(loss, *cast, **options)
    gradients = pullback(1.0)
    assert output.dtype == dtype
    assert all(g.dtype == dtype for g in gradients if g is not None)
    assert output == pytest.approx(float(loss(*arrays, **options)), rel=1e-3 if dtype == np.float32 else 1e-12)
    assert all(np.array_equal(a, b) for a, b in zip(cast, copies, strict=True))


@pytest.mark.parametrize("bad", [None, "text", [[1.0], [1.0, 2.0]], 1 + 2j, object(), True, np.array([True]), {}, b"x"])
@pytest.mark.parametrize("name", sorted(CASES))
def test_bad_data_is_a_typed_error(name, bad):
    arrays, options = CASES[name][-1]
    loss = getattr(training, name)
    for i in range(len(arrays)):
        if bad is None and name.startswith("laplacian") and i == 2:
            continue  # takes no weights
        with pytest.raises(AttentionError):
            loss(*arrays[:i], bad, *arrays[i + 1 :], **options)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("name", sorted(CASES))
def test_nan_and_inf_are_refused_by_name(name, value):
    arrays, options = CASES[name][-1]
    loss = getattr(training, name)
    names = list(inspect.signature(loss).parameters)
    for i, x in enumerate(arrays):
        if not is_real(x) or np.ndim(x) == 0:
            continue
        spoiled = np.array(x, float)
        spoiled.flat[0] = value
        with pytest.raises(ga.NumericalInstabilityError) as caught:
            loss(*arrays[:i], spoiled, *arrays[i + 1 :], **options)
        assert caught.value.argument == names[i]


@pytest.mark.parametrize("name", sorted(CASES))
def test_a_cotangent_of_the_wrong_shape_is_refused(name):
    arrays, options = CASES[name][-1]
    _, pullback = ga.vjp(getattr(training, name), *arrays, **options)
    with pytest.raises(ga.DimensionMismatchError, match="grad_output"):
        pullback(np.ones(3))
