"""A two-layer graph attention network on Cora, in the published setting, trained with this library only.

``python -m benchmarks.cora [--data FILE] [--seeds 10]`` trains, writes ``benchmarks/results/cora.json`` and puts the table
into ``docs/cora.md``; ``--ablate`` does the same with one detail of the recipe left out at a time, and ``--second FILE`` with
another citation graph. The data (the Planetoid
split as an .npz file: x as CSR of ones, edges, labels and the three index arrays) are not part of this project; the path is
``--data``, ``GRAPHATTEND_CORA`` or ``../shared/data/cora.npz``.

Veličković et al. 2018, section 3.3, with the details that are only in the authors' code: every head drops entries of its
own input, and the projected features are dropped once more before they are averaged.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import graphattend as ga
from graphattend.functional.attention import dropout_multiplier
from graphattend.training import Adam, cross_entropy

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results" / "cora.json"
PAGE = ROOT / "docs" / "cora.md"
DATA = Path(os.environ.get("GRAPHATTEND_CORA", ROOT.parent / "shared" / "data" / "cora.npz"))

PUBLISHED = "83.0 ± 0.7"
#: Files of the results for a second graph, by the name of its file.
PUBLISHED_SECOND = {"citeseer": "72.5 ± 0.7"}
DROPOUT = 0.6


class Recipe(NamedTuple):
    """The details of the published code that the paper omits."""

    input_dropout_per_head: bool = True
    feature_dropout: bool = True
    #: Glorot's limit of each head's score vectors is computed from (width, 1), otherwise from (heads, width).
    scores_per_head: bool = True


PUBLISHED_RECIPE = Recipe()
ABLATIONS = {
    "one input dropout for all heads": Recipe(input_dropout_per_head=False),
    "no dropout of the projected features": Recipe(feature_dropout=False),
    "neither": Recipe(input_dropout_per_head=False, feature_dropout=False),
    "score vectors drawn as a matrix": Recipe(scores_per_head=False),
}


class Task(NamedTuple):
    """The graph, the features and classes of its nodes, and the nodes of each part of the split."""

    graph: ga.NeighborGraph
    x: np.ndarray
    labels: np.ndarray
    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray


def read(path: Path) -> Task:
    """Read the data set; scale the features' rows to sum 1, and make every node a neighbour of itself."""
    with np.load(path, allow_pickle=False) as file:
        shape = tuple(int(n) for n in file["x_shape"])
        x = np.zeros(shape, np.float32)
        counts = np.diff(file["x_indptr"])
        x[np.repeat(np.arange(shape[0]), counts), file["x_indices"]] = 1
        x /= np.maximum(x.sum(axis=1, keepdims=True), 1)
        graph = ga.NeighborGraph.from_edge_index(file["edges"].T, shape[0]).with_self_loops()
        labels = file["labels"].astype(np.int64)
        return Task(graph, x, labels, file["train_index"], file["val_index"], file["test_index"])


class Words(NamedTuple):
    """The features as a sparse matrix: node, word and value of each non-zero entry, and the shape."""

    rows: np.ndarray
    columns: np.ndarray
    values: np.ndarray
    shape: tuple[int, int]

    @staticmethod
    def of(x: np.ndarray) -> Words:
        """Build from a dense matrix."""
        rows, columns = np.nonzero(x)
        return Words(rows, columns, x[rows, columns], (len(x), x.shape[1]))

    def project(self, w: np.ndarray, drop: np.ndarray) -> tuple[np.ndarray, Callable[[np.ndarray], np.ndarray]]:
        """Return x·drop times w (D, H, E), (V, H·E), for factors `drop` (K, H or 1), and the pullback to w."""
        heads = []
        for h in range(w.shape[1]):
            factor = drop[:, h % drop.shape[1]]
            kept = np.flatnonzero(factor)
            heads.append((self.rows[kept], self.columns[kept], (self.values[kept] * factor[kept])[:, None]))
        each = [summed(value * w[:, h][column], row, self.shape[0]) for h, (row, column, value) in enumerate(heads)]

        def pullback(g: np.ndarray) -> np.ndarray:
            g = g.reshape(-1, *w.shape[1:])
            parts = [
                summed(value * g[:, h][row], column, self.shape[1]) for h, (row, column, value) in enumerate(heads)
            ]
            return np.stack(parts, axis=1)

        return np.concatenate(each, axis=1), pullback


def summed(x: np.ndarray, index: np.ndarray, size: int) -> np.ndarray:
    """Sum the rows of x (K, E) with the same index, (size, E)."""
    return np.stack([np.bincount(index, column, size) for column in x.T], axis=1).astype(x.dtype)


def attention(heads: int, width: int) -> ga.EdgeFeaturedAttention:
    """Return attention over projected features; its own projection is the identity."""
    inner = heads * width
    layer = ga.EdgeFeaturedAttention(inner, num_heads=heads, head_dim=width, dropout=DROPOUT)
    return layer.with_parameters({"w": np.eye(inner).reshape(inner, heads, width).swapaxes(0, 1)})


