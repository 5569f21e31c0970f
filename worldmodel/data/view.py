"""How a dataset that others recorded is looked at."""

from __future__ import annotations

from dataclasses import dataclass

from worldmodel.data.errors import DatasetError
from worldmodel.data.spec import IMAGE_KEY, MOST

MOST_STRIDE = 10_000  # control steps


@dataclass(frozen=True)
class View:
    """Which of the pictures are used, how large and how often, and what actions are.

    Attributes:
        camera: Key of a picture feature; None takes the only one.
        height: Rows that frames are resized to [pixels]; None leaves them.
        width: Columns that frames are resized to [pixels]; None leaves them.
        stride: Control steps from one frame to the next; the actions between are put
            side by side.
        absolute_actions: Whether actions say where to be; None takes those for absolute
            that are not all in [-1, 1].
    """

    camera: str | None = None
    height: int | None = None
    width: int | None = None
    stride: int = 1
    absolute_actions: bool | None = None

    def __post_init__(self) -> None:
        """Checks types and ranges."""
        for name in ("height", "width"):
            value = getattr(self, name)
            if value is not None and (type(value) is not int or not 1 <= value <= MOST):
                raise DatasetError(
                    f"{name} must be a whole number in [1, {MOST}], got {value!r}"
                )
        if type(self.stride) is not int or not 1 <= self.stride <= MOST_STRIDE:
            raise DatasetError(
                f"stride must be a whole number in [1, {MOST_STRIDE}], got "
                f"{self.stride!r}"
            )
        if self.camera is not None and not isinstance(self.camera, str):
            raise DatasetError(f"camera must be a text, got {self.camera!r}")
        if self.absolute_actions not in (None, True, False):
            raise DatasetError(
                "absolute_actions must be true, false or null, got "
                f"{self.absolute_actions!r}"
            )

    def require_own(self) -> None:
        """Checks that it asks of a dataset of ours for nothing that is not in it.

        Raises:
            DatasetError: It does; the message names the option.
        """
        if self.camera not in (None, IMAGE_KEY):
            raise DatasetError(
                f"camera must be {IMAGE_KEY}, the only one of a dataset that "
                f"`worldmodel collect` made, got {self.camera!r}"
            )
        if self.stride != 1:
            raise DatasetError(
                "stride must be 1 for a dataset that `worldmodel collect` made, got "
                f"{self.stride}"
            )
        if self.absolute_actions:
            raise DatasetError(
                "absolute_actions must be false or null for a dataset that `worldmodel "
                "collect` made, whose actions are relative"
            )
