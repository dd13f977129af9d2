"""The table of expected results for the npm package's kernels equals the library's results."""

import pytest

build_js_kernels = pytest.importorskip("build_js_kernels", reason="the tools are not part of what runs inside Pyodide")
kernel_cases = pytest.importorskip("gen_kernel_cases", reason="the tools are not part of what runs inside Pyodide")

pytestmark = pytest.mark.native


def test_the_table_is_complete_and_right() -> None:
    assert kernel_cases.faults() == []


def test_a_wrong_answer_is_seen() -> None:
    case = next(case for case in kernel_cases.cases() if case["call"] == "softmax")
    found = kernel_cases.run(case)
    assert kernel_cases.differs(found, case["expected"]) == ""
    assert "differs" in kernel_cases.differs({"output": found["output"] + 1e-5}, case["expected"])
    assert "shape" in kernel_cases.differs({"output": found["output"][:1]}, case["expected"])
    assert "instead of" in kernel_cases.differs({}, case["expected"])


def test_refusals_are_in_the_table() -> None:
    refused = [case["expected"]["error"] for case in kernel_cases.cases() if "error" in case["expected"]]
    assert {error["code"] for error in refused} >= {
        "dimension_mismatch",
        "empty_input",
        "invalid_config",
        "numerical_instability",
        "out_of_bounds",
    }


def test_typescript_has_the_declared_entry_points() -> None:
    assert build_js_kernels.ENTRIES.read_text() == build_js_kernels.declaration()
    assert build_js_kernels.entries()["attend"][3:5] == ["out", "stats?"]


def test_the_module_has_the_kernels_that_are_called() -> None:
    called = build_js_kernels.called()
    assert {"attend", "matmul", "mask_scores"} <= set(called)
    assert "favor" not in called
