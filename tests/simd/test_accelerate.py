"""NumPy's ufuncs with our loops against the same calls with NumPy's own loops.

If there is nothing to accelerate (outside Pyodide) both are the same, which the first test checks.
"""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Callable, Iterator
from functools import partial
from importlib.metadata import version
from itertools import product
from typing import Any

import numpy as np
import pytest

from graphattend.simd import Acceleration, accelerate_numpy, accelerated, backend_info
from graphattend.simd import accelerate as module

ACTIVE = sys.platform == "emscripten" and os.environ.get("GRAPHATTEND_BACKEND") != "numpy"
#: Whether this is NumPy's WASM-SIMD build, which keeps nearly all of its own loops.
HAS_SIMD = sys.platform == "emscripten" and "+simd" in version("numpy")
DTYPES = (np.float32, np.float64)
EXACT_BINARY = ("add", "subtract", "multiply", "divide", "maximum", "minimum")
COMPARISONS = ("less", "less_equal", "greater", "greater_equal", "equal", "not_equal")
SIZES = (0, 1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 33, 64, 127, 128, 129, 257, 1001)


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """Ignore floating-point warnings, which have their own tests."""
    with np.errstate(all="ignore"):
        yield


def both(function: Callable[[], Any]) -> tuple[Any, Any]:
    """Return the results of NumPy's own loops and of ours."""
    plain = function()
    with accelerate_numpy() as acceleration:
        assert acceleration.active == ACTIVE
        return plain, function()


def assert_same_bits(plain: Any, ours: Any) -> None:
    """Require equal bits, except of NaN."""
    plain, ours = np.asarray(plain), np.asarray(ours)
    assert (plain.dtype, plain.shape) == (ours.dtype, ours.shape)
    if plain.dtype.kind == "f":
        plain, ours = (np.where(np.isnan(x), x.dtype.type(np.nan), x) for x in (plain, ours))
    assert plain.tobytes() == ours.tobytes()


def assert_near(ulps: float, plain: Any, ours: Any) -> None:
    """Compare two results that each have an error of at most `ulps` units in the last place."""
    plain, ours = np.asarray(plain), np.asarray(ours)
    assert (plain.dtype, plain.shape) == (ours.dtype, ours.shape)
    assert (np.abs(plain - ours) <= 2 * ulps * np.spacing(np.maximum(np.abs(plain), np.abs(ours)))).all()


def specials(dtype: type[np.floating[Any]]) -> np.ndarray:
    """Return values at which implementations tend to fail."""
    info = np.finfo(dtype)
    tiny, small, most, eps = info.smallest_subnormal, info.tiny, info.max, info.eps
    ordinary = [0.0, 1.0, 0.5, 3.0, 1 + eps, 1 - eps / 2]
    positive = [*ordinary, tiny, 3 * tiny, small, small - tiny, most, np.inf]
    return np.array([*positive, *(-x for x in positive), np.nan], dtype=dtype)


def pairs(dtype: type[np.floating[Any]]) -> tuple[np.ndarray, np.ndarray]:
    """Return all pairs of special values."""
    a, b = np.array(list(product(specials(dtype), repeat=2)), dtype=dtype).T
    return a.copy(), b.copy()


def numbers(rng: np.random.Generator, shape: Any, dtype: type[np.floating[Any]]) -> np.ndarray:
    """Draw random numbers with a few special values, some equal in two draws."""
    x = rng.integers(-40, 40, shape).astype(dtype) / dtype(8)
    return np.where(rng.random(shape) < 0.02, rng.choice(specials(dtype), shape), x)


def layouts(x: np.ndarray) -> Iterator[np.ndarray]:
    """Return the same numbers with other addresses and strides."""
    yield x
    wide = np.zeros((*x.shape, 3), dtype=x.dtype)
    wide[..., 1] = x
    yield wide[..., 1]
    yield x[..., ::-1].copy()[..., ::-1]
    yield np.asfortranarray(x)
    raw = np.zeros(x.nbytes + 1, dtype=np.uint8)
    unaligned = raw[1:].view(x.dtype).reshape(x.shape)
    unaligned[...] = x
    yield unaligned


