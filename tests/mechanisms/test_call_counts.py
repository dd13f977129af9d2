"""How many Python functions of ours a small forward pass calls: what a call over few keys costs. A count, not a time."""

import sys
from pathlib import Path

import numpy as np
import pytest

import graphattend as ga
from graphattend.mechanisms import mechanism_class

pytestmark = pytest.mark.native

SOURCE = str(Path(ga.__file__).parent)
#: Calls of one whole forward pass over 16 keys of the class's own example, at most.
LIMITS = {"manifold": 212}


def own_calls(call):
    """Names of our functions in the order in which `call` enters them."""
    names = []

    def profile(frame, event, _):
        if event == "call" and frame.f_code.co_filename.startswith(SOURCE):
            names.append(frame.f_code.co_qualname)

    before = sys.getprofile()
    sys.setprofile(profile)
    try:
        call()
    finally:
        sys.setprofile(before)
    return names


def test_calls_are_counted():
    softmax = ga.functional.softmax
    assert own_calls(lambda: softmax([0.0]))[0] == "softmax"
    assert own_calls(lambda: np.sort([1.0])) == []


@pytest.mark.parametrize("key", LIMITS)
def test_few_calls(key):
    attn, inputs = mechanism_class(key).example(np.random.default_rng(0), 16)
    attn.forward(**inputs)  # casts the parameters, once
    assert len(own_calls(lambda: attn.forward(**inputs))) <= LIMITS[key]
