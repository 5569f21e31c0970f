"""What plans on top of frozen tokens: the compressor and the action predictor."""

from worldmodel.predictors.action_predictor import (
    ActionPredictor,
    ActionPredictorSpec,
    Cache,
)
from worldmodel.predictors.compressor import Compressor, CompressorSpec
from worldmodel.predictors.packed import PackedPredictor, Past

__all__ = [
    "ActionPredictor",
    "ActionPredictorSpec",
    "Cache",
    "Compressor",
    "CompressorSpec",
    "PackedPredictor",
    "Past",
]
