"""The error of everything that is wrong with a dataset on disk or on its way there."""

from worldmodel.errors import WorldModelError


class DatasetError(WorldModelError):
    """A dataset is missing, half-written, damaged, or does not fit what is asked."""
