"""Published results compared with ours, on data from packages and on Cora.

    python -m benchmarks.published [CORA.npz] [--only NAME ...] [--seeds 5]

measures every row (or those named), writes ``benchmarks/results/published.json`` and the table in ``docs/evaluate.md``.
Rows with their own benchmark (`benchmarks.cora`, `benchmarks/poincare_mammals.py --published`) take their figures from its
results. The table also lists the best baseline of each task.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import graphattend as ga
from benchmarks.cora import read
from benchmarks.recommendations import put, symmetric

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"
CACHE = ROOT / "build" / "published"

#: Optimization steps of an embedding.
STEPS = 1500
#: Name of a result, and its values per seed or (mean, standard deviation).
Result = tuple[str, Any]
Row = dict[str, Any]


def row(what: str, published: str, ours: Result, simple: Result | None, conditions: str, unit: str = "%") -> Row:
    """Return one row of the table."""
    return {
        "what": what,
        "published": published,
        "ours": told(ours, unit),
        "simple": "–" if simple is None else told(simple, unit),
        "conditions": conditions,
    }


def told(result: Result, unit: str) -> str:
    """Format a result: name, mean and standard deviation over the seeds."""
    name, values = result
    values = np.atleast_1d(np.asarray(values, float)) * (100 if unit == "%" else 1)
    digits = 1 if unit == "%" else 3
    spread = f" ± {values.std(ddof=1):.{digits}f}" if values.size > 1 else ""
    return f"{name} {values.mean():.{digits}f}{spread}"


def evaluated(graph: ga.NeighborGraph, task: str, seeds: int, **options: Any) -> ga.Evaluation:
    """Call `ga.evaluate` with the cache of this benchmark."""
    CACHE.mkdir(parents=True, exist_ok=True)
    return ga.evaluate(graph, task, seeds=seeds, cache=CACHE, **options)


def best(found: ga.Evaluation) -> tuple[Result, Result]:
    """Return the best mechanism and the best baseline with their values."""
    own, base = found.best, found.best_baseline or ""
    return (own, found[own].values(found.primary)), (base, found[base].values(found.primary))


# -- the rows ----------------------------------------------------------------------------------------------------------


def cora_labels(seeds: int, cora: Path) -> list[Row]:
    """Compare the paper's network and those of `evaluate` on the Planetoid split."""
    stored = json.loads((RESULTS / "cora.json").read_text("utf-8"))
    task = read(cora)
    gat = ga.create("edge_featured", dim=32, num_heads=4)
    call = {"mechanisms": [gat], "x": task.x, "labels": task.labels}
    call["split"] = (task.train, task.validation, task.test)
    (one, simple), (two, twice) = (best(evaluated(task.graph, "labels", seeds, layers=n, **call)) for n in (1, 2))
    runs = [run["test_accuracy"] for run in stored["runs"]]
    what = "Cora, accuracy of labels"
    published = "83.0 ± 0.7 (GAT, Veličković et al. 2018)"
    return [
        row(what, published, ("the published recipe", runs), twice, f"two layers, {len(runs)} seeds"),
        row(what, published, two, twice, f"two layers of `ga.evaluate`, {seeds} seeds"),
        row(what, published, one, simple, f"one layer of `ga.evaluate`, {seeds} seeds"),
    ]


def cora_links(seeds: int, cora: Path) -> list[Row]:
    """Predict links held out as in Chami et al.: 5 % for validation, 10 % for the test."""
    task = read(cora)
    own = task.graph.targets != task.graph.indices
    edges = np.stack([task.graph.indices[own], task.graph.targets[own]])
    graph = ga.NeighborGraph.from_edge_index(edges, task.graph.num_nodes)
    call = {"mechanisms": ["scaled_dot_product"], "x": task.x, "split": (0.85, 0.05, 0.1), "hidden": 64}
    rows = []
    for layers, published in (
        (2, "93.8 (HGCN, its authors' code); 92.9 ± 0.1 (Chami et al. 2019)"),
        (1, "91.0 (GAE, Kipf & Welling 2016)"),
    ):
        found = best(evaluated(graph, "links", seeds, layers=layers, **call))
        conditions = f"{('one layer', 'two layers')[layers - 1]} of `ga.evaluate`, 64 coordinates, {seeds} seeds"
        rows.append(row("Cora, ROC-AUC of links", published, *found, conditions))
    return rows


def mammals(seeds: int, cora: Path) -> list[Row]:
    """Embed WordNet's hierarchy by the authors' schedule."""
    stored = json.loads((RESULTS / "poincare_mammals_published.json").read_text("utf-8"))
    by = {(r["geometry"], r["dim"]): r["map"] for r in stored["results"]}
    return [
        row(
            "WordNet mammals, mean average precision",
            f"{published} (the authors' code)",
            ("hyperbolic", by["poincare", dim]),
            ("Euclidean", by["euclidean", dim]),
            f"{dim} dimensions, one seed",
        )
        for dim, published in ((5, "92.7"), (200, "95 (Euclidean)"))
    ]


def karate(seeds: int, cora: Path) -> list[Row]:
    """Predict the members' sides after the karate club's split, given only those of the two leaders."""
    import networkx as nx

    club = nx.karate_club_graph()
    sides = np.array([club.nodes[node]["club"] == "Officer" for node in club], int)
    leaders = np.array([0, 33])
    others = np.setdiff1d(np.arange(len(sides)), leaders)
    split = {"train": leaders, "validation": leaders, "test": others}
    keys = ["scaled_dot_product", "hyperbolic", "structural"]
    found = evaluated(symmetric(club), "labels", seeds, mechanisms=keys, labels=sides, split=split)
    return [
        row(
            "karate club, accuracy of sides",
            "96.9 (31 of 32, maximum flow, Zachary 1977)",
            *best(found),
            f"the two leaders are known, {seeds} seeds",
        )
    ]


