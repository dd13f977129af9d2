"""Multi-head attention with a gate per head that depends on the query."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np

from .._validate import ArrayLike
from .._vjp import unbroadcast
from ..functional.gating import sigmoid
from ..functional.multi_head import linear, linear_pullback, project_pullback, project_together
from ..graph import NeighborGraph
from ._boundary import Call, Context, Inputs
from ._gradients import CoreGradients, CoreResult, Params
from ._mechanism import EdgeScores, GraphData
from ._options import option
from ._prepared import Prepared
from ._size_limit import reserve
from .multi_head import MultiHeadAttention


@dataclasses.dataclass(frozen=True, eq=False)
class DynamicHeadAttention(MultiHeadAttention):
    """Multi-head attention with a gate per head and query, which switches heads off.

    gate = sigmoid((query @ ``w_gate`` + ``b_gate``) / gate_temperature), (..., M, H). A head is active if its gate is
    at least `threshold`; the head with the highest gate is always active. Active heads are multiplied by their gate and
    the others by zero. Gradients flow through the gates of active heads.

    Args:
        dim: Width D of queries, keys, values and output.
        num_heads: H, the largest number of heads per query; must divide D unless `head_dim` is given.
        head_dim: Width E of a head, D/H by default.
        bias: Whether the projections have biases.
        threshold: Smallest gate of an active head.
        gate_temperature: Divides the gates' logits.
        temperature: Divides the scores.
        dropout: Probability of dropping a weight in training.
        seed: Seed of the initial parameters.
        check_finite: Whether NaN and infinity in the inputs raise an error.

    Source:
        Gates of heads as in Voita et al. 2019, "Analyzing Multi-Head Self-Attention", section 5.1, here as a function
        of the query as in Zhang et al. 2022, "Mixture of Attention Heads".

    Example:
        >>> import numpy as np, graphattend as ga
        >>> attn = ga.DynamicHeadAttention(8, num_heads=4)
        >>> x = np.random.default_rng(0).standard_normal((5, 8))
        >>> attn.active_heads(x)
        array([3, 1, 3, 2, 2])
    """

    threshold: float = option("float", 0.5, "least gate of an active head", minimum=0.0, maximum=1.0)
    gate_temperature: float = option("float", 1.0, "divides the logits of the gates", above=0.0)

    key: ClassVar[str] = "dynamic_heads"
    family: ClassVar[str] = "adaptive"

    def _init_parameters(self, rng: np.random.Generator) -> dict[str, np.ndarray]:
        p = super()._init_parameters(rng)
        reserve(self.dim, self.num_heads)
        limit = np.sqrt(6 / (self.dim + self.num_heads))
        p["w_gate"] = rng.uniform(-limit, limit, (self.dim, self.num_heads))
        p["b_gate"] = np.zeros(self.num_heads)
        return p

    def _gate(
        self, q: np.ndarray, p: Params, logits: np.ndarray | None = None
    ) -> tuple[np.ndarray, Callable[[np.ndarray], tuple[Any, ...]]]:
        """Return the gates (..., M, H), zero for inactive heads, and the pullback to the query, w_gate and b_gate."""
        shrink = q.dtype.type(1 / self.gate_temperature)
        z = linear(q, p["w_gate"], p["b_gate"]) if logits is None else logits
        gate = sigmoid(z if shrink == 1 else z * shrink)
        gate *= (gate >= self.threshold) | (z == np.maximum.reduce(z, axis=-1, keepdims=True))

        def pull(g: np.ndarray) -> tuple[Any, ...]:
            return linear_pullback(q, p["w_gate"], g * gate * (1 - gate) * shrink)

        return gate, pull

    def head_gates(self, query: ArrayLike) -> np.ndarray:
        """Return the gate of every head, zero if it is inactive: (H,) for a single query, else (..., M, H).

        Args:
            query: (D,) or (..., M, D).

        Example:
            >>> import numpy as np, graphattend as ga
            >>> ga.DynamicHeadAttention(8).head_gates(np.zeros(8))
            array([0.5, 0.5, 0.5, 0.5])
        """
        x = self._check(query, np.zeros((1, self.dim)), None, None, None, weights_only=True)
        gates = self._gate(x.q, self._params(x.q.dtype))[0]
        return gates[0] if x.single else gates

    def active_heads(self, query: ArrayLike) -> Any:
        """Return the number of active heads: an integer for a single query, else (..., M).

        Args:
            query: (D,) or (..., M, D).

        Example:
            >>> import numpy as np, graphattend as ga
            >>> int(ga.DynamicHeadAttention(8).active_heads(np.zeros(8)))
            4
        """
        return (self.head_gates(query) > 0).sum(axis=-1)

    @property
    def _gates(self) -> tuple[float, float]:
        return 1 / self.gate_temperature, self.threshold

    def _fused_prepared(self, query: Any, prepared: Prepared) -> np.ndarray | None:
        return self._fused(query, prepared.keys, prepared.values)

    def _edge_scores(
        self, q: np.ndarray, k: np.ndarray, graph: NeighborGraph, metadata: GraphData, p: Params
    ) -> EdgeScores | None:
        def pull(gq: np.ndarray, gk: np.ndarray, gs: np.ndarray, g_gain: np.ndarray) -> tuple[Any, ...]:
            return np.concatenate([gq, g_gain.T[..., None]], axis=-1), gk, {}, {}

        return EdgeScores(q[..., :-1], k, self._factor, gain=np.ascontiguousarray(q[..., -1].T), pull=pull)

    def _head_gate(self, q: np.ndarray, p: Params) -> tuple[Any, Any]:
        gate, pull_g = self._gate(q, p)

        def pull(g: np.ndarray) -> tuple[np.ndarray, dict[str, np.ndarray]]:
            gx, gw, gb = pull_g(g[..., 0].swapaxes(-1, -2))
            return gx, {"w_gate": gw, "b_gate": gb}

        return gate.swapaxes(-1, -2)[..., None], pull

    def _run(self, x: Inputs, call: Call) -> tuple[Any, Any, Any]:
        # Several queries are not folded.
        return super()._run(x, Call(call.need_weights, call.training, call.rng, differentiate=True))

    def _project(
        self, q: np.ndarray, k: np.ndarray, v: np.ndarray | None, p: Params
    ) -> tuple[tuple[Any, Any, Any], Callable[..., Any]]:
        (h_q, h_k, h_v), pull = super()._project(q, k, v, p)
        gate, pull_g = self._gate(q, p)
        # The gate, one number per head and row, is passed on as an additional coordinate of the query.
        column = gate.swapaxes(-1, -2)[..., None]
        return (np.concatenate([h_q, column], axis=-1), h_k, h_v), lambda *g: self._pull_gated(pull, pull_g, *g)

    def _pull_gated(
        self, pull: Callable[..., Any], pull_g: Callable[..., Any], g_q: np.ndarray, g_k: np.ndarray, g_v: object
    ) -> tuple[Any, ...]:
        """Apply the pullback of projections whose queries include their gates."""
        *grads, gp = pull(g_q[..., :-1], g_k, g_v)
        gx, gw, gb = pull_g(g_q[..., -1].swapaxes(-1, -2))
        return (grads[0] + gx, *grads[1:], gp | {"w_gate": gw, "b_gate": gb})

    def _project_edges(
        self, q: np.ndarray, k: np.ndarray, v: np.ndarray, p: Params
    ) -> tuple[tuple[Any, Any, Any], Callable[..., Any]] | None:
        if not q is k is v:
            return self._project(q, k, v, p)
        h_q, h_k, h_v = project_together(q, p, self.num_heads, (p["w_gate"], p["b_gate"]))
        logits = np.ascontiguousarray(h_q[..., -1])  # NumPy then runs along the rows, not along the few heads
        gate, pull_g = self._gate(q, p, logits.T)
        h_q[..., -1] = gate.T
        return (h_q, h_k, h_v), lambda *g: self._pull_gated(lambda *by: project_pullback((q, k, v), p, by), pull_g, *g)

    def _core(self, q: np.ndarray, k: np.ndarray, v: np.ndarray | None, context: Context) -> CoreResult:
        gate = q[..., -1:]
        out, w, pull_c = super()._core(q[..., :-1], k, v, context)

        def pullback(g: np.ndarray, g_weights: np.ndarray | None = None) -> CoreGradients:
            c = pull_c(g * gate, g_weights)
            g_gate = (g * out).sum(axis=-1, keepdims=True)
            # The kernel's gradient has the queries' axes, that of the general pass has the axes of the whole batch.
            shape = (*c.q.shape[:-1], 1)
            g_gate = unbroadcast(np.broadcast_to(g_gate, np.broadcast_shapes(g_gate.shape, shape)), shape)
            return c._replace(q=np.concatenate([c.q, g_gate], axis=-1))

        return None if out is None else out * gate, w, pullback
