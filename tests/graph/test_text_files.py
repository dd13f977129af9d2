"""Text files of edges as people write them; ambiguous files are rejected."""

import io
import logging

import numpy as np
import pytest

from graphattend import errors
from graphattend.graph import NeighborGraph
from graphattend.graph.formats import FORMATS, Format
from graphattend.graph.formats._columns import ENDS, roles
from graphattend.graph.formats._text import lines_of, separator_of, split
from graphattend.graph.formats.edge_table import EdgeTable


@pytest.fixture
def read(tmp_path):
    def read(text, name="graph.txt", **options):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return NeighborGraph.read(path, **options)

    return read


def edges(graph):
    """Return (source, target) by name, in row order."""
    names = graph.names or tuple(map(str, range(graph.num_nodes)))
    return {(names[j], names[i]) for j, i in graph.to_edge_index().T.tolist()}


def test_attributes_of_networkx(read, caplog):
    with caplog.at_level(logging.WARNING):
        graph = read("0 1 {'weight': 2, 'color': 'red'}\n", "graph.edgelist")
    assert edges(graph) == {("0", "1")}
    assert graph.edge_weights.tolist() == [2.0]
    assert graph.edge_features is None
    assert [r.getMessage() for r in caplog.records] == [
        "columns left out, because they do not have a number on every edge: color"
    ]
    graph = read("0 1 {'x': 1, 'weight': 2, 'distance': 5}\n1 2 {'x': 4.5, 'distance': 3}\n")
    assert sorted(graph.edge_weights.tolist()) == [1.0, 2.0]
    assert sorted(graph.distances.tolist()) == [3.0, 5.0]
    assert sorted(graph.edge_features[:, 0].tolist()) == [1.0, 4.5]
    assert read("0,1,{'weight': 2, 'color': 'a, b'}\n").edge_weights.tolist() == [2.0]
    assert read("a b {}\nb c {}\n").edge_weights is None
    assert read("a b {'\\d': 1}\n").edge_features.tolist() == [[1.0]]  # an escape without meaning


@pytest.mark.parametrize("delimiter", [" ", ",", "\t", ";"])
@pytest.mark.parametrize("data", [True, False, ["weight"]])
def test_what_networkx_writes(read, delimiter, data):
    nx = pytest.importorskip("networkx")
    theirs = nx.Graph(nx.gnp_random_graph(15, 0.3, seed=2))
    for k, (u, v) in enumerate(theirs.edges):
        theirs.edges[u, v].update({"weight": k + 0.5, "note": "red, green", "hops": k})
    out = io.BytesIO()
    nx.write_edgelist(theirs, out, delimiter=delimiter, data=data)
    ours = read(out.getvalue(), "graph.edgelist", directed=False)
    assert edges(ours) == {(str(u), str(v)) for u, v in theirs.to_directed().edges}
    if data is False:
        assert ours.edge_weights is None
        return
    for (j, i), w in zip(ours.to_edge_index().T.tolist(), ours.edge_weights.tolist(), strict=True):
        names = ours.names or range(ours.num_nodes)
        assert theirs.edges[int(names[j]), int(names[i])]["weight"] == w
    assert (ours.edge_features is not None) == (data is True)


@pytest.mark.parametrize(
    "text",
    [
        "a b {'weight': __import__('os')}\n",
        "a b {'weight': 1e999}\n",
        "a b {'weight': nan}\n",
        "a b {'weight': True}\n",
        "a b {'weight': '1'}\n",
        "a b {1, 2}\n",
        "a b {'weight': 1}\nc d\n",
        "a b 3 {'weight': 1}\n",
        "a b {" + "'x': 1, " * 5000 + "}\n",
        "a b {'x': " + "[" * 3000 + "]" * 3000 + "}\n",
        "a b {'x': " + "9" * 5000 + "}\n",
    ],
)
def test_attributes_that_are_none(read, text):
    with pytest.raises(errors.LoadError, match=r"graph\.txt"):
        read(text)


SEPARATORS = ["\t", ";", ",", " ", "   ", ", ", " ; "]


