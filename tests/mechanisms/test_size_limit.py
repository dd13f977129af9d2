"""Absurd sizes, from a file or a typing error, raise a typed error before memory is allocated."""

import tracemalloc

import numpy as np
import pytest

import graphattend as ga
from graphattend import storage
from graphattend.mechanisms import mechanism_class

HUGE = {
    "multi_head": [{"num_heads": 10**9, "head_dim": 10**9}],
    "edge_featured": [{"edge_dim": 10**12}, {"num_heads": 1, "head_dim": 10**12}, {"head_dim": 10**12, "variant": "gatv2"}],
    "linear": [{"num_features": 10**11}],
    "hnsw_aware": [{"encoding": "bias", "num_layers": 10**6}, {"encoding": "embedding", "num_layers": 10**10}],
    "structural": [{"num_features": 10**11}],
    "dynamic_heads": [{"num_heads": 10**9, "head_dim": 10**9}],
    "local_global": [{"global_nodes": 10**9}],
}  # fmt: skip


@pytest.mark.parametrize(("key", "options"), [(key, options) for key, many in HUGE.items() for options in many])
def test_huge_options(key, options):
    tracemalloc.start()
    with pytest.raises(ga.InvalidConfigError):
        ga.create(key, 8, **options)
    assert tracemalloc.get_traced_memory()[1] < 5e6
    tracemalloc.stop()


@pytest.mark.parametrize("key", ga.list_mechanisms())
def test_a_huge_dim(key):
    with pytest.raises(ga.InvalidConfigError, match="dim"):
        ga.create(key, 10**400)


# A caller may ask for 30 000, but a file of a few hundred bytes may not.
@pytest.mark.parametrize("suffix", ["npz", "safetensors"])
@pytest.mark.parametrize("key", ["multi_head", "linear", "cross_space", "rl_navigator", "moe", "edge_featured"])
def test_a_small_file_cannot_ask_for_large_parameters(key, suffix, tmp_path):
    path = tmp_path / f"small.{suffix}"
    config = mechanism_class(key)(8).to_config() | {"dim": 30_000, "kind": "mechanism"}
    if key == "moe":
        config["options"]["experts"] = [ga.create("multi_head", 8).to_config() | {"dim": 30_000}]
        config["options"]["top_k"] = 1
    storage.write_archive(path, {"w": np.ones(3)}, config)
    tracemalloc.start()
    with pytest.raises(ga.LoadError, match="small"):
        ga.load(path)
    assert tracemalloc.get_traced_memory()[1] < 5e6
    tracemalloc.stop()


def test_many_experts_share_the_budget(tmp_path):
    expert = ga.create("multi_head", 1024, num_heads=1).to_config()
    config = {"key": "moe", "dim": 1024, "options": {"experts": [expert] * 50, "top_k": 1}, "version": 1}
    storage.write_archive(tmp_path / "many.npz", {"w": np.ones(3)}, config | {"kind": "mechanism"})
    with pytest.raises(ga.LoadError, match="at most"):
        ga.load(tmp_path / "many.npz")


def test_messages_are_one_line():
    with pytest.raises(ga.InvalidConfigError) as info:
        ga.create("flash", 8, temperature=np.ones((9, 9)))
    assert "\n" not in str(info.value)
