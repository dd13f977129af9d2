"""Partitioning of graphs in memory and of edge lists, and damaged folders."""

import importlib
import json
import shutil

import numpy as np
import pytest

import graphattend as ga
from graphattend.dask import Layout, _edges, _stream, partition


@pytest.fixture(autouse=True)
def small_steps(monkeypatch):
    """Force several blocks and pieces, also for small graphs."""
    monkeypatch.setattr(_edges, "BLOCK_BYTES", 500)
    monkeypatch.setattr(_edges, "BLOCK_EDGES", 70)
    monkeypatch.setattr(_stream, "PIECE", 64)


def made_graph(rng, nodes=50, edges=300):
    pairs = rng.integers(0, nodes, (2, edges))
    return ga.NeighborGraph.from_edge_index(
        pairs,
        nodes,
        edge_features=rng.standard_normal((edges, 3)).astype(np.float32),
        edge_weights=rng.random(edges),
        distances=rng.random(edges),
        layers=rng.integers(0, 3, nodes),
    )


def joined(folder):
    """Return the graph that the parts contain, with its original node numbers and row order."""
    layout = Layout.open(folder)
    order = layout.node_array("order")
    order = np.arange(layout.num_nodes) if order is None else order
    rows = {}
    for i in range(layout.num_parts):
        part = layout.part(i)
        names = order[np.concatenate([np.arange(part.start, part.stop), part.block.halo]).astype(int)]
        for row in range(part.stop - part.start):
            edges = slice(part.block.indptr[row], part.block.indptr[row + 1])
            rows[int(names[row])] = names[part.block.indices[edges]], {n: a[edges] for n, a in part.data.items()}
    lengths = [len(rows[i][0]) for i in range(layout.num_nodes)]
    data = {n: np.concatenate([rows[i][1][n] for i in range(layout.num_nodes)]) for n in rows[0][1]}
    layers = layout.node_array("layers")
    if layers is not None:
        back = np.empty(layout.num_nodes, int)
        back[order] = layers
        layers = back
    indices = np.concatenate([rows[i][0] for i in range(layout.num_nodes)])
    return ga.NeighborGraph(np.concatenate([[0], np.cumsum(lengths)]), indices, layers=layers, **data)


# -- from memory -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", [None, "metis", "rcm", "range"])
@pytest.mark.parametrize("parts", [1, 2, 7, 50])
def test_parts_hold_the_graph(method, parts, rng, tmp_path):
    if method == "metis":
        pytest.importorskip("pymetis")
    elif method == "rcm":
        pytest.importorskip("scipy")
    graph = made_graph(rng)
    layout = partition(graph, tmp_path / "g", parts, method=method)
    assert joined(tmp_path / "g") == graph
    assert layout.num_parts == parts
    assert method in (None, layout.method)
    assert all(p.num_nodes for p in layout.parts)


def test_the_json_is_that_of_partition_graph(rng, tmp_path):
    graph = made_graph(rng)
    partition(graph, tmp_path, 3, method="range")
    told = json.loads((tmp_path / "graph.json").read_text())
    assert (told["num_nodes"], told["num_edges"], told["num_parts"], told["halo_hops"]) == (50, 300, 3, 1)
    assert told["part_method"] == "range"
    assert told["node_map"][0][0] == 0
    assert told["node_map"][2][1] == 50
    for i, (start, stop) in enumerate(told["node_map"]):
        assert told[f"part-{i}"]["num_nodes"] == stop - start
        sources = graph.indices[graph.indptr[start] : graph.indptr[stop]]
        outside = np.unique(sources[(sources < start) | (sources >= stop)])
        assert np.load(tmp_path / f"part-{i}" / "halo.npy").tolist() == outside.tolist()
        assert told[f"part-{i}"]["num_halo_nodes"] == len(outside)


@pytest.mark.native
def test_rcm_brings_neighbours_together(rng, tmp_path):
    pytest.importorskip("scipy")
    hidden = rng.permutation(400)
    path = ga.NeighborGraph.from_edge_index([hidden[:-1], hidden[1:]], 400)
    shares = {m: partition(path, tmp_path / m, 8, method=m).halo_share for m in ("range", "rcm")}
    assert shares["rcm"] < 0.05 < shares["range"]


@pytest.mark.native
def test_metis_cuts_few_edges(rng, tmp_path):
    pytest.importorskip("pymetis")
    # Two dense groups with shuffled members, and one edge between them.
    group = rng.permutation(60) % 2
    a, b = (np.flatnonzero(group == g) for g in (0, 1))
    pairs = np.concatenate([rng.choice(a, (2, 300)), rng.choice(b, (2, 300)), [[a[0]], [b[0]]]], axis=1)
    layout = partition(ga.NeighborGraph.from_edge_index(pairs, 60), tmp_path, 2, method="metis")
    assert sum(p.num_halo_nodes for p in layout.parts) == 1


