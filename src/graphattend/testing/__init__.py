"""Checks for people who write their own mechanism or differentiable function.

`check_vjp` compares a gradient with finite differences; `check_mechanism` runs every law that all mechanisms of
graphattend keep. Both raise AssertionError that says what was compared.
"""

from ..registry import export
from .conformance import LAWS as LAWS
from .conformance import check_mechanism as check_mechanism
from .finite_differences import check_vjp as check_vjp

export(globals())
