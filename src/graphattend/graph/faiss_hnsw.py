"""Neighbour lists of a faiss HNSW index."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import _validate as check
from ..errors import InvalidConfigError, OutOfBoundsError
from . import _csr
from .constructors import check_num_nodes
from .conversions import need
from .neighbor_graph import NeighborGraph


def from_faiss_hnsw(index: object, layer: object) -> NeighborGraph:
    """See `NeighborGraph.from_faiss_hnsw`."""
    faiss = need("faiss", "faiss-cpu")
    found: Any = index
    names: list[int] | None = None
    while isinstance(found, (faiss.IndexIDMap, faiss.IndexIDMap2, faiss.IndexPreTransform)):
        if names is None and not isinstance(found, faiss.IndexPreTransform):  # the ids that a search returns
            names = faiss.vector_to_array(found.id_map).tolist()
        found = faiss.downcast_index(found.index)
    if not isinstance(found, faiss.IndexHNSW):
        expected = "a faiss HNSW index"
        raise InvalidConfigError.of("index", expected, type(index).__name__)
    layer = check.as_int(layer, "layer")
    size = check_num_nodes(int(found.ntotal), "index")
    hnsw = found.hnsw
    levels = faiss.vector_to_array(hnsw.levels).astype(np.intp)  # number of layers that contain each vector
    if not 0 <= layer < levels.max():
        raise OutOfBoundsError(
            f"layer: expected 0 <= layer < {levels.max()}, got {layer}",
            index=layer,
            length=int(levels.max()),
            argument="layer",
        )
    links = faiss.vector_to_array(hnsw.neighbors)
    starts = faiss.vector_to_array(hnsw.offsets).astype(np.intp)[:-1] + hnsw.cum_nb_neighbors(layer)
    # Every vector has this many link slots on the layer; unused slots at the end hold -1.
    width = hnsw.nb_neighbors(layer)
    counts = np.where(levels > layer, width, 0)
    places = links[_csr.ranges(starts, counts)].astype(np.intp)
    rows = np.repeat(np.arange(size), counts)
    used = places >= 0
    named = None if names in (None, list(range(size))) else tuple(str(n) for n in names)
    return NeighborGraph(_csr.indptr_of(rows[used], size), places[used], layers=levels - 1, names=named)
