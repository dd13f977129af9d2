"""Hierarchy, attributes and codes of the errors, which survive a copy."""

import copy

import pytest

import graphattend as ga

BASES = {
    "DimensionMismatchError": ValueError,
    "EmptyInputError": ValueError,
    "NumericalInstabilityError": ArithmeticError,
    "InvalidConfigError": ValueError,
    "OutOfBoundsError": IndexError,
    "UnsupportedError": NotImplementedError,
    "LoadError": OSError,
    "InternalError": RuntimeError,
    "CancelledError": RuntimeError,
    "WorkerLostError": RuntimeError,
}


def make(name):
    cls = getattr(ga, name)
    if name == "OutOfBoundsError":
        return cls("head: expected 0 <= head < 4, got 9", index=9, length=4, argument="head")
    return cls("x: expected 3, got 4", argument="x", expected=3, actual=4)


@pytest.mark.parametrize(("name", "base"), BASES.items())
def test_hierarchy(name, base):
    error = make(name)
    assert getattr(ga.errors, name) is getattr(ga, name)
    assert isinstance(error, ga.AttentionError)
    assert isinstance(error, base)
    assert isinstance(error, Exception)
    assert error.argument in str(error)
    assert "\n" not in str(error)


def test_codes_are_distinct():
    codes = [make(name).code for name in BASES]
    assert len(set(codes)) == len(codes)
    assert all(isinstance(code, str) and code for code in codes)
    assert issubclass(ga.AttentionError, Exception)
    assert isinstance(ga.AttentionError.code, str)


def test_attributes():
    error = make("DimensionMismatchError")
    assert (error.expected, error.actual, error.argument) == (3, 4, "x")
    bounds = make("OutOfBoundsError")
    assert (bounds.index, bounds.length) == (9, 4)
    with pytest.raises(ga.DimensionMismatchError) as info:
        ga.create("flash", 4).forward([1.0, 2.0], [[1.0] * 4], [[1.0]])
    assert (info.value.argument, info.value.expected, info.value.actual) == ("query", 4, 2)


@pytest.mark.parametrize("name", BASES)
def test_copies(name):
    error = make(name)
    again = copy.copy(error)
    assert type(again) is type(error)
    assert str(again) == str(error)
    assert again.argument == error.argument
