"""Keys that no row sees change nothing, whatever they contain: every registered mechanism, without checks for NaN."""

import dataclasses

import numpy as np
import pytest

import graphattend as ga
from graphattend.mechanisms import mechanism_class
from graphattend.testing._case import Case, map_metadata

RUBBISH = [np.nan, np.inf, -np.inf, 1e308]
HIDDEN = [2, 5]
N = 7


def case_of(key, **options):
    """Return the example of a mechanism without checks for NaN, with three queries."""
    case = Case.make(mechanism_class(key), 0, n=N)
    attn = dataclasses.replace(case.attn, check_finite=False, **options).with_parameters(case.attn.parameters())
    return attn, {**case.inputs, "query": case.queries(3)}, case


KEYS = [
    (key, options)
    for key in ga.list_mechanisms()
    for options in ({}, {"is_causal": True})
    if not options or "is_causal" in ga.schema(key)["properties"]
]
every_mechanism = pytest.mark.parametrize(("key", "options"), KEYS, ids=[k + "-causal" * bool(o) for k, o in KEYS])


def spoilt(x, bad, rows=HIDDEN):
    """Return the inputs with rubbish in some rows of keys and values (..., N, D)."""
    keys, values = x["keys"].copy(), x["values"].copy()
    keys[..., rows, :] = values[..., rows, :] = bad
    return {**x, "keys": keys, "values": values}


def without(x, mask, rows=HIDDEN):
    """Return the inputs without these rows."""
    kept = [i for i in range(N) if i not in rows]
    out = {**x, "keys": x["keys"][..., kept, :], "values": x["values"][..., kept, :]}
    if out.get("metadata") is not None:
        whole = out["metadata"]
        per_key = map_metadata(whole, lambda a: a[kept])
        latent = {n: getattr(whole, n) for n in ("latent_keys", "latent_values")}
        out["metadata"] = dataclasses.replace(per_key, **latent)
    return out, mask[..., kept]


def passes(attn, x, mask):
    """Return outputs and weights of every kind of call, then all gradients."""
    x = dict(x)
    q, k, v = (x.pop(n) for n in ("query", "keys", "values"))
    out, weights = attn.forward(q, k, v, attn_mask=mask, need_weights=True, **x)
    prepared = attn.prepare(k, v)
    outputs = [out, attn.forward(q, k, v, attn_mask=mask, **x), attn.forward(q, prepared, attn_mask=mask, **x)]
    matrices = [weights, attn.attention_weights(q, k, attn_mask=mask, **x)]
    matrices.append(attn.attention_weights(q, prepared, attn_mask=mask, **x))
    y, pullback = attn.vjp(q, k, v, attn_mask=mask, **x)
    g = np.random.default_rng(1).standard_normal(y.shape)
    plain = pullback(g)
    weighed = pullback(g, np.random.default_rng(2).standard_normal(weights.shape[:-1])[..., None] * weights)
    return [*outputs, y], matrices, [plain, weighed]


def same(found, wanted):
    np.testing.assert_allclose(found, wanted, rtol=1e-9, atol=1e-11 * max(1, np.abs(wanted).max(initial=0)))


def same_gradients(found, wanted, kept):
    same(found.query, wanted.query)
    for a, b in ((found.keys, wanted.keys), (found.values, wanted.values)):
        same(a[..., kept, :], b if b.shape[-2] == len(kept) else b[..., kept, :])
    assert found.parameters.keys() == wanted.parameters.keys()
    for name, a in found.parameters.items():
        same(a, wanted.parameters[name])


