"""Checks of arguments: each function returns a checked value or raises a typed error.

Functions behind this boundary do not check their arguments again. Inputs are never modified.
"""

from __future__ import annotations

import math
import numbers
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from .errors import (
    DimensionMismatchError,
    EmptyInputError,
    InvalidConfigError,
    NumericalInstabilityError,
    OutOfBoundsError,
)

if TYPE_CHECKING:
    from numpy.typing import ArrayLike as ArrayLike
else:
    ArrayLike = np.ndarray  # at run time, for the generator of TypeScript's types

FLOATS = (np.dtype(np.float32), np.dtype(np.float64))
_F4, _F8 = FLOATS
_F4_MAX = float(np.finfo(np.float32).max)
#: Whether an option was a number beyond float32. NumPy warns when it converts such a number, even in WebAssembly, where
#: it does not detect overflows of its arithmetic.
beyond_float32 = False
_INDEX = np.dtype(np.intp)
#: Maximum size of an array. No array in memory is larger, only a view that repeats numbers.
MOST = 1 << 36
#: Maximum length of a list that is read entry by entry.
LONGEST = 1 << 12


def _kind_error(argument: str, actual: str) -> InvalidConfigError:
    expected = "an array of real numbers"
    return InvalidConfigError.of(argument, expected, actual)


def as_array(x: object, argument: str) -> np.ndarray:
    """Return `np.asarray(x)` or raise a typed error; masked arrays and matrices become plain arrays."""
    if type(x) is np.ndarray:
        if x.size > MOST:
            check_count(x, argument)
        return x
    if isinstance(x, (str, bytes, dict, set)) or x is None:
        raise _kind_error(argument, type(x).__name__)
    if isinstance(x, np.ma.MaskedArray) and np.ma.is_masked(x):
        raise _kind_error(argument, "a masked array with masked entries")
    try:
        a = np.asarray(x)
    except Exception as error:  # ragged lists, objects with a broken __array__, out-of-range integers
        raise _kind_error(argument, f"{type(x).__name__} ({error})") from None
    if a.size > MOST:
        check_count(a, argument)
    return a


def check_count(x: np.ndarray, argument: str) -> None:
    """Raise if the array has more than `MOST` numbers; a view of few bytes may have any shape."""
    if x.size > MOST:
        text = f"at most {MOST} numbers"
        raise DimensionMismatchError.of(argument, MOST, x.size, text=text, got=f"shape {x.shape}")


def as_float(x: object, argument: str, *, beside: np.dtype[Any] | None = None) -> np.ndarray:
    """Return a float32 or float64 array; float16 and integers become float32, other dtypes raise.

    `beside` is the dtype of the data that `x` belongs to, such as positions, distances, weights or times. Integers are
    then cast to that dtype, or to float64 if any exceeds 2^24, beyond which float32 does not represent all integers.
    """
    a = as_array(x, argument)
    if a.dtype == _F4 or a.dtype == _F8:
        return a
    if a.dtype.kind in "fiu" and not a.dtype.isnative:  # the other byte order, as some files have it
        return as_float(a.astype(a.dtype.newbyteorder("=")), argument, beside=beside)
    if isinstance(x, (list, tuple)) and a.dtype.kind == "f":
        return a.astype(_F8)
    if a.dtype.kind in "iu" and beside is not None:
        return a.astype(_F8 if beside == _F8 or _beyond_float32(a) else _F4)
    if a.dtype.kind in "iu" or a.dtype == np.float16:
        return a.astype(_F4)
    raise _kind_error(argument, f"dtype {a.dtype}")


def _beyond_float32(whole: np.ndarray) -> bool:
    return whole.size > 0 and max(int(whole.max()), -int(whole.min())) > 1 << 24


def as_floats(names: Iterable[str], *arrays: object) -> list[np.ndarray]:
    """Apply `as_float` to arrays that belong together; integers get the precision of the other arrays."""
    for x in arrays:
        if type(x) is not np.ndarray or not (x.dtype == _F4 or x.dtype == _F8) or x.size > MOST:
            break
    else:
        return cast("list[np.ndarray]", list(arrays))
    given = [as_array(x, name) for x, name in zip(arrays, names, strict=True)]
    found = [
        None if a.dtype.kind in "iu" else as_float(x, name) for a, x, name in zip(given, arrays, names, strict=True)
    ]
    # Integers become float64 if any other array is float64, else float32.
    wide = _F8 if any(f is not None and f.dtype == _F8 for f in found) else _F4
    return [a.astype(wide) if f is None else f for a, f in zip(given, found, strict=True)]


