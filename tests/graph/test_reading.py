"""Reading options of all formats: compression, directedness, columns of weights and features."""

import bz2
import gzip
import logging
import lzma
import zlib

import numpy as np
import pytest

from graphattend import errors
from graphattend.graph import NeighborGraph, is_undirected
from graphattend.graph.files import parse
from graphattend.graph.formats import COMPRESSIONS
from graphattend.graph.formats.edge_table import MISSING, Cells, EdgeTable, Wanted, as_numbers
from graphattend.graph.properties import count_edges, described

PACK = {".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress}
TABLE = b"source,target,Weight,trips,line,cost\n0,1,2,7,red,1.5\n1,2,3,8,blue,\n"


@pytest.fixture
def read(tmp_path):
    def read(data, name="graph.csv", **options):
        path = tmp_path / name
        path.write_bytes(data if isinstance(data, bytes) else data.encode())
        return NeighborGraph.read(path, **options)

    return read


def edges(graph):
    names = graph.names or tuple(map(str, range(graph.num_nodes)))
    return {(names[j], names[i]) for j, i in graph.to_edge_index().T.tolist()}


def test_edges_that_are_listed_both_ways_are_not_doubled(read):
    for text in ("0 1 5\n1 0 5\n1 2 3\n2 1 3\n2 2 1\n", "0 1 5\n1 2 3\n2 2 1\n"):
        graph = read(text, "g.txt", directed=False)
        assert graph.num_edges == 5
        assert is_undirected(graph)
    assert read("0 1 5\n1 0 4\n", "g.txt", directed=False).num_edges == 4  # two edges, because the weights differ
    assert read("0 1\n1 0\n1 2\n", "g.txt", directed=False).num_edges == 6


@pytest.mark.parametrize("suffix", PACK)
def test_compressed(read, tmp_path, suffix):
    plain = read(TABLE)
    packed = PACK[suffix](TABLE)
    assert read(packed, f"graph.csv{suffix}") == plain
    assert read(packed, f"GRAPH.CSV{suffix.upper()}") == plain
    assert read(packed, f"graph{suffix}", format="csv") == plain
    assert parse(packed, "data").graph == plain
    half = len(TABLE) // 2
    assert read(PACK[suffix](TABLE[:half]) + PACK[suffix](TABLE[half:]), f"two.csv{suffix}") == plain
    for length in (0, 3, 12, len(packed) // 2, len(packed) - 1):
        with pytest.raises(errors.LoadError, match=r"graph\.csv"):
            read(packed[:length], f"graph.csv{suffix}")
    with pytest.raises(errors.LoadError, match="not compressed as its name says"):
        read(TABLE, f"graph.csv{suffix}")
    with pytest.raises(errors.LoadError, match=rf"is compressed; use the suffix {suffix}"):
        read(packed)
    plain.write(tmp_path / f"graph.json{suffix}")
    assert NeighborGraph.read(tmp_path / f"graph.json{suffix}") == plain
    assert COMPRESSIONS[suffix].expand((tmp_path / f"graph.json{suffix}").read_bytes(), 1000).startswith(b"{")


@pytest.mark.parametrize("suffix", PACK)
def test_expanding_stops_at_the_limit(suffix):
    bomb = PACK[suffix](bytes(1 << 24))
    assert len(bomb) < 1 << 16
    for limit in (0, 1, 1000):
        assert len(COMPRESSIONS[suffix].expand(bomb, limit)) == limit + 1
    many = PACK[suffix](b"0123456789") * 2000
    assert COMPRESSIONS[suffix].expand(many, 1 << 20) == b"0123456789" * 2000


def test_xz_may_not_ask_for_much_memory():
    data = bytearray(lzma.compress(TABLE))
    end = 12 + 4 * data[12]  # end of the block's header, before its checksum
    data[data.index(0x21, 13, end) + 2] = 36  # makes LZMA2's dictionary a gigabyte
    data[end : end + 4] = zlib.crc32(data[12:end]).to_bytes(4, "little")
    with pytest.raises(errors.LoadError, match=r"(?i)memory"):
        parse(bytes(data), "graph.csv.xz")


def test_names_that_steer_a_terminal_are_logged_as_escapes(read, caplog):
    with caplog.at_level(logging.WARNING):
        read("source,target,\x1b[31m\u202e\na,b,red\n")
    assert caplog.records[0].getMessage().endswith(": \\x1b[31m\\u202e")


def test_weights_and_features_are_the_columns_that_are_named(read, caplog):
    with caplog.at_level(logging.WARNING):
        graph = read(TABLE)
    assert graph.edge_weights.tolist() == [2, 3]
    assert graph.edge_features.tolist() == [[7], [8]]
    assert [r.getMessage() for r in caplog.records] == [
        "columns left out, because they do not have a number on every edge: line, cost"
    ]
    caplog.clear()
    graph = read(TABLE, weights="Trips", edge_features=["weight", "trips"])
    assert graph.edge_weights.tolist() == [7, 8]
    assert graph.edge_features.tolist() == [[2, 7], [3, 8]]
    graph = read(TABLE, edge_features=[])
    assert graph.edge_features is None
    assert not caplog.records
    json = b'{"nodes": [{"id": "a"}, {"id": "b"}], "links": [{"source": "a", "target": "b", "weight": 1, "km": 4, "x": [1, 2]}]}'
    assert read(json, "g.json").edge_features.tolist() == [[4, 1, 2]] * 2
    assert read(json, "g.json", weights="km", edge_features=["x", "weight"]).edge_features.tolist() == [[1, 2, 1]] * 2


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"weights": "price"}, r"no column 'price' .*there are: 'Weight', 'trips', 'line', 'cost'"),
        ({"weights": "line"}, r"line 2, column 'line': expected a finite number, got 'red'"),
        ({"edge_features": ["cost"]}, r"line 3, column 'cost': expected a finite number, got ''"),
    ],
)
def test_columns_that_are_none(read, options, says):
    with pytest.raises(errors.LoadError, match=says):
        read(TABLE, **options)


