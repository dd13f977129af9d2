"""Draw an evaluation as a picture (quality and cost) or as a page."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

import numpy as np

from .._printable import escaped
from ..drawing import attention_svg, best_connected, layout, matrix_svg, page_head, svg_element, write_picture
from ..graph.properties import described
from .metrics import divergence_by_node
from .results import Evaluation, attended, best_connected_first, names_of, sorted_rows, top_text

#: Meanings of the table's columns.
_TOLD = {
    "roc_auc": "the chance that a held-out link scores higher than a pair of nodes without a link; 50 % is guessing",
    "average_precision": "the share of links among the pairs with the highest scores, averaged over all links",
    "mrr": "the mean of 1 / rank of a held-out link among 50 pairs without a link; half of them are two steps apart",
    "hits@10": "how often a held-out link is among the ten highest of these",
    "accuracy": "the share of nodes whose class is predicted",
    "macro_f1": "the F1 score of a class, averaged over the classes",
    "±": "the standard deviation over the seeds",
    "p": "how often chance alone gives such a difference to the best (sign-flip test of the pairs of runs)",
    "calibration": "by how much the predicted probabilities miss the share that is true, on average",
    "MB": "the memory of one training step",
}
_ALWAYS = ("±", "p", "calibration", "MB")
_LEFT, _WIDTH, _GAP, _COST, _ROW = 150, 330, 30, 170, 20


def quality_svg(found: Evaluation) -> str:
    """Draw the primary metric with its spread over the seeds, best first, and the time of an epoch."""
    rows = sorted_rows(found)
    ends = [row[found.primary][0] + sign * row[found.primary][1] for row in rows for sign in (-1, 1)]
    low, high = max(0.0, min(ends) - 0.02), min(1.0, max(ends) + 0.02)
    slow = max([row["seconds_per_epoch"] for row in rows] + [1e-9])

    def at(value: float) -> float:
        return _LEFT + _WIDTH * (min(max(value, low), high) - low) / (high - low)

    cost = _LEFT + _WIDTH + _GAP
    parts = [
        f'<text x="{_LEFT}" y="12">{found.primary}, mean ± standard deviation</text>',
        f'<text x="{cost}" y="12">ms per epoch</text>',
    ]
    bottom = 24 + _ROW * len(rows)
    step = next(s for s in (0.01, 0.02, 0.05, 0.1, 0.2) if high - low <= 5 * s)
    for value in step * np.arange(np.ceil(low / step), high / step):
        x = at(float(value))
        parts.append(f'<line class="quiet" x1="{x:.1f}" y1="20" x2="{x:.1f}" y2="{bottom}"/>')
        parts.append(f'<text class="soft" x="{x:.1f}" y="{bottom + 12}" text-anchor="middle">{value:.2f}</text>')
    for i, row in enumerate(rows):
        y = 34 + i * _ROW
        mean, spread = row[found.primary]
        name = escaped(row["mechanism"])
        kind = "cell" if row["baseline"] else "bar"
        style = ' class="soft"' if row["baseline"] else ""
        parts += [
            f'<text{style} x="{_LEFT - 10}" y="{y + 4}" text-anchor="end">{name}</text>',
            f'<line class="whisker" x1="{at(mean - spread):.1f}" y1="{y}" x2="{at(mean + spread):.1f}" y2="{y}"/>',
            f'<circle class="{kind}" cx="{at(mean):.1f}" cy="{y}" r="4">'
            f"<title>{name}: {mean:.3f} ± {spread:.3f}</title></circle>",
        ]
        if row["seconds_per_epoch"]:
            width = _COST * row["seconds_per_epoch"] / slow
            parts.append(f'<rect class="bar" x="{cost}" y="{y - 6}" width="{width:.1f}" height="12" rx="2"/>')
            milliseconds = f"{1e3 * row['seconds_per_epoch']:.2g}"
            parts.append(f'<text class="soft" x="{cost + width + 5:.1f}" y="{y + 4}">{milliseconds}</text>')
    return svg_element(cost + _COST + 50, bottom + 24, f"Quality and cost, {found.task}", parts)


def calibration_svg(curves: Mapping[str, tuple[str, np.ndarray]]) -> str:
    """Draw observed frequencies against predicted probabilities; on the diagonal both are equal.

    Args:
        curves: By name, the CSS class of the line and the array that `Evaluation.calibration` returns.

    Returns:
        The SVG element.
    """
    left, top, size = 46, 12, 300
    parts = [f'<line class="quiet" x1="{left}" y1="{top + size}" x2="{left + size}" y2="{top}"/>']
    for value in np.linspace(0, 1, 6):
        x, y = left + size * value, top + size * (1 - value)
        parts.append(f'<text class="soft" x="{x:.0f}" y="{top + size + 14}" text-anchor="middle">{value:.1f}</text>')
        parts.append(f'<text class="soft" x="{left - 6}" y="{y + 4:.0f}" text-anchor="end">{value:.1f}</text>')
    parts.append(f'<rect class="frame" x="{left}" y="{top}" width="{size}" height="{size}"/>')
    middle = left + size / 2
    parts.append(f'<text x="{middle}" y="{top + size + 32}" text-anchor="middle">predicted probability</text>')
    parts.append(f'<text transform="translate(12,{top + size / 2}) rotate(-90)" text-anchor="middle">share true</text>')
    for i, (name, (kind, curve)) in enumerate(curves.items()):
        seen = curve[curve[:, 0] > 0]
        xy = [(left + size * p, top + size * (1 - share), int(n)) for n, p, share in seen]
        points = " ".join(f"{x:.1f},{y:.1f}" for x, y, _ in xy)
        parts.append(f'<polyline class="{kind}" points="{points}"/>')
        most = max(seen[:, 0])
        parts += [
            f'<circle class="{kind} dot" cx="{x:.1f}" cy="{y:.1f}" r="{2 + 4 * np.sqrt(n / most):.1f}">'
            f"<title>{escaped(name)}: {n} predictions</title></circle>"
            for x, y, n in xy
        ]
        line = top + 20 + 18 * i
        parts.append(f'<circle class="{kind} dot" cx="{left + 14}" cy="{line - 4}" r="4"/>')
        parts.append(f'<text x="{left + 24}" y="{line}">{escaped(name)}</text>')
    return svg_element(left + size + 20, top + size + 40, "Calibration", parts)


def _table(header: list[str], rows: list[list[str]], *, text: bool = False) -> str:
    """Return an HTML table of names and numbers, or with `text` of text only."""

    def row(tag: str, cells: list[str]) -> str:
        return "".join(f"<{tag}{' class=n' if i and not text else ''}>{cell}</{tag}>" for i, cell in enumerate(cells))

    body = "".join(f"<tr>{row('td', cells)}</tr>" for cells in rows)
    return f'<div class="wide"><table><tr>{row("th", header)}</tr>{body}</table></div>'


def _quality_table(found: Evaluation) -> str:
    rows = [
        [
            escaped(row["mechanism"]) + (" (baseline)" if row["baseline"] else ""),
            *(f"{100 * row[m][0]:.1f} ± {100 * row[m][1]:.1f}" for m in found.metrics),
            "best" if row["p_value"] is None else f"{row['p_value']:.2f}",
            "–" if row["calibration_error"] is None else f"{100 * row['calibration_error']:.1f}",
            f"{1e3 * row['seconds_per_epoch']:.1f}",
            f"{row['parameters']:,}",
            f"{row['memory'] / 2**20:.1f}",
        ]
        for row in sorted_rows(found)
    ]
    return _table(
        ["mechanism", *(f"{m}, %" for m in found.metrics), "p", "calibration, %", "ms/epoch", "parameters", "MB"], rows
    )


def _top_table(found: Evaluation, count: int) -> str:
    """Return a table of the best connected nodes' strongest neighbours before and after training."""
    names = names_of(found.graph)
    rows = [
        [names[n], *(top_text(found, found.best, n, before=before) for before in (True, False))]
        for n in best_connected_first(found.graph, count)
    ]
    return _table(["node", "before", "after"], [[escaped(cell) for cell in row] for row in rows], text=True)


