"""Mechanism files: options as JSON, parameters as arrays, never pickle."""

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
        The mechanism with bitwise equal parameters.

    Raises:
        LoadError: The file is missing, damaged or malicious, or its version or mechanism is unknown. The message names
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
        # Initial parameters are created and then replaced. They may not be much larger than those of the file.
        with budget(4 * sum(a.size for a in arrays.values()) + (1 << 22)):
            initial = from_config(plain)
        check_like(arrays, initial.parameters())  # every initial parameter must be replaced
        return initial.with_parameters(arrays)
    except (AttentionError, Refused) as error:
        raise LoadError(
            f"{path}: not a mechanism of this version ({error})", argument="path", actual=str(path)
        ) from None
