"""Train the same small network with each mechanism, and compare how well they predict."""

from __future__ import annotations

import contextlib
import dataclasses
import os
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from .. import _tasks
from .. import mechanisms as registry
from .._validate import (
    ArrayLike,
    as_bool,
    as_choice,
    as_float,
    as_function,
    as_int,
    as_number,
    check_finite,
    check_length,
    check_ndim,
    check_nonempty,
)
from ..analysis import make, with_distances
from ..errors import AttentionError, CancelledError, InvalidConfigError
from ..graph import NeighborGraph
from ..mechanisms._base import Attention
from ._runs import Settings, edge_weights, network, scored, trained
from .baselines import BASELINES, applicable, own_features, scaled
from .cache import Cache, arrays, digest
from .networks import AttentionLayer
from .results import Attended, Entry, Evaluation, Run
from .tasks import Task
from .tasks import labels as make_labels
from .tasks import links as make_links

#: Version of cached runs; increased whenever the same call gives other results.
VERSION = 4


def evaluate(
    graph: NeighborGraph,
    task: str,
    *,
    mechanisms: Sequence[str | Attention] | None = None,
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
    cache: str | Path | None = None,
    on_progress: Callable[[int, int, str], Any] | None = None,
) -> Evaluation:
    """Train every mechanism on the same task, and measure it on held-out data.

    All mechanisms are layers of the same small network. It projects the features to `hidden` coordinates, applies one
    or two layers with residual connections, and decodes by dot products for links or a linear layer for labels. Adam
    trains it with early stopping on the validation part. Split, parameters and negatives depend on the seed only, so
    all mechanisms are compared on the same splits.

    Held-out links are removed from the graph before any mechanism attends over it. ROC-AUC and average precision
    compare them with as many pairs drawn uniformly from all pairs of nodes without a link. MRR and hits@10 rank each
    link among 50 negatives, half of them two steps from its source.

    Inside `ga.parallel` each pair of a mechanism and a seed is a task. The metrics are the same; times and memory are
    measured on workers that share a machine.

    Args:
        graph: The graph. Links are pairs of nodes, whatever the direction of the edges.
        task: "links" (predict held-out links) or "labels" (predict the classes of nodes).
        mechanisms: Registry keys, or mechanisms of width `hidden`; all that apply to the graph by default.
        x: (V, F) features; by default a spectral embedding of the graph without the held-out links.
        labels: (V,) classes for the task "labels": integers, with -1 for unknown, or text.
        split: Shares of training, validation and test, or the parts themselves, as a tuple or by name: nodes (indices
            or masks) for labels, (2, K) pairs of nodes for links. By default 70/10/20 % of the links, and 60/20/20 %
            of each class.
        seeds: Number of seeds, or the seeds.
        baselines: Whether to measure common neighbours, Adamic–Adar, the features alone, the spectral embedding alone,
            and a graph convolution, too.
        epochs: Maximum number of epochs per run.
        patience: Number of epochs without improvement in validation after which a run stops.
        hidden: Width D of the mechanisms.
        lr: Learning rate.
        layers: Number of layers of the network, 1 or 2. The second layer is the same mechanism with its own parameters,
            and attends over the outputs of the first. The result describes the attention of the last layer.
        cache: Folder that stores every run under a hash of everything that affects it. Stored runs are not repeated.
        on_progress: Called as ``on_progress(done, total, name)``, in epochs. If it returns False, `evaluate` stops and
            returns the finished runs.

    Returns:
        An `Evaluation`.

    Raises:
        InvalidConfigError: An argument has the wrong type, no mechanism applies, or the split is impossible.
        DimensionMismatchError: Features or labels do not fit the graph.

    Source:
        Protocol of link prediction: Kipf & Welling 2016, "Variational Graph Auto-Encoders". Hard negatives:
        Li et al. 2023, "Evaluating Graph Neural Networks for Link Prediction: Current Pitfalls and New Benchmarking".

    Example:
        >>> import graphattend as ga
        >>> ring = ga.NeighborGraph.from_edge_index([list(range(12)), [*range(1, 12), 0]], 12)
        >>> found = ga.evaluate(ring, "links", mechanisms=["scaled_dot_product"], seeds=2, epochs=3)
        >>> found.best, len(found["scaled_dot_product"].runs)
        ('scaled_dot_product', 2)
    """
    baselines = as_bool(baselines, "baselines")
    settings = Settings(_seeds(seeds), epochs, patience, hidden, lr, layers)
    plan, made, skipped = _planned(graph, task, mechanisms, x, labels, split, settings, cache)
    settings = plan.settings
    names = list(made) + (list(applicable(plan.tasks[0], plan.x[0], plan.settings)) if baselines else [])
    report = _Report(as_function(on_progress, "on_progress"), settings.epochs * len(settings.seeds), names)
    pool = _tasks.pool()
    found = plan.in_turn(names, made, report) if pool is None else plan.on_pool(pool, names, made, report)
    whole = [name for name in names if len(found[name]) == len(settings.seeds)]
    entries = [plan.entry(name, made.get(name), found[name]) for name in whole]
    if not entries:
        raise InvalidConfigError.of("on_progress", "a run that is not cancelled before the first mechanism", "False")
    return Evaluation(
        task,
        plan.tasks[0].metrics,
        tuple(entries),
        skipped,
        plan.tasks[0].graph,
        dataclasses.asdict(settings) | {"seeds": list(settings.seeds)},
        len(entries) == len(names),
    )


