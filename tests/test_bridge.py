"""The JavaScript bridge, called from Python with the requests that the npm package sends."""

import json
import math
import random
import sys
import tempfile
import types

import numpy as np
import pytest

import graphattend as ga
from graphattend import _bridge as bridge
from graphattend import _bridge_arguments, _bridge_names
from graphattend import _bridge_calls as calls
from graphattend import _bridge_plans as plans
from graphattend.errors import NumericalInstabilityError


def x(*shape):
    return np.sin(np.arange(math.prod(shape), dtype=np.float32)).reshape(shape)


def test_start_and_info_report_the_runtime(client):
    started = client.ok("start", True)
    assert json.loads(started["schemas"]) == ga.schema()
    assert {n: x for n, x in started.items() if n != "schemas"} == {
        "version": ga.__version__,
        "mechanisms": ga.list_mechanisms(),
    }
    assert client.ok("start", False) == started
    assert client.ok("info")["accelerated"]["active"] is False
    for _ in range(2):  # an interpreter restored from a snapshot is already prepared
        assert client.ok("start", True) == started
        info = client.ok("info")
        assert info["backend"] == ga.backend_info()["backend"]
        # The official NumPy for WebAssembly has no SIMD, so `start` installs our loops, unless kernels are off.
        assert info["accelerated"]["active"] is info["backend"].startswith("wasm")


@pytest.mark.parametrize("elsewhere", [False, True])
def test_interpreters_from_one_snapshot_draw_numbers_of_their_own(elsewhere):
    backend = ga.backend_info()["backend"]
    old, shared = random.getstate(), np.random.get_state()  # noqa: NPY002
    drawn = []
    try:
        for _ in range(2):
            random.seed(1)
            np.random.seed(1)  # noqa: NPY002
            tempfile._name_sequence = iter(["again"])
            bridge.restored(elsewhere)
            drawn.append((random.random(), np.random.random(), next(tempfile._get_candidate_names())))  # noqa: NPY002
    finally:
        random.setstate(old)
        np.random.set_state(shared)  # noqa: NPY002
        tempfile._name_sequence = None
        ga.use_backend(backend)
    assert all(first != second for first, second in zip(*drawn, strict=True))


def test_forward_equals_python(client):
    attn, described = client.keep("create", "multi_head", {"dim": 8, "numHeads": 2})
    assert described["config"] == ga.create("multi_head", 8, num_heads=2).to_config()
    assert described["rowwise"] is True
    q, k = x(3, 8), x(5, 8)
    expected, weights = ga.create("multi_head", 8, num_heads=2).forward(q, k, k, need_weights=True)
    args = [client.put(a) for a in (q, k, k)]
    output, got = client.ok("method", attn, "forward", args, {"needWeights": True})
    np.testing.assert_array_equal(output, expected)
    np.testing.assert_array_equal(got, weights)


def test_positions_matter_to_windows_and_causal_masks(client):
    for key, options in (("local_global", {"window": 2}), ("flash", {"isCausal": True})):
        assert client.keep("create", key, {"dim": 4, **options})[1]["rowwise"] is False
    experts = [ga.create("local_global", 4).to_config(), ga.create("scaled_dot_product", 4).to_config()]
    assert client.keep("create", "moe", {"dim": 4, "experts": experts})[1]["rowwise"] is False


def test_flat_arrays_are_rows(client):
    attn, _ = client.keep("create", "scaled_dot_product", {"dim": 4})
    flat = [client.put(a.reshape(-1)) for a in (x(4), x(5, 4), x(5, 2))]
    mask = client.put(np.array([1, 0, 2, 0, 0], np.uint8), "b1")
    output, weights = client.ok("method", attn, "forward", flat, {"need_weights": True, "attnMask": mask})
    assert output.shape == (2,)
    assert list(weights > 0) == [True, False, True, False, False]
    rows = [client.put(a.reshape(-1)) for a in (x(2, 4), x(5, 4), x(5, 4))]
    for mask in (np.ones(10, np.uint8), np.ones(10, np.int32), np.ones(10, bool).view("u1")):
        rows = [client.put(a.reshape(-1)) for a in (x(2, 4), x(5, 4), x(5, 4))]
        assert client.ok("method", attn, "forward", rows, {"attnMask": client.put(mask)}).shape == (2, 4)


