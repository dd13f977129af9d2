"""Evaluate mechanisms on the text of a graph file, for a page or a script."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .._validate import ArrayLike, as_bool
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
    """Evaluate mechanisms on a graph, given the text of its file.

    Args:
        content: The file's text.
        task: "links" or "labels".
        suffix: Suffix of the file's name, which determines the format.
        name: Name of the graph in error messages.
        report: Also make the HTML page.
        mechanisms: As for `evaluate`, like all arguments that follow.
        x: (V, F) features.
        labels: (V,) classes.
        split: Shares or parts for training, validation and test.
        seeds: Number of seeds, or the seeds.
        baselines: Whether to measure the baselines.
        epochs: Maximum number of epochs per run.
        patience: Epochs without improvement after which a run stops.
        hidden: Width D.
        lr: Learning rate.
        layers: Number of layers of the network, 1 or 2.
        cache: Folder in which finished runs are stored.

    Returns:
        ``evaluation`` (as `Evaluation.to_dict`), ``table`` (text) and ``report`` (HTML) or None.

    Raises:
        LoadError: The text is not a graph in this format.

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
    report = as_bool(report, "report")
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
