"""Write js/test/kernel-cases.json: calls and their results in Python, which the npm package's kernels must reproduce.

Run it after a change of a function in both packages; ``--check`` checks that the table is complete and correct.
tests/test_kernel_cases.py runs the table in Python, js/test/kernels.test.mjs runs it in JavaScript.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from kernel_calls import Numbers, all_calls, bad_calls

import graphattend as ga
from graphattend import functional as F
from graphattend.graph import NeighborGraph

TARGET = Path(__file__).resolve().parent.parent / "js" / "test" / "kernel-cases.json"
#: Maximum difference, relative to the largest number of a result.
TOLERANCE = 2e-6

Case = dict[str, Any]


def graph_attention(
    graph: Any,
    query: Any,
    key: Any,
    value: Any,
    *,
    scale: Any = None,
    edge_bias: Any = None,
    need_weights: bool = False,
) -> Any:
    """Compute the attention of each row over its neighbours in double precision."""
    q, k, v = (np.asarray(x, np.float64) for x in (query, key, value))
    flat = q.ndim == 2
    if flat:
        q, k, v = q[:, None], k[:, None], v[:, None]
    indptr, indices = (np.asarray(graph[name]) for name in ("indptr", "indices"))
    out = np.zeros((*q.shape[:2], v.shape[-1]))
    weights = np.zeros((indices.size, q.shape[1]))
    added = np.zeros(weights.shape) if edge_bias is None else np.asarray(edge_bias, np.float64).reshape(weights.shape)
    for i in range(q.shape[0]):
        edges = slice(indptr[i], indptr[i + 1])
        at = indices[edges]
        for h in range(q.shape[1]):
            s = k[at, h] @ q[i, h] * (q.shape[-1] ** -0.5 if scale is None else scale)
            seen = ~np.isneginf(added[edges, h])
            w = np.zeros(at.size)
            w[seen] = F.softmax((s + added[edges, h])[seen]) if seen.any() else 0.0
            weights[edges, h] = w
            out[i, h] = w[seen] @ v[at[seen], h]
    out, weights = (out[:, 0], weights[:, 0]) if flat else (out, weights)
    return (out, weights) if need_weights else out


def gat_layer(graph: Any, parameters: Any, *, edge_features: Any = None, variant: Any = "gat", **options: Any) -> Any:
    """Return the GAT mechanism with these parameters, and the graph."""
    w = parameters["w" if variant == "gat" else "w_query"]
    layer = ga.EdgeFeaturedAttention(
        w.shape[-2],
        edge_dim=0 if edge_features is None else edge_features.shape[-1],
        num_heads=w.shape[0] if w.ndim == 3 else 1,
        head_dim=w.shape[-1],
        variant=variant,
        bias="bias" in parameters,
        **options,
    ).with_parameters(parameters)
    return layer, NeighborGraph(graph["indptr"], graph["indices"], edge_features=edge_features)


def gat_attention(first: Any, *rest: Any, **options: Any) -> Any:
    """Call the function, or for a graph the mechanism's `attend`."""
    if not isinstance(first, dict):
        return F.gat_attention(first, *rest, **options)
    x, parameters = rest
    need_weights = options.pop("need_weights", False)
    layer, graph = gat_layer(first, parameters, **options)
    return layer.attend(graph, x, need_weights=need_weights)


def hyperbolic_attention(
    query: Any, keys: Any, values: Any, *, curvature: Any = -1.0, temperature: Any = 1.0, **options: Any
) -> Any:
    """The mechanism's `forward`."""
    attention = ga.HyperbolicAttention(query.shape[-1], curvature=curvature, temperature=temperature)
    return attention.forward(query, keys, values, **options)


def local_global_attention(
    query: Any, keys: Any, values: Any, *, attn_mask: Any = None, need_weights: Any = False, **options: Any
) -> Any:
    """The mechanism's `forward`."""
    attention = ga.LocalGlobalAttention(query.shape[-1], **options)
    return attention.forward(query, keys, values, attn_mask=attn_mask, need_weights=need_weights)


def quantized_attention(query: Any, keys_q8: Any, values: Any) -> Any:
    """Attend to quantized keys, given by their parts."""

    class Keys:
        codes, scale, zero_point = keys_q8["codes"], keys_q8["scale"], keys_q8["zero_point"]
        group_size = keys_q8["group_size"]

    return F.quantized_attention(query, Keys(), values)


def matmul(a: Any, b: Any, *, transpose_a: bool = False, transpose_b: bool = False) -> Any:
    """Compute NumPy's matrix product."""
    return np.matmul(a.swapaxes(-1, -2) if transpose_a else a, b.swapaxes(-1, -2) if transpose_b else b)


