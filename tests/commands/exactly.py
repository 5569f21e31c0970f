"""Commands one after the other, so that trainings are comparable to the last digits."""

import json
import sys
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import torch

from worldmodel.commands import training
from worldmodel.commands.main import main
from worldmodel.training import distributed, updates


def exactly(replace: Callable[[Any, str, Any], None]) -> None:
    """Trains in float32, by plain gradients, with every step in the log.

    AdamW hides the scale of a gradient, and makes much of one that is nearly zero.
    """

    def plain(parameters: Any, lr: float, **rest: Any) -> Any:
        del rest
        return torch.optim.SGD(parameters, lr)

    replace(training, "_LOG_EVERY", 1)
    replace(updates, "bf16_pays", lambda device: False)
    replace(torch.optim, "AdamW", plain)


if __name__ == "__main__":
    exactly(setattr)
    with distributed.together(torch.device("cpu")):
        distributed.together = nullcontext  # they are, for all commands
        for words in sys.argv[1:]:
            if status := main(json.loads(words)):
                sys.exit(status)
