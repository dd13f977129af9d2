"""Write js/src/mechanisms.gen.ts: TypeScript types of all options, methods and functions, read from the library.

Run after a change of a mechanism's options or of a public signature; ``--check`` only tells whether it is due.
"""

from __future__ import annotations

import inspect
import itertools
import json
import operator
import sys
import types
import typing
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np

import graphattend as ga
from graphattend import _bridge_calls as bridge
from graphattend.mechanisms import mechanism_class
from graphattend.mechanisms._base import Attention

TARGET = Path(__file__).resolve().parent.parent / "js" / "src" / "mechanisms.gen.ts"
MODULES = ("functional", "geometry", "training", "training.schedules", "compression")
HEADER = """// Written by tools/gen_types.py from the Python library; do not edit.
import type { Remote } from "./objects.js";
import type { CallOptions, Input, Matrix } from "./types.js";
"""
#: Classes that have an interface.
INTERFACES = {
    name
    for module in MODULES
    for name in operator.attrgetter(module)(ga).__all__
    if inspect.isclass(getattr(operator.attrgetter(module)(ga), name)) and name not in bridge.WITHHELD
}
#: Everything of a schema that is the same for all mechanisms is left out here and put back by schema.ts.
COMMON = ("$schema", "type", "additionalProperties", "title", "required", "x-key")


def camel(name: str) -> str:
    """Python's spelling of a name to JavaScript's."""
    head, *tail = name.split("_")
    return head + "".join(part[:1].upper() + part[1:] for part in tail)


def option_type(rule: dict[str, Any]) -> str:
    """TypeScript type of one option from its JSON schema."""
    if "enum" in rule:
        base = " | ".join(json.dumps(v) for v in rule["enum"])
        return base + (" | null" if isinstance(rule.get("type"), list) and "null" in rule["type"] else "")
    if "anyOf" in rule or "oneOf" in rule:
        return " | ".join(dict.fromkeys(option_type(r) for r in rule.get("anyOf", rule.get("oneOf"))))
    if "const" in rule:
        return json.dumps(rule["const"])
    kinds = rule.get("type", [])
    kinds = [kinds] if isinstance(kinds, str) else kinds
    return " | ".join(dict.fromkeys(_kind_type(k, rule) for k in kinds)) or "unknown"


def _kind_type(kind: str, rule: dict[str, Any]) -> str:
    if kind == "array":
        if "prefixItems" in rule:
            return f"[{', '.join(option_type(r) for r in rule['prefixItems'])}]"
        return f"readonly ({option_type(rule.get('items', {}))})[]"
    if kind == "object":
        return "Record<string, unknown>"
    return {"integer": "number", "number": "number", "boolean": "boolean", "string": "string", "null": "null"}[kind]


def comment(*lines: str, indent: str = "") -> str:
    """A documentation comment."""
    text = " ".join(line for line in lines if line).replace("*/", "* /")
    return f"{indent}/** {text} */\n"


def options_interface(key: str, schema: dict[str, Any]) -> str:
    """The interface of one mechanism's options."""
    body = ""
    for name, rule in schema["properties"].items():
        bounds = [
            f"{symbol} {rule[field]:g}"
            for field, symbol in (
                ("minimum", "≥"),
                ("exclusiveMinimum", ">"),
                ("maximum", "≤"),
                ("exclusiveMaximum", "<"),
            )
            if field in rule
        ]
        default = f"@default {json.dumps(rule['default'], ensure_ascii=False)}" if "default" in rule else ""
        extra = f"({', '.join(bounds)})" if bounds else ""
        optional = "" if name in schema["required"] else "?"
        body += comment(rule["description"] + (f" {extra}" if extra else "") + ".", default, indent="  ")
        body += f"  {camel(name)}{optional}: {option_type(rule)};\n"
    return comment(schema["description"]) + f"export interface {interface_name(key)} {{\n{body}}}\n"


def interface_name(key: str) -> str:
    """Name of the interface of a mechanism's options."""
    return "".join(part.capitalize() for part in key.split("_")) + "Options"