def common_dtype(*arrays: np.ndarray) -> tuple[np.ndarray, ...]:
    """Return the arrays in their widest dtype."""
    first = arrays[0].dtype
    for a in arrays:
        if a.dtype != first:
            return tuple([a.astype(_F8, copy=False) for a in arrays])
    return arrays


#: Up to this size `np.isfinite` costs less than a sum of squares, which needs a context because it may overflow.
_FEW = 2048

#: From this size of the first array on, threads share the test.
_MANY = 1 << 17

_finite_test: Callable[[np.ndarray], bool | None] | None = None
_shared_test: Callable[[tuple[np.ndarray, ...]], bool | None] | None = None


def set_finite_test(
    test: Callable[[np.ndarray], bool | None] | None,
    shared: Callable[[tuple[np.ndarray, ...]], bool | None] | None = None,
) -> None:
    """Set faster tests for `all_finite`: of one array, and of several large arrays by several threads.

    They return None if they do not apply. None: use only NumPy.
    """
    global _finite_test, _shared_test
    _finite_test, _shared_test = test, shared


def all_finite(*arrays: np.ndarray) -> bool:
    """Return whether all numbers of all arrays are finite."""
    if _shared_test is not None and arrays and arrays[0].size >= _MANY:
        answer = _shared_test(arrays)
        if answer is not None:
            return answer
    for x in arrays:
        answer = None if _finite_test is None else _finite_test(x)
        if answer is None and x.size > MOST:
            return False  # too many to test
        if answer is None and x.size > _FEW and x.flags.c_contiguous:
            # A finite sum of squares has only finite terms. If it is not finite it may have overflowed: test each term.
            flat = x.reshape(-1)
            with np.errstate(over="ignore", invalid="ignore"):
                answer = math.isfinite(flat.dot(flat)) or None
        if not (np.logical_and.reduce(np.isfinite(x), axis=None) if answer is None else answer):
            return False
    return True


def check_finite(x: np.ndarray, argument: str) -> None:
    """Raise if the array contains NaN or infinity."""
    if all_finite(x):
        return
    check_count(x, argument)
    bad = ~np.isfinite(x)
    where = tuple(int(i) for i in np.argwhere(bad)[0])
    value = float(x[where])
    raise NumericalInstabilityError.of(argument, "finite numbers", value, got=f"{value} at index {where}")


def check_ndim(x: np.ndarray, argument: str, minimum: int, maximum: int | None = None) -> None:
    """Raise unless the number of axes is in the given range."""
    if x.ndim < minimum or (maximum is not None and x.ndim > maximum):
        if maximum == minimum:
            expected = f"{minimum} axes"
        else:
            expected = f"at least {minimum} axes" if maximum is None else f"{minimum} to {maximum} axes"
        raise DimensionMismatchError.of(
            argument, minimum if maximum == minimum else expected, x.ndim, text=expected, got=f"shape {x.shape}"
        )


def check_nonempty(x: np.ndarray, argument: str) -> None:
    """Raise if an axis has length zero."""
    if x.size == 0:
        raise EmptyInputError.of(argument, "at least one entry", x.shape, got=f"shape {x.shape}")


def check_length(x: np.ndarray, argument: str, axis: int, expected: int, why: str = "") -> None:
    """Raise unless `x` has `expected` entries along `axis`."""
    if x.shape[axis] != expected:
        tail = f" ({why})" if why else ""
        raise DimensionMismatchError.of(
            argument, expected, x.shape[axis], text=f"{expected} along axis {axis}{tail}", got=f"shape {x.shape}"
        )


def check_shape(x: np.ndarray, argument: str, expected: tuple[int, ...]) -> None:
    """Raise unless `x` has this shape."""
    if x.shape != expected:
        raise DimensionMismatchError.of(argument, expected, x.shape, text=f"shape {expected}")


def broadcast_shapes(argument: str, *shapes: tuple[int, ...]) -> tuple[int, ...]:
    """Return `np.broadcast_shapes(*shapes)` or raise a typed error."""
    try:
        return np.broadcast_shapes(*shapes)
    except ValueError:
        text = " and ".join(str(s) for s in shapes)
        raise DimensionMismatchError.of(argument, "shapes that broadcast", shapes, got=text) from None


