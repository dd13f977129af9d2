"""Links between pages: broken links are reported with page and link, others are not."""

from pathlib import Path

import check_links
import pytest

pytestmark = pytest.mark.native


@pytest.mark.parametrize(
    ("link", "told"),
    [
        ("other.html", None),
        ("other.html#here", None),
        ("#top", None),
        ("folder/", None),
        ("https://example.org/missing#anchor", None),
        ("mailto:someone@example.org", None),
        ("other.html#gone", "no anchor other.html#gone"),
        ("#gone", "no anchor #gone"),
        ("gone.html", "no file gone.html"),
        ("a%20b.html", None),
    ],
)
def test_links_in_html(tmp_path: Path, link: str, told: str | None) -> None:
    (tmp_path / "folder").mkdir()
    for name in ("folder/index.html", "a b.html"):
        (tmp_path / name).write_text("<p>")
    (tmp_path / "other.html").write_text('<h2 id="here">Here</h2>')
    (tmp_path / "page.html").write_text(f'<h1 id="top">Top</h1><a href="{link}">link</a>')
    found = list(check_links.broken(check_links.site_pages(tmp_path)))
    assert found == ([] if told is None else [f"{tmp_path / 'page.html'}: {told}"])


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[a](other.md), ![p](picture.svg)", []),
        ("[a](other.md#two-words--here)", []),
        ("[a](gone.md)", ["no file gone.md"]),
        ("[a](other.md#gone)", ["no anchor other.md#gone"]),
        ("[a]: gone.md", ["no file gone.md"]),
        ("`[a](gone.md)` and <https://example.org>", []),
        ("```\n[a](gone.md)\n```", []),
    ],
)
def test_links_in_markdown(tmp_path: Path, text: str, told: list[str]) -> None:
    (tmp_path / "picture.svg").write_text("")
    (tmp_path / "other.md").write_text("## Two words: *here*\n\n## Two words – `here`\n")
    (tmp_path / "page.md").write_text(text)
    pages = [check_links.markdown_page(tmp_path / name) for name in ("page.md", "other.md")]
    assert list(check_links.broken(pages)) == [f"{tmp_path / 'page.md'}: {line}" for line in told]


def test_pages_of_this_repository_that_are_read_where_they_lie() -> None:
    pages = check_links.repository_pages()
    assert {"README.md", "CONTRIBUTING.md"} <= {page.path.name for page in pages}
    assert list(check_links.broken(pages)) == []
