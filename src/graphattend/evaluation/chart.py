"""An evaluation as a picture (quality beside cost) and as a page."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._printable import escaped
from ..drawing import matrix_svg, page_head, svg_element, write_picture
from .results import Evaluation, sorted_rows

_LEFT, _WIDTH, _GAP, _COST, _ROW = 150, 330, 30, 170, 20


def quality_svg(found: Evaluation) -> str:
    """The primary metric with its spread over the seeds, best first, and the time of an epoch beside it."""
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
    for value in np.linspace(low, high, 5):
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


def _table(header: list[str], rows: list[list[str]]) -> str:
    head = "".join(f"<th{' class=n' if i else ''}>{name}</th>" for i, name in enumerate(header))
    body = "".join(
        "<tr>" + "".join(f"<td{' class=n' if i else ''}>{cell}</td>" for i, cell in enumerate(row)) + "</tr>"
        for row in rows
    )
    return f'<div class="wide"><table><tr>{head}</tr>{body}</table></div>'


def _quality_table(found: Evaluation) -> str:
    rows = [
        [
            escaped(row["mechanism"]) + (" (baseline)" if row["baseline"] else ""),
            *(f"{100 * row[m][0]:.1f} ± {100 * row[m][1]:.1f}" for m in found.metrics),
            "best" if row["p_value"] is None else f"{row['p_value']:.2f}",
            f"{1e3 * row['seconds_per_epoch']:.1f}",
            f"{row['parameters']:,}",
            f"{row['memory'] / 2**20:.1f}",
        ]
        for row in sorted_rows(found)
    ]
    return _table(["mechanism", *(f"{m}, %" for m in found.metrics), "p", "ms/epoch", "parameters", "MB"], rows)


def _names(found: Evaluation) -> list[str]:
    names = found.graph.names
    return [str(i) for i in range(found.graph.num_nodes)] if names is None else [str(n) for n in names]


def _top_table(found: Evaluation, count: int) -> str:
    """The strongest neighbours of the best connected nodes under the best mechanism, before and after training."""
    names = _names(found)

    def shown(node: int, before: bool) -> str:
        return ", ".join(f"{escaped(names[j])} {w:.2f}" for j, w in found.top(found.best, node, before=before))

    nodes = [int(n) for n in np.argsort(-found.graph.degree(), kind="stable")[:count]]
    return _table(["node", "before", "after"], [[escaped(names[n]), shown(n, True), shown(n, False)] for n in nodes])


def page(found: Evaluation) -> str:
    """The whole evaluation as one HTML page without any outside resource."""
    title = "Which mechanism predicts " + ("held-out links" if found.task == "links" else "labels")
    names, matrix = found.disagreement()
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
    body = [
        f"<h1>{title}</h1><p>{found.graph.num_nodes} nodes; {seeds} seed{'s' * (seeds > 1)}. {best}.</p>",
        f'<div class="wide">{quality_svg(found)}</div>',
        "<h2>Numbers</h2><p>p: sign-flip test of the paired differences to the best over the seeds.</p>",
        _quality_table(found),
        "<h2>What training changed</h2><p>Entropy of a node's weights before → after, in nats; the Jensen–Shannon "
        "divergence between the two, in bits; how many of the three strongest neighbours stay.</p>",
        _table(["mechanism", "entropy", "divergence", "same top 3"], learned),
        f"<h2>Top neighbours under {escaped(found.best)}</h2>{_top_table(found, 12)}",
        "<h2>Where the learned mechanisms disagree</h2><p>Jensen–Shannon divergence, in bits.</p>",
        f'<div class="wide">{matrix_svg(matrix, names, "Disagreement of the learned attentions")}</div>',
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
        axes.set_yticks(np.arange(len(rows)), [row["mechanism"] for row in rows])
        axes.set_xlabel(f"{found.primary}, mean ± standard deviation (red: baselines)")

    return on


def write_chart(found: Evaluation, path: str) -> None:
    """Write what the suffix asks for; see `Evaluation.plot`."""
    write_picture(path, lambda: quality_svg(found), lambda: page(found), _draw(found))
