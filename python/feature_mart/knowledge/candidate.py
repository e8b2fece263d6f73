"""`mart knowledge candidate`: what a candidate's columns add to a model, trained and measured, not written.

=====================================  ====================================================
``find_candidate(project, name)``      its SQL under analyses/rejected
``compile_candidate(settings, path)``  that SQL as dbt compiles it
``run_candidate(mart, name, sql)``     its rows on a built mart, one a job
``measure_candidate(address, …)``      a snapshot's model with them and without
``write_candidate(project, …)``        the document and the plot drawn from it
=====================================  ====================================================
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
from numpy.typing import NDArray

from feature_mart.errors import TerminalError, TransientError, UsageError
from feature_mart.knowledge.candidate_bins import telling_column
from feature_mart.knowledge.written import write_document, write_whole
from feature_mart.runner.dbt import invoke_dbt, require_success
from feature_mart.settings import Settings, require_embedded
from feature_mart.training import Snapshot, Split, load_snapshot, score_seeds

FOLDER = "analyses/rejected"
KEY = "job_id"
#: Features are chosen by validation; the test split is not so much as joined.
SPLITS = ("train", "validation")
_NUMBERS = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "FLOAT", "DOUBLE", "DECIMAL")


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
        close = difflib.get_close_matches(name, known, n=3) or known
        raise UsageError(
            f"There is no candidate {name!r} in {FOLDER}; did you mean {', '.join(close)}?"
            if known
            else f"There is no candidate in {FOLDER}: write {name}.sql there, one row a job_id."
        )
    return project / FOLDER / f"{name}.sql"


def compile_candidate(settings: Settings, path: Path, as_of_at: str) -> str:
    """A candidate's SQL as dbt compiles it; the mart is not touched.

    Args:
        as_of_at: the refresh that the mart stands at, as dbt is given it.

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
        variables={"as_of": as_of_at, "warehouse": settings.warehouse},
    )
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
        with duckdb.connect(str(mart), read_only=True) as con:
            con.execute("set TimeZone = 'UTC'")
            if history is not None and history.is_file():
                con.execute(
                    f"attach '{str(history).replace(chr(39), chr(39) * 2)}' as history (read_only)"
                )
            con.execute(f"create temp table candidate as {sql}")
            return _read_rows(con, name)
    except duckdb.Error as error:
        if isinstance(error, duckdb.IOException) and "lock" in str(error):
            raise TransientError(
                f"Another program has {mart} open for writing: close it and try again."
            ) from None
        first = str(error).partition("\n")[0]
        raise TerminalError(f"{FOLDER}/{name}.sql does not run on {mart}: {first}") from error


def _read_rows(con: duckdb.DuckDBPyConnection, name: str) -> CandidateRows:
    types = {str(row[0]): str(row[1]) for row in con.execute("describe candidate").fetchall()}
    columns = tuple(column for column in types if column != KEY)
    if KEY not in types or not columns:
        raise UsageError(
            f"{FOLDER}/{name}.sql gives {', '.join(types)}: a candidate is {KEY} and one column or more."
        )
    _check_one_a_job(con, name)
    texts: dict[str, tuple[str, ...]] = {}
    expressions = []
    for column in columns:
        quoted = '"' + column.replace('"', '""') + '"'
        if types[column] == "VARCHAR":
            distinct = con.execute(
                f"select distinct {quoted} from candidate where {quoted} is not null order by all"
            ).fetchall()
            texts[column] = tuple(str(row[0]) for row in distinct)
            expressions.append(
                f"case when {quoted} is not null then dense_rank() over (order by {quoted} nulls last) - 1 end"
            )
        elif types[column] == "BOOLEAN" or types[column].lstrip("U").startswith(_NUMBERS):
            expressions.append(quoted)
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


