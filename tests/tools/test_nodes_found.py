"""tools/test_nodes.py: which files run, on which Node.js."""

import json

import pytest
import test_nodes

pytestmark = pytest.mark.native


def test_every_file_runs_or_says_why_not():
    files = {path.name for path in (test_nodes.ROOT / "js" / "test").glob("*.test.mjs")}
    chosen = {f"{name}test.mjs" for name in test_nodes.of_the_version()}
    elsewhere = {f"{name}.test.mjs" for name in test_nodes.ELSEWHERE}
    assert chosen | elsewhere == files
    assert not chosen & elsewhere
    # run.mjs compares beginnings: each name stands for its file alone.
    for name in test_nodes.of_the_version():
        assert [file for file in files if file.startswith(name)] == [f"{name}test.mjs"]


def test_every_supported_version_but_the_oldest_comes_from_npm():
    package = json.loads((test_nodes.FOLDER / "package.json").read_text())
    names = {name.rsplit("-", 2)[0] for name in package["optionalDependencies"]}
    assert names == {f"node-{version}" for version in test_nodes.VERSIONS[1:]}


def test_a_node_of_that_version_is_found(monkeypatch):
    monkeypatch.setattr(test_nodes, "told", {"node": "v20.1.2"}.get)
    assert test_nodes.find("20") == "node"
    assert test_nodes.find("22") is None
    assert test_nodes.run("22", ["package."]) == {"missing": "no Node.js 22 on this machine"}
    monkeypatch.setattr(test_nodes, "told", lambda path: "v20.1.2" if path == "node" else "v22.0.0")
    assert "node-22-" in test_nodes.find("22")
    assert test_nodes.find("2") is None