@pytest.mark.parametrize(("size", "argument"), [(3, "query"), (7, "keys"), (6, "values")])
def test_flat_arrays_that_are_no_rows(client, size, argument):
    attn, _ = client.keep("create", "hyperbolic", {"dim": 4})
    sizes = {"query": 4, "keys": 8, "values": 8} | {argument: size}
    error = client.error("method", attn, "forward", [client.put(x(n)) for n in sizes.values()], None)
    assert (error["code"], error["argument"], error["expected"], error["actual"]) == (
        "dimension_mismatch",
        argument,
        4,
        size,
    )


def test_metadata_by_name(client):
    attn, _ = client.keep("create", "edge_featured", {"dim": 4, "edgeDim": 2, "numHeads": 2})
    args = [client.put(a) for a in (x(4), x(3, 4), x(3, 4))]
    metadata = {"edgeFeatures": client.put(x(6))}
    expected = ga.create("edge_featured", 4, edge_dim=2, num_heads=2).forward(
        x(4), x(3, 4), x(3, 4), metadata=ga.GraphMetadata(edge_features=x(3, 2))
    )
    np.testing.assert_array_equal(client.ok("method", attn, "forward", args, {"metadata": metadata}), expected)
    args = [client.put(a) for a in (x(4), x(3, 4), x(3, 4))]
    error = client.error("method", attn, "forward", args, {"metadata": {"edgeFeature": 1}})
    assert error["code"] == "invalid_config"
    assert "edgeFeatures" in error["message"]
    latent = {"latentKeys": client.put(x(8)), "latentValues": client.put(x(8))}
    assert _bridge_arguments.metadata({"latent_keys": x(8)}, 4, 3).latent_keys.shape == (2, 4)
    assert latent


def test_dropout_takes_a_seed(client):
    attn, _ = client.keep("create", "scaled_dot_product", {"dim": 4, "dropout": 0.5})
    results = []
    for seed in (1, 1, 2):
        args = [client.put(a) for a in (x(4), x(9, 4), x(9, 4))]
        results.append(client.ok("method", attn, "forward", args, {"training": True, "rng": seed}))
    assert np.array_equal(results[0], results[1])
    assert not np.array_equal(results[0], results[2])


def test_pullbacks_are_kept_until_freed(client):
    attn, _ = client.keep("create", "scaled_dot_product", {"dim": 4})
    args = [client.put(a) for a in (x(2, 4), x(3, 4), x(3, 4))]
    pull, described = client.keep("method", attn, "vjp", args, None)
    _, pullback = ga.create("scaled_dot_product", 4).vjp(x(2, 4), x(3, 4), x(3, 4))
    expected = pullback(x(2, 4), x(2, 3))
    for grad in (x(2, 4), x(8)):  # shaped, and flat
        gradients = [client.put(grad), client.put(x(2, 3))]
        got = client.ok("method", pull, "apply", gradients, None)
        np.testing.assert_array_equal(got["query"], expected.query)
    assert described["output"].shape == (2, 4)
    bridge.free(pull["$h"], 424242)
    assert client.error("method", pull, "apply", [1], None)["code"] == "invalid_config"


