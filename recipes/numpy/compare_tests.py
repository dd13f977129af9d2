"""NumPy's own tests inside Pyodide in Node.js, on the official wheel and on another: what passes there must pass here.

    python recipes/numpy/compare_tests.py DISTRIBUTION WHEEL [FILE...]

Takes about ten minutes. Ends with 1 if a test that passes on the official wheel does not on the other.
"""

from __future__ import annotations

import collections
import json
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent.parent / "tools")]

from distribution import with_numpy  # noqa: E402
from numpy_tests import FILES, run, tests_of  # noqa: E402


def main() -> None:
    """Run both, print the difference."""
    official, wheel = Path(sys.argv[1]), Path(sys.argv[2])
    version = json.loads((official / "pyodide-lock.json").read_text("utf-8"))["packages"]["numpy"]["version"]
    tests, files = tests_of(version), sys.argv[3:] or [*FILES, "random/tests"]
    with tempfile.TemporaryDirectory() as folder:
        other = with_numpy(official, wheel, Path(folder, "distribution"))
        before, after = (run(place, tests, "own", files)["outcomes"] for place in (official, other))
    for name, outcomes in (("official", before), (wheel.name, after)):
        counts = collections.Counter(outcomes.values())
        print(f"{name}: " + ", ".join(f"{n} {outcome}" for outcome, n in sorted(counts.items())))
    worse = [name for name, outcome in before.items() if outcome == "passed" and after.get(name) != "passed"]
    for name in worse:
        print(f"{name}: passed, now {after.get(name, 'not run')}")
    sys.exit(1 if worse else 0)


if __name__ == "__main__":
    main()
