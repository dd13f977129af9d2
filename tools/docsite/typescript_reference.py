"""Pages of the TypeScript reference, from what the compiler knows about the npm package's exports."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

from .docstrings import inline
from .python_reference import title

ROOT = Path(__file__).resolve().parents[2]
ENTRIES = {"graphattend": "js/src/index.ts", "kernels": "js/src/kernels/index.ts"}
Entry = dict[str, Any]

#: Pages: (file, title, what it is about, module, which exports).
PAGES = [
    (
        "graphattend",
        "graphattend",
        'What `import … from "graphattend"` offers: the library in Pyodide, behind promises.',
    ),
    (
        "mechanisms",
        "Options of mechanisms",
        "What `ga.create(key, options)` takes, and what each mechanism can do beside the usual.",
    ),
    (
        "functions",
        "Functions by module",
        "The Python library's functions and classes under JavaScript's spelling: `ga.functional.softmax(…)`.",
    ),
    (
        "classes",
        "Objects in Python",
        "What those functions return when it stays in Python: graphs, manifolds, codecs, optimizers, results.",
    ),
    (
        "kernels",
        "graphattend/kernels",
        'What `import … from "graphattend/kernels"` offers: the kernels without Python.',
    ),
]


def exports() -> dict[str, list[Entry]]:
    """Everything exported, by entrance."""
    command = ["node", str(ROOT / "tools" / "docsite" / "typescript.mjs"), *(f"{m}={f}" for m, f in ENTRIES.items())]
    done = subprocess.run(command, capture_output=True, text=True, check=True, encoding="utf-8")
    return {found["module"]: found["exports"] for found in json.loads(done.stdout)}


def page_of(module: str, entry: Entry) -> str:
    """The page of an exported name."""
    if module == "kernels":
        return "kernels"
    if entry["name"] in ("Functions", "FUNCTIONS"):
        return "functions"
    if entry["file"] != "mechanisms.gen.ts":
        return "graphattend"
    if entry["name"].startswith("Mechanism") or (entry["name"].endswith("Options") and entry["kind"] == "interface"):
        return "mechanisms"
    return "classes"


def indented(text: str) -> str:
    """Text one level deeper."""
    return "".join(f"   {line}".rstrip() + "\n" if line.strip() else "\n" for line in text.splitlines())


def prose(text: str) -> str:
    """A comment as reStructuredText."""
    return inline(text) + "\n\n" if text else ""


def options(entry: Entry) -> str:
    """The options of a call as a list."""
    rows = [
        f"- ``{option['signature']}``" + (f": {inline(option['doc'])}" if option["doc"] else "")
        for option in entry["options"]
    ]
    return "Options:\n\n" + "\n".join(" ".join(row.split()) for row in rows) + "\n\n" if rows else ""


def unescaped(signature: str) -> str:
    """A signature as the argument of a directive."""
    return signature.replace("\\", "\\\\")


def described(path: str, entry: Entry) -> str:
    """An entry and its members."""
    full = f"{path}.{entry['name']}"
    inner = prose(entry["doc"]) + options(entry)
    seen: set[str] = set()
    for member in entry["members"]:
        again = member["name"] in seen  # an overload: shown, but the first is the one that links find
        seen.add(member["name"])
        text = described(full, member)
        inner += text.replace("\n", "\n   :no-index:\n", 1) if again else text
    return f".. ts:: {full} = {unescaped(entry['signature'])}\n\n{indented(inner)}\n"


def pages() -> dict[str, str]:
    """Every page by its path, and the index of them."""
    contents: dict[str, list[tuple[str, Entry]]] = {file: [] for file, *_ in PAGES}
    for module, entries in exports().items():
        for entry in entries:
            contents[page_of(module, entry)].append((module, entry))
    out = {}
    for file, name, about in PAGES:
        body = title(name) + "\n" + inline(about) + "\n\n"
        if file == "functions":
            for module, entry in contents[file]:
                for part in entry["members"]:
                    body += title(part["name"], "-") + "\n"
                    body += "".join(described(f"{module}.{part['name']}", m) for m in part["members"])
                body += described(module, entry | {"members": []})
        else:
            order = {"function": 0, "class": 1, "const": 2, "interface": 3, "type": 4}
            for module, entry in sorted(contents[file], key=lambda pair: order[pair[1]["kind"]]):
                body += described(module, entry)
        out[f"api/typescript/{file}.rst"] = body
    rows = "".join(f"   * - :doc:`{name} <{file}>`\n     - {inline(about)}\n" for file, name, about in PAGES)
    tree = "\n".join(f"   {name} <{file}>" for file, name, _ in PAGES)
    out["api/typescript/index.rst"] = (
        title("TypeScript")
        + "\nEvery exported name of the npm package, read from its sources by the TypeScript compiler.\n\n"
        + ".. list-table::\n   :widths: 34 66\n   :class: overview\n\n"
        + rows
        + f"\n.. toctree::\n   :hidden:\n\n{tree}\n"
    )
    return out