def test_it_says_what_it_did_or_why_not() -> None:
    acceleration = accelerate_numpy()
    try:
        assert acceleration.active == ACTIVE
        assert accelerated()["active"] == ACTIVE
        assert backend_info()["numpy_loops"] == accelerated()
        if ACTIVE:
            assert acceleration.reason is None
            assert acceleration.backend in {"wasm-relaxed-simd", "wasm-simd128"}
            ours = {("exp", "float64")} if HAS_SIMD else {("matmul", "float32"), ("exp", "float32"), ("add", "float64")}
            assert ours <= set(acceleration.replaced)
            assert "exp:float64" in accelerated()["loops"]
            assert len(acceleration.replaced) == 1 or not HAS_SIMD
        else:
            assert acceleration.reason
            assert (sys.platform if sys.platform != "emscripten" else "GRAPHATTEND_BACKEND") in acceleration.reason
            assert (acceleration.backend, acceleration.replaced) == ("numpy", ())
            assert acceleration.reason in repr(acceleration)
    finally:
        acceleration.undo()
    assert not accelerated()["active"]


@pytest.mark.parametrize(("ours", "gains"), [(1e-5, True), (4.9e-5, False)])
def test_an_interrupted_call_does_not_hide_what_is_faster(
    monkeypatch: pytest.MonkeyPatch, ours: float, gains: bool
) -> None:
    passed, interruptions = [0.0], iter([5e-3])  # the first call takes 5 ms longer
    monkeypatch.setattr(module, "perf_counter", lambda: math.floor(passed[0] * 1e3) / 1e3)  # as in Firefox

    class Loops(module._Loops):
        cost = 5e-5

        def __init__(self) -> None: ...

        def _replace(self, indices: list[int]) -> tuple[tuple[str, str], ...]:
            self.cost = ours
            return ()

        def _restore(self, indices: list[int]) -> None:
            self.cost = Loops.cost

    loops = Loops()

    def probe() -> None:
        passed[0] += loops.cost + next(interruptions, 0.0)

    assert loops._gains(probe, []) == gains
    assert loops.cost == Loops.cost


def test_calls_may_be_nested_and_undone_in_any_order() -> None:
    x = np.linspace(-20, 20, 2001)
    before = np.exp(x)
    first = accelerate_numpy()
    with accelerate_numpy() as second:
        inside = np.exp(x)
        assert first.replaced == second.replaced
    assert accelerated()["active"] == ACTIVE
    assert np.exp(x).tobytes() == inside.tobytes()
    third = accelerate_numpy()
    first.undo()
    first.undo()
    assert (first.active, third.active) == (False, ACTIVE)
    assert np.exp(x).tobytes() == inside.tobytes()
    third.undo()
    assert not accelerated()["active"]
    assert np.exp(x).tobytes() == before.tobytes()
    if ACTIVE:  # otherwise this test cannot see a difference
        assert inside.tobytes() != before.tobytes()


def test_an_exception_in_the_block_undoes_it() -> None:
    with pytest.raises(KeyError), accelerate_numpy() as acceleration:
        raise KeyError
    assert not acceleration.active
    assert not accelerated()["active"]


def test_a_numpy_as_fast_as_our_loops_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_WORTHWHILE", float("inf"))
    monkeypatch.setattr(module, "_loaded", None)
    acceleration = accelerate_numpy()
    assert isinstance(acceleration, Acceleration)
    assert (acceleration.active, acceleration.replaced) == (False, ())
    assert acceleration.reason
    if ACTIVE:
        assert acceleration.reason == "this NumPy is as fast as our loops"


def test_a_numpy_with_a_blas_keeps_its_matmul(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "numpy_build", lambda: {"blas": "some-blas", "simd": []})
    monkeypatch.setattr(module, "_loaded", None)
    with accelerate_numpy() as acceleration:
        names = {name for name, _ in acceleration.replaced}
        assert "matmul" not in names
        assert acceleration.active == ("exp" in names)
        if not HAS_SIMD:  # otherwise NumPy's loops are about as fast as ours
            assert acceleration.active == ACTIVE


def test_a_numpy_with_simd_keeps_all_but_what_it_computes_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "numpy_build", lambda: {"blas": "some-blas", "simd": ["SIMD128"]})
    monkeypatch.setattr(module, "_loaded", None)
    with accelerate_numpy() as acceleration:
        assert acceleration.replaced == ((("exp", "float64"),) if ACTIVE else ())
        assert acceleration.active == ACTIVE


def test_the_build_of_numpy_is_reported() -> None:
    build = backend_info()["numpy_build"]
    assert set(build) == {"blas", "simd"}
    assert build["blas"] is None or isinstance(build["blas"], str)
    assert ("SIMD128" in build["simd"]) == HAS_SIMD
    if sys.platform == "emscripten":
        assert (build["blas"] is not None) == HAS_SIMD


