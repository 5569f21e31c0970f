"""Whether gradients are asked for."""

import torch
from torch import Tensor


def asks_for_gradient(given: Tensor) -> bool:
    """Whether what is computed from a tensor is to be differentiated in it."""
    return given.requires_grad and torch.is_grad_enabled()