@every_mechanism
@pytest.mark.parametrize("bad", RUBBISH)
@pytest.mark.parametrize("kind", ["bool", "float"])
@pytest.mark.parametrize("shape", ["keys", "pairs", "one query"])
def test_keys_that_no_row_sees(key, options, bad, kind, shape):
    attn, x, _ = case_of(key, **options)
    if shape == "one query":
        x["query"] = x["query"][0]
    mask = np.ones((3, N) if shape == "pairs" else N, bool)
    mask[..., HIDDEN] = False
    if shape == "pairs":
        mask[1, 0] = False
    if kind == "float":
        mask = np.where(mask, 0.5, -np.inf)
    clean, found = passes(attn, x, mask), passes(attn, spoilt(x, bad), mask)
    kept = [i for i in range(N) if i not in HIDDEN]
    for a, b in zip(found[0] + found[1], clean[0] + clean[1], strict=True):
        same(a, b)
    for a, b in zip(found[2], clean[2], strict=True):
        same_gradients(a, b, kept)
        assert not a.keys[..., HIDDEN, :].any()
        assert not a.values[..., HIDDEN, :].any()
        for name in a.metadata:
            same(a.metadata[name], b.metadata[name])
    if "permutation" in attn.laws and not attn.is_causal:  # the order of keys does not matter
        absent = passes(attn, *without(x, mask))
        for a, b in zip(found[0], absent[0], strict=True):
            same(a, b)
        for a, b in zip(found[2], absent[2], strict=True):
            same_gradients(a, b, kept)


@every_mechanism
@pytest.mark.parametrize("bad", RUBBISH[:3])  # an overflow of finite numbers may raise an error
@pytest.mark.parametrize("kind", ["bool", "float"])
def test_keys_that_some_rows_do_not_see(key, options, bad, kind):
    """Rows 0 and 1 of one batch entry and row 0 of the other see no rubbish, and are as with clean keys."""
    attn, _, case = case_of(key, **options)
    x = case.batched()
    mask = np.ones((2, 1, 3, N) if attn.heads else (2, 3, N), bool)
    mask[0, ..., :2, HIDDEN[0]] = mask[1, ..., 0, HIDDEN[0]] = mask[..., 0, 1] = False
    mask[..., HIDDEN[1]] = False
    if kind == "float":
        mask = np.where(mask, 0.0, -np.inf)
    clean_rows = np.array([[1, 1, 0], [1, 0, 0]], bool)
    if attn.is_causal:
        clean_rows[1, 1] = True  # key 2 comes later
    results = []
    for inputs in (x, spoilt(x, bad)):
        out, _, grads = passes(attn, inputs, mask)
        results.append([*(a[clean_rows] for a in out), grads[0].query[clean_rows]])
        # The gradients of keys and parameters from only these rows.
        seen = mask if kind == "bool" else ~np.isneginf(mask)
        alone = seen & (clean_rows[:, None, :, None] if attn.heads else clean_rows[..., None])
        grads = passes(attn, inputs, alone)[2][0]
        results[-1] += [grads.query, grads.keys, grads.values, *grads.parameters.values()]
    for a, b in zip(*results, strict=True):
        same(b, a)


@pytest.mark.parametrize("key", [k for k, o in KEYS if o])
@pytest.mark.parametrize("bad", RUBBISH)
def test_keys_that_come_later(key, bad):
    """Without a mask, causal rows before the first bad key are clean, and so is the gradient of key 6 after all rows."""
    attn, x, _ = case_of(key, is_causal=True)
    x["query"] = np.concatenate([x["query"], x["keys"][:3]])
    results = []
    for rows in ([], [2, 6]):  # key 6 comes after the last row
        y = spoilt(x, bad, rows)
        out, pull = attn.vjp(y["query"], y["keys"], y["values"])
        g = pull(np.ones_like(out))
        results.append([out[:2], attn.forward(y["query"], y["keys"], y["values"])[:2], g.query[:2], g.values[6]])
        out, pull = attn.vjp(y["query"][:2], y["keys"], y["values"])
        results[-1] += [out, *pull(np.ones_like(out))[:3], *pull(np.ones_like(out)).parameters.values()]
    for a, b in zip(*results, strict=True):
        same(b, a)


def test_a_row_is_spoilt_by_what_it_sees_alone(rng):
    """Infinity in one column of a value stays in that column, whatever values the mask hides from the row."""
    for attn in (ga.ScaledDotProductAttention(4, check_finite=False), ga.LinearAttention(4, check_finite=False)):
        q, k, v = rng.standard_normal((3, 4)), rng.standard_normal((5, 4)), rng.standard_normal((5, 2))
        v[1] = np.inf, 0.5
        v[3] = np.nan
        mask = np.ones((3, 5), bool)
        mask[0, [1, 3]] = mask[1, 3] = False
        out = attn.forward(q, k, v, attn_mask=mask)
        clean = np.where(np.isfinite(v), v, 0)
        np.testing.assert_allclose(out[0], attn.forward(q, k, clean, attn_mask=mask)[0])
        np.testing.assert_allclose(out[1, 1], attn.forward(q, k, clean, attn_mask=mask)[1, 1])
        assert np.isposinf(out[1, 0])
        assert np.isnan(out[2]).all()


