"""Load in Python what JavaScript trained.

`train_in_node.mjs`, or the page of "Train, save and load in the browser", writes an `.npz` file. `ga.load` reads it:
options and parameters are the same, and so are the numbers. What is not such a file is refused.

    python load_trained.py karate.npz
"""

import csv
import sys
from pathlib import Path

import numpy as np

import graphattend as ga

DATA = Path(__file__).parent / "data"
if len(sys.argv) != 2:
    sys.exit("expected one argument, the file that train_in_node.mjs wrote")

attention = ga.load(sys.argv[1])
print(attention.key, attention.to_config()["options"]["num_heads"], "heads")

graph = ga.NeighborGraph.read(DATA / "karate.csv", directed=False).with_self_loops()
with open(DATA / "karate_parties.csv") as file:
    parties = np.array([int(row["party"] == "Officer") for row in csv.DictReader(file)])
features = np.eye(graph.num_nodes)
features[np.repeat(np.arange(graph.num_nodes), np.diff(graph.indptr)), graph.indices] = 1
output = attention.attend(graph, features)
print(f"{(output.argmax(axis=1) == parties).sum()} of {len(parties)} members in their party")
