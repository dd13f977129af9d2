"""What JavaScript can ask for: the operations behind `_bridge.call`, each with plain arguments."""

from __future__ import annotations

import contextlib
import functools
import importlib
import inspect
import io
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from . import __version__, simd
from ._bridge_graphs import from_fields, from_file, from_links
from ._bridge_training import Training
from ._validate import as_int, near_miss
from .errors import AttentionError, DimensionMismatchError, InvalidConfigError, LoadError, UnsupportedError
from .graph import GraphMetadata, NeighborGraph
from .mechanisms import from_config, list_mechanisms
from .mechanisms._base import Attention
from .simd.accelerate import Acceleration, accelerate_numpy, accelerated

#: Modules whose public functions and classes can be called.
MODULES = ("functional", "geometry", "training", "training.schedules", "compression", "graph", "analysis")
#: Public names that make no sense from outside: they take paths or classes.
WITHHELD = frozenset(
    {"save", "load", "read", "builder", "example", "from_networkx", "from_scipy", "from_faiss_hnsw", "to_networkx"}
    | {
        "to_scipy",
        "differentiable",
        "ManifoldBase",
        "Schedule",
        "schedules",
        "patterns",
        "Trainer",
        "Session",
        "FitResult",
        "Progress",
    }
)
#: Longest name that can mean anything.
LONGEST = 100
#: Arguments that need no adapting beyond their shape.
ROWS = frozenset({"query", "keys", "values"})
#: Lists of numbers in options up to this length stay lists (such as the betas of Adam).
SHORT = 16


class Pullback:
    """The second half of a vector-Jacobian product, kept until JavaScript frees it."""

    def __init__(self, function: Callable[..., Any], shape: tuple[int, ...]) -> None:
        self._function = function
        self._shape = shape

    def apply(self, grad_output: Any, grad_weights: Any = None) -> Any:
        """Gradients for a gradient of the output, which may be flat."""
        if isinstance(grad_output, np.ndarray) and grad_output.ndim == 1 and grad_output.size == np.prod(self._shape):
            grad_output = grad_output.reshape(self._shape)
        if grad_weights is None:
            return self._function(grad_output)
        return self._function(grad_output, grad_weights)


# -- names -----------------------------------------------------------------------------------------------------------


@functools.lru_cache(maxsize=1024)
def snake(name: str) -> str:
    """JavaScript's spelling of a name to Python's: numHeads to num_heads."""
    return "".join("_" + c.lower() if c.isupper() else c for c in name) if not name[:1].isupper() else name


def snake_names(options: Any, argument: str) -> dict[str, Any]:
    """Names of options in Python's spelling; the same one twice is refused."""
    if options is None:
        return {}
    if not isinstance(options, Mapping):
        raise InvalidConfigError(f"{argument}: expected names and values", argument=argument)
    out: dict[str, Any] = {}
    for name, value in options.items():
        if len(name) > LONGEST:
            raise _unknown(name, (), argument)
        key = snake(name)
        if key in out:
            raise InvalidConfigError(f"{key}: given twice", argument=key)
        out[key] = value
    return out


def _unknown(name: str, known: Iterable[str], what: str) -> InvalidConfigError:
    names = sorted(known)
    return InvalidConfigError(
        f"{name:.80}: no such {what}{near_miss(name, names)}", argument=name[:80], expected=names, actual=name[:80]
    )


@functools.lru_cache(maxsize=512)
def methods(cls: type) -> tuple[str, ...]:
    """Public methods of a class of this package."""
    names = (n for n in dir(cls) if not n.startswith("_") and n not in WITHHELD)
    return tuple(n for n in names if inspect.isfunction(inspect.getattr_static(cls, n)))


@functools.lru_cache(maxsize=512)
def _parameters(function: Callable[..., Any]) -> tuple[str, ...]:
    return tuple(inspect.signature(function).parameters)


def describe_object(value: Any) -> dict[str, Any]:
    """What JavaScript is told about an object it gets a handle of."""
    cls: Any = type(value)
    if not cls.__module__.startswith(__package__ or "graphattend"):
        raise UnsupportedError(f"{cls.__name__}: cannot be handed to JavaScript")
    out: dict[str, Any] = {"type": cls.__name__, "methods": methods(cls)}
    if isinstance(value, Attention):
        return out | _describe_mechanism(value)
    fields = {}
    for name in dir(cls):
        static = inspect.getattr_static(cls, name)
        if not name.startswith("_") and (isinstance(static, property) or not callable(static)):
            fields[name] = getattr(value, name)
    fields |= {n: v for n, v in getattr(value, "__dict__", {}).items() if not n.startswith("_")}
    scalars = {n: v for n, v in fields.items() if v is None or isinstance(v, (bool, int, float, str, np.generic))}
    return out | {"fields": scalars}


