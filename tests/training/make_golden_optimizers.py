"""Write golden_optimizers.json: 20 steps of PyTorch's optimizers, in float64, on a fixed problem.

Run with any Python that has torch (the file in the repository comes from torch 2.13.0):
``python tests/training/make_golden_optimizers.py``
"""

import importlib
import json
import pathlib

CASES = [
    ("SGD", {}),
    ("SGD", {"lr": 0.05, "momentum": 0.9}),
    ("SGD", {"lr": 0.05, "momentum": 0.9, "dampening": 0.3, "weight_decay": 0.02}),
    ("SGD", {"lr": 0.05, "momentum": 0.8, "nesterov": True, "weight_decay": 0.01}),
    ("Adam", {}),
    ("Adam", {"lr": 0.1, "betas": [0.8, 0.95], "eps": 1e-6, "weight_decay": 0.03}),
    ("Adam", {"lr": 0.1, "amsgrad": True, "betas": [0.5, 0.7]}),
    ("AdamW", {}),
    ("AdamW", {"lr": 0.1, "weight_decay": 0.2, "amsgrad": True, "betas": [0.5, 0.7]}),
    ("RMSprop", {}),
    ("RMSprop", {"lr": 0.02, "alpha": 0.9, "momentum": 0.7, "weight_decay": 0.05}),
    ("RMSprop", {"lr": 0.02, "centered": True, "eps": 1e-4}),
    ("RMSprop", {"lr": 0.02, "centered": True, "momentum": 0.5, "alpha": 0.95}),
]
START = [1.5, -2.0, 0.25, 3.0]


def gradient(torch, x, step):
    """Return the gradient of a curved valley whose slope varies with the step; the test repeats it in NumPy."""
    scale = torch.tensor([1.0, 10.0, 0.1, 3.0], dtype=torch.float64)
    return scale * x + torch.sin(3 * x.flip(0)) + torch.cos(torch.tensor(step * 1.0, dtype=torch.float64))


def trajectory(torch, name, options):
    """Return the points after each of 20 steps."""
    x = torch.tensor(START, dtype=torch.float64, requires_grad=True)
    optimizer = getattr(torch.optim, name)([x], **options)
    points = []
    for step in range(20):
        x.grad = gradient(torch, x.detach(), step)
        optimizer.step()
        points.append(x.detach().tolist())
    return points


def main():
    """Write the file next to this script."""
    torch = importlib.import_module("torch")  # imported here, so that test collection does not need it
    cases = [{"name": n, "options": o, "points": trajectory(torch, n, o)} for n, o in CASES]
    out = {"torch": torch.__version__.split("+")[0], "start": START, "cases": cases}
    pathlib.Path(__file__).with_name("golden_optimizers.json").write_text(json.dumps(out, indent=0) + "\n")


if __name__ == "__main__":
    main()
