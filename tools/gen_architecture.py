"""Draw docs/architecture.svg: the library's packages in layers, and the imports between them.

Run it after a change of imports; ``--check`` checks that the file is current. Arrows implied by others are left out.
"""

from __future__ import annotations

import sys
from html import escape
from itertools import pairwise
from pathlib import Path

from source_imports import LAYERS, MODULES, RANKS, imports, member

TARGET = Path(__file__).resolve().parent.parent / "docs" / "architecture.svg"
WIDTH, ROW, BOX, LEFT, MARGIN, APART = 760, 62, 30, 104, 16, 14
STYLE = """
  text { font: 13px ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; fill: #1f2328; text-anchor: middle }
  .title { font: 12px system-ui, sans-serif; fill: #59636e; text-anchor: start }
  .paper { fill: #ffffff }
  .band { fill: #f3f5f8 }
  .box { fill: #ffffff; stroke: #3b6fd4; stroke-width: 1.5 }
  .import { fill: none; stroke: #7d8794; stroke-width: 1.2 }
  .later { stroke: #c4681a; stroke-dasharray: 5 4 }
  .head { fill: #7d8794 }
  .head-later { fill: #c4681a }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 }
    .title { fill: #9aa4af }
    .paper { fill: #0d1117 }
    .band { fill: #161c24 }
    .box { fill: #0d1117; stroke: #6d9bf1 }
    .import { stroke: #8b949e }
    .later { stroke: #e79a52 }
    .head { fill: #8b949e }
    .head-later { fill: #e79a52 }
  }
"""
Edge = tuple[str, str]


def shown(module: str) -> str:
    """Return the box of a module: its package, or a group of files."""
    name = member(module)
    if RANKS[name] == 1:
        return "checks"
    return next((family for family in ("_bridge", "storage") if name.startswith(family)), name)


#: The package's `__init__` imports everything and is not drawn.
BOXES = [[n for n in dict.fromkeys(map(shown, names)) if n not in ("", "__main__")] for names in LAYERS.values()]
RANK = {name: rank for rank, row in enumerate(BOXES) for name in row}


def edges() -> set[Edge]:
    """Return the pairs (importing box, imported box)."""
    pairs = {(shown(name), shown(i.module)) for name, tree in MODULES.items() for i in imports(name, tree)}
    drawn = {name for row in BOXES for name in row}
    return {(a, b) for a, b in pairs if a != b and {a, b} <= drawn}


def reduced(pairs: set[Edge]) -> set[Edge]:
    """Return the transitive reduction of an acyclic graph."""
    after: dict[str, set[str]] = {}
    for a, b in pairs:
        after.setdefault(a, set()).add(b)

    def reaches(a: str, b: str) -> bool:
        return b in after.get(a, ()) or any(reaches(c, b) for c in after.get(a, ()))

    return {(a, b) for a, b in pairs if not any(reaches(c, b) for c in after[a] - {b})}


Rows = list[list[str]]


def layout(lines: set[Edge]) -> tuple[Rows, dict[str, float], dict[Edge, list[str]]]:
    """Return boxes and bends by row, the horizontal centre of each, and the stations of each line from top to bottom.

    A line that passes through rows gets a bend in each, as in Sugiyama, Tagawa and Toda (1981).
    """
    rows: Rows = [list(row) for row in BOXES]
    paths: dict[Edge, list[str]] = {}
    for a, b in sorted(lines):
        between = range(RANK[a] - 1, RANK[b], -1)
        bends = [f"{a} {b} {rank}" for rank in between]
        for rank, bend in zip(between, bends, strict=True):
            rows[rank].append(bend)
        paths[a, b] = [a, *bends, b]
    beside: dict[str, list[str]] = {name: [] for row in rows for name in row}
    for path in paths.values():
        for upper, lower in pairwise(path):
            beside[upper].append(lower)
            beside[lower].append(upper)
    rank = {name: r for r, row in enumerate(rows) for name in row}
    x = {name: float(i) * WIDTH / (len(row) or 1) for row in rows for i, name in enumerate(row)}
    for sweep in range(24):
        downward = sweep % 2 == 0
        for r in reversed(range(len(rows))) if downward else range(len(rows)):
            for name in rows[r]:
                # In the last sweeps all neighbours count, before only those of the row that was just placed.
                near = [x[n] for n in beside[name] if sweep > 16 or (rank[n] > r) == downward]
                if near:
                    x[name] = sum(near) / len(near)
            rows[r].sort(key=lambda name: (x[name], name))
            _space_out(rows[r], x)
    return rows, x, paths


def _breadth(name: str) -> float:
    return 0.0 if " " in name else 8.0 * max(len(name), 8) + 20


def _space_out(row: list[str], x: dict[str, float]) -> None:
    """Move items that are too close apart, evenly to both sides, within the page."""
    for _ in range(200):
        for a, b in pairwise(row):
            push = x[a] + (_breadth(a) + _breadth(b)) / 2 + APART - x[b]
            if push > 0.01:
                x[a] -= push / 2
                x[b] += push / 2
        for name in row:
            half = _breadth(name) / 2
            x[name] = min(max(x[name], LEFT + MARGIN + half), WIDTH - MARGIN - half)


def _top(rank: int) -> float:
    return MARGIN + (len(LAYERS) - 1 - rank) * ROW + (ROW - BOX) / 2


