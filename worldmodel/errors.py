"""The errors that a user can mend; commands print them as one line."""


class WorldModelError(ValueError):
    """Something given to us is wrong; the message says what and what is allowed."""


class SpecMismatchError(WorldModelError):
    """A model and an env, dataset or encoder do not belong together."""


class CheckpointError(WorldModelError):
    """A checkpoint or training state is missing, half-written or does not fit."""


class WriteError(OSError):
    """A file could not be written; the message names it and says why."""


class OptionError(WorldModelError):
    """A command or one of its options is unknown, missing or malformed."""
