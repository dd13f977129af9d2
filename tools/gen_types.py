"""Write js/src/mechanisms.gen.ts: TypeScript types of all options, methods and functions, read from the library.

Also write src/graphattend/_bridge_schemas.json, the schemas of all options, which JavaScript gets at its start;
computing them then would import every mechanism. Run it after a change of a mechanism's options or of a public
signature; ``--check`` checks that the files are current.
"""

from __future__ import annotations

import dataclasses
import inspect
import json
import operator
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ts_types as ts

import graphattend as ga
from graphattend import _bridge_names as bridge
from graphattend.mechanisms import mechanism_class
from graphattend.mechanisms._base import Attention

ROOT = Path(__file__).resolve().parent.parent
TARGET = ROOT / "js" / "src" / "mechanisms.gen.ts"
SCHEMAS = ROOT / "src" / "graphattend" / "_bridge_schemas.json"
MODULES = ("functional", "geometry", "training", "training.schedules", "compression", "graph", "analysis", "evaluation")
HEADER = """// Written by tools/gen_types.py from the Python library; do not edit.
import type { Attention, AttentionFor } from "./attention.js";
import type { Remote } from "./objects.js";
import type { MechanismConfig } from "./schema.js";
import type {
  CallOptions, Data, Dtype, GraphData, Json, ManifoldFunctions, Mask, Matrix, Metadata, Numbers, Ranked, Reduced, Reduction, ScoreMod,
} from "./types.js";
"""
#: Options whose JSON schema is incomplete.
OPTIONS = {
    "experts": "readonly (MechanismConfig | Attention)[] | null",
    "mechanisms": "readonly (MechanismConfig | Attention)[] | null",
    "manifold": "ManifoldConfig | Manifold | ManifoldFunctions",
    "spaces": "readonly Space[] | null",
}


def option_type(name: str, rule: dict[str, Any]) -> str:
    """Return the TypeScript type of one option from its JSON schema."""
    if name in OPTIONS:
        return OPTIONS[name]
    kinds = rule["type"] if isinstance(rule.get("type"), list) else [rule.get("type")]
    if "enum" in rule:
        return ts.union([json.dumps(v) for v in rule["enum"]] + ["null"] * ("null" in kinds))
    simple = {"integer": "number", "number": "number", "boolean": "boolean", "string": "string", "null": "null"}
    return ts.union([simple[k] if k in simple else f"readonly {option_type('', rule['items'])}[]" for k in kinds])


def comment(*lines: str, indent: str = "") -> str:
    """Return a documentation comment."""
    text = " ".join(line for line in lines if line).replace("*/", "* /").replace("``", "`")
    return f"{indent}/** {text} */\n" if text else ""


def options_interface(key: str, schema: dict[str, Any]) -> str:
    """Return the interface of one mechanism's options."""
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
        body += f"  {ts.camel(name)}{optional}: {option_type(name, rule)};\n"
    return comment(schema["description"]) + f"export interface {interface_name(key)} {{\n{body}}}\n"


def interface_name(key: str) -> str:
    """Return the name of the interface of a mechanism's options."""
    return "".join(part.capitalize() for part in key.split("_")) + "Options"