def test_structural_features_are_those_of_the_whole_graph(rng, tmp_path):
    graph = made_graph(rng)
    layout = partition(graph, tmp_path, 3, structural_features=True)
    order = layout.node_array("order")
    expected = graph.structural_features()
    assert np.array_equal(layout.node_array("structural_features"), expected if order is None else expected[order])


def test_traffic_counts_what_is_read_and_written(tmp_path):
    ring = ga.NeighborGraph.from_edge_index([[1, 2, 3, 0], [0, 1, 2, 3]], 4)
    layout = partition(ring, tmp_path, 2, method="range")
    stored = 2 * (3 * 8 + 2 * 4 + 1 * 4)
    assert layout.traffic(16) == 6 * 16 + stored + 4 * 16


# -- from a file -------------------------------------------------------------------------------------------------------


def text_of(pairs, weights=None, separator=" ", header=None):
    rows = [separator.join(map(str, p)) for p in pairs.T.tolist()]
    if weights is not None:
        rows = [f"{row}{separator}{w!r}" for row, w in zip(rows, weights.tolist(), strict=True)]
    return "\n".join([*([] if header is None else [header]), *rows, ""])


@pytest.mark.parametrize("parts", [1, 4])
@pytest.mark.parametrize("directed", [None, True, False])
@pytest.mark.parametrize(
    ("name", "separator", "header", "weighted"),
    [
        ("g.txt", " ", None, False),
        ("g.edges", "\t", "# FromNodeId\tToNodeId", False),
        ("g.txt", " ", "# Undirected graph", False),
        ("g.csv", ",", "source,target,weight", True),
        ("g.csv", ",", "target,source", False),
        ("g.tsv", "\t", "source\ttarget", False),
        ("g.el", "  ", None, True),
    ],
)
def test_a_stream_gives_what_read_gives(name, separator, header, weighted, directed, parts, rng, tmp_path):
    pairs = rng.integers(0, 60, (2, 300))
    pairs = np.concatenate([pairs, [[61], [61]]], axis=1)  # leaves a gap in the numbers, and adds a loop
    weights = rng.random(301) if weighted else None
    path = tmp_path / name
    path.write_text(text_of(pairs, weights, separator, header))
    assert _edges.edge_file(path, directed) is not None
    layout = partition(path, tmp_path / "parts", parts, directed=directed)
    expected = ga.NeighborGraph.read(path, directed=directed)
    found = joined(tmp_path / "parts")
    assert layout.method == "range"
    assert found.indptr.tolist() == expected.indptr.tolist()
    assert found.indices.tolist() == expected.indices.tolist()
    if weighted:
        assert found.edge_weights.tolist() == expected.edge_weights.tolist()
    ids = layout.node_array("ids")
    assert [str(i) for i in ids] == list(expected.names)


def test_both_ways_already_is_not_doubled(rng, tmp_path):
    pairs = rng.integers(0, 20, (2, 50))
    both = np.concatenate([pairs, pairs[::-1]], axis=1)
    path = tmp_path / "g.txt"
    path.write_text(text_of(both))
    assert partition(path, tmp_path / "parts", 2, directed=False).num_edges == 100
    assert ga.NeighborGraph.read(path, directed=False).num_edges == 100


@pytest.mark.native
@pytest.mark.parametrize(("suffix", "module"), [(".gz", "gzip"), (".bz2", "bz2"), (".xz", "lzma")])
def test_compressed_streams(suffix, module, rng, tmp_path):
    pairs = rng.integers(0, 30, (2, 400))
    path = tmp_path / f"g.txt{suffix}"
    with importlib.import_module(module).open(path, "wt") as file:
        file.write(text_of(pairs))
    partition(path, tmp_path / "parts", 3)
    assert joined(tmp_path / "parts").indices.tolist() == ga.NeighborGraph.read(path).indices.tolist()


@pytest.mark.parametrize("dtype", [np.int32, np.int64, np.uint16])
def test_an_edge_index_is_streamed(dtype, rng, tmp_path):
    pairs = rng.integers(0, 40, (2, 500)).astype(dtype)
    np.save(tmp_path / "edges.npy", pairs)
    layout = partition(tmp_path / "edges.npy", tmp_path / "parts", 4)
    assert joined(tmp_path / "parts") == ga.NeighborGraph.from_edge_index(pairs)
    assert layout.node_array("ids") is None


