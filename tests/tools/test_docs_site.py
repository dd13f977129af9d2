"""The documentation site has an entry for every public name in Python and TypeScript, and a page per mechanism and error."""

import inspect
import operator
import re
import subprocess
import types
from pathlib import Path

import numpy as np
import pytest
from docsite import public

import graphattend as ga
from graphattend import errors

pytest.importorskip("sphinx")
from docsite import (
    command_pages,
    docstrings,
    mechanism_map,
    mechanism_pages,
    moving,
    python_reference,
    start_pictures,
    typescript_reference,
)

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.native


@pytest.fixture(scope="module")
def exported() -> dict[str, list[dict[str, object]]]:
    return typescript_reference.exports()


def test_every_public_name_of_python_has_one_entry() -> None:
    entries = [full for names in public.pages().values() for full in names]
    assert len(entries) == len(set(entries))
    described = [public.resolve(full) for full in entries]
    for path in ["", *public.modules()]:
        module = operator.attrgetter(path)(ga) if path else ga
        for name in public.names_of(module):
            value = getattr(module, name)
            if not isinstance(value, types.ModuleType):
                assert sum(value is other for other in described) == 1, f"{path}.{name}"
    pages = python_reference.pages()
    for module, names in public.pages().items():
        text = pages[f"api/python/{module}.rst"]
        assert all(re.search(rf"^\.\. auto\w+:: {re.escape(full)}$", text, re.MULTILINE) for full in names)


def test_methods_of_private_bases_are_shown_with_the_public_class() -> None:
    assert {"pagerank", "from_edge_index", "knn"} <= set(public.members(ga.NeighborGraph))
    assert "forward" in public.members(ga.Attention)
    assert "forward" not in public.members(ga.FlashAttention)


def test_every_exported_name_of_typescript_has_one_entry(exported: dict[str, list[dict[str, object]]]) -> None:
    pages = "\n".join(typescript_reference.pages().values())
    index = (ROOT / "js" / "src" / "index.ts").read_text(encoding="utf-8")
    names = {str(entry["name"]) for entry in exported["graphattend"]}
    assert {"connect", "GraphAttend", "AttentionError", "HyperbolicOptions", "Graph"} <= names
    assert "export { GraphAttend" in index
    for module, entries in exported.items():
        assert len(entries) > 20
        for entry in entries:
            assert pages.count(f".. ts:: {module}.{entry['name']} = ") == 1


def test_functions_by_module_are_entries() -> None:
    page = typescript_reference.pages()["api/typescript/functions.rst"]
    for module, names in re.findall(r'"(\w+)": \[([^\]]*)\]', (ROOT / "js/src/mechanisms.gen.ts").read_text()):
        if module in ("functional", "geometry", "compression"):
            assert all(f".. ts:: graphattend.{module}.{name} = " in page for name in re.findall(r'"(\w+)"', names))


def test_hidden_members_of_typescript_stay_hidden() -> None:
    pages = "\n".join(typescript_reference.pages().values())
    assert not re.search(r"^\s*\.\. ts:: \S*\.[#_]", pages, re.MULTILINE)
    assert "[BRAND]" not in pages


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("an :class:`Acceleration`", "an :py:obj:`Acceleration <Acceleration>`"),
        ("see `forward`", "see :py:obj:`forward <forward>`"),
        ("norm |x|^2 of `x + 1`", r"norm \|x\|^2 of ``x + 1``"),
        ("`ga.load`s", ":py:obj:`ga.load <graphattend.load>`\\ s"),
        ("w_ and *args", r"w\_ and \*args"),
    ],
)
def test_docstrings_become_text_and_links(text: str, wanted: str) -> None:
    assert docstrings.inline(text) == wanted


def test_examples_of_docstrings_are_left_alone() -> None:
    lines = ["Do.", "", "Source:", "    Someone 2020, `x`.", "", "Example:", "    >>> a | b  # `x`"]
    assert docstrings.converted(lines)[-1] == "    >>> a | b  # `x`"
    assert ":Source:" in docstrings.converted(lines)


def test_every_mechanism_has_a_page_with_a_formula_and_limits() -> None:
    written = {path.stem for path in (ROOT / "docs" / "mechanisms").glob("*.md")} - {"index"}
    assert written == set(ga.list_mechanisms())
    pages = mechanism_pages.pages()
    for key in written:
        text = pages[f"mechanisms/{key}.md"]
        assert "$$\n" in text
        assert ">>> " in text
        assert re.search(r"## When not to use it\n\n- ", text)
        assert all(f"| `{name}` |" in text for name in ga.schema(key)["properties"])
        assert f"({key}.md)" in pages["mechanisms/index.md"]


def test_every_mechanism_is_on_the_map_once_with_what_it_assumes_and_when_not_to_use_it() -> None:
    placed = [key for members in mechanism_map.GROUPS.values() for key in members]
    assert sorted(placed) == sorted(mechanism_map.ASSUMES) == sorted(ga.list_mechanisms())
    assert all(len(mechanism_pages.first_limit(key)) > 10 for key in placed)
    page = mechanism_pages.pages()["mechanisms/index.md"]
    assert "<!--" not in page
    assert page.count(".md) ") >= len(placed)


