// Runs NumPy's own tests inside Pyodide, with its own loops or with ours, and writes what each test gave as JSON.
//     node tools/numpy_tests.mjs DISTRIBUTION TESTS RESULT own|ours FILE...
// TESTS is a folder that holds numpy/…/tests as in NumPy's wheel for other systems; see numpy_tests.py.
import { writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";

const [distribution, tests, result, loops, ...files] = process.argv.slice(2);
const folder = resolve(distribution);
const { loadPyodide } = await import(pathToFileURL(join(folder, "pyodide.mjs")).href);
const pyodide = await loadPyodide({ indexURL: folder });
await pyodide.loadPackage(["graphattend", "pytest", "hypothesis"], { messageCallback: () => {} });
pyodide.FS.mkdir("/given");
pyodide.FS.mount(pyodide.FS.filesystems.NODEFS, { root: resolve(tests) }, "/given");
pyodide.globals.set("loops", loops);
pyodide.globals.set("files", pyodide.toPy(files));
const found = await pyodide.runPythonAsync(`
import json, shutil, sys, types
from pathlib import Path
import numpy, pytest
import graphattend

class Lacking(types.ModuleType):
    """In the place of NumPy's compiled helpers for tests, which its wheel for Pyodide lacks: what needs them is skipped."""

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return lambda *args, **options: pytest.skip(f"no {self.__name__}.{name}")

for name in ("_multiarray_tests", "_umath_tests", "_rational_tests", "_operand_flag_tests", "_struct_ufunc_tests", "_simd"):
    full = f"numpy._core.{name}"
    sys.modules[full] = module = Lacking(full)
    setattr(numpy._core, name, module)
sys.modules["numpy._core._multiarray_tests"].get_fpu_mode = lambda: None  # NumPy's conftest.py asks around every test

class Rational:
    """Wanted as a dtype and for values while tests are collected."""

    def __init__(self, *parts):
        pass

sys.modules["numpy._core._rational_tests"].rational = Rational

home = Path(numpy.__file__).parent
for tests in sorted(Path("/given/numpy").rglob("tests")):
    target = home / tests.relative_to("/given/numpy")
    if target.parent.is_dir():
        shutil.copytree(tests, target, dirs_exist_ok=True)

replaced = ()
if loops == "ours":
    replaced = graphattend.simd.accelerate_numpy().replaced
    assert replaced, "no loop was replaced"

class Outcomes:
    def __init__(self):
        self.by_test = {}

    def pytest_runtest_logreport(self, report):
        if report.when == "call" or report.outcome != "passed":
            expected = hasattr(report, "wasxfail")
            self.by_test[report.nodeid] = "xfailed" if expected else report.outcome

    def pytest_collectreport(self, report):
        if report.outcome != "passed":
            self.by_test[report.nodeid] = report.outcome

outcomes = Outcomes()
paths = [str(home / file) for file in files]
pytest.main(["-q", "--tb=short", "--no-header", "--continue-on-collection-errors", "-W", "ignore", "-p", "no:cacheprovider", "--rootdir", str(home), *paths], plugins=[outcomes])
json.dumps({"numpy": numpy.__version__, "loops": [list(x) for x in replaced], "outcomes": outcomes.by_test})
`);
writeFileSync(result, found);
