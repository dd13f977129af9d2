import shutil

import numpy as np
import pytest

import graphattend as ga
from graphattend import _sharing


def test_large_arrays_are_mapped_and_small_ones_pickled(tmp_path):
    store = _sharing.Store.made(str(tmp_path))
    large, small = np.arange(_sharing.LARGE, dtype=float), np.arange(3)
    found = _sharing.loads(store.dumps({"large": large, "small": small}))
    np.testing.assert_array_equal(found["large"], large)
    np.testing.assert_array_equal(found["small"], small)
    assert not found["large"].flags.writeable
    assert len(list(tmp_path.glob("*/*.raw"))) == 1
    store.close()
    assert not list(tmp_path.iterdir())


def test_what_is_taken_is_removed_and_what_others_hold_stays(tmp_path):
    ours, theirs = (_sharing.Store.made(str(tmp_path)) for _ in range(2))
    array = np.ones(_sharing.LARGE)
    for store, left in ((ours, 0), (theirs, 1)):
        np.testing.assert_array_equal(ours.take(store.dumps(array)), array)
        assert len(list((tmp_path / store.path).glob("*.raw"))) == left


def test_a_folder_that_is_not_shared_is_named(tmp_path):
    store = _sharing.Store.made(str(tmp_path))
    data = store.dumps(np.ones(_sharing.LARGE))
    shutil.rmtree(store.path)
    with pytest.raises(ga.LoadError, match=r"a worker cannot map it.*a folder they share"):
        _sharing.loads(data)


def test_a_machine_without_files_in_memory(monkeypatch):
    monkeypatch.setattr(_sharing, "_MEMORY", "/no/such/folder")
    assert _sharing._memory(1) is None