def _learned_pictures(found: Evaluation) -> str:
    """Draw the graph with the weights of the best mechanism, before and after training."""
    nodes = best_connected(found.graph)
    linked = (found.graph.degree() + np.bincount(found.graph.indices, minlength=found.graph.num_nodes)) > 0
    nodes = nodes[linked[nodes]]
    sub = found.graph.subgraph(nodes)
    positions = layout(sub.indptr, sub.indices)
    names, own = names_of(found.graph), attended(found, found.best)
    pictures = [
        f"<div><h3>{title}</h3>{attention_svg(found.graph, weights, names, title, positions, nodes)}</div>"
        for title, weights in (("Before training", own.before), ("After training", own.after))
    ]
    return f'<div class="pair">{"".join(pictures)}</div>'


def _calibration(found: Evaluation) -> str:
    curves = {}
    for kind, baseline in (("line", False), ("edge", True)):
        known = [e.name for e in found.entries if e.baseline == baseline and e.runs[0].calibration is not None]
        if known:
            name = max(known, key=lambda n: found[n].values(found.primary).mean())
            curves[name] = (kind, np.asarray(found.calibration(name)))
    what = "a link" if found.task == "links" else "the predicted class"
    return (
        f"<h2>Calibration</h2><p>Predictions with about the same probability of {what}, and how many of them were "
        "right. On the diagonal a probability means what it says; below it, predictions are too sure. Larger points "
        f'stand for more predictions.</p><div class="wide">{calibration_svg(curves)}</div>'
    )


