"""The single door for JavaScript: JSON and flat buffers in, JSON and flat arrays out, never a proxy.

JavaScript writes the numbers of its typed arrays into the arena, one NumPy-owned block of bytes, and calls `call`
with a request as JSON text, in which an array is ``{"$a": [dtype, count, offset, shape]}``, an object that lives
on this side is ``{"$h": id}`` and a number JSON lacks is ``{"$f": "nan"}``. The answer is ``{"ok": value}`` or
``{"error": {...}}`` as JSON, where an array is ``{"$a": [index, shape]}``; a second line tells dtype, address
and count of each, for JavaScript to copy out at once: they stay alive until the next call. Where the same request can
be repeated with other numbers in the same places, a third line has the number to call `again` with, and where the
results will then be; if that is one kernel call, a fourth line has the address of a bound call (`simd.bound`).

What can be called is discovered, not listed: public functions and classes of a few modules, and public methods of
the objects those make.

A function of JavaScript is ``{"$c": number}``. Where one is called, the answer is ``{"ask": {...}}``; the request
``answer`` tells what it gave (see `_bridge_questions`).
"""

from __future__ import annotations

import functools
import json
import math
import random
import sys
import tempfile
import traceback
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from ._bridge_calls import OPERATIONS, Kept, attention_method, describe_object, info
from ._bridge_names import camel, spelled
from ._bridge_plans import ALIGNMENT, ArrayRef, ObjectRef, Plan, Plans, bound_call, places, repeatable
from ._bridge_questions import Asked, JavaScriptFunction, Waiting, answers
from .errors import AttentionError, DimensionMismatchError, InvalidConfigError, OutOfBoundsError
from .mechanisms._base import Attention
from .simd import choose_again
from .simd.bound import address

