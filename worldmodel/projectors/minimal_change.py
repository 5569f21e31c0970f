"""The smallest change of a latent that makes it tell something else."""

from __future__ import annotations

import torch
from torch import Tensor


@torch.no_grad()
def minimal_lift(moved: Tensor, kept: Tensor) -> Tensor:
    """What to add to a latent, of least norm, to change what it tells by one.

    Args:
        moved: (K, D) directions of latents along which they shall tell something else.
        kept: (R, D) directions along which they shall tell what they told; R may be 0.

    Returns:
        (D, K) by the pseudo-inverse: `latent + lift @ change` tells `change` more along
        `moved`, and along `kept` what it told before.
    """
    rows = torch.cat((kept.to(moved), moved)).double()
    return torch.linalg.pinv(rows)[:, len(kept) :].to(moved)
