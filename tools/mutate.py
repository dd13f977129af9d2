"""Mutation testing: change one thing in the sources, and see that a test fails.

    .venv/bin/python tools/mutate.py                  # 400 changes of the Python sources, chosen by a seed
    .venv/bin/python tools/mutate.py --kernels        # every check in the kernels left out, one after the other
    .venv/bin/python tools/mutate.py --kernels --only mean.c   # those in whose names there is a text, again
    .venv/bin/python tools/mutate.py --covered FILE   # with coverage that is there already

A change of a line runs the tests that cover it (coverage's contexts, measured first unless `--covered` names them), those of
the mirrored test file before the others. Kernels run the fuzz test in a build with sanitizers. Results are added to
tests/trust/mutants.json as they come; the same command goes on where it was stopped. What survives is listed there; why it
may, if it may, is in tests/trust/survivors.toml.
"""

from __future__ import annotations

import argparse
import ast
import importlib
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
import tomllib
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from records import FOLDER, MUTANTS, ROOT, changing, now, read
from run_fuzz import sanitized

SOURCES = ROOT / "src" / "graphattend"
SHADOW = ROOT / "build" / "mutation"
REASONS = FOLDER / "survivors.toml"
KERNELS = Path("src/graphattend/simd/kernels")
#: The sources that are changed: the boundary, functional, geometry, storage and the readers.
TARGETS = {
    "boundary": ["_validate.py", "_arguments.py", "_vjp.py", "graph/_checked_fields.py"],
    "functional": ["functional/*.py"],
    "geometry": ["geometry/*.py"],
    "storage": ["storage*.py"],
    "readers": ["graph/formats/*.py", "graph/files.py"],
}
SECONDS = 300  # for the tests of one change
TESTS = 400  # maximum number of tests per change, the nearest first
#: Imported once, for every change.
PRELOADED = ["numpy", "scipy.special", "scipy.spatial", "networkx", "mpmath", "hypothesis", "pytest", "autograd"]

PYTEST = ["-x", "-q", "--no-header", "-p", "no:cacheprovider", "-p", "no:xdist", "-W", "ignore:Module already imported"]

COMPARISONS = {"<": "<=", "<=": "<", ">": ">=", ">=": ">", "==": "!=", "!=": "==", "in": "not in", "not in": "in"}
COMPARISONS |= {"is": "is not", "is not": "is"}
ARITHMETIC = {"+": "-", "-": "+", "*": "/", "/": "*", "//": "*", "%": "*", "**": "*", "@": "*", "&": "|", "|": "&"}


class Mutant(NamedTuple):
    """One change: the text at an offset of a file, and its replacement."""

    file: str
    line: int
    start: int
    was: str
    now: str
    part: str
    text: str  # of the line

    @property
    def name(self) -> str:
        """The name of the change, which does not depend on its line number."""
        return f"{self.file}: {self.text}: {self.was} -> {self.now}"


