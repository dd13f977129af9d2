"""Attention over a partitioned graph: each part reads its own and its halo's rows, attends, and writes its output."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from .. import _tasks
from .._parallel import parallel
from .._sharing import file_of
from .._validate import ArrayLike, as_float
from ..errors import (
    CancelledError,
    DimensionMismatchError,
    InvalidConfigError,
    LoadError,
    NumericalInstabilityError,
    UnsupportedError,
)
from ..graph import NeighborGraph
from ..graph.blocks import EDGE_FIELDS, Block, block_graph
from ..graph.conversions import need
from ..mechanisms._base import Attention
from ..storage import load_errors, same_file
from ._arrays import STEP, changed, check_rows, created, floats, identity, opened, rows_of
from ._layout import Layout, Part


def attend(
    attn: object,
    folder: str | os.PathLike[str],
    features: ArrayLike | os.PathLike[str],
    out: object,
    *,
    client: object = None,
    threads: int | None = None,
    on_progress: Callable[[int, int], Any] | None = None,
    cancel: object = None,
) -> Any:
    """Compute `Attention.attend` over a partitioned graph, with one part at a time in each worker.

    A part holds one hop of halo, so the attention of its nodes is exact. Each layer is completed for all parts before
    the next layer reads its output. The outputs are written to ``<out>.parts``, and every complete part is marked there
    with a checksum. A later call with the same arguments skips complete parts and recomputes parts whose checksum does
    not match, for example after a loss of power. `out` is created at the end.

    Args:
        attn: The mechanism, or a list of mechanisms that are applied in order as layers.
        folder: The folder that `partition` wrote.
        features: (V, D), row i for node i of the partitioned graph: a .npy file, preferably as a path or memory map, a
            zarr array or its folder (.zarr), or an array.
        out: Destination of the output (V, E): a path ending in .npy or .zarr, or an array of that shape.
        client: A ``dask.distributed`` client, or any argument of `ga.parallel`. By default, the workers of the
            enclosing `ga.parallel` block; outside such a block, the parts run one after the other. All workers need
            access to the files.
        threads: As for `Attention.attend`, in each worker.
        on_progress: Called as ``on_progress(done, total)`` with the number of parts of all layers; returning False
            cancels.
        cancel: Object with `is_set()`, or a function. A true value cancels.

    Returns:
        The output: a read-only memory map for a path, else `out`.

    Raises:
        LoadError: A folder or file is missing, damaged or inconsistent.
        DimensionMismatchError: The features or the output do not fit.
        InvalidConfigError: The folder lacks data that the mechanism needs, or an argument has the wrong type.
        UnsupportedError: The mechanism reads nodes other than the neighbours.
        CancelledError, WorkerLostError: As for `ga.parallel`.

    Example:
        >>> import os, tempfile, numpy as np, graphattend as ga
        >>> ring = ga.NeighborGraph.from_edge_index([[1, 2, 3, 0], [0, 1, 2, 3]], 4)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     _ = ga.dask.partition(ring, os.path.join(folder, "ring"), 2)
        ...     np.save(os.path.join(folder, "x.npy"), np.eye(4))
        ...     attn, out = ga.create("scaled_dot_product", 4), os.path.join(folder, "out.npy")
        ...     _ = ga.dask.attend(attn, os.path.join(folder, "ring"), os.path.join(folder, "x.npy"), out)
        ...     np.load(out).tolist() == attn.attend(ring, np.eye(4)).tolist()
        True
    """
    layout = Layout.open(folder)
    x = opened(features, "features")
    stages = _stages(attn, layout, x)
    if on_progress is not None and not callable(on_progress):
        raise InvalidConfigError.of("on_progress", "a function", type(on_progress).__name__)
    target = _Target.of(out, (layout.num_nodes, stages[-1].width), x)
    total, done = len(stages) * layout.num_parts, 0

    def say(parts: int) -> bool:
        nonlocal done
        done += parts
        return on_progress is None or on_progress(done, total) is not False or done == total

    with target.folder() as place, workers(client, cancel) as pool:
        told = identity(x)
        for number, stage in enumerate(stages):
            told = stage.digest(layout, told)
            here = os.path.join(place, f"layer-{number}")
            _begin(here, told, (layout.num_nodes, stage.width), stage.dtype)
            left = [i for i in range(layout.num_parts) if not _is_whole(here, i, layout)]
            if not say(layout.num_parts - len(left)):
                raise CancelledError("on_progress: the caller stopped the work", argument="on_progress")
            common = {"layout": layout, "attn": stage.attn, "x": x, "here": here, "threads": threads}
            pool.map(attend_part, common, left, on_done=lambda i, _: say(1), folder=place)
            if number < len(stages) - 1:
                x = np.load(_output(here), mmap_mode="r")
        return target.take(_output(here))


@contextlib.contextmanager
def workers(client: object, cancel: object = None) -> Iterator[_tasks.Pool]:
    """Yield the worker pool of a client, of the enclosing `ga.parallel` block, or of this thread alone."""
    around = _tasks.pool()
    if client is None and around is not None:
        yield around if cancel is None else around.cancelled_by(cancel)
        return
    with parallel(1 if client is None else client, cancel=cancel) as pool:
        yield pool


class _Stage(NamedTuple):
    """One layer: the mechanism, and the width and dtype of its output."""

    attn: Attention
    width: int
    dtype: np.dtype[Any]

    def digest(self, layout: Layout, inputs: str) -> str:
        """Return a hash of everything that determines the output."""
        found = blake2b(digest_size=16)
        for text in (json.dumps(self.attn.to_config(), sort_keys=True), layout.digest, inputs):
            found.update(text.encode())
        for name, a in sorted(self.attn.parameters().items()):
            found.update(name.encode() + np.ascontiguousarray(a).tobytes())
        return found.hexdigest()


def _stages(attn: Any, layout: Layout, x: Any) -> list[_Stage]:
    """Check the layers by running each on a graph of one node, which gives the output's width and missing data."""
    layers = list(attn) if isinstance(attn, (list, tuple)) else [attn]
    if not layers:
        raise InvalidConfigError.of("attn", "a mechanism", "an empty list")
    check_mechanism(layers[0], layout)
    check_rows(x, "features", layout.num_nodes, layers[0].dim)
    row = floats(rows_of(x, slice(0, 1)), "features", lambda i: 0, layers[0].check_finite)
    stages = []
    with _tasks.using(None):  # one node does not need the workers
        for layer in layers:
            check_mechanism(layer, layout)
            row = layer.attend(probe(layout), row)
            stages.append(_Stage(layer, row.shape[1], row.dtype))
    return stages