def signature(name: str, function: Callable[..., Any], skip: int, seen: set[type]) -> str:
    """Return the TypeScript signature of a function or method, with documentation, also of its options."""
    hints = ts.hints_of(function)
    parameters = list(inspect.signature(function).parameters.values())[skip:]
    if inspect.isclass(function):
        result = ts.class_name(function)
    else:
        result = ts.returned(function, hints.get("return", Any), parameters, seen)
    docs = ts.option_docs(function)
    generics, positional, options, required = [], [], "", False
    by_input = "<X>" in result or "<X," in result
    for p in parameters:
        kind = ts.parameter_type(p.name, hints.get(p.name, Any), p.default)
        if p.name in ts.OMITTED:
            continue
        if p.kind is p.VAR_POSITIONAL:
            positional.append(f"...{p.name}: readonly {ts.grouped(kind)}[]")
        elif p.default is p.empty and p.kind is not p.KEYWORD_ONLY:
            if by_input and kind == "Data":
                kind = "XYZ"[len(generics)]
                generics.append(f"{kind} extends Data")
            positional.append(f"{ts.camel(p.name)}: {kind}")
        else:
            if letter := ts.CHOICES.get(p.name):
                default = json.dumps(p.default)
                generics.append(f"{letter} extends {'Reduction' if letter == 'R' else 'boolean'} = {default}")
                kind = letter
            is_optional = p.default is not p.empty
            required |= not is_optional
            shown = isinstance(p.default, (bool, int, float, str))
            options += comment(
                docs.get(p.name, ""), f"@default {json.dumps(p.default)}" if shown else "", indent="    "
            )
            options += f"    {ts.camel(p.name)}{'?' if is_optional else ''}: {kind};\n"
    if by_input:
        result = result.replace("<X", f"<{' | '.join(g[0] for g in generics if 'Data' in g)}")
    precise = re.search(r"\bD\b", result) is not None
    generics += ['D extends Dtype = "float32"'] if precise else []
    call = "CallOptions<D>" if precise else "CallOptions"
    if not any(p.startswith("...") for p in positional):
        fields = f"{{\n{options}  }} & {call}" if options else call
        positional.append(f"options{'' if required else '?'}: {fields}")
    help = (inspect.getdoc(function) or "").splitlines()[:1]
    chosen = f"<{', '.join(generics)}>" if generics else ""
    return comment(*help, indent="  ") + f"  {name}{chosen}({', '.join(positional)}): Promise<{result}>;\n"


def class_interface(cls: type, seen: set[type]) -> str:
    """Return the interface of a class whose objects are in Python."""
    body = "".join(signature(ts.camel(name), function, 1, seen) for name, function in ts.public(cls))
    help = (inspect.getdoc(cls) or "").splitlines()[:1]
    return (
        comment(*help) + f"export interface {ts.class_name(cls)} extends Remote {{\n{attributes(cls, seen)}{body}}}\n"
    )


def attributes(cls: type, seen: set[type]) -> str:
    """Return the plain attributes of a class's objects by Python's names, and the types of the others for `get`."""
    hints = dict(sorted(ts.fields_of(cls).items()))
    plain = "; ".join(f"{n}: {ts.result_type(h, n)}" for n, h in hints.items() if ts.is_scalar(h))
    out = f"  readonly fields: Readonly<{{ {plain} }}>;\n" if plain else ""
    for name, hint in hints.items():
        if ts.is_scalar(hint) or name in bridge.WITHHELD or not (name in ts.RESULTS or ts.is_data(hint)):
            continue
        kind = ts.RESULTS.get(name) or ts.result_type(hint, name, seen)
        generic, call = ('<D extends Dtype = "float32">', "CallOptions<D>") if "<D>" in kind else ("", "CallOptions")
        out += f"  get{generic}(name: {json.dumps(ts.camel(name))}, options?: {call}): Promise<{kind}>;\n"
    return out


def module_parts(module: str, seen: set[type]) -> tuple[str, list[str]]:
    """Return a module's interface and names; add its classes to `seen`."""
    package = operator.attrgetter(module)(ga)
    body, names = "", []
    for name in sorted(package.__all__):
        member = getattr(package, name)
        if name in bridge.WITHHELD or not (inspect.isclass(member) or inspect.isfunction(member)):
            continue
        spelled = name if inspect.isclass(member) else ts.camel(name)
        if inspect.isclass(member):
            seen.add(member)
        body += signature(spelled, member, 0, seen)
        names.append(spelled)
    return f"  {json.dumps(module)}: {{\n{body}  }};\n", names


def interfaces(seen: set[type]) -> str:
    """Return the interfaces of the classes in `seen`, and of those that they refer to."""
    done: dict[str, str] = {}
    while waiting := [cls for cls in sorted(seen, key=ts.class_name) if ts.class_name(cls) not in done]:
        for cls in waiting:
            done[ts.class_name(cls)] = class_interface(cls, seen)
    return "".join("\n" + done[name] for name in sorted(done))


