"""Repeated requests: a plan gives the result of the whole request, and none after an object it uses is freed."""

import ctypes
import json

import numpy as np
import pytest

import graphattend as ga
from graphattend import _bridge as bridge
from graphattend import _bridge_plans as plans
from graphattend._bridge_names import camel
from graphattend.graph import GraphMetadata
from graphattend.mechanisms import mechanism_class

D, N = 8, 5
RNG = np.random.default_rng(0)
ID, KEYS, VALUES = 9001, 9002, 9003


@pytest.fixture
def arena():
    """Provide an arena, a mechanism and two kept arrays, and free them afterwards."""
    block = bridge.reserve(4096)
    send("create", "scaled_dot_product", {"dim": D}, keep=ID)
    rng = np.random.default_rng(0)
    for number in (KEYS, VALUES):
        put(block, rng.standard_normal((N, D)))
        send("tensor", at((N, D)), keep=number)
    bridge._plans.forget()
    bridge._plans._seen.clear()
    yield block
    bridge.free(ID, KEYS, VALUES)
    bridge.reserve(0)


def put(block, x):
    data = np.asarray(x, np.float32)
    block[: data.nbytes] = np.frombuffer(data.tobytes(), np.uint8)


def at(shape, code="f4"):
    return {"$a": [code, int(np.prod(shape)), 0, list(shape)]}


def ref(number):
    return {"$h": number}


def send(op, *args, **more):
    """Send a request and return the lines of the answer."""
    return bridge.call(json.dumps({"op": op, "args": args, **more})).split("\n")


def forward(options=None):
    return send("method", ref(ID), "forward", [at((D,)), ref(KEYS), ref(VALUES)], options)


def planned(options=None):
    """Return the number of a request's plan and the places of its results, as JavaScript reads them."""
    assert len(forward(options)) == 2, "a request that comes once has no plan"
    lines = forward(options)
    assert len(lines) in (3, 4)
    number, *where = lines[2].split(";")
    return int(number), [place.split(",") for place in where]


def results(block, where):
    start = block.__array_interface__["data"][0]
    found = []
    for code, address, count in where:
        offset = int(address) - start
        assert offset % plans.ALIGNMENT == 0
        dtype = np.dtype(code)
        assert offset + int(count) * dtype.itemsize <= block.size
        found.append(np.frombuffer(block[offset:].tobytes(), dtype, int(count)))
    return found


def expected(query, **options):
    attn = bridge._objects[ID]
    return attn.forward(np.asarray(query, np.float32), bridge._objects[KEYS], bridge._objects[VALUES], **options)


def test_the_same_request_with_other_numbers(arena):
    number, where = planned()
    for seed in range(3):
        query = np.random.default_rng(seed).standard_normal(D)
        put(arena, query)
        assert bridge.again(number) is True
        np.testing.assert_array_equal(results(arena, where)[0], expected(query))


def test_several_results(arena):
    number, where = planned(options={"needWeights": True})
    query = np.linspace(-1, 1, D)
    put(arena, query)
    assert bridge.again(number)
    output, weights = results(arena, where)
    want_output, want_weights = expected(query, need_weights=True)
    np.testing.assert_array_equal(output, want_output)
    np.testing.assert_array_equal(weights, want_weights.ravel())


def test_double_precision_is_kept_or_narrowed_as_in_the_answer(arena):
    put64 = np.linspace(-1, 1, D)
    arena[: put64.nbytes] = np.frombuffer(put64.tobytes(), np.uint8)
    args = ("method", ref(ID), "forward", [at((D,), "f8"), ref(KEYS), ref(VALUES)], None)
    for dtype, code in (("float64", "f8"), (None, "f4")):
        send(*args, dtype=dtype)
        number, place = send(*args, dtype=dtype)[2].split(";")
        assert place.startswith(code)
        assert bridge.again(int(number))
        want = bridge._objects[ID].forward(put64, bridge._objects[KEYS], bridge._objects[VALUES])
        np.testing.assert_array_equal(results(arena, [place.split(",")])[0], want.astype(code))


