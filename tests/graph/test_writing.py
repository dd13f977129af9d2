"""Writing and reading gives the same graph, or an error that names what the format cannot store."""

import json

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import graphattend as ga
from graphattend import NeighborGraph
from graphattend.graph.files import read, save
from graphattend.graph.formats import FORMATS
from graphattend.graph.formats._writing import once, same

WRITABLE = [suffix for suffix, form in FORMATS.items() if form.write is not None]
READ_ONLY = {".cites", ".cyjs", ".planetoid", ".faiss", ".index", ".hnsw", ".hnswlib", ".bin"}


def test_all_formats_are_written_but_these():
    assert set(FORMATS) - set(WRITABLE) == READ_ONLY


def plain_graphs():
    nx = pytest.importorskip("networkx")
    grid = nx.convert_node_labels_to_integers(nx.grid_2d_graph(3, 4))
    return {
        "grid": NeighborGraph.from_networkx(grid),
        "digraph": NeighborGraph.from_networkx(nx.gnp_random_graph(12, 0.3, seed=3, directed=True)),
        "weighted": NeighborGraph.from_networkx(nx.karate_club_graph()),
    }


#: Data that a format cannot store.
REFUSES = {
    ("grid", None): (),
    ("digraph", None): (".adjlist", ".graph", ".metis"),
    ("weighted", None): (".adjlist",),
}


@pytest.mark.parametrize("suffix", WRITABLE)
@pytest.mark.parametrize(("name", "_"), REFUSES)
def test_plain_graphs(tmp_path, suffix, name, _):
    graph, path = plain_graphs()[name], tmp_path / f"g{suffix}"
    if suffix in REFUSES[name, _]:
        with pytest.raises(ga.InvalidConfigError, match=r"^path: .* cannot hold"):
            graph.write(path)
        assert not path.exists()
        return
    for packed in ("", ".gz", ".bz2", ".xz"):
        target = tmp_path / f"g{suffix}{packed}"
        graph.write(target)
        assert same(graph, NeighborGraph.read(target))
        assert NeighborGraph.read(target).edge_weights is None or name == "weighted"
    assert path.read_bytes() == (graph.save(path), path.read_bytes())[1]


@pytest.mark.parametrize("suffix", [s for s in WRITABLE if s not in (".npz", ".json")])
def test_an_undirected_graph_stays_undirected_in_whatever_order_its_edges_came(tmp_path, suffix, rng):
    ends = np.array([(i, j) for i in range(9) for j in range(i) if (i + j) % 3 or i == j + 1]).T
    ends = rng.permuted(ends, axis=0)[:, rng.permutation(ends.shape[1])]
    graph = NeighborGraph.from_edge_index(np.concatenate([ends, ends[::-1]], axis=1), 9)
    assert not (np.diff(graph.indices)[np.diff(graph.targets) == 0] > 0).all()
    graph.write(tmp_path / f"g{suffix}")
    table = FORMATS[suffix].read((tmp_path / f"g{suffix}").read_bytes())
    assert len(table.sources) == (2 if table.twice else 1) * ends.shape[1]


@pytest.mark.parametrize("suffix", WRITABLE)
def test_les_miserables_has_254_edges(tmp_path, suffix):
    nx = pytest.importorskip("networkx")
    if suffix in (".adjlist", ".mtx", ".graph", ".metis"):
        return  # this format stores no weights or names; the formats above do
    blanks = nx.relabel_nodes(nx.les_miserables_graph(), lambda n: n.replace(" ", "_"))
    graph = NeighborGraph.from_networkx(blanks)
    save(graph, tmp_path / f"g{suffix}")
    told = read(tmp_path / f"g{suffix}")
    assert same(graph, told.graph)
    assert ga.graph.is_undirected(told.graph)
    assert told.directed in (False, None)
    if suffix != ".npz":
        assert (tmp_path / f"g{suffix}").read_bytes().count(b"Valjean") < 100  # 36 edges, not 72


@pytest.mark.parametrize("kind", ["graphml", "gexf", "gml", "pajek", "edgelist", "adjlist"])
def test_networkx_reads_what_we_write(tmp_path, kind):
    nx = pytest.importorskip("networkx")
    theirs = nx.gnp_random_graph(10, 0.4, seed=5)
    graph = NeighborGraph.from_networkx(theirs)
    path = tmp_path / ("g.net" if kind == "pajek" else f"g.{kind}")
    graph.write(path)
    found = nx.read_gml(path, label="id") if kind == "gml" else getattr(nx, f"read_{kind}")(path)
    assert {frozenset(map(int, edge[:2])) for edge in found.edges} == {frozenset(e) for e in theirs.edges}
    assert not found.is_directed()


def test_scipy_reads_what_we_write(tmp_path):
    pytest.importorskip("scipy")
    from scipy.io import mmread

    for name, graph in plain_graphs().items():
        graph.write(tmp_path / "g.mtx")
        np.testing.assert_array_equal(
            mmread(tmp_path / "g.mtx", spmatrix=False).toarray(), graph.to_scipy().toarray(), name
        )


