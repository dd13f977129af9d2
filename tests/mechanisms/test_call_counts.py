"""How many Python functions of ours a small forward pass calls: what a call over few keys costs. A count, not a time."""

import sys
from pathlib import Path

import numpy as np
import pytest

import graphattend as ga
from graphattend.mechanisms import mechanism_class

pytestmark = pytest.mark.native

SOURCE = str(Path(ga.__file__).parent)
#: Where array operations are: a product, a softmax, a kernel.
OPERATIONS = tuple(str(Path(SOURCE, "simd", name)) for name in ("numpy_ops.py", "kernel_ops.py"))
#: Calls over 16 keys of the class's own example without kernels, at most: of one whole forward pass, and before its
#: first array operation.
WHOLE = {"manifold": 120}
BEFORE = {"scaled_dot_product": 20, "moe": 45, "learned_routing": 30}


def own_calls(call):
    """The files of our functions in the order in which `call` enters them."""
    files = []

    def profile(frame, event, _):
        code = frame.f_code
        # Before Python 3.12, a comprehension was a function, too.
        if event == "call" and code.co_filename.startswith(SOURCE) and not code.co_name.endswith("comp>"):
            files.append(code.co_filename)

    before = sys.getprofile()
    sys.setprofile(profile)
    try:
        call()
    finally:
        sys.setprofile(before)
    return files


def calls_of_example(key):
    attn, inputs = mechanism_class(key).example(np.random.default_rng(0), 16)
    with ga.use_backend("numpy"):
        attn.forward(**inputs)  # casts the parameters, once
        return own_calls(lambda: attn.forward(**inputs))


def test_calls_are_counted():
    softmax = ga.functional.softmax
    assert own_calls(lambda: softmax([0.0]))[0].endswith("softmax.py")
    assert own_calls(lambda: np.sort([1.0])) == []


@pytest.mark.parametrize("key", WHOLE)
def test_few_calls(key):
    assert len(calls_of_example(key)) <= WHOLE[key]


@pytest.mark.parametrize("key", BEFORE)
def test_few_calls_before_the_first_array_operation(key):
    files = calls_of_example(key)
    # A kernel that is called directly is no Python function: then all calls come before it.
    assert next((i for i, file in enumerate(files) if file in OPERATIONS), len(files)) <= BEFORE[key]
