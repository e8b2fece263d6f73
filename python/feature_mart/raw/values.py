"""Find raw values that no build can use: NaN, placeholder times, and negative, extreme or tiny amounts of money."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import duckdb

from feature_mart.core.raw_contract import CONTRACT, OPTIONAL, Kind, version_key

#: The largest amount of money. Whole numbers up to this amount are exact in a 64-bit float, and sums of a billion such
#: amounts fit in 128 bits.
MOST_MONEY = 10**15
#: Times must be after FIRST_TIME and before LAST_TIME. Other times are placeholders for "unknown" or "never":
#: 0001-01-01, the epoch, 9999-12-31, infinity.
FIRST_TIME, LAST_TIME = "1970-01-01 00:00:00+00", "2200-01-01 00:00:00+00"
_COUNTS = "lower(trim(status)) in ('active', 'completed') and not coalesce(is_deleted, false)"
#: Numeric columns that do not contain amounts of money.
_NOT_MONEY = frozenset({"rating"})


@dataclass(frozen=True, slots=True)
class _Fault:
    """A reason to refuse a value. `condition` is SQL that is true for the value. The other texts are for messages."""

    column: str
    condition: str
    what: str
    remedy: str


def value_faults(con: duckdb.DuckDBPyConnection, table: str, select: str) -> list[str]:
    """Return a message for each kind of unusable value in each column: the number of rows, an example, and what to do.

    ``select`` is a SELECT of the table's rows. One query checks all columns, so the files are read only once.
    """
    present = {str(row[0]).lower() for row in con.execute(f"describe {select}").fetchall()}
    faults = [fault for fault in _faults(table) if fault.column in present]
    if not faults:
        return []
    key = " || ', ' || ".join(
        f"'{name}=' || coalesce({name}, 'NULL')" for name in version_key(table)
    )
    asked = ", ".join(
        f"count(*) filter ({fault.condition}), min({key}) filter ({fault.condition}), "
        f"arg_min({fault.column}::varchar, {key}) filter ({fault.condition})"
        for fault in faults
    )
    row = con.execute(f"select {asked} from ({select})").fetchone()
    assert row is not None
    found = []
    for number, fault in enumerate(faults):
        count, example, value = row[3 * number : 3 * number + 3]
        if count:
            rows = "1 row" if count == 1 else f"{count:,} rows"
            found.append(
                f"{table}.{fault.column}: {rows} with {fault.what} (the first: {example} has {value}); {fault.remedy}"
            )
    return found


def _faults(table: str) -> Iterator[_Fault]:
    for column, kind in {**CONTRACT[table], **OPTIONAL[table]}.items():
        if kind is Kind.INSTANT:
            yield from _time_faults(column)
        elif kind is Kind.NUMBER:
            yield from _number_faults(column)


def _time_faults(column: str) -> Iterator[_Fault]:
    remedy = "write NULL where the time is unknown or the event did not happen"
    if column == "loaded_at":
        remedy = "write the time at which the row became visible in the warehouse"
    yield _Fault(
        column,
        f"{column} <= timestamptz '{FIRST_TIME}' or {column} >= timestamptz '{LAST_TIME}'",
        "a time that is not after 1970-01-01 and before 2200-01-01",
        remedy,
    )


def _number_faults(column: str) -> Iterator[_Fault]:
    number = f"cast({column} as double)"
    yield _Fault(column, f"isnan({number})", "NaN", "write NULL where the number is unknown")
    if column in _NOT_MONEY:
        return
    # Exclude NaN, because DuckDB sorts NaN above every number.
    yield _Fault(
        column,
        f"abs({number}) > {MOST_MONEY} and not isnan({number})",
        "an amount beyond 1,000,000,000,000,000",
        "correct the amount, or write NULL",
    )
    # The price of a contract that does not count may be negative or round to 0: no label and no feature uses it.
    of = f" and {_COUNTS}" if column == "agreed_price" else ""
    yield _Fault(
        column,
        f"{number} > 0 and {number} < 0.5{of}",
        "an amount that rounds to 0",
        "the mart uses whole amounts: correct the amount, or convert all amounts to a smaller unit, such as cents",
    )
    yield _Fault(
        column,
        f"{number} < 0 and {number} >= -{MOST_MONEY}{of}",
        "a negative amount",
        "correct the amount, or write NULL",
    )
