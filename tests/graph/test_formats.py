"""Files as networkx and SciPy write them, and the errors of every format."""

import gzip
import io
import json

import numpy as np
import pytest
from graph_texts import CYTOSCAPE, D3, GEXF, GRAPHML, NEWMAN, PAJEK, both, edges, read, theirs

from graphattend import errors
from graphattend.graph import NeighborGraph, is_undirected
from graphattend.graph.files import parse
from graphattend.graph.formats import FORMATS

# -- files of networkx -------------------------------------------------------------------------------------------------


def nx_graphs():
    nx = pytest.importorskip("networkx")
    named = nx.DiGraph(
        [("Ann Lee", "Bøb", {"weight": 1.5}), ("Bøb", 'C "&" <d>', {"weight": 2}), ("Bøb", "Bøb", {"weight": 3})]
    )
    grid = nx.convert_node_labels_to_integers(nx.grid_2d_graph(3, 4))
    alone = nx.Graph(grid)
    alone.add_node(12)
    multi = nx.MultiGraph([(0, 1, {"weight": 2.0}), (0, 1, {"weight": 3.0}), (1, 2, {"weight": 4.0})])
    return {
        "les miserables": nx.les_miserables_graph(),
        "named": named,
        "grid": grid,
        "alone": alone,
        "digraph": nx.gnp_random_graph(15, 0.2, seed=4, directed=True),
        "multi": multi,
    }


def nx_written(nx, kind, graph):
    if kind == "gml":
        return "\n".join(nx.generate_gml(graph))
    if kind == "net":
        return "\n".join(nx.generate_pajek(graph))
    out = io.BytesIO()
    getattr(nx, f"write_{kind}")(graph, out)
    return out.getvalue()


@pytest.mark.parametrize("name", ["les miserables", "named", "grid", "alone", "digraph", "multi"])
@pytest.mark.parametrize("kind", ["graphml", "gexf", "gml", "net"])
def test_networkx_writes(kind, name):
    nx = pytest.importorskip("networkx")
    graph = nx_graphs()[name]
    if kind == "net":
        if name == "named":
            graph = nx.relabel_nodes(graph, {'C "&" <d>': "C d"})
        graph = nx.relabel_nodes(graph, str)
        nx.set_edge_attributes(
            graph, {e: float(d) for e, d in nx.get_edge_attributes(graph, "weight").items()}, "weight"
        )
    found = read(nx_written(nx, kind, graph), f"g.{kind}")
    expected = theirs(graph)
    if kind == "net" and expected and expected[0][2] is None:
        expected = [(u, v, 1.0) for u, v, _ in expected]  # networkx writes all weights
    assert edges(found) == expected
    assert found.graph.num_nodes == graph.number_of_nodes()
    assert found.directed == graph.is_directed()


@pytest.mark.parametrize("name", ["les miserables", "named", "grid", "alone", "digraph", "multi"])
@pytest.mark.parametrize("kind", ["node_link", "links", "adjacency", "cytoscape"])
def test_networkx_writes_json(kind, name):
    nx = pytest.importorskip("networkx")
    graph = nx_graphs()[name]
    write = {
        "node_link": lambda g: nx.node_link_data(g, edges="edges"),
        "links": lambda g: nx.node_link_data(g, edges="links"),
        "adjacency": nx.adjacency_data,
        "cytoscape": nx.cytoscape_data,
    }[kind]
    data = json.dumps(write(graph))
    found = read(data, "g.json")
    assert edges(found) == theirs(graph)
    assert found.graph.num_nodes == graph.number_of_nodes()
    assert found.directed == graph.is_directed()
    if kind == "cytoscape":
        assert read(data, "g.cyjs").graph == found.graph


@pytest.mark.parametrize("name", ["les miserables", "grid", "alone", "digraph"])
def test_networkx_writes_adjacency_lists(name):
    nx = pytest.importorskip("networkx")
    graph = nx.relabel_nodes(nx_graphs()[name], lambda n: str(n).replace(" ", "_"))
    out = io.BytesIO()
    nx.write_adjlist(graph, out)
    found = read(out.getvalue(), "g.adjlist", directed=graph.is_directed())
    assert edges(found) == [(u, v, None) for u, v, _ in theirs(graph)]
    assert found.graph.num_nodes == graph.number_of_nodes()
    assert read(b"0 1 2\n1 0\n2 0\n", "g.adjlist").graph.num_edges == 4
    assert read(b"0 1 # 2\n1 0\n", "g.adjlist").graph.num_nodes == 2  # a comment after the neighbours
    with pytest.raises(errors.LoadError, match="line 1: an undirected edge that is not listed"):
        read(b"0 1 2\n1 0\n", "g.adjlist")


