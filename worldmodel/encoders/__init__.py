"""Video encoders: frames to latents."""

from worldmodel.encoders.frozen import FrozenEncoder
from worldmodel.encoders.video_vit import VideoViT, VideoViTSpec

__all__ = ["FrozenEncoder", "VideoViT", "VideoViTSpec"]
