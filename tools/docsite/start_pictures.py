"""Pictures of the start pages: what a reader who types the page sees."""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

import graphattend as ga

START = Path(__file__).resolve().parents[2] / "docs" / "start"


def friends() -> str:
    """What the command of "In Python" draws from the file of its first block."""
    page = (START / "python.md").read_text(encoding="utf-8")
    rows = re.search(r'file\.write\("(.*)"\)', page)
    command = re.search(r"^graphattend (.* --plot friends\.svg)$", page, re.MULTILINE)
    assert rows is not None
    assert command is not None
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "friends.csv").write_text(rows[1].replace(r"\n", "\n"), encoding="utf-8")
        words = [sys.executable, "-m", "graphattend", *command[1].split()]
        subprocess.run(words, cwd=folder, check=True, stdout=subprocess.DEVNULL)
        return Path(folder, "friends.svg").read_text(encoding="utf-8")


def heat() -> str:
    """What the canvas of "In a web page" shows."""
    page = (START / "web-page.md").read_text(encoding="utf-8")
    listed = re.search(r"const points = \[(.*)\];", page)
    temperature = re.search(r"temperature: ([\d.]+)", page)
    assert listed is not None
    assert temperature is not None
    points = np.array(re.findall(r"\[(\S+), (\S+)\]", listed[1].replace("[[", "[").replace("]]", "]")), float)
    weights = ga.create("hyperbolic", 2, temperature=float(temperature[1])).attention_weights(points, points)
    squares = "".join(
        f'<rect x="{32 * j}" y="{32 * i}" width="30" height="30" fill="rgb(209,98,43)" fill-opacity="{weight:.3f}"/>'
        for (i, j), weight in np.ndenumerate(weights)
    )
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" width="224" height="224" viewBox="0 0 224 224" role="img">'
        f"<title>The weights of seven points, a row for each</title>{squares}</svg>\n"
    )


def pages() -> dict[str, str]:
    """Every picture by path."""
    return {"start/friends.svg": friends(), "start/heat.svg": heat()}