def changes(tree: ast.AST, at: Any, text: str) -> Iterator[tuple[ast.AST, int, int, str]]:
    """Yield every node that can be changed, with start, end and replacement of the text."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare):
            for left, right in zip([node.left, *node.comparators], node.comparators, strict=False):
                yield from between(node, at(left, end=True), at(right), text, COMPARISONS)
        elif isinstance(node, ast.BinOp):
            yield from between(node, at(node.left, end=True), at(node.right), text, ARITHMETIC)
        elif isinstance(node, ast.AugAssign):
            yield from between(
                node, at(node.target, end=True), at(node.value), text, {f"{a}=": f"{b}=" for a, b in ARITHMETIC.items()}
            )
        elif isinstance(node, ast.BoolOp):
            yield from between(node, at(node.values[0], end=True), at(node.values[1]), text, {"and": "or", "or": "and"})
        elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            yield node, at(node), at(node.operand), ""
        elif isinstance(node, (ast.If, ast.IfExp, ast.While)):
            yield node, at(node.test), at(node.test, end=True), f"not ({text[at(node.test) : at(node.test, end=True)]})"
        elif isinstance(node, ast.Raise):
            yield node, at(node), at(node, end=True), "pass"
        elif isinstance(node, ast.Constant) and isinstance(node.value, (int, float)):
            value = not node.value if isinstance(node.value, bool) else node.value + 1
            yield node, at(node), at(node, end=True), repr(value)


def between(
    node: ast.AST, start: int, end: int, text: str, table: dict[str, str]
) -> Iterator[tuple[ast.AST, int, int, str]]:
    """Yield the change of the operator between two offsets."""
    found = re.search(r"not\s+in|is\s+not|[^\s()]+", text[start:end])
    if found and (word := " ".join(found[0].split())) in table:
        yield node, start + found.start(), start + found.end(), table[word]


def mutants(part: str, path: Path) -> list[Mutant]:
    """Return all changes of a file except in annotations, `__all__` and blocks for type checkers."""
    text = path.read_text("utf-8")
    starts = [0]
    for line in text.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))

    def at(node: Any, end: bool = False) -> int:
        number, column = (node.end_lineno, node.end_col_offset) if end else (node.lineno, node.col_offset)
        line = text[starts[number - 1] : starts[number]]
        return starts[number - 1] + len(line.encode()[:column].decode())

    tree, left_out = ast.parse(text), set()
    for node in ast.walk(tree):
        skipped: list[ast.AST | None] = [getattr(node, "annotation", None), getattr(node, "returns", None)]
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            skipped.append(node)
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            skipped.append(node)
        for each in filter(None, skipped):
            left_out |= set(ast.walk(each))
    file = path.relative_to(ROOT).as_posix()
    return [
        Mutant(file, node.lineno, start, text[start:end], now, part, text.splitlines()[node.lineno - 1].strip())
        for node, start, end, now in changes(tree, at, text)
        if node not in left_out
    ]


def chosen(count: int, seed: int) -> list[Mutant]:
    """Choose the same number of changes in every part."""
    rng, parts = random.Random(seed), []
    for part, patterns in TARGETS.items():
        files = sorted({path for pattern in patterns for path in SOURCES.glob(pattern)})
        found = [mutant for path in files for mutant in mutants(part, path)]
        parts.append(rng.sample(found, min(len(found), count // len(TARGETS))))
    return [mutant for group in zip(*parts, strict=False) for mutant in group]


class Covered:
    """The tests that run each line."""

    def __init__(self, files: list[Path]) -> None:
        import coverage

        self.data = []
        for path in files:
            found = coverage.CoverageData(str(path))
            found.read()
            self.data.append(found)
        self.cache: dict[str, dict[int, set[str]]] = {}

    def tests(self, mutant: Mutant, rng: random.Random) -> list[str]:
        """Return the tests of the changed line, of lines before it, or of the file.

        Those of the mirrored test file come first, then tests of as many files as possible.
        """
        if mutant.file not in self.cache:
            lines: dict[int, set[str]] = {}
            for data in self.data:
                name = next((name for name in data.measured_files() if name.endswith("/" + mutant.file)), None)
                for number, contexts in (data.contexts_by_lineno(name) if name else {}).items():
                    tests = {context.rpartition("|")[0] for context in contexts if context.startswith("tests/")}
                    lines.setdefault(number, set()).update(tests)
            self.cache[mutant.file] = lines
        lines = self.cache[mutant.file]
        near = next((lines[n] for n in range(mutant.line, max(mutant.line - 8, 0), -1) if lines.get(n)), None)
        found = sorted(near or set().union(*lines.values()))  # every test runs the code that runs at import
        rng.shuffle(found)
        words = set(re.split(r"[/._]+", mutant.file.removeprefix("src/graphattend/"))) - {"py", ""}
        seen: dict[str, int] = {}
        ranked = []
        for test in found:
            file = test.partition("::")[0]
            seen[file] = seen.get(file, 0) + 1
            alike = len(words & set(re.split(r"[/._]+", file)))
            ranked.append((seen[file] // 4 - alike, file.startswith("tests/trust"), len(ranked), test))
        return [test for *_, test in sorted(ranked)[:TESTS]]


def measure() -> list[Path]:
    """Run the suite with a context for each test."""
    SHADOW.mkdir(parents=True, exist_ok=True)
    file = SHADOW / "coverage"
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-n",
        str(os.cpu_count()),
        "--cov",
        "--cov-context=test",
        "--cov-report=",
        "tests",
    ]
    subprocess.run(command, cwd=ROOT, env=os.environ | {"COVERAGE_FILE": str(file)}, check=True)
    return [file]


def run_python(mutant: Mutant, tests: list[str], shadow: Path) -> str:
    """Make a change and run the tests; return "killed", "timeout", "survived" or "not covered"."""
    if not tests:
        return "not covered"
    path, original = shadow / mutant.file, ROOT / mutant.file
    text = original.read_text("utf-8")
    path.unlink()
    path.write_text(text[: mutant.start] + mutant.now + text[mutant.start + len(mutant.was) :], "utf-8")
    for some in stages(tests):
        if (status := forked(some, shadow)) != 0:
            break
    path.unlink()
    shutil.copy2(original, path)
    # 1 means a failed test. Any other status counts only if the tests succeed without the change.
    if status not in (None, 0, 1) and forked(some, shadow) != 0:
        raise RuntimeError(f"the tests fail without a change: see {SHADOW / 'last.txt'}")
    return "timeout" if status is None else "killed" if status else "survived"


def stages(tests: list[str]) -> list[list[str]]:
    """Return the tests of the nearest file, then the others, because collecting many files takes long."""
    nearest = tests[0].partition("::")[0]
    parts = [[test for test in tests if (test.partition("::")[0] == nearest) is own] for own in (True, False)]
    return [part for part in parts if part]


def forked(tests: list[str], shadow: Path) -> int | None:
    """Run tests on the copy of the sources in a forked process; return pytest's exit code, or None after a timeout."""
    child = os.fork()
    if child == 0:
        os.setsid()
        out = os.open(SHADOW / "last.txt", os.O_CREAT | os.O_TRUNC | os.O_WRONLY)
        os.dup2(out, 1)
        os.dup2(out, 2)
        sys.path.insert(0, str(shadow / "src"))
        os.environ |= {"PYTHONPATH": str(shadow / "src"), "PYTEST_XDIST_WORKER": "gw0"}
        sys.dont_write_bytecode = True
        status = 3
        try:
            status = int(importlib.import_module("pytest").main([*PYTEST, *tests]))
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.05)
    os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return None


