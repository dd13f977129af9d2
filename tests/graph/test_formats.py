"""Files as the tools write them: networkx, SciPy, Gephi, Cytoscape, d3, METIS, faiss, hnswlib, Planetoid, OGB."""

import collections
import gzip
import io
import json
import logging
import pickle
import struct

import numpy as np
import pytest

from graphattend import errors
from graphattend.graph import NeighborGraph, is_undirected
from graphattend.graph.files import parse
from graphattend.graph.formats import FORMATS


def read(data, name, **options):
    return parse(
        data if isinstance(data, bytes) else data.encode(), name, suffix="." + name.partition(".")[2], **options
    )


def edges(told):
    """Every edge by the names of its ends, with its weight."""
    graph = told.graph
    names = graph.names or tuple(map(str, range(graph.num_nodes)))
    weights = [None] * graph.num_edges if graph.edge_weights is None else graph.edge_weights.tolist()
    return sorted((names[j], names[i], w) for (j, i), w in zip(graph.to_edge_index().T.tolist(), weights, strict=True))


def both(*listed):
    """Undirected edges, as they are stored."""
    return sorted({*listed, *((j, i, w) for i, j, w in listed)})


def theirs(graph, weight="weight"):
    """networkx's edges, as ours."""
    weighted = any(weight in data for _, _, data in graph.edges(data=True))
    found = [(str(u), str(v), float(d.get(weight, 1)) if weighted else None) for u, v, d in graph.edges(data=True)]
    return sorted(found) if graph.is_directed() else sorted(found + [(v, u, w) for u, v, w in found if u != v])


# -- what networkx writes ----------------------------------------------------------------------------------------------


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
        expected = [(u, v, 1.0) for u, v, _ in expected]  # it writes them all
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


# -- Gephi, Cytoscape, Pajek, Newman, yEd, igraph: as they document and write them --------------------------------------

GEXF = """<?xml version="1.0" encoding="UTF-8"?>
<gexf xmlns="http://gexf.net/1.3" version="1.3" xmlns:viz="http://gexf.net/1.3/viz">
  <meta lastmodifieddate="2024-03-01"><creator>Gephi 0.10</creator></meta>
  <graph defaultedgetype="undirected" mode="static">
    <attributes class="node" mode="static"><attribute id="modularity_class" title="Modularity Class" type="integer"/></attributes>
    <attributes class="edge" mode="static">
      <attribute id="0" title="trips" type="integer"><default>4</default></attribute>
      <attribute id="1" title="line" type="string"/>
    </attributes>
    <nodes count="3">
      <node id="11.0" label="Valjean"><attvalues><attvalue for="modularity_class" value="1"/></attvalues>
        <viz:size value="100.0"/><viz:position x="-87.9" y="6.8"/><viz:color r="245" g="91" b="91"/></node>
      <node id="24.0" label="Fantine"/>
      <node id="27.0" label="Javert"/>
    </nodes>
    <edges count="2">
      <edge id="0" source="11.0" target="24.0" weight="9.0"><attvalues><attvalue for="1" value="red"/></attvalues></edge>
      <edge id="1" source="11.0" target="27.0" weight="17.0" type="directed">
        <attvalues><attvalue for="0" value="7"/></attvalues></edge>
    </edges>
  </graph>
</gexf>"""

GRAPHML = """<?xml version="1.0" encoding="UTF-8"?>
<graphml xmlns="http://graphml.graphdrawing.org/xmlns" xmlns:y="http://www.yworks.com/xml/graphml">
  <key attr.name="label" attr.type="string" for="node" id="label"/>
  <key attr.name="Edge Label" attr.type="string" for="edge" id="edgelabel"/>
  <key attr.name="weight" attr.type="double" for="edge" id="weight"><default>1.0</default></key>
  <key id="d7" for="node" yfiles.type="nodegraphics"/>
  <graph edgedefault="directed">
    <node id="n0"><data key="label">Ann</data><data key="d7"><y:ShapeNode><y:Fill color="#FF0000"/></y:ShapeNode></data></node>
    <node id="n1"><data key="label">Bob</data></node>
    <edge id="e0" source="n0" target="n1"><data key="weight">2.5</data></edge>
    <edge id="e1" source="n1" target="n1" directed="false"/>
    <edge id="e2" source="n1" target="n0" directed="false"><data key="edgelabel">friends</data></edge>
  </graph>
</graphml>"""

NEWMAN = """Creator "Mark Newman on Sat Jul 22 05:32:16 2006"
graph
[
  directed 0
  node
  [
    id 0
    label "BrighamYoung"
    value 7
  ]
  node
  [
    id 3
    label "Fl&#246;rida"
  ]
  edge
  [
    source 3
    target 0
    value 2
    graphics [ fill "#808080" ]
  ]
]
"""

