"""Training on a snapshot. Needs the extra ``train`` (xgboost) from `fit` on.

=============================  ==============================================================
``load_snapshot(address)``     features, label and keys of each split, only if committed
``load_channels(meta, …)``     the same without keys, from a training job's own folders
``fit(snapshot, seed=0)``      boosted trees on train, or on train and validation
``evaluate(snapshot, model)``  metrics on the test split
``score_seeds(snapshot)``      five seeds: mean and spread
``group_median(snapshot)``     the baseline by category
``load_model(folder)``         the model that a training job saved
=============================  ==============================================================
"""

from feature_mart.training.dataset import Snapshot, Split, load_channels, load_snapshot
from feature_mart.training.model import (
    DEFAULT_PARAMS,
    GroupMedian,
    Model,
    Predictor,
    evaluate,
    fit,
    group_median,
)
from feature_mart.training.saved import load_model
from feature_mart.training.scores import SeedScores, score_seeds

__all__ = [
    "DEFAULT_PARAMS",
    "GroupMedian",
    "Model",
    "Predictor",
    "SeedScores",
    "Snapshot",
    "Split",
    "evaluate",
    "fit",
    "group_median",
    "load_channels",
    "load_model",
    "load_snapshot",
    "score_seeds",
]
