"""Compare the attention of several mechanisms over one graph."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from . import mechanisms
from ._validate import (
    ArrayLike,
    as_bool,
    as_choice,
    as_float,
    as_function,
    as_index,
    as_int,
    check_finite,
    check_length,
    check_ndim,
    check_nonempty,
    near_miss,
)
from .errors import AttentionError, InvalidConfigError
from .geometry import Euclidean, Poincare
from .graph import NeighborGraph, spectral_embedding
from .graph.properties import count_edges, described
from .mechanisms._base import Attention

__all__ = ["Analysis", "MechanismResult", "analyze", "analyze_file", "text_table"]

#: Length of the longest latent vector in hyperbolic mechanisms, as a share of the ball's radius.
REACH = 0.9
#: Maximum number of nodes of a layout, whose time and memory grow with its square.
MOST_LAID_OUT = 600


@dataclasses.dataclass(frozen=True)
class MechanismResult:
    """The attention of one mechanism over the graph.

    Args:
        key: Registry key, or the name of a model.
        options: The mechanism's options as JSON types.
        weights: One weight per edge of the graph, (K,) in CSR order, heads averaged.
        entropy: Entropy of each node's weights in nats, (V,).
        effective: Effective number of neighbours of each node, exp(entropy), (V,); 0 without neighbours.
        seconds: Time of one call over the whole graph.

    Example:
        >>> import graphattend as ga
        >>> from graphattend.analysis import analyze
        >>> pair = ga.NeighborGraph.from_edge_index([[0, 1], [1, 0]], 2)
        >>> analyze(pair, keys=["flash"]).results[0].effective
        array([1., 1.])
    """

    key: str
    options: dict[str, Any]
    weights: np.ndarray
    entropy: np.ndarray
    effective: np.ndarray
    seconds: float


@dataclasses.dataclass(frozen=True)
class Analysis:
    """The result of `analyze`.

    Args:
        graph: The graph.
        latents: The latent vectors (V, D).
        results: One entry per mechanism that applied.
        skipped: Reason by key for each mechanism that did not apply.
        agreement: Mean over nodes of Σ min(p, q) of two mechanisms' weights, (R, R); 1 means that they agree.
        directed: Whether the two directions of an edge count as two edges. None: unless every edge has both directions.

    Example:
        >>> import graphattend as ga
        >>> from graphattend.analysis import analyze
        >>> pair = ga.NeighborGraph.from_edge_index([[0, 1], [1, 0]], 2)
        >>> analyze(pair, keys=["flash", "linear"]).agreement.round(6)
        array([[1., 1.],
               [1., 1.]])
    """

    graph: NeighborGraph
    latents: np.ndarray
    results: tuple[MechanismResult, ...]
    skipped: dict[str, str]
    agreement: np.ndarray
    directed: bool | None = None

    @property
    def names(self) -> list[str]:
        """The names of the nodes; their numbers if the graph has no names."""
        names = self.graph.names
        return [str(i) for i in range(self.graph.num_nodes)] if names is None else [str(n) for n in names]

    def top(self, key: str, node: int, count: int = 3) -> list[tuple[int, float]]:
        """Return the neighbours with the largest weights of `node`; the weights of parallel edges are summed.

        Example:
            >>> import graphattend as ga
            >>> from graphattend.analysis import analyze
            >>> star = ga.NeighborGraph.from_edge_index([[1, 2, 0, 0], [0, 0, 1, 2]], 3)
            >>> analyze(star, keys=["scaled_dot_product"]).top("scaled_dot_product", 1)
            [(0, 1.0)]
        """
        key = as_choice(key, "key", [r.key for r in self.results])
        node, count = int(as_index(node, "node", self.graph.num_nodes, ndim=0)), as_int(count, "count", minimum=0)
        weights = next(r.weights for r in self.results if r.key == key)
        row = slice(int(self.graph.indptr[node]), int(self.graph.indptr[node + 1]))
        neighbours, inverse = np.unique(self.graph.indices[row], return_inverse=True)
        total = np.bincount(inverse, weights[row], neighbours.size) if neighbours.size else np.zeros(0)
        order = np.argsort(-total, kind="stable")[:count]
        return [(int(neighbours[i]), float(total[i])) for i in order]

    def to_dict(self) -> dict[str, Any]:
        """Return the analysis as JSON types.

        Example:
            >>> import graphattend as ga
            >>> from graphattend.analysis import analyze
            >>> pair = ga.NeighborGraph.from_edge_index([[0, 1], [1, 0]], 2)
            >>> analyze(pair, keys=["flash"]).to_dict()["results"][0]["weights"]
            [1.0, 1.0]
        """
        return {
            "nodes": self.names,
            "indptr": self.graph.indptr.tolist(),
            "indices": self.graph.indices.tolist(),
            "edges": count_edges(self.graph, self.directed)[0],
            "dim": int(self.latents.shape[1]),
            "results": [
                {
                    "key": r.key,
                    "options": r.options,
                    "weights": r.weights.tolist(),
                    "entropy": r.entropy.tolist(),
                    "effective": r.effective.tolist(),
                    "seconds": r.seconds,
                }
                for r in self.results
            ],
            "skipped": dict(self.skipped),
            "agreement": self.agreement.tolist(),
        }


def analyze(
    graph: NeighborGraph,
    embeddings: ArrayLike | None = None,
    keys: Sequence[str] | None = None,
    options: Mapping[str, Any] | None = None,
    *,
    dim: int = 16,
    seed: int = 0,
    models: Mapping[str, Attention] | None = None,
    on_progress: Callable[[int, int, str], Any] | None = None,
) -> Analysis:
    """Compute the attention of every node to its neighbours under several mechanisms, and compare the mechanisms.

    Args:
        graph: The graph. If it has no `distances`, the distance of an edge is 1 / weight (or 1).
        embeddings: Latent vectors (V, D); by default a spectral embedding with `dim` coordinates. They are scaled for
            each mechanism: to mean length √D for dot products, into the ball for hyperbolic mechanisms.
        keys: Registry keys; by default all mechanisms that apply to the graph, or none if ``models`` are given.
        options: Options by name; each mechanism gets those that it has.
        dim: Coordinates of the spectral embedding (at most V - 1 are used, padded with zeros to a multiple of 4).
        seed: Seed of the mechanisms' parameters.
        models: More mechanisms, such as trained ones, by their name in the results. They get ``embeddings`` without
            scaling.
        on_progress: Called before each mechanism with (number done, total number, key); returning False cancels.

    Returns:
        The results by mechanism.

    Raises:
        InvalidConfigError: Unknown mechanism, an option that no mechanism has, or no mechanism that applies.

    Example:
        >>> import graphattend as ga
        >>> from graphattend.analysis import analyze
        >>> ring = ga.NeighborGraph.from_edge_index([[0, 1, 2, 3], [1, 2, 3, 0]], 4)
        >>> [r.key for r in analyze(ring, keys=["flash", "multi_head"]).results]
        ['flash', 'multi_head']
    """
    if not isinstance(graph, NeighborGraph):
        raise InvalidConfigError(f"graph: expected a NeighborGraph, got {type(graph).__name__}", argument="graph")
    models = _checked_models(models, embeddings)
    explicit = keys is not None
    keys = ([] if models else mechanisms.list_mechanisms()) if keys is None else _list_of_keys(keys)
    check_options(keys, options := _mapping_of_options(options))
    seed = as_int(seed, "seed", minimum=0)
    as_function(on_progress, "on_progress")
    x = latents(graph, embeddings, as_int(dim, "dim", minimum=1))
    graph = with_distances(graph)
    results: list[MechanismResult] = []
    skipped: dict[str, str] = {}
    for i, name in enumerate([*models, *keys]):
        if on_progress is not None and on_progress(i, len(models) + len(keys), name) is False:
            break
        if name in models:
            results.append(_run(name, models[name], graph, x[:, : np.asarray(embeddings).shape[1]]))  # without padding
            continue
        try:
            attn = make(name, graph, x.shape[1], options, seed)
            results.append(_run(name, attn, graph, scaled_latents(attn, x)))
        except AttentionError as error:
            if explicit:
                raise
            skipped[name] = str(error)
    if not results:
        raise InvalidConfigError("keys: none of them applies to this graph", argument="keys")
    return Analysis(graph, x, tuple(results), skipped, _agreement(graph, results))


def with_distances(graph: NeighborGraph) -> NeighborGraph:
    """Return the graph with distances; by default 1 / weight (or 1)."""
    if graph.distances is not None:
        return graph
    weights = graph.edge_weights
    distances = np.ones(graph.num_edges) if weights is None else 1 / np.maximum(np.abs(weights), 1e-9)
    return dataclasses.replace(graph, distances=distances)


def _checked_models(models: object, embeddings: object) -> dict[str, Attention]:
    """Return the checked models; their names must not be registry keys, and they need embeddings."""
    expected = "mechanisms by names that are not registry keys"
    if models is None:
        return {}
    if not isinstance(models, Mapping):
        raise InvalidConfigError.of("models", expected, type(models).__name__)
    if not models:
        return {}
    for name, model in models.items():
        if not isinstance(name, str) or name in mechanisms.list_mechanisms() or not isinstance(model, Attention):
            raise InvalidConfigError.of("models", expected, f"{name!r:.60}: {type(model).__name__}")
    if embeddings is None:
        raise InvalidConfigError.of("embeddings", "the vectors that the models attend with", None)
    return dict(models)


def _list_of_keys(keys: object) -> list[str]:
    if isinstance(keys, (list, tuple)):
        return list(keys)
    raise InvalidConfigError(f"keys: expected a list of mechanisms, got {keys!r:.60}", argument="keys")


def _mapping_of_options(options: object) -> dict[str, Any]:
    if options is None or isinstance(options, Mapping):
        return dict(options or {})
    raise InvalidConfigError(f"options: expected options by name, got {options!r:.60}", argument="options")


def option_names(key: str) -> set[str]:
    """Return the names of the options of one mechanism."""
    return {f.name for f in dataclasses.fields(mechanisms.mechanism_class(key)) if f.init}


def check_options(keys: Sequence[str], options: Mapping[str, Any]) -> None:
    """Raise if there is an option that none of the mechanisms has."""
    names = {name for key in keys for name in option_names(key)}
    for name in options:
        if name not in names:
            raise InvalidConfigError(
                f"{name}: no such option of {', '.join(keys)}{near_miss(name, names)}",
                argument=name,
                expected=sorted(names),
            )


def latents(graph: NeighborGraph, embeddings: object, dim: int) -> np.ndarray:
    """Return the checked latent vectors of the nodes, or a spectral embedding, (V, D) with D a multiple of 4."""
    check_nonempty(np.empty(graph.num_nodes), "graph")
    if embeddings is None:
        wanted = min(dim, graph.num_nodes - 1)
        x = spectral_embedding(graph, wanted) if wanted else np.zeros((graph.num_nodes, 1))
    else:
        x = as_float(embeddings, "embeddings", beside=np.dtype(np.float64)).astype(np.float64)
        check_ndim(x, "embeddings", 2, 2)
        check_nonempty(x, "embeddings")
        check_length(x, "embeddings", 0, graph.num_nodes, "one row per node")
        check_finite(x, "embeddings")
    # The number of heads has to divide the width; zero coordinates change neither dot products nor distances.
    return np.pad(x, [(0, 0), (0, -x.shape[1] % 4)])


def make(key: str, graph: NeighborGraph, dim: int, options: Mapping[str, Any], seed: int) -> Attention:
    """Create a mechanism for a graph; `options` that it does not have are ignored."""
    names = option_names(key)
    chosen = {name: value for name, value in options.items() if name in names}
    cls = mechanisms.mechanism_class(key)
    return cls(dim, **{"seed": seed} | cls.options_from_graph(graph) | chosen)


def scaled_latents(attn: Attention, x: np.ndarray) -> np.ndarray:
    """Scale latent vectors for a mechanism: into its ball, onto its manifold, or to mean length √D."""
    # Mixed mechanisms share their latents. A point outside the ball would get its weights from rounding errors.
    curved = next((space for space in attn.input_manifolds if not isinstance(space, Euclidean)), None)
    if curved is None:
        mean = np.sqrt((x * x).sum(axis=1)).mean()
        return x if mean == 0 else x * (np.sqrt(x.shape[1]) / mean)
    longest = np.sqrt((x * x).sum(axis=1)).max()
    radius = abs(curved.curvature) ** -0.5 if isinstance(curved, Poincare) else 1.0
    unit = x if longest == 0 else x * (REACH * radius / longest)
    return unit if attn.output_manifold is None else np.asarray(curved.project(unit))


def _run(name: str, attn: Attention, graph: NeighborGraph, x: np.ndarray) -> MechanismResult:
    start = time.perf_counter()
    _, weights = attn.attend(graph, x, need_weights=True)
    seconds = time.perf_counter() - start
    weights = np.asarray(weights, np.float64)
    if weights.ndim == 2:
        weights = weights.mean(axis=1)
    if weights.size != graph.num_edges:
        # The mechanism added self-loops or global edges: keep the given edges and normalize their weights.
        weights = on_given_edges(attn, graph, weights)
    entropy, effective = _entropy(graph, weights)
    config = attn.to_config()["options"]
    return MechanismResult(name, config, weights, entropy, effective, seconds)


def on_given_edges(attn: Attention, graph: NeighborGraph, weights: np.ndarray) -> np.ndarray:
    worked = attn._attended_graph(graph)
    flat = worked.targets.astype(np.int64) * graph.num_nodes + worked.indices
    wanted = graph.targets.astype(np.int64) * graph.num_nodes + graph.indices
    order = np.argsort(flat, kind="stable")
    at = order[np.minimum(np.searchsorted(flat[order], wanted), flat.size - 1)]
    found = np.where(flat[at] == wanted, weights[at], 0.0)
    total = np.bincount(graph.targets, found, graph.num_nodes)[graph.targets]
    return np.divide(found, total, out=np.zeros_like(found), where=total > 0)


def linked_mean(graph: NeighborGraph, values: np.ndarray) -> float:
    """Return the mean of a number per node over the nodes that have neighbours."""
    return float(values[graph.degree() > 0].mean()) if graph.num_edges else 0.0


def _entropy(graph: NeighborGraph, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    log = np.log(np.where(weights > 0, weights, 1.0))
    entropy = np.maximum(np.bincount(graph.targets, -weights * log, graph.num_nodes), 0.0)
    return entropy, np.where(graph.degree() > 0, np.exp(entropy), 0.0)


def _agreement(graph: NeighborGraph, results: Sequence[MechanismResult]) -> np.ndarray:
    nodes = max(int((graph.degree() > 0).sum()), 1)
    stacked = np.stack([r.weights for r in results])
    out = np.empty((len(results), len(results)))
    for i, row in enumerate(stacked):
        out[i] = np.minimum(stacked, row).sum(axis=1) / nodes
    return out


def text_table(analysis: Analysis, *, nodes: int = 5, count: int = 3, width: int = 100) -> str:
    """Format the analysis as text for a terminal.

    Args:
        analysis: Result of `analyze`.
        nodes: Number of nodes to list, those of highest degree.
        count: Number of neighbours to list per node.
        width: Maximum number of characters per line.

    Returns:
        Tables of the mechanisms, their agreement and the top neighbours.

    Example:
        >>> import graphattend as ga
        >>> from graphattend.analysis import analyze, text_table
        >>> pair = ga.NeighborGraph.from_edge_index([[0, 1], [1, 0]], 2)
        >>> print(text_table(analyze(pair, keys=["flash"])).splitlines()[0])
        2 nodes, 1 edges, undirected, latent vectors of 4 coordinates
    """
    if not isinstance(analysis, Analysis):
        raise InvalidConfigError.of("analysis", "what analyze returned", type(analysis).__name__)
    nodes, count = as_int(nodes, "nodes", minimum=0), as_int(count, "count", minimum=0)
    width = as_int(width, "width", minimum=1)
    names, graph = analysis.names, analysis.graph
    lines = [
        f"{described(graph, analysis.directed)}, latent vectors of {analysis.latents.shape[1]} coordinates",
        "",
    ]
    wide = max(len("mechanism"), *(len(r.key) for r in analysis.results))
    lines.append(f"{'mechanism':<{wide}}  entropy  attends to   ms/call  closest to")
    for i, r in enumerate(analysis.results):
        others = analysis.agreement[i].copy()
        others[i] = -1
        j = int(others.argmax())
        close = "" if len(analysis.results) == 1 else f"{analysis.results[j].key} ({others[j]:.2f})"
        entropy, effective = linked_mean(graph, r.entropy), linked_mean(graph, r.effective)
        lines.append(f"{r.key:<{wide}}  {entropy:7.3f}  {effective:10.2f}  {r.seconds * 1e3:8.2f}  {close}")
    for i in np.argsort(-graph.degree(), kind="stable")[:nodes]:
        lines += ["", f"{names[i]} ({int(graph.degree()[i])} neighbours) attends to"]
        for r in analysis.results:
            top = ", ".join(f"{names[j]} {w:.2f}" for j, w in analysis.top(r.key, int(i), count))
            lines.append(f"  {r.key:<{wide}}  {top}"[:width])
    for key, reason in analysis.skipped.items():
        lines += ["", f"skipped {key}: {reason}"[:width]]
    return "\n".join(lines)


def analyze_file(
    content: str,
    *,
    suffix: str = ".json",
    keys: Sequence[str] | None = None,
    options: Mapping[str, Any] | None = None,
    embeddings: ArrayLike | None = None,
    seed: int = 0,
    name: str = "graph",
    report: bool = False,
    drawing: bool = True,
) -> dict[str, Any]:
    """Analyse the text of a graph file, and return the results in the forms that a page or a script shows.

    Args:
        content: Text of the file.
        suffix: Suffix of its format, such as ".json", ".csv", ".edges" or ".graphml".
        keys: Registry keys, as for `analyze`.
        options: Options of the mechanisms, as for `analyze`.
        embeddings: Latent vectors (V, D), as for `analyze`.
        seed: Seed, as for `analyze`.
        name: Name of the graph in the report.
        report: Whether to create the HTML report.
        drawing: Whether to compute a layout; graphs of more than `MOST_LAID_OUT` nodes get none.

    Returns:
        ``analysis`` (as `Analysis.to_dict`), ``table`` (text), ``positions`` of the layout (V, 2) or None, and
        ``report`` (HTML) or None.

    Raises:
        LoadError: The text is not a graph in this format.

    Example:
        >>> from graphattend.analysis import analyze_file
        >>> found = analyze_file("a b\\nb a\\n", suffix=".txt", keys=["flash"])
        >>> found["analysis"]["nodes"]
        ['a', 'b']
    """
    from .drawing import layout
    from .graph.files import parse
    from .report import html_report

    for given, argument in ((content, "content"), (suffix, "suffix"), (name, "name")):
        if not isinstance(given, str):
            raise InvalidConfigError(f"{argument}: expected text, got {type(given).__name__}", argument=argument)
    drawing, report = as_bool(drawing, "drawing"), as_bool(report, "report")
    graph, directed = parse(content.encode("utf-8", "replace"), name, suffix=suffix)
    found = dataclasses.replace(analyze(graph, embeddings, keys, options, seed=seed), directed=directed)
    drawing = drawing and graph.num_nodes <= MOST_LAID_OUT
    return {
        "analysis": found.to_dict(),
        "table": text_table(found),
        "positions": layout(graph.indptr, graph.indices).tolist() if drawing else None,
        "report": html_report(found, title=f"Who attends to whom: {name}") if report else None,
    }