def python_run(count: int, seed: int, covered: list[Path], minutes: float, parts: list[str]) -> None:
    """Make the changes of these parts of the Python sources."""
    shadow = SHADOW / "python"
    shutil.rmtree(shadow, ignore_errors=True)
    shutil.copytree(ROOT / "src", shadow / "src", ignore=shutil.ignore_patterns("kernels"))
    subprocess.run([sys.executable, "-m", "compileall", "-q", str(shadow / "src")], check=True)
    coverage = Covered(covered or measure())
    for name in PRELOADED:
        importlib.import_module(name)
    os.chdir(ROOT)
    rng, done, begin = random.Random(seed), Done("python", seed), time.monotonic()
    for mutant in chosen(count, seed):
        tests = coverage.tests(mutant, rng)
        if mutant.part not in parts or mutant.name in done.results or time.monotonic() - begin > 60 * minutes:
            continue
        done.add(mutant, run_python(mutant, tests, shadow), tests)


CHECK = re.compile(
    r"^( +)(?:\} else )?if \(([^;{}]+?)\)(?=\s+return (?:DECLINED|0|-1|wrong\())", re.MULTILINE | re.DOTALL
)


def checks() -> list[Mutant]:
    """Return the conditions in the kernels and their host that reject a call."""
    found = []
    folder = ROOT / KERNELS
    for path in [*sorted(folder.glob("*.c")), *sorted((folder / "host").glob("*.c"))]:
        if path.name.startswith("ufunc_"):
            continue
        text = path.read_text("utf-8")
        for match in CHECK.finditer(text):
            condition = match[2]
            if condition.count("(") == condition.count(")") and not condition.startswith("!FULL"):  # 0 in this build
                line = text.count("\n", 0, match.start(2)) + 1
                file = path.relative_to(ROOT).as_posix()
                name = text.splitlines()[line - 1].strip()
                found.append(Mutant(file, line, match.start(2), condition, f"0 && ({condition})", "kernels", name))
    return found


def kernels_with(name: str) -> list[str]:
    """Return the kernels in a file and in those that include its header; none means all."""
    found = []
    for path in sorted((ROOT / KERNELS).glob("*.c")):
        text = path.read_text("utf-8")
        if path.stem == name or f'#include "{name}.h"' in text:
            found += re.findall(r"\bKERNEL\((\w+)\)", text)
    return found