@pytest.mark.parametrize("end", ["\n", "\r", "\r\n"])
@pytest.mark.parametrize("separator", SEPARATORS)
@pytest.mark.parametrize("bom", ["", "\ufeff"])
@pytest.mark.parametrize("header", [False, True])
@pytest.mark.parametrize("name", ["g.txt", "g.csv", "g.tsv"])
def test_separators_line_ends_and_headers(read, end, separator, bom, header, name):
    lines = [("Source", "Target", "Weight")] if header else []
    lines += [("0", "1", "0.5"), ("1", "2", "2")]
    graph = read(bom + "# a comment" + end + end.join(separator.join(cells) for cells in lines) + end, name)
    assert edges(graph) == {("0", "1"), ("1", "2")}
    assert graph.edge_weights.tolist() == [0.5, 2.0]


def test_separators_that_are_sure(read):
    assert edges(read("Washington,DC Paris\nOslo Rome\n")) == {("Washington,DC", "Paris"), ("Oslo", "Rome")}
    assert edges(read("New York,Boston\nParis,London\n")) == {("New York", "Boston"), ("Paris", "London")}
    assert edges(read("from,to\nNew York,Boston\n")) == {("New York", "Boston")}
    assert edges(read("New York\tSan Jose\n")) == {("New York", "San Jose")}
    assert edges(read("source;target\nSmith, J;Doe, A\n", "g.csv")) == {("Smith, J", "Doe, A")}
    assert edges(read('"Washington, DC",Paris\n')) == {("Washington, DC", "Paris")}
    assert edges(read('"New York"   Boston\n')) == {("New York", "Boston")}
    assert edges(read("C# Java # speaks\n")) == {("C#", "Java")}
    graph = read("0 1\t0.5\n10 2\t3\n")  # columns of numbers, padded with tabs
    assert graph.edge_weights.tolist() == [0.5, 3.0]


@pytest.mark.parametrize(
    ("text", "name", "says"),
    [
        ("Washington,DC Paris\n", "g.txt", "'Washington,DC Paris' can be split at commas or at blanks"),
        ("0 1 0,5\n1 2 0,7\n", "g.txt", "commas or at blanks"),
        ("0;1;0,5\n1;2;0,5\n", "g.csv", "semicolons or at commas"),
        ("source;target;weight\n0;1;0,5\n", "g.csv", "line 2, column 'weight': expected a finite number, got '0,5'"),
        ("a,b\n#python,#java\n", "g.csv", "may be a comment or an edge"),
        ("u v\nx y\n", "g.txt", "may be a header or an edge"),
        ("u,v\nv,w\n", "g.csv", "may be a header or an edge"),
        ("source target\nsource sink\n", "g.txt", "may be a header or an edge"),
        ("citing cited\n1 2\n", "g.txt", "'citing,cited' seems to be a header"),
        ("citing,cited\n1,2\n", "g.csv", "expected a header"),
        ("from,to,source,target\n1,2,3,4\n", "g.csv", "both"),
        ("source,target,type\n0,1,Directed\n1,2,Mutual\n", "g.csv", "line 3, column 'type': expected Directed or Und"),
        (",source,target\n3,0,1\n1,1,2\n", "g.csv", "rows' numbers"),
        ("0,1,2,3\n", "g.csv", "without a header"),
        ("0 1\n1 2 3\n", "g.txt", "line 2: expected 2 columns as above, got 3"),
        ("%%MatrixMarket matrix coordinate pattern general\n3 3 1\n1 2\n", "g.edges", "Matrix Market"),
        ("0 1 2_0\n", "g.txt", "finite number"),
        ("source\ttarget\n", "g.txt", "no edges"),
        ("node\n", "g.csv", "line 1"),
        ("\n \n", "g.csv", "no edges"),
        ('a,"b\n', "g.csv", "unexpected end"),
    ],
)
def test_what_is_not_sure_is_refused(read, text, name, says):
    with pytest.raises(errors.LoadError) as info:
        read(text, name)
    assert says in str(info.value)
    assert name in str(info.value)


def test_names_of_nodes(read):
    for text, names in {
        "01 1\n": ("01", "1"),
        "007 7\n": ("007", "7"),
        "1 10\n": ("1", "10"),
        "+1 1\n": ("+1", "1"),
        "-1 1\n": ("-1", "1"),
        "1.0 1\n": ("1.0", "1"),
        "1_0 10\n": ("1_0", "10"),
        f"{10**18 + 1} {10**18}\n": (str(10**18 + 1), str(10**18)),
        f"{10**17 + 1} {10**17}\n": (str(10**17), str(10**17 + 1)),
        "٣ 3\n": ("٣", "3"),
    }.items():
        assert read(text).names == names, text
    assert read("0 1\n").names is None


