"""Write the table of mechanisms in README.md from the registry; ``--check`` checks that it is current."""

import re
import sys
from pathlib import Path

import graphattend as ga

README = Path(__file__).resolve().parent.parent / "README.md"
BLOCK = re.compile(r"(<!-- mechanisms: .*? -->\n).*?(<!-- /mechanisms -->)", re.DOTALL)


def cell(text: str) -> str:
    """Text as a cell of a table."""
    return text.replace("|", "\\|")


def table() -> str:
    """The mechanisms, one a row."""
    rows = ["| key | family | cost | what |", "|---|---|---|---|"]
    for key, schema in ga.schema().items():
        rows.append(
            f"| `{key}` | {schema['x-family']} | {cell(schema['x-complexity'])} | {cell(schema['description'])} |"
        )
    return "\n".join(rows) + "\n"


def written(text: str) -> str:
    """The README with the table as it should be."""
    return BLOCK.sub(lambda match: match[1] + table() + match[2], text)


def main() -> None:
    """Write or check."""
    text = README.read_text(encoding="utf-8")
    wanted = written(text)
    if "--check" in sys.argv[1:]:
        sys.exit(0 if text == wanted else "README.md: run tools/gen_readme.py")
    README.write_text(wanted, encoding="utf-8")


if __name__ == "__main__":
    main()
