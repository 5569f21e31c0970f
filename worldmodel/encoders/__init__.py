"""Video encoders: frames to latents."""

from worldmodel.encoders.frozen import FrozenEncoder, weights_hash
from worldmodel.encoders.video_vit import VideoViT, VideoViTSpec

__all__ = ["FrozenEncoder", "VideoViT", "VideoViTSpec", "weights_hash"]
