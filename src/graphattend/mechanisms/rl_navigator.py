"""Attention as a policy for walks on a graph towards a query vector."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Self

import numpy as np

from .. import simd
from .._validate import (
    ArrayLike,
    as_count,
    as_float,
    as_index,
    as_int,
    as_number,
    check_finite,
    check_length,
    check_ndim,
    check_nonempty,
    common_dtype,
)
from .._vjp import unbroadcast
from ..errors import InvalidConfigError
from ..graph import GraphMetadata, NeighborGraph
from ..graph.search import Navigation, best_first, by_estimate
from ._base import Attention
from ._biased import Biased, PairScores
from ._calibration import Calibration
from ._gradients import Params
from ._mechanism import EdgeScores, GraphData
from ._options import option
from ._size_limit import reserve


@dataclasses.dataclass(frozen=True, eq=False)
class RLNavigator(Biased, Attention):
    """A policy over the neighbours of a node, given a query. The attention weights are the probabilities of a step.

    score(q, k) = sharpness · (2 (q w_query)·(k w_key) + k·bias - |k|²). With full rank, the initial matrices are the
    identity and the bias is zero. The score is then -sharpness · |q - k|² up to a term of the query, as in greedy
    search. With a lower rank r, `search` scores nodes by r coordinates and measures only the most promising ones, so it
    finds more neighbours for the same work. `fitted` uses the principal axes of the vectors, and `train` adapts them by
    policy gradient. `calibrate` measures the recall that each budget reaches. The calibration is dropped when
    parameters change, and it is not saved.

    The parameters are ``w_query, w_key`` (D, r), ``bias`` (D,) and the scalar ``sharpness``.

    Args:
        dim: Width D of queries and keys; values may have any width.
        rank: r, the rank of the products; None means D.
        sharpness: Initial factor of the scores. Large values select the best neighbour, small values explore.
        dropout: Probability of dropping a weight in training.
        seed: Seed of the initial axes if r < D.
        check_finite: Whether NaN and infinity in the inputs raise an error.

    Source:
        Williams 1992, "Simple Statistical Gradient-Following Algorithms for Connectionist Reinforcement Learning"
        (REINFORCE with a baseline); Baranchuk et al. 2019, "Learning to Route in Similarity Graphs" (the setting).

    Example:
        >>> import numpy as np, graphattend as ga
        >>> points = np.arange(6.0)[:, None] * np.ones(2)
        >>> graph = ga.NeighborGraph.knn(points, 2)
        >>> ga.RLNavigator(2).search(graph, points, points[4] + 0.1, entry=0, k=2, budget=20).indices
        array([4, 5])
    """

    rank: int | None = option("int", None, "width of the scores' products; null means dim", minimum=1, nullable=True)
    sharpness: float = option("float", 1.0, "initial factor of the scores; small values explore", above=0.0)
    dropout: float = option("float", 0.0, "probability of dropping a weight in training", minimum=0.0, maximum=1.0)
    #: The result of `calibrate`.
    calibration: Calibration | None = dataclasses.field(default=None, init=False, repr=False)

    key: ClassVar[str] = "rl_navigator"
    family: ClassVar[str] = "adaptive"
    complexity: ClassVar[str] = "O((M+N)·D·r + M·N·r)"
    any_value_width: ClassVar[bool] = True
    laws: ClassVar[frozenset[str]] = frozenset({"permutation", "weights_times_values"})

    def _check_options(self) -> None:
        if self.rank is not None and self.rank > self.dim:
            raise InvalidConfigError(
                f"rank: expected at most dim = {self.dim}, got {self.rank}",
                argument="rank",
                expected=f"at most {self.dim}",
                actual=self.rank,
            )

    @property
    def width(self) -> int:
        """The rank r of the scores."""
        return self.rank or self.dim

    def with_parameters(self, parameters: Mapping[str, Any]) -> Self:
        """Return a navigator with some or all parameters replaced, without calibration.

        Args:
            parameters: Arrays by name, in the shapes of `parameters()`.

        Raises:
            InvalidConfigError: A name is unknown.
            DimensionMismatchError: An array has the wrong shape.
        """
        other = super().with_parameters(parameters)
        object.__setattr__(other, "calibration", None)
        return other

    def _init_parameters(self, rng: np.random.Generator) -> dict[str, np.ndarray]:
        reserve(2, self.dim, self.dim)
        axes = np.eye(self.dim)
        if self.width < self.dim:
            axes = np.linalg.qr(rng.standard_normal((self.dim, self.width)))[0]
        return {
            "w_query": axes,
            "w_key": axes,
            "bias": np.zeros(self.dim),
            "sharpness": np.asarray(self.sharpness),
        }

    def _pair_scores(self, q: np.ndarray, k: np.ndarray, meta: Params, p: Params) -> PairScores:
        # 2 (q w_query)·(k w_key) + k·bias = k·aim, and projecting a few queries costs less than projecting all keys.
        w_q, w_k, bias, sharp = p["w_query"], p["w_key"], p["bias"], p["sharpness"]
        code = simd.matmul(q, w_q)
        aim = 2 * simd.matmul_nt(code, w_k) + bias

        def pull(g_aim: np.ndarray, gk: np.ndarray, by_squares: np.ndarray) -> tuple[Any, ...]:
            g_aim = unbroadcast(g_aim, aim.shape)
            by_sharp = np.vdot(aim, g_aim) / sharp if sharp else 0 * sharp
            g_code = 2 * simd.matmul(g_aim, w_k)
            gp = {
                "w_query": simd.matmul_tn(_flat(q), _flat(g_code)),
                "w_key": 2 * simd.matmul_tn(_flat(g_aim), _flat(code)),
                "bias": _flat(g_aim).sum(axis=0),
                "sharpness": by_sharp - by_squares.sum(),
            }
            return simd.matmul_nt(g_code, w_q), unbroadcast(gk, k.shape), gp, {}

        return PairScores(aim, k, float(sharp), None, pull, squares=True)

    def _single_scores(
        self, query: np.ndarray, keys: np.ndarray, metadata: GraphMetadata | None
    ) -> tuple[np.ndarray, dict[str, Any]] | None:
        if metadata is not None:
            return None
        p = self._params(query.dtype)
        aim = 2 * simd.matmul_nt(simd.matmul(query, p["w_query"]), p["w_key"]) + p["bias"]
        return aim, {"scale": float(p["sharpness"]), "squares": True}

    def _edge_scores(
        self, q: np.ndarray, k: np.ndarray, graph: NeighborGraph, metadata: GraphData, p: Params
    ) -> EdgeScores | None:
        w_q, w_k, bias, sharp = p["w_query"], p["w_key"], p["bias"], p["sharpness"]
        code_q, code_k = simd.matmul(q, w_q), simd.matmul(k, w_k)
        known = k @ bias - np.einsum("vd,vd->v", k, k)  # terms of each neighbour alone

        def pull(gq: np.ndarray, gk: np.ndarray, gs: np.ndarray, g_gain: np.ndarray | None) -> tuple[Any, ...]:
            g_row = np.bincount(graph.indices, gs, len(k)).astype(k.dtype)
            # The sum of gs · product / sharpness over the edges equals the sum of q · gq / sharpness over the queries.
            by_sharp = np.vdot(code_q, gq) / sharp if sharp else 0 * sharp
            gp = {
                "w_query": simd.matmul_tn(q, gq),
                "w_key": simd.matmul_tn(k, gk),
                "bias": sharp * (g_row @ k),
                "sharpness": by_sharp + g_row @ known,
            }
            g_row *= sharp
            g_k = simd.matmul_nt(gk, w_k) + g_row[:, None] * (bias - 2 * k)
            return simd.matmul_nt(gq, w_q), g_k, gp, {}

        return EdgeScores(code_q, code_k, float(2 * sharp), (sharp * known)[graph.indices], pull=pull)

    # -- navigation --------------------------------------------------------------------------------------------

    def fitted(self, vectors: ArrayLike) -> RLNavigator:
        """Return a navigator with the principal axes of the vectors, the best initial value for `train`.

        Args:
            vectors: (V, D).

        Returns:
            A navigator whose scores estimate -|q - k|² from r coordinates, with a sharpness that suits their spread.

        Example:
            >>> import numpy as np, graphattend as ga
            >>> line = np.arange(5.0)[:, None] * [1.0, 0.0]
            >>> ga.RLNavigator(2, rank=1).fitted(line).parameters()["w_key"].round(6) ** 2
            array([[1.],
                   [0.]])
        """
        x = self._vectors(vectors).astype(np.float64)
        mean = x.mean(axis=0)
        variances, axes = np.linalg.eigh((x - mean).T @ (x - mean) / len(x))
        axes = axes[:, ::-1][:, : self.width]
        axes = axes * np.where(axes[np.abs(axes).argmax(axis=0), np.arange(self.width)] < 0, -1, 1)
        spread = float(variances.sum()) or 1.0
        return self.with_parameters(
            {
                "w_query": axes,
                "w_key": axes,
                "bias": 2 * (mean - axes @ (axes.T @ mean)),
                "sharpness": np.asarray(10 * self.sharpness / spread),
            }
        )

    def encode(self, vectors: ArrayLike) -> np.ndarray:
        """Project the vectors to r coordinates, once for many searches.

        Args:
            vectors: (V, D).

        Returns:
            (V, r).

        Example:
            >>> import numpy as np, graphattend as ga
            >>> ga.RLNavigator(4, rank=2).encode(np.eye(4)).shape
            (4, 2)
        """
        x = self._vectors(vectors)
        return simd.matmul(x, self._params(x.dtype)["w_key"])

    def search(
        self,
        graph: NeighborGraph,
        vectors: ArrayLike,
        query: ArrayLike,
        *,
        entry: int = 0,
        k: int = 10,
        budget: float | None = None,
        recall: float | None = None,
        codes: np.ndarray | None = None,
    ) -> Navigation:
        """Find the vectors nearest to the query by a walk on the graph that is guided by estimates.

        The node with the smallest estimated distance is visited next: its distance is measured and its neighbours are
        estimated. The estimate is |q w_query - k w_key|² plus a fraction of the parent's residual, the part of the
        parent's measured distance beyond its own estimate. Near the query, this residual tells more than the terms of
        the score for k alone (bias and norm). The estimate is summed a few coordinates at a time, only as far as the
        order of the visits requires.

        Work is counted in distance evaluations; a product of r numbers counts as r/D evaluations. The projection of the
        query (r products of D numbers) costs r, each summed coordinate 1/D, each visit 1. If the projection would take
        more than half of the budget, the search is `greedy_search`. After `calibrate`, it is also greedy for budgets
        with which greedy search found more.

        Args:
            graph: A `NeighborGraph` over the vectors.
            vectors: (V, D).
            query: (D,).
            entry: Node to start from.
            k: Number of neighbours to find.
            budget: The largest work, at least 1. The default is 200 if `recall` is not given either.
            recall: The mean recall@k to reach. The budget is then the smallest one that reached it in `calibrate`, with
                the same k and entry.
            codes: `encode(vectors)`, (V, r), to be reused for several queries.

        Returns:
            A `Navigation` with nodes, distances and work.

        Raises:
            OutOfBoundsError: The entry does not exist.
            InvalidConfigError: The recall was not calibrated or not reached, or recall and budget are both given.
            DimensionMismatchError: The width of the vectors or the query differs from `dim`.
            NumericalInstabilityError: The vectors or the query contain NaN or infinity.
        """
        x, q, start, count, limit = self._task(graph, vectors, query, entry, k, 200 if budget is None else budget)
        if codes is not None and (not isinstance(codes, np.ndarray) or codes.shape != (len(x), self.width)):
            raise InvalidConfigError(
                "codes: expected the result of encode(vectors) of this navigator", argument="codes"
            )
        known = self.calibration
        if recall is not None:
            if budget is not None:
                raise InvalidConfigError.of("recall", "None beside a budget", recall)
            if known is None:
                raise InvalidConfigError.of("recall", "a navigator that calibrate() returned", "none calibrated")
            limit = known.budget_for(recall, count, start)
        if known is not None and (known.k, known.entry) == (count, start):
            greedy = known.is_greedy(limit)
        else:
            greedy = limit < 2 * self.width
        if greedy:
            return best_first(graph, x, q, start, count, limit)
        return self._walk(graph, x, q, start, count, limit, self.encode(x) if codes is None else codes)

    def calibrate(
        self,
        graph: NeighborGraph,
        vectors: ArrayLike,
        queries: ArrayLike,
        *,
        k: int = 10,
        entry: int = 0,
        budget: float = 1000,
    ) -> RLNavigator:
        """Measure the recall@k that each budget reaches, for `search` with `recall`.

        The true neighbours are found by brute force. Two searches per query suffice, the navigator's own and the greedy
        one, because a search with a smaller budget is a prefix of the same search with a larger one. For each budget,
        `search` of the returned copy uses the search that found more.

        Args:
            graph: The `NeighborGraph` over the vectors that will be searched.
            vectors: (V, D).
            queries: (Q, D), similar to future queries, but not the vectors themselves.
            k: Number of neighbours to find.
            entry: Node from which the searches start.
            budget: The largest budget to measure, at least 2r.

        Returns:
            A copy with the `calibration`, which is not saved and is dropped when parameters change.

        Raises:
            OutOfBoundsError: The entry does not exist.
            DimensionMismatchError: The width of the vectors or queries differs from `dim`.
            NumericalInstabilityError: The vectors or queries contain NaN or infinity.
            InvalidConfigError: The graph, a count or the budget is invalid.

        Example:
            >>> import numpy as np, graphattend as ga
            >>> x = np.random.default_rng(0).standard_normal((50, 4))
            >>> graph = ga.NeighborGraph.knn(x, 8)
            >>> navigator = ga.RLNavigator(4, rank=2).fitted(x).calibrate(graph, x, x + 0.1, k=3)
            >>> len(navigator.search(graph, x, x[0], k=3, recall=0.8).indices)
            3
        """
        limit = as_number(budget, "budget", minimum=2 * self.width)
        sought = self._vectors(queries, "queries")
        codes = self.encode(self._on_graph(graph, vectors))
        own: list[np.ndarray] = []
        greedy: list[np.ndarray] = []
        total = 0
        for query in sought:
            task = self._task(graph, vectors, query, entry, k, limit)
            x, q, start, count, _ = task
            true = np.lexsort((np.arange(len(x)), np.square(x - q).sum(axis=1)))[:count]
            total += len(true)
            for log, found in ((own, self._walk(graph, *task, codes)), (greedy, best_first(graph, *task))):
                log.append(found.visited_at[np.isin(found.visited, true)])
        other = copy.copy(self)
        object.__setattr__(other, "calibration", Calibration.of(own, greedy, total, count, start))
        return other

    def _walk(
        self, graph: NeighborGraph, x: np.ndarray, q: np.ndarray, entry: int, k: int, budget: float, codes: np.ndarray
    ) -> Navigation:
        code = q @ self._params(x.dtype)["w_query"]
        return by_estimate(graph, x, q, entry, k, budget, codes, code)

    def greedy_search(
        self,
        graph: NeighborGraph,
        vectors: ArrayLike,
        query: ArrayLike,
        *,
        entry: int = 0,
        k: int = 10,
        budget: float = 200,
    ) -> Navigation:
        """Run the baseline, best-first search by exact distances; arguments and result as for `search`.

        Example:
            >>> import numpy as np, graphattend as ga
            >>> points = np.arange(6.0)[:, None] * np.ones(2)
            >>> found = ga.RLNavigator(2).greedy_search(ga.NeighborGraph.knn(points, 2), points, points[4], k=1)
            >>> found.indices, found.work
            (array([4]), 6.0)
        """
        return best_first(graph, *self._task(graph, vectors, query, entry, k, budget))

    def train(
        self,
        graph: NeighborGraph,
        vectors: ArrayLike,
        queries: ArrayLike,
        *,
        steps: int = 8,
        rollouts: int = 4,
        discount: float = 0.5,
        epochs: int = 10,
        batch_size: int = 64,
        lr: float = 1e-3,
        seed: int = 0,
        on_progress: Callable[[Any], Any] | None = None,
        cancel: object = None,
    ) -> RLNavigator:
        """Learn the policy by REINFORCE with a baseline: walks that come nearer to their query become more likely.

        Args:
            graph: A `NeighborGraph` over the vectors.
            vectors: (V, D).
            queries: (Q, D), the targets of the walks.
            steps: Length of a walk, which starts at a random node.
            rollouts: Walks per query and step of the optimizer (Adam).
            discount: Factor of a reward for each later step, 0 … 1.
            epochs: Passes over the queries.
            batch_size: Queries per step.
            lr: Learning rate.
            seed: Seed of all random numbers. The same seed gives bitwise equal results.
            on_progress: Called with a `graphattend.training.Progress` after every step; returning False cancels.
            cancel: Object with `is_set()`, or a function. A true value cancels.

        Returns:
            The trained navigator; after a cancellation, the one of the last step.

        Raises:
            DimensionMismatchError: The width of the vectors or queries differs from `dim`.
            NumericalInstabilityError: The vectors or queries contain NaN or infinity.
            InvalidConfigError: The graph or a count is invalid.

        Example:
            >>> import numpy as np, graphattend as ga
            >>> x = np.random.default_rng(0).standard_normal((50, 4))
            >>> navigator = ga.RLNavigator(4, rank=2).fitted(x)
            >>> trained = navigator.train(ga.NeighborGraph.knn(x, 5), x, x[:20] + 0.1, epochs=1)
            >>> trained == navigator
            False
        """
        from ..training import Adam, Trainer
        from ._policy_gradient import objective

        x, targets = common_dtype(self._on_graph(graph, vectors), self._vectors(queries, "queries"))
        loss = objective(
            self,
            graph,
            x,
            targets,
            steps=as_count(steps, "steps"),
            rollouts=as_count(rollouts, "rollouts"),
            discount=as_number(discount, "discount", minimum=0, maximum=1),
        )
        trainer = Trainer(loss, Adam(lr=lr), epochs=epochs, batch_size=batch_size, seed=seed)
        result = trainer.fit(self, len(targets), on_progress=on_progress, cancel=cancel)
        return self.with_parameters(result.params)

    def _vectors(self, vectors: ArrayLike, name: str = "vectors") -> np.ndarray:
        x = as_float(vectors, name)
        check_ndim(x, name, 2, 2)
        check_nonempty(x, name)
        check_length(x, name, 1, self.dim, "the navigator's dim")
        check_finite(x, name)
        return x

    def _on_graph(self, graph: NeighborGraph, vectors: ArrayLike) -> np.ndarray:
        if not isinstance(graph, NeighborGraph):
            raise InvalidConfigError(
                f"graph: expected a NeighborGraph, got {type(graph).__name__}",
                argument="graph",
                expected="a NeighborGraph",
                actual=type(graph).__name__,
            )
        x = self._vectors(vectors)
        check_length(x, "vectors", 0, graph.num_nodes, "one row per node")
        return x

    def _task(
        self, graph: NeighborGraph, vectors: ArrayLike, query: ArrayLike, entry: object, k: object, budget: object
    ) -> tuple[np.ndarray, np.ndarray, int, int, float]:
        x = self._on_graph(graph, vectors)
        q = as_float(query, "query", beside=x.dtype)
        check_ndim(q, "query", 1, 1)
        check_length(q, "query", 0, self.dim, "the navigator's dim")
        check_finite(q, "query")
        start = int(as_index(as_int(entry, "entry"), "entry", graph.num_nodes))
        limit = as_number(budget, "budget", minimum=1)
        return x, q.astype(x.dtype, copy=False), start, as_int(k, "k", minimum=1), limit


def _flat(x: np.ndarray) -> np.ndarray:
    return x.reshape(-1, x.shape[-1])
