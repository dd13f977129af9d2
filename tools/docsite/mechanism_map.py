"""The map of the mechanisms, and what each of them assumes, in a line."""

from __future__ import annotations

#: Groups in the order of the map: a title, and the mechanisms with what each adds to the one above or beside it.
GROUPS: dict[str, dict[str, str]] = {
    "The score compares directions": {
        "scaled_dot_product": "dot products, nothing learned",
        "multi_head": "in several learned projections",
        "dynamic_heads": "and a gate switches heads off, query by query",
    },
    "The same, for less time or memory": {
        "flash": "exactly, in tiles",
        "linear": "estimated by random features",
        "local_global": "over a window or the neighbours, and a few keys for all",
    },
    "The score compares distances in a curved space": {
        "hyperbolic": "the Poincaré ball, for hierarchies",
        "manifold": "any space: sphere, Lorentz, product, your own",
        "mixed_curvature": "several spaces, with learned shares",
    },
    "The score knows the graph": {
        "edge_featured": "a small network of both ends and the edge",
        "graph_rope": "directions, turned by the distance in the graph",
        "hnsw_aware": "directions, and the layer of a search index",
        "structural": "directions, and degree, PageRank and the like",
        "cross_space": "neighbours in the graph, neighbours in latent space, and both",
    },
    "Something chooses": {
        "moe": "for every query, a few of several mechanisms",
        "learned_routing": "for every query, by one linear layer",
        "rl_navigator": "the next step of a walk towards a target",
    },
}

#: What a mechanism takes to be true of the data.
ASSUMES: dict[str, str] = {
    "scaled_dot_product": "queries and keys live in one space; like directions mean relevance",
    "multi_head": "labels or links to learn the projections from",
    "edge_featured": "a node's relevance can be learned from its features and the edge's",
    "hyperbolic": "points of the ball: a hierarchy, with the general near the centre",
    "mixed_curvature": "which coordinates are flat, hyperbolic and spherical",
    "manifold": "points of the space that is chosen",
    "local_global": "near keys matter, and a few keys matter to all",
    "linear": "short queries and keys, many of them",
    "flash": "as `scaled_dot_product`",
    "graph_rope": "relevance depends on the distance in the graph",
    "hnsw_aware": "the layers of an HNSW index",
    "cross_space": "links and similarity tell different things",
    "structural": "the role of a node matters beside its features",
    "moe": "queries of different kinds",
    "learned_routing": "queries of different kinds, and labels to learn the router from",
    "rl_navigator": "a neighbour leads to the target; distances are dear",
    "dynamic_heads": "as `multi_head`; some queries need fewer heads",
}


def page() -> str:
    """The map as a list of lists, which the style sheet draws as a tree."""
    lines = [":::{container} map", "- every mechanism: score each key, softmax, average the values"]
    for title, members in GROUPS.items():
        lines.append(f"  - {title}")
        lines += [f"    - [`{key}`]({key}.md) {words}" for key, words in members.items()]
    return "\n".join([*lines, ":::"])
