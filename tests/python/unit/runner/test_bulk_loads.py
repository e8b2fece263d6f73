"""Test by brute force that bulk loads are found, and that a proposed line dates back only rows of the bulk load."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median_low

import pytest

from bulk_cases import (
    DAY,
    HOUR,
    START,
    Row,
    contract,
    daily_rows,
    first_loads_of,
    loaded_at_once,
)
from feature_mart.cli.printing import say
from feature_mart.cli.summary import bulk_lines
from feature_mart.runner.bulk_loads import BulkLoad, find_bulks
from feature_mart.runner.first_loads import GUESSED_HOURS
from feature_mart.runner.load_clock import COLUMNS, LoadClockLine, read_load_clock
from oracle import LoadClockLine as OracleLine
from oracle import World
from oracle.staging import row_versions

SECOND, US = timedelta(seconds=1), timedelta(microseconds=1)
FOREVER = START + 10_000 * DAY
Versions = set[tuple[str, datetime, datetime]]


def advice(folder: Path, rows: Sequence[Row], *known: LoadClockLine) -> list[BulkLoad]:
    with first_loads_of(folder / "dwh", rows) as loads:
        return find_bulks("contracts", loads, known)


def followed(folder: Path, found: Sequence[BulkLoad]) -> tuple[LoadClockLine, ...]:
    """Return the lines of a load clock that contains only the lines printed for ``found``."""
    seed = folder / "project" / "seeds" / "load_clock.csv"
    seed.parent.mkdir(parents=True, exist_ok=True)
    lines = [",".join(COLUMNS), *(str(bulk.seed_line("w")) for bulk in found if bulk.line)]
    seed.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return tuple(read_load_clock(folder / "project", "w").get("contracts", ()))


def versions(rows: Sequence[Row], lines: Sequence[LoadClockLine] = ()) -> Versions:
    """Return the key, load time and ``known_at`` of every version, computed by the oracle."""
    own = [
        OracleLine(line.trusted_from, int(line.assumed_lag_hours), line.untrusted_from)
        for line in lines
    ]
    world = World(as_of=FOREVER, load_clock={"contracts": own})
    chains = row_versions("contracts", {"contracts": list(rows)}, world)
    return {
        (key, row["loaded_at"], row["known_at"]) for key, chain in chains.items() for row in chain
    }


def check_followed(
    folder: Path, rows: Sequence[Row], found: Sequence[BulkLoad], bulk_keys: set[str]
) -> None:
    """Check that the printed lines date back only bulk-loaded keys, as many and by as much as the advice states."""
    lines = followed(folder, found)
    assert lines == tuple(bulk.line for bulk in found if bulk.line)
    added = versions(rows, lines) - versions(rows)
    assert {key for key, _, _ in added} <= bulk_keys
    assert len(added) == sum(bulk.moved.keys for bulk in found)
    for bulk in found:
        spans = [
            loaded_at - known_at
            for _, loaded_at, known_at in added
            if bulk.line and bulk.line.covers(loaded_at)
        ]
        assert len(spans) == bulk.moved.keys
        assert max(spans, default=0 * DAY) == bulk.moved.greatest
        assert (median_low(spans) if spans else 0 * DAY) == bulk.moved.median
    assert advice(folder, rows, *lines) == [], "a line that was added is not advised again"


def keys_loaded(rows: Sequence[Row], *instants: datetime) -> set[str]:
    return {row["contract_id"] for row in rows if row["loaded_at"] in instants}


def test_a_bulk_load_in_mid_history_gets_a_period_of_its_own(tmp_path: Path) -> None:
    since, at = START + 40 * DAY, START + 65 * DAY
    rows = loaded_at_once(daily_rows(120), since, at)
    (found,) = advice(tmp_path, rows)
    assert found.line is not None
    assert (found.line.untrusted_from, found.line.trusted_from) == (at, at + SECOND)
    assert found.keys == len(keys_loaded(rows, at)) > 150 and found.of == len(rows)
    # Usual rows are loaded within six hours of their events, except about one in twelve, which is loaded days later.
    assert found.compared == len(rows) - found.keys and found.line.assumed_lag_hours >= 6
    check_followed(tmp_path, rows, [found], keys_loaded(rows, at))
    earlier = {row["contract_id"] for row in rows if row["loaded_at"] < since}
    assert not earlier & {key for key, _, _ in versions(rows, [found.line]) - versions(rows)}


def test_stragglers_of_the_same_day_are_not_dated_back(tmp_path: Path) -> None:
    at = START + 65 * DAY + 2 * HOUR
    rows = loaded_at_once(daily_rows(120), START + 40 * DAY, START + 65 * DAY, at)
    rows += [
        contract(f"late{number}", START + 30 * DAY, at + number * HOUR) for number in (-1, 1, 2, 9)
    ]
    (found,) = advice(tmp_path, rows)
    check_followed(tmp_path, rows, [found], keys_loaded(rows, at))


def test_two_bulk_loads_get_a_line_each(tmp_path: Path) -> None:
    one, other = START + 40 * DAY, START + 90 * DAY
    rows = loaded_at_once(daily_rows(120), one - 20 * DAY, one)
    rows = loaded_at_once(rows, other - 25 * DAY, other)
    found = advice(tmp_path, rows)
    assert [bulk.line.untrusted_from for bulk in found if bulk.line] == [one, other]
    check_followed(tmp_path, rows, found, keys_loaded(rows, one, other))
    assert found[0].line is not None
    assert advice(tmp_path, rows, found[0].line) == found[1:]


@pytest.mark.parametrize("days", [30, 110])
def test_a_first_load_is_distrusted_from_the_beginning(tmp_path: Path, days: int) -> None:
    at = START + days * DAY
    rows = loaded_at_once(daily_rows(120), START, at)
    (found,) = advice(tmp_path, rows)
    assert found.line is not None and found.line.untrusted_from is None
    assert found.line.trusted_from == at + SECOND
    check_followed(tmp_path, rows, [found], keys_loaded(rows, at))


def test_a_first_load_of_the_whole_table_has_nothing_to_take_a_lag_from(tmp_path: Path) -> None:
    at = START + 150 * DAY
    rows = loaded_at_once(daily_rows(120), START, at)
    (found,) = advice(tmp_path, rows)
    assert found.line == LoadClockLine(at + SECOND, GUESSED_HOURS)
    assert (found.keys, found.compared) == (len(rows), 0) and "guess" in found.note
    check_followed(tmp_path, rows, [found], keys_loaded(rows, at))


def test_two_loads_that_hold_the_whole_table_are_both_named(tmp_path: Path) -> None:
    one, other = START + 70 * DAY, START + 150 * DAY
    rows = loaded_at_once(daily_rows(120), START, one)
    rows = loaded_at_once(rows, one + US, other)
    found = advice(tmp_path, rows)
    assert [bulk.line and bulk.line.untrusted_from for bulk in found] == [None, other]
    check_followed(tmp_path, rows, found, keys_loaded(rows, one, other))


def test_a_bulk_load_in_pieces_over_midnight_is_one_period(tmp_path: Path) -> None:
    # The load takes from 13:00 to 17:00 UTC, and 15:00 UTC is midnight in Tokyo.
    at = START + 65 * DAY + 13 * HOUR
    rows = loaded_at_once(daily_rows(120), START + 40 * DAY, START + 66 * DAY, at)
    bulk = [row for row in rows if row["loaded_at"] == at]
    for number, row in enumerate(bulk):
        row["loaded_at"] = at + number % 5 * HOUR
    rows = [row for row in rows if row in bulk or not at < row["loaded_at"] < at + 4 * HOUR]
    (found,) = advice(tmp_path, rows)
    assert found.line is not None
    assert (found.line.untrusted_from, found.line.trusted_from) == (at, at + 4 * HOUR + SECOND)
    assert found.day == "2024-03-06 to 2024-03-07"
    check_followed(tmp_path, rows, [found], {row["contract_id"] for row in bulk})


def test_the_lag_is_that_of_the_rows_loaded_as_usual(tmp_path: Path) -> None:
    # Most contracts are loaded 10 to 21 days after signing. This lag is usual, so there is no bulk load.
    rows = daily_rows(200, lag=21 * DAY)
    assert advice(tmp_path, rows) == []
    at = START + 120 * DAY
    rows = loaded_at_once(rows, START + 80 * DAY, at)
    (found,) = advice(tmp_path, rows)
    assert found.line is not None and found.line.assumed_lag_hours > 20 * 24
    check_followed(tmp_path, rows, [found], keys_loaded(rows, at))


@pytest.mark.parametrize(
    "rows",
    [
        pytest.param(daily_rows(120), id="day and night"),
        pytest.param(daily_rows(90, a_day=2), id="few a day"),
        pytest.param(
            [
                row | {"loaded_at": row["loaded_at"].replace(hour=18, minute=0, second=0) + DAY}
                for row in daily_rows(120)
            ],
            id="nightly",
        ),
        pytest.param(
            [
                row
                | {"loaded_at": START + -(-(row["contracted_at"] - START) // (7 * DAY)) * 7 * DAY}
                for row in daily_rows(120)
            ],
            id="weekly",
        ),
        pytest.param(
            daily_rows(60)
            + [
                contract(f"sale{number}", START + 30 * DAY, START + 30 * DAY + 3 * HOUR)
                for number in range(400)
            ],
            id="a day of many events",
        ),
    ],
)
def test_rows_loaded_as_usual_are_no_bulk_load(tmp_path: Path, rows: list[Row]) -> None:
    assert advice(tmp_path, rows) == []


def test_no_line_is_advised_where_no_event_time_is_known(tmp_path: Path) -> None:
    at = START + 30 * DAY
    rows = [contract(f"k{number}", None, at) for number in range(150)]
    (found,) = advice(tmp_path, rows)
    assert found.line is None and found.seed_line("w") is None and found.moved.keys == 0
    # In mid-history, rows without an event time that are loaded at once are not reported at all.
    known = daily_rows(120)
    assert advice(tmp_path, [*known, *(row | {"loaded_at": at} for row in rows[:60])]) == []


def test_keys_without_event_time_are_not_counted_as_known_earlier(tmp_path: Path) -> None:
    at = START + 65 * DAY
    rows = loaded_at_once(daily_rows(120), START + 40 * DAY, at)
    rows = [
        row | {"contracted_at": None} if row["loaded_at"] == at and number % 2 else row
        for number, row in enumerate(rows)
    ]
    (found,) = advice(tmp_path, rows)
    assert 0 < found.moved.keys < found.keys
    check_followed(tmp_path, rows, [found], keys_loaded(rows, at))


def test_a_key_that_was_loaded_before_is_not_dated_back_by_a_reload(tmp_path: Path) -> None:
    at = START + 65 * DAY
    rows = loaded_at_once(daily_rows(120), START + 40 * DAY, at)
    again = [row | {"loaded_at": at, "agreed_price": 2000} for row in rows if row["loaded_at"] < at]
    (found,) = advice(tmp_path, rows + again)
    assert found.keys == len(keys_loaded(rows, at))
    check_followed(tmp_path, rows + again, [found], keys_loaded(rows, at))


def test_a_small_table_is_no_bulk_load(tmp_path: Path) -> None:
    rows = [contract(f"k{number}", START, START + 30 * DAY) for number in range(100)]
    assert advice(tmp_path, rows) == []
    assert len(advice(tmp_path, [*rows, contract("k", START, START + 30 * DAY)])) == 1


def test_the_printed_advice_says_how_many_keys_it_changes_and_by_how_much(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    at = datetime(2024, 3, 1, tzinfo=UTC)
    rows = [contract(f"k{number}", at - (number + 1) * DAY, at) for number in range(101)]
    (found,) = advice(tmp_path, rows)
    say(*bulk_lines([found], "w" * 300))
    said = capsys.readouterr().out
    assert "contracts: 101 of 101 keys were first loaded together, on 2024-03-01" in said
    assert "100 keys then count as known earlier: half of them by 50.0 days or more" in said
    assert "none by more than 100.0 days" in said and "the lag is a guess" in said
    (line,) = [line.strip() for line in said.splitlines() if line.strip().startswith('"www')]
    fields = dict(zip(COLUMNS, next(csv.reader([line])), strict=True))
    assert fields["trusted_from"] == "2024-03-01 00:00:01+00"
    assert (fields["untrusted_from"], fields["assumed_lag_hours"]) == ("", "24")
