"""Requests that come again: what to call with which arrays is remembered, and so is where the answer goes.

A loop in JavaScript asks the same of the same objects over and over, only with other numbers in the arena. Reading such
a request costs more than one query's attention; repeating it costs a call of a function and a copy of its results.
Where that function is one kernel call, JavaScript repeats it without Python, until `Plans.dropped` counts another plan.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np

from ._bridge_questions import JavaScriptFunction
from .mechanisms._base import Attention
from .mechanisms._prepared import Prepared
from .simd.bound import Bound, bind

#: Plans, and requests seen once, kept at most; beyond that all are forgotten and made anew.
MOST = 256
#: Results start at multiples of this.
ALIGNMENT = 64
_ids = itertools.count(1)


class ArrayRef(NamedTuple):
    """Where an argument lies in the arena."""

    start: int
    stop: int
    code: str
    shape: tuple[int, ...]

    @property
    def is_plain(self) -> bool:
        """Whether the numbers are used as they lie there: masks and plain numbers are converted first."""
        return self.code[0] in "fiu"


class ObjectRef(NamedTuple):
    """An object that lives on this side."""

    id: int


class Plan(NamedTuple):
    """A call whose arguments are views of the arena and kept objects; its results are copied to `outputs`.

    `bound` is the same as one kernel call, where it is one.
    """

    function: Callable[..., Any]
    arguments: Mapping[str, Any]
    outputs: tuple[np.ndarray, ...]
    objects: frozenset[int]
    bound: Bound | None = None

    def run(self) -> bool:
        """Call, and copy the results; False if they are not what they were."""
        result = self.function(**self.arguments)
        results = result if type(result) is tuple else (result,)
        if len(results) != len(self.outputs):
            return False
        for out, x in zip(self.outputs, results, strict=True):
            if x.shape != out.shape:
                return False
            np.copyto(out, x, casting="same_kind")
        return True


class Plans:
    """The plans by number, as JavaScript knows them."""

    def __init__(self) -> None:
        self._plans: dict[int, Plan] = {}
        self._seen: set[str] = set()
        #: (1,) how often plans were dropped: what is bound is alive as long as this number stays.
        self.dropped = np.zeros(1, np.int32)

    def is_due(self, text: str) -> bool:
        """Whether a request came before: one that comes once is not worth a plan."""
        if text in self._seen:
            return True
        if len(self._seen) >= MOST:
            self._seen.clear()
        self._seen.add(text)
        return False

    def add(self, plan: Plan) -> int:
        """A number for this plan, never given twice."""
        if len(self._plans) >= MOST:
            self.forget()
        number = next(_ids)
        self._plans[number] = plan
        return number

    def run(self, number: int) -> bool:
        """Repeat a call. False if it is to be asked for in full: it is unknown, or it fails and is to say why."""
        plan = self._plans.get(number)
        try:
            return plan is not None and plan.run()
        except Exception:
            return False

    def forget(self, objects: Iterable[int] | None = None) -> None:
        """Drop the plans that use any of these objects, or all."""
        gone = None if objects is None else frozenset(objects)
        for number in [n for n, plan in self._plans.items() if gone is None or not gone.isdisjoint(plan.objects)]:
            del self._plans[number]
            self.dropped += 1


#: Arguments of `forward` with which a mechanism may be one kernel call, if the others are not given.
_PLAIN = frozenset({"query", "keys", "values"})


def bound_call(
    function: Callable[..., Any],
    arguments: Mapping[str, Any],
    outputs: tuple[np.ndarray, ...],
    given: tuple[np.ndarray, ...],
) -> Bound | None:
    """A mechanism's forward pass as one kernel call, or None where it is something else.

    Args:
        function: A method of a mechanism.
        arguments: Its arguments by name.
        outputs: Where the results go.
        given: The arrays whose numbers will change.
    """
    attn = getattr(function, "__self__", None)
    if len(outputs) != 1 or not isinstance(attn, Attention) or function.__name__ != "forward":
        return None
    if any(value is not None and value is not False for name, value in arguments.items() if name not in _PLAIN):
        return None
    query, keys, values = (arguments.get(name) for name in ("query", "keys", "values"))
    if not isinstance(keys, Prepared):
        return bind(lambda: attn._fused(query, keys, values), outputs[0], given)
    if values is not None or keys.attn is not attn:
        return None
    return bind(lambda: attn._fused_prepared(query, keys), outputs[0], given)


def repeatable(args: Iterable[Any], options: Mapping[str, Any] | None) -> bool:
    """Whether each part of a request, as parsed, means the same the next time.

    Args:
        args: Numbers, references to arrays and to objects.
        options: The same by name; arrays among them may be converted or looked into, a seed becomes a generator, which
            changes with each call.
    """
    named = options or {}
    if "rng" in named or any(isinstance(x, (ArrayRef, JavaScriptFunction, dict, list)) for x in named.values()):
        return False
    return all(x.is_plain if isinstance(x, ArrayRef) else not isinstance(x, (dict, list)) for x in args)


def places(arena: np.ndarray, start: int, like: Iterable[np.ndarray]) -> tuple[np.ndarray, ...] | None:
    """Room for arrays of these shapes and dtypes in the arena from `start` on, or None where there is not enough."""
    found = []
    for x in like:
        start = math.ceil(start / ALIGNMENT) * ALIGNMENT
        if start + x.nbytes > arena.size:
            return None
        found.append(np.ndarray(x.shape, x.dtype, arena, start))
        start += x.nbytes
    return tuple(found)
