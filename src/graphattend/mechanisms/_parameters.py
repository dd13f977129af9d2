"""A frozen object with checked options and named parameters, the base of mechanisms without their mathematics."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from .._validate import ArrayLike, as_float, as_mapping, check_finite, check_shape, near_miss, no_such_option
from ..errors import InvalidConfigError
from ._options import Option, option

if TYPE_CHECKING:
    pass


class _Checked(type):
    """Metaclass that raises InvalidConfigError, not TypeError, for a wrong option name or a missing dim."""

    def __call__(cls, /, *args: object, **options: object) -> Any:
        if not args and "dim" not in options:
            raise InvalidConfigError("dim: expected a whole number >= 1, got nothing", argument="dim")
        if len(args) > 1:
            raise InvalidConfigError(
                f"options: expected only dim as a positional argument, got {len(args)}", argument="options"
            )
        names = [f.name for f in dataclasses.fields(cls) if f.init]  # type: ignore[arg-type]
        if args:
            names.remove("dim")
        for name in options:
            if name not in names:
                raise no_such_option(name, names, cls.__name__)
        return super().__call__(*args, **options)


@dataclasses.dataclass(frozen=True, eq=False)
class Configured(metaclass=_Checked):
    """Base class that checks, copies, compares and saves options (fields) and parameters (arrays by name)."""

    dim: int = option("int", dataclasses.MISSING, "width of queries and keys", minimum=1, maximum=2**31 - 1)
    _: dataclasses.KW_ONLY
    seed: int = option("int", 0, "seed of the initial parameters", minimum=0)
    check_finite: bool = option("bool", True, "refuse NaN and infinity in the inputs")

    key: ClassVar[str]

    def __post_init__(self) -> None:
        for f in dataclasses.fields(self):
            rule: Option | None = f.metadata.get("option")
            if rule is not None:
                object.__setattr__(self, f.name, rule.check(f.name, getattr(self, f.name)))
        self._check_options()
        initial = self._init_parameters(np.random.default_rng(self.seed))
        object.__setattr__(
            self, "_parameters", {n: np.array(a, dtype=np.float64, order="C") for n, a in initial.items()}
        )
        object.__setattr__(self, "_cast", {})

    def _check_options(self) -> None:
        """Check options that depend on one another, and normalise them by object.__setattr__."""

    def _init_parameters(self, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """Return the initial values of the parameters by name."""
        return {}

    def parameters(self) -> dict[str, np.ndarray]:
        """Return copies of the learnable arrays by name."""
        return {name: a.copy() for name, a in self._parameters.items()}  # type: ignore[attr-defined]

    def with_parameters(self, parameters: Mapping[str, Any]) -> Self:
        """Return a mechanism with some or all parameters replaced. This mechanism does not change.

        Args:
            parameters: Arrays by name, in the shapes of `parameters()`.

        Raises:
            InvalidConfigError: A name is unknown.
            DimensionMismatchError: An array has the wrong shape.
        """
        as_mapping(parameters, "parameters")
        current: dict[str, np.ndarray] = self._parameters  # type: ignore[attr-defined]
        new = dict(current)
        for name, value in parameters.items():
            if name not in current:
                raise InvalidConfigError(
                    f"parameters: unknown name {name!r:.60}{near_miss(name, current)}",
                    argument="parameters",
                    expected=list(current),
                    actual=name,
                )
            new[name] = self._check_parameter(name, value, current[name])
        other = copy.copy(self)
        object.__setattr__(other, "_parameters", new)
        object.__setattr__(other, "_cast", {})
        return other

    def _check_parameter(self, name: str, value: ArrayLike, current: np.ndarray) -> np.ndarray:
        a = as_float(value, name, beside=np.dtype(np.float32))
        check_shape(a, name, current.shape)
        check_finite(a, name)
        return a.copy()

    def _params(self, dtype: np.dtype[Any]) -> dict[str, np.ndarray]:
        cast: dict[Any, dict[str, np.ndarray]] = self._cast  # type: ignore[attr-defined]
        found = cast.get(dtype)
        if found is None:
            found = {n: a.astype(dtype, copy=False) for n, a in self._parameters.items()}  # type: ignore[attr-defined]
            cast[dtype] = found
        return found

    def to_config(self) -> dict[str, Any]:
        """Return key, dim, options and version in JSON types. `ga.from_config` rebuilds the mechanism."""
        options = {}
        for f in dataclasses.fields(self):
            if f.init and f.name != "dim":
                options[f.name] = self._encode_option(f.name, getattr(self, f.name))
        return {"key": self.key, "dim": self.dim, "options": options, "version": 1}

    def _encode_option(self, name: str, value: Any) -> Any:
        """Convert the value of an option to its JSON form."""
        return value

    @classmethod
    def _decode_option(cls, name: str, value: object) -> Any:
        """Convert the JSON form of an option back to its value."""
        return value

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        mine, theirs = self._parameters, other._parameters  # type: ignore[attr-defined]
        return self.to_config() == other.to_config() and all(
            np.array_equal(a, theirs[name]) for name, a in mine.items()
        )

    def __hash__(self) -> int:
        return hash((self.key, self.dim))
