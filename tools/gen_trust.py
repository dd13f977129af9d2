"""Write docs/trust.md: what was tested of everything at once, with the figures of the last long runs.

    .venv/bin/python tools/gen_trust.py            # write the page
    .venv/bin/python tools/gen_trust.py --count    # count laws, arguments and files first
    .venv/bin/python tools/gen_trust.py --coverage build/coverage.xml    # take the figures of a native run
    .venv/bin/python tools/gen_trust.py --engine "WebKitGTK 2.50" kernels-browser 13 0    # tests passed and failed there
    .venv/bin/python tools/gen_trust.py --check    # fail if the page is stale

The figures are in tests/trust/: results.json, where `tools/run_soak.py --record` and these options write them, mutants.json
(`tools/mutate.py`), versions.json (`tools/test_versions.py`) and suites.json (`make test-all`).
"""

import ast
import sys
import tomllib
import xml.etree.ElementTree
from pathlib import Path
from typing import Any

from records import FOLDER as TRUST
from records import MUTANTS, RESULTS, ROOT, SUITES, VERSIONS, changing, now, read

REASONS = TRUST / "survivors.toml"
PAGE = ROOT / "docs" / "trust.md"


def laws() -> int:
    """Return the number of tests with Hypothesis examples in tests/; each is one law."""
    found = 0
    for path in (ROOT / "tests").rglob("test_*.py"):
        tree = ast.parse(path.read_text("utf-8"))
        givens = {"given"}
        for node in tree.body:  # numbers = given(…)
            if (
                isinstance(node, ast.Assign)
                and isinstance(node.value, ast.Call)
                and name_of(node.value.func) == "given"
            ):
                givens |= {target.id for target in node.targets if isinstance(target, ast.Name)}
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef):
                marks = {name_of(d.func if isinstance(d, ast.Call) else d) for d in node.decorator_list}
                found += bool(marks & givens)
    return found


def name_of(node: ast.AST) -> str:
    """Return the last part of a dotted name."""
    return node.id if isinstance(node, ast.Name) else getattr(node, "attr", "")


def count() -> dict[str, Any]:
    """Count the laws, arguments and files that the tests check."""
    sys.path.insert(0, str(TRUST))
    import good_calls
    import test_absurd_sizes
    import test_bad_arguments
    from soak.corpus import FILES

    return {
        "laws": laws(),
        "functions": len(good_calls.CALLS),
        "arguments": len(test_bad_arguments.CASES),
        "values": len(test_bad_arguments.BAD),
        "sizes": len(test_absurd_sizes.CASES),
        "files": len(FILES),
    }


def measured(path: Path) -> dict[str, Any]:
    """Return the lines, branches and `raise` statements of a coverage report, and those that no test reached."""
    root = xml.etree.ElementTree.parse(path).getroot()
    source = Path(root.findtext("sources/source", "src/graphattend"))
    raises, missed = 0, []
    for found in root.iter("class"):
        file = found.get("filename", "")
        text = (ROOT / source / file).read_text("utf-8")
        hits = {int(line.get("number", 0)): line.get("hits") for line in found.iter("line")}
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Raise) and node.lineno in hits:
                raises += 1
                if hits[node.lineno] == "0":
                    missed.append(f"{file}: {text.splitlines()[node.lineno - 1].strip()}")
    numbers = {
        name: [int(root.get(f"{name}-covered", 0)), int(root.get(f"{name}-valid", 0))] for name in ("lines", "branches")
    }
    return numbers | {"raises": [raises - len(missed), raises], "missed": sorted(missed)} | now()


def coverage(found: dict[str, Any] | None) -> str:
    """Describe the coverage of the native suite."""
    if found is None:
        return "Not measured."
    shares = ", ".join(
        f"{100 * found[name][0] / found[name][1]:.1f} % of {found[name][1]:,} {word}"
        for name, word in (("lines", "lines"), ("branches", "branches"), ("raises", "`raise` statements"))
    )
    text = f"The native suite reaches {shares} ({found['date']}, `{found['commit']}`; targets: 98 %, 96 %, all)."
    return (
        "\n".join(
            [text, "", "Not reached then; a test or a deletion of each may have followed:", ""]
            + [f"- `{line}`" for line in found["missed"]]
        )
        if found["missed"]
        else text
    )


def engines(runs: dict[str, Any]) -> str:
    """Return a row for each engine besides those of `make test`."""
    rows = ["| engine | tests | passed | failed | date | commit |", "| --- " * 6 + "|"]
    for name, run in sorted(runs.items()):
        rows.append(
            f"| {name} | `{run['tests']}` | {run['passed']} | {run['failed']} | {run['date']} | `{run['commit']}` |"
        )
    return "\n".join(rows)


