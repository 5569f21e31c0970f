"""World models that learn from video and plan toward a goal image."""

from worldmodel.version import __version__ as __version__