def test_networkx_1_wrote_positions():
    old = {"nodes": [{"id": "b"}, {"id": "a"}], "links": [{"source": 0, "target": 1, "key": 0}], "directed": True}
    assert edges(read(json.dumps(old), "g.json")) == [("b", "a", None)]
    shifted = {"nodes": [{"id": 1}, {"id": 2}], "links": [{"source": 0, "target": 1}], "directed": True}
    assert edges(read(json.dumps(shifted), "g.json")) == [("1", "2", None)]
    by_id = {"nodes": [{"id": 1}, {"id": 0}], "links": [{"source": 0, "target": 1}], "directed": True}
    assert edges(read(json.dumps(by_id), "g.json")) == [("0", "1", None)]
    vis = {"nodes": [{"id": 7}, {"id": 9}], "edges": [{"from": 7, "to": 9, "value": 3}]}
    assert edges(read(json.dumps(vis), "g.json")) == both(("7", "9", 3.0))


def test_json_of_others():
    simulated = {
        "nodes": [{"id": "a", "index": 0, "x": 1.5}, {"id": "b", "index": 1, "x": 2}],
        "links": [{"source": {"id": "b", "index": 1}, "target": {"id": "a", "index": 0}, "value": 2, "index": 0}],
    }
    assert edges(read(json.dumps(simulated), "g.json")) == both(("b", "a", 2.0))
    graphology = {
        "options": {"type": "mixed"},
        "nodes": [{"key": "a"}, {"key": "b", "attributes": {"label": "B"}}],
        "edges": [{"key": "e0", "source": "a", "target": "b", "attributes": {"weight": 3}}],
    }
    found = read(json.dumps(graphology), "g.json")
    assert edges(found) == both(("a", "b", 3.0))
    assert found.graph.edge_features is None


# -- SciPy -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("field", ["real", "integer", "pattern"])
@pytest.mark.parametrize("symmetric", [True, False])
def test_scipy_writes(field, symmetric):
    sparse = pytest.importorskip("scipy.sparse")
    from scipy.io import mmwrite

    dense = np.triu(np.random.default_rng(1).integers(0, 4, (9, 9)))
    dense = dense + dense.T if symmetric else dense
    matrix = sparse.csr_array(dense if field == "integer" else dense.astype(float))
    out = io.BytesIO()
    mmwrite(out, matrix, field=field, comment="made by a test")
    found = read(out.getvalue(), "g.mtx")
    expected = NeighborGraph.from_scipy(matrix if field != "pattern" else matrix.astype(bool))
    np.testing.assert_array_equal(found.graph.to_scipy().toarray(), expected.to_scipy().toarray())
    assert (found.graph.edge_weights is None) == (field == "pattern")
    assert is_undirected(found.graph) == symmetric
    assert found.directed is (False if symmetric else None)


def test_matrix_market_by_hand():
    skew = "%%MatrixMarket matrix coordinate real skew-symmetric\n% c\n3 3 2\n2 1 1.5\n3 1 -2\n"
    assert edges(read(skew, "g.mtx")) == [("0", "1", 1.5), ("0", "2", -2.0), ("1", "0", -1.5), ("2", "0", 2.0)]
    empty = "%%MatrixMarket matrix coordinate pattern general\n3 3 0\n"
    assert read(empty, "g.mtx").graph == NeighborGraph([0, 0, 0, 0], [])


# -- errors ------------------------------------------------------------------------------------------------------------

