"""Search a graph of neighbours with a policy.

An HNSW index is searched greedily: look at all neighbours of the best node so far, go on from the nearest. Every look
costs a distance. The navigator looks at a few coordinates first and measures only what is promising; how many of the
ten nearest it finds for the same work is the recall. With an index of your own: `NeighborGraph.read("index.hnsw")`,
or `from_faiss_hnsw(index)`.
"""

import numpy as np

import graphattend as ga

rng = np.random.default_rng(0)
vectors = rng.standard_normal((1000, 48)) * np.linspace(3, 0.2, 48)
queries = vectors[:50] + 0.05 * rng.standard_normal((50, 48))
graph = ga.NeighborGraph.knn(vectors, 12)

nearest = np.argsort(((queries[:, None] - vectors[None]) ** 2).sum(-1), axis=1)[:, :10]
for name, navigator in (
    ("greedy, all coordinates", ga.RLNavigator(48)),
    ("policy, 8 coordinates first", ga.RLNavigator(48, rank=8).fitted(vectors)),
):
    codes = navigator.encode(vectors)  # what the scores need of the vectors, once for all queries
    for budget in (100, 200):
        found = [navigator.search(graph, vectors, query, k=10, budget=budget, codes=codes) for query in queries]
        hits = [len(np.intersect1d(one.indices, true)) / 10 for one, true in zip(found, nearest)]
        print(f"{name}: recall {np.mean(hits):.2f} for the work of {budget} distances")