def test_an_error_is_left_to_the_whole_request(arena):
    number, _ = planned()
    put(arena, np.full(D, np.nan))
    assert bridge.again(number) is False
    assert json.loads(forward()[0])["error"]["code"] == "numerical_instability"
    put(arena, np.zeros(D))
    assert bridge.again(number) is True


@pytest.mark.parametrize("gone", [ID, KEYS, VALUES])
def test_a_freed_object_ends_the_plans_that_use_it(arena, gone):
    number, _ = planned()
    bridge.free(12345)
    assert bridge.again(number) is True
    bridge.free(gone)
    assert bridge.again(number) is False


def test_a_new_arena_ends_all_plans(arena):
    number, _ = planned()
    bridge.reserve(8192)
    assert bridge.again(number) is False


def test_unknown_numbers(arena):
    assert bridge.again(-1) is False
    assert bridge.again(10**9) is False


@pytest.mark.with_kernels
def test_one_kernel_call_is_bound_and_the_count_says_how_long(arena):
    forward()
    lines = forward()
    assert len(lines) == 4
    number = int(lines[2].split(";")[0])
    plan = bridge._plans._plans[number]
    assert int(lines[3]) == plan.bound.address
    assert len(forward({"needWeights": False})) == 2
    assert len(forward({"needWeights": False})) == 4
    assert len(forward({"needWeights": True})) == 2
    assert len(forward({"needWeights": True})) == 4
    assert len(forward({"topK": 2})) == 2
    assert len(forward({"topK": 2})) == 3
    arena_at, dropped_at = map(int, bridge.reserve_at(4096).split(","))
    assert arena_at == bridge._arena.__array_interface__["data"][0]
    assert dropped_at == bridge._plans.dropped.__array_interface__["data"][0]
    put(bridge._arena, np.zeros(D))
    assert len(forward()) == 4
    before = int(bridge._plans.dropped[0])
    bridge.free(12345)
    assert bridge._plans.dropped[0] == before
    bridge.free(KEYS)
    assert bridge._plans.dropped[0] > before


def test_requests_that_mean_something_else_each_time_have_no_plan(arena):
    number, row, call = at((D,), "n4"), at((D,)), [ref(KEYS), ref(VALUES)]
    requests = [
        ("method", ref(ID), "forward", [at((D,), "n8"), *call], None),
        ("method", ref(ID), "forward", [row, *call], {"attnMask": {"$a": ["n4", N, 256, [N]]}}),
        ("method", ref(ID), "forward", [row, *call], {"attnMask": {"$a": ["i4", N, 256, [N]]}}),
        ("method", ref(ID), "forward", [row, *call], {"attnMask": ref(VALUES), "topK": [2]}),
        ("method", ref(ID), "forward", [row, *call], {"rng": 3}),
        ("method", ref(ID), "parameters", [], None),
        ("function", "functional", "softmax", [number], None),
        ("function", "functional", "load_balance_loss", [at((2, D)), 2], None),  # a number
        ("info",),
    ]
    for request in requests:
        for _ in range(3):
            assert len(send(*request)) == 2, request
    assert bridge._plans._plans == {}


def place(block, start, x):
    """Write an array into the arena and return its reference."""
    x = np.asarray(x)
    block[start : start + x.nbytes] = np.frombuffer(x.tobytes(), np.uint8)
    return {"$a": [x.dtype.str[1:], x.size, start, list(x.shape)]}


def repeated(block, request, change, expected):
    """Plan a request, then compare its plan with `expected()` for several numbers that `change(seed)` writes."""
    assert len(send(*request)) == 2
    lines = send(*request)
    assert len(lines) in (3, 4), json.loads(lines[0])
    number, *where = lines[2].split(";")
    for seed in (5, 6, 7):
        change(seed)
        assert bridge.again(int(number)) is True
        found = results(block, [w.split(",") for w in where])
        want = expected()
        for x, y in zip(found, want if isinstance(want, tuple) else (want,), strict=True):
            np.testing.assert_array_equal(x, y.ravel().astype(x.dtype))


