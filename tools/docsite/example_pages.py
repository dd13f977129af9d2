"""One page for every script of examples/: what it says about itself, the script, and what it prints."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"
ORDER = [
    "karate_club.py",
    "link_prediction.py",
    "cora.py",
    "hierarchy.py",
    "hnsw_navigation.py",
    "compressed_index.py",
    "sparse_patterns.py",
    "beyond_memory.py",
    "own_mechanism.py",
    "own_manifold.py",
    "from_pytorch.py",
    "les_miserables.mjs",
    "train_in_node.mjs",
    "load_trained.py",
    "serve.mjs",
    "attention_demo.html",
]
#: Scripts that want an argument, which a page cannot give; the others print something as they stand.
WITH_ARGUMENT = {"cora.py", "load_trained.py"}
LANGUAGES = {".py": "python", ".mjs": "javascript", ".html": "html"}


def told(name: str) -> tuple[str, str, str]:
    """Title, text and code of an example."""
    source = (EXAMPLES / name).read_text(encoding="utf-8")
    if name.endswith(".py"):
        text, code = re.match(r'"""(.*?)"""\n+(.*)', source, re.DOTALL).groups()  # type: ignore[union-attr]
    elif name.endswith(".mjs"):
        head = re.match(r"(?://.*\n)+", source)[0]  # type: ignore[index]
        text, code = re.sub(r"^// ?", "", head, flags=re.MULTILINE), source[len(head) :]
        text = re.sub(r"^   ?(node|curl) ", r"    \1 ", text, flags=re.MULTILINE)
    else:
        text, code = re.search(r"<!-- (.*?) -->", source, re.DOTALL)[1], source  # type: ignore[index]
        text = re.sub(r"\n +", "\n", text)
    first, _, rest = text.strip().partition("\n")
    if not rest.startswith("\n") and ":" in first:  # the title ends where the sentence does
        first, _, more = first.partition(": ")
        rest = f"{more[:1].upper()}{more[1:]}\n{rest}"
    return first.rstrip("."), rest.strip(), code.lstrip("\n")


def data() -> dict[str, str]:
    """The files that the examples read, by name: pages give them to the examples that run in them."""
    return {path.name: path.read_text(encoding="utf-8") for path in sorted((EXAMPLES / "data").iterdir())}


def printed(name: str) -> str:
    """What an example prints."""
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [sys.executable, str(EXAMPLES / name)],
            cwd=folder,
            env=os.environ | {"OPENBLAS_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=300,
        )
    if done.returncode:
        raise RuntimeError(f"examples/{name}: {done.stderr}")
    return done.stdout.rstrip()


def page(name: str, output: str) -> str:
    """The page of one example."""
    title, text, code = told(name)
    language = LANGUAGES[Path(name).suffix]
    fence = f"{{code-block}} {language}\n:class: not-live\n" if name in WITH_ARGUMENT else language
    shown = f"```{fence}\n{code.rstrip()}\n```\n"
    if name in WITH_ARGUMENT:
        shown = f"It takes a file, so it does not run in this page.\n\n{shown}"
    result = f"\n## What it prints\n\n```text\n{output}\n```\n" if output else ""
    return f"# {title}\n\n{text}\n\nThe file is `examples/{name}`.\n\n{shown}{result}"


def stem(name: str) -> str:
    """The address of an example's page."""
    return Path(name).stem


def pages() -> dict[str, str]:
    """Every page by path, and the list of them."""
    run = [name for name in ORDER if name.endswith(".py") and name not in WITH_ARGUMENT]
    with ThreadPoolExecutor(2) as executor:
        outputs = dict(zip(run, executor.map(printed, run), strict=True))
    out = {f"examples/{stem(name)}.md": page(name, outputs.get(name, "")) for name in ORDER}
    listed = "\n".join(f"- [{told(name)[0]}]({stem(name)}.md)" for name in ORDER)
    tree = "\n".join(stem(name) for name in ORDER)
    out["examples/index.md"] = (
        "# Examples\n\nComplete scripts with their data. The test suite runs all of them.\n\n"
        f"{listed}\n\n```{{toctree}}\n:hidden:\n\n{tree}\n```\n"
    )
    return out
