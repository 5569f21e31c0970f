"""Datasets of episodes: writing, reading, a decoded cache, training windows."""

from worldmodel.data.cache import FrameCache
from worldmodel.data.contact_sheet import contact_sheet
from worldmodel.data.episode import Episode
from worldmodel.data.errors import DatasetError
from worldmodel.data.foreign import DamagedEpisodes, ForeignDataset
from worldmodel.data.opening import camera_keys, open_dataset
from worldmodel.data.reader import LeRobotDataset
from worldmodel.data.source import EpisodeSource
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
from worldmodel.data.view import View
from worldmodel.data.windows import WindowBatch, Windows
from worldmodel.data.writer import DatasetWriter

__all__ = [
    "ACTION_KEY",
    "IMAGE_KEY",
    "PROPRIO_KEY",
    "SIM_STATE_KEY",
    "SPLITS",
    "DamagedEpisodes",
    "DatasetError",
    "DatasetSpec",
    "DatasetWriter",
    "Episode",
    "EpisodeRecord",
    "EpisodeSource",
    "FeatureStatistics",
    "ForeignDataset",
    "FrameCache",
    "LeRobotDataset",
    "Split",
    "SplitRule",
    "Statistics",
    "View",
    "WindowBatch",
    "Windows",
    "camera_keys",
    "contact_sheet",
    "open_dataset",
    "stage_episode",
]
