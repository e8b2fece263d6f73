"""Where things are and which clock holds: flag > environment > dbt var > default.

=====================  ===========================================================================
``resolve_settings()``  the only reader of the environment and the wall clock
``Clock``               the mart's refreshes: when they are, and which one an instant belongs to
``parse_as_of()``       what ``--as-of`` may say
=====================  ===========================================================================
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any

from feature_mart.dbt_vars import read_vars
from feature_mart.duckdb_files import check_path
from feature_mart.errors import UsageError
from feature_mart.services import (
    EMBEDDED,
    TARGETS,
    BigQueryAddress,
    S3Options,
    bigquery_address,
    s3_options,
)
from feature_mart.zones import load_zone

SAMPLE = "sample"
_DAY = timedelta(days=1)
#: Years in which an --as-of may lie: raw times outside are refused as well.
_FIRST_YEAR, _LAST_YEAR = 1971, 2199


@dataclass(frozen=True, slots=True)
class Clock:
    """The refreshes: every business day at `refresh_hour` in `timezone`.

    A row of a refresh may be used `publish_lag_minutes` later.
    """

    timezone: str = "Asia/Tokyo"
    refresh_hour: int = 3
    publish_lag_minutes: int = 60

    def refresh_of(self, day: date) -> datetime:
        """Return the refresh of a business day, in UTC.

        A local hour that comes twice counts at its second time. One that is skipped is read by the offset before the
        change, so it is the moment of the change or shortly after. DuckDB does the same.
        """
        local = datetime.combine(day, time(self.refresh_hour), load_zone(self.timezone))
        return max(local.replace(fold=fold).astimezone(UTC) for fold in (0, 1))

    def refresh_before(self, at: datetime) -> datetime:
        """Return the last refresh at or before an instant."""
        return max(refresh for refresh in self._refreshes_near(at) if refresh <= at)

    def refresh_at(self, at: datetime) -> datetime:
        """Return the first refresh at or after an instant."""
        return min(refresh for refresh in self._refreshes_near(at) if refresh >= at)

    def refresh_after(self, at: datetime) -> datetime:
        """Return the first refresh after an instant."""
        return min(refresh for refresh in self._refreshes_near(at) if refresh > at)

    def _refreshes_near(self, at: datetime) -> list[datetime]:
        """Return those of the local days around an instant: a change of the clocks may move one past its own day."""
        today = at.astimezone(load_zone(self.timezone)).date()
        return [self.refresh_of(today + number * _DAY) for number in (-2, -1, 0, 1, 2)]


@dataclass(frozen=True, slots=True)
class Settings:
    """One command's settings, resolved.

    Attributes:
        project: the folder of dbt_project.yml.
        target: the dbt profile's target.
        home: MART_HOME, under which each warehouse has a state folder.
        warehouse: what seeds/load_clock.csv calls the warehouse: its folder's or dataset's name.
        warehouse_id: what snapshots and reports call it: `warehouse`, on BigQuery ``project.dataset``.
        state_name: the state folder's name: `warehouse`, on BigQuery the mart's ``project.dataset``.
        dwh: the folder of Parquet files; on BigQuery no folder.
        address: what tells this warehouse from another of the same name.
        is_sample: no warehouse was named, so the sample is meant and made when absent.
        snapshots: where snapshots go, a folder or an ``s3://`` address.
        clock: the refreshes.
        currency: the code of the one currency that all amounts are in (dbt var currency).
        as_of: dbt var as_of, which holds where no --as-of is given; empty for the newest refresh.
        overwritten_sources: raw tables that are read through a dbt snapshot.
        now: the wall clock when the command began, in UTC.
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
        """The warehouse's own folder."""
        return self.home / self.state_name

    @property
    def mart_address(self) -> str:
        """Where the mart is, for people: a file, or a dataset of BigQuery's."""
        if self.bigquery is not None:
            return f"{self.bigquery.project}.{self.bigquery.dataset}"
        return str(self.mart_path)

    @property
    def mart_path(self) -> Path:
        """The DuckDB file of the newest build whose tests all passed."""
        return self.state_dir / "mart.duckdb"

    @property
    def history_path(self) -> Path:
        """The DuckDB file of the dbt snapshots: the one thing that cannot be rebuilt."""
        return self.state_dir / "history" / "history.duckdb"

    @property
    def profiles_path(self) -> Path:
        """The Parquet copy of what every refresh measured of its columns, by the definitions of its time."""
        return self.state_dir / "quality" / "profiles.parquet"

    @property
    def scratch_dir(self) -> Path:
        """What is being written; anything left here by a dead process may go."""
        return self.state_dir / "scratch"

    @property
    def runs_dir(self) -> Path:
        """One JSON report a run."""
        return self.state_dir / "runs"

    @property
    def site_dir(self) -> Path:
        """The documentation site."""
        return self.state_dir / "site"

    @property
    def draft_path(self) -> Path:
        """The copy that a build or the docs work on.

        The same for every run, since dbt parses the whole project anew when its profile has changed.
        """
        return self.scratch_dir / "draft" / "mart.duckdb"

    def target_dir(self, step: str) -> Path:
        """dbt's output folder of one step; shared ones overwrite each other's manifests."""
        return self.state_dir / "target" / step


