"""An evaluation of the text of a graph file, with everything that a page or a script shows."""

from __future__ import annotations

from typing import Any

from ..errors import InvalidConfigError
from ..graph.files import parse
from .chart import page
from .run import evaluate


def evaluate_file(
    content: str,
    task: str = "links",
    *,
    suffix: str = ".json",
    name: str = "graph",
    report: bool = False,
    **options: Any,
) -> dict[str, Any]:
    """Evaluate mechanisms on the graph in a file's text.

    Args:
        content: The file's text.
        task: "links" or "labels".
        suffix: What the file's name ends in, which tells its format.
        name: What errors call the graph.
        report: Also make the HTML page.
        **options: As for `evaluate`.

    Returns:
        ``evaluation`` (as `Evaluation.to_dict`), ``table`` (text) and ``report`` (HTML) or None.

    Raises:
        LoadError: The text cannot be read as a graph.

    Example:
        >>> from graphattend.evaluation import evaluate_file
        >>> ring = "".join(f"{i} {(i + 1) % 12}\\n" for i in range(12))
        >>> found = evaluate_file(ring, suffix=".txt", mechanisms=["flash"], seeds=1, epochs=2)
        >>> found["evaluation"]["best"]
        'flash'
    """
    for given, argument in ((content, "content"), (suffix, "suffix"), (name, "name")):
        if not isinstance(given, str):
            raise InvalidConfigError.of(argument, "text", type(given).__name__)
    graph = parse(content.encode("utf-8", "replace"), suffix, name)
    found = evaluate(graph, task, **options)
    return {"evaluation": found.to_dict(), "table": found.table(), "report": page(found) if report else None}