@pytest.mark.parametrize(
    "options",
    [
        {"weights": 3},
        {"edge_features": "a,b"},
        {"edge_features": [1]},
        {"directed": 2},
        {"format": "xyz"},
        {"format": 3},
    ],
)
def test_options_of_the_wrong_kind(read, options):
    with pytest.raises(errors.InvalidConfigError, match=f"^{next(iter(options))}"):
        read(TABLE, **options)


def test_numbers():
    assert as_numbers(Cells(["1", " 2e3"])).tolist() == [1, 2000]
    assert as_numbers([1, 2.5]).tolist() == [1, 2.5]
    assert as_numbers([[1, 2], [3, 4]]).shape == (2, 2)
    assert as_numbers([2**60]).dtype == np.float64
    for bad in (
        Cells(["1_0"]),
        Cells(["x"]),
        Cells([""]),
        Cells(["nan"]),
        ["1"],
        [True],
        [None],
        [MISSING],
        [[1], [1, 2]],
    ):
        assert as_numbers(bad) is None
    assert as_numbers([float("inf")]) is None
    assert as_numbers([10**400]) is None
    table = EdgeTable(sources=[], targets=[], num_nodes=3, columns={"x": []})
    assert table.graph(Wanted()).num_edges == 0


def test_headerless_third_column_is_the_weight(read):
    assert read("0 1 5\n", "g.txt", weights="weight").edge_weights.tolist() == [5]
    assert read("a b {'km': 3}\n", "g.txt", weights="km").edge_weights.tolist() == [3]


def test_snap_and_konect_say_whether_edges_are_directed(read):
    snap = "# Undirected graph: dblp.ungraph.txt\n# Nodes: 3 Edges: 2\n# FromNodeId\tToNodeId\n0\t1\n1\t2\n"
    assert read(snap, "com-dblp.txt").num_edges == 4
    assert read(snap.replace("Undirected", "Directed"), "wiki-Vote.txt").num_edges == 2
    assert read(snap, "com-dblp.txt", directed=True).num_edges == 2
    konect = "% sym positive\n1 2 1 1082040961\n2 3 1 1085493854\n"
    graph = read(konect, "out.ucidata", format="edges")
    assert graph.num_edges == 4
    assert graph.edge_weights.tolist() == [1] * 4
    assert set(graph.edge_features.ravel().tolist()) == {1082040961, 1085493854}
    assert read(konect.replace("sym", "asym"), "out.ucidata", format="edges").num_edges == 2
    with pytest.raises(errors.LoadError, match="bipartite"):
        read(konect.replace("sym", "bip"), "out.movies", format="edges")


def test_comments_of_all_kinds(read):
    assert edges(read("// a\n# b\n% c\n0 1\n", "g.edges")) == {("0", "1")}
    assert edges(read("//a\nhttp://x.org http://y.org\n", "g.edges")) == {("http://x.org", "http://y.org")}


