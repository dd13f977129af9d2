"""JavaScript functions called during requests: questions, answers, and manifolds made of such functions."""

import json

import numpy as np
import pytest

import graphattend as ga
from graphattend import _bridge as bridge
from graphattend._bridge_questions import Asked, JavaScriptFunction

_MAPS = {"expmap": "expmap", "logmap": "logmap"}


def sphere(client, *, means=False):
    """Return the functions of the unit sphere, with gradients of those that attention uses."""
    ours = ga.geometry.Sphere()

    def gradient(name):
        return client.function(lambda *arrays: ga.vjp(getattr(ours, name), *arrays[:-1])[1](arrays[-1]))

    names = {"dist": "dist", "project": "project"}
    if means:
        names |= {"midpoint": "midpoint", "frechetMean": "frechet_mean"}
    functions = {n: client.function(getattr(ours, name)) for n, name in (names | _MAPS).items()}
    functions["gradients"] = {n: gradient(name) for n, name in names.items()}
    return functions


@pytest.mark.parametrize("aggregation", ["frechet", "midpoint"])
def test_attention_on_a_manifold_of_functions_is_that_on_ours(client, aggregation):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((9, 3)) * 0.4
    x[:, 0] = 1.0
    options = {"aggregation": aggregation, "temperature": 0.5}
    ours = ga.ManifoldAttention(3, manifold=ga.geometry.Sphere(), **options)
    wanted, pull = ours.vjp(x[:2], x[2:], x[2:])
    for means in (False, True):
        functions = sphere(client, means=means)
        attn, described = client.keep("create", "manifold", {"dim": 3, "manifold": functions, **options})
        assert described["config"] == {
            "key": "manifold",
            "dim": 3,
            "version": 1,
            "options": described["config"]["options"],
        }
        assert described["config"]["options"].keys() == {
            "temperature",
            "aggregation",
            "dropout",
            "seed",
            "check_finite",
        }
        args = [client.put(a) for a in (x[:2], x[2:], x[2:])]
        found = client.ok("method", attn, "forward", args, None, dtype="float64")
        # Without its own means, gradient steps compute them, also the midpoint, which is then a different point.
        if means or aggregation == "frechet":
            np.testing.assert_allclose(found, wanted, atol=1e-9)
        if not means:
            args = [client.put(a) for a in (x[:2], x[2:], x[2:])]
            pullback = client.keep("method", attn, "vjp", args, None)[0]
            error = client.error("method", pullback, "apply", [client.put(np.ones((2, 3)))], None)
            assert (error["code"], "gradient rule" in error["message"]) == ("unsupported", True)
            continue
        args = [client.put(a) for a in (x[:2], x[2:], x[2:])]
        pullback = client.keep("method", attn, "vjp", args, None)[0]
        found = client.ok("method", pullback, "apply", [client.put(np.ones((2, 3)))], None, dtype="float64")
        for got, expected in zip(("query", "keys", "values"), pull(np.ones((2, 3)))[:3], strict=True):
            np.testing.assert_allclose(found[got], expected, atol=1e-9)


def test_a_manifold_of_functions_wherever_a_manifold_is_taken(client):
    rng = np.random.default_rng(1)
    x = ga.geometry.Sphere().project(rng.standard_normal((6, 3)))
    space, described = client.keep("manifold", sphere(client))
    assert described["type"] == "CustomManifold"
    ours = ga.geometry.Sphere()
    distances = client.ok("method", space, "pairwise", [client.put(x), client.put(x)], None, dtype="float64")
    np.testing.assert_allclose(distances, ours.pairwise(x, x), atol=1e-7)
    one = client.ok("method", space, "dist", [client.put(x[0]), client.put(x[1])], None, dtype="float64")
    assert one == pytest.approx(ours.dist(x[0], x[1]), abs=1e-12)
    for given in (space, sphere(client)):
        graph = client.keep("knn", client.put(x), 2, {"manifold": given})[0]
        indices = client.ok("attribute", graph, "indices")
        assert indices.tolist() == ga.NeighborGraph.knn(x, 2, manifold=ours).indices.tolist()
    adam = client.keep("function", "training", "RiemannianAdam", [], {"manifold": space, "lr": 0.1})[0]
    client.last_id += 1
    state = client.ok("method", adam, "init", [{"w": client.put(x)}], None, keep=client.last_id)
    assert "$h" in state or isinstance(state, dict)


