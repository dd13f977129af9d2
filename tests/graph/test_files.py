"""Files of every format, written by other programs and by us, and everything that can be wrong with them."""

import io
import json
import os
import zipfile

import numpy as np
import pytest

from graphattend import errors
from graphattend.graph import NeighborGraph


def write(tmp_path, name, content):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def read(tmp_path, name, content, **options):
    return NeighborGraph.read(write(tmp_path, name, content), **options)


def npz(**arrays):
    out = io.BytesIO()
    np.savez(out, **arrays)
    return out.getvalue()


def full_graph():
    return NeighborGraph.from_edge_index(
        [[0, 1, 2, 2, 0], [1, 2, 0, 0, 0]],
        4,
        edge_features=np.arange(10.0).reshape(5, 2),
        edge_weights=[0.1, 0.2, 0.3, 0.4, 0.5],
        distances=[1.0, 2.0, 3.0, 4.0, 0.0],
        layers=[0, 1, 2, 0],
        names=["Ann", "Bøb", 'C "c"', "d\n"],
    )


@pytest.mark.parametrize("suffix", [".npz", ".json"])
def test_what_is_saved_is_read(tmp_path, suffix):
    path = tmp_path / f"graph{suffix}"
    for graph in (full_graph(), NeighborGraph([0, 1, 1], [1]), NeighborGraph([0, 0], [])):
        graph.save(path)
        assert NeighborGraph.read(path) == graph
        assert NeighborGraph.read(str(path)) == graph
    assert os.listdir(tmp_path) == [path.name]


def test_npz_keeps_every_dtype(tmp_path):
    graph = NeighborGraph([0, 1, 1], [1], edge_weights=np.float32([0.1]), distances=[0.1])
    graph.save(tmp_path / "graph.npz")
    assert NeighborGraph.read(tmp_path / "graph.npz") == graph


def test_edge_list(tmp_path):
    text = "# a comment\n% another\n\n0 1 0.5\n2 1 1.5  # trailing\n0\t2 2e0\n"
    graph = read(tmp_path, "graph.txt", text.replace("\t", " "))
    assert graph.to_edge_index().tolist() == [[0, 2, 0], [1, 1, 2]]
    assert graph.edge_weights.tolist() == [0.5, 1.5, 2.0]
    assert graph.names is None


@pytest.mark.parametrize("separator", ["\t", ",", ", ", "   "])
def test_separators(tmp_path, separator):
    graph = read(tmp_path, "graph.edges", f"b{separator}a\r\na{separator}c\r\n")
    assert graph.names == ("b", "a", "c")
    assert graph.to_edge_index().tolist() == [[0, 1], [1, 2]]


def test_numbered_nodes_are_sorted_by_number(tmp_path):
    graph = read(tmp_path, "graph.txt", "10 9\n9 2\n")
    assert graph.names == ("2", "9", "10")
    assert graph.to_edge_index().tolist() == [[1, 2], [0, 1]]


def test_undirected(tmp_path):
    graph = read(tmp_path, "graph.txt", "0 1 2.0\n1 1 3.0\n", directed=False)
    assert graph.to_edge_index().tolist() == [[1, 0, 1], [0, 1, 1]]
    assert graph.edge_weights.tolist() == [2, 2, 3]
    data = npz(edge_index=np.array([[0], [1]]), distances=np.array([2.0]))
    graph = read(tmp_path, "graph.npz", data, directed=False)
    assert graph.to_edge_index().tolist() == [[1, 0], [0, 1]]
    assert graph.distances.tolist() == [2, 2]


