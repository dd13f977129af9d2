"""Attention mechanisms for graph latent spaces."""

from ._vjp import vjp
from .errors import (
    AttentionError,
    DimensionMismatchError,
    EmptyInputError,
    InternalError,
    InvalidConfigError,
    LoadError,
    NumericalInstabilityError,
    OutOfBoundsError,
    UnsupportedError,
)

__version__ = "0.1.0"