BOMB = '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]>'
BAD = {
    "entities.graphml": (GRAPHML.replace("?>", "?>" + BOMB, 1), "line 1: has a document type"),
    "entities.gexf": (GEXF.replace("?>", "?>" + BOMB, 1), "document type"),
    "outside.graphml": (GRAPHML.replace("?>", '?><!DOCTYPE graphml SYSTEM "file:///etc/passwd">', 1), "document type"),
    "deep.graphml": ("<graphml>" + "<a>" * 100 + "</a>" * 100 + "</graphml>", "nested more than"),
    "cut.graphml": (GRAPHML[:400], "not valid XML"),
    "root.graphml": (GEXF, "expected <graphml>"),
    "two.graphml": ("<graphml><graph/><graph/></graphml>", "expected one graph, found 2"),
    "none.graphml": ("<graphml><graph/></graphml>", "no nodes"),
    "hyper.graphml": ('<graphml><graph><node id="a"/><hyperedge/></graph></graphml>', "hyperedges"),
    "twice.graphml": ('<graphml><graph><node id="a"/><node id="a"/></graph></graphml>', "two nodes have the id 'a'"),
    "end.graphml": (
        '<graphml><graph><node id="a"/>\n<edge source="a" target="b"/></graph></graphml>',
        "line 2, target: 'b'",
    ),
    "lacks.graphml": (
        '<graphml><graph><node id="a"/>\n<edge source="a"/></graph></graphml>',
        "line 2: <edge> lacks 'target'",
    ),
    "node.graphml": (
        '<graphml><graph><node id="a">\n<data key="x">1</data></node></graph></graphml>',
        "line 2: no key 'x' is declared",
    ),
    "key.graphml": (GRAPHML.replace('key="weight"', 'key="w"'), "line 10: no key 'w'"),
    "word.graphml": (
        GRAPHML.replace("2.5", "heavy"),
        "line 10, column 'weight': expected a finite number, got 'heavy'",
    ),
    "nan.graphml": (GRAPHML.replace("2.5", "NaN"), "line 10, column 'weight'"),
    "dynamic.gexf": (GEXF.replace('mode="static">', 'mode="dynamic">', 1), "dynamic"),
    "type.gexf": (GEXF.replace('type="directed"', 'type="sideways"'), "line 18: expected one of the types"),
    "weight.gexf": (GEXF.replace("17.0", "heavy"), "column 'weight'"),
    "declared.gexf": (GEXF.replace('for="0"', 'for="9"'), "no attribute '9'"),
    "open.gml": ("graph [ node [ id 0 ]", "ends before"),
    "close.gml": ("graph [ node [ id 0 ] ] ]", "line 1: unexpected ']'"),
    "value.gml": ("graph [ node [ id\n]", "line 2: unexpected"),
    "deep.gml": ("graph [ " + "a [ " * 1000, "nested more than"),
    "quote.gml": ('graph [ node [ id 0 label "a ] ]', "line 1: expected a key"),
    "two.gml": ("graph [ node [ id 0 ] ] graph [ node [ id 0 ] ]", "found 2"),
    "end.gml": ("graph [\nnode [ id 0 ]\nedge [ source 0 target 9 ] ]", "line 3, target: 9"),
    "text.gml": ('graph [ node [ id "a" ] ]', "whole number as 'id'"),
    "digits.gml": ("graph [ node [ id " + "9" * 5000 + " ] ]", "characters"),
    "inf.gml": ("graph [ node [ id 0 ] edge [ source 0 target 0 weight +INF ] ]", "expected a key"),
    "word.gml": ('graph [ node [ id 0 ]\nedge [ source 0 target 0 weight "x" ] ]', "line 2, column 'weight'"),
    "count.net": ("*Vertices 99999999999\n*Arcs\n1 2\n", "line 1, *Vertices"),
    "many.net": ("*Vertices 9999999\n*Arcs\n1 2\n", "line 1, *Vertices: expected a whole number up to 1000000"),
    "minus.net": ("*Vertices -3\n", "line 1, *Vertices"),
    "zero.net": ("*Vertices 0\n", "no vertices"),
    "far.net": ("*Vertices 2\n*Arcs\n1 3\n", "line 3: expected a vertex from 1 to 2, got '3'"),
    "word.net": ("*Vertices 2\n*Arcs\n1 2 x\n", "line 3, column 'weight'"),
    "section.net": ("*Vertices 2\n*Partition p\n1\n2\n", "line 2: the section '*Partition'"),
    "start.net": ("1 2\n", "expected *Vertices"),
    "matrix.net": ("*Vertices 2\n*Matrix\n0 1\n", "expected 2 lines"),
    "banner.mtx": ("3 3 1\n1 2\n", "line 1: expected %%MatrixMarket"),
    "dense.mtx": ("%%MatrixMarket matrix array real general\n1 1\n1\n", "line 1: expected coordinate"),
    "complex.mtx": ("%%MatrixMarket matrix coordinate complex general\n1 1 1\n1 1 1 0\n", "line 1"),
    "tall.mtx": ("%%MatrixMarket matrix coordinate real general\n3 2 1\n1 1 1\n", "square"),
    "huge.mtx": ("%%MatrixMarket matrix coordinate real general\n9999999999 9999999999 1\n1 1 1\n", "line 2"),
    "few.mtx": (
        "%%MatrixMarket matrix coordinate real general\n3 3 2\n1 1 1\n",
        "announces 2 entries, but there are 1",
    ),
    "far.mtx": ("%%MatrixMarket matrix coordinate real general\n3 3 1\n1 4 1\n", "entry 1"),
    "half.mtx": ("%%MatrixMarket matrix coordinate real general\n3 3 1\n1 1.5 1\n", "entry 1"),
    "word.mtx": ("%%MatrixMarket matrix coordinate real general\n3 3 2\n1 1 1\n1 x 1\n", "line 4: expected 3 numbers"),
    "nan.mtx": ("%%MatrixMarket matrix coordinate real general\n3 3 1\n1 1 nan\n", "nan"),
    "head.graph": ("5\n", "expected a first line"),
    "size.graph": ("99999999999 1\n", "line 1, nodes"),
    "lines.graph": ("3 1\n2\n1\n3\n3\n", "announces 3 nodes, but there are 4 lines"),
    "edges.graph": ("2 2\n2\n1\n", "announces 2 edges, but there are 1"),
    "one way.graph": ("3 1\n2 3\n\n\n", "line 2: an undirected edge that is not listed equally often"),
    "weights.graph": ("2 1 1\n2\n1\n", "line 2: expected whole numbers, 2 for every neighbour"),
    "far.graph": ("2 1\n3\n1\n", "line 2: expected other nodes from 1 to 2, got 3"),
    "empty.adjlist": ("# nothing\n", "no nodes"),
    "end.json": ('{"nodes": [{"id": 0}], "links": [{"source": 0, "target": {}}]}', "links[0], target: expected an id"),
    "keys.json": ('{"graph": 1}', "expected the keys"),
    "adjacency.json": ('{"nodes": [{"id": 0}], "adjacency": []}', "a list for every node"),
    "numbers.json": ('{"nodes": [{"id": 0}], "adjacency": [[0]]}', "adjacency[0]: expected a list of objects"),
    "listed.json": ('{"nodes": [{"id": 0}, {"id": 1}], "adjacency": [[{"id": 1}], []]}', "not listed equally often"),
    "elements.json": ('{"elements": 3}', "elements"),
    "element.json": ('{"elements": {"nodes": [1]}}', "elements"),
    "empty.cyjs": ('{"elements": {}}', "no nodes"),
    "name.faiss": (b"IxFl" + bytes(60), "expected"),
    "letters.index": (b"hello there, this is no index of faiss at all", "letters.index"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_refused(name):
    data, says = BAD[name]
    with pytest.raises(errors.LoadError) as caught:
        read(data, name)
    assert says in str(caught.value)
    assert str(caught.value).startswith(f"{name}: ")
    assert "\n" not in str(caught.value)


def test_every_format_is_tried_here():
    tried = {"." + name.partition(".")[2] for name in BAD} | {".hnsw", ".bin", ".planetoid", ".hnswlib"}
    elsewhere = {".txt", ".edges", ".edgelist", ".el", ".ncol", ".cites", ".csv", ".tsv", ".npz", ".metis"}
    assert tried | elsewhere == set(FORMATS)


@pytest.mark.parametrize(
    ("data", "count"),
    [(GEXF, 3), (GRAPHML, 4), (NEWMAN, 2), (PAJEK, 5), (json.dumps(CYTOSCAPE), 2), (json.dumps(D3), 2)],
)
def test_the_first_bytes_tell(data, count):
    assert parse(data.encode(), "standard input").graph.num_edges == count
    assert parse(gzip.compress(data.encode()), "standard input").graph.num_edges == count
