"""First-order optimizers with PyTorch's formulas, option names and defaults, as pure functions."""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from .._validate import as_bool, as_number
from ..errors import InvalidConfigError
from ._optimizer import Arrays, Optimizer, Rate
from ._registries import OPTIMIZERS


def check_betas(betas: object) -> None:
    """Check that `betas` is two numbers in [0, 1)."""
    if not isinstance(betas, (tuple, list)) or len(betas) != 2:
        raise InvalidConfigError.of("betas", "two numbers", betas, got=f"{betas!r:.80}")
    for i, beta in enumerate(betas):
        as_number(beta, f"betas[{i}]", minimum=0, below=1)


@OPTIMIZERS.register("SGD")
@dataclasses.dataclass(frozen=True)
class SGD(Optimizer):
    """Stochastic gradient descent, with momentum (also Nesterov's).

    b ← μ b + (1 - dampening) g (at the first step b = g), then p ← p - lr·b, or p - lr·(g + μ b) with Nesterov.
    g includes weight_decay·p.

    Args:
        lr: Learning rate, or a schedule of it.
        momentum: μ ≥ 0.
        dampening: Fraction of the gradient that does not enter the momentum.
        weight_decay: L2 penalty.
        nesterov: Use Nesterov momentum; requires momentum and no dampening.
        groups: Other options for some parameters: {name or pattern ("w_*"): {option: value}}. An exact name
            takes precedence, then the first matching pattern.

    Raises:
        InvalidConfigError: An option out of range.

    Source:
        Sutskever et al. 2013, "On the importance of initialization and momentum", in PyTorch's form.

    Example:
        >>> import numpy as np
        >>> from graphattend.training import SGD
        >>> opt, params = SGD(lr=0.1), {"x": np.array([1.0])}
        >>> params, state = opt.update(params, {"x": 2 * params["x"]}, opt.init(params))
        >>> params["x"]
        array([0.8])
    """

    momentum: float = 0.0
    dampening: float = 0.0
    weight_decay: float = 0.0
    nesterov: bool = False

    def _check_options(self) -> None:
        as_number(self.momentum, "momentum", minimum=0)
        as_number(self.dampening, "dampening")
        as_number(self.weight_decay, "weight_decay", minimum=0)
        if as_bool(self.nesterov, "nesterov") and (self.momentum == 0 or self.dampening != 0):
            raise InvalidConfigError(
                "nesterov: expected momentum > 0 and dampening = 0 with it",
                argument="nesterov",
                expected="momentum > 0 and dampening = 0",
                actual=(self.momentum, self.dampening),
            )

    @property
    def slots(self) -> tuple[str, ...]:
        """Names of the arrays kept per parameter."""
        return ("momentum_buffer",) if self.momentum else ()

    def _step(
        self, name: str, param: np.ndarray, grad: np.ndarray, state: Arrays, count: int, lr: float
    ) -> tuple[np.ndarray, Arrays]:
        if self.weight_decay:
            grad = grad + self.weight_decay * param
        if not self.momentum:
            return param - lr * grad, {}
        buffer = grad if count == 1 else self.momentum * state["momentum_buffer"] + (1 - self.dampening) * grad
        direction = grad + self.momentum * buffer if self.nesterov else buffer
        return param - lr * direction, {"momentum_buffer": buffer}


@OPTIMIZERS.register("Adam")
@dataclasses.dataclass(frozen=True)
class Adam(Optimizer):
    """Adam: steps scaled by running averages of the gradient and of its square, bias-corrected.

    Args:
        lr: Learning rate, or a schedule of it.
        betas: Decay of the two averages.
        eps: Added to the root of the second.
        weight_decay: L2 penalty, part of the gradient.
        amsgrad: Use the largest second average so far.
        groups: Other options for some parameters, as in `SGD`.

    Raises:
        InvalidConfigError: An option out of range.

    Source:
        Kingma & Ba 2015, algorithm 1; amsgrad: Reddi et al. 2018; in PyTorch's form.

    Example:
        >>> import numpy as np
        >>> from graphattend.training import Adam
        >>> opt, params = Adam(lr=0.1), {"x": np.array([1.0])}
        >>> params, state = opt.update(params, {"x": 2 * params["x"]}, opt.init(params))
        >>> params["x"].round(6)
        array([0.9])
    """

    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8
    weight_decay: float = 0.0
    amsgrad: bool = False

    def _check_options(self) -> None:
        check_betas(self.betas)
        as_number(self.eps, "eps", minimum=0)
        as_number(self.weight_decay, "weight_decay", minimum=0)
        as_bool(self.amsgrad, "amsgrad")

    @property
    def slots(self) -> tuple[str, ...]:
        """Names of the arrays kept per parameter."""
        return ("exp_avg", "exp_avg_sq", "max_exp_avg_sq") if self.amsgrad else ("exp_avg", "exp_avg_sq")

    def _decayed(self, param: np.ndarray, grad: np.ndarray, lr: float) -> tuple[np.ndarray, np.ndarray]:
        return param, grad + self.weight_decay * param if self.weight_decay else grad

    def _step(
        self, name: str, param: np.ndarray, grad: np.ndarray, state: Arrays, count: int, lr: float
    ) -> tuple[np.ndarray, Arrays]:
        beta1, beta2 = self.betas
        param, grad = self._decayed(param, grad, lr)
        mean = state["exp_avg"] + (1 - beta1) * (grad - state["exp_avg"])
        square = beta2 * state["exp_avg_sq"] + (1 - beta2) * grad * grad
        new = {"exp_avg": mean, "exp_avg_sq": square}
        if self.amsgrad:
            square = new["max_exp_avg_sq"] = np.maximum(state["max_exp_avg_sq"], square)
        scale = np.sqrt(square) / math.sqrt(1 - beta2**count) + self.eps
        return param - lr / (1 - beta1**count) * safe_ratio(mean, scale), new


