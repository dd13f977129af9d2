"""The package as a whole: what importing it costs and gives."""

import sys

import numpy as np
import pytest

import graphattend


def test_version_is_three_numbers() -> None:
    assert [part.isdigit() for part in graphattend.__version__.split(".")] == [True, True, True]


def test_errors_name_argument_expected_and_actual() -> None:
    with pytest.raises(graphattend.DimensionMismatchError) as caught:
        raise graphattend.DimensionMismatchError("keys", argument="keys", expected="(N, 4)", actual="(3, 5)")
    assert "keys" in str(caught.value)
    assert isinstance(caught.value, graphattend.AttentionError)


def test_vjp_is_public() -> None:
    assert callable(graphattend.vjp)


def test_rng_fixture_repeats(rng: np.random.Generator) -> None:
    assert rng.bit_generator.state["bit_generator"] == "PCG64"


@pytest.mark.native
def test_native_tests_stay_out_of_pyodide() -> None:
    assert sys.platform != "emscripten"