def test_citations_run_from_right_to_left(read):
    assert edges(read("35\t1033\n35\t103482\n", "cora.cites")) == {("1033", "35"), ("103482", "35")}


@pytest.mark.parametrize(
    "header", ["id_1,id_2", "SRC_ID,DST_ID", "FromNodeId,ToNodeId", ":START_ID,:END_ID", "Source Node,Target Node"]
)
def test_more_headers(read, header):
    assert edges(read(f"{header}\na,b\n")) == {("a", "b")}


def test_headers_in_comments(read, caplog):
    string = "#node1\tnode2\tnode1_string_id\tcombined_score\nTP53\tMDM2\t9606.1\t0.999\n"
    graph = read(string, "string.tsv", weights="combined_score")
    assert edges(graph) == {("TP53", "MDM2")}
    assert graph.edge_weights.tolist() == [0.999]
    graph = read("% made by hand\n# target source weight year\n0 1 2 1999\n", "g.txt")
    assert edges(graph) == {("1", "0")}
    assert graph.edge_features.tolist() == [[1999]]
    assert edges(read("# from to\nsource target\na b\n", "g.txt")) == {("a", "b")}
    assert edges(read("# people from Rome\na b\n", "g.txt")) == {("a", "b")}


def test_wide_text(read):
    for coding in ("utf-16", "utf-8-sig"):
        assert edges(read("source\ttarget\r\nbøb\tann\r\n".encode(coding), "excel.tsv")) == {("bøb", "ann")}
    with pytest.raises(errors.LoadError, match="UTF-16"):
        read(b"\xff\xfea", "g.txt")
    with pytest.raises(errors.LoadError, match="save it as UTF-8"):
        read("bøb ann\n".encode("latin-1"), "g.txt")


def test_a_type_that_is_no_direction(read, caplog):
    assert edges(read("source,target,type\n0,1,friend\n1,2,colleague\n")) == {("0", "1"), ("1", "2")}
    assert "type" in caplog.records[0].getMessage()


def test_content_without_a_name():
    node_link = b' {"nodes": [{}, {}], "links": [{"source": 0, "target": 1}]}'
    assert parse(node_link, "standard input").graph.num_edges == 2
    assert parse(b"\xef\xbb\xbfSource,Target\na,b\n", "standard input").graph.num_edges == 1
    assert parse(b"a b\n", "standard input").graph.num_edges == 1
    assert parse(b"a,b\n", "standard input").graph.num_edges == 1
    assert parse(b"x;y\ny;z\n", "standard input", format="edges").graph.num_edges == 2
    for bad in (b"", b"\0\1", b"word\n"):
        with pytest.raises(errors.LoadError, match=r"^standard input: "):
            parse(bad, "standard input")


def test_undirected_edges_are_counted_once():
    both = NeighborGraph.from_edge_index([[0, 1, 1, 2, 2], [1, 0, 2, 1, 2]], 3, edge_weights=[5, 5, 1, 1, 9])
    assert is_undirected(both)
    assert count_edges(both) == (3, False)
    assert count_edges(both, True) == (5, True)
    assert described(both) == "3 nodes, 3 edges, undirected"
    assert described(both, True) == "3 nodes, 5 edges, directed"
    uneven = NeighborGraph.from_edge_index([[0, 1], [1, 0]], 2, edge_weights=[5, 4])
    assert not is_undirected(uneven)
    assert described(uneven) == "2 nodes, 2 edges, directed"
    assert not is_undirected(NeighborGraph.from_edge_index([[0, 0, 1], [1, 1, 0]], 2))
    parallel = {"edge_features": [[1, 2], [3, 4], [3, 4], [1, 2]]}
    assert is_undirected(NeighborGraph.from_edge_index([[0, 0, 1, 1], [1, 1, 0, 0]], 2, **parallel))
    parallel["edge_features"][3] = [1, 3]
    assert not is_undirected(NeighborGraph.from_edge_index([[0, 0, 1, 1], [1, 1, 0, 0]], 2, **parallel))
    assert described(NeighborGraph([0, 0], [])) == "1 nodes, 0 edges"


def test_what_was_told_of_directions():
    links = b'{"nodes": [{}, {}], "links": [{"source": 0, "target": 1}]}'
    assert parse(links, "g").directed is False
    assert parse(links, "g", directed=True).directed is True
    assert parse(b"a b\nb a\n", "g").directed is True
    assert parse(b"# Undirected graph\na b\n", "g").directed is False
    assert parse(b"source,target,type\na,b,directed\na,b,undirected\n", "g").directed is None