def measure_candidate(
    address: Path,
    consumer: str,
    rows: CandidateRows,
    *,
    metric: str | None = None,
    seeds: int = 3,
    progress: Callable[[int, int, str], None] | None = None,
) -> dict[str, Any]:
    """Train a snapshot's model with a candidate's columns beside its own and without, and measure on validation.

    Both are fitted on train with the default parameters, once a seed. Two figures nearer than their spreads are the
    same. Texts are passed as categories, since their codes have no order.

    Args:
        address: the snapshot's folder.
        metric: a name of `feature_mart.training.metrics`; None for r2 of a regression, auc of a binary label.
        progress: told of each model as it is begun.

    Returns:
        The document of candidate.json.

    Raises:
        UsageError: the snapshot is another consumer's, a job of it has no row of the candidate, or a column is
            already among its features.
        TerminalError: the candidate is unknown or constant in train, there are no rows to measure on, or nothing
            can be fitted.
    """
    snapshot = load_snapshot(address)
    if snapshot.consumer != consumer:
        raise UsageError(f"{address} is a snapshot of {snapshot.consumer}, not of {consumer}.")
    extended = join_candidate(snapshot, rows)
    telling = telling_column(extended, rows.columns, rows.texts)
    if telling is None:
        raise TerminalError(
            f"{rows.name} is unknown or the same in every row of train of {snapshot.id}: there is nothing to "
            "measure here. Take a warehouse that knows it, by MART_DWH."
        )
    name = metric or ("r2" if snapshot.label_kind == "regression" else "auc")
    scores = {}
    for done, (side, each) in enumerate((("without", snapshot), ("with", extended))):
        if progress is not None:
            progress(done, 2, f"{side} {rows.name}")
        scores[side] = _score(each, name, seeds)
    at = [extended.columns.index(column) for column in rows.columns]
    known = ~np.isnan(extended.splits["train"].features[:, at]).all(axis=1)
    manifest = snapshot.manifest
    return {
        "schema": 1,
        "candidate": rows.name,
        "consumer": snapshot.consumer,
        "warehouse_id": manifest["warehouse_id"],
        "snapshot": snapshot.id,
        "as_of_at": manifest["as_of_at"],
        "label": snapshot.label,
        "metric": name,
        "seeds": seeds,
        "columns": list(rows.columns),
        "rows": {split: snapshot.splits[split].rows for split in SPLITS},
        "known_ratio": round(float(known.mean()), 6),
        "with": scores["with"],
        "without": scores["without"],
        "telling": telling,
    }


def join_candidate(snapshot: Snapshot, rows: CandidateRows) -> Snapshot:
    """Train and validation of a snapshot with a candidate's columns after its own. Raises: as `measure_candidate`."""
    taken = [column for column in rows.columns if column in snapshot.columns]
    if taken:
        raise UsageError(
            f"{snapshot.consumer} has a feature {taken[0]} already: give {rows.name}'s column another name."
        )
    columns = (*snapshot.columns, *rows.columns)
    splits = {}
    for name in SPLITS:
        split = snapshot.splits[name]
        if not split.rows:
            raise TerminalError(f"{snapshot.id} has no rows in {name}: nothing can be measured.")
        jobs = [str(job) for job in split.keys[KEY]]
        missing = [job for job in jobs if job not in rows.places]
        if missing:
            raise UsageError(
                f"{FOLDER}/{rows.name}.sql gives no row for {len(missing):,} of {len(jobs):,} jobs in {name} of "
                f"{snapshot.id}, {missing[0]} the first: a candidate is one row a {KEY}, known or not. Or the "
                "snapshot is of another mart: export again."
            )
        own = rows.values[[rows.places[job] for job in jobs]]
        features = np.ascontiguousarray(np.column_stack([split.features, own]))
        splits[name] = Split(columns, features, split.label, split.keys)
    categorical = snapshot.categorical | set(rows.texts)
    return replace(snapshot, columns=columns, categorical=categorical, splits=splits)


def _score(snapshot: Snapshot, metric: str, seeds: int) -> dict[str, float]:
    found = score_seeds(snapshot, range(seeds), split="validation")
    mean, spread = found.mean.get(metric), found.spread.get(metric)
    if mean is None or spread is None:
        raise TerminalError(f"{metric} has no value on validation of {snapshot.id}.")
    return {"mean": round(mean, 6), "spread": round(spread, 6)}


def write_candidate(
    project: Path, warehouse: str, document: Mapping[str, Any]
) -> tuple[Path, Path]:
    """Write ``docs/evidence/rejected/<name>.<warehouse>.json`` and ``docs/assets/rejected/<name>.svg``, each whole.

    Nothing is written of a document that does not fit its schema.
    """
    from feature_mart.knowledge.candidate_plot import draw_candidate

    name, docs = document["candidate"], project / "docs"
    evidence = docs / "evidence" / "rejected" / f"{name}.{warehouse}.json"
    plot = docs / "assets" / "rejected" / f"{name}.svg"
    write_document(evidence, document, "candidate")
    write_whole(plot, draw_candidate(document))
    return evidence, plot
