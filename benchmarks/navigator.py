"""A learned navigator, greedy best-first search and search with bounded distances on a real HNSW graph, at equal work.

``python -m benchmarks.navigator`` needs faiss-cpu. It writes ``benchmarks/results/navigator.json``, the picture
``docs/navigator.svg`` and the table in ``docs/navigator.md``.

10 000 vectors (64 dimensions): scikit-learn's handwritten digits, rotated by up to 15° and shifted by up to a pixel. Queries
are further such pictures; training and test queries differ. Work is counted in distance evaluations. A dot product over r of
D coordinates counts r/D: one coordinate of a neighbour costs 1/D, the projection of the query r.
"""

from __future__ import annotations

import heapq
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

VECTORS, TRAINING, QUERIES = 10_000, 2000, 1000
#: Each seed has its own pictures, index and training; the figures are means over seeds.
SEEDS = (0, 1, 2)
#: Budgets that are measured, and budgets in the table.
WORKS = tuple(range(5, 401, 5))
BUDGETS = (25, 50, 75, 100, 150, 200, 300, 400)
RANKS = (8, 16)
#: Recall@10 at which searches are compared, the rival's numbers of kept results, and how many axes it sums at a time.
AIM, KEPT, STEP = 0.95, (10, 12, 14, 17, 21), 4
#: Passes over the training queries, and learning rate.
EPOCHS, RATE = 3, 5e-4
COLOURS = {"greedy": "#444444", "axes": "#9ecae1", "trained": "#d62728"}


def pictures(count: int, rng: np.random.Generator) -> np.ndarray:
    """Draw digits, slightly rotated and shifted, as vectors (count, 64)."""
    from scipy import ndimage

    digits = embeddings.digits()
    out = []
    for digit in digits[rng.integers(0, len(digits), count)]:
        turned = ndimage.rotate(digit, rng.uniform(-15, 15), reshape=False, order=1)
        out.append(ndimage.shift(turned, rng.uniform(-1, 1, 2), order=1).ravel())
    return np.array(out, np.float32)


def hnsw(x: np.ndarray) -> tuple[ga.NeighborGraph, int]:
    """Return the bottom layer of a faiss HNSW index with M = 16, and the entry node of searches."""
    import faiss

    faiss.omp_set_num_threads(1)
    index = faiss.IndexHNSWFlat(x.shape[1], 16)
    index.hnsw.efConstruction = 100
    index.add(x)
    return ga.NeighborGraph.from_faiss_hnsw(index), int(index.hnsw.entry_point)