def as_index(x: object, argument: str, length: int | None = None, *, ndim: int | None = None) -> np.ndarray:
    """Return an array of indices (np.intp), each in 0 <= index < length."""
    a = as_array(x, argument)
    if a.dtype.kind not in "iu":
        if a.size == 0 and a.dtype.kind == "f":  # np.asarray([]) is a float array
            a = a.astype(np.intp)
        else:
            raise InvalidConfigError.of(argument, "integer indices", str(a.dtype), got=f"dtype {a.dtype}")
    if ndim is not None:
        check_ndim(a, argument, ndim, ndim)
    if length is not None and a.size:
        low, high = int(a.min()), int(a.max())
        if low < 0 or high >= length:
            index = low if low < 0 else high
            raise OutOfBoundsError(
                f"{argument}: expected 0 <= index < {length}, got {index}",
                index=index,
                length=length,
                argument=argument,
            )
    if a.size and a.dtype.itemsize >= _INDEX.itemsize and a.dtype != _INDEX:
        extreme = max(int(a.max()), -int(a.min()) - 1)  # 32 bits in WebAssembly: never wrap around in silence
        if extreme > np.iinfo(_INDEX).max:
            raise OutOfBoundsError(
                f"{argument}: expected indices of {8 * _INDEX.itemsize} bits, got {extreme}",
                index=extreme,
                length=int(np.iinfo(_INDEX).max),
                argument=argument,
            )
    return a.astype(_INDEX, copy=False)


def as_mask(mask: object, argument: str = "attn_mask") -> np.ndarray:
    """Return a boolean (True = attend) or float mask (added to the scores); -inf is allowed, NaN and +inf are not."""
    a = as_array(mask, argument)
    if a.dtype == np.bool_:
        return a
    if a.dtype.kind != "f":
        expected = "a boolean or float mask"
        raise InvalidConfigError.of(argument, expected, str(a.dtype), got=f"dtype {a.dtype}")
    a = as_float(a, argument)
    if a.size and not a.max() < np.inf:  # False for NaN, too
        raise NumericalInstabilityError.of(argument, "finite numbers or -inf", "NaN or +inf")
    return a


def cast_mask(mask: np.ndarray, dtype: np.dtype[Any]) -> np.ndarray:
    """Cast a float mask to the dtype of the scores; finite numbers are clipped, because only -inf hides an entry."""
    if mask.dtype == dtype or mask.dtype == np.bool_ or dtype == _F8:
        return mask.astype(dtype, copy=False) if mask.dtype != np.bool_ else mask
    limits = np.finfo(dtype)
    clipped = np.where(np.isneginf(mask), mask, np.clip(mask, float(limits.min), float(limits.max)))
    return np.asarray(clipped.astype(dtype))


def cast_data(x: np.ndarray, dtype: np.dtype[Any], argument: str) -> np.ndarray:
    """Cast finite data to another dtype; raise if a number overflows."""
    if x.dtype == dtype:
        return x
    with np.errstate(over="ignore"):
        out = x.astype(dtype)
    if dtype != _F8 and not all_finite(out):
        raise NumericalInstabilityError.of(argument, f"numbers that {dtype} can hold", "larger ones")
    return out


def _number_error(argument: str, expected: str, value: object) -> InvalidConfigError:
    shown = repr(value)
    if len(shown) > 80:
        shown = shown[:77] + "..."
    return InvalidConfigError.of(argument, expected, value, got=shown)


def as_int(value: object, argument: str, *, minimum: int | None = None, maximum: int | None = None) -> int:
    """Return an integer in the given range; bool raises."""
    expected = "a whole number"
    if minimum is not None:
        expected += f" >= {minimum}"
    if maximum is not None:
        expected += f"{' and' if minimum is not None else ''} <= {maximum}"
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, numbers.Integral):
        raise _number_error(argument, expected, value)
    number = int(value)
    if (minimum is not None and number < minimum) or (maximum is not None and number > maximum):
        raise _number_error(argument, expected, value)
    return number