@pytest.mark.parametrize("name", ["forward", "attention_weights"])
def test_plain_numbers_whole_or_not(arena, name):
    drawn, attn, keys = {}, bridge._objects[ID], bridge._objects[KEYS]

    def write(seed):
        drawn["query"] = [np.arange(D), np.linspace(-1, 1, D), np.full(D, 3e5)][seed % 3].astype(np.float32)
        return place(arena, 0, drawn["query"])

    query, more = write(0), [ref(VALUES)] if name == "forward" else []
    query["$a"][0] = "n4"
    want = [bridge._objects[VALUES]] if more else []
    request = ("method", ref(ID), name, [query, ref(KEYS), *more], None)
    repeated(arena, request, write, lambda: getattr(attn, name)(drawn["query"], keys, *want))


MASKS = {
    "booleans": lambda rng: rng.random(N) < 0.7,
    "bytes": lambda rng: rng.integers(0, 3, N).astype(np.uint8),
    "numbers": lambda rng: rng.standard_normal(N).astype(np.float32),
}


@pytest.mark.parametrize("kind", MASKS)
@pytest.mark.parametrize("rows", [1, 3])
def test_a_mask_is_read_anew(arena, kind, rows):
    drawn = {}

    def write(seed):
        rng = np.random.default_rng(seed)
        drawn["mask"] = MASKS[kind](rng)
        drawn["query"] = rng.standard_normal((rows, D)).astype(np.float32)
        query, mask = place(arena, 0, drawn["query"]), place(arena, 256, drawn["mask"])
        return query, mask | ({"$a": ["b1", *mask["$a"][1:]]} if kind == "booleans" else {})

    def want():
        mask = drawn["mask"] if kind == "numbers" else drawn["mask"] != 0
        return expected(drawn["query"], attn_mask=mask)

    query, mask = write(0)
    repeated(arena, ("method", ref(ID), "forward", [query, ref(KEYS), ref(VALUES)], {"attnMask": mask}), write, want)