@OPTIMIZERS.register("AdamW")
@dataclasses.dataclass(frozen=True)
class AdamW(Adam):
    """Adam with decoupled weight decay: p ← (1 - lr·weight_decay)·p before the step.

    Args:
        lr: Learning rate, or a schedule of it.
        betas: Decay of the two averages.
        eps: Added to the root of the second.
        weight_decay: Fraction of a parameter that is removed per step and unit of learning rate.
        amsgrad: Use the largest second average so far.
        groups: Other options for some parameters, as in `SGD`.

    Raises:
        InvalidConfigError: An option out of range.

    Source:
        Loshchilov & Hutter 2019, "Decoupled Weight Decay Regularization", algorithm 2; in PyTorch's form.

    Example:
        >>> import numpy as np
        >>> from graphattend.training import AdamW
        >>> opt, params = AdamW(lr=0.1, weight_decay=0.5), {"x": np.array([1.0])}
        >>> params, state = opt.update(params, {"x": 2 * params["x"]}, opt.init(params))
        >>> params["x"].round(6)
        array([0.85])
    """

    weight_decay: float = 1e-2

    def _decayed(self, param: np.ndarray, grad: np.ndarray, lr: float) -> tuple[np.ndarray, np.ndarray]:
        return param * (1 - lr * self.weight_decay), grad


@OPTIMIZERS.register("RMSprop")
@dataclasses.dataclass(frozen=True)
class RMSprop(Optimizer):
    """RMSprop: gradients divided by the root of a running average of their squares.

    Args:
        lr: Learning rate, or a schedule of it.
        alpha: Decay of the average.
        eps: Added to the root of the average.
        weight_decay: L2 penalty.
        momentum: Momentum of the scaled gradient.
        centered: Subtract the square of the average gradient, which gives a running variance.
        groups: Other options for some parameters, as in `SGD`.

    Raises:
        InvalidConfigError: An option out of range.

    Source:
        Tieleman & Hinton 2012, lecture 6.5; centered: Graves 2013, eq. 38-45; in PyTorch's form.

    Example:
        >>> import numpy as np
        >>> from graphattend.training import RMSprop
        >>> opt, params = RMSprop(lr=0.01), {"x": np.array([1.0])}
        >>> params, state = opt.update(params, {"x": 2 * params["x"]}, opt.init(params))
        >>> params["x"].round(6)
        array([0.9])
    """

    lr: Rate = 1e-2
    alpha: float = 0.99
    eps: float = 1e-8
    weight_decay: float = 0.0
    momentum: float = 0.0
    centered: bool = False

    def _check_options(self) -> None:
        as_number(self.alpha, "alpha", minimum=0, maximum=1)
        as_number(self.eps, "eps", minimum=0)
        as_number(self.weight_decay, "weight_decay", minimum=0)
        as_number(self.momentum, "momentum", minimum=0)
        as_bool(self.centered, "centered")

    @property
    def slots(self) -> tuple[str, ...]:
        """Names of the arrays kept per parameter."""
        optional = {"momentum_buffer": self.momentum, "grad_avg": self.centered}
        return ("square_avg", *(slot for slot, needed in optional.items() if needed))

    def _step(
        self, name: str, param: np.ndarray, grad: np.ndarray, state: Arrays, count: int, lr: float
    ) -> tuple[np.ndarray, Arrays]:
        if self.weight_decay:
            grad = grad + self.weight_decay * param
        square = self.alpha * state["square_avg"] + (1 - self.alpha) * grad * grad
        new, spread = {"square_avg": square}, square
        if self.centered:
            mean = new["grad_avg"] = state["grad_avg"] + (1 - self.alpha) * (grad - state["grad_avg"])
            spread = np.maximum(square - mean * mean, 0)  # rounding may make the variance slightly negative
        direction = safe_ratio(grad, np.sqrt(spread) + self.eps)
        if self.momentum:
            direction = new["momentum_buffer"] = self.momentum * state["momentum_buffer"] + direction
        return param - lr * direction, new


def safe_ratio(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    """Return the ratio, and 0 where the denominator is 0 (with eps = 0, if all gradients so far were 0)."""
    zero = denominator == 0
    one = np.asarray(denominator).dtype.type(1)
    return np.asarray(np.where(zero, 0, numerator / np.where(zero, one, denominator)))