def _describe_mechanism(attn: Attention) -> dict[str, Any]:
    config = attn.to_config()
    return {
        "config": config,
        "key": attn.key,
        "dim": attn.dim,
        "family": attn.family,
        "complexity": attn.complexity,
        "supportsVariableLength": attn.supports_variable_length,
        # Whether each query row's result depends on that row alone and not on its position.
        "rowwise": not attn.rows_are_positions,
    }


# -- arguments ---------------------------------------------------------------------------------------------------------


def rows(x: Any, name: str, dim: int, single: bool = False) -> Any:
    """A flat array as rows of `dim`; a single row stays flat where that means one query."""
    if not isinstance(x, np.ndarray) or x.ndim != 1 or (single and x.size == dim):
        return x
    if x.size % dim:
        raise DimensionMismatchError.of(name, dim, x.size, text=f"rows of {dim} numbers", got=f"{x.size} numbers")
    return x.reshape(-1, dim)


def _per_key(x: Any, name: str, n: int) -> Any:
    """A flat array with as many rows as there are keys."""
    if isinstance(x, np.ndarray) and x.ndim == 1 and n and x.size % n == 0:
        return x.reshape(n, -1)
    return x


def metadata(value: Any, dim: int, n: int | None) -> Any:
    """A `GraphMetadata` from names and arrays."""
    fields = snake_names(value, "metadata")
    known = GraphMetadata.__dataclass_fields__
    for name in fields:
        if name not in known:
            raise _unknown(name, known, "metadata")
    for name in ("edge_features", "structural_features"):
        if n is not None and name in fields:
            fields[name] = _per_key(fields[name], name, n)
    for name in ("latent_keys", "latent_values"):
        if name in fields:
            fields[name] = rows(fields[name], f"metadata.{name}", dim)
    return GraphMetadata(**fields)


def graph(value: Any, options: Any = None) -> Any:
    """A `NeighborGraph` from its fields, from edges, from nodes and links, or from the text or bytes of a file."""
    directed = snake_names(options, "options").get("directed")
    if isinstance(value, str):
        return from_file(value.encode(), directed)
    if isinstance(value, np.ndarray) and value.dtype == np.uint8:
        return from_file(value.tobytes(), directed)
    if not isinstance(value, dict):
        return value
    if "nodes" in value and ("links" in value or "edges" in value):
        return from_links(value, directed)
    return from_fields(snake_names(value, "graph"), directed, _bound)


def knn(embeddings: Any, k: int, options: Any = None) -> Any:
    """The graph in which every point attends to its k nearest others."""
    return _bound(NeighborGraph.knn, (embeddings, k), snake_names(options, "options"))


def _attention_arguments(attn: Attention, names: tuple[str, ...], args: list[Any], options: Any) -> dict[str, Any]:
    """Arguments of a mechanism's method by name, flat arrays in the shapes they stand for."""
    if len(args) > len(names):
        raise InvalidConfigError(f"expected at most {len(names)} arguments, got {len(args)}", argument="arguments")
    given = dict(zip(names, args, strict=False))
    for name, value in snake_names(options, "options").items():
        if name not in names or name in given:
            raise _unknown(name, set(names) - set(given), "option")
        given[name] = value
    dim = attn.dim
    for name in ("query", "queries", "keys"):
        if name in given:
            given[name] = rows(given[name], name, dim, single=name == "query")
    keys = given.get("keys")
    n = keys.shape[-2] if isinstance(keys, np.ndarray) and keys.ndim > 1 else None
    values = given.get("values")
    if isinstance(values, np.ndarray) and values.ndim == 1:
        wide = n and attn.any_value_width and values.size % n == 0
        given["values"] = values.reshape(n or 1, -1) if wide else rows(values, "values", dim)
    if not given.keys() <= ROWS:
        _adapt_options(given, dim, n)
    if isinstance(given.get("graph"), dict):
        given["graph"] = graph(given["graph"])
    return given


def _adapt_options(given: dict[str, Any], dim: int, n: int | None) -> None:
    mask, query = given.get("attn_mask"), given.get("query")
    if isinstance(mask, np.ndarray):
        if mask.dtype.kind == "u":
            mask = mask != 0
        elif mask.dtype.kind == "i":
            mask = mask.astype(np.float32)
        if (
            mask.ndim == 1
            and n
            and isinstance(query, np.ndarray)
            and query.ndim > 1
            and mask.size == query.shape[-2] * n
        ):
            mask = mask.reshape(-1, n)
        given["attn_mask"] = mask
    if isinstance(given.get("metadata"), dict):
        given["metadata"] = metadata(given["metadata"], dim, n)
    if given.get("rng") is not None:
        given["rng"] = np.random.default_rng(given["rng"])


