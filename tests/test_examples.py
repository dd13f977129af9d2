"""The scripts of examples/ run unchanged; js/test/examples.test.mjs runs those in JavaScript."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytestmark = pytest.mark.native

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
#: Text that each script has to print, as a sign that it worked.
SIGNS = {
    "karate_club.py": " of 34 members in their party",
    "link_prediction.py": "77 nodes, 254 links",
    "hierarchy.py": "hyperbolic: mean rank",
    "hnsw_navigation.py": "policy, 8 coordinates first: recall",
    "compressed_index.py": "read again: True",
    "sparse_patterns.py": "mask and neighbour lists agree: True",
    "beyond_memory.py": "same as in one piece: True",
    "own_mechanism.py": "gradients",
    "own_manifold.py": "mean of 22:00, 23:30 and 1:00: [23.5]",
    "from_pytorch.py": "difference from",
}


def run(name: str, *arguments: str, folder: Path) -> str:
    """Run a script and return its output."""
    environment = os.environ | {"OPENBLAS_NUM_THREADS": "1", "PYTHONWARNINGS": "error"}
    command = [sys.executable, str(EXAMPLES / name), *arguments]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_script_is_run_somewhere() -> None:
    pages = pytest.importorskip("docsite.example_pages")
    assert {path.name for path in EXAMPLES.iterdir() if path.is_file()} == set(pages.ORDER)
    python = {name for name in pages.ORDER if name.endswith(".py")}
    assert python == set(SIGNS) | pages.WITH_ARGUMENT
    for name in pages.ORDER:
        title, text, code = pages.told(name)
        assert 10 < len(title) < 90, name
        assert len(text) > 50, name
        assert code, name


@pytest.mark.parametrize("name", SIGNS)
def test_script(name: str, tmp_path: Path) -> None:
    pytest.importorskip("pymetis" if name == "beyond_memory.py" else "numpy")
    assert SIGNS[name] in run(name, folder=tmp_path)


def test_hyperbolic_space_holds_the_hierarchy_better(tmp_path: Path) -> None:
    lines = run("hierarchy.py", folder=tmp_path).splitlines()
    ranks = [float(line.rpartition(" ")[2]) for line in lines if "mean rank" in line]
    assert ranks[0] < ranks[1]


def test_cora_on_a_graph_of_two_subjects(tmp_path: Path, rng: np.random.Generator) -> None:
    n = 60
    labels = np.arange(n) % 2
    pairs = rng.integers(0, n, (2, 400))
    edges = pairs[:, labels[pairs[0]] == labels[pairs[1]]].T
    words = np.where(labels[:, None] == 1, [2, 3], [0, 1])  # each subject has two words
    nodes = rng.permutation(n)
    np.savez(
        tmp_path / "cora.npz",
        x_indptr=np.arange(0, 2 * n + 1, 2),
        x_indices=words.reshape(-1),
        x_shape=[n, 4],
        edges=np.concatenate([edges, edges[:, ::-1]]),
        labels=labels,
        train_index=nodes[:10],
        val_index=nodes[10:30],
        test_index=nodes[30:],
    )
    row = next(line for line in run("cora.py", "cora.npz", folder=tmp_path).splitlines() if "edge_featured" in line)
    assert "100.0" in row
