"""Manifolds from their JSON description."""

from __future__ import annotations

from typing import Any

from .._validate import as_choice
from ..errors import InvalidConfigError
from ._checked import CheckedManifold
from .euclidean import Euclidean
from .lorentz import Lorentz
from .poincare import Poincare
from .product import Product
from .sphere import Sphere


def from_config(config: Any) -> CheckedManifold:
    """The manifold that ``to_config`` described.

    Args:
        config: Such as ``{"type": "poincare", "curvature": -1.0}``.

    Raises:
        InvalidConfigError: The description is not one of those.

    Example:
        >>> from graphattend.geometry import from_config
        >>> from_config({"type": "poincare", "curvature": -0.5})
        Poincare(curvature=-0.5)
    """
    if not isinstance(config, dict):
        raise InvalidConfigError(
            f"config: expected a dict, got {type(config).__name__}",
            argument="config",
            expected="a dict",
            actual=type(config).__name__,
        )
    kinds = {"euclidean": [], "poincare": ["curvature"], "lorentz": ["curvature"], "sphere": ["curvature"]}
    kind = as_choice(config.get("type"), "type", [*kinds, "product"])
    allowed = ["factors"] if kind == "product" else kinds[kind]
    for name in config:
        if name != "type":
            as_choice(name, "config", allowed)
    if kind == "product":
        factors = config.get("factors")
        if not isinstance(factors, list | tuple) or any(
            not isinstance(f, list | tuple) or len(f) != 2 for f in factors
        ):
            expected = "a list of pairs [config, coordinates]"
            raise InvalidConfigError(
                f"factors: expected {expected}, got {factors!r:.80}",
                argument="factors",
                expected=expected,
                actual=f"{factors!r:.80}",
            )
        return Product([(from_config(inner), n) for inner, n in factors])
    options = {name: value for name, value in config.items() if name != "type"}
    classes: dict[str, Any] = {"euclidean": Euclidean, "poincare": Poincare, "lorentz": Lorentz, "sphere": Sphere}
    manifold: CheckedManifold = classes[kind](**options)
    return manifold
