"""Round trips, files for other tools, atomic writes. Hostile files are in test_storage_hostile.py."""

from __future__ import annotations

import io
import os
import zipfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from graphattend import errors, storage, storage_checks, storage_safetensors
from graphattend.errors import InvalidConfigError, LoadError

FORMATS = ("npz", "safetensors")
DTYPES = ("f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "?")
ARRAYS = {
    "w_q": np.arange(6.0).reshape(2, 3),
    "experts/0/b": np.float32([1.5, -2.0]),
    "codes": np.int8([[-127, 0, 127]]),
    "scalar": np.array(2.5),
    "empty": np.zeros((0, 4), np.float32),
    "flags": np.array([True, False]),
    "größe": np.uint16([1]),
}
CONFIG = {
    "kind": "note",
    "key": "multi_head",
    "dim": 4,
    "spaces": [["euclidean", 2, 0.0]],
    "text": 'a"\\é\n',
    "n": None,
}


def same(a: dict, b: dict) -> None:
    assert list(a) == list(b) or sorted(a) == sorted(b)
    for name in a:
        assert a[name].dtype == b[name].dtype
        assert a[name].shape == b[name].shape
        assert a[name].tobytes() == b[name].tobytes()


@pytest.mark.parametrize("format", FORMATS)
def test_round_trip_keeps_every_bit(tmp_path, format):
    path = tmp_path / f"a.{format}"
    storage.write_archive(path, ARRAYS, CONFIG)
    config, arrays = storage.read_archive(path, kind="note")
    assert config == {**CONFIG, "version": storage.VERSION}
    same(ARRAYS, arrays)
    assert all(a.flags.writeable and a.flags.owndata for a in arrays.values())
    assert path.read_bytes() == storage.dumps(ARRAYS, CONFIG, format)


@settings(max_examples=25, deadline=None)
@given(
    arrays=st.dictionaries(
        st.from_regex(r"[a-zA-Z_]{1,5}(/[a-z0-9.]*[a-z])?", fullmatch=True).filter(lambda n: n not in storage.RESERVED),
        st.sampled_from(DTYPES).flatmap(lambda d: hnp.arrays(d, hnp.array_shapes(min_dims=0, max_dims=4, min_side=0))),
        max_size=4,
    ),
    format=st.sampled_from(FORMATS),
)
def test_round_trip_of_anything(arrays, format):
    data = storage.dumps(arrays, {"kind": "x"}, format)
    same(arrays, storage.loads(data, kind="x", allow_nonfinite=True)[1])


@pytest.mark.parametrize("format", FORMATS)
def test_layout_and_byte_order_do_not_matter(format):
    x = np.arange(24.0).reshape(2, 3, 4)
    expected = storage.dumps({"x": x}, {"kind": "x"}, format)
    for variant in (np.asfortranarray(x), x.astype(">f8"), np.repeat(x, 2, axis=2)[:, :, ::2]):
        assert storage.dumps({"x": variant}, {"kind": "x"}, format) == expected


def test_plain_numpy_reads_the_npz(tmp_path):
    path = tmp_path / "a.npz"
    storage.write_archive(path, ARRAYS, CONFIG)
    with np.load(path, allow_pickle=False) as archive:
        same(ARRAYS, {name: archive[name] for name in archive.files if name != "__config__"})
        assert b'"multi_head"' in archive["__config__"].tobytes()


def test_reads_what_plain_numpy_writes(tmp_path):
    config = np.frombuffer(b'{"kind": "note", "version": 1}', np.uint8)
    arrays = {"f": np.asfortranarray(np.arange(6.0).reshape(2, 3)), "b": np.arange(3, dtype=">i4")}
    for save in (np.savez, np.savez_compressed):
        path = tmp_path / "a.npz"
        save(path, __config__=config, **arrays)
        _, read = storage.read_archive(path, kind="note")
        assert np.array_equal(read["f"], arrays["f"])
        assert np.array_equal(read["b"], arrays["b"])
        assert read["b"].dtype == np.int32


def test_reads_a_deflated_archive_that_is_all_zeros(tmp_path):
    path = tmp_path / "a.npz"
    np.savez_compressed(path, __config__=np.frombuffer(b'{"kind":"x","version":1}', np.uint8), z=np.zeros(1_000_000))
    assert not storage.read_archive(path, kind="x")[1]["z"].any()


def test_safetensors_package_reads_ours():
    reference = pytest.importorskip("safetensors.numpy")
    read = reference.load(storage.dumps(ARRAYS, CONFIG, "safetensors"))
    same(dict(sorted(ARRAYS.items())), dict(sorted(read.items())))


def test_safetensors_bytes_equal_the_package():
    reference = pytest.importorskip("safetensors.numpy")
    metadata = {"config": '{"kind":"é \\" \n\x7f"}'}
    arrays = {**ARRAYS, **{f"z{d.strip('?')}": np.ones((2, 3), d) for d in DTYPES}}
    assert storage_safetensors.pack_plain(arrays, metadata) == reference.save(arrays, metadata)


def test_reads_what_the_safetensors_package_writes_again(tmp_path):
    reference = pytest.importorskip("safetensors")
    from safetensors.numpy import save_file

    ours, theirs = tmp_path / "a.safetensors", tmp_path / "b.safetensors"
    storage.write_archive(ours, ARRAYS, CONFIG)
    with reference.safe_open(ours, "np") as file:
        save_file({name: file.get_tensor(name) for name in file.keys()}, theirs, file.metadata())  # noqa: SIM118
    same(ARRAYS, storage.read_archive(theirs, kind="note")[1])


@pytest.mark.parametrize("format", FORMATS)
def test_nonfinite_only_where_allowed(format):
    data = storage.dumps({"x": np.array([1.0, np.inf])}, {"kind": "x"}, format)
    assert storage.loads(data, kind="x", allow_nonfinite=True)[1]["x"][1] == np.inf
    with pytest.raises(LoadError, match=r"^model: array 'x' holds NaN or infinity$"):
        storage.loads(data, kind="x", name="model")


@pytest.mark.parametrize(
    ("arrays", "config"),
    [
        ({"../x": np.ones(1)}, {"kind": "x"}),
        ({"/x": np.ones(1)}, {"kind": "x"}),
        ({"": np.ones(1)}, {"kind": "x"}),
        ({"a\nb": np.ones(1)}, {"kind": "x"}),
        ({3: np.ones(1)}, {"kind": "x"}),
        ({"__config__": np.ones(1)}, {"kind": "x"}),
        ({"x": np.array([object()])}, {"kind": "x"}),
        ({"x": np.array(["text"])}, {"kind": "x"}),
        ({"x": np.ones(1, complex)}, {"kind": "x"}),
        ({"x": np.zeros(1, "f4,i4")}, {"kind": "x"}),
        ({"x": None}, {"kind": "x"}),
        ([np.ones(1)], {"kind": "x"}),
        ({}, {}),
        ({}, {"kind": 1}),
        ({}, {"kind": "x", "v": float("nan")}),
        ({}, {"kind": "x", "v": np.float32(1)}),
        ({}, {"kind": "x", "v": 10**30}),
        ({}, {"kind": "x", "v": "\ud800"}),
        ({}, {"kind": "x", "v": "a" * (2 << 20)}),
        ({}, "text"),
    ],
)
def test_refuses_what_it_could_not_read_again(tmp_path, arrays, config):
    for format in FORMATS:
        with pytest.raises(InvalidConfigError):
            storage.dumps(arrays, config, format)
        with pytest.raises(InvalidConfigError):
            storage.write_archive(tmp_path / f"a.{format}", arrays, config)
    assert not list(tmp_path.iterdir())


def test_a_config_that_contains_itself_is_refused():
    config: dict = {"kind": "x"}
    config["self"] = config
    with pytest.raises(InvalidConfigError):
        storage.dumps({}, config)


@pytest.mark.parametrize("path", ["a.txt", "a", "a.npz.bak"])
def test_unknown_suffix(tmp_path, path):
    with pytest.raises(InvalidConfigError, match=r"\.npz or \.safetensors"):
        storage.write_archive(tmp_path / path, {}, {"kind": "x"})
    with pytest.raises(LoadError, match=path):
        storage.read_archive(tmp_path / path, kind="x")


@pytest.mark.parametrize("path", [None, 3, ["a.npz"]])
def test_not_a_path(path):
    with pytest.raises(InvalidConfigError):
        storage.write_archive(path, {}, {"kind": "x"})
    with pytest.raises(InvalidConfigError):
        storage.read_archive(path, kind="x")


@pytest.mark.parametrize("data", [None, "text", 3])
def test_not_bytes(data):
    with pytest.raises(InvalidConfigError):
        storage.loads(data, kind="x")


def test_unknown_format():
    with pytest.raises(InvalidConfigError, match="safetensors"):
        storage.dumps({}, {"kind": "x"}, "safetensor")


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_failed_write_leaves_the_old_file_and_no_debris(tmp_path, monkeypatch, step):
    path = tmp_path / "a.npz"
    storage.write_archive(path, {"x": np.ones(3)}, {"kind": "x"})
    before = path.read_bytes()

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, step, fail)
    with pytest.raises(LoadError, match=r"a\.npz: cannot be written \(No space left on device\)"):
        storage.write_archive(path, {"x": np.zeros(3)}, {"kind": "x"})
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["a.npz"]


