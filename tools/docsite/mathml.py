"""Formulas as MathML, which browsers draw by themselves, without scripts and fonts."""

from __future__ import annotations

from typing import Any

from docutils.nodes import SkipNode
from latex2mathml.converter import convert


def inline(writer: Any, node: Any) -> None:
    """A formula in a line of text."""
    writer.body.append(convert(node.astext()))
    raise SkipNode


def block(writer: Any, node: Any) -> None:
    r"""A formula on a line of its own; parts that are set apart by \qquad get a line each."""
    parts = [convert(part, display="block") for part in node.astext().split(r"\qquad")]
    writer.body.append(f'<div class="formula">{"".join(parts)}</div>\n')
    raise SkipNode


def setup(app: Any) -> dict[str, Any]:
    """Sphinx calls this."""
    app.add_html_math_renderer("mathml", inline_renderers=(inline, None), block_renderers=(block, None))
    return {"parallel_read_safe": True}
