"""Entries of the TypeScript reference: `.. ts:: full.name = signature`, with links from the types in a signature."""

from __future__ import annotations

import re
from typing import Any

from docutils import nodes
from sphinx import addnodes

TOKEN = re.compile(r"[A-Z]\w+|[^A-Z]+|[A-Z]")


def parse(env: Any, text: str, node: Any) -> str:
    """The name that an entry is found by; its signature goes into the node."""
    full, _, signature = text.partition(" = ")
    name = full.rpartition(".")[2]
    before, found, after = signature.partition(name)
    if found:
        if before:
            node += addnodes.desc_addname(before, before)
        node += addnodes.desc_name(name, name)
    rest = addnodes.desc_addname(classes=["ts-signature"])
    module = full.partition(".")[0]
    for token in TOKEN.findall(after if found else signature):
        if re.match(r"[A-Z]\w", token):
            reference = addnodes.pending_xref(
                "", nodes.Text(token), refdomain="std", reftype="ts", reftarget=f"{module}.{token}"
            )
            reference["refexplicit"] = True
            rest += reference
        else:
            rest += nodes.Text(token)
    node += rest
    return full


def setup(app: Any) -> dict[str, Any]:
    """Sphinx calls this."""
    app.add_object_type("ts", "ts", "%s (TypeScript)", parse)
    return {"parallel_read_safe": True}
