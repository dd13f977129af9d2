"""The small networks that `evaluate` compares: input projection, one or two layers, decoder; only the layers differ.

    h = x W + b            then for each layer h ← h + layer(γ h) W_o / γ
    labels                 relu(h) W_c + b_c
    links                  h √τ / √(|h|² + s), s the mean of all |h|²

Each layer has its own W_o, γ and parameters. The scalars γ and τ are trained, too. γ makes the attention scores differ
from the first epoch on (see `AttentionLayer.scale`), while h stays small, as training on few links requires. The output
for links is a compromise between h, whose dot products favour nodes with large |h|, and unit vectors, whose dot
products do not.

Every part returns its output and a pullback from the output's gradient to the gradients of the parameters.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

from .._vjp import vjp
from ..analysis import on_given_edges
from ..errors import InvalidConfigError
from ..functional.dot_product import dropout_multiplier
from ..geometry import Euclidean
from ..graph import NeighborGraph
from ..mechanisms._base import Attention

#: Bounds of the root mean square of a mechanism's initial inputs, and the number of bisection steps between them.
SCALES, HALVINGS = (0.01, 10.0), 10
#: Initial τ: the dot product of two long, parallel outputs for links.
SHARPNESS = 5.0
#: Added to squared norms to avoid a division by zero.
FLOOR = np.float32(1e-12)

Arrays = dict[str, np.ndarray]
#: Maps the gradient of an output to the gradients of the parameters.
ParameterPullback = Callable[[np.ndarray], Arrays]


class Network(Protocol):
    """A network that `evaluate` trains."""

    def init(self, seed: int) -> Arrays:
        """Return the initial parameters by name."""

    def apply(self, params: Arrays, rng: np.random.Generator | None = None) -> tuple[np.ndarray, ParameterPullback]:
        """Return the outputs of all nodes (V, E) and their pullback; dropout is on if `rng` is given."""


class Layer(Protocol):
    """The part of a network that uses the graph: z (V, D) → (V, E), with a pullback ``g -> (gz, gradients)``."""

    @property
    def width(self) -> int:
        """Width E of the outputs."""

    def init(self) -> Arrays:
        """Return the initial parameters by name."""

    def scale(self, z: np.ndarray) -> Arrays:
        """Return {"log_scale": the initial log γ}, or {} if scaling the inputs makes no difference."""

    def apply(self, params: Arrays, z: np.ndarray, rng: np.random.Generator | None) -> tuple[np.ndarray, Any]:
        """Return the outputs (V, E) and the pullback to z and the parameters; dropout is on if `rng` is given."""


def glorot(rng: np.random.Generator, rows: int, columns: int) -> np.ndarray:
    """Draw uniform float32 numbers between ±√(6 / (rows + columns)): Glorot & Bengio 2010."""
    limit = np.sqrt(6 / (rows + columns))
    return rng.uniform(-limit, limit, (rows, columns)).astype(np.float32)


@dataclasses.dataclass(frozen=True)
class AttentionLayer:
    """A mechanism over a graph; exponential and logarithmic maps at the origin convert to and from a curved space.

    Parameters of that space (a curvature) are not trained, because the maps depend on them. If the mechanism rejects
    the negative of a scalar (a temperature), its logarithm is trained, so that it keeps its sign.
    """

    attn: Attention
    graph: NeighborGraph

    def __post_init__(self) -> None:
        found = self.attn.parameters()
        scalars = {name: value for name, value in found.items() if value.ndim == 0}
        fixed = {
            n for n, v in scalars.items() if _spaces(self.attn.with_parameters({n: 1.5 * v})) != _spaces(self.attn)
        }
        signed = {n for n, v in scalars.items() if n not in fixed and not self._takes(n, -v)}
        object.__setattr__(self, "trained", tuple(n for n in found if n not in fixed))
        object.__setattr__(self, "signs", {n: float(np.sign(found[n])) for n in signed})
        out = self.attn.attend(self.graph, self._points(np.zeros((self.graph.num_nodes, self.attn.dim), np.float32))[0])
        object.__setattr__(self, "width", out.shape[1])

    trained: tuple[str, ...] = dataclasses.field(init=False)
    signs: dict[str, float] = dataclasses.field(init=False)
    width: int = dataclasses.field(init=False)

    def _takes(self, name: str, value: np.ndarray) -> bool:
        try:
            self.attn.with_parameters({name: value})
        except InvalidConfigError:
            return False
        return True

    def init(self) -> Arrays:
        """Return the mechanism's initial parameters, those in `signs` as logarithms."""
        found = self.attn.parameters()
        return {n: np.log(np.abs(found[n])) if n in self.signs else found[n] for n in self.trained}

    def with_parameters(self, params: Arrays) -> Attention:
        """Return the mechanism with these trained parameters."""
        return self.attn.with_parameters(
            {n: self.signs[n] * np.exp(params[n]) if n in self.signs else params[n] for n in self.trained}
        )

    def scale(self, z: np.ndarray) -> Arrays:
        """Return the scale at which the scores of a node's neighbours have a standard deviation of about 1.

        If all scores are about equal, every mechanism starts as the same average and learns little else. If they are
        far apart, the weights start one-hot and have no gradient.
        """
        mean = float(np.sqrt(np.mean(np.square(z, dtype=np.float64)))) or 1.0
        low, high = (np.log(bound / mean) for bound in SCALES)
        for _ in range(HALVINGS):
            middle = (low + high) / 2
            weights = self.weights(self.attn, np.exp(middle).astype(z.dtype) * z)
            low, high = (middle, high) if _spread(self.graph, weights) < 1 else (low, middle)
        return {"log_scale": np.asarray((low + high) / 2, np.float32)}

    def weights(self, attn: Attention, z: np.ndarray) -> np.ndarray:
        """Return one weight per edge, averaged over the heads, (K,)."""
        _, found = attn.attend(self.graph, self.points(z), need_weights=True)
        found = np.asarray(found, np.float64)
        found = found.mean(axis=1) if found.ndim == 2 else found
        return found if found.size == self.graph.num_edges else on_given_edges(attn, self.graph, found)

    def _points(self, z: np.ndarray) -> tuple[np.ndarray, Any]:
        space = next((s for s in self.attn.input_manifolds if not isinstance(s, Euclidean)), None)
        return (z, lambda g: (g,)) if space is None else vjp(space.expmap0, z)

    def points(self, z: np.ndarray) -> np.ndarray:
        """Return the mechanism's inputs: z, or z mapped to its space, (V, D)."""
        return self._points(z)[0]

    def apply(self, params: Arrays, z: np.ndarray, rng: np.random.Generator | None) -> tuple[np.ndarray, Any]:
        """Attend over the graph; return the outputs (V, E) and their pullback."""
        attn = self.with_parameters(params)
        x, pull_x = self._points(z)
        options: dict[str, Any] = {"training": True, "rng": rng} if rng is not None and attn.dropout else {}
        out, pull = attn.attend_vjp(self.graph, x, **options)
        space = attn.output_manifold
        flat, pull_out = (out, lambda g: (g,)) if space is None else vjp(space.logmap0, out)

        def pullback(g: np.ndarray) -> tuple[np.ndarray, Arrays]:
            found = pull(pull_out(g)[0])
            own = {n: found.parameters[n] for n in self.trained if n in found.parameters}
            for name, sign in self.signs.items():
                own[name] = own[name] * sign * np.exp(params[name])
            return pull_x(found.query)[0], own

        return flat, pullback


