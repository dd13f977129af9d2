"""A share of the soak test on every instruction set, and its completeness; `make soak` runs millions of cases."""

import sys
import warnings

import numpy as np
import pytest
import soak
from soak import codecs, functions, manifolds, training
from soak.corpus import FILES
from soak.mechanisms import KEYS, VARIANTS, mechanism
from soak.watch import REFUSED, Broken, Watch

import graphattend as ga
from graphattend import compression, geometry
from graphattend.graph.formats import FORMATS, VECTORS

INSIDE_PYODIDE = sys.platform == "emscripten"
#: Cases per test, and tests per backend. A case makes 2.3 calls on average: 100 000 natively.
CASES, PARTS = (200, 1) if INSIDE_PYODIDE else (1100, 10)
BACKENDS = ga.backend_info()["available"]


@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize("backend", [name for name in BACKENDS if not INSIDE_PYODIDE or name == BACKENDS[0]])
def test_a_share(backend, part):
    watch = Watch()
    first = (BACKENDS.index(backend) * PARTS + part) * CASES
    with ga.use_backend(backend):
        for seed in range(first, first + CASES):
            soak.run(seed, watch)
    assert watch.calls > 1.5 * CASES
    assert watch.refused < 0.5 * watch.calls


def test_nothing_is_left_out():
    assert set(KEYS) == set(ga.list_mechanisms())
    assert set(functions.FUNCTIONS) == set(ga.functional.__all__)
    assert set(training.ARGUMENTS) == set(ga.training.LOSSES) | {"laplacian"}
    assert set(codecs.CODECS) == set(compression.CODECS)
    assert all(len(manifolds.methods(name)) >= 12 for name in geometry.MANIFOLDS)
    aliases = {".edges", ".edgelist", ".el", ".ncol", ".tsv", ".metis", ".index", ".hnswlib", ".bin"}
    assert {suffix for kind, suffix, _ in FILES if kind == "graph"} | aliases == set(FORMATS)
    assert {suffix for kind, suffix, _ in FILES if kind == "vectors"} >= set(VECTORS)


@pytest.mark.parametrize("key", KEYS)
def test_mechanisms_come_with_many_options(key):
    configs = {str(mechanism(key, variant).to_config()) for variant in range(VARIANTS)}
    assert len(configs) > 3


@pytest.mark.parametrize("file", FILES, ids=lambda file: "".join(file[:2]))
def test_the_files_are_whole(file):
    kind, suffix, content = file
    soak.readers.READERS[kind](content, suffix)


def test_the_same_seed_makes_the_same_calls(capsys):
    def told():
        watch = Watch(trail=True)
        for seed in range(60):
            soak.run(seed, watch)
        return capsys.readouterr().out

    assert told() == told() != ""


def _changes(x):
    x[0] = 1
    return x


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda x: x * np.nan, "returned nan"),
        (lambda x: {"a": [x + np.inf]}, "returned inf"),
        (_changes, "changed an input"),
        (lambda x: len(3), "TypeError"),
        (lambda x: warnings.warn("odd", RuntimeWarning, stacklevel=1), "RuntimeWarning"),
        (lambda x: (_ for _ in ()).throw(ga.InternalError("a fault")), "InternalError"),
        (lambda x: ga.functional.softmax("text"), "InvalidConfigError"),
    ],
)
def test_the_watch_sees(function, message):
    with warnings.catch_warnings(action="error"), pytest.raises(Broken, match=message):
        Watch()("it", function, np.zeros(3))


def test_the_watch_lets_typed_refusals_pass():
    def refuse(x):
        raise ga.NumericalInstabilityError("x: expected a finite number, got more")

    watch = Watch()
    assert watch("it", refuse, np.zeros(3)) is REFUSED
    assert (watch.calls, watch.refused) == (1, 1)