PAJEK = """*Network ragusa
*Vertices 4
1 "Ann Lee" 0.1 0.2 0.5 ic Red
3 Cid
% a comment
*Arcs
1 2 3 c Blue w 2
*Edges
2 3
*Arcslist
4 1 2
"""

METIS = "% a comment\n4 3 011 1\n1 2 5 3 7\n1 1 5\n1 1 7 4 2\n9 3 2\n"

CYTOSCAPE = {
    "data": {"shared_name": "net"},
    "elements": {
        "nodes": [
            {"data": {"id": "62", "SUID": 62, "name": "YDL"}, "position": {"x": 1, "y": 2}},
            {"data": {"id": "63", "SUID": 63, "name": "YDM"}},
        ],
        "edges": [
            {
                "data": {
                    "id": "70",
                    "SUID": 70,
                    "source": "62",
                    "target": "63",
                    "weight": 0.5,
                    "interaction": "pp",
                    "score": 3,
                }
            }
        ],
    },
}

D3 = {
    "nodes": [{"id": "Myriel", "group": 1}, {"id": "Napoleon", "group": 1}],
    "links": [{"source": "Napoleon", "target": "Myriel", "value": 8, "index": 0}],
}


def test_gephi_gexf(caplog):
    with caplog.at_level(logging.WARNING):
        found = read(GEXF, "g.gexf")
    assert edges(found) == [("Fantine", "Valjean", 9.0), ("Valjean", "Fantine", 9.0), ("Valjean", "Javert", 17.0)]
    assert sorted(found.graph.edge_features.ravel().tolist()) == [4, 4, 7]
    assert [r.getMessage().partition(": ")[2] for r in caplog.records] == ["line"]
    assert read(GEXF, "g.gexf", directed=False).graph.num_edges == 4
    assert read(GEXF, "g.gexf", weights="trips", edge_features=[]).graph.edge_weights.max() == 7
    old = GEXF.replace('for="', 'id="').replace("1.3", "1.1")
    assert edges(read(old, "g.gexf")) == edges(found)


def test_graphml_of_several(caplog):
    with caplog.at_level(logging.WARNING):
        found = read(GRAPHML, "g.graphml")
    assert edges(found) == [("Ann", "Bob", 1.0), ("Ann", "Bob", 2.5), ("Bob", "Ann", 1.0), ("Bob", "Bob", 1.0)]
    assert not caplog.records or "Edge Label" in caplog.records[0].getMessage()
    wide = GRAPHML.replace("UTF-8", "UTF-16").encode("utf-16")
    assert edges(read(wide, "g.graphml")) == edges(found)


def test_newmans_gml():
    igraph = 'graph [ directed 1 node [ id 0 name "a" ] node [ id 1 name "b" ] edge [ source 1 target 0 weight 2 ] ]'
    assert edges(read(igraph, "g.gml")) == [("b", "a", 2.0)]
    assert edges(read(NEWMAN, "g.gml")) == both(("BrighamYoung", "Flörida", 2.0))
    assert edges(read(NEWMAN.replace("directed 0", "directed 1"), "g.gml")) == [("Flörida", "BrighamYoung", 2.0)]


def test_much_of_nothing_takes_no_time():
    blank = "\n" * 200_000
    assert edges(read("# a\n" + blank + NEWMAN + blank + "# b", "g.gml")) == edges(read(NEWMAN, "g.gml"))
    for text, name in (
        (blank + "?", "g.gml"),
        ("graph [ a " + "1" * 200_000 + "x ]", "g.gml"),
        ("#\n" * 100_000 + "?", "g.gml"),
        (blank + "x", "g.net"),
        (blank, "g.csv"),
    ):
        with pytest.raises(errors.LoadError):
            read(text, name)
        with pytest.raises(errors.LoadError):
            parse(text.encode(), "standard input")


def test_pajek():
    found = read(PAJEK, "g.net")
    assert found.graph.names == ("Ann Lee", "2", "Cid", "4")
    assert edges(found) == sorted(
        [("Ann Lee", "2", 3.0), ("2", "Cid", 1.0), ("Cid", "2", 1.0), ("4", "Ann Lee", 1.0), ("4", "2", 1.0)]
    )
    matrix = read("*Vertices 2\n*Matrix\n0 2\n0 0\n", "g.net")
    assert edges(matrix) == [("1", "2", 2.0)]
    assert edges(read("*vertices 2\r\n*edges\r\n1 2 0.5\r\n", "g.net")) == both(("1", "2", 0.5))


