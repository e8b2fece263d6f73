"""Compare two builds value by value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import duckdb

from feature_mart.core.duckdb_files import attach, connect
from feature_mart.core.manifest import SERVED, Column, Manifest

SPINE = "int_job__requests"
_TRAINING = "__training"
LABEL_KNOWN_AT = "label_known_at"
_OF_LABELS = frozenset({LABEL_KNOWN_AT, "exclusion_reason"})
#: The grains of models: a row per request, a row per entity and refresh, or another grain.
JOB, AS_OF, OTHER = "job", "as of", "other"
_AS_OF_AT, _AVAILABLE = "as_of_at", "available_at"


@dataclass(frozen=True, slots=True)
class Difference:
    """A column of a model that differs in `rows` rows between two builds, with an example.

    Attributes:
        column: the name of the column; empty if some rows exist in one build only. `whole` and `truncated` then say
            which build has the row of the example, or are empty.
        entity: the key of one differing row.
        whole, truncated: the column's value in that row in each of the two builds, as text.
    """

    model: str
    column: str
    rows: int
    entity: str
    whole: str
    truncated: str


@dataclass(frozen=True, slots=True)
class Compared:
    """The number of rows compared in a model, and the columns that vary or are constant in these rows.

    A brief comparison without a difference determines neither, and leaves both sets empty.
    """

    model: str
    rows: int
    varying: frozenset[str]
    constant: frozenset[str]


def judged_models(names: Sequence[str]) -> tuple[str, ...]:
    """Return the names of the feature tables and marts among ``names``, in the same order."""
    return tuple(name for name in names if name.startswith(SERVED))


def compare_features(
    manifest: Manifest,
    names: Sequence[str],
    whole: Path,
    truncated: Path,
    at: datetime,
    *,
    is_brief: bool = False,
) -> tuple[list[Difference], list[Compared]]:
    """Compare the as-of rows up to ``at``, and the rows of jobs requested and known by ``at``, in two builds.

    ``names`` are the models, in the order in which they are reported. In a training mart only the features are
    compared, because the labels become known later. With ``is_brief``, the varying columns of models without a
    difference are not determined.
    """
    instant = f"timestamptz '{at.isoformat()}'"
    conditions = {
        JOB: _of_jobs(f"requested_at <= {instant} and known_at <= {instant}"),
        AS_OF: f"as_of_at <= {instant}",
    }
    grains = {name: grain(manifest, name) for name in names}
    where = {name: conditions[each] for name, each in grains.items() if each in conditions}
    return _compare_all(manifest, where, whole, truncated, is_brief=is_brief)


def compare_requests(
    manifest: Manifest,
    names: Sequence[str],
    whole: Path,
    truncated: Path,
    at: datetime,
    *,
    is_brief: bool = False,
) -> tuple[list[Difference], list[Compared]]:
    """Compare the rows of jobs requested before ``at`` in two builds, including jobs that became known later."""
    job = _of_jobs(f"requested_at < timestamptz '{at.isoformat()}'")
    where = {name: job for name in names if grain(manifest, name) == JOB}
    return _compare_all(manifest, where, whole, truncated, is_brief=is_brief)


def grain(manifest: Manifest, name: str) -> str:
    """Return the grain of a model by its key: JOB, AS_OF, or OTHER if the key has neither a job nor a refresh."""
    key = {column.name for column in manifest.columns(name) if column.role == "key"}
    if _AS_OF_AT in key:
        return AS_OF
    return JOB if "job_id" in key else OTHER


def _of_jobs(condition: str) -> str:
    return f"job_id in (select job_id from {{side}}.main.{SPINE} where {condition})"


def _compare_all(
    manifest: Manifest,
    where: Mapping[str, str],
    whole: Path,
    truncated: Path,
    *,
    is_brief: bool,
) -> tuple[list[Difference], list[Compared]]:
    differences: list[Difference] = []
    compared: list[Compared] = []
    with _both(whole, truncated) as con:
        for name, condition in where.items():
            columns = _columns(con, manifest, name)
            if name.endswith(_TRAINING):
                columns = [each for each in columns if each.role in (None, "key")]
            found, seen = _compare(con, name, columns, condition, is_brief=is_brief)
            # A row that only one build has is not a leak in a training mart. If the mart contains only labelled rows, a
            # later build has more rows.
            differences += [each for each in found if each.column or not name.endswith(_TRAINING)]
            compared.append(seen)
    return differences, compared


def compare_marts(
    manifest: Manifest, names: Sequence[str], whole: Path, truncated: Path
) -> tuple[list[Difference], list[Compared]]:
    """Compare every row of the training marts, labels included, in two builds of the same refresh.

    Models of grain OTHER are compared too. Their rows cannot be limited to a time, but all rows must be equal in two
    builds of the same refresh.
    """
    differences: list[Difference] = []
    compared: list[Compared] = []
    with _both(whole, truncated) as con:
        for name in names:
            if name.endswith(_TRAINING) or grain(manifest, name) == OTHER:
                found, seen = _compare(con, name, _columns(con, manifest, name), "true")
                differences += found
                compared.append(seen)
    return differences, compared


def compare_labels(
    manifest: Manifest, names: Sequence[str], whole: Path, truncated: Path, at: datetime
) -> tuple[list[Difference], list[Compared]]:
    """Compare the labels known by ``at`` in the whole build with the labels in a build as of ``at``.

    A label, or the reason why there is none, never changes after `label_known_at`. The build as of ``at`` must
    therefore have the same label or reason.
    """
    instant = f"timestamptz '{at.isoformat()}'"
    differences: list[Difference] = []
    compared: list[Compared] = []
    with _both(whole, truncated) as con:
        for name in names:
            columns = _columns(con, manifest, name) if name.endswith(_TRAINING) else []
            labels = [each.name for each in columns if each.role == "label"]
            if not labels or LABEL_KNOWN_AT not in {each.name for each in columns}:
                continue
            judged = [
                each for each in columns if each.role in {"key", "label"} or each.name in _OF_LABELS
            ]
            claimed = (
                f"job_id in (select m.job_id from whole.main.{name} m join whole.main.{SPINE} s using (job_id) "
                f"where m.{LABEL_KNOWN_AT} <= {instant} and s.known_at <= {instant})"
            )
            found, seen = _compare(con, name, judged, claimed)
            differences += found
            compared.append(seen)
    return differences, compared


def compare_builds(
    manifest: Manifest, names: Sequence[str], whole: Path, other: Path
) -> list[Difference]:
    """Compare every column of the models ``names`` in two builds that should be equal.

    In each difference, `truncated` is the value in ``other``. Models without a key are left out.
    """
    differences: list[Difference] = []
    with _both(whole, other) as con:
        for name in names:
            columns = _columns(con, manifest, name)
            if any(each.role == "key" for each in columns):
                differences += _compare(con, name, columns, "true")[0]
    return differences


def _columns(con: duckdb.DuckDBPyConnection, manifest: Manifest, name: str) -> list[Column]:
    """Return the declared columns of a model, then the undeclared columns of the table in the whole build.

    A Python model can have undeclared columns, because its contract is not enforced.
    """
    declared = manifest.columns(name)
    built = con.execute(f"describe whole.main.{name}").fetchall()
    names = {column.name for column in declared}
    beside = [
        Column(str(name), str(type_), None, None, False, "")
        for name, type_, *_ in built
        if name not in names
    ]
    return [*declared, *beside]


def _both(whole: Path, truncated: Path) -> duckdb.DuckDBPyConnection:
    con = connect(threads=1)
    attach(con, whole, "whole")
    attach(con, truncated, "truncated")
    return con


def varying_columns(manifest: Manifest, names: Sequence[str], built: Path) -> list[Compared]:
    """Return, for each model, the number of rows in a build, and the varying and the constant columns."""
    compared = []
    with connect(built, read_only=True) as con:
        for name in names:
            values = [each.name for each in manifest.columns(name) if each.role != "key"]
            rows, varying = _varying(con, f"main.{name}", values)
            compared.append(Compared(name, rows, varying, frozenset(values) - varying))
    return compared


def _varying(
    con: duckdb.DuckDBPyConnection, relation: str, values: Sequence[str]
) -> tuple[int, frozenset[str]]:
    """Return the number of rows of a relation, and the columns with several values or with NULLs in only some rows."""
    asked = [
        f"min({value}) is distinct from max({value}) or count({value}) not in (0, count(*))"
        for value in values
    ]
    row = con.execute(f"select {', '.join(['count(*)', *asked])} from {relation}").fetchone()
    assert row is not None
    rows, *varies = row
    return rows, frozenset(value for value, each in zip(values, varies, strict=True) if each)


def _same_rows(con: duckdb.DuckDBPyConnection, columns: Sequence[Column]) -> int | None:
    """Return the number of rows if both sides have the same row count and sum of row hashes, else None."""
    names = ", ".join(column.name for column in columns)
    sides = [
        con.execute(f"select count(*), sum(hash({names})) from {side}_rows").fetchone()
        for side in ("whole", "truncated")
    ]
    whole, truncated = sides
    assert whole is not None
    return int(whole[0]) if whole == truncated else None


def _compare(
    con: duckdb.DuckDBPyConnection,
    name: str,
    columns: Sequence[Column],
    where: str,
    *,
    is_brief: bool = False,
) -> tuple[list[Difference], Compared]:
    key = [column.name for column in columns if column.role == "key"]
    values = [column.name for column in columns if column.role != "key"]
    for side in ("whole", "truncated"):
        condition = where.format(side=side)
        con.execute(
            f"create or replace temp view {side}_rows as "
            f"select *, true as is_there from {side}.main.{name} where {condition}"
        )
    # Most models have the same rows in both builds, and comparing hashes takes a fraction of the time of a join.
    rows = _same_rows(con, columns)
    if rows is not None:
        varying = frozenset() if is_brief else _varying(con, "truncated_rows", values)[1]
        constant = frozenset() if is_brief else frozenset(values) - varying
        return [], Compared(name, rows, varying, constant)
    if not key:
        # Without a declared key, all columns together identify a row.
        key, values = [column.name for column in columns], []
    same = " and ".join(f"w.{part} is not distinct from t.{part}" for part in key)
    joined = f"whole_rows w full join truncated_rows t on {same}"
    lost = "w.is_there is null or t.is_there is null"
    counts = "".join(
        f", count(*) filter (w.is_there and t.is_there and w.{value} is distinct from t.{value}), "
        f"min(t.{value}) is distinct from max(t.{value}) or count(t.{value}) not in (0, count(t.is_there))"
        for value in values
    )
    row = con.execute(f"select count(*), count(*) filter ({lost}){counts} from {joined}").fetchone()
    assert row is not None
    differences = []
    if row[1]:
        differences = _states(con, name, key, values) if _AS_OF_AT in key else []
        differences = differences or [_example(con, name, "", row[1], key, joined, lost)]
    named = {difference.column for difference in differences}
    varies = set()
    for number, value in enumerate(values):
        count, is_varying = row[2 + 2 * number], row[3 + 2 * number]
        if is_varying:
            varies.add(value)
        if count and value not in named:
            differs = f"w.is_there and t.is_there and w.{value} is distinct from t.{value}"
            differences.append(_example(con, name, value, count, key, joined, differs))
    return differences, Compared(name, row[0], frozenset(varies), frozenset(values) - varies)


def _states(
    con: duckdb.DuckDBPyConnection, name: str, key: Sequence[str], values: Sequence[str]
) -> list[Difference]:
    """Return a difference for each column whose values in force differ between the builds at the time of any as-of row.

    An as-of row is in force until the next row of the entity. A row that only one build has does not show by itself
    which columns differ, so the row is compared with the row in force in the other build at the same time.
    """
    entity = [part for part in key if part != _AS_OF_AT]
    e = " || chr(31) || ".join(f"coalesce({part}::varchar, '')" for part in entity)
    for side in ("whole", "truncated"):
        con.execute(
            f"create or replace temp table {side}_states as select *, {e} as entity from {side}_rows"
        )
    con.execute(
        "create or replace temp table instants as "
        f"select entity, {', '.join(key)} from whole_states union "
        f"select entity, {', '.join(key)} from truncated_states"
    )
    joined = "instants i " + " ".join(
        f"asof left join {side}_states {letter} on i.entity = {letter}.entity and i.{_AS_OF_AT} >= {letter}.{_AS_OF_AT}"
        for side, letter in (("whole", "w"), ("truncated", "t"))
    )
    columns = [value for value in values if value != _AVAILABLE]
    counts = ", ".join(f"count(*) filter (w.{c} is distinct from t.{c})" for c in columns)
    row = con.execute(f"select {counts} from {joined}").fetchone()
    assert row is not None
    found = []
    shown = ", ".join(f"i.{part}::varchar" for part in key)
    for column, count in zip(columns, row, strict=True):
        if count:
            example = con.execute(
                f"select {shown}, w.{column}::varchar, t.{column}::varchar from {joined} "
                f"where w.{column} is distinct from t.{column} order by all limit 1"
            ).fetchone()
            assert example is not None
            found.append(_difference(name, column, count, key, example))
    return found


def _example(
    con: duckdb.DuckDBPyConnection,
    name: str,
    column: str,
    rows: int,
    key: Sequence[str],
    joined: str,
    condition: str,
) -> Difference:
    shown = (
        f"w.{column}::varchar, t.{column}::varchar"
        if column
        else "if(w.is_there, 'a row', 'no row'), if(t.is_there, 'a row', 'no row')"
    )
    row = con.execute(
        f"select {', '.join(f'coalesce(w.{part}, t.{part})::varchar' for part in key)}, {shown} from {joined} "
        f"where {condition} order by all limit 1"
    ).fetchone()
    assert row is not None
    return _difference(name, column, rows, key, row)


def _difference(
    name: str, column: str, rows: int, key: Sequence[str], example: Sequence[object]
) -> Difference:
    """Return a `Difference`.

    ``example`` has the values of the key, then the column's value in the whole and in the truncated build.
    """
    entity = ", ".join(f"{part}={value}" for part, value in zip(key, example[:-2], strict=True))
    return Difference(name, column, rows, entity, str(example[-2]), str(example[-1]))
