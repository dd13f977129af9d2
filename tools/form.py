"""Format the sources of all languages, or check them with ``--check``: ruff, clang-format, prettier.

Languages may be named: ``tools/form.py [--check] [python] [c] [javascript]``.
"""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
#: Files that prettier formats; .prettierignore lists exceptions.
JAVASCRIPT = ("**/*.{ts,tsx,mjs}",)


def c_sources() -> list[str]:
    """Return the C files under version control, and new files that git does not ignore."""
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.c", "*.h"]
    names = subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    return [name for name in names if (ROOT / name).exists()]


def commands(check: bool) -> dict[str, list[list[str]]]:
    """Return the commands that format each language, or check its format."""
    ruff = [sys.executable, "-m", "ruff"]
    clang_format = [str(Path(sys.executable).with_name("clang-format"))]
    prettier = ["js/node_modules/.bin/prettier", "--log-level=warn"]
    if check:
        python = [[*ruff, "check", "."], [*ruff, "format", "--check", "."]]
        c = [[*clang_format, "--dry-run", "--Werror", *c_sources()]]
        javascript = [[*prettier, "--check", *JAVASCRIPT]]
    else:
        python = [[*ruff, "check", "--fix", "."], [*ruff, "format", "."]]
        c = [[*clang_format, "-i", *c_sources()]]
        javascript = [[*prettier, "--write", *JAVASCRIPT]]
    return {"python": python, "c": c, "javascript": javascript}


def main() -> None:
    """Run the commands; the exit status is 0 if all of them succeeded."""
    check = "--check" in sys.argv
    known = commands(check)
    wanted = [name for name in sys.argv[1:] if name != "--check"] or list(known)
    if unknown := set(wanted) - set(known):
        sys.exit(f"No language {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    done = [subprocess.run(command, cwd=ROOT, check=False) for name in wanted for command in known[name]]
    sys.exit(any(run.returncode for run in done))


if __name__ == "__main__":
    main()