def kernel_run(minutes: float, rounds: int, only: list[str]) -> None:
    """Leave out every check of the kernels, or those in whose names there is one of these texts, also if they have results."""
    sys.path[:0] = [str(ROOT / "tools"), str(ROOT / "tests" / "simd")]
    shadow = SHADOW / "kernels"
    shutil.rmtree(shadow / KERNELS, ignore_errors=True)
    shutil.copytree(ROOT / KERNELS, shadow / KERNELS)
    (shadow / ".cache/kernels").mkdir(parents=True, exist_ok=True)
    for built_before in (ROOT / ".cache/kernels").glob("*-sanitized-*.o"):
        shutil.copy2(built_before, shadow / ".cache/kernels")
    script = f"import sys; sys.path.insert(0, {str(shadow / KERNELS)!r}); import build; print(build.build_sanitized())"
    subprocess.run([sys.executable, "-c", script], check=True)  # a failed build of a change says that it was noticed
    done, begin = Done("kernels", 1), time.monotonic()
    for mutant in checks():
        wanted = any(text in mutant.name for text in only) if only else mutant.name not in done.results
        if not wanted or time.monotonic() - begin > 60 * minutes:
            continue
        path, text = shadow / mutant.file, (ROOT / mutant.file).read_text("utf-8")
        path.write_text(text[: mutant.start] + mutant.now + text[mutant.start + len(mutant.was) :], "utf-8")
        built = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
        path.write_text(text, "utf-8")
        if built.returncode:  # without the check something is unused, which is a compiler error
            done.add(mutant, "killed", [])
            continue
        words = "test_fuzz.py", "1", str(rounds), *kernels_with(path.stem)
        try:
            fuzzed = sanitized("libasan.so", Path(built.stdout.strip()), *words, seconds=SECONDS)
            done.add(mutant, "killed" if fuzzed.returncode else "survived", [words[0]])
        except subprocess.TimeoutExpired:
            done.add(mutant, "timeout", [words[0]])


class Done:
    """The results of one kind of changes."""

    def __init__(self, kind: str, seed: int) -> None:
        self.kind, self.seed = kind, seed
        self.results: dict[str, Any] = read(MUTANTS).get(kind, {}).get("changes", {})

    def add(self, mutant: Mutant, outcome: str, tests: list[str]) -> None:
        """Add a result and write the file."""
        print(
            f"{outcome:<12}{mutant.file}:{mutant.line}: {mutant.was} -> {mutant.now}  ({len(tests)} tests)", flush=True
        )
        self.results[mutant.name] = {"part": mutant.part, "outcome": outcome, "line": mutant.line}
        with changing(MUTANTS) as every:
            every[self.kind] = {"seed": self.seed, "changes": self.results} | now()


def summary(kind: str) -> str:
    """Summarize the killed changes of each part, and those that survived without a reason."""
    found = read(MUTANTS)[kind]["changes"]
    reasons = tomllib.loads(REASONS.read_text("utf-8")) if REASONS.exists() else {}
    lines = []
    for part in sorted({each["part"] for each in found.values()}):
        own = {name: each["outcome"] for name, each in found.items() if each["part"] == part}
        killed = sum(outcome in ("killed", "timeout") for outcome in own.values())
        lines.append(f"{part}: {killed} of {len(own)} killed")
        lines += [
            f"    {name}"
            for name, outcome in own.items()
            if outcome in ("survived", "not covered") and name not in reasons
        ]
    return "\n".join(lines)


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=400, help="changes of the Python sources")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=1e9, help="begin none after so long")
    parser.add_argument("--covered", type=Path, nargs="+", default=[], help="files of coverage with contexts")
    parser.add_argument("--parts", nargs="+", choices=TARGETS, default=list(TARGETS), help="of the sources; all")
    parser.add_argument("--kernels", action="store_true", help="the checks in the kernels instead")
    parser.add_argument(
        "--only", nargs="+", default=[], metavar="TEXT", help="checks whose names have one of these texts"
    )
    parser.add_argument("--rounds", type=int, default=12, help="of the fuzz test")
    options = parser.parse_args()
    SHADOW.mkdir(parents=True, exist_ok=True)
    if options.kernels:
        kernel_run(options.minutes, options.rounds, options.only)
    else:
        covered = [path.resolve() for path in options.covered]
        python_run(options.count, options.seed, covered, options.minutes, options.parts)
    print(summary("kernels" if options.kernels else "python"))


if __name__ == "__main__":
    main()
