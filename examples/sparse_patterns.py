"""Sparse attention: patterns as values.

Which keys a query may see is a value that combines with `|` and `&`: a window, a dilated window, blocks, global
nodes, random links (BigBird), or a graph. It becomes a mask, or neighbour lists of which only the entries are
computed.
"""

import numpy as np

import graphattend as ga
from graphattend.graph import patterns

n = 12
bigbird = (
    patterns.sliding_window(n, window=1)
    | patterns.global_tokens(n, nodes=[0])
    | patterns.random(n, num_random=1, seed=0)
)
print(f"density {bigbird.density:.2f}")
for row in bigbird.as_mask():
    print("".join("#" if seen else "." for seen in row))

x = np.random.default_rng(0).standard_normal((n, 8))
attention = ga.create("scaled_dot_product", dim=8)
masked = attention.forward(x, x, x, attn_mask=bigbird.as_mask())
sparse = attention.attend(bigbird.as_csr(), x)
print("mask and neighbour lists agree:", np.allclose(masked, sparse))
