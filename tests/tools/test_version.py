"""The version is defined in one place, its copies agree, and the changelog is in order."""

import re
import shutil
from pathlib import Path

import pytest
import version

import graphattend

pytestmark = pytest.mark.native


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    for name in {version.SOURCE[0], version.CHANGELOG, *(name for name, _ in version.COPIES)}:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(version.ROOT / name, tmp_path / name)
    return tmp_path


def test_everything_has_the_version_of_the_library() -> None:
    assert list(version.faults()) == []
    assert version.current() == graphattend.__version__


def test_a_release_sets_every_copy_and_dates_the_changelog(copy: Path) -> None:
    (before, *_) = version.sections(copy)
    version.release("9.8.7", copy)
    assert list(version.faults(copy)) == []
    for name in {name for name, _ in version.COPIES} | {version.SOURCE[0]}:
        assert "9.8.7" in (copy / name).read_text(), name
    unreleased, released, *_ = version.sections(copy)
    assert (unreleased.version, unreleased.text) == ("Unreleased", "")
    assert (released.version, released.text) == ("9.8.7", before.text)
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", released.date)
    assert version.notes(copy) == before.text


@pytest.mark.parametrize("name", sorted({name for name, _ in version.COPIES}))
def test_a_copy_that_differs_is_found(copy: Path, name: str) -> None:
    (copy / name).write_text((copy / name).read_text().replace(version.current(), "0.0.1"))
    assert any(name in fault and "got 0.0.1" in fault for fault in version.faults(copy))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("## [0.1.0] - 2026-01-01\n", "expected the first section to be ## [Unreleased]"),
        ("## [Unreleased]\n### New\n", "heading 'New', expected Added, Changed"),
        ("## [Unreleased]\n### Fixed\n\n- x\n### Fixed\n", "a heading twice"),
        ("## [Unreleased]\n## [0.1.0] - soon\n", "date 'soon'"),
        ("## [Unreleased]\n## [0.0.9] - 2026-01-01\n## [0.1.0] - 2026-01-02\n", "[0.1.0] stands below [0.0.9]"),
        ("## [Unreleased]\n## [99.0.0] - 2026-01-01\n", "[99.0.0] is later than the version"),
    ],
)
def test_a_changelog_out_of_order_is_found(copy: Path, text: str, told: str) -> None:
    (copy / version.CHANGELOG).write_text(text)
    assert any(told in fault for fault in version.faults(copy))


@pytest.mark.parametrize("wrong", ["1.0", "v1.0.0", "1.0.0rc1", "01.0.0", "0.0.1"])
def test_versions_that_are_refused(copy: Path, wrong: str) -> None:
    with pytest.raises(SystemExit, match=r"expected three numbers|is older than"):
        version.release(wrong, copy)


def test_a_version_without_a_section_has_no_notes(copy: Path) -> None:
    with pytest.raises(SystemExit, match=r"has no section \[0\.1\.0\]"):
        version.notes(copy)
    version.release("0.1.0", copy)
    with pytest.raises(SystemExit, match="already"):
        version.release("0.1.0", copy)
