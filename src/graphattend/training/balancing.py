"""Balancing several losses: their weights, and conflicting gradients."""

from __future__ import annotations

import dataclasses
import fnmatch
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

import numpy as np

from .._arguments import TypedArguments
from .._validate import ArrayLike, as_choice, as_int, as_number, as_rng, check_shape
from ..errors import InvalidConfigError
from ._optimizer import Arrays, State, checked_parameters

METHODS = ("fixed", "uncertainty", "gradnorm", "pcgrad")
#: Lower bound of GradNorm's weights, so that every loss can recover.
_LEAST_WEIGHT = 1e-6


def _dot(a: Arrays, b: Arrays, names: Iterable[str] | None = None) -> float:
    """Return the inner product of two sets of gradients, each taken as one vector. Missing gradients count as zero."""
    chosen = [name for name in (a if names is None else names) if name in a and name in b]
    return float(sum(np.vdot(a[n].astype(np.float64, copy=False), b[n].astype(np.float64, copy=False)) for n in chosen))


def _weighted_sum(gradients: Mapping[str, Arrays], weights: Mapping[str, float]) -> Arrays:
    out: Arrays = {}
    for loss, grads in gradients.items():
        for name, g in grads.items():
            term = np.asarray(g * g.dtype.type(weights[loss]))
            out[name] = out[name] + term if name in out else term
    return out