def check_mechanism(attn: object, layout: Layout) -> None:
    """Raise an error if the mechanism cannot run on a single part."""
    if not isinstance(attn, Attention):
        raise InvalidConfigError.of("attn", "a mechanism", type(attn).__name__)
    if attn.sees_all_nodes or attn.adds_edges:
        raise UnsupportedError(
            f"attn: {attn.key} looks beyond the neighbours of a node, so parts of a graph are not enough for it",
            argument="attn",
        )
    if structural(attn) and "structural_features" not in layout.arrays:
        raise InvalidConfigError.of(
            "folder",
            "structural features",
            None,
            text=f"structural features because {attn.key} needs them: partition(..., structural_features=True)",
        )


def structural(attn: Attention) -> bool:
    """Return whether a mechanism reads structural features, which depend on the whole graph."""
    return bool({"structural_features", "query_structural"} & {*attn.needed, *attn.used})


def probe(layout: Layout) -> NeighborGraph:
    """Return a graph of one node that attends to itself, with the same kinds of data as the parts."""
    arrays = layout.parts[0].arrays
    data = {name: np.ones((1, *a.shape[1:]), a.dtype) for name, a in arrays.items() if name in EDGE_FIELDS}
    block = Block(np.array([0, 1]), np.array([0]), np.zeros(0, np.intp))
    has = layout.arrays
    layers = {"layers": np.zeros(1, np.intp)} if "layers" in has else {}
    return block_graph(block, np.zeros((1, 5)) if "structural_features" in has else None, **layers, **data)


def part_graph(layout: Layout, part: Part, attn: Attention) -> NeighborGraph:
    """Return the graph of a part, own nodes first, with the data that the mechanism reads."""
    read = {*attn.needed, *attn.used}
    data = {name: a for name, a in part.data.items() if name in read}
    layers = layout.node_array("layers")
    features = layout.node_array("structural_features") if structural(attn) else None

    def local(a: np.ndarray | None) -> np.ndarray | None:
        return None if a is None else np.concatenate([a[part.start : part.stop], a[part.block.halo]])

    return block_graph(part.block, local(features), layers=local(layers), **data)


def attend_part(common: dict[str, Any], number: int) -> None:
    """Compute and write the output of one part. Runs as a task."""
    layout, attn, here = common["layout"], common["attn"], common["here"]
    part = layout.part(number)
    size, halo = part.stop - part.start, part.block.halo
    order = layout.node_array("order")
    own = layout.own(number)
    x = rows_of(common["x"], own)
    if halo.size:
        x = np.concatenate([x, rows_of(common["x"], halo if order is None else order[halo])])

    def node(row: int) -> int:
        place = part.start + row if row < size else halo[row - size]
        return int(place if order is None else order[place])

    x = as_float(x, "features")
    try:
        out = attn.attend(part_graph(layout, part, attn), x, threads=common["threads"])
    except NumericalInstabilityError:
        floats(x, "features", node, attn.check_finite)  # if the features are the cause, name the node
        raise
    _write(here, own, out[:size], layout.num_nodes)
    Path(_mark(here, number)).write_text(_checksum(out[:size]))


def _write(here: str, own: slice | np.ndarray, rows: np.ndarray, num_nodes: int) -> None:
    """Write the rows `own` of the output."""
    if not isinstance(own, slice):
        with changed(_output(here)) as whole:
            whole[own] = rows
        return
    with open(_output(here), "r+b") as file:  # the rows are contiguous in the file
        file.seek(-(num_nodes - own.start) * rows[0].nbytes, os.SEEK_END)
        np.ascontiguousarray(rows).tofile(file)


