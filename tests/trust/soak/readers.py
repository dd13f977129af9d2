"""Damaged files of every readable format give a result or a LoadError, quickly."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import graphattend as ga
from graphattend import storage
from graphattend.compression import Compressed
from graphattend.graph.files import parse

from .clock import processor_time
from .corpus import FILES
from .draw import Draw
from .mutate import mutate
from .watch import REFUSED, Watch

#: Longest time per file, larger inside Pyodide, where browsers have only wall-clock time.
SECONDS = 10.0 if sys.platform == "emscripten" else 1.0
#: A folder in memory if the system has one, because opening a file on disk takes as long as many calls.
_FOLDER = tempfile.TemporaryDirectory(dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None)


def _by_path(read: Callable[[Any], Any]) -> Callable[[bytes, str], Any]:
    def opened(content: bytes, suffix: str) -> Any:
        path = Path(_FOLDER.name, f"{os.getpid()}{suffix}")
        path.write_bytes(content)
        return read(path)

    return opened


#: Kind of file → function that reads its content, given the suffix.
READERS: dict[str, Callable[[bytes, str], Any]] = {
    "graph": lambda content, suffix: parse(content, "damaged", suffix=suffix).graph,
    "graph of any format": lambda content, suffix: parse(content, "damaged").graph,
    "vectors": _by_path(ga.read_embeddings),
    "mechanism": _by_path(ga.load),
    "compressed": lambda content, suffix: Compressed.from_bytes(content).decode(),
    "archive": lambda content, suffix: storage.loads(content, kind="x"),
}


def case(d: Draw, call: Watch) -> None:
    """Read one damaged file."""
    kind, suffix, content = d.pick(FILES)
    damaged = mutate(d, content)
    if kind == "graph" and d.chance(0.1):
        kind = "graph of any format"
    start = processor_time()
    found = call(f"{kind}{suffix}", READERS[kind], damaged, suffix, may=(ga.LoadError,), finite=False)
    seconds = processor_time() - start
    call.check(seconds < SECONDS, f"{kind}{suffix}: {seconds:.1f} s for {len(damaged)} bytes")
    if found is not REFUSED and isinstance(found, ga.NeighborGraph):
        call.check(found.num_nodes >= 1, f"{kind}{suffix}: a graph without nodes")
