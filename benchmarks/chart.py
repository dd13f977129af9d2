"""A bar chart as SVG: each contender's speed relative to the fastest peer's, one group of bars per workload."""

from __future__ import annotations

import io

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
LONGEST = 6.0  # times the fastest peer; longer bars are cut and marked
#: Keep text as text, and write the same file for the same figures.
STYLE = {"svg.fonttype": "none", "svg.hashsalt": "graphattend", "font.size": 8, "font.family": "sans-serif"}


def bars(results: Results, workload: str, runtime: str) -> list[tuple[str, float]]:
    """Return the contenders with their speeds relative to the fastest peer's."""
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
    """Return the picture as SVG."""
    import matplotlib

    matplotlib.use("svg")
    from matplotlib import pyplot

    groups = [(title, bars(results, workload, runtime)) for workload, title in ROWS.items()]
    groups = [(title, group) for title, group in groups if group]
    with matplotlib.rc_context(STYLE):
        height = 0.9 + 0.11 * sum(len(group) + 1.5 for _, group in groups)
        figure, axes = pyplot.subplots(figsize=(8, height), layout="constrained")
        y, middles = 0.0, []
        for _, group in groups:
            middles.append(y + (len(group) - 1) / 2)
            for name, value in group:
                axes.barh(y, min(value, LONGEST), 0.9, color=COLOURS[name], label=NAMES[name])
                if name == "graphattend":
                    axes.text(min(value, LONGEST) + 0.05, y, f"{number(value)}×", va="center", weight="bold")
                y += 1
            y += 1.5
        axes.axvline(1, color="#555", linewidth=0.8)
        axes.set(
            xlim=(0, LONGEST + 0.6), ylim=(y - 1.5, -1), yticks=middles, yticklabels=[title for title, _ in groups]
        )
        axes.set_title(f"Speed relative to the fastest peer (= 1), Pyodide in {TITLES[runtime]}, one thread")
        axes.spines[["top", "right", "left"]].set_visible(False)
        axes.tick_params(left=False)
        handles, labels = axes.get_legend_handles_labels()
        shown = dict(zip(labels, handles, strict=True))
        figure.legend(shown.values(), shown.keys(), loc="outside lower center", ncols=2, frameon=False)
        text = io.StringIO()
        figure.savefig(text, format="svg", metadata={"Date": None})
        pyplot.close(figure)
    return text.getvalue()
