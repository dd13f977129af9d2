"""Two layers of hyperbolic attention that predict links, in the setting of Chami et al. 2019.

    x → dropout → linear → attention → ReLU → dropout → linear → attention → points of the Poincaré ball

A pair is linked with the probability σ(2 - d²), d its distance (the Fermi–Dirac decoder). Every node is a neighbour of
itself. What differs from the paper: attention by distance in the place of the mean, and a curvature that is not trained.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

import graphattend as ga
from graphattend.evaluation.networks import AttentionLayer, glorot
from graphattend.evaluation.tasks import Links, PairScores, links
from graphattend.functional.attention import dropout_multiplier
from graphattend.training import Adam, Trainer

DROPOUT, RADIUS = 0.5, 2.0
BALL = ga.geometry.Poincare()
Params = dict[str, np.ndarray]


@dataclasses.dataclass(frozen=True)
class TwoLayers:
    """The network: features x (V, F) and the width of both layers."""

    x: np.ndarray
    width: int

    def init(self, seed: int) -> Params:
        """Glorot's uniform numbers, zero biases, temperatures of 1."""
        rng = np.random.default_rng([seed, 2])
        params = {}
        for i, inputs in enumerate((self.x.shape[1], self.width)):
            params[f"w_{i}"] = glorot(rng, inputs, self.width)
            params[f"b_{i}"] = np.zeros(self.width, np.float32)
            params[f"temperature_{i}"] = np.zeros((), np.float32)
        return params

    def apply(self, params: Params, graph: ga.NeighborGraph, rng: np.random.Generator | None) -> tuple[np.ndarray, Any]:
        """Points (V, D) of the ball, and the pullback to the parameters; dropout is on if `rng` is given."""
        layer = AttentionLayer(ga.HyperbolicAttention(self.width), graph)
        h: np.ndarray = self.x
        steps = []
        for i in range(2):
            drop = dropout_multiplier(h.shape, DROPOUT, rng, h.dtype) if rng is not None else h.dtype.type(1)
            active = (np.maximum(h, 0) if i else h) * drop
            z = active @ params[f"w_{i}"] + params[f"b_{i}"]
            out, pull = layer.apply({"temperature": params[f"temperature_{i}"]}, z, None)
            steps.append((h, drop, active, pull))
            h = out
        points, pull_points = ga.vjp(BALL.expmap0, h)

        def pullback(g: np.ndarray) -> Params:
            (g,) = pull_points(g)
            grads = {}
            for i in (1, 0):
                before, drop, active, pull = steps[i]
                gz, own = pull(g)
                grads |= {f"w_{i}": active.T @ gz, f"b_{i}": gz.sum(axis=0), f"temperature_{i}": own["temperature"]}
                if i:
                    g = gz @ params[f"w_{i}"].T * drop * (before > 0)
            return grads

        return points, pullback


def scores(points: np.ndarray) -> PairScores:
    """Scores of pairs (2, K): the nearer, the higher."""
    return lambda pairs: RADIUS - BALL.dist(points[pairs[0]], points[pairs[1]]) ** 2


def loss(points: np.ndarray, pairs: np.ndarray, labels: np.ndarray) -> tuple[float, np.ndarray]:
    """Mean binary cross-entropy of pairs (2, K), and its gradient with respect to the points."""
    distance, pull = ga.vjp(BALL.dist, points[pairs[0]], points[pairs[1]])
    logits = RADIUS - distance**2
    value = float(np.mean(np.logaddexp(0, logits) - labels * logits))
    slope = ((1 + np.tanh(logits / 2)) / 2 - labels) / labels.size
    gradient = np.zeros_like(points)
    for end, g in zip(pairs, pull((-2 * distance * slope).astype(points.dtype)), strict=True):
        np.add.at(gradient, end, g)
    return value, gradient


def links_learned(
    network: TwoLayers, graph: ga.NeighborGraph, split: Any, seed: int, *, epochs: int = 1000, patience: int = 100
) -> dict[str, float]:
    """Train on the links of one split; the test metrics of the epoch that was best in validation."""
    task: Links = links(graph, split, seed)
    attended = task.graph.with_self_loops()

    def objective(params: Params, batch: Any, rng: np.random.Generator) -> tuple[Any, Params]:
        points, pullback = network.apply(params, attended, rng)
        pairs = np.stack([np.tile(batch.source, 2), np.concatenate([batch.target, batch.negatives[:, 0]])])
        value, gradient = loss(points, pairs, np.repeat([1.0, 0.0], batch.source.size))
        return value, pullback(gradient)

    def validate(params: Params) -> float:
        return task.measure_scores(scores(network.apply(params, attended, None)[0]), "validation")[task.primary]

    optimizer = Adam(lr=0.01, weight_decay=1e-3)
    trainer = Trainer(objective, optimizer, epochs=epochs, patience=patience, seed=seed, validate=validate, mode="max")
    params = trainer.fit(network.init(seed), task.data()).best_params
    return task.measure_scores(scores(network.apply(params, attended, None)[0]), "test")
