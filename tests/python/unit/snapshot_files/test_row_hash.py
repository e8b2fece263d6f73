"""Compare row hashes with a simple implementation, and test which changes of rows change the content hash."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import row_hash_oracle
from feature_mart.exporter.hashable_rows import read_rows, row_hashes, unfit
from feature_mart.snapshot_files.content import add_sums, content_hash, word_sums

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Row:
    """Hold the key, times and values of one row to be hashed."""

    job_id: str
    requested_at: datetime
    label_known_at: datetime
    values: tuple[float | None, ...]


def batch_of(rows: Sequence[Row], kind: pa.DataType | None = None) -> pa.RecordBatch:
    instants = pa.timestamp("us", "UTC")
    arrays = {
        "job_id": pa.array([row.job_id for row in rows], pa.string()),
        "requested_at": pa.array([row.requested_at for row in rows], instants),
        "label_known_at": pa.array([row.label_known_at for row in rows], instants),
    }
    for number in range(len(rows[0].values)):
        values = [row.values[number] for row in rows]
        arrays[str(number)] = pa.array(values, kind or pa.float64())
    return pa.RecordBatch.from_pydict(arrays)


def names(rows: Sequence[Row]) -> list[str]:
    return [str(number) for number in range(len(rows[0].values))]


def content(rows: Sequence[Row]) -> str:
    return content_hash(word_sums(row_hashes(read_rows(batch_of(rows), names(rows)))))


FLOATS = st.none() | st.floats(width=32, allow_nan=False, allow_infinity=False)
INSTANTS = st.datetimes(timezones=st.just(UTC))


@st.composite
def tables(draw: st.DrawFn) -> list[Row]:
    width = draw(st.integers(1, 5))
    row = st.builds(Row, st.text(max_size=20), INSTANTS, INSTANTS, st.tuples(*[FLOATS] * width))
    return draw(st.lists(row, min_size=1, max_size=12))


@settings(deadline=None)
@given(tables(), st.integers(0, 12))
def test_row_hashes_are_those_of_the_definition_however_the_rows_are_cut(
    rows: list[Row], cut: int
) -> None:
    wanted = [
        row_hash_oracle.row_hash(row.job_id, row.requested_at, row.label_known_at, row.values)
        for row in rows
    ]
    sums = (0, 0)
    for kind in (pa.float32(), pa.float64()):
        whole, sums = batch_of(rows, kind), (0, 0)
        for piece in (whole.slice(0, cut), whole.slice(cut)):
            hashes = row_hashes(read_rows(piece, names(rows)))
            sums = add_sums(sums, word_sums(hashes))
        assert row_hashes(read_rows(whole, names(rows))).tolist() == wanted
    assert content_hash(sums) == row_hash_oracle.content_hash(wanted)


def make(count: int = 40_000) -> list[Row]:
    """Return numbered rows, by default more than one block of the hash function."""
    return [
        Row(
            f"job-{number}",
            EPOCH + timedelta(minutes=number),
            EPOCH + timedelta(minutes=2 * number),
            (number % 7 / 4, None if number % 5 == 0 else float(number), 1.0, -float(number % 3)),
        )
        for number in range(count)
    ]


ROWS = make()


def swap(rows: list[Row], one: int, other: int, *columns: int) -> None:
    left, right = list(rows[one].values), list(rows[other].values)
    for column in columns:
        left[column], right[column] = right[column], left[column]
    rows[one] = replace(rows[one], values=tuple(left))
    rows[other] = replace(rows[other], values=tuple(right))


def put(rows: list[Row], number: int, column: int, value: float | None) -> None:
    values = list(rows[number].values)
    values[column] = value
    rows[number] = replace(rows[number], values=tuple(values))


def shift_keys(rows: list[Row]) -> None:
    moved = [row.values for row in rows[1:]] + [rows[0].values]
    rows[:] = [replace(row, values=each) for row, each in zip(rows, moved, strict=True)]


def each_row(change: Callable[[Row], Row]) -> Callable[[list[Row]], None]:
    return lambda rows: rows.__setitem__(slice(None), [change(row) for row in rows])


def negate(row: Row, *columns: int) -> Row:
    values = [
        -value if value is not None and number in columns else value
        for number, value in enumerate(row.values)
    ]
    return replace(row, values=tuple(values))


CHANGES: dict[str, Callable[[list[Row]], None]] = {
    "one value by the least bit": lambda rows: put(rows, 30_001, 2, 1.0000001),
    "a value becomes NULL": lambda rows: put(rows, 7, 0, None),
    "a NULL becomes a value": lambda rows: put(rows, 10, 1, 0.0),
    "two rows swap a value": lambda rows: swap(rows, 3, 4, 1),
    "two rows swap two values": lambda rows: swap(rows, 3, 4, 0, 1),
    "two rows swap all values": lambda rows: swap(rows, 3, 20_004, 0, 1, 2, 3),
    "two rows swap their keys' names": lambda rows: rows.__setitem__(
        slice(0, 2),
        [replace(rows[0], job_id=rows[1].job_id), replace(rows[1], job_id=rows[0].job_id)],
    ),
    "keys and data out of step by a row": shift_keys,
    "a row doubled": lambda rows: rows.append(rows[5]),
    "a row lost": lambda rows: rows.__delitem__(5),
    "a row lost and another doubled": lambda rows: rows.__setitem__(5, rows[6]),
    "neighbouring columns swapped": each_row(
        lambda row: replace(row, values=(row.values[1], row.values[0], *row.values[2:]))
    ),
    "distant columns swapped": each_row(
        lambda row: replace(row, values=(row.values[3], *row.values[1:3], row.values[0]))
    ),
    "pairs of columns swapped": each_row(
        lambda row: replace(row, values=(*row.values[2:], *row.values[:2]))
    ),
    "signs of two columns": each_row(lambda row: negate(row, 1, 3)),
    "signs of all columns": each_row(lambda row: negate(row, 0, 1, 2, 3)),
    "the two instants swapped": each_row(
        lambda row: replace(row, requested_at=row.label_known_at, label_known_at=row.requested_at)
    ),
    "a job_id with a zero more": lambda rows: rows.__setitem__(
        9, replace(rows[9], job_id=rows[9].job_id + "\0")
    ),
}


@pytest.mark.parametrize("name", CHANGES)
def test_content_hash_notices(name: str) -> None:
    rows = list(ROWS)
    CHANGES[name](rows)
    assert rows != ROWS
    assert content(rows) != content(ROWS)


def test_content_hash_does_not_notice_order_or_the_sign_of_zero() -> None:
    assert content(ROWS[::-1]) == content(ROWS)
    plus, minus, tiny = (
        [replace(ROWS[0], values=(value, 1.0, 1.0, 1.0))] for value in (0.0, -0.0, -1e-300)
    )
    assert content(plus) == content(minus) == content(tiny)


def test_unfit_rows_are_those_with_a_value_that_no_float32_holds() -> None:
    given = [None, 1.0, float("nan"), float("inf"), 1e39, -1e39, 3.4028234663852886e38]
    rows = [replace(ROWS[0], values=(value, None)) for value in given]
    batch = batch_of(rows)
    marks = unfit(read_rows(batch, names(rows)), names(rows), batch).tolist()
    assert marks == [False, False, True, True, True, True, False]
