"""What every test may use, natively and inside Pyodide."""

import os
import sys
import zlib

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

INSIDE_PYODIDE = sys.platform == "emscripten"

# Before anything imports graphattend: the kernels of the sources as they are now.
if not INSIDE_PYODIDE and "PYTEST_XDIST_WORKER" not in os.environ:
    import build_wheel

    build_wheel.build_native_kernels()

# The same examples in every run: a failure can be repeated, and a busy machine does not make one.
settings.register_profile(
    "graphattend",
    derandomize=True,
    deadline=None,
    database=None,
    max_examples=10 if INSIDE_PYODIDE else 60,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("graphattend")


@pytest.fixture
def rng(request: pytest.FixtureRequest) -> np.random.Generator:
    """Random numbers that depend on the file and name of the test alone."""
    return np.random.default_rng(zlib.crc32(request.node.nodeid.encode()))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out, inside Pyodide, what only an operating system can run."""
    if not INSIDE_PYODIDE:
        return
    native = [item for item in items if item.get_closest_marker("native")]
    if native:
        config.hook.pytest_deselected(items=native)
        items[:] = [item for item in items if not item.get_closest_marker("native")]


@pytest.fixture
def on_numpy():
    """Plain NumPy, for what counts the steps of its formulations: a kernel takes none of them."""
    import graphattend as ga

    with ga.use_backend("numpy"):
        yield
