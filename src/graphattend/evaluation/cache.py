"""Cache of finished evaluation runs."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import InvalidConfigError
from ..storage import write_atomically


@dataclasses.dataclass(frozen=True)
class Cache:
    """Finished runs in a folder, stored under a hash of everything that affects them; no folder means no cache."""

    folder: Path | None

    def __post_init__(self) -> None:
        if self.folder is not None and not self.folder.is_dir():
            raise InvalidConfigError.of("cache", "a folder that exists", str(self.folder))

    def _path(self, key: str) -> Path:
        assert self.folder is not None
        return self.folder / f"graphattend-evaluation-{key}.json"

    def find(self, key: str) -> dict[str, Any] | None:
        """Return the run stored under a hash, or None if it is missing or cannot be read."""
        if self.folder is None or not self._path(key).exists():
            return None
        try:
            found = json.loads(self._path(key).read_text())
        except (OSError, ValueError):
            return None
        return found if isinstance(found, dict) and found.get("key") == key else None

    def keep(self, key: str, found: Mapping[str, Any]) -> None:
        """Store a run under a hash."""
        if self.folder is not None:
            write_atomically(str(self._path(key)), json.dumps({"key": key, **found}).encode())


def digest(*parts: object) -> str:
    """Return the SHA-256 hash of arrays and JSON values, in hexadecimal digits."""
    found = hashlib.sha256()
    for part in parts:
        if isinstance(part, np.ndarray):
            found.update(f"{part.dtype.str}{part.shape}".encode())
            found.update(np.ascontiguousarray(part).tobytes())
        else:
            found.update(json.dumps(part, sort_keys=True).encode())
    return found.hexdigest()


def arrays(value: object) -> Iterator[np.ndarray]:
    """Yield all arrays in nested dataclasses and tuples."""
    if isinstance(value, np.ndarray):
        yield value
    elif dataclasses.is_dataclass(value):
        for field in dataclasses.fields(value):
            yield from arrays(getattr(value, field.name))
    elif isinstance(value, tuple):
        for one in value:
            yield from arrays(one)
