"""TypeScript types of parameters and results of public functions, from Python's annotations.

Tables by name give the types that annotations leave open: `PARAMETERS` for arguments, `RESULTS` and `WHOLE` for
results. The JavaScript suite runs the functions and compares their results with the types.
"""

from __future__ import annotations

import dataclasses
import inspect
import json
import re
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

import graphattend as ga
from graphattend import _bridge_names as bridge
from graphattend.mechanisms._base import Attention

#: Types of parameters whose annotation leaves them open.
PARAMETERS = {
    **dict.fromkeys(("attn_mask", "key_padding_mask", "neighbor_mask", "non_neighbor_mask", "mask"), "Mask"),
    **dict.fromkeys(("parameters", "params", "grads"), "Readonly<Record<string, Data | number>>"),
    "state": "Readonly<Record<string, Data | number>>",
    "gradients": "Readonly<Record<string, Readonly<Record<string, Data | number>>>>",
    "groups": "Readonly<Record<string, Readonly<Record<string, number | boolean | readonly number[]>>>>",
    **dict.fromkeys(("embedding", "distance", "r", "nodes", "sources", "target_norm"), "Data | number"),
    "graph": "GraphData",
    "manifold": "Manifold | ManifoldFunctions",
    "rng": "number",
    "shape": "readonly number[]",
    "config": "ManifoldConfig",
    "score_mod": "ScoreMod",
    "keys_q8": "QuantizedArray",
    "factors": "readonly (readonly [Manifold, number])[]",
    "metadata": "Metadata",
    "parts": "Schedule | readonly [Schedule, number]",
}
#: Parameters that JavaScript does not have.
OMITTED = frozenset({"on_progress", "cancel"})
#: Functions and attributes whose values are integers.
WHOLE = frozenset(
    {"sample_hard_negatives", "row_pattern", "to_edge_index", "active_heads", "select", "degree"}
    | {"indptr", "indices", "layers", "visited", "nodes", "pairs", "budgets"}
    | {"source", "target", "negatives", "neighbors"}
)
#: Types of results whose annotation is too wide; D is the requested precision, X the type of the first argument.
RESULTS = {
    **dict.fromkeys(("dist", "inner", "norm", "lambda_x"), "Reduced<X, D>"),
    "load_balance_loss": "number",
    "get_routing": "Ranked<X>",
    "active_heads": "Reduced<X, D, Int32Array>",
    "Nodes.batch": "Matrix<Int32Array>",
    "top_k_gating": "[Matrix<Int32Array>, Numbers<D>]",
    "from_torch_mask": "Matrix<Uint8Array> | Numbers<D>",
    "init": "Record<string, Matrix | number>",
    "structural_features": "Numbers<D>",
    "codes": "Matrix<Int8Array>",
    "data": "Matrix<Int8Array> | Matrix<Uint8Array>",
    "zero_point": "Matrix<Int8Array> | number",
    "scale": "Matrix | number",
    "to_config": "{ [name: string]: Json }",
    "to_dict": "{ [name: string]: Json }",
    "analyze_file": "{ [name: string]: Json }",
}
#: Options that add results, in the order of the results, with the letter of their type.
MORE = {"return_weights": "W", "return_lse": "L", "need_weights": "W"}
#: Types that are one of several classes.
UNIONS = frozenset({"Codec", "Manifold", "Optimizer", "Schedule"})
#: Options that determine the type of the result, with the letter of their type.
CHOICES = {**MORE, "reduction": "R"}
SIMPLE = {bool: "boolean", int: "number", float: "number", str: "string", type(None): "null", np.floating: "number"}


def camel(name: str) -> str:
    """Convert a name from snake case to camel case."""
    head, *tail = name.split("_")
    return head + "".join(part[:1].upper() + part[1:] for part in tail)


def class_name(cls: type) -> str:
    """Return the name of the interface of a class."""
    renamed = {"NeighborGraph": "Graph", "ManifoldBase": "Manifold"}
    return renamed.get(cls.__name__, cls.__name__[0].upper() + cls.__name__[1:])