def test_names_are_read_into_memory(tmp_path):
    path = tmp_path / "g.txt"
    path.write_text("ann bob\nbob cyn\n")
    assert partition(path, tmp_path / "parts", 2).num_edges == 2
    assert joined(tmp_path / "parts").indices.tolist() == ga.NeighborGraph.read(path).indices.tolist()


def test_comments_blank_lines_and_line_ends(tmp_path):
    path = tmp_path / "g.txt"
    path.write_bytes(b"# made by hand\r\n0 1\r\n\r\n# more\r\n1 2\r\n2 0")
    partition(path, tmp_path / "parts", 1)
    assert joined(tmp_path / "parts").to_edge_index().tolist() == [[2, 0, 1], [0, 1, 2]]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("5", "2 columns, got 1"),
        ("5 6 7", "2 columns, got 3"),
        ("5 ann", "whole numbers"),
        ("5 1.5", "whole numbers"),
        ("5 -1", "whole numbers"),
        ("5 01", "whole numbers"),
        ("5 99999999999999999999", "whole numbers|below"),
        ("5 9999999999", "below"),
    ],
)
def test_bad_lines_are_named(line, said, rng, tmp_path):
    path = tmp_path / "g.txt"
    rows = text_of(rng.integers(0, 30, (2, 300))).split("\n")
    rows[200] = line
    path.write_text("\n".join(rows))
    with pytest.raises(ga.LoadError, match=said) as info:
        partition(path, tmp_path / "parts", 2)
    assert str(path) in str(info.value)
    if "below" not in said:
        assert "line 201" in str(info.value)
    assert not (tmp_path / "parts" / "graph.json").exists()


@pytest.mark.parametrize("weight", ["x", "nan", "inf"])
def test_bad_weights_are_refused(weight, rng, tmp_path):
    path = tmp_path / "g.csv"
    path.write_text("source,target,weight\n0,1,1.5\n1,2," + weight + "\n")
    with pytest.raises(ga.LoadError):
        partition(path, tmp_path / "parts", 1)


def test_bad_edge_indexes_are_refused(tmp_path):
    for array in (np.zeros((3, 4), int), np.zeros((2, 4)), np.array([[0, 1], [-1, 0]])):
        np.save(tmp_path / "e.npy", array)
        with pytest.raises(ga.LoadError):
            partition(tmp_path / "e.npy", tmp_path / "parts", 1)


@pytest.mark.native
def test_memory_stays_bounded(tmp_path, monkeypatch):
    """Ten times the edges need the same memory, which depends on blocks, pieces and nodes."""
    import tracemalloc

    monkeypatch.setattr(_edges, "BLOCK_EDGES", 2000)
    monkeypatch.setattr(_stream, "PIECE", 2000)
    peaks = []
    for edges in (20_000, 200_000):
        np.save(tmp_path / "e.npy", np.random.default_rng(0).integers(0, 500, (2, edges)))
        tracemalloc.start()
        partition(tmp_path / "e.npy", tmp_path / "parts", 4)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.5 * peaks[0] < 1_500_000


# -- errors ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        ({"parts": 0}, "parts"),
        ({"parts": 51}, "parts"),
        ({"parts": 2.0}, "parts"),
        ({"method": "best"}, "method"),
        ({"directed": True}, "directed"),
        ({"structural_features": 1}, "structural_features"),
        ({"graph_or_path": 3}, "graph_or_path"),
        ({"folder": 3}, "folder"),
        ({"on_progress": 3}, "on_progress"),
    ],
)
def test_bad_arguments(arguments, name, rng, tmp_path):
    given = {"graph_or_path": made_graph(rng), "folder": tmp_path / "g", "parts": 2} | arguments
    with pytest.raises(ga.InvalidConfigError) as info:
        partition(**given)
    assert info.value.argument == name
    assert not (tmp_path / "g").exists()


