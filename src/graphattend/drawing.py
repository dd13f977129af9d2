"""Pictures without a plotting library: SVG, HTML pages that contain it, and picture files."""

from __future__ import annotations

import dataclasses
import importlib.util
import io
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ._printable import escaped
from .errors import InvalidConfigError, UnsupportedError
from .graph import NeighborGraph
from .storage import load_errors, same_file, write_atomically

SUFFIXES = (".html", ".svg", ".png")
#: Maximum number of nodes in the picture of a graph; those of highest degree are drawn.
MAX_DRAWN = 150
#: Maximum number of names in it; the nodes that receive most come first.
MAX_LABELLED = 22

STYLE = """
:root{color-scheme:light dark;--bg:#fcfcfb;--ink:#1b1d22;--soft:#6b7079;--line:#dcdee2;--hot:#b3431e;--cool:#2a6f97}
@media (prefers-color-scheme:dark){
:root{--bg:#16181c;--ink:#e8e9ec;--soft:#9aa0aa;--line:#33373f;--hot:#f28a5b;--cool:#6fb7dd}}
body{font:15px/1.5 system-ui,sans-serif;max-width:1080px;margin:2rem auto;padding:0 1rem;
background:var(--bg);color:var(--ink)}
h1{font-size:1.6rem;margin-bottom:.2rem}h2{font-size:1.15rem;margin-top:2.2rem}p{color:var(--soft);margin:.3rem 0 1rem}
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums;font-size:.86rem}
th,td{text-align:left;padding:.3rem .6rem .3rem 0;border-bottom:1px solid var(--line);vertical-align:top}
th{font-weight:600}td.n,th.n{text-align:right;padding-left:.3rem;white-space:nowrap}ul{color:var(--soft)}
svg{max-width:100%;height:auto;display:block;background:var(--bg)}
.wide{overflow-x:auto}.pair{display:grid;grid-template-columns:repeat(auto-fit,minmax(22rem,1fr))}
text{fill:var(--ink);font:10px system-ui,sans-serif}.soft{fill:var(--soft)}
.name{paint-order:stroke;stroke:var(--bg);stroke-width:3px;stroke-linejoin:round}
.edge{stroke:var(--hot);fill:none}
.line{stroke:var(--cool);fill:none}
.edge.dot{fill:var(--hot)}.line.dot{fill:var(--cool)}h3{font-size:1rem;margin:.4rem 0}
.quiet{stroke:var(--line)}.node{fill:var(--cool);stroke:var(--bg)}.bar{fill:var(--cool)}
.cell{fill:var(--hot)}.frame{fill:none;stroke:var(--line)}.whisker{stroke:var(--soft);stroke-width:1.5}
"""


def page_head(heading: str) -> str:
    """Return the start of a page up to its body; `heading` is HTML."""
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>{heading}</title><style>{STYLE}</style><body>"
    )


def matrix_svg(matrix: np.ndarray, labels: list[str], title: str) -> str:
    """Draw a square matrix as a heat map; rows and columns have the same labels."""
    cell, margin = 18, 130
    top = max(float(matrix.max()), 1e-9)
    parts = [f'<text x="6" y="14">{escaped(title)}</text>']
    for i, label in enumerate(labels):
        y, name = margin + i * cell, escaped(label)
        parts.append(f'<text x="{margin - 6}" y="{y + 13}" text-anchor="end">{name}</text>')
        x = margin + i * cell + 12
        parts.append(f'<text transform="translate({x},{margin - 6}) rotate(-60)">{name}</text>')
        for j, value in enumerate(matrix[i]):
            if value > 0:
                tip = f"{name} → {escaped(labels[j])}: {value:.3f}"
                parts.append(
                    f'<rect class="cell" x="{margin + j * cell}" y="{y}" width="{cell - 1}" height="{cell - 1}" '
                    f'opacity="{value / top:.3f}"><title>{tip}</title></rect>'
                )
    side = len(labels) * cell
    parts.append(f'<rect class="frame" x="{margin}" y="{margin}" width="{side}" height="{side}"/>')
    return svg_element(margin + side + 60, margin + side + 8, title, parts)


