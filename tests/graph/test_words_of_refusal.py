"""The error messages of all readers and writers of graphs and vectors; and unusual files that are valid."""

import base64
import gzip
import io
import json
import pickle
import struct
from pathlib import Path

import numpy as np
import pytest

import graphattend as ga
from graphattend.errors import LoadError
from graphattend.graph import NeighborGraph, files
from graphattend.graph.files import parse
from graphattend.graph.formats import ogb
from graphattend.storage_checks import Refused

FAISS = base64.b64decode(json.loads(Path(__file__).with_name("binary_graphs.json").read_text())[".faiss"])
COUNT = FAISS.index(b"IHNf") + 8  # position of the number of vectors


def npz(**arrays):
    out = io.BytesIO()
    np.savez(out, **arrays)
    return out.getvalue()


GRAPHS = [
    (".gexf", b"<gexf>\n<graph/>\n<graph/>\n</gexf>", "line 3: a second <graph>"),
    (".gml", b"graph [ directed 2 node [ id 0 ] ]", "directed: expected 0 or 1"),
    (".mtx", b"%%MatrixMarket matrix coordinate real general\n2 2\n", "line 2: expected rows columns entries"),
    (".net", b"*Vertices 2\n*Matrix\n0 1\n1\n", "line 4: expected 2 numbers, got 1"),
    (".npz", npz(edge_index=[[0], [1]], num_nodes=np.array([1, 2])), "num_nodes: expected one whole number"),
    (".faiss", FAISS[:COUNT] + struct.pack("<q", 999) + FAISS[COUNT + 8 :], "its lists do not fit together"),
]


@pytest.mark.parametrize(("suffix", "data", "says"), GRAPHS, ids=[suffix for suffix, *_ in GRAPHS])
def test_graphs(suffix, data, says):
    with pytest.raises(LoadError, match=f"^the file: .*{says}"):
        parse(data, "the file", suffix=suffix)


class Pickled:
    """Pickles as an array with any given state."""

    def __init__(self, *state):
        self.state = state

    def __reduce__(self):
        return np.zeros(0).__reduce__()[0], (np.ndarray, (0,), b"b"), self.state


def damaged_matrix():
    sparse = pytest.importorskip("scipy.sparse")
    matrix = sparse.csr_matrix(np.eye(3))
    matrix.indices[0] = 99
    return pickle.dumps(matrix, 2)


def wide_matrix():
    sparse = pytest.importorskip("scipy.sparse")
    return pickle.dumps(sparse.csr_matrix((100, 10**9)), 2)


PICKLES = {
    "no state": (lambda: pickle.dumps(Pickled(1, 2), 2), "holds a damaged array"),
    "half an axis": (lambda: pickle.dumps(Pickled(1, (0.5,), np.dtype("<f8"), False, bytes(8)), 2), "a damaged array"),
    "no parts": (lambda: b"\x80\x02cscipy.sparse._csr\ncsr_matrix\n)\x81}b.", "something else than an array"),
    "rows beyond": (damaged_matrix, "holds a damaged matrix"),
    "too wide": (wide_matrix, "a dense matrix of 100 times 1000000000 numbers is too large"),
}


@pytest.mark.parametrize("name", PICKLES)
def test_pickled_vectors(tmp_path, name):
    make, says = PICKLES[name]
    path = tmp_path / "ind.q.x"
    path.write_bytes(make())
    with pytest.raises(LoadError, match=says):
        ga.read_embeddings(path)


def test_bytes_as_text_are_those_of_python_2(tmp_path):
    x = np.array([[1.5, -2.0]])
    path = tmp_path / "ind.q.x"
    path.write_bytes(pickle.dumps(Pickled(1, x.shape, x.dtype, False, x.tobytes().decode("latin-1")), 2))
    np.testing.assert_array_equal(ga.read_embeddings(path)[1], x)


def test_vectors_of_names_alone(tmp_path):
    path = tmp_path / "names.csv"
    path.write_text("index,name\n0,ann\n1,bob\n")
    with pytest.raises(LoadError, match="holds names alone, and no numbers"):
        ga.read_embeddings(path)


def test_features_of_ogb(tmp_path, monkeypatch):
    for text, says in (
        (b"1,2\n3\n", "node-feat.csv.gz: "),
        (b"1,x\n", "line 1: expected numbers"),
        (b"1,nan\n", "expected finite numbers"),
        (b"1,2\n" * 1000, "larger than the limit of 900 bytes"),
    ):
        (tmp_path / "node-feat.csv.gz").write_bytes(gzip.compress(text))
        monkeypatch.setattr(ogb, "_MAX_BYTES", 900)
        with pytest.raises(LoadError, match=says):
            ga.read_embeddings(tmp_path)


def test_a_file_above_the_limit(tmp_path):
    path = tmp_path / "long.txt"
    path.write_bytes(b"0 1\n" * 10)
    assert files.content_of(str(path), None, 40) == b"0 1\n" * 10
    with pytest.raises(Refused, match="larger than the limit of 39 bytes"):
        files.content_of(str(path), None, 39)


def test_a_column_of_edges_that_are_listed_twice():
    adjacency = [[{"id": 1, "w": 2}, {"id": 2, "w": "x"}], [{"id": 0, "w": 2}], [{"id": 0, "w": "x"}]]
    data = json.dumps({"directed": False, "nodes": [{"id": i} for i in range(3)], "adjacency": adjacency}).encode()
    with pytest.raises(LoadError, match=r"adjacency\[0\], column 'w': expected a finite number, got 'x'"):
        parse(data, "the file", suffix=".json", edge_features=["w"])


# -- unusual, and valid ------------------------------------------------------------------------------------------------


def test_metis_with_empty_lines_below():
    assert parse(b"2 1\n2\n1\n\n\n", "the file", suffix=".metis").graph.to_edge_index().tolist() == [[1, 0], [0, 1]]


def test_ids_that_are_tuples():
    nx = pytest.importorskip("networkx")
    grid = nx.grid_2d_graph(2, 3)
    data = json.dumps(nx.node_link_data(grid, edges="links")).encode()
    graph = parse(data, "the file", suffix=".json").graph
    assert (graph.num_nodes, graph.num_edges) == (6, 2 * grid.number_of_edges())
    assert set(graph.names) == {str(node) for node in grid}


def test_a_comment_with_more_words_than_columns():
    assert parse(b"0 1\n#a tag of more words\n1 2\n", "the file", suffix=".txt").graph.num_edges == 2


def test_labels_of_gexf_are_no_features():
    data = b'<gexf><graph><nodes><node id="a"/></nodes><edges><edge source="a" target="a" label="7"/></edges></graph></gexf>'
    assert parse(data, "the file", suffix=".gexf").graph.edge_features is None


# -- writers -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("suffix", "fields", "says"),
    [
        (".adjlist", {"names": ["a b", "c"]}, "names with blanks or signs of comments"),
        (".metis", {"edge_weights": [1.5, 1.5]}, "weights that are not whole numbers from 1"),
    ],
)
def test_what_formats_cannot_hold(tmp_path, suffix, fields, says):
    graph = NeighborGraph.from_edge_index([[0, 1], [1, 0]], 2, **fields)
    with pytest.raises(ga.InvalidConfigError, match=says):
        graph.write(tmp_path / f"graph{suffix}")
