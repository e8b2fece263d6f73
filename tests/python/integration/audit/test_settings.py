"""Test that the project with a changed setting builds, passes its checks and equals the oracle with that setting."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest

from feature_mart.core.dbt_vars import DEFAULTS
from feature_mart.sample import write_sample
from oracle_differences import differences
from settings_project import SetProject, make_project

#: Settings to test one at a time: for each var, at least two values other than the default. The refresh hours are not
#: hours at which clocks change in the business time zone.
MATRIX: list[dict[str, Any]] = [
    *({"business_timezone": zone} for zone in ("America/Toronto", "Europe/Berlin", "UTC")),
    *({"business_timezone": zone} for zone in ("Asia/Kolkata", "Australia/Lord_Howe")),
    *({"business_timezone": zone} for zone in ("Pacific/Kiritimati", "Pacific/Pago_Pago")),
    *({"refresh_hour": hour} for hour in (0, 5, 23)),
    *({"publish_lag_minutes": minutes} for minutes in (0, 30, 1439)),
    *({"currency": currency} for currency in ("CAD", "CADcents")),
    {"history_start": "2022-01-01T00:00:00-05:00"},
    {"history_start": "2025-01-01 00:00:00+09:00"},
    *({"price_label_lag_days": days} for days in (7, 30)),
    *({"hire_label_lag_days": days} for days in (3, 30)),
    *({"term_prior_count": count} for count in (0, 1, 100)),
    *({"lift_prior_count": count} for count in (0, 1, 50)),
    *({"profile_days": days} for days in (1, 90)),
    *({"profile_rows": rows} for rows in (20, 500)),
    *({"share_days": days} for days in (120, 800)),
    *({"as_of": as_of} for as_of in ("2025-06-01", "2024-12-31T12:00:00-05:00")),
    *({"warehouse": name} for name in ("l'entrepôt", "a b")),
]
TOGETHER: list[dict[str, Any]] = [
    {
        "business_timezone": "America/Toronto",
        "refresh_hour": 5,
        "publish_lag_minutes": 30,
        "as_of": "2026-02-01",
        "currency": "CAD",
        "history_start": "2023-01-01T00:00:00-05:00",
        "price_label_lag_days": 7,
        "hire_label_lag_days": 3,
        "term_prior_count": 7,
        "lift_prior_count": 2,
        "profile_days": 14,
        "profile_rows": 50,
        "share_days": 120,
        "warehouse": "l'entrepôt",
    },
    {
        "business_timezone": "Australia/Lord_Howe",
        "refresh_hour": 17,
        "publish_lag_minutes": 0,
        "as_of": "2026-01-15T00:30:00+10:30",
        "currency": "EUR",
        "history_start": "2024-03-01T00:00:00Z",
        "price_label_lag_days": 1,
        "hire_label_lag_days": 60,
        "term_prior_count": 0,
        "lift_prior_count": 0,
        "profile_days": 3,
        "warehouse": "dünn & lang",
    },
]
#: Vars for which the test does not compare the mart with the oracle's tables for the default value. The first three do
#: not affect the oracle's tables. Other tests check `as_of`, which selects the refresh, and `warehouse`, which selects
#: the lines of the load clock.
WITHOUT_A_VALUE = {"profile_days", "profile_rows", "share_days", "as_of", "warehouse"}


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sample") / "sample"
    write_sample(folder, jobs=150, seed=3)
    return folder


def checked(made: SetProject) -> int:
    """Build the mart, assert that it equals the oracle's tables, and return the number of values compared."""
    made.build()
    with made.open_mart() as con:
        expected = made.expected(as_of_at(con))
        assert differences(con, expected) == []
    return sum(len(row) for rows in expected.values() for row in rows)


def as_of_at(con: duckdb.DuckDBPyConnection) -> datetime:
    row = con.execute("select as_of_at from main.int_mart__clock").fetchone()
    assert row is not None
    at: datetime = row[0]
    return at


def set_project(folder: Path, sample: Path, changed: dict[str, Any]) -> SetProject:
    variables = {name: value for name, value in changed.items() if name != "warehouse"}
    return make_project(folder, sample, changed.get("warehouse", "sample"), **variables)


@pytest.mark.audit
def test_the_project_builds_with_every_setting_changed(sample: Path, tmp_path: Path) -> None:
    assert checked(set_project(tmp_path, sample, TOGETHER[0])) > 10_000


@pytest.mark.audit
@pytest.mark.parametrize("changed", [*MATRIX, *TOGETHER[1:]], ids=str)
def test_the_project_builds_at_another_value(
    sample: Path, tmp_path: Path, changed: dict[str, Any]
) -> None:
    made = set_project(tmp_path, sample, changed)
    values = checked(made)
    for name in set(changed) - WITHOUT_A_VALUE:
        # The mart must differ from the oracle's tables for the default value, or else the var has no effect.
        with made.open_mart() as con:
            assert differences(con, made.expected(as_of_at(con), **{name: DEFAULTS[name]}))
    print(f"{changed}: {values:,} values, 0 differences")


def test_the_matrix_has_each_var_at_two_other_values() -> None:
    values: dict[str, set[Any]] = {}
    for changed in MATRIX:
        for name, value in changed.items():
            values.setdefault(name, set()).add(value)
    # Another test covers overwritten_sources, and the build itself sets snapshot_at.
    assert set(values) == set(DEFAULTS) - {"overwritten_sources", "snapshot_at"}
    assert all(len(found - {DEFAULTS[name]}) >= 2 for name, found in values.items())
    assert set(TOGETHER[0]) == set(values)
