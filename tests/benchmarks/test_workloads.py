"""Every workload of `make bench` runs, because a contender that raises would end the measurement of all others."""

import numpy as np
import pytest

from benchmarks import workloads

pytestmark = pytest.mark.native  # reads the repository's own scripts


@pytest.mark.parametrize("name", workloads.WORKLOADS)
def test_each_contender_runs(name: str) -> None:
    """Each call returns, and Python's calls give the results against which JavaScript is checked."""
    workload = workloads.WORKLOADS[name]()
    for call in workload.calls.values():
        call()
    if workload.expected is not None and workload.calls:
        result = workload.calls["graphattend"]()
        result = result[0] if isinstance(result, tuple) else result
        np.testing.assert_allclose(np.asarray(result), workload.expected, rtol=2e-3, atol=1e-4)
