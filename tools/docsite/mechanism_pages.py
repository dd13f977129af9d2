"""One page a mechanism, from the registry: what is written by hand in docs/mechanisms/ and what the library knows itself."""

from __future__ import annotations

import inspect
import json
import re
from pathlib import Path
from typing import Any

import numpy as np

import graphattend as ga
from graphattend.mechanisms import mechanism_class

from . import mechanism_map, pictures

ROOT = Path(__file__).resolve().parents[2]
WRITTEN = ROOT / "docs" / "mechanisms"
MEASURED = ROOT / "benchmarks" / "results" / "recommendations.json"
LIMITS = "## When not to use it"
BOUNDS = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}


def cell(text: Any) -> str:
    """Text in a table."""
    return str(text).replace("|", "\\|").replace("\n", " ")


def section(cls: type, name: str) -> str:
    """A section of a class's docstring."""
    found = re.search(rf"^{name}:\n((?:[ ]+.*\n?|\n)+)", inspect.getdoc(cls) or "", re.MULTILINE)
    return inspect.cleandoc(found[1]) if found else ""


def parameters(key: str) -> str:
    """The options as a table, from the schema."""
    rows = ["| option | default | what |", "|---|---|---|"]
    for name, rule in ga.schema(key)["properties"].items():
        bounds = [f"{sign} {rule[bound]:g}" for bound, sign in BOUNDS.items() if abs(rule.get(bound, 1e9)) < 1e9]
        choices = [f"`{json.dumps(choice)}`" for choice in rule.get("enum", []) if choice is not None]
        extra = f" ({', '.join([*bounds, *choices])})" if bounds or choices else ""
        default = f"`{json.dumps(rule['default'])}`" if "default" in rule else "required"
        rows.append(f"| `{name}` | {cell(default)} | {cell(rule['description'] + extra)} |")
    return "\n".join(rows)


def shapes(key: str) -> str:
    """Shapes in and out of a small example, as measured."""
    attention, arguments = mechanism_class(key).example(np.random.default_rng(0), 5)
    given = {name: np.shape(value) for name, value in arguments.items() if name in ("query", "keys", "values")}
    output = attention.forward(**arguments)
    weights = attention.attention_weights(**{n: v for n, v in arguments.items() if n != "values"})
    rows = [f"| | shape with N = 5 keys, D = {attention.dim} |", "|---|---|"]
    rows += [f"| `{name}` | `{shape}` |" for name, shape in given.items()]
    rows += [f"| output | `{np.shape(output)}` |", f"| weights | `{np.shape(weights)}` |"]
    learned = {name: np.shape(value) for name, value in attention.parameters().items()}
    named = ", ".join(f"`{name} {shape}`" for name, shape in list(learned.items())[:12])
    more = f" and {len(learned) - 12} more" if len(learned) > 12 else ""
    needed = attention.schema()["x-needs"] if hasattr(attention, "schema") else ga.schema(key)["x-needs"]
    needs = f"It needs {', '.join(f'`{name}`' for name in needed)} in the metadata.\n\n" if needed else ""
    return needs + "\n".join(rows) + f"\n\nParameters: {named or 'none'}{more}."


def results() -> dict[str, Any]:
    """The measured qualities; `scores` are means and spreads by mechanism: area under the ROC curve, or accuracy of labels."""
    found: dict[str, Any] = json.loads(MEASURED.read_text(encoding="utf-8"))
    for graph in found.values():
        metric = "roc_auc" if "roc_auc" in graph["rows"][0] else "accuracy"
        graph["scores"] = {row["mechanism"]: row[metric] for row in graph["rows"]}
    return found


def quality(key: str) -> str:
    """How well the mechanism predicts held-out links and labels on the graphs of the benchmark."""
    rows = ["| graph | this mechanism | best mechanism | best baseline |", "|---|---:|---|---|"]
    for graph, found in results().items():
        if key not in found["scores"]:
            continue
        mean, spread = found["scores"][key]
        best, baseline = found["best"], found["baseline"]
        rows.append(
            f"| {graph} | {100 * mean:.1f} ± {100 * spread:.1f} | `{best}` {100 * found['best_score'][0]:.1f} "
            f"| `{baseline}` {100 * found['baseline_score'][0]:.1f} |"
        )
    return "\n".join(rows) if len(rows) > 2 else "No graph of the benchmark has the metadata that this mechanism needs."


