"""Check a mechanism against the laws of all mechanisms."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from .. import _validate
from ..errors import InvalidConfigError
from ..mechanisms._base import Attention
from . import _call_laws, _gradient_laws, _graph_laws
from ._case import Case

#: Law by name, and whether it applies only to classes that declare it.
LAWS: dict[str, tuple[Callable[[Case], None], bool]] = {
    "shapes": (_call_laws.shapes, False),
    "dtype": (_call_laws.dtype, False),
    "finite": (_call_laws.finite, False),
    "inputs_unchanged": (_call_laws.inputs_unchanged, False),
    "batch_is_loop": (_call_laws.batch_is_loop, False),
    "masks": (_call_laws.masks, False),
    "gradients": (_gradient_laws.gradients, False),
    "weight_gradients": (_gradient_laws.weight_gradients, False),
    "attend_is_loop": (_graph_laws.attend_is_loop, False),
    "attend_gradients": (_graph_laws.attend_gradients, False),
    "round_trip": (_call_laws.round_trip, False),
    "prepared": (_call_laws.prepared, False),
    "deterministic": (_call_laws.deterministic, False),
    "bad_input": (_call_laws.bad_input, False),
    "permutation": (_call_laws.permutation, True),
    "weights_times_values": (_call_laws.weights_times_values, True),
    "stays_on_manifold": (_call_laws.stays_on_manifold, True),
}


def check_mechanism(
    target: type[Attention] | Attention, *, seed: int = 0, laws: Sequence[str] | None = None
) -> list[str]:
    """Check a mechanism against the laws of all mechanisms, and those that its class declares.

    Args:
        target: A mechanism class or a mechanism; the inputs come from the `example` of the class.
        seed: Seed of the inputs.
        laws: Names of the laws to check; all by default.

    Returns:
        The names of the checked laws.

    Raises:
        AssertionError: The mechanism breaks a law; the message names it.
        InvalidConfigError: `target` is no mechanism, or there is no law of this name.

    Example:
        >>> import graphattend as ga
        >>> from graphattend.testing import check_mechanism
        >>> "gradients" in check_mechanism(ga.ScaledDotProductAttention)
        True
    """
    if not issubclass(target if isinstance(target, type) else type(target), Attention):
        raise InvalidConfigError.of("target", "a mechanism or its class", type(target).__name__)
    case = Case.make(target, _validate.as_int(seed, "seed", minimum=0))
    wanted = list(LAWS) if laws is None else _validate.as_list(laws, "laws", "a list of names")
    for name in wanted:
        _validate.as_choice(name, "laws", LAWS)
    ran = []
    for name in wanted:
        law, declared = LAWS[name]
        if declared and name not in case.attn.laws:
            continue
        try:
            law(case)
        except AssertionError as error:
            raise AssertionError(f"{case.attn.key}: {name}: {error}") from None
        ran.append(name)
    return ran
