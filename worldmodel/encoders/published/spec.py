"""What a published encoder takes and gives, and how its files are read."""

from __future__ import annotations

from dataclasses import dataclass

from worldmodel.encoders.published.preparation import Preparation

PRECISIONS = ("float32", "bfloat16")
MOST = 2**14  # of a side [px], a width, or a count


@dataclass(frozen=True)
class Reading:
    """How the files of a published encoder are read; None leaves it as published.

    Attributes:
        weights: which of the encoders in a .pt file, "encoder", "target_encoder" or
            "ema_encoder"; None takes the last where it is, as V-JEPA 2.1's hub code,
            else target_encoder, as the published evaluations do (`checkpoint_key` in
            configs/eval), and encoder where the predictor is action-conditioned, as
            its published hub code does.
        crop: side of the square that the encoder sees [px].
        resize: short side of a picture before the square is cut from its middle [px];
            0 resizes the whole picture to the square.
        heads: attention heads of a .pt file, which tells the widths alone; None knows
            those of the published sizes.
        precision: of weights and products: float32 or bfloat16.
    """

    weights: str | None = None
    crop: int | None = None
    resize: int | None = None
    heads: int | None = None
    precision: str = "float32"

    def __post_init__(self) -> None:
        if self.weights not in (None, "encoder", "target_encoder", "ema_encoder"):
            raise ValueError(
                "weights must be encoder, target_encoder, ema_encoder or null, got "
                f"{self.weights!r}"
            )
        for name, low in (("crop", 1), ("resize", 0), ("heads", 1)):
            value = getattr(self, name)
            if value is not None and (
                type(value) is not int or not low <= value <= MOST
            ):
                raise ValueError(
                    f"{name} must be a whole number in [{low}, {MOST}] or null, got "
                    f"{value!r}"
                )
        if self.precision not in PRECISIONS:
            raise ValueError(
                f"precision must be one of {', '.join(PRECISIONS)}, got "
                f"{self.precision!r}"
            )


@dataclass(frozen=True)
class PublishedSpec:
    """A published encoder as it is used here.

    Attributes:
        family: "vjepa2", or what its config.json calls `model_type`.
        preparation: what becomes of a picture first.
        patch: side of a patch [px].
        tubelet: frames that a token is of.
        dim: width D of a token.
        height: of the frames that are given, before they are prepared [px].
        width: of them [px].
        precision: of weights and products.
        weights: which encoder of a .pt file; "" where the files hold one.
        heads: attention heads, where the files do not tell; 0 where they do.
    """

    family: str
    preparation: Preparation
    patch: int
    tubelet: int
    dim: int
    height: int
    width: int
    precision: str = "float32"
    weights: str = ""
    heads: int = 0

    def __post_init__(self) -> None:
        for name in ("patch", "tubelet", "dim", "height", "width"):
            if not 1 <= getattr(self, name) <= MOST:
                raise ValueError(
                    f"{name} must be in [1, {MOST}], got {getattr(self, name)}"
                )
        if self.preparation.crop % self.patch:
            raise ValueError(
                f"crop must be a multiple of patch={self.patch}, got "
                f"{self.preparation.crop}: take "
                f"{self.patch * max(1, self.preparation.crop // self.patch)}"
            )

    @property
    def patches(self) -> int:
        """Tokens of one moment."""
        return (self.preparation.crop // self.patch) ** 2

    @property
    def latents(self) -> int:
        """Tokens of one moment, P: those of the patches."""
        return self.patches

    @property
    def num_slots(self) -> int:
        """Object slots: none, these are our own encoder's."""
        return 0

    @property
    def num_blobs(self) -> int:
        """Colour blobs: none, these are our own encoder's."""
        return 0

    @property
    def blob_dim(self) -> int:
        """Numbers that colour blobs tell: none."""
        return 0

    def reading(self) -> Reading:
        """The options that read these weights again as they were."""
        return Reading(
            weights=self.weights or None,
            crop=self.preparation.crop,
            resize=self.preparation.resize,
            heads=self.heads or None,
            precision=self.precision,
        )