def _curve(points: list[tuple[float, float]]) -> str:
    """Return a smooth line through points that is vertical at each."""
    parts = [f"M{points[0][0]:.0f} {points[0][1]:.0f}"]
    for (x0, y0), (x1, y1) in pairwise(points):
        middle = (y0 + y1) / 2
        parts.append(f"C{x0:.0f} {middle:.0f} {x1:.0f} {middle:.0f} {x1:.0f} {y1:.0f}")
    return "".join(parts)


def picture() -> str:
    """Return the drawing."""
    pairs = edges()
    down = {(a, b) for a, b in pairs if RANK[a] >= RANK[b]}
    level = {(a, b) for a, b in down if RANK[a] == RANK[b]}
    rows, x, paths = layout({(a, b) for a, b in reduced(down) if (a, b) not in level})
    height = MARGIN * 2 + ROW * len(LAYERS) + 24
    parts = [f'<rect class="paper" width="{WIDTH}" height="{height}"/>']
    for rank, title in enumerate(LAYERS):
        y = _top(rank) - (ROW - BOX) / 2
        parts.append(
            f'<rect class="band" x="{MARGIN}" y="{y + 8:.0f}" width="{WIDTH - 2 * MARGIN}" height="{ROW - 16}"/>'
        )
        parts.append(f'<text class="title" x="{MARGIN + 10}" y="{y + ROW / 2 + 4:.0f}">{title}</text>')
    ends = _ports(paths, x)
    for (a, b), path in sorted(paths.items()):
        points = [(ends[a, b][0], _top(RANK[a]) + BOX)]
        for bend in path[1:-1]:
            top = _top(int(bend.split()[2]))
            points += [(x[bend], top), (x[bend], top + BOX)]
        points.append((ends[a, b][1], _top(RANK[b]) - 5))
        parts.append(f'<path class="import" marker-end="url(#head)" d="{_curve(points)}"/>')
    for a, b in sorted(level):
        y = _top(RANK[a]) + BOX
        parts.append(
            f'<path class="import" marker-end="url(#head)" d="M{x[a]:.0f} {y:.0f}C{x[a]:.0f} {y + 20:.0f} '
            f'{x[b]:.0f} {y + 20:.0f} {x[b]:.0f} {y + 5:.0f}"/>'
        )
    for a, b in sorted(pairs - down):
        points = [(x[a] + _breadth(a) / 2 - 8, _top(RANK[a])), (x[b] + _breadth(b) / 2 - 8, _top(RANK[b]) + BOX + 5)]
        parts.append(f'<path class="import later" marker-end="url(#head-later)" d="{_curve(points)}"/>')
    for rank, row in enumerate(rows):
        for name in row:
            if " " not in name:
                parts.append(_box(name, x[name], _top(rank)))
    note = "An arrow points to what is imported; what other arrows say already is left out."
    parts.append(f'<text class="title" x="{MARGIN + 10}" y="{height - 16}">{note}</text>')
    if pairs - down:
        parts.append(f'<path class="import later" d="M{WIDTH - 250} {height - 20}h30"/>')
        parts.append(f'<text class="title" x="{WIDTH - 212}" y="{height - 16}">upward, loaded when it is called</text>')
    heads = "".join(
        f'<marker id="{name}" viewBox="0 0 8 8" refX="2" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        f'<path class="{name}" d="M0 0L8 4L0 8z"/></marker>'
        for name in ("head", "head-later")
    )
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img">',
            "<title>Packages of graphattend in layers, with their imports</title>",
            f"<style>{STYLE}</style>",
            f"<defs>{heads}</defs>",
            *parts,
            "</svg>\n",
        ]
    )


def _ports(paths: dict[Edge, list[str]], x: dict[str, float]) -> dict[Edge, tuple[float, float]]:
    """Return where each line leaves its upper and enters its lower box, side by side in the order of their bends."""
    ports: dict[Edge, list[float]] = {edge: [0.0, 0.0] for edge in paths}
    for end, towards in ((0, 1), (1, -2)):
        by_box: dict[str, list[Edge]] = {}
        for edge in sorted(paths):
            by_box.setdefault(edge[end], []).append(edge)
        for name, lines in by_box.items():
            lines.sort(key=lambda edge: (x[paths[edge][towards]], edge))
            step = (_breadth(name) - 24) / max(len(lines), 2)
            for i, edge in enumerate(lines):
                ports[edge][end] = x[name] + (i - (len(lines) - 1) / 2) * step
    return {edge: (a, b) for edge, (a, b) in ports.items()}


def _box(name: str, middle: float, top: float) -> str:
    breadth = _breadth(name)
    return (
        f'<rect class="box" rx="5" x="{middle - breadth / 2:.0f}" y="{top:.0f}" width="{breadth:.0f}" height="{BOX}"/>'
        f'<text x="{middle:.0f}" y="{top + BOX / 2 + 5:.0f}">{escape(name)}</text>'
    )


def main() -> None:
    """Write the picture, or check it."""
    drawn = picture()
    if "--check" in sys.argv:
        if not TARGET.exists() or TARGET.read_text("utf-8") != drawn:
            sys.exit(f"{TARGET.name} is out of date: run tools/gen_architecture.py")
        return
    TARGET.write_text(drawn, "utf-8")


if __name__ == "__main__":
    main()
