"""Fuzz every kernel: no crash, no write outside the outputs, and a correct result or a refusal.

Each case (fuzz_cases) makes valid arguments, some of which are then spoilt (type, layout, alignment, overlap, emptiness,
count). A kernel may decline (return None) or raise TypeError, ValueError or OverflowError; otherwise its result has to
equal the formula's.

Run as a script it fuzzes one compiled module, which is how the build with sanitizers is tested::

    python tests/simd/test_fuzz.py MODULE SEED ROUNDS [ENTRY...]
"""

from __future__ import annotations

import json
import os
import re
import sys
import zlib
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from fuzz_cases import CASES, draw, spaces

from graphattend.simd import backends, kernel_ops

# --- declarations -------------------------------------------------------------------------------------------------------


def operands_of(module, name):
    """Return the words about each operand of a kernel in its docstring: name, type, least and most axes, use."""
    return [line.split() for line in getattr(module, name).__doc__.splitlines() if line]


def outputs_of(module, name):
    """Return the operands that a kernel writes."""
    return [i for i, words in enumerate(operands_of(module, name)) if words[-1].endswith("WRITE")]


def is_guarded(a):
    whole = guards_of(a)
    return whole.ndim == 1 and whole.size == a.size + 2 * draw.GUARD


# --- spoiling -----------------------------------------------------------------------------------------------------


def misaligned(a):
    raw = np.zeros(a.nbytes + 1, np.uint8)[1:]
    moved = raw.view(a.dtype)[: a.size].reshape(a.shape) if a.size else a
    moved[...] = a
    return moved


def spread(a, axis, step):
    """Return the same values with stride `step` along one axis (negative: backwards)."""
    shape = list(a.shape)
    shape[axis] *= abs(step)
    index = [slice(None)] * a.ndim
    index[axis] = slice(None, None, step)
    wide = np.zeros(shape, a.dtype)[tuple(index)]
    wide[...] = a
    return wide


def read_only(a):
    a = a.copy()
    a.flags.writeable = False
    return a


def layouts(rng, a):
    """Return other layouts of the same values; a kernel that accepts them must give the same result."""
    axis, step = int(rng.integers(a.ndim)), int(rng.choice([-3, -1, 2, 3]))
    return [
        lambda: spread(a, axis, step),
        lambda: np.asfortranarray(a),
        lambda: misaligned(a) if a.dtype.itemsize > 1 and not a.dtype.hasobject else a,
        lambda: np.broadcast_to(a[..., :1, :], a.shape).copy() if a.ndim > 1 else a,
    ]


def spoilt(rng, a):
    """Return spoilt versions of an array: other dtypes, shapes and values."""
    axis = int(rng.integers(a.ndim)) if a.ndim else 0
    return [
        lambda: (
            a
            if a.dtype.hasobject
            else a.astype(rng.choice(["f4", "f8", "f2", "c8", "i4", "i8", "?", "O", ">f4", "u1"]))
        ),
        lambda: a.take(range(a.shape[axis] - 1), axis) if a.ndim else a,
        lambda: np.concatenate([a, a], axis) if a.ndim else a,
        lambda: a[None],
        lambda: a[0] if a.ndim and len(a) else a,
        lambda: a.reshape((1,) * int(rng.integers(1, 8)) + a.shape),
        lambda: a[..., :0] if a.ndim else a,
        lambda: np.broadcast_to(a[:1], a.shape) if a.ndim and len(a) else a,
        lambda: np.lib.stride_tricks.as_strided(a, a.shape, (0,) * a.ndim),
        lambda: read_only(a),
        lambda: a.view(np.recarray),
        lambda: np.ma.masked_array(a),
    ]


OBJECTS = [None, 3, -1, 2.5, "text", b"bytes", [1.0, 2.0], {}, 2**80, float("nan"), True]


def spoil(rng, case, args):
    """Replace a few of the arguments."""
    args = list(args)
    if case.extra:  # the formula's extra arguments depend on the kernel's
        i = int(rng.integers(1, len(args) - case.extra))
        args[i] = OBJECTS[int(rng.integers(len(OBJECTS)))] if rng.random() < 0.5 else args[1][..., ::-1]
        return args
    for _ in range(int(rng.integers(1, 3))):
        i = int(rng.integers(len(args)))
        a = args[i]
        chance = rng.random()
        if isinstance(a, np.ndarray) and chance < 0.85:
            makers = layouts(rng, a) + spoilt(rng, a) if a.ndim else spoilt(rng, a)
            args[i] = makers[int(rng.integers(len(makers)))]()
        elif chance < 0.95:
            args[i] = OBJECTS[int(rng.integers(len(OBJECTS)))]
        else:
            arrays = [b for b in args if isinstance(b, np.ndarray)]
            args[i] = arrays[int(rng.integers(len(arrays)))] if arrays else None  # the same array twice
    if rng.random() < 0.03:
        return args[:-1] if rng.random() < 0.5 else [*args, None]
    return args


