"""A candidate's rows: its SQL under analyses/rejected, compiled by dbt, and run on a built mart that is only read."""

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

from feature_mart.duckdb_files import attach, connect
from feature_mart.errors import TerminalError, TransientError, UsageError
from feature_mart.runner import dbt_variables
from feature_mart.runner.dbt import invoke_dbt, require_success
from feature_mart.runner.kept import unreadable
from feature_mart.settings import Settings, require_embedded

FOLDER = "analyses/rejected"
KEY = "job_id"
#: Levels of a categorical feature.
MOST_TEXTS = 64
_NUMBER = re.compile(r"U?(TINY|SMALL|BIG|HUGE)?INT(EGER)?|FLOAT|DOUBLE|DECIMAL\(\d+,\d+\)")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True, slots=True)
class CandidateRows:
    """A candidate's columns, one row a job.

    `values` is float32 of shape (jobs, columns), NaN where a value is NULL: numbers as they are, booleans 0 and 1,
    texts the places of their values in `texts`, which are sorted. `places` maps a job_id to its row.
    """

    name: str
    columns: tuple[str, ...]
    values: NDArray[np.float32]
    places: Mapping[str, int]
    texts: Mapping[str, tuple[str, ...]]


def find_candidate(project: Path, name: str) -> Path:
    """The file of a candidate. Raises: UsageError where there is none of that name."""
    known = sorted(path.stem for path in (project / FOLDER).glob("*.sql"))
    if name not in known:
        close = ", ".join(difflib.get_close_matches(name, known, n=3) or known)
        nearest = f"; did you mean {close}?" if close else ": write it there, one row a job_id."
        raise UsageError(f"There is no candidate {name!r} in {FOLDER}{nearest}")
    return project / FOLDER / f"{name}.sql"


def compile_candidate(settings: Settings, path: Path, as_of_at: datetime) -> str:
    """A candidate's SQL as dbt compiles it; the mart is not touched.

    Args:
        as_of_at: the refresh that the mart stands at.

    Raises:
        UsageError: the mart is on BigQuery.
        TerminalError: dbt could not compile it.
    """
    require_embedded(settings, "mart knowledge candidate")
    # Compiled SQL names its catalog after the file, and dbt opens it for writing: so another one of the same name.
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
    raise TerminalError(f"dbt compiled nothing for {path}: is the file an analysis?")


def run_candidate(mart: Path, name: str, sql: str, history: Path | None = None) -> CandidateRows:
    """Run a candidate on a built mart, which is opened for reading alone.

    Args:
        history: the file of the dbt snapshots, where sources are overwritten.

    Raises:
        UsageError: it gives no job_id, one twice or one that is NULL, nothing but job_id, or a column that is neither
            number, boolean nor text.
        TerminalError: the SQL does not run.
        TransientError: another program has the mart open for writing.
    """
    try:
        with connect(mart, read_only=True) as con:
            if history is not None and history.is_file():
                attach(con, history, "history")
            statements = duckdb.extract_statements(sql)
            if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
                raise UsageError(f"{FOLDER}/{name}.sql is to be one select, and nothing else.")
            con.execute(f"create temp table candidate as {sql}")
            return _read_rows(con, name)
    except duckdb.Error as error:
        refused = unreadable(mart, error)
        if isinstance(refused, TransientError):
            raise refused from None
        first = str(error).partition("\n")[0]
        raise TerminalError(f"{FOLDER}/{name}.sql does not run on {mart}: {first}") from error


def _read_rows(con: duckdb.DuckDBPyConnection, name: str) -> CandidateRows:
    types = {str(row[0]): str(row[1]) for row in con.execute("describe candidate").fetchall()}
    columns = tuple(column for column in types if column != KEY)
    if KEY not in types or not columns:
        raise UsageError(
            f"{FOLDER}/{name}.sql gives {', '.join(types)}: a candidate is {KEY} and one column or more."
        )
    odd = [column for column in columns if not _NAME.fullmatch(column)]
    if odd:
        raise UsageError(
            f"{FOLDER}/{name}.sql: {odd[0]!r} is no name for a feature: letters, digits and _ alone."
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
                    f"{FOLDER}/{name}.sql: {column} has {len(distinct):,} different texts; a candidate's has "
                    f"{MOST_TEXTS} at most, as a category's code does."
                )
            texts[column] = tuple(str(row[0]) for row in distinct)
            expressions.append(
                f"case when {name_sql} is not null then dense_rank() over (order by {name_sql} nulls last) - 1 end"
            )
        elif types[column] == "BOOLEAN" or _NUMBER.fullmatch(types[column]):
            expressions.append(name_sql)
        else:
            raise UsageError(
                f"{FOLDER}/{name}.sql: {column} is a {types[column]}; a candidate's columns are numbers, booleans "
                "or texts."
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
        raise UsageError(f"{FOLDER}/{name}.sql gives {what}: a candidate is one row a {KEY}.")
