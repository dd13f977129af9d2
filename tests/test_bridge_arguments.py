import numpy as np
import pytest

import graphattend as ga
from graphattend import _bridge_arguments as arguments


def x(*shape):
    return np.sin(np.arange(np.prod(shape), dtype=np.float32)).reshape(shape)


@pytest.mark.parametrize("code", ["n4", "n8"])
@pytest.mark.parametrize("large", [2.0**31 - 128, 2.0**31, -(2.0**31), 2.0**40, 1e30])
def test_whole_numbers_beyond_32_bits_stay_what_they_are(client, code, large):
    kept, _ = client.keep("tensor", client.put(np.array([large, 0, -large], code.replace("n", "f")), code))
    assert client.ok("read", kept).tolist() == np.float32([large, 0, -large]).tolist()


def test_whole_numbers_are_computed_as_floats(client):
    attn, _ = client.keep("create", "scaled_dot_product", {"dim": 4})
    whole = [np.arange(4.0), np.arange(12.0).reshape(3, 4) % 5, x(3, 4)]
    args = [client.put(whole[0], "n8"), client.put(whole[1], "n8"), client.put(whole[2])]
    expected = ga.create("scaled_dot_product", 4).forward(*whole)
    np.testing.assert_allclose(client.ok("method", attn, "forward", args, None), expected, rtol=1e-6)


@pytest.mark.parametrize("key", ["scaled_dot_product", "multi_head"])
def test_the_strongest_weights_in_their_order(client, key):
    attn, _ = client.keep("create", key, {"dim": 4})
    ours = ga.create(key, 4)
    output, weights = ours.forward(x(2, 4), x(7, 4), x(7, 4), need_weights=True)
    order = np.argsort(-weights, axis=-1)[..., :3]

    def arrays(*shapes):
        return [client.put(x(*shape)) for shape in shapes]

    got = client.ok("method", attn, "forward", arrays((2, 4), (7, 4), (7, 4)), {"topK": 3})
    np.testing.assert_array_equal(got[0], output)
    weighed = client.ok("method", attn, "attentionWeights", arrays((2, 4), (7, 4)), {"topK": 3})
    for found, strongest in (got[1:], weighed):
        np.testing.assert_array_equal(found, order)
        np.testing.assert_allclose(strongest, np.take_along_axis(weights, order, axis=-1), rtol=1e-6)
    error = client.error("method", attn, "forward", arrays((2, 4), (7, 4), (7, 4)), {"topK": 8})
    assert error["argument"] == "topK"


def test_graphs_and_masks_of_functions(client):
    edges = {"edgeIndex": client.put(np.int32([0, 1, 2, 1, 2, 0])), "numNodes": 3}
    graph = ga.NeighborGraph.from_edge_index([[0, 1, 2], [1, 2, 0]], 3)
    assert client.ok("function", "graph", "density", [edges], None) == pytest.approx(ga.graph.density(graph))
    in_rows = {"edgeIndex": client.put(np.int32([[0, 1, 2], [1, 2, 0]])), "numNodes": 3}
    assert client.ok("function", "graph", "density", [in_rows], None) == pytest.approx(ga.graph.density(graph))
    seen = np.array([[1, 1, 0], [1, 0, 1]], np.uint8)
    args = [client.put(a) for a in (x(2, 4), x(3, 4), x(3, 4), seen)]
    found = client.ok("function", "functional", "scaledDotProductAttention", args, None)
    expected = ga.functional.scaled_dot_product_attention(x(2, 4), x(3, 4), x(3, 4), seen.astype(bool))
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_features_that_are_in_rows_already(client):
    attn, _ = client.keep("create", "edge_featured", {"dim": 4, "edgeDim": 2, "numHeads": 2})

    def args():
        return [client.put(a) for a in (x(4), x(3, 4), x(3, 4))]

    in_rows = client.ok("method", attn, "forward", args(), {"metadata": {"edgeFeatures": client.put(x(3, 2))}})
    flat = client.ok("method", attn, "forward", args(), {"metadata": {"edgeFeatures": client.put(x(6))}})
    np.testing.assert_array_equal(in_rows, flat)
    error = client.error("method", attn, "forward", args(), {"metadata": {"edgeFeatures": client.put(x(5))}})
    assert "edgeFeatures" in error["argument"]


@pytest.mark.parametrize(
    ("expert", "argument"),
    [
        ({"key": "flash", "dim": 4, "options": {"blockSize": -1}}, "experts[1].options.blockSize"),
        ({"key": "flush", "dim": 4}, "experts[1].key"),
        ({"key": "flash", "dim": 0}, "experts[1].dim"),
    ],
)
def test_the_way_to_an_argument_of_an_expert(client, expert, argument):
    experts = [{"key": "flash", "dim": 4}, expert]
    error = client.error("create", "moe", {"dim": 4, "experts": experts, "topK": 1}, keep=3)
    assert (error["code"], error["argument"]) == ("invalid_config", argument)


def test_what_is_no_graph_or_array(client):
    pairs = {"edges": [["a", "b"], ["b", "c", "d"]]}
    assert client.error("graph", pairs)["argument"] == "graph.edges"
    indptr, indices = client.put(np.int32([0, 1, 2])), client.put(np.int32([1, 0]))
    error = client.error("graph", {"indptr": indptr, "indices": indices, "edgeFeatures": client.put(x(5))})
    assert error["argument"] == "edgeFeatures"
    assert client.error("tensor", "text", keep=3)["argument"] == "data"


def test_calls_that_do_not_fit_a_signature():
    def function(a, b=1):
        return a + b

    with pytest.raises(ga.InvalidConfigError, match=r"function: .*multiple values"):
        arguments.bound(function, (1, 2), {"b": 3})
    with pytest.raises(ga.InvalidConfigError, match="c: no such option"):
        arguments.bound(function, (1,), {"c": 3})
    with pytest.raises(TypeError, match="unsupported operand"):  # the function's own error, not an error of the call
        arguments.bound(function, (1,), {"b": object()})


@pytest.mark.parametrize(
    ("request_", "argument", "says"),
    [
        (("command_line", ["list"], [], []), "files", "files: expected an object of bytes by name, got an array"),
        (("command_line", ["list"], {"g.txt": "0 1"}, []), "files", "files: expected bytes"),
        (("command_line", ["list", 1], {}, []), "args", "args: expected texts"),
        (("command_line", ["list"], {}, [None]), "outputs", "outputs: expected texts"),
        (
            ("train", {}, "0 1", [[1]], [0], None, None, {}),
            "attention",
            "attention: expected a mechanism, got an object",
        ),
        (("function_vjp", 3, "softmax", [], {}), "target", "target: expected module.name, or an object and"),
    ],
    ids=lambda part: part if isinstance(part, str) else "",
)
def test_arguments_of_another_kind(client, request_, argument, says):
    error = client.error(*request_, keep=5)
    assert (error["code"], error["argument"]) == ("invalid_config", argument)
    assert error["message"].startswith(says)


def test_what_has_no_file(client):
    kept, _ = client.keep("tensor", client.put(np.ones(2, np.float32)))
    error = client.error("save", kept, "npz")
    assert (error["code"], error["argument"], error["message"]) == ("unsupported", "this", "ndarray: cannot be saved")
