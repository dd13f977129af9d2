"""Manifolds: distances, maps, transport, midpoints and means that stay accurate near the boundary."""

from .._vjp import differentiable
from ._config import MANIFOLDS, from_config
from ._manifold import Manifold, ManifoldBase
from .euclidean import Euclidean
from .lorentz import Lorentz
from .poincare import Poincare
from .product import Product
from .sphere import Sphere

__all__ = [
    "MANIFOLDS",
    "Euclidean",
    "Lorentz",
    "Manifold",
    "ManifoldBase",
    "Poincare",
    "Product",
    "Sphere",
    "differentiable",
    "from_config",
]
