"""Compare the rows of one consumer in two builds: presence in the mart, labels, exclusions and splits."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import duckdb

from feature_mart.audit.compare import LABEL_KNOWN_AT, SPINE
from feature_mart.core.duckdb_files import attach, connect
from feature_mart.core.manifest import Consumer
from feature_mart.exporter import Assignment

#: Labels with at most this many distinct values are counted by value, others by decile.
_CLASSES = 10
#: The thresholds of the dbt check even_exclusions (tests/generic/even_exclusions.sql) for a significant difference of
#: two shares: the minimum evidence, and the minimum difference.
_EVIDENCE, _DIFFERENCE = 12.0, 0.05


@dataclass(frozen=True, slots=True)
class Side:
    """One of two builds for a consumer: the DuckDB file, and the splits of the consumer's training mart."""

    database: Path
    consumer: Consumer
    splits: Assignment


@dataclass(frozen=True, slots=True)
class LabelGroup:
    """A group of rows with labels from `least` to `greatest`; both are None for the group of rows without a label."""

    least: float | None
    greatest: float | None
    rows: int


@dataclass(frozen=True, slots=True)
class Move:
    """Rows that changed in one way, described by `what` and `detail`.

    Attributes:
        by_group: the number of moved rows in each label group, in the order of the groups.
        is_selected: for each group, True if the group's share of the moved rows is significantly larger than the
            group's share of the other rows.
    """

    what: str
    detail: str
    rows: int
    by_group: tuple[int, ...]
    is_selected: tuple[bool, ...]


@dataclass(frozen=True, slots=True)
class ConsumerMoves:
    """The effect of a change on a consumer: the rows of the training mart before and after, and the rows that moved."""

    consumer: str
    label: str
    rows_before: int
    rows_after: int
    groups: tuple[LabelGroup, ...]
    moves: tuple[Move, ...]


def compare_rows(before: Side, after: Side) -> ConsumerMoves:
    """Count a consumer's rows that moved between two builds, by kind of move and label group.

    The label group of a row is determined by the label in the earlier build, or in the later build if the row has no
    label in the earlier one. A job with more rows in the training mart than before counts as one added row, and a job
    with fewer rows as one removed row.
    """
    with connect() as con:
        for name, side in (("before", before), ("after", after)):
            attach(con, side.database, f"mart_{name}")
            con.execute(f"create temp table {name} as {_side_select(f'mart_{name}', side)}")
        con.execute(f"create temp table paired as {_PAIRED}")
        groups = {number: LabelGroup(*row) for number, *row in con.execute(_GROUPS).fetchall()}
        row = con.execute(
            "select sum(before.training_rows), sum(after.training_rows) from paired"
        ).fetchone()
        assert row is not None
        moves = [move for what, kind in _KINDS.items() for move in _moves(con, what, kind, groups)]
    return ConsumerMoves(
        after.consumer.name,
        after.consumer.label,
        int(row[0] or 0),
        int(row[1] or 0),
        tuple(groups.values()),
        tuple(moves),
    )


#: The ways in which a row can move. Each name is mapped to a condition on the rows of `paired` and to SQL for the
#: detail by which the moved rows are grouped.
_KINDS: Mapping[str, tuple[str, str]] = {
    "spine row removed": ("before.is_in_spine and after.is_in_spine is null", "''"),
    "spine row added": ("before.is_in_spine is null and after.is_in_spine", "''"),
    "features row removed": ("before.is_in_features and after.is_in_features is null", "''"),
    "features row added": ("before.is_in_features is null and after.is_in_features", "''"),
    "training row removed": (
        "coalesce(after.training_rows, 0) < coalesce(before.training_rows, 0)",
        "''",
    ),
    "training row added": (
        "coalesce(after.training_rows, 0) > coalesce(before.training_rows, 0)",
        "''",
    ),
    "request time changed": (
        "is_in_both and before.requested_at is distinct from after.requested_at",
        "case when after.requested_at < before.requested_at then 'earlier' "
        "when after.requested_at > before.requested_at then 'later' else 'NULL' end",
    ),
    "newly excluded": ("is_in_both and before.reason is null and after.reason is not null", "after.reason"),
    "no longer excluded": ("is_in_both and before.reason is not null and after.reason is null", "before.reason"),
    "excluded for another reason": (
        "is_in_both and before.reason <> after.reason",
        "before.reason || ' → ' || after.reason",
    ),
    "label changed": (
        "is_in_both and before.reason is null and after.reason is null and before.label is distinct from after.label",
        "''",
    ),
    "label_known_at changed": (
        "is_in_both and before.known_at is distinct from after.known_at",
        "case when after.known_at < before.known_at then 'earlier' when after.known_at > before.known_at then 'later' "
        "when after.known_at is null then 'no longer known' else 'known now' end",
    ),
    "split changed": ("before.split <> after.split", "before.split || ' → ' || after.split"),
}  # fmt: skip


