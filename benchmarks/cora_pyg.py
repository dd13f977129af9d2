"""The network of cora.py in PyTorch Geometric, to compare the time of a training step (needs torch and torch_geometric).

Without the dropout that only the authors' code has: `GATConv` has no options for it.

``python -m benchmarks.cora_pyg [--data FILE] [--steps 100]`` prints the median processor time of a step (forward, backward, update) on
one thread.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F
from torch_geometric.nn import GATConv

from benchmarks.cora import DATA, DROPOUT, read


class Network(torch.nn.Module):
    """8 heads of width 8, then one head per class."""

    def __init__(self, features: int, classes: int) -> None:
        super().__init__()
        self.first = GATConv(features, 8, heads=8, dropout=DROPOUT)
        self.second = GATConv(64, classes, heads=1, concat=False, dropout=DROPOUT)

    def forward(self, x: torch.Tensor, edges: torch.Tensor) -> torch.Tensor:
        """Return the logits."""
        x = F.elu(self.first(F.dropout(x, DROPOUT, self.training), edges))
        return self.second(F.dropout(x, DROPOUT, self.training), edges)


def main() -> None:
    """Measure and print the time of a step."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--steps", type=int, default=100)
    args = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    task = read(args.data)
    with np.load(args.data, allow_pickle=False) as file:
        edges = torch.from_numpy(file["edges"].T.astype(np.int64).copy())
    x, labels = torch.from_numpy(task.x), torch.from_numpy(task.labels)
    index = torch.from_numpy(task.train.astype(np.int64))
    network = Network(x.shape[1], int(labels.max()) + 1)
    optimizer = torch.optim.Adam(network.parameters(), lr=5e-3, weight_decay=5e-4)
    times = []
    for _ in range(args.steps):
        start = time.process_time()
        optimizer.zero_grad()
        loss = F.cross_entropy(network(x, edges)[index], labels[index])
        loss.backward()
        optimizer.step()
        times.append(time.process_time() - start)
    print(f"{1000 * np.median(times):.0f} ms a step, loss {loss.item():.3f} after {args.steps} steps")


if __name__ == "__main__":
    main()
