"""JavaScript's only interface to Python: JSON and flat buffers in, JSON and flat arrays out, no proxies.

JavaScript writes the numbers of its typed arrays into the arena, one block of bytes that NumPy owns, and passes a
request as JSON text to `call`. In a request an array is ``{"$a": [dtype, count, offset, shape]}``, an object on
Python's side is ``{"$h": id}`` and a number that JSON lacks is ``{"$f": "nan"}``. The answer is ``{"ok": value}`` or
``{"error": {...}}`` as JSON, in which an array is ``{"$a": [index, shape]}``. A second line gives the dtype, address
and count of each array. JavaScript copies the arrays at once, because they live only until the next call. If the
request can be repeated with other numbers in the same places, a third line gives the number to pass to `again` and
the places of the results. If the request is one kernel call, a fourth line gives the address of a bound call
(`simd.bound`).

No list says what can be called: these are the public functions and classes of a few modules, and the public methods
of the objects that they create.

A JavaScript function is ``{"$c": number}``. When Python calls one, the answer is ``{"ask": {...}}``. JavaScript sends
the result with the request ``answer`` (see `_bridge_questions`).
"""

from __future__ import annotations

import functools
import json
import math
import random
import re
import sys
import tempfile
import traceback
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from ._bridge_calls import OPERATIONS, Kept, call_of, describe_object, info
from ._bridge_names import camel, spelled
from ._bridge_plans import (
    ALIGNMENT,
    ArrayRef,
    ObjectRef,
    Plan,
    Plans,
    bound_call,
    is_large,
    is_mask,
    narrowed,
    places,
    references,
    repeatable,
    uses_all,
)
from ._bridge_questions import Asked, JavaScriptFunction, Waiting, answers
from .errors import AttentionError, DimensionMismatchError, InvalidConfigError, OutOfBoundsError
from .geometry import ManifoldBase
from .mechanisms._base import Attention
from .simd import choose_again
from .simd.bound import address

