"""Architecture of a predictor of patch tokens."""

from __future__ import annotations

from dataclasses import dataclass

from worldmodel.errors import WorldModelError


@dataclass(frozen=True)
class PatchPredictorSpec:
    """Architecture of a `PatchPredictor`; the defaults are V-JEPA 2-AC's.

    Attributes:
        rows: patches of a frame along its height.
        columns: patches of a frame along its width.
        token_dim: width D of a patch token.
        action_size: dimensions A of a model step's action.
        state_size: dimensions S of the robot's state, 0 for none.
        extrinsics_size: dimensions of a camera's pose. Published files hold an encoder
            of it that nothing uses; it is kept with the rest. 0 for none.
        width: width of the transformer.
        depth: number of blocks.
        heads: attention heads.
        head_width: width of a head, even and at least 6; None for width / heads.
        hidden: width of a block's MLP.
        frames: the most that are seen at once, imagined ones included.
        window: frames that attention looks back on, the present one included; None for
            all.
    """

    rows: int = 16
    columns: int = 16
    token_dim: int = 1408
    action_size: int = 7
    state_size: int = 7
    extrinsics_size: int = 6
    width: int = 1024
    depth: int = 24
    heads: int = 16
    head_width: int | None = None
    hidden: int = 4096
    frames: int = 32
    window: int | None = None

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            least = 0 if name in ("state_size", "extrinsics_size") else 1
            if value is not None and value < least:
                raise WorldModelError(f"{name} must be at least {least}, got {value}")
        if self.head_width is None and self.width % self.heads:
            raise WorldModelError(
                f"width must be a multiple of heads={self.heads}, got {self.width}"
            )
        if self.head_dim < 6 or self.head_dim % 2:
            raise WorldModelError(
                "head_width (width / heads, where it is None) must be even and at "
                "least 6, for positions in time, rows and columns, got "
                f"{self.head_dim}"
            )

    @property
    def head_dim(self) -> int:
        """Width of a head."""
        return self.head_width or self.width // self.heads

    @property
    def patches(self) -> int:
        """Patch tokens P of a frame."""
        return self.rows * self.columns

    @property
    def conditions(self) -> int:
        """Tokens of a frame that are no patches: its action, and its state."""
        return 2 if self.state_size else 1