def suites(runs: dict[str, Any]) -> str:
    """Return a row for each suite of `make test-all`, in the order in which they run."""
    if not runs:
        return "Not run yet."
    columns = ["suite", "verdict", "passed", "failed", "skipped", "seconds", "date", "commit", "machine"]
    rows = [f"| {' | '.join(columns)} |", "| --- " * len(columns) + "|"]
    for run in sorted(runs.values(), key=lambda run: run["place"]):
        cells = [run["title"], run["verdict"], *(f"{run[name]:,}" for name in columns[2:6])]
        rows.append(f"| {' | '.join(cells)} | {run['date']} | `{run['commit']}` | {run['machine']} |")
    return "\n".join(rows)


def soak(runs: list[dict[str, Any]]) -> str:
    """Return a row for each backend and kind of calls: sums, and every range of seeds with its date and commit."""
    groups: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for run in runs:
        groups.setdefault((run["backend"], run["kinds"]), []).append(run)
    rows = []
    for (backend, kinds), found in groups.items():
        calls, refused, failures = (sum(run[name] for run in found) for name in ("calls", "refused", "failures"))
        peak = max(run["peak_mb"] for run in found)
        rows.append(f"| {backend} | {kinds} | {calls:,} | {refused:,} | {failures} | {peak:,} MB | {ranges(found)} |")
    return "\n".join(rows)


def fuzz(kinds: dict[str, list[dict[str, Any]]]) -> str:
    """Return a row for each build of the kernels: sums, and every range of seeds with its date and commit."""
    names = {"address": "AddressSanitizer, UndefinedBehaviorSanitizer", "threads": "ThreadSanitizer, four threads"}
    rows = ["| build | calls | computed | failures | minutes | seeds |", "| --- " * 6 + "|"]
    for kind, runs in sorted(kinds.items()):
        calls, computed, failures, seconds = (
            sum(run[name] for run in runs) for name in ("calls", "computed", "failures", "seconds")
        )
        shown = f"{computed:,}" if computed else "all"
        rows.append(
            f"| {names.get(kind, kind)} | {calls:,} | {shown} | {failures} | {seconds / 60:.0f} | {ranges(runs)} |"
        )
    return "\n".join(rows)


def ranges(runs: list[dict[str, Any]]) -> str:
    """Return the seeds of each run with its date and commit."""
    return "; ".join(f"{run['seeds'][0]:,}–{run['seeds'][1]:,} ({run['date']}, `{run['commit']}`)" for run in runs)


def changed(runs: dict[str, Any]) -> str:
    """Say how many of the 400 changes of the Python sources were made."""
    count = len(runs["python"]["changes"])
    return (
        f"Of 400 changes, which take hours on two processors, {min(count, 400)} have been made." if count < 400 else ""
    )


def mutants() -> str:
    """Return a row for each part of the sources, and the changes that survived."""
    reasons = tomllib.loads(REASONS.read_text("utf-8")) if REASONS.exists() else {}
    rows, survived = [], []
    for run in read(MUTANTS).values():
        parts: dict[str, list[tuple[str, Any]]] = {}
        for name, found in run["changes"].items():
            parts.setdefault(found["part"], []).append((name, found))
        for part, found in sorted(parts.items()):
            alive = [(name, each) for name, each in found if each["outcome"] in ("survived", "not covered")]
            known = [(name, each) for name, each in alive if name in reasons]
            killed = len(found) - len(alive)
            share = 100 * killed / (len(found) - len(known)) if len(found) > len(known) else 100
            rows.append(
                f"| {part} | {len(found)} | {killed} | {len(known)} | {len(alive) - len(known)} | {share:.0f} % |"
                f" {run['seed']} | {run['date']} | `{run['commit']}` |"
            )
            for name, _ in alive:
                file, _, change = " ".join(name.split()).partition(": ")
                shown = change if len(change) < 110 else change[:107].rpartition(" ")[0] + " …"
                survived.append(
                    f"- `{file.removeprefix('src/graphattend/')}`: `{shown}`. {reasons.get(name, 'No test tells.')}"
                )
    head = "| part | changes | killed | equal to the original | survived | killed of those that differ | seed | date | commit |"
    return "\n".join([head, "| --- " * 9 + "|", *rows, "", "What survived:", "", *survived])


def versions() -> str:
    """Return a row for each tested version of Python and NumPy."""
    rows = ["| Python | NumPy | tests | passed | failed | skipped | date | commit |", "| --- " * 8 + "|"]
    for setting, runs in sorted(read(VERSIONS).items()):
        python, _, numpy = setting.partition("/")
        for run in runs:
            what = f"`{run['tests']}` | " + (
                f"not run: {run['missing']} | | |"
                if "missing" in run
                else f"{run['passed']:,} | {run['failed']} | {run['skipped']} |"
            )
            where = f"{run.get('python', python)} | {run.get('numpy', numpy)}"
            rows.append(f"| {where} | {what} {run['date']} | `{run['commit']}` |")
    return "\n".join(rows)


