"""Every registered codec: encode, decode, the stated error bound, and its files."""

from __future__ import annotations

import numpy as np

from graphattend.compression import Compressed, Hierarchical, LowRank, Quantizer, SparseStorage, Tucker

from .draw import Draw
from .watch import REFUSED, Watch

#: Codec → function that creates one. The tests fail for a codec without an entry.
CODECS = {
    "quantizer": lambda d: Quantizer(
        d.pick((4, 8)),
        d.chance(0.5),
        *d.pick((("tensor",), ("row",), ("group", 2))),
    ),
    "low_rank": lambda d: LowRank(d.pick((1, 2, 4))),
    "tucker": lambda d: Tucker(d.pick(((1, 1, 1), (2, 3, 2)))),
    "sparse": lambda d: SparseStorage(top_k=d.pick((1, 3)), format=d.pick(("csr", "coo"))),
    "hierarchical": lambda d: Hierarchical({0: Quantizer(8), 1: LowRank(1)}),
}


def case(d: Draw, call: Watch) -> None:
    """Encode and decode, directly and through a file."""
    name = d.pick(list(CODECS))
    codec, dtype = CODECS[name](d), d.dtype()
    x = d.array(*((3, 4, 3) if name == "tucker" else (5, 4)), dtype=dtype)
    layers = [[0, 1, 0, 2, 1]] if name == "hierarchical" else []
    compressed = call(f"{name}.encode", codec.encode, x, *layers)
    if compressed is REFUSED:
        return
    decoded = call(f"{name}.decode", codec.decode, compressed)
    if decoded is REFUSED:
        return
    worst = float(np.abs(decoded.astype(np.float64) - x.astype(np.float64)).max())
    bound = compressed.error_bound
    call.check(worst <= bound, f"{name}: an error of {worst:.6g}, beyond the bound {bound:.6g}")
    if d.chance(0.2):
        data = compressed.to_bytes(d.pick(("npz", "safetensors")))
        again = call(f"{name}.from_bytes", Compressed.from_bytes, data, may=())
        call.check(np.array_equal(again.decode(), decoded), f"{name}: a file changed the result")
