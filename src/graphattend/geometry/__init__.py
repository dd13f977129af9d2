"""Manifolds: distances, exponential and logarithmic maps, parallel transport and means, accurate near the boundary."""

from .._vjp import differentiable as differentiable
from ..registry import export
from ._manifold import Manifold as Manifold
from ._manifold import ManifoldBase as ManifoldBase
from ._registry import MANIFOLDS as MANIFOLDS
from ._registry import from_config as from_config
from .euclidean import Euclidean as Euclidean
from .lorentz import Lorentz as Lorentz
from .poincare import Poincare as Poincare
from .product import Product as Product
from .sphere import Sphere as Sphere

export(globals())
