"""Attention on any manifold."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import numpy as np

from ..errors import InvalidConfigError, UnsupportedError
from ..geometry import Euclidean, Lorentz, Manifold, Poincare, Product, Sphere
from ..geometry import from_config as manifold_from_config
from ..geometry._unchecked import distances, means, project
from ..geometry.poincare import project_eps
from ..simd.metric_ops import Metric, metric
from ._base import Attention
from ._by_distance import ByDistance
from ._gradients import Grads, Params
from ._options import option


@dataclasses.dataclass(frozen=True, eq=False)
class ManifoldAttention(ByDistance):
    """Attention by geodesic distance: weights softmax(-d(q, k) / temperature), values averaged on the manifold.

    The manifold is one of `graphattend.geometry` or any object with the methods of `graphattend.geometry.Manifold`.
    Gradients require that its ``dist``, ``project`` and mean have vector-Jacobian products (see `graphattend.vjp`).
    Queries, keys and values are projected to the manifold first.

    Args:
        dim: Number D of stored coordinates of a point.
        manifold: The manifold, or its ``to_config()``.
        temperature: Divides the distances.
        aggregation: "frechet" (the point with the smallest mean squared distance) or "midpoint" (closed form).
        dropout: Probability of dropping a weight in training.
        seed: Unused; there are no parameters.
        check_finite: Whether NaN and infinity in the inputs raise an error.

    Source:
        Gulcehre et al. 2019, "Hyperbolic Attention Networks", section 3; Karcher 1977 (the mean).

    Example:
        >>> import numpy as np, graphattend as ga
        >>> attn = ga.ManifoldAttention(3, manifold=ga.geometry.Sphere())
        >>> poles = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
        >>> attn.forward(np.array([0.0, 0.0, 1.0]), poles, poles).round(3)
        array([0.707, 0.707, 0.   ])
    """

    manifold: Any = option(
        "any",
        Euclidean(),
        'the manifold, as {"type": "poincare", "curvature": -1} for example',
        schema={"type": "object", "properties": {"type": {"type": "string"}, "curvature": {"type": "number"}}},
    )
    temperature: float = option("float", 1.0, "divides the distances; small values sharpen the weights", above=0.0)
    aggregation: str = option("str", "frechet", "how values are averaged", choices=("frechet", "midpoint"))
    dropout: float = option("float", 0.0, "probability of dropping a weight in training", minimum=0.0, maximum=1.0)

    key: ClassVar[str] = "manifold"
    family: ClassVar[str] = "geometric"
    complexity: ClassVar[str] = "O(M·N·D)"
    laws: ClassVar[frozenset[str]] = frozenset({"permutation", "stays_on_manifold"})

    def _check_options(self) -> None:
        object.__setattr__(self, "manifold", as_manifold(self.manifold, "manifold"))

    @classmethod
    def example(cls, rng: np.random.Generator, n: int, dim: int = 8) -> tuple[Attention, dict[str, Any]]:
        """Return an example with points on one side of a sphere, where the mean is unique."""
        sphere = Sphere()
        x = rng.standard_normal((2 * n + 1, dim)) * 0.4
        x[:, 0] = 1.0
        x = sphere.project(x)
        return cls(dim, manifold=sphere), {"query": x[0], "keys": x[1 : n + 1], "values": x[n + 1 :]}

    def _encode_option(self, name: str, value: Any) -> Any:
        if name != "manifold":
            return value
        if not hasattr(value, "to_config"):
            raise UnsupportedError(f"manifold: {type(value).__name__} has no to_config", argument="manifold")
        return value.to_config()

    @property
    def output_manifold(self) -> Any:
        """The manifold that the output lies on."""
        return self.manifold

    @property
    def _mean(self) -> str:
        return self.aggregation

    def _make_metric(self, p: Params, dtype: np.dtype[Any]) -> Metric | None:
        spaces = _factors(self.manifold, self.dim)
        return None if spaces is None else metric(spaces, 1 / self.temperature, project_eps(dtype), root=True)

    def _project(
        self, q: np.ndarray, k: np.ndarray, v: np.ndarray | None, p: Params
    ) -> tuple[tuple[Any, Any, Any], Callable[..., Any]]:
        (q, pull_q), (k, pull_k) = project(self.manifold, q), project(self.manifold, k)
        v, pull_v = (None, None) if v is None else project(self.manifold, v)

        def pull(gq: np.ndarray, gk: np.ndarray, gv: np.ndarray) -> tuple[Any, ...]:
            assert pull_v is not None
            return *pull_q(gq), *pull_k(gk), *pull_v(gv), {}

        return (q, k, v), pull

    def _scores(self, q: np.ndarray, k: np.ndarray, meta: Params, p: Params) -> tuple[np.ndarray, Callable[..., Any]]:
        d, pull_d = distances(self.manifold, q, k)
        factor = d.dtype.type(-1 / self.temperature)

        def pull(gs: np.ndarray) -> tuple[np.ndarray, np.ndarray, Grads, Grads]:
            gq, gk = pull_d(gs * factor)
            return gq, gk, {}, {}

        return d * factor, pull

    def _aggregate(self, w: np.ndarray, v: np.ndarray, p: Params) -> tuple[np.ndarray, Callable[..., Any]]:
        out, pull_m = means(self.manifold, self.aggregation, v, w)

        def pull(g: np.ndarray) -> tuple[np.ndarray, np.ndarray, Grads]:
            gv, gw = pull_m(g)
            return gw, gv, {}

        return out, pull


_NAMES: dict[type, str] = {Euclidean: "euclidean", Poincare: "poincare", Lorentz: "lorentz", Sphere: "sphere"}


def _factors(manifold: Any, dim: int) -> list[tuple[str, int, float]] | None:
    """Return the name, stored coordinates and curvature of every factor, or None for a custom manifold."""
    if type(manifold) is not Product:
        name = _NAMES.get(type(manifold))
        return None if name is None else [(name, dim, manifold.curvature)]
    parts = [_factors(m, n) for m, n in manifold.factors]
    return None if None in parts else [factor for part in parts if part for factor in part]


def as_manifold(value: object, argument: str) -> Any:
    """Return a manifold from itself or from its JSON form."""
    if isinstance(value, Mapping):
        return manifold_from_config(value)
    if isinstance(value, (Euclidean, Poincare, Lorentz, Sphere, Product)) or (
        not isinstance(value, type) and isinstance(value, Manifold)
    ):
        return value
    expected = "a manifold or its config"
    raise InvalidConfigError.of(argument, expected, type(value).__name__)
