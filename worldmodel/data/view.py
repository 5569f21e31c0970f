"""How a dataset that others recorded is looked at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from worldmodel.action_spec import ActionSpec
from worldmodel.data.errors import DatasetError
from worldmodel.data.spec import IMAGE_KEY, MOST

MOST_STRIDE = 10_000  # control steps


@dataclass(frozen=True)
class View:
    """Which of the pictures are used, how large and how often, and what actions are.

    Attributes:
        camera: Key of a picture feature, or several, whose pictures are put side by
            side from left to right; None takes the only one.
        height: Rows that frames are resized to [pixels]; None leaves them, of several
            cameras all as the first.
        width: Columns that frames are resized to [pixels], an equal part for each
            camera; None leaves them, of several cameras in proportion to the height.
        stride: Control steps from one frame to the next; the actions between are put
            side by side.
        absolute_actions: Whether actions say where to be; None takes those for absolute
            that are not all in [-1, 1].
        actions: What actions mean, where that is not to follow from their own range:
            that of the dataset that they are used beside.
    """

    camera: str | Sequence[str] | None = None
    height: int | None = None
    width: int | None = None
    stride: int = 1
    absolute_actions: bool | None = None
    actions: ActionSpec | None = None

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
        self._check_cameras()
        if self.absolute_actions not in (None, True, False):
            raise DatasetError(
                "absolute_actions must be true, false or null, got "
                f"{self.absolute_actions!r}"
            )

    @property
    def cameras(self) -> tuple[str, ...]:
        """Keys of the cameras that are named; () where none is."""
        if self.camera is None:
            return ()
        return (self.camera,) if isinstance(self.camera, str) else tuple(self.camera)

    def _check_cameras(self) -> None:
        is_list = isinstance(self.camera, Sequence | None)
        is_texts = is_list and all(isinstance(key, str) for key in self.cameras)
        if not is_texts or (self.camera is not None and not self.cameras):
            raise DatasetError(
                f"camera must be a text, or a list of such, got {self.camera!r}"
            )
        if len(set(self.cameras)) < len(self.cameras):
            raise DatasetError(f"camera must name each once, got {self.camera!r}")
        if self.width is not None and self.width % max(1, len(self.cameras)):
            raise DatasetError(
                f"width must be a multiple of the {len(self.cameras)} cameras that "
                f"share it, got {self.width}"
            )

    def require_own(self) -> None:
        """Checks that it asks of a dataset of ours for nothing that is not in it.

        Raises:
            DatasetError: It does; the message names the option.
        """
        if self.cameras not in ((), (IMAGE_KEY,)):
            raise DatasetError(
                f"camera must be {IMAGE_KEY}, the only one of a dataset that "
                f"`worldmodel collect` made, got {self.camera!r}"
            )
        if self.absolute_actions:
            raise DatasetError(
                "absolute_actions must be false or null for a dataset that `worldmodel "
                "collect` made, whose actions are relative"
            )
