"""Read the checks over time that had too little to compare, because the warehouse is young or has few rows."""

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
_SHARES = "columns that become empty, shares of exclusions"


@dataclass(frozen=True, slots=True)
class Unjudged:
    """Checks that have too little to compare (`what`), and what is missing (`why`).

    `models` are the names of the models that the checks are about.
    """

    what: str
    why: str
    models: tuple[str, ...]

    def line(self) -> str:
        """Return one line that names the checks and says what is missing."""
        return f"{self.what}: {self.why}"


def read_unjudged(engine: Engine, published_at: datetime | None) -> tuple[Unjudged, ...]:
    """Return one `Unjudged` for each pair of checks and reason in `int_mart__unjudged`, with the models concerned.

    Raises:
        FeatureMartError: the mart cannot be read.
    """
    rows = engine.ask(UNJUDGED, _QUERY, published_at)
    by_reason: dict[tuple[str, str], list[str]] = {}
    for model, *found in rows:
        for reason in _reasons(str(model), *found):
            by_reason.setdefault(reason, []).append(str(model))
    return tuple(Unjudged(what, why, tuple(models)) for (what, why), models in by_reason.items())


def _reasons(
    model: str, days: float | None, needed_days: int, newest: int, former: int, needed_rows: int
) -> list[tuple[str, str]]:
    if days is None:
        return [(_COMPARED, f"there are fewer than {needed_rows:,} jobs so far")]
    nothing_before = (_SHARES, "this is the first refresh, so there is nothing to compare with")
    first = [nothing_before] if days < 1 else []
    if days < needed_days:
        had = "1 day" if int(days) == 1 else f"{int(days)} days"
        return [(_COMPARED, f"{had} of history; {needed_days} are needed"), *first]
    subject = "features" if model.startswith("feat_") else model
    rows = f"{newest:,} recent rows and {former:,} earlier ones; {needed_rows:,} are needed of each"
    return [(f"{_COMPARED} of {subject}", rows)]
