"""The recipes of CONTRIBUTING, applied to a copy of the sources: one file and one line each, available everywhere.

A kernel is compiled along with one other, for the machine's smallest instruction set, with the cached objects.
"""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

import graphattend as ga

pytestmark = pytest.mark.native  # runs a copy in another process

ROOT = Path(__file__).parent.parent
SOURCE = Path(ga.__file__).parent


class Recipe(NamedTuple):
    """A file to write, and a line to add after the first line that starts with `after`."""

    path: str
    text: str
    registry: str
    line: str
    after: str


RECIPES = {
    "mechanism": Recipe(
        "mechanisms/l1.py",
        '''
"""Attention by the distance that sums absolute differences."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

import numpy as np

from ._base import Attention
from ._gradients import Params
from ._options import option


@dataclasses.dataclass(frozen=True, eq=False)
class L1Attention(Attention):
    """Attention by nearness: softmax(-‖q - k‖₁ / temperature) over the keys."""

    temperature: float = option("float", 1.0, "divides the distances", above=0.0)
    key: ClassVar[str] = "l1"
    family: ClassVar[str] = "core"
    complexity: ClassVar[str] = "O(M·N·D)"

    def _scores(self, q: np.ndarray, k: np.ndarray, meta: Any, p: Params) -> Any:
        w = q[..., :, None, :] - k[..., None, :, :]
        t = np.asarray(-1.0 / self.temperature, q.dtype)

        def pullback(g: np.ndarray) -> Any:
            moved = np.sign(w) * (t * g)[..., None]
            return moved.sum(-2), -moved.sum(-3), {}, {}

        return np.abs(w).sum(-1) * t, pullback
''',
        "mechanisms/__init__.py",
        '        "l1": "graphattend.mechanisms.l1:L1Attention",',
        '        "flash": ',
    ),
    "manifold": Recipe(
        "geometry/stretched.py",
        '''
"""Flat space with another unit of length."""

import dataclasses
from typing import Any

import numpy as np

from ._registry import MANIFOLDS
from ._manifold import ManifoldBase


@MANIFOLDS.register("stretched")
@dataclasses.dataclass(frozen=True)
class Stretched(ManifoldBase):
    """R^D with distances multiplied by a factor."""

    factor: float = 2.0

    def dist(self, x: Any, y: Any) -> Any:
        """Distance."""
        return self.factor * np.linalg.norm(np.subtract(x, y), axis=-1)

    def to_config(self) -> dict[str, Any]:
        """Description."""
        return {"type": "stretched", "factor": self.factor}
''',
        "geometry/__init__.py",
        "from .stretched import Stretched as Stretched",
        "from .sphere import",
    ),
    "codec": Recipe(
        "compression/plain.py",
        '''
"""No compression."""

import dataclasses
from typing import Any, ClassVar

from ._codec import CODECS, Codec, Compressed, as_data, require_array


@CODECS.register("plain")
@dataclasses.dataclass(frozen=True)
class Plain(Codec):
    """Stores the array as it is."""

    key: ClassVar[str] = "plain"

    def encode(self, x: Any) -> Compressed:
        """The array itself."""
        x = as_data(x, 1)
        return self._compressed(x.shape, x.dtype, {"x": x}, 0.0)

    def _decode(self, shape: Any, dtype: Any, arrays: Any) -> Any:
        return arrays["x"].copy()

    def _check(self, shape: Any, dtype: Any, arrays: Any) -> None:
        require_array(arrays, "x", shape, dtype)
''',
        "compression/__init__.py",
        "from .plain import Plain as Plain",
        "from .low_rank import",
    ),
    "loss": Recipe(
        "training/absolute.py",
        '''
"""Mean absolute error."""

from typing import Any

import numpy as np

from .._vjp import WithPullback, with_vjp
from ._registries import LOSSES


@LOSSES.register("absolute")
@with_vjp
def absolute(output: Any, targets: Any, *, index: Any = None, reduction: str = "mean") -> WithPullback[Any]:
    """Mean absolute error."""
    rows = slice(None) if index is None else index
    w = np.asarray(output)[rows] - np.asarray(targets)[rows]

    def pullback(g: Any) -> Any:
        moved = np.zeros_like(output)
        np.add.at(moved, rows, g * np.sign(w) / w.size)
        return moved, -moved

    return np.abs(w).mean(), pullback
''',
        "training/__init__.py",
        "from .absolute import absolute as absolute",
        "from ._registries import SCHEDULES",
    ),
    "optimizer": Recipe(
        "training/signed.py",
        '''
"""Gradient descent by the sign of the gradient."""

import dataclasses
from typing import Any

import numpy as np

from ._optimizer import Optimizer
from ._registries import OPTIMIZERS


@OPTIMIZERS.register("Signed")
@dataclasses.dataclass(frozen=True)
class Signed(Optimizer):
    """p ← p - lr · sign(g)."""

    def _step(self, name: Any, param: Any, grad: Any, state: Any, count: Any, lr: Any) -> Any:
        return param - lr * np.sign(grad), {}
''',
        "training/__init__.py",
        "from .signed import Signed as Signed",
        "from ._registries import SCHEDULES",
    ),
    "format": Recipe(
        "graph/formats/ring.py",
        '''
"""A number: a ring of so many nodes."""

from . import Format
from .edge_table import EdgeTable


def read(data: bytes) -> EdgeTable:
    """The edges of the ring."""
    n = int(data)
    return EdgeTable(sources=list(range(n)), targets=[(i + 1) % n for i in range(n)], num_nodes=n, directed=False)


RING = Format(read)
''',
        "graph/formats/__init__.py",
        '    ".ring": "ring:RING",',
        '    ".mtx": ',
    ),
    "command": Recipe(
        "cli/hello.py",
        '''
"""``graphattend hello``."""

import argparse

HELP = "greet"
EXAMPLES = ("graphattend hello graph",)


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    command.add_argument("name")


def run(arguments: argparse.Namespace) -> None:
    """Greet."""
    print("hello", arguments.name)
''',
        "cli/__init__.py",
        '        "hello": "graphattend.cli.hello",',
        '        "convert": ',
    ),
}

