"""What plans on top of frozen tokens: the compressor and the action predictor."""

from worldmodel.predictors.action_predictor import (
    ActionPredictor,
    ActionPredictorSpec,
    Cache,
)
from worldmodel.predictors.compressor import Compressor, CompressorSpec
from worldmodel.predictors.lewm import LeWMPredictor, LeWMSpec
from worldmodel.predictors.packed import PackedPredictor, Past
from worldmodel.predictors.packed_lewm import PackedLeWM

__all__ = [
    "ActionPredictor",
    "ActionPredictorSpec",
    "Cache",
    "Compressor",
    "CompressorSpec",
    "LeWMPredictor",
    "LeWMSpec",
    "PackedLeWM",
    "PackedPredictor",
    "Past",
]
