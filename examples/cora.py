"""Graph attention on Cora.

2 708 papers, their words and their citations; the subject of 140 is known, and 1 000 are to be told. Every mechanism
stands in the same small network. benchmarks/cora.py trains the published network of two layers with dropout, which
reached 83.0 %.

The file is an `.npz` with the words as compressed rows of ones (`x_indptr, x_indices, x_shape`), `edges` (K, 2),
`labels`, and the Planetoid split (`train_index, val_index, test_index`).

    python cora.py cora.npz
"""

import sys

import numpy as np

import graphattend as ga

if len(sys.argv) != 2:
    sys.exit("expected one argument, the file of Cora; see the text at the top of this file")
data = np.load(sys.argv[1])

features = np.zeros(data["x_shape"], np.float32)
papers = np.repeat(np.arange(len(features)), np.diff(data["x_indptr"]))
features[papers, data["x_indices"]] = 1
features /= np.maximum(features.sum(axis=1, keepdims=True), 1)

graph = ga.NeighborGraph.from_edge_index(data["edges"].T, len(features)).with_self_loops()
split = (data["train_index"], data["val_index"], data["test_index"])
gat = ga.create("edge_featured", dim=32, num_heads=4)
found = ga.evaluate(graph, "labels", mechanisms=[gat], x=features, labels=data["labels"], split=split, seeds=1)
print(found.table())
