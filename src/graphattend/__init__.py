"""Attention mechanisms for graph latent spaces, the same in CPython, in the browser and in Node.js.

Importing the package imports little; NumPy and all that needs it are imported on first use.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from .errors import (
    AttentionError,
    CancelledError,
    DimensionMismatchError,
    EmptyInputError,
    InternalError,
    InvalidConfigError,
    LoadError,
    NumericalInstabilityError,
    OutOfBoundsError,
    UnsupportedError,
    WorkerLostError,
)
from .mechanisms import REGISTRY as _REGISTRY
from .mechanisms import create, from_config, list_mechanisms

if TYPE_CHECKING:  # "as" makes a name public for type checkers, which cannot compute `__all__`
    from . import analysis as analysis
    from . import compression as compression
    from . import dask as dask
    from . import errors as errors
    from . import evaluation as evaluation
    from . import functional as functional
    from . import geometry as geometry
    from . import graph as graph
    from . import interop as interop
    from . import simd as simd
    from . import testing as testing
    from . import training as training
    from ._parallel import parallel as parallel
    from ._schema import schema as schema
    from ._vjp import vjp as vjp
    from .evaluation import Evaluation as Evaluation
    from .evaluation import evaluate as evaluate
    from .graph import GraphMetadata as GraphMetadata
    from .graph import NeighborGraph as NeighborGraph
    from .graph.embeddings import read_embeddings as read_embeddings
    from .mechanisms._base import Attention as Attention
    from .mechanisms._files import load as load
    from .mechanisms._gradients import Gradients as Gradients
    from .recommendation import Recommendation as Recommendation
    from .recommendation import recommend as recommend
    from .simd import backend_info as backend_info
    from .simd import get_num_threads as get_num_threads
    from .simd import set_num_threads as set_num_threads
    from .simd import use_backend as use_backend

__version__ = "0.1.0"

#: Public names that are imported on first use, and their modules.
_LAZY = {
    "Attention": ".mechanisms._base",
    "Evaluation": ".evaluation",
    "Gradients": ".mechanisms._gradients",
    "GraphMetadata": ".graph",
    "NeighborGraph": ".graph",
    "Recommendation": ".recommendation",
    "backend_info": ".simd",
    "evaluate": ".evaluation",
    "get_num_threads": ".simd",
    "load": ".mechanisms._files",
    "parallel": "._parallel",  # as with "schema"
    "read_embeddings": ".graph.embeddings",
    "recommend": ".recommendation",
    "schema": "._schema",  # not "schema": importing that module would hide the function
    "set_num_threads": ".simd",
    "use_backend": ".simd",
    "vjp": "._vjp",
} | _REGISTRY.attributes()

_MODULES = (
    "analysis",
    "compression",
    "dask",
    "evaluation",
    "functional",
    "geometry",
    "graph",
    "interop",
    "simd",
    "testing",
    "training",
)

__all__ = [
    "AttentionError",
    "CancelledError",
    "DimensionMismatchError",
    "EmptyInputError",
    "InternalError",
    "InvalidConfigError",
    "LoadError",
    "NumericalInstabilityError",
    "OutOfBoundsError",
    "UnsupportedError",
    "WorkerLostError",
    "create",
    "errors",
    "from_config",
    "list_mechanisms",
    *_LAZY,
    *_MODULES,
]


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        value = getattr(importlib.import_module(_LAZY[name], __name__), name)
    elif name in _MODULES:
        value = importlib.import_module(f".{name}", __name__)
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