def _bound(function: Callable[..., Any], args: Iterable[Any], options: dict[str, Any]) -> Any:
    """Call; arguments that do not fit the signature are a typed error."""
    args = list(args)
    try:
        return function(*args, **options)
    except AttentionError:
        raise
    except TypeError:
        try:
            inspect.signature(function).bind(*args, **options)
        except TypeError as error:
            known = inspect.signature(function).parameters
            for name in options:
                if name not in known:
                    raise _unknown(name, known, "option") from None
            raise InvalidConfigError(f"{function.__name__}: {error}", argument="arguments") from None
        raise


# -- operations ----------------------------------------------------------------------------------------------------


_accelerations: list[Acceleration] = []


def start(accelerate: bool) -> dict[str, Any]:
    """Prepare this interpreter, which is ours: NumPy's loops in SIMD where there are some.

    One that comes from a snapshot was prepared before.
    """
    if accelerate and not _accelerations:
        _accelerations.append(accelerate_numpy())
    while _accelerations and not accelerate:
        _accelerations.pop().undo()
    return {"version": __version__, "mechanisms": list_mechanisms()}


def info() -> dict[str, Any]:
    """What does the arithmetic."""
    return simd.backend_info() | {"version": __version__, "accelerated": accelerated()}


def create(key: Any, options: Any) -> Attention:
    """A mechanism by key and options."""
    named = snake_names(options, "options")
    dim = named.pop("dim", None)
    return from_config({"key": key, "dim": dim, "options": named})