def bars_svg(title: str, bars: Mapping[str, float], *, at_least: float = 0.0) -> str:
    """Draw numbers by name as horizontal bars; the scale reaches at least to `at_least`."""
    top = max([*bars.values(), at_least, 1e-9])
    parts = [f'<text x="148" y="14">{escaped(title)}</text>']
    for i, (name, value) in enumerate(bars.items()):
        y = 26 + i * 20
        parts.append(f'<text x="140" y="{y + 12}" text-anchor="end">{escaped(name)}</text>')
        parts.append(f'<rect class="bar" x="148" y="{y}" width="{380 * value / top:.1f}" height="15" rx="2"/>')
        number = f"{value:,.{0 if value >= 1000 else 2}f}"
        parts.append(f'<text class="soft" x="{154 + 380 * value / top:.1f}" y="{y + 12}">{number}</text>')
    return svg_element(600, 34 + 20 * len(bars), title, parts)


def svg_element(width: int, height: int, title: str, parts: list[str]) -> str:
    """Return an SVG element of the parts, with a title for screen readers."""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'role="img" aria-label="{escaped(title)}"><title>{escaped(title)}</title>{"".join(parts)}</svg>'
    )


def layout(indptr: np.ndarray, indices: np.ndarray, *, iterations: int = 150, seed: int = 0) -> np.ndarray:
    """Compute positions of the nodes in the unit square by a force-directed layout.

    Args:
        indptr: Row starts (V+1,).
        indices: Neighbours (K,); directions are ignored.
        iterations: Number of steps.
        seed: Seed of the initial positions.

    Returns:
        (V, 2), the same for the same arguments.

    Source:
        Fruchterman & Reingold 1991, "Graph Drawing by Force-Directed Placement".

    Example:
        >>> import numpy as np
        >>> from graphattend.drawing import layout
        >>> layout(np.array([0, 1, 2]), np.array([1, 0])).shape
        (2, 2)
    """
    v = indptr.size - 1
    a = np.zeros((v, v), bool)
    a[np.repeat(np.arange(v), np.diff(indptr)), indices] = True
    a |= a.T
    pos = np.random.default_rng(seed).random((v, 2))
    k = 1 / np.sqrt(max(v, 1))
    for step in range(iterations):
        delta = pos[:, None] - pos[None]
        distance = np.maximum(np.hypot(delta[..., 0], delta[..., 1]), 1e-3)
        force = k * k / distance**2 - a * distance / k
        move = np.einsum("ij,ijd->id", force, delta)
        # A pull to the centre keeps disconnected components in the picture.
        move -= 0.6 * (pos - 0.5)
        length = np.maximum(np.hypot(*move.T), 1e-9)
        heat = 0.12 * (1 - step / iterations) + 0.002
        pos = pos + move * (np.minimum(length, heat) / length)[:, None]
    low, high = pos.min(axis=0), pos.max(axis=0)
    return np.asarray((pos - low) / np.maximum(high - low, 1e-9))


def best_connected(graph: NeighborGraph) -> np.ndarray:
    """Return the nodes that a picture of the graph shows, those of highest degree, in ascending order."""
    return np.sort(np.argsort(-graph.degree(), kind="stable")[:MAX_DRAWN])


def attention_svg(
    graph: NeighborGraph,
    weights: np.ndarray,
    names: Sequence[str],
    title: str,
    positions: np.ndarray,
    nodes: np.ndarray,
    size: int = 520,
) -> str:
    """Draw a graph with its attention weights as line widths.

    Args:
        graph: The graph.
        weights: One weight per edge (K,); the weights of a node sum to 1.
        names: Names of all nodes.
        title: Title of the picture.
        positions: Positions of the drawn nodes in the unit square (N, 2).
        nodes: Indices of the drawn nodes (N,), ascending.
        size: Width and height.

    Returns:
        The SVG element.
    """
    at = np.full(graph.num_nodes, -1)
    at[nodes] = np.arange(nodes.size)
    xy = 36 + positions * (size - 72)
    received = np.bincount(graph.indices, weights, graph.num_nodes)
    parts = []
    order = np.argsort(weights, kind="stable")
    shown = order[(at[graph.targets[order]] >= 0) & (at[graph.indices[order]] >= 0)]
    for e in shown:
        i, j, w = at[graph.targets[e]], at[graph.indices[e]], float(weights[e])
        if i != j:
            (x1, y1), (x2, y2) = xy[i], xy[j]
            parts.append(
                f'<line class="edge" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" '
                f'stroke-width="{0.3 + 3.2 * w:.2f}" opacity="{0.08 + 0.8 * w:.2f}"/>'
            )
    radii = 2.5 + 9 * np.sqrt(received[nodes] / max(float(received[nodes].max()), 1e-9))
    for n, (x, y), radius in zip(nodes, xy, radii, strict=True):
        tip = f"{escaped(names[n])}: receives {received[n]:.2f}"
        circle = f'<circle class="node" cx="{x:.1f}" cy="{y:.1f}" r="{radius:.1f}">'
        parts.append(f"{circle}<title>{tip}</title></circle>")
    first = np.argsort(-received[nodes], kind="stable")
    parts += _labels([names[n] for n in nodes[first]], xy[first], radii[first], size)
    return svg_element(size, size, title, parts)


