"""Multi-head attention."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from functools import cached_property
from typing import Any, ClassVar, Final

import numpy as np

from .. import simd
from .._float64_fallback import silence, steady
from .._validate import ArrayLike, as_int
from .._vjp import unbroadcast
from ..errors import OutOfBoundsError
from ..functional.folding import attend_one, fold_query, unfold_heads
from ..functional.multi_head import BIASES, WEIGHTS, finish, folded, folds, project, project_pullback, project_together
from ..graph import GraphMetadata
from ._base import Attention
from ._boundary import Call, Context, Inputs
from ._gradients import CoreGradients, CoreResult, Grads, Params
from ._mechanism import SingleScores
from ._options import divide_heads, option
from ._prepared import Prepared
from ._scaled_dot import dot_product_core
from ._size_limit import reserve

#: Number of numbers in prepared keys from which their projections save more than folding weights into one query does.
FOLDED_SIZE: Final = 1 << 20


@dataclasses.dataclass(frozen=True, eq=False)
class MultiHeadAttention(Attention):
    """Multi-head attention: H attentions in projected subspaces, concatenated and projected back.

    The parameters are ``w_q, w_k, w_v`` (D, H·E), ``w_o`` (H·E, D) and the biases ``b_q, b_k, b_v, b_o``. A projection
    is y = x @ w + b, and head h uses columns h·E … (h+1)·E.

    Args:
        dim: Width D of queries, keys, values and output.
        num_heads: H; must divide D unless `head_dim` is given.
        head_dim: Width E of a head, D/H by default.
        bias: Whether the projections have biases, which are initially zero.
        temperature: Divides the scores.
        dropout: Probability of dropping a weight in training.
        seed: Seed of the initial projections (Glorot & Bengio 2010, uniform).
        check_finite: Whether NaN and infinity in the inputs raise an error.

    Source:
        Vaswani et al. 2017, "Attention Is All You Need", section 3.2.2.

    Example:
        >>> import numpy as np, graphattend as ga
        >>> attn = ga.MultiHeadAttention(8, num_heads=2)
        >>> x = np.random.default_rng(0).standard_normal((5, 8))
        >>> attn.forward(x[0], x, x).shape, attn.attention_weights(x[0], x).shape
        ((8,), (2, 5))
    """

    num_heads: int = option("int", 4, "number of heads", minimum=1)
    head_dim: int | None = option("int", None, "width of a head; null means dim / num_heads", minimum=1, nullable=True)
    bias: bool = option("bool", True, "whether the projections have biases")
    temperature: float = option("float", 1.0, "divides the scores; small values sharpen the weights", above=0.0)
    dropout: float = option("float", 0.0, "probability of dropping a weight in training", minimum=0.0, maximum=1.0)

    key: ClassVar[str] = "multi_head"
    family: ClassVar[str] = "core"
    complexity: ClassVar[str] = "O((M+N)·D² + M·N·D)"
    laws: ClassVar[frozenset[str]] = frozenset({"permutation"})

    def _check_options(self) -> None:
        divide_heads(self.dim, self.num_heads, self.head_dim)

    @property
    def heads(self) -> int:
        """H, because the weights have a head axis."""
        return self.num_heads

    @cached_property
    def width(self) -> int:
        """Width E of a head."""
        return divide_heads(self.dim, self.num_heads, self.head_dim)

    def _init_parameters(self, rng: np.random.Generator) -> dict[str, np.ndarray]:
        inner = self.num_heads * self.width
        reserve(4, self.dim, inner)
        limit = np.sqrt(6 / (self.dim + inner))
        p = {name: rng.uniform(-limit, limit, (self.dim, inner)) for name in WEIGHTS[:3]}
        p["w_o"] = rng.uniform(-limit, limit, (inner, self.dim))
        if self.bias:
            p |= {name: np.zeros(inner) for name in BIASES[:3]}
            p["b_o"] = np.zeros(self.dim)
        return p

    def _fused(self, query: Any, keys: Any, values: Any, mask: Any = None) -> np.ndarray | None:
        if type(query) is not np.ndarray or not simd.has_kernels(query.dtype) or query.shape != (self.dim,):
            return None
        p = self._params(query.dtype)
        checks = self.check_finite or mask is not None  # a mask may hide rubbish, for which the checked pass is needed
        options = self.num_heads, self._factor, checks
        return simd.multi_head_single(query, keys, values, p, *options, gates=self._gates, mask=mask)

    def _fused_prepared(self, query: Any, prepared: Prepared) -> np.ndarray | None:
        # Over many keys, the projections of `prepare` save more than folding them into the query.
        if prepared.keys.size < FOLDED_SIZE:
            return self._fused(query, prepared.keys, prepared.values)
        if type(query) is not np.ndarray or not simd.has_kernels(query.dtype) or query.shape != (self.dim,):
            return None
        k, v = prepared.projected
        return simd.multi_head_projected(query, k, v, self._params(query.dtype), self._factor, self.check_finite)

    @cached_property
    def _factor(self) -> float:
        """Factor of the dot products."""
        return float(self.width**-0.5 / self.temperature)

    def _fused_weights(
        self, query: Any, keys: Any, values: Any, metadata: Any, mask: Any = None
    ) -> tuple[Any, np.ndarray] | None:
        if metadata is not None or not simd.is_single(query, keys, values, self.dim):
            return None
        if values is not None and values.shape[1] != self.dim:
            return None
        p = self._params(query.dtype)
        with silence():
            if values is None:
                alone = simd.multi_head_weights(query, keys, p, self.num_heads, self._factor, mask)
                return None if alone is None else (None, alone)
            weights = np.empty((self.num_heads, len(keys)), query.dtype)
            options = self.num_heads, self._factor, True
            out = simd.multi_head_single(query, keys, values, p, *options, weights, self._gates, mask)
        return None if out is None else (out, weights)

    def _fused_masked(self, query: Any, keys: Any, values: Any, metadata: Any, mask: np.ndarray) -> np.ndarray | None:
        return self._fused(query, keys, values, mask) if metadata is None else None

    def _single_vjp(self, query: np.ndarray, keys: np.ndarray, metadata: GraphMetadata | None) -> SingleScores | None:
        if metadata is not None:
            return None
        rows, pull_rows = fold_query(query, self._params(query.dtype), self.num_heads)

        def pull(g_rows: np.ndarray, gk: np.ndarray, gs: np.ndarray) -> tuple[np.ndarray, np.ndarray, Grads, Grads]:
            gq, gp = pull_rows(g_rows)
            return gq, gk, gp, {}

        return SingleScores(rows, {"scale": self._factor}, pull)

    def _finish_single_vjp(
        self, query: np.ndarray, average: np.ndarray, weights: np.ndarray
    ) -> tuple[np.ndarray, Callable[..., tuple[np.ndarray, np.ndarray | None, Grads]]]:
        p = self._params(average.dtype)
        gate, pull_gate = self._head_gate(query, p)
        out, pull_heads = unfold_heads(average, weights, p, self.num_heads, gate)

        def pull(g: np.ndarray) -> tuple[np.ndarray, np.ndarray | None, Grads]:
            g_average, g_gate, gp = pull_heads(g)
            if pull_gate is None:
                return g_average, None, gp
            gq, gp_gate = pull_gate(g_gate)
            return g_average, gq, gp | gp_gate

        return out, pull

    @property
    def _gates(self) -> tuple[float, float] | None:
        """Sharpness and threshold of the heads' gates, or None. Subclasses with gates override this."""
        return None

    def _head_gate(self, q: np.ndarray, p: Params) -> tuple[Any, Any]:
        """Return the gates (..., H, M, 1) for queries (..., M, D) and their pullback, or None for both."""
        return None, None

    def _run_single(self, x: Inputs, call: Call) -> tuple[Any, Any, Any]:
        """Run `_run` for one query, without projecting the keys."""
        p = self._params(x.q.dtype)
        gate, pull_gate = self._head_gate(x.q, p)
        out, w, pull = attend_one(x.q, x.k, x.v, x.mask, p, self.num_heads, self._factor, gate)

        def pullback(g: np.ndarray, g_weights: np.ndarray | None = None) -> CoreGradients:
            gq, gk, gv, g_gate, gp = pull(g, g_weights)
            if pull_gate is not None:
                by_gate, gp_gate = pull_gate(unbroadcast(g_gate, gate.shape))
                gq, gp = gq + by_gate, gp | gp_gate
            assert x.v is not None
            gk, gv = unbroadcast(gk, x.k.shape), unbroadcast(gv, x.v.shape)
            return CoreGradients(gq, gk, gv, gp, {})

        return out, w, pullback

    def _run(self, x: Inputs, call: Call) -> tuple[Any, Any, Any]:
        drops = call.training and self.dropout > 0
        if (
            x.q.shape[-2] == 1
            and x.prepared is None
            and not drops
            and (call.differentiate or simd._kernels is not None)
        ):
            return self._run_single(x, call)
        needs_projections = x.prepared is not None or call.differentiate or drops
        if x.v is None or needs_projections or not folds(x.q.shape[-2], self.width):
            return super()._run(x, call)
        return (*folded(x.q, x.k, x.v, x.mask, self._params(x.q.dtype), self.num_heads, self._factor), None)

    def _project(
        self, q: np.ndarray, k: np.ndarray, v: np.ndarray | None, p: Params
    ) -> tuple[tuple[Any, Any, Any], Callable[..., Any]]:
        return project(q, k, v, p, self.num_heads)

    def _project_edges(
        self, q: np.ndarray, k: np.ndarray, v: np.ndarray, p: Params
    ) -> tuple[tuple[Any, Any, Any], Callable[..., Any]] | None:
        if not q is k is v:
            return self._project(q, k, v, p)
        return project_together(q, p, self.num_heads), lambda *g: project_pullback((q, k, v), p, g)

    def _core(self, q: np.ndarray, k: np.ndarray, v: np.ndarray | None, context: Context) -> CoreResult:
        return dot_product_core(q, k, v, context, scale=self._factor)

    def _graph_factor(self) -> float | None:
        return self._factor

    def _finish(self, out: np.ndarray, p: Params) -> tuple[np.ndarray, Callable[..., Any]]:
        return finish(out, p)

    def head_attention_weights(
        self, query: ArrayLike, keys: ArrayLike, *, attn_mask: ArrayLike | None = None
    ) -> np.ndarray:
        """Compute the weights of every head, (H, N) for a single query, else (..., H, M, N).

        Args:
            query: (D,) or (..., M, D).
            keys: (..., N, D).
            attn_mask: As for `forward`.

        Returns:
            One distribution over the keys per head.

        Example:
            >>> import numpy as np, graphattend as ga
            >>> x = np.random.default_rng(0).standard_normal((3, 8))
            >>> ga.MultiHeadAttention(8).head_attention_weights(x[0], x).sum(axis=-1).round(6)
            array([1., 1., 1., 1.])
        """
        return self.attention_weights(query, keys, attn_mask=attn_mask)

    def head_output(
        self, head: int, query: ArrayLike, keys: ArrayLike, values: ArrayLike, *, attn_mask: ArrayLike | None = None
    ) -> np.ndarray:
        """Compute the output of a single head before `w_o`, (E,) or (..., M, E).

        Args:
            head: 0 <= head < H.
            query: (D,) or (..., M, D).
            keys: (..., N, D).
            values: (..., N, D).
            attn_mask: As for `forward`.

        Returns:
            Σ weights · (values @ w_v + b_v) in the head's columns.

        Raises:
            OutOfBoundsError: The head does not exist.

        Example:
            >>> import numpy as np, graphattend as ga
            >>> x = np.random.default_rng(0).standard_normal((3, 8))
            >>> ga.MultiHeadAttention(8, num_heads=2).head_output(1, x[0], x, x).shape
            (4,)
        """
        index = as_int(head, "head")
        if not 0 <= index < self.num_heads:
            raise OutOfBoundsError(
                f"head: expected 0 <= head < {self.num_heads}, got {index}",
                index=index,
                length=self.num_heads,
                argument="head",
            )
        x = self._check(query, keys, values, attn_mask, None)

        def compute(x: Inputs) -> tuple[np.ndarray]:
            p = self._params(x.q.dtype)
            (q, k, v), _ = self._project(x.q, x.k, x.v, p)
            return (self._core(q, k, v, Context(x.mask, parameters=p))[0][..., index, :, :],)

        (out,) = steady(compute, x, inputs=(x.q, x.k), dtype=x.q.dtype, finite=self.check_finite)
        return np.asarray(out[..., 0, :] if x.single else out)
