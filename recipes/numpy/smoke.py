"""SciPy, pandas, scikit-learn and matplotlib, Pyodide's own wheels, on another wheel of NumPy in Node.js.

    python recipes/numpy/smoke.py DISTRIBUTION WHEEL

The wheels come from Pyodide's CDN or, where that is out of reach, out of the package that carries them, and are checked
by the hashes in Pyodide's lock file. Prints what ran; ends with 1 if anything failed.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tarfile
import tempfile
import tomllib
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parents[1] / "tools")]

import pyodide_dist  # noqa: E402
from distribution import with_numpy  # noqa: E402

#: Each is imported and has work that goes through NumPy's C interface.
CHECKS = {
    "scipy": """
        import numpy as np
        from scipy import fft, integrate, linalg, optimize, sparse, special, stats
        from scipy.sparse.linalg import spsolve
        rng = np.random.default_rng(0)
        a = rng.standard_normal((60, 60)); b = rng.standard_normal(60)
        np.testing.assert_allclose(a @ linalg.solve(a, b), b, atol=1e-9)
        u, s, v = linalg.svd(a); np.testing.assert_allclose(u * s @ v, a, atol=1e-9)
        np.testing.assert_allclose(fft.ifft(fft.fft(b)).real, b, atol=1e-12)
        np.testing.assert_allclose(integrate.quad(np.exp, 0, 1)[0], np.e - 1)
        np.testing.assert_allclose(special.gamma([4, 5]), [6, 24])
        np.testing.assert_allclose(optimize.minimize(lambda x: ((x - 3) ** 2).sum(), np.zeros(4)).x, 3, atol=1e-4)
        m = sparse.csr_array(np.eye(60) * 4 + (rng.random((60, 60)) < 0.05))
        np.testing.assert_allclose(m @ spsolve(m.tocsc(), b), b, atol=1e-9)
        assert 0 < stats.ttest_ind(b[:30], b[30:]).pvalue <= 1
    """,
    "pandas": """
        import numpy as np, pandas as pd
        f = pd.DataFrame({"key": list("abcab") * 200, "x": np.arange(1000.0), "n": np.arange(1000)[::-1]})
        assert f.groupby("key").x.sum().sum() == f.x.sum() == 499500
        assert f.sort_values("n").x.iloc[0] == 999 and f.n.sort_values().is_monotonic_increasing
        np.testing.assert_allclose(f.x.rolling(10).mean().iloc[-1], 994.5)
        assert f.merge(f, on="x").shape == (1000, 5) and f.describe().loc["max", "n"] == 999
        assert f.pivot_table(index="key", values="x", aggfunc="median").shape == (3, 1)
    """,
    "scikit-learn": """
        import numpy as np
        from sklearn import cluster, datasets, decomposition, ensemble, linear_model, neighbors, svm
        x, y = datasets.load_iris(return_X_y=True)
        for model in (linear_model.LogisticRegression(max_iter=500), svm.SVC(), neighbors.KNeighborsClassifier(),
                      ensemble.RandomForestClassifier(20, random_state=0)):
            assert model.fit(x, y).score(x, y) > 0.95, model
        assert decomposition.PCA(2).fit(x).explained_variance_ratio_.sum() > 0.97
        assert len(set(cluster.KMeans(3, n_init=2, random_state=0).fit_predict(x))) == 3
    """,
    "matplotlib": """
        import io, numpy as np, matplotlib
        matplotlib.use("agg")
        from matplotlib import pyplot
        figure, axes = pyplot.subplots()
        axes.plot(np.linspace(0, 9), np.sin(np.linspace(0, 9))); axes.imshow(np.eye(20))
        figure.savefig(file := io.BytesIO()); assert file.getvalue()[:4] == b"\\x89PNG"
    """,
}
SCRIPT = """
const [folder, checks] = process.argv.slice(1);
const { loadPyodide } = await import(folder + "/pyodide.mjs");
const pyodide = await loadPyodide({ indexURL: folder + "/" });
const found = {};
for (const [name, code] of Object.entries(JSON.parse(checks))) {
  try {
    await pyodide.loadPackage(name, { messageCallback() {} });
    pyodide.globals.set("code", code);
    pyodide.runPython("import textwrap; exec(textwrap.dedent(code), {})");
    found[name] = pyodide.runPython(`import importlib.metadata; importlib.metadata.version("${name}")`);
  } catch (error) {
    found[name] = { error: String(error.message).slice(-600) };
  }
}
console.log(JSON.stringify(found));
"""


def distribution(official: Path, wheel: Path, folder: Path) -> Path:
    """A distribution with the wheel, and with Pyodide's wheels of the packages and what they depend on."""
    target = with_numpy(official, wheel, folder)
    versions = tomllib.loads(pyodide_dist.VERSIONS_FILE.read_text("utf-8"))
    files = pyodide_dist.cache_folder() / "downloads"
    with tarfile.open(pyodide_dist.npm_tarball(versions["pyodide"], files)) as archive:
        member = archive.extractfile(f"package/{pyodide_dist.LOCK}")
        assert member is not None
        whole = json.loads(member.read())
    lock = json.loads((target / pyodide_dist.LOCK).read_text("utf-8"))
    wanted, todo = set[str](), list(CHECKS)
    while todo:
        name = todo.pop()
        if name not in wanted and name not in lock["packages"]:
            wanted.add(name)
            todo += whole["packages"][name]["depends"]
    names = sorted(wanted)
    for path in pyodide_dist.official_wheels({**versions["official"], "packages": names}, whole, files):
        pyodide_dist.link(path, target)
    lock["packages"] |= {name: whole["packages"][name] for name in names}
    (target / pyodide_dist.LOCK).write_text(json.dumps(lock), "utf-8")
    return target


def main() -> None:
    """Run the checks."""
    with tempfile.TemporaryDirectory() as folder:
        target = distribution(*map(Path, sys.argv[1:3]), Path(folder, "distribution"))
        command = ["node", "--no-warnings", "--input-type=module", "-e", SCRIPT, str(target), json.dumps(CHECKS)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    for name, result in found.items():
        print(f"{name} {result}" if isinstance(result, str) else f"{name}: {result['error']}")
    sys.exit(any(isinstance(result, dict) for result in found.values()))


if __name__ == "__main__":
    main()
