"""Every registered codec: round trips through files, and files with inconsistent parts."""

from __future__ import annotations

import numpy as np
import pytest

from graphattend import storage
from graphattend.compression import CODECS, Compressed, Hierarchical, LowRank, Quantizer, SparseStorage, Tucker
from graphattend.errors import LoadError

RNG = np.random.default_rng(0)
MATRIX = RNG.standard_normal((6, 5)).astype(np.float32)
CUBE = RNG.standard_normal((4, 3, 5))
EXAMPLES = [
    Quantizer(8).encode(MATRIX),
    Quantizer(8, False, "row").encode(CUBE),
    Quantizer(4, True, "group", 2).encode(MATRIX),
    Quantizer(4, False).encode(MATRIX[0]),
    LowRank(2).encode(MATRIX),
    LowRank(energy=0.8).encode(MATRIX.astype(np.float64)),
    Tucker((2, 3, 2)).encode(CUBE),
    SparseStorage(top_k=2).encode(MATRIX),
    SparseStorage(threshold=0.5, format="coo").encode(CUBE),
    Hierarchical({0: Quantizer(4), 1: SparseStorage()}).encode(MATRIX, [0, 1, 0, 0, 2, 0]),
]
IDS = [f"{i}-{c.codec.key}" for i, c in enumerate(EXAMPLES)]


def test_every_codec_has_an_example():
    assert {c.codec.key for c in EXAMPLES} == set(CODECS)


@pytest.mark.parametrize("format", ["npz", "safetensors"])
@pytest.mark.parametrize("c", EXAMPLES, ids=IDS)
def test_round_trip_is_bit_exact(tmp_path, c, format):
    path = tmp_path / f"c.{format}"
    c.save(path)
    back = Compressed.load(path)
    assert back.codec == c.codec
    assert (back.shape, back.dtype, back.error_bound) == (c.shape, c.dtype, c.error_bound)
    assert (back.nbytes, back.ratio) == (c.nbytes, c.ratio)
    assert sorted(back.arrays) == sorted(c.arrays)
    for name, array in c.arrays.items():
        assert back.arrays[name].dtype == array.dtype
        assert back.arrays[name].tobytes() == array.tobytes()
        assert not back.arrays[name].flags.writeable
    assert back.decode().tobytes() == c.decode().tobytes()
    assert back.to_bytes(format) == path.read_bytes()


@pytest.mark.parametrize("c", EXAMPLES, ids=IDS)
def test_decode_gives_back_shape_and_dtype(c):
    decoded = c.codec.decode(c)
    assert (decoded.shape, decoded.dtype) == (c.shape, c.dtype)
    assert decoded.flags.c_contiguous
    assert decoded.flags.writeable
    assert repr(c).startswith("Compressed(")


def tampered(c, tmp_path, arrays=None, drop=(), **config):
    """Write a file with a valid checksum and changed content."""
    merged = {k: v for k, v in {**c.arrays, **(arrays or {})}.items() if k not in drop}
    path = tmp_path / "c.npz"
    storage.write_archive(path, merged, {**c._config(), **config})
    return path


def refused(path):
    with pytest.raises(LoadError) as caught:
        Compressed.load(path)
    assert path.name in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("c", EXAMPLES, ids=IDS)
def test_tampered_files(tmp_path, c):
    assert Compressed.load(tampered(c, tmp_path)).decode().tobytes() == c.decode().tobytes()
    refused(tampered(c, tmp_path, kind="mechanism"))
    refused(tampered(c, tmp_path, key="zip"))
    refused(tampered(c, tmp_path, key=None))
    refused(tampered(c, tmp_path, key=["quantizer"]))
    refused(tampered(c, tmp_path, options=None))
    refused(tampered(c, tmp_path, options={"surprise": 1}))
    refused(tampered(c, tmp_path, options={**c.codec.to_config()["options"], "__class__": 1}))
    refused(tampered(c, tmp_path, shape=None))
    refused(tampered(c, tmp_path, shape=[]))
    refused(tampered(c, tmp_path, shape=[*c.shape, 2]))
    if "row" not in c.arrays:  # entries with row and column also fit a larger shape
        refused(tampered(c, tmp_path, shape=[c.shape[0] + 2, *c.shape[1:]]))
    refused(tampered(c, tmp_path, shape=[-n for n in c.shape]))
    refused(tampered(c, tmp_path, shape=[0, *c.shape[1:]]))
    refused(tampered(c, tmp_path, shape=[1 << 62, *c.shape[1:]]))
    refused(tampered(c, tmp_path, shape=[float(n) for n in c.shape]))
    refused(tampered(c, tmp_path, dtype="object"))
    refused(tampered(c, tmp_path, dtype="float32" if c.dtype == np.float64 else "float64"))
    refused(tampered(c, tmp_path, error_bound=-1.0))
    refused(tampered(c, tmp_path, error_bound="small"))
    refused(tampered(c, tmp_path, arrays={"extra": np.ones(1)}))
    for name, array in c.arrays.items():
        refused(tampered(c, tmp_path, drop=[name]))
        refused(tampered(c, tmp_path, arrays={name: array[None]}))
        refused(tampered(c, tmp_path, arrays={name: array.astype(np.complex64).real.astype(np.float16)}))
        if array.ndim:
            refused(tampered(c, tmp_path, arrays={name: array[:-1]}))


@pytest.mark.parametrize(
    ("index", "name", "value"),
    [
        (0, "scale", np.float32(-1)),
        (0, "scale", np.float32(np.nan)),
        (0, "zero_point", np.int8(1)),
        (3, "zero_point", np.int8(100)),
        (7, "indices", np.full(12, 200, np.uint8)),
        (7, "indptr", np.array([0, 12, 2, 4, 6, 8, 12], np.uint8)),
        (7, "indptr", np.array([1, 2, 4, 6, 8, 10, 12], np.uint8)),
        (8, "row", np.full(EXAMPLES[8].arrays["row"].shape, 12, np.uint8)),
        (8, "col", np.full(EXAMPLES[8].arrays["col"].shape, 5, np.uint8)),
        (9, "layers", np.full(6, 7, np.uint8)),
    ],
)
def test_values_that_would_reach_outside(tmp_path, index, name, value):
    refused(tampered(EXAMPLES[index], tmp_path, arrays={name: np.asarray(value)}))


def test_hierarchical_options_from_hostile_files(tmp_path):
    c = EXAMPLES[-1]
    plain = Quantizer(4).to_config()
    nested = {"0": c.codec.to_config()}
    for codecs in (
        None,
        [],
        {"x": plain},
        {"-1": plain},
        {"999": plain},
        {"0": None},
        {"0": {"key": "quantizer"}},
        nested,
        {},
    ):
        refused(tampered(c, tmp_path, options={"codecs": codecs}))


def test_missing_file_and_folder(tmp_path):
    refused(tmp_path / "missing.npz")
    (tmp_path / "folder.npz").mkdir()
    refused(tmp_path / "folder.npz")
    with pytest.raises(LoadError):
        Compressed.from_bytes(b"")
