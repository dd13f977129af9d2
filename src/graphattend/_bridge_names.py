"""The Python names that JavaScript can use, and their spelling in both languages."""

from __future__ import annotations

import functools
import inspect
import re
import sys
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

from ._validate import near_miss
from .errors import InvalidConfigError

#: Modules whose public functions and classes can be called.
MODULES = ("functional", "geometry", "training", "training.schedules", "compression", "graph", "analysis", "evaluation")
#: Public names that JavaScript does not have, and why.
_PATHS, _PYTHON = (
    "takes a path: save, load and ga.graph take bytes",
    "takes or gives an object of another Python library",
)
_BASE, _MADE = "a base for classes in Python", "made by other calls, never by hand"
_TRAIN = "ga.train does this, a few steps at a time"
WITHHELD: Mapping[str, str] = MappingProxyType(
    dict.fromkeys(("save", "load", "read", "write", "plot"), _PATHS)
    | dict.fromkeys(("from_networkx", "from_scipy", "from_faiss_hnsw", "to_networkx", "to_scipy"), _PYTHON)
    | dict.fromkeys(("ManifoldBase", "Manifold", "Codec", "Schedule", "differentiable"), _BASE)
    | dict.fromkeys(("Compressed", "QuantizedArray", "Hyperbolicity", "Analysis", "MechanismResult"), _MADE)
    | dict.fromkeys(("Attended", "Entry", "Evaluation", "Fit", "Run"), _MADE)
    | dict.fromkeys(("Trainer", "Session", "FitResult", "Progress", "graph_objective"), _TRAIN)
    | dict.fromkeys(
        ("MANIFOLDS", "CODECS", "LOSSES", "OPTIMIZERS", "SCHEDULES", "BASELINES"), "names are given as text"
    )
    | {
        "GraphMetadata": "an object of options: { metadata: { … } }",
        "NeighborGraph": "ga.graph and ga.knn make it",
        "builder": "ga.create takes all options at once",
        "example": "inputs for the tests of a mechanism",
        "options_from_graph": "ga.recommend gives them with the key",
        "schedules": "ga.training.schedules",
        "patterns": "combined with Python's operators",
    }
)
#: Length of the longest name that is looked up.
LONGEST = 100


@functools.lru_cache(maxsize=1024)
def snake(name: str) -> str:
    """Convert a name from camel case to snake case: numHeads to num_heads."""
    return "".join("_" + c.lower() if c.isupper() else c for c in name) if not name[:1].isupper() else name


def snake_names(options: object, argument: str) -> dict[str, Any]:
    """Return the options with names in snake case; raise if two names become the same."""
    if options is None:
        return {}
    if not isinstance(options, Mapping):
        raise InvalidConfigError(f"{argument}: expected names and values", argument=argument)
    out: dict[str, Any] = {}
    for name, value in options.items():
        if len(name) > LONGEST:
            raise unknown(name, (), argument)
        key = snake(name)
        if key in out:
            raise InvalidConfigError(f"{key}: given twice", argument=key)
        out[key] = value
    return out


def checked_name(name: object, argument: str) -> str:
    """Return a name from JavaScript in Python's spelling."""
    if not isinstance(name, str) or not 0 < len(name) <= LONGEST:
        raise InvalidConfigError.of(argument, f"text of at most {LONGEST} characters", type(name).__name__)
    return snake(name)


def unknown(name: str, known: Iterable[str], what: str) -> InvalidConfigError:
    names = sorted(known)
    return InvalidConfigError(
        f"{name:.80}: no such {what}{near_miss(name, names)}", argument=name[:80], expected=names, actual=name[:80]
    )


@functools.lru_cache(maxsize=1024)
def camel(name: str) -> str:
    """Convert a name or a dotted path from snake case to camel case: metadata.edge_features."""
    return re.sub(r"(?<=[a-z0-9])_([a-z0-9])", lambda found: found[1].upper(), name)


@functools.lru_cache(maxsize=512)
def methods(cls: type) -> tuple[str, ...]:
    """Return the names of the public methods of a class of this package."""
    names = (n for n in dir(cls) if not n.startswith("_") and n not in WITHHELD)
    return tuple(n for n in names if inspect.isfunction(inspect.getattr_static(cls, n)))


@functools.lru_cache(maxsize=8)
def _known(names: int) -> frozenset[str]:
    """Return the names with an underscore of parameters, options and metadata in the modules imported so far.

    `names`, the number of their attributes, is only the key of the cache: it changes when a module is imported.
    """
    found = {"grad_output", "grad_weights"}  # of pullbacks
    for module in [m for m in sys.modules if m.startswith(f"{__package__}.")]:
        name, own = module.partition(".")[2], vars(sys.modules[module]).values()
        ours = [t for t in own if getattr(t, "__module__", "").startswith(f"{__package__}.")]
        if name in MODULES or name.startswith(_OBJECTS):
            for thing in ours if name in MODULES else filter(inspect.isclass, ours):
                found.update(getattr(thing, "__dataclass_fields__", ()))
                found.update(_parameters(thing))
    return frozenset(n for n in found if "_" in n and not n.startswith("_"))


def _parameters(thing: object) -> Iterable[str]:
    """Yield the parameter names of a function, or of the public methods of a class."""
    functions = [thing]
    if inspect.isclass(thing):
        functions = [f for n, f in vars(thing).items() if n[0] != "_" or n == "__init__"]
    for function in filter(inspect.isfunction, functions):
        code = inspect.unwrap(function).__code__
        yield from code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]


#: Modules besides MODULES whose classes JavaScript has handles of.
_OBJECTS = ("graph.neighbor_graph", "graph.metadata", "mechanisms.")
_WORD = re.compile(r"\b[a-z][a-z0-9]*(?:_[a-z0-9]+)+\b")


def spelled(text: str) -> str:
    """Return the text with names of parameters and options in camel case; other words stay as they are."""
    # Lazy imports add names to a module.
    ours = [vars(m) for n, m in list(sys.modules.items()) if n.startswith(__package__ or "graphattend")]
    known = _known(sum(map(len, ours)))
    return _WORD.sub(lambda found: camel(found[0]) if found[0] in known else found[0], text)
