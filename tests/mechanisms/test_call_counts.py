"""The number of our Python functions that a small forward pass calls, the cost of a call over few keys, untimed."""

import sys
from pathlib import Path

import numpy as np
import pytest

import graphattend as ga
from graphattend.mechanisms import mechanism_class

pytestmark = pytest.mark.native

SOURCE = str(Path(ga.__file__).parent)
#: Files of array operations: a product, a softmax, a kernel.
OPERATIONS = tuple(
    str(Path(SOURCE, "simd", name)) for name in ("numpy_ops.py", "products.py", "kernel_ops.py", "graph_ops.py")
)
#: Maximum number of calls for 16 keys of the class's own example without kernels: before the first array operation (for
#: geometry, whose formulas use NumPy directly, before the first product or softmax), and in the whole forward pass.
LIMITS = {
    "scaled_dot_product": (17, 28),
    "multi_head": (17, 32),
    "edge_featured": (19, 57),
    "hyperbolic": (38, 57),
    "mixed_curvature": (83, 180),
    "manifold": (51, 119),
    "local_global": (23, 37),
    "linear": (14, 35),
    "flash": (16, 24),
    "graph_rope": (19, 38),
    "hnsw_aware": (25, 36),
    "cross_space": (29, 66),
    "structural": (21, 38),
    "moe": (25, 127),
    "learned_routing": (13, 109),
    "rl_navigator": (13, 29),
    "dynamic_heads": (15, 43),
}


def own_calls(call):
    """Return the files of our functions in the order in which `call` enters them."""
    files = []

    def profile(frame, event, _):
        code = frame.f_code
        # Before Python 3.12, comprehensions were functions.
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
        attn.forward(**inputs)  # casts the parameters once
        return own_calls(lambda: attn.forward(**inputs))


def test_calls_are_counted():
    files = [Path(file).name for file in own_calls(lambda: ga.functional.softmax([0.0]))]
    assert {"_vjp.py", "softmax.py"} <= set(files)
    assert own_calls(lambda: np.sort([1.0])) == []


def test_every_mechanism_has_a_limit():
    assert list(LIMITS) == ga.list_mechanisms()


@pytest.mark.parametrize("key", LIMITS)
def test_few_calls(key):
    files = calls_of_example(key)
    before, whole = LIMITS[key]
    assert len(files) <= whole
    # A directly called kernel is not a Python function; all calls then come before it.
    assert next((i for i, file in enumerate(files) if file in OPERATIONS), len(files)) <= before
