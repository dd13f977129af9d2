"""Numbers for the kernel tests, in the dtype under test, which the fixture `real` sets."""

import numpy as np

REAL: type[np.floating] = np.float32
#: Factor of float32's tolerances.
PRECISION = 1.0


def normal(rng, *shape):
    """Draw normally distributed numbers."""
    return rng.standard_normal(shape).astype(REAL)


def close(actual, expected, tolerance=2e-6, floor=0.0):
    """Compare within `tolerance` times the largest entry or `floor`, the scale of rounding in cancelling terms."""
    assert actual.dtype == REAL
    assert actual.shape == expected.shape
    infinite = np.isinf(expected)
    np.testing.assert_array_equal(actual[infinite], expected[infinite])
    size = max(np.abs(expected[~infinite]).max(initial=0), floor)
    assert np.abs(actual[~infinite] - expected[~infinite]).max(initial=0) <= PRECISION * tolerance * size