def misfit(a, operand, args):
    """Return what does not fit in the place of an argument, or may not: other lengths, strides, indices and numbers."""
    if isinstance(a, bool):
        return [not a]
    if isinstance(a, int):
        return [-1, 0, a + 1]
    if a is None and operand[1] == "MASK":
        return [np.ones((1, 1), bool), np.zeros((1, 1), bool)]
    if a is None:
        given = [b for b in args if isinstance(b, np.ndarray) and int(operand[2]) <= b.ndim <= int(operand[3])]
        return [np.zeros_like(b) if "WRITE" in operand[-1] else b.copy() for b in given]
    if not isinstance(a, np.ndarray):
        return []
    others = [None]
    if a.ndim:  # one more leading axis, and one more last axis
        others += [np.stack([a, a[::-1]]), np.stack([a, a], -1)]
    for axis in range(a.ndim):
        others += [a.take(range(a.shape[axis] - 1), axis), np.concatenate([a, a], axis), spread(a, axis, -2)]
    values = []
    if operand[1] == "INDEX" and a.size:
        values = [(0, -1), (-1, 2**30), (a.size // 2, 2**30)]
    if operand[1] == "LONGS" and a.size:
        values = [(0, 1), (-1, a.max() + 1), (-1, a.max() - 1), (a.size // 2, -1)]
    if operand[1] == "DOUBLE" and operand[-1] in ("READ", "STRIDED"):  # tables of spaces, positions and rates
        values = [(at, value) for at in range(min(a.size, 5)) for value in (-1, 0, 4, 1e30, np.nan)]
    for at, value in values:
        others.append(a.copy())
        others[-1].flat[at] = value
    return others


def misfits(case, operands, outputs, args):
    """Yield the arguments with each one replaced in turn."""
    before = [(args[o], np.copy(args[o])) for o in outputs if args[o] is not None]
    for i, operand in enumerate(operands):
        for other in misfit(args[i], operand, args):
            changed = [*args[:i], other, *args[i + 1 :]]
            if case.extra and i in outputs:
                changed[-1] = np.copy(other)  # what it contains before
            if args[i] is None and operand[0] == "gain":
                for output, _ in before:
                    output[...] = 0  # it is added to them
            yield changed
            for output, values in before:
                output[...] = values


# --- checking -----------------------------------------------------------------------------------------------------


def guards_of(array):
    base = array
    while isinstance(base.base, np.ndarray):
        base = base.base
    return base


def attempt(module, name, case, outputs, args):
    """Make one call; return True if the kernel computed it."""
    inputs = [a for i, a in enumerate(args) if isinstance(a, np.ndarray) and i not in outputs and a.dtype != object]
    before = [a.copy() for a in inputs]
    overlapping = any(
        np.shares_memory(a, args[o])
        for o in outputs
        if o < len(args) and isinstance(args[o], np.ndarray)
        for a in inputs
    )
    try:
        result = getattr(module, name)(*args[: len(args) - case.extra])
    except (TypeError, ValueError, OverflowError):
        return False
    assert result is None or result is True or result is False
    if result is None:
        return False
    assert not overlapping, f"{name}: an output shares memory with an input"
    for a, b in zip(inputs, before, strict=True):
        np.testing.assert_array_equal(a, b, err_msg=f"{name}: an input was changed")
    for o in outputs:
        if isinstance(args[o], np.ndarray):
            whole = guards_of(args[o])
            if is_guarded(args[o]):
                assert (whole[: draw.GUARD] == draw.FILL).all(), f"{name}: wrote outside its output"
                assert (whole[-draw.GUARD :] == draw.FILL).all(), f"{name}: wrote outside its output"
    return True


def compare(name, case, outputs, args):
    if any(isinstance(a, int) and abs(a) > 2**60 for a in args):
        return  # as a factor of scores, it makes rounding errors of equal scores larger than any difference
    expected = case.reference(*args)
    for o, e in zip(outputs, expected, strict=True):
        if args[o] is not None and e is not None:
            assert draw.close(args[o], e), f"{name}: output {o} is wrong for {[getattr(a, 'shape', a) for a in args]}"


def fuzz(module, seed, rounds, dtype, entries=(), failures=None):
    """Return per entry how many valid and spoilt calls the kernel computed, and the number of all calls.

    A failure ends the test, or is added to `failures` if that is a list.
    """
    draw.REAL = np.dtype(dtype)
    # One generator per entry, so that a new entry does not change the others.
    cases = {name: CASES[name] for name in entries or CASES}
    generators = {name: np.random.default_rng([seed, zlib.crc32(name.encode())]) for name in cases}
    worked = {name: [0, 0, 0] for name in cases}

    def call(name, args, spoilt):
        case, outputs = cases[name], outputs_of(module, name)
        worked[name][2] += 1
        if spoilt and case.renew and len(args) > 8:
            case.renew(args)
        try:
            if attempt(module, name, case, outputs, args):
                worked[name][spoilt] += 1
                compare(name, case, outputs, args)
        except AssertionError as error:
            if failures is None:
                raise
            failures.append(f"{dtype}, seed {seed}: {error}")

    for number in range(rounds):
        for name, case in cases.items():
            rng, declared = generators[name], (operands_of(module, name), outputs_of(module, name))
            call(name, case.make(rng), False)
            with np.errstate(all="ignore"):
                for args in islice(misfits(case, *declared, case.make(rng)), number % 4, None, 4):
                    call(name, args, True)
                for _ in range(4):
                    call(name, spoil(rng, case, case.make(rng)), True)
    return worked


def counts(module, seed, rounds, entries=()):
    """Fuzz in both dtypes; return the number of calls, of those that the kernels computed, and the failures."""
    module = backends.load(module).kernels if module in backends.FILES else kernel_ops.load(Path(module))
    failures = []
    worked = [each for kind in ("f4", "f8") for each in fuzz(module, seed, rounds, kind, entries, failures).values()]
    good, odd, calls = (sum(each) for each in zip(*worked, strict=True))
    failures += [] if all(each[0] for each in worked) else ["a kernel computed none of its valid calls"]
    return {"calls": calls, "computed": good + odd, "failures": failures}


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("seed", range(3 if os.environ.get("GRAPHATTEND_ALL") else 1))
def test_every_entry_point(kernels, seed, dtype):
    worked = fuzz(kernels, seed, 8, dtype)
    assert min(good for good, *_ in worked.values()) > 4, worked  # valid calls are not declined
    assert sum(odd for _, odd, _ in worked.values()) > 20, worked  # nor are all spoilt calls


@pytest.mark.parametrize("seed", [392, 635, 1349, 2755])
def test_gradients_by_distance_next_to_the_rim(kernels, seed, monkeypatch):
    monkeypatch.setattr(draw, "REAL", np.dtype(np.float64))
    case, rng = CASES["metric_vjp"], np.random.default_rng(seed)  # its points include some on the rim
    args = case.make(rng)
    assert attempt(kernels, "metric_vjp", case, outputs_of(kernels, "metric_vjp"), args)
    compare("metric_vjp", case, outputs_of(kernels, "metric_vjp"), args)


@pytest.mark.parametrize("c", [0.7, 1.9, 3.3])
def test_float32_keeps_a_curvature_that_it_would_round(kernels, c, monkeypatch):
    monkeypatch.setattr(draw, "REAL", np.dtype(np.float32))
    rng, n = np.random.default_rng(0), 9
    q = (
        np.array([[0.6, -0.48, 0.64, 0.0]]) * ((1 - 2e-5) / c) ** 0.5
    )  # 1 - c|q|^2 is 2e-5: rounding c changes its third digit
    k = 0.3 * rng.standard_normal((n, 4)) / c**0.5
    w, g = rng.random((1, n)), rng.standard_normal((1, n))
    table = np.array([[1, 4, c, 0.5, 1e-6]])
    given = [a.astype(np.float32) for a in (q, k, w, g)]
    args = [*given, table, *(draw.output(*shape) for shape in ((1, 4), (n, 4))), np.zeros((1, 1)), False]
    outputs = outputs_of(kernels, "metric_vjp")
    assert attempt(kernels, "metric_vjp", CASES["metric_vjp"], outputs, args)
    compare("metric_vjp", CASES["metric_vjp"], outputs, args)


@pytest.mark.native
def test_the_gap_is_that_of_the_kernels():
    header = Path(backends.__file__).parent / "kernels" / "ball.h"  # wheels have no sources
    double, single = re.findall(r"#define NEAR_BOUNDARY ([\d.e-]+)", header.read_text("utf-8"))
    assert {"float32": float(single), "float64": float(double)} == spaces.PLAIN


def test_every_entry_point_is_fuzzed(kernels):
    entries = {n for n in dir(kernels) if not n.startswith("_")}
    assert entries - {"setup"} == set(CASES)


if __name__ == "__main__":
    found = counts(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4:])
    print(json.dumps(found))
    sys.exit(bool(found["failures"]))
