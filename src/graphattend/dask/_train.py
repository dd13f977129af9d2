"""Training and evaluation on a partitioned graph: mini-batches of neighbourhoods, grouped by part."""

from __future__ import annotations

import copy
import dataclasses
import os
from collections.abc import Callable
from typing import Any

import numpy as np

from .. import _tasks
from .._validate import ArrayLike, as_index, as_int, check_length, check_nonempty
from .._vjp import vjp
from ..errors import InvalidConfigError
from ..evaluation.metrics import accuracy, macro_f1
from ..evaluation.networks import AttentionLayer, glorot
from ..graph import NeighborGraph, _csr
from ..graph.blocks import Block, block_graph
from ..mechanisms._base import Attention
from ..training import Adam, FitResult, Trainer
from ..training.supervised import cross_entropy
from ._arrays import check_rows, floats, opened, rows_of
from ._attend import check_mechanism, probe, structural, workers
from ._layout import Layout, Part, part_once

#: Number of nodes whose logits are computed at once.
ROWS = 1 << 14

Arrays = dict[str, np.ndarray]


@dataclasses.dataclass(frozen=True)
class Trained:
    """The result of `train`: a mechanism and a linear classifier on its output.

    Args:
        attention: The mechanism with its learned parameters.
        weight: (E, C), the weight of the classifier, which maps outputs to logits.
        bias: (C,), the bias of the classifier.
        losses: Mean loss of each epoch.
        metrics: (epoch, accuracy on the validation nodes) of each validation.
        reason: "finished", "early_stopping" or "cancelled".

    Example:
        >>> import numpy as np, graphattend as ga
        >>> found = ga.dask.Trained(ga.create("flash", 4), np.zeros((4, 2)), np.zeros(2), [], [], "finished")
        >>> found.weight.shape
        (4, 2)
    """

    attention: Attention
    weight: np.ndarray
    bias: np.ndarray
    losses: list[float]
    metrics: list[tuple[int, float]]
    reason: str


@dataclasses.dataclass(frozen=True)
class _Setting:
    """The data that all tasks share: graph, features and classes by node, and the layer, whose graph each task sets."""

    layout: Layout
    x: Any
    labels: np.ndarray
    layer: AttentionLayer
    fanout: int | None