@pytest.mark.parametrize("key", [k for k in ga.list_mechanisms() if mechanism_class(k).example(RNG, 5)[0].needed])
def test_metadata_are_read_anew(key):
    attn, call = mechanism_class(key).example(np.random.default_rng(0), N, D)
    fields = {n: x for n, x in vars(call["metadata"]).items() if x is not None}
    arrays = {n: np.asarray(x, np.float32) for n, x in call.items() if n != "metadata"}
    arrays |= {n: np.asarray(x, np.float32 if x.dtype.kind == "f" else None) for n, x in fields.items() if np.ndim(x)}
    block = bridge.reserve(1 << 16)
    bridge._objects[ID] = attn
    drawn = {}

    def write(seed):
        rng, start, refs = np.random.default_rng(seed), 0, {}
        for name, x in arrays.items():
            drawn[name] = rng.permutation(x.ravel()).reshape(x.shape)
            refs[name] = place(block, start, drawn[name])
            start += -(-x.nbytes // 64) * 64
        return refs

    def want():
        metadata = GraphMetadata(**{n: drawn.get(n, x) for n, x in fields.items()})
        return attn.forward(drawn["query"], drawn["keys"], drawn["values"], metadata=metadata, need_weights=True)

    refs = write(0)
    named = {camel(n): refs.get(n, x) for n, x in fields.items()}
    args = [refs.pop(n) for n in ("query", "keys", "values")]
    try:
        request = ("method", ref(ID), "forward", args, {"metadata": named, "needWeights": True})
        repeated(block, request, write, want)
        place(block, start_of(named["edgeFeatures"] if "edgeFeatures" in named else args[0]), np.float32(np.nan))
        assert bridge.again(max(bridge._plans._plans)) is False, "what fails is left to the whole request"
    finally:
        bridge.free(ID)
        bridge.reserve(0)


def start_of(reference):
    return reference["$a"][2]


def test_functions_and_manifolds_repeat(arena):
    ball = bridge._objects[ID] = ga.geometry.Poincare(-1.0)
    x, y = place(arena, 0, np.zeros((3, D), np.float32)), place(arena, 256, np.zeros((3, D), np.float32))
    drawn = {}

    def write(seed):
        rng = np.random.default_rng(seed)
        for name, start in (("x", 0), ("y", 256)):
            drawn[name] = (0.1 * rng.standard_normal((3, D))).astype(np.float32)
            place(arena, start, drawn[name])

    cases = [
        (("method", ref(ID), "dist", [x, y], None), lambda: ball.dist(**drawn)),
        (("function", "functional", "softmax", [x], {"axis": 0}), lambda: ga.functional.softmax(drawn["x"], axis=0)),
        (
            ("function", "functional", "scaled_dot_product_attention", [x, y, y], {"returnWeights": True}),
            lambda: ga.functional.scaled_dot_product_attention(drawn["x"], drawn["y"], drawn["y"], return_weights=True),
        ),
    ]
    for request, want in cases:
        repeated(arena, request, write, want)


def test_arguments_that_were_copied_are_not_repeated():
    row, copy = np.ones(3), np.ones(3)
    assert plans.uses_all([row, 1.5, None], [row])
    assert plans.uses_all([row.reshape(1, 3)], [row])
    assert not plans.uses_all([copy], [row])
    assert not plans.uses_all([row, np.random.default_rng(0)], [row])
    assert plans.uses_all([GraphMetadata(distances=row)], [row])
    assert not plans.uses_all([GraphMetadata(distances=copy)], [row])


def test_no_plan_for_results_that_are_no_plain_arrays(arena):
    bridge._objects[ID] = ga.create("mixed_curvature", D)
    for _ in range(3):
        lines = send("method", ref(ID), "parameters", [], None)
        assert "ok" in json.loads(lines[0])
        assert bridge._alive
        assert len(lines) == 2


def test_no_plan_where_the_results_do_not_fit(arena):
    bridge.reserve(D * 4 + 32)
    for _ in range(3):
        assert len(forward()) == 2


def test_what_is_remembered_is_bounded(arena):
    numbers = []
    for i in range(plans.MOST + 2):
        args = [ref(ID), "forward", [at((D,)), ref(KEYS), ref(VALUES)], None]
        text = json.dumps({"op": "method", "args": args}) + " " * i
        bridge.call(text)
        numbers.append(int(bridge.call(text).split("\n")[2].split(";")[0]))
    assert len(set(numbers)) == len(numbers)
    assert len(bridge._plans._plans) <= plans.MOST
    assert len(bridge._plans._seen) <= plans.MOST
    assert bridge.again(numbers[-1]) is True
    assert bridge.again(numbers[0]) is False


@pytest.mark.parametrize("key", ga.list_mechanisms())
def test_every_mechanism_repeats_as_it_answered(key):
    """Use the conformance example of each mechanism that JavaScript can call without metadata."""
    attn = ga.create(key, D)
    bridge.reserve(4096)
    bridge._objects[ID] = attn
    rng = np.random.default_rng(1)
    try:
        for number in (KEYS, VALUES):
            bridge._objects[number] = (0.1 * rng.standard_normal((N, D))).astype(np.float32)
        query = (0.1 * rng.standard_normal(D)).astype(np.float32)
        put(bridge._arena, query)
        first = forward()
        if "error" in json.loads(first[0]):
            assert len(forward()) == 2, "what fails is not repeated"
            return
        answer = bridge._alive[0].copy()
        number, *where = forward()[2].split(";")
        assert bridge.again(int(number)) is True
        np.testing.assert_array_equal(results(bridge._arena, [w.split(",") for w in where])[0], answer.ravel())
    finally:
        bridge.free(ID, KEYS, VALUES)
        bridge.reserve(0)


class Changing:
    """Returns different results in each call."""

    def __init__(self, *results):
        self.results = iter(results)

    def __call__(self):
        return next(self.results)


@pytest.mark.parametrize("later", [(np.ones(3), np.ones(3)), np.ones(4)])
def test_results_that_are_not_what_they_were_are_asked_for_in_full(later):
    out = np.zeros(3)
    plan = plans.Plan(Changing(np.ones(3), later), {}, (out,), frozenset())
    assert plan.run() is True
    assert out.tolist() == [1, 1, 1]
    assert plan.run() is False


BOUND = ["scaled_dot_product", "flash", "multi_head", "hyperbolic", "mixed_curvature", "linear"]


def repeat(call):
    """Call the kernel as JavaScript does, by its address and the address of its arguments; 1 means done."""
    word = np.uintp(0).nbytes
    function = int(call.memory[:word].view(np.uintp)[0])
    return ctypes.PYFUNCTYPE(ctypes.c_int, ctypes.c_void_p)(function)(call.address + 8)


@pytest.mark.with_kernels
@pytest.mark.parametrize("key", BOUND)
@pytest.mark.parametrize("rows", [None, 1])
def test_weights_are_bound_and_have_the_same_bits(key, rows):
    attn = ga.create(key, D)
    query, keys, values = ((0.1 * RNG.standard_normal(shape)).astype(np.float32) for shape in ((D,), (N, D), (N, D)))
    query = query if rows is None else query[None]
    weights = attn.attention_weights, {"query": query, "keys": keys}
    for function, arguments in ((attn.forward, {**weights[1], "values": values, "need_weights": True}), weights):
        like = function(**arguments)
        outs = tuple(np.zeros_like(x) for x in (like if isinstance(like, tuple) else (like,)))
        call = plans.bound_call(function, [], arguments, outs, (query, keys))
        assert call is not None
        query[:], keys[0] = 0.1, -0.1
        assert repeat(call) == 1
        want = function(**arguments)
        for x, y in zip(outs, want if isinstance(want, tuple) else (want,), strict=True):
            np.testing.assert_array_equal(x, y)
        query[..., 1] = np.nan
        assert repeat(call) != 1
        query[..., 1] = 0


#: Mechanisms whose forward pass is one kernel call, also with metadata and another query.
ONE_CALL = {*BOUND, "dynamic_heads", "edge_featured", "cross_space", "graph_rope"}


@pytest.mark.with_kernels
@pytest.mark.parametrize("key", ga.list_mechanisms())
def test_a_pass_is_bound_only_where_other_numbers_need_no_python(key):
    attn, call = mechanism_class(key).example(np.random.default_rng(0), N, D)
    floats = {n: np.asarray(x, np.float32) for n, x in call.items() if n != "metadata"}
    fields = {n: x for n, x in vars(call.get("metadata", GraphMetadata())).items() if x is not None}
    changing = {n: np.asarray(x, np.float32) for n, x in fields.items() if np.asarray(x).dtype.kind == "f"}
    metadata = GraphMetadata(**(fields | changing)) if fields else None
    arguments = {**floats, "metadata": metadata}
    out = np.empty_like(attn.forward(**arguments))
    found = plans.bound_call(attn.forward, [], arguments, (out,), (floats["query"], *changing.values()))
    assert (found is not None) is (key in ONE_CALL)
    rng = np.random.default_rng(1)
    for _ in range(5 * (found is not None)):
        for x in (floats["query"], *changing.values()):
            x[...] = 0.1 * rng.random(x.shape)
        assert repeat(found) == 1
        np.testing.assert_array_equal(out, attn.forward(**arguments))


@pytest.mark.with_kernels
@pytest.mark.parametrize("key", ["scaled_dot_product", "multi_head", "hyperbolic"])
@pytest.mark.parametrize("prepared", [False, True])
def test_a_matrix_of_one_query_is_bound(key, prepared):
    attn, rng = ga.create(key, D), np.random.default_rng(0)
    query, keys, values = ((0.1 * rng.standard_normal((n, D))).astype(np.float32) for n in (1, N, N))
    given = {"keys": attn.prepare(keys, values)} if prepared else {"keys": keys, "values": values}
    out = np.empty((1, D), np.float32)
    assert plans.bound_call(attn.forward, [], {"query": query, **given}, (out,), (query,)) is not None


@pytest.mark.with_kernels
def test_large_results_are_not_bound():
    attn, keys = ga.create("scaled_dot_product", D), np.ones((N, D), np.float32)
    for rows, wanted in ((plans.LARGE // (4 * D), True), (plans.LARGE // (4 * D) + 1, False)):
        query = np.ones((rows, D), np.float32)
        given = {"query": query, "keys": keys, "values": keys}
        assert (plans.bound_call(attn.forward, [], given, (np.empty_like(query),), (query,)) is not None) is wanted


@pytest.mark.with_kernels
@pytest.mark.parametrize("wide", [False, True])
def test_functions_without_checks_are_bound(wide):
    x, y = (RNG.standard_normal((600 if wide else N, 600)).astype(np.float32) for _ in range(2))
    for function, args, named in (
        (ga.functional.softmax, [x], {}),
        (ga.functional.softmax, [], {"x": x, "axis": -1}),
        (ga.functional.matmul, [x, y.T.copy()], {}),
    ):
        out = np.zeros_like(function(*args, **named))
        given = (*args, *(x for x in named.values() if isinstance(x, np.ndarray)))
        call = plans.bound_call(function, args, named, (out,), given)
        if call is None:
            assert function is ga.functional.matmul, "only products may be large, or left to BLAS"
            continue
        assert function is ga.functional.softmax or not wide
        for fill in (0.5, np.nan):
            x[0, 1:] = fill
            assert plans.Plan(None, {}, (out,), frozenset(), call).run() is True
            np.testing.assert_array_equal(out, function(*args, **named))
    assert plans.bound_call(ga.functional.softmax, [x], {"axis": 0}, (np.empty_like(x),), (x,)) is None
    row, indptr = x[0].copy(), np.array([0, 600], np.int64)
    assert plans.bound_call(ga.functional.segment_softmax, [row, indptr], {}, (np.empty_like(row),), (row,)) is None


@pytest.mark.with_kernels
def test_large_results_are_planned_only_if_they_are_bound(arena):
    n = int((plans.LARGE // 4) ** 0.5) + 1
    bridge.reserve(8 * n * n + 2 * plans.ALIGNMENT)
    put(bridge._arena, RNG.standard_normal((n, n)))
    for axis, count in ((0, 2), (-1, 4)):
        for _ in range(3):
            lines = send("function", "functional", "softmax", [at((n, n))], {"axis": axis})
        assert "ok" in json.loads(lines[0])
        assert len(lines) == count
    want = ga.functional.softmax(np.ndarray((n, n), np.float32, bridge._arena))
    number, *where = lines[2].split(";")
    assert bridge.again(int(number)) is True
    np.testing.assert_array_equal(results(bridge._arena, [w.split(",") for w in where])[0], want.ravel())


def test_prepared_keys_are_bound_for_their_own_mechanism_alone():
    attn, other = ga.create("multi_head", D, num_heads=2), ga.create("multi_head", D, num_heads=2, seed=1)
    rng = np.random.default_rng(0)
    query, keys, values = (rng.standard_normal(shape).astype(np.float32) for shape in ((D,), (N, D), (N, D)))
    prepared, out = attn.prepare(keys, values), np.empty(D, np.float32)

    def bound(of, **arguments):
        return plans.bound_call(of.forward, [], {"query": query, "keys": prepared, **arguments}, (out,), (query,))

    assert bound(other) is None
    assert bound(attn, values=values) is None
    assert bound(attn, attn_mask=np.ones(N, bool)) is None
    if (found := bound(attn)) is not None:  # only with kernels
        del found
    np.testing.assert_allclose(attn.forward(query, prepared), attn.forward(query, keys, values), rtol=1e-5)
