"""Resolve the settings of a command. A flag overrides the environment, which overrides a dbt var and then the default.

=====================  ===========================================================================
``resolve_settings()``  return the settings, from flags, the environment, dbt vars and the wall clock
``Clock``               the times of the refreshes, and the refresh before or after a given time
``parse_as_of()``       return the refresh that ``--as-of`` names
=====================  ===========================================================================
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any

from feature_mart.core.dbt_vars import read_vars
from feature_mart.core.duckdb_files import check_path
from feature_mart.core.errors import UsageError
from feature_mart.core.files import expand_user
from feature_mart.core.services import (
    EMBEDDED,
    TARGETS,
    BigQueryAddress,
    S3Options,
    bigquery_address,
    s3_options,
)
from feature_mart.core.zones import load_zone

SAMPLE = "sample"
_DAY = timedelta(days=1)
#: The range of years of --as-of. Raw times before 1970 or after 2199 are refused.
_FIRST_YEAR, _LAST_YEAR = 1971, 2199


@dataclass(frozen=True, slots=True)
class Clock:
    """The times of the refreshes: every day at `refresh_hour` in `timezone`.

    A row of a refresh may be used `publish_lag_minutes` later.
    """

    timezone: str = "Asia/Tokyo"
    refresh_hour: int = 3
    publish_lag_minutes: int = 60

    def refresh_of(self, day: date) -> datetime:
        """Return the refresh of a business day, in UTC.

        If clocks are set back and the hour occurs twice, the refresh is at the second occurrence. If clocks are set
        forward and the hour is skipped, the hour is interpreted with the offset before the change, so the refresh is at
        the change or shortly after. DuckDB computes both cases in the same way.
        """
        local = datetime.combine(day, time(self.refresh_hour), load_zone(self.timezone))
        return max(local.replace(fold=fold).astimezone(UTC) for fold in (0, 1))

    def refresh_before(self, at: datetime) -> datetime:
        """Return the last refresh at or before a timestamp."""
        return max(refresh for refresh in self._refreshes_near(at) if refresh <= at)

    def refresh_at(self, at: datetime) -> datetime:
        """Return the first refresh at or after a timestamp."""
        return min(refresh for refresh in self._refreshes_near(at) if refresh >= at)

    def refresh_after(self, at: datetime) -> datetime:
        """Return the first refresh after a timestamp."""
        return min(refresh for refresh in self._refreshes_near(at) if refresh > at)

    def _refreshes_near(self, at: datetime) -> list[datetime]:
        """Return the refreshes of the five local days around a timestamp.

        The refresh before or after a timestamp may be on a neighbouring day, and a clock change may move the refresh by
        another day.
        """
        today = at.astimezone(load_zone(self.timezone)).date()
        return [self.refresh_of(today + number * _DAY) for number in (-2, -1, 0, 1, 2)]


@dataclass(frozen=True, slots=True)
class Settings:
    """The resolved settings of one command.

    Attributes:
        project: the folder of dbt_project.yml.
        target: the target in profiles/profiles.yml.
        home: MART_HOME, the folder that contains each warehouse's state folder.
        warehouse: the name of the warehouse in seeds/load_clock.csv: the name of its folder or dataset.
        warehouse_id: the name of the warehouse in snapshots and run records: `warehouse`, or ``project.dataset`` of the
            raw warehouse on BigQuery.
        state_name: the name of the state folder: `warehouse`, or ``project.dataset`` of the mart on BigQuery.
        dwh: the folder with the warehouse's Parquet files; not used on BigQuery.
        address: the place of the warehouse, which differs between two warehouses of the same name.
        is_sample: True if the warehouse is the sample in MART_HOME, which `mart run` writes if it is missing.
        snapshots: the place of the snapshots, a folder or an ``s3://`` address.
        clock: the times of the refreshes.
        currency: the code of the one currency of all amounts (dbt var currency).
        as_of: dbt var as_of, used if no --as-of is given; empty for the newest refresh.
        overwritten_sources: the raw tables that are read through a dbt snapshot.
        now: the wall-clock time when the command began, in UTC.
        bigquery: the settings of BigQuery; None on the embedded engine.
        s3: the options for writing to S3.
    """

    project: Path
    target: str
    home: Path
    warehouse: str
    dwh: Path
    address: str
    is_sample: bool
    snapshots: str
    clock: Clock
    currency: str
    as_of: str
    overwritten_sources: tuple[str, ...]
    now: datetime
    warehouse_id: str
    state_name: str
    bigquery: BigQueryAddress | None = None
    s3: S3Options = field(default_factory=S3Options)

    @property
    def state_dir(self) -> Path:
        """Return the state folder of the warehouse."""
        return self.home / self.state_name

    @property
    def mart_address(self) -> str:
        """Return the place of the mart, for messages: the path of its file, or ``project.dataset`` on BigQuery."""
        if self.bigquery is not None:
            return f"{self.bigquery.project}.{self.bigquery.dataset}"
        return str(self.mart_path)

    @property
    def mart_path(self) -> Path:
        """Return the path of the DuckDB file of the published mart."""
        return self.state_dir / "mart.duckdb"

    @property
    def history_path(self) -> Path:
        """Return the path of the DuckDB file of the dbt snapshots, which cannot be rebuilt."""
        return self.state_dir / "history" / "history.duckdb"

    @property
    def profiles_path(self) -> Path:
        """Return the path of the Parquet copy of the quality profiles, which is kept across full builds.

        Each profile was measured with the definitions that applied at the time of the measurement.
        """
        return self.state_dir / "quality" / "profiles.parquet"

    @property
    def scratch_dir(self) -> Path:
        """Return the folder for work in progress, which each run removes at its start and end."""
        return self.state_dir / "scratch"

    @property
    def runs_dir(self) -> Path:
        """Return the folder of the run records, one JSON file per run."""
        return self.state_dir / "runs"

    @property
    def site_dir(self) -> Path:
        """Return the folder of the documentation site."""
        return self.state_dir / "site"

    @property
    def draft_path(self) -> Path:
        """Return the path of the copy of the mart that a build or the site works on.

        The path is the same in every run, because dbt parses the whole project again if a path in the profile changes.
        """
        return self.scratch_dir / "draft" / "mart.duckdb"

    def target_dir(self, step: str) -> Path:
        """Return dbt's output folder of one step. Steps do not share a folder, because each step writes a manifest."""
        return self.state_dir / "target" / step