def _checksum(rows: np.ndarray) -> str:
    """Return a checksum that detects pages of the rows that were not written to disk, as after a loss of power."""
    rows = np.ascontiguousarray(rows)
    words = rows.reshape(-1).view("u8" if rows.nbytes % 8 == 0 else "u4")
    return str(int(words.sum(dtype=np.uint64)))


def _is_whole(here: str, number: int, layout: Layout) -> bool:
    """Return whether an earlier call completed the output of a part."""
    try:
        told = Path(_mark(here, number)).read_text()
    except OSError:
        return False
    return told == _checksum(rows_of(np.load(_output(here), mmap_mode="r"), layout.own(number)))


# -- the output --------------------------------------------------------------------------------------------------------


def _output(here: str) -> str:
    return os.path.join(here, "out.npy")


def _mark(here: str, number: int) -> str:
    """Return the path of the file that marks the output of a part as complete and holds its checksum."""
    return os.path.join(here, f"part-{number}.done")


def _begin(here: str, digest: str, shape: tuple[int, int], dtype: np.dtype[Any]) -> None:
    """Create the folder of a layer, or keep it if it belongs to the same run. Output of other runs is deleted."""
    run = os.path.join(here, "run.json")
    told = json.dumps({"kind": "graphattend-run", "digest": digest})
    if os.path.isdir(here):
        with contextlib.suppress(OSError):
            if Path(run).read_text() == told:
                return
        shutil.rmtree(here)
    os.makedirs(here)
    created(_output(here), dtype, shape)
    Path(run).write_text(told)  # a truncated file counts as another run, and parts have checksums


@dataclass(frozen=True)
class _Target:
    """The destination of the output: a file, a zarr folder, or an array."""

    path: str | None
    array: Any

    @classmethod
    def of(cls, out: object, shape: tuple[int, int], x: object) -> _Target:
        """Check the destination and return its target."""
        if isinstance(out, (str, os.PathLike)):
            path = os.path.abspath(os.fsdecode(out))
            suffix = os.path.splitext(path)[1].lower()
            if suffix not in (".npy", ".zarr"):
                raise InvalidConfigError.of("out", "a name ending in .npy or .zarr", path)
            if suffix == ".zarr":
                need("zarr", "zarr")
            if not os.path.isdir(os.path.dirname(path)):
                raise LoadError(f"{path}: cannot be written (no such folder)", argument="out")
            source = file_of(x)
            if source is not None and same_file(source, path):
                raise InvalidConfigError.of("out", "another file than the features", path)
            return cls(path, None)
        if not hasattr(out, "__setitem__") or not hasattr(out, "shape") or not hasattr(out, "dtype"):
            raise InvalidConfigError.of("out", "a path, or an array to write into", type(out).__name__)
        if tuple(out.shape) != shape:
            raise DimensionMismatchError.of("out", shape, tuple(out.shape), text=f"shape {shape}")
        if np.dtype(out.dtype).kind != "f" or (isinstance(out, np.ndarray) and not out.flags.writeable):
            raise InvalidConfigError.of("out", "a writeable array of floats", f"dtype {out.dtype}")
        if isinstance(out, np.ndarray) and isinstance(x, np.ndarray) and np.shares_memory(out, x, max_work=1):
            raise InvalidConfigError.of("out", "another array than the features", "the same")
        return cls(None, out)

    @contextlib.contextmanager
    def folder(self) -> Iterator[str]:
        """Yield the folder for the outputs of parts, next to the output file so that a later call finds them."""
        path = self.path or (file_of(self.array) if isinstance(self.array, np.ndarray) else None)
        if path is None:
            with tempfile.TemporaryDirectory(prefix="graphattend-", ignore_cleanup_errors=True) as folder:
                yield folder
            return
        place = f"{path}.parts"
        with load_errors(place):
            os.makedirs(place, exist_ok=True)
        yield place
        shutil.rmtree(place, ignore_errors=True)

    def take(self, path: str) -> Any:
        """Move the complete output to its destination and return it."""
        if self.path is not None and self.path.lower().endswith(".npy"):
            os.replace(path, self.path)
            return np.load(self.path, mmap_mode="r")
        whole = np.load(path, mmap_mode="r")
        if self.path is None:
            _copy(whole, self.array)
            if isinstance(self.array, np.memmap):
                self.array.flush()
            return self.array
        zarr = need("zarr", "zarr")
        options = {"shape": whole.shape, "dtype": whole.dtype, "chunks": (min(STEP, len(whole)), whole.shape[1])}
        _copy(whole, zarr.open_array(self.path + ".tmp", mode="w", **options))
        shutil.rmtree(self.path, ignore_errors=True)
        os.replace(self.path + ".tmp", self.path)
        return zarr.open_array(self.path, mode="r")


def _copy(rows: np.ndarray, array: np.ndarray) -> None:
    for start in range(0, len(rows), STEP):
        array[start : start + STEP] = rows[start : start + STEP]