def test_a_build_that_does_not_load_is_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_FILES", {"wasm-simd128": "absent.wasm"})
    monkeypatch.setattr(module, "_loaded", None)
    monkeypatch.setattr(sys, "platform", "emscripten")
    monkeypatch.delenv("GRAPHATTEND_BACKEND", raising=False)
    acceleration = accelerate_numpy()
    assert not acceleration.active
    assert "absent.wasm" in str(acceleration.reason)


def test_the_extension_refuses_what_is_no_ufunc() -> None:
    with accelerate_numpy():
        loops = module._loaded
        if not isinstance(loops, module._Loops):
            assert not ACTIVE
            return
        extension, capsule = loops.module, loops.capsule
        for wrong, error in (
            ((), TypeError),
            ((capsule, np.add), TypeError),
            ((capsule, len, 0), TypeError),
            ((None, np.add, 0), ValueError),
            ((capsule, np.add, "0"), TypeError),
            ((capsule, np.add, -1), ValueError),
            ((capsule, np.add, len(loops.names)), ValueError),
        ):
            for function in (extension.replace, extension.restore):
                with pytest.raises(error):
                    function(*wrong)
        # a ufunc without such a loop
        assert extension.replace(capsule, np.bitwise_and, loops.names.index(("add", "float32"))) is False
        with pytest.raises(TypeError):
            extension.loops(1)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", [*EXACT_BINARY, *COMPARISONS])
class TestExactBinary:
    """Operations whose result IEEE 754 or NumPy's choice of operand determines give the same bits."""

    def test_special_values(self, name: str, dtype: type[np.floating[Any]]) -> None:
        function, (a, b) = getattr(np, name), pairs(dtype)
        assert_same_bits(*both(lambda: function(a, b)))
        for scalar in specials(dtype):
            assert_same_bits(*both(lambda scalar=scalar: function(a, scalar)))
            assert_same_bits(*both(lambda scalar=scalar: function(scalar, a)))

    def test_sizes(self, name: str, dtype: type[np.floating[Any]], rng: np.random.Generator) -> None:
        function = getattr(np, name)
        for n in SIZES:
            a, b = numbers(rng, (2, n), dtype)
            assert_same_bits(*both(lambda a=a, b=b: function(a, b)))
            assert_same_bits(*both(lambda a=a: function(a, a)))

    def test_layouts(self, name: str, dtype: type[np.floating[Any]], rng: np.random.Generator) -> None:
        function = getattr(np, name)
        a, b = numbers(rng, (2, 5, 19), dtype)
        for x, y in product(layouts(a), layouts(b)):
            assert_same_bits(*both(lambda x=x, y=y: function(x, y)))
        for x, y in ((a[:, :1], b), (a, b[:1]), (a[0], b), (a[:, :1], b[0]), (a[:0], b[:0]), (a[::-2], b[::-2])):
            assert_same_bits(*both(lambda x=x, y=y: function(x, y)))

    def test_outputs(self, name: str, dtype: type[np.floating[Any]], rng: np.random.Generator) -> None:
        function = getattr(np, name)
        data, kind = numbers(rng, (2, 70), dtype), bool if name in COMPARISONS else dtype

        def strided_output() -> np.ndarray:
            wide = np.zeros((70, 2), dtype=kind)
            function(data[0], data[1], out=wide[:, 1])
            return wide

        def masked() -> np.ndarray:
            return function(data[0], data[1], out=np.zeros(70, dtype=kind), where=data[0] > 0)

        assert_same_bits(*both(strided_output))
        assert_same_bits(*both(masked))
        if name in COMPARISONS:
            return
        for source_0, source_1, target in (
            (slice(0, 70), slice(0, 70), slice(0, 70)),  # in place
            (slice(0, 60), slice(5, 65), slice(0, 60)),
            (slice(0, 60), slice(0, 60), slice(1, 61)),  # overlap, shifted forwards and backwards
            (slice(1, 61), slice(0, 60), slice(0, 60)),
            (slice(0, 60), slice(0, 60), slice(59, None, -1)),
            (slice(7, 8), slice(0, 60), slice(0, 60)),  # a scalar inside the output
        ):

            def overlapping(s0: slice = source_0, s1: slice = source_1, t: slice = target) -> np.ndarray:
                line = data[0].copy()
                function(line[s0], line[s1], out=line[t])
                return line

            assert_same_bits(*both(overlapping))

    def test_other_ways_to_call(self, name: str, dtype: type[np.floating[Any]], rng: np.random.Generator) -> None:
        function = getattr(np, name)
        a = numbers(rng, 57, dtype)
        assert_same_bits(*both(lambda: function.outer(a[:9], a)))
        assert_same_bits(*both(lambda: function(a.astype(">f4"), a)))
        assert_same_bits(*both(lambda: function(a, np.arange(57))))
        assert_same_bits(*both(lambda: function(a[3], a[4])))
        if name not in COMPARISONS:
            assert_same_bits(*both(lambda: function.accumulate(a)))
            assert_same_bits(*both(lambda: function.reduceat(a, [0, 9, 8, 30])))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", EXACT_BINARY)
