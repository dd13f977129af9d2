"""Optimizers for parameters on a manifold: they step along geodesics and parallel-transport their averages."""

from __future__ import annotations

import dataclasses
import fnmatch
import math
from collections.abc import Mapping
from typing import Any, Protocol, cast

import numpy as np

from .._validate import ArrayLike, check_ndim
from ..errors import InvalidConfigError
from ._optimizer import Arrays
from ._registries import OPTIMIZERS
from .optimizers import SGD, Adam, safe_ratio

_NEEDED = ("egrad2rgrad", "expmap", "inner", "project", "project_tangent", "transport")


class Manifold(Protocol):
    """The manifold interface that the optimizers use. Points lie along the last axis."""

    def egrad2rgrad(self, x: ArrayLike, grad: ArrayLike) -> np.ndarray:
        """Convert the Euclidean gradient at x to the Riemannian gradient."""

    def expmap(self, x: ArrayLike, v: ArrayLike) -> np.ndarray:
        """Return the end point of the geodesic that starts at x with velocity v."""

    def inner(self, x: ArrayLike, u: ArrayLike, v: ArrayLike) -> np.ndarray:
        """Return the inner products of tangent vectors at x, without the last axis."""

    def project(self, x: ArrayLike) -> np.ndarray:
        """Return the nearest valid point."""

    def project_tangent(self, x: ArrayLike, v: ArrayLike) -> np.ndarray:
        """Project v onto the tangent space at x."""

    def transport(self, x: ArrayLike, y: ArrayLike, v: ArrayLike) -> np.ndarray:
        """Transport v from x to y in parallel."""


def _check_manifold(manifold: object) -> None:
    values = manifold.values() if isinstance(manifold, Mapping) else [manifold]
    for value in values:
        missing = [name for name in _NEEDED if not callable(getattr(value, name, None))]
        if missing or isinstance(value, type):
            raise InvalidConfigError.of(
                "manifold",
                f"methods {', '.join(_NEEDED)}",
                value,
                text="a manifold or a mapping from names to manifolds",
                got=f"{value!r:.80}",
            )


def _manifold_of(manifold: object, name: str) -> Manifold | None:
    """Return the manifold of a parameter by exact name, else by the first matching pattern, else None (Euclidean)."""
    if not isinstance(manifold, Mapping):
        return cast("Manifold", manifold)
    if name in manifold:
        return cast("Manifold", manifold[name])
    matches = (m for pattern, m in manifold.items() if fnmatch.fnmatchcase(name, pattern))
    return cast("Manifold | None", next(matches, None))


def _walk(
    manifold: Manifold, x: np.ndarray, direction: np.ndarray, carried: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray | None]:
    """Move points along geodesics and transport `carried` with them. Points with direction 0 stay bitwise unchanged."""
    moved = (direction != 0).any(axis=-1, keepdims=True)
    new = np.where(moved, manifold.project(manifold.expmap(x, direction)), x)
    if carried is None:
        return new, None
    brought = manifold.project_tangent(new, manifold.transport(x, new, carried))
    return new, np.where(moved, brought, carried)


@OPTIMIZERS.register("RiemannianSGD")
@dataclasses.dataclass(frozen=True)
class RiemannianSGD(SGD):
    """Riemannian stochastic gradient descent, with momentum (also Nesterov's).

    g = Riemannian gradient; b ← μ b + (1 - dampening) g (at the first step b = g); the point moves to
    exp_x(-lr·b), or exp_x(-lr·(g + μ b)) with Nesterov, and b is transported there. Parameters that a mapping
    does not name are Euclidean and are updated as by `SGD`.

    Args:
        lr: Learning rate, or a schedule of it.
        momentum: μ ≥ 0.
        dampening: Fraction of the gradient that does not enter the momentum.
        weight_decay: L2 penalty, part of the Euclidean gradient.
        nesterov: Use Nesterov momentum; requires momentum and no dampening.
        manifold: One manifold for all parameters, or a mapping from parameter names (or patterns) to manifolds.
        groups: Other options for some parameters, as in `SGD`.

    Raises:
        InvalidConfigError: An option out of range, or no manifold.

    Source:
        Bonnabel 2013, "Stochastic Gradient Descent on Riemannian Manifolds".

    Example:
        >>> import numpy as np
        >>> from graphattend.geometry import Sphere
        >>> from graphattend.training import RiemannianSGD
        >>> opt, params = RiemannianSGD(manifold=Sphere(), lr=np.pi / 2), {"x": np.array([1.0, 0.0])}
        >>> params, state = opt.update(params, {"x": np.array([5.0, -1.0])}, opt.init(params))
        >>> params["x"].round(6) + 0.0
        array([0., 1.])
    """

    manifold: Any = dataclasses.field(kw_only=True)

    def _check_options(self) -> None:
        super()._check_options()
        _check_manifold(self.manifold)

    def _step(
        self, name: str, param: np.ndarray, grad: np.ndarray, state: Arrays, count: int, lr: float
    ) -> tuple[np.ndarray, Arrays]:
        manifold = _manifold_of(self.manifold, name)
        if manifold is None:
            return super()._step(name, param, grad, state, count, lr)
        check_ndim(param, f"params[{name!r}]", 1)
        grad = manifold.egrad2rgrad(param, grad + self.weight_decay * param if self.weight_decay else grad)
        if not self.momentum:
            return _walk(manifold, param, -lr * grad, None)[0], {}
        buffer = grad if count == 1 else self.momentum * state["momentum_buffer"] + (1 - self.dampening) * grad
        direction = grad + self.momentum * buffer if self.nesterov else buffer
        new, carried = _walk(manifold, param, -lr * direction, buffer)
        return new, {"momentum_buffer": cast("np.ndarray", carried)}


