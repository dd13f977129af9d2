"""One valid call of every public function, class and method by name, from which tests of bad input start."""

from __future__ import annotations

import contextlib
import inspect
import types
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
from soak import functions, training
from soak.draw import Tame
from soak.manifolds import MANIFOLDS, manifold, methods

import graphattend as ga
from graphattend.mechanisms import mechanism_class

F, G, T, C, E = ga.functional, ga.geometry, ga.training, ga.compression, ga.evaluation
RNG = np.random.default_rng(3)
X = RNG.standard_normal((5, 4))
EDGES = np.array([[0, 1, 2, 3, 4, 1], [1, 2, 3, 4, 0, 0]])
GRAPH = ga.NeighborGraph.from_edge_index(
    EDGES, 5, edge_weights=np.ones(6), distances=np.ones(6), edge_features=np.ones((6, 2)), layers=[0, 1, 0, 0, 2]
)
WEIGHTS = np.full(6, 0.5)


class Call(NamedTuple):
    """A function and valid arguments."""

    function: Callable[..., Any]
    arguments: dict[str, Any]

    @property
    def parameters(self) -> list[str]:
        """Names of all its parameters that take one value."""
        try:
            found = inspect.signature(self.function).parameters.values()
        except ValueError:
            return list(self.arguments)
        plain = [p.name for p in found if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
        return list(dict.fromkeys([*plain, *self.arguments]))

    def __call__(self, **changes: Any) -> Any:
        return self.function(**{**self.arguments, **changes})


def _by_name(function: Callable[..., Any], args: tuple[Any, ...], options: dict[str, Any]) -> Call:
    """Return the call with all arguments by name."""
    bound = inspect.signature(function).bind(*args, **options)
    return Call(function, dict(bound.arguments))


def _functions() -> Iterator[tuple[str, Call]]:
    for name, make in functions.FUNCTIONS.items():
        yield f"functional.{name}", _by_name(getattr(F, name), *make(Tame(0)))
    for name, loss in T.LOSSES.items():
        yield f"training.{name}", _by_name(loss, *training.ARGUMENTS[name](Tame(0), np.dtype(float)))


def _manifolds() -> Iterator[tuple[str, Call]]:
    for name in MANIFOLDS:
        m = manifold(name, 0)
        width = 5 if isinstance(m, G.Product) else 3
        points = m.random(1, (4, width))
        given = {"x": points, "y": points[::-1].copy(), "weights": np.ones(4), "points": points, "r": 0.5}
        given |= dict.fromkeys("uvg", np.full((4, width), 0.1))
        for method, needed in methods(name).items():
            yield f"geometry.{name}.{method}", Call(getattr(m, method), {n: given[n] for n in needed})
        yield f"geometry.{name}.origin", Call(m.origin, {"dim": width})
        yield f"geometry.{name}.random", Call(m.random, {"rng": 0, "shape": (2, width)})
    yield "geometry.Product", Call(G.Product, {"factors": [(G.Euclidean(), 2)]})
    for cls in (G.Poincare, G.Lorentz, G.Sphere):
        curvature = inspect.signature(cls).parameters["curvature"].default
        yield f"geometry.{cls.__name__}", Call(cls, {"curvature": curvature})
    yield "geometry.from_config", Call(G.from_config, {"config": G.Sphere().to_config()})


def _mechanisms() -> Iterator[tuple[str, Call]]:
    for key in ga.list_mechanisms():
        cls = mechanism_class(key)
        options = cls.example(np.random.default_rng(0), 4)[0]
        yield cls.__name__, Call(cls, {n: getattr(options, n) for n in ga.schema(key)["properties"]})
    attn = ga.MultiHeadAttention(4, num_heads=2)
    queries = {"query": X, "keys": X, "values": X}
    passes = {**queries, "attn_mask": np.ones(5, bool), "metadata": None, "training": True, "rng": 0}
    yield "Attention.forward", Call(attn.forward, {**passes, "need_weights": True, "threads": 1})
    yield "Attention.vjp", Call(attn.vjp, passes)
    yield "Attention.attention_weights", Call(attn.attention_weights, {"query": X, "keys": X})
    yield "Attention.prepare", Call(attn.prepare, {"keys": X, "values": X})
    over = {"graph": GRAPH, "queries": X, "keys": X, "values": X, "training": True, "rng": 0, "threads": 1}
    yield "Attention.attend", Call(attn.attend, over)
    yield "Attention.attend_vjp", Call(attn.attend_vjp, over)
    yield "Attention.with_parameters", Call(attn.with_parameters, {"parameters": attn.parameters()})
    yield "Attention.save", Call(attn.save, {"path": "missing/folder/a.npz"})
    yield "pullback", Call(attn.vjp(X, X, X)[1], {"grad_output": X, "grad_weights": np.ones((2, 5, 5))})
    yield "MultiHead.head_output", Call(attn.head_output, {"head": 0, **queries})
    yield "MultiHead.head_attention_weights", Call(attn.head_attention_weights, {"query": X[0], "keys": X})
    yield (
        "MoE.get_routing",
        Call(ga.MoEAttention.builder(4).add_local_expert().top_k(1).build().get_routing, {"query": X[0]}),
    )
    yield "LocalGlobal.row_pattern", Call(ga.LocalGlobalAttention(4).row_pattern, {"rows": 2, "n_keys": 4})
    steps = {"steps": 2, "rollouts": 1, "discount": 0.5, "epochs": 1, "batch_size": 2, "lr": 0.01, "seed": 0}
    walks = {"graph": GRAPH, "vectors": X, "queries": X[:2]}
    yield "RLNavigator.train", Call(ga.RLNavigator(4).train, {**walks, **steps})
    yield "create", Call(ga.create, {"key": "flash", "dim": 4, "is_causal": True})
    yield "from_config", Call(ga.from_config, {"config": attn.to_config()})
    yield "schema", Call(ga.schema, {"key": "flash"})
    yield "use_backend", Call(ga.use_backend, {"name": "numpy"})
    yield "set_num_threads", Call(ga.set_num_threads, {"threads": 1})
    yield "load", Call(ga.load, {"path": "missing.npz"})
    yield "read_embeddings", Call(ga.read_embeddings, {"path": "missing.npy"})
    yield "recommend", Call(ga.recommend, {"graph": GRAPH, "dim": 4})
    yield "vjp", Call(lambda function: ga.vjp(function, X), {"function": F.softmax})
    yield "GraphMetadata", Call(_described, dict.fromkeys(READ))


#: Mechanisms that read metadata, and the fields that they read.
READERS = ("edge_featured", "graph_rope", "hnsw_aware", "structural", "cross_space")
READ = (
    "edge_features",
    "distances",
    "hnsw_layers",
    "query_layer",
    "structural_features",
    "query_structural",
    "latent_keys",
)


def _described(**fields: Any) -> Any:
    """Pass metadata to every mechanism that reads these fields, because the reader validates them."""
    for key in READERS:
        made, inputs = mechanism_class(key).example(np.random.default_rng(0), 5)
        given = {n: v for n, v in fields.items() if v is not None and n in made.needed + made.used}
        if given:
            base = vars(inputs["metadata"])
            made.forward(
                inputs["query"], inputs["keys"], inputs["values"], metadata=ga.GraphMetadata(**{**base, **given})
            )


def _graphs() -> Iterator[tuple[str, Call]]:
    yield "NeighborGraph", Call(ga.NeighborGraph, {"indptr": [0, 1, 2], "indices": [1, 0], "names": ("a", "b")})
    make = {"edge_index": EDGES, "num_nodes": 5, "edge_weights": np.ones(6), "layers": np.zeros(5, int)}
    yield "NeighborGraph.from_edge_index", Call(ga.NeighborGraph.from_edge_index, make)
    yield "NeighborGraph.knn", Call(ga.NeighborGraph.knn, {"x": X, "k": 2, "manifold": G.Euclidean()})
    yield "NeighborGraph.read", Call(ga.NeighborGraph.read, {"path": "missing.csv"})
    yield "NeighborGraph.write", Call(GRAPH.write, {"path": "missing/folder/a.json"})
    with contextlib.suppress(ga.UnsupportedError):  # if networkx and SciPy are installed
        yield "NeighborGraph.from_networkx", Call(ga.NeighborGraph.from_networkx, {"graph": GRAPH.to_networkx()})
    with contextlib.suppress(ga.UnsupportedError):
        yield "NeighborGraph.from_scipy", Call(ga.NeighborGraph.from_scipy, {"matrix": GRAPH.to_scipy()})
    for name, given in {
        "closeness": {"samples": 2, "seed": 0},
        "betweenness": {"samples": 2, "seed": 0},
        "pagerank": {"alpha": 0.5},
        "shortest_path_lengths": {"sources": [0, 1], "cutoff": 2.0},
        "laplacian": {"normalized": True},
        "structural_features": {"samples": 2},
        "subgraph": {"nodes": [0, 1]},
        "with_self_loops": {"fill_value": 1.0},
        "metadata": {"node": 0},
    }.items():
        yield f"NeighborGraph.{name}", Call(getattr(GRAPH, name), given)
    yield "graph.spectral_embedding", Call(ga.graph.spectral_embedding, {"graph": GRAPH, "dim": 2, "seed": 0})
    yield "graph.delta_hyperbolicity", Call(ga.graph.delta_hyperbolicity, {"graph": GRAPH, "samples": 5, "rng": 0})
    yield "graph.density", Call(ga.graph.density, {"graph": GRAPH})
    yield "graph.is_undirected", Call(ga.graph.is_undirected, {"graph": GRAPH})
    patterns = ga.graph.patterns
    sizes = {"num_queries": 4, "num_keys": 5}
    for name, given in {
        "sliding_window": {"window": 1},
        "dilated": {"window": 1, "dilation": 2},
        "strided": {"stride": 2},
        "block": {"block_size": 2},
        "global_tokens": {"nodes": [0]},
        "random": {"num_random": 2, "seed": 0},
    }.items():
        yield f"graph.patterns.{name}", Call(getattr(patterns, name), {**sizes, **given})
    yield "graph.patterns.from_graph", Call(patterns.from_graph, {"graph": GRAPH})


def _training() -> Iterator[tuple[str, Call]]:
    params = {"w": X}
    for name, cls in T.OPTIMIZERS.items():
        fields = {n: p.default for n, p in inspect.signature(cls).parameters.items() if p.default is not p.empty}
        if "manifold" in inspect.signature(cls).parameters:
            fields["manifold"] = G.Euclidean()
        yield f"training.{name}", Call(cls, fields)
        o = cls(**fields)
        yield f"training.{name}.init", Call(o.init, {"params": params})
        yield f"training.{name}.update", Call(o.update, {"params": params, "grads": params, "state": o.init(params)})
    for name, given in {
        "constant": {"lr": 0.1},
        "step": {"lr": 0.1, "step_size": 2, "gamma": 0.5},
        "warmup": {"lr": 0.1, "warmup_steps": 3},
        "cosine": {"lr": 0.1, "total_steps": 5, "min_lr": 0.0},
    }.items():
        yield f"training.schedules.{name}", Call(getattr(T.schedules, name), given)
    yield (
        "training.schedules.chain",
        Call(lambda parts: T.schedules.chain(parts), {"parts": (T.schedules.constant(0.1), 2)}),
    )
    yield "schedule", Call(lambda t: T.schedules.constant(0.1)(t), {"t": 1})
    mine = {
        "anchor": X[0],
        "embeddings": X,
        "positive_indices": [0],
        "k": 2,
        "strategy": "mixed",
        "degrees": np.arange(5),
    }
    yield "training.sample_hard_negatives", Call(T.sample_hard_negatives, {**mine, "rng": 0, "mix": 0.5})
    yield "training.Nodes", Call(T.Nodes, {"nodes": [0, 1]})
    yield "training.Pairs", Call(T.Pairs, {"pairs": EDGES, "num_nodes": 5, "num_negatives": 1})
    yield "training.Neighborhoods", Call(T.Neighborhoods, {"graph": GRAPH, "nodes": [0], "fanout": 2})
    yield "training.Rows", Call(lambda arrays: T.Rows(arrays), {"arrays": X})
    pairs = T.Pairs(EDGES, 5, num_negatives=1)
    for source in (T.Nodes(5), pairs, T.Neighborhoods(GRAPH, fanout=1), T.Rows(X)):
        yield (
            f"training.{type(source).__name__}.batch",
            Call(source.batch, {"index": [0, 2], "rng": np.random.default_rng(0)}),
        )
    yield "training.Pairs.contains", Call(pairs.contains, {"source": [0, 1], "other": [2, 3]})
    yield "training.Stage", Call(T.Stage, {"steps": 3, "difficulty": 0.5, "weights": {"a": 1.0}})
    scheduler = T.CurriculumScheduler([T.Stage(3), T.Stage(4)])
    yield "training.CurriculumScheduler", Call(T.CurriculumScheduler, {"stages": [T.Stage(3)], "mode": "step"})
    for name in ("stage", "difficulty", "weights"):
        yield f"training.CurriculumScheduler.{name}", Call(getattr(scheduler, name), {"t": 1})
    yield "training.CurriculumScheduler.select", Call(scheduler.select, {"t": 1, "difficulties": [0.1, 0.9]})
    balance = {"method": "gradnorm", "weights": {"a": 1.0}, "lr": 0.1, "alpha": 1.0, "shared": ["w"]}
    yield "training.LossBalancer", Call(T.LossBalancer, balance)
    balancer = T.LossBalancer()
    yield "training.LossBalancer.init", Call(balancer.init, {"names": ["a"]})
    combine = {"losses": {"a": 1.0}, "gradients": {"a": params}, "state": balancer.init(["a"])}
    yield "training.LossBalancer.combine", Call(balancer.combine, combine)
    yield "training.global_norm", Call(T.global_norm, {"grads": params})
    yield "training.clip_by_norm", Call(T.clip_by_norm, {"grads": params, "max_norm": 1.0})
    yield "training.clip_by_value", Call(T.clip_by_value, {"grads": params, "max_value": 1.0})
    trainer = {"objective": lambda p, b, r: (0.0, p), "optimizer": T.SGD(lr=0.1), "epochs": 1, "batch_size": 2}
    yield "training.Trainer", Call(T.Trainer, {**trainer, "seed": 0, "shuffle": True})
    fit = T.Trainer(lambda p, b, r: (0.0, p), T.SGD(lr=0.1), epochs=1).fit
    yield "training.Trainer.fit", Call(fit, {"model": params, "data": 3})
    attn = ga.ScaledDotProductAttention(4)
    aim = {"model": attn, "graph": GRAPH, "queries": X, "loss": lambda y, b: (0.0, lambda g: (y,))}
    yield "training.graph_objective", Call(T.graph_objective, aim)


def _compression() -> Iterator[tuple[str, Call]]:
    yield "compression.Quantizer", Call(C.Quantizer, {"bits": 8, "granularity": "group", "group_size": 2})
    yield "compression.LowRank", Call(C.LowRank, {"rank": 2})
    yield "compression.LowRank by energy", Call(C.LowRank, {"energy": 0.5})
    yield "compression.Tucker", Call(C.Tucker, {"ranks": (1, 1, 1)})
    yield "compression.SparseStorage", Call(C.SparseStorage, {"top_k": 2, "format": "coo"})
    yield "compression.SparseStorage by threshold", Call(C.SparseStorage, {"threshold": 0.5})
    yield "compression.Hierarchical", Call(C.Hierarchical, {"codecs": {0: C.Quantizer()}})
    for codec in (C.Quantizer(), C.LowRank(1), C.Tucker((1, 1, 1)), C.SparseStorage(top_k=1)):
        name, x = type(codec).__name__, X[None] if isinstance(codec, C.Tucker) else X
        yield f"compression.{name}.encode", Call(codec.encode, {"x": x})
        yield f"compression.{name}.decode", Call(codec.decode, {"compressed": codec.encode(x)})
    layered = C.Hierarchical({0: C.Quantizer()})
    yield "compression.Hierarchical.encode", Call(layered.encode, {"x": X, "layers": [0, 0, 0, 0, 0]})
    packed = C.Quantizer().encode(X)
    yield "compression.Compressed.save", Call(packed.save, {"path": "missing/folder/a.npz"})
    yield "compression.Compressed.load", Call(C.Compressed.load, {"path": "missing.npz"})
    yield "compression.Compressed.from_bytes", Call(C.Compressed.from_bytes, {"data": packed.to_bytes()})
    yield "compression.Compressed.to_bytes", Call(packed.to_bytes, {"format": "npz"})


def _evaluation() -> Iterator[tuple[str, Call]]:
    yes, scores = np.array([1, 0, 1, 0]), np.array([0.9, 0.2, 0.3, 0.4])
    yield "evaluation.roc_auc", Call(E.roc_auc, {"labels": yes, "scores": scores})
    yield "evaluation.calibration", Call(E.calibration, {"labels": yes, "probabilities": scores, "bins": 2})
    yield "evaluation.average_precision", Call(E.average_precision, {"labels": yes, "scores": scores})
    yield (
        "evaluation.mean_reciprocal_rank",
        Call(E.mean_reciprocal_rank, {"positive": [0.5], "negatives": [[0.1, 0.7]]}),
    )
    yield "evaluation.hits_at", Call(E.hits_at, {"positive": [0.5], "negatives": [[0.1, 0.7]], "k": 1})
    yield "evaluation.accuracy", Call(E.accuracy, {"labels": yes, "predicted": yes})
    yield "evaluation.macro_f1", Call(E.macro_f1, {"labels": yes, "predicted": yes})
    for name, given in {
        "sign_flip_test": {"differences": [0.1, 0.2], "samples": 10, "seed": 0},
        "jensen_shannon": {"graph": GRAPH, "first": WEIGHTS, "second": WEIGHTS},
        "top_overlap": {"graph": GRAPH, "first": WEIGHTS, "second": WEIGHTS, "k": 1},
    }.items():
        if hasattr(E, name):
            yield f"evaluation.{name}", Call(getattr(E, name), given)
    quick = {"graph": GRAPH, "task": "labels", "mechanisms": ["scaled_dot_product"], "x": X, "labels": [0, 1, 0, 1, 0]}
    quick |= {"seeds": 1, "baselines": False, "epochs": 1, "patience": 1, "hidden": 2, "lr": 0.01}
    quick["split"] = {"train": [0, 1], "validation": [2], "test": [3, 4]}
    yield "evaluate", Call(ga.evaluate, quick)
    ready = ga.evaluate(**quick)
    yield "Evaluation.top", Call(ready.top, {"name": "scaled_dot_product", "node": 1, "count": 2, "before": False})
    yield "Evaluation.calibration", Call(ready.calibration, {"name": "scaled_dot_product"})
    yield "Evaluation.plot", Call(lambda path: ready.plot(path), {"path": "a.svg"})
    analysis = ga.analysis.analyze(GRAPH, keys=["flash"], dim=4)
    yield "Analysis.top", Call(analysis.top, {"key": "flash", "node": 1, "count": 2})
    shown = {"analysis": analysis, "nodes": 2, "count": 2, "width": 80}
    yield "analysis.text_table", Call(ga.analysis.text_table, shown)
    yield "analysis.analyze", Call(ga.analysis.analyze, {"graph": GRAPH, "keys": ["flash"], "dim": 4, "seed": 0})
    yield "testing.check_mechanism", Call(ga.testing.check_mechanism, {"target": ga.FlashAttention, "laws": ["shapes"]})


def _calls() -> dict[str, Call]:
    parts = (_functions, _manifolds, _mechanisms, _graphs, _training, _compression, _evaluation)
    return {name: call for part in parts for name, call in part()}


CALLS = _calls()


def public_objects() -> dict[str, Any]:
    """Return functions and classes by their public names."""
    found: dict[str, Any] = {}
    modules = [("", ga)] + [
        (f"{n}.", m)
        for n in ga.__all__
        if isinstance(m := getattr(ga, n), types.ModuleType) and n not in ("errors", "simd")
    ]
    for prefix, module in modules:
        for name in getattr(module, "__all__", ()):
            value = getattr(module, name)
            if callable(value) and value not in found.values():
                found[prefix + name] = value
    return found