def _planned(
    graph: object,
    task: object,
    mechanisms: object,
    x: object,
    labels: object,
    split: object,
    settings: Settings,
    cache: object,
) -> tuple[_Plan, dict[str, Attention], dict[str, str]]:
    """Check the arguments; return the plan, the mechanisms by name, and the reasons why others do not apply."""
    if not isinstance(graph, NeighborGraph):
        raise InvalidConfigError.of("graph", "a NeighborGraph", type(graph).__name__)
    as_choice(task, "task", ("links", "labels"))
    if (task == "labels") != (labels is not None):
        expected = "classes of the nodes for task 'labels', and only for it"
        raise InvalidConfigError.of("labels", expected, type(labels).__name__)
    for name in ("epochs", "patience", "hidden", "layers"):
        as_int(getattr(settings, name), name, minimum=1, maximum=2 if name == "layers" else 2**31 - 1)
    settings = dataclasses.replace(settings, lr=as_number(settings.lr, "lr", above=0))
    if cache is not None and not isinstance(cache, (str, os.PathLike)):
        raise InvalidConfigError.of("cache", "a folder", type(cache).__name__)
    graph = with_distances(graph)
    given = None if x is None else _features(x, graph)
    if task == "links":
        tasks: list[Any] = [make_links(graph, split, s) for s in settings.seeds]
    else:
        tasks = [make_labels(graph, labels, split, s) for s in settings.seeds]
    made, skipped = _mechanisms(mechanisms, tasks[0], settings)
    features = [scaled(own_features(t.graph) if given is None else given) for t in tasks]
    return _Plan(tasks, features, settings, Cache(None if cache is None else Path(cache))), made, skipped


def _seeds(seeds: object) -> tuple[int, ...]:
    if isinstance(seeds, (list, tuple, range)):
        found = tuple(as_int(s, f"seeds[{i}]", minimum=0) for i, s in enumerate(seeds))
    else:
        found = tuple(range(as_int(seeds, "seeds", minimum=1, maximum=1_000_000)))
    if not found or len(set(found)) < len(found):
        raise InvalidConfigError.of("seeds", "different seeds, at least one", seeds, got=f"{seeds!r:.80}")
    return found


def _features(x: object, graph: NeighborGraph) -> np.ndarray:
    found = as_float(x, "x", beside=np.dtype(np.float32))
    check_ndim(found, "x", 2, 2)
    check_nonempty(found, "x")
    check_length(found, "x", 0, graph.num_nodes, "one row per node")
    check_finite(found, "x")
    return found


