"""Encoders that others published, frozen: V-JEPA 2, DINOv2, and more."""