CALLS: dict[str, Callable[..., Any]] = {
    "gat_attention": gat_attention,
    "graph_attention": graph_attention,
    "hyperbolic_attention": hyperbolic_attention,
    "local_global_attention": local_global_attention,
    "matmul": matmul,
    "multi_head_attention": F.multi_head_attention,
    "quantized_attention": quantized_attention,
    "rotary": F.rotary,
    "scaled_dot_product_attention": F.scaled_dot_product_attention,
    "segment_softmax": F.segment_softmax,
    "softmax": F.softmax,
}


def encode(x: Any) -> Any:
    """Encode arrays as dtype, shape and numbers, other values as JSON types."""
    if isinstance(x, dict):
        return {name: encode(part) for name, part in x.items()}
    if isinstance(x, np.ndarray):
        # The shortest digits that determine a float32.
        numbers = [float(str(v)) for v in x.reshape(-1)] if x.dtype == np.float32 else x.reshape(-1).tolist()
        return {
            "dtype": x.dtype.name,
            "shape": list(x.shape),
            "data": [v if np.isfinite(v) else str(v) for v in numbers],
        }
    return x


def decode(x: Any) -> Any:
    """Decode a value that `encode` encoded."""
    if isinstance(x, dict):
        if set(x) == {"dtype", "shape", "data"}:
            return np.array([float(v) if isinstance(v, str) else v for v in x["data"]], x["dtype"]).reshape(x["shape"])
        return {name: decode(part) for name, part in x.items()}
    return x


def widen(x: Any) -> Any:
    """Cast float arrays to double precision."""
    if isinstance(x, dict):
        return {name: widen(part) for name, part in x.items()}
    return x.astype(np.float64) if isinstance(x, np.ndarray) and x.dtype == np.float32 else x


def run(case: Case, wide: bool = False) -> dict[str, Any]:
    """Return Python's results of a case's call, or its error; with `wide`, computed in double precision."""
    change = widen if wide else lambda x: x
    args = {name: change(decode(x)) for name, x in case["args"].items()}
    options = {name: change(decode(x)) for name, x in case["options"].items()}
    function = CALLS[case["call"]]
    try:
        result = function(*args.values(), **options)
    except ga.AttentionError as error:
        return {"error": {"code": error.code, "argument": error.argument, "message": error.message}}
    names = ["output"]
    names += ["weights"] * bool(options.get("return_weights") or options.get("need_weights"))
    names += ["lse"] * bool(options.get("return_lse"))
    results = result if isinstance(result, tuple) else (result,)
    found = {name: np.asarray(x, np.float32) for name, x in zip(names, results, strict=True)}
    if "cotangent" in case:
        found |= {f"gradient of {name}": x for name, x in gradients(case, args, options).items()}
    return found


def gradients(case: Case, args: dict[str, Any], options: dict[str, Any]) -> dict[str, np.ndarray]:
    """Return the gradients with respect to the arguments, and to a float mask or bias."""
    g = decode(case["cotangent"])
    if case["call"] == "graph_attention":
        return _graph_gradients(args, options, g)
    if case["call"] == "gat_attention":
        return _gat_gradients(args, options, g)
    mask = {} if case["call"] == "multi_head_attention" else {"attn_mask": options.get("attn_mask")}
    rest = {name: x for name, x in options.items() if name not in mask}
    _, pull = ga.vjp(CALLS[case["call"]], *args.values(), *mask.values(), **rest)
    found = dict(zip([*args, *mask], pull(g), strict=False))
    flat = {name: x for name, x in found.items() if x is not None and not isinstance(x, dict)}
    # A bias added to all keys cancels in the softmax, so its gradient is only rounding error.
    flat |= {f"parameters.{name}": x * (name != "b_k") for name, x in found.get("parameters", {}).items()}
    return {name: np.asarray(x, np.float32) for name, x in flat.items()}