def _mechanisms(given: object, task: Task, settings: Settings) -> tuple[dict[str, Attention], dict[str, str]]:
    """Return mechanisms by name, and the reasons why others do not apply; a mechanism in `given` has to apply."""
    if given is not None and (not isinstance(given, (list, tuple)) or not given):
        raise InvalidConfigError.of("mechanisms", "a list of keys or mechanisms", given, got=f"{given!r:.80}")
    made: dict[str, Attention] = {}
    skipped: dict[str, str] = {}
    for i, one in enumerate(registry.list_mechanisms() if given is None else given):
        if not isinstance(one, (str, Attention)):
            raise InvalidConfigError.of(f"mechanisms[{i}]", "a key or a mechanism", type(one).__name__)
        name = one.key if isinstance(one, Attention) else one
        if name in made:
            raise InvalidConfigError.of(f"mechanisms[{i}]", "each mechanism once", name)
        try:
            attn = one if isinstance(one, Attention) else make(one, task.graph, settings.hidden, {}, 0)
            if attn.dim != settings.hidden:
                raise InvalidConfigError.of(f"mechanisms[{i}]", f"dim = {settings.hidden}, as hidden", attn.dim)
            AttentionLayer(attn, task.graph)
            made[name] = attn
        except AttentionError as error:
            if given is not None:
                raise
            skipped[name] = str(error)
    return made, skipped


@dataclasses.dataclass
class _Report:
    """Reports epochs to `on_progress`, and remembers whether the caller has cancelled."""

    on_progress: Callable[[int, int, str], Any] | None
    each: int
    names: list[str]
    cancelled: bool = False

    def at(self, name: str, place: int, epoch: int = 0) -> bool:
        """Report the progress within a run; return False to stop."""
        return self.say(name, self.names.index(name) * self.each + place + epoch)

    def say(self, name: str, done: int) -> bool:
        """Report the number of finished epochs; return False to stop."""
        if self.on_progress is not None and not self.cancelled:
            self.cancelled = self.on_progress(done, self.each * len(self.names), name) is False
        return not self.cancelled


@dataclasses.dataclass(frozen=True)
class _Plan:
    """The tasks and features of each seed, and how to run a mechanism or a baseline on them."""

    tasks: list[Any]
    x: list[np.ndarray]
    settings: Settings
    cache: Cache

    def in_turn(self, names: list[str], made: dict[str, Attention], report: _Report) -> dict[str, list[Any]]:
        """Return the runs of every mechanism and baseline, seed by seed; fewer if cancelled."""
        found: dict[str, list[Any]] = {name: [] for name in names}
        for name in names:
            for i in range(len(self.settings.seeds)):
                place = i * self.settings.epochs
                run = None
                if report.at(name, place):
                    run = self.run(name, made.get(name), i, partial(report.at, name, place))
                if run is None:
                    return found
                found[name].append(run)
        return found

    def on_pool(
        self, pool: _tasks.Pool, names: list[str], made: dict[str, Attention], report: _Report
    ) -> dict[str, list[Any]]:
        """Return the same as `in_turn`, with one task of the pool per mechanism and seed."""
        tasks = [(name, i) for name in names for i in range(len(self.settings.seeds))]
        runs: dict[tuple[str, int], Any] = {}

        def keep(i: int, run: object) -> bool:
            runs[tasks[i]] = run
            return report.say(tasks[i][0], len(runs) * self.settings.epochs)

        report.say(names[0], 0)
        with contextlib.suppress(CancelledError):
            pool.map(one_run, (self, made), tasks, on_done=keep)
        return {n: [runs[n, i] for i in range(len(self.settings.seeds)) if (n, i) in runs] for n in names}

    def entry(self, name: str, attn: Attention | None, found: list[Any]) -> Entry:
        """Collect the runs of one mechanism or baseline."""
        first = found[0]
        runs = tuple(Run(seed=s, **f["run"]) for s, f in zip(self.settings.seeds, found, strict=True))
        attended = None if first["before"] is None else Attended(*(np.array(first[n]) for n in ("before", "after")))
        options = {} if attn is None else attn.to_config()["options"]
        return Entry(name, attn is None, options, first["parameters"], first["memory"], runs, attended)

    def model(self, attn: Attention, i: int) -> Any:
        """Return the network with this mechanism for the task of the i-th seed."""
        task = self.tasks[i]
        return network(AttentionLayer(attn, task.graph), task, self.x[i], self.settings)

    def run(self, name: str, attn: Attention | None, i: int, going: Callable[[int], bool]) -> dict[str, Any] | None:
        """Run one mechanism or baseline with the i-th seed; return None if cancelled."""
        task, x, settings = self.tasks[i], self.x[i], self.settings
        config = None if attn is None else attn.to_config()
        decided = {"name": name, "config": config, "version": VERSION} | dataclasses.asdict(settings)
        del decided["seeds"]
        own = [] if attn is None else list(attn.parameters().values())
        key = digest(decided, settings.seeds[i], i == 0, x, *arrays(task), *own)
        if (kept := self.cache.find(key)) is not None:
            return kept
        model: Any = BASELINES[name](task, x, settings) if attn is None else self.model(attn, i)
        found = (
            trained(task, model, settings, settings.seeds[i], going) if hasattr(model, "apply") else scored(task, model)
        )
        if found is None:
            return None
        before = after = None
        if attn is not None and i == 0:
            start = model.init(settings.seeds[i])
            before, after = (edge_weights(model, params).tolist() for params in (start, found.pop("params")))
        found.pop("params", None)
        found |= {"before": before, "after": after}
        self.cache.keep(key, found)
        return found


