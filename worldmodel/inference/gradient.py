"""Whether gradients are asked for."""

import torch
from torch import Tensor


def asks_for_gradient(actions: Tensor) -> bool:
    """Whether what is computed from actions is to be differentiated in them."""
    return actions.requires_grad and torch.is_grad_enabled()
