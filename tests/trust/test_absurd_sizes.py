"""10¹² keys, nodes, samples or coordinates, for every argument with a size, raise a typed error at once, without memory."""

import tracemalloc
import warnings

import numpy as np
import pytest
from good_calls import CALLS
from soak.clock import processor_time
from test_bad_arguments import CALLED, HANDED_ON, LIMIT

import graphattend as ga

pytestmark = pytest.mark.native  # WebAssembly has 32-bit pointers, so such arrays do not exist

HUGE = 10**12
MOST = 32 << 20  # bytes that a call may allocate


def absurd(good):
    """Return values like a valid one, but absurdly large."""
    if isinstance(good, (int, np.integer)) and not isinstance(good, bool):
        yield from (HUGE, 2**62)
    try:
        a = np.asarray(good)
    except ValueError:
        return
    if a.ndim and a.size and a.dtype.kind in "fiub":
        yield np.broadcast_to(a[:1], (HUGE, *a.shape[1:]))
        yield np.broadcast_to(a[..., :1], (*a.shape[:-1], HUGE))


#: Numbers of repetitions, which take time rather than memory and can be cancelled.
REPETITIONS = {("RLNavigator.train", "epochs"), ("RLNavigator.train", "steps")}
CASES = [
    (name, parameter)
    for name, call in CALLS.items()
    for parameter, good in call.arguments.items()
    if parameter not in CALLED and (name, parameter) not in HANDED_ON | REPETITIONS and any(True for _ in absurd(good))
]


def outcome(call, parameter, value):
    """Return what is wrong with the outcome of a call, or ""."""
    tracemalloc.start()
    start = processor_time()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            call(**{parameter: value})
    except ga.AttentionError as error:
        text = "" if "\n" not in str(error) and len(str(error)) < 1500 else "a long message"
    except Exception as error:
        text = f"{type(error).__name__}: {error}"[:200]
    else:
        text = ""
    seconds, peak = processor_time() - start, tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    if peak > MOST:
        return f"took {peak >> 20} MB; {text}"
    return f"took {seconds:.1f} s; {text}" if seconds > LIMIT else text


def test_most_functions_are_tried():
    assert len({name for name, _ in CASES}) > 0.7 * len(CALLS)
    assert len(CASES) > 300


@pytest.mark.parametrize(("name", "parameter"), CASES, ids=[f"{n}-{p}" for n, p in CASES])
def test_absurd_sizes(name, parameter):
    call = CALLS[name]
    wrong = {}
    for value in absurd(call.arguments[parameter]):
        if text := outcome(call, parameter, value):
            wrong[str(getattr(value, "shape", value))] = text
    assert not wrong
