"""Action-conditioned predictors, and how far off they usually are."""

from worldmodel.predictors.action_predictor import (
    ActionPredictor,
    ActionPredictorSpec,
    Cache,
)
from worldmodel.predictors.error_covariance import ErrorCovariance
from worldmodel.predictors.patch_predictor import PatchPredictor
from worldmodel.predictors.patch_predictor_spec import PatchPredictorSpec

__all__ = [
    "ActionPredictor",
    "ActionPredictorSpec",
    "Cache",
    "ErrorCovariance",
    "PatchPredictor",
    "PatchPredictorSpec",
]
