"""For the documentation: a package's `__all__` at run time, if the source does not list it."""

import importlib
from typing import Any

import griffe


class Exports(griffe.Extension):
    """Sets every package's exports to the `__all__` that it has once imported."""

    def on_package(self, *, pkg: griffe.Module, **_: Any) -> None:
        """Go through a package and those in it."""
        for module in (pkg, *pkg.modules.values()):
            if module.is_init_module and not module.path.rpartition(".")[2].startswith("_"):
                module.exports = list(getattr(importlib.import_module(module.path), "__all__", [])) or module.exports