def parameter_type(annotation: Any, default: Any) -> str:
    """TypeScript type of a parameter from its Python annotation."""
    if annotation in (np.ndarray, Any, inspect.Parameter.empty):
        kind = type(default)
        return {bool: "boolean", str: "string"}.get(kind, "Input")
    if annotation is bool:
        return "boolean"
    if annotation in (int, float):
        return "number"
    if annotation is str:
        return "string"
    if annotation is type(None):
        return "null"
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        return " | ".join(dict.fromkeys(parameter_type(a, None) for a in typing.get_args(annotation)))
    if typing.get_origin(annotation) is typing.Literal:
        return " | ".join(json.dumps(a) for a in typing.get_args(annotation))
    if annotation is np.random.Generator:
        return "number"
    return "Input"


def result_type(annotation: Any) -> str:
    """TypeScript type of a result, by default; callers may state another."""
    if annotation is np.ndarray:
        return "Matrix"
    if annotation in (int, float, np.floating):
        return "number"
    if annotation is bool:
        return "boolean"
    if annotation is str:
        return "string"
    if annotation is type(None):
        return "null"
    if annotation is bytes:
        return "Matrix<Uint8Array>"
    origin, inner = typing.get_origin(annotation), typing.get_args(annotation)
    if origin in (typing.Union, types.UnionType):
        return " | ".join(dict.fromkeys(result_type(a) for a in inner))
    if origin is list or (origin is tuple and inner[1:] == (...,)):
        return f"({result_type(inner[0])})[]"
    if origin is tuple:
        return f"[{', '.join(result_type(a) for a in inner)}]"
    if origin is dict:
        return f"Record<string, {result_type(inner[1])}>"
    if inspect.isclass(annotation) and issubclass(annotation, tuple) and hasattr(annotation, "_fields"):
        hints = typing.get_type_hints(annotation)
        return f"{{ {'; '.join(f'{name}: {result_type(hints[name])}' for name in annotation._fields)} }}"
    if inspect.isclass(annotation) and annotation.__module__.startswith("graphattend."):
        return class_name(annotation) if annotation.__name__ in INTERFACES else "Remote"
    return "unknown"


#: What the last axis of points is summed over in: a number for single points.
REDUCING = ("dist", "inner", "norm")
#: Options that ask for more results, in the order of these.
MORE = ("return_weights", "return_lse", "need_weights")


def results(name: str, hint: Any, parameters: list[inspect.Parameter]) -> list[tuple[str, str]]:
    """Overloads of a function as the options that choose them and the result, the general one last."""
    if hint is not Any:
        return [("", result_type(hint))]
    given = {p.name: p for p in parameters}
    if "reduction" in given:
        return [('{ reduction: "none" }', "Matrix"), ("", "number")]
    if flags := [flag for flag in MORE if flag in given]:
        found = []
        for picks in itertools.product((True, False), repeat=len(flags)):
            some = list(itertools.compress(flags, picks))
            chosen = f"{{ {'; '.join(f'{camel(f)}: true' for f in some)} }}" if some else ""
            found.append((chosen, f"[{', '.join(['Matrix'] * (1 + len(some)))}]" if some else "Matrix"))
        return found
    return [("", "Matrix | number" if name in REDUCING else "unknown")]


def signature(name: str, function: Callable[..., Any], skip: int) -> str:
    """A function's or method's TypeScript signature with its first line of help."""
    try:
        hints = typing.get_type_hints(function)
    except (NameError, TypeError):
        hints = {}
    parameters = list(inspect.signature(function).parameters.values())[skip:]
    positional, options = [], []
    for p in parameters:
        kind = parameter_type(hints.get(p.name, Any), p.default)
        optional = p.default is not inspect.Parameter.empty
        if p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD):
            continue
        if p.kind is p.KEYWORD_ONLY or optional:
            options.append(f"{camel(p.name)}{'?' if optional else ''}: {kind}")
        else:
            positional.append(f"{camel(p.name)}: {kind}")
    rest = [p for p in parameters if p.kind is p.VAR_POSITIONAL]
    required = any("?:" not in o for o in options)
    fields = f"{{ {'; '.join(options)} }} & CallOptions" if options else "CallOptions"
    given = f"...{rest[0].name}: Input[]" if rest else f"options{'' if required else '?'}: {fields}"
    arguments = ", ".join([*positional, given])
    help = (inspect.getdoc(function) or "").splitlines()[:1]
    out = comment(*help, indent="  ")
    for chosen, result in results(name, hints.get("return", Any), parameters):
        if chosen:
            out += f"  {name}({', '.join([*positional, f'options: {fields} & {chosen}'])}): Promise<{result}>;\n"
        else:
            out += f"  {name}<R = {result}>({arguments}): Promise<R>;\n"
    return out


