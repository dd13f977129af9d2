"""Build everything that is published, check it, and use each part in an empty environment (`make dist`).

    python tools/packages.py                 # the last lines are the files in dist/
    python tools/packages.py linux-x86_64    # of the native wheels only these
    python tools/packages.py --build         # only build

dist/ then contains a wheel for every platform and the universal wheel, the sdist, the npm package, SHA256SUMS, and the
files for Pyodide: the entry of its lock file and the recipe. Everything is built a second time from a copy of the
sources in another folder, without the compiled files of the first time, and must have the same bytes. Times in archives
are those of SOURCE_DATE_EPOCH, or constant.
"""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import build_js
import build_wheel
import pyodide_dist
import version

ROOT = Path(__file__).resolve().parent.parent
OUTPUT = ROOT / "dist"
RECIPE = ROOT / "recipes" / "graphattend" / "meta.yaml"
SUMS, ENTRY = "SHA256SUMS", "pyodide-lock-entry.json"
#: Minor versions of Python 3 that the library supports.
MINIMUM, MAXIMUM = 11, 14


def run(*command: str | Path, cwd: Path = ROOT, **environment: str) -> str:
    """Run a command and return its output; its messages are shown only if it fails."""
    done = subprocess.run(
        command,
        cwd=cwd,
        env=os.environ | environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))}: exit {done.returncode}\n{done.stdout}")
    return done.stdout


def tool(name: str) -> Path:
    """Return the path of a program of the development environment."""
    return Path(sys.executable).with_name(name)


def npm_tool(name: str) -> Path:
    """Return the path of a program of the npm package's development dependencies."""
    return ROOT / "js" / "node_modules" / ".bin" / name


def sdist() -> Path:
    """Build the source distribution and return its path."""
    with tempfile.TemporaryDirectory(dir=OUTPUT, prefix=".sdist-") as folder:
        run(sys.executable, "-m", "build", "--sdist", "--no-isolation", "--outdir", folder, ROOT)
        (built,) = Path(folder).glob("*.tar.gz")
        return built.replace(OUTPUT / built.name)


def npm_package() -> Path:
    """Build the npm package, which contains the universal wheel, and return its path."""
    build_js.build()
    options = ["--silent", "--ignore-scripts", "--pack-destination", str(OUTPUT)]
    printed = run("npm", "pack", *options, cwd=ROOT / "js")
    return OUTPUT / printed.split()[-1]


def build(platforms: Sequence[str]) -> list[Path]:
    """Build everything that is published: the wheels, the universal one first, the sdist, the npm package."""
    wheels = [build_wheel.build(name) for name in ["universal", *platforms]]
    return [*wheels, sdist(), npm_package()]


