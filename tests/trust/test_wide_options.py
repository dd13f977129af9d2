"""Options beyond float32's range with float32 data give finite numbers or a typed error, never a warning."""

import warnings

import numpy as np
import pytest
from good_calls import CALLS
from soak.manifolds import methods
from soak.watch import REFUSED, Watch
from test_bad_arguments import CALLED, HANDED_ON

import graphattend as ga
from graphattend import _validate
from graphattend.mechanisms import mechanism_class
from graphattend.training import OPTIMIZERS

WIDE = (1e40, -1e40, 1e300)
MAY = (ga.AttentionError,)
CASES = {n: [p for p in call.parameters if p not in CALLED and (n, p) not in HANDED_ON] for n, call in CALLS.items()}


def single(x):
    """Convert to float32, also the arrays inside mappings and tuples."""
    if isinstance(x, np.ndarray) and x.dtype == np.float64:
        return x.astype(np.float32)
    if isinstance(x, dict):
        return {name: single(part) for name, part in x.items()}
    return tuple(single(part) for part in x) if type(x) is tuple else x


def differentiate(call, what, function, *args, **options):
    """Return a function's result and gradients."""
    found = call(what, function, *args, may=MAY, **options)
    if found is not REFUSED and isinstance(found, tuple) and callable(found[-1]):
        outputs, pull = found
        call(f"{what}'s pullback", pull, np.ones_like(outputs), may=MAY)


@pytest.fixture
def call(monkeypatch):
    """Return a function that makes calls and fails for non-finite results and warnings."""
    monkeypatch.setattr(_validate, "beyond_float32", False)  # no such option was given
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield Watch()


@pytest.mark.parametrize("name", CASES)
def test_arguments(name, call):
    function, arguments = CALLS[name].function, single(CALLS[name].arguments)
    for parameter in CASES[name]:
        for value in WIDE:
            given, what = {**arguments, parameter: value}, f"{name}, {parameter}: {value}"
            taken = call(what, function, may=MAY, **given) is not REFUSED
            if taken and hasattr(function, "vjp_rule"):
                differentiate(call, f"{what}: vjp", ga.vjp, function, **given)


def numbers(key):
    """Return the options of a mechanism that are real numbers."""
    rules = ga.schema(key)["properties"]
    return [n for n, rule in rules.items() if "number" in np.atleast_1d(rule.get("type", ""))]


@pytest.mark.parametrize("key", ga.list_mechanisms())
def test_options_of_mechanisms(key, call):
    example, inputs = mechanism_class(key).example(np.random.default_rng(0), 4, 8)
    inputs, config = single(inputs), example.to_config()
    for name in numbers(key):
        for value in WIDE:
            changed = {**config, "options": {**config["options"], name: value}}
            attn = call(f"{name}: {value}", ga.from_config, changed, may=MAY)
            if attn is not REFUSED:
                what = f"{name}: {value}: "
                call(what + "forward", attn.forward, may=MAY, **inputs)
                call(what + "one query", attn.forward, may=MAY, **{**inputs, "query": inputs["query"][:1]})
                differentiate(call, what + "vjp", attn.vjp, **inputs)
    assert call.calls or not numbers(key)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_options_of_optimizers(name, call):
    fields = CALLS[f"training.{name}"].arguments
    w = {"w": np.ones((2, 3), np.float32) / 4}
    for field in fields:
        for value in WIDE:
            optimizer = call(f"{field}: {value}", OPTIMIZERS[name], may=MAY, **{**fields, field: value})
            if optimizer is not REFUSED:
                call(f"{field}: {value}: update", optimizer.update, w, w, optimizer.init(w), may=MAY)


@pytest.mark.parametrize("name", ["poincare", "lorentz", "sphere"])
def test_curvatures(name, call):
    for value in WIDE:
        m = call(f"curvature {value}", ga.geometry.MANIFOLDS[name], value, may=MAY)
        if m is not REFUSED:
            for method in methods(name):
                arguments = single(CALLS[f"geometry.{name}.{method}"].arguments)
                differentiate(call, f"curvature {value}: {method}", ga.vjp, getattr(m, method), **arguments)