def nearest(queries: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Return the indices of the ten nearest vectors of every query (exact search)."""
    q, x = queries.astype(np.float64), x.astype(np.float64)
    squares = np.square(x).sum(axis=1) - 2 * q @ x.T
    return np.argsort(squares, axis=1)[:, :10]


def recalls(
    search: Callable[[np.ndarray, float], Navigation], queries: np.ndarray, x: np.ndarray, switch: float = 0
) -> dict[str, np.ndarray]:
    """Return recall@1 and recall@10 at each of `WORKS`; a search with less work is a prefix of the longest one.

    Budgets below `switch` are searched separately, because there a navigator searches greedily.
    """
    works = np.array(WORKS)
    low = works < switch
    curves = np.zeros((2, len(works)))
    for query, true in zip(queries, nearest(queries, x), strict=True):
        for part in (low, ~low):
            if part.any():
                found = search(query, float(works[part][-1]))
                for curve, sought in zip(curves, (true[:1], true), strict=True):
                    at = np.sort(found.visited_at[np.isin(found.visited, sought)])
                    curve[part] += np.searchsorted(at, works[part], side="right") / len(sought)
    return dict(zip(("recall_at_1", "recall_at_10"), curves / len(queries), strict=True))


def needed(works: Any, recall: Any) -> float | None:
    """Return the work at which recall@10 reaches the aim, by linear interpolation; None if it does not."""
    return float(np.interp(AIM, recall, works)) if recall[0] <= AIM <= recall[-1] else None


def bounded_look(graph: ga.NeighborGraph, x: np.ndarray, rank: int) -> Callable[[np.ndarray, int, int], Any]:
    """Return the rival: greedy search that measures only neighbours which may be among the nearest ones kept.

    The distance is estimated on the principal axes. A neighbour is skipped if its estimate less two standard deviations is
    too large (after DDC, arXiv 2404.16322). The axes are summed a few at a time, until the partial sum is too large. The
    search stops when the next node is farther than all kept results.
    """
    x = x.astype(np.float64)
    mean = x.mean(axis=0)
    variances, axes = np.linalg.eigh((x - mean).T @ (x - mean) / len(x))
    axes, rest = axes[:, ::-1][:, :rank], variances[::-1][rank:]
    codes, squares = (x - mean) @ axes, np.square(x - mean).sum(axis=1)
    spread = np.square(rest).sum() / rest.sum()
    steps = np.array([*range(STEP, rank, STEP), rank])
    rows = [np.unique(graph.indices[i:j]) for i, j in zip(graph.indptr[:-1], graph.indptr[1:], strict=True)]

    def search(query: np.ndarray, entry: int, kept: int) -> tuple[list[int], float]:
        code, square = (query - mean) @ axes, np.square(query - mean).sum()
        margin = 4 * np.sqrt(max(square - np.square(code).sum(), 0) * spread)
        work, seen = rank + 1.0, np.zeros(len(x), bool)  # the projection and the norm of the query
        queue: list[tuple[float, int]] = []
        best: list[tuple[float, int]] = []

        def look(nodes: np.ndarray) -> None:
            nonlocal work
            seen[nodes] = True
            bounds = np.square(codes[nodes] - code).cumsum(axis=1)[:, steps - 1]
            bounds[:, -1] = square + squares[nodes] - 2 * codes[nodes] @ code - margin
            for bound, node in zip(bounds, nodes.tolist(), strict=True):
                far = bound > (-best[0][0] if len(best) == kept else np.inf)
                work += steps[far.argmax() if far.any() else -1] / x.shape[1]
                if far.any():
                    continue
                work += 1
                distance = float(np.square(x[node] - query).sum())
                heapq.heappush(queue, (distance, node))
                (heapq.heappush if len(best) < kept else heapq.heappushpop)(best, (-distance, node))

        look(np.array([entry]))
        while queue:
            distance, node = heapq.heappop(queue)
            if len(best) == kept and distance > -best[0][0]:
                break
            look(rows[node][~seen[rows[node]]])
        return [node for _, node in sorted(best, reverse=True)], work

    return search


def measure(seed: int) -> dict[str, Any]:
    """Measure greedy search, the rival, and for each rank the navigator before and after training."""
    counts = (VECTORS, TRAINING, QUERIES)
    x, training, queries = (pictures(n, np.random.default_rng([seed, s])) for s, n in enumerate(counts))
    graph, entry = hnsw(x)
    true = nearest(queries, x)
    full = ga.RLNavigator(x.shape[1])

    def greedy(q: np.ndarray, budget: float) -> Navigation:
        return full.greedy_search(graph, x, q, entry=entry, budget=budget)

    rows: list[dict[str, Any]] = []
    aim: list[dict[str, Any]] = []
    gains: list[dict[str, Any]] = []
    baseline = recalls(greedy, queries, x)

    def enter(name: str, rank: int | None, curves: dict[str, np.ndarray]) -> None:
        """Record a search's curves at the table's budgets, its work for the aim, and its least gain over greedy search."""
        row = {"search": name, "rank": rank}
        at = np.isin(WORKS, BUDGETS)
        rows.append({**row, **{key: curve[at].tolist() for key, curve in curves.items()}})
        aim.append({**row, "work": needed(WORKS, curves["recall_at_10"])})
        if curves is not baseline:
            gains.append({**row, **{key: float((curve - baseline[key]).min()) for key, curve in curves.items()}})

    enter("greedy", None, baseline)
    rival = bounded_look(graph, x, RANKS[-1])
    points = []
    for kept in KEPT:
        found = [rival(q, entry, kept) for q in queries.astype(np.float64)]
        hits = [np.isin(t, nodes[:10]).mean() for t, (nodes, _) in zip(true, found, strict=True)]
        points.append((np.mean([work for _, work in found]), np.mean(hits)))
    aim.append({"search": "bounded", "rank": RANKS[-1], "work": needed(*zip(*points, strict=True))})
    for rank in RANKS:
        untrained = ga.RLNavigator(x.shape[1], rank=rank).fitted(x)
        start = time.process_time()
        trained = untrained.train(graph, x, training, epochs=EPOCHS, lr=RATE, seed=seed, on_progress=_say)
        seconds = time.process_time() - start
        for name, navigator in (("axes", untrained), ("trained", trained)):
            codes = navigator.encode(x)

            def policy(q: np.ndarray, budget: float, n: Any = navigator, c: Any = codes) -> Navigation:
                return n.search(graph, x, q, entry=entry, budget=budget, codes=c)

            enter(name, rank, recalls(policy, queries, x, switch=2 * rank))
        rows[-1]["training_seconds"] = seconds
    calibrated = trained.calibrate(graph, x, training[:QUERIES], entry=entry, budget=BUDGETS[-1])
    chosen = [calibrated.search(graph, x, q, entry=entry, recall=AIM, codes=codes) for q in queries]
    return {
        "seed": seed,
        "edges": graph.num_edges,
        "rows": rows,
        "aim": aim,
        "least_gain": gains,
        "calibrated": {
            "budget": float(calibrated.calibration.budgets[np.searchsorted(calibrated.calibration.recalls, AIM)]),
            "work": float(np.mean([found.work for found in chosen])),
            "recall_at_10": float(np.mean([np.isin(t, f.indices).mean() for t, f in zip(true, chosen, strict=True)])),
        },
    }


def summary(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the means over the seeds, and the runs."""
    rows = [dict(row) for row in runs[0]["rows"]]
    for i, row in enumerate(rows):
        for name in ("recall_at_1", "recall_at_10"):
            row[name] = np.mean([run["rows"][i][name] for run in runs], axis=0).tolist()
    return {
        "machine": f"{platform.machine()}, Python {platform.python_version()}, NumPy {np.__version__}",
        "vectors": VECTORS,
        "queries": QUERIES,
        "budgets": BUDGETS,
        "rows": rows,
        "runs": runs,
    }


def _say(progress: Any) -> None:
    if progress.epoch_loss is not None:
        print(f"epoch {progress.epoch + 1} of {progress.epochs}: {progress.epoch_loss:.4f}", flush=True)


def label(row: dict[str, Any]) -> str:
    """Return the name of a search in table and picture."""
    if row["search"] == "greedy":
        return "greedy best-first"
    if row["search"] == "bounded":
        return f"greedy best-first, bounded look, rank {row['rank']}"
    return f"navigator, rank {row['rank']}, {'trained' if row['search'] == 'trained' else 'principal axes'}"


def table(result: dict[str, Any], measure: str) -> str:
    """Return a table with one row per search and one column per budget; the best of a column is bold."""
    best = np.max([row[measure] for row in result["rows"]], axis=0)
    lines = ["| work | " + " | ".join(map(str, result["budgets"])) + " |", "|---|" + "---:|" * len(result["budgets"])]
    for row in result["rows"]:
        cells = (f"**{r:.3f}**" if r == b else f"{r:.3f}" for r, b in zip(row[measure], best, strict=True))
        lines.append(f"| {label(row)} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def seed_table(result: dict[str, Any], part: str, cell: Callable[[dict[str, Any]], str]) -> str:
    """Return a table with one row per search and one column per seed."""
    runs = result["runs"]
    lines = ["| search | " + " | ".join(f"seed {run['seed']}" for run in runs) + " |", "|---|" + "---:|" * len(runs)]
    for i, row in enumerate(runs[0][part]):
        lines.append(f"| {label(row)} | " + " | ".join(cell(run[part][i]) for run in runs) + " |")
    return "\n".join(lines)


def aim_table(result: dict[str, Any]) -> str:
    """Return the table of the work needed for the aim."""
    return seed_table(result, "aim", lambda row: "not reached" if row["work"] is None else f"{row['work']:.0f}")


def gain_table(result: dict[str, Any]) -> str:
    """Return the table of the least gains in recall@10 over greedy search at equal work."""
    return seed_table(result, "least_gain", lambda row: f"{row['recall_at_10']:.4f}")


def picture(result: dict[str, Any]) -> str:
    """Draw two panels of recall against work, as SVG."""
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


def write(page: str, name: str, text: str) -> str:
    """Return the page with the text between the marks of this name replaced."""
    before, rest = page.split(f"<!-- {name} begin -->")
    return f"{before}<!-- {name} begin -->\n{text}\n<!-- {name} end -->" + rest.split(f"<!-- {name} end -->")[1]


def main() -> None:
    result = summary([measure(seed) for seed in SEEDS])
    RESULTS.write_text(json.dumps(result, indent=1) + "\n")
    PICTURE.write_text(picture(result))
    page = PAGE.read_text()
    for name in ("recall_at_1", "recall_at_10"):
        page = write(page, name, table(result, name))
    page = write(page, "aim", aim_table(result))
    PAGE.write_text(write(page, "gain", gain_table(result)))


if __name__ == "__main__":
    main()
