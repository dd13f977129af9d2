"""PyTorch."""

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn, optim
from torch.nn.attention.flex_attention import flex_attention

import graphattend as ga

from . import table

DISTRIBUTION, TITLE = "torch", "PyTorch"
ROWS, row = table()


def tensors(*arrays):
    """Arrays as leaves of PyTorch's graph."""
    return [torch.tensor(a, requires_grad=a.dtype.kind == "f") for a in arrays]


def attention_inputs(rng):
    """Queries, keys and values of two batches and four heads."""
    return rng.standard_normal((2, 4, 5, 8)), rng.standard_normal((2, 4, 7, 8)), rng.standard_normal((2, 4, 7, 3))


@row("`F.scaled_dot_product_attention(q, k, v, attn_mask=m)`")
def scaled_dot_product_attention(rng):
    q, k, v = attention_inputs(rng)
    ours, theirs = ga.functional.scaled_dot_product_attention, F.scaled_dot_product_attention
    for mask in (rng.random((5, 7)) < 0.7, rng.standard_normal((5, 7))):
        yield ours(q, k, v, attn_mask=mask), theirs(*tensors(q, k, v), attn_mask=torch.tensor(mask))
    yield ours(q, k, v, is_causal=True, scale=0.3), theirs(*tensors(q, k, v), is_causal=True, scale=0.3)
    few = [x[:, :2] for x in (k, v)]
    yield ours(q, *few, enable_gqa=True), theirs(*tensors(q, *few), enable_gqa=True)


@row("`flex_attention(q, k, v, score_mod)`")
def flex(rng):
    q, k, v = attention_inputs(rng)

    def nearer(score, batch, head, i, j):
        return score - 0.1 * (i - j) ** 2

    ours = ga.functional.scaled_dot_product_attention(q, k, v, score_mod=nearer)
    yield ours, flex_attention(*map(torch.tensor, (q, k, v)), score_mod=nearer)  # on CPUs forwards only


@row("`nn.MultiheadAttention(D, H, batch_first=True)`")
def multi_head(rng):
    module = nn.MultiheadAttention(8, 2, batch_first=True, dtype=torch.float64)
    state = {name: tensor.detach().numpy() for name, tensor in module.state_dict().items()}
    parameters = {f"w_{n}": w.T for n, w in zip("qkv", np.split(state["in_proj_weight"], 3), strict=True)}
    parameters |= {f"b_{n}": b for n, b in zip("qkv", np.split(state["in_proj_bias"], 3), strict=True)}
    parameters |= {"w_o": state["out_proj.weight"].T, "b_o": state["out_proj.bias"]}
    attention = ga.create("multi_head", 8, num_heads=2).with_parameters(parameters)
    x, ignore = rng.standard_normal((6, 8)), np.triu(np.ones((6, 6), bool), 1)
    theirs, weights = module(*tensors(x[None]) * 3, attn_mask=torch.tensor(ignore), average_attn_weights=False)
    mask = ga.functional.from_torch_mask(ignore)
    yield attention.forward(x, x, x, attn_mask=mask), theirs[0]
    yield attention.attention_weights(x, x, attn_mask=mask), weights[0]


@row("`F.softmax(x, dim=-1)`")
def softmax(rng):
    x = rng.standard_normal((3, 4))
    yield ga.functional.softmax(x), F.softmax(torch.tensor(x), dim=-1)


@row("`F.cross_entropy(logits, targets, label_smoothing=s)`")
def cross_entropy(rng):
    logits, targets = rng.standard_normal((6, 3)), rng.integers(0, 3, 6)
    theirs = F.cross_entropy(*tensors(logits, targets), label_smoothing=0.1)
    yield ga.training.cross_entropy(logits, targets, label_smoothing=0.1), theirs


@row("`F.triplet_margin_loss(a, p, n, margin=m)`")
def triplet(rng):
    points = rng.standard_normal((3, 6, 4))
    yield ga.training.triplet(*points, margin=3.0), F.triplet_margin_loss(*tensors(*points), margin=3.0)


@row("`loss.backward()`")
def backward(rng):
    arrays = attention_inputs(rng)
    leaves = tensors(*arrays)
    F.scaled_dot_product_attention(*leaves).sin().sum().backward()
    output, pullback = ga.vjp(ga.functional.scaled_dot_product_attention, *arrays)
    yield from zip(pullback(np.cos(output)), [leaf.grad for leaf in leaves], strict=True)


def steps(rng, ours, theirs, point=None):
    """Three steps of both on the same gradients."""
    x = rng.standard_normal(5) if point is None else point
    (leaf,) = tensors(x)
    params = {"x": x}
    optimizer, state = theirs([leaf]), ours.init(params)
    for _ in range(3):
        gradient = rng.standard_normal(x.shape)
        leaf.grad = torch.tensor(gradient)
        optimizer.step()
        params, state = ours.update(params, {"x": gradient}, state)
    return params["x"], leaf


@row("`optim.SGD(ps, lr, momentum)`, `Adam`, `AdamW`, `RMSprop`")
def optimizers(rng):
    for name, options in {
        "SGD": {"momentum": 0.9, "nesterov": True},
        "Adam": {"amsgrad": True},
        "AdamW": {"weight_decay": 0.1},
        "RMSprop": {"centered": True},
    }.items():
        ours, theirs = getattr(ga.training, name), getattr(optim, name)
        yield steps(rng, ours(lr=0.1, **options), lambda ps, t=theirs, o=options: t(ps, lr=0.1, **o))


@row("`clip_grad_norm_(ps, c)`")
def clip(rng):
    gradients = {"a": rng.standard_normal(4), "b": rng.standard_normal((2, 3))}
    leaves = tensors(*gradients.values())
    for leaf, gradient in zip(leaves, gradients.values(), strict=True):
        leaf.grad = torch.tensor(gradient)
    nn.utils.clip_grad_norm_(leaves, 0.5)
    for clipped, leaf in zip(ga.training.clip_by_norm(gradients, 0.5).values(), leaves, strict=True):
        yield clipped, leaf.grad
