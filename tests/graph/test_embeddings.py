"""Latent vectors in the formats of NumPy, word2vec, GloVe, pandas, Planetoid and OGB, matched to nodes by name."""

import gzip
import io
import pickle
import struct

import numpy as np
import pytest

import graphattend as ga
from graphattend.graph.formats import VECTORS

X = np.array([[0.5, -1.25, 3.0], [2.0, 0.0, 1e-3], [7.5, 8.0, -9.0]], np.float32)
NAMES = ["ann", "New_York", "bøb"]


def npy(x, **options):
    out = io.BytesIO()
    np.save(out, x, **options)
    return out.getvalue()


def npz(**arrays):
    out = io.BytesIO()
    np.savez(out, **arrays)
    return out.getvalue()


def word2vec(end, count=3, dim=3):
    """Write as word2vec.c does; gensim's save_word2vec_format omits the line end."""
    out = b"%d %d\n" % (count, dim)
    for name, row in zip(NAMES, X, strict=True):
        out += name.encode() + b" " + struct.pack("<3f", *row) + end
    return out


def lines(separator, head=""):
    return head + "".join(
        separator.join([name, *(repr(float(v)) for v in row)]) + "\n" for name, row in zip(NAMES, X, strict=True)
    )


FILES = {
    "glove.6B.3d.txt": lines(" "),
    "glove.glove": lines(" "),
    "word2vec.vec": lines(" ", "3 3\n"),
    "word2vec.bin": word2vec(b"\n"),
    "gensim.bin": word2vec(b""),
    "node2vec.emb": lines(" ", "3 3\n"),
    "pandas.csv": lines(",", ",0,1,2\n"),
    "table.csv": lines(",", "node,x,y,z\n"),
    "table.tsv": lines("\t", "Id\tx\ty\tz\n"),
    "excel.csv": "\ufeff" + lines(";", "name;x;y;z\n").replace("\n", "\r\n"),
    "named.npz": npz(embeddings=X, names=np.array(NAMES)),
    "packed.vec.gz": gzip.compress(lines(" ", "3 3\n").encode()),
}
NAMELESS = {
    "rows.npy": npy(X),
    "fortran.npy": npy(np.asfortranarray(X)),
    "rows.npz": npz(x=X),
    "rows.txt": "\n".join(" ".join(repr(float(v)) for v in row) for row in X),
    "rows.csv": "x,y,z\n" + "\n".join(",".join(repr(float(v)) for v in row) for row in X),
}


@pytest.fixture
def file(tmp_path):
    def file(name, data):
        path = tmp_path / name
        path.write_bytes(data if isinstance(data, bytes) else data.encode())
        return path

    return file


@pytest.mark.parametrize("name", FILES)
def test_with_names(file, name):
    path = file(name, FILES[name])
    names, x = ga.read_embeddings(path)
    assert names == NAMES
    np.testing.assert_array_equal(x, X)
    names, x = ga.read_embeddings(path, names=["bøb", "ann"])
    assert names == ["bøb", "ann"]
    np.testing.assert_array_equal(x, X[[2, 0]])
    graph = ga.NeighborGraph([0, 0, 0, 0], [], names=["New_York", "ann", "bøb"])
    np.testing.assert_array_equal(ga.read_embeddings(path, graph=graph)[1], X[[1, 0, 2]])
    with pytest.raises(ga.LoadError, match=rf"{name}: has no vectors of 2 of 3 nodes: 'eve', 'zoe'; .* such as 'ann'"):
        ga.read_embeddings(path, names=["eve", "ann", "zoe"])


@pytest.mark.parametrize("name", NAMELESS)
def test_without_names(file, name):
    path = file(name, NAMELESS[name])
    names, x = ga.read_embeddings(path)
    assert names is None
    np.testing.assert_array_equal(x, X)
    names, x = ga.read_embeddings(path, names=NAMES)
    assert names == NAMES
    np.testing.assert_array_equal(x, X)
    assert ga.read_embeddings(path, graph=ga.NeighborGraph([0, 0, 0, 0], []))[0] == ["0", "1", "2"]
    with pytest.raises(ga.LoadError, match="expected 2 rows, one per node, or names in front of them; got 3"):
        ga.read_embeddings(path, names=["a", "b"])


def test_dtypes(file):
    assert ga.read_embeddings(file("a.bin", FILES["word2vec.bin"]))[1].dtype == np.float32
    assert ga.read_embeddings(file("a.npy", npy(X)))[1].dtype == np.float32
    assert ga.read_embeddings(file("b.npy", npy(np.eye(3, dtype=int))))[1].dtype == np.float64
    assert ga.read_embeddings(file("a.txt", FILES["glove.glove"]))[1].dtype == np.float64


