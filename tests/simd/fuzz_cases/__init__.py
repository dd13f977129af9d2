"""Fuzz case of every kernel: random arguments, and the expected outputs."""

from . import dense, graphs, small, spaces
from .draw import Case

__all__ = ["CASES", "Case"]

CASES = dense.CASES | graphs.CASES | spaces.CASES | small.CASES
