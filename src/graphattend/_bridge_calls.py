"""The operations of `_bridge.call`; their arguments are plain Python values."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import importlib
import inspect
import io
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from . import __version__, simd
from ._bridge_arguments import (
    adapted,
    attention_arguments,
    bound,
    function_options,
    graph,
    knn,
    last_is_data,
    nested,
    of_functions,
    parameters_of,
    rows,
    signature_of,
)
from ._bridge_names import LONGEST, MODULES, WITHHELD, checked_name, methods, snake, snake_names, unknown
from ._bridge_training import Training
from ._validate import ArrayLike, as_choice, as_int
from .errors import InvalidConfigError, LoadError, UnsupportedError
from .graph import NeighborGraph
from .mechanisms import from_config, list_mechanisms
from .mechanisms._base import Attention
from .simd.accelerate import Acceleration, accelerate_numpy, accelerated


class Pullback:
    """A pullback that is kept until JavaScript frees it."""

    def __init__(self, function: Callable[..., Any], shape: tuple[int, ...]) -> None:
        self._function = function
        self._shape = shape

    def apply(self, grad_output: ArrayLike, grad_weights: np.ndarray | None = None) -> Any:
        """Return the gradients for a gradient of the output, which may be flat."""
        if isinstance(grad_output, np.ndarray) and grad_output.ndim == 1 and grad_output.size == np.prod(self._shape):
            grad_output = grad_output.reshape(self._shape)
        if grad_weights is None:
            return self._function(grad_output)
        return self._function(grad_output, grad_weights)


def describe_object(value: object) -> dict[str, Any]:
    """Return the description of an object that JavaScript gets with its handle."""
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
    return {
        "config": _config(attn),
        "key": attn.key,
        "dim": attn.dim,
        "family": attn.family,
        "complexity": attn.complexity,
        "supportsVariableLength": attn.supports_variable_length,
        # Whether each query row's result depends on that row alone and not on its position.
        "rowwise": not attn.rows_are_positions,
    }


def _config(attn: Attention) -> dict[str, Any]:
    """Return the mechanism's config without options that contain JavaScript functions."""
    try:
        return attn.to_config()
    except UnsupportedError:
        options = {}
        for field in dataclasses.fields(attn):
            if field.init and field.name != "dim":
                with contextlib.suppress(UnsupportedError):
                    options[field.name] = attn._encode_option(field.name, getattr(attn, field.name))
        return {"key": attn.key, "dim": attn.dim, "options": options, "version": 1}


# -- operations ----------------------------------------------------------------------------------------------------


_accelerations: list[Acceleration] = []


def start(accelerate: bool) -> dict[str, Any]:
    """Prepare the interpreter, which runs only graphattend: replace NumPy's loops by SIMD loops if asked.

    An interpreter restored from a snapshot is prepared already.
    """
    if accelerate and not _accelerations:
        _accelerations.append(accelerate_numpy())
    while _accelerations and not accelerate:
        _accelerations.pop().undo()
    schemas = Path(__file__).with_name("_bridge_schemas.json").read_text(encoding="utf-8")
    return {"version": __version__, "mechanisms": list_mechanisms(), "schemas": schemas}


def info() -> dict[str, Any]:
    """Return the backend, the version and the NumPy functions that run in SIMD."""
    return simd.backend_info() | {"version": __version__, "accelerated": accelerated()}


def create(key: object, options: object) -> Attention:
    """Create a mechanism by key and options."""
    named = snake_names(options, "options")
    dim = named.pop("dim", None)
    return from_config({"key": key, "dim": dim, "options": nested(named)})


def save(value: Any, format: str) -> bytes:
    """Return an object as the bytes of a file."""
    if not hasattr(value, "save"):
        raise UnsupportedError(f"{type(value).__name__}: cannot be saved", argument="this")
    as_choice(format, "format", ("npz", "safetensors"))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, f"saved.{format}")
        value.save(path)
        return path.read_bytes()


def load(data: np.ndarray, format: str) -> Any:
    """Read the bytes that `save` wrote: a mechanism, a compressed array or a graph."""
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