def resolve_settings(
    *,
    dwh: str | None = None,
    target: str | None = None,
    environment: Mapping[str, str] | None = None,
    now: datetime | None = None,
) -> Settings:
    """Settings of this process; ``dwh`` and ``target`` are flags' values and win over MART_DWH and MART_TARGET.

    ``environment`` and ``now`` stand in for the process's own.

    Raises:
        UsageError: there is no project here, or a setting cannot be meant.
    """
    env = os.environ if environment is None else environment
    project = _find_project()
    variables = read_vars(project)
    target = env.get("MART_TARGET") or EMBEDDED
    if target not in TARGETS:
        raise UsageError(
            f"MART_TARGET is {target!r}: use one of {', '.join(TARGETS)}, or unset it."
        )
    home = Path(env.get("MART_HOME") or project / ".mart").expanduser().resolve()
    check_path(project, "The project's folder")
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
    """Raises: UsageError where the target is another than the embedded engine, on which alone ``what`` works."""
    if settings.bigquery is not None:
        raise UsageError(
            f"{what} works on the embedded engine: unset MART_TARGET (it is {settings.target}), and name a folder "
            "of Parquet files with MART_DWH."
        )


def _folder_place(home: Path, given: str | None) -> dict[str, Any]:
    """The fields of Settings that a folder of Parquet files decides."""
    folder = Path(given).expanduser().resolve() if given else home / SAMPLE / "dwh"
    warehouse = folder.name if given else SAMPLE
    if not warehouse:
        raise UsageError(f"MART_DWH is {given!r}: name the folder that holds the Parquet files.")
    check_path(folder, "MART_DWH")
    # The state folder, and in it the mart, has the warehouse's name.
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
    """The refresh that ``--as-of`` names: a date's own, or the last one at or before an instant.

    ``name`` is what messages call it.

    Raises:
        UsageError: it is neither, or an instant without an offset.
    """
    wanted = "use a date like 2026-04-01, or an instant with offset like 2026-04-01T03:00:00+09:00"
    try:
        if len(text) <= len("2026-04-01"):
            at = datetime.combine(date.fromisoformat(text), time(12), UTC)
        else:
            at = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(f"{name} {text!r} is no date and no instant: {wanted}.") from None
    if not _FIRST_YEAR <= at.year <= _LAST_YEAR:
        raise UsageError(
            f"{name} {text!r} lies outside of {_FIRST_YEAR} to {_LAST_YEAR}, where refreshes are: {wanted}."
        )
    if len(text) <= len("2026-04-01"):
        return clock.refresh_of(at.date())
    if at.tzinfo is None:
        raise UsageError(f"{name} {text!r} has no offset, so it names no instant: {wanted}.")
    return clock.refresh_before(at.astimezone(UTC))


def _find_project() -> Path:
    """The folder of dbt_project.yml: from the working folder upwards, else from the package's own."""
    for start in (Path.cwd(), Path(__file__).resolve().parent):
        for folder in (start, *start.parents):
            if (folder / "dbt_project.yml").is_file() and (folder / "profiles").is_dir():
                return folder.resolve()
    raise UsageError(
        "There is no dbt_project.yml here or above: run `mart` inside a checkout of the mart."
    )