CHECKS = {
    "mechanism": """
ga.testing.check_mechanism(ga.L1Attention)
assert "l1" in ga.schema() and ga.create("l1", 4).key == "l1" and ga.L1Attention(4).temperature == 1.0
assert "l1" in printed("list")
assert "interface L1Options " in types and " l1: L1Options;" in types
""",
    "manifold": """
assert ga.geometry.from_config({"type": "stretched", "factor": 3.0}) == ga.geometry.Stretched(3.0)
assert "Stretched" in ga.geometry.__all__ and "export type Manifold = " in types and "interface Stretched " in types
assert '{ type: "stretched"; factor?: number }' in types
""",
    "codec": """
np.save("x.npy", np.eye(4))
assert "ratio" in printed("compress", "--embeddings", "x.npy", "--codec", "plain", "--out", "x.npz", "--json")
assert (ga.compression.Compressed.load("x.npz").decode() == np.eye(4)).all()
assert "interface Plain " in types
""",
    "loss": """
assert trained({"loss": "absolute", "lr": 0.01})
assert '"absolute"' in types.split("type LossName")[1].split(";")[0] and "absolute<" in types
""",
    "optimizer": """
assert trained({"optimizer": "Signed", "lr": 0.01})
assert '"Signed"' in types.split("type OptimizerName")[1].split(";")[0] and "interface Signed " in types
""",
    "format": """
open("five.ring", "w").write("5")
assert ga.NeighborGraph.read("five.ring").num_edges == 10
printed("convert", "five.ring", "five.json")
assert ga.NeighborGraph.read("five.json").num_edges == 10
""",
    "command": """
assert printed("hello", "graph").split() == ["hello", "graph"]
""",
}