@dataclasses.dataclass(frozen=True)
class LossBalancer(metaclass=TypedArguments):
    """Combine the losses of several objectives, and their gradients, into one step.

    - ``"fixed"``: Σ w·L with the given weights.
    - ``"uncertainty"``: Σ ½e^(-s)·L + ½s, where s = log σ² of each loss is learned along with the model. Noisy losses
      get smaller weights.
    - ``"gradnorm"``: learns the weights so that all losses train at similar rates. Each weighted gradient's norm is
      pulled towards (mean norm)·(relative training rate)^alpha; the sum of the weights stays constant.
    - ``"pcgrad"``: weights as with "fixed". If two gradients conflict (negative inner product), each is projected onto
      the normal plane of the other, in random order with `rng`, otherwise in the order of the losses.

    `init` and `combine` are pure functions; the state is a flat dict of numbers.

    Args:
        method: One of the four methods above.
        weights: Initial weight of each loss, 1 by default. "uncertainty" does not use it.
        lr: Learning rate of the learned weights ("uncertainty", "gradnorm").
        alpha: Strength of GradNorm's restoring force.
        shared: Names or patterns of the parameters whose gradients GradNorm measures; all by default.

    Raises:
        InvalidConfigError: An option is out of range.

    Source:
        Kendall et al. 2018, "Multi-Task Learning Using Uncertainty to Weigh Losses", eq. 7; Chen et al. 2018,
        "GradNorm", algorithm 1; Yu et al. 2020, "Gradient Surgery for Multi-Task Learning", algorithm 1.

    Example:
        >>> import numpy as np
        >>> from graphattend.training import LossBalancer
        >>> balancer = LossBalancer("pcgrad")
        >>> grads = {"a": {"x": np.array([1.0, 0.0])}, "b": {"x": np.array([-1.0, 1.0])}}
        >>> total, combined, state = balancer.combine({"a": 1.0, "b": 2.0}, grads, balancer.init(["a", "b"]))
        >>> total, combined["x"]
        (3.0, array([0.5, 1.5]))
    """

    method: Literal["fixed", "uncertainty", "gradnorm", "pcgrad"] = "fixed"
    weights: Mapping[str, float] | None = None
    lr: float = 0.025
    alpha: float = 1.5
    shared: Sequence[str] | None = None

    def __post_init__(self) -> None:
        as_choice(self.method, "method", METHODS)
        as_number(self.lr, "lr", minimum=0)
        as_number(self.alpha, "alpha", minimum=0)
        if self.weights is not None:
            if not isinstance(self.weights, Mapping):
                raise InvalidConfigError.of("weights", "a mapping from names to numbers", type(self.weights).__name__)
            for name, value in self.weights.items():
                as_number(value, f"weights[{name!r}]", minimum=0)
        if self.shared is not None and (
            not isinstance(self.shared, (list, tuple, set, frozenset))
            or not all(isinstance(pattern, str) for pattern in self.shared)
        ):
            raise InvalidConfigError(
                "shared: expected a list of names or patterns",
                argument="shared",
                expected="a list of names or patterns",
                actual=self.shared,
            )

    def init(self, names: Sequence[str]) -> State:
        """Return the state before the first step.

        Args:
            names: Names of the losses.

        Returns:
            A dict with ``"step"`` and, for each loss, ``"weight/<name>"``; with "uncertainty" also
            ``"log_variance/<name>"``.

        Raises:
            InvalidConfigError: There are no names, a name is repeated, or a weight belongs to no loss.
        """
        losses = list(names) if isinstance(names, (list, tuple, Mapping)) else []
        if not losses or not all(isinstance(name, str) for name in losses) or len(set(losses)) < len(losses):
            raise InvalidConfigError(
                "names: expected different names of losses", argument="names", expected="different names", actual=names
            )
        given = dict(self.weights or {})
        for name in given:
            if name not in losses:
                raise InvalidConfigError(
                    f"weights: {name!r} is no loss", argument="weights", expected=losses, actual=name
                )
        state: State = {"step": 0}
        for name in losses:
            state[f"weight/{name}"] = float(given.get(name, 1.0)) if self.method != "uncertainty" else 0.5
            if self.method == "uncertainty":
                state[f"log_variance/{name}"] = 0.0
        return state

    def combine(
        self,
        losses: Mapping[str, float],
        gradients: Mapping[str, Mapping[str, Any]],
        state: Mapping[str, Any],
        *,
        rng: np.random.Generator | int | None = None,
    ) -> tuple[float, Arrays, State]:
        """Combine the losses and gradients of one step. Inputs are not modified.

        Args:
            losses: Value of each loss.
            gradients: For each loss, the gradients of the parameters by name.
            state: The state that `init` or the previous `combine` returned.
            rng: Generator or seed for the order of PCGrad's projections.

        Returns:
            ``(total, gradients by parameter, new state)``.

        Raises:
            InvalidConfigError: The names differ from those passed to `init`.
            DimensionMismatchError: The gradients of a parameter have different shapes.
            NumericalInstabilityError: A gradient contains NaN or infinity.
        """
        values, grads, weights = self._checked(losses, gradients, state)
        generator = None if rng is None else as_rng(rng)
        new: State = dict(state) | {"step": as_int(_plain(state["step"]), "state['step']", minimum=0) + 1}
        total = sum(weights[name] * value for name, value in values.items())
        if self.method == "uncertainty":
            for name, value in values.items():
                s = float(state[f"log_variance/{name}"])
                total += 0.5 * s
                # d/ds of ½e^(-s)·L + ½s
                new[f"log_variance/{name}"] = s - self.lr * 0.5 * (1 - math.exp(-s) * value)
                new[f"weight/{name}"] = 0.5 * math.exp(-new[f"log_variance/{name}"])
        elif self.method == "gradnorm":
            new.update(self._gradnorm(values, grads, weights, state))
        if self.method == "pcgrad":
            return float(total), _without_conflicts(grads, weights, generator), new
        return float(total), _weighted_sum(grads, weights), new

    def _checked(
        self, losses: Mapping[str, Any], gradients: Mapping[str, Mapping[str, Any]], state: Mapping[str, Any]
    ) -> tuple[dict[str, float], dict[str, Arrays], dict[str, float]]:
        if not isinstance(state, Mapping) or "step" not in state:
            raise InvalidConfigError("state: expected what init returned", argument="state", expected="a state")
        names = [key.removeprefix("weight/") for key in state if key.startswith("weight/")]
        for argument, given in (("losses", losses), ("gradients", gradients)):
            if not isinstance(given, Mapping) or set(given) != set(names):
                raise InvalidConfigError(
                    f"{argument}: expected the losses {names}",
                    argument=argument,
                    expected=names,
                    actual=list(given) if isinstance(given, Mapping) else type(given).__name__,
                )
        values = {name: as_number(_plain(losses[name]), f"losses[{name!r}]") for name in names}
        grads = {name: checked_parameters(gradients[name], f"gradients[{name!r}]") for name in names}
        shapes: dict[str, tuple[int, ...]] = {}
        for loss, own in grads.items():
            for name, g in own.items():
                check_shape(g, f"gradients[{loss!r}][{name!r}]", shapes.setdefault(name, g.shape))
        return (
            values,
            grads,
            {name: as_number(_plain(state[f"weight/{name}"]), f"state['weight/{name}']") for name in names},
        )

    def _gradnorm(
        self, values: dict[str, float], grads: dict[str, Arrays], weights: dict[str, float], state: Mapping[str, Any]
    ) -> State:
        first = {f"first/{name}": float(state.get(f"first/{name}", value)) for name, value in values.items()}
        norms = {}
        for loss, own in grads.items():
            chosen = [n for n in own if self.shared is None or any(fnmatch.fnmatchcase(n, p) for p in self.shared)]
            norms[loss] = math.sqrt(_dot(own, own, chosen))
        rates = {n: values[n] / first[f"first/{n}"] if first[f"first/{n}"] else 1.0 for n in values}
        mean_rate = sum(rates.values()) / len(rates)
        mean_norm = sum(weights[n] * norms[n] for n in values) / len(values)
        moved = {}
        for name in values:
            relative = max(rates[name] / mean_rate, 0.0) if mean_rate > 0 else 1.0
            # derivative of |w‖g‖ - target| by w, with the target held constant
            excess = weights[name] * norms[name] - mean_norm * relative**self.alpha
            moved[name] = max(weights[name] - self.lr * math.copysign(1, excess) * norms[name] * (excess != 0), 0.0)
            moved[name] = max(moved[name], _LEAST_WEIGHT)
        scale = sum(weights.values()) / sum(moved.values())
        return first | {f"weight/{name}": weight * scale for name, weight in moved.items()}


def _plain(value: ArrayLike) -> Any:
    return value.item() if isinstance(value, (np.ndarray, np.generic)) and value.size == 1 else value


def _without_conflicts(grads: dict[str, Arrays], weights: dict[str, float], rng: np.random.Generator | None) -> Arrays:
    names = list(grads)
    original = {n: _weighted_sum({n: grads[n]}, weights) for n in names}
    squares = {n: _dot(original[n], original[n]) for n in names}
    surgered = {}
    for i in names:
        others = [j for j in names if j != i]
        if rng is not None:
            others = [others[k] for k in rng.permutation(len(others))]
        own = original[i]
        for j in others:
            overlap = _dot(own, original[j])
            if overlap < 0 and squares[j] > 0:
                own = _weighted_sum({"own": own, "other": original[j]}, {"own": 1.0, "other": -overlap / squares[j]})
        surgered[i] = own
    return _weighted_sum(surgered, dict.fromkeys(names, 1.0))
