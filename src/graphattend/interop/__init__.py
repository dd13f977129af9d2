"""Use graphattend's functions in HIPS autograd and PyTorch (extras `graphattend[autograd]`, `graphattend[torch]`)."""

from .autograd import autograd_primitive
from .torch import torch_function

__all__ = ["autograd_primitive", "torch_function"]
