"""The threads of BLAS in the processes of `ga.parallel`, as BLAS itself reports them."""

import multiprocessing
import os
import sys
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

import pytest

import graphattend as ga
from graphattend import _blas

#: Threads that BLAS would have in a process without a limit.
CORES = os.cpu_count() or 1

pytestmark = pytest.mark.native


@pytest.fixture
def unset(monkeypatch):
    """Remove the user's own setting, if any."""
    for name in _blas.VARIABLES:
        monkeypatch.delenv(name, raising=False)


def reported(common, task):
    """Return the process and the numbers of threads of its BLAS libraries."""
    import numpy  # noqa: F401  # its BLAS is what is looked at
    from threadpoolctl import threadpool_info

    return os.getpid(), sorted({found["num_threads"] for found in threadpool_info() if found["user_api"] == "blas"})


def threads_in(executor):
    """Return the numbers of BLAS threads in the workers of an executor."""
    pytest.importorskip("threadpoolctl")
    with ga.parallel(executor) as pool:
        found = pool.map(reported, None, range(4))
    assert os.getpid() not in [process for process, _ in found]
    return {n for _, threads in found for n in threads}


def plain_pool():
    return ProcessPoolExecutor(2, multiprocessing.get_context("spawn"))


@pytest.mark.parametrize("executor", [2, 3 * CORES, "loky", plain_pool])
def test_the_workers_share_the_cores(executor, unset):
    workers = {2: 2, 3 * CORES: 3 * CORES, "loky": CORES}.get(executor, 2)
    assert threads_in(executor) == {max(CORES // workers, 1)}
    assert not _blas.chosen()


@pytest.mark.parametrize("executor", [2, plain_pool])
def test_the_setting_of_the_user_wins(executor, unset, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", str(CORES))
    assert threads_in(executor) == {CORES}
    assert [name for name in _blas.VARIABLES if name in os.environ] == ["OMP_NUM_THREADS"]


def test_the_limit_of_a_given_pool_ends_with_the_block(unset):
    with plain_pool() as pool:
        before = pool.submit(reported, None, 0).result()[1]
        assert threads_in(pool) == {max(CORES // 2, 1)}
        assert pool.submit(reported, None, 0).result()[1] == before


def test_this_process_keeps_its_threads(unset):
    before = reported(None, None)
    with ThreadPoolExecutor(2) as executor, ga.parallel(executor) as pool:
        assert pool.map(reported, None, range(4)) == [before] * 4
    assert reported(None, None) == before


def test_without_threadpoolctl_a_given_pool_keeps_its_threads(unset, monkeypatch):
    monkeypatch.setitem(sys.modules, "threadpoolctl", None)
    monkeypatch.setattr(multiprocessing, "parent_process", lambda: multiprocessing.current_process())
    _blas._control.cache_clear()
    with _blas.limited(1):
        pass
    assert _blas._control() is None
    _blas._control.cache_clear()
