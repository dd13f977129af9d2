"""Every kernel's entry in the fuzz: random arguments, and what it should write."""

from . import dense, graphs, small, spaces
from .draw import Case

__all__ = ["CASES", "Case"]

CASES = dense.CASES | graphs.CASES | spaces.CASES | small.CASES
