"""Print the native library's answers as JSON, the expected results of the JavaScript tests."""

import json
import sys

import numpy as np

import graphattend as ga
from graphattend.mechanisms import mechanism_class


def matrix(x):
    """Return an array as data and shape, or a scalar as a number."""
    x = np.asarray(x)
    return float(x) if x.ndim == 0 else {"data": x.ravel().tolist(), "shape": list(x.shape)}


def case(key, rows):
    """Return inputs and results of a mechanism's example; with `rows`, for several queries."""
    rng = np.random.default_rng(7)
    attn, inputs = mechanism_class(key).example(rng, 12)
    metadata = inputs.pop("metadata", None)
    arrays = {name: np.asarray(x, np.float32) for name, x in inputs.items()}
    if rows:
        arrays["query"] = np.stack([arrays["query"] * np.float32(1 - 0.1 * i) for i in range(rows)])
    fields = {}
    if metadata is not None:
        for name, value in vars(metadata).items():
            if value is not None:
                value = np.asarray(value)
                fields[name] = value.astype(np.float32) if value.dtype.kind == "f" else value
        metadata = ga.GraphMetadata(**fields)
    options = {"metadata": metadata} if fields else {}
    output, pullback = attn.vjp(**arrays, **options)
    gradients = pullback(np.ones_like(output))
    try:
        weights = matrix(attn.attention_weights(arrays["query"], arrays["keys"], **options))
    except ga.UnsupportedError:
        weights = None
    return {
        "config": attn.to_config(),
        "inputs": {name: matrix(x) for name, x in arrays.items()},
        "metadata": {name: matrix(x) for name, x in fields.items()},
        "output": matrix(attn.forward(**arrays, **options)),
        "weights": weights,
        "gradients": {name: matrix(getattr(gradients, name)) for name in ("query", "keys", "values")},
        "parameters": {name: matrix(x) for name, x in gradients.parameters.items()},
    }


def attend_case():
    """Return attention of every node of a small graph over its neighbours."""
    rng = np.random.default_rng(3)
    x = rng.standard_normal((6, 8)).astype(np.float32)
    edges = np.array([[0, 1, 2, 3, 4, 0, 2, 5], [1, 0, 1, 2, 3, 4, 0, 0]])
    graph = ga.NeighborGraph.from_edge_index(edges, 6)
    output, weights = ga.create("scaled_dot_product", 8).attend(graph, x, need_weights=True)
    return {
        "x": matrix(x),
        "edges": edges.T.tolist(),
        "indptr": graph.indptr.tolist(),
        "indices": graph.indices.tolist(),
        "output": matrix(output),
        "weights": matrix(weights),
    }


def main():
    """Write all cases to standard output."""
    keys = ga.list_mechanisms()
    out = {
        "schema": ga.schema(),
        "mechanisms": keys,
        "cases": {key: case(key, 0) for key in keys},
        "rows": {key: case(key, 5) for key in keys},
        "attend": attend_case(),
    }
    json.dump(out, sys.stdout)


if __name__ == "__main__":
    main()
