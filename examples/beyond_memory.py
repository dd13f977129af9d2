"""Attention over a graph that is larger than memory.

The graph is cut into parts on the disk, and each part is attended with one hop of its neighbours around it: the
result is the same as in one piece. Features and output are files that are never read as a whole. `client=` lets a
cluster of dask do it, `ga.parallel` several processes; `graphattend partition` and `graphattend attend` do the same
on the command line.
"""

import tempfile
from pathlib import Path

import numpy as np

import graphattend as ga

rng = np.random.default_rng(0)
graph = ga.NeighborGraph.from_edge_index(rng.integers(0, 5000, (2, 40_000)), 5000)
features = rng.standard_normal((5000, 32)).astype(np.float32)
attention = ga.create("multi_head", dim=32, num_heads=4)

with tempfile.TemporaryDirectory() as name:
    folder = Path(name)
    np.save(folder / "x.npy", features)
    layout = ga.dask.partition(graph, folder / "parts", 8)
    first = layout.parts[0]
    print(f"{len(layout.parts)} parts of {first.num_nodes} nodes, with {first.num_halo_nodes} around them")
    out = ga.dask.attend(attention, folder / "parts", folder / "x.npy", folder / "out.npy")
    print("same as in one piece:", np.allclose(out, attention.attend(graph, features), atol=1e-6))
    del out  # the file is mapped, and Windows removes no file in use
