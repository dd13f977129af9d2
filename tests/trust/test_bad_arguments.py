"""Bad values for every argument of every public function raise a typed error that names it, and change nothing."""

import datetime
import decimal
import fractions
import inspect
import sys
import warnings

import numpy as np
import pytest
from good_calls import CALLS, public_objects
from soak.clock import processor_time
from soak.watch import arrays

import graphattend as ga


class Nothing:
    """A useless object."""


class Broken:
    """An object that fails in every operation."""

    def __array__(self, *args, **kwargs):
        raise ValueError("no array today")

    def __len__(self):
        raise ValueError("no length today")

    def __iter__(self):
        raise ValueError("no entries today")


def _ragged():
    return [[1.0], [1.0, 2.0]]


#: Values that no argument accepts, then values that some accept.
NEVER = {"an object": Nothing, "one that breaks": Broken, "a class": lambda: Nothing, "a set": lambda: {1j, "a"}}
BAD = {
    **NEVER,
    "None": lambda: None,
    "text": lambda: "text",
    "no text": str,
    "a null": lambda: "a\0b",
    "bytes": lambda: b"bytes",
    "True": lambda: True,
    "-1": lambda: -1,
    "0": lambda: 0,
    "a half": lambda: 0.5,
    "10^12": lambda: 10**12,
    "2^63": lambda: 2**63,
    "10^400": lambda: 10**400,
    "-10^30": lambda: -(10**30),
    "NaN": lambda: float("nan"),
    "infinity": lambda: float("inf"),
    "1e308": lambda: 1e308,
    "complex": lambda: 1j,
    "a fraction": lambda: fractions.Fraction(1, 3),
    "a decimal": lambda: decimal.Decimal("0.1"),
    "a date": lambda: datetime.date(2020, 1, 1),
    "NumPy's date": lambda: np.datetime64("2020-01-01"),
    "an empty list": list,
    "an empty dict": dict,
    "ragged": _ragged,
    "a list of None": lambda: [None, None],
    "a list of text": lambda: ["a", "b"],
    "a dict of objects": lambda: {"w": Nothing(), "a": Nothing()},
    "a dict of None": lambda: {"w": None, "a": None},
    "numbers as keys": lambda: {1: 2},
    "an endless generator": lambda: iter(int, 1),
    "a function": lambda: len,
    "an array of text": lambda: np.array(["a", "b"]),
    "an array of objects": lambda: np.array([Nothing()], object),
    "a complex array": lambda: np.ones((5, 4), complex),
    "a structured array": lambda: np.zeros(2, "f4,i4"),
    "an empty array": lambda: np.zeros(0),
    "an array of no columns": lambda: np.zeros((5, 0)),
    "an array of seven axes": lambda: np.ones((1,) * 7),
    "an array of NaN": lambda: np.full((5, 4), np.nan),
    "an array of infinity": lambda: np.full((5, 4), np.inf),
    "an array of huge whole numbers": lambda: np.full((2, 3), 2**62),
    "an array of negative numbers": lambda: np.full(6, -1.0),
    "a masked array": lambda: np.ma.masked_array([1.0, 2.0], [True, False]),
}
#: Arguments with parts; the error names the bad part.
SPEAK = {"config", "metadata", "manifold", "mechanisms", "keys", "options", "experts"}
#: Arguments that are called: any function is valid, and its own errors propagate.
CALLED = {"score_mod", "on_progress", "objective", "validate", "loss", "lr", "parts", "function", "cancel"}
#: Values that are valid but take long.
LONG = {("recommend", "measure", "True"), ("evaluate", "mechanisms", "None")}
LONG |= {("RLNavigator.train", "epochs", n) for n in ("10^12", "2^63", "10^400")}
#: Arguments that are passed on to a user's object, which checks them when it is called.
HANDED_ON = {("training.graph_objective", "graph"), ("training.graph_objective", "queries")}
#: Public names without their own call, and the reasons.
ELSEWHERE = {
    "Attention": "the base of mechanisms, whose methods are here",
    "Evaluation": "a result",
    "Gradients": "a result",
    "Recommendation": "a result",
    "backend_info": "takes nothing",
    "get_num_threads": "takes nothing",
    "list_mechanisms": "takes nothing",
    "parallel": "tests/test_parallel.py: takes an executor",
    "testing.check_vjp": "takes whatever the function takes",
}
#: Modules that need other libraries or run for long; their own tests pass bad values.
OTHERS = ("dask.", "interop.", "evaluation.", "analysis.", "graph.", "compression.", "training.", "geometry.")

CASES = [(n, p) for n, call in CALLS.items() for p in call.parameters if (n, p) not in HANDED_ON]
LIMIT = 2.0 if sys.platform == "emscripten" else 0.5  # seconds, mostly slack for a busy machine


@pytest.fixture(autouse=True)
def elsewhere(monkeypatch, tmp_path_factory):
    """Run in a temporary folder, because files are written if the current folder is a valid path."""
    monkeypatch.chdir(tmp_path_factory.getbasetemp())


@pytest.mark.parametrize("name", CALLS)
def test_the_calls_are_good(name):
    if "missing" in str(CALLS[name].arguments):
        with pytest.raises(ga.LoadError, match="missing"):
            CALLS[name]()
    else:
        CALLS[name]()


def test_every_public_function_has_a_call():
    called = {call.function for call in CALLS.values()}
    missing = [
        name
        for name, value in public_objects().items()
        if value not in called
        and name not in CALLS
        and name not in ELSEWHERE
        and not name.startswith(OTHERS)
        and not (inspect.isclass(value) and issubclass(value, Exception))
    ]
    assert not missing


def others_fault(error, call, text):
    """Return whether the value is valid, or only invalid together with the other arguments."""
    if isinstance(error, ga.LoadError):
        return True  # the error names the file
    if isinstance(error, ga.NumericalInstabilityError) or error.argument == "parameters":
        return True  # a number that overflows, or a size that is too large, together with the others
    named = str(error.argument).partition("[")[0]
    inside = [*call.parameters, *call.arguments.get("parameters", ())]
    return named in inside or named.startswith(("w_", "dim", "backend"))


def outcome(name, parameter, kind):
    """Return what is wrong with the outcome of a call, or ""."""
    if (name, parameter, kind) in LONG or (parameter in CALLED and kind in ("a class", "a function")):
        return ""
    call = CALLS[name]
    others = {n: a for n, a in call.arguments.items() if n != parameter}
    before = [(a, a.tobytes()) for a in arrays(others)]
    value = BAD[kind]()
    start = processor_time()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            call(**{parameter: value})
    except ga.InternalError as error:
        return f"InternalError: {error}"
    except ga.AttentionError as error:
        text = str(error)
        if "\n" in text or len(text) > 1500:
            return f"a message of {len(text)} characters"
        if not (parameter in text or parameter in SPEAK or others_fault(error, call, text)):
            return f"names another argument: {text[:150]}"
    except Exception as error:
        return f"{type(error).__name__}: {error}"[:200]
    else:
        if kind in NEVER:
            return "was taken"
    if (seconds := processor_time() - start) > LIMIT:
        return f"took {seconds:.1f} s"
    if any(a.tobytes() != content for a, content in before):
        return "changed another argument"
    return ""


@pytest.mark.parametrize(("name", "parameter"), CASES, ids=[f"{n}-{p}" for n, p in CASES])
def test_bad_values(name, parameter):
    found = {kind: outcome(name, parameter, kind) for kind in BAD}
    wrong = {kind: text for kind, text in found.items() if text}
    assert not wrong
