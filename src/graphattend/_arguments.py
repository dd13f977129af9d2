"""Constructors that raise a typed error instead of TypeError for wrong, missing or extra arguments."""

from __future__ import annotations

import inspect
from abc import ABCMeta
from typing import Any

from ._validate import no_such_option
from .errors import InvalidConfigError


class TypedArguments(ABCMeta):
    """Metaclass of configurable classes; it checks the arguments against the constructor's signature."""

    def __call__(cls, /, *args: Any, **options: Any) -> Any:
        try:
            return super().__call__(*args, **options)
        except TypeError:
            error = _mismatch(cls, args, options)
            if error is None:  # the arguments fit the signature: the fault is elsewhere
                raise
        raise error

    @property
    def __signature__(cls) -> inspect.Signature:
        """The constructor's signature without ``self``, for `inspect` and `help`."""
        signature = inspect.signature(cls.__init__)  # type: ignore[misc]
        return signature.replace(parameters=list(signature.parameters.values())[1:], return_annotation=cls)


def _mismatch(cls: type, args: tuple[Any, ...], options: dict[str, Any]) -> InvalidConfigError | None:
    signature = inspect.signature(cls)
    try:
        signature.bind(*args, **options)
    except TypeError as error:
        names = list(signature.parameters)
        for name in options:
            if name not in names:
                return no_such_option(name, names, cls.__name__)
        return InvalidConfigError(f"{cls.__name__}: {error}", argument=cls.__name__, expected=names, actual=str(error))
    return None
