"""Readers reject our files if an array is missing, added or replaced."""

import inspect
import json

import numpy as np
import pytest

import graphattend as ga
from graphattend import storage, storage_npz, storage_safetensors, training
from graphattend.compression import CODECS, Compressed, Hierarchical, LowRank, Quantizer, SparseStorage, Tucker
from graphattend.mechanisms import mechanism_class

RNG = np.random.default_rng(5)
MATRIX = RNG.standard_normal((6, 8)).astype(np.float32)
CODEC_EXAMPLES = {
    "quantizer": Quantizer(bits=4, granularity="group", group_size=4, symmetric=False).encode(MATRIX),
    "low_rank": LowRank(2).encode(MATRIX),
    "tucker": Tucker((2, 2, 2)).encode(RNG.standard_normal((3, 4, 5))),
    "sparse": SparseStorage(top_k=2).encode(MATRIX),
    "hierarchical": Hierarchical({0: Quantizer(4), 1: SparseStorage(format="coo")}).encode(MATRIX, [0, 1, 0, 0, 2, 0]),
}


def _optimizers():
    for name in training.__all__:
        cls = getattr(training, name)
        if inspect.isclass(cls) and hasattr(cls, "slots") and hasattr(cls, "update"):
            yield name, cls


def _trainer(cls):
    needs_manifold = "manifold" in inspect.signature(cls).parameters
    optimizer = cls(manifold=ga.geometry.Euclidean(), lr=0.1) if needs_manifold else cls(lr=0.1)

    def gradient(params, batch, rng):
        return float((params["x"] ** 2).sum()), {n: 2 * v for n, v in params.items()}

    return training.Trainer(gradient, optimizer, epochs=2)


def _graph():
    return ga.NeighborGraph(
        [0, 1, 2],
        [1, 0],
        edge_features=[[1.0], [2.0]],
        edge_weights=[0.5, 0.25],
        distances=[1.5, 2.5],
        layers=[0, 1],
        names=["a", "b"],
    )


def _cases():
    """Return name -> (write to a path, read from a path, kind, whether all arrays are required)."""
    for key in ga.list_mechanisms():
        attn, _ = mechanism_class(key).example(np.random.default_rng(0), 4)
        if attn.parameters():
            yield f"mechanism-{key}", attn.save, ga.load, "mechanism", True
    for key, c in CODEC_EXAMPLES.items():
        yield f"codec-{key}", c.save, Compressed.load, "compressed", True
    graph = _graph()
    yield "graph", graph.save, ga.NeighborGraph.read, "neighbor_graph", False
    start = {"x": np.ones(3), "a/b": np.ones((2, 2), np.float32)}
    for name, cls in _optimizers():
        trainer = _trainer(cls)
        yield (
            f"checkpoint-{name}",
            lambda path, t=trainer: t.fit(start, 3, checkpoint=path),
            lambda path, t=trainer: t.fit(start, 3, checkpoint=path, resume=True),
            "training-checkpoint",
            True,
        )


CASES = [pytest.param(*rest, id=name) for name, *rest in _cases()]


def test_all_are_here():
    assert {c.key for c in map(mechanism_class, ga.list_mechanisms())} == set(ga.list_mechanisms())
    assert set(CODEC_EXAMPLES) == set(CODECS)
    assert len(list(_optimizers())) >= 6


def _raw(path, config, arrays):
    """Write the file as another program would, with its config unchanged."""
    pack = storage_npz.pack if path.suffix == ".npz" else storage_safetensors.pack
    path.write_bytes(pack(arrays, json.dumps(config).encode()))


def _whole_config(path):
    if path.suffix == ".npz":
        text, arrays = storage_npz.unpack(memoryview(path.read_bytes()), 1 << 30)
    else:
        text, arrays = storage_safetensors.unpack(memoryview(path.read_bytes()), 1 << 30)
    return json.loads(text), arrays


def _refused(read, path):
    with pytest.raises(ga.LoadError) as info:
        read(path)
    assert "\n" not in str(info.value)
    assert path.name in str(info.value)


@pytest.mark.parametrize("suffix", ["npz", "safetensors"])
@pytest.mark.parametrize(("write", "read", "kind", "all_required"), CASES)
def test_each_entry_is_required(tmp_path, write, read, kind, all_required, suffix):
    if kind == "neighbor_graph" and suffix != "npz":
        return  # graphs have only one archive format
    path = tmp_path / f"file.{suffix}"
    write(path)
    config, arrays = _whole_config(path)
    assert config["kind"] == kind
    read(path)
    for name in arrays:
        fewer = {n: a for n, a in arrays.items() if n != name}
        _raw(path, config, fewer)
        _refused(read, path)
        if all_required or name in ("indptr", "indices"):
            consistent = {k: v for k, v in config.items() if k != "arrays"}
            storage.write_archive(path, fewer, consistent)
            _refused(read, path)
            _raw(path, consistent, fewer)  # the form of old files, which did not list their arrays
            _refused(read, path)


@pytest.mark.parametrize(("write", "read", "kind", "all_required"), CASES)
def test_one_too_many_is_refused(tmp_path, write, read, kind, all_required):
    path = tmp_path / "file.npz"
    write(path)
    config, arrays = _whole_config(path)
    for name in ["extra", *(f"{n}x" for n in arrays)]:
        more = arrays | {name: np.ones(2)}
        _raw(path, config, more)
        _refused(read, path)
        storage.write_archive(path, more, config)
        _refused(read, path)


@pytest.mark.parametrize(("write", "read", "kind", "all_required"), CASES)
def test_another_shape_or_kind_is_refused(tmp_path, write, read, kind, all_required):
    path = tmp_path / "file.npz"
    write(path)
    config, arrays = _whole_config(path)
    for name, array in arrays.items():
        other = array.astype(np.int64) if array.dtype.kind == "f" else array.astype(np.float64)
        storage.write_archive(path, arrays | {name: other}, config)
        _refused(read, path)
        storage.write_archive(path, arrays | {name: array[None]}, config)
        _refused(read, path)


@pytest.mark.parametrize(("name", "cls"), list(_optimizers()))
def test_the_state_of_an_optimizer_too(tmp_path, name, cls):
    params = {"x": np.ones(3), "a/b": np.ones((2, 2))}
    trainer = _trainer(cls)
    optimizer = trainer.optimizer
    params, state = optimizer.update(params, params, optimizer.init(params))
    path = tmp_path / "state.npz"
    np.savez(path, **state)
    with np.load(path) as found:
        back = dict(found)
    optimizer.update(params, params, back)
    for entry in back:
        with pytest.raises(ga.InvalidConfigError, match="state"):
            optimizer.update(params, {}, {n: v for n, v in back.items() if n != entry})
    with pytest.raises(ga.InvalidConfigError, match="'count/y'"):
        optimizer.update(params, params, back | {"count/y": 1})