def test_dropout_is_the_same_in_every_group_of_rows(rng):
    attn = ga.ScaledDotProductAttention(4, check_finite=False, dropout=0.5)
    x = rng.standard_normal((6, 4))
    mask = np.tril(np.ones((6, 6), bool))
    results = []
    for bad in (0.0, np.nan):
        y = x.copy()
        y[4] = bad
        generator = np.random.default_rng(3)
        out = attn.forward(x, y, y, attn_mask=mask, training=True, rng=generator)
        results.append((out[:4], generator.random()))
    np.testing.assert_allclose(results[1][0], results[0][0])
    assert results[0][1] == results[1][1]


def test_what_sees_all_nodes():
    """Latent neighbours are searched among all nodes, by definition."""
    assert [key for key in ga.list_mechanisms() if case_of(key)[0].sees_all_nodes] == ["cross_space"]
    attn = ga.create("moe", 4, experts=[ga.CrossSpaceAttention(4), ga.ScaledDotProductAttention(4)])
    assert attn.sees_all_nodes


@pytest.mark.parametrize("key", [key for key in ga.list_mechanisms() if not case_of(key)[0].sees_all_nodes])
@pytest.mark.parametrize("bad", RUBBISH)
def test_nodes_that_are_no_neighbour(key, bad):
    """Nodes 2 and 5 are no node's neighbour, and 5 has none; rubbish there does not reach other rows."""
    attn, x, _ = case_of(key)
    rng = np.random.default_rng(0)
    pairs = [(j, i) for i in range(N) for j in range(N) if i != 5 and j not in HIDDEN and (i + j) % 3]
    count = len(pairs)
    extra = {
        "layers": rng.integers(0, 3, N),
        "distances": rng.random(count),
        "edge_features": rng.random((count, 2 if key == "moe" else 3)),
    }
    if not attn.needed + attn.used:
        extra = {}
    graph = ga.NeighborGraph.from_edge_index(np.array(pairs).T, N, **extra)
    seen = attn._attended_graph(graph)
    hidden = [i for i in HIDDEN if not (seen.indices == i).any()]
    if not hidden:
        return
    clean = x["keys"]
    for given in (1, 3):  # keys and values by default, or separate arrays
        results = []
        for rubbish in (None, bad):
            nodes = [clean.copy() for _ in range(given)]
            for i, a in enumerate(nodes):
                if rubbish is not None:
                    a[hidden if i else [h for h in hidden if h == 5]] = rubbish
            out, weights = attn.attend(graph, *nodes, need_weights=True)
            y, pull = attn.attend_vjp(graph, *nodes)
            g = pull(np.random.default_rng(1).standard_normal(y.shape))
            results.append([out, weights, y, *g[:3], *g.parameters.values()])
        for a, b in zip(*results, strict=True):
            same(b, a)


@pytest.mark.parametrize("key", [key for key in ga.list_mechanisms() if not case_of(key)[0].sees_all_nodes])
def test_a_node_that_only_looks_spoils_itself_alone(key):
    """Nodes are queries, keys and values; node 2 has neighbours but is no node's neighbour."""
    attn, x, _ = case_of(key)
    pairs = np.array([(j, i) for i in range(N) for j in range(N) if j != 2]).T
    extra = {"layers": np.zeros(N, int), "distances": np.ones(pairs.shape[1])}
    extra["edge_features"] = np.ones((pairs.shape[1], 2 if key == "moe" else 3))
    graph = ga.NeighborGraph.from_edge_index(pairs, N, **(extra if attn.needed + attn.used else {}))
    seen = attn._attended_graph(graph)
    nodes, others = x["keys"].copy(), np.setdiff1d(np.arange(N), [2, *seen.targets[seen.indices == 2]])
    clean = attn.attend(graph, nodes)
    nodes[2] = np.nan
    same(attn.attend(graph, nodes)[others], clean[others])
    same(attn.attend_vjp(graph, nodes)[0][others], clean[others])
