"""Conversion of JavaScript's arguments to the forms that the Python functions take."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from ._bridge_graphs import from_fields, from_file, from_links
from ._bridge_names import LONGEST, snake, snake_names, unknown
from ._bridge_questions import JavaScriptFunction, score_mod
from ._validate import ArrayLike, as_floats, as_int
from .errors import AttentionError, DimensionMismatchError, InvalidConfigError
from .geometry import ManifoldBase
from .graph import GraphMetadata, NeighborGraph
from .mechanisms import from_config
from .mechanisms._base import Attention

#: Arguments that need no conversion except of their shape.
ROWS = frozenset({"query", "keys", "values"})
#: Number lists in options stay lists up to this length (such as the betas of Adam).
SHORT = 16


#: Cached, because reading a signature costs more than many of the calls.
_signature = functools.lru_cache(maxsize=512)(lambda function: tuple(inspect.signature(function).parameters.values()))


def signature_of(function: Callable[..., Any]) -> tuple[inspect.Parameter, ...]:
    """Return the parameters of a function, class or bound method (without ``self``)."""
    plain = getattr(function, "__func__", None)
    found: tuple[inspect.Parameter, ...] = _signature(function) if plain is None else _signature(plain)[1:]
    return found


def parameters_of(function: Callable[..., Any]) -> tuple[str, ...]:
    return tuple([p.name for p in signature_of(function)])


def rows(x: ArrayLike, name: str, dim: int, single: bool = False) -> Any:
    """Reshape a flat array (N·dim,) to (N, dim); with `single`, one row stays flat and means one query."""
    if not isinstance(x, np.ndarray) or x.ndim != 1 or (single and x.size == dim):
        return x
    if x.size % dim:
        raise DimensionMismatchError.of(name, dim, x.size, text=f"rows of {dim} numbers", got=f"{x.size} numbers")
    return x.reshape(-1, dim)


def _per_key(x: object, name: str, n: int) -> Any:
    """Reshape a flat array to one row per key, (n, width)."""
    if isinstance(x, np.ndarray) and x.ndim == 1 and n and x.size % n == 0:
        return x.reshape(n, -1)
    return x


def metadata(value: object, dim: int, n: int | None) -> Any:
    """Create a `GraphMetadata` from names and arrays."""
    fields = snake_names(value, "metadata")
    known = GraphMetadata.__dataclass_fields__
    for name in fields:
        if name not in known:
            raise unknown(name, known, "metadata")
    for name in ("edge_features", "structural_features"):
        if n is not None and name in fields:
            fields[name] = _per_key(fields[name], name, n)
    for name in ("latent_keys", "latent_values"):
        if name in fields:
            fields[name] = rows(fields[name], f"metadata.{name}", dim)
    return GraphMetadata(**fields)


def graph(value: object, options: object = None) -> Any:
    """Create a `NeighborGraph` from its fields, edges, nodes and links, or the text or bytes of a file."""
    directed = snake_names(options, "options").get("directed")
    if isinstance(value, str):
        return from_file(value.encode(), directed)
    if isinstance(value, np.ndarray) and value.dtype == np.uint8:
        return from_file(value.tobytes(), directed)
    if isinstance(value, NeighborGraph):
        return value
    if isinstance(value, dict):
        if "nodes" in value and ("links" in value or "edges" in value):
            return from_links(value, directed)
        fields = snake_names(value, "graph")
        if fields.keys() & {"edges", "edge_index"} or fields.keys() >= {"indptr", "indices"}:
            return from_fields(fields, directed, bound)
    expected = "indptr and indices, edges, edgeIndex, nodes and links, or a file"
    got = ", ".join(map(repr, value)) or "no names" if isinstance(value, dict) else type(value).__name__
    raise InvalidConfigError.of("graph", expected, type(value).__name__, got=f"{got:.80}")


def knn(x: ArrayLike, k: int, options: object = None) -> Any:
    """Create the graph in which every point attends to its k nearest neighbours."""
    return bound(NeighborGraph.knn, (x, k), function_options(options))


def attention_arguments(attn: Attention, names: tuple[str, ...], args: list[Any], options: object) -> dict[str, Any]:
    """Return the arguments of a mechanism's method by name, with flat arrays reshaped."""
    if len(args) > len(names):
        raise InvalidConfigError(f"expected at most {len(names)} arguments, got {len(args)}", argument="arguments")
    given = dict(zip(names, args, strict=False))
    for name, value in snake_names(options, "options").items():
        if name not in names or name in given:
            raise unknown(name, set(names) - set(given), "option")
        given[name] = value
    # Plain numbers without fractions arrive as integers; attention needs them as floats.
    data = {name: given[name] for name in ("query", "queries", *ROWS) if isinstance(given.get(name), np.ndarray)}
    if any(x.dtype.kind in "iu" for x in data.values()):
        given |= dict(zip(data, as_floats(data, *data.values()), strict=True))
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
    for name in given:
        if name.endswith("mask"):
            given[name] = mask(given[name])
    found, query = given.get("attn_mask"), given.get("query")
    if isinstance(found, np.ndarray) and found.ndim == 1 and n and isinstance(query, np.ndarray) and query.ndim > 1:
        given["attn_mask"] = found.reshape(-1, n) if found.size == query.shape[-2] * n else found
    if isinstance(given.get("metadata"), dict):
        given["metadata"] = metadata(given["metadata"], dim, n)
    if given.get("rng") is not None:
        given["rng"] = adapted("rng", given["rng"])


