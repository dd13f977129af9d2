"""Two laws of every mechanism: masked keys change nothing, and every path gives the same result.

The inputs are a mechanism's example with a random number of keys and queries, leading axes, dtypes and options.
"""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from soak.mechanisms import DIM, KEYS, VARIANTS, mechanism

import graphattend as ga
from graphattend.mechanisms import mechanism_class
from graphattend.testing._case import map_metadata

RUBBISH = (np.nan, np.inf, -np.inf, 1e308, 0.0)
every_mechanism = pytest.mark.parametrize("key", KEYS)
drawn = given(st.integers(0, 2**32 - 1))


def sane(attn):
    """Return whether its options do not magnify rounding errors and accept the example's points."""
    options = attn.to_config()["options"]
    cold = min(options.get("temperature", 1.0), 1 / options.get("sharpness", 1.0), 1 / abs(options.get("scale") or 1.0))
    return cold > 0.05 and options.get("curvature", -1.0) > -3 and not options.get("strict")


#: Number of variants of each mechanism.
SANE = {key: [i for i in range(VARIANTS) if sane(mechanism(key, i))] for key in KEYS}


def example(key, seed, least=1):
    """Return a mechanism with random options, inputs of a call, and the generator."""
    rng = np.random.default_rng(seed)
    attn = mechanism(key, SANE[key][int(rng.integers(len(SANE[key])))])
    n, m = int(rng.integers(max(least, 6), 10)), int(rng.integers(1, 4))
    _, inputs = mechanism_class(key).example(rng, n, DIM)
    queries = [mechanism_class(key).example(rng, 1, DIM)[1]["query"] for _ in range(m - 1)]
    inputs["query"] = np.stack([inputs["query"], *queries])
    metadata = inputs.pop("metadata", None)
    if metadata is not None and attn.unread:
        metadata = dataclasses.replace(metadata, **dict.fromkeys(attn.unread))
    inputs["metadata"] = metadata
    return attn, inputs, rng


def call(attn, x, method="forward", **more):
    x = {**x, **more}
    arrays = [x.pop(name) for name in ("query", "keys", "values") if name in x]
    return getattr(attn, method)(*arrays, **x)


def per_key(metadata, change):
    """Apply `change` to the metadata's arrays per key; latent neighbours are not keys."""
    if metadata is None:
        return None
    latent = {name: getattr(metadata, name) for name in ("latent_keys", "latent_values")}
    return dataclasses.replace(map_metadata(metadata, change), **latent)


def close(found, wanted, tolerance=1e-8, size=1e-12):
    size = max(size, np.abs(wanted).max(initial=0))
    np.testing.assert_allclose(found, wanted, rtol=tolerance, atol=tolerance * size)


def taken(x, rows):
    """Return the inputs with only these keys."""
    keys, values = (x[name][..., rows, :] for name in ("keys", "values"))
    return {**x, "keys": keys, "values": values, "metadata": per_key(x["metadata"], lambda a: a[rows])}


def moves(attn):
    """Return whether keys have positions, so that their order matters."""
    return attn.rows_are_positions or "permutation" not in attn.laws


def unwatched(attn):
    """Return the mechanism without checks for NaN."""
    return dataclasses.replace(attn, check_finite=False).with_parameters(attn.parameters())


# -- masked keys change nothing --------------------------------------------------------------------------------


@every_mechanism
@drawn
def test_hidden_keys_may_hold_anything(key, seed):
    attn, x, rng = example(key, seed)
    attn = unwatched(attn)
    n = x["keys"].shape[0]
    seen = rng.random(n) < 0.6
    wanted, gradients = call(attn, x, "vjp", attn_mask=seen)
    g = rng.standard_normal(wanted.shape)
    spoilt = {**x, "keys": x["keys"].copy(), "values": x["values"].copy()}
    spoilt["keys"][~seen] = RUBBISH[seed % 5]
    spoilt["values"][~seen] = RUBBISH[(seed >> 3) % 5]
    close(call(attn, spoilt, attn_mask=seen), wanted)
    again, others = call(attn, spoilt, "vjp", attn_mask=seen)
    close(again, wanted)
    a, b = gradients(g), others(g)
    # Where one key is seen, the gradient of the query is the rounding error of larger terms that cancel.
    size = np.abs(a.values).max()
    for one, other in ((a.query, b.query), (a.keys, b.keys), (a.values, b.values)):
        close(other, one, 1e-7, max(size, 1e-12))
        assert np.isfinite(other).all()
    assert not b.keys[~seen].any() or moves(attn)


