"""Valid files of every readable format, to be damaged."""

from __future__ import annotations

import base64
import collections
import io
import json
import pickle
import struct
import zlib
from pathlib import Path

import numpy as np

import graphattend as ga
from graphattend import storage
from graphattend.compression import Hierarchical, LowRank, Quantizer, SparseStorage
from graphattend.graph.formats import VECTORS
from graphattend.mechanisms import mechanism_class

#: Suffix → files of that graph format.
GRAPHS: dict[str, list[bytes]] = {
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

#: Files written by faiss 1.15 and NumPy, and one in hnswlib's format.
BINARY = Path(__file__).parents[2] / "graph" / "binary_graphs.json"
for _suffix, _text in json.loads(BINARY.read_text()).items():
    GRAPHS[_suffix].append(base64.b64decode(_text))

_X = np.arange(12.0).reshape(4, 3) + 0.5


def _npy(x: np.ndarray) -> bytes:
    out = io.BytesIO()
    np.save(out, x)
    return out.getvalue()


def _npz(x: np.ndarray) -> bytes:
    out = io.BytesIO()
    np.savez(out, x=x)
    return out.getvalue()


#: Suffix → files of that format of vectors.
VECTOR_FILES: dict[str, list[bytes]] = {
    ".txt": [b"0.5 1.5\n2.5 3.5\n"],
    ".csv": [b"id,x,y\na,0.5,1\nb,2,3\n"],
    ".tsv": [b"node\tx\na\t0.5\nb\t2\n"],
    ".vec": [b"2 3\nann 0.5 1 2\nbob 2 3 4\n"],
    ".emb": [b"2 2\n0 0.5 1\n7 2 3\n"],
    ".emd": [b"2 2\n0 0.5 1\n7 2 3\n"],
    ".glove": [b"the 0.5 1\n# 2 3\n"],
    ".npy": [_npy(_X), _npy(_X.astype(">f4"))],
    ".npz": [_npz(_X)],
    ".bin": [b"2 3\nann " + struct.pack("<3f", 1, 2, 3) + b"\nbob " + struct.pack("<3f", 4, 5, 6) + b"\n"],
    ".x": [pickle.dumps(_X, 2)],
    ".tx": [pickle.dumps(_X, 4)],
    ".allx": [pickle.dumps(_X, 0)],
}


def _archives() -> list[tuple[str, str, bytes]]:
    found = []
    for key in ga.list_mechanisms():
        attn, _ = mechanism_class(key).example(np.random.default_rng(0), 4)
        for format in ("npz", "safetensors"):
            config = {"kind": "mechanism", **attn.to_config()}
            found.append(("mechanism", f".{format}", storage.dumps(attn.parameters(), config, format)))
    x = np.random.default_rng(0).standard_normal((4, 6)).astype(np.float32)
    for compressed in (
        Quantizer(4, granularity="group", group_size=2).encode(x),
        LowRank(2).encode(x),
        SparseStorage(top_k=2).encode(x),
        Hierarchical({0: Quantizer(8), 1: LowRank(1)}).encode(x, [0, 1, 0, 1]),
    ):
        found.extend(("compressed", f".{f}", compressed.to_bytes(f)) for f in ("npz", "safetensors"))
    arrays = {"a": x, "b/c": np.arange(3), "d": np.array(True)}
    found.extend(("archive", f".{f}", storage.dumps(arrays, {"kind": "x"}, f)) for f in ("npz", "safetensors"))
    return found


def _files() -> list[tuple[str, str, bytes]]:
    found = [("graph", suffix, content) for suffix, contents in GRAPHS.items() for content in contents]
    found += [("vectors", suffix, content) for suffix, contents in VECTOR_FILES.items() for content in contents]
    found += [
        (kind, suffix + ".gz", zlib.compress(content, wbits=31)) for kind, suffix, content in found if kind == "vectors"
    ]
    return found + _archives()


#: (kind, suffix, content) of every file.
FILES = _files()
assert set(VECTOR_FILES) == set(VECTORS)
