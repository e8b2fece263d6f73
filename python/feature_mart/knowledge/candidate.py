"""Measure what a candidate's columns add to a model, for `mart knowledge candidate`.

=====================================  ====================================================
``judge_candidate(settings, …)``       run the SQL, train both models, and write the document and its plot
``measure_candidate(address, …)``      train with and without a candidate's columns
``write_candidate(project, …)``        write the document and its plot
=====================================  ====================================================
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from feature_mart.core.errors import TerminalError, UsageError
from feature_mart.core.files import write_whole
from feature_mart.core.manifest import parse_manifest
from feature_mart.core.settings import Settings
from feature_mart.exporter import locate_snapshot, snapshot_on_disk
from feature_mart.knowledge.candidate_bins import telling_column
from feature_mart.knowledge.candidate_rows import (
    FOLDER,
    KEY,
    CandidateRows,
    compile_candidate,
    find_candidate,
    run_candidate,
)
from feature_mart.knowledge.evidence import check_origin
from feature_mart.knowledge.evidence_files import encoded, rejected_path, sql_sha256
from feature_mart.runner import Progress, read_dbt_manifest, require_built
from feature_mart.training import DEFAULT_PARAMS, Snapshot, Split, load_snapshot, score_seeds

#: The splits on which a candidate is measured. The test split must not influence the choice of features.
SPLITS = ("train", "validation")


def judge_candidate(
    settings: Settings,
    address: str,
    name: str,
    *,
    seeds: int,
    stage: Callable[[str], Progress],
) -> tuple[dict[str, Any], Path, Path]:
    """Run a candidate on the built mart, train a snapshot's model with and without the candidate, and write the result.

    Args:
        address: the address of the snapshot to train on.
        name: the name of the candidate.
        seeds: the number of random seeds.
        stage: called with the name of each stage; returns the progress callback of that stage.

    Returns:
        The document, the path of its file, and the path of the plot.

    Raises:
        UsageError: there is no such candidate or snapshot, there is no mart yet, or the mart is on BigQuery; or as
            `run_candidate` and `measure_candidate`.
        TerminalError: dbt cannot compile the SQL; or as `run_candidate` and `measure_candidate`.
        TransientError: another program has the mart open for writing.
    """
    path = find_candidate(settings.project, name)
    built = require_built(settings)
    consumer = locate_snapshot(address, settings.s3).documents()[0]["consumer"]
    metrics = parse_manifest(read_dbt_manifest(settings)).consumer(consumer).metrics
    with snapshot_on_disk(address, settings.s3) as folder:
        stage("compile")
        sql = compile_candidate(settings, path, built.as_of_at)
        stage("query")
        rows = run_candidate(settings.mart_path, name, sql, settings.history_path)
        document = measure_candidate(
            folder,
            consumer,
            settings.warehouse_id,
            rows,
            metric=metrics[0] if metrics else None,
            seeds=seeds,
            progress=stage("train"),
        )
    document["sql_sha256"] = sql_sha256(path.read_text(encoding="utf-8"))
    return document, *write_candidate(settings.project, document)


def measure_candidate(
    address: Path,
    consumer: str,
    warehouse_id: str,
    rows: CandidateRows,
    *,
    metric: str | None = None,
    seeds: int = 3,
    progress: Callable[[int, int, str], None] | None = None,
) -> dict[str, Any]:
    """Train a snapshot's model with and without a candidate's columns, and score both on validation.

    Each model is fitted on train with the default parameters, once per seed. The document has the mean and the spread
    of both scores over the seeds. When you read it, treat scores that differ by less than their spreads as equal. Text
    columns become categorical features, because the numbers that represent the texts have no meaningful order.

    Args:
        address: the snapshot's folder.
        rows: the candidate's columns, one row per job.
        metric: a name of `feature_mart.training.metrics`; None means r2 for a regression, auc for a binary label.
        seeds: the number of random seeds.
        progress: called before the training without the columns, and before the training with them, with the number of
            trainings done (0 or 1), the total of 2, and a name.

    Returns:
        A document of the schema candidate.json.

    Raises:
        UsageError: the snapshot belongs to another consumer or warehouse, one of its jobs has no row in the candidate,
            or the snapshot already has a column with the name of a candidate's column.
        TerminalError: every column of the candidate is NULL or constant in train, a split is empty, no model can be
            fitted, or the metric has no value on validation.
    """
    snapshot = load_snapshot(address)
    check_origin(snapshot, consumer, warehouse_id)
    extended = join_candidate(snapshot, rows)
    telling = telling_column(extended, rows.columns, rows.texts)
    if telling is None:
        raise TerminalError(
            f"{rows.name} is NULL or constant in train of {snapshot.id}, so it cannot be measured. Set MART_DWH to a "
            "warehouse that has the data."
        )
    name = metric or ("r2" if snapshot.label_kind == "regression" else "auc")
    scores: dict[str, dict[str, float]] = {}
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
        "params": dict(DEFAULT_PARAMS),
        "columns": list(rows.columns),
        "rows": {split: snapshot.splits[split].rows for split in SPLITS},
        "known_ratio": round(float(known.mean()), 6),
        "with": scores["with"],
        "without": scores["without"],
        "telling": telling,
    }


def join_candidate(snapshot: Snapshot, rows: CandidateRows) -> Snapshot:
    """Return a snapshot's train and validation splits with a candidate's columns appended to the features.

    Raises:
        UsageError: a job has no row in the candidate, or the snapshot already has a column with the name of a
            candidate's column.
        TerminalError: a split is empty.
    """
    taken = [column for column in rows.columns if column in {*snapshot.columns, snapshot.label}]
    if taken:
        raise UsageError(
            f"{snapshot.consumer} already has a column {taken[0]}: rename the column of {rows.name}."
        )
    columns = (*snapshot.columns, *rows.columns)
    splits = {}
    for name in SPLITS:
        split = snapshot.splits[name]
        if not split.rows:
            raise TerminalError(
                f"{snapshot.id} has no rows in {name}: use a snapshot with rows in every split."
            )
        jobs = [str(job) for job in split.keys[KEY]]
        missing = [job for job in jobs if job not in rows.places]
        if missing:
            raise UsageError(
                f"{FOLDER}/{rows.name}.sql returns no row for {len(missing):,} of {len(jobs):,} jobs in {name} of "
                f"{snapshot.id}, for example {missing[0]}. Return one row per {KEY}, even if its value is unknown; "
                "or export again, if the snapshot was made from another mart."
            )
        own = rows.values[[rows.places[job] for job in jobs]]
        features = np.ascontiguousarray(np.column_stack([split.features, own]))
        splits[name] = Split(columns, features, split.label, split.keys)
    categorical = snapshot.categorical | set(rows.texts)
    return replace(snapshot, columns=columns, categorical=categorical, splits=splits)


def _score(snapshot: Snapshot, metric: str, seeds: int) -> dict[str, float]:
    found = score_seeds(snapshot, range(seeds), split="validation", progress=False)
    mean, spread = found.mean.get(metric), found.spread.get(metric)
    if mean is None or spread is None:
        raise TerminalError(
            f"{metric} has no value on validation of {snapshot.id}: use a snapshot in whose validation split the "
            "label varies."
        )
    return {"mean": round(mean, 6), "spread": round(spread, 6)}


def write_candidate(project: Path, document: Mapping[str, Any]) -> tuple[Path, Path]:
    """Write the document to docs/evidence/rejected and its plot to docs/assets/rejected, each atomically.

    Both files are named ``<candidate>.<consumer>.<warehouse>``. No file is written if the document violates its schema.

    Returns:
        The paths of the document and the plot.

    Raises:
        TerminalError: the document violates its schema.
    """
    from feature_mart.knowledge.candidate_plot import draw_candidate

    name = f"{document['candidate']}.{document['consumer']}.{document['warehouse_id']}"
    evidence = rejected_path(
        project, document["candidate"], document["consumer"], document["warehouse_id"]
    )
    plot = project / "docs" / "assets" / "rejected" / f"{name}.svg"
    contents = encoded(document, "candidate"), draw_candidate(document)
    for path, content in zip((evidence, plot), contents, strict=True):
        write_whole(path, content)
    return evidence, plot
