"""Attention in a product of spaces with different curvatures."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np

from .. import simd
from .._validate import ArrayLike, as_choice, as_int, as_list, as_number
from ..errors import InvalidConfigError
from ..geometry import Euclidean, Lorentz, Poincare, Product, Sphere
from ..geometry._unchecked import distances, means, project
from ..geometry.poincare import project_eps
from ..simd.metric_ops import Metric, metric
from ._base import Attention
from ._by_distance import ByDistance
from ._gradients import Grads, Params
from ._options import option

_SPACES = {"euclidean": Euclidean, "poincare": Poincare, "lorentz": Lorentz, "sphere": Sphere}


@dataclasses.dataclass(frozen=True, eq=False)
class MixedCurvatureAttention(ByDistance):
    """Attention in a product of flat, hyperbolic and spherical spaces with learnable shares.

    score = -Σ_s share_s · d_s(q_s, k_s) / temperature, where share = softmax(mixing) · S, so that equal shares are 1.
    The coordinates are split into the spaces in order and projected to them. Values are averaged in each space with the
    same weights: by the mean in flat space, by the midpoint in the others.

    The learnable parameters are ``mixing`` (S,), the logits of the shares, and the scalar ``temperature``.

    Args:
        dim: Sum of the spaces' stored coordinates.
        spaces: Triples (name, coordinates, curvature) with the names "euclidean", "poincare", "lorentz" and "sphere".
            By default, the first half is flat and the second half is a Poincaré ball of curvature -1.
        temperature: Initial temperature.
        dropout: Probability of dropping a weight in training.
        seed: Unused; the parameters are not initialised at random.
        check_finite: Whether NaN and infinity in the inputs raise an error.

    Source:
        Gu et al. 2019, "Learning Mixed-Curvature Representations in Product Spaces", section 3.

    Example:
        >>> import numpy as np, graphattend as ga
        >>> attn = ga.MixedCurvatureAttention(4, spaces=[("euclidean", 2, 0.0), ("sphere", 2, 1.0)])
        >>> x = np.array([[0.0, 0.0, 1.0, 0.0], [3.0, 4.0, 0.0, 1.0]])
        >>> attn.contributions(x[0], x[1:]).round(3)
        array([[-5.   ],
               [-1.571]])
    """

    spaces: Any = option(
        "any",
        None,
        "[name, coordinates, curvature] of each space; null means half flat, half a ball of curvature -1",
        nullable=True,
        schema={"type": ["array", "null"], "items": {"type": "array", "minItems": 3, "maxItems": 3}},
    )
    temperature: float = option("float", 1.0, "initial temperature; small values sharpen the weights", above=0.0)
    dropout: float = option("float", 0.0, "probability of dropping a weight in training", minimum=0.0, maximum=1.0)

    key: ClassVar[str] = "mixed_curvature"
    family: ClassVar[str] = "geometric"
    complexity: ClassVar[str] = "O(M·N·D)"
    laws: ClassVar[frozenset[str]] = frozenset({"permutation", "stays_on_manifold"})

    def _check_options(self) -> None:
        spaces = self.spaces
        if spaces is None:
            half = self.dim // 2
            spaces = [("euclidean", self.dim - half, 0.0)] + [("poincare", half, -1.0)] * bool(half)
        object.__setattr__(self, "spaces", _check_spaces(spaces, self.dim))
        factors = [Euclidean() if n == "euclidean" else _SPACES[n](c) for n, _, c in self.spaces]
        object.__setattr__(self, "_manifolds", tuple(factors))

    def _encode_option(self, name: str, value: Any) -> Any:
        return [list(space) for space in value] if name == "spaces" else value

    @classmethod
    def example(cls, rng: np.random.Generator, n: int, dim: int = 8) -> tuple[Attention, dict[str, Any]]:
        """Return an example with flat, hyperbolic and spherical coordinates."""
        spaces = [("euclidean", dim - 6, 0.0), ("poincare", 3, -0.7), ("sphere", 3, 1.3)]
        attn = cls(dim, spaces=spaces)
        x = attn.output_manifold.random(rng, (2 * n + 1, dim))
        return attn, {"query": x[0], "keys": x[1 : n + 1], "values": x[n + 1 :]}

    @property
    def output_manifold(self) -> Product:
        """The product space of the output."""
        return Product([(m, d) for m, (_, d, _) in zip(self._manifolds, self.spaces, strict=True)])  # type: ignore[attr-defined]

    def _slices(self) -> list[tuple[Any, slice]]:
        out, start = [], 0
        for manifold, (_, width, _) in zip(self._manifolds, self.spaces, strict=True):  # type: ignore[attr-defined]
            out.append((manifold, slice(start, start + width)))
            start += width
        return out

    def _init_parameters(self, rng: np.random.Generator) -> dict[str, np.ndarray]:
        return {"mixing": np.zeros(len(self.spaces)), "temperature": np.asarray(self.temperature)}

    def _check_parameter(self, name: str, value: ArrayLike, current: np.ndarray) -> np.ndarray:
        a = super()._check_parameter(name, value, current)
        if name == "temperature":
            as_number(a, "temperature", above=0.0)
        return a

    def shares(self) -> np.ndarray:
        """Return the weight of each space, (S,), with mean one.

        Example:
            >>> import graphattend as ga
            >>> ga.MixedCurvatureAttention(4).shares()
            array([1., 1.])
        """
        mixing = self._params(np.dtype(np.float64))["mixing"]
        return simd.softmax(mixing) * mixing.size

    def contributions(self, query: ArrayLike, keys: ArrayLike) -> np.ndarray:
        """Return each space's score term, (S, N) for a single query, else (S, ..., M, N). The score is their sum.

        Args:
            query: (D,) or (..., M, D).
            keys: (..., N, D).

        Example:
            >>> import numpy as np, graphattend as ga
            >>> x = np.zeros((3, 4))
            >>> ga.MixedCurvatureAttention(4).contributions(x[0], x).shape
            (2, 3)
        """
        x = self._check(query, keys, None, None, None, weights_only=True)
        p = self._params(x.q.dtype)
        (q, k, _), _ = self._project(x.q, x.k, None, p)
        share = simd.softmax(p["mixing"]) * len(self.spaces)
        parts = [
            -s * distances(manifold, q[..., at], k[..., at])[0] / p["temperature"]
            for s, (manifold, at) in zip(share, self._slices(), strict=True)
        ]
        out = np.stack(parts)
        return out[..., 0, :] if x.single else out

    # -- in the kernels --------------------------------------------------------------------------------------------

    def _make_metric(self, p: Params, dtype: np.dtype[Any]) -> Metric | None:
        shares = simd.softmax(p["mixing"]) * len(self.spaces)
        return metric(self.spaces, shares / float(p["temperature"]), project_eps(dtype))

    def _parameter_gradients(self, shares: np.ndarray, g: np.ndarray, out: np.ndarray) -> Grads:
        p = self._params(np.dtype(np.float64))
        tau, soft = float(p["temperature"]), simd.softmax(p["mixing"])
        by_share = shares * len(self.spaces) / tau
        return {
            "mixing": soft * (by_share - (by_share * soft).sum()),
            "temperature": np.asarray(-(by_share * soft).sum() / tau),
        }

    # -- stages ----------------------------------------------------------------------------------------------------

    def _project(
        self, q: np.ndarray, k: np.ndarray, v: np.ndarray | None, p: Params
    ) -> tuple[tuple[Any, Any, Any], Callable[..., Any]]:
        slices = self._slices()

        def one(x: np.ndarray) -> tuple[np.ndarray, Callable[[np.ndarray], np.ndarray]]:
            parts = [project(manifold, x[..., at]) for manifold, at in slices]

            def pull(g: np.ndarray) -> np.ndarray:
                found = [back(g[..., at]) for (_, back), (_, at) in zip(parts, slices, strict=True)]
                return np.concatenate([x for (x,) in found], axis=-1)

            return np.concatenate([y for y, _ in parts], axis=-1), pull

        both = [None if x is None else one(x) for x in (q, k, v)]

        def pull(*grads: np.ndarray) -> tuple[Any, ...]:
            return *(pair[1](g) for pair, g in zip(both, grads, strict=True) if pair is not None), {}

        out = tuple(None if pair is None else pair[0] for pair in both)
        return (out[0], out[1], out[2]), pull

    def _scores(self, q: np.ndarray, k: np.ndarray, meta: Params, p: Params) -> tuple[np.ndarray, Callable[..., Any]]:
        soft = simd.softmax(p["mixing"])
        share = soft * q.dtype.type(len(self.spaces))
        tau = p["temperature"]
        parts = [distances(manifold, q[..., at], k[..., at]) for manifold, at in self._slices()]
        total = sum(s * d for s, (d, _) in zip(share, parts, strict=True))

        def pull(gs: np.ndarray) -> tuple[np.ndarray, np.ndarray, Grads, Grads]:
            g = -gs / tau
            gq, gk, g_share = [], [], []
            for s, (d, pull_d) in zip(share, parts, strict=True):
                a, b = pull_d(g * s)
                gq.append(a)
                gk.append(b)
                g_share.append((g * d).sum())
            gh = np.asarray(g_share) * q.dtype.type(len(self.spaces))
            g_mixing = soft * (gh - (gh * soft).sum())
            gp = {"mixing": g_mixing, "temperature": np.asarray((gs * total).sum() / tau**2)}
            return np.concatenate(gq, axis=-1), np.concatenate(gk, axis=-1), gp, {}

        return np.asarray(-total / tau, dtype=q.dtype), pull

    def _aggregate(self, w: np.ndarray, v: np.ndarray, p: Params) -> tuple[np.ndarray, Callable[..., Any]]:
        slices = self._slices()
        parts = [means(manifold, "midpoint", v[..., at], w) for manifold, at in slices]

        def pull(g: np.ndarray) -> tuple[np.ndarray, np.ndarray, Grads]:
            grads = [back(g[..., at]) for (_, back), (_, at) in zip(parts, slices, strict=True)]
            return np.sum([gw for _, gw in grads], axis=0), np.concatenate([gv for gv, _ in grads], axis=-1), {}

        return np.concatenate([out for out, _ in parts], axis=-1), pull


def _check_spaces(spaces: object, dim: int) -> tuple[tuple[str, int, float], ...]:
    expected = "triples (name, coordinates, curvature)"
    try:
        triples = [tuple(space) for space in as_list(spaces, "spaces", expected)]
    except TypeError:
        triples = []
    if not triples or any(len(t) != 3 for t in triples):
        raise InvalidConfigError.of("spaces", expected, spaces, got=f"{spaces!r:.80}")
    out = []
    for name, width, curvature in triples:
        name = as_choice(name, "spaces", _SPACES)
        width = as_int(width, "spaces", minimum=1 if name != "lorentz" else 2)
        if name == "euclidean":
            curvature = as_number(curvature, "spaces", minimum=0.0, maximum=0.0)
        elif name == "sphere":
            curvature = as_number(curvature, "spaces", above=0.0)
        else:
            curvature = as_number(curvature, "spaces", below=0.0)
        out.append((name, width, curvature))
    total = sum(width for _, width, _ in out)
    if total != dim:
        raise InvalidConfigError.of("spaces", dim, total, text=f"coordinates that add up to dim = {dim}")
    return tuple(out)
