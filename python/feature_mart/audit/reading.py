"""Generate SQL that reads cells of a file as numbers and times. A cell with several possible meanings is unreadable."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date

from feature_mart.core.duckdb_files import quoted
from feature_mart.raw.values import FIRST_TIME, LAST_TIME

_NUMERIC = re.compile(r"U?(TINY|SMALL|BIG|HUGE)?INT(EGER)?|DECIMAL.*|DOUBLE|FLOAT|BOOLEAN")
_FLOATS = {"DOUBLE": 2**53, "FLOAT": 2**24}
_WITH_ZONE = ("TIMESTAMP WITH TIME ZONE", "TIMESTAMPTZ_NS")
_WITHOUT_ZONE = ("TIMESTAMP", "TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP_NS")
_NUMBER = r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?"
#: Matches times with the year first, because the order of month and day is then always the same.
_TIME = (
    r"^([0-9]{4})[-/.]([0-9]{1,2})[-/.]([0-9]{1,2})"
    r"(?:[T ]([0-9]{1,2}):([0-9]{2})(?::([0-9]{2})(?:[.,]([0-9]{1,9}))?)?)?"
    r" ?(Z|z|UTC|GMT|[+-][0-9]{2}(?::?[0-9]{2})?)?$"
)
_PARTS = "['y', 'mo', 'd', 'h', 'mi', 's', 'f', 'o']"
_BLANKS = "chr(32) || chr(9) || chr(10) || chr(13) || chr(160) || chr(12288)"
#: Type for whole numbers of up to 25 digits, which are compared exactly.
WHOLE = "decimal(28, 3)"


@dataclass(frozen=True, slots=True)
class ValueSql:
    """SQL for a value of the file, and for conditions on the value.

    `value` is NULL if the value is missing, NaN or unreadable. `is_local` is true for a time without an offset.
    """

    value: str
    is_unreadable: str
    is_nan: str = "false"
    is_local: str = "false"


def is_number(type_: str) -> bool:
    """Return True if a column of this DuckDB type holds numbers or booleans."""
    return _NUMERIC.fullmatch(type_) is not None


def read_number(column: str, type_: str, *, is_whole: bool) -> ValueSql:
    """Return SQL that reads a column of the file as numbers.

    ``type_`` is the column's DuckDB type. With ``is_whole``, the feature holds whole numbers, which are compared
    exactly. A float of at least 2^53 (2^24 in 32 bits) is then unreadable, because it may stand for several whole
    numbers.
    """
    if is_number(type_):
        if type_ not in _FLOATS:
            return ValueSql(column, "false")
        value = f"if(isnan({column}), null, {column})"
        is_coarse = f"coalesce(abs({value}) >= {_FLOATS[type_]} and not isinf({value}), false)"
        return ValueSql(
            value, is_coarse if is_whole else "false", f"coalesce(isnan({column}), false)"
        )
    text = _text(column)
    number = f"try_cast({text} as {WHOLE if is_whole else 'double'})"
    if not is_whole:
        number = f"if(isinf({number}), null, {number})"
    value = (
        f"case when regexp_full_match({text}, {quoted(_NUMBER)}) then {number} "
        f"when lower({text}) in ('true', 't') then 1 when lower({text}) in ('false', 'f') then 0 end"
    )
    is_nan = f"coalesce(lower({text}) in ('nan', '+nan', '-nan'), false)"
    return ValueSql(
        value, f"({text} is not null and ({value}) is null and not {is_nan})", is_nan=is_nan
    )


def read_time(column: str, type_: str, zone: str, *, is_day_enough: bool) -> ValueSql | None:
    """Return SQL that reads a column of the file as times to the microsecond; None for a type that holds no times.

    Times without an offset are in ``zone``. A date without a time is read as midnight with ``is_day_enough``, and is
    unreadable otherwise. Times up to 1970-01-01 UTC, and times from 2200-01-01 UTC on, are unreadable, because they are
    sentinels for "unknown".
    """
    if type_ in _WITH_ZONE:
        value = f"make_timestamptz(epoch_ns({column}) // 1000)" if "NS" in type_ else column
        return _bounded(column, value, "false")
    if type_ in _WITHOUT_ZONE:
        # Truncate nanoseconds: a cast would round them up, possibly past a refresh.
        local = f"make_timestamp(epoch_ns({column}) // 1000)" if "NS" in type_ else column
        return _bounded(column, f"timezone({quoted(zone)}, cast({local} as timestamp))", "true")
    if type_ == "DATE":
        if not is_day_enough:
            return ValueSql("null::timestamptz", f"{column} is not null")
        return _bounded(column, f"timezone({quoted(zone)}, cast({column} as timestamp))", "true")
    if type_ != "VARCHAR" and not type_.startswith("ENUM"):
        return None
    text = _text(column)
    part = f"regexp_extract({text}, {quoted(_TIME)}, {_PARTS})"
    local = (
        f"{part}.y || '-' || {part}.mo || '-' || {part}.d || ' ' || if({part}.h = '', '0', {part}.h) || ':' "
        f"|| if({part}.mi = '', '00', {part}.mi) || ':' || if({part}.s = '', '00', {part}.s) "
        f"|| if({part}.f = '', '', '.' || left({part}.f, 6))"
    )
    offset = (
        f"case when {part}.o in ('Z', 'z', 'UTC', 'GMT') then '+00:00' else left({part}.o, 3) || ':' "
        f"|| if(length({part}.o) > 3, right({part}.o, 2), '00') end"
    )
    is_local = f"coalesce({part}.o = '', false)"
    value = (
        f"if({is_local}, timezone({quoted(zone)}, try_cast({local} as timestamp)), "
        f"try_cast({local} || {offset} as timestamptz))"
    )
    if not is_day_enough:
        value = f"if({part}.h = '', null, {value})"
    return _bounded(text, value, is_local)


def _bounded(raw: str, value: str, is_local: str) -> ValueSql:
    bounded = (
        f"case when {value} > timestamptz {quoted(FIRST_TIME)} and {value} < timestamptz {quoted(LAST_TIME)} "
        f"then {value} end"
    )
    return ValueSql(bounded, f"({raw} is not null and ({bounded}) is null)", is_local=is_local)


def _text(column: str) -> str:
    """Return SQL for the text of a cell without surrounding blanks; NULL if the cell is blank."""
    return f"nullif(trim(cast({column} as varchar), {_BLANKS}), '')"


def number_advice(text: str) -> str:
    """Return advice on how to write a number that could not be read."""
    if re.fullmatch(_NUMBER, text):
        return "a float of this size is not exact: write the number as an integer"
    if "," in text:
        return f"{text} may be a decimal comma or a thousands separator: write 1234.5"
    return "write digits with a decimal point, such as 1234.5, and leave the cell empty where there is no value"


def time_advice(text: str) -> str:
    """Return advice on how to write a time that could not be read, with each reading of an ambiguous date."""
    written = "write the time as 2025-04-03 09:00:00+09:00"
    if re.fullmatch(r"[0-9]{8}", text):
        return f"digits without separators are not read as a time; {written}"
    if re.fullmatch(r"-?[0-9]+(\.[0-9]*)?", text):
        units = {10: "seconds", 13: "milliseconds", 16: "microseconds", 19: "nanoseconds"}
        unit = units.get(len(text.split(".")[0].lstrip("-")))
        meant = f", which look like {unit} since 1970" if unit else ""
        return f"numbers{meant} are not read as times; {written}"
    found = re.match(
        r"([0-9]{1,2})[-/. ]([0-9]{1,2})[-/. ]([0-9]{4}|[0-9]{2})(?![0-9])", text.strip()
    )
    if found is None:
        return written
    one, two, year = (int(each) for each in found.groups())
    orders = [(year, two, one), (year, one, two)]
    if len(found[3]) == 2:
        orders = [(2000 + y, m, d) for y, m, d in (*orders, (one, two, year))]
    readings = [day for order in orders if (day := _day(*order)) is not None]
    several = " or ".join(dict.fromkeys(readings))
    return f"the date may be {several}: {written}" if several else written


def _day(year: int, month: int, day: int) -> str | None:
    try:
        return date(year, month, day).isoformat()
    except ValueError:
        return None
