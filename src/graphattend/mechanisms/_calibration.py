"""The recall that each search budget reaches, measured on queries whose true neighbours are known."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .._validate import as_number
from ..errors import InvalidConfigError


class Calibration(NamedTuple):
    """The recall that each budget reached on queries with known neighbours; see `RLNavigator.calibrate`.

    Args:
        budgets: The budgets at which the mean recall rises, ascending.
        recalls: The mean recall@k with each budget, ascending.
        greedy: Whether greedy search reached this recall, rather than the navigator's own search.
        k: Number of neighbours that were searched for.
        entry: Node from which the searches started.

    Example:
        >>> import numpy as np, graphattend as ga
        >>> x = np.arange(6.0)[:, None] * np.ones(2)
        >>> navigator = ga.RLNavigator(2).calibrate(ga.NeighborGraph.knn(x, 2), x, x, k=1)
        >>> navigator.calibration.recalls[-1]
        np.float64(1.0)
    """

    budgets: np.ndarray
    recalls: np.ndarray
    greedy: np.ndarray
    k: int
    entry: int

    @classmethod
    def of(cls, own: list[np.ndarray], greedy: list[np.ndarray], sought: int, k: int, entry: int) -> Calibration:
        """Take the better of two searches at every budget.

        Args:
            own: For each query, the work after which each true neighbour was found by the navigator's search.
            greedy: For each query, the work after which each true neighbour was found by greedy search.
            sought: The number of true neighbours of all queries.
            k, entry: See `Calibration`.
        """
        ours, theirs = np.sort(np.concatenate(own)), np.sort(np.concatenate(greedy))
        budgets = np.unique(np.concatenate([ours, theirs]))
        found, rival = (np.searchsorted(at, budgets, side="right") for at in (ours, theirs))
        best = np.maximum(found, rival)
        rises = np.diff(best, prepend=0) > 0
        columns = (budgets[rises], best[rises] / sought, (rival > found)[rises])
        for column in columns:
            column.setflags(write=False)
        return cls(*columns, k, entry)

    def is_greedy(self, budget: float) -> bool:
        """Return whether greedy search found more with this budget."""
        place = int(np.searchsorted(self.budgets, budget, side="right"))
        return place == 0 or bool(self.greedy[place - 1])

    def budget_for(self, recall: object, k: int, entry: int) -> float:
        """Return the smallest budget that reached the recall.

        Raises:
            InvalidConfigError: k or the entry differs from the calibration, or no budget reached the recall.
        """
        wanted = as_number(recall, "recall", above=0, maximum=1)
        if (self.k, self.entry) != (k, entry):
            raise InvalidConfigError.of(
                "recall", f"k = {self.k} and entry = {self.entry}, as calibrated", f"k = {k} and entry = {entry}"
            )
        place = int(np.searchsorted(self.recalls, wanted))
        if place == len(self.recalls):
            reached = float(self.recalls[-1]) if place else 0.0
            raise InvalidConfigError.of("recall", f"at most {reached:.6g}, the highest recall calibrated", recall)
        return float(self.budgets[place])
