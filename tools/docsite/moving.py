"""Pictures that move: SVG with CSS animations, which stand still where a reader asks for less motion.

Every number in them is computed by the library. They are drawn for light and for dark pages.
"""

from __future__ import annotations

import html
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np

import graphattend as ga
from graphattend.analysis import analyze
from graphattend.drawing import layout

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT / "examples" / "data"
BLUE, ORANGE = "#2a78b8", "#d1622b"

STYLE = f"""
text{{font:13px system-ui,-apple-system,sans-serif;fill:#3c4650}}.small{{font-size:11px}}.big{{font-size:15px;font-weight:600}}
.in{{fill:#fff;font-weight:600}}.end{{text-anchor:end}}.mid{{text-anchor:middle}}.soft{{fill:#66727e}}
.link{{stroke:#8a94a0;stroke-opacity:.45}}.node{{fill:#8a94a0}}.line{{fill:none;stroke:#8a94a0;stroke-width:1.2}}
.weight{{stroke:{ORANGE};stroke-linecap:round}}.bar{{fill:{ORANGE}}}.focus{{fill:{BLUE}}}.path{{fill:none;stroke:{BLUE};stroke-width:2.5}}
.seen{{fill:{ORANGE}}}.straight{{fill:none;stroke:#8a94a0;stroke-width:1.5;stroke-dasharray:4 4}}.area{{fill:{BLUE};fill-opacity:.3}}
@media (prefers-color-scheme:dark){{text{{fill:#d3d9df}}.in{{fill:#14181c}}.soft{{fill:#a3adb7}}.focus,.area{{fill:#64b0ec}}.path{{stroke:#64b0ec}}
.bar,.seen{{fill:#ee8a57}}.weight{{stroke:#ee8a57}}}}
@media (prefers-reduced-motion:reduce){{*{{animation:none!important}}}}
"""


def svg(size: tuple[int, int], title: str, body: str, motion: str = "") -> str:
    """A picture with the shared style."""
    width, height = size
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img">'
        f"<title>{html.escape(title)}</title><style>{STYLE}{motion}</style>{body}</svg>\n"
    )


def text(x: float, y: float, words: str, kind: str = "") -> str:
    """A line of text."""
    return f'<text x="{x:.0f}" y="{y:.0f}" class="{kind}">{html.escape(words)}</text>'


def line(a: Sequence[float], b: Sequence[float], kind: str, width: float = 1.0) -> str:
    """A straight line."""
    ends = f'x1="{a[0]:.1f}" y1="{a[1]:.1f}" x2="{b[0]:.1f}" y2="{b[1]:.1f}"'
    return f'<line {ends} class="{kind}" stroke-width="{width:.1f}"/>'


def dot(at: Sequence[float], radius: float, kind: str, name: str = "") -> str:
    """A circle."""
    tip = f"<title>{html.escape(name)}</title>" if name else ""
    return f'<circle cx="{at[0]:.1f}" cy="{at[1]:.1f}" r="{radius:.1f}" class="{kind}">{tip}</circle>'


def frames(groups: Sequence[str], seconds: float) -> tuple[str, str]:
    """Groups that show one after the other; the first alone where nothing may move. Returns the body and the motion."""
    share = 100 / len(groups)
    motion = (
        f"@keyframes show{{0%,{share - 1:.2f}%{{opacity:1}}{share:.2f}%,{99:.0f}%{{opacity:0}}100%{{opacity:1}}}}"
        f".frame{{opacity:0;animation:show {seconds * len(groups):.1f}s infinite}}.frame.first{{opacity:1}}"
    )
    body = []
    for number, group in enumerate(groups):
        first = " first" if number == 0 else ""
        # A negative delay starts each group as if it had run for the rest of the round.
        delay = f"animation-delay:{seconds * (number - len(groups)):.1f}s" if number else ""
        body.append(f'<g class="frame{first}" style="{delay}">{group}</g>')
    return "".join(body), motion


