"""The small networks that are compared: one input projection, one layer, one decoder; only the layer differs.

    z = x W + b            then h = z + layer(z) W_o, and for labels relu(h) W_c + b_c

Every part returns its output with a pullback from the output's gradient to the gradients of the parameters.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

from .._vjp import vjp
from ..errors import InvalidConfigError
from ..functional.dot_product import dropout_multiplier
from ..geometry import Euclidean
from ..graph import NeighborGraph
from ..mechanisms._base import Attention

Arrays = dict[str, np.ndarray]
#: From the gradient of an output to the gradients of the parameters.
ParameterPullback = Callable[[np.ndarray], Arrays]


class Network(Protocol):
    """What `evaluate` trains."""

    def init(self, seed: int) -> Arrays:
        """Initial parameters, by name."""

    def apply(self, params: Arrays, rng: np.random.Generator | None = None) -> tuple[np.ndarray, ParameterPullback]:
        """Outputs of all nodes (V, E); dropout is on if `rng` is given."""


class Layer(Protocol):
    """The part of a network that may look at neighbours: z (V, D) → (V, E), with ``g -> (gz, gradients)``."""

    @property
    def width(self) -> int:
        """Width E of the outputs."""

    def init(self) -> Arrays:
        """Initial parameters, by name."""

    def apply(self, params: Arrays, z: np.ndarray, rng: np.random.Generator | None) -> tuple[np.ndarray, Any]:
        """Outputs (V, E), and the pullback to z and to the parameters; dropout is on if `rng` is given."""


def glorot(rng: np.random.Generator, rows: int, columns: int) -> np.ndarray:
    """Uniform numbers within √(6 / (rows + columns)), float32: Glorot & Bengio 2010."""
    limit = np.sqrt(6 / (rows + columns))
    return rng.uniform(-limit, limit, (rows, columns)).astype(np.float32)


@dataclasses.dataclass(frozen=True)
class AttentionLayer:
    """A mechanism over a graph. Where it works on a curved space, exponential and logarithmic map lead there and back.

    Parameters that shape that space (a curvature) stay as they are, because the maps depend on them. A scalar whose
    negative the mechanism refuses (a temperature) is trained by its logarithm, so that it keeps its sign.
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
        """The mechanism's own initial parameters."""
        found = self.attn.parameters()
        return {n: np.log(np.abs(found[n])) if n in self.signs else found[n] for n in self.trained}

    def with_parameters(self, params: Arrays) -> Attention:
        """The mechanism with trained parameters."""
        return self.attn.with_parameters(
            {n: self.signs[n] * np.exp(params[n]) if n in self.signs else params[n] for n in self.trained}
        )

    def _points(self, z: np.ndarray) -> tuple[np.ndarray, Any]:
        space = next((s for s in self.attn.input_manifolds if not isinstance(s, Euclidean)), None)
        return (z, lambda g: (g,)) if space is None else vjp(space.expmap0, z)

    def points(self, z: np.ndarray) -> np.ndarray:
        """What the mechanism attends with: z, or z mapped onto its space, (V, D)."""
        return self._points(z)[0]

    def apply(self, params: Arrays, z: np.ndarray, rng: np.random.Generator | None) -> tuple[np.ndarray, Any]:
        """Attend over the graph."""
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


def _spaces(attn: Attention) -> tuple[Any, ...]:
    return (*attn.input_manifolds, attn.output_manifold)


@dataclasses.dataclass(frozen=True)
class GCNLayer:
    """Neighbours averaged by D^(-1/2) (A + I) D^(-1/2), A undirected: Kipf & Welling 2017, equation 2."""

    graph: NeighborGraph
    width: int

    def init(self) -> Arrays:
        """No parameters of its own; the network's W_o is the layer's."""
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
        """Average over the neighbours; the matrix is symmetric, so its pullback is itself."""
        return self._mixed(z), lambda g: (self._mixed(g), {})


@dataclasses.dataclass(frozen=True)
class LayerNetwork:
    """x (V, F) → projection → layer with a residual → decoder.

    Args:
        x: Features of the nodes.
        layer: What may look at neighbours.
        hidden: Width D.
        classes: Width of the decoder; without one the output is the hidden state itself.
        dropout: Share of the decoder's inputs that is dropped in training.
    """

    x: np.ndarray
    layer: Layer
    hidden: int
    classes: int | None
    dropout: float

    def init(self, seed: int) -> Arrays:
        """Glorot's uniform numbers, zero biases, and the layer's own parameters."""
        rng = np.random.default_rng([seed, 2])
        params = {
            "w_in": glorot(rng, self.x.shape[1], self.hidden),
            "b_in": np.zeros(self.hidden, np.float32),
            "w_out": glorot(rng, self.layer.width, self.hidden),
        }
        if self.classes is not None:
            params |= {"w_class": glorot(rng, self.hidden, self.classes), "b_class": np.zeros(self.classes, np.float32)}
        return params | {f"layer/{n}": a.astype(np.float32) for n, a in self.layer.init().items()}

    def own(self, params: Arrays) -> Arrays:
        """The layer's parameters among all."""
        return {n.removeprefix("layer/"): a for n, a in params.items() if n.startswith("layer/")}

    def latents(self, params: Arrays) -> np.ndarray:
        """What the layer is given: z = x W + b, (V, D)."""
        return np.asarray(self.x @ params["w_in"] + params["b_in"])

    def apply(self, params: Arrays, rng: np.random.Generator | None = None) -> tuple[np.ndarray, ParameterPullback]:
        """Outputs of all nodes."""
        drop = self.dropout if rng is not None else 0.0
        z = self.latents(params)
        mixed, pull_layer = self.layer.apply(self.own(params), z, rng)
        h = z + mixed @ params["w_out"]
        out, decoder = (h, None) if self.classes is None else self._decoded(h, params, drop, rng)

        def pullback(g: np.ndarray) -> Arrays:
            grads: Arrays = {}
            if decoder is not None:
                g, grads = decoder(g)
            gz, own = pull_layer(g @ params["w_out"].T)
            gz = gz + g
            grads |= {"w_in": self.x.T @ gz, "b_in": gz.sum(axis=0), "w_out": mixed.T @ g}
            return grads | {f"layer/{n}": a for n, a in own.items()}

        return out, pullback

    def _decoded(self, h: np.ndarray, params: Arrays, drop: float, rng: Any) -> tuple[np.ndarray, Any]:
        keep = (h > 0).astype(h.dtype)
        if drop:
            keep = keep * dropout_multiplier(h.shape, drop, rng, h.dtype)
        active = h * keep

        def pullback(g: np.ndarray) -> tuple[np.ndarray, Arrays]:
            return g @ params["w_class"].T * keep, {"w_class": active.T @ g, "b_class": g.sum(axis=0)}

        return active @ params["w_class"] + params["b_class"], pullback


@dataclasses.dataclass(frozen=True)
class LinearNetwork:
    """Logits x W + b: logistic regression, which does not look at the graph."""

    x: np.ndarray
    classes: int

    def init(self, seed: int) -> Arrays:
        """Zeros: the problem is convex."""
        return {"w": np.zeros((self.x.shape[1], self.classes), np.float32), "b": np.zeros(self.classes, np.float32)}

    def apply(self, params: Arrays, rng: np.random.Generator | None = None) -> tuple[np.ndarray, ParameterPullback]:
        """Logits of all nodes."""
        return self.x @ params["w"] + params["b"], lambda g: {"w": self.x.T @ g, "b": g.sum(axis=0)}