def _method_name(value: object, name: object, argument: str = "name") -> str:
    found = checked_name(name, argument)
    cls: Any = type(value)
    if found not in methods(cls):
        raise unknown(found, methods(cls), f"method of {cls.__name__}")
    return found


def method(value: object, name: str, args: list[Any], options: object) -> Any:
    """Call a public method of an object."""
    return _pullbacks(bound(*_of_method(value, name, args, options)))


def call_of(op: str, arguments: list[Any]) -> tuple[Callable[..., Any], list[Any], dict[str, Any]]:
    """Return what `method` or `function` would call with these arguments: function, arguments, arguments by name."""
    return {"method": _of_method, "function": _of_function}[op](*arguments)


def _of_method(
    value: object, name: str, args: list[Any], options: object
) -> tuple[Callable[..., Any], list[Any], dict[str, Any]]:
    if isinstance(value, Attention):
        function, arguments = _of_mechanism(value, name, args, options)
        return function, [], arguments
    function = getattr(value, _method_name(value, name))
    return function, *_converted(function, args, options)


def _of_function(
    module: str, name: str, args: list[Any], options: object
) -> tuple[Callable[..., Any], list[Any], dict[str, Any]]:
    function = _public(module, name)
    return function, *_converted(function, args, options)


def _of_mechanism(
    attn: Attention, name: str, args: list[Any], options: object
) -> tuple[Callable[..., Any], dict[str, Any]]:
    """Return a public method of a mechanism, and its arguments by name."""
    python_name = _method_name(attn, name)
    names = parameters_of(getattr(type(attn), python_name))[1:]
    function = getattr(attn, python_name)
    if isinstance(options, dict) and not any(snake(n) in names for n in options):
        args, options = last_is_data(function, args, options)
    if (
        python_name in ("forward", "attention_weights")
        and isinstance(options, dict)
        and options.get("topK") is not None
    ):
        options = dict(options)
        function = functools.partial(_strongest, function, python_name, options.pop("topK"))
    return function, attention_arguments(attn, names, args, options)


def _strongest(function: Callable[..., Any], name: str, k: object, **arguments: object) -> Any:
    """Return indices and values of the k largest weights per row in descending order, after `forward`'s output."""
    output: list[Any] = []
    if name == "forward":
        *output, weights = function(**arguments | {"need_weights": True})
    else:
        weights = function(**arguments)
    k = as_int(k, "topK", minimum=1, maximum=weights.shape[-1])
    order = np.argsort(-weights, axis=-1, kind="stable")[..., :k].astype(np.int32)
    return (*output, order, np.take_along_axis(weights, order.astype(np.intp), axis=-1))


def _pullbacks(result: object) -> Any:
    if isinstance(result, tuple) and len(result) == 2 and callable(result[1]):
        return {"output": result[0], "pullback": Pullback(result[1], np.shape(result[0]))}
    return result


def attribute(value: object, name: str) -> Any:
    """Return a public attribute of an object."""
    python_name = checked_name(name, "name")
    if python_name.startswith("_") or python_name in WITHHELD or not hasattr(value, python_name):
        raise unknown(python_name, (), f"attribute of {type(value).__name__}")
    found = getattr(value, python_name)
    if callable(found):
        raise unknown(python_name, (), f"attribute of {type(value).__name__}")
    return found


def function(module: str, name: str, args: list[Any], options: object) -> Any:
    """Call a public function or class of one of MODULES."""
    return bound(*_of_function(module, name, args, options))


def manifold(given: dict[str, Any]) -> Any:
    """Create a manifold from JavaScript functions."""
    return of_functions(given)


def _converted(function: Callable[..., Any], args: list[Any], options: object) -> tuple[list[Any], dict[str, Any]]:
    """Return the arguments of a function or class, converted."""
    parameters = signature_of(function)
    args, options = last_is_data(function, args, options)
    given = [
        x.tolist() if isinstance(x, np.ndarray) and str(p.annotation).startswith("Sequence") else adapted(p.name, x)
        for p, x in zip(parameters, args, strict=False)
    ]
    return [*given, *args[len(given) :]], function_options(options)