def test_the_pictures_of_the_primer_are_computed() -> None:
    """Their numbers equal formulas computed independently of the library."""
    drawn = {name: draw() for name, draw in moving.PICTURES.items()}
    scores = moving.VECTORS[moving.NEIGHBOURS] @ moving.VECTORS[0] / 2**0.5
    weights = np.exp(scores) / np.exp(scores).sum()
    shown = re.findall(r'class="big mid">(-?\d\.\d\d)<', drawn["steps"])
    assert [float(number) for number in shown] == [*scores.round(2), *weights.round(2), *weights.round(2)]
    a, b = complex(-0.86, -0.2), complex(0.55, -0.75)
    between = 2 * np.arctanh(abs((a - b) / (1 - a.conjugate() * b)))
    detour = 2 * np.arctanh(abs(a)) + 2 * np.arctanh(abs(b))
    assert f"the shortest way: {between:.2f}; by the centre: {detour:.2f}" in drawn["geodesic"]
    heights = re.findall(r"\{transform:scaleY\((\d\.\d{3})\)\}", drawn["temperature"])
    columns = np.array(heights, float).reshape(4, -1)
    np.testing.assert_allclose(columns.sum(0), 1, atol=2e-3)
    assert all("prefers-reduced-motion" in picture for picture in drawn.values())


def test_the_pictures_of_the_start_pages_show_what_the_pages_say() -> None:
    """Distances equal the logarithm of the cross ratio; the widest line is the bridge between the picture's two parts."""
    drawn = start_pictures.pages()
    square = re.compile(r'x="(\d+)" y="(\d+)".*? fill-opacity="([\d.]+)"')
    cells = np.array([float(share) for *_, share in square.findall(drawn["start/heat.svg"])]).reshape(7, 7)
    points = np.array([0, -0.6, 0.6, -0.8 + 0.3j, -0.8 - 0.3j, 0.8 + 0.3j, 0.8 - 0.3j])
    ratio = abs((points[:, None] - points) / (1 - points[:, None].conj() * points))
    scores = np.exp(-2 * np.arctanh(ratio) / 1.5)
    np.testing.assert_allclose(cells, scores / scores.sum(1, keepdims=True), atol=6e-4)
    edge = re.compile(r'<line class="edge" x1="(\S+)" y1="(\S+)" x2="(\S+)" y2="(\S+)" stroke-width="(\S+)"')
    wide: dict[tuple[str, str], dict[tuple[str, str], float]] = {}
    for x1, y1, x2, y2, width in edge.findall(drawn["start/friends.svg"]):
        wide.setdefault((x1, y1), {})[x2, y2] = float(width)
    cid, dan = (place for place, lines in wide.items() if len(lines) == 3)
    for one, other in ((cid, dan), (dan, cid)):
        assert wide[one].pop(other) > 4 * max(wide[one].values())


def test_pictures_show_weights_that_sum_to_one() -> None:
    for key in ("scaled_dot_product", "hyperbolic", "hnsw_aware", "graph_rope"):
        picture = mechanism_pages.pictures.picture(key)
        assert sum(map(float, re.findall(r"node \d+: (\d\.\d+)", picture))) == pytest.approx(1, abs=0.01)


def test_every_code_of_an_error_is_explained() -> None:
    page = (ROOT / "docs" / "errors.md").read_text(encoding="utf-8")
    kinds = [
        value for value in vars(errors).values() if inspect.isclass(value) and issubclass(value, ga.AttentionError)
    ]
    for kind in kinds:
        row = next(line for line in page.splitlines() if line.startswith(f"| `{kind.code}` "))
        assert f"`{kind.__name__}`" in row
        builtin = next((base.__name__ for base in kind.__mro__[1:] if base.__module__ == "builtins"), "")
        assert kind is ga.AttentionError or f"`{builtin}`" in row
    source = (ROOT / "js" / "src" / "errors.ts").read_text(encoding="utf-8").partition(";")[0]
    assert set(re.findall(r'"(\w+)"', source)) == set(re.findall(r"^\| `(\w+)` ", page, re.MULTILINE))


def test_every_command_is_in_the_page_of_the_command_line() -> None:
    from graphattend.cli import COMMANDS

    text = command_pages.page((ROOT / "docs" / "cli.md").read_text(encoding="utf-8"))
    assert all(f"### {name}\n" in text for name in COMMANDS)
    assert "usage: graphattend analyze" in text


def test_pages_are_in_the_navigation() -> None:
    listed = subprocess.run(["git", "ls-files", "docs"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    index = (ROOT / "docs" / "index.md").read_text(encoding="utf-8")
    for name in listed.split():
        page = name.removeprefix("docs/").removesuffix(".md")
        if name.endswith(".md") and page not in ("index",) and not re.match("mechanisms/(?!index)", page):
            assert re.search(rf"^(.*<)?{re.escape(page)}>?$", index, re.MULTILINE), f"{name} is in no toctree"
