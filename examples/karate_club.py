"""Train graph attention: the parties of the karate club.

Two of 34 members have told their party. One layer of graph attention learns from the friendships where the others
belong. The gradient is the library's own, so the training loop is three lines: outputs with their pullback, loss with
its pullback, a step.
"""

import csv
from pathlib import Path

import numpy as np

import graphattend as ga

DATA = Path(__file__).parent / "data"
graph = ga.NeighborGraph.read(DATA / "karate.csv", directed=False).with_self_loops()
with open(DATA / "karate_parties.csv") as file:
    parties = np.array([int(row["party"] == "Officer") for row in csv.DictReader(file)])

features = np.eye(graph.num_nodes)  # nothing is known of a member but who it is...
features[np.repeat(np.arange(graph.num_nodes), graph.degree().astype(int)), graph.indices] = 1  # ...and its friends
told = np.array([0, 33])

attention = ga.create("edge_featured", dim=graph.num_nodes, num_heads=2, head_dim=2, concat=False, seed=1)
optimizer = ga.training.Adam(lr=0.02)
parameters = attention.parameters()
state = optimizer.init(parameters)
for _ in range(100):
    output, pullback = attention.with_parameters(parameters).attend_vjp(graph, features)
    loss, loss_pullback = ga.vjp(ga.training.cross_entropy, output, parties, index=told)
    gradients = pullback(loss_pullback(1.0)[0]).parameters
    parameters, state = optimizer.update(parameters, gradients, state)

right = (output.argmax(axis=1) == parties).sum()
print(f"{right} of {graph.num_nodes} members in their party")