def test_metis(caplog):
    with caplog.at_level(logging.WARNING):
        found = read(METIS, "g.graph")
    assert edges(found) == both(("0", "1", 5.0), ("0", "2", 7.0), ("2", "3", 2.0))
    assert found.directed is False
    assert "nodes" in caplog.records[0].getMessage()
    assert edges(read("3 1\n2\n1\n\n", "g.metis")) == both(("0", "1", None))


def test_cytoscape(caplog):
    for data in (CYTOSCAPE, {"elements": [e for group in CYTOSCAPE["elements"].values() for e in group]}):
        found = read(json.dumps(data), "g.cyjs")
        assert edges(found) == both(("YDL", "YDM", 0.5))
        assert found.graph.edge_features.tolist() == [[3], [3]]
    assert "interaction" in caplog.records[0].getMessage()


def test_d3():
    assert edges(read(json.dumps(D3), "miserables.json")) == both(("Napoleon", "Myriel", 8.0))


def test_gephis_json_writes_numbers_as_text():
    data = {"nodes": [{"id": "7", "label": "Ann"}, {"id": "8", "label": "Bob"}]}
    data["edges"] = [{"source": "8", "target": "7", "id": "0", "attributes": {"Weight": "2.0"}}]
    assert edges(read(json.dumps(data), "g.json")) == both(("8", "7", 2.0))


def test_a_list_of_edges_in_json():
    table = [{"source": 35, "target": 4, "weight": 2}, {"source": 4, "target": 35, "weight": 1}]
    found = read(json.dumps(table), "dependencies.json")
    assert edges(found) == [("35", "4", 2.0), ("4", "35", 1.0)]
    assert found.directed is True
    assert edges(read(json.dumps([{"data": {"id": "a"}}, {"data": {"source": "a", "target": "a"}}]), "g.json"))
    for text, said in (
        ('[{"id": 1, "parent": 2}]', "keys source and target, or from and to, got 'id', 'parent'"),
        ('[{"source": 1, "target": 2}, {"source": 1}]', r"\[1\], target: expected an id"),
        ("[1]", "list of objects"),
        ("7", "neither a JSON object nor a list"),
        ('{"nodes": [],\n "links": }', "line 2, column 11: Expecting value"),
    ):
        with pytest.raises(errors.LoadError, match=said):
            read(text, "g.json")


def test_names_beside_numbers_of_the_ends():
    text = "Airline,Source,SourceID,Destination,DestinationID,Stops\n2B,DME,2965,KZN,2990,0\n2B,ASF,2966,KZN,2990,1\n"
    found = read(text, "routes.csv")
    assert found.graph.names == ("DME", "KZN", "ASF")
    assert found.graph.edge_features.ravel().tolist() == [0, 1]


def test_a_table_without_a_header():
    assert edges(read("kangaroo\tmarsupial\nkangaroo\tmammal\n", "h.tsv")) == [
        ("kangaroo", "mammal", None),
        ("kangaroo", "marsupial", None),
    ]
    with pytest.raises(errors.LoadError, match=r"expected a header.*format txt"):
        read("person\tfriend\nann\tbob\n", "h.tsv")


def test_infomaps_pajek():
    text = '# a comment\n*Vertices\n1 "a"\n2 "b"\n*Edges\n1 2 0.5\n'
    assert edges(read(text, "g.net")) == both(("a", "b", 0.5))
    with pytest.raises(
        errors.LoadError, match=r"line 1: expected .Vertices, got '1 2'; read lists of edges as format txt"
    ):
        read("1 2\n", "g.net")


# -- indexes -----------------------------------------------------------------------------------------------------------


def faiss_bytes(faiss, index):
    return faiss.serialize_index(index).tobytes()


@pytest.mark.native
@pytest.mark.parametrize("wrap", ["plain", "ids", "shuffled"])
@pytest.mark.parametrize("storage", ["flat", "sq", "pq"])
def test_faiss_indexes(rng, wrap, storage):
    faiss = pytest.importorskip("faiss")
    x = rng.standard_normal((300, 16)).astype(np.float32)
    index = {
        "flat": lambda: faiss.IndexHNSWFlat(16, 8),
        "sq": lambda: faiss.IndexHNSWSQ(16, faiss.ScalarQuantizer.QT_8bit, 8, faiss.METRIC_INNER_PRODUCT),
        "pq": lambda: faiss.IndexHNSWPQ(16, 4, 8, 4),
    }[storage]()
    if storage != "flat":
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
    """As `saveIndex` of hnswalg.h writes it."""
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


# -- what is refused ---------------------------------------------------------------------------------------------------

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
