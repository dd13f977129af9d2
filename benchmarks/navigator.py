"""A learned navigator against greedy best-first search on a real HNSW graph, at equal work.

``python -m benchmarks.navigator`` needs faiss-cpu. It writes ``benchmarks/results/navigator.json``, the picture
``docs/navigator.svg`` and the table in ``docs/navigator.md``.

10 000 vectors (64 dimensions): scikit-learn's handwritten digits, turned by up to 15° and shifted by up to a pixel. Queries are
further such pictures; those the policy learns from are others than those it is tested with. Work is counted in distance
evaluations; scoring a neighbour by r of D coordinates counts r/D.
"""

from __future__ import annotations

import json
import platform
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import graphattend as ga
from benchmarks import embeddings
from graphattend.graph.search import Navigation

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results" / "navigator.json"
PAGE = ROOT / "docs" / "navigator.md"
PICTURE = ROOT / "docs" / "navigator.svg"

VECTORS, TRAINING, QUERIES = 10_000, 2000, 200
BUDGETS = (25, 50, 75, 100, 150, 200, 300, 400)
RANKS = (8, 16)
#: Passes over the training queries and learning rate.
EPOCHS, RATE = 3, 2e-3
COLOURS = {"greedy": "#444444", "axes": "#9ecae1", "trained": "#d62728"}


def pictures(count: int, rng: np.random.Generator) -> np.ndarray:
    """Digits, a little turned and shifted, as vectors (count, 64)."""
    from scipy import ndimage

    digits = embeddings.digits()
    out = []
    for digit in digits[rng.integers(0, len(digits), count)]:
        turned = ndimage.rotate(digit, rng.uniform(-15, 15), reshape=False, order=1)
        out.append(ndimage.shift(turned, rng.uniform(-1, 1, 2), order=1).ravel())
    return np.array(out, np.float32)


def hnsw(x: np.ndarray) -> tuple[ga.NeighborGraph, int]:
    """The bottom layer of a faiss HNSW index with M = 16, and the node searches start from."""
    import faiss

    faiss.omp_set_num_threads(1)
    index = faiss.IndexHNSWFlat(x.shape[1], 16)
    index.hnsw.efConstruction = 100
    index.add(x)
    return ga.NeighborGraph.from_faiss_hnsw(index), int(index.hnsw.entry_point)


def nearest(queries: np.ndarray, x: np.ndarray) -> np.ndarray:
    """The ten nearest vectors of every query, exactly."""
    q, x = queries.astype(np.float64), x.astype(np.float64)
    squares = np.square(x).sum(axis=1) - 2 * q @ x.T
    return np.argsort(squares, axis=1)[:, :10]


def recalls(search: Callable[[np.ndarray], Navigation], queries: np.ndarray, x: np.ndarray) -> dict[str, list[float]]:
    """Recall@1 and recall@10 at every budget: a search with less work is a prefix of the longest one."""
    first, ten = np.zeros((2, len(BUDGETS)))
    for query, true in zip(queries, nearest(queries, x), strict=True):
        found = search(query)
        squares = np.square(x[found.visited] - query).sum(axis=1)
        for i, budget in enumerate(BUDGETS):
            within = found.visited_at <= budget
            best = found.visited[within][np.argsort(squares[within])[:10]]
            first[i] += best[:1].tolist() == [true[0]]
            ten[i] += np.isin(true, best).mean()
    return {"recall_at_1": (first / len(queries)).tolist(), "recall_at_10": (ten / len(queries)).tolist()}


def measure() -> dict[str, Any]:
    """Greedy search, and for each rank the principal axes before and after training."""
    x, training, queries = (pictures(n, np.random.default_rng(s)) for s, n in enumerate((VECTORS, TRAINING, QUERIES)))
    graph, entry = hnsw(x)
    options = {"entry": entry, "budget": BUDGETS[-1]}
    full = ga.RLNavigator(x.shape[1])
    rows = [
        {"search": "greedy", "rank": None, **recalls(lambda q: full.greedy_search(graph, x, q, **options), queries, x)}
    ]
    for rank in RANKS:
        untrained = ga.RLNavigator(x.shape[1], rank=rank).fitted(x)
        start = time.process_time()
        trained = untrained.train(graph, x, training, epochs=EPOCHS, lr=RATE, on_progress=_say)
        seconds = time.process_time() - start
        for name, navigator in (("axes", untrained), ("trained", trained)):
            codes = navigator.encode(x)
            found = recalls(lambda q, n=navigator, c=codes: n.search(graph, x, q, codes=c, **options), queries, x)
            rows.append({"search": name, "rank": rank, **found})
        rows[-1]["training_seconds"] = seconds
    return {
        "machine": f"{platform.machine()}, Python {platform.python_version()}, NumPy {np.__version__}",
        "vectors": VECTORS,
        "edges": graph.num_edges,
        "queries": QUERIES,
        "budgets": BUDGETS,
        "rows": rows,
    }