def test_graphs_in_both_forms(client):
    attn, _ = client.keep("create", "scaled_dot_product", {"dim": 4})
    edges = np.array([[0, 1], [1, 0], [2, 0]])
    expected = ga.create("scaled_dot_product", 4).attend(ga.NeighborGraph.from_edge_index(edges.T, 3), x(3, 4))
    pairs = {"edges": client.put(edges.astype(np.float32), "n4"), "numNodes": 3}
    np.testing.assert_array_equal(client.ok("method", attn, "attend", [pairs, client.put(x(12))], None), expected)
    flat = {"edges": client.put(edges.astype(np.int32).reshape(-1)), "num_nodes": 3}
    kept, described = client.keep("graph", flat)
    assert described["type"] == "NeighborGraph"
    assert described["fields"]["num_nodes"] == 3
    np.testing.assert_array_equal(client.ok("method", attn, "attend", [kept, client.put(x(3, 4))], None), expected)
    csr = {"indptr": client.put(np.array([0, 1, 2], "f4"), "n4"), "indices": client.put(np.array([1, 0], "i4"))}
    csr["edgeFeatures"] = client.put(x(6))
    graph, _ = client.keep("graph", csr)
    assert client.ok("attribute", graph, "edgeFeatures").shape == (2, 3)
    assert list(client.ok("method", graph, "degree", [], None)) == [1, 1]
    for bad in ({"edges": client.put(x(3, 3))}, {"nodes": 1}, {"edges": [], "x": 1}):
        assert client.error("graph", bad)["code"] in ("dimension_mismatch", "invalid_config")
    found = client.ok("recommend", kept, {"dim": 4})
    assert found["key"] in ga.list_mechanisms()
    assert found["reasons"]


def test_numbers_that_json_lacks(client):
    error = client.error("create", "scaled_dot_product", {"dim": 4, "temperature": {"$f": "NaN"}})
    assert error["argument"] == "temperature"
    assert (
        client.ok("function", "functional", "softmax", [client.put(np.float64([0, 0]), "n8")], {}).dtype == np.float32
    )
    ball, _ = client.keep("function", "geometry", "Poincare", [], {"curvature": -1})
    points = [client.put(np.float64([0.0, 0.5]), "n8"), client.put(np.float64([0.0, 0.25]), "n8")]
    got = client.ok("method", ball, "dist", points, None, dtype="float64")
    assert got == ga.geometry.Poincare(-1.0).dist(np.array([0.0, 0.5]), np.array([0.0, 0.25]))
    encoder = bridge._Encoder(bridge._OUT, None)
    assert encoder.encode(float("inf")) == {"$f": "inf"}
    assert encoder.encode([np.float32(1.5), np.bool_(True), None, "x"]) == [1.5, True, None, "x"]
    assert encoder.encode(b"ab") == {"$a": [0, (2,)]}


def test_results_are_narrowed_unless_asked(client):
    tensor, described = client.keep("tensor", client.put(x(2, 2)))
    assert described["shape"] == [2, 2]
    np.testing.assert_array_equal(client.ok("read", tensor), x(2, 2))
    assert not bridge._objects[tensor["$h"]].flags.writeable
    whole, _ = client.keep("tensor", client.put(np.float32([1, 2]), "n4"))
    assert client.ok("read", whole).dtype == np.float32
    bridge._alive.clear()
    for dtype, narrow in (("f8", "f4"), ("i8", "i4"), ("?", "u1"), ("f2", "f4"), ("i1", "i1")):
        out = bridge._Encoder(bridge._OUT, None).encode(np.ones(2, dtype))
        assert bridge._alive[out["$a"][0]].dtype == narrow


