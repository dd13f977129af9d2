"""graphattend's functions on PyTorch tensors, as nodes of its autograd graph."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from ._adapt import check_function, check_parameters, evaluate, optional_module


def torch_function(function: Any) -> Callable[..., Any]:
    """Convert a graphattend function to a function of PyTorch tensors with its gradient.

    The function runs in NumPy on the CPU; its results are moved to the device of the first tensor. Second derivatives
    are not supported.

    Args:
        function: A differentiable function (`ga.functional.*`, a loss, a manifold's `dist` …), or a mechanism.

    Returns:
        A function with the same arguments; positional tensors are differentiated. For a mechanism its arguments are
        ``(query, keys, values, parameters=None, **options)``, and the tensors in `parameters` are differentiated, too.

    Raises:
        InvalidConfigError: `function` has no gradient.
        UnsupportedError: PyTorch is not installed.

    Example:
        With ``graphattend[torch]`` installed:

        >>> import graphattend as ga, torch  # doctest: +SKIP
        >>> triplet = ga.interop.torch_function(ga.training.triplet)  # doctest: +SKIP
        >>> anchor = torch.zeros(2, requires_grad=True)  # doctest: +SKIP
        >>> triplet(anchor, torch.ones(2), -torch.ones(2)).backward()  # doctest: +SKIP
    """
    check_function(function)
    torch = optional_module("torch", "torch")
    node = _node(torch)

    def wrapped(*tensors: Any, parameters: Any = None, **options: Any) -> Any:
        check_parameters(function, parameters)
        names = tuple(parameters) if parameters else ()
        options = {name: _as_numpy(torch, value) for name, value in options.items()}
        return node.apply(function, names, options, *tensors, *(parameters[name] for name in names))

    wrapped.__name__ = getattr(function, "__name__", type(function).__name__)
    wrapped.__doc__ = function.__doc__
    return wrapped


def _as_numpy(torch: Any, value: Any) -> Any:
    if not isinstance(value, torch.Tensor):
        return value
    tensor = value.detach().cpu()
    return (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).numpy()


@functools.cache
def _node(torch: Any) -> Any:
    """Create the class of the autograd node on first use, because its base class is PyTorch's."""

    class Node(torch.autograd.Function):  # type: ignore[misc]
        @staticmethod
        def forward(ctx: Any, function: Any, names: Any, options: Any, *tensors: Any) -> Any:
            ctx.set_materialize_grads(False)
            output, ctx.pullback = evaluate(function, names, [_as_numpy(torch, t) for t in tensors], options)
            ctx.like = [(t.dtype, t.device) if isinstance(t, torch.Tensor) else None for t in tensors]
            ctx.device = next((like[1] for like in ctx.like if like is not None), "cpu")
            ctx.single = not isinstance(output, tuple)
            outputs = tuple(
                torch.as_tensor(np.ascontiguousarray(y).reshape(np.shape(y)), device=ctx.device)
                for y in ((output,) if ctx.single else output)
            )
            return outputs[0] if ctx.single else outputs

        @staticmethod
        @torch.autograd.function.once_differentiable  # type: ignore[untyped-decorator]
        def backward(ctx: Any, *cotangents: Any) -> Any:
            if all(g is None for g in cotangents):
                return (None, None, None, *(None for _ in ctx.like))
            arrays = tuple(_as_numpy(torch, g) for g in cotangents)
            gradients = ctx.pullback(arrays[0] if ctx.single else arrays)
            back = (
                None if g is None or like is None else torch.as_tensor(np.asarray(g)).to(like[1], like[0])
                for g, like in zip(gradients, ctx.like, strict=True)
            )
            return (None, None, None, *back)

    return Node