def test_networkx_files(tmp_path):
    nx = pytest.importorskip("networkx")
    theirs = nx.les_miserables_graph()
    ours = NeighborGraph.from_networkx(theirs)
    for key in ("links", "edges"):
        content = nx.node_link_data(theirs, edges=key)
        assert read(tmp_path, "graph.json", json.dumps(content)) == ours
    digraph = nx.gnp_random_graph(12, 0.2, seed=1, directed=True)
    content = nx.node_link_data(digraph, edges="links")
    assert read(tmp_path, "graph.json", json.dumps(content)) == NeighborGraph.from_networkx(digraph)
    weighted = nx.DiGraph([(u, v, {"weight": u + v / 2}) for u, v in digraph.edges])
    for data in (True, ["weight"]):
        nx.write_edgelist(weighted, tmp_path / "graph.edgelist", data=data)
        graph = NeighborGraph.read(tmp_path / "graph.edgelist")
        assert graph.num_edges == weighted.number_of_edges()
        expected = [graph_edge[0] + graph_edge[1] / 2 for graph_edge in graph.to_edge_index().T.tolist()]
        assert graph.edge_weights.tolist() == expected
    nx.write_edgelist(digraph, tmp_path / "graph.edgelist")
    assert NeighborGraph.read(tmp_path / "graph.edgelist").edge_weights is None


def test_csv(tmp_path):
    text = 'Source,Target,weight,distance,f1,f2\n"x, y",b,0.5,1,2,3\nb,c,1.5,0,4,5\n\n'
    graph = read(tmp_path, "graph.csv", "\ufeff" + text)
    assert graph.names == ("x, y", "b", "c")
    assert graph.edge_weights.tolist() == [0.5, 1.5]
    assert graph.distances.tolist() == [1, 0]
    assert graph.edge_features.tolist() == [[2, 3], [4, 5]]
    assert read(tmp_path, "graph.tsv", "target\tsource\n1\t0\n").to_edge_index().tolist() == [[0], [1]]
    assert read(tmp_path, "graph.csv", "source;target\n0;1\n").num_edges == 1


def test_json_of_d3(tmp_path):
    content = {
        "nodes": [{"name": "a", "layer": 1}, {"name": "b", "layer": 0}],
        "links": [{"source": 0, "target": 1, "weight": 2, "features": [1, 2]}],
        "directed": True,
    }
    graph = read(tmp_path, "graph.json", json.dumps(content))
    assert graph.names == ("a", "b")
    assert graph.layers.tolist() == [1, 0]
    assert graph.edge_features.tolist() == [[1, 2]]
    assert read(tmp_path, "graph.json", json.dumps(content), directed=False).num_edges == 2


def test_arrays_of_others(tmp_path):
    edges = np.array([[1, 0], [0, 2]], dtype=np.int32)
    graph = read(tmp_path, "graph.npz", npz(edge_index=edges, edge_weights=np.array([1.0, 2.0])))
    assert graph == NeighborGraph.from_edge_index(edges, 3, edge_weights=[1.0, 2.0])
    assert read(tmp_path, "graph.npz", npz(edge_index=edges, num_nodes=5)).num_nodes == 5
    assert read(tmp_path, "graph.npz", npz(indptr=[0, 1, 1], indices=[1])) == NeighborGraph([0, 1, 1], [1])


def two_nodes(rest):
    return '{"nodes": [{"id": 0}, {"id": 1}]' + rest + "}"