def sweep(name: str, values: Iterable[str], seconds: float) -> str:
    """Keyframes through values of `transform`, there and back."""
    listed = list(values)
    steps = [f"{100 * i / (len(listed) - 1):.1f}%{{transform:{value}}}" for i, value in enumerate(listed)]
    return f"@keyframes {name}{{{''.join(steps)}}}.{name}{{animation:{name} {seconds}s ease-in-out infinite alternate}}"


def characters() -> str:
    """Les Misérables: whom one person after another attends to."""
    graph = ga.NeighborGraph.read(str(DATA / "les_miserables.csv"), directed=False)
    result = analyze(graph, keys=["hyperbolic"], dim=8).results[0]
    places = layout(graph.indptr, graph.indices) * [430, 330] + [15, 15]
    names = [str(name) for name in graph.names or ()]
    sources = np.repeat(np.arange(graph.num_nodes), np.diff(graph.indptr))
    once = sources < graph.indices
    ground = "".join(
        line(places[a], places[b], "link") for a, b in zip(sources[once], graph.indices[once], strict=True)
    )
    ground += "".join(dot(place, 3, "node") for place in places)
    groups = []
    for person in ("Cosette", "Javert", "Gavroche", "Marius", "Valjean"):
        node = names.index(person)
        start, stop = graph.indptr[node : node + 2]
        found = zip(result.weights[start:stop], graph.indices[start:stop], strict=True)
        # People with the same neighbours have the same weight: its last digit, and their order, would depend on the machine.
        nearest = sorted(found, key=lambda each: (-round(float(each[0]), 6), each[1]))
        most = nearest[0][0]
        parts = [line(places[node], places[other], "weight", 1 + 7 * share / most) for share, other in nearest]
        parts += [dot(places[other], 3 + 4 * share / most, "seen") for share, other in nearest]
        parts += [dot(places[node], 8, "focus"), text(470, 45, person, "big"), text(470, 64, "attends to", "soft")]
        for row, (share, other) in enumerate(nearest[:8]):
            y = 94 + 30 * row
            parts.append(f'<rect x="470" y="{y}" width="{130 * share / most:.1f}" height="7" rx="3" class="bar"/>')
            parts += [text(470, y - 5, names[other], "small"), text(640, y + 7, f"{share:.2f}", "small soft end")]
        groups.append("".join(parts))
    body, motion = frames(groups, 3)
    return svg((655, 365), "Whom the people of Les Misérables attend to, one after the other", ground + body, motion)


#: The graph of the page: its nodes' places in the picture, their vectors, and whom node 0 sees.
PLACES = np.array([[170, 120], [60, 50], [60, 190], [290, 60], [290, 185]], float)
VECTORS = np.array([[1.0, 0.2], [0.9, 0.4], [-0.3, 1.0], [0.1, -0.9], [0.5, 0.5]])
NEIGHBOURS = [1, 2, 3]
LINKS = [(0, 1), (0, 2), (0, 3), (3, 4)]


def steps() -> str:
    """The three steps of attention on a graph of five nodes."""
    scores = VECTORS[NEIGHBOURS] @ VECTORS[0] / np.sqrt(2)
    weights = ga.create("scaled_dot_product", 2).attention_weights(VECTORS[0], VECTORS[NEIGHBOURS])
    output = weights @ VECTORS[NEIGHBOURS]
    ground = "".join(line(PLACES[a], PLACES[b], "link", 2) for a, b in LINKS)
    ground += "".join(
        dot(place, 16, "node") + text(place[0], place[1] + 5, str(i), "in mid") for i, place in enumerate(PLACES)
    )
    ground += dot(PLACES[0], 16, "focus") + text(170, 125, "0", "in mid")
    shown = [("1", "Score each neighbour: how well do the vectors agree?", scores, 0.0)]
    shown += [("2", "Softmax: weights that are positive and sum to one", weights, 9.0)]
    shown += [("3", f"Average their vectors by the weights: ({output[0]:.2f}, {output[1]:.2f})", weights, 9.0)]
    groups = []
    for number, words, values, thick in shown:
        parts = [text(20, 240, f"{number}. {words}")]
        for node, value in zip(NEIGHBOURS, values, strict=True):
            parts.append(line(PLACES[0], PLACES[node], "weight", 2 + thick * value))
            middle = (PLACES[0] + PLACES[node]) / 2
            parts += [dot(PLACES[node], 16, "seen"), text(PLACES[node][0], PLACES[node][1] + 5, str(node), "in mid")]
            parts.append(
                text(
                    middle[0] + np.sign(PLACES[0][0] - PLACES[node][0]) * 16,
                    middle[1] + (22 if PLACES[node][1] > 120 else -10),
                    f"{value:.2f}",
                    "big mid",
                )
            )
        groups.append("".join(parts) + dot(PLACES[0], 16, "focus") + text(170, 125, "0", "in mid"))
    body, motion = frames(groups, 3)
    return svg((440, 255), "Attention in three steps: score, softmax, average", ground + body, motion)


