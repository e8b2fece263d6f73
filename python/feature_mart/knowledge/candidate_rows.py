"""Compile a candidate's SQL (analyses/rejected) with dbt, and run it on a built mart that is opened read-only."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import duckdb
import numpy as np
from numpy.typing import NDArray

from feature_mart.core.duckdb_files import attach, connect
from feature_mart.core.errors import TerminalError, TransientError, UsageError
from feature_mart.core.settings import Settings, require_embedded
from feature_mart.runner import dbt_variables
from feature_mart.runner.dbt import invoke_dbt, require_success
from feature_mart.runner.duckdb_mart import unreadable

FOLDER = "analyses/rejected"
KEY = "job_id"
#: The maximum number of distinct values of a text column.
MOST_TEXTS = 64
_NUMBER = re.compile(r"U?(TINY|SMALL|BIG|HUGE)?INT(EGER)?|FLOAT|DOUBLE|DECIMAL\(\d+,\d+\)")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True, slots=True)
class CandidateRows:
    """A candidate's columns, one row per job.

    `values` is float32 of shape (jobs, columns), with NaN for a value that is NULL or not finite. Booleans are 0 and 1.
    A text is represented by its position in `texts`, which has the sorted distinct values of each text column. `places`
    maps a job_id to the index of the job's row in `values`.
    """

    name: str
    columns: tuple[str, ...]
    values: NDArray[np.float32]
    places: Mapping[str, int]
    texts: Mapping[str, tuple[str, ...]]


def find_candidate(project: Path, name: str) -> Path:
    """Return the path of a candidate's SQL.

    Raises:
        UsageError: there is no candidate of that name.
    """
    known = sorted(path.stem for path in (project / FOLDER).glob("*.sql"))
    if name not in known:
        close = ", ".join(difflib.get_close_matches(name, known, n=3) or known)
        nearest = (
            f"; did you mean {close}?" if close else ": write it there, with one row per job_id."
        )
        raise UsageError(f"There is no candidate {name!r} in {FOLDER}{nearest}")
    return project / FOLDER / f"{name}.sql"


def compile_candidate(settings: Settings, path: Path, as_of_at: datetime) -> str:
    """Return a candidate's SQL as compiled by dbt, without opening the mart.

    Args:
        path: the path of the candidate's SQL.
        as_of_at: the refresh of the built mart.

    Raises:
        UsageError: the mart is on BigQuery.
        TerminalError: dbt cannot compile the file, or the file is not an analysis.
    """
    require_embedded(settings, "mart knowledge candidate")
    # dbt opens its database for writing, and the compiled SQL contains the catalog name, which is the file's name. A
    # temporary database of the same name protects the mart and gives SQL that runs on the mart.
    database = settings.target_dir("candidate") / "mart.duckdb"
    result = invoke_dbt(
        settings,
        ("compile", "--select", f"path:{path.relative_to(settings.project).as_posix()}"),
        step="candidate",
        database=database,
        variables=dbt_variables(settings, as_of_at),
    )
    database.unlink(missing_ok=True)
    require_success(result, f"Compiling {path.name}")
    for node in result.nodes:
        if node.name == path.stem and node.compiled:
            return node.compiled
    raise TerminalError(f"dbt did not compile {path}: the file must be an analysis.")


def run_candidate(mart: Path, name: str, sql: str, history: Path | None = None) -> CandidateRows:
    """Run a candidate's compiled SQL on a built mart, opened read-only, and return its rows.

    Args:
        mart: the mart's DuckDB file.
        name: the candidate's name, for messages.
        history: the file of the dbt snapshots; None, or a file that does not exist, if no source is overwritten.

    Raises:
        UsageError: the SQL is not one SELECT; job_id is missing, NULL or not unique; there is no other column; a
            column's name is not an identifier; a column's type is not number, boolean or text; or a column has more
            than `MOST_TEXTS` distinct texts.
        TerminalError: the SQL does not run.
        TransientError: another program has the mart open for writing.
    """
    try:
        with connect(mart, read_only=True) as con:
            if history is not None and history.is_file():
                attach(con, history, "history")
            statements = duckdb.extract_statements(sql)
            if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
                raise UsageError(f"{FOLDER}/{name}.sql must be a single SELECT statement.")
            con.execute(f"create temp table candidate as {sql}")
            return _read_rows(con, name)
    except duckdb.Error as error:
        refused = unreadable(mart, error)
        if isinstance(refused, TransientError):
            raise refused from None
        first = str(error).partition("\n")[0]
        raise TerminalError(f"{FOLDER}/{name}.sql failed on {mart}: {first}") from error


def _read_rows(con: duckdb.DuckDBPyConnection, name: str) -> CandidateRows:
    types = {str(row[0]): str(row[1]) for row in con.execute("describe candidate").fetchall()}
    columns = tuple(column for column in types if column != KEY)
    if KEY not in types or not columns:
        raise UsageError(
            f"{FOLDER}/{name}.sql returns {', '.join(types)}: it must return {KEY} and at least one other column."
        )
    odd = [column for column in columns if not _NAME.fullmatch(column)]
    if odd:
        raise UsageError(
            f"{FOLDER}/{name}.sql: {odd[0]!r} is not a valid feature name: use only letters, digits and _."
        )
    _check_one_a_job(con, name)
    texts: dict[str, tuple[str, ...]] = {}
    expressions = []
    for column in columns:
        name_sql = '"' + column.replace('"', '""') + '"'
        if types[column] == "VARCHAR":
            distinct = con.execute(
                f"select distinct {name_sql} from candidate where {name_sql} is not null order by all"
            ).fetchall()
            if len(distinct) > MOST_TEXTS:
                raise UsageError(
                    f"{FOLDER}/{name}.sql: {column} has {len(distinct):,} distinct texts, but at most {MOST_TEXTS} "
                    "are allowed: merge rare texts."
                )
            texts[column] = tuple(str(row[0]) for row in distinct)
            expressions.append(
                f"case when {name_sql} is not null then dense_rank() over (order by {name_sql} nulls last) - 1 end"
            )
        elif types[column] == "BOOLEAN" or _NUMBER.fullmatch(types[column]):
            expressions.append(name_sql)
        else:
            raise UsageError(
                f"{FOLDER}/{name}.sql: {column} is a {types[column]}: use numbers, booleans or text."
            )
    numbers = ", ".join(f"cast({each} as float) as c{at}" for at, each in enumerate(expressions))
    found = con.execute(f"select {KEY}, {numbers} from candidate").fetchnumpy()
    values = np.column_stack(
        [np.ma.filled(found[f"c{at}"], np.nan) for at in range(len(columns))]
    ).astype(np.float32)
    values[~np.isfinite(values)] = np.nan
    places = {str(job): place for place, job in enumerate(found[KEY])}
    return CandidateRows(name, columns, values, places, texts)


def _check_one_a_job(con: duckdb.DuckDBPyConnection, name: str) -> None:
    twice = con.execute(
        f"select {KEY}, count(*) from candidate group by {KEY} having count(*) > 1 or {KEY} is null "
        "order by all nulls first limit 1"
    ).fetchone()
    if twice is not None:
        job, count = twice
        what = (
            f"{count:,} rows without a {KEY}" if job is None else f"{count:,} rows of {KEY} {job}"
        )
        raise UsageError(f"{FOLDER}/{name}.sql returns {what}: it must return one row per {KEY}.")