@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_planetoid(file, protocol):
    sparse = pytest.importorskip("scipy.sparse")
    for matrix in (sparse.csr_matrix(X), X, np.asfortranarray(X), X.astype(">f8")):
        path = file("ind.cora.allx", pickle.dumps(matrix, protocol))
        np.testing.assert_array_equal(ga.read_embeddings(path)[1], X)


@pytest.mark.parametrize("shape", [None, [3, 2], (3,), (3, 2, 1), (3.0, 2), (-3, 2)])
def test_planetoid_whose_matrix_has_no_shape(file, shape):
    sparse = pytest.importorskip("scipy.sparse")
    matrix = sparse.csr_matrix(X)
    matrix._shape = shape
    with pytest.raises(ga.LoadError, match="something else than an array or a matrix"):
        ga.read_embeddings(file("ind.cora.allx", pickle.dumps(matrix, 2)))


def test_ogb(tmp_path):
    raw = tmp_path / "raw"
    raw.mkdir()
    (raw / "node-feat.csv.gz").write_bytes(gzip.compress(b"1,2.5\n3,4\n"))
    assert ga.read_embeddings(tmp_path)[1].tolist() == [[1, 2.5], [3, 4]]


class Evil:
    def __reduce__(self):
        return (eval, ("1/0",))


BAD = {
    "pickle.npy": (npy(np.array([Evil()], object), allow_pickle=True), "plain array of numbers"),
    "text.npy": (npy(np.array([["a"]])), "plain array of numbers"),
    "flat.npy": (npy(np.ones(3)), r"shape \(V, D\), got float64 of shape \(3,\)"),
    "empty.npy": (npy(np.ones((3, 0))), "shape"),
    "nan.npy": (npy(np.array([[1.0], [np.nan]])), "the vector of '1' holds NaN"),
    "truth.npy": (npy(np.ones((2, 2), bool)), "got bool"),
    "cut.npy": (npy(X)[:-3], "does not fit"),
    "two.npz": (npz(a=X, b=X), "expected one array of numbers, and maybe one of names; found a, b"),
    "names.npz": (npz(a=X, b=np.array(["a"])), "a name for every vector"),
    "objects.npz": (npz(a=X, b=np.array([Evil()])), "plain array of numbers"),
    "garbage.npz": (b"PK\3\4 no", "garbage.npz"),
    "twice.txt": ("a 1\na 2\n", "has two vectors of 'a'"),
    "head.bin": (b"hello\n", "line V D"),
    "many.bin": (b"9999999999 300\n", "do not fit"),
    "none.bin": (b"0 3\n", "do not fit"),
    "cut.bin": (word2vec(b"")[:-2], "cut off or damaged at vector 3 of 3"),
    "long.bin": (word2vec(b"\n") + b"more", "has data after"),
    "utf.bin": (word2vec(b"").replace(b"ann ", b"\xff\xff\xff "), "vector 1 is not UTF-8"),
    "ind.x.allx": (pickle.dumps(Evil(), 2), "asks for"),
    "ind.y.tx": (pickle.dumps(np.array([None]), 2), "not of plain numbers"),
    "ind.z.x": (pickle.dumps({1: 2}, 2), "pickled matrix"),
    "words.xyz": ("a 1\n", r"ending in \.txt"),
    "empty.txt": ("", "is empty"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_refused(file, name):
    data, says = BAD[name]
    with pytest.raises(ga.LoadError, match=says) as caught:
        ga.read_embeddings(file(name, data), names=["a"] if name == "twice.txt" else None)
    assert name in str(caught.value)
    assert "\n" not in str(caught.value)


def test_options_of_the_wrong_kind(file):
    path = file("rows.npy", npy(X))
    for options in (
        {"names": "ann"},
        {"names": [1]},
        {"graph": 3},
        {"graph": ga.NeighborGraph([0, 0], []), "names": []},
    ):
        with pytest.raises(ga.InvalidConfigError, match=r"^(names|graph): "):
            ga.read_embeddings(path, **options)
    for path in (3, None):
        with pytest.raises(ga.InvalidConfigError):
            ga.read_embeddings(path)
    with pytest.raises(ga.LoadError):
        ga.read_embeddings(file("x.npy", b"").parent / "missing.npy")
    tried = {
        ".allx",
        ".emd",
        ".x",
        ".tx",
        *("." + name.removesuffix(".gz").rpartition(".")[2] for name in [*FILES, *NAMELESS]),
    }
    assert tried >= set(VECTORS) - {".emd"}
