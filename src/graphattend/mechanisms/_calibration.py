"""Which budget reaches which recall, and by which search: measured where the true answers are known."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .._validate import as_number
from ..errors import InvalidConfigError


class Calibration(NamedTuple):
    """What recall each budget reached in searches whose true answers are known; see `RLNavigator.calibrate`.

    Args:
        budgets: The budgets at which the mean recall rises, ascending.
        recalls: The mean recall@k with each of them, ascending.
        greedy: Whether it was greedy search that reached it, not the navigator's own.
        k: How many were sought.
        entry: Node the searches started from.

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
        """The better of two searches at every budget.

        Args:
            own: For each query the work after which each true neighbour was found.
            greedy: The same by greedy search.
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
        """Whether greedy search found more with this budget."""
        place = int(np.searchsorted(self.budgets, budget, side="right"))
        return place == 0 or bool(self.greedy[place - 1])

    def budget_for(self, recall: object, k: int, entry: int) -> float:
        """The least budget that reached the recall.

        Raises:
            InvalidConfigError: Another k or entry than measured, or a recall that no budget reached.
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