def union(parts: Sequence[str]) -> str:
    """Return the union of types, each once."""
    return " | ".join(dict.fromkeys(parts))


def grouped(kind: str) -> str:
    """Return a type in parentheses if it needs them before [] or in a union."""
    return f"({kind})" if re.search(r" [|?] |^readonly ", re.sub(r"[\[{<].*[\]}>]", "", kind)) else kind


def hints_of(function: Any) -> dict[str, Any]:
    """Return the resolved annotations of a function, or of the constructor of a class."""
    known = {"NeighborGraph": ga.NeighborGraph}  # some modules import it only for type checkers
    if inspect.isclass(function):
        return typing.get_type_hints(function) or typing.get_type_hints(function.__init__)
    return typing.get_type_hints(function, localns=known)


def parameter_type(name: str, hint: Any, default: Any = inspect.Parameter.empty) -> str:
    """Return the TypeScript type of a parameter."""
    found = PARAMETERS.get(name) if name in PARAMETERS else _taken(hint)
    if found is None:
        found = {bool: "boolean", int: "number", str: "string", float: "Data | number"}.get(type(default), "Data")
    return union([found, "null"]) if default is None and "null" not in found else found


def _taken(hint: Any) -> str | None:
    """Return the TypeScript type for the annotation of a parameter; None if the annotation is too wide."""
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if hint in SIMPLE:
        return SIMPLE[hint]
    if hint is np.random.Generator:
        return "number"
    if hint is np.ndarray:
        return "Data"
    if origin is typing.Literal:
        return union([json.dumps(a) for a in inner])
    if origin in (typing.Union, types.UnionType):
        known = [found for a in inner if (found := _taken(a)) is not None]
        return union(known) if known else None
    if origin in (list, Sequence):
        item = _taken(inner[0]) or "Data"
        return f"readonly {grouped(item)}[]"
    if origin is tuple:
        items = [_taken(a) or "Data" for a in inner if a is not ...]
        return f"readonly {items[0]}[]" if ... in inner else f"readonly [{', '.join(items)}]"
    if origin is Mapping or origin is dict:
        key = "number" if inner[0] is int else "string"
        return f"Readonly<Record<{key}, {_taken(inner[1]) or 'Data | number'}>>"
    if origin is Callable or getattr(origin, "__name__", "") == "Callable":
        return "Schedule"
    if _is_ours(hint) and hasattr(hint, "_fields"):
        return f"{{ {'; '.join(f'{n}: {_taken(h)}' for n, h in typing.get_type_hints(hint).items())} }}"
    return class_name(hint) if _is_ours(hint) else None


def _is_ours(hint: Any) -> bool:
    return inspect.isclass(hint) and hint.__module__.startswith("graphattend.")


def result_type(hint: Any, name: str = "", seen: set[type] | None = None) -> str:
    """Return the TypeScript type of a result; add its classes to `seen`."""
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if hint in SIMPLE:
        return SIMPLE[hint]
    if hint is np.ndarray:
        return "Matrix<Int32Array>" if name in WHOLE else "Numbers<D>"
    if hint is bytes:
        return "Matrix<Uint8Array>"
    if origin in (typing.Union, types.UnionType):
        return union([result_type(a, name, seen) for a in inner])
    if origin is typing.Literal:
        return union([json.dumps(a) for a in inner])
    if origin in (list, Sequence) or (origin is tuple and inner[1:] == (...,)):
        item = result_type(inner[0], name, seen)
        return f"{grouped(item)}[]"
    if origin is tuple:
        return f"[{', '.join(result_type(a, name, seen) for a in inner)}]"
    if origin in (dict, Mapping):
        return f"Record<string, {'Matrix | number' if inner[1] is Any else result_type(inner[1], name, seen)}>"
    if _is_ours(hint) and issubclass(hint, Attention):
        return f"AttentionFor<{json.dumps(hint.key)}>"
    if _is_ours(hint) and hasattr(hint, "_fields"):
        fields = typing.get_type_hints(hint)
        return f"{{ {'; '.join(f'{n}: {result_type(fields[n], n, seen)}' for n in hint._fields)} }}"
    if _is_ours(hint) and dataclasses.is_dataclass(hint) and hint.__name__ == "GraphMetadata":
        return "Remote"
    if _is_ours(hint):
        if seen is not None and class_name(hint) not in UNIONS:
            seen.add(hint)
        return class_name(hint)
    raise TypeError(f"no type for the result {hint} of {name}: add it to RESULTS")


