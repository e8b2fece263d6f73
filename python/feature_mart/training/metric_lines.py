"""The lines that a training job prints, and the regular expressions by which SageMaker parses them.

===================================  ==========================================================
``validation:r2=0.7123;``            a metric of a split, at the end; no line if it has no value
``fit:rounds=412;``                  the number of trees of the model
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
    """Return the line of one metric, with all digits of the number: it parses back to the same value."""
    return f"{group}:{name}={value!r};"


def metric_definitions(label_kind: str) -> list[dict[str, str]]:
    """Return SageMaker's MetricDefinitions; `label_kind` is regression or binary."""
    names = BINARY if label_kind == "binary" else (*REGRESSION, *LOG_REGRESSION)
    lines = [f"{split}:{name}" for split in SPLITS for name in names]
    watched = _WATCHED[label_kind]
    return [
        *({"Name": line, "Regex": f"{line}={_NUMBER};"} for line in [*lines, "fit:rounds"]),
        {"Name": f"progress:{watched}", "Regex": rf"\[[0-9]+\].*validation-{watched}:{_NUMBER}"},
    ]
