"""Reports of an analysis as a self-contained HTML page, and its pictures as SVG or PNG."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from ._printable import escaped
from ._validate import as_choice
from .analysis import Analysis, linked_mean
from .drawing import attention_svg, bars_svg, best_connected, layout, matrix_svg, page_head, write_picture
from .graph.properties import described

#: Maximum number of nodes in the heat map; those of highest degree are shown.
MAX_HEAT = 24


def graph_svg(analysis: Analysis, result: int, positions: np.ndarray, nodes: np.ndarray, *, size: int = 520) -> str:
    """Draw the graph with the attention weights of one mechanism as line widths."""
    r = analysis.results[result]
    return attention_svg(analysis.graph, r.weights, analysis.names, f"Attention under {r.key}", positions, nodes, size)


def heat_svg(analysis: Analysis, result: int) -> str:
    """Draw the attention of nodes (rows) to nodes (columns) of highest degree as a heat map."""
    graph, names = analysis.graph, analysis.names
    nodes = np.argsort(-graph.degree(), kind="stable")[:MAX_HEAT]
    at = np.full(graph.num_nodes, -1)
    at[nodes] = np.arange(nodes.size)
    r = analysis.results[result]
    i, j = at[graph.targets], at[graph.indices]
    both = (i >= 0) & (j >= 0)
    matrix = np.zeros((nodes.size, nodes.size))
    np.add.at(matrix, (i[both], j[both]), r.weights[both])
    return matrix_svg(matrix, [names[n] for n in nodes], f"Attention among the best connected nodes, {r.key}")


def agreement_svg(analysis: Analysis) -> str:
    """Draw the agreement of all pairs of mechanisms as a heat map."""
    return matrix_svg(analysis.agreement, [r.key for r in analysis.results], "Agreement of the mechanisms")


def entropy_svg(analysis: Analysis) -> str:
    """Draw the mean effective number of neighbours, exp(entropy), of each mechanism as bars."""
    means = [linked_mean(analysis.graph, r.effective) for r in analysis.results]
    top = linked_mean(analysis.graph, analysis.graph.degree())
    keys = [r.key for r in analysis.results]
    return bars_svg("Neighbours attended to, exp(entropy)", dict(zip(keys, means, strict=True)), at_least=top)


def html_report(analysis: Analysis, *, title: str = "Who attends to whom", nodes: int = 12) -> str:
    """Return the report as one HTML page without external resources.

    Args:
        analysis: Result of `graphattend.analysis.analyze`.
        title: Heading of the page.
        nodes: Number of nodes in the table, in descending order of degree.

    Returns:
        The page.

    Example:
        >>> import graphattend as ga
        >>> from graphattend.analysis import analyze
        >>> from graphattend.report import html_report
        >>> pair = ga.NeighborGraph.from_edge_index([[0, 1], [1, 0]], 2)
        >>> html_report(analyze(pair, keys=["flash"])).startswith("<!doctype html>")
        True
    """
    graph = analysis.graph
    drawn = best_connected(analysis.graph)
    sub = graph.subgraph(drawn)
    positions = layout(sub.indptr, sub.indices)
    heading = escaped(title)
    body = [
        f"<h1>{heading}</h1><p>{described(graph, analysis.directed)}; latent vectors of "
        f"{analysis.latents.shape[1]} coordinates; {len(analysis.results)} mechanisms.</p>",
        "<h2>Mechanisms</h2>",
        _summary(analysis),
        "<h2>How many neighbours are attended to</h2><p>The exponential of the entropy of a node's weights, mean over "
        f"the nodes with neighbours, which have {linked_mean(graph, graph.degree()):.1f} on average.</p>",
        entropy_svg(analysis),
        "<h2>Agreement</h2><p>The weight two mechanisms share, Σ min(p, q), mean over the nodes.</p>",
        f'<div class="wide">{agreement_svg(analysis)}</div>',
        f"<h2>Top neighbours</h2>{_top_table(analysis, nodes)}",
    ]
    note = "" if drawn.size == graph.num_nodes else f" The {drawn.size} best connected nodes are drawn."
    for i, r in enumerate(analysis.results):
        body.append(
            f"<h2>{r.key}</h2><p>The heavier a line, the more one end attends to the other; the larger a node, the "
            f'more attention it receives.{note}</p><div class="wide">{graph_svg(analysis, i, positions, drawn)}'
            f"{heat_svg(analysis, i)}</div>"
        )
    for key, reason in analysis.skipped.items():
        body.append(f"<p>Skipped {key}: {escaped(reason)}</p>")
    return f"{page_head(heading)}{''.join(body)}</body></html>\n"


def _summary(analysis: Analysis) -> str:
    rows = []
    for r in analysis.results:
        entropy, effective = (linked_mean(analysis.graph, values) for values in (r.entropy, r.effective))
        numbers = (f"{entropy:.3f}", f"{effective:.2f}", f"{1e3 * r.seconds:.2f}")
        cells = "".join(f'<td class="n">{number}</td>' for number in numbers)
        rows.append(f"<tr><td>{r.key}</td>{cells}</tr>")
    columns = "".join(f'<th class="n">{name}</th>' for name in ("entropy (nats)", "attends to", "ms"))
    head = f"<tr><th>mechanism</th>{columns}</tr>"
    return f'<div class="wide"><table>{head}{"".join(rows)}</table></div>'


def _top_table(analysis: Analysis, count: int) -> str:
    names = analysis.names
    nodes = np.argsort(-analysis.graph.degree(), kind="stable")[:count]
    head = "<tr><th>node</th>" + "".join(f"<th>{r.key}</th>" for r in analysis.results) + "</tr>"
    rows = []
    for n in nodes:
        cells = []
        for r in analysis.results:
            top = "<br>".join(f"{escaped(names[j])} {w:.2f}" for j, w in analysis.top(r.key, int(n)))
            cells.append(f"<td>{top}</td>")
        rows.append(f"<tr><th>{escaped(names[n])}</th>{''.join(cells)}</tr>")
    return f'<div class="wide"><table>{head}{"".join(rows)}</table></div>'


def write_plot(analysis: Analysis, path: str, *, picture: str = "attention") -> None:
    """Write the report (.html) or one picture (.svg, .png).

    Args:
        analysis: Result of `graphattend.analysis.analyze`.
        path: File to write.
        picture: "attention" of the first mechanism over the graph, or the "agreement" of all mechanisms.

    Raises:
        InvalidConfigError: Another suffix, or no such folder; UnsupportedError: .png without matplotlib.
    """
    as_choice(picture, "picture", ("attention", "agreement"))
    if picture == "agreement":
        write_picture(path, lambda: agreement_svg(analysis), lambda: html_report(analysis), _Agreement(analysis))
    else:
        write_picture(path, lambda: _attention_svg(analysis), lambda: html_report(analysis), _Attention(analysis))


def _attention_svg(analysis: Analysis) -> str:
    drawn = best_connected(analysis.graph)
    sub = analysis.graph.subgraph(drawn)
    size = min(720, 240 + 20 * drawn.size)  # the names of few nodes would be too small in a large picture
    return graph_svg(analysis, 0, layout(sub.indptr, sub.indices), drawn, size=size)


@dataclasses.dataclass(frozen=True)
class _Attention:
    """Draws the attention of the first mechanism on matplotlib's axes."""

    analysis: Analysis

    def __call__(self, axes: Any) -> None:
        analysis = self.analysis
        drawn = best_connected(analysis.graph)
        sub = analysis.graph.subgraph(drawn)
        xy = layout(sub.indptr, sub.indices)
        r = analysis.results[0]
        at = {int(n): i for i, n in enumerate(drawn)}
        for i, j, w in zip(analysis.graph.targets, analysis.graph.indices, r.weights, strict=True):
            if int(i) in at and int(j) in at:
                a, b = xy[at[int(i)]], xy[at[int(j)]]
                axes.plot(
                    *zip(a, b, strict=True), color="#b3431e", lw=0.3 + 3 * w, alpha=0.08 + 0.8 * float(w), zorder=1
                )
        received = np.bincount(analysis.graph.indices, r.weights, analysis.graph.num_nodes)[drawn]
        axes.scatter(*xy.T, s=8 + 160 * received / max(received.max(), 1e-9), color="#2a6f97", zorder=2)
        for i in np.argsort(-received)[:22]:
            axes.annotate(analysis.names[drawn[i]], xy[i], fontsize=7, ha="center", va="bottom")
        axes.set_title(f"Attention under {r.key}")
        axes.axis("off")


@dataclasses.dataclass(frozen=True)
class _Agreement:
    """Draws the agreement of all mechanisms on matplotlib's axes."""

    analysis: Analysis

    def __call__(self, axes: Any) -> None:
        keys = [r.key for r in self.analysis.results]
        axes.imshow(self.analysis.agreement, vmin=0, cmap="Oranges")
        axes.set_xticks(range(len(keys)), keys, rotation=60, ha="right")
        axes.set_yticks(range(len(keys)), keys)
        axes.set_title("Agreement of the mechanisms")
