"""Pictures without a library: SVG from numbers, pages around them, and files of the kind that their name asks for."""

from __future__ import annotations

import dataclasses
import importlib.util
import io
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ._printable import escaped
from .errors import InvalidConfigError, UnsupportedError
from .storage import load_errors, same_file, write_atomically

SUFFIXES = (".html", ".svg", ".png")

STYLE = """
:root{color-scheme:light dark;--bg:#fcfcfb;--ink:#1b1d22;--soft:#6b7079;--line:#dcdee2;--hot:#b3431e;--cool:#2a6f97}
@media (prefers-color-scheme:dark){
:root{--bg:#16181c;--ink:#e8e9ec;--soft:#9aa0aa;--line:#33373f;--hot:#f28a5b;--cool:#6fb7dd}}
body{font:15px/1.5 system-ui,sans-serif;max-width:1080px;margin:2rem auto;padding:0 1rem;
background:var(--bg);color:var(--ink)}
h1{font-size:1.6rem;margin-bottom:.2rem}h2{font-size:1.15rem;margin-top:2.2rem}p{color:var(--soft);margin:.3rem 0 1rem}
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums;font-size:.86rem}
th,td{text-align:left;padding:.3rem .6rem .3rem 0;border-bottom:1px solid var(--line);vertical-align:top}
th{font-weight:600}td.n,th.n{text-align:right}svg{max-width:100%;height:auto;display:block}
.wide{overflow-x:auto}text{fill:var(--ink);font:10px system-ui,sans-serif}.soft{fill:var(--soft)}
.edge{stroke:var(--hot);fill:none}.quiet{stroke:var(--line)}.node{fill:var(--cool);stroke:var(--bg)}.bar{fill:var(--cool)}
.cell{fill:var(--hot)}.frame{fill:none;stroke:var(--line)}.whisker{stroke:var(--soft);stroke-width:1.5}
"""


def page_head(heading: str) -> str:
    """The start of a page, up to its body; `heading` is HTML."""
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>{heading}</title><style>{STYLE}</style><body>"
    )


def matrix_svg(matrix: np.ndarray, labels: list[str], title: str) -> str:
    """A square matrix as a heat map, rows and columns with the same labels."""
    cell, margin = 18, 130
    top = max(float(matrix.max()), 1e-9)
    parts = []
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
    """Numbers by name as horizontal bars; the scale reaches to `at_least`."""
    top = max([*bars.values(), at_least, 1e-9])
    parts = []
    for i, (name, value) in enumerate(bars.items()):
        y = 8 + i * 20
        parts.append(f'<text x="140" y="{y + 12}" text-anchor="end">{escaped(name)}</text>')
        parts.append(f'<rect class="bar" x="148" y="{y}" width="{380 * value / top:.1f}" height="15" rx="2"/>')
        parts.append(f'<text class="soft" x="{154 + 380 * value / top:.1f}" y="{y + 12}">{value:,.2f}</text>')
    return svg_element(600, 16 + 20 * len(bars), title, parts)


def svg_element(width: int, height: int, title: str, parts: list[str]) -> str:
    """An SVG picture of the parts, with a title for those who cannot see it."""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'role="img" aria-label="{escaped(title)}"><title>{escaped(title)}</title>{"".join(parts)}</svg>'
    )


def check_plot_path(path: str, *inputs: str | None) -> None:
    """Raise before the work starts if a plot cannot be written or would overwrite an input."""
    suffix = Path(path).suffix.lower()
    if suffix not in SUFFIXES:
        raise InvalidConfigError(
            f"--plot: expected a name ending in {', '.join(SUFFIXES)}, got {path!r:.80}", argument="--plot"
        )
    if not Path(path).resolve().parent.is_dir():
        raise InvalidConfigError(f"--plot: no such folder: {Path(path).parent}", argument="--plot")
    if any(name is not None and same_file(path, name) for name in inputs):
        raise InvalidConfigError(f"--plot: {path!r:.80} is an input, which it would replace", argument="--plot")
    if suffix == ".png" and importlib.util.find_spec("matplotlib") is None:
        raise UnsupportedError("--plot: .png needs matplotlib (pip install 'graphattend[plot]')", argument="--plot")


def write_bars(path: str, title: str, bars: Mapping[str, float]) -> None:
    """Write numbers by name as bars: a page (.html) or a picture (.svg, .png).

    Args:
        path: Where to.
        title: What the numbers are.
        bars: The numbers, none below zero.

    Raises:
        InvalidConfigError: Another suffix, or no such folder; UnsupportedError: .png without matplotlib.
    """

    def page() -> str:
        heading = escaped(title)
        return f"{page_head(heading)}<h1>{heading}</h1>{bars_svg(title, bars)}</body></html>\n"

    write_picture(path, lambda: bars_svg(title, bars), page, _Bars(title, bars))


def write_picture(path: str, svg: Callable[[], str], page: Callable[[], str], draw: Callable[[Any], None]) -> None:
    """Write what the suffix of `path` asks for: styled SVG, an HTML page, or what `draw` does to matplotlib's axes."""
    check_plot_path(path)
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
    """Draws numbers by name."""

    title: str
    bars: Mapping[str, float]

    def __call__(self, axes: Any) -> None:
        axes.barh(list(self.bars), list(self.bars.values()), color="#2a6f97")
        axes.invert_yaxis()
        axes.set_title(self.title)