#: What JavaScript's typed arrays hold, by the code both sides use; "b1" are booleans, "n4" and "n8" plain numbers.
DTYPES = {c: np.dtype(c) for c in ("f4", "f8", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8")}
DTYPES |= {"b1": np.dtype("u1"), "n4": np.dtype("f4"), "n8": np.dtype("f8")}
#: Longest request text worth remembering, and longest text in an error.
CACHED, SHOWN = 4096, 400

_to_json = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode
_arena = np.empty(0, np.uint8)
_objects: dict[int, Any] = {}
_alive: list[np.ndarray] = []
_waiting: dict[int, Waiting] = {}
_plans = Plans()
#: Repeat a request by the number that its first answer gave: True, or False if it is to be sent in full.
again = _plans.run


def restored(elsewhere: bool) -> None:
    """Renew what must not be the same after every start from a snapshot.

    Args:
        elsewhere: Whether another engine took the snapshot, so that this one may run faster kernels.
    """
    random.seed()
    np.random.seed()  # noqa: NPY002 (programs that share the old generator are to start apart, too)
    tempfile._name_sequence = None  # type: ignore[attr-defined]
    if elsewhere:
        choose_again()


def reserve(nbytes: int) -> np.ndarray:
    """A new arena; the old one is dropped.

    Args:
        nbytes: Bytes to hold.

    Returns:
        (nbytes,) of uint8, starting at a multiple of ALIGNMENT.
    """
    global _arena
    _plans.forget()
    _arena = np.empty(0, np.uint8)  # so that old and new are never held at once
    block = np.empty(nbytes + ALIGNMENT, np.uint8)
    start = -block.__array_interface__["data"][0] % ALIGNMENT
    _arena = block[start : start + nbytes]
    return _arena


def reserve_at(nbytes: int) -> str:
    """`reserve` for JavaScript: the arena's address, and that of the count of dropped plans."""
    reserve(nbytes)
    return f"{address(_arena)},{address(_plans.dropped)}"


def call(text: str) -> str:
    """Answer one request.

    Args:
        text: JSON with ``op`` and ``args``, and as needed ``keep`` (the id under which the object it makes is kept)
            and ``dtype`` ("float64" keeps double precision in the answer).

    Returns:
        The answer's JSON, a newline, and ``dtype,address,count`` of each array, separated by semicolons. If the request
        came before and can be repeated: another newline, the number of its plan, and where the results will be. If that
        is one kernel call: another newline, and the call's address.
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
        if type(result) is np.ndarray and result.ndim:  # what most answers are, without the general encoder's cost
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
    """Forget objects, and by its negative number a request that waits for an answer; unknown ones are ignored."""
    for id in ids:
        _objects.pop(id, None)
        _waiting.pop(-id, None)
    _plans.forget(ids)


def _info() -> dict[str, Any]:
    """What does the arithmetic, how many objects are kept here, and how many blocks of memory Python holds."""
    return info() | {"objects": len(_objects), "blocks": sys.getallocatedblocks()}


OPERATIONS["info"] = _info


def _answered(number: int, given: list[Any]) -> Waiting:
    """The request that asked, with one answer more."""
    waiting = _waiting.pop(number, None)
    if waiting is None:
        raise InvalidConfigError("nothing waits for this answer", argument="answer", actual=number)
    waiting.answers += given
    return waiting


def _question(asked: Asked, waiting: Waiting) -> str:
    """The text by which JavaScript is asked; arrays go out in their own precision."""
    _alive.clear()
    _waiting[waiting.number] = waiting
    given = _Encoder(_OWN, None).encode(list(asked.arguments))
    body = {"function": asked.function, "of": waiting.number, "many": asked.many, "args": given}
    return _to_json({"ask": body}) + "\n" + _where(_alive)


def _refusal(error: dict[str, Any]) -> str:
    _alive.clear()
    return json.dumps({"error": error}) + "\n"


def describe_error(error: Exception) -> dict[str, Any]:
    """An error as JSON types: code, message, argument, expected, actual, traceback."""
    if isinstance(error, MemoryError) or (isinstance(error, ValueError) and "array is too big" in str(error)):
        out: dict[str, Any] = {"code": "out_of_memory", "message": f"out of memory {error}".strip()}
    elif isinstance(error, AttentionError):
        out = {"code": error.code, "message": spelled(_plain(error.message))}
        out |= {"argument": _plain(error.argument), "expected": _plain(error.expected), "actual": _plain(error.actual)}
        out |= {name: _spelled(value) for name, value in out.items() if name in ("argument", "expected")}
        name = error.actual
        if isinstance(name, str) and str(error.argument).rpartition(".")[2] == name:  # a name that does not exist
            out |= {"argument": camel(out["argument"]), "actual": camel(out["actual"])}
            out["message"] = out["message"].replace(_plain(name), out["actual"])
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
    """JSON types for what an error carries, cut to a length that can be shown."""
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


#: Requests repeat: same shapes, same objects. What is parsed is only read, never changed.
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
    """Arguments with arrays and objects in the place of references; arrays are copied if they are to be kept."""
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
    if ref.code[0] == "n" and np.isfinite(x).all() and (x == np.floor(x)).all():
        return x.astype(np.intp)  # JavaScript knows one kind of number: whole ones may be indices
    return x.copy() if copy else x


# -- out -----------------------------------------------------------------------------------------------------------

#: dtypes as JavaScript gets them; float64 is narrowed unless it was asked for.
_OUT = {"f8": "f4", "f2": "f4", "i8": "i4", "u8": "i4", "b1": "u1"}
#: The same where double precision was asked for.
_DOUBLE = _OUT | {"f8": "f8", "f4": "f8", "f2": "f8"}
#: The same for arguments of functions of JavaScript.
_OWN = _OUT | {"f8": "f8"}


#: Names of dtypes as in DTYPES; looked up, because NumPy makes the text anew every time.
_code = functools.lru_cache(maxsize=64)(lambda dtype: dtype.str[1:])


class _Encoder:
    """A result as JSON types; arrays go to `_alive`, at most one object is kept."""

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
            x = np.ascontiguousarray(x, dtype=code)
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


def _plan(request: dict[str, Any], result: object) -> str:
    """The line about repeating a request whose result is in `_alive`; nothing where that cannot be."""
    if request["op"] != "method":
        return ""
    target, _name, args, options = request["args"]
    of_mechanism = isinstance(target, ObjectRef) and isinstance(_objects[target.id], Attention)
    if not (of_mechanism and repeatable(args, options)):
        return ""
    results = result if type(result) is tuple else (result,)
    if len(results) != len(_alive) or not all(isinstance(x, np.ndarray) for x in results):
        return ""  # a mapping of arrays, say: Plan.run copies arrays only
    entries = [target, *args, *(options or {}).values()]
    end = max((x.stop for x in entries if isinstance(x, ArrayRef)), default=0)
    outputs = places(_arena, end, _alive)
    if outputs is None:
        return ""
    function, arguments = attention_method(*_decode(request["args"], False))
    objects = frozenset(x.id for x in entries if isinstance(x, ObjectRef))
    given = tuple(_array(x, False) for x in entries if isinstance(x, ArrayRef))
    bound = bound_call(function, arguments, outputs, given)
    number = _plans.add(Plan(function, arguments, outputs, objects, bound))
    return f"\n{number};{_where(outputs)}" + ("" if bound is None else f"\n{bound.address}")