def one_run(common: tuple[_Plan, dict[str, Attention]], task: tuple[str, int]) -> dict[str, Any] | None:
    """Run one mechanism or baseline with one seed, as a task of a pool."""
    (plan, made), (name, i) = common, task
    return plan.run(name, made.get(name), i, lambda epoch: True)


@dataclasses.dataclass(frozen=True)
class Fit:
    """One mechanism trained on a task.

    Args:
        attention: The mechanism with its learned parameters, from the last layer.
        latents: (V, D) the inputs of that layer: projected features, or the first layer's outputs; points of its
            manifold if it has one.
        output: (V, E) outputs of the network: node embeddings for "links", class scores for "labels".
        graph: The training graph, without the held-out links.
        metrics: Test metrics by name.
        epochs: Number of epochs until the run ended.

    Example:
        >>> import graphattend as ga
        >>> ring = ga.NeighborGraph.from_edge_index([list(range(12)), [*range(1, 12), 0]], 12)
        >>> found = ga.evaluation.fit(ring, "links", "flash", epochs=2)
        >>> found.attention.attend(ring, found.latents).shape
        (12, 32)
    """

    attention: Attention
    latents: np.ndarray
    output: np.ndarray
    graph: NeighborGraph
    metrics: dict[str, float]
    epochs: int


def fit(
    graph: NeighborGraph,
    task: str,
    mechanism: str | Attention,
    *,
    x: ArrayLike | None = None,
    labels: ArrayLike | None = None,
    split: object = None,
    seed: int = 0,
    epochs: int = 200,
    patience: int = 30,
    hidden: int = 32,
    lr: float = 0.01,
    layers: int = 1,
    on_progress: Callable[[int, int, str], Any] | None = None,
) -> Fit | None:
    """Train one mechanism as `evaluate` does, and return the trained mechanism.

    Args:
        graph: As for `evaluate`, like all arguments without further description.
        task: "links" or "labels".
        mechanism: Registry key, or a mechanism of width `hidden`.
        x: (V, F) features.
        labels: (V,) classes.
        split: Shares or parts for training, validation and test.
        seed: Seed of split, parameters and negatives.
        epochs: Maximum number of epochs.
        patience: Epochs without improvement after which training stops.
        hidden: Width D.
        lr: Learning rate.
        layers: Number of layers, 1 or 2. The result is the last layer.
        on_progress: As for `evaluate`.

    Returns:
        A `Fit`; None if cancelled.

    Raises:
        InvalidConfigError: As `evaluate`.

    Example:
        >>> import graphattend as ga
        >>> ring = ga.NeighborGraph.from_edge_index([list(range(12)), [*range(1, 12), 0]], 12)
        >>> sorted(ga.evaluation.fit(ring, "links", "hyperbolic", epochs=2).metrics)
        ['average_precision', 'hits@10', 'mrr', 'roc_auc']
    """
    plan, made, _ = _planned(
        graph, task, [mechanism], x, labels, split, Settings(_seeds([seed]), epochs, patience, hidden, lr, layers), None
    )
    ((name, attn),) = made.items()
    report = _Report(as_function(on_progress, "on_progress"), plan.settings.epochs, [name])
    model = plan.model(attn, 0)
    found = trained(plan.tasks[0], model, plan.settings, seed, partial(report.at, name, 0))
    if found is None:
        return None
    params = found["params"]
    own, latents = model.last(params)
    learned, points = model.layer.with_parameters(own), model.layer.points(latents)
    output = model.apply(params)[0]
    return Fit(learned, points, output, plan.tasks[0].graph, found["run"]["metrics"], found["run"]["epochs"])