#: dtypes of JavaScript's typed arrays by code; "b1" are booleans, "n4" and "n8" are plain numbers.
DTYPES = {c: np.dtype(c) for c in ("f4", "f8", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8")}
DTYPES |= {"b1": np.dtype("u1"), "n4": np.dtype("f4"), "n8": np.dtype("f8")}
#: JavaScript's words for the types of arguments that errors name.
IN_JAVASCRIPT = {
    **dict.fromkeys(("int", "float"), "a number"),
    **dict.fromkeys(("list", "tuple", "ndarray"), "an array"),
    "str": "a string",
    "bool": "a boolean",
    "dict": "an object",
    "bytes": "bytes",
    "NoneType": "null",
}
#: Largest plain number that may be an index: the largest float32 that fits WebAssembly's integers of 32 bits.
_MOST_WHOLE = 2.0**31 - 128
#: Length of the longest request text that is cached, and of the longest text in an error.
CACHED, SHOWN = 4096, 400

_to_json = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode
_arena = np.empty(0, np.uint8)
_objects: dict[int, Any] = {}
_alive: list[np.ndarray] = []
_waiting: dict[int, Waiting] = {}
_plans = Plans()
#: Repeat the request with this plan number; returns False if JavaScript has to send the whole request.
again = _plans.run


def restored(elsewhere: bool) -> None:
    """Reset the state that must differ between two starts from the same snapshot.

    Args:
        elsewhere: Whether another engine took the snapshot; this engine may then run faster kernels.
    """
    random.seed()
    np.random.seed()  # noqa: NPY002 (programs may use the old generator, too)
    tempfile._name_sequence = None  # type: ignore[attr-defined]
    if elsewhere:
        choose_again()


def reserve(nbytes: int) -> np.ndarray:
    """Allocate a new arena and drop the old one.

    Args:
        nbytes: Size in bytes.

    Returns:
        (nbytes,) of uint8, aligned to ALIGNMENT bytes.
    """
    global _arena
    _plans.forget()
    _arena = np.empty(0, np.uint8)  # so that old and new are never held at once
    block = np.empty(nbytes + ALIGNMENT, np.uint8)
    start = -block.__array_interface__["data"][0] % ALIGNMENT
    _arena = block[start : start + nbytes]
    return _arena


def reserve_at(nbytes: int) -> str:
    """Call `reserve` and return the addresses of the arena and of the count of dropped plans, for JavaScript."""
    reserve(nbytes)
    return f"{address(_arena)},{address(_plans.dropped)}"


def call(text: str) -> str:
    """Answer one request.

    Args:
        text: JSON with ``op`` and ``args``, and optionally ``keep`` (the id under which the new object is kept)
            and ``dtype`` ("float64" keeps double precision in the answer).

    Returns:
        The answer as JSON, a newline, and ``dtype,address,count`` of each array, separated by semicolons. If the same
        request came before and can be repeated, another newline, the number of its plan and the places of the results.
        If the plan is one kernel call, another newline and the address of the bound call.
    """
    _alive.clear()
    waiting: Waiting | None = None
    try:
        request = _parse_cached(text) if len(text) <= CACHED else _parse(text)
        if request["op"] == "answer":
            waiting = _answered(*_decode(request["args"], True))
            request, arguments = waiting.request, waiting.arguments
        else:
            arguments = _decode(request["args"], request.get("keep") is not None)
        keep: Any = request.get("keep")
        answers.begin([] if waiting is None else waiting.answers)
        result = OPERATIONS[request["op"]](*arguments)
        encoder = _Encoder(_DOUBLE if request.get("dtype") == "float64" else _OUT, keep)
        encoded = encoder.encode(result)
        if type(result) is np.ndarray and result.ndim:  # the usual answer, without the cost of the general encoder
            body = f'{{"ok":{{"$a":[0,{list(result.shape)}]}}}}'
        else:
            body = _to_json({"ok": encoded})
        if encoder.kept is not None:
            _objects[keep] = encoder.kept
        answer = body + "\n" + _where(_alive)
        is_due = keep is None and len(text) <= CACHED and not answers.used and _plans.is_due(text)
        return answer + _plan(request, result) if is_due else answer
    except Asked as asked:
        return _question(asked, waiting or Waiting(request, _decode(request["args"], True)))
    except KeyboardInterrupt:
        return _refusal({"code": "aborted", "message": "the call was interrupted"})
    except Exception as error:
        return _refusal(describe_error(error))


def free(*ids: int) -> None:
    """Forget objects by id, and waiting requests by their negative number; unknown numbers are ignored."""
    for id in ids:
        _objects.pop(id, None)
        _waiting.pop(-id, None)
    _plans.forget(ids)


def _info() -> dict[str, Any]:
    """Return `info` with the number of kept objects and the number of memory blocks that Python has allocated."""
    return info() | {"objects": len(_objects), "blocks": sys.getallocatedblocks()}


OPERATIONS["info"] = _info


def _answered(number: int, given: list[Any]) -> Waiting:
    """Return the request that asked, with the new answers added."""
    waiting = _waiting.pop(number, None)
    if waiting is None:
        raise InvalidConfigError("nothing waits for this answer", argument="answer", actual=number)
    waiting.answers += given
    return waiting


def _question(asked: Asked, waiting: Waiting) -> str:
    """Return the question for JavaScript as text; arrays keep their precision."""
    _alive.clear()
    _waiting[waiting.number] = waiting
    given = _Encoder(_OWN, None).encode(list(asked.arguments))
    body = {"function": asked.function, "of": waiting.number, "many": asked.many, "args": given}
    return _to_json({"ask": body}) + "\n" + _where(_alive)


def _refusal(error: dict[str, Any]) -> str:
    _alive.clear()
    return json.dumps({"error": error}) + "\n"


def describe_error(error: Exception) -> dict[str, Any]:
    """Return an error as JSON types: code, message, argument, expected, actual, traceback."""
    if isinstance(error, MemoryError) or (isinstance(error, ValueError) and "array is too big" in str(error)):
        out: dict[str, Any] = {"code": "out_of_memory", "message": f"out of memory {error}".strip()}
    elif isinstance(error, AttentionError):
        out = {"code": error.code, "message": spelled(_plain(error.message))}
        out |= {"argument": _plain(error.argument), "expected": _plain(error.expected), "actual": _plain(error.actual)}
        out |= {name: _spelled(value) for name, value in out.items() if name in ("argument", "expected")}
        name = error.actual
        if isinstance(name, str) and str(error.argument).rpartition(".")[2] == name:  # an unknown name
            out |= {"argument": camel(out["argument"]), "actual": camel(out["actual"])}
            out["message"] = out["message"].replace(_plain(name), out["actual"])
        elif isinstance(name, str) and name in IN_JAVASCRIPT:
            out["actual"] = IN_JAVASCRIPT[name]
            out["message"] = re.sub(rf"\bgot (an? )?{name}$", f"got {IN_JAVASCRIPT[name]}", out["message"])
        if isinstance(error, OutOfBoundsError):
            out |= {"index": error.index, "length": error.length}
    else:
        out = {"code": "internal_error", "message": _plain(f"{type(error).__name__}: {error}")}
    return out | {"traceback": "".join(traceback.format_exception(error))[-8000:]}


def _spelled(value: object) -> Any:
    if isinstance(value, list):
        return [_spelled(x) for x in value]
    return spelled(value) if isinstance(value, str) else value


def _plain(value: object) -> Any:
    """Return a field of an error as JSON types, with long lists and texts cut."""
    if value is None or isinstance(value, (bool, int)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value[:100]]
    text = value if isinstance(value, str) else str(value)
    return text if len(text) <= SHOWN else text[:SHOWN] + "…"


# -- in ------------------------------------------------------------------------------------------------------------


def _parse(text: str) -> dict[str, Any]:
    request: dict[str, Any] = json.loads(text, object_hook=_tagged)
    return request


#: Requests with the same shapes and objects repeat. Nothing changes a parsed request.
_parse_cached = functools.lru_cache(maxsize=256)(_parse)


def _tagged(entry: dict[str, Any]) -> Any:
    if len(entry) == 1:
        (tag, value), *_ = entry.items()
        if tag == "$a":
            code, count, start, shape = value
            if math.prod(shape) != count:
                raise DimensionMismatchError.of(
                    "shape", count, shape, text=f"{count} numbers", got=f"shape {tuple(shape)}"
                )
            return ArrayRef(start, start + count * DTYPES[code].itemsize, code, tuple(shape))
        if tag == "$h":
            return ObjectRef(value)
        if tag == "$c":
            return JavaScriptFunction(value)
        if tag == "$f":
            return float(value)
    return entry


def _decode(value: Any, copy: bool) -> Any:
    """Replace references by the arrays and objects they refer to; `copy` copies the arrays."""
    kind = type(value)
    if kind is ArrayRef:
        return _array(value, copy)
    if kind is ObjectRef:
        if value.id not in _objects:
            raise InvalidConfigError("the object was freed or never existed", argument="this", actual=value.id)
        return _objects[value.id]
    if kind is list:
        return [_decode(v, copy) for v in value]
    if kind is dict:
        return {name: _decode(v, copy) for name, v in value.items()}
    return value


def _array(ref: ArrayRef, copy: bool) -> np.ndarray:
    if ref.stop > _arena.size:
        raise InvalidConfigError("an array lies outside the arena", argument="request")
    x: np.ndarray = np.ndarray(ref.shape, DTYPES[ref.code], _arena, ref.start)
    if ref.code == "b1":
        return x != 0
    if ref.code[0] == "n" and (np.abs(x) <= _MOST_WHOLE).all() and (x == np.floor(x)).all():
        return x.astype(np.intp)  # JavaScript has one number type: whole numbers may be indices
    return x.copy() if copy else x


# -- out -----------------------------------------------------------------------------------------------------------

#: dtype of an answer by dtype of the result; float64 becomes float32 by default.
_OUT = {"f8": "f4", "f2": "f4", "i8": "i4", "u8": "i4", "b1": "u1"}
#: The same if the request asks for double precision.
_DOUBLE = _OUT | {"f8": "f8", "f4": "f8", "f2": "f8"}
#: The same for arguments of JavaScript functions.
_OWN = _OUT | {"f8": "f8"}


#: The code of a dtype as in DTYPES; cached, because NumPy builds the string anew every time.
_code = functools.lru_cache(maxsize=64)(lambda dtype: dtype.str[1:])


class _Encoder:
    """Encodes a result as JSON types; appends arrays to `_alive` and keeps at most one object."""

    def __init__(self, codes: Mapping[str, str], keep: int | None) -> None:
        self.codes = codes
        self.keep = keep
        self.kept: Any = None

    def encode(self, value: object) -> Any:
        if isinstance(value, np.ndarray):
            return self.encode(value.item()) if value.ndim == 0 else self._array(value)
        if value is None or isinstance(value, (str, bool, int)):
            return value
        if isinstance(value, float):
            return float(value) if math.isfinite(value) else {"$f": str(float(value))}
        if isinstance(value, np.generic):
            return self.encode(value.item())
        if isinstance(value, bytes):
            return self._array(np.frombuffer(value, np.uint8))
        if isinstance(value, tuple) and hasattr(value, "_fields"):
            return {name: self.encode(v) for name, v in zip(value._fields, value, strict=True)}
        if isinstance(value, (list, tuple)):
            return [self.encode(v) for v in value]
        if isinstance(value, dict):
            return {str(name): self.encode(v) for name, v in value.items()}
        return self._object(value)

    def _array(self, x: np.ndarray) -> Any:
        code = _code(x.dtype)
        code = self.codes.get(code, code)
        if x.dtype is not DTYPES.get(code) or not x.flags.c_contiguous:
            x = narrowed(x, DTYPES[code])
        _alive.append(x)
        return {"$a": [len(_alive) - 1, x.shape]}

    def _object(self, value: object) -> Any:
        if self.keep is None or self.kept is not None:
            raise InvalidConfigError(f"{type(value).__name__}: cannot be handed to JavaScript", argument="name")
        if isinstance(value, Kept):
            self.kept = value.array
            return {"$h": self.keep, "shape": value.array.shape}
        self.kept = value
        return {"$h": self.keep} | self.encode(describe_object(value))


def _where(arrays: Iterable[np.ndarray]) -> str:
    return ";".join([f"{_code(x.dtype)},{address(x)},{x.size}" for x in arrays])


# -- again ---------------------------------------------------------------------------------------------------------


#: Objects whose methods can be repeated, because they do not change.
_FIXED = (Attention, ManifoldBase)


def _plan(request: dict[str, Any], result: object) -> str:
    """Return the lines for repeating a request whose results are in `_alive`, or "" if it cannot be repeated."""
    op = request["op"]
    if op not in ("method", "function"):
        return ""
    target, name, args, options = request["args"]
    if op == "method" and not (isinstance(target, ObjectRef) and isinstance(_objects[target.id], _FIXED)):
        return ""
    if op == "method" and name in ("forward", "attention_weights"):  # to attention, whole numbers are floats, too
        args = [x._replace(code="f4") if isinstance(x, ArrayRef) and x.code == "n4" else x for x in args]
    if not repeatable(args, options):
        return ""
    results = result if type(result) is tuple else (result,)
    if len(results) != len(_alive) or not all(isinstance(x, np.ndarray) for x in results):
        return ""  # for example a mapping of arrays: Plan.run copies only arrays
    entries = list(references([target, args, options]))
    end = max((x.stop for x in entries if isinstance(x, ArrayRef)), default=0)
    outputs = places(_arena, end, _alive)
    if outputs is None:
        return ""
    bytes_of = {n: x for n, x in (options or {}).items() if is_mask(n, x)}
    data = {n: np.ndarray(x.shape, np.uint8, _arena, x.start) for n, x in bytes_of.items()}
    masks = {n: x != 0 for n, x in data.items()}
    given = tuple(_array(x, False) for x in entries if isinstance(x, ArrayRef) and x not in bytes_of.values())
    decoded = _decode([target, name, args, options], False)
    if masks:
        decoded[3] |= masks
    function, positional, named = call_of(op, decoded)
    if not uses_all([*positional, *named.values()], [*given, *masks.values()]):
        return ""
    objects = frozenset(x.id for x in entries if isinstance(x, ObjectRef))
    bound = bound_call(function, positional, named, outputs, given)
    if bound is None and is_large(outputs):
        return ""
    call = functools.partial(function, *positional) if positional else function
    plan = Plan(call, named, outputs, objects, bound, tuple((masks[n], data[n]) for n in masks))
    return f"\n{_plans.add(plan)};{_where(outputs)}" + ("" if bound is None else f"\n{bound.address}")