def public(cls: type) -> Iterable[tuple[str, Callable[..., Any]]]:
    """Public methods of a class that JavaScript can call, other than those every mechanism has."""
    return ((name, getattr(cls, name)) for name in bridge.methods(cls))


def class_name(cls: type) -> str:
    """Name of the interface of a class."""
    return cls.__name__[0].upper() + cls.__name__[1:]


def class_interface(cls: type) -> str:
    """The interface of a class whose objects live in Python."""
    body = "".join(signature(camel(name), function, 1) for name, function in public(cls))
    help = (inspect.getdoc(cls) or "").splitlines()[:1]
    return comment(*help) + f"export interface {class_name(cls)} extends Remote {{\n{plain_fields(cls)}{body}}}\n"


def plain_fields(cls: type) -> str:
    """The plain attributes of a class's objects, by Python's names."""
    known = dict(typing.get_type_hints(cls))
    for name, value in inspect.getmembers(cls, lambda x: isinstance(x, property)):
        known[name] = typing.get_type_hints(value.fget).get("return", Any)
    plain = {n: h for n, h in sorted(known.items()) if not n.startswith("_") and h in (int, float, bool, str)}
    if not plain:
        return ""
    body = "; ".join(f"{name}: {result_type(hint)}" for name, hint in plain.items())
    return f"  readonly fields: Readonly<{{ {body}; [more: string]: unknown }}>;\n"


def module_parts(module: str) -> tuple[str, str, list[str]]:
    """Interfaces of a module's classes, the module's own interface, and its names."""
    package = operator.attrgetter(module)(ga)
    interfaces, body, names = "", "", []
    for name in sorted(getattr(package, "__all__", ())):
        member = getattr(package, name)
        if name in bridge.WITHHELD:
            continue
        if inspect.isclass(member):
            if getattr(member, "_is_protocol", False):
                continue
            interfaces += class_interface(member)
            constructor = signature(name, member, 0)
            body += constructor.replace("<R = unknown>", f"<R = {class_name(member)}>")
        elif inspect.isfunction(member):
            body += signature(camel(name), member, 0)
        else:
            continue
        names.append(name if inspect.isclass(member) else camel(name))
    return interfaces, f"  {json.dumps(module)}: {{\n{body}  }};\n", names


def generate() -> str:
    """The whole file."""
    schemas = ga.schema()
    out = HEADER
    for key, schema in schemas.items():
        out += "\n" + options_interface(key, schema)
    out += "\n/** Options by mechanism. */\nexport interface MechanismOptions {\n"
    out += "".join(f"  {key}: {interface_name(key)};\n" for key in schemas) + "}\n"
    out += "\n/** Metadata that a mechanism cannot do without. */\nexport interface MechanismNeeds {\n"
    for key, schema in schemas.items():
        out += f"  {key}: {' | '.join(json.dumps(camel(n)) for n in schema['x-needs']) or 'never'};\n"
    out += "}\n\n/** Methods beyond those of every mechanism. */\nexport interface MechanismMethods {\n"
    common = set(bridge.methods(Attention))
    for key in schemas:
        own = [(n, f) for n, f in public(mechanism_class(key)) if n not in common]
        body = "".join(signature(camel(n), f, 1) for n, f in own)
        out += f"  {key}: {{\n{body}  }};\n" if body else f"  {key}: unknown;\n"
    out += "}\n"
    parts = [module_parts(module) for module in MODULES]
    out += "".join("\n" + interfaces for interfaces, _, _ in parts if interfaces)
    out += "\n/** Public functions and classes by module. */\nexport interface Functions {\n"
    out += "".join(body for _, body, _ in parts) + "}\n"
    listed = {module: names for module, (_, _, names) in zip(MODULES, parts, strict=True)}
    out += f"\nexport const FUNCTIONS = {json.dumps(listed)};\n"
    short = {key: {n: v for n, v in s.items() if n not in COMMON} for key, s in schemas.items()}
    out += "\nexport const SHORT_SCHEMAS = " + json.dumps(short, ensure_ascii=False, indent=1) + ";\n"
    return out


def main() -> None:
    """Command line."""
    text = generate()
    if "--check" in sys.argv[1:]:
        if not TARGET.exists() or TARGET.read_text(encoding="utf-8") != text:
            sys.exit("js/src/mechanisms.gen.ts is stale: run tools/gen_types.py")
        return
    TARGET.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
