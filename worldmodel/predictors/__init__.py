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
from worldmodel.predictors.token_predictor import TokenPredictor, TokenPredictorSpec

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
    "TokenPredictor",
    "TokenPredictorSpec",
]
