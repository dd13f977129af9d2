"""The map of the mechanisms, and what each of them assumes, in a line."""

from __future__ import annotations

#: Groups in the order of the map: a title, and the mechanisms with what each adds to the one above or beside it.
GROUPS: dict[str, dict[str, str]] = {
    "The score compares directions": {
        "scaled_dot_product": "dot products without parameters",
        "multi_head": "dot products in several learned projections",
        "dynamic_heads": "several heads, with a gate that switches heads off for each query",
    },
    "Directions, in less time or memory": {
        "flash": "exact, computed in tiles",
        "linear": "estimated with random features",
        "local_global": "over a window or the neighbours, and a few global keys",
    },
    "The score compares distances in a curved space": {
        "hyperbolic": "the Poincaré ball, for hierarchies",
        "manifold": "any space: sphere, Lorentz, product, your own",
        "mixed_curvature": "several spaces, with learned weights",
    },
    "The score uses the graph": {
        "edge_featured": "a small network of both nodes and the edge",
        "graph_rope": "directions, rotated by the distance in the graph",
        "hnsw_aware": "directions, and the layers of an HNSW index",
        "structural": "directions, and features such as degree and PageRank",
        "cross_space": "neighbours in the graph and in latent space",
    },
    "A router or policy chooses": {
        "moe": "a few of several mechanisms for each query",
        "learned_routing": "one of several mechanisms, or their weights, for each query",
        "rl_navigator": "the next step of a walk towards a target",
    },
}

#: What a mechanism takes to be true of the data.
ASSUMES: dict[str, str] = {
    "scaled_dot_product": "queries and keys are in the same space, and similar directions mean relevance",
    "multi_head": "there are labels or links to learn the projections from",
    "edge_featured": "relevance can be learned from the features of the nodes and the edge",
    "hyperbolic": "the points are in the ball and form a hierarchy, with general nodes near the centre",
    "mixed_curvature": "it is known which coordinates are flat, hyperbolic and spherical",
    "manifold": "the points are on the chosen manifold",
    "local_global": "near keys are relevant, and a few keys are relevant to all queries",
    "linear": "there are many keys, and queries and keys are short vectors",
    "flash": "as `scaled_dot_product`",
    "graph_rope": "relevance depends on the distance in the graph",
    "hnsw_aware": "the nodes have the layers of an HNSW index",
    "cross_space": "links and similarity contain different information",
    "structural": "relevance also depends on the position of a node in the graph",
    "moe": "there are different kinds of queries",
    "learned_routing": "there are different kinds of queries, and labels to learn the router from",
    "rl_navigator": "neighbours lead to the target, and distances are expensive",
    "dynamic_heads": "as `multi_head`; some queries need fewer heads",
}


def page() -> str:
    """The map as a list of lists, which the style sheet draws as a tree."""
    lines = [":::{container} map", "- every mechanism: score each key, softmax, average the values"]
    for title, members in GROUPS.items():
        lines.append(f"  - {title}")
        lines += [f"    - [`{key}`]({key}.md) {words}" for key, words in members.items()]
    return "\n".join([*lines, ":::"])