def _labels(names: Sequence[str], xy: np.ndarray, radii: np.ndarray, size: int) -> list[str]:
    """Write names above their nodes, or else below, where they are inside the picture and cover no other name."""
    parts: list[str] = []
    taken = np.zeros((0, 4))
    for name, (x, y), radius in zip(names, xy, radii, strict=True):
        half = 3 * len(name)  # a letter of the font has about six units
        x = min(max(x, half), size - half)
        for base in (y - radius - 2, y + radius + 10):
            box = np.array([x - half, base - 8, x + half, base + 2])
            apart = (box[2:] <= taken[:, :2]) | (box[:2] >= taken[:, 2:])
            if 8 <= base <= size - 2 and apart.any(axis=1).all():
                taken = np.vstack([taken, box])
                parts.append(
                    f'<text class="name" x="{x:.1f}" y="{base:.1f}" text-anchor="middle">{escaped(name)}</text>'
                )
                break
        if len(parts) == MAX_LABELLED:
            break
    return parts


def check_plot_path(path: str, *inputs: str | None, argument: str = "--plot") -> None:
    """Raise if a plot cannot be written to `path` or would overwrite an input; called before the work starts."""
    if not isinstance(path, (str, os.PathLike)):
        raise InvalidConfigError.of(argument, "the name of a file", type(path).__name__)
    suffix = Path(path).suffix.lower()
    if suffix not in SUFFIXES:
        raise InvalidConfigError(
            f"{argument}: expected a name ending in {', '.join(SUFFIXES)}, got {path!r:.80}", argument=argument
        )
    if not Path(path).resolve().parent.is_dir():
        raise InvalidConfigError(f"{argument}: no such folder: {Path(path).parent}", argument=argument)
    if any(name is not None and same_file(path, name) for name in inputs):
        raise InvalidConfigError(f"{argument}: {path!r:.80} is an input, which it would replace", argument=argument)
    if suffix == ".png" and importlib.util.find_spec("matplotlib") is None:
        remedy = ".png needs matplotlib (pip install 'graphattend[plot]')"
        raise UnsupportedError(f"{argument}: {remedy}", argument=argument)


def write_bars(path: str, title: str, bars: Mapping[str, float]) -> None:
    """Write a bar chart as a page (.html) or a picture (.svg, .png).

    Args:
        path: File to write.
        title: Title of the chart.
        bars: Numbers >= 0 by name.

    Raises:
        InvalidConfigError: Another suffix, or no such folder; UnsupportedError: .png without matplotlib.
    """

    def page() -> str:
        heading = escaped(title)
        return f"{page_head(heading)}<h1>{heading}</h1>{bars_svg(title, bars)}</body></html>\n"

    write_picture(path, lambda: bars_svg(title, bars), page, _Bars(title, bars))


def write_picture(
    path: str, svg: Callable[[], str], page: Callable[[], str], draw: Callable[[Any], None], argument: str = "--plot"
) -> None:
    """Write styled SVG, an HTML page, or a PNG that `draw` draws on matplotlib's axes, by the suffix of `path`."""
    check_plot_path(path, argument=argument)
    suffix = Path(path).suffix.lower()
    if suffix == ".png":
        data = _png(draw)
    else:
        text = page() if suffix == ".html" else svg().replace("</title>", f"</title><style>{STYLE}</style>", 1)
        data = text.encode()
    with load_errors(path):
        write_atomically(path, data)


def _png(draw: Callable[[Any], None]) -> bytes:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(8, 8))
    draw(axes)
    data = io.BytesIO()
    figure.savefig(data, format="png", dpi=120, bbox_inches="tight")
    plt.close(figure)
    return data.getvalue()


@dataclasses.dataclass(frozen=True)
class _Bars:
    """Draws a bar chart on matplotlib's axes."""

    title: str
    bars: Mapping[str, float]

    def __call__(self, axes: Any) -> None:
        axes.barh(list(self.bars), list(self.bars.values()), color="#2a6f97")
        axes.invert_yaxis()
        axes.set_title(self.title)
