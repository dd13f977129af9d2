"""A bar chart as SVG: each contender's speed relative to the fastest peer's, one group of bars for each workload."""

from __future__ import annotations

from html import escape

from benchmarks.results_file import PEERS, Results, against_fastest, ratio, speed
from benchmarks.targets import ROWS, TITLES, number

COLOURS = {
    "graphattend": "#3b6fd4",
    "onnxruntime": "#e08a2e",
    "tfjs": "#4f9d69",
    "javascript": "#b9a13c",
    "numpy": "#8d8d95",
}
NAMES = {"graphattend": "graphattend", **PEERS, "numpy": "NumPy in Pyodide (the faster of @ and einsum)"}
LEFT, WIDTH, BAR, GAP = 330, 420, 9, 12
LONGEST = 6.0  # times the fastest peer; longer bars are cut and say so


def bars(results: Results, workload: str, runtime: str) -> list[tuple[str, float]]:
    """Contender and its speed in units of the fastest peer's."""
    found = against_fastest(results, workload, runtime)
    if found is None:
        return []
    ours = found[0]
    others: list[tuple[str, float | None]] = [(name, ratio(results, workload, runtime, name)) for name in PEERS]
    names = [name for name in ("numpy", "einsum") if speed(results, workload, runtime, name)]
    numpy = min((r for name in names if (r := ratio(results, workload, runtime, name))), default=None)
    shown = [(name, ours / r) for name, r in [*others, ("numpy", numpy)] if r]
    return [("graphattend", ours), *shown]


def chart(results: Results, runtime: str = "chromium") -> str:
    """The picture."""
    parts: list[str] = []
    y = 64.0
    scale = WIDTH / LONGEST
    top = y - 8
    for workload, title in ROWS.items():
        group = bars(results, workload, runtime)
        if not group:
            continue
        middle = y + len(group) * BAR / 2 + 4
        parts.append(f'<text x="{LEFT - 10}" y="{middle:.0f}" text-anchor="end">{escape(title)}</text>')
        for name, value in group:
            length = min(value, LONGEST) * scale
            parts.append(
                f'<rect x="{LEFT}" y="{y:.0f}" width="{length:.1f}" height="{BAR - 1}" fill="{COLOURS[name]}"/>'
            )
            if name == "graphattend":
                parts.append(
                    f'<text x="{LEFT + length + 5:.0f}" y="{y + BAR - 1:.0f}" font-weight="bold">{number(value)}×</text>'
                )
            y += BAR
        y += GAP
    for at in range(int(LONGEST) + 1):
        x = LEFT + at * scale
        colour = "#555" if at == 1 else "#ddd"
        parts.insert(0, f'<line x1="{x:.0f}" x2="{x:.0f}" y1="{top:.0f}" y2="{y:.0f}" stroke="{colour}"/>')
        parts.append(f'<text x="{x:.0f}" y="{y + 14:.0f}" text-anchor="middle">{at}</text>')
    legend_y = y + 40
    x = 20.0
    for name, title in NAMES.items():
        parts.append(f'<rect x="{x:.0f}" y="{legend_y - 9:.0f}" width="10" height="10" fill="{COLOURS[name]}"/>')
        parts.append(f'<text x="{x + 15:.0f}" y="{legend_y:.0f}">{escape(title)}</text>')
        x += 35 + 6.4 * len(title)
    heading = f"Speed relative to the fastest peer (= 1), Pyodide in {TITLES[runtime]}, one thread"
    height = legend_y + 20
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 800 {height:.0f}" font-family="sans-serif" font-size="12">',
            f'<rect width="800" height="{height:.0f}" fill="white"/>',
            f'<text x="20" y="30" font-size="16">{escape(heading)}</text>',
            *parts,
            "</svg>\n",
        ]
    )
