"""Test that Python reads zone rules from one package, and that a build stops if the rules of the engine differ."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from feature_mart.core.errors import TerminalError
from feature_mart.core.settings import Clock, Settings, resolve_settings
from feature_mart.core.zones import load_zone
from feature_mart.runner.duckdb_engine import DuckDBEngine
from feature_mart.runner.zone_check import check_zone
from toy_project import job, write_warehouse

AS_OF = datetime(2026, 11, 20, 11, tzinfo=UTC)


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    folder = tmp_path_factory.mktemp("zones")
    dwh = write_warehouse(folder / "dwh", [job(1, "2018-03-01 00:00:00+00")])
    return resolve_settings(environment={"MART_HOME": str(folder / "home"), "MART_DWH": str(dwh)})


@dataclass
class Otherwise(DuckDBEngine):
    """Change the zone offsets or the refreshes that DuckDB returns."""

    given: Settings
    offsets: Callable[[list[tuple[datetime, int]]], list[tuple[datetime, int]]] = list
    refreshed: Callable[[list[datetime]], list[datetime]] = list
    asked: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__(self.given)

    def zone_offsets(
        self, zone: str, first: datetime, last: datetime
    ) -> Sequence[tuple[datetime, int]]:
        self.asked.append(zone)
        return self.offsets(list(super().zone_offsets(zone, first, last)))

    def refreshes(self, clock: Clock, days: Sequence[date]) -> Sequence[datetime]:
        return self.refreshed(list(super().refreshes(clock, days)))


@pytest.mark.parametrize("hour", [1, 2, 23])
@pytest.mark.parametrize(
    "zone",
    [
        "Asia/Tokyo",
        "America/Vancouver",
        "Europe/Berlin",
        "Australia/Lord_Howe",
        "Antarctica/Troll",
        "UTC",
    ],
)
def test_the_package_and_duckdb_agree(settings: Settings, zone: str, hour: int) -> None:
    check_zone(DuckDBEngine(settings), Clock(zone, hour), AS_OF)


def test_an_offset_that_changes_at_another_time_stops_the_build(settings: Settings) -> None:
    """Let the engine use the rules from before 2026, by which clocks in Vancouver go back on 1 November."""
    back = (datetime(2026, 11, 1, 9, tzinfo=UTC), -8 * 3600)
    engine = Otherwise(settings, offsets=lambda found: [*found, back])
    with pytest.raises(
        TerminalError, match="from 2026-11-01 09:00Z the UTC offset is -7 hours"
    ) as stopped:
        check_zone(engine, Clock("America/Vancouver"), AS_OF)
    assert "-8 hours by DuckDB" in str(stopped.value) and "tzdata" in str(stopped.value)
    assert "DuckDB" in str(stopped.value) and "\n" not in str(stopped.value)


def test_rules_that_differ_only_after_the_span_do_not_matter(settings: Settings) -> None:
    engine = Otherwise(settings, offsets=lambda found: [row for row in found if row[0] < AS_OF])
    check_zone(engine, Clock("Europe/Berlin"), AS_OF)
    assert engine.asked == ["Europe/Berlin"]


def test_a_repeated_hour_that_the_engine_reads_as_its_first_stops_the_build(
    settings: Settings,
) -> None:
    """Let the engine read a repeated local hour as the first of the two, as BigQuery does."""
    zone = ZoneInfo("America/Toronto")

    def first_of_two(found: list[datetime]) -> list[datetime]:
        return [at.astimezone(zone).replace(fold=0).astimezone(UTC) for at in found]

    engine = Otherwise(settings, refreshed=first_of_two)
    check_zone(engine, Clock("America/Toronto", 3), AS_OF)
    with pytest.raises(TerminalError, match="a clock change repeats or skips this hour") as stopped:
        check_zone(engine, Clock("America/Toronto", 1), AS_OF)
    assert "refresh of 2018-11-04 at 1:00 in America/Toronto" in str(stopped.value)
    assert "Set dbt var refresh_hour" in str(stopped.value)


def test_the_machine_s_zone_files_are_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Give Python a time zone path where Tokyo has the rules of New York, and check that load_zone does not use it."""
    (tmp_path / "Asia").mkdir()
    import tzdata

    rules = Path(tzdata.__file__).parent / "zoneinfo" / "America" / "New_York"
    (tmp_path / "Asia" / "Tokyo").write_bytes(rules.read_bytes())
    import zoneinfo

    former = zoneinfo.TZPATH
    zoneinfo.reset_tzpath([tmp_path])
    try:
        noon = datetime(2026, 1, 1, 12, tzinfo=UTC)
        assert noon.astimezone(ZoneInfo.no_cache("Asia/Tokyo")).hour == 7
        assert noon.astimezone(load_zone.__wrapped__("Asia/Tokyo")).hour == 21
    finally:
        zoneinfo.reset_tzpath(former)


@pytest.mark.parametrize("name", ["Mars/Base", "", "..", "../zoneinfo/Asia/Tokyo", "Asia", "a\\b"])
def test_what_is_no_zone_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="not a time zone of the IANA database"):
        load_zone(name)


@pytest.mark.parametrize(
    ("zone", "hour"),
    [("America/Nuuk", 23), ("Atlantic/Azores", 0), ("America/Toronto", 1), ("Antarctica/Troll", 2)],
)
def test_every_instant_lies_between_its_refreshes(zone: str, hour: int) -> None:
    """Compare the refreshes before and after many times, mostly near clock changes, with a list of all refreshes."""
    clock = Clock(zone, hour)
    refreshes = sorted(clock.refresh_of(date(2023, 1, 1) + timedelta(n)) for n in range(1100))
    at = datetime(2023, 3, 1, tzinfo=UTC)
    while at < datetime(2025, 11, 30, tzinfo=UTC):
        assert clock.refresh_at(at) == next(each for each in refreshes if each >= at)
        assert clock.refresh_before(at) == next(each for each in reversed(refreshes) if each <= at)
        at += timedelta(minutes=30) if at.month in (3, 10, 11) else timedelta(days=1)
