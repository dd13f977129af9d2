"""Losses and optimizers with numbers whose squares overflow float32."""

import numpy as np
import pytest

import graphattend as ga
from graphattend import _float64_fallback

T = ga.training


@pytest.fixture(autouse=True, params=["flags", "no flags"])
def flags(request, monkeypatch):
    """Run with NumPy's floating-point flags (if it has them) and, as in WebAssembly, without."""
    if request.param == "no flags":
        monkeypatch.setattr(_float64_fallback, "FLAGS", False)


LOSSES = {
    "info_nce": lambda x: ga.vjp(T.info_nce, x, x[::-1], x),
    "info_nce of dot products": lambda x: ga.vjp(T.info_nce, x, x[::-1], x, normalize=False),
    "triplet": lambda x: ga.vjp(T.triplet, x, x[::-1], -x),
    "local_contrastive": lambda x: ga.vjp(T.local_contrastive, x, x[::-1], x),
    "laplacian": lambda x: ga.vjp(T.laplacian, x, [[0, 1], [1, 2]]),
    "orthogonality": lambda x: ga.vjp(T.orthogonality, x),
    "norm_penalty": lambda x: ga.vjp(T.norm_penalty, x, 1.0),
    "reconstruction": lambda x: ga.vjp(T.reconstruction, x, -x),
}


@pytest.mark.parametrize("scale", [1e8, 1e18, 1e30])
@pytest.mark.parametrize("name", LOSSES)
def test_a_loss_is_that_of_float64_or_refused(name, scale, rng):
    x = (rng.standard_normal((3, 4)) * scale).astype(np.float32)
    expected, _ = LOSSES[name](x.astype(np.float64))
    if expected > np.finfo(np.float32).max:
        with pytest.raises(ga.NumericalInstabilityError, match="overflow"):
            LOSSES[name](x)
    else:
        loss, pullback = LOSSES[name](x)
        assert loss.dtype == np.float32
        np.testing.assert_allclose(loss, expected, rtol=1e-4)
        assert np.isfinite(pullback(np.float32(1e-10))[0]).all()


@pytest.mark.parametrize("make", [T.Adam, T.AdamW, T.RMSprop, lambda: T.SGD(lr=1e10)])
def test_an_optimizer_refuses_what_overflows(make):
    optimizer, params = make(), {"x": np.full(2, 1e30, np.float32)}
    state = optimizer.init(params)
    with pytest.raises(ga.NumericalInstabilityError, match="overflow"):
        optimizer.update(params, {"x": params["x"]}, state)
    assert state["step"] == 0
