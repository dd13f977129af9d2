"""Our functions as nodes of PyTorch's autograd graph."""

import numpy as np
import pytest

import graphattend as ga
from graphattend.interop import torch_function

torch = pytest.importorskip("torch")


def leaves(*shapes, dtype=None):
    generator = torch.Generator().manual_seed(0)
    kind = dtype or torch.float64
    return [torch.randn(s, generator=generator, dtype=kind).requires_grad_() for s in shapes]


@pytest.mark.parametrize(
    ("function", "shapes", "options"),
    [
        (ga.functional.softmax, [(3, 4)], {}),
        (ga.functional.scaled_dot_product_attention, [(3, 4)] * 3, {"is_causal": True}),
        (ga.training.info_nce, [(2, 4), (2, 3, 4), (5, 4)], {"temperature": 0.5}),
        (ga.training.triplet, [(3, 4)] * 3, {"margin": 3.0}),
        (ga.training.orthogonality, [(5, 3)], {}),
    ],
)
def test_gradcheck(function, shapes, options):
    wrapped = torch_function(function)
    assert torch.autograd.gradcheck(lambda *xs: wrapped(*[torch.tanh(x) for x in xs], **options), leaves(*shapes))


def test_agrees_with_pytorchs_own_attention_and_cross_entropy():
    q, k, v = leaves((2, 3, 4), (2, 5, 4), (2, 5, 4))
    attention = torch_function(ga.functional.scaled_dot_product_attention)
    mask = torch.rand(3, 5, generator=torch.Generator().manual_seed(1)) > 0.3
    for ours, theirs in zip(
        torch.autograd.grad(attention(q, k, v, attn_mask=mask).sin().sum(), (q, k, v)),
        torch.autograd.grad(
            torch.nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=mask).sin().sum(), (q, k, v)
        ),
        strict=True,
    ):
        torch.testing.assert_close(ours, theirs)
    (z,) = leaves((6, 3))
    y = torch.tensor([0, 2, 1, 1, 0, 2])
    ours = torch_function(ga.training.cross_entropy)(z, y, label_smoothing=0.1)
    theirs = torch.nn.functional.cross_entropy(z, y, label_smoothing=0.1)
    torch.testing.assert_close(ours, theirs)
    torch.testing.assert_close(torch.autograd.grad(ours, z), torch.autograd.grad(theirs, z))


def test_several_outputs_of_which_one_is_unused():
    q, k, v = leaves((3, 4), (5, 4), (5, 4))
    attention = torch_function(ga.functional.scaled_dot_product_attention)
    output, weights = attention(q, k, v, return_weights=True)
    both = torch.autograd.grad(output.sum() + (weights**2).sum(), (q, k, v), retain_graph=True)
    only = torch.autograd.grad(output.sum(), (q, k, v), retain_graph=True)
    part = torch.autograd.grad((weights**2).sum(), (q, k))
    torch.testing.assert_close(both[0], only[0] + part[0])


def test_mechanisms_with_their_parameters():
    attn = ga.create("multi_head", 4, num_heads=2)
    wrapped = torch_function(attn)
    q, k, v = leaves((2, 4), (3, 4), (3, 4))
    parameters = {name: torch.tensor(np.asarray(p, float), requires_grad=True) for name, p in attn.parameters().items()}
    names = list(parameters)
    assert torch.autograd.gradcheck(
        lambda q, k, v, *ps: wrapped(q, k, v, parameters=dict(zip(names, ps, strict=True))),
        (q, k, v, *parameters.values()),
    )


def test_dtypes_are_kept():
    for dtype in (torch.float32, torch.float64):
        (x,) = leaves((3, 4), dtype=dtype)
        y = torch_function(ga.functional.softmax)(x)
        assert y.dtype == dtype
        y.sum().backward()
        assert x.grad.dtype == dtype
    (x,) = leaves((3, 4), dtype=torch.bfloat16)
    torch_function(ga.functional.softmax)(x).sum().backward()
    assert x.grad.dtype == torch.bfloat16