def save(value: Any, format: str) -> bytes:
    """An object as the bytes of a file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, f"saved.{format}")
        value.save(path)
        return path.read_bytes()


def load(data: np.ndarray, format: str) -> Any:
    """Whatever `save` wrote: a mechanism, a compressed array or a graph."""
    from .compression import Compressed
    from .mechanisms._files import load as load_mechanism

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, f"bytes.{format}")
        path.write_bytes(np.ascontiguousarray(data).tobytes())
        try:
            return load_mechanism(path)
        except LoadError as error:
            for read_other in (Compressed.load, NeighborGraph.read):
                with contextlib.suppress(LoadError):
                    return read_other(path)
            raise error


def _method_name(value: Any, name: str) -> str:
    found = snake(name) if isinstance(name, str) and len(name) <= LONGEST else "?"
    cls: Any = type(value)
    if found not in methods(cls):
        raise _unknown(found, methods(cls), f"method of {cls.__name__}")
    return found


def method(value: Any, name: str, args: list[Any], options: Any) -> Any:
    """A public method of an object."""
    if isinstance(value, Attention):
        function, arguments = attention_method(value, name, args, options)
        return _pullbacks(_bound(function, (), arguments))
    return _pullbacks(_called(getattr(value, _method_name(value, name)), args, options))


def attention_method(
    attn: Attention, name: str, args: list[Any], options: Any
) -> tuple[Callable[..., Any], dict[str, Any]]:
    """A public method of a mechanism, and its arguments by name."""
    python_name = _method_name(attn, name)
    names = _parameters(getattr(type(attn), python_name))[1:]
    function = getattr(attn, python_name)
    if python_name in ("forward", "attention_weights") and isinstance(options, dict) and options.get("topK"):
        options = dict(options)
        function = functools.partial(_strongest, function, python_name, options.pop("topK"))
    return function, _attention_arguments(attn, names, args, options)


def _strongest(function: Callable[..., Any], name: str, k: Any, **arguments: Any) -> Any:
    """Positions and sizes of the k largest weights of each row, by falling weight; after the output of `forward`."""
    output: list[Any] = []
    if name == "forward":
        *output, weights = function(**arguments | {"need_weights": True})
    else:
        weights = function(**arguments)
    k = as_int(k, "topK", minimum=1, maximum=weights.shape[-1])
    order = np.argsort(-weights, axis=-1, kind="stable")[..., :k].astype(np.int32)
    return (*output, order, np.take_along_axis(weights, order.astype(np.intp), axis=-1))


def _pullbacks(result: Any) -> Any:
    if isinstance(result, tuple) and len(result) == 2 and callable(result[1]):
        return {"output": result[0], "pullback": Pullback(result[1], np.shape(result[0]))}
    return result


def attribute(value: Any, name: str) -> Any:
    """A public attribute of an object."""
    python_name = snake(name)
    if python_name.startswith("_") or python_name in WITHHELD or not hasattr(value, python_name):
        raise _unknown(python_name, (), f"attribute of {type(value).__name__}")
    found = getattr(value, python_name)
    if callable(found):
        raise _unknown(python_name, (), f"attribute of {type(value).__name__}")
    return found


def function(module: str, name: str, args: list[Any], options: Any) -> Any:
    """A public function or class of one of MODULES."""
    return _called(_public(module, name), args, options)


def _called(function: Callable[..., Any], args: list[Any], options: Any) -> Any:
    """Call; a mapping in the place of an argument that is required is that argument, as in ``init({"w": w})``."""
    parameters = inspect.signature(function).parameters
    required = [p for p in parameters.values() if p.kind is p.POSITIONAL_OR_KEYWORD and p.default is p.empty]
    if isinstance(options, dict) and len(args) < len(required) and not {snake(n) for n in options} & parameters.keys():
        data = {int(n) if n.isdigit() else n: x for n, x in options.items()}
        return _bound(function, [*args, data], {})
    return _bound(function, args, _function_options(options))


def function_vjp(module: Any, name: str, args: list[Any], options: Any) -> Any:
    """`graphattend.vjp` of a public function of a module, or of a public method of an object."""
    from ._vjp import vjp

    found = _public(module, name) if isinstance(module, str) else getattr(module, _method_name(module, name))
    return _pullbacks(vjp(found, *args, **_function_options(options)))


def _public(module: str, name: str) -> Any:
    if module not in MODULES or len(name) > LONGEST:
        raise _unknown(module, MODULES, "module")
    package = importlib.import_module(f".{module}", __package__)
    names = [n for n in package.__all__ if n not in WITHHELD]
    name = snake(name)
    if name not in names:
        raise _unknown(name, names, f"name in {module}")
    return getattr(package, name)


def _function_options(options: Any) -> dict[str, Any]:
    """Options of a function: a seed becomes a generator, a short list of numbers stays a list."""
    named = snake_names(options, "options")
    if isinstance(named.get("rng"), int):
        named["rng"] = np.random.default_rng(named["rng"])
    for name, value in named.items():
        if isinstance(value, np.ndarray) and value.ndim == 1 and value.size <= SHORT:
            named[name] = value.tolist()
    return named


class Kept:
    """Wraps an array that is to stay on this side."""

    def __init__(self, array: np.ndarray) -> None:
        self.array = array


def tensor(x: Any) -> Kept:
    """An array to keep, read-only because several calls share it."""
    if not isinstance(x, np.ndarray):
        raise InvalidConfigError(f"data: expected an array of numbers, got a {type(x).__name__}", argument="data")
    array = x
    if array.dtype.kind in "iu":
        array = array.astype(np.float32)
    array.flags.writeable = False
    return Kept(array)


def read(x: Any) -> Any:
    """A kept array, handed out."""
    return x


def recommend(value: Any, options: Any) -> Any:
    """A mechanism that fits a graph, and why."""
    package = importlib.import_module(__package__ or "graphattend")
    found = _bound(package.recommend, (graph(value),), snake_names(options, "options"))
    return {"key": found.key, "options": dict(found.options), "reasons": list(found.reasons)}


def train(attn: Attention, over: Any, features: Any, labels: Any, targets: Any, nodes: Any, options: Any) -> Training:
    """A training run of a mechanism over a graph."""
    return Training(attn, graph(over), rows(features, "features", attn.dim), labels, targets, nodes, options)


def train_steps(run: Training) -> dict[str, Any] | None:
    """Some steps of a run: its progress, or None at the end."""
    return run.steps()


def train_result(run: Training) -> dict[str, Any]:
    """What a run gave."""
    return run.result()


def command_line(args: list[str], files: list[list[Any]]) -> dict[str, Any]:
    """Run the command line in a folder that holds the given files; those asked for come back. ``-`` is its input."""
    from .cli import main

    names, contents, outputs = files
    out, err = io.StringIO(), io.StringIO()
    given = {name: data.tobytes() for name, data in zip(names, contents, strict=True)}
    before = sys.stdin
    with tempfile.TemporaryDirectory() as folder:
        paths = [name for name in (*names, *outputs) if name != "-"]
        inside = {name: str(Path(folder, f"{i}-{Path(name).name}")) for i, name in enumerate(paths)}
        for name, data in given.items():
            if name != "-":
                Path(inside[name]).write_bytes(data)
        try:
            sys.stdin = io.TextIOWrapper(io.BytesIO(given.get("-", b"")), "utf-8")
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                status = main([inside.get(a, a) for a in args])
        finally:
            sys.stdin = before
        made = {name: Path(inside[name]) for name in outputs}
        found = {name: path.read_bytes() for name, path in made.items() if path.exists()}
    texts = {}
    for stream, text in (("stdout", out.getvalue()), ("stderr", err.getvalue())):
        for name, path in inside.items():
            text = text.replace(path, name)
        texts[stream] = text
    return {"status": status, "files": found, **texts}


OPERATIONS: dict[str, Callable[..., Any]] = {
    f.__name__: f
    for f in (
        *(start, info, create, save, load, tensor, read, graph, knn, recommend, method, attribute, function),
        *(function_vjp, train, train_steps, train_result, command_line),
    )
}