def resolve_settings(
    *,
    dwh: str | None = None,
    target: str | None = None,
    environment: Mapping[str, str] | None = None,
    now: datetime | None = None,
) -> Settings:
    """Return the settings of this process.

    ``dwh`` and ``target`` are values of flags and override MART_DWH and MART_TARGET; None if the flag is not given.
    ``environment`` and ``now`` replace the environment of the process and the wall clock; None for no replacement.

    Raises:
        UsageError: no dbt_project.yml was found, or a setting is not valid.
    """
    env = os.environ if environment is None else environment
    project = _find_project()
    variables = read_vars(project)
    flag = "--target" if target else "MART_TARGET"
    target = target or env.get("MART_TARGET") or EMBEDDED
    if target not in TARGETS:
        raise UsageError(f"{flag} is {target!r}: use one of {', '.join(TARGETS)}, or unset it.")
    home = expand_user(env.get("MART_HOME") or str(project / ".mart"), "MART_HOME").resolve()
    check_path(project, "The project folder")
    check_path(home, "MART_HOME", holds_database=True)
    given = dwh or env.get("MART_DWH") or None
    address = None if target == EMBEDDED else bigquery_address(env, target, given)
    if address is not None:
        state_name = f"{address.project}.{address.dataset}"
        place: dict[str, Any] = {
            "warehouse": address.raw.rpartition(".")[2],
            "warehouse_id": address.raw,
            "state_name": state_name,
            "dwh": home / state_name / "dwh",
            "address": f"{address.raw} on BigQuery",
            "is_sample": False,
        }
    else:
        place = _folder_place(home, given)
    return Settings(
        project=project,
        target=target,
        home=home,
        **place,
        snapshots=env.get("MART_SNAPSHOTS") or str(home / place["state_name"] / "snapshots"),
        clock=Clock(
            variables["business_timezone"],
            variables["refresh_hour"],
            variables["publish_lag_minutes"],
        ),
        currency=variables["currency"],
        as_of=variables["as_of"],
        overwritten_sources=variables["overwritten_sources"],
        now=now or datetime.now(UTC),
        bigquery=address,
        s3=s3_options(env),
    )