def test_an_interrupted_write_leaves_no_debris(tmp_path, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        storage.write_archive(tmp_path / "a.npz", {}, {"kind": "x"})
    assert not list(tmp_path.iterdir())


@pytest.mark.native
def test_what_is_no_file_is_not_replaced(tmp_path):
    os.mkfifo(tmp_path / "pipe.npz")
    with pytest.raises(LoadError, match=r"pipe\.npz: cannot be written \(is not a regular file\)"):
        storage.write_archive(tmp_path / "pipe.npz", {}, {"kind": "x"})
    assert (tmp_path / "pipe.npz").is_fifo()
    assert [p.name for p in tmp_path.iterdir()] == ["pipe.npz"]


def test_a_file_keeps_its_permissions_and_a_read_only_one_its_content(tmp_path):
    path = tmp_path / "a.npz"
    storage.write_archive(path, {}, {"kind": "x"})
    path.chmod(0o600)
    storage.write_archive(path, {"x": np.ones(3)}, {"kind": "x"})
    assert path.stat().st_mode & 0o777 == 0o600
    before = path.read_bytes()
    path.chmod(0o400)
    with pytest.raises(LoadError, match=r"a\.npz: cannot be written \(is read-only\)"):
        storage.write_archive(path, {}, {"kind": "x"})
    assert path.read_bytes() == before


def test_cannot_write_into_a_missing_folder_or_over_a_folder(tmp_path):
    with pytest.raises(LoadError, match=r"a\.npz: cannot be written"):
        storage.write_archive(tmp_path / "missing" / "a.npz", {}, {"kind": "x"})
    (tmp_path / "b.npz").mkdir()
    with pytest.raises(LoadError, match=r"b\.npz: cannot be written"):
        storage.write_archive(tmp_path / "b.npz", {}, {"kind": "x"})
    assert [p.name for p in tmp_path.iterdir()] == ["b.npz"]


def test_members_of_the_npz_are_plain_and_dated_alike():
    with zipfile.ZipFile(io.BytesIO(storage.dumps(ARRAYS, CONFIG))) as archive:
        assert {info.date_time for info in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        assert archive.testzip() is None


def test_limits_of_what_is_stored(monkeypatch):
    arrays = {"a": np.ones(4), "b": np.ones(4)}
    monkeypatch.setattr(storage.storage_npz, "MAX_NPZ_BYTES", 63)
    with pytest.raises(errors.InvalidConfigError, match=r"do not fit into \.npz, use \.safetensors"):
        storage.dumps(arrays, {"kind": "note"}, "npz")
    assert storage.dumps(arrays, {"kind": "note"}, "safetensors")
    monkeypatch.setattr(storage, "MAX_ARRAYS", 1)
    with pytest.raises(errors.InvalidConfigError, match="arrays: expected at most 1, got 2"):
        storage.dumps(arrays, {"kind": "note"}, "safetensors")


def test_memory_that_ends_while_a_file_is_read():
    with (
        pytest.raises(errors.LoadError, match=r"model\.npz: does not fit into memory"),
        storage.load_errors("model.npz"),
    ):
        raise MemoryError


def test_an_archive_whose_array_ends_before_its_size():
    out = io.BytesIO()
    whole = zipfile.ZipFile(io.BytesIO(storage.dumps({"a": np.ones(4)}, {"kind": "note"}, "npz")))
    with whole, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in whole.namelist():
            archive.writestr(name, whole.read(name))
        info = archive.getinfo("a.npy")
    sizes = np.array([info.CRC, info.compress_size, info.file_size], "<u4")
    longer = sizes + np.array([0, 0, 1], "<u4")
    data = out.getvalue().replace(sizes.tobytes(), longer.tobytes())
    assert data != out.getvalue()
    with pytest.raises(LoadError, match="array 'a' is truncated"):
        storage.loads(data, kind="note")


def test_a_load_error_inside_keeps_its_message():
    with pytest.raises(LoadError, match=r"^inner$"), storage.load_errors("outer"):
        raise LoadError("inner")


@pytest.mark.parametrize("shape", [(1,) * 70, (-1, -1)])
def test_shapes_that_no_array_has(shape):
    raw = memoryview(np.ones(1, np.float32).tobytes())
    with pytest.raises(storage_checks.Refused, match="'x' has a bad shape"):
        storage_checks.build_array(raw, np.dtype(np.float32), shape, "C", "x")


def test_configs_are_stored_as_text():
    assert "naïve ∞".encode() in storage.dumps({"x": np.zeros(1)}, {"kind": "test", "name": "naïve ∞"}, "safetensors")
