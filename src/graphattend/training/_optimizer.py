"""The base class of the optimizers: parameter checks, per-parameter options, and a flat state that can be saved."""

from __future__ import annotations

import dataclasses
import fnmatch
from collections.abc import Callable, Mapping
from typing import Any, Self

import numpy as np

from .. import _float64_fallback
from .._arguments import TypedArguments
from .._validate import all_finite, as_float, as_int, as_number, check_finite, check_shape, near_miss
from ..errors import InvalidConfigError, NumericalInstabilityError

#: A learning rate, or a schedule that returns the rate of step 0, 1, …
Rate = float | Callable[[int], float]
Arrays = dict[str, np.ndarray]
State = dict[str, Any]


def checked_parameters(params: Mapping[str, np.ndarray], argument: str = "params") -> Arrays:
    """Check that `params` maps names to finite float arrays, and return them."""
    if not isinstance(params, Mapping):
        raise InvalidConfigError.of(argument, "a mapping from names to arrays", type(params).__name__)
    out = {}
    for name, value in params.items():
        if not isinstance(name, str):
            raise InvalidConfigError.of(argument, "text", name, text="names that are text", got=f"{name!r:.80}")
        array = as_float(value, f"{argument}[{name!r}]")
        check_finite(array, f"{argument}[{name!r}]")
        out[name] = array
    return out


def checked_gradients(grads: Mapping[str, np.ndarray], params: Arrays) -> Arrays:
    """Return the gradients by name in their parameters' dtype, without None and missing ones."""
    if isinstance(grads, Mapping):
        grads = {name: g for name, g in grads.items() if g is not None}
        grads = {
            name: as_float(g, f"grads[{name!r}]", beside=params[name].dtype) if name in params else g
            for name, g in grads.items()
        }
    checked = checked_parameters(grads, "grads")
    for name, grad in checked.items():
        if name not in params:
            raise InvalidConfigError(
                f"grads: {name!r} is no parameter{near_miss(name, params)}",
                argument="grads",
                expected=sorted(params),
                actual=name,
            )
        check_shape(grad, f"grads[{name!r}]", params[name].shape)
        checked[name] = grad.astype(params[name].dtype, copy=False)
    return checked


