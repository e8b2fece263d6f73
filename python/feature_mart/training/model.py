"""Fit gradient-boosted trees on a snapshot, and the baseline to compare the trees with."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from feature_mart.core.errors import TerminalError, UsageError
from feature_mart.snapshot_files.usability import Shortcoming
from feature_mart.training.dataset import Snapshot, Split
from feature_mart.training.metrics import binary_metrics, regression_metrics

# Depth, learning rate and sampling were chosen on the validation split of the municipal warehouse (docs/figures.md).
# Models of different seeds differ, because rows and columns are sampled. With one thread, the result does not depend on
# the number of cores. On a busy machine with two cores, two threads took ten times as long as one thread.
DEFAULT_PARAMS: Mapping[str, Any] = {
    "tree_method": "hist",
    "learning_rate": 0.03,
    "max_depth": 8,
    "min_child_weight": 10,
    "subsample": 0.8,
    "colsample_bytree": 0.5,
    "nthread": 1,
}
MAX_ROUNDS = 2000
PATIENCE = 50
ROUNDS_WITHOUT_VALIDATION = 300
TRAIN = ("train",)
TRAIN_AND_VALIDATION = ("train", "validation")


class Predictor(Protocol):
    """A fitted model that predicts one number per row."""

    def predict(self, split: Split) -> NDArray[np.float32]:
        """Return the predicted labels (regression) or probabilities of label 1 (binary). Shape: (rows,)."""
        ...


@dataclass(frozen=True, slots=True)
class Model:
    """A fitted booster. `rounds` is the number of trees used to predict; `on` has the splits used to fit."""

    booster: Any
    rounds: int
    seed: int
    on: tuple[str, ...]
    columns: tuple[str, ...]
    categorical: frozenset[str]

    def predict(self, split: Split) -> NDArray[np.float32]:
        """Return the predictions. Shape: (rows,).

        Raises:
            UsageError: the columns of the split differ from the columns of the model.
        """
        if split.columns != self.columns:
            raise UsageError(
                "The model was trained on other columns than those of the split: use the snapshot on which the "
                "model was trained."
            )
        if not split.rows:
            return np.empty(0, dtype=np.float32)
        matrix = _matrix(require_xgboost(), split, self.categorical)
        return np.asarray(
            self.booster.predict(matrix, iteration_range=(0, self.rounds)), dtype=np.float32
        )


@dataclass(frozen=True, slots=True)
class GroupMedian:
    """A baseline that predicts the median label (regression) or the ratio of positives (binary) of each row's group."""

    column: str
    groups: Mapping[float, float]
    overall: float

    def predict(self, split: Split) -> NDArray[np.float32]:
        """Return the value of each row's group, or the overall value for NULL and for groups that were not fitted."""
        values = split.features[:, split.columns.index(self.column)]
        return np.array(
            [self.groups.get(float(value), self.overall) for value in values], dtype=np.float32
        )


def fit(
    snapshot: Snapshot,
    *,
    seed: int,
    params: Mapping[str, Any] | None = None,
    on: Sequence[str] = TRAIN,
    rounds: int | None = None,
    log_every: int | None = None,
) -> Model:
    """Fit boosted trees. The result is deterministic for a given seed.

    A fit on train stops early, by the error on validation. A fit on train and validation first fits on train, with the
    same seed and parameters, to find the number of rounds. Without validation rows, the number of rounds is 300.
    Categorical columns are passed as categories, because codes have no order.

    Args:
        params: xgboost parameters that override the defaults.
        on: the splits to fit on: train, or train and validation.
        rounds: the number of trees; None chooses the number as above.
        log_every: number of rounds between two printed errors on validation; None prints nothing.

    Raises:
        TerminalError: xgboost is not installed or refuses a parameter, a fitted split has no rows, the label has one
            class or one value, or no feature varies.
        UsageError: `on` is neither ``("train",)`` nor ``("train", "validation")``.
    """
    on = tuple(on)
    if on not in (TRAIN, TRAIN_AND_VALIDATION):
        raise UsageError(
            f"A model is trained on train, or on train and validation; not on {list(on)}."
        )
    xgboost = require_xgboost()
    split, validation = snapshot.joined(on), snapshot.splits["validation"]
    _check_fit(snapshot, on)
    settings = booster_params(snapshot, seed=seed, params=params)
    watched: list[tuple[Any, str]] = []
    if rounds is None and not validation.rows:
        rounds = ROUNDS_WITHOUT_VALIDATION
    if rounds is None and on == TRAIN_AND_VALIDATION:
        rounds = fit(snapshot, seed=seed, params=params, log_every=log_every).rounds
    if rounds is None:
        watched = [(_matrix(xgboost, validation, snapshot.categorical), "validation")]
    try:
        booster = xgboost.train(
            settings,
            _matrix(xgboost, split, snapshot.categorical),
            num_boost_round=rounds or MAX_ROUNDS,
            evals=watched,
            early_stopping_rounds=PATIENCE if watched else None,
            verbose_eval=log_every or False,
        )
    except xgboost.core.XGBoostError as error:
        first = str(error).partition("\n")[0]
        raise TerminalError(f"xgboost failed on {snapshot.id}: {first}.") from error
    kept = booster.best_iteration + 1 if watched else booster.num_boosted_rounds()
    return Model(booster, int(kept), seed, on, snapshot.columns, snapshot.categorical)


