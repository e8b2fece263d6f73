"""Test that profiles of earlier refreshes are saved after a build and restored before the next full build."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from feature_mart.core.settings import Settings, resolve_settings
from feature_mart.runner.duckdb_mart import keep_profiles, restore_profiles
from toy_project import write_project

ROWS = (
    "from (values (timestamptz '2026-01-01 00:00:00+00', 'm', 'c', -1, 3)) "
    "t(measured_at, model_name, column_name, bin, row_count)"
)


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.chdir(write_project(tmp_path / "toy"))
    (tmp_path / "dwh").mkdir()
    return resolve_settings(
        dwh=str(tmp_path / "dwh"), environment={"MART_HOME": str(tmp_path / "home")}
    )


def read(path: Path) -> list[tuple[object, ...]]:
    with duckdb.connect(str(path), read_only=True) as con:
        return con.execute("from main.int_mart__profiles").fetchall()


def test_a_full_build_begins_with_what_the_build_before_measured(
    tmp_path: Path, settings: Settings
) -> None:
    first, second = tmp_path / "first.duckdb", tmp_path / "second.duckdb"
    with duckdb.connect(str(first)) as con:
        con.execute(f"create table int_mart__profiles as {ROWS}")
    keep_profiles(settings, first)
    restore_profiles(settings, second)
    assert read(second) == read(first)
    assert [path.name for path in settings.profiles_path.parent.iterdir()] == ["profiles.parquet"]


def test_the_first_build_has_none_and_a_project_without_that_model_keeps_none(
    tmp_path: Path, settings: Settings
) -> None:
    draft = tmp_path / "draft.duckdb"
    restore_profiles(settings, draft)
    assert not draft.exists()
    duckdb.connect(str(draft)).close()
    keep_profiles(settings, draft)
    assert not settings.profiles_path.exists()
