"""REINFORCE for walks on a graph, with many walks at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..functional.softmax import masked_softmax
from ..graph.search import padded_rows
from ._gradients import add_grads

if TYPE_CHECKING:
    from ..graph import NeighborGraph
    from ..training.objectives import Objective
    from .rl_navigator import RLNavigator


def objective(
    navigator: RLNavigator,
    graph: NeighborGraph,
    vectors: np.ndarray,
    queries: np.ndarray,
    *,
    steps: int,
    rollouts: int,
    discount: float,
) -> Objective:
    """Return the objective for `Trainer`: minus the mean return of walks that the policy draws.

    A walk starts at a random node and never visits a node twice. The reward of a step is minus the squared distance of
    its end from the query, relative to the spread of the vectors. The baseline is the expected reward of the step under
    the policy, plus the mean return of later steps over all walks.

    Source:
        Williams 1992, eq. 4 and 5; Sutton & Barto 2018, section 13.4.
    """
    table = padded_rows(graph)
    scale = float(np.square(vectors - vectors.mean(axis=0)).sum(axis=1).mean()) or 1.0

    def loss(params: dict[str, np.ndarray], batch: np.ndarray, rng: np.random.Generator) -> tuple[Any, Any]:
        p = {name: value.astype(vectors.dtype, copy=False) for name, value in params.items()}
        query = np.repeat(queries[batch], rollouts, axis=0)
        walks = np.arange(len(query))
        path = np.full((len(query), steps + 1), -1, dtype=np.intp)
        path[:, 0] = rng.integers(0, graph.num_nodes, len(query))
        rewards, surprises = np.zeros((2, steps, len(query)))
        taken = []
        for t in range(steps):
            options = table[path[:, t]]
            open_ = (options >= 0) & (options[:, :, None] != path[:, None, : t + 1]).all(axis=2)
            keys = vectors[options]
            scores, pull = navigator._scores(query[:, None, :], keys, {}, p)
            policy = masked_softmax(scores, open_[:, None, :])[:, 0, :]
            gain = -np.square(keys - query[:, None, :]).sum(axis=2) / scale
            chosen = _draw(policy, rng)
            moves = open_.any(axis=1)
            path[:, t + 1] = np.where(moves, options[walks, chosen], path[:, t])
            rewards[t] = np.where(moves, gain[walks, chosen], 0)
            surprises[t] = rewards[t] - (policy * gain).sum(axis=1)
            taken.append((policy, chosen, moves, pull))
        later = np.zeros((steps + 1, len(query)))
        for t in reversed(range(steps)):
            later[t] = rewards[t] + discount * later[t + 1]
        grads: dict[str, np.ndarray] = {}
        for t, (policy, chosen, moves, pull) in enumerate(taken):
            advantage = surprises[t] + discount * (later[t + 1] - later[t + 1].mean())
            toward = -policy
            toward[walks, chosen] += 1
            g = -(advantage * moves)[:, None] * toward / (steps * len(query))
            grads = add_grads(grads, pull(g[:, None, :])[2])
        return -later[0].mean(), grads

    return loss


def _draw(policy: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draw a column for each row with the row's probabilities. If all are zero, return column 0."""
    cumulative = policy.cumsum(axis=1)
    threshold = rng.random(len(policy))[:, None] * cumulative[:, -1:]
    return (cumulative > threshold).argmax(axis=1)
