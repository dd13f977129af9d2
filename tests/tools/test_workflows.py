"""The workflows of .github run existing commands, and cover the platforms that the packages support."""

import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import packages
import pytest
import test_suites
from ruamel.yaml import YAML

pytestmark = pytest.mark.native

ROOT = Path(__file__).resolve().parents[2]
GITHUB = ROOT / ".github"
FILES = sorted([*GITHUB.rglob("*.yml")])
#: PyPI's own action, whose documentation asks for its branch, because each version uses the branch's container.
BRANCHES = {"pypa/gh-action-pypi-publish@release/v1"}


def read(path: Path) -> dict[str, Any]:
    return dict(YAML(typ="safe").load(path))


def steps() -> Iterator[dict[str, Any]]:
    for path in FILES:
        found = read(path)
        for job in [found.get("runs", {}), *found.get("jobs", {}).values()]:
            yield from job.get("steps", [])


def test_actions_are_pinned_by_commit_and_named_by_version() -> None:
    text = "\n".join(path.read_text() for path in FILES)
    used = re.findall(r"uses: (\S+)(?: # (\S+))?", text)
    outside = [(name, note) for name, note in used if not name.startswith("./")]
    assert len(outside) > 15
    for name, note in outside:
        pinned = re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}", name) and re.fullmatch(r"v\d+\.\d+\.\d+", note)
        assert pinned or name in BRANCHES, name
    commits = {name for name, _ in outside}
    assert len({name.partition("@")[0] for name in commits}) == len(commits), "one version of each action"
    assert all((ROOT / name).exists() for name, _ in used if name.startswith("./"))


def test_what_the_steps_run_exists() -> None:
    commands = "\n".join(step.get("run", "") for step in steps())
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    asked = {name for line in re.findall(r"\bmake (?:-s )?([a-z -]+)", commands) for name in line.split()}
    assert {"env", "npm", "dist", "docs", "demo"} <= asked <= targets
    scripts = re.findall(r"\b(?:tools|js|tests)/[\w./-]+\b", commands)
    assert len(scripts) > 5
    assert [name for name in scripts if not (ROOT / name).exists() and name != "js/dist"] == []


def test_npm_publishes_a_file() -> None:
    """`npm publish folder/name.tgz` would look for a repository of that name on GitHub."""
    (published,) = [step["run"].split()[-1] for step in steps() if "npm publish" in step.get("run", "")]
    assert published.startswith("./")


def test_every_suite_is_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(test_suites, "ALL", False)  # WebKit has a job of its own
    known = {suite.name for suite in test_suites.all_suites()}
    assert set(read(GITHUB / "workflows" / "test.yml")["jobs"]["suites"]["strategy"]["matrix"]["suite"]) == known


def test_everything_supported_is_in_the_matrix() -> None:
    jobs = read(GITHUB / "workflows" / "test.yml")["jobs"]
    matrix = {name: job.get("strategy", {}).get("matrix", {}) for name, job in jobs.items()}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["requires-python"] == f">=3.{packages.MINIMUM}"
    assert matrix["python"]["python"] == [f"3.{minor}" for minor in range(packages.MINIMUM, packages.MAXIMUM + 1)]
    platforms = {"ubuntu-latest", "ubuntu-24.04-arm", "macos-latest", "macos-15-intel", "windows-latest"}
    assert platforms | {"windows-11-arm"} == set(matrix["python"]["system"])
    assert len(platforms) + 1 == len(packages.build_wheel.kernel_builder().PLATFORMS)
    engines = json.loads((ROOT / "js" / "package.json").read_text())["engines"]
    assert engines["node"] == f">={min(matrix['npm']['node'])}"
    assert set(matrix["npm"]["node"]) == {20, 22, 24}
    assert set(matrix["browsers"]["browser"]) == {"chromium", "firefox", "webkit"}


def test_only_jobs_that_publish_may_write() -> None:
    for path in sorted(GITHUB.glob("workflows/*.yml")):
        found = read(path)
        assert found["permissions"] == {"contents": "read"}, path.name
        writers = {name for name, job in found["jobs"].items() if "write" in job.get("permissions", {}).values()}
        assert writers <= {"pypi", "npm", "github", "deploy"}
        assert not re.search(r"secrets\.", path.read_text()), "trusted publishing needs no secret"


def test_issue_forms_ask_for_what_is_needed() -> None:
    forms = [read(path) for path in sorted(GITHUB.glob("ISSUE_TEMPLATE/[0-9]*.yml"))]
    assert len(forms) == 3
    for form in forms:
        assert form["name"]
        assert form["description"]
        fields = [item for item in form["body"] if item["type"] != "markdown"]
        assert len({item["id"] for item in fields}) == len(fields)
        assert any(item["validations"]["required"] for item in fields)