def test_functions_and_their_gradients(client):
    a, p, n = x(2, 3), x(2, 1, 3), -x(2, 4, 3)
    args = [client.put(v) for v in (a, p, n)]
    pull, described = client.keep("function_vjp", "training", "infoNce", args, {"temperature": 0.5})
    value, pullback = ga.vjp(ga.training.info_nce, a, p, n, temperature=0.5)
    assert described["output"] == pytest.approx(float(value))
    for got, expected in zip(client.ok("method", pull, "apply", [1], None), pullback(1.0), strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-6)
    ball, _ = client.keep("function", "geometry", "Poincare", [], {})
    points = [client.put(np.float32([0.0, 0.1])), client.put(np.float32([0.3, 0.1]))]
    _, described = client.keep("function_vjp", ball, "dist", points, {})
    assert described["output"] == pytest.approx(float(ga.geometry.Poincare().dist(*np.float32([[0, 0.1], [0.3, 0.1]]))))
    adam, described = client.keep(
        "function", "training", "Adam", [], {"betas": client.put(np.float64([0.5, 0.9]), "n8")}
    )
    assert described["type"] == "Adam"
    indices = client.ok(
        "function",
        "training",
        "sampleHardNegatives",
        [client.put(x(3)), client.put(x(6, 3)), client.put(np.int32([0])), 2],
        {"rng": 1},
    )
    assert indices.shape == (2,)
    assert adam


@pytest.mark.parametrize("format", ["npz", "safetensors"])
def test_save_and_load(client, format):
    attn, described = client.keep("create", "multi_head", {"dim": 4, "numHeads": 2, "seed": 3})
    data = client.ok("save", attn, format)
    _, again = client.keep("load", client.put(data), format)
    assert again["config"] == described["config"]
    assert client.error("load", client.put(data[:50]), format, keep=7)["code"] == "load_error"


def test_training_run(client):
    attn, _ = client.keep("create", "multi_head", {"dim": 4, "numHeads": 2})
    pairs = [[0, 1], [1, 0], [2, 3], [3, 2], [0, 0], [1, 1], [2, 2], [3, 3]]

    def start(options, labels=(0, 0, 1, 1), targets=None):
        graph = {"edges": client.put(np.int32(pairs)), "numNodes": 4}
        labels = None if labels is None else client.put(np.int32(labels))
        targets = None if targets is None else client.put(targets)
        return [attn, graph, client.put(x(4, 4)), labels, targets, None, options]

    run, _ = client.keep("train", *start({"epochs": 20, "lr": 0.05, "optimizer": "AdamW"}))
    seen = []
    while (progress := client.ok("train_steps", run)) is not None:
        seen.append(progress["fraction"])
    client.last_id += 1
    result = client.ok("train_result", run, keep=client.last_id)
    assert seen[-1] == 1
    assert len(result["losses"]) == 20
    assert result["losses"][-1] < result["losses"][0]
    assert result["attention"]["key"] == "multi_head"
    run, _ = client.keep("train", *start({"epochs": 2, "optimizer": "SGD"}, None, x(4, 4)))
    while client.ok("train_steps", run) is not None:
        pass
    for options, labels, argument in (
        ({"optimizer": "Magic"}, (0, 0, 1, 1), "optimizer"),
        ({"epoch": 3}, (0, 0, 1, 1), "epoch"),
        ({}, None, "labels"),
        ({}, (0, 1), "labels"),
        ({"lr": -1}, (0, 0, 1, 1), "lr"),
    ):
        assert client.error("train", *start(options, labels), keep=5)["argument"] == argument


def test_command_line(client):
    graph = client.put(np.frombuffer(b"0 1\n1 2\n2 0\n", np.uint8))
    argv = ["analyze", "--graph", "g.txt", "--mechanism", "flash", "--dim", "2", "--plot", "r.svg"]
    result = client.ok("command_line", argv, {"g.txt": graph}, ["r.svg"])
    assert result["status"] == 0, result["stderr"]
    assert "flash" in result["stdout"]
    assert b"<svg" in result["files"]["r.svg"].tobytes()
    damaged = client.put(np.frombuffer(b"{", np.uint8))
    result = client.ok("command_line", ["analyze", "--graph", "g.json"], {"g.json": damaged}, [])
    assert result["status"] == 2
    assert "g.json" in result["stderr"]
    assert "tmp" not in result["stderr"]
    edges = client.put(np.frombuffer(b"a b\nb c\n", np.uint8))
    result = client.ok("command_line", ["convert", "-", "g.csv"], {"-": edges}, ["g.csv"])
    assert (result["status"], result["stdout"]) == (0, "3 nodes, 2 edges, directed\n"), result["stderr"]
    assert result["files"]["g.csv"].tobytes() == b"source,target\na,b\nb,c\n"


