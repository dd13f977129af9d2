"""An evaluation of the text of a graph file, with the data that a page or a script displays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .._validate import ArrayLike
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
    mechanisms: Sequence[str] | None = None,
    x: ArrayLike | None = None,
    labels: ArrayLike | None = None,
    split: object = None,
    seeds: int | Sequence[int] = 3,
    baselines: bool = True,
    epochs: int = 200,
    patience: int = 30,
    hidden: int = 32,
    lr: float = 0.01,
    layers: int = 1,
    cache: str | None = None,
) -> dict[str, Any]:
    """Evaluate mechanisms on the graph in a file's text.

    Args:
        content: The file's text.
        task: "links" or "labels".
        suffix: What the file's name ends in, which tells its format.
        name: What errors call the graph.
        report: Also make the HTML page.
        mechanisms: As for `evaluate`, like all that follow.
        x: (V, F) features.
        labels: (V,) classes.
        split: Split.
        seeds: Seeds.
        baselines: Whether baselines are measured.
        epochs: Most epochs of a run.
        patience: Epochs without a better validation.
        hidden: Width D.
        lr: Learning rate.
        layers: Layers of the network, 1 or 2.
        cache: Folder of finished runs.

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
    graph = parse(content.encode("utf-8", "replace"), name, suffix=suffix).graph
    found = evaluate(
        graph,
        task,
        mechanisms=mechanisms,
        x=x,
        labels=labels,
        split=split,
        seeds=seeds,
        baselines=baselines,
        epochs=epochs,
        patience=patience,
        hidden=hidden,
        lr=lr,
        layers=layers,
        cache=cache,
    )
    return {"evaluation": found.to_dict(), "table": found.table(), "report": page(found) if report else None}
