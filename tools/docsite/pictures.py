"""Pictures of the mechanisms: to whom one node of a small tree attends."""

from __future__ import annotations

import html
import itertools

import numpy as np

import graphattend as ga
from graphattend.analysis import analyze, option_names

DEPTH = 4
SIZE, RADIUS, FOCUS = 340, 150.0, 1

STYLE = """
.paper{fill:none;stroke:#8a94a0;stroke-opacity:.35}.link{stroke:#8a94a0;stroke-width:1.2;stroke-opacity:.7}
.ring{fill:none;stroke:#8a94a0;stroke-width:1}.weight{fill:#d1622b;fill-opacity:.85}.focus{fill:none;stroke:#2a78b8;stroke-width:3}
text{font:12px system-ui,sans-serif;fill:#6b7580}
"""


def tree() -> tuple[ga.NeighborGraph, np.ndarray, list[tuple[int, int]]]:
    """A complete graph over the nodes of a binary tree, with distances and layers of the tree; its points; its links."""
    count = 2**DEPTH - 1
    links = [((child - 1) // 2, child) for child in range(1, count)]
    depth = np.array([int(np.log2(node + 1)) for node in range(count)])
    angle = np.array([(node + 1.5 - 2**d) / 2**d for node, d in zip(range(count), depth, strict=True)]) * 2 * np.pi
    length = np.tanh(depth * 0.62)
    points = np.stack([length * np.cos(angle), length * np.sin(angle)], axis=1)
    hops = np.full((count, count), np.inf)
    np.fill_diagonal(hops, 0)
    for a, b in links:
        hops[a, b] = hops[b, a] = 1
    for middle in range(count):
        hops = np.minimum(hops, hops[:, middle, None] + hops[None, middle])
    pairs = np.array(list(itertools.product(range(count), repeat=2))).T
    graph = ga.NeighborGraph.from_edge_index(pairs[::-1], count, distances=hops.reshape(-1), layers=depth.max() - depth)
    return graph, points, links


def weights(key: str) -> np.ndarray:
    """The weights with which the marked node attends to every node, with the parameters that a mechanism starts with."""
    graph, points, _ = tree()
    latents = np.concatenate([points, points[:, ::-1] * 0.5], axis=1)
    options = {"num_heads": 2} if "num_heads" in option_names(key) else {}
    result = analyze(graph, latents, keys=[key], options=options).results[0]
    return result.weights.reshape(graph.num_nodes, graph.num_nodes)[FOCUS]


def picture(key: str) -> str:
    """The picture of one mechanism as SVG."""
    _, points, links = tree()
    shares = weights(key)
    x, y = (SIZE / 2 + RADIUS * points[:, 0], SIZE / 2 - RADIUS * points[:, 1])
    parts = [f'<circle class="paper" cx="{SIZE / 2}" cy="{SIZE / 2}" r="{RADIUS}"/>']
    for a, b in links:
        parts.append(f'<line class="link" x1="{x[a]:.1f}" y1="{y[a]:.1f}" x2="{x[b]:.1f}" y2="{y[b]:.1f}"/>')
    for node, share in enumerate(shares):
        size = 34 * np.sqrt(max(share, 0.0))
        tip = f"<title>node {node}: {share:.3f}</title>"
        parts.append(f'<circle class="weight" cx="{x[node]:.1f}" cy="{y[node]:.1f}" r="{size:.1f}">{tip}</circle>')
        parts.append(f'<circle class="ring" cx="{x[node]:.1f}" cy="{y[node]:.1f}" r="3"/>')
    parts.append(f'<circle class="focus" cx="{x[FOCUS]:.1f}" cy="{y[FOCUS]:.1f}" r="8"/>')
    title = html.escape(f"To whom the marked node of a tree attends: {key}")
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {SIZE} {SIZE}" width="{SIZE}" height="{SIZE}" role="img">'
        f"<title>{title}</title><style>{STYLE}</style>{''.join(parts)}</svg>\n"
    )
