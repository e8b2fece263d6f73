"""Load the versions of a feature, and generate SQL that compares them with the values in a file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import duckdb

from feature_mart.audit.given_file import JOB, Feature
from feature_mart.audit.reading import WHOLE, ValueSql, is_number, read_number, read_time

#: Numbers x and y count as equal if they differ by at most about TOLERANCE * (1 + abs(x)). Whole numbers are compared
#: exactly.
TOLERANCE = 2e-6
#: SQL for the entity of a model with a single entity, such as the market.
_ONE = "''"
_REQUESTS = "mart.main.int_job__requests"


@dataclass(frozen=True, slots=True)
class Versions:
    """SQL expressions: `entity` for the entity of a row, and `empty` for the value of an entity without a version."""

    entity: str
    empty: str


def type_of(con: duckdb.DuckDBPyConnection, feature: Feature) -> str:
    """Return the kind of values in the mart's column: whole, number, instant or text."""
    columns = con.execute(f"describe mart.main.{feature.model}").fetchall()
    name = next(str(type_) for column, type_, *_ in columns if column == feature.name)
    if is_number(name):
        return "whole" if "INT" in name else "number"
    return "instant" if name.startswith("TIMESTAMP") else "text"


def read_value(column: str, feature: Feature, kind: str, zone: str) -> ValueSql:
    """Return SQL that reads a column of the file as values of a feature. Times without offset are in ``zone``."""
    if kind in ("whole", "number"):
        return read_number(column, feature.column_type, is_whole=kind == "whole")
    if kind == "instant":
        read = read_time(column, feature.column_type, zone, is_day_enough=False)
        return read or ValueSql("null::timestamptz", f"{column} is not null")
    return ValueSql(f"cast({column} as varchar)", "false")


def scaled(value: str, kind: str) -> str:
    """Return SQL for a number that differs by at most 1 between values that count as equal; NULL stays NULL."""
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
    """Return SQL that is true if two scaled values count as equal; two NULLs count as equal."""
    return f"({one} is not distinct from {other} or coalesce(abs({one} - {other}) <= 1, false))"


def load_versions(
    con: duckdb.DuckDBPyConnection, feature: Feature, keys: Sequence[str], kind: str
) -> Versions | None:
    """Load a feature's versions into table ``feature_versions``, and for lookup by value into ``version_buckets``.

    Consecutive versions of an entity with equal values are loaded as one version. Return None if the mart has no
    versions of the feature, if the file's rows lack a key of the feature's model, or if the versions do not explain the
    values served at requests.
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
    """Return the keys of the feature's model that identify an entity, or None if the file's rows lack a key.

    The result is empty if the model has a single entity, such as the market, and the rows lack the model's key.
    """
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
    """Return SQL for the value served for an entity without a version.

    Return None if the versions do not explain the served values.

    The value is NULL if no request shows it, for example because the feature is not served at requests, or because
    requests lack a key of the feature's model, such as the skill.
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
