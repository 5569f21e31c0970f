"""Checkpoints on disk: models, parts of them, and unfinished trainings."""