def booster_params(
    snapshot: Snapshot, *, seed: int, params: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Return the parameters that `fit` passes to xgboost. `params` overrides the defaults and the objective."""
    return {**DEFAULT_PARAMS, **objective(snapshot.label_kind), **(params or {}), "seed": seed}


def group_median(
    snapshot: Snapshot, column: str = "category_code", *, on: Sequence[str] = TRAIN
) -> GroupMedian:
    """Fit the baseline `GroupMedian` with the groups of `column` on the splits `on`.

    Raises:
        UsageError: the snapshot has no such feature.
        TerminalError: the splits have no rows.
    """
    if column not in snapshot.columns:
        raise UsageError(f"{snapshot.consumer} has no feature {column} to group medians by.")
    split = snapshot.joined(on)
    if not split.rows:
        raise TerminalError(
            f"{snapshot.id} has no rows in {' and '.join(on)}; there is nothing to train on."
        )
    middle = np.mean if snapshot.label_kind == "binary" else np.median
    values = split.features[:, split.columns.index(column)]
    groups = {
        float(value): float(middle(split.label[values == value]))
        for value in np.unique(values[~np.isnan(values)])
    }
    return GroupMedian(column, groups, float(middle(split.label)))


def evaluate(
    snapshot: Snapshot, model: Predictor, *, split: str = "test"
) -> dict[str, float | None]:
    """Return the metrics of a model on one split, by name (see `metrics`). A metric without a value is None."""
    rows = snapshot.joined((split,))
    predicted = model.predict(rows)
    if snapshot.label_kind == "binary":
        return binary_metrics(rows.label, predicted)
    return regression_metrics(rows.label, predicted, is_log=snapshot.is_log_label)


def objective(label_kind: str) -> dict[str, str]:
    """Return xgboost's objective and its metric for early stopping; `label_kind` is regression or binary."""
    if label_kind == "binary":
        return {"objective": "binary:logistic", "eval_metric": "logloss"}
    return {"objective": "reg:squarederror", "eval_metric": "rmse"}


def _check_fit(snapshot: Snapshot, on: tuple[str, ...]) -> None:
    for each in snapshot.judge_fit(on):
        if each.is_final:
            raise TerminalError(
                f"{snapshot.id}, {each.split}: {each.what}; nothing was trained. {_advised(each)}"
            )


def check_score(snapshot: Snapshot, split: str) -> None:
    """Raise TerminalError if a split cannot be scored, because it has no rows or only one distinct label."""
    for each in snapshot.judge_score(split):
        if each.is_final:
            raise TerminalError(f"{snapshot.id}, {each.split}: {each.what}. {_advised(each)}")


def _advised(found: Shortcoming) -> str:
    return f"{found.remedy[0].upper()}{found.remedy[1:]}."


def _matrix(xgboost: ModuleType, split: Split, categorical: frozenset[str]) -> Any:
    return xgboost.DMatrix(
        split.features,
        label=split.label,
        feature_names=list(split.columns),
        feature_types=["c" if name in categorical else "q" for name in split.columns],
        enable_categorical=True,
    )


def require_xgboost() -> ModuleType:
    """Return the module xgboost. Raises: TerminalError if it is not installed."""
    try:
        import xgboost
    except ImportError as error:
        raise TerminalError(
            "Training needs xgboost: install it with pip install 'feature-mart[train]'."
        ) from error
    module: ModuleType = xgboost
    return module
