"""Gradient-boosted trees on a snapshot, and the group median they have to beat."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from feature_mart.errors import TerminalError, UsageError
from feature_mart.snapshot_files.usability import Shortcoming
from feature_mart.training.dataset import Snapshot, Split
from feature_mart.training.metrics import binary_metrics, regression_metrics

# Depth, rate and sampling were chosen on the validation split of the municipal data (docs/figures.md).
# Sampling rows and columns is what makes seeds differ. One thread: the bits cannot depend on how
# many there are, and on a busy machine of two cores, two threads took ten times as long as one.
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
    """Anything fitted that gives one number a row."""

    def predict(self, split: Split) -> NDArray[np.float32]:
        """Predictions of shape (rows,): the label, or the probability of 1."""
        ...


@dataclass(frozen=True, slots=True)
class Model:
    """A fitted booster. `rounds` is how many trees it has; `on` the splits it was fitted on."""

    booster: Any
    rounds: int
    seed: int
    on: tuple[str, ...]
    columns: tuple[str, ...]
    categorical: frozenset[str]

    def predict(self, split: Split) -> NDArray[np.float32]:
        """Predictions of shape (rows,). Raises: UsageError when the split has other columns."""
        if split.columns != self.columns:
            raise UsageError("The model was fitted on other columns than the split has.")
        if not split.rows:
            return np.empty(0, dtype=np.float32)
        matrix = _matrix(require_xgboost(), split, self.categorical)
        return np.asarray(
            self.booster.predict(matrix, iteration_range=(0, self.rounds)), dtype=np.float32
        )


@dataclass(frozen=True, slots=True)
class GroupMedian:
    """One number a group: the median label (regression) or the share of positives (binary)."""

    column: str
    groups: Mapping[float, float]
    overall: float

    def predict(self, split: Split) -> NDArray[np.float32]:
        """The group's number; the overall one for a group never fitted, or NULL."""
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
    """Fit boosted trees; the same seed gives the same model.

    Fitted on train, it stops early on validation. Fitted on train and validation, it takes as many
    rounds as the same seed and parameters chose on train. Without validation rows it takes 300.
    Columns marked categorical are passed as categories: their codes have no order.

    Args:
        params: xgboost parameters over the defaults.
        rounds: how many trees, instead of choosing.
        log_every: print the error on validation whenever so many trees were added.

    Raises:
        TerminalError: xgboost is not installed or refuses a parameter, a fitted split has no rows, its label has one
            class or one value, or no feature varies.
        UsageError: `on` is neither train nor train and validation.
    """
    on = tuple(on)
    if on not in (TRAIN, TRAIN_AND_VALIDATION):
        raise UsageError(
            f"A model is fitted on train, or on train and validation; not on {list(on)}."
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
        raise TerminalError(f"xgboost refused to fit {snapshot.id}: {first}.") from error
    kept = booster.best_iteration + 1 if watched else booster.num_boosted_rounds()
    return Model(booster, int(kept), seed, on, snapshot.columns, snapshot.categorical)


def booster_params(
    snapshot: Snapshot, *, seed: int, params: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """What `fit` hands to xgboost: the defaults, what the label asks for, then `params`."""
    return {**DEFAULT_PARAMS, **objective(snapshot.label_kind), **(params or {}), "seed": seed}


def group_median(
    snapshot: Snapshot, column: str = "category_code", *, on: Sequence[str] = TRAIN
) -> GroupMedian:
    """The baseline: one number a group, fitted on train.

    Raises:
        UsageError: the snapshot has no such feature.
        TerminalError: the splits have no rows.
    """
    if column not in snapshot.columns:
        raise UsageError(f"{snapshot.consumer} has no feature {column} to take the median by.")
    split = snapshot.joined(on)
    if not split.rows:
        raise TerminalError(f"{snapshot.id} has no rows in {' and '.join(on)}; nothing to fit.")
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
    """A model's metrics on one split (names: see `metrics`); None where one has no value."""
    rows = snapshot.joined((split,))
    predicted = model.predict(rows)
    if snapshot.label_kind == "binary":
        return binary_metrics(rows.label, predicted)
    return regression_metrics(rows.label, predicted, is_log=snapshot.is_log_label)


def objective(label_kind: str) -> dict[str, str]:
    """xgboost's objective and the metric that stops it, for a label that is regression or binary."""
    if label_kind == "binary":
        return {"objective": "binary:logistic", "eval_metric": "logloss"}
    return {"objective": "reg:squarederror", "eval_metric": "rmse"}


def _check_fit(snapshot: Snapshot, on: tuple[str, ...]) -> None:
    for each in snapshot.judge_fit(on):
        if each.is_final:
            raise TerminalError(
                f"{snapshot.id}, {each.split}: {each.what}; nothing was fitted. {_advised(each)}"
            )


def check_score(snapshot: Snapshot, split: str) -> None:
    """Raise TerminalError where no model has a score on a split: no rows, or labels that are all the same."""
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
    """The module. Raises: TerminalError where it is not installed."""
    try:
        import xgboost
    except ImportError as error:
        raise TerminalError(
            "Training needs xgboost, which is the extra `train`: pip install 'feature-mart[train]'."
        ) from error
    module: ModuleType = xgboost
    return module