def page(key: str) -> str:
    """The page of one mechanism."""
    cls = mechanism_class(key)
    schema = ga.schema(key)
    written = WRITTEN / f"{key}.md"
    text = written.read_text(encoding="utf-8") if written.exists() else f"# {key}\n\n{schema['description']}\n"
    idea, _, limits = text.partition(LIMITS)
    heading, _, idea = idea.partition("\n")
    example = section(cls, "Example")
    return f"""{heading}

`ga.create("{key}", dim)` · {{py:obj}}`~graphattend.{cls.__name__}` · family {schema["x-family"]} · cost {schema["x-complexity"]}

{idea.strip()}

```{{figure}} pictures/{key}.svg
:alt: A tree of 15 nodes. Circles show how much the marked node attends to each of them.

The attention of the marked node of a small tree, with the initial parameters of the mechanism. Larger circles show larger weights.
```

## Parameters

{parameters(key)}

## Shapes

{shapes(key)}

## Example

```pycon
{example}
```

## Measured quality

For held-out links, the table shows the area under the ROC curve in percent, and for labels the accuracy (mean and spread over five
seeds). The networks are small and not tuned to the graph. [Which mechanism suits a graph](../evaluate.md) describes the measurement.

{quality(key)}

{LIMITS}

{limits.strip() or "Nothing is known."}

## Sources

{section(cls, "Source")}
"""


def families() -> dict[str, list[str]]:
    """Keys by family, in the registry's order."""
    found: dict[str, list[str]] = {}
    for key, schema in ga.schema().items():
        found.setdefault(schema["x-family"], []).append(key)
    return found


def ranks() -> dict[str, tuple[float, int]]:
    """Mean rank among the mechanisms over the benchmark's graphs, and on how many graphs it ran."""
    places: dict[str, list[int]] = {}
    keys = set(ga.list_mechanisms())
    for found in results().values():
        order = sorted((-score[0], key) for key, score in found["scores"].items() if key in keys)
        for place, (_, key) in enumerate(order, 1):
            places.setdefault(key, []).append(place)
    return {key: (float(np.mean(found)), len(found)) for key, found in places.items()}


def first_limit(key: str) -> str:
    """The first reason not to use a mechanism, from its page."""
    text = (WRITTEN / f"{key}.md").read_text(encoding="utf-8").partition(LIMITS)[2]
    found = re.search(r"^- (.*?\.)(?:\s|$)", text, re.MULTILINE)
    return cell(found[1]) if found else ""


def table() -> str:
    """All mechanisms in one table."""
    measured = ranks()
    rows = ["| mechanism | it assumes | cost | when not to use it | rank |", "|---|---|---|---|---:|"]
    for key, schema in ga.schema().items():
        rank = f"{measured[key][0]:.1f}" if key in measured else "–"
        assumed = mechanism_map.ASSUMES[key]
        rows.append(
            f"| [`{key}`]({key}.md) | {assumed} | {cell(schema['x-complexity'])} | {first_limit(key)} | {rank} |"
        )
    return "\n".join(rows)


def pages() -> dict[str, str]:
    """Every mechanism's page and picture by path, and the overview."""
    out = {f"mechanisms/{key}.md": page(key) for key in ga.list_mechanisms()}
    out |= {f"mechanisms/pictures/{key}.svg": pictures.picture(key) for key in ga.list_mechanisms()}
    trees = "\n".join(ga.list_mechanisms())
    overview = (WRITTEN / "index.md").read_text(encoding="utf-8")
    for mark, text in (("map", mechanism_map.page()), ("table", table())):
        overview = overview.replace(f"<!-- {mark} -->", text)
    out["mechanisms/index.md"] = f"{overview.strip()}\n\n```{{toctree}}\n:hidden:\n\n{trees}\n```\n"
    return out