def train(
    attn: Attention,
    folder: str | os.PathLike[str],
    features: ArrayLike | os.PathLike[str],
    labels: ArrayLike | os.PathLike[str],
    *,
    nodes: ArrayLike | None = None,
    validation: ArrayLike | None = None,
    epochs: int = 10,
    batch_size: int = 1024,
    fanout: int | None = None,
    optimizer: Any = None,
    patience: int | None = None,
    seed: int = 0,
    client: object = None,
    checkpoint: str | os.PathLike[str] | None = None,
    resume: bool | str | os.PathLike[str] | None = None,
    on_progress: Callable[[Any], Any] | None = None,
    cancel: object = None,
) -> Trained:
    """Train a mechanism and a linear classifier on its output, on a partitioned graph.

    Each step takes a batch of nodes, samples their neighbours, and follows the mean gradient of the cross-entropy. The
    nodes of a batch in one part form a task. The result depends on the seed and the parts, but not on the workers. For
    mechanisms on a curved space, features are tangent vectors at the origin, as in `evaluate`.

    Args:
        attn: The mechanism. Training starts from its parameters.
        folder: The folder that `partition` wrote.
        features: (V, D) as for `attend`.
        labels: (V,) classes 0 … C - 1, or -1 for unknown; an array or a .npy file.
        nodes: (N,) nodes to train on; by default all nodes with a class.
        validation: (N,) nodes whose accuracy selects the best epoch. Without them, the training loss does.
        epochs: Passes over the nodes.
        batch_size: Nodes per step.
        fanout: Largest number of neighbours per node, drawn in every step without replacement; all by default.
        optimizer: Any optimizer of `graphattend.training`; Adam with lr 0.01 by default.
        patience: Stop after this number of consecutive validations without improvement.
        seed: Seed of the classifier, of the order of the nodes and of the neighbours drawn.
        client: As for `attend`.
        checkpoint: File to write after each epoch, see `Trainer.fit`.
        resume: True to continue from `checkpoint`, or the file to continue from. A resumed run gives the same result as
            an uninterrupted one.
        on_progress: Called with a `Progress` after each step; returning False cancels.
        cancel: Object with `is_set()`, or a function. A true value cancels.

    Returns:
        The `Trained` mechanism of the best epoch.

    Raises:
        LoadError, DimensionMismatchError, InvalidConfigError, UnsupportedError: As `attend`.

    Source:
        Hamilton et al. 2017, "Inductive Representation Learning on Large Graphs".

    Example:
        >>> import tempfile, numpy as np, graphattend as ga
        >>> ring = ga.NeighborGraph.from_edge_index([list(range(8)), [*range(1, 8), 0]], 8)
        >>> x, labels = np.eye(8), np.arange(8) % 2
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     _ = ga.dask.partition(ring, folder, 2)
        ...     found = ga.dask.train(ga.create("scaled_dot_product", 8), folder, x, labels, epochs=40, batch_size=4)
        ...     ga.dask.evaluate(found, folder, x, labels)["accuracy"]
        1.0
    """
    setting = _setting(attn, folder, features, labels, fanout)
    known = np.flatnonzero(setting.labels >= 0)
    chosen = known if nodes is None else _nodes(nodes, "nodes", setting.labels)
    if not chosen.size:
        raise InvalidConfigError.of("labels", "a class for some nodes", "none")
    held = None if validation is None else _nodes(validation, "validation", setting.labels)
    number = _numbers(setting.layout)
    start = _start(setting, seed)
    with workers(client, cancel) as pool:

        def objective(params: Arrays, batch: np.ndarray, rng: np.random.Generator) -> tuple[Any, Arrays]:
            groups = _groups(setting.layout, batch, number)
            seeds = rng.integers(1 << 62, size=len(groups))
            tasks = [(i, own, int(s), params) for (i, own), s in zip(groups, seeds, strict=True)]
            found = pool.map(gradients, setting, tasks)
            share = 1 / len(batch)
            total = {n: sum(g[n] for _, g in found) * np.float32(share) for n in params}
            return sum(value for value, _ in found) * share, total

        def validate(params: Arrays) -> float:
            assert held is not None
            return _measured(pool, setting, params, held, number)["accuracy"]

        trainer = Trainer(
            objective,
            Adam(lr=0.01) if optimizer is None else optimizer,
            epochs=epochs,
            batch_size=batch_size,
            seed=seed,
            validate=None if held is None else validate,
            mode="min" if held is None else "max",
            patience=patience,
        )
        result = trainer.fit(
            start, chosen, on_progress=on_progress, checkpoint=checkpoint, resume=resume, cancel=cancel
        )
    return _trained(setting, result)


def evaluate(
    model: Trained,
    folder: str | os.PathLike[str],
    features: ArrayLike | os.PathLike[str],
    labels: ArrayLike | os.PathLike[str],
    *,
    nodes: ArrayLike | None = None,
    client: object = None,
) -> dict[str, float]:
    """Measure how well a trained mechanism classifies nodes. Each node attends to all its neighbours.

    Args:
        model: The result of `train`.
        folder: As for `train`, as are the other arguments.
        features: (V, D).
        labels: (V,).
        nodes: (N,) nodes to evaluate; by default all nodes with a class.
        client: As for `attend`.

    Returns:
        "loss" (mean cross-entropy), "accuracy" and "macro_f1".

    Raises:
        LoadError, DimensionMismatchError, InvalidConfigError, UnsupportedError: As `attend`.

    Example:
        >>> import tempfile, numpy as np, graphattend as ga
        >>> ring = ga.NeighborGraph.from_edge_index([[1, 2, 0], [0, 1, 2]], 3)
        >>> model = ga.dask.Trained(ga.create("flash", 3), np.roll(np.eye(3), 1, 0), np.zeros(3), [], [], "finished")
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     _ = ga.dask.partition(ring, folder, 1)
        ...     ga.dask.evaluate(model, folder, np.eye(3), [2, 0, 1])["accuracy"]
        0.0
    """
    if not isinstance(model, Trained):
        raise InvalidConfigError.of("model", "what train gave", type(model).__name__)
    setting = _setting(model.attention, folder, features, labels, None)
    chosen = np.flatnonzero(setting.labels >= 0) if nodes is None else _nodes(nodes, "nodes", setting.labels)
    check_nonempty(chosen, "nodes")
    if setting.labels[chosen].max() >= model.bias.size:
        raise InvalidConfigError.of("labels", f"classes below {model.bias.size}", int(setting.labels[chosen].max()))
    params = {f"layer/{n}": a for n, a in setting.layer.init().items()} | {"weight": model.weight, "bias": model.bias}
    with workers(client) as pool:
        return _measured(pool, setting, params, chosen, _numbers(setting.layout))