@pytest.mark.parametrize("ends", ENDS)
def test_headers(read, ends):
    header = [e.replace("node", "_Node ").upper() for e in ends]
    for cells in (header, [e.title() for e in ends], list(ends)):
        graph = read(f"{cells[1]},weight,{cells[0]}\nb,2,a\n", "g.csv")
        assert edges(graph) == {("a", "b")}
        assert graph.edge_weights.tolist() == [2.0]
    found = roles(["weight", ends[0], ends[1]])
    assert (found.source, found.target, found.data) == (1, 2, {"weight": 0})
    assert roles([ends[0], "other"]) is None


def test_a_short_header_over_numbers_and_short_names_of_nodes(read):
    assert edges(read("u v\n1 2\n")) == {("1", "2")}
    assert edges(read("u v\nv w\nw u\n")) == {("u", "v"), ("v", "w"), ("w", "u")}


def test_tables_of_pandas(read):
    plain = "source,target,weight,trips\nx,y,1.5,3\ny,z,2.5,4\n"
    index = ",source,target,weight,trips\n0,x,y,1.5,3\n1,y,z,2.5,4\n"  # the default of to_csv()
    twice = ",Unnamed: 0,source,target,weight,trips\n0,0,x,y,1.5,3\n1,1,y,z,2.5,4\n"  # after reading and saving again
    ids = ",id,source,target,weight,trips\n0,17,x,y,1.5,3\n1,3,y,z,2.5,4\n"
    for text in (plain, index, twice, ids):
        for separator in ",;\t":
            graph = read(text.replace(",", separator), "g.csv")
            assert edges(graph) == {("x", "y"), ("y", "z")}
            assert graph.edge_features.tolist() == [[3.0], [4.0]]
            assert graph.edge_weights.tolist() == [1.5, 2.5]


def test_tables_of_gephi(read, caplog):
    head = "Source,Target,Type,Id,Label,Weight\n"
    graph = read(head + "0,1,Undirected,0,,2.0\n1,2,Undirected,1,,1.0\n", "g.csv")
    assert edges(graph) == {("0", "1"), ("1", "0"), ("1", "2"), ("2", "1")}
    assert graph.edge_features is None
    assert not caplog.records
    with caplog.at_level(logging.WARNING):
        graph = read(head + "0,1,Directed,0,friend,2.0\n1,2,Directed,1,,1.0\n", "g.csv")
    assert edges(graph) == {("0", "1"), ("1", "2")}
    assert "Label" in caplog.records[0].getMessage()
    graph = read(head + "0,1,Directed,0,,2.0\n1,2,Undirected,1,,3.0\n", "g.csv")
    assert edges(graph) == {("0", "1"), ("1", "2"), ("2", "1")}
    assert sorted(graph.edge_weights.tolist()) == [2.0, 3.0, 3.0]
    assert read(head + "0,1,Undirected,0,,2.0\n", "g.csv", directed=True).num_edges == 1


def test_the_pure_parts():
    lines, comments = lines_of("# c\r\na b # d\r% e\n", trailing=True)
    assert lines == ["", "a b", "", ""]
    assert comments == {1: "# c", 3: "% e"}
    assert separator_of(["a,b", "c,d"], ",", lambda cells: False) == ","
    assert [row.cells for row in split(["a, 'b", "", '"c,d",e'], ",")] == [["a", "'b"], ["c,d", "e"]]
    np.testing.assert_array_equal([row.line for row in split(["", "a b", "c d"], " ")], [2, 3])


def test_an_unknown_suffix_names_those_that_are_known(read):
    with pytest.raises(errors.LoadError, match=r"ending in \.txt, \.edges, .*\.npz"):
        read("0 1\n" * 100, "g.xyz")


def test_a_format_of_ones_own(read):
    FORMATS.register(".pairs")(Format(lambda data: EdgeTable(sources=[0, 1], targets=[1, 0], num_nodes=2)))
    try:
        assert read("anything", "g.pairs").num_edges == 2
        with pytest.raises(errors.InvalidConfigError, match=r"\.json or \.npz"):
            read("0 1\n").save("g.pairs")
    finally:
        del FORMATS._things[".pairs"]
