"""Products of manifolds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from .._validate import ArrayLike, as_int, as_list, as_rng
from ..errors import DimensionMismatchError, EmptyInputError, InvalidConfigError
from ._checked_manifold import CheckedManifold
from ._manifold import Manifold, Rule, as_shape, ask
from ._registry import MANIFOLDS, from_config
from ._stable_math import Array, nonzero


@MANIFOLDS.register("product")
@dataclass(frozen=True)
class Product(CheckedManifold):
    """Product of manifolds. A point is the concatenation of the factors' coordinates; the distance is √Σ dᵢ².

    Args:
        factors: Pairs (manifold, number of stored coordinates); the numbers add up to D.

    Raises:
        InvalidConfigError: A factor is not a pair (manifold, number of coordinates).
        EmptyInputError: There are no factors.

    Source: Gu, Sala, Gunel, Re, "Learning mixed-curvature representations in product spaces" (2019).

    Example:
        >>> import numpy as np
        >>> from graphattend.geometry import Euclidean, Product, Sphere
        >>> space = Product([(Euclidean(), 2), (Sphere(), 2)])
        >>> d = space.dist(np.array([0.0, 0.0, 1.0, 0.0]), np.array([3.0, 4.0, 1.0, 0.0]))
        >>> float(round(d, 6))
        5.0
    """

    factors: Sequence[tuple[Any, int]]
    curvature: ClassVar[float] = 0.0  # type: ignore[misc]

    def __post_init__(self) -> None:
        """Check the factors."""
        try:
            pairs = [
                tuple(pair) for pair in as_list(self.factors, "factors", "pairs (manifold, number of coordinates)")
            ]
        except TypeError:
            pairs = [()]
        if not pairs:
            raise EmptyInputError("factors: expected at least one factor", argument="factors", expected="at least one")
        for pair in pairs:
            if len(pair) != 2 or not isinstance(pair[0], Manifold) or isinstance(pair[0], type):
                expected = "pairs (manifold, number of coordinates)"
                raise InvalidConfigError.of("factors", expected, f"{pair!r:.80}")
        checked = tuple((m, as_int(n, "factors", minimum=getattr(m, "_least_dim", 1))) for m, n in pairs)
        object.__setattr__(self, "factors", checked)

    @classmethod
    def from_options(cls, options: Mapping[str, Any]) -> Product:
        """Create a product from the options of `to_config`; its factors are pairs [config, number of coordinates]."""
        factors = options.get("factors")
        if not isinstance(factors, list | tuple) or any(
            not isinstance(f, list | tuple) or len(f) != 2 for f in factors
        ):
            expected = "a list of pairs [config, coordinates]"
            raise InvalidConfigError.of("factors", expected, f"{factors!r:.80}")
        return cls(**{**options, "factors": [(from_config(inner), n) for inner, n in factors]})

    @property
    def dim(self) -> int:
        """Number of stored coordinates."""
        return sum(n for _, n in self.factors)

    def _check_dim(self, dim: int, argument: str) -> None:
        if dim != self.dim:
            raise DimensionMismatchError.of(argument, self.dim, dim, text=f"{self.dim} coordinates")

    def origin(self, dim: int | None = None) -> Array:
        """Return the origins of the factors, (D,); `dim`, if given, must be D."""
        if dim is not None and as_int(dim, "dim") != self.dim:
            raise DimensionMismatchError.of("dim", self.dim, dim)
        return np.concatenate([m.origin(n) for m, n in self.factors])

    def split(self, x: ArrayLike) -> list[Array]:
        """Return views of the coordinates of each factor, (..., D) -> [(..., D_1), ...]."""
        return self._split(self._points(x=x)[0])

    def _split(self, x: Array) -> list[Array]:
        ends = np.cumsum([n for _, n in self.factors])
        return [x[..., end - n : end] for end, (_, n) in zip(ends, self.factors, strict=True)]

    def _each(self, name: str, *arrays: Array) -> list[Rule]:
        parts = zip(*(self._split(x) for x in arrays), strict=True)
        return [ask(getattr(m, name), *xs) for (m, _), xs in zip(self.factors, parts, strict=True)]

    def _side_by_side(self, rules: list[Rule]) -> Rule:
        """Concatenate the results of the factors; the pullback splits its cotangent in the same way."""

        def pullback(g: Array) -> tuple[Array, ...]:
            gradients = [pull(part) for (_, pull), part in zip(rules, self._split(g), strict=True)]
            return tuple(np.concatenate(group, axis=-1) for group in zip(*gradients, strict=True))

        return np.concatenate([out for out, _ in rules], axis=-1), pullback

    def _root(self, rules: list[Rule]) -> Rule:
        """Compute √Σ dᵢ² from the distances of the factors."""
        parts = np.stack([d for d, _ in rules])
        largest = nonzero(parts.max(axis=0))  # scaling, because squares of tiny distances underflow
        d = largest * np.sqrt(((parts / largest) ** 2).sum(axis=0))

        def pullback(g: Array) -> tuple[Array, ...]:
            shares = g * parts / nonzero(d)
            gradients = [pull(share) for (_, pull), share in zip(rules, shares, strict=True)]
            return tuple(np.concatenate(group, axis=-1) for group in zip(*gradients, strict=True))

        return d, pullback

    def _dist(self, x: Array, y: Array) -> Rule:
        return self._root(self._each("dist", x, y))

    def _pairs(self, x: Array, y: Array) -> Rule:
        return self._root(self._each("pairwise", x, y))

    def _exp(self, x: Array, v: Array) -> Rule:
        return self._side_by_side(self._each("expmap", x, v))

    def _log(self, x: Array, y: Array) -> Rule:
        return self._side_by_side(self._each("logmap", x, y))

    def _exp0(self, v: Array) -> Rule:
        return self._side_by_side(self._each("expmap0", v))

    def _log0(self, y: Array) -> Rule:
        return self._side_by_side(self._each("logmap0", y))

    def _weighed(self, name: str, points: Array, weights: Array, **options: object) -> Rule:
        parts = zip(self.factors, self._split(points), strict=True)
        rules = [ask(getattr(m, name), part, weights, **options) for (m, _), part in parts]

        def pullback(g: Array) -> tuple[Array, ...]:
            gradients = [pull(part) for (_, pull), part in zip(rules, self._split(g), strict=True)]
            points_g, weights_g = zip(*gradients, strict=True)
            return np.concatenate(points_g, axis=-1), np.sum(weights_g, axis=0)

        return np.concatenate([out for out, _ in rules], axis=-1), pullback

    def _middle(self, points: Array, weights: Array) -> Rule:
        return self._weighed("midpoint", points, weights)

    def _frechet(self, points: Array, weights: Array, tolerance: float, max_iterations: int) -> Rule:
        return self._weighed("frechet_mean", points, weights, tolerance=tolerance, max_iterations=max_iterations)

    def _onto(self, x: Array, dtype: np.dtype[Any]) -> Rule:
        return self._per_factor("_onto", "project", x, dtype)

    def _settle(self, x: Array, dtype: np.dtype[Any]) -> Rule:
        return self._per_factor("_settle", None, x, dtype)

    def _per_factor(self, hook: str, method: str | None, x: Array, dtype: np.dtype[Any]) -> Rule:
        rules: list[Rule] = []
        for (m, _), part in zip(self.factors, self._split(x), strict=True):
            if isinstance(m, CheckedManifold):
                rules.append(getattr(m, hook)(part, dtype))
            elif method is not None:
                rules.append(ask(getattr(m, method), part))
            else:
                rules.append((part, lambda g: (g,)))
        return self._side_by_side(rules)

    def _move(self, x: Array, y: Array, v: Array) -> Array:
        return self._side_by_side(self._each("transport", x, y, v))[0]

    def _metric(self, x: Array, u: Array, v: Array) -> Array:
        return np.asarray(sum(out for out, _ in self._each("inner", x, u, v)))

    def _tangent(self, x: Array, v: Array) -> Array:
        return self._side_by_side(self._each("project_tangent", x, v))[0]

    def _raise(self, x: Array, g: Array) -> Array:
        return self._side_by_side(self._each("egrad2rgrad", x, g))[0]

    def random(self, rng: np.random.Generator | int | None, shape: object) -> Array:
        """Random points: the concatenation of random points of the factors (float64).

        Args:
            rng: A `numpy.random.Generator` or a seed.
            shape: Shape of the result; its last entry is D.
        """
        sizes = as_shape(shape)
        self._check_dim(sizes[-1], "shape")
        rng = as_rng(rng)
        return np.concatenate([m.random(rng, (*sizes[:-1], n)) for m, n in self.factors], axis=-1)

    def to_config(self) -> dict[str, Any]:
        """``{"type": "product", "factors": [[factor's config, coordinates], ...]}``."""
        return {"type": "product", "factors": [[m.to_config(), n] for m, n in self.factors]}
