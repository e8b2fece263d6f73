"""Train a model on a snapshot. Boosted trees need the extra ``train`` (xgboost).

=============================  ==============================================================
``load_snapshot(address)``     load the splits of a committed snapshot, and verify the rows
``load_channels(meta, …)``     load a snapshot from the folders of a training job
``fit(snapshot, seed=0)``      fit boosted trees on train, or on train and validation
``evaluate(snapshot, model)``  compute the metrics on the test split
``score_seeds(snapshot)``      fit with five seeds; return mean and spread of the metrics
``group_median(snapshot)``     fit the baseline: one number for each category
``load_model(folder)``         load the model that a training job saved
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