BAD_FILES = {
    "empty.txt": "",
    "blank.txt": "# nothing\n\n",
    "binary.txt": b"\x00\x01\x02",
    "latin.txt": b"caf\xe9 b\n",
    "one.txt": "0\n",
    "four.txt": "0 1 2 3\n",
    "ragged.txt": "0 1\n1 2 3\n",
    "nan.txt": "0 1 nan\n",
    "inf.txt": "0 1 -inf\n",
    "text.txt": "0 1 heavy\n",
    "dict.edgelist": "0 1 {'weight': __import__('os')}\n",
    "gap.edges": "a,,1\n",
    "empty.csv": "",
    "headless.csv": "a,b\nc,d\n",
    "header.csv": "source,target\n",
    "twice.csv": "source,target,weight,weight\n0,1,2,3\n",
    "ragged.csv": "source,target\n0,1\n1\n",
    "nan.csv": "source,target,weight\n0,1,nan\n",
    "hole.csv": "source,target,weight\n0,1,\n",
    "nobody.csv": "source,target\n0,\n",
    "type.csv": "source,target,type\n0,1,Directed\n1,2,friend\n",
    "negative.csv": "source,target,distance\n0,1,-1\n",
    "quote.csv": 'source,target\n"0,1\n' + "x" * 200_000,
    "binary.csv": b"\x89PNG\r\n\x1a\n\x00",
    "empty.json": "",
    "text.json": "hello",
    "truncated.json": '{"nodes": [{"id": 0}',
    "list.json": "[1, 2]",
    "deep.json": "[" * 100_000,
    "keys.json": "{}",
    "nolinks.json": two_nodes(""),
    "nonodes.json": '{"nodes": [], "links": []}',
    "scalars.json": '{"nodes": [1, 2], "links": []}',
    "ids.json": '{"nodes": [{"id": 0}, {"id": 0}], "links": []}',
    "objects.json": '{"nodes": [{"id": {}}], "links": []}',
    "nested.json": '{"nodes": [{"id": [[1]]}], "links": []}',
    "bool.json": '{"nodes": [{"id": true}], "links": []}',
    "unknown.json": two_nodes(', "links": [{"source": 0, "target": 2}]'),
    "half.json": two_nodes(', "links": [{"source": 0}]'),
    "flag.json": two_nodes(', "links": [], "directed": "no"'),
    "nan.json": two_nodes(', "links": [{"source": 0, "target": 1, "weight": NaN}]'),
    "huge.json": two_nodes(', "links": [{"source": 0, "target": 1, "weight": 1e999}]'),
    "digits.json": two_nodes(', "links": [{"source": 0, "target": 1, "weight": ' + "9" * 10_000 + "}]"),
    "text weight.json": two_nodes(', "links": [{"source": 0, "target": 1, "weight": "2"}]'),
    "null.json": two_nodes(', "links": [{"source": 0, "target": 1, "weight": null}]'),
    "distance.json": two_nodes(', "links": [{"source": 0, "target": 1, "distance": -2}]'),
    "features.json": two_nodes(
        ', "directed": true, "links": [{"source": 0, "target": 1, "features": [1]}, '
        '{"source": 1, "target": 0, "features": [1, 2]}]'
    ),
    "far layer.json": '{"nodes": [{"id": 0, "layer": 1e300}], "links": []}',
    "layer.json": '{"nodes": [{"id": 0, "layer": 0.5}], "links": []}',
    "layers.json": '{"nodes": [{"id": 0, "layer": 1}, {"id": 1}], "links": []}',
    "empty.npz": b"",
    "text.npz": "hello",
    "truncated.npz": npz(indptr=[0, 0], indices=np.empty(0, int))[:-40],
    "nothing.npz": npz(x=[1.0]),
    "half.npz": npz(indptr=[0, 0]),
    "unknown.npz": npz(edge_index=[[0], [1]], colour=[1]),
    "objects.npz": npz(indptr=np.array([0, None], dtype=object), indices=[0]),
    "float.npz": npz(edge_index=[[0.0], [1.0]]),
    "range.npz": npz(indptr=[0, 1], indices=[7]),
    "falls.npz": npz(indptr=[0, 2, 1], indices=[0]),
    "nan.npz": npz(indptr=[0, 1], indices=[0], edge_weights=[np.nan]),
    "many.npz": npz(edge_index=[[0], [10**15]]),
    "count.npz": npz(edge_index=[[0], [0]], num_nodes=10**9),
    "none.npz": npz(edge_index=[[0], [0]], num_nodes=0),
    "few.npz": npz(edge_index=[[0], [3]], num_nodes=2),
    "names.npz": npz(indptr=[0, 0], indices=np.empty(0, int), names=np.frombuffer(b'["a"', dtype=np.uint8)),
    "kinds.npz": npz(indptr=[0, 0], indices=np.empty(0, int), names=np.frombuffer(b"[1]", dtype=np.uint8)),
    "graph.xyz": "0 1\n",
    "graph": "0 1\n",
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_bad_files(tmp_path, name):
    path = write(tmp_path, name, BAD_FILES[name])
    with pytest.raises(errors.LoadError) as caught:
        NeighborGraph.read(path)
    assert name in str(caught.value)
    assert "\n" not in str(caught.value)
    assert path.read_bytes() == (BAD_FILES[name] if isinstance(BAD_FILES[name], bytes) else BAD_FILES[name].encode())


def test_a_header_that_promises_more_than_there_is(tmp_path):
    header = b"{'descr': '<i8', 'fortran_order': False, 'shape': (99999999999,), }\n"
    member = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("indptr.npy", member)
        archive.writestr("indices.npy", member)
    with pytest.raises(errors.LoadError):
        read(tmp_path, "bomb.npz", out.getvalue())
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("indptr.npy", member + b"\0" * (80 << 20))
    with pytest.raises(errors.LoadError):
        read(tmp_path, "bomb.npz", out.getvalue())


def test_every_truncation_of_our_own_files(tmp_path):
    for suffix in (".npz", ".json"):
        full_graph().save(tmp_path / f"graph{suffix}")
        data = (tmp_path / f"graph{suffix}").read_bytes()
        for length in range(0, len(data) - 1, 37):
            with pytest.raises(errors.LoadError):
                read(tmp_path, f"cut{suffix}", data[:length])


def test_missing_folders_and_pipes(tmp_path):
    for path in (tmp_path / "missing.csv", tmp_path, tmp_path / "a\0b.csv", ""):
        with pytest.raises(errors.LoadError):
            NeighborGraph.read(path)
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(errors.LoadError, match=r"folder\.csv: is a folder"):
        NeighborGraph.read(tmp_path / "folder.csv")
    if hasattr(os, "mkfifo"):
        try:
            os.mkfifo(tmp_path / "pipe.csv")
        except OSError:  # Pyodide's file system does not support it
            return
        with pytest.raises(errors.LoadError, match="regular file"):
            NeighborGraph.read(tmp_path / "pipe.csv")


def test_paths_and_options_of_the_wrong_kind(tmp_path):
    graph = NeighborGraph([0, 0], [])
    for path in (0, None, b"graph.csv", ["graph.csv"]):
        with pytest.raises(errors.InvalidConfigError):
            NeighborGraph.read(path)
        with pytest.raises(errors.InvalidConfigError):
            graph.save(path)
    with pytest.raises(errors.InvalidConfigError):
        NeighborGraph.read(write(tmp_path, "graph.txt", "0 1\n"), directed="yes")
    with pytest.raises(errors.InvalidConfigError):
        graph.save(tmp_path / "graph.pkl")
    with pytest.raises(errors.LoadError):
        graph.save(tmp_path / "missing" / "graph.npz")


def test_the_value_of_d3_links_is_their_weight(tmp_path):
    path = tmp_path / "miserables.json"

    def read(*links):
        content = {"nodes": [{"id": n} for n in "abc"], "links": list(links)}
        path.write_text(json.dumps(content))
        return NeighborGraph.read(path)

    ab, bc = {"source": "a", "target": "b"}, {"source": "b", "target": "c"}
    graph = read(ab | {"value": 5}, bc | {"value": 2.5})
    assert {(int(j), int(i)): float(w) for j, i, w in zip(*graph.to_edge_index(), graph.edge_weights, strict=True)} == {
        (0, 1): 5.0,
        (1, 0): 5.0,
        (1, 2): 2.5,
        (2, 1): 2.5,
    }
    assert sorted(set(read(ab | {"value": 5}, bc).edge_weights.tolist())) == [1.0, 5.0]
    assert read(ab | {"value": 5, "weight": 5}, bc).edge_weights.max() == 5
    assert read(ab, bc).edge_weights is None
    for bad in ({"value": 5, "weight": 4}, {"value": "heavy"}, {"value": [1, 2]}, {"value": True}):
        with pytest.raises(errors.LoadError, match="value"):
            read(ab | bad, bc | bad)