def test_other_peoples_folders_are_left_alone(rng, tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(ga.InvalidConfigError, match="thesis"):
        partition(made_graph(rng), tmp_path, 2)
    assert (tmp_path / "thesis.txt").read_text() == "years of work"
    with pytest.raises(ga.InvalidConfigError, match="folder"):
        partition(made_graph(rng), tmp_path / "thesis.txt", 2)
    (tmp_path / "part-0").mkdir()
    (tmp_path / "thesis.txt").unlink()
    with pytest.raises(ga.InvalidConfigError, match="part-0"):
        partition(made_graph(rng), tmp_path, 2)


def test_an_older_partition_is_replaced(rng, tmp_path):
    partition(made_graph(rng), tmp_path, 5)
    graph = made_graph(rng)
    partition(graph, tmp_path, 2, method="range")
    assert joined(tmp_path) == graph
    assert sorted(p.name for p in tmp_path.iterdir()) == ["graph.json", "layers.npy", "part-0", "part-1"]


def test_an_unfinished_partition_is_none(rng, tmp_path):
    graph = made_graph(rng)
    with pytest.raises(ga.CancelledError):
        partition(graph, tmp_path, 4, on_progress=lambda done, total: done < 2)
    with pytest.raises(ga.LoadError, match="unfinished"):
        Layout.open(tmp_path)
    partition(graph, tmp_path, 4)
    assert joined(tmp_path) == graph


@pytest.mark.native
def test_missing_libraries_are_named(rng, tmp_path, monkeypatch):
    import sys

    for method, module in (("metis", "pymetis"), ("rcm", "scipy.sparse.csgraph")):
        monkeypatch.setitem(sys.modules, module, None)
        with pytest.raises(ga.UnsupportedError, match="not installed"):
            partition(made_graph(rng), tmp_path / "g", 2, method=method)


@pytest.fixture
def folder(rng, tmp_path):
    partition(made_graph(rng), tmp_path / "g", 3, method="range")
    return tmp_path / "g"


def altered(folder, change):
    path = folder / "graph.json"
    told = json.loads(path.read_text())
    change(told)
    path.write_text(json.dumps(told))


def total(told):
    told["num_nodes"] += 1


def drop(told):
    del told["part-1"]


def moved(told):
    told["node_map"][0][1] += 1


def one_part(told):
    told["num_parts"] = 2


def other_method(told):
    told["part_method"] = "magic"


def wrong_kind(told):
    told["part-0"]["num_edges"] = "many"


def other_version(told):
    told["version"] = 99


def longer(told):
    told["part-2"]["arrays"]["halo"]["shape"][0] += 1


def objects(told):
    told["part-0"]["arrays"]["indptr"]["dtype"] = "|O"


def stranger(told):
    told["part-0"]["arrays"]["../../etc/passwd"] = {"dtype": "<f8", "shape": [1]}


@pytest.mark.parametrize(
    "change",
    [total, drop, moved, one_part, other_method, wrong_kind, other_version, longer, objects, stranger],
)
def test_altered_json_is_refused(change, folder):
    altered(folder, change)
    with pytest.raises(ga.LoadError, match=r"graph\.json") as info:
        Layout.open(folder)
    assert "\n" not in str(info.value)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\xfe", b'{"kind": NaN}'])
def test_broken_json_is_refused(content, folder):
    (folder / "graph.json").write_bytes(content)
    with pytest.raises(ga.LoadError, match=r"graph\.json"):
        Layout.open(folder)


def test_missing_folders_are_named(tmp_path):
    with pytest.raises(ga.LoadError, match="no such folder"):
        Layout.open(tmp_path / "nothing")
    with pytest.raises(ga.LoadError, match="no partition"):
        Layout.open(tmp_path)
    with pytest.raises(ga.InvalidConfigError):
        Layout.open(3)


def test_truncated_arrays_are_refused(folder):
    path = folder / "part-1" / "indices.npy"
    path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(ga.LoadError, match=r"indices\.npy"):
        Layout.open(folder).part(1)
    path.unlink()
    with pytest.raises(ga.LoadError, match=r"indices\.npy"):
        Layout.open(folder).part(1)
    shutil.rmtree(folder / "part-2")
    with pytest.raises(ga.LoadError):
        Layout.open(folder).part(2)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("indices", lambda a: a + 1000),
        ("indices", lambda a: a - 1000),
        ("indptr", lambda a: a[::-1].copy()),
        ("indptr", lambda a: a + 1),
        ("halo", lambda a: a[::-1].copy()),
        ("halo", lambda a: a + 1000),
        ("halo", lambda a: np.arange(len(a), dtype=a.dtype) + 1),
        ("indptr", lambda a: a.astype(float)),
        ("indices", lambda a: a.astype(object)),
    ],
)
def test_arrays_that_name_no_nodes_are_refused(name, change, folder):
    path = folder / "part-0" / f"{name}.npy"
    np.save(path, change(np.load(path)))
    with pytest.raises(ga.LoadError):
        Layout.open(folder).part(0)


def test_no_such_part(folder):
    with pytest.raises(ga.OutOfBoundsError):
        Layout.open(folder).part(3)
