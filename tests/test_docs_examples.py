"""The Python code in the README and the pages of docs/ runs, block after block, as a reader would type it."""

import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)

PAGES = [
    path for path in [ROOT / "README.md", *sorted((ROOT / "docs").glob("**/*.md"))] if BLOCK.search(path.read_text())
]


#: Pages about processes and files, which a browser does not have.
NATIVE = ("docs/scale.md",)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_python_blocks_run(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if sys.platform == "emscripten" and page.relative_to(ROOT).as_posix() in NATIVE:
        pytest.skip("WebAssembly has no processes")
    monkeypatch.chdir(tmp_path)
    text = page.read_text()
    names: dict[str, object] = {"__name__": "__main__"}
    for block in BLOCK.finditer(text):
        line = text.count("\n", 0, block.start(1))  # so that a traceback names the page's line
        exec(compile("\n" * line + block[1], str(page), "exec"), names)
