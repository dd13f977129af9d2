"""Values whose arrays and mappings nobody can change, copies and pickles included."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

import numpy as np


class Frozen:
    """Base of frozen dataclasses: their arrays are made read-only views, their dicts read-only mappings.

    NumPy copies and unpickles every array writeable, and Python does neither with a read-only mapping: so the state
    travels with plain dicts, and is locked again where it arrives.
    """

    def __post_init__(self) -> None:
        self.__setstate__(vars(self))

    def __getstate__(self) -> dict[str, Any]:
        """The attributes, with plain dicts."""
        return {name: dict(a) if isinstance(a, MappingProxyType) else a for name, a in vars(self).items()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """The attributes, locked."""
        vars(self).update({name: _locked(value) for name, value in state.items()})


def _locked(value: object) -> Any:
    if isinstance(value, np.ndarray):
        view = value.view()
        view.setflags(write=False)
        return view
    if isinstance(value, dict):
        return MappingProxyType({name: _locked(a) for name, a in value.items()})
    if isinstance(value, tuple):
        parts = map(_locked, value)
        return type(value)(*parts) if hasattr(value, "_fields") else tuple(parts)
    return value
