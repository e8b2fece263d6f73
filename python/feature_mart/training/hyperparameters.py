"""Define and parse the hyperparameters of a training job, for the request and for the job.

xgboost only warns about a misspelt parameter and then trains another model than intended, so only the parameters listed
here are passed on. Objective and early-stopping metric are not listed, because they follow from the kind of the label.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from feature_mart.core.errors import UsageError
from feature_mart.training.model import TRAIN, TRAIN_AND_VALIDATION

#: Prefix of SageMaker's own hyperparameters, which SageMaker passes together with the hyperparameters of the user.
RESERVED = "sagemaker_"

XGBOOST: Mapping[str, type] = {
    "tree_method": str,
    "grow_policy": str,
    "learning_rate": float,
    "max_depth": int,
    "max_leaves": int,
    "max_bin": int,
    "min_child_weight": float,
    "max_delta_step": float,
    "subsample": float,
    "colsample_bytree": float,
    "colsample_bylevel": float,
    "colsample_bynode": float,
    "gamma": float,
    "reg_alpha": float,
    "reg_lambda": float,
    "scale_pos_weight": float,
    "num_parallel_tree": int,
    "max_cat_to_onehot": int,
    "max_cat_threshold": int,
    "nthread": int,
}
OWN: Mapping[str, type] = {"seed": int, "rounds": int, "on": str, "manifest_sha256": str}
KNOWN: Mapping[str, type] = {**OWN, **XGBOOST}

_KINDS = {int: "a whole number", float: "a number", str: "a name"}
_ON = {",".join(on): on for on in (TRAIN, TRAIN_AND_VALIDATION)}


@dataclass(frozen=True, slots=True)
class Hyperparameters:
    """The arguments of `fit`, and the snapshot to train on.

    Attributes:
        on: the splits to fit on.
        rounds: the number of trees; None if `fit` chooses the number.
        params: parameters of xgboost that override the defaults.
        manifest_sha256: the SHA-256 that manifest.json must have; None skips this check.
    """

    seed: int
    on: tuple[str, ...]
    rounds: int | None
    params: Mapping[str, Any]
    manifest_sha256: str | None = None


def parse_hyperparameters(given: Mapping[str, object]) -> Hyperparameters:
    """Parse hyperparameters as SageMaker passes them. Every value may be text.

    `on` is ``train`` or ``train,validation``. SageMaker's own hyperparameters (``sagemaker_…``) are ignored.

    Raises:
        UsageError: a name is unknown, or a value is invalid.
    """
    asked = {name: value for name, value in given.items() if not name.startswith(RESERVED)}
    unknown = sorted(set(asked).difference(KNOWN))
    if unknown:
        raise UsageError(
            f"There is no hyperparameter {', '.join(unknown)}: use {', '.join(sorted(KNOWN))}."
        )
    values = {name: _read(name, value) for name, value in asked.items()}
    on = values.get("on", ",".join(TRAIN))
    if on not in _ON:
        raise UsageError(f"hyperparameter on is {on!r}, but must be {' or '.join(_ON)}.")
    rounds = values.get("rounds")
    if rounds is not None and rounds < 1:
        raise UsageError(f"hyperparameter rounds is {rounds}, but must be at least 1.")
    sha256 = values.get("manifest_sha256")
    if sha256 is not None and not re.fullmatch(r"[0-9a-f]{64}", sha256):
        raise UsageError(
            f"hyperparameter manifest_sha256 is {sha256!r}, but must be 64 hex digits, as `sha256sum "
            "_meta/manifest.json` prints them."
        )
    return Hyperparameters(
        seed=values.get("seed", 0),
        on=_ON[on],
        rounds=rounds,
        params={name: value for name, value in values.items() if name in XGBOOST},
        manifest_sha256=sha256,
    )


def _read(name: str, value: object) -> Any:
    kind = KNOWN[name]
    try:
        read = kind(str(value))
    except ValueError:
        read = None
    if read is None or read == "" or (kind is float and not math.isfinite(read)):
        raise UsageError(f"hyperparameter {name} is {value!r}, but must be {_KINDS[kind]}.")
    return read