def test_what_a_manifold_of_functions_refuses(client):
    f = client.function(lambda *a: np.zeros(1))
    for functions, argument in [
        ({"dist": f}, "manifold.expmap"),
        ({"expmap": f, "logmap": f, "disst": f}, "disst"),
        ({"expmap": f, "logmap": 3}, "manifold.logmap"),
        ({"expmap": f, "logmap": f, "gradients": {"origin": f}}, "origin"),
        ({"expmap": f, "logmap": f, "gradients": {"dist": f}}, "manifold.dist"),
        ({"expmap": f, "logmap": f, "gradients": 3}, "manifold.gradients"),
        (None, "manifold.expmap"),
    ]:
        error = client.error("manifold", functions, keep=1)
        assert (error["code"], error["argument"]) == ("invalid_config", argument), functions
    space = client.keep("manifold", {"expmap": f, "logmap": f})[0]
    points = [client.put(np.ones((4, 2))), client.put(np.ones((4, 2)))]
    error = client.error("method", space, "expmap", points, None)
    assert (error["code"], error["argument"], error["expected"]) == ("dimension_mismatch", "manifold.expmap", 8)
    assert client.error("method", space, "expmap", [client.put(np.ones(2))], None)["argument"] == "arguments"
    client.functions[0] = lambda *a: "text"
    points = [client.put(np.ones(2)), client.put(np.ones(2))]
    assert client.error("method", space, "expmap", points, None)["argument"] == "manifold.expmap"
    attn = client.keep("create", "manifold", {"dim": 2, "manifold": {"expmap": f, "logmap": f}})[0]
    error = client.error("save", attn, "npz")
    assert (error["code"], error["argument"]) == ("unsupported", "manifold")


def test_the_gradient_through_a_function_of_the_scores(client):
    x = np.random.default_rng(2).standard_normal((3, 4))
    f = client.function(np.tanh)
    args = [client.put(x) for _ in range(3)]
    pullback, found = client.keep("function_vjp", "functional", "scaled_dot_product_attention", args, {"scoreMod": f})
    wanted, pull = ga.vjp(ga.functional.scaled_dot_product_attention, x, x, x, score_mod=lambda s, *_: np.tanh(s))
    np.testing.assert_allclose(found["output"], wanted, rtol=1e-6)
    got = client.ok("method", pullback, "apply", [client.put(np.ones((3, 4)))], None, dtype="float64")
    for a, b in zip(got, pull(np.ones((3, 4))), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-14)
    assert client.questions == 3  # the scores, and slightly larger and smaller ones


def test_a_question_that_nobody_answers_is_forgotten(client):
    f = client.function(np.tanh)
    args = [client.put(np.ones((1, 2))) for _ in range(3)]
    request = ("function", "functional", "scaled_dot_product_attention", args, {"scoreMod": f})
    body, _ = client.send_once(*request)
    number = body["ask"]["of"]
    assert number in bridge._waiting
    bridge.free(-number)
    assert not bridge._waiting
    error = client.error("answer", number, [3])
    assert (error["code"], error["argument"]) == ("invalid_config", "answer")


def test_a_function_is_asked_by_a_request_alone():
    bridge.call(json.dumps({"op": "info", "args": []}))
    with pytest.raises(Asked):
        JavaScriptFunction(1)(np.ones(2))


def test_a_manifold_of_functions_has_its_own_origin(client):
    functions = {
        "expmap": client.function(lambda x, v: x + v),
        "logmap": client.function(lambda x, y: y - x),
        "origin": client.function(lambda dim: np.full(dim, 2.0)),
    }
    space, _ = client.keep("manifold", functions)
    np.testing.assert_array_equal(
        client.ok("method", space, "expmap0", [client.put(np.ones(3))], None), np.full(3, 3.0)
    )


def test_a_gradient_for_every_argument(client):
    functions = {name: client.function(lambda x, y: x + y) for name in ("expmap", "logmap")}
    functions |= {
        "dist": client.function(lambda x, y: np.abs(x - y).sum(axis=-1)),
        "gradients": {"dist": client.function(lambda x, y, g: [x])},
    }
    space, _ = client.keep("manifold", functions)
    points = [client.put(np.ones((2, 3))), client.put(np.zeros((2, 3)))]
    pull, _ = client.keep("function_vjp", space, "dist", points, {})
    error = client.error("method", pull, "apply", [client.put(np.ones(2))], None)
    assert (error["code"], error["argument"]) == ("dimension_mismatch", "manifold.gradients.dist")