BEGIN = """
import contextlib, io, sys
import numpy as np
import graphattend as ga
from graphattend.cli import main
from graphattend._bridge_training import Training
import gen_types

types = gen_types.generate()

def printed(*words):
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(io.StringIO()) as errors:
        assert main(words) == 0, errors.getvalue()
    return out.getvalue() + errors.getvalue()

def trained(options):
    x = np.eye(3, 4)
    graph = ga.NeighborGraph.from_edge_index([[0, 1, 2], [1, 2, 0]], 3)
    run = Training(ga.MultiHeadAttention(4), graph, x, None, x, None, {"epochs": 3} | options)
    while run.steps() is not None:
        pass
    losses = run.result()["losses"]
    return losses[2] < losses[0]
"""


@pytest.fixture(scope="module")
def copy(tmp_path_factory) -> Path:
    """Return a copy of the sources with every recipe applied."""
    folder = tmp_path_factory.mktemp("recipes")
    ignored = shutil.ignore_patterns("*.so", "*.wasm", "__pycache__", "kernels")
    shutil.copytree(SOURCE, folder / "graphattend", ignore=ignored)
    for recipe in RECIPES.values():
        (folder / "graphattend" / recipe.path).write_text(recipe.text.lstrip(), encoding="utf-8")
        registry = folder / "graphattend" / recipe.registry
        lines = registry.read_text("utf-8").splitlines()
        place = next(i for i, line in enumerate(lines) if line.startswith(recipe.after))
        registry.write_text("\n".join([*lines[: place + 1], recipe.line, *lines[place + 1 :], ""]), encoding="utf-8")
    return folder