class Network(NamedTuple):
    """Two layers: 8 heads of width 8, then one head per class; the parameters are a flat mapping."""

    words: Words
    first: ga.EdgeFeaturedAttention
    second: ga.EdgeFeaturedAttention
    recipe: Recipe

    @staticmethod
    def new(task: Task, recipe: Recipe) -> Network:
        """Create the network for the task's features and classes."""
        return Network(Words.of(task.x), attention(8, 8), attention(1, int(task.labels.max()) + 1), recipe)

    def parameters(self, features: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """Draw Glorot-uniform weights and zero biases in float32."""
        params = {}
        for name, layer, dim in (("first", self.first, features), ("second", self.second, self.first.dim)):
            heads, width = layer.num_heads, layer.width
            fans = width + 1 if self.recipe.scores_per_head else heads + width
            params[f"{name}/w"] = uniform(rng, (dim, heads, width), dim + width)
            params[f"{name}/a_query"] = uniform(rng, (heads, width), fans)
            params[f"{name}/a_key"] = uniform(rng, (heads, width), fans)
            params[f"{name}/bias"] = np.zeros(heads * width, np.float32)
        return params

    def layers(self, params: dict[str, np.ndarray]) -> tuple[ga.EdgeFeaturedAttention, ga.EdgeFeaturedAttention]:
        """Return the two layers with these parameters."""
        names = ("a_query", "a_key", "bias")
        first, second = ({n: params[f"{layer}/{n}"] for n in names} for layer in ("first", "second"))
        return self.first.with_parameters(first), self.second.with_parameters(second)

    def logits(self, params: dict[str, np.ndarray], task: Task) -> np.ndarray:
        """Return the logits without dropout."""
        first, second = self.layers(params)
        hidden = elu(first.attend(task.graph, task.x @ params["first/w"].reshape(task.x.shape[1], -1)))
        return second.attend(task.graph, hidden @ params["second/w"][:, 0])

    def gradients(
        self, params: dict[str, np.ndarray], task: Task, rng: np.random.Generator
    ) -> tuple[float, dict[str, np.ndarray]]:
        """Return the loss on the training nodes and the gradient of every parameter."""
        first, second = self.layers(params)
        w_second = params["second/w"][:, 0]
        columns = first.num_heads if self.recipe.input_dropout_per_head else 1
        drop_x = dropout_multiplier((len(self.words.values), columns), DROPOUT, rng, task.x.dtype)
        z, pull_words = self.words.project(params["first/w"], drop_x)
        hidden, pull_first = self.attend_vjp(first, task, z, rng)
        active = elu(hidden)
        drop_h = dropout_multiplier(hidden.shape, DROPOUT, rng, hidden.dtype)
        dropped = active * drop_h
        logits, pull_second = self.attend_vjp(second, task, dropped @ w_second, rng)
        loss, pull_loss = ga.vjp(cross_entropy, logits, task.labels, index=task.train)
        g_z, of_second = pull_second(pull_loss(1.0)[0])
        g_hidden = g_z @ w_second.T * drop_h * np.where(hidden > 0, 1, active + 1)
        g_words, of_first = pull_first(g_hidden)
        grads = {f"first/{n}": g for n, g in of_first.items()} | {f"second/{n}": g for n, g in of_second.items()}
        return float(loss), grads | {"first/w": pull_words(g_words), "second/w": (dropped.T @ g_z)[:, None]}

    def attend_vjp(
        self, layer: ga.EdgeFeaturedAttention, task: Task, z: np.ndarray, rng: np.random.Generator
    ) -> tuple[np.ndarray, Callable[[np.ndarray], tuple[np.ndarray, dict[str, np.ndarray]]]]:
        """Apply a layer in training mode; the pullback returns the gradients of z and of the layer's parameters."""
        drop = dropout_multiplier(z.shape, DROPOUT, rng, z.dtype) if self.recipe.feature_dropout else 1
        out, pull = layer.attend_vjp(task.graph, z, z, z * drop, training=True, rng=rng)

        def pullback(g: np.ndarray) -> tuple[np.ndarray, dict[str, np.ndarray]]:
            found = pull(g)
            own = {n: found.parameters[n] for n in ("a_query", "a_key", "bias")}
            return found.query + found.keys + found.values * drop, own

        return out, pullback


def uniform(rng: np.random.Generator, shape: tuple[int, ...], fans: int) -> np.ndarray:
    """Draw Glorot-uniform numbers; `fans` is the number of inputs plus outputs."""
    limit = np.sqrt(6 / fans)
    return rng.uniform(-limit, limit, shape).astype(np.float32)


def elu(x: np.ndarray) -> np.ndarray:
    """Return x where positive, otherwise exp(x) - 1."""
    return np.where(x > 0, x, np.expm1(np.minimum(x, 0)))


def score(logits: np.ndarray, labels: np.ndarray, index: np.ndarray) -> tuple[float, float]:
    """Return accuracy and loss on the nodes `index`."""
    accuracy = float((logits[index].argmax(axis=1) == labels[index]).mean())
    return accuracy, float(cross_entropy(logits, labels, index=index))


def train(task: Task, seed: int, *, epochs: int, patience: int, recipe: Recipe = PUBLISHED_RECIPE) -> dict[str, Any]:
    """Run once; test at the last epoch whose validation accuracy and loss were both the best so far.

    As in the authors' code, a run ends when neither of the two has been reached again for `patience` epochs.
    """
    net = Network.new(task, recipe)
    optimizer = Adam(lr=5e-3, weight_decay=5e-4)
    params = net.parameters(task.x.shape[1], np.random.default_rng(seed))
    state = optimizer.init(params)
    accuracy, loss, best_logits, stale, times = 0.0, np.inf, None, 0, []
    for epoch in range(epochs):
        start = time.process_time()
        _, grads = net.gradients(params, task, np.random.default_rng([seed, epoch]))
        params, state = optimizer.update(params, grads, state)
        times.append(time.process_time() - start)
        logits = net.logits(params, task)
        new_accuracy, new_loss = score(logits, task.labels, task.validation)
        stale += 1
        if new_accuracy >= accuracy or new_loss <= loss:
            if new_accuracy >= accuracy and new_loss <= loss:
                best_logits = logits
            accuracy, loss, stale = max(accuracy, new_accuracy), min(loss, new_loss), 0
        if stale >= patience:
            break
    assert best_logits is not None
    return {
        "seed": seed,
        "test_accuracy": score(best_logits, task.labels, task.test)[0],
        "validation_accuracy": score(best_logits, task.labels, task.validation)[0],
        "epochs": len(times),
        "median_epoch_ms": 1000 * float(np.median(times)),
    }


def summary(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the mean and standard deviation of the runs' accuracies, and the runs."""
    accuracies = [r["test_accuracy"] for r in runs]
    return {"mean": float(np.mean(accuracies)), "deviation": float(np.std(accuracies)), "runs": runs}


def table(result: dict[str, Any]) -> str:
    """Return the table for the page."""
    rows = [
        "| | test accuracy, % | range over seeds | runs | epochs per run | one training step, ms |",
        "|---|---:|---:|---:|---:|---:|",
    ]

    def row(name: str, found: dict[str, Any]) -> str:
        low, high = (f(r["test_accuracy"] for r in found["runs"]) for f in (min, max))
        return (
            f"| {name} | {100 * found['mean']:.1f} ± {100 * found['deviation']:.1f} | {100 * low:.1f} … {100 * high:.1f} "
            f"| {len(found['runs'])} | {np.mean([r['epochs'] for r in found['runs']]):.0f} "
            f"| {np.median([r['median_epoch_ms'] for r in found['runs']]):.0f} |"
        )

    rows.append(row("this library, the published recipe", result))
    rows += [row(name, found) for name, found in result.get("ablations", {}).items()]
    rows.append(f"| Veličković et al. 2018 | {PUBLISHED} | | 100 | | |")
    if (second := result.get("second_graph")) is not None:
        rows.append(row(f"{second['name']}: this library, the same recipe", second))
        published = PUBLISHED_SECOND.get(second["name"], "")
        rows.append(f"| {second['name']}: Veličković et al. 2018 | {published} | | 100 | | |")
    return "\n".join(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--epochs", type=int, default=100_000)
    parser.add_argument("--patience", type=int, default=100)
    parser.add_argument("--jobs", type=int, default=2, help="runs at a time (1 inside Pyodide)")
    parser.add_argument("--ablate", action="store_true", help="also without each detail of the recipe")
    parser.add_argument("--second", type=Path, help="another citation graph in the same form, for one more row")
    args = parser.parse_args()
    if not args.data.exists():
        print(f"Skipped: no Cora data at {args.data} (--data or GRAPHATTEND_CORA says where they are)")
        return
    task = read(args.data)

    def runs(task: Task, recipe: Recipe) -> list[dict[str, Any]]:
        run = partial(train, task, epochs=args.epochs, patience=args.patience, recipe=recipe)
        found = []
        with ProcessPoolExecutor(args.jobs) if args.jobs > 1 else nullcontext() as pool:
            for one in (pool.map if pool else map)(run, range(args.seeds)):
                found.append(one)
                print(one, flush=True)
        return found

    result = summary(runs(task, PUBLISHED_RECIPE))
    if sys.platform == "emscripten":
        return  # the page shows the figures of CPython
    result["machine"] = f"{platform.machine()}, Python {platform.python_version()}, NumPy {np.__version__}, float32"
    if args.ablate:
        result["ablations"] = {name: summary(runs(task, recipe)) for name, recipe in ABLATIONS.items()}
    if args.second is not None:
        result["second_graph"] = {"name": args.second.stem, **summary(runs(read(args.second), PUBLISHED_RECIPE))}
    RESULTS.write_text(json.dumps(result, indent=1) + "\n")
    page = PAGE.read_text()
    start, end = "<!-- cora begin -->", "<!-- cora end -->"
    before, rest = page.split(start)
    PAGE.write_text(f"{before}{start}\n{table(result)}\n{end}{rest.split(end)[1]}")


if __name__ == "__main__":
    main()
