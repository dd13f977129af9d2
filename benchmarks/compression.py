"""Quality and cost of each codec on real embeddings: neighbours, error, bytes, speed.

``python -m benchmarks.compression`` measures, writes ``benchmarks/results/compression.json`` and puts the tables into
``docs/compression.md``. Recall@10 is the share of the ten nearest neighbours (cosine, exact, original vectors) that are
also among the ten nearest in the decoded set, for the original vectors as queries.
"""

from __future__ import annotations

import json
import platform
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import embeddings
from graphattend import simd
from graphattend.compression import Hierarchical, LowRank, Quantizer, SparseStorage, Tucker
from graphattend.functional.attention import scaled_dot_product_attention
from graphattend.functional.quantized import quantized_attention

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results" / "compression.json"
PAGE = ROOT / "docs" / "compression.md"

NEIGHBOURS = 10
QUERIES = 1000


def unit(x: np.ndarray) -> np.ndarray:
    """Scale rows to length 1 (zero rows stay zero)."""
    norms = np.linalg.norm(x, axis=1, keepdims=True)
    return x / np.where(norms > 0, norms, 1)


def nearest(queries: np.ndarray, own: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Return the indices (M, 10) of the most similar rows of `x` without the query's own row."""
    scores = queries @ unit(x).T
    scores[np.arange(own.size), own] = -np.inf
    return np.argpartition(-scores, NEIGHBOURS, axis=1)[:, :NEIGHBOURS]


def recall(found: np.ndarray, true: np.ndarray) -> float:
    """Return the mean share of the true neighbours that were found."""
    return float(np.mean([np.intersect1d(a, b).size for a, b in zip(found, true, strict=True)]) / NEIGHBOURS)


def best_of(function: Callable[[], Any], repeat: int = 5) -> float:
    """Return the seconds of the fastest of `repeat` runs."""
    times = []
    for _ in range(repeat):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return min(times)


def hnsw_layers(count: int, seed: int = 0) -> np.ndarray:
    """Draw layers as HNSW does with M = 16: ⌊−ln U / ln 16⌋."""
    u = 1 - np.random.default_rng(seed).random(count)
    return np.floor(-np.log(u) / np.log(16)).astype(np.int64)


def word_codecs() -> dict[str, tuple[Any, tuple[Any, ...]]]:
    """Return codecs and further arguments of `encode`, by their names in the table."""
    layers = Hierarchical({0: Quantizer(4, False, "row"), 1: Quantizer(8, granularity="row")})
    return {
        "INT8, per tensor": (Quantizer(8), ()),
        "INT8, per row": (Quantizer(8, granularity="row"), ()),
        "INT8, affine, per row": (Quantizer(8, False, "row"), ()),
        "INT4, per tensor": (Quantizer(4), ()),
        "INT4, per row": (Quantizer(4, granularity="row"), ()),
        "INT4, affine, per row": (Quantizer(4, False, "row"), ()),
        "INT4, affine, groups of 20": (Quantizer(4, False, "group", 20), ()),
        "low rank, 75": (LowRank(75), ()),
        "low rank, 50": (LowRank(50), ()),
        "low rank, energy 0.9": (LowRank(energy=0.9), ()),
        "sparse, top 50": (SparseStorage(top_k=50), ()),
        "sparse, top 25": (SparseStorage(top_k=25), ()),
        "sparse, from 0.05": (SparseStorage(threshold=0.05), ()),
        "by HNSW layer: INT4 below, INT8 above": (layers, (hnsw_layers(10_000),)),
    }


def digit_codecs() -> dict[str, tuple[Any, tuple[Any, ...]]]:
    """Return the same for pictures, a three-way array."""
    return {
        "INT8, per tensor": (Quantizer(8), ()),
        "INT4, per tensor": (Quantizer(4), ()),
        "INT4, affine, per tensor": (Quantizer(4, False), ()),
        "Tucker, 30 × 7 × 7": (Tucker((30, 7, 7)), ()),
        "Tucker, 30 × 6 × 6": (Tucker((30, 6, 6)), ()),
        "Tucker, 20 × 5 × 5": (Tucker((20, 5, 5)), ()),
        "sparse, without zeros": (SparseStorage(), ()),
    }


def measure(x: np.ndarray, codecs: dict[str, tuple[Any, tuple[Any, ...]]]) -> list[dict[str, Any]]:
    """Return one row of figures per codec."""
    flat = x.reshape(x.shape[0], -1)
    own = np.random.default_rng(0).permutation(x.shape[0])[:QUERIES]
    queries = unit(flat[own])
    true = nearest(queries, own, flat)
    rows = []
    for name, (codec, more) in codecs.items():
        compressed = codec.encode(x, *more)
        decoded = codec.decode(compressed)
        error = np.abs(decoded.astype(np.float64) - x)
        assert error.max() <= compressed.error_bound, name
        row = {
            "codec": name,
            "recall_at_10": recall(nearest(queries, own, decoded.reshape(flat.shape)), true),
            "ratio": compressed.ratio,
            "bytes_per_vector": compressed.nbytes / x.shape[0],
            "largest_error": float(error.max()),
            "error_bound": compressed.error_bound,
            "relative_error": float(np.linalg.norm(decoded - x) / np.linalg.norm(x)),
            "encode_ms": 1e3 * best_of(lambda c=codec, m=more: c.encode(x, *m), 2),
            "decode_ms": 1e3 * best_of(lambda c=codec, z=compressed: c.decode(z)),
        }
        print(f"{name}: recall {row['recall_at_10']:.3f}, ratio {row['ratio']:.2f}", flush=True)
        rows.append(row)
    return rows


def measure_attention(x: np.ndarray) -> list[dict[str, Any]]:
    """Compare attention with compressed and float32 keys: 100 queries, all words as keys and values."""
    queries = x[:: len(x) // 100][:100] * np.float32(10 * np.sqrt(x.shape[1]))  # scores up to 10
    exact = scaled_dot_product_attention(queries.astype(np.float64), x.astype(np.float64), x.astype(np.float64))
    cases: list[tuple[str, Any]] = [
        ("float32 keys", None),
        ("INT8, per tensor", Quantizer(8)),
        ("INT8, per row", Quantizer(8, granularity="row")),
        ("INT4, affine, per row", Quantizer(4, False, "row")),
    ]
    rows = []
    for name, codec in cases:
        if codec is None:
            nbytes, attend = x.nbytes, lambda q: scaled_dot_product_attention(q, x, x)
        else:
            keys = codec.encode(x)
            nbytes, attend = keys.nbytes, lambda q, k=keys: quantized_attention(q, k, x)
        rows.append(
            {
                "keys": name,
                "nbytes": nbytes,
                "largest_error": float(np.abs(attend(queries) - exact).max()),
                "relative_error": float(np.linalg.norm(attend(queries) - exact) / np.linalg.norm(exact)),
                "ms_one_query": 1e3 * best_of(lambda a=attend: a(queries[0]), 20),
                "ms_100_queries": 1e3 * best_of(lambda a=attend: a(queries)),
            }
        )
    return rows


def codec_table(rows: list[dict[str, Any]]) -> str:
    """Format the rows of `measure` as Markdown."""
    lines = [
        "| codec | recall@10 | ratio | bytes per vector | relative error | largest error | guaranteed bound |"
        " encode, ms | decode, ms |",
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    lines += [
        f"| {r['codec']} | {r['recall_at_10']:.3f} | {r['ratio']:.2f} | {r['bytes_per_vector']:.1f} "
        f"| {r['relative_error']:.4f} | {r['largest_error']:.4f} | {r['error_bound']:.4f} "
        f"| {r['encode_ms']:.1f} | {r['decode_ms']:.2f} |"
        for r in rows
    ]
    return "\n".join(lines)


def attention_table(rows: list[dict[str, Any]]) -> str:
    """Format the rows of `measure_attention` as Markdown."""
    lines = [
        "| keys | bytes of the keys | largest error of the output | relative error | one query, ms | 100 queries, ms |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    lines += [
        f"| {r['keys']} | {r['nbytes']} | {r['largest_error']:.1e} | {r['relative_error']:.1e} "
        f"| {r['ms_one_query']:.2f} | {r['ms_100_queries']:.1f} |"
        for r in rows
    ]
    return "\n".join(lines)


def put_into_page(name: str, table: str) -> None:
    """Replace the text between the page's markers for this table."""
    begin, end = f"<!-- {name} begin -->", f"<!-- {name} end -->"
    before, rest = PAGE.read_text(encoding="utf-8").split(begin)
    after = rest.split(end)[1]
    PAGE.write_text(f"{before}{begin}\n{table}\n{end}{after}", encoding="utf-8")


def main() -> None:
    """Measure, write the results, and update the page."""
    words = embeddings.words(10_000)
    results = {
        "machine": {
            "python": platform.python_version(),
            "numpy": np.__version__,
            "backend": simd.backend_info()["backend"],
            "processor": platform.machine(),
        },
        "words": measure(words, word_codecs()),
        "digits": measure(embeddings.digits(), digit_codecs()),
        "attention": measure_attention(words),
    }
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    RESULTS.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    put_into_page("words", codec_table(results["words"]))
    put_into_page("digits", codec_table(results["digits"]))
    put_into_page("attention", attention_table(results["attention"]))


if __name__ == "__main__":
    main()
