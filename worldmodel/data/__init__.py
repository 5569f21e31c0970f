"""Datasets of episodes: writing, reading, a decoded cache, training windows."""

from worldmodel.data.cache import FrameCache
from worldmodel.data.contact_sheet import contact_sheet
from worldmodel.data.episode import Episode
from worldmodel.data.errors import DatasetError
from worldmodel.data.reader import LeRobotDataset
from worldmodel.data.spec import (
    ACTION_KEY,
    IMAGE_KEY,
    PROPRIO_KEY,
    SIM_STATE_KEY,
    DatasetSpec,
)
from worldmodel.data.splits import SPLITS, Split, SplitRule
from worldmodel.data.staging import EpisodeRecord, stage_episode
from worldmodel.data.statistics import FeatureStatistics, Statistics
from worldmodel.data.windows import WindowBatch, Windows
from worldmodel.data.writer import DatasetWriter

__all__ = [
    "ACTION_KEY",
    "IMAGE_KEY",
    "PROPRIO_KEY",
    "SIM_STATE_KEY",
    "SPLITS",
    "DatasetError",
    "DatasetSpec",
    "DatasetWriter",
    "Episode",
    "EpisodeRecord",
    "FeatureStatistics",
    "FrameCache",
    "LeRobotDataset",
    "Split",
    "SplitRule",
    "Statistics",
    "WindowBatch",
    "Windows",
    "contact_sheet",
    "stage_episode",
]
