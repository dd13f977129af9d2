"""GraphRoPEAttention against complex rotation of the keys."""

import numpy as np
import pytest

import graphattend as ga


def turned(k, distance, base, interleaved):
    d = k.shape[-1]
    half = d // 2
    out = k.astype(complex).copy()
    phase = np.exp(1j * distance[:, None] * base ** (-2 * np.arange(half) / d))
    a, b = (k[:, 0 : 2 * half : 2], k[:, 1 : 2 * half : 2]) if interleaved else (k[:, :half], k[:, half : 2 * half])
    z = (a + 1j * b) * phase
    out = k.copy()
    if interleaved:
        out[:, 0 : 2 * half : 2], out[:, 1 : 2 * half : 2] = z.real, z.imag
    else:
        out[:, :half], out[:, half : 2 * half] = z.real, z.imag
    return out


@pytest.mark.parametrize("d", [1, 2, 5, 8])
@pytest.mark.parametrize("interleaved", [True, False])
@pytest.mark.parametrize("base", [10000.0, 3.0])
def test_scores(rng, d, interleaved, base):
    q, k, v = rng.standard_normal(d), rng.standard_normal((6, d)), rng.standard_normal((6, 2))
    hops = rng.integers(0, 5, 6).astype(float)
    attn = ga.GraphRoPEAttention(d, interleaved=interleaved, base=base, temperature=0.5)
    s = turned(k, hops, base, interleaved) @ q / np.sqrt(d) / 0.5
    w = np.exp(s - s.max())
    w /= w.sum()
    out, ours = attn.forward(q, k, v, metadata=ga.GraphMetadata(distances=hops), need_weights=True)
    np.testing.assert_allclose(ours, w, rtol=1e-11)
    np.testing.assert_allclose(out, w @ v, rtol=1e-11)


def test_rotation(rng):
    for d in (1, 2, 5, 8):
        attn = ga.GraphRoPEAttention(d)
        x = rng.standard_normal((4, d))
        assert np.array_equal(attn.apply_rotation(x, 0.0), x)  # R(0) is the identity
        y = attn.apply_rotation(x, np.arange(4.0))
        np.testing.assert_allclose(np.linalg.norm(y, axis=1), np.linalg.norm(x, axis=1), rtol=1e-13)
        if d % 2:
            assert np.array_equal(y[:, -1], x[:, -1])
    x = rng.standard_normal((5, 8))
    plain = ga.ScaledDotProductAttention(8).forward(x[0], x, x)
    zero = ga.GraphMetadata(distances=np.zeros(5))
    np.testing.assert_allclose(ga.GraphRoPEAttention(8).forward(x[0], x, x, metadata=zero), plain, rtol=1e-13)


def test_batches_and_integers(rng):
    attn = ga.GraphRoPEAttention(4)
    q, k = rng.standard_normal((3, 2, 4)), rng.standard_normal((3, 5, 4))
    hops = rng.integers(0, 6, (3, 5))
    out = attn.forward(q, k, k, metadata=ga.GraphMetadata(distances=hops))
    for b in range(3):
        one = attn.forward(q[b], k[b], k[b], metadata=ga.GraphMetadata(distances=hops[b].astype(float)))
        np.testing.assert_allclose(out[b], one, rtol=1e-6)
    with pytest.raises(ga.InvalidConfigError, match=r"metadata\.distances"):
        attn.forward(q, k, k)
    with pytest.raises(ga.DimensionMismatchError, match=r"metadata\.distances"):
        attn.forward(q, k, k, metadata=ga.GraphMetadata(distances=hops[:, :4]))
    with pytest.raises(ga.NumericalInstabilityError, match=r"metadata\.distances"):
        attn.forward(q, k, k, metadata=ga.GraphMetadata(distances=hops * np.nan))
