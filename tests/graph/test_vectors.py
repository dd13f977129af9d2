"""Vectors as text: leading names are never taken for coordinates."""

import numpy as np
import pytest

from graphattend.graph.formats.vectors import vectors
from graphattend.storage_checks import Refused


def read(text):
    names, found = vectors(text.encode())
    return names, found.tolist()


def test_matrices():
    assert read("0.5 1\n2 3\n") == (None, [[0.5, 1.0], [2.0, 3.0]])
    assert read("# header\n0.5,1\r2,3\r") == (None, [[0.5, 1.0], [2.0, 3.0]])
    assert read("1\n2\n") == (None, [[1.0], [2.0]])
    assert read("1 2 3\n") == (None, [[1.0, 2.0, 3.0]])
    assert read("1 2\n3 4\n5 6\n") == (None, [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    assert read("1 0.5\n1 0.25\n") == (None, [[1.0, 0.5], [1.0, 0.25]])
    x = np.random.default_rng(0).standard_normal((5, 3))
    text = "\n".join(" ".join(f"{v:.18e}" for v in row) for row in x)
    np.testing.assert_array_equal(read(text)[1], x)


def test_words():
    assert read("the 0.5 1\nof 2 3\n") == (["the", "of"], [[0.5, 1.0], [2.0, 3.0]])
    assert read("the 0.5 1\n# 2 3\n7 1 2\n") == (["the", "#", "7"], [[0.5, 1.0], [2.0, 3.0], [1.0, 2.0]])
    assert read("2 3\n10 1 2 3\n20 4 5 6.5\n") == (["10", "20"], [[1.0, 2.0, 3.0], [4.0, 5.0, 6.5]])
    assert read("2 1\na 1\nb 2\n") == (["a", "b"], [[1.0], [2.0]])


def test_headers():
    assert read("x,y\n1,2\n") == (None, [[1.0, 2.0]])
    assert read("id,x,y\n7,1,2\n9,3,4\n") == (["7", "9"], [[1.0, 2.0], [3.0, 4.0]])
    assert read("x;Node_ID;y\n1;a;2\n") == (["a"], [[1.0, 2.0]])
    assert read(",0,1\na,1,2\nb,3,4\n") == (["a", "b"], [[1.0, 2.0], [3.0, 4.0]])  # pandas
    assert read("node 1 2\na 1 2\n") == (["a"], [[1.0, 2.0]])
    assert read(",word,0,1\n0,a,1,2\n1,b,3,4\n") == (["a", "b"], [[1.0, 2.0], [3.0, 4.0]])
    assert read("0,1\n0.5,2.0\n") == (None, [[0.5, 2.0]])
    assert read("0,1\n1,0\n") == (None, [[0.0, 1.0], [1.0, 0.0]])
    assert read('"id","x"\n"Ann, Lee",1\n') == (["Ann, Lee"], [[1.0]])


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("id,x,word\n1,2,a\n2,3,b\n", "columns 'id', 'word' may all be the names"),
        ("x,y\na,b\nc,d\n", "expected a number, got 'y'"),
        ("1 0.5 0.25\n2 0.75 0.5\n", "names or coordinates"),
        ("2 1\n7 1\n8 2\n", "sizes of word vectors"),
        ("a 1 2\nb 1\n", "line 2"),
        ("a\nb\n", "line 1"),
        ("1 2\n3\n", "line 2: expected 2 numbers"),
        ("", "no vectors"),
        ("a b\n", "'b'"),
        ("id&a;", "got ''"),  # an empty field after a name
    ],
)
def test_what_is_not_sure_is_refused(text, says):
    with pytest.raises(Refused, match=says):
        vectors(text.encode())
