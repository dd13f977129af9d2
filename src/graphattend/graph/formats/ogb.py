"""OGB folders of one graph: ``raw/edge.csv.gz`` and the files beside it (Hu et al. 2020)."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ...storage_checks import Refused, read_most
from . import COMPRESSIONS
from ._text import decode, is_number, shown
from .edge_table import FEATURES, MAX_NODES, EdgeTable, Places

#: Larger than for other text formats, because rows of numbers are read directly into arrays.
_MAX_BYTES = 1 << 30


def read_folder(name: str) -> EdgeTable:
    """Read the folder of a data set, or its subfolder ``raw``."""
    folder = Path(name, "raw") if Path(name, "raw").is_dir() else Path(name)
    edges = _numbers(folder, "edge", required=True)
    counts = {what: _numbers(folder, f"num-{what}-list") for what in ("node", "edge")}
    for what, count in counts.items():
        if count is not None and count.shape != (1, 1):
            raise Refused(f"num-{what}-list.csv.gz: expected one graph, found {len(count)}")
    assert edges is not None
    if edges.shape[1] != 2 or (edges < 0).any() or (edges != np.floor(edges)).any():
        raise Refused("edge.csv.gz: expected two whole numbers a line")
    size = int(edges.max()) + 1 if counts["node"] is None else int(counts["node"][0, 0])
    if not edges.max() < size <= MAX_NODES:
        most = f"{edges.max() + 1:g} to {MAX_NODES}"
        raise Refused(f"num-node-list.csv.gz: expected {most} nodes for these edges, got {size}")
    if counts["edge"] is not None and counts["edge"][0, 0] != len(edges):
        raise Refused(f"num-edge-list.csv.gz: announces {counts['edge'][0, 0]:g} edges, but there are {len(edges)}")
    features = _numbers(folder, "edge-feat")
    if features is not None and len(features) != len(edges):
        raise Refused(f"edge-feat.csv.gz: expected {len(edges)} lines, got {len(features)}")
    return EdgeTable(
        sources=edges[:, 0].astype(np.intp),
        targets=edges[:, 1].astype(np.intp),
        num_nodes=size,
        directed=True,
        columns={} if features is None else {FEATURES: features},
        where=Places("line ", first=1),
    )


def node_features(name: str) -> np.ndarray:
    """Read ``node-feat.csv.gz``, which has a line per node."""
    folder = Path(name, "raw") if Path(name, "raw").is_dir() else Path(name)
    found = _numbers(folder, "node-feat", required=True)
    assert found is not None
    return found


def _numbers(folder: Path, stem: str, *, required: bool = False) -> np.ndarray | None:
    name = f"{stem}.csv.gz"
    path = folder / name
    if not path.is_file():
        if required:
            raise Refused(f"holds no {name}")
        return None
    with path.open("rb") as file:
        data = COMPRESSIONS[".gz"].expand(read_most(file, _MAX_BYTES, path.stat().st_size), _MAX_BYTES)
    if len(data) > _MAX_BYTES:
        raise Refused(f"{name}: larger than the limit of {_MAX_BYTES} bytes")
    lines = decode(data).splitlines()
    try:
        found = np.loadtxt(lines, delimiter=",", ndmin=2, comments=None)
    except ValueError as error:
        for number, line in enumerate(lines, 1):
            if not all(map(is_number, line.split(","))):
                raise Refused(f"{name}, line {number}: expected numbers, got {shown(line)}") from None
        raise Refused(f"{name}: {error}") from None
    if not found.size or not np.isfinite(found).all():
        raise Refused(f"{name}: expected finite numbers")
    return found