@pytest.mark.parametrize(
    "request_",
    [
        ("create", "__class__", {"dim": 2}),
        ("create", "x" * 10**6, {"dim": 2}),
        ("create", "flash", {"dim": 2, "__init__": 1}),
        ("create", "flash", {"dim": 2, "cls": 1}),
        ("create", "flash", {"dim": 2, "y" * 10**6: 1}),
        ("create", "flash", {"dim": 2, "blockSize": 1, "block_size": 1}),
        ("create", "flash", [1]),
        ("create", "flash", None),
        ("function", "os", "system", ["true"], {}),
        ("function", "functional", "__builtins__", [], {}),
        ("function", "functional", "y" * 10**6, [], {}),
        ("function", "functional", "softmax", [], {}),
        ("function", "functional", "softmax", [1, 2, 3, 4], {}),
        ("function", "functional", "softmax", [1], {"axes": 1}),
        ("function", "functional", "softmax", [1], 3),
        ("method", {"$h": 99}, "forward", [], {}),
    ],
)
def test_hostile_requests_are_typed_errors(client, request_):
    error = client.error(*request_, keep=1)
    assert error["code"] == "invalid_config"
    assert len(error["message"]) <= bridge.SHOWN + 1
    assert len(json.dumps(error["actual"])) <= bridge.SHOWN + 50


@pytest.mark.parametrize("name", ["__init__", "_core", "save", "builder", "example", "", "x" * 1000, 3, None])
def test_only_public_methods(client, name):
    attn, _ = client.keep("create", "flash", {"dim": 2})
    assert client.error("method", attn, name, [], {})["code"] == "invalid_config"
    if isinstance(name, str) and len(name) < 50:
        assert client.error("attribute", attn, name)["code"] == "invalid_config"
    assert client.error("method", attn, "forward", [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11], {})["code"] == "invalid_config"
    assert client.error("method", attn, "forward", [1], {"query": 2})["code"] == "invalid_config"
    assert client.error("attribute", attn, "forward")["code"] == "invalid_config"


def test_errors_in_plain_types(client):
    error = bridge.describe_error(ga.OutOfBoundsError("i", index=7, length=3))
    assert (error["index"], error["length"], error["code"]) == (7, 3, "out_of_bounds")
    assert bridge.describe_error(MemoryError())["code"] == "out_of_memory"
    assert bridge.describe_error(ValueError("array is too big; x"))["code"] == "out_of_memory"
    internal = bridge.describe_error(RuntimeError("x" * 1000))
    assert internal["code"] == "internal_error"
    assert len(internal["message"]) == bridge.SHOWN + 1
    plain = ga.InvalidConfigError("m", expected=(1, float("nan"), {"a": 1}), actual=1.5)
    assert bridge.describe_error(plain)["expected"] == [1, "nan", "{'a': 1}"]
    assert bridge.describe_error(plain)["actual"] == 1.5


@pytest.mark.parametrize(("value", "got"), [(5, "a number"), ([[1, 2]], "an array"), (True, "a boolean")])
def test_errors_name_types_as_javascript_does(client, value, got):
    error = client.error("graph", value)
    assert error["message"].endswith(f"or a file, got {got}")
    assert error["actual"] == got


def test_interrupts_and_strange_objects(client, monkeypatch):
    def interrupted():
        raise KeyboardInterrupt

    monkeypatch.setitem(calls.OPERATIONS, "info", interrupted)
    assert client.error("info")["code"] == "aborted"
    monkeypatch.setitem(calls.OPERATIONS, "info", lambda: {1, 2})
    assert client.error("info")["code"] == "invalid_config"
    assert client.error("info", keep=1)["code"] == "unsupported"
    monkeypatch.setitem(calls.OPERATIONS, "info", lambda: [ga.FlashAttention(2), ga.FlashAttention(2)])
    assert client.error("info", keep=1)["code"] == "invalid_config"
    assert client.error("nothing")["code"] == "internal_error"


