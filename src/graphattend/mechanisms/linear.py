"""Linear attention by positive orthogonal random features."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from functools import cached_property
from typing import Any, ClassVar, Final

import numpy as np

from .. import simd
from .._float64_fallback import silence
from .._validate import ArrayLike, all_finite, broadcast_shapes, check_length
from ..errors import DimensionMismatchError, UnsupportedError
from ..functional.dot_product import causal_mask
from ..functional.favor import Directions, attend_single, draw_projection, exponentials, exponents
from ..functional.linear import KeyState, attend_exponents, exact_weights
from ..graph import NeighborGraph
from ._base import Attention
from ._boundary import Call, Context, Inputs
from ._gradients import CoreGradients, CoreResult, Params
from ._mechanism import EdgeScores, GraphData
from ._options import option
from ._prepared import Prepared, check_keys, prepare
from ._size_limit import reserve


@dataclasses.dataclass(frozen=True, eq=False)
class PreparedState(Prepared):
    """Prepared keys and values of linear attention, with the state φ(K)ᵀ[V, 1] from which outputs are computed.

    Args:
        state: The state; its size does not depend on the number of keys.
        streamed: Whether `extended` added keys. The object then has only the state and supports no masks or weights.

    Example:
        >>> import numpy as np, graphattend as ga
        >>> x = np.random.default_rng(0).standard_normal((6, 4))
        >>> attn = ga.LinearAttention(4)
        >>> state = attn.prepare(x[:2], x[:2]).extended(x[2:], x[2:])
        >>> bool(np.allclose(attn.forward(x[0], state), attn.forward(x[0], x, x)))
        True
    """

    state: KeyState
    streamed: bool = False

    @cached_property
    def holds_rubbish(self) -> bool:
        """Whether the keys or values contain rubbish. Always False for a streamed state, which allows no masks."""
        return not self.streamed and super().holds_rubbish

    def check_call(self, exact: bool) -> None:
        """Raise an error if the call needs the keys, which a streamed state does not have."""
        if exact and self.streamed:
            raise UnsupportedError(
                "keys: masks, weights and dropout need the keys, which a streamed state has not kept", argument="keys"
            )

    def extended(self, keys: ArrayLike, values: ArrayLike) -> PreparedState:
        """Return a new state that includes more keys. Its size and the time of a query do not grow.

        Args:
            keys: More keys, (..., N, D), whose leading axes broadcast to those of the first keys.
            values: Their values, (..., N, E).

        Returns:
            The state of old and new keys. It does not store the keys, so masks and weights raise an error.

        Raises:
            DimensionMismatchError: Shapes do not fit each other or `dim`.
            EmptyInputError: There are no keys.
            NumericalInstabilityError: An argument contains NaN or infinity.
            InvalidConfigError: An argument has the wrong type.
        """
        x = check_keys(self.attn, keys, values)
        assert x.v is not None
        check_length(x.v, "values", -1, self.values.shape[-1], "the width of the prepared values")
        lead = self.state.total.shape[:-2]
        if broadcast_shapes("keys", x.batch, lead) != lead:
            raise DimensionMismatchError.of("keys", lead, x.batch, text=f"leading axes that broadcast to {lead}")
        dtype = self.keys.dtype
        new = _state(self.attn, x.k.astype(dtype, copy=False), x.v.astype(dtype, copy=False))
        return dataclasses.replace(self, state=self.state.plus(new), streamed=True)


def _state(attn: Any, k: np.ndarray, v: np.ndarray) -> KeyState:
    return KeyState.of(k, v, attn._directions(), attn.temperature**-0.5)


@dataclasses.dataclass(frozen=True, eq=False)
class LinearAttention(Attention):
    """Linear attention (Performer, FAVOR+): estimate softmax attention in time linear in the number of keys.

    Dot products of positive random features are an unbiased estimate of exp(q·k/√D). The sum over the keys is then a
    state φ(K)ᵀV of fixed size. The error falls as m^(-1/2) and grows with |q| and |k|. Time stays linear with a mask
    that is the same for all queries. Any other mask, dropout and returned weights form the M×N matrix.

    The only parameter is ``projection`` (m, D), the random directions.

    Args:
        dim: Width D of queries and keys; values may have any width.
        num_features: m, the number of random features.
        redraw: Number of the draw; another number gives other random directions for the same seed.
        is_causal: Query i sees key j iff j <= i; also in linear time.
        temperature: Divides the scores.
        dropout: Probability of dropping a weight in training.
        seed: Seed of the random directions.
        check_finite: Whether NaN and infinity in the inputs raise an error.

    Source:
        Choromanski et al. 2021, "Rethinking Attention with Performers", algorithm 1.

    Example:
        >>> import numpy as np, graphattend as ga
        >>> x = np.random.default_rng(0).standard_normal((40, 8)) * 0.5
        >>> exact = ga.ScaledDotProductAttention(8).forward(x, x, x)
        >>> bool(np.abs(ga.LinearAttention(8, num_features=2048).forward(x, x, x) - exact).max() < 0.1)
        True
    """

    num_features: int = option("int", 256, "number of random features", minimum=1)
    redraw: int = option("int", 0, "number of the draw; another one gives other random directions", minimum=0)
    is_causal: bool = option("bool", False, "query i sees key j iff j <= i")
    temperature: float = option("float", 1.0, "divides the scores; small values sharpen the weights", above=0.0)
    dropout: float = option("float", 0.0, "probability of dropping a weight in training", minimum=0.0, maximum=1.0)

    key: ClassVar[str] = "linear"
    family: ClassVar[str] = "sparse"
    complexity: ClassVar[str] = "O((M+N)·m·D)"
    any_value_width: ClassVar[bool] = True
    laws: ClassVar[frozenset[str]] = frozenset({"permutation", "weights_times_values"})

    @classmethod
    def example(cls, rng: np.random.Generator, n: int, dim: int = 8) -> tuple[Attention, dict[str, Any]]:
        """Return an example with sixteen features."""
        _, inputs = super().example(rng, n, dim)
        return cls(dim, num_features=16), inputs

    def _init_parameters(self, rng: np.random.Generator) -> dict[str, np.ndarray]:
        draw = np.random.default_rng([self.seed, self.redraw])
        reserve(max(self.num_features, self.dim), self.dim)  # drawn in blocks of D rows
        return {"projection": draw_projection(self.num_features, self.dim, draw)}

    def redrawn(self) -> LinearAttention:
        """Return a copy with the next draw of random directions.

        Example:
            >>> import graphattend as ga
            >>> ga.LinearAttention(8).redrawn().redraw
            1
        """
        return dataclasses.replace(self, redraw=self.redraw + 1)

    def prepare(self, keys: ArrayLike, values: ArrayLike) -> Prepared:
        """Check keys and values once and reduce them to a state of fixed size.

        Args:
            keys: (..., N, D).
            values: (..., N, E).

        Returns:
            An object that `forward` accepts in place of the keys. Its ``extended(keys, values)`` adds more keys.

        Raises:
            UnsupportedError: `is_causal` is set.
            DimensionMismatchError, EmptyInputError, NumericalInstabilityError, InvalidConfigError: As for `forward`.

        Example:
            >>> import numpy as np, graphattend as ga
            >>> x = np.random.default_rng(0).standard_normal((6, 4))
            >>> attn = ga.LinearAttention(4)
            >>> attn.prepare(x, x).state.total.shape
            (256, 5)
        """
        if self.is_causal:
            return prepare(self, keys, values)
        plain = prepare(self, keys, values)
        with np.errstate(over="ignore", invalid="ignore"):  # as in `prepare`
            state = _state(self, plain.keys, plain.values)
        return PreparedState(self, plain.keys, plain.values, plain.projected, state)

    def _run(self, x: Inputs, call: Call) -> tuple[Any, Any, Any]:
        state = x.prepared if isinstance(x.prepared, PreparedState) else None
        exact = x.mask is not None or x.v is None or call.need_weights or (call.training and self.dropout > 0)
        if state is None or exact or (x.q.dtype != state.keys.dtype and not state.streamed):
            return super()._run(x, call)
        hq, _ = exponents(x.q, self._directions(), self.temperature**-0.5)
        return state.state.read(hq, x.q.dtype), None, None

    def _fused_prepared(self, query: Any, prepared: Any) -> np.ndarray | None:
        if self.is_causal or type(query) is not np.ndarray or query.shape != (self.dim,):
            return None
        dtype = query.dtype
        if dtype != prepared.keys.dtype or not simd.has_kernels(dtype) or prepared.state.total.ndim > 2:
            return None
        if not all_finite(query):
            return None
        with silence():
            exponent, _ = exponents(query[None], self._directions(), self.temperature**-0.5)
            out = prepared.state.read(exponent, dtype)[0]
        return out if all_finite(out) else None

    def _fused_weights(
        self, query: Any, keys: Any, values: Any, metadata: Any, mask: Any = None
    ) -> tuple[Any, np.ndarray] | None:
        if metadata is not None or self.is_causal or not simd.is_single(query, keys, values, self.dim):
            return None
        if values is not None and not values.size:
            return None
        if mask is not None and mask.dtype != np.bool_ and _log_factor(mask).dtype != query.dtype:
            return None
        return attend_single(query, keys, values, self._directions(), self.temperature**-0.5, mask)

    def _directions(self) -> Directions:
        cast: dict[Any, Any] = self._cast  # type: ignore[attr-defined]
        found: Directions | None = cast.get(Directions)
        if found is None:
            found = cast[Directions] = Directions.of(self._params(np.dtype(np.float64))["projection"])
        return found

    def _project(
        self, q: np.ndarray, k: np.ndarray, v: np.ndarray | None, p: Params
    ) -> tuple[tuple[Any, Any, Any], Callable[..., Any]]:
        directions, sharpness = self._directions(), self.temperature**-0.5
        (hq, pull_q), (hk, pull_k) = exponents(q, directions, sharpness), exponents(k, directions, sharpness)

        def pull(gq: np.ndarray, gk: np.ndarray, gv: np.ndarray | None) -> tuple[Any, ...]:
            (gx_q, gw_q), (gx_k, gw_k) = pull_q(gq), pull_k(gk)
            return gx_q, gx_k, gv, {"projection": gw_q + gw_k}

        return (hq, hk, v), pull

    def _project_edges(
        self, q: np.ndarray, k: np.ndarray, v: np.ndarray, p: Params
    ) -> tuple[tuple[Any, Any, Any], Callable[..., Any]] | None:
        directions, sharpness = self._directions(), self.temperature**-0.5
        by_key = exponentials(k, directions, sharpness, is_query=False)
        # The normalisation cancels a factor of a query row or of all keys.
        by_query = by_key if q is k else exponentials(q, directions, sharpness, is_query=True)
        if by_query is None or by_key is None:
            return None
        (f_q, pull_q), (f_k, pull_k) = by_query, by_key

        def pull(gq: np.ndarray, gk: np.ndarray | None, gv: np.ndarray | None) -> tuple[Any, ...]:
            gx_q, gw_q = pull_q(gq)
            if gk is None:  # added to gq, as queries and keys have the same features
                return gx_q, None, gv, {"projection": gw_q}
            gx_k, gw_k = pull_k(gk)
            return gx_q, gx_k, gv, {"projection": gw_q + gw_k}

        return (f_q, f_k, v), pull

    def _edge_scores(
        self, q: np.ndarray, k: np.ndarray, graph: NeighborGraph, metadata: GraphData, p: Params
    ) -> EdgeScores | None:
        return EdgeScores(q, k, 1.0, plain=True)

    def _core(self, q: np.ndarray, k: np.ndarray, v: np.ndarray | None, context: Context) -> CoreResult:
        mask, p, drop, need_weights = context.mask, context.parameters, context.drop, context.need_weights
        dtype = p["projection"].dtype  # the dtype of the call; exponents may be float64
        alike = mask is None or mask.ndim < 2 or mask.shape[-2] == 1
        if v is None or drop is not None or need_weights or not alike:
            return self._quadratic(q, k, v, mask, drop, dtype)
        seen = k
        if mask is not None:
            hidden = _log_factor(mask)
            seen = k + (hidden[..., None] if mask.ndim < 2 else hidden.swapaxes(-1, -2))
        out, pull = attend_exponents(q, seen, v, self.is_causal)

        def pullback(g: np.ndarray, g_weights: np.ndarray | None = None) -> CoreGradients:
            if g_weights is not None:
                return self._quadratic(q, k, v, mask, None, dtype)[2](g, g_weights)
            return CoreGradients(*pull(g), {}, {})

        return out, None, pullback

    def _quadratic(
        self,
        q: np.ndarray,
        k: np.ndarray,
        v: np.ndarray | None,
        mask: np.ndarray | None,
        drop: np.ndarray | None,
        dtype: np.dtype[Any],
    ) -> CoreResult:
        """Compute the core with the M×N matrix of weights."""
        if self.is_causal:
            seen = causal_mask(q.shape[-2], k.shape[-2])
            mask = seen if mask is None else np.where(seen, _log_factor(mask), -np.inf)
        w, pull = exact_weights(q, k, mask)
        wd = w if drop is None else w * drop
        if v is None:
            return None, wd.astype(dtype), lambda *_: None  # type: ignore[return-value]
        wide = v.astype(w.dtype)

        def pullback(g: np.ndarray, g_weights: np.ndarray | None = None) -> CoreGradients:
            g = g.astype(w.dtype)
            gw = simd.matmul_nt(g, wide)
            if g_weights is not None:
                gw = gw + g_weights
            if drop is not None:
                gw = gw * drop
            return CoreGradients(*pull(gw), simd.matmul_tn(wd, g).astype(dtype), {}, {})

        return simd.matmul(wd, wide).astype(dtype), wd.astype(dtype), pullback


#: Largest additive mask for which float32 rounding of exponent + mask does not affect the output noticeably.
_MASK_REACH: Final = 16.0


def _log_factor(mask: np.ndarray) -> np.ndarray:
    """Convert a mask to the term that is added to the logarithms of the estimated exponentials."""
    if mask.dtype == np.bool_:
        return np.where(mask, np.float32(0), np.float32(-np.inf))
    if np.abs(mask, where=~np.isneginf(mask), out=np.zeros_like(mask)).max() <= _MASK_REACH:
        return mask
    return mask.astype(np.float64)
