"""Registries of mechanisms, manifolds, codecs, losses, optimizers, schedules and commands.

A registry is a mapping from a name to a class, a function or a module. An entry is registered where it is defined::

    @CODECS.register("quantizer")
    class Quantizer(Codec): ...

Where importing all of them would cost time (mechanisms, commands), the registry is made with locations instead, and a
module is imported when its name is first looked up.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Mapping
from types import ModuleType
from typing import Any, Generic, TypeVar, cast

from ._validate import as_choice
from .errors import InvalidConfigError

T = TypeVar("T")
S = TypeVar("S")


class Registry(Mapping[str, T], Generic[T]):
    """Things of one kind, by name, in the order in which they were registered.

    Args:
        kind: The word for one of them, such as "codec".
        locations: From a name to ``"package.module:attribute"``, or ``"package.module"`` for the module itself.

    Example:
        >>> from graphattend.registry import Registry
        >>> shapes = Registry("shape", {"sphere": "graphattend.geometry.sphere:Sphere"})
        >>> @shapes.register("point")
        ... class Point: ...
        >>> list(shapes), shapes["sphere"].__name__, shapes["point"].__name__
        (['sphere', 'point'], 'Sphere', 'Point')
    """

    def __init__(self, kind: str, locations: Mapping[str, str] | None = None) -> None:
        self.kind = kind
        self._things: dict[str, Any] = {}
        self._locations = dict(locations or {})

    def register(self, name: str) -> Callable[[S], S]:
        """Decorator that registers a class or a function.

        Args:
            name: Its name, which must be free.

        Returns:
            A decorator that returns what it is given.

        Raises:
            InvalidConfigError: The name is not text, or taken.

        Example:
            >>> from graphattend.registry import Registry
            >>> Registry("shape").register("point")(tuple)
            <class 'tuple'>
        """
        if not isinstance(name, str) or name in self:
            raise InvalidConfigError(
                f"name: expected a free name for a {self.kind}, got {name!r:.80}",
                argument="name",
                expected="a free name",
                actual=name,
            )

        def decorator(thing: S) -> S:
            self._things[name] = thing
            return thing

        return decorator

    def find(self, name: object, argument: str = "key") -> T:
        """What is registered under `name`.

        Args:
            name: The name.
            argument: How the error calls it.

        Raises:
            InvalidConfigError: There is no such name; the error suggests the nearest one.

        Example:
            >>> import graphattend as ga
            >>> ga.compression.CODECS.find("low_rank").__name__
            'LowRank'
        """
        return self[as_choice(name, argument, self)]

    def attributes(self) -> dict[str, str]:
        """The module of every attribute among the locations."""
        split = (place.partition(":") for place in self._locations.values())
        return {attribute: module for module, _, attribute in split}

    def __getitem__(self, name: str) -> T:
        if name not in self._things:
            module, _, attribute = self._locations[name].partition(":")
            found = importlib.import_module(module)
            self._things[name] = getattr(found, attribute) if attribute else found
        return cast("T", self._things[name])

    def __contains__(self, name: object) -> bool:
        return name in self._locations or name in self._things

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys((*self._locations, *self._things)))

    def __len__(self) -> int:
        return len(self._locations.keys() | self._things.keys())

    def __repr__(self) -> str:
        return f"Registry({self.kind!r}, {list(self)})"


def export(namespace: dict[str, Any], *modules: str) -> None:
    """Make public what a package imports: set its ``__all__``, so that a new part is one import line and no more.

    Args:
        namespace: The package's ``globals()``. Names with an underscore, `export` itself and modules are left out.
        *modules: Modules that are public nevertheless.
    """
    found = {n for n, thing in namespace.items() if n[0] != "_" and n != "export" and not isinstance(thing, ModuleType)}
    namespace["__all__"] = sorted({*found, *modules})
