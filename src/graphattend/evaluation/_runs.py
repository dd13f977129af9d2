"""One run of `evaluate`: a network trained with early stopping, or a baseline scored."""

from __future__ import annotations

import dataclasses
import time
import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np

from .._float64_fallback import silence
from ..training import Adam, Trainer
from .metrics import calibration
from .networks import AttentionLayer, Layer, LayerNetwork, LinearNetwork, Network
from .tasks import Links, Task

WEIGHT_DECAY = 5e-4
#: Weight of the validation loss relative to the validation metric.
TIE_BREAK = 1e-3


@dataclasses.dataclass(frozen=True)
class Settings:
    """The settings that determine the result, apart from graph, features and labels."""

    seeds: tuple[int, ...]
    epochs: int
    patience: int
    hidden: int
    lr: float
    layers: int


def network(layer: Layer, task: Task, x: np.ndarray, settings: Settings) -> LayerNetwork:
    """Return the network with this layer for a task."""
    return LayerNetwork(x, layer, settings.hidden, task.out_dim, task.dropout, settings.layers)


def scored(task: Links, score: Callable[[np.ndarray], np.ndarray]) -> dict[str, Any]:
    """Measure a baseline that has no parameters."""
    run = {
        "metrics": task.measure_scores(score, "test"),
        "validation": task.measure_scores(score, "validation")[task.primary],
        "epochs": 0,
        "seconds_per_epoch": 0.0,
    }
    return {"run": run, "parameters": 0, "memory": 0}


def trained(
    task: Task, model: Network, settings: Settings, seed: int, going: Callable[[int], bool]
) -> dict[str, Any] | None:
    """Train with early stopping and measure the best epoch; return None if cancelled."""
    times: list[float] = []

    def objective(params: dict[str, np.ndarray], batch: Any, rng: np.random.Generator) -> tuple[Any, Any]:
        start = time.perf_counter()
        output, pullback = model.apply(params, rng)
        value, back = task.loss(output, batch)
        grads = pullback(back(1.0)[0])
        times.append(time.perf_counter() - start)
        return value, grads

    def validate(params: dict[str, np.ndarray]) -> float:
        # With few nodes or links many epochs have the same metric; the loss breaks the ties.
        output = model.apply(params)[0]
        return task.measure(output, "validation")[task.primary] - TIE_BREAK * task.validation_loss(output)

    start = model.init(seed)
    data = task.data()
    memory = _peak(
        lambda: objective(start, data.batch(np.arange(len(data)), np.random.default_rng(0)), np.random.default_rng(0))
    )
    times.clear()
    convex = isinstance(model, LinearNetwork)  # allows larger steps, and the last epoch is the best
    trainer = Trainer(
        objective,
        Adam(lr=settings.lr * (10 if convex else 1), weight_decay=WEIGHT_DECAY),
        epochs=settings.epochs,
        patience=None if convex else settings.patience,
        seed=seed,
        validate=validate,
        mode="max",
    )
    with silence():  # if the run diverges, the trainer raises an error
        result = trainer.fit(start, data, on_progress=lambda p: going(p.epoch + 1))
    if result.reason == "cancelled":
        return None
    chosen = result.params if convex else result.best_params
    output = model.apply(chosen)[0]
    run = {
        "metrics": task.measure(output, "test"),
        "calibration": calibration(*task.probabilities(output, "test")).tolist(),
        "validation": task.measure(output, "validation")[task.primary],
        "epochs": len(result.losses),
        "seconds_per_epoch": float(np.median(times)),
    }
    size = int(sum(a.size for a in start.values()))
    return {"run": run, "parameters": size, "memory": memory, "params": chosen}


def _peak(step: Callable[[], Any]) -> int:
    """Return the peak of the memory that Python and NumPy allocate during a step, in bytes."""
    if tracemalloc.is_tracing():  # do not reset the peak of another measurement
        step()
        return 0
    tracemalloc.start()
    try:
        step()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def edge_weights(model: LayerNetwork, params: dict[str, np.ndarray]) -> np.ndarray:
    """Return one weight per edge of the last layer, averaged over the heads, (K,)."""
    layer = model.layer
    assert isinstance(layer, AttentionLayer)
    own, latents = model.last(params)
    return layer.weights(layer.with_parameters(own), latents)
