"""Options of a mechanism: dataclass fields with a kind, a range and one line of help.

The constructor's checks, the JSON schema, the TypeScript types, the command line and the documentation tables are
derived from them.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from .._validate import as_bool, as_choice, as_int, as_number
from ..errors import InvalidConfigError


@dataclasses.dataclass(frozen=True)
class Option:
    """The description of an option.

    Args:
        kind: "int", "float", "bool", "str" or "any" (checked by the mechanism itself).
        help: One line of help.
        minimum, maximum: Inclusive bounds.
        above, below: Exclusive bounds.
        choices: Allowed values of a "str" option.
        nullable: Whether None is allowed; the help explains its meaning.
        schema: For kind "any", the JSON schema of the JSON form.
    """

    kind: str
    help: str
    minimum: float | None = None
    maximum: float | None = None
    above: float | None = None
    below: float | None = None
    choices: tuple[str, ...] | None = None
    nullable: bool = False
    schema: Mapping[str, Any] | None = None

    def check(self, name: str, value: object) -> Any:
        """Check a value and return it as a plain Python type. An error names the option."""
        if self.kind == "any" or (value is None and self.nullable):
            return value
        if self.kind == "bool":
            return as_bool(value, name)
        if self.kind == "str":
            return as_choice(value, name, self.choices or ())
        if self.kind == "int":
            low = None if self.minimum is None else int(self.minimum)
            high = None if self.maximum is None else int(self.maximum)
            return as_int(value, name, minimum=low, maximum=high)
        return as_number(value, name, minimum=self.minimum, maximum=self.maximum, above=self.above, below=self.below)

    def json_schema(self, default: object) -> dict[str, Any]:
        """Return the JSON schema of the option."""
        types = {"int": "integer", "float": "number", "bool": "boolean", "str": "string"}
        out: dict[str, Any] = dict(self.schema or {})
        if self.kind in types:
            out["type"] = [types[self.kind], "null"] if self.nullable else types[self.kind]
        bounds = {
            "minimum": self.minimum,
            "maximum": self.maximum,
            "exclusiveMinimum": self.above,
            "exclusiveMaximum": self.below,
        }
        out |= {name: bound for name, bound in bounds.items() if bound is not None}
        if self.choices is not None:
            out["enum"] = list(self.choices)
        if default is not dataclasses.MISSING:
            plain = default.to_config() if hasattr(default, "to_config") else default
            out["default"] = list(plain) if isinstance(plain, tuple) else plain
        out["description"] = self.help
        return out


def option(kind: str, default: object, help: str, **rules: Any) -> Any:
    """Declare a checked option of a mechanism, which the schema, the command line and JavaScript also offer.

    Args:
        kind: "int", "float", "bool", "str", or "any" for a value that the mechanism checks itself.
        default: The default value.
        help: One line of help.
        **rules: Inclusive bounds (`minimum`, `maximum`), exclusive bounds (`above`, `below`), `choices` of a "str",
            and `nullable` if None is allowed.

    Returns:
        The field.

    Example:
        >>> import dataclasses
        >>> import graphattend as ga
        >>> from graphattend.mechanisms import option
        >>> @dataclasses.dataclass(frozen=True, eq=False)
        ... class Halved(ga.ScaledDotProductAttention):
        ...     factor: float = option("float", 0.5, "multiplies the values", above=0.0)
        >>> Halved(4, factor=0)
        Traceback (most recent call last):
        graphattend.errors.InvalidConfigError: factor: expected a finite number > 0, got 0
    """
    return dataclasses.field(default=default, metadata={"option": Option(kind, help, **rules)})


def divide_heads(dim: int, num_heads: int, head_dim: int | None, *, must_divide: bool = True) -> int:
    """Return the width of a head: `head_dim` if given, else dim / num_heads, which must be a whole number."""
    if head_dim is not None:
        return head_dim
    if must_divide and dim % num_heads:
        raise InvalidConfigError.of(
            "num_heads", f"a divisor of {dim}", num_heads, text=f"a divisor of dim = {dim}, or head_dim"
        )
    return dim // num_heads