# -- tasks -------------------------------------------------------------------------------------------------------------


def gradients(setting: _Setting, task: tuple[int, np.ndarray, int, Arrays]) -> tuple[float, Arrays]:
    """Return the loss and its gradients, summed over a batch's nodes in one part. Runs as a task."""
    number, nodes, seed, params = task
    rng = np.random.default_rng(seed)
    logits, labels, pull = _logits(setting, number, nodes, params, rng)
    value, back = vjp(cross_entropy, logits, labels, reduction="sum")
    return float(value), pull(back(1.0)[0])


def predictions(setting: _Setting, task: tuple[int, np.ndarray, Arrays]) -> tuple[float, np.ndarray]:
    """Return the summed loss and the predicted classes of nodes in one part. Runs as a task."""
    number, nodes, params = task
    value, classes = 0.0, []
    for at in range(0, len(nodes), ROWS):
        logits, labels, _ = _logits(setting, number, nodes[at : at + ROWS], params, None)
        value += float(cross_entropy(logits, labels, reduction="sum"))
        classes.append(logits.argmax(axis=1))
    return value, np.concatenate(classes)


def _logits(
    setting: _Setting, number: int, nodes: np.ndarray, params: Arrays, rng: np.random.Generator | None
) -> tuple[np.ndarray, np.ndarray, Callable[[np.ndarray], Arrays]]:
    """Return the logits (b, C) and classes of a part's nodes, which are sorted, and the pullback to the parameters."""
    layout, order = setting.layout, setting.layout.node_array("order")
    part = part_once(layout, number)
    graph, rows, members = _neighborhoods(layout, part, nodes - part.start, setting, rng)
    given = members if order is None else order[members]
    x = floats(rows_of(setting.x, given), "features", lambda i: given[i], setting.layer.attn.check_finite)
    layer = copy.copy(setting.layer)
    object.__setattr__(layer, "graph", graph)
    own = {n.removeprefix("layer/"): a for n, a in params.items() if n.startswith("layer/")}
    out, pull_layer = layer.apply(own, x, rng)
    mixed = out[rows]
    labels = setting.labels[nodes if order is None else order[nodes]]

    def pull(g: np.ndarray) -> Arrays:
        spread = np.zeros_like(out)
        spread[rows] = g @ params["weight"].T
        found = {f"layer/{n}": a for n, a in pull_layer(spread)[1].items()}
        return {"weight": mixed.T @ g, "bias": g.sum(axis=0), **found}

    return mixed @ params["weight"] + params["bias"], labels, pull


def _neighborhoods(
    layout: Layout, part: Part, rows: np.ndarray, setting: _Setting, rng: np.random.Generator | None
) -> tuple[NeighborGraph, np.ndarray, np.ndarray]:
    """Return the graph of sorted rows of a part with (sampled) neighbours, the rows' positions in it, and its nodes."""
    indptr, indices, halo = part.block
    degree = np.asarray(indptr[rows + 1] - indptr[rows], np.intp)
    edges = _csr.ranges(np.asarray(indptr[rows], np.intp), degree)
    if rng is not None and setting.fanout is not None:
        row = np.repeat(np.arange(len(rows)), degree)
        first = np.cumsum(degree) - degree
        drawn = np.lexsort((rng.random(len(edges)), row))
        edges = edges[np.sort(drawn[np.arange(len(row)) - first[row] < setting.fanout])]
        degree = np.minimum(degree, setting.fanout)
    local, place = np.unique(np.concatenate([rows, indices[edges]]), return_inverse=True)
    counts = np.zeros(len(local), np.intp)
    counts[place[: len(rows)]] = degree
    size = part.stop - part.start
    far = local >= size
    members = local + part.start
    members[far] = halo[local[far] - size]
    attn = setting.layer.attn
    read = {*attn.needed, *attn.used}
    layers = layout.node_array("layers")
    features = layout.node_array("structural_features") if structural(attn) else None
    graph = block_graph(
        Block(np.concatenate([[0], np.cumsum(counts)]), place[len(rows) :], np.zeros(0, np.intp)),
        None if features is None else features[members],
        layers=None if layers is None else layers[members],
        **{name: a[edges] for name, a in part.data.items() if name in read},
    )
    return graph, place[: len(rows)], members


