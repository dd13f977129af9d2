"""Indexes of faiss and hnswlib, and the folders and files of Planetoid and OGB."""

import collections
import gzip
import pickle
import struct

import numpy as np
import pytest
from graph_texts import read

from graphattend import errors
from graphattend.graph import NeighborGraph
from graphattend.graph.files import parse


def faiss_bytes(faiss, index):
    return faiss.serialize_index(index).tobytes()


@pytest.mark.native
@pytest.mark.parametrize("wrap", ["plain", "ids", "shuffled"])
@pytest.mark.parametrize("storage", ["flat", "sq", "pq", "l1"])
def test_faiss_indexes(rng, wrap, storage):
    faiss = pytest.importorskip("faiss")
    x = rng.standard_normal((300, 16)).astype(np.float32)
    index = {
        "flat": lambda: faiss.IndexHNSWFlat(16, 8),
        "sq": lambda: faiss.IndexHNSWSQ(16, faiss.ScalarQuantizer.QT_8bit, 8, faiss.METRIC_INNER_PRODUCT),
        "pq": lambda: faiss.IndexHNSWPQ(16, 4, 8, 4),
        "l1": lambda: faiss.IndexHNSWFlat(16, 8, faiss.METRIC_L1),  # its header has one number more
    }[storage]()
    if storage in ("sq", "pq"):
        index.train(x)
    whole = index
    if wrap == "plain":
        index.add(x)
    else:
        whole = faiss.IndexIDMap2(index) if wrap == "ids" else faiss.IndexIDMap(index)
        whole.add_with_ids(x, rng.permutation(300).astype(np.int64) + (0 if wrap == "shuffled" else 1000))
    data = faiss_bytes(faiss, whole)
    assert read(data, "x.faiss").graph == NeighborGraph.from_faiss_hnsw(whole)
    assert parse(data, "standard input").graph == NeighborGraph.from_faiss_hnsw(whole)
    for length in (3, 20, 50, len(data) // 4):
        with pytest.raises(errors.LoadError):
            read(data[:length], "x.faiss")


def hnswlib_bytes(links, labels, dim=2, m=2, above=None):
    """Write an index as `saveIndex` of hnswalg.h does."""
    count, m0 = len(links), 2 * m
    vector_at, label_at = 4 * m0 + 4, 4 * m0 + 4 + 4 * dim
    width = label_at + 8
    out = struct.pack("<QQQQQQ", 0, count + 5, count, width, label_at, vector_at)
    out += struct.pack("<iIQQQdQ", 1, 0, m, m0, m, 0.5, 200)
    for listed, label in zip(links, labels, strict=True):
        out += struct.pack(f"<HBx{m0}I", len(listed), 0, *listed, *[7] * (m0 - len(listed)))
        out += struct.pack(f"<{dim}fQ", *[0.5] * dim, label)
    for i in range(count):
        levels = (above or {}).get(i, 0)
        out += struct.pack("<I", levels * (4 * m + 4)) + bytes(levels * (4 * m + 4))
    return out


def test_hnswlib_indexes():
    data = hnswlib_bytes([[1, 2], [0], [0, 1]], [10, 11, 12], above={1: 2})
    found = read(data, "index.hnsw").graph
    assert found.names == ("10", "11", "12")
    assert [found.indices[a:b].tolist() for a, b in zip(found.indptr, found.indptr[1:], strict=False)] == [
        [1, 2],
        [0],
        [0, 1],
    ]
    assert found.layers.tolist() == [0, 2, 0]
    assert read(hnswlib_bytes([[1], [0]], [0, 1]), "index.bin").graph.names is None
    bad = [data[:50], data[:-1], data + b"\0", b"\0" * 200, hnswlib_bytes([[5], [0]], [0, 1]), bytes([1]) + data[1:]]
    for wrong in bad:
        with pytest.raises(errors.LoadError):
            read(wrong, "index.hnsw")


# -- data sets ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4, 5])
def test_planetoid(tmp_path, protocol):
    lists = collections.defaultdict(list, {0: [1, 2], 1: [0], 2: [0, 2]})
    (tmp_path / "ind.cora.graph").write_bytes(pickle.dumps(lists, protocol))
    graph = NeighborGraph.read(tmp_path / "ind.cora.graph")
    assert [graph.indices[a:b].tolist() for a, b in zip(graph.indptr, graph.indptr[1:], strict=False)] == [
        [1, 2],
        [0],
        [0, 2],
    ]


class Evil:
    def __reduce__(self):
        return (eval, ("1/0",))


PICKLES = {
    "eval": pickle.dumps(Evil(), 2),
    "os": b"cos\nsystem\n(S'true'\ntR.",
    "memo": b"\x80\x02r\xff\xff\xff\x7f.",
    "shared": b"\x80\x02}(K\x00]q\x00("
    + b"K\x01" * 50
    + b"e"
    + b"".join(b"K%ch\x00" % i for i in range(1, 120))
    + b"u.",
    "text": b"hello",
    "list": pickle.dumps([1, 2]),
    "names": pickle.dumps({"a": ["b"]}),
    "numbers": pickle.dumps({0: [1.5]}),
    "huge": pickle.dumps({0: [10**12]}),
    "negative": pickle.dumps({0: [-1]}),
    "slots": b"\x80\x02cnumpy\nndarray\n(N}X\x01\x00\x00\x00aK\x01stb.",
    "cut": pickle.dumps({0: [1]})[:-2],
}


@pytest.mark.parametrize("name", PICKLES)
def test_pickles_that_are_refused(name):
    with pytest.raises(errors.LoadError, match=r"^ind\.x\.graph: "):
        parse(PICKLES[name], "ind.x.graph", suffix=".planetoid")


def ogb(folder, **files):
    for name, text in files.items():
        (folder / f"{name.replace('_', '-')}.csv.gz").write_bytes(gzip.compress(text.encode()))


def test_ogb(tmp_path):
    raw = tmp_path / "ogbn_arxiv" / "raw"
    raw.mkdir(parents=True)
    ogb(raw, edge="0,1\n1,2\n", num_node_list="4\n", num_edge_list="2\n")
    graph = NeighborGraph.read(tmp_path / "ogbn_arxiv")
    assert graph.to_edge_index().tolist() == [[0, 1], [1, 2]]
    assert graph.num_nodes == 4
    assert NeighborGraph.read(raw, directed=False).num_edges == 4
    ogb(raw, edge_feat="0.5,1\n2,3\n")
    assert NeighborGraph.read(raw).edge_features.tolist() == [[0.5, 1], [2, 3]]
    for wrong in (
        {"num_node_list": "2\n2\n"},
        {"num_node_list": "2\n"},
        {"num_edge_list": "3\n"},
        {"edge_feat": "1\n"},
        {"edge": "0,x\n"},
        {"edge": "0,-1\n"},
        {"edge": "0,1,2\n"},
    ):
        ogb(raw, edge="0,1\n1,2\n", num_node_list="4\n", num_edge_list="2\n", edge_feat="0.5,1\n2,3\n")
        ogb(raw, **wrong)
        with pytest.raises(errors.LoadError, match="raw: "):
            NeighborGraph.read(raw)
    with pytest.raises(errors.LoadError, match="is a folder"):
        NeighborGraph.read(tmp_path)
