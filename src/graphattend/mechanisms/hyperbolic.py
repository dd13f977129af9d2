"""Attention in the Poincaré ball."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np

from .. import simd
from .._validate import ArrayLike, as_number
from ..errors import InvalidConfigError
from ..geometry import Poincare, poincare
from ..simd.metric_ops import Metric, metric
from ._base import Attention
from ._boundary import Context
from ._by_distance import ByDistance, Pass
from ._gradients import CoreGradients, CoreResult, Grads, Params
from ._options import option

#: Distance from the boundary to which outside points are projected, in double precision.
_EPS = poincare.project_eps(np.float64)
#: Sums of more numbers are computed in double precision.
_FEW = 1 << 20


@dataclasses.dataclass(frozen=True, eq=False)
class HyperbolicAttention(ByDistance):
    """Attention in hyperbolic space: weights softmax(-d(q, k) / temperature), values averaged inside the ball.

    Queries, keys and values are points of the Poincaré ball of radius 1/√c, c = -curvature. Points on or outside the
    boundary are projected to just inside it; with `strict` they raise an error. The arithmetic is in double precision.
    The output is rounded to the inputs' dtype and lies strictly inside the ball. A fully masked row gives the centre.

    The learnable scalars are ``curvature`` (negative) and ``temperature`` (positive).

    Args:
        dim: Width D of queries, keys and values.
        curvature: Initial curvature, below zero.
        temperature: Initial temperature.
        aggregation: "midpoint" (gyromidpoint), "tangent" (mean in the tangent space at the centre) or "frechet"
            (the point with the smallest mean squared distance).
        strict: Whether points on or outside the boundary raise an error.
        dropout: Probability of dropping a weight in training.
        seed: Unused; the parameters are not initialised at random.
        check_finite: Whether NaN and infinity in the inputs raise an error.

    Source:
        Gulcehre et al. 2019, "Hyperbolic Attention Networks", eq. 1-2; Ungar 2008, "A Gyrovector Space Approach to
        Hyperbolic Geometry" (gyromidpoint).

    Example:
        >>> import numpy as np, graphattend as ga
        >>> attn = ga.HyperbolicAttention(2)
        >>> points = np.array([[0.0, 0.9], [0.0, 0.5]])
        >>> attn.attention_weights(np.zeros(2), points).round(3)
        array([0.136, 0.864])
    """

    curvature: float = option("float", -1.0, "initial curvature of the ball", below=0.0)
    temperature: float = option("float", 1.0, "initial temperature; small values sharpen the weights", above=0.0)
    aggregation: str = option("str", "midpoint", "how values are averaged", choices=("midpoint", "tangent", "frechet"))
    strict: bool = option("bool", False, "refuse points on or outside the boundary")
    dropout: float = option("float", 0.0, "probability of dropping a weight in training", minimum=0.0, maximum=1.0)

    key: ClassVar[str] = "hyperbolic"
    family: ClassVar[str] = "geometric"
    complexity: ClassVar[str] = "O(M·N·D)"
    laws: ClassVar[frozenset[str]] = frozenset({"permutation", "stays_on_manifold"})

    @classmethod
    def example(cls, rng: np.random.Generator, n: int, dim: int = 8) -> tuple[Attention, dict[str, Any]]:
        """Return an example with points inside the unit ball."""
        x = Poincare().random(rng, (2 * n + 1, dim))
        return cls(dim), {"query": x[0], "keys": x[1 : n + 1], "values": x[n + 1 :]}

    def _init_parameters(self, rng: np.random.Generator) -> dict[str, np.ndarray]:
        return {"curvature": np.asarray(self.curvature), "temperature": np.asarray(self.temperature)}

    def _check_parameter(self, name: str, value: ArrayLike, current: np.ndarray) -> np.ndarray:
        a = super()._check_parameter(name, value, current)
        if name == "curvature":
            as_number(a, "curvature", below=0.0)
        else:
            as_number(a, "temperature", above=0.0)
        return a

    @property
    def output_manifold(self) -> Poincare:
        """The Poincaré ball of the output, with the current curvature."""
        return Poincare(float(self._params(np.dtype(np.float64))["curvature"]))

    # -- in the kernels --------------------------------------------------------------------------------------------

    @property
    def _mean(self) -> str:
        return self.aggregation

    def _make_metric(self, p: Params, dtype: np.dtype[Any]) -> Metric | None:
        spaces = [("poincare", self.dim, float(p["curvature"]))]
        return metric(spaces, [1 / float(p["temperature"])], _EPS)

    def _check_points(self, q: np.ndarray, k: np.ndarray, v: np.ndarray | None) -> None:
        if self.strict:
            c = -float(self._params(np.dtype(np.float64))["curvature"])
            for name, x in (("query", q), ("keys", k), ("values", v)):
                if x is not None:
                    _refuse_outside(x, c, name)

    def _parameter_gradients(self, shares: np.ndarray, g: np.ndarray, out: np.ndarray) -> Grads:
        # Distance and output are 1/√c times functions of √c·points. `_project` adds the gradient through √c·points.
        p = self._params(np.dtype(np.float64))
        tau, c = float(p["temperature"]), -float(p["curvature"])
        whole = -shares[0] / tau
        return {
            "curvature": np.asarray((_total(g, out) - whole) / (2.0 * c)),
            "temperature": np.asarray(whole / tau),
        }

    def _scale_gradients(self, done: Pass, slopes: CoreGradients) -> Grads:
        c = -float(self._params(np.dtype(np.float64))["curvature"])
        pairs = ((slopes.q, done.q), (slopes.k, done.k), (slopes.v, done.v))
        return {"curvature": np.asarray(-sum(_total(g, x) for g, x in pairs if g is not None) / (2.0 * c))}

    # -- stages ----------------------------------------------------------------------------------------------------

    def _project(
        self, q: np.ndarray, k: np.ndarray, v: np.ndarray | None, p: Params
    ) -> tuple[tuple[Any, Any, Any], Callable[..., Any]]:
        c = -float(p["curvature"])
        points: list[Any] = []
        pulls: list[Any] = []
        fixed: list[Any] = []
        for name, x in (("query", q), ("keys", k), ("values", v)):
            if x is None:
                points.append(None)
                continue
            if self.strict:
                _refuse_outside(x, c, name)
            given = x.astype(np.float64, copy=False)
            point, pull_x = poincare.project_vjp(given, c, _EPS)
            points.append(point)
            pulls.append(pull_x)
            fixed.append(1.0 if point is given else (point == given).all(axis=-1))

        def pull(*grads: np.ndarray) -> tuple[Any, ...]:
            both = [pull_x(g) for pull_x, g in zip(pulls, grads, strict=True)]
            inputs = [g.astype(q.dtype, copy=False) for g, _ in both]
            # All stages depend on √c·point, up to a factor √c. For a point that was projected to the boundary,
            # √c·point does not depend on c; two large terms that would cancel are left out.
            along = [np.einsum("...d,...d->...", g, x) * f for g, x, f in zip(grads, points, fixed, strict=True)]
            return (*inputs, {"curvature": -sum(a.sum() for a in along) / (2.0 * c)})

        return (points[0], points[1], points[2]), pull

    def _scores(self, q: np.ndarray, k: np.ndarray, meta: Params, p: Params) -> tuple[np.ndarray, Callable[..., Any]]:
        tau, c = float(p["temperature"]), -float(p["curvature"])
        d, pull_d = poincare.pairwise_distance_vjp(q, k, c)

        def pull(gs: np.ndarray) -> tuple[np.ndarray, np.ndarray, Grads, Grads]:
            gq, gk, _ = pull_d(-gs / tau)
            whole = np.asarray((gs * d).sum() / tau)
            # d is 1/√c times a function of √c·points. `_project` adds the gradient through √c·points.
            return gq, gk, {"curvature": -whole / (2.0 * c), "temperature": whole / tau}, {}

        return -d / tau, pull

    def _aggregate(self, w: np.ndarray, v: np.ndarray, p: Params) -> tuple[np.ndarray, Callable[..., Any]]:
        c = -float(p["curvature"])
        if self.aggregation == "midpoint":
            out, pull_m = poincare.midpoints_vjp(v, w, c)
        elif self.aggregation == "frechet":
            out, pull_m = poincare.frechet_mean_vjp(v[..., None, :, :], w, c)
        else:
            out, pull_m = _tangent_mean(v, w, c)

        def pull(g: np.ndarray) -> tuple[np.ndarray, np.ndarray, Grads]:
            gv, gw, _ = pull_m(g)
            gv = gv.sum(axis=-3) if self.aggregation == "frechet" else gv
            return gw, gv, {"curvature": np.asarray((g * out).sum() / (2.0 * c))}  # 1/√c times a function of √c·values

        return out, pull

    def _core(self, q: np.ndarray, k: np.ndarray, v: np.ndarray | None, context: Context) -> CoreResult:
        p = context.parameters
        out, w, pull = super()._core(q, k, v, context)
        return out, None if w is None else w.astype(p["curvature"].dtype, copy=False), pull

    def _finish(self, out: np.ndarray, p: Params) -> tuple[np.ndarray, Callable[..., Any]]:
        dtype = p["curvature"].dtype
        inside, pull_x = poincare.project_vjp(out, -float(p["curvature"]), poincare.project_eps(dtype))

        def pull(g: np.ndarray) -> tuple[np.ndarray, Grads]:
            gx, gc = pull_x(g.astype(np.float64, copy=False))
            return gx, {"curvature": -gc}

        return inside.astype(dtype, copy=False), pull


def _total(g: np.ndarray, x: np.ndarray) -> float:
    """Compute Σ g·x, of many numbers in double precision. Leading axes broadcast."""
    if g.shape == x.shape and g.dtype == x.dtype and g.size <= _FEW:  # one product, which is faster
        return float(simd.matmul_nt(g.reshape(1, -1), x.reshape(1, -1))[0, 0])
    return float(np.einsum("...d,...d->...", g, x).sum(dtype=np.float64))


def _tangent_mean(
    v: np.ndarray, w: np.ndarray, c: float
) -> tuple[np.ndarray, Callable[[np.ndarray], tuple[np.ndarray, ...]]]:
    """Return exp₀ of the weighted mean of log₀(v), and the pullback to values, weights and c."""
    logs, pull_log = poincare.logmap0_vjp(v, c)
    mean = w @ logs
    out, pull_exp = poincare.expmap0_vjp(mean, c)

    def pull(g: np.ndarray) -> tuple[np.ndarray, ...]:
        g_mean, gc_exp = pull_exp(g)
        g_logs = w.swapaxes(-1, -2) @ g_mean
        extra = tuple(range(g_logs.ndim - logs.ndim))
        gv, gc_log = pull_log(g_logs.sum(axis=extra) if extra else g_logs)
        return gv, g_mean @ logs.swapaxes(-1, -2), gc_exp + gc_log

    return out, pull


def _refuse_outside(x: np.ndarray, c: float, argument: str) -> None:
    square = c * np.einsum("...d,...d->...", x.astype(np.float64), x.astype(np.float64))
    if (square >= 1).any():
        row = int(np.flatnonzero(square.reshape(-1) >= 1)[0])
        norm = float(np.sqrt(square.reshape(-1)[row] / c))
        expected = f"points inside the ball of radius {c**-0.5:.6g}"
        raise InvalidConfigError(
            f"{argument}: expected {expected}, row {row} has norm {norm:.6g}",
            argument=argument,
            expected=expected,
            actual=norm,
        )
