"""Damaged files of every format: a graph or a typed error, and nothing else."""

import base64
import collections
import json
import pickle
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import graphattend as ga
from graphattend.graph.files import parse
from graphattend.graph.formats import FORMATS

SEEDS = {
    ".txt": [b"# c\n0 1 0.5\n1 2 3\n", b"a b {'weight': 2, 'x': [1]}\n", b"% sym\n1 2 3 4\n"],
    ".cites": [b"35\t1033\n35\t103482\n"],
    ".csv": [b'Source,Target,Type,Id,Label,Weight\n0,1,Directed,0,"a, b",2\n1,2,Undirected,1,,1.5\n', b",u,v\n0,1,2\n"],
    ".json": [
        json.dumps(
            {
                "nodes": [{"id": "a", "layer": 1}, {"id": 2, "layer": 0}],
                "links": [{"source": "a", "target": 2, "value": 1}],
            }
        ).encode(),
        json.dumps({"nodes": [{"id": 0}, {"id": 1}], "adjacency": [[{"id": 1, "w": 2}], [{"id": 0, "w": 2}]]}).encode(),
        json.dumps({"elements": [{"data": {"id": "a"}}, {"data": {"source": "a", "target": "a"}}]}).encode(),
    ],
    ".cyjs": [
        json.dumps(
            {"elements": {"nodes": [{"data": {"id": 1}}], "edges": [{"data": {"source": 1, "target": 1}}]}}
        ).encode()
    ],
    ".graphml": [
        b'<graphml><key id="w" attr.name="weight" for="edge" attr.type="double"><default>1</default></key><graph edgedefault="directed">'
        b'<node id="a"/><node id="b"/><edge source="a" target="b" directed="false"><data key="w">2</data></edge></graph></graphml>'
    ],
    ".gexf": [
        b'<gexf><graph><attributes class="edge"><attribute id="0" title="t" type="float"/></attributes><nodes><node id="a" label="A"/>'
        b'</nodes><edges><edge source="a" target="a" weight="2"><attvalues><attvalue for="0" value="1"/></attvalues></edge></edges></graph></gexf>'
    ],
    ".gml": [b'graph [ directed 1 node [ id 0 label "a" ] node [ id 1 ] edge [ source 0 target 1 value 2.5 ] ]\n'],
    ".net": [
        b'*Vertices 3\n1 "a b" 0.1\n*Arcs\n1 2 2\n*Edges\n2 3\n*Arcslist\n1 2 3\n',
        b"*Vertices 2\n*Matrix\n0 1\n1 0\n",
    ],
    ".adjlist": [b"0 1 2\n1 0\n2 0\n3\n"],
    ".mtx": [b"%%MatrixMarket matrix coordinate real symmetric\n% c\n3 3 2\n2 1 1.5\n3 3 2\n"],
    ".graph": [b"% c\n3 2 001\n2 5\n1 5 3 6\n2 6\n"],
    ".planetoid": [pickle.dumps(collections.defaultdict(list, {0: [1], 1: [0]}), p) for p in (0, 2, 4)],
    ".npz": [],
    ".hnsw": [],
    ".faiss": [],
}

#: Files that faiss 1.15 and NumPy wrote, and one as hnswlib writes it.
BINARY = Path(__file__).parent / "binary_graphs.json"
for _suffix, _text in json.loads(BINARY.read_text()).items():
    SEEDS[_suffix].append(base64.b64decode(_text))

CASES = [(suffix, i) for suffix, seeds in SEEDS.items() for i in range(len(seeds))]
PIECES = [
    b"",
    b"\0",
    b"\xff",
    b"\n",
    b" ",
    b",",
    b"-1",
    b"0",
    b"99999999999999999999",
    b"nan",
    b"1e999",
    b"[",
    b"]",
    b"<",
    b"&a;",
    b'"',
    b"{",
    b"}",
    b"null",
    b"\x80",
]


def test_every_format_has_a_seed():
    aliases = {".edges", ".edgelist", ".el", ".ncol", ".tsv", ".metis", ".index", ".hnswlib", ".bin"}
    assert set(SEEDS) | aliases == set(FORMATS)
    assert all(SEEDS.values())


@pytest.mark.parametrize(("suffix", "i"), CASES)
def test_seeds_are_read(suffix, i):
    assert parse(SEEDS[suffix][i], "seed", suffix=suffix).graph.num_nodes


def refusal(content, suffix):
    """What the error says, if there is one; any other error than ours passes through."""
    try:
        assert parse(content, "damaged", suffix=suffix).graph.num_nodes >= 1
    except ga.LoadError as error:
        return str(error)
    return ""


@pytest.mark.parametrize(("suffix", "i"), CASES)
@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_damaged(suffix, i, data):
    content = SEEDS[suffix][i]
    for _ in range(data.draw(st.integers(1, 3))):
        start = data.draw(st.integers(0, len(content)))
        end = data.draw(st.integers(start, min(len(content), start + 8)))
        content = content[:start] + data.draw(st.sampled_from(PIECES) | st.binary(max_size=8)) + content[end:]
    assert "\n" not in refusal(content, suffix)


@pytest.mark.parametrize("suffix", FORMATS)
@settings(deadline=None, max_examples=20)
@given(st.binary(max_size=200))
def test_noise(suffix, content):
    assert "\n" not in refusal(content, suffix)
