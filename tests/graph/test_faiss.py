"""The links of a real HNSW index, against faiss's own accessors."""

import dataclasses

import numpy as np
import pytest

from graphattend import errors
from graphattend.graph import NeighborGraph

faiss = pytest.importorskip("faiss")


def test_every_layer_holds_the_links_of_the_index():
    x = np.random.default_rng(0).standard_normal((600, 8)).astype(np.float32)
    index = faiss.IndexHNSWFlat(8, 4)
    index.add(x)
    hnsw = index.hnsw
    levels = faiss.vector_to_array(hnsw.levels)
    links = faiss.vector_to_array(hnsw.neighbors).tolist()
    for layer in range(levels.max()):
        graph = NeighborGraph.from_faiss_hnsw(index, layer=layer)
        assert graph.layers.tolist() == (levels - 1).tolist()
        for i in range(600):
            begin, end = np.zeros(1, np.uint64), np.zeros(1, np.uint64)
            hnsw.neighbor_range(i, layer, faiss.swig_ptr(begin), faiss.swig_ptr(end))
            expected = []
            if levels[i] > layer:
                expected = [j for j in links[int(begin[0]) : int(end[0])] if j >= 0]
            assert graph.indices[graph.indptr[i] : graph.indptr[i + 1]].tolist() == expected
        assert layer or graph.num_edges > 600  # the top layer may contain a single vector
    inner = faiss.IndexHNSWFlat(8, 4)
    wrapped = faiss.IndexIDMap(inner)
    wrapped.add_with_ids(x, np.arange(600) + 1000)
    found, plain = NeighborGraph.from_faiss_hnsw(wrapped), NeighborGraph.from_faiss_hnsw(inner)
    assert plain.names is None
    assert dataclasses.replace(found, names=None) == plain
    # Searches return ids, so ids are the nodes' names.
    assert found.names == tuple(str(1000 + i) for i in range(600))
    assert wrapped.search(x[7:8], 1)[1].item() == int(found.names[7])
    for ids in (np.arange(600), np.arange(600)[::-1]):
        again = faiss.IndexIDMap2(faiss.IndexHNSWFlat(8, 4))
        again.add_with_ids(x, ids.astype(np.int64))
        names = NeighborGraph.from_faiss_hnsw(again).names
        assert names == (None if ids[0] == 0 else tuple(str(i) for i in ids))
    for bad in (-1, int(levels.max())):
        with pytest.raises(errors.OutOfBoundsError):
            NeighborGraph.from_faiss_hnsw(index, layer=bad)
    with pytest.raises(errors.InvalidConfigError):
        NeighborGraph.from_faiss_hnsw(index, layer=0.0)


def test_other_indexes():
    with pytest.raises(errors.EmptyInputError):
        NeighborGraph.from_faiss_hnsw(faiss.IndexHNSWFlat(4, 4))
    for bad in (faiss.IndexFlatL2(4), "index", None):
        with pytest.raises(errors.InvalidConfigError):
            NeighborGraph.from_faiss_hnsw(bad)
