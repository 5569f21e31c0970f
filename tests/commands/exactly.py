"""The console script with what makes two trainings comparable to the last digits."""

import sys
from collections.abc import Callable
from typing import Any

import torch

from worldmodel.commands import training
from worldmodel.commands.main import main
from worldmodel.training import loop


def exactly(replace: Callable[[Any, str, Any], None]) -> None:
    """Trains in float32, by plain gradients, with every step in the log.

    AdamW hides the scale of a gradient, and makes much of one that is nearly zero.
    """

    def plain(parameters: Any, lr: float, weight_decay: float, betas: Any) -> Any:
        del weight_decay, betas
        return torch.optim.SGD(parameters, lr)

    replace(training, "_LOG_EVERY", 1)
    replace(loop, "bf16_pays", lambda device: False)
    replace(torch.optim, "AdamW", plain)


if __name__ == "__main__":
    exactly(setattr)
    sys.exit(main())