def distortions(graph: Any) -> dict[str, float]:
    """Return the mean relative error of distances in two dimensions, hyperbolic and Euclidean, fitted by Adam."""
    import networkx as nx

    exact = np.asarray(nx.floyd_warshall_numpy(graph))
    # Both start from classical scaling: the leading eigenvectors of the centred squared distances.
    centred = exact**2 - (exact**2).mean(axis=0)
    values, vectors = np.linalg.eigh(-(centred - centred.mean(axis=1, keepdims=True)) / 2)
    start = vectors[:, -2:] * np.sqrt(values[-2:])
    i, j = np.triu_indices(len(exact), 1)
    spaces = {"hyperbolic": ga.geometry.Poincare(), "Euclidean": ga.geometry.Euclidean()}
    return {name: placed(space, start, i, j, exact[i, j]) for name, space in spaces.items()}


def placed(space: ga.geometry.Manifold, start: np.ndarray, i: np.ndarray, j: np.ndarray, wanted: np.ndarray) -> float:
    """Fit points of a space and a factor to the wanted distances; return the remaining mean relative error."""
    params = {"tangent": start, "log_factor": np.zeros(())}
    optimizer = ga.training.Adam(lr=0.02)
    state, least = optimizer.init(params), np.inf
    for _ in range(STEPS):
        points, pull_points = ga.vjp(space.expmap0, params["tangent"])
        distance, pull = ga.vjp(space.dist, points[i], points[j])
        factor = np.exp(params["log_factor"])
        error = factor * distance / wanted - 1
        least = min(least, float(np.abs(error).mean()))
        slope = 2 * error / (wanted * error.size)
        left, right = pull(factor * slope)
        spread = np.zeros_like(points)
        np.add.at(spread, i, left)
        np.add.at(spread, j, right)
        gradients = {"tangent": pull_points(spread)[0], "log_factor": np.asarray((slope * distance).sum() * factor)}
        params, state = optimizer.update(params, gradients, state)
    return least


def in_the_plane(graph: Any, name: str, published: str) -> list[Row]:
    """Measure how well two dimensions represent the distances of a graph."""
    found = distortions(graph)
    spaces = [(space, found[space]) for space in ("hyperbolic", "Euclidean")]
    task = f"{name}, mean relative error of distances"
    return [row(task, published, *spaces, f"two dimensions, {STEPS} steps from classical scaling")]


def tree(seeds: int, cora: Path) -> list[Row]:
    """Embed a binary tree of 63 nodes."""
    import networkx as nx

    return in_the_plane(nx.balanced_tree(2, 5), "binary tree of 63 nodes", "0 in the limit (hyperbolic, Sarkar 2011)")


def grid(seeds: int, cora: Path) -> list[Row]:
    """Embed a grid of 8 × 8 nodes."""
    import networkx as nx

    return in_the_plane(nx.grid_2d_graph(8, 8), "grid of 8 × 8", "–")


def digits(seeds: int, cora: Path) -> list[Row]:
    """Run scikit-learn's example of few labels: 340 digits, 40 labelled, on the graph of 8 nearest neighbours."""
    from sklearn import datasets
    from sklearn.semi_supervised import LabelSpreading

    data = datasets.load_digits()
    order = np.arange(len(data.data))
    np.random.RandomState(2).shuffle(order)
    x, labels = data.data[order[:340]], data.target[order[:340]]
    known, unknown = np.arange(40), np.arange(40, 340)
    spread = LabelSpreading(gamma=0.25, max_iter=20).fit(x, np.where(np.arange(340) < 40, labels, -1))
    reference = float((spread.transduction_[unknown] == labels[unknown]).mean())
    split = {"train": known, "validation": known, "test": unknown}  # 40 labels contain every digit; 30 do not
    graph = ga.NeighborGraph.knn(x, 8)
    keys = ["scaled_dot_product", "graph_rope", "edge_featured"]
    found = evaluated(graph, "labels", seeds, mechanisms=keys, x=x, labels=labels, split=split)
    return [
        row(
            "340 digits, accuracy of labels",
            f"{100 * reference:.1f} (label spreading, scikit-learn's example)",
            *best(found),
            f"40 labels known, also for validation; 8 nearest neighbours, {seeds} seeds",
        )
    ]


ROWS: dict[str, Callable[[int, Path], list[Row]]] = {
    f.__name__: f for f in (cora_labels, cora_links, mammals, karate, tree, grid, digits)
}


def table(found: dict[str, list[Row]]) -> str:
    """Format the rows as Markdown."""
    names = ("what", "published", "ours", "simple", "conditions")
    lines = ["| | published | ours | the simple way | conditions |", "|---|---|---|---|---|"]
    lines += ["| " + " | ".join(r[name] for name in names) + " |" for key in ROWS for r in found.get(key, [])]
    return "\n".join(lines)


def main() -> None:
    """Measure the rows one by one, and write the results."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("cora", type=Path, nargs="?")
    parser.add_argument("--only", nargs="*", choices=ROWS, default=list(ROWS))
    parser.add_argument("--seeds", type=int, default=5)
    given = parser.parse_args()
    stored = RESULTS / "published.json"
    found = json.loads(stored.read_text("utf-8")) if stored.exists() else {}
    for name in given.only:
        if name.startswith("cora") and given.cora is None:
            print(f"{name}: needs the file of Cora")
            continue
        found[name] = ROWS[name](given.seeds, given.cora)
        for line in found[name]:
            print(line, flush=True)
        stored.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", "utf-8")
    put("published", table(found))


if __name__ == "__main__":
    main()