def returned(function: Any, hint: Any, parameters: Sequence[inspect.Parameter], seen: set[type]) -> str:
    """Return the TypeScript type of a function's result, from its name, annotation and options."""
    given, name = {p.name for p in parameters}, function.__name__
    if found := RESULTS.get(function.__qualname__) or RESULTS.get(name):
        return found
    if hint is Any and name in vars(ga.geometry.Manifold):  # a manifold derived from ManifoldBase
        return "Numbers<D>"
    if "reduction" in given and hint is Any:
        return 'R extends "none" ? Numbers<D> : number'
    if hint is Any and (flags := [letter for flag, letter in MORE.items() if flag in given]):
        return _flagged(flags)
    if hint is typing.Self:
        return "this"
    return result_type(hint, name, seen)


def _flagged(flags: Sequence[str], arrays: int = 1) -> str:
    """Return the type of a result with one more array for every flag that is true."""
    if not flags:
        return f"[{', '.join(['Numbers<D>'] * arrays)}]" if arrays > 1 else "Numbers<D>"
    more, same = _flagged(flags[1:], arrays + 1), _flagged(flags[1:], arrays)
    return (
        f"{flags[0]} extends true ? ({more}) : {same}" if "?" in more else f"{flags[0]} extends true ? {more} : {same}"
    )


def fields_of(cls: type) -> dict[str, Any]:
    """Return the annotations of the public attributes of a class's objects, as `describe_object` finds them."""
    known = {n: h for n, h in typing.get_type_hints(cls).items() if not n.startswith("_")}
    for name, value in inspect.getmembers(cls, lambda x: isinstance(x, property)):
        if not name.startswith("_"):
            known[name] = typing.get_type_hints(value.fget).get("return", Any)
    return {n: (typing.get_args(h)[0] if typing.get_origin(h) is typing.ClassVar else h) for n, h in known.items()}


def is_scalar(hint: Any) -> bool:
    """Return whether an attribute is one of an object's `fields`: a number, text, boolean or None."""
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        return all(is_scalar(a) for a in typing.get_args(hint))
    return hint in SIMPLE or typing.get_origin(hint) is typing.Literal


def is_data(hint: Any) -> bool:
    """Return whether an attribute can be passed to JavaScript and its annotation determines its type."""
    inner = typing.get_args(hint)
    if typing.get_origin(hint) in (typing.Union, types.UnionType, list, tuple, dict, Mapping, Sequence):
        return all(a is ... or is_data(a) for a in inner)
    return hint in SIMPLE or hint is np.ndarray or (_is_ours(hint) and hasattr(hint, "_fields"))


def option_docs(function: Any) -> dict[str, str]:
    """Return the description of each parameter in the Args section of a docstring."""
    lines = (inspect.getdoc(function) or "").splitlines()
    out: dict[str, str] = {}
    names: list[str] = []
    inside = False
    for line in lines:
        if line.rstrip() in ("Args:",):
            inside = True
        elif inside and line.strip() and not line.startswith(" "):
            break
        elif inside and line.startswith("    ") and not line.startswith("     ") and ":" in line:
            head, _, text = line.strip().partition(":")
            names = [n.strip().lstrip("*") for n in head.split(",")]
            out |= dict.fromkeys(names, text.strip())
        elif inside and line.strip():
            for name in names:
                out[name] += " " + line.strip()
    return out


def public(cls: type) -> list[tuple[str, Callable[..., Any]]]:
    """Return the public methods of a class that JavaScript can call."""
    return [(name, getattr(cls, name)) for name in bridge.methods(cls)]
