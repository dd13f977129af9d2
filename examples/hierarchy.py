"""Hyperbolic embeddings of a hierarchy, from a CSV of "is a" pairs.

A tree fits into the Poincaré disk because there is as much room towards its boundary as a tree has leaves. Points are
moved so that linked words come nearer to each other than to words drawn at random (Nickel & Kiela 2017). The score is
the mean rank of a word's true neighbours among all words, by distance; 1 is perfect. benchmarks/poincare_mammals.py
does the same for WordNet's 1 182 mammals.
"""

from pathlib import Path

import numpy as np

import graphattend as ga

graph = ga.NeighborGraph.read(Path(__file__).parent / "data" / "animals.csv", directed=False)
heads = np.repeat(np.arange(graph.num_nodes), np.diff(graph.indptr))
tails = graph.indices
linked = np.zeros((graph.num_nodes, graph.num_nodes), bool)
linked[heads, tails] = True


def trained(manifold: ga.geometry.Manifold, seed: int = 0) -> np.ndarray:
    """Points of the words, by 300 passes over the links."""
    rng = np.random.default_rng(seed)
    points = rng.uniform(-1e-2, 1e-2, (graph.num_nodes, 2))
    optimizer = ga.training.RiemannianSGD(lr=0.3, manifold=manifold)
    state = optimizer.init({"points": points})
    for _ in range(300):
        others = rng.integers(0, graph.num_nodes, (len(heads), 10))
        others = np.where(linked[heads[:, None], others], tails[:, None], others)
        seen = np.concatenate([tails[:, None], others], axis=1)
        distance, pullback = ga.vjp(manifold.dist, points[heads][:, None, :], points[seen])
        weights = ga.functional.softmax(-distance)
        weights[:, 0] -= 1  # the gradient of -log of the true one's weight, with respect to -distance
        for_heads, for_seen = pullback(-weights)
        gradient = np.zeros_like(points)
        np.add.at(gradient, heads, for_heads[:, 0])
        np.add.at(gradient, seen, for_seen)
        parameters, state = optimizer.update({"points": points}, {"points": gradient}, state)
        points = parameters["points"]
    return points


def mean_rank(manifold: ga.geometry.Manifold, points: np.ndarray) -> float:
    """Mean place of a word's neighbours among all words that are none, by distance."""
    distance = manifold.dist(points[:, None], points[None])
    strangers = ~linked & ~np.eye(len(points), dtype=bool)
    return float(np.mean([1 + (distance[i, strangers[i]] < distance[i, j]).sum() for i, j in zip(heads, tails)]))


for name, manifold in (("hyperbolic", ga.geometry.Poincare()), ("Euclidean", ga.geometry.Euclidean())):
    points = trained(manifold)
    print(f"{name}: mean rank {mean_rank(manifold, points):.2f}")
    if name == "hyperbolic":
        inner = np.argsort(np.linalg.norm(points, axis=1))[:3]
        print("  nearest to the centre:", ", ".join(graph.names[i] for i in inner))