def test_arrays_must_lie_in_the_arena(client):
    bridge.reserve(64)
    answer = bridge.call(json.dumps({"op": "read", "args": [{"$a": ["f4", 1000, 0, [1000]]}]}))
    assert json.loads(answer)["error"]["code"] == "invalid_config"
    answer = bridge.call(json.dumps({"op": "read", "args": [{"$a": ["f4", 3, 0, [4]]}]}))
    assert json.loads(answer)["error"]["code"] == "dimension_mismatch"
    assert bridge.reserve(100).__array_interface__["data"][0] % bridge.ALIGNMENT == 0


def test_types_of_the_npm_package_are_fresh():
    import importlib.util
    import pathlib

    path = pathlib.Path(__file__).parent.parent / "tools" / "gen_types.py"
    if not path.exists():  # an installed package has no tools
        return
    spec = importlib.util.spec_from_file_location("gen_types", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.TARGET.read_text(encoding="utf-8") == module.generate()
    assert module.SCHEMAS.read_text(encoding="utf-8") == module.generate_schemas()
    assert module.ts.camel("w_q_x") == "wQX"


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        (np.array([True, False]), [True, False]),
        (np.array([0, 255], np.uint8), [False, True]),
        (np.array([1, 0]), [True, False]),
        (np.array([1, 0], np.int8), [True, False]),
        (np.array([0, -5]), np.array([0, -5], np.float32)),
        (np.array([1, 0], np.float32), np.array([1, 0], np.float32)),
    ],
)
def test_whole_numbers_of_0_and_1_are_a_mask_and_others_are_added(given, wanted):
    found = _bridge_arguments.mask(given)
    assert found.dtype == np.asarray(wanted).dtype
    assert found.tolist() == np.asarray(wanted).tolist()


@pytest.mark.parametrize(
    ("module", "name", "args", "argument"),
    [
        ("functional", "scaledDotProductAttention", [[[1.0]]] * 3 + [{"dropoutP": "a"}], "dropoutP"),
        ("training", "Pairs", [[[0], [1]], "a", {}], "numNodes"),
        ("training", "Pairs", [[[0], [1]], 3, {"numNegatives": -1}], "numNegatives"),
        ("training.schedules", "warmup", [0.1, -1, {}], "warmupSteps"),
    ],
)
def test_errors_spell_arguments_as_javascript_does(module, name, args, argument):
    error = json.loads(bridge.call(json.dumps({"op": "function", "args": [module, name, args[:-1], args[-1]]})))[
        "error"
    ]
    assert error["argument"] == argument
    assert error["message"].startswith(f"{argument}: ")


def test_names_are_known_as_soon_as_they_are_in_their_module(monkeypatch):
    module = types.ModuleType("graphattend.functional")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    assert _bridge_names.spelled("of_no_other: a") == "of_no_other: a"

    def late(of_no_other):
        """Stand for a function that is imported on first use."""

    late.__module__ = module.__name__
    module.late = late
    assert _bridge_names.spelled("of_no_other: a") == "ofNoOther: a"


def test_names_of_parameters_are_spelled_as_in_javascript_and_other_words_are_not():
    text = "edge_features: expected one of multi_head, w_q, got 'user_name'; is_causal"
    assert _bridge_names.spelled(text) == "edgeFeatures: expected one of multi_head, w_q, got 'user_name'; isCausal"
    assert _bridge_names.camel("metadata.edge_features") == "metadata.edgeFeatures"