def _spread(graph: NeighborGraph, weights: np.ndarray) -> float:
    """Return the standard deviation of the logarithms of the positive weights about their row's mean."""
    kept = weights > 0
    logs, targets = np.log(weights[kept]), graph.targets[kept]
    count = np.bincount(targets, minlength=graph.num_nodes)
    mean = np.bincount(targets, logs, graph.num_nodes) / np.maximum(count, 1)
    free = logs.size - np.count_nonzero(count)
    return float(np.sqrt(np.square(logs - mean[targets]).sum() / free)) if free else 1.0


def _spaces(attn: Attention) -> tuple[Any, ...]:
    return (*attn.input_manifolds, attn.output_manifold)


@dataclasses.dataclass(frozen=True)
class GCNLayer:
    """Average the neighbours by D^(-1/2) (A + I) D^(-1/2), A undirected: Kipf & Welling 2017, equation 2."""

    graph: NeighborGraph
    width: int

    def init(self) -> Arrays:
        """Return no parameters; the network's W_o serves as the layer's."""
        return {}

    def scale(self, z: np.ndarray) -> Arrays:
        """Return {}, because the layer is linear."""
        return {}

    def _mixed(self, z: np.ndarray) -> np.ndarray:
        source, target = self.graph.indices, self.graph.targets
        degree = 1 + (np.bincount(source, minlength=len(z)) + np.bincount(target, minlength=len(z))) / 2
        root = (1 / np.sqrt(degree)).astype(z.dtype)[:, None]
        scaled = z * root
        out = scaled.copy()
        for i in range(z.shape[1]):
            column = scaled[:, i]
            both = np.bincount(target, column[source], len(z)) + np.bincount(source, column[target], len(z))
            out[:, i] += (both / 2).astype(z.dtype)
        return out * root

    def apply(self, params: Arrays, z: np.ndarray, rng: np.random.Generator | None) -> tuple[np.ndarray, Any]:
        """Average over the neighbours; the matrix is symmetric, so the pullback applies it again."""
        return self._mixed(z), lambda g: (self._mixed(g), {})


