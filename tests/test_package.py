"""The package as a whole: the cost of its import, and its names."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

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
def test_importing_the_package_does_not_import_numpy() -> None:
    code = "import sys, graphattend; sys.exit('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0  # so that the command line can end on a Ctrl-C


def test_every_name_is_there() -> None:
    assert dir(graphattend) == sorted(set(graphattend.__all__))
    assert len(graphattend.__all__) == len(set(graphattend.__all__))
    names: dict[str, object] = {}
    exec("from graphattend import *", names)
    for name in graphattend.__all__:
        assert names[name] is getattr(graphattend, name)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = graphattend.nothing


@pytest.mark.native
def test_native_tests_stay_out_of_pyodide() -> None:
    assert sys.platform != "emscripten"


@pytest.mark.native
def test_every_optional_import_has_an_extra() -> None:
    package = Path(graphattend.__file__).parent
    pattern = r"^[ ]+(?:import|from) (\w+)|(?:import_module|need|require_package)\(\"(\w+)"
    found = {
        next(name for name in match if name)
        for path in package.rglob("*.py")
        for match in re.findall(pattern, re.sub(r'"""[\s\S]*?"""', "", path.read_text()), re.MULTILINE)
    }
    optional = found - set(sys.stdlib_module_names) - {"numpy", "graphattend"}
    extras = tomllib.loads((package.parents[1] / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    provided = {re.match(r"\w+", requirement)[0] for name in extras if name != "all" for requirement in extras[name]}
    assert {"matplotlib", "networkx", "scipy"} <= optional
    assert optional - {"js", "pyodide"} <= provided
    assert {"autograd", "faiss", "matplotlib", "networkx", "scipy", "torch"} <= provided
    every = re.search(r"\[(.*)\]", extras["all"][0])[1]
    assert set(every.split(",")) == set(extras) - {"all"}