def page(results: dict[str, Any]) -> str:
    """Return the text of the page."""
    counts, calls = results["counts"], sum(run["calls"] for run in results["soak"])
    return f"""# What was tested

Figures of the tests that go over everything at once. They are generated from the runs (`tools/gen_trust.py`).

## Every suite

The last result of `make test-all`, in which each suite has all of its tests. `make test` runs the same suites except WebKit, with
what takes longest left out. Suites that were run one by one have the commits that they were run on.

{suites(read(SUITES))}

## Soak

Random calls of all mechanisms, functions, manifolds, losses, optimizers, codecs, graph measures and readers, with hostile
numbers: subnormal ones, logits of ±10⁴, 10¹⁵⁰ in float64, an offset of −5·10¹¹, equal rows, norms from 0.999 to 1.001, one
key, one key that is seen, none. A call has to return finite numbers or raise the one error that says they cannot be
represented; it may not warn, and not change what it is given. Damaged files (`readers`) have to give a result or a
`LoadError` within a second. {calls:,} calls:

| backend | calls of | calls | refused | failures | memory | seeds |
| --- | --- | --- | --- | --- | --- | --- |
{soak(results["soak"])}

"Memory" is the most that a process had. Every failure is mended where its kind comes from, with a test, and its case passes
since: gradients and sums beyond float32 that were infinite in silence, compressed files and pickles of a few hundred bytes
that took gigabytes, outputs and weights of a single query that were infinite or NaN, the log-sum-exp of scores below float32's range, and, inside of
Pyodide, a gigabyte of memory for reading any binary file. `make soak` makes ten million calls on two processes, shows its progress and goes on where it was stopped; `make soak
SOAK="--case 4711"` makes one case again, call by call. `make test` makes 100 000, and a share inside of Pyodide. `make soak SOAK="--pyodide --calls 500000 --backend wasm-simd128"` does it
inside of Pyodide, where 500,000 calls on each of the three backends were the aim. The two failures there are of the clock: two files took
more than ten seconds while the machine did other work. One of them, made again, took less; the time of the processor counts since.

## Laws

{counts["laws"]} properties are tested on random inputs with Hypothesis, most of them for every member of a registry: of
attention, softmax, rotations, gates, distances, transport, means, graphs, losses, optimizers, codecs and measures of quality.
Two hold for every mechanism with random options: what a mask hides changes nothing (values, NaN, order, number of hidden
keys), and every path gives the same result (`forward`, weights, gradients, prepared keys, leading axes, single queries,
`attend`, other layouts of memory, float64 rounded).

## Bad input

{counts["values"]} values for each of the {counts["arguments"]} arguments of {counts["functions"]} public functions, classes and
methods: objects that are nothing, that break, NaN, 10¹², 10⁴⁰⁰, ragged lists, text, masked arrays. A call takes the value, or
raises a typed error that names the argument, in time and without changing the others.

## Files

{counts["files"]} whole files of every format are damaged, with their structure kept: numbers, sizes, trees of JSON, members of
archives. Bombs (gzip, bzip2, xz, entities, depth, announced sizes) are refused within a second and 256 MB. Names with markup,
control characters or a change of direction are shown escaped.

In JavaScript, 53 values stand for each argument and option of every function of `graphattend/kernels`: an error is of the
package's class, names the argument, and leaves the other arguments and the module's memory as they were. Ten of these values (all of
them in `make test-all`) stand for each argument of the functions and methods that go to Python, which answers afterwards.

10¹² rows, columns or numbers stand for each of the {counts["sizes"]} arguments that have a size: views of few bytes that repeat a
number, whole numbers, ranges. They are refused at once, and no call takes more than 32 MB for one. In JavaScript, arrays of arrays that declare
more than 2³⁰ numbers and axes from 2³¹ on are refused before memory is taken, and seven absurd sizes for each argument and option of
`graphattend/kernels` are refused within 100 ms of processor time each.

## Coverage

{coverage(results.get("coverage"))}

## Changed sources

What tests are worth shows when the sources are wrong. `tools/mutate.py` changes one place of the sources (a comparison, an
operator, a number, a condition, a `raise`), chosen by a seed in every part alike, and runs the tests that cover it. {changed(read(MUTANTS))} With
`--kernels`, it leaves out each condition by which a kernel refuses a call, and runs the fuzz test with AddressSanitizer and
UndefinedBehaviorSanitizer. The fuzz test was extended for it by calls with one misfit in each place. What survived its 12 rounds of
calls was tried again with 24. Three changes of the Python sources survived at first: two have a test since, and the place of the third is gone.

{mutants()}

## Versions

`tools/test_versions.py` installs the wheel beside each version and runs the native tests. A Python whose version ends in "t" has no
global interpreter lock. The failure on NumPy 1.26 was in `tests/training`, and was mended: the rows with the folders alone are newer, and have
none. Python 3.14t was built from Debian's source package.
`tools/test_pyodides.py` runs the kernels' tests in other versions of Pyodide, `tools/test_nodes.py` the npm package's on the supported
versions of Node.js.

{versions()}

## Engines

Chromium, Firefox and Node.js run in every `make test`. `make test-all` adds WebKit: `tools/webkit.py` finds Debian's WebKitGTK, and
WebDriver drives it: Python in the page, in a worker and in a pool, the kernels without Python, and journeys through the demo. It
has no relaxed SIMD.

{engines(results.get("engines", {}))}

## Sanitizers

The fuzz test of the kernels runs in a build with AddressSanitizer and UndefinedBehaviorSanitizer. Calls that share out their
rows among four threads run in a build with ThreadSanitizer; a race made on purpose shows that it would see one. Both are part of
`make test`. `tools/run_fuzz.py` goes on with them for as long as one likes, and with the builds for WebAssembly in Node.js. A call is
"computed" if the kernel did not refuse its arguments; the result is then compared with the formula. The minutes are of processor time:
an hour with the first two sanitizers and ten minutes of each other kind were the aim.

No sanitizer reported anything. The failures are differences from the formula, and every one has its reason:

- Seeds 1003 and 1006 (float64, `metric_rows`): for a point at the rim of the ball, where 1 − c|x|² = 2·10⁻¹², the gradients of the
  edges, 10¹¹ each, cancel to 0.2. For seed 1003, the kernel agrees with 60 digits to 3·10⁻⁵, the formula that it is compared with to
  5·10⁻⁴. Gradients are compared up to the rounding of their largest term since.
- Seed 1024 (float64, `metric_rows`): for a point where 1 − c|x|² = 0.02, the kernel differs from 60 digits by 4·10⁻¹², the formula by 10⁻¹².
  The midpoint divides by a root of the difference of terms of the size λ² = 10⁴, whose rounding is the bound since.
- Seeds 1017, 1022 and 1035: the weights of a row did not have the sum one, for which the formula is not meant.
- Seed 1068 (float32, `metric_vjp`): the kernel rounded the curvature to float32 before it subtracted. It does not any more.
- Seed 1101 (`graph_attend`): the formula had NaN in a row with the factor zero, which the kernel does not compute.
- Seeds 1001 and 1005 in WebAssembly (float32, `metric_rows`): the table of spaces was spoilt, with a factor NaN or 10³⁰, which makes rounding
  errors larger than any distance. Such calls are not compared any more.
- In one seed, the test itself could not convert a number to another dtype.

{fuzz(results.get("fuzz", {}))}

## Memory and repetition

In a process that may take 96 MB more than it has, calls that need more fail cleanly, the next answers are right, and memory
does not grow. WebAssembly's memory is limited by the engine to 64 MB, 2 GB and 4 GB: the last size that fits is given, the next is
a typed error, 1,000 failures take no memory, and afterwards every mechanism answers with the same bits as before. Beside 2.25 GB
of arrays, where pointers lie above 2³¹, it does so too. `graphattend/kernels` uses at most 2 GB. The same seed gives the same bits in every process, with every hash seed and number of threads.

Two builds in two folders, at two times, give the same wheels and the same npm tarball to the byte. The development tools and all
that they need are pinned with hashes.

What a hostile file, array or page can and cannot do is in `SECURITY.md` of the repository.
"""


def measure(results: dict[str, Any]) -> None:
    """Add to the results what the command line asks for."""
    if "--count" in sys.argv:
        results["counts"] = count()
    if "--coverage" in sys.argv:
        results["coverage"] = measured(Path(sys.argv[-1]))
    if "--engine" in sys.argv:
        name, tests, passed, failed = sys.argv[-4:]
        run = {"tests": tests, "passed": int(passed), "failed": int(failed)} | now()
        results["engines"] = results.get("engines", {}) | {name: run}


def main() -> None:
    """Run the command line."""
    if {"--count", "--coverage", "--engine"} & set(sys.argv):
        with changing(RESULTS) as results:
            measure(results)
    results = read(RESULTS)
    if "--check" in sys.argv:
        if PAGE.read_text("utf-8") != page(results):
            sys.exit("docs/trust.md is stale: run tools/gen_trust.py")
    else:
        PAGE.write_text(page(results), "utf-8")


if __name__ == "__main__":
    main()