@OPTIMIZERS.register("RiemannianAdam")
@dataclasses.dataclass(frozen=True)
class RiemannianAdam(Adam):
    """Riemannian Adam: the second average is the squared Riemannian norm of the gradient, one number per point.

    m ← β₁ m + (1 - β₁) g, v ← β₂ v + (1 - β₂)⟨g, g⟩_x, both bias-corrected; the point moves to
    exp_x(-lr·m / (√v + eps)) and m is transported there. Parameters that a mapping does not name are Euclidean and
    are updated as by `Adam`.

    Args:
        lr: Learning rate, or a schedule of it.
        betas: Decay of the two averages.
        eps: Added to the root of the second.
        weight_decay: L2 penalty, part of the Euclidean gradient.
        amsgrad: Use the largest second average so far.
        manifold: One manifold for all parameters, or a mapping from parameter names (or patterns) to manifolds.
        groups: Other options for some parameters, as in `SGD`.

    Raises:
        InvalidConfigError: An option out of range, or no manifold.

    Source:
        Bécigneul & Ganea 2019, "Riemannian Adaptive Optimization Methods", fig. 1a.

    Example:
        >>> import numpy as np
        >>> from graphattend.geometry import Sphere
        >>> from graphattend.training import RiemannianAdam
        >>> opt, params = RiemannianAdam(manifold=Sphere(), lr=np.pi / 2), {"x": np.array([1.0, 0.0])}
        >>> params, state = opt.update(params, {"x": np.array([5.0, -3.0])}, opt.init(params))
        >>> params["x"].round(6) + 0.0
        array([0., 1.])
    """

    manifold: Any = dataclasses.field(kw_only=True)

    def _check_options(self) -> None:
        super()._check_options()
        _check_manifold(self.manifold)

    def _slot_shape(self, slot: str, name: str, param: np.ndarray) -> tuple[int, ...]:
        if slot == "exp_avg" or _manifold_of(self.manifold, name) is None:
            return param.shape
        return param.shape[:-1]

    def _step(
        self, name: str, param: np.ndarray, grad: np.ndarray, state: Arrays, count: int, lr: float
    ) -> tuple[np.ndarray, Arrays]:
        manifold = _manifold_of(self.manifold, name)
        if manifold is None:
            return super()._step(name, param, grad, state, count, lr)
        check_ndim(param, f"params[{name!r}]", 1)
        beta1, beta2 = self.betas
        grad = manifold.egrad2rgrad(param, grad + self.weight_decay * param if self.weight_decay else grad)
        mean = beta1 * state["exp_avg"] + (1 - beta1) * grad
        square = beta2 * state["exp_avg_sq"] + (1 - beta2) * manifold.inner(param, grad, grad)
        averages = {"exp_avg_sq": square}
        if self.amsgrad:
            square = averages["max_exp_avg_sq"] = np.maximum(state["max_exp_avg_sq"], square)
        scale = np.sqrt(np.maximum(square, 0)) / math.sqrt(1 - beta2**count) + self.eps
        direction = -lr / (1 - beta1**count) * safe_ratio(mean, scale[..., None])
        new, carried = _walk(manifold, param, direction, mean)
        return new, {"exp_avg": cast("np.ndarray", carried), **averages}
