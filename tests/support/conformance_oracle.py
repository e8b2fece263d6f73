"""Compute expected results of the conformance cases again, without an engine and without the macros' SQL.

Cases of a form that no function in `WAYS` can compute, such as those with a whole SELECT, are left out.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal, localcontext
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import jinja2
import yaml

PROJECT = Path(__file__).resolve().parents[2]
CASES: list[dict[str, Any]] = yaml.safe_load(
    (PROJECT / "python/feature_mart/conformance/cases.yml").read_text(encoding="utf-8")
)
BY_NAME = {case["name"]: case for case in CASES}
VARIABLES = yaml.safe_load((PROJECT / "dbt_project.yml").read_text(encoding="utf-8"))["vars"]
ZONE = ZoneInfo(VARIABLES["business_timezone"])
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)

#: Macros whose cases `recomputed` may leave out, because each engine has its own hash values.
HASHES = {"hash_to_text", "hash_from_text", "row_hash", "order_free_hash"}

Value = int | float | str | bool | Decimal | datetime | None
Row = Mapping[str, Value]


def half_away(value: Decimal, places: int = 0) -> Decimal:
    with localcontext(prec=60):
        return value.quantize(Decimal(1).scaleb(-places), rounding=ROUND_HALF_UP)


def lowered(text: str) -> str:
    # Lower each character by itself, because Python's lower() of a whole text depends on the following characters.
    return "".join({"İ": "i"}.get(character, character.lower()) for character in text)


# The inputs of a case: SQL literals, read as Python values. -------------------------------------------


def read_literal(text: str) -> Value:
    """Return the value of a SQL literal in a case's ``given``.

    Raises:
        ValueError: the form of the literal is unknown.
    """
    instant = re.fullmatch(r"\{\{ instant\('(.*)'\) \}\}", text)
    if instant is not None:
        return read_instant(instant[1])
    cast = re.fullmatch(r"cast\((?:null|'?(.+?)'?) as (\w+|\{\{ type_\w+\(\) \}\})\)", text)
    if cast is not None:
        return None if cast[1] is None else TYPES[cast[2].strip("{} ()")](cast[1])
    if re.fullmatch(r"(?:concat\()?(?:'[^'\\]*'|chr\(\d+\)|, |\))+", text):
        return str(eval(text, {"concat": lambda *parts: "".join(parts), "chr": chr}))
    raise ValueError(f"no literal that this test can read: {text}")


def read_instant(text: str) -> datetime:
    with_minutes = re.sub(r"([+-]\d\d)$", r"\1:00", text)
    return datetime.fromisoformat(with_minutes).astimezone(UTC)


TYPES: dict[str, Callable[[str], Value]] = {
    "bigint": int,
    "string": str,
    "type_double": float,
    "type_decimal": lambda text: half_away(Decimal(text), 9),
    "type_instant": read_instant,
}


def rows_given(case: Mapping[str, Any]) -> list[dict[str, Value]]:
    given = case["given"] if isinstance(case["given"], list) else [case["given"]]
    return [{column: read_literal(text) for column, text in row.items()} for row in given]


# The macros in Python. An argument is a SQL expression over `given`, or the result of an inner macro.
# -----------------------------------------------------------------------------------------------------


class Oracle:
    """The macros in Python for one row, written from BigQuery's documentation and the descriptions of the macros."""

    def __init__(self, row: Row) -> None:
        self._row = row

    def macros(self) -> dict[str, Callable[..., Value]]:
        return {name: getattr(self, name) for name in dir(self) if not name.startswith("_")}

    def _value(self, argument: Value) -> Any:
        """Return the value of an argument. If it is text, evaluate the text as an expression over the row's columns.

        As in SQL, a sum or product with NULL is NULL, and `coalesce` returns the first argument that is not NULL.
        """
        if not isinstance(argument, str):
            return argument
        names = {
            f"given_{column}": _Null() if value is None else value
            for column, value in self._row.items()
        }
        names["coalesce"] = lambda *options: next(
            (option for option in options if not isinstance(option, _Null)), _Null()
        )
        value = eval(argument.replace("given.", "given_"), names)
        return None if isinstance(value, _Null) else value

    def fixed_log(self, x: Value) -> int | None:
        value = self._value(x)
        if value is None or value <= 0:
            return None
        with localcontext(prec=60):
            log = Decimal(float(value)).ln()
            exact = int(half_away(log * 10**6))
        # No engine guarantees the last bit of LN, so the result must be the same for the neighbouring float64 values.
        nearest = float(log)
        near = (nearest, *(math.nextafter(nearest, side) for side in (math.inf, -math.inf)))
        reached = {int(half_away(Decimal(candidate * 1e6))) for candidate in near}
        assert reached == {exact}, f"hangs on the last bit of the logarithm: {reached}"
        return exact

    def fixed_point(self, x: Value) -> int | None:
        value = self._value(x)
        return None if value is None else int(half_away(Decimal(float(value) * 1e6)))

    def ratio(self, numerator: Value, denominator: Value) -> float | None:
        above, below = self._value(numerator), self._value(denominator)
        return None if above is None or not below else float(above) / float(below)

    def fixed_ratio(self, numerator: Value, denominator: Value) -> int | None:
        quotient = self.ratio(numerator, denominator)
        return None if quotient is None else int(half_away(Decimal(quotient)))

    def shrunk_mean(self, total: str, count: str, prior: str, prior_count: int) -> int | None:
        values = [self._value(argument) for argument in (total, count, prior)]
        if None in values:
            return None
        if values[1] + prior_count == 0:
            return int(values[2])
        quotient = float(values[0] + prior_count * values[2]) / float(values[1] + prior_count)
        return int(half_away(Decimal(quotient)))

    def shrunk_variance(
        self, squares: str, total: str, count: str, prior: str, prior_count: int
    ) -> int | None:
        square_sum, sum_, n, prior_ = (self._value(a) for a in (squares, total, count, prior))
        if square_sum is None:
            return None
        if n - 1 + prior_count <= 0:
            return int(prior_)
        of_mean = 0.0 if sum_ is None or n == 0 else float(sum_) / float(n) * float(sum_)
        spread = float(square_sum) - of_mean / 1e6 + float(prior_count * prior_)
        variance = int(half_away(Decimal(spread / float(n - 1 + prior_count))))
        return max(variance, 0) if prior_count < 2 else variance

    def text_literal(self, value: object) -> str:
        return str(value)

    def price_bucket(self, price_log_e6: Value) -> int | None:
        value = self._value(price_log_e6)
        return None if value is None else value // 50000

    def price_bucket_midpoint(self, bucket: Value) -> float | None:
        value = self._value(bucket)
        return None if value is None else (value * 50000 + 25000) / 1000000

    def whole_amount(self, price: Value) -> int | None:
        value = self._value(price)
        # Decimal(float) is exact, so only the two roundings below change the value.
        return None if value is None else int(half_away(half_away(Decimal(value), 9)))

    def lowered(self, text: Value) -> str | None:
        value = self._value(text)
        return None if value is None else lowered(str(value))

    def code_word(self, text: Value) -> str | None:
        value = self._value(text)
        return None if value is None else lowered(str(value).strip())

    def days_between(self, earlier: Value, later: Value) -> float | None:
        first, last = self.to_epoch_us(earlier), self.to_epoch_us(later)
        if first is None or last is None:
            return None
        assert abs(last - first) <= 2**53, (
            "the documentation does not say how a greater integer is cast"
        )
        return (last - first) / 86400000000

    def least_known(self, a: Value, b: Value) -> Value:
        return min(self._known(a, b), default=None)

    def greatest_known(self, a: Value, b: Value) -> Value:
        return max(self._known(a, b), default=None)

    def _known(self, *arguments: Value) -> list[Any]:
        return [v for v in (self._value(a) for a in arguments) if v is not None]

    def whole_quotient(self, a: Value, b: Value) -> int | None:
        above, below = self._value(a), self._value(b)
        return None if above is None or below is None else above // below

    def hash_to_text(self, number: Value) -> str:
        return f"{self._value(number):016x}"

    def hash_from_text(self, text: Value) -> int:
        return int(self._value(text), 16)

    def add_hours(self, at: Value, hours: Value) -> datetime | None:
        return self._moved(at, hours, timedelta(hours=1))

    def add_minutes(self, at: Value, minutes: Value) -> datetime | None:
        return self._moved(at, minutes, timedelta(minutes=1))

    def available_at(self, as_of_at: Value) -> datetime | None:
        return self.add_minutes(as_of_at, VARIABLES["publish_lag_minutes"])

    def _moved(self, at: Value, number: Value, unit: timedelta) -> datetime | None:
        start, steps = self._value(at), self._value(number)
        return None if start is None or steps is None else start + steps * unit

    def to_epoch_us(self, at: Value) -> int | None:
        value = self._value(at)
        return None if value is None else (value - EPOCH) // MICROSECOND

    def from_epoch_us(self, us: Value) -> datetime | None:
        value = self._value(us)
        return None if value is None else EPOCH + value * MICROSECOND

    def refresh_at(self, at: Value) -> datetime | None:
        value = self._value(at)
        return None if value is None else min(r for r in _refreshes_about(value) if r >= value)

    def refresh_before(self, at: Value) -> datetime | None:
        value = self._value(at)
        return None if value is None else max(r for r in _refreshes_about(value) if r <= value)

    def local_hour(self, at: Value) -> int | None:
        value = self._value(at)
        return None if value is None else value.astimezone(ZONE).hour

    def local_date(self, at: Value) -> str | None:
        value = self._value(at)
        return None if value is None else f"{value.astimezone(ZONE):%Y-%m-%d}"

    def local_weekday(self, at: Value) -> int | None:
        value = self._value(at)
        return None if value is None else value.astimezone(ZONE).isoweekday()

    def enters_at(self, seen_at: Value, event_at: Value) -> Value:
        return self.greatest_known(seen_at, self.refresh_at(event_at))

    def leaves_at(
        self, superseded_at: Value, event_at: Value = None, window_days: int = 0
    ) -> Value:
        over = (
            None
            if event_at is None
            else self.refresh_at(self.add_hours(event_at, window_days * 24))
        )
        return self.least_known(superseded_at, over)