def require_embedded(settings: Settings, what: str) -> None:
    """Check that the target is the embedded engine.

    ``what`` is the name, for the message, of the command or option that works only on the embedded engine.

    Raises:
        UsageError: the target is on BigQuery.
    """
    if settings.bigquery is not None:
        raise UsageError(
            f"{what} works on DuckDB only: unset MART_TARGET (it is {settings.target}), and set MART_DWH to a folder "
            "of Parquet files."
        )


def _folder_place(home: Path, given: str | None) -> dict[str, Any]:
    """Return the fields of Settings that depend on the warehouse, for a folder of Parquet files."""
    folder = expand_user(given, "MART_DWH").resolve() if given else home / SAMPLE / "dwh"
    warehouse = folder.name if given else SAMPLE
    if not warehouse:
        raise UsageError(f"MART_DWH is {given!r}: name the folder that holds the Parquet files.")
    check_path(folder, "MART_DWH")
    # The state folder has the name of the warehouse and contains the mart, which is a DuckDB database.
    check_path(home / warehouse, "MART_DWH", holds_database=True)
    is_sample = folder == home / SAMPLE / "dwh"
    if is_sample:
        warehouse = SAMPLE
    return {
        "warehouse": warehouse,
        "warehouse_id": warehouse,
        "state_name": warehouse,
        "dwh": folder,
        "address": SAMPLE if is_sample else str(folder),
        "is_sample": is_sample,
    }


def parse_as_of(text: str, clock: Clock, name: str = "--as-of") -> datetime:
    """Return the refresh that ``--as-of`` names: the refresh of a date, or the last refresh at or before a timestamp.

    ``name`` is the name of the setting in messages.

    Raises:
        UsageError: the text is neither a date nor a timestamp with an offset, or is before 1971 or after 2199.
    """
    wanted = (
        "use a date like 2026-04-01, or a timestamp with UTC offset like 2026-04-01T03:00:00+09:00"
    )
    try:
        if len(text) <= len("2026-04-01"):
            at = datetime.combine(date.fromisoformat(text), time(12), UTC)
        else:
            at = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(f"{name} {text!r} is neither a date nor a timestamp: {wanted}.") from None
    if not _FIRST_YEAR <= at.year <= _LAST_YEAR:
        raise UsageError(
            f"{name} {text!r} is outside the years {_FIRST_YEAR} to {_LAST_YEAR}: {wanted}."
        )
    if len(text) <= len("2026-04-01"):
        return clock.refresh_of(at.date())
    if at.tzinfo is None:
        raise UsageError(f"{name} {text!r} has no UTC offset: {wanted}.")
    return clock.refresh_before(at.astimezone(UTC))


def _find_project() -> Path:
    """Return the folder of dbt_project.yml, searched upwards from the working folder, then from this module."""
    for start in (Path.cwd(), Path(__file__).resolve().parent):
        for folder in (start, *start.parents):
            if (folder / "dbt_project.yml").is_file() and (folder / "profiles").is_dir():
                return folder.resolve()
    raise UsageError(
        "No dbt_project.yml was found in this folder or above: run `mart` inside a checkout of the mart."
    )
