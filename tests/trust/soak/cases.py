"""One case per seed: its kind and its calls."""

from __future__ import annotations

import platform
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

import graphattend as ga

from . import codecs, functions, graphs, manifolds, mechanisms, readers, training
from .draw import Draw
from .watch import Broken, Watch

#: Kind → (share of the cases, function that makes the calls of a case).
KINDS: dict[str, tuple[int, Callable[[Draw, Watch], None]]] = {
    "mechanisms": (50, mechanisms.case),
    "functional": (15, functions.case),
    "geometry": (12, manifolds.case),
    "training": (9, training.case),
    "compression": (4, codecs.case),
    "graphs": (4, graphs.case),
    "readers": (6, readers.case),
}
_WHEEL = [kind for kind, (share, _) in KINDS.items() for _ in range(share)]


def run(seed: int, watch: Watch, kind: str | None = None) -> None:
    """Run the calls of one case.

    Args:
        seed: Integer >= 0; equal seeds make equal calls.
        watch: Counts and checks the calls.
        kind: Kind of the calls; by default the seed determines it.

    Raises:
        Broken: A call broke a rule; the message names the case.
    """
    d = Draw(seed)
    kind = kind or d.pick(_WHEEL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            KINDS[kind][1](d, watch)
    except Broken as error:
        raise Broken(f"case {seed} of {kind}: {error}") from error
    except Exception as error:
        raise Broken(f"case {seed} of {kind}: between the calls: {type(error).__name__}: {error}") from error


def run_range(
    first: int, count: int, kind: str | None = None, begin: Callable[[int], object] = lambda seed: None
) -> dict[str, Any]:
    """Run the cases first … first + count - 1 and return their numbers, with where they ran.

    `begin` is called with the seed of each case before it runs.
    """
    watch, failures = Watch(), []
    for seed in range(first, first + count):
        begin(seed)
        try:
            run(seed, watch, kind)
        except Broken as error:
            failures.append([seed, str(error)])
    where = {"backend": ga.backend_info()["backend"], "python": platform.python_version(), "numpy": np.__version__}
    return {"first": first, "calls": watch.calls, "refused": watch.refused, "failures": failures} | where
