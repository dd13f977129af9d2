"""Plans for repeated requests: the function, its arguments and the places of the results.

A loop in JavaScript sends the same request again and again, with other numbers in the arena. Parsing such a request
costs more than the attention of one query; running its plan costs one function call and a copy of the results.
If the function is one kernel call, JavaScript repeats it without Python until `Plans.dropped` changes.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np

from ._bridge_questions import JavaScriptFunction
from .mechanisms._base import Attention
from .mechanisms._one_query import only_row
from .mechanisms._prepared import Prepared
from .simd.bound import Bound, bind

#: Maximum number of plans, and of requests seen once; when it is reached, all are forgotten.
MOST = 256
#: Alignment of the results in bytes.
ALIGNMENT = 64
_ids = itertools.count(1)


class ArrayRef(NamedTuple):
    """The place of an array argument in the arena."""

    start: int
    stop: int
    code: str
    shape: tuple[int, ...]

    @property
    def is_plain(self) -> bool:
        """Whether the array is used in place; masks and plain numbers are converted first."""
        return self.code[0] in "fiu"


class ObjectRef(NamedTuple):
    """A kept object, by id."""

    id: int


class Plan(NamedTuple):
    """A call whose arguments are views of the arena and kept objects; its results are copied to `outputs`.

    `bound` is the equivalent kernel call, or None if there is none.
    """

    function: Callable[..., Any]
    arguments: Mapping[str, Any]
    outputs: tuple[np.ndarray, ...]
    objects: frozenset[int]
    bound: Bound | None = None

    def run(self) -> bool:
        """Call the function and copy the results; return False if their number or shapes have changed."""
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
    """The plans by number."""

    def __init__(self) -> None:
        self._plans: dict[int, Plan] = {}
        self._seen: set[str] = set()
        #: (1,) count of dropped plans; bound calls stay valid while it does not change.
        self.dropped = np.zeros(1, np.int32)

    def is_due(self, text: str) -> bool:
        """Return whether the request came before; only then is it worth a plan."""
        if text in self._seen:
            return True
        if len(self._seen) >= MOST:
            self._seen.clear()
        self._seen.add(text)
        return False

    def add(self, plan: Plan) -> int:
        """Store the plan and return its number, which is never used again."""
        if len(self._plans) >= MOST:
            self.forget()
        number = next(_ids)
        self._plans[number] = plan
        return number

    def run(self, number: int) -> bool:
        """Run a plan; return False if it is unknown or fails, so that JavaScript sends the whole request."""
        plan = self._plans.get(number)
        try:
            return plan is not None and plan.run()
        except Exception:
            return False

    def forget(self, objects: Iterable[int] | None = None) -> None:
        """Drop the plans that use any of these objects, or all plans."""
        gone = None if objects is None else frozenset(objects)
        for number in [n for n, plan in self._plans.items() if gone is None or not gone.isdisjoint(plan.objects)]:
            del self._plans[number]
            self.dropped += 1


#: `forward` may be one kernel call if no other arguments than these are given.
_PLAIN = frozenset({"query", "keys", "values"})


def bound_call(
    function: Callable[..., Any],
    arguments: Mapping[str, Any],
    outputs: tuple[np.ndarray, ...],
    given: tuple[np.ndarray, ...],
) -> Bound | None:
    """Return a mechanism's forward pass as one kernel call, or None if it is not one.

    Args:
        function: A method of a mechanism.
        arguments: Its arguments by name.
        outputs: The arrays for the results.
        given: The input arrays, whose numbers will change.
    """
    attn = getattr(function, "__self__", None)
    if len(outputs) != 1 or not isinstance(attn, Attention) or function.__name__ != "forward":
        return None
    if any(value is not None and value is not False for name, value in arguments.items() if name not in _PLAIN):
        return None
    query, keys, values = (arguments.get(name) for name in ("query", "keys", "values"))
    call = _bound(attn, query, keys, values, outputs[0], given)
    row = only_row(query)
    return call if call is not None or row is None else _bound(attn, row, keys, values, outputs[0][0], given)


def _bound(
    attn: Attention, query: Any, keys: Any, values: Any, out: np.ndarray, given: tuple[np.ndarray, ...]
) -> Bound | None:
    if type(keys) is not Prepared:  # as `forward` asks: a state of linear attention has a pass of its own
        return bind(lambda: attn._fused(query, keys, values), out, given)
    if values is not None or keys.attn is not attn:
        return None
    return bind(lambda: attn._fused_prepared(query, keys), out, given)


def repeatable(args: Iterable[Any], options: Mapping[str, Any] | None) -> bool:
    """Return whether a parsed request has the same meaning when it is repeated.

    Args:
        args: Positional arguments: numbers, references to arrays and to objects.
        options: Arguments by name. Arrays among them may be converted or inspected, and a seed becomes a generator,
            whose state changes with each call; neither can be repeated.
    """
    named = options or {}
    if "rng" in named or any(isinstance(x, (ArrayRef, JavaScriptFunction, dict, list)) for x in named.values()):
        return False
    return all(x.is_plain if isinstance(x, ArrayRef) else not isinstance(x, (dict, list)) for x in args)


def places(arena: np.ndarray, start: int, like: Iterable[np.ndarray]) -> tuple[np.ndarray, ...] | None:
    """Return views of the arena after `start` with the shapes and dtypes of `like`, or None if they do not fit."""
    found = []
    for x in like:
        start = math.ceil(start / ALIGNMENT) * ALIGNMENT
        if start + x.nbytes > arena.size:
            return None
        found.append(np.ndarray(x.shape, x.dtype, arena, start))
        start += x.nbytes
    return tuple(found)
