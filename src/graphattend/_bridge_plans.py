"""Plans for repeated requests: the function, its arguments and the places of the results.

A loop in JavaScript sends the same request again and again, with other numbers in the arena. Parsing such a request
costs more than the attention of one query; running its plan costs one function call and a copy of the results.
If the function is one kernel call, JavaScript repeats it without Python until `Plans.dropped` changes.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from . import functional
from ._bridge_questions import JavaScriptFunction
from ._validate import all_finite
from .errors import NumericalInstabilityError
from .graph import GraphMetadata
from .mechanisms._base import Attention
from .mechanisms._one_query import only_row
from .mechanisms._prepared import Prepared, parts
from .simd.bound import Bound, address, bind

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
        """Whether the array is used in place; booleans and plain numbers are converted first."""
        return self.code[0] in "fiu"


class ObjectRef(NamedTuple):
    """A kept object, by id."""

    id: int


class Plan(NamedTuple):
    """A call whose arguments are views of the arena and kept objects; its results are copied to `outputs`.

    `masks` are boolean arguments and the bytes in the arena that they are made of before each call. `bound` is the
    equivalent kernel call, which writes to `outputs`, or None if there is none.
    """

    function: Callable[..., Any]
    arguments: Mapping[str, Any]
    outputs: tuple[np.ndarray, ...]
    objects: frozenset[int]
    bound: Bound | None = None
    masks: tuple[tuple[np.ndarray, np.ndarray], ...] = ()

    def run(self) -> bool:
        """Call the function and copy the results; return False if their number or shapes have changed."""
        if self.bound is not None and self.bound.repeat():
            return True
        for mask, data in self.masks:
            np.not_equal(data, 0, out=mask)
        result = self.function(**self.arguments)
        results = result if type(result) is tuple else (result,)
        if len(results) != len(self.outputs):
            return False
        for out, x in zip(self.outputs, results, strict=True):
            if x.shape != out.shape:
                return False
            np.copyto(out, x if x.dtype == out.dtype else narrowed(x, out.dtype), casting="same_kind")
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


#: Results of more bytes are planned only if the call is bound: to copy them takes longer than a plan saves.
LARGE = 1 << 20
#: Functions that check no numbers and may be one kernel call, with the most bytes of a result that is bound. Binding
#: makes the call three times more, once; for softmax, a few calls without the copy of the result make up for it.
_FUNCTIONS = {"softmax": math.inf, "matmul": LARGE}
#: A pass may be one kernel call if no other arguments than these are given.
_PLAIN = frozenset({"query", "keys", "values", "metadata", "need_weights"})


def is_large(outputs: Iterable[np.ndarray], most: float = LARGE) -> bool:
    """Return whether results have more than `most` bytes."""
    return sum(x.nbytes for x in outputs) > most


def bound_call(
    function: Callable[..., Any],
    positional: Sequence[Any],
    named: Mapping[str, Any],
    outputs: tuple[np.ndarray, ...],
    given: tuple[np.ndarray, ...],
) -> Bound | None:
    """Return a function, or a mechanism's forward pass or its weights, as one kernel call, or None if it is not one.

    Args:
        function: A function, or a method of an object.
        positional: Its arguments without names.
        named: Its arguments by name.
        outputs: The arrays for the results.
        given: The input arrays, whose numbers will change.
    """
    name = getattr(function, "__name__", "")
    if name in _FUNCTIONS and function is getattr(functional, name):
        run = functools.partial(function, *positional, **named)
        return None if is_large(outputs, _FUNCTIONS[name]) else bind(run, outputs, given)
    attn = getattr(function, "__self__", None)
    if positional or not isinstance(attn, Attention) or is_large(outputs):
        return None
    return _bound_pass(attn, name, named, outputs, given)


def _bound_pass(
    attn: Attention,
    name: str,
    arguments: Mapping[str, Any],
    outputs: tuple[np.ndarray, ...],
    given: tuple[np.ndarray, ...],
) -> Bound | None:
    if any(x is not None and x is not False for n, x in arguments.items() if n not in _PLAIN):
        return None
    query, keys, values, metadata = (arguments.get(n) for n in ("query", "keys", "values", "metadata"))
    need_weights = arguments.get("need_weights", False)
    if name == "attention_weights":
        run: Callable[[Any], Any] = functools.partial(_weights, attn, keys, metadata)
    elif name == "forward" and need_weights is True:
        run = functools.partial(_with_weights, attn, keys, values, metadata)
    elif name == "forward" and need_weights is False:
        run = functools.partial(_output, attn, keys, values, metadata)
    else:
        return None
    call = bind(lambda: run(query), outputs, given)
    row = only_row(query)
    if call is not None or row is None:
        return call
    return bind(lambda: run(row), tuple(x[..., 0, :] for x in outputs), given)


def _output(attn: Attention, keys: Any, values: Any, metadata: Any, query: Any) -> Any:
    if metadata is not None:
        k, v = parts(attn, keys, values)
        return None if v is None else attn._fused_metadata(query, k, v, metadata)
    if type(keys) is not Prepared:  # as `forward` asks: a state of linear attention has a pass of its own
        return attn._fused(query, keys, values)
    return attn._fused_prepared(query, keys) if values is None and keys.attn is attn else None


def _with_weights(attn: Attention, keys: Any, values: Any, metadata: Any, query: Any) -> Any:
    k, v = parts(attn, keys, values)
    return None if v is None else attn._fused_weights(query, k, v, metadata)


def _weights(attn: Attention, keys: Any, metadata: Any, query: Any) -> Any:
    found = attn._fused_weights(query, parts(attn, keys, None)[0], None, metadata)
    return None if found is None else found[1]


def references(value: object) -> Iterator[ArrayRef | ObjectRef]:
    """Yield the references in a parsed value."""
    if isinstance(value, (ArrayRef, ObjectRef)):
        yield value
    elif isinstance(value, (list, dict)):
        for x in value.values() if isinstance(value, dict) else value:
            yield from references(x)


def is_mask(name: str, x: object) -> bool:
    """Return whether an option is a mask of booleans or bytes."""
    return name.lower().endswith("mask") and isinstance(x, ArrayRef) and x.code in ("b1", "u1")


def repeatable(args: Iterable[Any], options: Mapping[str, Any] | None) -> bool:
    """Return whether a parsed request may have the same meaning when it is repeated, which `uses_all` decides.

    Args:
        args: Positional arguments: numbers, references to arrays and to objects.
        options: Arguments by name. A seed among them becomes a generator, whose state changes with each call, and
            lists and objects other than metadata are inspected; neither can be repeated.
    """
    inside = list(args)
    for name, x in (options or {}).items():
        if name == "metadata" and isinstance(x, dict):
            inside += x.values()
        elif not is_mask(name, x):
            inside.append(x)
    if "rng" in (options or {}) or any(isinstance(x, (JavaScriptFunction, dict, list)) for x in inside):
        return False
    return all(x.is_plain for x in inside if isinstance(x, ArrayRef))


def uses_all(arguments: Iterable[Any], given: Iterable[np.ndarray]) -> bool:
    """Return whether converted arguments contain every given array itself, and nothing that changes with each call."""
    found: list[Any] = []
    for x in arguments:
        found += vars(x).values() if isinstance(x, GraphMetadata) else [x]
    if any(isinstance(x, np.random.Generator) for x in found):
        return False
    inside = {(address(x), x.nbytes) for x in found if isinstance(x, np.ndarray)}
    return all((address(x), x.nbytes) in inside for x in given)


def narrowed(x: np.ndarray, dtype: np.dtype[Any]) -> np.ndarray:
    """Return a contiguous copy of a result in another dtype; raise if a number is beyond its range."""
    with np.errstate(over="ignore", invalid="ignore"):
        out = np.ascontiguousarray(x, dtype)
    if dtype.kind == "f" and not all_finite(out) and (np.isinf(out) & np.isfinite(x)).any():
        raise NumericalInstabilityError.of(
            "dtype", "float64", str(dtype), text='"float64"', got=f"a result beyond the range of {dtype}"
        )
    if x.dtype.kind in "iu" and (out != x).any():
        raise NumericalInstabilityError.of("result", str(dtype), str(x.dtype), got=f"{x[out != x][0]}")
    return out


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
