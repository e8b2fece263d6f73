"""The lines a training job prints, and the regular expressions by which SageMaker reads them.

===================================  ==========================================================
``validation:r2=0.7123;``            a metric of a split, at the end; no line where it has no value
``fit:rounds=412;``                  how many trees the model has
``[50]\\tvalidation-rmse:0.61234``    xgboost's own line, every 50 rounds
===================================  ==========================================================
"""

from feature_mart.training.metrics import BINARY, LOG_REGRESSION, REGRESSION

SPLITS = ("validation", "test")
#: Rounds between two of xgboost's lines.
EVERY = 50

_NUMBER = r"([-+]?[0-9]+(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?)"
_WATCHED = {"regression": "rmse", "binary": "logloss"}


def metric_line(group: str, name: str, value: float) -> str:
    """One metric; the number with all its digits, so that it reads back as it was."""
    return f"{group}:{name}={value!r};"


def metric_definitions(label_kind: str) -> list[dict[str, str]]:
    """SageMaker's MetricDefinitions for a label that is regression or binary."""
    names = BINARY if label_kind == "binary" else (*REGRESSION, *LOG_REGRESSION)
    lines = [f"{split}:{name}" for split in SPLITS for name in names]
    watched = _WATCHED[label_kind]
    return [
        *({"Name": line, "Regex": f"{line}={_NUMBER};"} for line in [*lines, "fit:rounds"]),
        {"Name": f"progress:{watched}", "Regex": rf"\[[0-9]+\].*validation-{watched}:{_NUMBER}"},
    ]
