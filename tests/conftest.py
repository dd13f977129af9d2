"""Fixtures for all tests, natively and inside Pyodide."""

import json
import os
import sys
import zlib

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

INSIDE_PYODIDE = sys.platform == "emscripten"

# Build the current kernels before anything imports graphattend.
if not INSIDE_PYODIDE and "PYTEST_XDIST_WORKER" not in os.environ:
    import build_wheel

    build_wheel.build_native_kernels()

import graphattend as ga  # noqa: E402

# Use the same examples in every run, so that failures are reproducible; no deadline, because machines may be busy.
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
    """Return a random generator whose seed depends only on the file and name of the test."""
    return np.random.default_rng(zlib.crc32(request.node.nodeid.encode()))


def cannot_run(item: pytest.Item) -> bool:
    """Return whether a test needs something missing here: an operating system, or kernels."""
    if INSIDE_PYODIDE and item.get_closest_marker("native"):
        return True
    return item.get_closest_marker("with_kernels") is not None and ga.backend_info()["backend"] == "numpy"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out tests that cannot run here."""
    left_out = [item for item in items if cannot_run(item)]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in left_out]


@pytest.fixture
def on_numpy():
    """Use plain NumPy, for tests that count steps of its formulations, which kernels skip."""
    with ga.use_backend("numpy"):
        yield


class Client:
    """Encodes requests and decodes answers as the npm package does; reads arrays by address."""

    def __init__(self):
        from graphattend import _bridge

        self.bridge = _bridge
        self.arrays, self.size = [], 0
        self.last_id = 1000
        self.functions, self.questions = [], 0

    def function(self, f):
        """Register a function that Python may call."""
        self.functions.append(f)
        return {"$c": len(self.functions) - 1}

    def put(self, x, code=None):
        x = np.ascontiguousarray(x)
        start = self.size
        self.arrays.append((start, x))
        self.size = -(-(start + x.nbytes) // self.bridge.ALIGNMENT) * self.bridge.ALIGNMENT
        return {"$a": [code or x.dtype.str[1:], x.size, start, list(x.shape)]}

    def send(self, op, *args, **options):
        """Send a request, answer all questions, and return the answer."""
        body, arrays = self.send_once(op, *args, **options)
        while "ask" in body:
            self.questions += 1
            ask = body["ask"]
            given = self.functions[ask["function"]](*self.filled(ask["args"], arrays))
            if ask["many"]:
                given = [self.put(np.asarray(x, np.float64)) for x in given]
            elif isinstance(given, np.ndarray):
                given = self.put(given)
            body, arrays = self.send_once("answer", ask["of"], [given])
        return body, arrays

    def filled(self, v, arrays):
        """Replace references in JSON by arrays."""
        if isinstance(v, dict):
            if "$a" in v:
                return arrays[v["$a"][0]].copy()
            return {name: self.filled(x, arrays) for name, x in v.items()}
        return [self.filled(x, arrays) for x in v] if isinstance(v, list) else v

    def send_once(self, op, *args, **options):
        arena = self.bridge.reserve(max(self.size, 1))
        for start, x in self.arrays:
            arena[start : start + x.nbytes] = np.frombuffer(x.tobytes(), np.uint8)
        self.arrays, self.size = [], 0
        answer = self.bridge.call(json.dumps({"op": op, "args": args, **options}))
        body, _, places = answer.partition("\n")
        arrays = list(self.bridge._alive)
        assert len(arrays) == len([p for p in places.split(";") if p])
        for place, x in zip(places.split(";"), arrays, strict=False):
            code, address, count = place.split(",")
            assert (int(address), int(count)) == (x.__array_interface__["data"][0], x.size)
            assert np.dtype(self.bridge.DTYPES[code]).itemsize == x.itemsize
        return json.loads(body), arrays

    def ok(self, op, *args, **options):
        body, arrays = self.send(op, *args, **options)
        assert "ok" in body, body

        return self.filled(body["ok"], arrays)

    def error(self, op, *args, **options):
        body, arrays = self.send(op, *args, **options)
        assert not arrays
        assert "error" in body, body
        return body["error"]

    def keep(self, op, *args):
        self.last_id += 1
        described = self.ok(op, *args, keep=self.last_id)
        return {"$h": self.last_id}, described


@pytest.fixture
def client():
    """Provide a client of the JavaScript bridge, and restore the bridge afterwards."""
    found = Client()
    yield found
    found.bridge.free(*list(found.bridge._objects))
    assert not found.bridge._waiting