def temperature() -> str:
    """Weights over four neighbours while the temperature falls."""
    scores = np.array([1.2, 0.9, 0.2, -0.6])
    values = np.geomspace(4, 0.1, 12)
    shares = np.array([ga.functional.softmax(scores / t) for t in values])
    ground, motion = line((30, 170), (330, 170), "link", 2), ""
    for bar, share in enumerate(shares.T):
        name = f"bar{bar}"
        place = f'x="{50 + 70 * bar}" y="20" width="44" height="150" style="transform-origin:0 170px;transform:scaleY({share[4]:.3f})"'
        ground += f'<rect {place} class="bar {name}"/>' + text(
            72 + 70 * bar, 190, f"score {scores[bar]:g}", "small soft mid"
        )
        motion += sweep(name, (f"scaleY({s:.3f})" for s in share), 5)
    ground += text(30, 220, "hot: all alike", "small soft") + text(330, 220, "cold: only the best", "small soft end")
    ground += line((120, 216), (225, 216), "link", 3) + f'<g class="knob">{dot((120, 216), 6, "focus")}</g>'
    motion += sweep("knob", (f"translate({x:.0f}px,0)" for x in np.linspace(0, 105, 12)), 5)
    return svg((360, 232), "Softmax while the temperature falls from 4 to 0.1", ground, motion)


def reach() -> str:
    """How far one, two and three rounds of attention reach on the karate club's graph."""
    graph = ga.NeighborGraph.read(str(DATA / "karate.csv"), directed=False).with_self_loops()
    result = analyze(graph, keys=["scaled_dot_product"], dim=4).results[0]
    rows = np.repeat(np.arange(graph.num_nodes), np.diff(graph.indptr))
    once = np.zeros((graph.num_nodes, graph.num_nodes))
    once[rows, graph.indices] = result.weights
    places = layout(graph.indptr, graph.indices) * [380, 250] + [20, 20]
    ground = "".join(line(places[a], places[b], "link") for a, b in zip(rows, graph.indices, strict=True) if a < b)
    node = 15
    groups, share = [], np.eye(graph.num_nodes)[node]
    for rounds in (1, 2, 3):
        share = share @ once
        parts = [dot(place, 3 + 22 * np.sqrt(s), "seen") for place, s in zip(places, share, strict=True) if s > 0]
        reached = f"{rounds} round{'s' * (rounds > 1)}: {np.count_nonzero(share)} of {graph.num_nodes} nodes"
        groups.append("".join(parts) + dot(places[node], 7, "focus") + text(20, 300, reached))
    ground += "".join(dot(place, 3, "node") for place in places)
    body, motion = frames(groups, 2.5)
    return svg((420, 315), "How far one, two and three rounds of attention reach", ground + body, motion)


BALL = ga.geometry.Poincare()
CENTRE, RADIUS = np.array([160.0, 160.0]), 145.0


def on_disk(points: np.ndarray) -> np.ndarray:
    """Points of the disk as places in the picture."""
    return CENTRE + RADIUS * np.asarray(points) * [1, -1]


def curve(points: np.ndarray, kind: str) -> str:
    """A line through places."""
    return f'<polyline points="{" ".join(f"{x:.1f},{y:.1f}" for x, y in points)}" class="{kind}"/>'