#: Public top-level names, and their places in JavaScript.
ELSEWHERE = {
    **dict.fromkeys(("create", "from_config", "list_mechanisms", "schema"), "ga.create, ga.mechanisms, ga.schema"),
    **dict.fromkeys(
        ("backend_info", "use_backend", "simd"), "ga.backendInfo; connect's interpreter has the best backend"
    ),
    **dict.fromkeys(("load", "recommend", "vjp"), "ga.load, ga.recommend, ga.vjp"),
    **dict.fromkeys(("Attention", "Gradients", "GraphMetadata", "NeighborGraph", "Recommendation"), "types"),
    "errors": "AttentionError's code",
    **dict.fromkeys(("get_num_threads", "set_num_threads"), "one thread here: connect({ workers }) makes more"),
    "read_embeddings": "takes a path: a matrix is data, and the command line takes files",
    "interop": "other Python libraries",
    "parallel": "connect({ workers }) is the pool of a page",
    "dask": "needs processes, and files on disk",
    "testing": "checks for those who extend the Python library",
    **dict.fromkeys(
        ("evaluate", "evaluation", "Evaluation"), "many trainings, one after the other: ga.train, or the command line"
    ),
}


def test_everything_public_is_reachable_from_javascript_or_withheld_for_a_reason():
    import inspect
    import operator
    import pathlib
    import re

    path = pathlib.Path(__file__).parent.parent / "js" / "src" / "mechanisms.gen.ts"
    if not path.exists():  # an installed package has no npm package
        return
    functions = json.loads(re.search(r"^export const FUNCTIONS = (.*);$", path.read_text(encoding="utf-8"), re.M)[1])
    for module in _bridge_names.MODULES:
        package = operator.attrgetter(module)(ga)
        for name in package.__all__:
            spelled = name if inspect.isclass(getattr(package, name)) else _bridge_names.camel(name)
            assert (spelled in functions[module]) != (name in _bridge_names.WITHHELD), f"{module}.{name}"
    mechanisms = {type(ga.create(key, 8)).__name__ for key in ga.list_mechanisms()}
    errors = {name for name in ga.__all__ if name.endswith("Error")}
    parts = {module.partition(".")[0] for module in _bridge_names.MODULES}
    assert set(ga.__all__) == mechanisms | errors | parts | set(ELSEWHERE)
    methods = {name: m for key in ga.list_mechanisms() for name, m in vars(type(ga.create(key, 8))).items()}
    methods |= vars(ga.NeighborGraph)
    named = [n for n, m in methods.items() if n[0] != "_" and isinstance(m, (classmethod, staticmethod))]
    made = {"knn", "from_edge_index"}  # ga.knn, ga.graph
    assert {n for n in named if n not in made} <= set(_bridge_names.WITHHELD)


def test_a_result_beyond_float32_is_refused_unless_float64_is_asked_for(client):
    def product(answer, **options):
        large, one = client.put(np.float64([[1e200]])), client.put(np.float64([[1]]))
        return answer("function", "functional", "matmul", [large, one], None, **options)

    error = product(client.error)
    assert (error["code"], error["argument"]) == ("numerical_instability", "dtype")
    assert product(client.ok, dtype="float64") == 1e200


def test_a_plan_refuses_what_the_whole_request_refuses():
    out = np.zeros(2, np.float32)
    for large in (np.array([1e200, 1]), np.array([1, -1e39])):
        plan = plans.Plan(lambda large=large: large, {}, (out,), frozenset())
        with pytest.raises(NumericalInstabilityError, match="float64"):
            plan.run()
    whole = np.array([2**31 - 1, -(2**31)], np.int64)
    assert plans.narrowed(whole, np.dtype("i4")).tolist() == whole.tolist()
    with pytest.raises(NumericalInstabilityError, match="2147483648"):
        plans.narrowed(whole + 1, np.dtype("i4"))
    assert plans.narrowed(np.array([np.inf, np.nan]), np.dtype("f4")).dtype == np.float32
