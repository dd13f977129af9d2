"""Planetoid's raw files (Yang et al. 2016): ``ind.NAME.graph`` is the graph, ``.x .tx .allx`` are node features."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...storage_checks import Refused
from . import Format
from ._pickle import Matrix, load
from .edge_table import MAX_NODES, EdgeTable, Places

_MAX_DENSE = 1 << 27


def read(data: bytes) -> EdgeTable:
    """Read a pickled dictionary from each node to its neighbours, including loops and duplicates."""
    found = load(data)
    if not isinstance(found, dict) or not found or not all(isinstance(listed, list) for listed in found.values()):
        raise Refused("expected a pickled dictionary of neighbours, as in ind.cora.graph")
    if sum(map(len, found.values())) > len(data):  # a pickle may refer to one list many times
        raise Refused("lists more edges than it has bytes")
    nodes = [*found, *(j for listed in found.values() for j in listed)]
    if not all(type(n) is int and 0 <= n < MAX_NODES for n in nodes):
        raise Refused(f"expected nodes that are whole numbers from 0 to {MAX_NODES}")
    targets = [i for i, listed in found.items() for _ in listed]
    return EdgeTable(
        sources=nodes[len(found) :],
        targets=targets,
        num_nodes=max(nodes) + 1,
        directed=None,  # both endpoints list an edge
        where=Places("the neighbours of node ", numbers=targets),
    )


def read_features(data: bytes) -> tuple[None, np.ndarray]:
    """Read a pickled matrix as a dense array."""
    found: Any = load(data)
    if isinstance(found, Matrix):
        if found.shape[0] * found.shape[1] > _MAX_DENSE:
            raise Refused(f"a dense matrix of {found.shape[0]} times {found.shape[1]} numbers is too large")
        dense = np.zeros(found.shape, dtype=np.float64)
        rows = np.repeat(np.arange(found.shape[0]), np.diff(found.indptr))
        np.add.at(dense, (rows, found.indices.astype(np.intp)), found.data)
        return None, dense
    if not isinstance(found, np.ndarray):
        raise Refused("expected a pickled matrix, as in ind.cora.allx")
    return None, found


PLANETOID = Format(read)
