"""Kernel calls bound to their arrays: the same bits as the forward pass, and None if it is not a single call."""

import ctypes

import numpy as np
import pytest

import graphattend as ga
from graphattend import simd
from graphattend.simd import bound, kernel_ops

D, N = 8, 5
KEYS = ["scaled_dot_product", "flash", "multi_head", "hyperbolic", "local_global"]
DONE, NOT_FINITE = 1, 2

pytestmark = pytest.mark.with_kernels


def repeat(call):
    """Call the kernel as JavaScript does, by its address and the address of its arguments."""
    word = np.uintp(0).nbytes
    function = int(call.memory[:word].view(np.uintp)[0])
    return ctypes.PYFUNCTYPE(ctypes.c_int, ctypes.c_void_p)(function)(call.address + 8)


def inputs(dtype, rows=None, seed=0):
    rng = np.random.default_rng(seed)
    shapes = ((D,) if rows is None else (rows, D), (N, D), (N, D))
    return [(0.1 * rng.standard_normal(shape)).astype(dtype) for shape in shapes]


def bind(attn, query, keys, values, given=None):
    out = np.zeros(query.shape, query.dtype)
    return bound.bind(lambda: attn._fused(query, keys, values), (out,), (query,) if given is None else given), out


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("key", KEYS)
def test_other_numbers_same_bits(key, dtype):
    attn = ga.create(key, D)
    query, keys, values = inputs(dtype)
    call, out = bind(attn, query, keys, values)
    assert call is not None
    for seed in range(3):
        query[:] = inputs(dtype, seed=seed + 10)[0]
        assert repeat(call) == DONE
        np.testing.assert_array_equal(out, attn.forward(query.copy(), keys, values))


@pytest.mark.parametrize("key", ["scaled_dot_product", "flash", "hyperbolic"])
def test_several_queries_and_changing_keys(key):
    attn = ga.create(key, D)
    query, keys, values = inputs(np.float32, rows=3)
    call, out = bind(attn, query, keys, values, given=(query, keys, values))
    assert call is not None
    for x, y in zip((query, keys, values), inputs(np.float32, rows=3, seed=1), strict=True):
        x[:] = y
    assert repeat(call) == DONE
    np.testing.assert_array_equal(out, attn.forward(query, keys, values))


def test_prepared_keys():
    attn = ga.create("scaled_dot_product", D)
    query, keys, values = inputs(np.float32)
    prepared = attn.prepare(keys, values)
    out = np.zeros(D, np.float32)
    call = bound.bind(lambda: attn._fused_prepared(query, prepared), (out,), (query,))
    query[:] = 0.3
    assert repeat(call) == DONE
    np.testing.assert_array_equal(out, attn.forward(query, prepared))


def test_what_is_not_finite_is_told():
    query, keys, values = inputs(np.float32)
    call, _ = bind(ga.create("scaled_dot_product", D), query, keys, values)
    query[1] = np.nan
    assert repeat(call) == NOT_FINITE
    query[1] = 0
    assert repeat(call) == DONE


def test_points_outside_the_ball_are_declined():
    query, keys, values = inputs(np.float32)
    call, _ = bind(ga.create("hyperbolic", D), query, keys, values)
    query[:] = 9
    assert repeat(call) not in (DONE, NOT_FINITE)


def test_nothing_is_bound_where_it_is_more_than_one_kernel_call():
    query, keys, values = inputs(np.float32)
    out = np.zeros(D, np.float32)
    attn = ga.create("scaled_dot_product", D)

    def never(run, out=out, given=(query,)):
        assert bound.bind(run, (out,), given) is None

    never(lambda: attn._fused(query * 2, keys, values))  # a temporary array
    never(lambda: attn._fused(query, keys.copy(), values))
    never(lambda: attn._fused(query, keys, values) + 1)
    never(lambda: [attn._fused(query, keys, values), attn._fused(query, keys, values)][0])
    never(lambda: query)
    never(lambda: None)
    never(lambda: attn._fused(query, keys, values), out=np.zeros(D))  # a different dtype
    never(lambda: attn._fused(query, keys, values), out=np.zeros((1, D), np.float32))
    never(lambda: ga.ScaledDotProductAttention(D, normalize=True)._fused(query, keys, values))
    scales = iter(range(1, 9))
    never(lambda: simd.single(query, keys, values, D, next(scales), True))  # a number that changes
    # Python checks keys beyond the window for NaN.
    local = ga.create("local_global", D, window=1)
    never(lambda: local._fused(query, keys, values), given=(query, keys, values))
    assert bound.bind(lambda: local._fused(query, keys, values), (out,), (query,)) is not None
    both = out, np.zeros(N, np.float32)
    assert bound.bind(lambda: attn._fused(query, keys, values), both, (query,)) is None  # one result, not two
    assert bound.bind(lambda: attn._fused_weights(query, keys, values, None)[::-1], both, (query,)) is None
    assert bound.bind(lambda: attn._fused_weights(query, keys, values, None), both, (query,)) is not None


def test_a_plain_call_still_wants_its_arguments():
    query, keys, values = inputs(np.float32)
    kernel = kernel_ops.current().attend_one
    out = np.zeros(D, np.float32)
    with pytest.raises(TypeError):
        kernel(query, keys, values, out)
    for memory in (None, np.zeros(16, np.int8), np.zeros(bound.SIZE, np.uint8), np.zeros((2, bound.SIZE), np.int8)):
        assert kernel(query, keys, values, out, 1.0, None, memory) is None
    for memory in (
        np.zeros(bound.SIZE, np.int8),
        np.zeros(bound.SIZE + 8, np.int8)[1:-7],
        np.zeros(2 * bound.SIZE, np.int8)[::2],
    ):
        aligned = memory.flags.c_contiguous and bound.address(memory) % 8 == 0
        assert kernel(query, keys, values, out, 1.0, None, memory) is (True if aligned else None)
    locked = np.zeros(bound.SIZE, np.int8)
    locked.flags.writeable = False
    assert kernel(query, keys, values, out, 1.0, None, locked) is None