class _Null:
    """The NULL of SQL: every sum, difference or product with NULL is NULL."""

    def _null(self, _: object) -> _Null:
        return self

    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = _null


def _refreshes_about(at: datetime) -> list[datetime]:
    day = at.astimezone(ZONE).date()
    days = (day + timedelta(days=offset) for offset in range(-2, 3))
    return [
        datetime(d.year, d.month, d.day, VARIABLES["refresh_hour"], tzinfo=ZONE).astimezone(UTC)
        for d in days
    ]


def as_text(value: Value) -> str | None:
    """Return a value as text in the notation of the cases; None for NULL."""
    if value is None:
        return None
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="microseconds")
    return repr(value) if isinstance(value, float) else str(value)


# Functions that compute the result of one form of case as text, with None for NULL. For a case of another form they
# raise OtherFormError.


class OtherFormError(Exception):
    """Raised if a case does not have the form that a function in `WAYS` can compute."""


def by_macro(case: Mapping[str, Any]) -> str | None:
    """Compute a case whose expression is one macro call over one row, possibly with inner macro calls."""
    call = re.fullmatch(r"\{\{ (.+) \}\}", case.get("sql", ""))
    if call is None or "}}" in call[1] or isinstance(case["given"], list):
        raise OtherFormError
    macros = Oracle(rows_given(case)[0]).macros()
    if re.match(r"\w+", call[1])[0] not in macros:  # type: ignore[index]
        raise OtherFormError
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined)
    return as_text(environment.compile_expression(call[1], undefined_to_none=False)(**macros))


