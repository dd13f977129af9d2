"""Checks for your own mechanisms and differentiable functions.

`check_vjp` compares a gradient with finite differences. `check_mechanism` checks the laws that all mechanisms of
graphattend obey. Both raise an AssertionError that says what was compared.
"""

from ..registry import export
from .conformance import LAWS as LAWS
from .conformance import check_mechanism as check_mechanism
from .finite_differences import check_vjp as check_vjp

export(globals())