@pytest.mark.parametrize("kind", RECIPES)
def test_one_file_and_one_line(kind, copy, tmp_path):
    path = os.pathsep.join([str(copy), str(ROOT / "tools")])
    done = subprocess.run(
        [sys.executable, "-c", BEGIN + CHECKS[kind]],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": path, "GRAPHATTEND_BACKEND": "numpy"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-1500:]


KERNEL = """
/* Squares of a contiguous array. */
#include "kernels.h"

Status KERNEL(square)(Call *call) {
    const Array *x = &call->array[square_x], *out = &call->array[square_out];
    if (!x->contiguous || !out->contiguous) return DECLINED;
    isize n = 1, m = 1;
    for (int i = 0; i < x->ndim; i++) n *= x->shape[i];
    for (int i = 0; i < out->ndim; i++) m *= out->shape[i];
    if (n != m) return wrong(call, "square: x and out differ in size");
    const real *from = (const real *)x->data;
    real *to = (real *)out->data;
    void *state = work_begin((double)n);
    for (isize i = 0; i < n; i++) to[i] = from[i] * from[i];
    work_end(state);
    return DONE;
}
"""
DECLARATION = """
KERNEL_BEGIN(square)
OPERAND(square, x, REAL, 1, 8, READ)
OPERAND(square, out, REAL, 1, 8, WRITE)
KERNEL_END(square)
"""
FORMULATION = '''

def square(x: np.ndarray) -> np.ndarray:
    """Elementwise square."""
    return x * x
'''
CALL = '''

def square(x: Array) -> Array | None:
    """``x * x``."""
    out = _empty(x.shape, x.dtype)
    return out if _k.square(x, out) else None
'''
KERNEL_CHECK = """
import sys
from pathlib import Path
import numpy as np
import pytest
from graphattend import simd
from graphattend.simd import kernel_ops, numpy_ops
import build_js_kernels
import test_fuzz
from fuzz_cases import dense

kernels, module = Path(kernel_ops.__file__).parent / "kernels", kernel_ops.load(Path(sys.argv[1]), f"_kernels_{sys.argv[3]}")
kernel_ops.use(module)
for dtype in (np.float32, np.float64):
    x = np.random.default_rng(0).standard_normal((3, 37)).astype(dtype)
    found = kernel_ops.square(x)
    assert found.dtype == dtype and np.array_equal(found, numpy_ops.square(x))
    assert kernel_ops.square(x[:, ::2]) is None
    for simd._kernels in (None, kernel_ops):
        assert np.array_equal(simd.square(x), x * x)
        assert np.array_equal(simd.square(x[:, ::2]), (x * x)[:, ::2])
with pytest.raises(ValueError, match="square: x and out differ in size"):
    module.square(x, x[:2].copy())

test_fuzz.CASES = {"exp": test_fuzz.CASES["exp"]}
with pytest.raises(AssertionError):
    test_fuzz.test_every_entry_point_is_fuzzed(module)
test_fuzz.CASES["square"] = dense.Case(dense.make_elementwise, lambda x, out: [x.astype(float) ** 2])
test_fuzz.test_every_entry_point_is_fuzzed(module)
for seed, kind in enumerate(("f4", "f8")):
    assert test_fuzz.fuzz(module, seed, 8, kind)["square"][0] == 8

build_js_kernels.DECLARATIONS = (Path(sys.argv[2]), build_js_kernels.DECLARATIONS[1])
assert build_js_kernels.entries()["square"] == ["x", "out"] and len(build_js_kernels.entries()) > 20
build_js_kernels.called = lambda: ["square"]  # as after the first call in TypeScript
assert '  square: ["x", "out"],' in build_js_kernels.declaration()
"""


def builder(path: Path):
    """Import a copy's `kernels/build.py`, with the cached objects of the original."""
    spec = importlib.util.spec_from_file_location("graphattend_kernels_build", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.CACHE = ROOT / ".cache" / "kernels"
    return module


@pytest.mark.with_kernels
def test_a_kernel_is_one_file_and_one_declaration(tmp_path):
    folder = tmp_path / "graphattend"
    shutil.copytree(SOURCE, folder, ignore=shutil.ignore_patterns("*.so", "*.wasm", "__pycache__"))
    simd, kernels = folder / "simd", folder / "simd" / "kernels"
    build = builder(kernels / "build.py")
    platform = build.host()
    assert platform is not None

    (kernels / "square.c").write_text(KERNEL.lstrip(), encoding="utf-8")
    for path, text in (
        (kernels / "kernels.def", DECLARATION),
        (simd / "numpy_ops.py", FORMULATION),
        (simd / "kernel_ops.py", CALL),
        (simd / "__init__.py", "\nsquare = _op(numpy_ops.square)\n"),
    ):
        path.write_text(path.read_text("utf-8") + text, encoding="utf-8")

    # All kernels take a minute to compile, so leave out the others.
    declared = tmp_path / "kernels.def"
    text = (kernels / "kernels.def").rename(declared).read_text("utf-8")
    kept = re.finditer(r"^KERNEL_BEGIN\((exp|square)\).*?^KERNEL_END\(\1\)$", text, re.MULTILINE | re.DOTALL)
    (kernels / "kernels.def").write_text("\n".join([*(found[0] for found in kept), ""]), encoding="utf-8")
    for source in kernels.glob("*.c"):
        if source.name not in ("exp.c", "square.c"):
            source.unlink()
    goal = build.PLATFORMS[platform]
    build.PLATFORMS[platform] = goal._replace(sets=dict(list(goal.sets.items())[-1:]))
    (built,) = build.build_native(platform, tmp_path)

    done = subprocess.run(
        [sys.executable, "-c", KERNEL_CHECK, str(built), str(declared), *build.PLATFORMS[platform].sets],
        cwd=tmp_path,
        env=os.environ
        | {
            "PYTHONPATH": os.pathsep.join(map(str, (tmp_path, ROOT / "tools", ROOT / "tests" / "simd"))),
            "GRAPHATTEND_BACKEND": "numpy",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-1500:]
