"""What the checks over time cannot judge yet: a young warehouse, or one with few rows."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from feature_mart.runner.engine import Engine

UNJUDGED = "int_mart__unjudged"
_QUERY = (
    "select model_name, history_days, needed_days, newest_rows, former_rows, needed_rows "
    "from {table} order by model_name"
)
_COMPARED = "null rates, distinct values, distributions, volumes"


@dataclass(frozen=True, slots=True)
class Unjudged:
    """Checks that compare nothing yet, and what is missing.

    `models` are those that the checks are about. Days are whole days of history, rows those of the rarer side.
    """

    what: str
    why: str
    models: tuple[str, ...]

    def line(self) -> str:
        """The two as one line."""
        return f"{self.what}: {self.why}"


def read_unjudged(engine: Engine, published_at: datetime | None) -> tuple[Unjudged, ...]:
    """Return what `int_mart__unjudged` of the mart holds, one entry per reason.

    Raises:
        FeatureMartError: the mart could not be read.
    """
    rows = engine.ask(UNJUDGED, _QUERY, published_at)
    by_reason: dict[tuple[str, str], list[str]] = {}
    for model, days, needed_days, newest, former, needed_rows in rows:
        reason = _reason(model, days, needed_days, newest, former, needed_rows)
        by_reason.setdefault(reason, []).append(str(model))
    return tuple(Unjudged(what, why, tuple(models)) for (what, why), models in by_reason.items())


def _reason(
    model: str, days: float | None, needed_days: int, newest: int, former: int, needed_rows: int
) -> tuple[str, str]:
    if days is not None and days < needed_days:
        return _COMPARED, f"{_count(int(days), 'day')} of history, {needed_days} are needed"
    subject = "features" if model.startswith("feat_") else model
    return (
        f"{_COMPARED} of {subject}",
        f"{newest:,} rows lately, {former:,} before, {needed_rows:,} are needed on each side",
    )


def _count(number: int, unit: str) -> str:
    return f"{number} {unit}" if number == 1 else f"{number} {unit}s"
