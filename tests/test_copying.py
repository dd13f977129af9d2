"""Every value of the library can be copied and pickled, and read-only arrays stay read-only.

The values come from the documentation's examples, so a new public class is found by its example.
"""

import contextlib
import copy
import dataclasses
import doctest
import importlib
import inspect
import io
import pickle
import pkgutil
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import pytest

import graphattend as ga
from graphattend._frozen import Frozen
from graphattend.mechanisms import mechanism_class

COPIES: dict[str, Callable[[Any], Any]] = {
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "pickle": lambda value: pickle.loads(pickle.dumps(value)),
}


def modules() -> Iterator[Any]:
    """Return all modules of the library that can be imported."""
    for info in pkgutil.walk_packages(ga.__path__, "graphattend."):
        if not info.name.endswith("__main__"):
            with contextlib.suppress(ImportError):  # an optional package is not installed
                yield importlib.import_module(info.name)


def run(example: str, names: dict[str, Any]) -> Any:
    """Return the value of one line of an example, or None."""
    try:
        code = compile(example, "example", "eval")
    except SyntaxError:
        exec(compile(example, "example", "exec"), names)
        return None
    return eval(code, names)


def outcome(examples: list[doctest.Example], names: dict[str, Any]) -> list[Any]:
    """Return the values of an example's lines, and of the names they bind."""
    quiet = io.StringIO()
    found = []
    with contextlib.suppress(ImportError):  # the example needs an optional package
        for example in (e for e in examples if not e.options.get(doctest.SKIP)):
            shown_errors = contextlib.suppress(ga.AttentionError)
            with shown_errors, contextlib.redirect_stdout(quiet), contextlib.redirect_stderr(quiet):
                found.append(run(example.source, names))
    return [*found, *names.values()]


def is_value(x: Any) -> bool:
    """Return whether this is an instance of a dataclass of the library."""
    return type(x).__module__.startswith(ga.__name__) and dataclasses.is_dataclass(type(x))


def keep(x: Any, found: dict[str, Any]) -> None:
    """Keep the first value of each class, also of values inside others."""
    if is_value(x) and type(x).__name__ not in found:
        found[type(x).__name__] = x
        for part in vars(x).values():
            keep(part, found)
    elif isinstance(x, tuple | list):
        for part in x:
            keep(part, found)


def values() -> dict[str, Any]:
    """Return one instance of each class, by name."""
    found: dict[str, Any] = {}
    for module in modules():
        for test in doctest.DocTestFinder().find(module):
            for x in outcome(test.examples, dict(test.globs)):
                keep(x, found)
    return found


VALUES = values()


def same(a: Any, b: Any, frozen: bool = False) -> bool:
    """Return whether two values are equal; with `frozen`, also require that no array is writeable."""
    if type(a) is not type(b):
        return False
    if isinstance(a, np.ndarray):
        return a.dtype == b.dtype and np.array_equal(a, b) and not (frozen and b.flags.writeable)
    if isinstance(a, Mapping):
        return list(a) == list(b) and all(same(a[name], b[name], frozen) for name in a)
    if isinstance(a, tuple | list):
        return len(a) == len(b) and all(same(x, y, frozen) for x, y in zip(a, b, strict=True))
    if is_value(a):
        return same(vars(a), vars(b), isinstance(a, Frozen))
    if inspect.ismethod(a):
        return a.__func__ is b.__func__ and same(a.__self__, b.__self__)
    return a is b or bool(a == b)


def test_the_examples_make_the_values() -> None:
    wanted = {"Compressed", "Hierarchical", "NeighborGraph", "Pattern", "GraphMetadata", "FitResult", "Prepared"}
    assert wanted | {mechanism_class(key).__name__ for key in ga.list_mechanisms()} <= set(VALUES)


# A trainer can be pickled if the user's functions can, unlike the lambda of the example.
@pytest.mark.parametrize(("name", "how"), [(n, h) for n in VALUES for h in COPIES if (n, h) != ("Trainer", "pickle")])
def test_a_copy_is_the_same(name: str, how: str) -> None:
    value = VALUES[name]
    assert same(COPIES[how](value), value)


@pytest.mark.parametrize("how", COPIES)
@pytest.mark.parametrize("key", ga.list_mechanisms())
def test_a_copied_mechanism_computes_the_same(key: str, how: str, rng: np.random.Generator) -> None:
    attn, inputs = mechanism_class(key).example(rng, 5)
    expected = attn.forward(**inputs)  # called first, so that there are casts and caches to copy
    copied = COPIES[how](attn)
    assert copied == attn
    np.testing.assert_array_equal(copied.forward(**inputs), expected)


def test_a_deep_copy_can_be_decoded_and_owns_its_arrays() -> None:
    codec = ga.compression.Hierarchical({0: ga.compression.Quantizer(bits=4), 1: ga.compression.LowRank(rank=1)})
    c = codec.encode(np.arange(12.0).reshape(4, 3), layers=[0, 0, 1, 1])
    copied = copy.deepcopy(c)
    np.testing.assert_array_equal(copied.codec.decode(copied), codec.decode(c))
    for name, array in copied.arrays.items():
        assert not np.shares_memory(array, c.arrays[name])
    with pytest.raises(TypeError):
        copied.arrays["layers"] = np.zeros(4)