def disk(body: str, title: str, motion: str = "", words: str = "") -> str:
    """A picture of the Poincaré disk."""
    return svg((320, 345), title, dot(CENTRE, RADIUS, "line") + body + text(160, 335, words, "small soft mid"), motion)


def geodesic() -> str:
    """A point that walks the shortest way between two points near the rim, and the way by the centre beside it."""
    a, b = np.array([-0.86, -0.2]), np.array([0.55, -0.75])
    way = on_disk(np.array([BALL.expmap(a, t * BALL.logmap(a, b)) for t in np.linspace(0, 1, 25)]))
    straight = BALL.dist(a, np.zeros(2)) + BALL.dist(np.zeros(2), b)
    body = (
        line(on_disk(a), CENTRE, "straight")
        + line(CENTRE, on_disk(b), "straight")
        + curve(way, "path")
        + dot(way[0], 5, "focus")
        + dot(way[-1], 5, "focus")
    )
    body += f'<g class="walker">{dot(way[0], 7, "seen")}</g>'
    motion = sweep("walker", (f"translate({x:.1f}px,{y:.1f}px)" for x, y in way - way[0]), 4)
    words = f"the shortest way: {BALL.dist(a, b):.2f}; by the centre: {straight:.2f}"
    return disk(
        body, "The shortest way between two points of the Poincaré disk bends towards the centre", motion, words
    )


def circles() -> str:
    """A circle of one hyperbolic size that moves from the centre to the rim."""
    steps, size = np.linspace(0, 3.2, 15), 0.7
    low, high = np.tanh((steps - size) / 2), np.tanh((steps + size) / 2)
    radii, centres = RADIUS * (high - low) / 2, RADIUS * (high + low) / 2
    moves = [f"translate({c:.1f}px,0) scale({r / radii[0]:.3f})" for c, r in zip(centres, radii, strict=True)]
    body = f'<g class="circle" style="transform-origin:160px 160px">{dot(CENTRE, radii[0], "area")}</g>'
    for turn in (2.2, 4.1):
        ray = np.array([np.cos(turn), -np.sin(turn)])
        body += "".join(dot(CENTRE + c * ray, r, "area") for c, r in zip(centres[::4], radii[::4], strict=True))
    return disk(
        body,
        "Circles of the same size look smaller near the rim",
        sweep("circle", moves, 5),
        "all circles have the same size",
    )


def branches() -> str:
    """A tree whose every edge has the same length, level by level."""
    points, parents = [np.zeros(2)], [0]
    levels = [[0]]
    angles = {0: (np.pi / 2, 2 * np.pi)}
    for depth in range(1, 6):
        level = []
        for parent in levels[-1]:
            middle, width = angles[parent]
            children = 3 if depth == 1 else 2
            for child in range(children):
                angle = middle + width * ((child + 0.5) / children - 0.5)
                angles[len(points)] = (angle, width / children)
                parents.append(parent)
                level.append(len(points))
                points.append(np.tanh(depth * 1.1 / 2) * np.array([np.cos(angle), np.sin(angle)]))
        levels.append(level)
    places = on_disk(np.array(points))
    groups = []
    for shown in range(1, len(levels)):
        nodes = [n for level in levels[1 : shown + 1] for n in level]
        parts = [line(places[parents[n]], places[n], "weight", 1.2) + dot(places[n], 3.4, "seen") for n in nodes]
        groups.append("".join(parts) + text(160, 335, f"{len(nodes) + 1} nodes, depth {shown}", "small soft mid"))
    body, motion = frames(groups[::-1][:1] + groups[:-1], 1.6)
    return disk(dot(places[0], 5, "focus") + body, "A tree fits into the disk with all edges of like length", motion)


PICTURES: dict[str, Callable[[], str]] = {
    "characters": characters,
    "steps": steps,
    "temperature": temperature,
    "reach": reach,
    "geodesic": geodesic,
    "circles": circles,
    "branches": branches,
}


def pages() -> dict[str, str]:
    """Every picture by path."""
    return {f"moving/{name}.svg": draw() for name, draw in PICTURES.items()}
