"""The registry: one line per mechanism. Everything else is read from the class."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ..errors import InvalidConfigError
from ..registry import Registry

if TYPE_CHECKING:
    from ._base import Attention
    from ._options import option as option

#: To add a mechanism, write its module and add one line here.
REGISTRY: Registry[type[Attention]] = Registry(
    "mechanism",
    {
        "scaled_dot_product": "graphattend.mechanisms.scaled_dot_product:ScaledDotProductAttention",
        "multi_head": "graphattend.mechanisms.multi_head:MultiHeadAttention",
        "edge_featured": "graphattend.mechanisms.edge_featured:EdgeFeaturedAttention",
        "hyperbolic": "graphattend.mechanisms.hyperbolic:HyperbolicAttention",
        "mixed_curvature": "graphattend.mechanisms.mixed_curvature:MixedCurvatureAttention",
        "manifold": "graphattend.mechanisms.manifold:ManifoldAttention",
        "local_global": "graphattend.mechanisms.local_global:LocalGlobalAttention",
        "linear": "graphattend.mechanisms.linear:LinearAttention",
        "flash": "graphattend.mechanisms.flash:FlashAttention",
        "graph_rope": "graphattend.mechanisms.graph_rope:GraphRoPEAttention",
        "hnsw_aware": "graphattend.mechanisms.hnsw_aware:HNSWAwareAttention",
        "cross_space": "graphattend.mechanisms.cross_space:CrossSpaceAttention",
        "structural": "graphattend.mechanisms.structural:StructuralAttention",
        "moe": "graphattend.mechanisms.moe:MoEAttention",
        "learned_routing": "graphattend.mechanisms.learned_routing:LearnedRoutingAttention",
        "rl_navigator": "graphattend.mechanisms.rl_navigator:RLNavigator",
        "dynamic_heads": "graphattend.mechanisms.dynamic_heads:DynamicHeadAttention",
    },
)


def __getattr__(name: str) -> Any:
    if name != "option":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from ._options import option  # imported lazily because it imports dataclasses

    return option


def mechanism_class(key: object) -> type[Attention]:
    """Return the class registered under `key`. An unknown key raises InvalidConfigError, which names the nearest."""
    return REGISTRY.find(key)


def list_mechanisms() -> list[str]:
    """Return the registry keys of all mechanisms.

    Example:
        >>> import graphattend as ga
        >>> "multi_head" in ga.list_mechanisms()
        True
    """
    return list(REGISTRY)


def create(key: str, dim: int, **options: Any) -> Attention:
    """Create a mechanism by its registry key.

    Args:
        key: One of `list_mechanisms()`.
        dim: Width D of queries and keys.
        **options: The options of the mechanism; see `schema`.

    Returns:
        The mechanism.

    Raises:
        InvalidConfigError: The key or an option is unknown (the message names the nearest one), or a value is not
            allowed.

    Example:
        >>> import graphattend as ga
        >>> ga.create("multi_head", 8, num_heads=2).num_heads
        2
    """
    return mechanism_class(key)(dim, **options)


def from_config(config: Mapping[str, Any]) -> Attention:
    """Rebuild a mechanism from `Attention.to_config`.

    Args:
        config: A mapping with ``key``, ``dim``, ``options`` and ``version``.

    Returns:
        The mechanism with the initial parameters of its seed.

    Raises:
        InvalidConfigError: An entry of the mapping is not allowed, or the version is unknown.

    Example:
        >>> import graphattend as ga
        >>> attn = ga.create("flash", 8, block_size=64)
        >>> ga.from_config(attn.to_config()) == attn
        True
    """
    if not isinstance(config, Mapping):
        raise InvalidConfigError(
            f"config: expected a mapping, got {type(config).__name__}", argument="config", expected="a mapping"
        )
    unknown = [n for n in config if n not in ("key", "dim", "options", "version")]
    if unknown:
        raise InvalidConfigError(f"config: unknown entry {unknown[0]!r:.60}", argument="config", actual=unknown[0])
    if config.get("version", 1) != 1:
        raise InvalidConfigError.of("version", 1, config["version"], got=f"{config['version']!r:.40}")
    options = config.get("options", {})
    if not isinstance(options, Mapping) or not all(isinstance(n, str) for n in options):
        raise InvalidConfigError("options: expected a mapping of names to values", argument="options")
    cls = mechanism_class(config.get("key"))
    decoded = {name: cls._decode_option(name, value) for name, value in options.items()}
    dim: Any = config.get("dim")
    return cls(dim, **decoded)