def _graph_gradients(args: dict[str, Any], options: dict[str, Any], g: np.ndarray) -> dict[str, np.ndarray]:
    """Compute the same gradients row by row from the softmax's gradient, in double precision."""
    options = {name: x for name, x in options.items() if name != "need_weights"}
    _, weights = graph_attention(*args.values(), **options, need_weights=True)
    q, k, v = (np.asarray(args[name], np.float64) for name in ("query", "key", "value"))
    flat = q.ndim == 2
    if flat:
        q, k, v, g, weights = q[:, None], k[:, None], v[:, None], g[:, None], weights[:, None]
    indptr, indices = args["graph"]["indptr"], args["graph"]["indices"]
    scale = options.get("scale", q.shape[-1] ** -0.5)
    dq, dk, dv, db = (np.zeros(x.shape) for x in (q, k, v, weights))
    for i in range(q.shape[0]):
        for h in range(q.shape[1]):
            edges = [e for e in range(indptr[i], indptr[i + 1]) if weights[e, h] != 0]
            at = indices[edges]
            w, gw = weights[edges, h], v[at, h] @ g[i, h]
            gs = w * (gw - w @ gw)
            db[edges, h] = gs
            dq[i, h] = scale * gs @ k[at, h]
            np.add.at(dk[:, h], at, scale * gs[:, None] * q[i, h])
            np.add.at(dv[:, h], at, w[:, None] * g[i, h])
    found = {"query": dq, "key": dk, "value": dv} | ({"edge_bias": db} if "edge_bias" in options else {})
    return {name: (x[:, 0] if flat else x).astype(np.float32) for name, x in found.items()}


def _gat_gradients(args: dict[str, Any], options: dict[str, Any], g: np.ndarray) -> dict[str, np.ndarray]:
    """Return the gradients of the mechanism."""
    options = {name: x for name, x in options.items() if name != "need_weights"}
    parameters = args["parameters"]
    layer, graph = gat_layer(args["graph"], parameters, **options)
    found = layer.attend_vjp(graph, args["x"])[1](g)
    flat = {"x": found.query} | {n: x.reshape(parameters[n].shape) for n, x in found.parameters.items()}
    flat |= {n: x for n, x in found.metadata.items() if n in options}
    return {name: np.asarray(x, np.float32) for name, x in flat.items()}


def cases() -> Iterator[Case]:
    """Yield all calls with their results."""
    n = Numbers(5)
    for call, label, args, options, differentiate in all_calls():
        case: Case = {"call": call, "name": label, "args": encode(args), "options": encode(options)}
        more = (
            options.get("return_weights")
            or options.get("return_lse")
            or ("graph" not in args and options.get("need_weights"))
        )
        finite = label not in ("NaN that some rows see", "NaN without a mask")
        if differentiate and not more and finite:
            case["cotangent"] = encode(n(*run(case)["output"].shape))
        # Rounded once, so that float32 results are compared with the exact value, not with the other side's rounding.
        yield case | {"expected": encode(run(case, wide=True))}
    for call, label, args, options in bad_calls(Numbers(6)):
        case = {"call": call, "name": f"refused: {label}", "args": encode(args), "options": encode(options)}
        yield case | {"expected": encode(run(case))}


def differs(found: dict[str, Any], expected: dict[str, Any]) -> str:
    """Describe the difference between a result and the table, or return an empty string."""
    if set(found) != set(expected):
        return f"{sorted(found)} instead of {sorted(expected)}"
    for name, x in expected.items():
        if name == "error":
            if found[name] != x:
                return f"{found[name]} instead of {x}"
            continue
        wanted, given = decode(x).astype(np.float64), np.asarray(found[name], np.float64)
        if wanted.shape != given.shape:
            return f"{name} has shape {given.shape} instead of {wanted.shape}"
        scale = np.abs(wanted[np.isfinite(wanted)]).max(initial=0.0) or 1.0
        if not np.allclose(given, wanted, rtol=0.0, atol=TOLERANCE * scale, equal_nan=True):
            return f"{name} differs by {np.nanmax(np.abs(given - wanted)) / scale:.2g}"
    return ""


def faults() -> list[str]:
    """Return the cases of the table that are out of date."""
    written = {f"{case['call']}, {case['name']}": case for case in json.loads(TARGET.read_text())}
    fresh = {f"{case['call']}, {case['name']}": case for case in cases()}
    found = [f"{name}: only in one of both" for name in written.keys() ^ fresh.keys()]
    for name in written.keys() & fresh.keys():
        old, new = written[name], fresh[name]
        asked = [{key: x for key, x in case.items() if key != "expected"} for case in (old, new)]
        if json.dumps(asked[0]) != json.dumps(asked[1]):
            found.append(f"{name}: another call")
        elif why := differs(decode(new["expected"]), old["expected"]) or differs(run(old), old["expected"]):
            found.append(f"{name}: {why}")
    return sorted(found)


def main() -> None:
    """Write the table, or check it."""
    if "--check" in sys.argv[1:]:
        found = faults()
        if found:
            sys.exit("\n".join([*found, f"{TARGET.name} is not what tools/gen_kernel_cases.py writes: run it."]))
        return
    lines = ",\n".join(json.dumps(case, allow_nan=False) for case in cases())
    TARGET.write_text(f"[\n{lines}\n]\n")
    print(TARGET)


if __name__ == "__main__":
    main()
