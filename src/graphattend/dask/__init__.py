"""Graphs larger than memory: cut into parts in a folder, attended, trained on and evaluated part by part.

It works alone, with the workers of `ga.parallel`, or on a cluster with a client of ``dask.distributed``.
"""

from ._attend import attend
from ._layout import Layout
from ._partition import partition
from ._train import Trained, evaluate, train

__all__ = ["Layout", "Trained", "attend", "evaluate", "partition", "train"]
