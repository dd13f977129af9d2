"""From PyTorch: weights of a trained `MultiheadAttention`, masks, and the same numbers.

PyTorch keeps the three input projections one above the other and multiplies by their transposes; its masks say what
to ignore. Both are one line here. Where PyTorch is installed its own answer is compared; without it the weights are
random ones of the same layout.
"""

import importlib.util

import numpy as np

import graphattend as ga

D, H = 16, 4
rng = np.random.default_rng(0)
x = rng.standard_normal((6, D)).astype(np.float32)
ignore = np.triu(np.ones((6, 6), bool), k=1)  # as PyTorch has it: True = do not look

if importlib.util.find_spec("torch"):
    import torch

    module = torch.nn.MultiheadAttention(D, H, batch_first=True).eval()
    state = {name: tensor.detach().numpy() for name, tensor in module.state_dict().items()}
else:
    shapes = {"in_proj_weight": (3 * D, D), "in_proj_bias": (3 * D,), "out_proj.weight": (D, D), "out_proj.bias": (D,)}
    state = {name: 0.2 * rng.standard_normal(shape).astype(np.float32) for name, shape in shapes.items()}

names = ("q", "k", "v")
parameters = {f"w_{n}": w.T for n, w in zip(names, np.split(state["in_proj_weight"], 3))}
parameters |= {f"b_{n}": b for n, b in zip(names, np.split(state["in_proj_bias"], 3))}
parameters |= {"w_o": state["out_proj.weight"].T, "b_o": state["out_proj.bias"]}

attention = ga.create("multi_head", dim=D, num_heads=H).with_parameters(parameters)
output = attention.forward(x, x, x, attn_mask=ga.functional.from_torch_mask(ignore))

if importlib.util.find_spec("torch"):
    wanted = module(*[torch.from_numpy(x)[None]] * 3, attn_mask=torch.from_numpy(ignore))[0][0].detach().numpy()
    print(f"difference from PyTorch: {np.abs(output - wanted).max():.1e}")
else:
    heads = [np.split(x @ parameters[f"w_{n}"] + parameters[f"b_{n}"], H, axis=1) for n in names]
    joined = [ga.functional.scaled_dot_product_attention(q, k, v, attn_mask=~ignore) for q, k, v in zip(*heads)]
    wanted = np.concatenate(joined, axis=1) @ parameters["w_o"] + parameters["b_o"]
    print(f"difference from the formula: {np.abs(output - wanted).max():.1e}")