@dataclasses.dataclass(frozen=True)
class LayerNetwork:
    """x (V, F) → projection → layers, each with a residual → decoder.

    Args:
        x: Features of the nodes.
        layer: The layer that uses the graph.
        hidden: Width D.
        classes: Width of the decoder for labels; None for links.
        dropout: Share of the decoder's inputs that is dropped in training.
        layers: Number of layers of this kind, each with its own parameters.
    """

    x: np.ndarray
    layer: Layer
    hidden: int
    classes: int | None
    dropout: float
    layers: int = 1

    def init(self, seed: int) -> Arrays:
        """Return Glorot-uniform weights, zero biases and the layer's parameters."""
        rng = np.random.default_rng([seed, 2])
        params = {"w_in": glorot(rng, self.x.shape[1], self.hidden), "b_in": np.zeros(self.hidden, np.float32)}
        h = self._projected(params)
        for i in range(self.layers):
            part = {"w_out": glorot(rng, self.layer.width, self.hidden)} | self.layer.scale(h)
            part |= {f"own/{n}": a.astype(np.float32) for n, a in self.layer.init().items()}
            h = self._added(part, h, None)[0]
            params |= _named(i, part)
        if self.classes is None:
            params["log_sharpness"] = np.asarray(np.log(SHARPNESS), np.float32)
        else:
            params |= {"w_class": glorot(rng, self.hidden, self.classes), "b_class": np.zeros(self.classes, np.float32)}
        return params

    def last(self, params: Arrays) -> tuple[Arrays, np.ndarray]:
        """Return the parameters of the last layer and its inputs γ h, (V, D)."""
        h = self._projected(params)
        for i in range(self.layers - 1):
            h = self._added(_part(params, f"{i}/"), h, None)[0]
        part = _part(params, f"{self.layers - 1}/")
        return _part(part, "own/"), h * _scale(part)

    def _projected(self, params: Arrays) -> np.ndarray:
        return np.asarray(self.x @ params["w_in"] + params["b_in"])

    def apply(self, params: Arrays, rng: np.random.Generator | None = None) -> tuple[np.ndarray, ParameterPullback]:
        """Return the outputs of all nodes (V, E) and their pullback."""
        drop = self.dropout if rng is not None else 0.0
        h, pulls = self._projected(params), []
        for i in range(self.layers):
            h, pull = self._added(_part(params, f"{i}/"), h, rng)
            pulls.append(pull)
        out, decoder = _embedded(h, params) if self.classes is None else self._decoded(h, params, drop, rng)

        def pullback(g: np.ndarray) -> Arrays:
            g, grads = decoder(g)
            for i in reversed(range(self.layers)):
                g, part = pulls[i](g)
                grads |= _named(i, part)
            return grads | {"w_in": self.x.T @ g, "b_in": g.sum(axis=0)}

        return out, pullback

    def _added(self, part: Arrays, h: np.ndarray, rng: np.random.Generator | None) -> tuple[np.ndarray, Any]:
        """Return h + layer(γ h) W_o / γ, one layer with its residual connection, and the pullback."""
        scale = _scale(part)
        mixed, pull_layer = self.layer.apply(_part(part, "own/"), scale * h, rng)
        added = mixed @ part["w_out"] / scale

        def pullback(g: np.ndarray) -> tuple[np.ndarray, Arrays]:
            gh, own = pull_layer(g @ part["w_out"].T / scale)
            grads = {"w_out": mixed.T @ g / scale} | {f"own/{n}": a for n, a in own.items()}
            if "log_scale" in part:
                grads["log_scale"] = np.asarray(scale * (gh * h).sum() - (added * g).sum())
            return scale * gh + g, grads

        return h + added, pullback

    def _decoded(
        self, h: np.ndarray, params: Arrays, drop: float, rng: np.random.Generator | int | None
    ) -> tuple[np.ndarray, Any]:
        keep = (h > 0).astype(h.dtype)
        if drop:
            keep = keep * dropout_multiplier(h.shape, drop, rng, h.dtype)
        active = h * keep

        def pullback(g: np.ndarray) -> tuple[np.ndarray, Arrays]:
            return g @ params["w_class"].T * keep, {"w_class": active.T @ g, "b_class": g.sum(axis=0)}

        return active @ params["w_class"] + params["b_class"], pullback


