"""Dataclasses whose arrays and mappings are read-only, also after copying and pickling."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

import numpy as np


class Frozen:
    """Base of frozen dataclasses: arrays become read-only views, dicts become read-only mappings.

    NumPy makes copied and unpickled arrays writeable, and Python cannot copy or pickle a read-only mapping. The state
    is therefore stored with plain dicts and locked again when it is restored.
    """

    def __post_init__(self) -> None:
        self.__setstate__(vars(self))

    def __getstate__(self) -> dict[str, Any]:
        """Return the attributes with plain dicts."""
        return {name: dict(a) if isinstance(a, MappingProxyType) else a for name, a in vars(self).items()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Set the attributes, made read-only."""
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
