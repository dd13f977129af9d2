"""The registry of manifolds, and their creation from a config."""

from __future__ import annotations

from ..errors import InvalidConfigError
from ..registry import Registry
from ._manifold import ManifoldBase

#: Manifolds by the ``type`` in their config.
MANIFOLDS: Registry[type[ManifoldBase]] = Registry("manifold")


def from_config(config: object) -> ManifoldBase:
    """Create a manifold from the dictionary that its `to_config` returned.

    Args:
        config: A dictionary such as ``{"type": "poincare", "curvature": -1.0}``.

    Raises:
        InvalidConfigError: Unknown type, or wrong options.

    Example:
        >>> from graphattend.geometry import from_config
        >>> from_config({"type": "poincare", "curvature": -0.5})
        Poincare(curvature=-0.5)
    """
    if not isinstance(config, dict):
        raise InvalidConfigError.of("config", "a dict", type(config).__name__)
    options = {name: value for name, value in config.items() if name != "type"}
    return MANIFOLDS.find(config.get("type"), "type").from_options(options)
