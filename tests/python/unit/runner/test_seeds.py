"""Test the time from which a seed row is known, and which seed rows a truncated build gets."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from feature_mart.audit.cutoffs import Cutoff
from feature_mart.audit.raw_rows import RawWarehouse
from feature_mart.audit.truncation import compare_cutoffs
from feature_mart.core.duckdb_files import connect
from feature_mart.core.errors import UsageError
from feature_mart.core.manifest import parse_manifest
from feature_mart.core.settings import Clock
from feature_mart.runner.compiled import CompiledModel, CompiledProject, build_compiled
from feature_mart.runner.seeds import read_seeds, seed_readers, unexplained_line
from toy_project import job, write_warehouse

TOKYO = "Asia/Tokyo"
#: Midnight of 2024-03-02 in Tokyo, and the microsecond before.
MIDNIGHT = datetime(2024, 3, 1, 15, tzinfo=UTC)
BEFORE = datetime(2024, 3, 1, 14, 59, 59, 999999, tzinfo=UTC)


def seed(name: str = "levels", **others: Any) -> dict[str, Any]:
    return {
        "resource_type": "seed",
        "name": name,
        "original_file_path": f"seeds/{name}.csv",
        "config": {},
        **others,
    }


def manifest(*nodes: dict[str, Any]) -> dict[str, Any]:
    return {"nodes": {f"{each['resource_type']}.toy.{each['name']}": each for each in nodes}}


def loaded(folder: Path, sql: str, table: str = "levels") -> Path:
    database = folder / "seeds.duckdb"
    with connect(database) as con:
        con.execute(f"create table main.{table} as {sql}")
    return database


def kept(folder: Path, node: dict[str, Any], sql: str, known_by: datetime | None) -> list[str]:
    """Return the keys of the seed rows in a build truncated at ``known_by``. None means a build over all rows."""
    table = node.get("alias") or node["name"]
    database, document = loaded(folder, sql, table), manifest(node)
    seeds = read_seeds(document, database, TOKYO)
    copies = CompiledModel("copies", f"select * from main.{table}", False, False, frozenset())
    parsed = parse_manifest({"nodes": {}})
    project = CompiledProject((copies,), database, "2024", parsed, folder, seeds)
    build_compiled(project, folder / "built.duckdb", {}, MIDNIGHT, known_by=known_by)
    with connect(folder / "built.duckdb", read_only=True) as con:
        return [str(row[0]) for row in con.execute("select k from copies order by k").fetchall()]


@pytest.mark.parametrize(
    "known_from",
    ["2024-03-02", "2024-03-02T00:00:00+09:00", "2024-03-01 15:00:00+00", "2024-03-01T15:00:00Z"],
)
def test_a_build_before_a_seed_was_known_gets_it_empty(tmp_path: Path, known_from: str) -> None:
    node, sql = seed(config={"meta": {"known_from": known_from}}), "select 'a' as k"
    for known_by, rows in ((BEFORE, []), (MIDNIGHT, ["a"]), (None, ["a"])):
        folder = tmp_path / str(known_by)
        folder.mkdir()
        assert kept(folder, node, sql, known_by) == rows, known_by


@pytest.mark.parametrize(
    "values",
    [
        "date '2024-03-02', date '2024-03-03', null",
        "'2024-03-02', '2024-03-03', ''",
        "'2024-03-02T00:00:00+09:00', '2024-03-01 15:00:00.000001Z', null",
        "timestamptz '2024-03-01 15:00:00+00', timestamptz '2024-03-01 15:00:00.000001+00', null",
    ],
)
def test_rows_that_came_later_are_left_out_and_those_that_do_not_say_are_kept(
    tmp_path: Path, values: str
) -> None:
    sql = f"select unnest(['a', 'b', 'c']) as k, unnest([{values}]) as Known_From"
    assert kept(tmp_path, seed(), sql, MIDNIGHT) == ["a", "c"]


def test_a_row_s_own_time_stands_before_the_seed_s(tmp_path: Path) -> None:
    sql = "select unnest(['a', 'b']) as k, unnest([date '2024-03-01', null]) as known_from"
    node = seed(config={"meta": {"known_from": "2024-03-03"}}, alias="other")
    assert kept(tmp_path, node, sql, MIDNIGHT) == ["a"]


@pytest.mark.parametrize("known_from", ["", "soon", "2024-13-01", "2024-03-02T00:00:00", 2024])
def test_a_time_without_one_reading_is_refused(tmp_path: Path, known_from: object) -> None:
    document = manifest(seed(config={"meta": {"known_from": known_from}}))
    with pytest.raises(UsageError, match=r"seed levels: config.meta.known_from is"):
        read_seeds(document, loaded(tmp_path, "select 1 as k"), TOKYO)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("'2024-03-02 00:00:00'", "known_from of a row is '2024-03-02 00:00:00'; write a date"),
        ("'2024-02-30'", "known_from of a row is '2024-02-30'; write a date"),
        ("timestamp '2024-03-02 00:00:00'", "drops the UTC offset; .* {known_from: timestamptz}"),
        ("20240302", "has the type integer"),
    ],
)
def test_a_row_s_time_without_one_reading_is_refused(tmp_path: Path, value: str, said: str) -> None:
    database = loaded(tmp_path, f"select 1 as k, {value} as known_from")
    with pytest.raises(UsageError, match=said):
        read_seeds(manifest(seed()), database, TOKYO)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("k,note\na,why\nb,because\n", None),
        ("k,Reason\na,why\nb,\n", 3),
        ("k,note\na,  \n", 2),
        ("k,known_from,note\na,2024-01-01,\nb,,why\n", None),
        ("k,known_from\na,2024-01-01\nb,\n", 3),
        ("k,v\na,1\n", 2),
        ("k;note\na;why\n", 2),
        ("\ufeffnote,k\nwhy,a\n", None),
        ("k,note\n", None),
    ],
)
def test_a_line_without_a_time_or_a_note_is_found(
    tmp_path: Path, text: str, line: int | None
) -> None:
    path = tmp_path / "seeds" / "levels.csv"
    path.parent.mkdir()
    path.write_text(text, encoding="utf-8")
    assert unexplained_line(tmp_path, seed()) == line
    if ";" in text:
        assert unexplained_line(tmp_path, seed(config={"delimiter": ";"})) is None


def test_seeds_are_read_by_models_and_snapshots_and_not_by_tests() -> None:
    def node(name: str, kind: str, parent: str) -> dict[str, Any]:
        return {"resource_type": kind, "name": name, "depends_on": {"nodes": [parent]}}

    document = manifest(
        *(seed("a"), seed("b"), seed("c")),
        node("m", "model", "seed.toy.a"),
        node("s", "snapshot", "seed.toy.b"),
        node("t", "test", "seed.toy.c"),
    )
    assert seed_readers(document) == {"a": "m", "b": "s"}


SPINE = """
select job_id, client_id, posted_at as requested_at, min(loaded_at) as known_at
from dwh.jobs where loaded_at <= timestamptz 'AS_OF' group by all
"""
LEVELS = "select r.job_id, l.level from int_job__requests as r left join levels as l on r.client_id = l.k"


@pytest.mark.parametrize(
    ("known_from", "columns"),
    [("2024-03-20", {"level"}), ("2024-02-20", set()), (None, set())],
)
def test_an_audit_names_the_column_that_rests_on_a_seed_before_it_was_known(
    tmp_path: Path, known_from: str | None, columns: set[str]
) -> None:
    node = seed(config={"meta": {} if known_from is None else {"known_from": known_from}})
    database = loaded(tmp_path, "select 'c0' as k, 7 as level")
    seeds = read_seeds(manifest(node), database, TOKYO)
    key = {"job_id": {"config": {"meta": {"role": "key"}}}, "level": {}}
    feature = {"resource_type": "model", "name": "feat_job__levels", "columns": key}
    models = tuple(
        CompiledModel(name, code, False, False, frozenset())
        for name, code in (("int_job__requests", SPINE), ("feat_job__levels", LEVELS))
    )
    parsed = parse_manifest(manifest(feature))
    project = CompiledProject(models, database, "AS_OF", parsed, tmp_path, seeds)
    jobs = [
        job(day, f"2024-03-{day:02d} 12:00:00+00", posted_at=f"2024-03-{day:02d} 00:00:00+00")
        | {"client_id": "c0"}
        for day in range(1, 30)
    ]
    raw = RawWarehouse(write_warehouse(tmp_path / "dwh", jobs), {}, ())
    cutoff = Cutoff(datetime(2024, 3, 10, tzinfo=UTC), "any")
    as_of_at = datetime(2024, 3, 31, 18, tzinfo=UTC)
    (tmp_path / "builds").mkdir()
    report = compare_cutoffs(
        project, raw, Clock(), as_of_at, [cutoff], tmp_path / "builds", is_small=True
    )
    assert report.columns == columns and report.cutoffs[0].rows > 5