def _say(progress: Any) -> None:
    if progress.epoch_loss is not None:
        print(f"epoch {progress.epoch + 1} of {progress.epochs}: {progress.epoch_loss:.4f}", flush=True)


def label(row: dict[str, Any]) -> str:
    """What a search is called in table and picture."""
    if row["search"] == "greedy":
        return "greedy best-first"
    return f"navigator, rank {row['rank']}, {'trained' if row['search'] == 'trained' else 'principal axes'}"


def table(result: dict[str, Any], measure: str) -> str:
    """One row per search, one column per budget; the best of a column in bold."""
    best = np.max([row[measure] for row in result["rows"]], axis=0)
    lines = ["| work | " + " | ".join(map(str, result["budgets"])) + " |", "|---|" + "---:|" * len(result["budgets"])]
    for row in result["rows"]:
        cells = (f"**{r:.3f}**" if r == b else f"{r:.3f}" for r, b in zip(row[measure], best, strict=True))
        lines.append(f"| {label(row)} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def picture(result: dict[str, Any]) -> str:
    """Two panels of recall against work, as SVG."""
    width, height, left, top = 330, 240, 50, 30
    low, high = np.log(result["budgets"][0]), np.log(result["budgets"][-1])
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{2 * (width + left) + 20}" height="{height + 175}" '
        'font-family="sans-serif" font-size="12"><rect width="100%" height="100%" fill="white"/>'
    ]
    for panel, (name, title) in enumerate((("recall_at_1", "recall@1"), ("recall_at_10", "recall@10"))):
        x0 = left + panel * (width + left)
        parts.append(f'<text x="{x0}" y="{top - 10}" font-weight="bold">{title}</text>')
        for value in np.linspace(0, 1, 6):
            y = top + height * (1 - value)
            parts.append(f'<path d="M{x0} {y:.1f}h{width}" stroke="#dddddd"/>')
            parts.append(f'<text x="{x0 - 8}" y="{y + 4:.1f}" text-anchor="end">{value:.1f}</text>')
        for budget in result["budgets"]:
            x = x0 + width * (np.log(budget) - low) / (high - low)
            parts.append(f'<text x="{x:.1f}" y="{top + height + 18}" text-anchor="middle">{budget}</text>')
        parts.append(
            f'<text x="{x0 + width / 2}" y="{top + height + 38}" text-anchor="middle">work, distance evaluations</text>'
        )
        for row in result["rows"]:
            points = " ".join(
                f"{x0 + width * (np.log(b) - low) / (high - low):.1f},{top + height * (1 - r):.1f}"
                for b, r in zip(result["budgets"], row[name], strict=True)
            )
            parts.append(f'<polyline points="{points}" fill="none" {_stroke(row)}/>')
    for i, row in enumerate(result["rows"]):
        y = top + height + 62 + 16 * i
        parts.append(
            f'<path d="M{left} {y - 4}h30" fill="none" {_stroke(row)}/><text x="{left + 40}" y="{y}">{label(row)}</text>'
        )
    return "\n".join([*parts, "</svg>"]) + "\n"


def _stroke(row: dict[str, Any]) -> str:
    dash = ' stroke-dasharray="5 3"' if row["rank"] == RANKS[0] else ""
    return f'stroke="{COLOURS[row["search"]]}" stroke-width="2"{dash}'


def main() -> None:
    result = measure()
    RESULTS.write_text(json.dumps(result, indent=1) + "\n")
    PICTURE.write_text(picture(result))
    page = PAGE.read_text()
    for name in ("recall_at_1", "recall_at_10"):
        before, rest = page.split(f"<!-- {name} begin -->")
        after = rest.split(f"<!-- {name} end -->")[1]
        page = f"{before}<!-- {name} begin -->\n{table(result, name)}\n<!-- {name} end -->{after}"
    PAGE.write_text(page)


if __name__ == "__main__":
    main()