class TestReductions:
    """Reductions use the binary loop with an accumulator; sums keep NumPy's order of addition."""

    def test_sizes(self, name: str, dtype: type[np.floating[Any]], rng: np.random.Generator) -> None:
        function = getattr(np, name)
        for n in (*SIZES[1:], 4099):
            x = rng.standard_normal(n).astype(dtype)
            for y in (x, np.repeat(x, 2)[::2], x[::-1]):
                assert_same_bits(*both(lambda y=y: function.reduce(y)))

    def test_axes(self, name: str, dtype: type[np.floating[Any]], rng: np.random.Generator) -> None:
        function, x = getattr(np, name), rng.standard_normal((6, 37, 21)).astype(dtype)
        for y in layouts(x):
            for axis in (0, 1, 2, -1):
                assert_same_bits(*both(lambda y=y, axis=axis: function.reduce(y, axis=axis)))
            if name not in {"subtract", "divide"}:
                assert_same_bits(*both(lambda y=y: function.reduce(y, axis=None)))
                assert_same_bits(*both(lambda y=y: function.reduce(y, axis=(0, 2), initial=1.5)))

    def test_special_values(self, name: str, dtype: type[np.floating[Any]], rng: np.random.Generator) -> None:
        function = getattr(np, name)
        values = specials(dtype)
        for _ in range(60):
            x = rng.choice(values[rng.integers(0, values.size, 3)], 45)
            assert_same_bits(*both(lambda x=x: function.reduce(x)))
        for zeros in (np.zeros(33, dtype), -np.zeros(33, dtype), rng.choice(np.array([0.0, -0.0], dtype), 40)):
            assert_same_bits(*both(lambda zeros=zeros: function.reduce(zeros)))
        for place in (0, 3, 8, 31, 39, 40):
            x = np.ones(41, dtype)
            x[place] = np.nan
            assert_same_bits(*both(lambda x=x: function.reduce(x)))


@pytest.mark.parametrize("dtype", DTYPES)
def test_sqrt_is_exact(dtype: type[np.floating[Any]], rng: np.random.Generator) -> None:
    x = np.concatenate([specials(dtype), np.abs(numbers(rng, 201, dtype)), rng.standard_normal(50).astype(dtype)])
    for y in layouts(x):
        assert_same_bits(*both(lambda y=y: np.sqrt(y)))


ULPS = {"exp": 1.0, "log": 1.0, "tanh": 1.5, "sin": 1.6, "cos": 1.6}
if not ACTIVE:  # the loops are NumPy's own, which guarantee less
    ULPS = dict.fromkeys(ULPS, 4.0)


@pytest.mark.parametrize(
    ("name", "low", "high"),
    [
        ("exp", -104, 90),
        ("log", 0, 3e38),
        ("log", 0.5, 2),
        ("tanh", -12, 12),
        ("tanh", -1, 1),
        *((name, -high, high) for name in ("sin", "cos") for high in (4, 100, 9e7)),
    ],
)
def test_float32_functions_are_accurate(name: str, low: float, high: float, rng: np.random.Generator) -> None:
    x = rng.uniform(low, high, 6000) * 2.0 ** np.minimum(0, rng.integers(-30, 30, 6000))
    x = x.astype(np.float32)
    exact = getattr(np, name)(x.astype(np.float64))
    with accelerate_numpy():
        ours = getattr(np, name)(x).astype(np.float64)
    finite = np.isfinite(exact.astype(np.float32))
    unit = np.spacing(np.abs(exact[finite]).astype(np.float32)).astype(np.float64)
    assert finite.mean() > 0.9
    assert (np.abs(ours[finite] - exact[finite]) / unit).max() <= ULPS[name]