def _side_select(catalog: str, side: Side) -> str:
    """Return a SELECT with one row per job: which tables contain the job, and the job's label, exclusion and split."""
    consumer = side.consumer
    return f"""
        with spine as (select job_id, true as is_in_spine from {catalog}.main.{SPINE} group by job_id),
        features as (
            select job_id, true as is_in_features from {catalog}.main."{consumer.features_model}" group by job_id
        ),
        training as (
            select
                job_id,
                count(*) as training_rows,
                min(requested_at) as requested_at,
                min({LABEL_KNOWN_AT}) as known_at,
                min(cast("{consumer.label}" as double)) as label,
                min(exclusion_reason) as reason,
                min({side.splits.expression}) as split
            from {catalog}.main."{consumer.training_model}"
            group by job_id
        )
        select * from spine full join features using (job_id) full join training using (job_id)
    """


_PAIRED = f"""
    with joined as (
        select
            before,
            after,
            coalesce(before.job_id, after.job_id) as job_id,
            before.training_rows is not null and after.training_rows is not null as is_in_both,
            coalesce(before.label, after.label) as value
        from before full join after on before.job_id = after.job_id
    ),
    counted as (select count(distinct value) as value_count from joined)
    select
        joined.*,
        case
            when value is null then null
            when value_count <= {_CLASSES} then dense_rank() over (partition by value is null order by value)
            else ntile({_CLASSES}) over (partition by value is null order by value, job_id)
        end as label_group
    from joined cross join counted
"""
_GROUPS = (
    "select label_group, min(value), max(value), count(*) from paired group by label_group "
    "order by label_group nulls last"
)


def _moves(
    con: duckdb.DuckDBPyConnection,
    what: str,
    kind: tuple[str, str],
    groups: Mapping[int | None, LabelGroup],
) -> list[Move]:
    condition, detail = kind
    counted: dict[str, dict[int | None, int]] = {}
    for text, group, rows in con.execute(
        f"select {detail} as detail, label_group, count(*) from paired where coalesce({condition}, false) "
        "group by all order by all"
    ).fetchall():
        counted.setdefault(text, {})[group] = rows
    return [_move(what, text, by_group, groups) for text, by_group in counted.items()]


def _move(
    what: str,
    detail: str,
    counted: Mapping[int | None, int],
    groups: Mapping[int | None, LabelGroup],
) -> Move:
    moved, every = sum(counted.values()), sum(group.rows for group in groups.values())
    by_group = tuple(counted.get(number, 0) for number in groups)
    is_selected = tuple(
        _is_larger(rows, moved, group.rows - rows, every - moved)
        for rows, group in zip(by_group, groups.values(), strict=True)
    )
    return Move(what, detail, moved, by_group, is_selected)


def _is_larger(hits: int, of_rows: int, other_hits: int, other_rows: int) -> bool:
    """Return True if ``hits / of_rows`` is significantly larger than ``other_hits / other_rows``.

    The evidence and both thresholds are those of the dbt check even_exclusions.
    """
    if not of_rows or not other_rows:
        return False
    if hits / of_rows - other_hits / other_rows < _DIFFERENCE:
        return False
    all_hits, all_rows = hits + other_hits, of_rows + other_rows
    evidence = (
        sum(map(_x_ln_x, (hits, of_rows - hits, other_hits, other_rows - other_hits, all_rows)))
        - sum(map(_x_ln_x, (of_rows, other_rows, all_hits, all_rows - all_hits)))
    )  # fmt: skip
    return evidence >= _EVIDENCE


def _x_ln_x(count: int) -> float:
    return count * math.log(count) if count else 0.0
