"""Error of linear attention against softmax attention, by the number of random features.

``python -m benchmarks.linear_error`` writes the table into docs/linear.md. For every number of features it takes the mean over
projections of the relative error |linear - exact| / |exact| of the output, for queries and keys of standard deviation `spread`;
the last row has the error of plain averaging, which a useless approximation would give.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

import graphattend.functional as F

PAGE = Path(__file__).resolve().parent.parent / "docs" / "linear.md"
BEGIN, END = "<!-- linear begin -->", "<!-- linear end -->"
QUERIES, KEYS, DIM, SEEDS = 64, 1000, 64, 20
SPREADS = (0.25, 0.5, 0.75, 1.0)
FEATURES = (16, 32, 64, 128, 256, 512, 1024, 2048)


def relative(x: np.ndarray, exact: np.ndarray) -> float:
    """Return the relative error |x - exact| / |exact|."""
    return float(np.linalg.norm(x - exact) / np.linalg.norm(exact))


def rows() -> Iterator[tuple[str, list[float]]]:
    """Yield rows of a label and one error per spread."""
    rng = np.random.default_rng(0)
    data = [tuple(rng.standard_normal((n, DIM)) * s for n in (QUERIES, KEYS)) for s in SPREADS]
    values = rng.standard_normal((KEYS, DIM))
    exact = [F.scaled_dot_product_attention(q, k, values) for q, k in data]
    for m in FEATURES:
        projections = [F.orthogonal_projection(m, DIM, seed=seed) for seed in range(SEEDS)]
        errors = [
            float(np.mean([relative(F.linear_attention(q, k, values, w), y) for w in projections]))
            for (q, k), y in zip(data, exact, strict=True)
        ]
        yield f"{m:,}".replace(",", " "), errors
    yield "plain average", [relative(np.broadcast_to(values.mean(axis=0), y.shape), y) for y in exact]


def table() -> str:
    """Format the figures as Markdown."""
    head = "| features | " + " | ".join(f"length {s * DIM**0.5:g}" for s in SPREADS) + " |"
    body = [f"| {label} | " + " | ".join(f"{e:.3f}" for e in errors) + " |" for label, errors in rows()]
    return "\n".join([head, "| ---: |" + " ---: |" * len(SPREADS), *body])


if __name__ == "__main__":
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    PAGE.write_text(f"{before}{BEGIN}\n{table()}\n{END}{rest.partition(END)[2]}", encoding="utf-8")
    print(table())
