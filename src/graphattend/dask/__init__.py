"""Graphs larger than memory: partitioned into a folder, then attended, trained on and evaluated part by part.

The work runs in one process, with the workers of `ga.parallel`, or on a cluster with a ``dask.distributed`` client.
"""

from ._attend import attend
from ._layout import Layout
from ._partition import partition
from ._train import Trained, evaluate, train

__all__ = ["Layout", "Trained", "attend", "evaluate", "partition", "train"]