@dataclasses.dataclass(frozen=True)
class Optimizer(metaclass=TypedArguments):
    """Base class of the optimizers, with options as fields and pure functions `init` and `update`.

    A subclass names its running averages in `slots` and computes the step of one parameter in `_step`.
    """

    lr: Rate = 1e-3
    groups: Mapping[str, Mapping[str, Any]] | None = dataclasses.field(default=None, kw_only=True)

    @property
    def slots(self) -> tuple[str, ...]:
        """Names of the arrays stored per parameter."""
        return ()

    def __post_init__(self) -> None:
        if not callable(self.lr):
            as_number(self.lr, "lr", minimum=0)
        self._check_options()
        if self.groups is None:
            return
        if not isinstance(self.groups, Mapping) or not all(isinstance(o, Mapping) for o in self.groups.values()):
            raise InvalidConfigError(
                "groups: expected a mapping from names or patterns to options",
                argument="groups",
                expected="a mapping from names or patterns to options",
                actual=type(self.groups).__name__,
            )
        fields = [f.name for f in dataclasses.fields(self) if f.name != "groups"]
        for pattern, options in self.groups.items():
            for option in options:
                if option not in fields:
                    raise InvalidConfigError(
                        f"groups: {option!r} is no option of {type(self).__name__}{near_miss(option, fields)}",
                        argument="groups",
                        expected=fields,
                        actual=option,
                    )
            self._for(pattern)  # check the group's options now, not at the first step

    def _check_options(self) -> None:
        """Check the options that the subclass adds."""

    def _for(self, name: str) -> Self:
        """Return the optimizer with the options of the group of `name`: the exact name, else the first match."""
        if not self.groups:
            return self
        options = self.groups.get(name)
        if options is None:
            options = next((o for pattern, o in self.groups.items() if fnmatch.fnmatchcase(name, pattern)), {})
        return dataclasses.replace(self, groups=None, **options)

    def _rate(self, step: int) -> float:
        return float(as_number(self.lr(step), "lr", minimum=0)) if callable(self.lr) else float(self.lr)

    def _slot_shape(self, slot: str, name: str, param: np.ndarray) -> tuple[int, ...]:
        return param.shape

    def _step(
        self, name: str, param: np.ndarray, grad: np.ndarray, state: Arrays, count: int, lr: float
    ) -> tuple[np.ndarray, Arrays]:
        """Return the new value and the new running averages of one parameter; `count` is 1 at its first step."""
        raise NotImplementedError

    def init(self, params: Mapping[str, Any]) -> State:
        """Return the state before the first step.

        Args:
            params: Parameters by name.

        Returns:
            A flat dict of arrays and whole numbers: ``"step"``, and per parameter ``"count/<name>"`` and
            ``"<average>/<name>"``. `numpy.savez` can save it.

        Raises:
            InvalidConfigError: `params` is not a mapping from names to float arrays.
        """
        state: State = {"step": 0}
        for name, param in checked_parameters(params).items():
            own = self._for(name)
            state[f"count/{name}"] = 0
            for slot in own.slots:
                state[f"{slot}/{name}"] = np.zeros(own._slot_shape(slot, name, param), param.dtype)
        return state

    def update(
        self, params: Mapping[str, Any], grads: Mapping[str, Any], state: Mapping[str, Any]
    ) -> tuple[Arrays, State]:
        """Take one step. Inputs are not modified.

        Args:
            params: Parameters by name.
            grads: Gradients by name. A parameter without a gradient (or with None) and its averages stay unchanged.
            state: The state that `init` or the previous `update` returned.

        Returns:
            New parameters and new state.

        Raises:
            InvalidConfigError: A gradient has an unknown name, or the state belongs to other parameters.
            DimensionMismatchError: The shape of a gradient differs from its parameter's.
            NumericalInstabilityError: NaN or infinity in parameters or gradients.
        """
        checked = checked_parameters(params)
        gradients = checked_gradients(grads, checked)
        step = self._state_int(state, "step")
        self._check_state_names(state, checked)
        new_params, new_state = dict(checked), dict(state)
        for name, grad in gradients.items():
            own, param = self._for(name), checked[name]
            count = self._state_int(state, f"count/{name}") + 1
            slots = {slot: self._state_array(state, slot, name, own, param) for slot in own.slots}
            rate = own._rate(step)
            checked_step = _float64_fallback.FLAGS
            try:
                with _float64_fallback.trap():
                    value, slots = own._step(name, param, grad, slots, count, rate)
            except FloatingPointError:  # maybe a false alarm: check the numbers
                checked_step = False
                with _float64_fallback.silence():
                    value, slots = own._step(name, param, grad, slots, count, rate)
            overflow = not checked_step and not all(all_finite(np.asarray(a)) for a in (value, *slots.values()))
            if overflow:
                raise NumericalInstabilityError.of(
                    f"grads[{name!r}]",
                    "smaller numbers",
                    "overflow",
                    text=f"numbers whose squares {param.dtype} can hold",
                    got="an overflow",
                )
            new_params[name] = np.asarray(value, param.dtype)
            new_state[f"count/{name}"] = count
            for slot, array in slots.items():
                new_state[f"{slot}/{name}"] = np.asarray(array, param.dtype)
        new_state["step"] = step + 1
        return new_params, new_state

    def _check_state_names(self, state: Mapping[str, Any], params: Arrays) -> None:
        """Check that the state has exactly the entries of these parameters."""
        expected = {"step"}
        for name in params:
            expected |= {f"{slot}/{name}" for slot in ("count", *self._for(name).slots)}
        if state.keys() != expected:
            self._state_entry(state, min(expected - state.keys(), default="step"))  # raises if an entry is missing
            unknown = min(state.keys() - expected)
            raise InvalidConfigError(
                f"state: {unknown!r:.80} belongs to no parameter; use what init or update returned for these",
                argument="state",
                expected=sorted(expected)[:20],
                actual=unknown,
            )

    @staticmethod
    def _state_entry(state: object, key: str) -> Any:
        if not isinstance(state, Mapping) or key not in state:
            raise InvalidConfigError(
                f"state: expected an entry {key!r}; use what init or update returned for these parameters",
                argument="state",
                expected=key,
                actual=sorted(map(str, state))[:20] if isinstance(state, Mapping) else type(state).__name__,
            )
        return state[key]

    @classmethod
    def _state_int(cls, state: object, key: str) -> int:
        value = cls._state_entry(state, key)
        if isinstance(value, np.ndarray) and value.ndim == 0:
            value = value[()]
        return as_int(value, f"state[{key!r}]", minimum=0)

    @classmethod
    def _state_array(cls, state: object, slot: str, name: str, own: Optimizer, param: np.ndarray) -> np.ndarray:
        key = f"{slot}/{name}"
        array = as_float(cls._state_entry(state, key), f"state[{key!r}]", beside=param.dtype)
        check_shape(array, f"state[{key!r}]", own._slot_shape(slot, name, param))
        return array.astype(param.dtype, copy=False)
