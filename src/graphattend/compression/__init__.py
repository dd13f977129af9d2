"""Codecs for embeddings: one ``encode(x) -> Compressed`` / ``decode(c) -> array`` pair each, with guaranteed errors."""

from __future__ import annotations

from ._codec import CODECS, Codec, Compressed
from .hierarchical import Hierarchical
from .low_rank import LowRank
from .quantizer import QuantizedArray, Quantizer
from .sparse import SparseStorage
from .tucker import Tucker

__all__ = [
    "CODECS",
    "Codec",
    "Compressed",
    "Hierarchical",
    "LowRank",
    "QuantizedArray",
    "Quantizer",
    "SparseStorage",
    "Tucker",
]