NAMES = st.text(st.characters(codec="utf-8", categories=["L", "N", "P", "S", "Zs", "Cc"]), max_size=6)


@st.composite
def graphs(draw):
    size = draw(st.integers(1, 5))
    edges = draw(st.lists(st.tuples(st.integers(0, size - 1), st.integers(0, size - 1)), max_size=8))
    if draw(st.booleans()):
        edges += [(j, i) for i, j in edges]
    numbers = st.floats(allow_nan=False, allow_infinity=False)
    column = st.lists(numbers, min_size=len(edges), max_size=len(edges))
    more = {}
    if draw(st.booleans()):
        more["edge_weights"] = draw(column)
    if draw(st.booleans()) and edges:
        more["edge_features"] = np.array([draw(column), draw(column)]).T
    if draw(st.booleans()):
        more["distances"] = np.abs(draw(column))
    if draw(st.booleans()):
        more["names"] = draw(st.lists(NAMES, min_size=size, max_size=size))
    if draw(st.booleans()):
        more["layers"] = draw(st.lists(st.integers(0, 3), min_size=size, max_size=size))
    return NeighborGraph.from_edge_index(np.array(edges, np.intp).reshape(-1, 2).T, size, **more)


@pytest.mark.parametrize("suffix", WRITABLE)
@settings(deadline=None, max_examples=60, suppress_health_check=list(HealthCheck))
@given(graph=graphs())
def test_any_graph_comes_back_or_is_refused(tmp_path_factory, suffix, graph):
    path = tmp_path_factory.getbasetemp() / f"any{suffix}"
    refusal = refused(graph, path)
    if suffix in (".npz", ".json") or refusal is None:
        assert refusal is None
        back = NeighborGraph.read(path)
        assert same(graph, back)
        assert back == graph or not graph.num_edges or suffix not in (".npz", ".json")
    else:
        assert "cannot hold" in refusal


def refused(graph, path):
    """Write the graph; return the error message or None."""
    try:
        graph.write(path)
    except ga.InvalidConfigError as error:
        return str(error)
    return None


def test_undirected_edges_are_listed_once():
    both = NeighborGraph.from_edge_index([[0, 1, 2, 1], [1, 0, 1, 2]], 3)
    assert once(both).tolist() == [0, 2]
    assert once(NeighborGraph.from_edge_index([[0], [1]], 2)) is None
    other = NeighborGraph([0, 2, 3, 4], [2, 1, 0, 0])  # keeps its order
    assert once(other).tolist() == [0, 1]
    falling = NeighborGraph([0, 1, 2, 4], [2, 2, 1, 0])  # does not keep its order
    assert once(falling).tolist() == [0, 1]
    assert once(falling, ordered=True) is None


def test_same():
    graph = NeighborGraph([0, 2, 2], [1, 0], names=["a", "b"], edge_weights=[1.0, 2.0])
    assert same(graph, NeighborGraph([0, 0, 2], [0, 1], names=["b", "a"], edge_weights=[1.0, 2.0]))
    for other in (
        NeighborGraph([0, 2, 2], [1, 0], names=["a", "b"], edge_weights=[2.0, 1.0]),
        NeighborGraph([0, 2, 2], [1, 0], names=["a", "c"], edge_weights=[1.0, 2.0]),
        NeighborGraph([0, 2, 2], [1, 0], edge_weights=[1.0, 2.0]),
        NeighborGraph([0, 2, 2], [1, 0], names=["a", "b"]),
        NeighborGraph([0, 2, 2], [1, 0], names=["a", "b"], edge_weights=[1.0, 2.0], layers=[0, 0]),
        NeighborGraph([0, 2, 2, 2], [1, 0], names=["a", "b", "c"], edge_weights=[1.0, 2.0]),
    ):
        assert not same(graph, other)


def test_what_a_format_cannot_hold_is_named(tmp_path):
    alone = NeighborGraph([0, 1, 1, 1], [1])
    layered = NeighborGraph([0, 1, 1], [1], layers=[0, 1])
    blank = NeighborGraph([0, 1, 1], [1], names=["New York", "Rome"])
    for graph, name, says in (
        (alone, "g.csv", "nodes without edges"),
        (layered, "g.csv", "layers"),
        (layered, "g.gexf", "layers"),
        (blank, "g.edges", "'New York'"),
        (blank, "g.mtx", "names"),
    ):
        with pytest.raises(ga.InvalidConfigError, match=says):
            graph.write(tmp_path / name)
    blank.write(tmp_path / "g.csv")
    assert (tmp_path / "g.csv").read_text() == "source,target\nRome,New York\n"
    pair = NeighborGraph([0, 1, 2], [1, 0], edge_weights=[2.0, 2.0])
    pair.write(tmp_path / "g.csv")
    assert (tmp_path / "g.csv").read_text() == "source,target,type,weight\n0,1,Undirected,2.0\n"
    assert json.loads((pair.write(tmp_path / "g.json"), (tmp_path / "g.json").read_bytes())[1])["directed"] is False