def sha256(path: Path) -> str:
    """Return the hash of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def copy_of_sources(folder: Path) -> None:
    """Copy the files under version control, and new files that git does not ignore; link node_modules."""
    listed = run("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    (folder / "js" / "node_modules").symlink_to(ROOT / "js" / "node_modules")


def check_reproducible(files: Sequence[Path], platforms: Sequence[str]) -> None:
    """Build again in another folder and compare the bytes."""
    with tempfile.TemporaryDirectory(prefix="graphattend-again-") as folder:
        again = Path(folder) / "another" / "place"
        copy_of_sources(again)
        run(
            sys.executable,
            again / "tools" / "packages.py",
            "--build",
            *platforms,
            cwd=again,
            PYTHONPATH=str(again / "src"),
        )
        differing = [path.name for path in files if sha256(path) != sha256(again / "dist" / path.name)]
    if differing:
        sys.exit(f"not the same bytes when built again: {', '.join(differing)}")


def check_wheel(wheel: Path) -> None:
    """Check that a native wheel uses only the stable ABI, and on Linux no system libraries."""
    if wheel.name.endswith("-none-any.whl"):
        return
    run(tool("abi3audit"), "--strict", wheel)
    if "linux" in wheel.name:
        shown = " ".join(run(tool("auditwheel"), "show", wheel).split())
        for expected in ("requires no external shared libraries", "references no external versioned symbols"):
            if expected not in shown:
                sys.exit(f"{wheel.name}: auditwheel does not say that it {expected}: {shown}")


def check_npm(package: Path) -> None:
    """Check that bundlers, Node.js and TypeScript can use the npm package."""
    run(npm_tool("publint"), package, "--strict")
    run(npm_tool("attw"), package, "--profile", "esm-only", "--exclude-entrypoints", "./graphattend.whl")


def interpreters() -> dict[int, str]:
    """Return one Python of every supported minor version on this machine, by minor version."""
    found = {sys.version_info.minor: sys.executable}
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    for minor in range(MINIMUM, MAXIMUM + 1):
        on_path = shutil.which(f"python3.{minor}")
        for candidate in [on_path, *sorted(pyenv.glob(f"3.{minor}.*/bin/python"))]:
            works = candidate and subprocess.run([candidate, "-c", "import venv"], capture_output=True).returncode == 0
            if works and minor not in found:
                found[minor] = str(candidate)
    return dict(sorted(found.items()))


def blocks(page: str, language: str) -> list[str]:
    """Return the code blocks of a page of docs/, as a reader copies them."""
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def environment(python: str, folder: Path, *packages: str | Path) -> Path:
    """Create an environment with the packages and return its Python."""
    run(python, "-m", "venv", folder)
    inside = folder / "bin" / "python"
    run(inside, "-m", "pip", "install", "-qq", "--disable-pip-version-check", *packages)
    return inside


def use_in_python(package: Path, python: str) -> str:
    """Install a wheel or the sdist into an empty environment and follow the page "In Python"; returns the backend."""
    with tempfile.TemporaryDirectory(prefix="graphattend-use-") as folder:
        home = Path(folder)
        inside = environment(python, home / "environment", package)
        (home / "page.py").write_text("\n".join(blocks("start/python.md", "python")), encoding="utf-8")
        run(inside, "page.py", cwd=home, PYTHONPATH="")
        commands = [line.split() for block in blocks("start/python.md", "sh") for line in block.splitlines()]
        for program, *arguments in commands:
            if program == "graphattend":
                run(inside.with_name(program), *arguments, cwd=home, PYTHONPATH="")
        backend = "import graphattend as ga; print(ga.backend_info()['backend'])"
        return run(inside, "-c", backend, cwd=home, PYTHONPATH="").strip()


def use_in_node(package: Path, distribution: Path) -> None:
    """Install the npm package into an empty folder and follow the page "In Node.js", without the network."""
    peer = json.loads((ROOT / "js" / "package.json").read_text(encoding="utf-8"))["devDependencies"]["pyodide"]
    with tempfile.TemporaryDirectory(prefix="graphattend-use-") as folder:
        home = Path(folder)
        run("npm", "init", "--yes", cwd=home)
        run("npm", "install", "--no-audit", "--no-fund", package, f"pyodide@{peer}", cwd=home)
        for number, block in enumerate(blocks("start/nodejs.md", "js")):
            local = block.replace("connect()", f"connect({{ indexURL: {json.dumps(str(distribution))} }})")
            (home / f"{number}.mjs").write_text(local, encoding="utf-8")
            printed = run("node", f"{number}.mjs", cwd=home)
            for expected in re.findall(r"console\.log\(.*\); // (\[.*\].*)$", block, re.MULTILINE):
                if expected not in printed:
                    sys.exit(f"docs/start/nodejs.md: expected {expected!r}, printed {printed!r}")


def use(files: list[Path], distribution: Path) -> None:
    """Use the packages that this machine can run: each Python with the wheel that pip chooses, the others once."""
    universal, *native = [path for path in files if path.suffix == ".whl"]
    source, package = files[-2:]
    host = build_wheel.kernel_builder().host()
    suited = [wheel for wheel in native if host and build_wheel.kernel_builder().PLATFORMS[host].tag in wheel.name]
    pythons = interpreters()
    for minor, python in pythons.items():
        print(f"Python 3.{minor}: {use_in_python((suited or [universal])[0], python)}", flush=True)
    for path in (universal, source):
        print(f"{path.name}: {use_in_python(path, pythons[min(pythons)])}", flush=True)
    use_in_node(package, distribution)
    print(f"{package.name}: in Node.js", flush=True)


def recipe(source: Path) -> str:
    """Return the recipe for pyodide-recipes: that of recipes/ with PyPI's sdist as its source."""
    name = f"https://files.pythonhosted.org/packages/source/g/graphattend/{source.name}"
    text = re.sub(r"\A(#.*\n)+", "", RECIPE.read_text(encoding="utf-8"))
    return text.replace("  path: ../..\n", f"  url: {name}\n  sha256: {sha256(source)}\n")


def describe(files: list[Path], distribution: Path) -> list[Path]:
    """Write the hashes, the entry of Pyodide's lock file and the recipe."""
    lock = json.loads((distribution / pyodide_dist.LOCK).read_text(encoding="utf-8"))
    entry = {"graphattend": lock["packages"]["graphattend"]}
    written = {
        SUMS: "".join(f"{sha256(path)}  {path.name}\n" for path in sorted(files)),
        ENTRY: json.dumps(entry, indent=2) + "\n",
        "recipe/graphattend/meta.yaml": recipe(files[-2]),
    }
    for name, text in written.items():
        (OUTPUT / name).parent.mkdir(parents=True, exist_ok=True)
        (OUTPUT / name).write_text(text, encoding="utf-8")
    return [OUTPUT / name for name in written]


def main() -> None:
    """Command line."""
    if problems := list(version.faults()):
        sys.exit("\n".join(problems))
    known = list(build_wheel.kernel_builder().PLATFORMS)
    platforms = [name for name in sys.argv[1:] if name != "--build"] or known
    if unknown := set(platforms) - set(known):
        sys.exit(f"No platform {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    files = build(platforms)
    if "--build" not in sys.argv[1:]:
        run(tool("twine"), "check", "--strict", *(path for path in files if path.suffix != ".tgz"))
        for wheel in files[:-2]:
            check_wheel(wheel)
        check_npm(files[-1])
        distribution = pyodide_dist.assemble(files[0])
        use(files, distribution)
        check_reproducible(files, platforms)
        files += describe(files, distribution)
    print(*files, sep="\n")


if __name__ == "__main__":
    main()
