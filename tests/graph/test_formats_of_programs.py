"""Files as Gephi, Cytoscape, Pajek, yEd, d3, METIS, igraph and Infomap write or document them."""

import json
import logging

import pytest
from graph_texts import CYTOSCAPE, D3, GEXF, GRAPHML, METIS, NEWMAN, PAJEK, both, edges, read

from graphattend import errors
from graphattend.graph.files import parse


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