def test_float64_exp_is_accurate(rng: np.random.Generator) -> None:
    mpmath = pytest.importorskip("mpmath")
    x = np.concatenate([rng.uniform(-745, 709.7, 400), rng.uniform(-1, 1, 400)])
    with accelerate_numpy():
        ours = np.exp(x)
    for argument, value in zip(x.tolist(), ours.tolist(), strict=True):
        assert abs(mpmath.mpf(value) - mpmath.exp(argument)) <= ULPS["exp"] * mpmath.mpf(float(np.spacing(value)))


@pytest.mark.parametrize(("name", "dtype"), [("exp", np.float64), *((n, np.float32) for n in ULPS)])
class TestTranscendental:
    """exp, log, tanh, sin and cos at known results, and independence of the layout.

    Our loops give the same bits for every layout. NumPy's own loops differ within their accuracy (with AVX-512 its
    float64 exp takes another path for negative strides).
    """

    def test_special_values(self, name: str, dtype: type[np.floating[Any]]) -> None:
        function = getattr(np, name)
        x = np.concatenate([specials(dtype), dtype([88.8, -104, 709.9, -746, 1e30, -1e30, 3e38])])
        plain, ours = both(lambda: function(x))
        np.testing.assert_allclose(ours, plain, rtol=3 * np.finfo(dtype).eps, atol=0)  # equal inf and NaN
        zero = plain == 0
        assert_same_bits(plain[zero], ours[zero])
        with accelerate_numpy():
            if name == "exp":
                assert_same_bits(np.exp(dtype([0, -np.inf, np.inf])), dtype([1, 0, np.inf]))
            if name == "log":
                assert_same_bits(np.log(dtype([1, 0, -0.0, -1, np.inf])), dtype([0, -np.inf, -np.inf, np.nan, np.inf]))
            if name in {"sin", "tanh"}:
                assert_same_bits(function(dtype([0.0, -0.0])), dtype([0.0, -0.0]))

    def test_large_angles_go_to_numpy(self, name: str, dtype: type[np.floating[Any]], rng: np.random.Generator) -> None:
        if name not in {"sin", "cos"}:
            name = "sin"
        x = (rng.standard_normal(77) * 1e20).astype(np.float32)
        plain, ours = both(lambda: getattr(np, name)(x))
        assert_same_bits(plain, ours)
        mixed = np.where(np.arange(77) % 3, x, np.float32(0.25))
        expected = np.where(np.arange(77) % 3, plain, getattr(np, name)(np.float32(0.25)))
        np.testing.assert_allclose(both(lambda: getattr(np, name)(mixed))[1], expected, rtol=2e-7)

    def test_layouts_sizes_and_overlap(
        self, name: str, dtype: type[np.floating[Any]], rng: np.random.Generator
    ) -> None:
        function, assert_same = getattr(np, name), assert_same_bits if ACTIVE else partial(assert_near, ULPS[name])
        with accelerate_numpy():
            for n in SIZES:
                x = np.abs(rng.standard_normal(n)).astype(dtype) * 3
                one_by_one = np.array([function(x[i : i + 1])[0] for i in range(n)], dtype)
                for y in layouts(x):
                    assert_same(one_by_one, function(y))
                in_place = x.copy()
                assert_same(one_by_one, function(in_place, out=in_place))
            x = np.abs(rng.standard_normal(64)).astype(dtype)
            expected = function(x)
            for source, target in ((slice(0, 63), slice(1, 64)), (slice(1, 64), slice(0, 63))):
                line = x.copy()
                assert_same(expected[source], function(line[source], out=line[target]).copy())
            line = x.copy()
            assert_same(expected, function(line, out=line[::-1]).copy())


def outcome(function: Callable[[], Any]) -> str:
    """Return the type of the exception, or an empty string."""
    try:
        function()
    except FloatingPointError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("dtype", DTYPES)
def test_floating_point_errors_are_those_of_numpy(dtype: type[np.floating[Any]]) -> None:
    big, zero, minus = (np.full(20, v, dtype) for v in (np.finfo(dtype).max, 0, -1))
    with np.errstate(all="raise"):
        for function in (
            lambda: big / zero,
            lambda: zero / zero,
            lambda: big + big,
            lambda: big * big,
            lambda: (minus / big) / big,
            lambda: np.sqrt(minus),
            lambda: np.maximum(zero * np.nan, minus),
            lambda: np.less(zero, zero - np.nan),
            lambda: np.add.reduce(big),
        ):
            plain, ours = both(lambda function=function: outcome(function))
            assert plain == ours
