"""Encoders: frames to latents. Ours, and those that others published."""

from worldmodel.encoders.frozen import EncoderSpec, FrozenEncoder
from worldmodel.encoders.published.loading import load_encoder
from worldmodel.encoders.published.spec import PublishedSpec, Reading
from worldmodel.encoders.video_vit import VideoViT, VideoViTSpec

__all__ = [
    "EncoderSpec",
    "FrozenEncoder",
    "PublishedSpec",
    "Reading",
    "VideoViT",
    "VideoViTSpec",
    "load_encoder",
]