def _disagreement(found: Evaluation) -> str:
    """Show which mechanisms disagree most, and on which nodes."""
    labels, matrix = found.disagreement()
    title = "<h2>Where the learned mechanisms disagree</h2>"
    if len(labels) < 2:
        return ""
    i, j = np.unravel_index(int(matrix.argmax()), matrix.shape)
    names, by_node = names_of(found.graph), found.disagreement_by_node()
    nodes = np.argsort(-by_node, kind="stable")[:8]
    nodes = nodes[by_node[nodes] > 0]
    pairs = list(itertools.combinations(labels, 2))
    after = {name: attended(found, name).after for name in labels}
    apart = np.array([divergence_by_node(found.graph, [after[a], after[b]])[nodes] for a, b in pairs])
    rows = [
        [names[node], f"{by_node[node]:.2f}", *(f"{n}: {top_text(found, n, int(node), count=2)}" for n in pairs[most])]
        for node, most in zip(nodes, apart.argmax(axis=0), strict=True)
    ]
    return (
        f"{title}<p>The Jensen–Shannon divergence of two attentions, in bits: 0 where they are equal, 1 where no node "
        f"attends to a neighbour under both. The two that differ most are {escaped(labels[i])} and "
        f'{escaped(labels[j])} ({matrix[i, j]:.2f}).</p><div class="wide">'
        f"{matrix_svg(matrix, labels, 'Disagreement of the learned attentions')}</div>"
        "<p>The nodes on which all mechanisms disagree most, and the two that are furthest apart there.</p>"
        + _table(["node", "bits", "one", "other"], [[escaped(cell) for cell in row] for row in rows], text=True)
    )


def page(found: Evaluation) -> str:
    """Return the evaluation as one HTML page that needs no other file."""
    title = "Which mechanism predicts " + ("held-out links" if found.task == "links" else "labels")
    baseline = found.best_baseline
    best = f"The best mechanism is {escaped(found.best)}"
    if baseline is not None:
        ahead = found[found.best].values(found.primary).mean() - found[baseline].values(found.primary).mean()
        word = "ahead of" if ahead > 0 else "behind"
        best += f", {100 * abs(ahead):.1f} points {word} the best baseline, {escaped(baseline)}"
    learned = [
        [
            escaped(row["mechanism"]),
            " → ".join(f"{x:.2f}" for x in row["entropy"]),
            f"{row['divergence']:.3f}",
            f"{100 * row['overlap']:.0f} %",
        ]
        for row in found.learned()
    ]
    seeds = len(found.settings["seeds"])
    trained = f"{seeds} seed{'s' * (seeds > 1)}"
    if found.settings["layers"] == 2:
        trained += "; two layers, of which the second's attention is shown"
    body = [
        f"<h1>{title}</h1><p>{described(found.graph)} to learn from; {trained}. {best}.</p>",
        f'<div class="wide">{quality_svg(found)}</div>',
        f"<h2>Numbers</h2>{_quality_table(found)}<ul>",
        *(f"<li>{term}: {told}.</li>" for term, told in _TOLD.items() if term in found.metrics or term in _ALWAYS),
        "</ul>",
        _calibration(found),
        f"<h2>What {escaped(found.best)} attends to</h2><p>The heavier a line, the more one end attends to the other; "
        "the larger a node, the more attention it receives.</p>",
        _learned_pictures(found),
        _top_table(found, 12),
        "<h2>What training changed</h2><p>The entropy of a node's weights before → after training, in nats: 0 if a "
        "node attends to one neighbour, more if it attends to many alike. The change is the Jensen–Shannon divergence "
        "between the two, in bits: 0 if nothing changed, at most 1. The last column says how many of the three "
        "strongest neighbours stay.</p>",
        _table(["mechanism", "entropy", "change", "same top 3"], learned),
        _disagreement(found),
        *(f"<p>Skipped {escaped(n)}: {escaped(reason)}</p>" for n, reason in found.skipped.items()),
    ]
    return f"{page_head(title)}{''.join(body)}</body></html>\n"


def _draw(found: Evaluation) -> Any:
    def on(axes: Any) -> None:
        rows = sorted_rows(found)[::-1]
        mean, spread = np.array([row[found.primary] for row in rows]).T
        colors = ["#b3431e" if row["baseline"] else "#2a6f97" for row in rows]
        axes.errorbar(mean, np.arange(len(rows)), xerr=spread, fmt="none", ecolor="#9aa0aa")
        axes.scatter(mean, np.arange(len(rows)), c=colors, zorder=3)
        cost = [f", {1e3 * row['seconds_per_epoch']:.2g} ms" if row["epochs"] else "" for row in rows]
        names = [row["mechanism"] + ms for row, ms in zip(rows, cost, strict=True)]
        axes.set_yticks(np.arange(len(rows)), names)
        axes.set_xlabel(f"{found.primary}, mean ± standard deviation (red: baselines); ms: one epoch")

    return on


def write_chart(found: Evaluation, path: str) -> None:
    """Write the picture or page in the format of the suffix; see `Evaluation.plot`."""
    write_picture(path, lambda: quality_svg(found), lambda: page(found), _draw(found), "path")