def by_value(case: Mapping[str, Any]) -> str | None:
    """Compute a case whose expression is one column, optionally cast to a float."""
    column = re.fullmatch(
        r"(?:cast\()?given\.(\w+)(?: as \{\{ type_double\(\) \}\}\))?", case.get("sql", "")
    )
    if column is None:
        raise OtherFormError
    value = rows_given(case)[0][column[1]]
    return as_text(float(value) if "type_double" in case["sql"] else value)  # type: ignore[arg-type]


def by_equality(case: Mapping[str, Any]) -> str | None:
    """Compute a case that compares a column with a literal."""
    sides = re.fullmatch(r"given\.(\w+) = (cast\(.*\))", case.get("sql", ""))
    if sides is None:
        raise OtherFormError
    return as_text(rows_given(case)[0][sides[1]] == read_literal(sides[2]))


def by_difference(case: Mapping[str, Any]) -> str | None:
    """Compute a case that subtracts one macro from another."""
    sides = re.fullmatch(r"(\{\{ .+? \}\}) - (\{\{ .+? \}\})", case.get("sql", ""))
    if sides is None:
        raise OtherFormError
    first, second = (by_macro({**case, "sql": side}) for side in sides.groups())
    return str(int(first or 0) - int(second or 0))


def by_sum(case: Mapping[str, Any]) -> str | None:
    """Compute a case that sums the results of a macro over several rows; NULL results are skipped."""
    summed = re.fullmatch(r"sum\((\{\{ .+ \}\})\)", case.get("sql", ""))
    if summed is None:
        raise OtherFormError
    texts = [by_macro({"sql": summed[1], "given": row}) for row in case["given"]]
    return str(sum(int(text) for text in texts if text is not None))


def by_least(case: Mapping[str, Any]) -> str | None:
    """Compute a case that calls the macro `value_of_least`."""
    if "value_of_least" not in case.get("sql", ""):
        raise OtherFormError
    rows = rows_given(case)
    assert all(0 <= row[by] < 2**31 for row in rows for by in ("a", "b"))  # type: ignore[operator]
    assert len({(row["a"], row["b"]) for row in rows}) == len(rows)
    return as_text(min(rows, key=lambda row: (row["a"], row["b"]))["v"])


WAYS = (by_macro, by_value, by_equality, by_difference, by_sum, by_least)


def recomputed(case: Mapping[str, Any]) -> str | None:
    """Return the expected result of a case, as text.

    Raises:
        OtherFormError: the case has no form that can be computed again.
    """
    for way in WAYS:
        try:
            return way(case)
        except OtherFormError:
            continue
    raise OtherFormError
