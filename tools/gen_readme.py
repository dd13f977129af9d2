"""Write the generated parts of README.md: the speed table of the last benchmark, and the animated picture.

``--check`` checks that both are current.
"""

import json
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from docsite import moving  # noqa: E402

from benchmarks import report  # noqa: E402

README = ROOT / "README.md"
PICTURE = ROOT / "docs" / "_static" / "characters.svg"
RESULTS = ROOT / "benchmarks" / "results" / "bench.json"


def current() -> bool:
    """Return whether the table and the picture are up to date."""
    table = report.short(json.loads(RESULTS.read_text(encoding="utf-8")))
    return table in README.read_text(encoding="utf-8") and PICTURE.read_text(encoding="utf-8") == moving.characters()


def main() -> None:
    """Write or check."""
    if "--check" in sys.argv[1:]:
        sys.exit(0 if current() else "README.md: run tools/gen_readme.py")
    report.insert(README, report.short(json.loads(RESULTS.read_text(encoding="utf-8"))))
    PICTURE.write_text(moving.characters(), encoding="utf-8")


if __name__ == "__main__":
    main()
