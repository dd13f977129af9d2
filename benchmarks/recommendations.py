"""The rules of `ga.recommend` compared with measurements, on graphs of networkx and scikit-learn.

``python -m benchmarks.recommendations [CORA.npz]`` trains every mechanism on held-out links of each graph (`ga.evaluate`), and compares the
best with the one that the rules recommend. It writes ``benchmarks/results/recommendations.json`` and the table in ``docs/evaluate.md``.
Finished runs are stored in ``build/recommendations``, so an interrupted call continues.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

import graphattend as ga
from benchmarks.cora import read
from graphattend.evaluation.tasks import undirected_pairs

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results" / "recommendations.json"
PAGE = ROOT / "docs" / "evaluate.md"
CACHE = ROOT / "build" / "recommendations"

SEEDS, EPOCHS, PATIENCE = 5, 150, 25
#: A rule is wrong if the best mechanism is better by more than this share and in every pair of runs.
MARGIN = 0.02


def graphs(cora: str | None) -> dict[str, tuple[ga.NeighborGraph, Any]]:
    """Return graphs by name, each with its node features or None."""
    import networkx as nx
    from sklearn import datasets

    digits = datasets.load_digits().data[:500] / 16
    iris = datasets.load_iris().data
    iris = (iris - iris.mean(axis=0)) / iris.std(axis=0)
    plain = {
        "Les Misérables": nx.les_miserables_graph(),
        "karate club": nx.karate_club_graph(),
        "Southern women (bipartite)": nx.davis_southern_women_graph(),
        "binary tree, 7 levels": nx.balanced_tree(2, 6),
        "grid 12 × 12": nx.grid_2d_graph(12, 12),
        "caveman, 12 × 8": nx.connected_caveman_graph(12, 8),
        "Holme–Kim, 200": nx.powerlaw_cluster_graph(200, 3, 0.4, seed=0),
        "Watts–Strogatz, 200": nx.connected_watts_strogatz_graph(200, 6, 0.1, seed=0),
    }
    found: dict[str, tuple[ga.NeighborGraph, Any]] = {name: (symmetric(graph), None) for name, graph in plain.items()}
    found["digits, 8 nearest neighbours"] = (ga.NeighborGraph.knn(digits, 8), digits)
    found["iris, 6 nearest neighbours"] = (ga.NeighborGraph.knn(iris, 6), iris)
    if cora is not None:
        task = read(Path(cora))
        targets, sources = task.graph.targets, task.graph.indices
        apart = targets != sources
        edges = np.stack([sources[apart], targets[apart]])
        found["Cora"] = (ga.NeighborGraph.from_edge_index(edges, task.graph.num_nodes), task.x)
    return found


def symmetric(graph: Any) -> ga.NeighborGraph:
    """Convert a networkx graph without names, weights and loops, with every edge in both directions."""
    places = {node: i for i, node in enumerate(graph)}
    edges = np.array([(places[a], places[b]) for a, b in graph.edges() if a != b]).T
    return ga.NeighborGraph.from_edge_index(np.concatenate([edges, edges[::-1]], axis=1), len(places))


def compare(graph: ga.NeighborGraph, x: Any, show: Any = None) -> dict[str, Any]:
    """Return the recommendation of the rules and the results of training."""
    rule = ga.recommend(graph, dim=32)
    found = ga.evaluate(
        graph, "links", x=x, seeds=SEEDS, epochs=EPOCHS, patience=PATIENCE, cache=CACHE, on_progress=show
    )
    rows = {row["mechanism"]: row for row in found.rows}
    metric = found.primary
    best, base = rows[found.best], rows[found.best_baseline or ""]
    chosen = rows.get(rule.key)
    out = {
        "nodes": graph.num_nodes,
        "edges": undirected_pairs(graph).shape[1],
        "rule": rule.key,
        "reason": rule.reasons[-1],
        "best": found.best,
        "best_score": best[metric],
        "baseline": found.best_baseline,
        "baseline_score": base[metric],
        "rule_score": None if chosen is None else chosen[metric],
        "scores": {name: row[metric] for name, row in rows.items()},
        "rows": [
            {name: row[name] for name in ("mechanism", "baseline", *found.metrics, "parameters")} for row in found.rows
        ],
    }
    if chosen is not None:
        difference = found[found.best].values(metric) - found[rule.key].values(metric)
        out["wrong"] = bool(difference.mean() > MARGIN and (difference > 0).all())
    return out


def table(results: dict[str, dict[str, Any]]) -> str:
    """Format the results as Markdown."""

    def told(name: str, score: list[float] | None) -> str:
        return f"{name} –" if score is None else f"{name} {100 * score[0]:.1f} ± {100 * score[1]:.1f}"

    lines = [
        "| graph | nodes, edges | the rules | best mechanism | best baseline | rule |",
        "|---|---|---|---|---|---|",
    ]
    for name, r in results.items():
        verdict = "wrong" if r.get("wrong") else "holds"
        lines.append(
            f"| {name} | {r['nodes']}, {r['edges']} | {told(r['rule'], r['rule_score'])} | {told(r['best'], r['best_score'])} "
            f"| {told(r['baseline'], r['baseline_score'])} | {verdict} |"
        )
    return "\n".join(lines)


def metrics(rows: list[dict[str, Any]]) -> str:
    """Format all metrics of one graph as Markdown, best first."""
    lines = ["| | ROC-AUC, % | MRR, % | hits@10, % | parameters |", "|---|---:|---:|---:|---:|"]
    for row in sorted(rows, key=lambda row: -row["roc_auc"][0]):
        name = row["mechanism"] + (" (baseline)" if row["baseline"] else "")
        cells = [
            f"{100 * mean:.1f} ± {100 * spread:.1f}" for mean, spread in (row[m] for m in ("roc_auc", "mrr", "hits@10"))
        ]
        lines.append("| " + " | ".join([name, *cells, str(row["parameters"])]) + " |")
    return "\n".join(lines)


def put(name: str, text: str) -> None:
    """Replace the table between its marks in the page."""
    begin, end = f"<!-- {name} begin -->\n", f"<!-- {name} end -->"
    page = PAGE.read_text("utf-8")
    start, stop = page.index(begin) + len(begin), page.index(end)
    PAGE.write_text(page[:start] + text + "\n" + page[stop:], "utf-8")


def main() -> None:
    """Measure the graphs one by one, and write the results."""
    cora = sys.argv[1] if len(sys.argv) > 1 else None
    CACHE.mkdir(parents=True, exist_ok=True)
    results = json.loads(RESULTS.read_text("utf-8")) if RESULTS.exists() else {}
    for name, (graph, x) in graphs(cora).items():
        print(name, flush=True)
        results[name] = compare(graph, x)
        RESULTS.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n", "utf-8")
    put("rules", table(results))
    put("evaluate", metrics(results["Les Misérables"]["rows"]))


if __name__ == "__main__":
    main()
