"""A feature's values over time beside a file's: how they are compared, and which versions there were."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import duckdb

from feature_mart.audit.given_file import JOB, Feature
from feature_mart.audit.reading import WHOLE, Reading, is_number, read_number, read_time

#: Numbers are the same within two millionths: of themselves or, below one, of one. Whole numbers are compared exactly.
TOLERANCE = 2e-6
#: The entity of a model that has one only.
_ONE = "''"
_REQUESTS = "mart.main.int_job__requests"


@dataclass(frozen=True, slots=True)
class Versions:
    """SQL for the entity of a row that has the keys, and for the value where an entity has no version yet."""

    entity: str
    empty: str


def type_of(con: duckdb.DuckDBPyConnection, feature: Feature) -> str:
    """Return what the mart's column holds: whole, number, instant or text."""
    columns = con.execute(f"describe mart.main.{feature.model}").fetchall()
    name = next(str(type_) for column, type_, *_ in columns if column == feature.name)
    if is_number(name):
        return "whole" if "INT" in name else "number"
    return "instant" if name.startswith("TIMESTAMP") else "text"


def read_value(column: str, feature: Feature, kind: str, zone: str) -> Reading:
    """Return how a column of the file is read as values of a feature; times without offset are in ``zone``."""
    if kind in ("whole", "number"):
        return read_number(column, feature.column_type, is_whole=kind == "whole")
    if kind == "instant":
        read = read_time(column, feature.column_type, zone, is_day_enough=False)
        return read or Reading("null::timestamptz", f"{column} is not null")
    return Reading(f"cast({column} as varchar)", "false")


def scaled(value: str, kind: str) -> str:
    """Return a value as a number in which two that count as the same are at most 1 apart; NULL stays NULL."""
    if kind == "whole":
        return (
            f"1000 * if({value} is null, null, coalesce(try_cast({value} as {WHOLE}), "
            f"if({value} > 0, 9e24, -9e24)::{WHOLE}))"
        )
    if kind == "number":
        number = f"try_cast({value} as double)"
        return f"sign({number}) * ln(1 + abs({number})) / {TOLERANCE}"
    if kind == "instant":
        return f"epoch(try_cast({value} as timestamptz))"
    return f"if({value} is null, null, 3.0 * (hash({value}::varchar) % 1099511627776))"


def is_same(one: str, other: str) -> str:
    """SQL that is true of two scaled values that count as the same; NULL is a value."""
    return f"({one} is not distinct from {other} or coalesce(abs({one} - {other}) <= 1, false))"


def load_versions(
    con: duckdb.DuckDBPyConnection, feature: Feature, keys: Sequence[str], kind: str
) -> Versions | None:
    """Put a feature's versions into `feature_versions` and, to be found by value, into `version_buckets`.

    None where the mart has no versions of it, or makes what it serves at a request from them in another way.
    """
    if feature.as_of_model is None:
        return None
    of_row = _keys_of_row(con, feature, keys)
    if of_row is None:
        return None
    entity = " || chr(31) || ".join(of_row) or _ONE
    value = f'"{feature.name}"'
    con.execute(
        "create or replace temp table feature_versions as select e, available_at, value, s from ("
        f"select {entity} as e, available_at, {value} as value, {scaled(value, kind)} as s, "
        "row_number() over own = 1 or s is distinct from lag(s) over own as is_new "
        f"from mart.main.{feature.as_of_model} window own as (partition by {entity} order by available_at)"
        ") where is_new"
    )
    empty = _empty_value(con, feature, entity, kind)
    if empty is None:
        return None
    con.execute(
        "create or replace temp table version_buckets as "
        "select e, available_at, unnest([floor(s) - 1, floor(s), floor(s) + 1]) as b "
        "from feature_versions where s is not null "
        "union all select e, available_at, -9e18 from feature_versions where s is null"
    )
    return Versions(entity, empty)


def _keys_of_row(
    con: duckdb.DuckDBPyConnection, feature: Feature, keys: Sequence[str]
) -> tuple[str, ...] | None:
    """The feature's keys that a row has: all, or none of a model of one entity, such as the market."""
    known = set(keys)
    if JOB in known:
        known |= _request_columns(con)
    if set(feature.keys) <= known:
        return feature.keys
    counted = con.execute(
        f"select count(distinct ({', '.join(feature.keys)})) from mart.main.{feature.as_of_model}"
    ).fetchone()
    return () if counted == (1,) else None


def _request_columns(con: duckdb.DuckDBPyConnection) -> set[str]:
    return {row[0] for row in con.execute(f"describe {_REQUESTS}").fetchall()}


def _empty_value(
    con: duckdb.DuckDBPyConnection, feature: Feature, entity: str, kind: str
) -> str | None:
    """What requests are served of an entity without a version, as SQL; None where versions do not explain it.

    Of entities that no request has, such as a skill, that is NULL.
    """
    has_keys = entity == _ONE or set(feature.keys) <= _request_columns(con)
    if feature.job_model is None or not has_keys:
        return "null"
    served = scaled("q.served", kind)
    row = con.execute(
        f"select count(*) filter (v.value is not null and not {is_same(served, 'v.s')}), "
        f"count(distinct coalesce({served}, -9e18)) filter (v.value is null), "
        "any_value(q.served) filter (v.value is null) "
        f'from (select {entity} as e, r.requested_at, f."{feature.name}" as served '
        f"from {_REQUESTS} r join mart.main.{feature.job_model} f using (job_id)) q "
        "asof left join feature_versions v on q.e = v.e and q.requested_at >= v.available_at"
    ).fetchone()
    assert row is not None
    wrong, kinds, empty = row
    if wrong or kinds > 1:
        return None
    return "null" if empty is None else f"'{empty}'" if kind == "text" else f"{empty}"