def manifold_options(cls: Any) -> str:
    """Return the entries of a manifold's config besides its type: numbers, or the factors of a product."""
    if not dataclasses.is_dataclass(cls):
        return ""
    types = {"factors": "readonly (readonly [ManifoldConfig, number])[]"}
    entries = [(f.name, "" if f.default is dataclasses.MISSING else "?") for f in dataclasses.fields(cls)]
    return "".join(f"; {name}{may}: {types.get(name, 'number')}" for name, may in entries)


def choices(seen: set[type]) -> str:
    """Return the types that are one of several classes, or the config of one."""
    out = ""
    kinds = {"Manifold": ga.geometry.MANIFOLDS, "Codec": ga.compression.CODECS}
    kinds |= {"Optimizer": ga.training.OPTIMIZERS, "Schedule": ga.training.SCHEDULES}
    for name, registry in kinds.items():
        seen |= set(registry.values())
        names = ts.union([ts.class_name(c) for c in registry.values()])
        out += f"\n/** {'A rate for every step' if name == 'Schedule' else 'Any of them'}. */\nexport type {name} = {names};\n"
    for name, registry in (("LossName", ga.training.LOSSES), ("OptimizerName", ga.training.OPTIMIZERS)):
        out += f"export type {name} = {ts.union([json.dumps(n) for n in registry])};\n"
    options: dict[str, list[str]] = {}
    for name, cls in ga.geometry.MANIFOLDS.items():
        options.setdefault(manifold_options(cls), []).append(name)
    shapes = [f"{{ type: {ts.union([json.dumps(n) for n in names])}{own} }}" for own, names in options.items()]
    curved = options["; curvature?: number"]
    out += f"\n/** A manifold as JSON. */\nexport type ManifoldConfig = {ts.union(shapes)};\n"
    spaces = [f"[{ts.union([json.dumps(n) for n in curved])}, number, number]", '["euclidean", number, 0]']
    out += "\n/** Name, coordinates and curvature of a space. */\n"
    return out + f"export type Space = readonly {' | readonly '.join(spaces)};\n"


def generate() -> str:
    """Return the whole file."""
    schemas = ga.schema()
    seen: set[type] = set()
    out = HEADER
    for key, schema in schemas.items():
        out += "\n" + options_interface(key, schema)
    out += "\n/** Options by mechanism. */\nexport interface MechanismOptions {\n"
    out += "".join(f"  {key}: {interface_name(key)};\n" for key in schemas) + "}\n"
    out += "\n/** Metadata that a mechanism cannot do without. */\nexport interface MechanismNeeds {\n"
    for key, schema in schemas.items():
        out += f"  {key}: {' | '.join(json.dumps(ts.camel(n)) for n in schema['x-needs']) or 'never'};\n"
    out += "}\n\n/** Methods beyond those of every mechanism. */\nexport interface MechanismMethods {\n"
    common = set(bridge.methods(Attention))
    for key in schemas:
        own = [(n, f) for n, f in ts.public(mechanism_class(key)) if n not in common]
        body = "".join(signature(ts.camel(n), f, 1, seen) for n, f in own)
        out += f"  {key}: {{\n{body}  }};\n" if body else f"  {key}: {{}};\n"
    out += "}\n" + choices(seen)
    parts = {module: module_parts(module, seen) for module in MODULES}
    seen.add(ga.NeighborGraph)
    out += interfaces(seen)
    out += "\n/** Public functions and classes by module. */\nexport interface Functions {\n"
    out += "".join(body for body, _ in parts.values()) + "}\n"
    out += f"\nexport const FUNCTIONS = {json.dumps({module: names for module, (_, names) in parts.items()})};\n"
    return out


def generate_schemas() -> str:
    """Return all schemas as one line of JSON."""
    return json.dumps(ga.schema(), ensure_ascii=False, separators=(",", ":")) + "\n"


def main() -> None:
    """Command line."""
    for path, text in ((TARGET, generate()), (SCHEMAS, generate_schemas())):
        if "--check" not in sys.argv[1:]:
            path.write_text(text, encoding="utf-8")
        elif not path.exists() or path.read_text(encoding="utf-8") != text:
            sys.exit(f"{path.relative_to(ROOT)} is stale: run tools/gen_types.py")


if __name__ == "__main__":
    main()
