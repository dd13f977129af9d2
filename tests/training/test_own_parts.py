"""User-defined optimizers, data and schedules, and inconsistent checkpoints."""

import dataclasses

import numpy as np
import pytest

import graphattend as ga
from graphattend import storage, training
from graphattend.training import _checkpoint
from graphattend.training._optimizer import Optimizer


@dataclasses.dataclass(frozen=True)
class Signs(Optimizer):
    """Optimizer with steps of constant length and no state."""

    def _step(self, name, param, grad, state, count, lr):
        return param - lr * np.sign(grad), {}


def test_an_optimizer_without_averages():
    optimizer = Signs(lr=0.5)
    params = {"x": np.array([1.0, -2.0])}
    state = optimizer.init(params)
    for _ in range(2):
        params, state = optimizer.update(params, {"x": params["x"]}, state)
    assert params["x"].tolist() == [0.0, -1.0]


def test_data_without_samples():
    class Empty:
        def __len__(self):
            return 0

        def batch(self, index, rng):
            raise IndexError

    trainer = training.Trainer(lambda params, batch, rng: (0.0, params), training.SGD(lr=0.1), epochs=1)
    with pytest.raises(ga.InvalidConfigError, match="data: expected at least one sample, got none"):
        trainer.fit({"x": np.zeros(1)}, Empty())


def test_data_have_as_many_samples_as_nodes_or_rows():
    graph = ga.NeighborGraph([0, 1, 2, 2], [1, 0])
    assert len(training.Neighborhoods(graph)) == 3
    assert len(training.Neighborhoods(graph, nodes=[2])) == 1
    assert len(training.Rows(np.zeros((4, 2)), np.arange(4))) == 4


@pytest.mark.parametrize("change", ["a negative epoch", "a loss too many"])
def test_checkpoints_that_contradict_themselves(tmp_path, change):
    path = tmp_path / "checkpoint.npz"
    start = {"x": np.ones(2)}
    trainer = training.Trainer(lambda params, batch, rng: (1.0, params), training.SGD(lr=0.1), epochs=2)
    trainer.fit(start, 4, checkpoint=path)
    config, arrays = storage.read_archive(path, kind=_checkpoint.KIND)
    if change == "a negative epoch":
        config["run"]["epoch"] = -1
    else:
        arrays = arrays | {"history/losses": np.ones(7)}
    storage.write_archive(path, arrays, config)
    with pytest.raises(ga.LoadError, match=r"checkpoint\.npz"):
        trainer.fit(start, 4, checkpoint=path, resume=True)