@every_mechanism
@drawn
def test_the_order_and_number_of_hidden_keys_do_not_matter(key, seed):
    attn, x, rng = example(key, seed)
    if moves(attn):
        return
    n = x["keys"].shape[0]
    seen = rng.random(n) < 0.6
    seen[int(rng.integers(n))] = True
    wanted = call(attn, taken(x, np.flatnonzero(seen)))
    hidden = rng.permutation(np.concatenate([np.flatnonzero(~seen), rng.integers(0, n, rng.integers(0, 4))]))
    rows = np.concatenate([np.flatnonzero(seen), hidden.astype(int)])
    mask = np.arange(len(rows)) < seen.sum()
    order = rng.permutation(len(rows))
    close(call(attn, taken(x, rows[order]), attn_mask=mask[order]), wanted)
    close(call(attn, taken(x, rows[order]), attn_mask=np.where(mask[order], 0.0, -np.inf)), wanted)


# -- every path gives the same result --------------------------------------------------------------------------


@every_mechanism
@drawn
def test_paths_agree(key, seed):
    attn, x, _ = example(key, seed)
    wanted = call(attn, x)
    n = x["keys"].shape[0]
    query, keys, values = (x[name] for name in ("query", "keys", "values"))
    rest = {"metadata": x["metadata"]}
    out, weights = call(attn, x, need_weights=True)
    close(out, wanted)
    close(attn.attention_weights(query, keys, **rest), weights)
    close(attn(query, keys, values, **rest), wanted)
    close(call(attn, x, "vjp")[0], wanted)
    close(attn.forward(query, attn.prepare(keys, values), **rest), wanted)
    close(call(attn, x, attn_mask=np.ones(n, bool)), wanted)
    close(call(attn, x, attn_mask=np.zeros((len(query), n))), wanted)
    batched = attn.forward(query[None], keys[None], values[None], **rest)[0]
    close(batched, wanted)
    several = attn.forward(np.stack([query, query]), keys, values, **rest)
    close(several, np.stack([wanted, wanted]))
    if not attn.rows_are_positions and (x["metadata"] is None or x["metadata"].query_layer is None):
        for i in range(len(query)):
            close(attn.forward(query[i], keys, values, **rest), wanted[i])
    close(attn.forward(query, np.asfortranarray(keys), values[::-1].copy()[::-1], **rest), wanted)
    again = ga.from_config(attn.to_config()).with_parameters(attn.parameters())
    assert (call(again, x) == wanted).all()


@every_mechanism
@drawn
def test_float32_is_float64_rounded(key, seed):
    attn, x, _ = example(key, seed)
    small = {name: x[name].astype(np.float32) for name in ("query", "keys", "values")}
    wide = {name: a.astype(np.float64) for name, a in small.items()}
    found = call(attn, {**x, **small})
    assert found.dtype == np.float32
    wanted = call(attn, {**x, **wide})
    close(found, wanted, 1e-3)


@every_mechanism
@drawn
def test_a_graph_is_its_neighbourhoods(key, seed):
    attn, x, rng = example(key, seed, least=6)
    if attn.sees_all_nodes or attn.adds_edges or attn.rows_are_positions:
        return
    nodes, count = 6, int(rng.integers(0, 14))
    edges = rng.integers(0, nodes, (2, count))
    fields = {}
    if x["metadata"] is not None and x["metadata"].edge_features is not None:
        fields["edge_features"] = rng.standard_normal((count, x["metadata"].edge_features.shape[-1]))
    if set(attn.needed + attn.used) & {"distances", "edge_weights", "hnsw_layers"}:
        fields |= {
            "distances": rng.random(count),
            "edge_weights": rng.random(count),
            "layers": rng.integers(0, 3, nodes),
        }
    graph = ga.NeighborGraph.from_edge_index(edges, nodes, **fields)
    z = x["keys"][:nodes]
    out, weights = attn.attend(graph, z, need_weights=True)
    close(attn.attend(graph, z), out)
    close(attn.attend_vjp(graph, z)[0], out)
    close(attn.attend(graph, z, z, z), out)
    assert len(weights) >= count
    for node in range(nodes):
        row = graph.indices[graph.indptr[node] : graph.indptr[node + 1]]
        if len(row) and not getattr(attn, "add_self_loops", False):
            metadata = graph.metadata(node) if attn.needed + attn.used else None
            close(attn.forward(z[node], z[row], z[row], metadata=metadata), out[node], 1e-7)
