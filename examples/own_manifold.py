"""Attention on a manifold of your own: hours of the day.

Ten at night and one in the morning are three hours apart, not 21. Three formulas say so: distance, exponential and
logarithmic map. The base class makes the mean of them, and manifold attention averages on the circle.
"""

import dataclasses
from typing import Any

import numpy as np

import graphattend as ga
from graphattend.geometry import ManifoldBase


def wrapped(x: Any) -> Any:
    """Hours between -12 and 12."""
    return (np.asarray(x) + 12.0) % 24.0 - 12.0


@dataclasses.dataclass(frozen=True)
class Clock(ManifoldBase):
    """Times of the day, one coordinate for each."""

    def dist(self, x: Any, y: Any) -> Any:
        """Hours from x to y by the shorter way."""
        return np.sqrt((wrapped(np.subtract(y, x)) ** 2).sum(-1))

    def expmap(self, x: Any, v: Any) -> Any:
        """The time v hours after x."""
        return np.add(x, v) % 24.0

    def logmap(self, x: Any, y: Any) -> Any:
        """Hours from x to y, with their sign."""
        return wrapped(np.subtract(y, x))

    def project(self, x: Any) -> Any:
        """Hours from 0 to 24."""
        return np.asarray(x) % 24.0


times = np.array([[22.0], [23.5], [1.0], [12.0]])
attention = ga.ManifoldAttention(1, manifold=Clock(), temperature=0.5)
print("weights of 23:30:", attention.attention_weights([23.5], times).round(2))
print("mean of 22:00, 23:30 and 1:00:", Clock().frechet_mean(times[:3], np.full(3, 1 / 3)).round(2))
print("mean by numbers:", times[:3].mean().round(2))