def _embedded(h: np.ndarray, params: Arrays) -> tuple[np.ndarray, Any]:
    """Return the outputs for links h √τ / √(|h|² + s), (V, D), and their pullback."""
    squares = (h * h).sum(axis=1, keepdims=True)
    length = np.sqrt(squares + squares.mean() + FLOOR)
    root = np.exp(params["log_sharpness"] / 2)
    out = root * h / length

    def pullback(g: np.ndarray) -> tuple[np.ndarray, Arrays]:
        along = root * (g * h).sum(axis=1, keepdims=True) / length**3
        grads = {"log_sharpness": np.asarray((g * out).sum() / 2)}
        return root * g / length - h * (along + along.mean()), grads

    return out, pullback


def _scale(part: Arrays) -> Any:
    """Return γ, or 1 if the layer has none."""
    return np.exp(part["log_scale"]) if "log_scale" in part else np.float32(1)


def _named(place: int, part: Arrays) -> Arrays:
    """Return the parameters of one layer by their names in the network."""
    return {f"{place}/{n}": a for n, a in part.items()}


def _part(params: Arrays, prefix: str) -> Arrays:
    """Return the parameters whose names begin with `prefix`, without the prefix."""
    return {n.removeprefix(prefix): a for n, a in params.items() if n.startswith(prefix)}


@dataclasses.dataclass(frozen=True)
class LinearNetwork:
    """Logistic regression with logits x W + b, which ignores the graph."""

    x: np.ndarray
    classes: int

    def init(self, seed: int) -> Arrays:
        """Return zeros; any start works because the problem is convex."""
        return {"w": np.zeros((self.x.shape[1], self.classes), np.float32), "b": np.zeros(self.classes, np.float32)}

    def apply(self, params: Arrays, rng: np.random.Generator | None = None) -> tuple[np.ndarray, ParameterPullback]:
        """Return the logits of all nodes (V, C) and their pullback."""
        return self.x @ params["w"] + params["b"], lambda g: {"w": self.x.T @ g, "b": g.sum(axis=0)}
