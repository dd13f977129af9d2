"""The measures of a graph as methods; each validates its options and calls a pure function."""

from __future__ import annotations

from functools import cached_property
from typing import Literal

import numpy as np

from .. import _validate as check
from .._validate import ArrayLike
from ._checked_fields import frozen
from ._part import Part

#: `structural_features` estimates closeness and betweenness in larger graphs, because exact values cost O(V · K).
EXACT_NODES = 5_000
#: Number of pivots of these estimates.
PIVOTS = 256


class Measures(Part):
    """The measures of `NeighborGraph`; the only state is the cached structural features."""

    def degree(self) -> np.ndarray:
        """Number of neighbours of each node, which is the length of its row.

        Returns:
            Whole numbers, (V,).

        Example:
            >>> from graphattend.graph import NeighborGraph
            >>> NeighborGraph.from_edge_index([[0, 1, 1], [1, 0, 2]], 3).degree()
            array([1, 1, 1])
        """
        return np.diff(self._graph.indptr)

    def closeness(self, samples: int | None = None, *, seed: int = 0) -> np.ndarray:
        """Closeness centrality in hops, over incoming paths, with the Wasserman-Faust factor, as in networkx.

        Args:
            samples: Number of random nodes (pivots) to estimate the distances from, in O(samples · K) time. If None, or
                if the graph has no more nodes, the result is exact and takes O(V · K) time. Memory is bounded in both
                cases.
            seed: Seed of the choice of pivots.

        Returns:
            Numbers from 0 to 1, (V,).

            Error of the estimate: the mean distance of a node differs from the exact one by more than ε times the
            diameter with probability at most 2 exp(-2 samples ε²). For 256 samples and a probability of 5 % this is
            8.5 % of the diameter.

        Raises:
            InvalidConfigError: `samples` is not a whole number >= 1.

        Source:
            Freeman (1979); Wasserman and Faust, "Social Network Analysis" (1994), p. 201; Eppstein and Wang, "Fast
            approximation of centrality" (2004).

        Example:
            >>> from graphattend.graph import NeighborGraph
            >>> NeighborGraph.from_edge_index([[0, 1, 1, 2], [1, 0, 2, 1]], 3).closeness().round(3).tolist()
            [0.667, 1.0, 0.667]
        """
        from .paths import closeness

        return closeness(self._graph, self._pivots(samples, seed))

    def betweenness(self, samples: int | None = None, *, seed: int = 0) -> np.ndarray:
        """Betweenness centrality in hops, normalised, as in networkx.

        Args:
            samples: Number of random nodes (pivots) whose outgoing shortest paths give the estimate, in O(samples · K)
                time. If None, or if the graph has no more nodes, the result is exact and takes O(V · K) time. Memory is
                bounded in both cases.
            seed: Seed of the choice of pivots.

        Returns:
            Numbers from 0 to 1, (V,). An estimate is unbiased and may exceed 1.

            The error of the estimate exceeds ε · V / (V - 1) with probability at most 2 exp(-2 samples ε²). For 256
            samples and a probability of 5 % this is 0.085. The standard error of a node is the standard deviation of
            its contributions over the pivots divided by √samples, and usually far smaller.

        Raises:
            NumericalInstabilityError: There are more shortest paths than float64 can count.
            InvalidConfigError: `samples` is not a whole number >= 1.

        Source:
            Brandes, "A faster algorithm for betweenness centrality" (2001); Brandes and Pich, "Centrality estimation
            in large networks" (2007), random pivots.

        Example:
            >>> from graphattend.graph import NeighborGraph
            >>> NeighborGraph.from_edge_index([[0, 1, 1, 2], [1, 0, 2, 1]], 3).betweenness().tolist()
            [0.0, 1.0, 0.0]
        """
        from .paths import betweenness

        return betweenness(self._graph, self._pivots(samples, seed))

    def _pivots(self, samples: int | None, seed: int) -> np.ndarray | None:
        """Draw random nodes, in increasing order, or return None for all nodes."""
        size = self._graph.num_nodes
        seed = check.as_int(seed, "seed", minimum=0)
        if samples is None or check.as_int(samples, "samples", minimum=1) >= size:
            return None
        return np.sort(np.random.default_rng(seed).choice(size, int(samples), replace=False))

    def pagerank(self, alpha: float = 0.85) -> np.ndarray:
        """PageRank over source → target, weighted by `edge_weights`, as in networkx, converged to 1e-12.

        Args:
            alpha: Probability of following an edge, 0 … 1.

        Returns:
            Probabilities, (V,), that sum to 1.

        Raises:
            InvalidConfigError: ``alpha`` out of range, or a negative weight.
            NumericalInstabilityError: The iteration did not converge, because ``alpha`` is too close to 1.

        Source: Page, Brin, Motwani and Winograd (1999).

        Example:
            >>> from graphattend.graph import NeighborGraph
            >>> NeighborGraph.from_edge_index([[0, 1], [1, 0]], 2).pagerank().tolist()
            [0.5, 0.5]
        """
        from .centrality import pagerank

        return pagerank(self._graph, check.as_number(alpha, "alpha", minimum=0.0, maximum=1.0))

    def clustering(self) -> np.ndarray:
        """Clustering coefficient of each node, as in networkx; loops, duplicates and weights are ignored.

        Returns:
            Numbers from 0 to 1, (V,). Directed edges count as defined by Fagiolo; in an undirected graph this is
            the fraction of linked pairs of neighbours.

        Source: Watts and Strogatz (1998); Fagiolo, "Clustering in complex directed networks" (2007).

        Example:
            >>> from graphattend.graph import NeighborGraph
            >>> NeighborGraph.from_edge_index([[0, 1, 1, 2, 2, 0], [1, 0, 2, 1, 0, 2]], 3).clustering().tolist()
            [1.0, 1.0, 1.0]
        """
        from .centrality import clustering

        return clustering(self._graph)

    def shortest_path_lengths(self, sources: ArrayLike | None = None, cutoff: float | None = None) -> np.ndarray:
        """Lengths of the shortest paths source → target: sums of `distances` if the graph has them, else hops.

        Args:
            sources: Nodes to start from, (S,) or one node; all if None.
            cutoff: Largest length to compute, inclusive.

        Returns:
            float64, (S, V): entry (s, v) from ``sources[s]`` to v; inf where unreachable or beyond the cutoff.

        Raises:
            OutOfBoundsError: A source does not exist.
            EmptyInputError: There are no sources.
            InvalidConfigError: The cutoff is negative, or sources are not whole numbers.
            UnsupportedError: The result has more than 100 000 000 entries; pass fewer sources at a time.

        Example:
            >>> from graphattend.graph import NeighborGraph
            >>> path = NeighborGraph.from_edge_index([[0, 1], [1, 2]], 3)
            >>> path.shortest_path_lengths([0, 2]).tolist()
            [[0.0, 1.0, 2.0], [inf, inf, 0.0]]
        """
        from .paths import shortest_path_lengths
        from .properties import check_dense

        if sources is None:
            chosen = np.arange(self._graph.num_nodes)
        else:
            chosen = np.atleast_1d(check.as_index(sources, "sources", self._graph.num_nodes))
            check.check_ndim(chosen, "sources", 1, 1)
            check.check_nonempty(chosen, "sources")
        check_dense(len(chosen), self._graph.num_nodes, "sources")
        limit = None if cutoff is None else check.as_number(cutoff, "cutoff", minimum=0.0)
        return shortest_path_lengths(self._graph, chosen, limit)

    def laplacian(self, normalized: bool = False) -> np.ndarray:
        """The graph Laplacian D - A, as in networkx: A[source, target] is the weight, D holds the row sums of A.

        Args:
            normalized: Return D^(-1/2) (D - A) D^(-1/2) instead; nodes without outgoing edges get zeros.

        Returns:
            A dense float64 matrix, (V, V). Duplicate edges are summed.

        Raises:
            UnsupportedError: More than 10 000 nodes (use `to_scipy`).
            InvalidConfigError: ``normalized`` is True and the weights of a row have a negative sum.

        Source: Chung, "Spectral Graph Theory" (1997).

        Example:
            >>> from graphattend.graph import NeighborGraph
            >>> NeighborGraph.from_edge_index([[0, 1], [1, 0]], 2, edge_weights=[3.0, 3.0]).laplacian().tolist()
            [[3.0, -3.0], [-3.0, 3.0]]
        """
        from .spectral import laplacian

        return laplacian(self._graph, check.as_bool(normalized, "normalized"))

    @property
    def structural_samples(self) -> int | None:
        """Number of pivots from which `structural_features` estimates closeness and betweenness, or None if exact.

        They are exact in graphs of up to 5 000 nodes and estimated from 256 pivots in larger graphs.

        Example:
            >>> from graphattend.graph import NeighborGraph
            >>> NeighborGraph.from_edge_index([[0], [1]], 5_001).structural_samples
            256
        """
        return None if self._graph.num_nodes <= EXACT_NODES else PIVOTS

    def structural_features(self, samples: int | Literal["auto"] | None = "auto") -> np.ndarray:
        """Degree, closeness, betweenness, PageRank and clustering of every node.

        Args:
            samples: Pivots for closeness and betweenness: a number, None for the exact values, or "auto" for
                `structural_samples`. The features for "auto" are cached.

        Returns:
            float64, (V, 5), read-only; columns in that order.

        Raises:
            InvalidConfigError: An edge weight is negative (PageRank), or `samples` is invalid.

        Example:
            >>> from graphattend.graph import NeighborGraph
            >>> NeighborGraph.from_edge_index([[0, 1], [1, 0]], 2).structural_features().tolist()
            [[1.0, 1.0, 0.0, 0.5, 0.0], [1.0, 1.0, 0.0, 0.5, 0.0]]
        """
        from .centrality import structural_features

        if isinstance(samples, str):
            check.as_choice(samples, "samples", ("auto",))
            return self._structural
        pivots = self._pivots(samples, 0)
        if pivots is None and self.structural_samples is None:
            return self._structural
        return frozen(structural_features(self._graph, pivots))

    @cached_property
    def _structural(self) -> np.ndarray:
        from .centrality import structural_features

        return frozen(structural_features(self._graph, self._pivots(self.structural_samples, 0)))
