"""Results of an evaluation, with conversions to rows, JSON, text and pictures."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from .._validate import as_bool, as_choice, as_index, as_int
from ..graph import NeighborGraph
from .metrics import divergence_by_node, jensen_shannon, sign_flip_test, top_overlap

#: Number of nodes whose strongest neighbours the text lists.
_LISTED = 5


@dataclasses.dataclass(frozen=True)
class Run:
    """One network trained with one seed.

    Args:
        seed: The seed of split, parameters and negatives.
        metrics: Test metrics by name, at the epoch with the best validation metric.
        validation: The primary metric on the validation part.
        epochs: Number of epochs until the run ended.
        seconds_per_epoch: Median time of an epoch; 0 without training.
        calibration: `evaluation.calibration` of the test part, (10, 3); None if the scores are not probabilities.

    Example:
        >>> from graphattend.evaluation import Run
        >>> Run(0, {"roc_auc": 0.9}, 0.92, 40, 0.01).metrics["roc_auc"]
        0.9
    """

    seed: int
    metrics: dict[str, float]
    validation: float
    epochs: int
    seconds_per_epoch: float
    calibration: list[list[float]] | None = None


@dataclasses.dataclass(frozen=True)
class Attended:
    """The attention of one mechanism (its last layer) over its training graph, with the first seed.

    Args:
        before: (K,) one weight per edge with the initial parameters, averaged over the heads.
        after: (K,) likewise with the learned parameters.

    Example:
        >>> import numpy as np
        >>> from graphattend.evaluation import Attended
        >>> Attended(np.array([0.5, 0.5]), np.array([0.9, 0.1])).after.tolist()
        [0.9, 0.1]
    """

    before: np.ndarray
    after: np.ndarray


@dataclasses.dataclass(frozen=True)
class Entry:
    """All runs of one mechanism or baseline.

    Args:
        name: Registry key, or name of the baseline.
        baseline: Whether this is a baseline.
        options: The mechanism's options.
        parameters: Number of trained scalars.
        memory: Peak memory that one training step allocates, in bytes.
        runs: One per seed.
        attended: The attention before and after training; None for baselines.

    Example:
        >>> from graphattend.evaluation import Entry
        >>> Entry("gcn", True, {}, 64, 1000, (), None).name
        'gcn'
    """

    name: str
    baseline: bool
    options: dict[str, Any]
    parameters: int
    memory: int
    runs: tuple[Run, ...]
    attended: Attended | None

    def values(self, metric: str) -> np.ndarray:
        """Return a metric of each run, (S,)."""
        return np.array([run.metrics[metric] for run in self.runs])


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """The result of `evaluate`.

    Args:
        task: "links" or "labels".
        metrics: Names of the metrics, the primary one first.
        entries: One per mechanism and baseline.
        skipped: Mechanisms that do not apply to the graph, with reasons.
        graph: The training graph of the first seed.
        settings: The settings that determine the results: seeds, epochs, patience, hidden, lr, layers.
        complete: Whether all runs finished; False after a cancellation.

    Example:
        >>> import graphattend as ga
        >>> ring = ga.NeighborGraph.from_edge_index([list(range(12)), [*range(1, 12), 0]], 12)
        >>> found = ga.evaluate(ring, "links", mechanisms=["flash"], seeds=1, epochs=2)
        >>> [row["mechanism"] for row in found.rows]
        ['flash', 'common_neighbors', 'adamic_adar', 'features', 'gcn']
    """

    task: str
    metrics: tuple[str, ...]
    entries: tuple[Entry, ...]
    skipped: dict[str, str]
    graph: NeighborGraph
    settings: dict[str, Any]
    complete: bool

    def __post_init__(self) -> None:
        object.__setattr__(self, "entries", tuple(self.entries))

    @property
    def primary(self) -> str:
        """The metric that early stopping and `best` use."""
        return self.metrics[0]

    @property
    def best(self) -> str:
        """The mechanism with the highest mean of the primary metric; baselines do not count."""
        own = [e for e in self.entries if not e.baseline] or list(self.entries)
        return max(own, key=self._mean).name

    @property
    def best_baseline(self) -> str | None:
        """The baseline with the highest mean of the primary metric."""
        own = [e for e in self.entries if e.baseline]
        return max(own, key=self._mean).name if own else None

    def _mean(self, entry: Entry) -> float:
        return float(entry.values(self.primary).mean())

    def __getitem__(self, name: str) -> Entry:
        for entry in self.entries:
            if entry.name == name:
                return entry
        raise KeyError(name)

    @property
    def rows(self) -> list[dict[str, Any]]:
        """One dictionary per mechanism and baseline, in the order of `entries`.

        The keys are ``mechanism``, each metric as (mean, standard deviation over the seeds), ``p_value`` of the paired
        difference from the best entry (None for that entry), ``calibration_error`` (None if the scores are not
        probabilities), ``seconds_per_epoch``, ``epochs``, ``parameters``, ``memory`` (bytes) and ``baseline``.
        """
        top = max(self.entries, key=self._mean)
        return [self._row(entry, top) for entry in self.entries]

    def _row(self, entry: Entry, top: Entry) -> dict[str, Any]:
        row: dict[str, Any] = {"mechanism": entry.name}
        for metric in self.metrics:
            values = entry.values(metric)
            row[metric] = (float(values.mean()), float(values.std(ddof=1)) if values.size > 1 else 0.0)
        difference = top.values(self.primary)[: len(entry.runs)] - entry.values(self.primary)[: len(top.runs)]
        return row | {
            "p_value": None if entry is top else sign_flip_test(difference),
            "calibration_error": self._calibration_error(entry.name),
            "seconds_per_epoch": float(np.median([r.seconds_per_epoch for r in entry.runs])),
            "epochs": float(np.mean([r.epochs for r in entry.runs])),
            "parameters": entry.parameters,
            "memory": entry.memory,
            "baseline": entry.baseline,
        }

    def calibration(self, name: str) -> np.ndarray | None:
        """Compare predicted probabilities with observed frequencies on the test parts of all seeds.

        For links it is the probability of a link, over equal numbers of linked and unlinked pairs. For labels it is
        the probability of the predicted class.

        Returns:
            (10, 3) as `evaluation.calibration` returns; None for baselines whose scores are not probabilities.
        """
        name = as_choice(name, "name", [entry.name for entry in self.entries])
        runs = [run.calibration for run in self[name].runs if run.calibration is not None]
        if not runs:
            return None
        count, *means = np.moveaxis(np.array(runs), 2, 0)
        total = count.sum(axis=0)
        return np.stack([total, *((count * mean).sum(axis=0) / np.maximum(total, 1) for mean in means)], axis=1)

    def _calibration_error(self, name: str) -> float | None:
        """Return the expected calibration error: Guo et al. 2017, "On Calibration of Modern Neural Networks"."""
        found = self.calibration(name)
        if found is None:
            return None
        count, predicted, true = found.T
        return float((count * np.abs(predicted - true)).sum() / count.sum())

    def top(self, name: str, node: int, count: int = 3, *, before: bool = False) -> list[tuple[int, float]]:
        """Return the neighbours that `node` attends to most after (or before) training, with their weights."""
        name = as_choice(name, "name", [entry.name for entry in self.entries if entry.attended is not None])
        node, count = int(as_index(node, "node", self.graph.num_nodes, ndim=0)), as_int(count, "count", minimum=0)
        weights = attended(self, name).before if as_bool(before, "before") else attended(self, name).after
        row = slice(int(self.graph.indptr[node]), int(self.graph.indptr[node + 1]))
        order = np.argsort(-weights[row], kind="stable")[:count]
        return [(int(self.graph.indices[row][i]), float(weights[row][i])) for i in order]

    def learned(self) -> list[dict[str, Any]]:
        """Return how training changed the attention of each mechanism.

        Returns:
            For each mechanism ``entropy`` before and after training (nats, mean over the nodes with neighbours), and
            between both ``divergence`` (Jensen–Shannon, bits) and ``overlap`` of the three strongest neighbours.
        """
        nodes = max(int((self.graph.degree() > 0).sum()), 1)
        found = []
        for entry in self.entries:
            if entry.attended is not None:
                pair = (entry.attended.before, entry.attended.after)
                logs = (-(w * np.log(np.where(w > 0, w, 1))).sum() / nodes for w in pair)
                found.append(
                    {
                        "mechanism": entry.name,
                        "entropy": tuple(float(x) for x in logs),
                        "divergence": jensen_shannon(self.graph, *pair),
                        "overlap": top_overlap(self.graph, *pair),
                    }
                )
        return found

    def disagreement(self) -> tuple[list[str], np.ndarray]:
        """Return the mechanisms' names and the Jensen–Shannon divergences of their attentions, (R, R) in bits."""
        own = [e.name for e in self.entries if e.attended is not None]
        after = [attended(self, name).after for name in own]
        return own, np.array([[jensen_shannon(self.graph, a, b) for b in after] for a in after])

    def disagreement_by_node(self) -> np.ndarray:
        """Return how much the learned attentions of all mechanisms differ at each node.

        Returns:
            Their Jensen–Shannon divergence (V,) in bits, 0 if all are equal.
        """
        return divergence_by_node(self.graph, [e.attended.after for e in self.entries if e.attended is not None])

    def to_dict(self) -> dict[str, Any]:
        """Return the evaluation as JSON values."""
        names, matrix = self.disagreement()
        return {
            "task": self.task,
            "metrics": list(self.metrics),
            "best": self.best,
            "best_baseline": self.best_baseline,
            "complete": self.complete,
            "settings": self.settings,
            "rows": self.rows,
            "runs": {e.name: [dataclasses.asdict(run) for run in e.runs] for e in self.entries},
            "options": {e.name: e.options for e in self.entries if not e.baseline},
            "skipped": dict(self.skipped),
            "learned": self.learned(),
            "disagreement": {"mechanisms": names, "bits": matrix.tolist()},
        }

    def to_json(self) -> str:
        """Return `to_dict` as JSON text."""
        return json.dumps(self.to_dict(), allow_nan=False)

    def table(self) -> str:
        """Return the rows, best first, and the attention before and after training as text for a terminal."""
        return text_table(self)

    def plot(self, path: str) -> None:
        """Write a picture of quality and cost: .html, .svg or .png (needs matplotlib).

        Raises:
            InvalidConfigError: The suffix is unknown, or the folder does not exist.
            UnsupportedError: The suffix is .png and matplotlib is missing.
        """
        from .chart import write_chart

        write_chart(self, path)