# -- setup and results -------------------------------------------------------------------------------------------------


def _setting(
    attn: Attention, folder: str | os.PathLike[str], features: object, labels: object, fanout: int | None
) -> _Setting:
    layout = Layout.open(folder)
    check_mechanism(attn, layout)
    x = opened(features, "features")
    check_rows(x, "features", layout.num_nodes, attn.dim)
    classes = as_index(opened(labels, "labels"), "labels", ndim=1)
    check_length(classes, "labels", 0, layout.num_nodes, "one per node")
    if classes.size and classes.min() < -1:
        raise InvalidConfigError.of("labels", "classes, or -1 where none is known", int(classes.min()))
    if fanout is not None:
        as_int(fanout, "fanout", minimum=1)
    return _Setting(layout, x, np.asarray(classes), AttentionLayer(attn, probe(layout)), fanout)


def _nodes(given: object, argument: str, labels: np.ndarray) -> np.ndarray:
    found = as_index(given, argument, len(labels), ndim=1)
    check_nonempty(found, argument)
    if (labels[found] < 0).any():
        raise InvalidConfigError.of(argument, "labelled nodes", f"{int((labels[found] < 0).sum())} without a class")
    return found


def _numbers(layout: Layout) -> np.ndarray | None:
    """Return the position of every node in the order of the parts, or None if the order is unchanged."""
    order = layout.node_array("order")
    if order is None:
        return None
    number = np.empty(layout.num_nodes, np.intp)
    number[order] = np.arange(layout.num_nodes)
    return number


def _groups(layout: Layout, nodes: np.ndarray, number: np.ndarray | None) -> list[tuple[int, np.ndarray]]:
    """Group nodes by part; return the parts with their nodes, sorted and numbered in the order of the parts."""
    placed = np.sort(nodes if number is None else number[nodes])
    cuts = np.searchsorted(placed, layout.starts)
    return [(i, placed[cuts[i] : cuts[i + 1]]) for i in range(layout.num_parts) if cuts[i] < cuts[i + 1]]


def _start(setting: _Setting, seed: int) -> Arrays:
    rng = np.random.default_rng([as_int(seed, "seed", minimum=0), 2])
    classes = int(setting.labels.max(initial=0)) + 1
    own = {f"layer/{n}": a.astype(np.float32) for n, a in setting.layer.init().items()}
    return {"weight": glorot(rng, setting.layer.width, classes), "bias": np.zeros(classes, np.float32), **own}


def _measured(
    pool: _tasks.Pool, setting: _Setting, params: Arrays, nodes: np.ndarray, number: np.ndarray | None
) -> dict[str, float]:
    groups = _groups(setting.layout, nodes, number)
    found = pool.map(predictions, setting, [(i, own, params) for i, own in groups])
    order = setting.layout.node_array("order")
    placed = np.concatenate([own for _, own in groups])
    truth = setting.labels[placed if order is None else order[placed]]
    predicted = np.concatenate([classes for _, classes in found])
    loss = sum(value for value, _ in found) / len(placed)
    return {"loss": loss, "accuracy": accuracy(truth, predicted), "macro_f1": macro_f1(truth, predicted)}


def _trained(setting: _Setting, result: FitResult) -> Trained:
    params = result.best_params
    own = {n.removeprefix("layer/"): a for n, a in params.items() if n.startswith("layer/")}
    attention = setting.layer.with_parameters(own)
    return Trained(attention, params["weight"], params["bias"], result.losses, result.metrics, result.reason)
