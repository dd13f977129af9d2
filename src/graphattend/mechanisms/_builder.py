"""A fluent builder for the options of a mechanism."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, Generic, Self, TypeVar

from .._validate import no_such_option
from ..errors import InvalidConfigError
from ._mechanism import Mechanism

M = TypeVar("M", bound=Mechanism)


class Builder(Generic[M]):
    """Builder for the options of a mechanism. Each call returns a new builder.

    Example:
        >>> import graphattend as ga
        >>> ga.MultiHeadAttention.builder(8).num_heads(2).bias(False).build().num_heads
        2
    """

    def __init__(self, cls: type[M], dim: int, options: Mapping[str, Any] | None = None) -> None:
        self._cls = cls
        self._dim = dim
        self._options = dict(options or {})

    def _with(self, **options: object) -> Self:
        return type(self)(self._cls, self._dim, {**self._options, **options})

    def __getattr__(self, name: str) -> Callable[..., Self]:
        if name.startswith("_"):
            raise AttributeError(name)
        names = [f.name for f in dataclasses.fields(self._cls) if f.init and f.name != "dim"]
        if name not in names:
            raise no_such_option(name, names, self._cls.__name__)

        def choose(*value: object) -> Any:
            if len(value) != 1:
                raise InvalidConfigError.of(name, "one value", value, got=f"{len(value)}")
            return self._with(**{name: value[0]})

        return choose

    def build(self) -> M:
        """Return the mechanism with these options."""
        return self._cls(self._dim, **self._options)
