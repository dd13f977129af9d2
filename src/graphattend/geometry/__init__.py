"""Manifolds: distances, maps, transport, midpoints and means that stay accurate near the boundary."""

from .._vjp import differentiable
from ._base import Manifold, ManifoldBase
from .euclidean import Euclidean
from .poincare import Poincare

__all__ = ["Euclidean", "Manifold", "ManifoldBase", "Poincare", "differentiable"]
