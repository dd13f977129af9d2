"""Link prediction on your own CSV file.

A table of edges is enough: `source,target`, and a weight if there is one. Some of the links are held out, mechanisms
are trained on the rest, and the score says how well they tell the held-out links from pairs that are none (area under
the ROC curve, 0.5 is chance). Simple baselines stand beside them: where common neighbours win, no attention is
needed.

    python link_prediction.py [GRAPH.csv]
"""

import sys
from pathlib import Path

import graphattend as ga

path = sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parent / "data" / "les_miserables.csv"
graph = ga.NeighborGraph.read(path, directed=False)
print(f"{graph.num_nodes} nodes, {graph.num_edges // 2} links")

suggested = ga.recommend(graph)
print(f"By rules: {suggested.key}, because {suggested.reasons[-1]}")

found = ga.evaluate(graph, "links", mechanisms=["scaled_dot_product", suggested.key], seeds=2, epochs=40)
print(found.table())