def as_number(
    value: object,
    argument: str,
    *,
    minimum: float | None = None,
    maximum: float | None = None,
    above: float | None = None,
    below: float | None = None,
) -> float:
    """Return a finite real number; `minimum` and `maximum` are inclusive, `above` and `below` exclusive."""
    parts = [
        f"{sign} {bound:g}"
        for sign, bound in ((">=", minimum), (">", above), ("<=", maximum), ("<", below))
        if bound is not None
    ]
    expected = ("a finite number " + " and ".join(parts)).strip()
    if isinstance(value, np.ndarray) and value.ndim == 0:
        value = value[()]
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, numbers.Real):
        raise _number_error(argument, expected, value)
    try:
        number = float(value)
    except OverflowError:
        raise _number_error(argument, expected, value) from None
    ok = math.isfinite(number)
    ok = ok and (minimum is None or number >= minimum) and (maximum is None or number <= maximum)
    ok = ok and (above is None or number > above) and (below is None or number < below)
    if not ok:
        raise _number_error(argument, expected, value)
    notice_width(number)
    return number


def notice_width(number: float) -> None:
    """Set `beyond_float32` if float32 cannot hold the number."""
    global beyond_float32
    if not -_F4_MAX <= number <= _F4_MAX:
        beyond_float32 = True


def as_bool(value: object, argument: str) -> bool:
    """Return True or False; other types raise, also 0 and 1."""
    if not isinstance(value, (bool, np.bool_)):
        raise _number_error(argument, "True or False", value)
    return bool(value)


def as_choice(value: object, argument: str, choices: Iterable[str]) -> str:
    """Return one of the given words; the error suggests the closest one."""
    names = list(choices)
    if isinstance(value, str) and value in names:
        return value
    expected = "one of " + ", ".join(names)
    raise InvalidConfigError.of(argument, names, value, text=expected, got=f"{value!r:.80}{near_miss(value, names)}")


def near_miss(name: object, names: Iterable[str]) -> str:
    """Return ``" (did you mean 'x'?)"`` for the closest of `names`, or an empty string."""
    if not isinstance(name, str):
        return ""
    import difflib  # only for errors

    close = difflib.get_close_matches(name[:100], list(names), n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""


def no_such_option(name: str, names: Iterable[str], owner: str) -> InvalidConfigError:
    """Return the error for an option that `owner` does not have."""
    known = list(names)
    return InvalidConfigError(
        f"{name}: no such option of {owner}{near_miss(name, known)}", argument=name, expected=known, actual=name
    )


def as_list(value: object, argument: str, expected: str) -> list[Any]:
    """Return the entries of a list, tuple, range or array; other iterables raise."""
    if isinstance(value, (list, tuple, range, np.ndarray)) and not (isinstance(value, np.ndarray) and not value.ndim):
        found = list(value[: LONGEST + 1])  # a range may be longer than memory
        if len(found) <= LONGEST:
            return found
        raise InvalidConfigError.of(argument, f"at most {LONGEST} {expected}", "more")
    raise InvalidConfigError.of(argument, expected, type(value).__name__)


def as_function(value: object, argument: str) -> Any:
    """Return a function or None."""
    if value is None or callable(value):
        return value
    raise InvalidConfigError.of(argument, "a function", type(value).__name__)


#: Maximum size of an array whose size is an argument: 16 GB in float64.
LARGEST = 1 << 31


def check_size(shape: Iterable[int], argument: str) -> None:
    """Raise before an array of this shape is allocated if it is absurdly large."""
    sizes = list(shape)
    if math.prod(sizes) > LARGEST:
        shown = " × ".join(f"{n:.3g}" if n < 1e300 else "…" for n in sizes)
        raise InvalidConfigError.of(argument, LARGEST, shown, text=f"at most {LARGEST} numbers")


def as_count(value: object, argument: str, *, minimum: int = 1) -> int:
    """Return an integer that is the length of a new array."""
    count = as_int(value, argument, minimum=minimum)
    check_size([count], argument)
    return count


def as_mapping(value: object, argument: str) -> Mapping[str, Any]:
    """Return a mapping of names to arrays."""
    if isinstance(value, Mapping):
        return value
    given = type(value).__name__
    raise InvalidConfigError.of(argument, "a mapping", given, text="a mapping of names to arrays")


def as_rng(rng: np.random.Generator | int | None, argument: str = "rng") -> np.random.Generator:
    """Return a random generator, created if `rng` is a seed."""
    if isinstance(rng, np.random.Generator):
        return rng
    if isinstance(rng, (int, np.integer)) and not isinstance(rng, bool) and rng >= 0:
        return np.random.default_rng(int(rng))
    expected = "a numpy.random.Generator or a seed"
    raise InvalidConfigError.of(argument, expected, type(rng).__name__)