def function_vjp(module: object, name: str, args: list[Any], options: object) -> Any:
    """Call `graphattend.vjp` on a public function of a module or a public method of an object."""
    from ._vjp import vjp

    if isinstance(module, str):
        found = _public(module, name)
    elif type(module).__module__.startswith(f"{__package__}."):
        found = getattr(module, _method_name(module, name, "target"))
    else:
        expected = "module.name, or an object and the name of its method"
        raise InvalidConfigError.of("target", expected, type(module).__name__)
    return _pullbacks(bound(found, args, function_options(options), functools.partial(vjp, found)))


def _public(module: str, name: str) -> Any:
    if module not in MODULES or len(name) > LONGEST:
        raise unknown(module, MODULES, "module")
    package = importlib.import_module(f".{module}", __package__)
    names = [n for n in package.__all__ if n not in WITHHELD]
    name = snake(name)
    if name not in names:
        raise unknown(name, names, f"name in {module}")
    return getattr(package, name)


class Kept:
    """An array that stays on Python's side."""

    def __init__(self, array: np.ndarray) -> None:
        self.array = array


def tensor(x: ArrayLike) -> Kept:
    """Return an array to keep; it is read-only because several calls share it."""
    if not isinstance(x, np.ndarray):
        raise InvalidConfigError(f"data: expected an array of numbers, got a {type(x).__name__}", argument="data")
    array = x
    if array.dtype.kind in "iu":
        array = array.astype(np.float32)
    array.flags.writeable = False
    return Kept(array)


def read(x: ArrayLike) -> Any:
    """Return a kept array."""
    return x


def recommend(value: object, options: object) -> Any:
    """Return the recommended mechanism for a graph, with options and reasons."""
    package = importlib.import_module(__package__ or "graphattend")
    found = bound(package.recommend, (graph(value),), snake_names(options, "options"))
    return {"key": found.key, "options": dict(found.options), "reasons": list(found.reasons)}


def train(
    attn: Attention,
    over: object,
    features: ArrayLike,
    labels: ArrayLike,
    targets: object,
    nodes: ArrayLike,
    options: Any,
    validation_nodes: ArrayLike | None = None,
    resume: ArrayLike | None = None,
) -> Training:
    """Create a training run of a mechanism over a graph."""
    if not isinstance(attn, Attention):
        raise InvalidConfigError.of("attention", "a mechanism", type(attn).__name__)
    options = {**options, "validationNodes": validation_nodes, "resume": resume}
    return Training(attn, graph(over), rows(features, "features", attn.dim), labels, targets, nodes, options)


def train_steps(run: Training) -> dict[str, Any] | None:
    """Run some steps and return the progress, or None at the end."""
    return run.steps()


def train_cancel(run: Training) -> None:
    """End a run early; the parameters trained so far are its result."""
    run.cancel()


def train_result(run: Training) -> dict[str, Any]:
    """Return the result of a run."""
    return run.result()


def command_line(
    args: list[str], files: dict[str, np.ndarray], outputs: list[str], terminal: bool = False
) -> dict[str, Any]:
    """Run the command line on copies of the given files and return the output files; ``-`` is standard input.

    With `terminal`, it shows the progress on the standard error of the process, which is a terminal.
    """
    from .cli import main
    from .cli._common import Terminal

    if not isinstance(files, dict):
        raise InvalidConfigError.of("files", "an object of bytes by name", type(files).__name__)
    for name, part, kind in (("args", args, str), ("outputs", outputs, str), ("files", [*files.values()], np.ndarray)):
        if not all(isinstance(x, kind) for x in part):
            raise InvalidConfigError(f"{name}: expected {'bytes' if name == 'files' else 'texts'}", argument=name)
    out, err = io.StringIO(), Terminal() if terminal else io.StringIO()
    given = {name: data.tobytes() for name, data in files.items()}
    before = sys.stdin
    with tempfile.TemporaryDirectory() as folder:
        paths = [name for name in (*files, *outputs) if name != "-"]
        # One folder per file, because two files may have the same name.
        inside = {name: str(Path(folder, str(i), Path(name).name)) for i, name in enumerate(paths)}
        for path in inside.values():
            Path(path).parent.mkdir()
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
        *(start, info, create, save, load, tensor, read, graph, knn, manifold, recommend, method, attribute, function),
        *(function_vjp, train, train_steps, train_cancel, train_result, command_line),
    )
}