def bound(
    function: Callable[..., Any],
    args: Iterable[Any],
    options: dict[str, Any],
    through: Callable[..., Any] | None = None,
) -> Any:
    """Call, or call `through` with the same arguments; arguments that do not fit the signature are a typed error."""
    args = list(args)
    try:
        return (through or function)(*args, **options)
    except AttentionError:
        raise
    except TypeError:
        try:
            inspect.signature(function).bind(*args, **options)
        except TypeError as error:
            known = inspect.signature(function).parameters
            for name in options:
                if name not in known:
                    raise unknown(name, known, "option") from None
            raise InvalidConfigError(f"{function.__name__}: {error}", argument="arguments") from None
        raise


def last_is_data(function: Callable[..., Any], args: list[Any], options: object) -> tuple[list[Any], Any]:
    """Move `options` to the positional arguments if a required one is missing, as in ``init({"w": w})``."""
    if not isinstance(options, dict):
        return args, options
    parameters = signature_of(function)
    required = [p for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD and p.default is p.empty]
    if len(args) >= len(required) or {snake(n) for n in options} & {p.name for p in parameters}:
        return args, options
    return [*args, options], None


def mask(value: object) -> Any:
    """Return a mask: booleans, bytes and integers 0 and 1 become boolean; other numbers are added to the scores."""
    if not isinstance(value, np.ndarray) or value.dtype.kind in "fb":
        return value
    if value.dtype == np.uint8 or ((value == 0) | (value == 1)).all():
        return value != 0
    return value.astype(np.float32)


def adapted(name: str, value: object) -> Any:
    """Convert an argument to a type that JavaScript does not have."""
    if name.endswith("mask"):
        return mask(value)
    if name == "graph" and isinstance(value, (dict, list)):
        return graph(value)
    if name == "score_mod" and isinstance(value, JavaScriptFunction):
        return score_mod(value)
    if (
        name == "manifold"
        and isinstance(value, dict)
        and any(isinstance(x, JavaScriptFunction) for x in value.values())
    ):
        return of_functions(value)
    if name == "codecs" and isinstance(value, dict):
        return {int(n) if n.isdigit() and len(n) < LONGEST else n: x for n, x in value.items()}
    if name == "rng" and isinstance(value, int) and not isinstance(value, bool):
        return np.random.default_rng(as_int(value, "rng", minimum=0))
    return value


def of_functions(value: object) -> ManifoldBase:
    """Create a manifold from JavaScript functions by name."""
    from ._bridge_manifold import manifold

    functions = snake_names(value, "manifold")
    if isinstance(gradients := functions.get("gradients"), dict):
        functions["gradients"] = snake_names(gradients, "manifold.gradients")
    return manifold(functions)


def function_options(options: object) -> dict[str, Any]:
    """Return the options of a function with Python's names; a seed becomes a generator, a short array a list."""
    named = snake_names(options, "options")
    for name, value in named.items():
        named[name] = value = adapted(name, value)
        if isinstance(value, np.ndarray) and value.ndim == 1 and value.size <= SHORT:
            named[name] = value.tolist()
    return named


def nested(options: dict[str, Any]) -> dict[str, Any]:
    """Return the options with inner mechanisms created from their configs, whose names are in camel case, too."""
    out = {name: adapted(name, x) if name == "manifold" else x for name, x in options.items()}
    for name in ("experts", "mechanisms"):
        if isinstance(found := out.get(name), list):
            out[name] = [_inner(x, f"{name}[{i}]") if isinstance(x, dict) else x for i, x in enumerate(found)]
    return out


def _inner(config: dict[str, Any], path: str) -> Attention:
    """Create an inner mechanism; its errors name the full path of the argument."""
    try:
        options = nested(snake_names(config.get("options"), "options"))
        return from_config(config | {"options": options})
    except InvalidConfigError as error:
        where = (
            "."
            if str(error.argument).partition(".")[0] in ("key", "dim", "options", "version", "config")
            else ".options."
        )
        raise InvalidConfigError(
            f"{path}{where}{error.message}",
            argument=f"{path}{where}{error.argument}",
            expected=error.expected,
            actual=error.actual,
        ) from error
