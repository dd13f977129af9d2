"""NumPy's WASM-SIMD wheel inside Pyodide compared with the official one. `make numpy-simd` builds the wheel."""

import json
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from distribution import built, with_numpy
from pytest_pyodide.fixture import selenium_common
from pytest_pyodide.server import spawn_web_server

HERE = Path(__file__).resolve().parent


@pytest.fixture(scope="module")
def official(request: pytest.FixtureRequest) -> Path:
    """Return the distribution with Pyodide's own NumPy."""
    return Path(request.config.option.dist_dir)


@pytest.fixture(scope="module")
def wheel(official: Path) -> Path:
    """Return the wheel; conftest.py ignores this file if it was not built."""
    found = built(official)
    assert found is not None
    return found


@pytest.fixture(scope="module")
def machines(
    request: pytest.FixtureRequest,
    runtime: str,
    official: Path,
    wheel: Path,
    tmp_path_factory: pytest.TempPathFactory,
    playwright_browsers: Any,
) -> Iterator[tuple[Any, Any]]:
    """Start two runtimes, with the official NumPy and with the WASM-SIMD build."""
    simd = with_numpy(official, wheel, tmp_path_factory.mktemp("simd") / "distribution")
    started = []
    for distribution in (official, simd):
        option = request.config.option
        config = types.SimpleNamespace(option=option, getoption=lambda name, folder=distribution: folder)
        server = spawn_web_server(distribution)
        given = types.SimpleNamespace(config=config)
        machine = selenium_common(given, runtime, server.__enter__(), browsers=playwright_browsers)
        started.append((machine, machine.__enter__(), server))
        opened = started[-1][1]
        opened.load_package(["graphattend"])
        opened.run_js(
            f"pyodide.FS.writeFile('numpy_results.py', {json.dumps((HERE / 'numpy_results.py').read_text())});"
        )
    yield started[0][1], started[1][1]
    for machine, _, server in started:
        machine.__exit__(None, None, None)
        server.__exit__(None, None, None)


def ask(machine: Any, function: str) -> Any:
    """Call a function of numpy_results.py and return its result."""
    return json.loads(machine.run(f"import json, numpy_results; json.dumps(numpy_results.{function}())"))


def test_size(official: Path, wheel: Path) -> None:
    lock = json.loads((official / "pyodide-lock.json").read_text("utf-8"))
    assert wheel.stat().st_size <= 1.25 * (official / lock["packages"]["numpy"]["file_name"]).stat().st_size


def test_what_every_build_gives_bit_for_bit(machines: tuple[Any, Any]) -> None:
    expected, found = (ask(machine, "exact") for machine in machines)
    assert expected.keys() == found.keys()
    assert [name for name in expected if expected[name] != found[name]] == []


def test_float32_functions_are_accurate_to_2_units_in_the_last_place(machines: tuple[Any, Any]) -> None:
    for name, (values, wanted, spacing) in ask(machines[1], "functions").items():
        for value, exact, unit in zip(values, wanted, spacing, strict=True):
            assert abs(value - exact) <= 2 * unit or value == exact, (name, value, exact)


def test_products_are_as_accurate_as_the_official_ones(machines: tuple[Any, Any]) -> None:
    official, simd = (ask(machine, "products") for machine in machines)
    assert official.keys() == simd.keys()
    assert {name: error for name, error in {**official, **simd}.items() if not error <= 1} == {}


def test_graphattend_on_it(machines: tuple[Any, Any]) -> None:
    official, simd = (ask(machine, "of_graphattend") for machine in machines)
    assert official["numpy_build"] == {"blas": None, "simd": []}
    assert simd["numpy_build"] == {"blas": "graphattend-blas", "simd": ["SIMD128"]}
    assert official["backend"] == simd["backend"]
    assert max(official["difference"], simd["difference"]) < 1e-5
    assert {"matmul:float32", "add:float32", "exp:float32"} <= set(official["replaced"])
    # Only the loops that the build leaves to scalar code.
    assert set(simd["replaced"]) <= {"exp:float64"}
