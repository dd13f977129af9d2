"""Registries of mechanisms, manifolds, codecs, losses, optimizers, schedules and commands.

A registry maps a name to a class, a function or a module. An entry is registered where it is defined::

    @CODECS.register("quantizer")
    class Quantizer(Codec): ...

If importing all entries would cost time (mechanisms, commands), the registry gets their locations instead, and imports
a module when its name is first looked up.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Mapping
from types import ModuleType
from typing import Any, Generic, TypeVar, cast

from .errors import InvalidConfigError

T = TypeVar("T")
S = TypeVar("S")


class Registry(Mapping[str, T], Generic[T]):
    """Entries of one kind by name, in the order of their registration.

    Args:
        kind: Word for an entry, such as "codec".
        locations: ``"package.module:attribute"`` by name, or ``"package.module"`` for the module itself.

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
            name: Name of the entry, which must be free.

        Returns:
            A decorator that returns its argument.

        Raises:
            InvalidConfigError: The name is not text, or is taken.

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
        """Return the entry registered under `name`.

        Args:
            name: Name of the entry.
            argument: Name of the argument in the error.

        Raises:
            InvalidConfigError: Unknown name; the error suggests the closest one.

        Example:
            >>> import graphattend as ga
            >>> ga.compression.CODECS.find("low_rank").__name__
            'LowRank'
        """
        from ._validate import as_choice  # imported lazily because it imports NumPy

        return self[as_choice(name, argument, self)]

    def attributes(self) -> dict[str, str]:
        """Return the module of every attribute among the locations."""
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
    """Set the ``__all__`` of a package to the names it imports, so that an import makes a name public.

    Args:
        namespace: The package's ``globals()``. Names with an underscore, `export` itself and modules are left out.
        *modules: Names of modules that are public, too.
    """
    found = {n for n, thing in namespace.items() if n[0] != "_" and n != "export" and not isinstance(thing, ModuleType)}
    namespace["__all__"] = sorted({*found, *modules})
