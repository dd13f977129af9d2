"""Codecs for embeddings with guaranteed error bounds: ``encode(x) -> Compressed`` and ``decode(c) -> array``."""

from ..registry import export
from ._codec import CODECS as CODECS
from ._codec import Codec as Codec
from ._codec import Compressed as Compressed
from .hierarchical import Hierarchical as Hierarchical
from .low_rank import LowRank as LowRank
from .quantizer import QuantizedArray as QuantizedArray
from .quantizer import Quantizer as Quantizer
from .sparse import SparseStorage as SparseStorage
from .tucker import Tucker as Tucker

export(globals())