def names_of(graph: NeighborGraph) -> list[str]:
    """Return the names of the nodes, or their indices as text if the graph has no names."""
    return [str(n) for n in (range(graph.num_nodes) if graph.names is None else graph.names)]


def best_connected_first(graph: NeighborGraph, count: int) -> list[int]:
    """Return the `count` nodes with most neighbours, in decreasing order of degree."""
    return [int(n) for n in np.argsort(-graph.degree(), kind="stable")[:count]]


def attended(found: Evaluation, name: str) -> Attended:
    """Return the attention of a mechanism before and after training."""
    own = found[name].attended
    if own is None:
        raise KeyError(name)
    return own


def top_text(found: Evaluation, name: str, node: int, count: int = 3, *, before: bool = False) -> str:
    """Return `Evaluation.top` as text: names of the neighbours with their weights."""
    names = names_of(found.graph)
    return ", ".join(f"{names[j]} {w:.2f}" for j, w in found.top(name, node, count, before=before))


def sorted_rows(found: Evaluation) -> list[dict[str, Any]]:
    """Return the rows, sorted by decreasing mean of the primary metric."""
    return sorted(found.rows, key=lambda row: -row[found.primary][0])


def _aligned(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    return ["  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in (header, *rows)]


def _cells(row: Mapping[str, Any], metrics: Sequence[str]) -> list[str]:
    quality = [f"{100 * row[m][0]:.1f} ± {100 * row[m][1]:.1f}" for m in metrics]
    p = "best" if row["p_value"] is None else f"{row['p_value']:.2f}"
    name = f"({row['mechanism']})" if row["baseline"] else row["mechanism"]
    return [name, *quality, p, f"{1e3 * row['seconds_per_epoch']:.1f}", str(row["parameters"])]


def text_table(found: Evaluation) -> str:
    """Return quality, cost, and attention before and after training as text."""
    header = ["mechanism", *(f"{m} %" for m in found.metrics), "p", "ms/epoch", "parameters"]
    lines = _aligned(header, [_cells(row, found.metrics) for row in sorted_rows(found)])
    lines += ["", "(in brackets: baselines; p: paired sign-flip test against the best over the seeds)", ""]
    learned = [
        [
            row["mechanism"],
            " → ".join(f"{x:.2f}" for x in row["entropy"]),
            f"{row['divergence']:.3f}",
            f"{100 * row['overlap']:.0f} %",
            closest,
        ]
        for row, closest in zip(found.learned(), _closest(found), strict=True)
    ]
    if learned:
        lines += _aligned(["mechanism", "entropy", "change (bits)", "same top 3", "closest to"], learned)
        what = "attention of the second layer, " if found.settings["layers"] == 2 else ""
        told = "before → after training; closest: bits between the two, and the share of the top 3 in common"
        lines += ["", f"({what}{told})"]
        lines += ["", f"{found.best} attends to, before → after training"]
        nodes = best_connected_first(found.graph, _LISTED)
        lines += _aligned(
            ["node", "before", "after"],
            [
                [names_of(found.graph)[n], *(top_text(found, found.best, n, before=b) for b in (True, False))]
                for n in nodes
            ],
        )
    for name, reason in found.skipped.items():
        lines += ["", f"skipped {name}: {reason}"[:100]]
    return "\n".join(lines)


def _closest(found: Evaluation) -> list[str]:
    """Name for each mechanism the one with the closest learned attention, with their divergence and top-3 overlap."""
    names, matrix = found.disagreement()
    np.fill_diagonal(matrix, np.inf)
    if len(names) < 2:
        return [""] * len(names)
    told = []
    for name, row in zip(names, matrix, strict=True):
        other = names[int(row.argmin())]
        overlap = top_overlap(found.graph, attended(found, name).after, attended(found, other).after)
        told.append(f"{other} ({row.min():.3f}, {100 * overlap:.0f} %)")
    return told
