"""The options of every mechanism as JSON schema, read from the registry."""

from __future__ import annotations

import dataclasses
from typing import Any

from .mechanisms import list_mechanisms, mechanism_class


def schema(key: str | None = None) -> dict[str, Any]:
    """Return the JSON schema of the options of one mechanism, or of all mechanisms by key.

    Args:
        key: A registry key; None for all.

    Returns:
        A JSON schema object with ``properties`` (type, default, bounds, description), ``required`` and the extensions
        ``x-key``, ``x-class``, ``x-family``, ``x-complexity``, ``x-needs`` and ``x-uses`` (metadata fields). Without a
        key: a dict of schemas by key.

    Raises:
        InvalidConfigError: Unknown key.

    Example:
        >>> import graphattend as ga
        >>> ga.schema("multi_head")["properties"]["num_heads"]
        {'type': 'integer', 'minimum': 1, 'default': 4, 'description': 'number of heads'}
    """
    if key is None:
        return {name: schema(name) for name in list_mechanisms()}
    cls = mechanism_class(key)
    properties: dict[str, Any] = {}
    for f in dataclasses.fields(cls):
        rule = f.metadata.get("option")
        if rule is not None:
            properties[f.name] = rule.json_schema(f.default)
    summary = (cls.__doc__ or "").strip().splitlines()[0]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": key,
        "description": summary,
        "type": "object",
        "properties": properties,
        "required": ["dim"],
        "additionalProperties": False,
        "x-key": key,
        "x-class": cls.__name__,
        "x-family": cls.family,
        "x-complexity": cls.complexity,
        "x-needs": list(cls.needs),
        "x-uses": list(cls.uses),
        "x-value-width": "any" if cls.any_value_width else "dim",
    }
