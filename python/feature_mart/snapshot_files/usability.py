"""Decide from counts whether a model can be fitted on a snapshot and scored.

The exporter counts while it reads the rows, and training counts in the arrays that it loaded; both use these rules.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Kind = Literal[
    "no_rows",
    "fewer_rows_than_features",
    "too_few_rows_to_score",
    "one_class",
    "one_value",
    "other_classes",
    "no_feature_varies",
]

#: Minimum number of rows for a reliable score. With 30 rows, the standard error of a ratio near 0.5 is 0.09.
MIN_SCORED_ROWS = 30

_MORE = "make the split longer in models/exposures.yml (validation_share, test_share), or load more history"


@dataclass(frozen=True, slots=True)
class SplitCounts:
    """The counts of one split that the rules need.

    Attributes:
        rows: number of rows in the split.
        purged: number of rows left out because the label was known too late.
        label_low, label_high: the smallest and the largest label; None if there are no rows.
        other_labels: number of rows whose label is neither 0 nor 1.
    """

    name: str
    rows: int
    purged: int
    label_low: float | None
    label_high: float | None
    other_labels: int


@dataclass(frozen=True, slots=True)
class Shortcoming:
    """A reason why a snapshot is of little or no use.

    Attributes:
        split: the split or splits concerned.
        what: a description with the counts and the consequence.
        remedy: advice on how to fix the shortcoming.
        is_final: True if no model can be fitted or no score can be computed; False if the model or score is unreliable.
    """

    kind: Kind
    split: str
    what: str
    remedy: str
    is_final: bool

    @property
    def text(self) -> str:
        """Return `split`, `what` and `remedy` in one line."""
        return f"{self.split}: {self.what}; {self.remedy}"


def judge_snapshot(
    label: str, label_kind: str, features: int, varying: int, splits: Sequence[SplitCounts]
) -> tuple[Shortcoming, ...]:
    """Return every shortcoming of a snapshot, in the order of the splits.

    Args:
        label_kind: regression or binary.
        features: the number of features.
        varying: the number of features with at least two distinct values in train, where NULL counts as a value.
        splits: the counts of the splits. A model is fitted on the first and scored on the others.
    """
    train, *others = splits
    found = list(judge_fit(label, label_kind, features, varying, train))
    for split in others:
        found += judge_score(label, label_kind, split)
    return tuple(found)


def judge_fit(
    label: str, label_kind: str, features: int, varying: int, split: SplitCounts
) -> tuple[Shortcoming, ...]:
    """Return the reasons why a fit on a split is impossible or would overfit. Arguments as in `judge_snapshot`."""
    if not split.rows:
        return (_no_rows(split, "there are no rows to train on"),)
    found = list(_judge_label(label, label_kind, split, "there is nothing to learn"))
    if label_kind == "binary" and split.other_labels:
        what = (
            f"the binary label {label} is neither 0 nor 1 in {split.other_labels} of {split.rows} rows (it ranges "
            f"from {split.label_low:g} to {split.label_high:g})"
        )
        remedy = "correct the label, or its label_kind in models/exposures.yml"
        found.append(Shortcoming("other_classes", split.name, what, remedy, is_final=True))
    if not varying:
        what = f"all {features} features are constant in the {split.rows} rows, so there is nothing to learn from"
        remedy = "look for empty raw tables behind the features, or make the split longer in models/exposures.yml"
        found.append(Shortcoming("no_feature_varies", split.name, what, remedy, is_final=True))
    if split.rows < features:
        what = (
            f"there are fewer rows ({split.rows}) than features ({features}), so a model overfits"
        )
        remedy = f"{_MORE}, or use fewer features"
        found.append(
            Shortcoming("fewer_rows_than_features", split.name, what, remedy, is_final=False)
        )
    return tuple(found)


def judge_score(label: str, label_kind: str, split: SplitCounts) -> tuple[Shortcoming, ...]:
    """Return the reasons why a score on a split is impossible or unreliable. Arguments as in `judge_snapshot`."""
    if not split.rows:
        return (_no_rows(split, "there are no rows to score"),)
    lost = "auc has no value" if label_kind == "binary" else "r2 has no value"
    found = list(_judge_label(label, label_kind, split, lost))
    if split.rows < MIN_SCORED_ROWS:
        what = f"there are fewer than {MIN_SCORED_ROWS} rows ({split.rows}), so a score on them is unreliable"
        found.append(Shortcoming("too_few_rows_to_score", split.name, what, _MORE, is_final=False))
    return tuple(found)


def _no_rows(split: SplitCounts, what: str) -> Shortcoming:
    remedy = _MORE
    if split.purged:
        what = f"{what} ({split.purged} purged, because their labels were known too late)"
        remedy = f"lower embargo_days in models/exposures.yml, or {remedy}"
    return Shortcoming("no_rows", split.name, what, remedy, is_final=True)


def _judge_label(
    label: str, label_kind: str, split: SplitCounts, lost: str
) -> tuple[Shortcoming, ...]:
    if split.label_low != split.label_high:
        return ()
    kind: Kind = "one_class" if label_kind == "binary" else "one_value"
    has = kind.replace("_", " ")
    what = f"the label {label} has only {has} ({split.label_low:g} in all {split.rows} rows), so {lost}"
    remedy = f"{_MORE}, or choose another label"
    return (Shortcoming(kind, split.name, what, remedy, is_final=True),)
