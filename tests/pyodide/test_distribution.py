"""The local distribution, used as people use Pyodide. The order matters, because the tests share one runtime."""

from pathlib import Path
from typing import Any

import pytest


def test_unknown_package_is_refused_by_name(selenium_module_scope: Any) -> None:
    with pytest.raises(RuntimeError, match="pandas"):
        selenium_module_scope.load_package(["pandas"])


def test_micropip_installs_the_wheel_from_its_address(
    selenium_module_scope: Any, request: pytest.FixtureRequest
) -> None:
    machine = selenium_module_scope
    (wheel,) = Path(request.config.option.dist_dir).glob("graphattend-*.whl")
    machine.load_package(["micropip"])
    machine.set_script_timeout(120)
    machine.run_js(
        f"""
        const micropip = pyodide.pyimport("micropip");
        await micropip.install("{machine.base_url}/{wheel.name}");
        micropip.destroy();
        """
    )
    assert (
        machine.run("import importlib.metadata; importlib.metadata.version('graphattend')") == wheel.name.split("-")[1]
    )


def test_importing_brings_little_beside_numpy(selenium_module_scope: Any) -> None:
    brought = selenium_module_scope.run(
        """
        import sys
        import numpy
        before = set(sys.modules)
        import graphattend
        sorted({name.partition(".")[0] for name in set(sys.modules) - before})
        """
    )
    # Small modules of the standard library are fine; slow or optional ones must not be imported.
    assert "graphattend" in brought
    assert len(brought) <= 8, brought
    assert not {"scipy", "networkx", "joblib", "autograd", "asyncio", "multiprocessing", "inspect"} & set(brought), (
        brought
    )
