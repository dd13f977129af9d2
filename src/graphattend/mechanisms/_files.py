"""Mechanisms as files: options as JSON, parameters as arrays, never pickle."""

from __future__ import annotations

import os

from ..errors import AttentionError, LoadError
from ..storage import read_archive, write_archive
from ..storage_checks import Refused, check_like
from . import from_config
from ._base import Attention
from ._size_limit import budget

KIND = "mechanism"


def save(attn: Attention, path: str | os.PathLike[str]) -> None:
    """Write a mechanism to a .npz or .safetensors file, atomically."""
    write_archive(path, attn.parameters(), {"kind": KIND, **attn.to_config()})


def load(path: str | os.PathLike[str]) -> Attention:
    """Read a mechanism that `Attention.save` wrote.

    Args:
        path: A .npz or .safetensors file.

    Returns:
        The mechanism with its parameters, bit for bit.

    Raises:
        LoadError: The file is missing, damaged, malicious, or of an unknown version or mechanism. The message names
            the file.

    Example:
        >>> import pathlib, tempfile, graphattend as ga
        >>> attn = ga.MultiHeadAttention(8, seed=3)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = pathlib.Path(folder, "attn.npz")
        ...     attn.save(path)
        ...     ga.load(path) == attn
        True
    """
    config, arrays = read_archive(path, kind=KIND)
    try:
        plain = {name: value for name, value in config.items() if name != "kind"}
        # Initial parameters are made and then replaced: no more of them than the file holds (and small ones).
        with budget(4 * sum(a.size for a in arrays.values()) + (1 << 22)):
            initial = from_config(plain)
        check_like(arrays, initial.parameters())  # none may keep the numbers that were drawn for it
        return initial.with_parameters(arrays)
    except (AttentionError, Refused) as error:
        raise LoadError(
            f"{path}: not a mechanism of this version ({error})", argument="path", actual=str(path)
        ) from None
