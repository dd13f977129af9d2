"""Damaged files of every format give a graph or a typed error, and nothing else."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from soak.corpus import GRAPHS as SEEDS

import graphattend as ga
from graphattend.graph.files import parse
from graphattend.graph.formats import FORMATS

CASES = [(suffix, i) for suffix, seeds in SEEDS.items() for i in range(len(seeds))]
PIECES = [
    b"",
    b"\0",
    b"\xff",
    b"\n",
    b" ",
    b",",
    b"-1",
    b"0",
    b"99999999999999999999",
    b"nan",
    b"1e999",
    b"[",
    b"]",
    b"<",
    b"&a;",
    b'"',
    b"{",
    b"}",
    b"null",
    b"\x80",
]


def test_every_format_has_a_seed():
    aliases = {".edges", ".edgelist", ".el", ".ncol", ".tsv", ".metis", ".index", ".hnswlib", ".bin"}
    assert set(SEEDS) | aliases == set(FORMATS)
    assert all(SEEDS.values())


@pytest.mark.parametrize(("suffix", "i"), CASES)
def test_seeds_are_read(suffix, i):
    assert parse(SEEDS[suffix][i], "seed", suffix=suffix).graph.num_nodes


def refusal(content, suffix):
    """Return the message of a typed error, or None; other errors propagate."""
    try:
        assert parse(content, "damaged", suffix=suffix).graph.num_nodes >= 1
    except ga.LoadError as error:
        return str(error)
    return ""


@pytest.mark.parametrize(("suffix", "i"), CASES)
@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_damaged(suffix, i, data):
    content = SEEDS[suffix][i]
    for _ in range(data.draw(st.integers(1, 3))):
        start = data.draw(st.integers(0, len(content)))
        end = data.draw(st.integers(start, min(len(content), start + 8)))
        content = content[:start] + data.draw(st.sampled_from(PIECES) | st.binary(max_size=8)) + content[end:]
    assert "\n" not in refusal(content, suffix)


@pytest.mark.parametrize("suffix", FORMATS)
@settings(deadline=None, max_examples=20)
@given(st.binary(max_size=200))
def test_noise(suffix, content):
    assert "\n" not in refusal(content, suffix)
