"""The Python code in the README and docs/ runs, block after block, as a reader would type it."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)

#: Pages about processes and files, which browsers do not have.
NATIVE = [ROOT / "docs" / "scale.md"]
PAGES = [
    pytest.param(path, id=path.relative_to(ROOT).as_posix(), marks=[pytest.mark.native] if path in NATIVE else [])
    for path in [ROOT / "README.md", *sorted((ROOT / "docs").glob("**/*.md"))]
    if BLOCK.search(path.read_text())
]


@pytest.mark.parametrize("page", PAGES)
def test_python_blocks_run(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    text = page.read_text()
    names: dict[str, object] = {"__name__": "__main__"}
    for block in BLOCK.finditer(text):
        line = text.count("\n", 0, block.start(1))  # tracebacks then show the page's line
        exec(compile("\n" * line + block[1], str(page), "exec"), names)
