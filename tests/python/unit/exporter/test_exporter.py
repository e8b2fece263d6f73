"""Test the files that an export writes, and the marts that an export refuses."""

import hashlib
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq
import pytest

import row_hash_oracle
import snapshot_case as case
from feature_mart.core.duckdb_files import attach, parquet
from feature_mart.core.errors import FeatureMartError, TerminalError
from feature_mart.exporter import (
    Show,
    SnapshotReport,
    export_rows,
    export_snapshot,
    list_snapshots,
    verify_snapshot,
)
from feature_mart.exporter.layout import plan_layout
from feature_mart.exporter.source import DuckDBSource
from feature_mart.storage import FolderStore

SPLITS = ("train", "validation", "test")


def export(
    mart: Path, root: Path, exposure: dict[str, Any] | None = None, **options: Any
) -> SnapshotReport:
    manifest = case.manifest(**(exposure or {}))
    context = case.context(**options.pop("context", {}))
    return export_snapshot(
        mart, manifest, manifest.consumers[0], FolderStore(root), context=context, **options
    )


@pytest.fixture(scope="module")
def mart(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return case.build_mart(tmp_path_factory.mktemp("mart"))


def test_export_writes_the_layout_of_the_design(mart: Path, tmp_path: Path) -> None:
    report = export(mart, tmp_path)
    folder = Path(report.address)
    assert folder == tmp_path / "price_estimation" / "snapshots" / report.id
    files = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert files == {
        *(f"{kind}/{split}/part-00000.parquet" for kind in ("data", "keys") for split in SPLITS),
        *(f"_meta/{split}.manifest" for split in SPLITS),
        *("_meta/schema.json", "_meta/manifest.json", "_meta/_SUCCESS"),
    }
    manifest = (folder / "_meta/manifest.json").read_bytes()
    assert (folder / "_meta/_SUCCESS").read_text().strip() == hashlib.sha256(manifest).hexdigest()
    latest = json.loads((tmp_path / "price_estimation/latest.json").read_text())
    assert (latest["id"], latest["held"], latest["warehouse_id"]) == (report.id, False, "sample")
    assert (report.status, report.latest) == ("written", "moved")
    assert verify_snapshot(report.address).ok


def test_export_puts_the_label_first_and_only_float32(mart: Path, tmp_path: Path) -> None:
    folder = Path(export(mart, tmp_path).address)
    for split in SPLITS:
        data = pq.read_table(folder / "data" / split, partitioning=None)
        assert data.column_names == ["price_log", *case.FEATURES]
        assert {str(kind) for kind in data.schema.types} == {"float"}
        keys = pq.read_table(folder / "keys" / split, partitioning=None)
        assert keys.column_names == ["job_id", "requested_at", "label_known_at"]
        assert str(keys.schema.field("requested_at").type) == "timestamp[us, tz=UTC]"
        assert keys.num_rows == data.num_rows > 0
        pairs = list(zip(keys["requested_at"].to_pylist(), keys["job_id"].to_pylist(), strict=True))
        assert pairs == sorted(pairs)


def test_export_adds_up_to_the_rows_of_the_mart(mart: Path, tmp_path: Path) -> None:
    report = export(mart, tmp_path)
    assert report.mart_rows == 400
    assert report.excluded == {"void": 40}
    assert sum(split.rows + split.purged for split in report.splits) == 360
    assert [split.purged for split in report.splits] == [4, 4, 0]


def test_export_values_are_the_marts_values(mart: Path, tmp_path: Path) -> None:
    report = export(mart, tmp_path, {"part_rows": 50})
    with duckdb.connect() as con:
        attach(con, mart, "mart")
        con.execute("set TimeZone = 'UTC'")
        names = ", ".join(["price_log", *case.FEATURES])
        floats = ", ".join(f"{name}::float as {name}" for name in ["price_log", *case.FEATURES])
        con.execute(
            "create temp table given as select job_id, requested_at, label_known_at, "
            + floats
            + f" from mart.main.{case.MODEL} where exclusion_reason is null"
        )
        con.execute(
            f"create temp table got as select job_id, requested_at, label_known_at, {names} from "
            "given limit 0"
        )
        for part in sorted(Path(report.address).glob("data/*/*")):
            keys = Path(str(part).replace("/data/", "/keys/"))
            con.execute(
                f"insert into got by name select * from {parquet(part)} positional join "
                f"{parquet(keys)}"
            )
        assert con.execute("select count(*) from (from got except all from given)").fetchall() == [
            (0,)
        ]
        assert con.execute("select count(*) from got").fetchall() == [(352,)]


def test_export_parts_are_balanced_and_listed_for_sagemaker(mart: Path, tmp_path: Path) -> None:
    report = export(mart, tmp_path, {"part_rows": 100}, min_parts=2)
    folder = Path(report.address)
    parts = json.loads((folder / "_meta/manifest.json").read_text())["parts"]
    rows = {part["path"]: part["rows"] for part in parts if part["path"].startswith("data/")}
    assert [rows[f"data/train/part-{index:05d}.parquet"] for index in range(3)] == [82, 82, 83]
    assert sorted(count for path, count in rows.items() if "/test/" in path) == [36, 37]
    listed = json.loads((folder / "_meta/train.manifest").read_text())
    assert listed[0] == {"prefix": f"{folder}/data/train/"}
    assert listed[1:] == [f"part-{index:05d}.parquet" for index in range(3)]
    assert verify_snapshot(folder).ok


def test_export_gives_the_same_bytes_from_another_row_order_and_thread_count(
    tmp_path: Path,
) -> None:
    shuffled = f"create or replace table {case.MODEL} as from {case.MODEL} order by hash(job_id, 5)"
    first = case.build_mart(tmp_path / "a", rows=300_000)
    second = case.build_mart(tmp_path / "b", rows=300_000, change=shuffled)
    layout = plan_layout(case.consumer(), case.manifest().columns(case.MODEL))
    consumer = case.consumer(test_share=0, validation_share=0)
    digests = set()
    for path, threads in ((first, 1), (second, 4)):
        source, store = DuckDBSource(path, threads=threads), FolderStore(path.parent / "s")
        (scratch := path.parent / "scratch").mkdir()
        show = Show(lambda _step: None, lambda _rows, _bytes: None)
        report = export_rows(source, layout, consumer, store, scratch, case.context(), show)
        source.close()
        assert report.splits[0].rows == 270_000
        files = sorted(Path(report.address).glob("*/*/*"))
        assert len(files) == 8
        digests.add(tuple(hashlib.sha256(file.read_bytes()).hexdigest() for file in files))
    assert len(digests) == 1


def test_content_hash_is_the_documented_one_worked_out_in_python(
    mart: Path, tmp_path: Path
) -> None:
    report = export(mart, tmp_path, {"part_rows": 100})
    folder = Path(report.address)
    manifest = json.loads((folder / "_meta/manifest.json").read_text())
    for split in manifest["splits"]:
        data = pq.read_table(folder / "data" / split["name"], partitioning=None).to_pylist()
        keys = pq.read_table(folder / "keys" / split["name"], partitioning=None).to_pylist()
        pairs = zip(data, keys, strict=True)
        hashes = [row_hash_oracle.row_hash(*key.values(), row.values()) for row, key in pairs]
        assert split["rows"] == len(hashes) > 0
        assert split["content_hash"] == row_hash_oracle.content_hash(hashes)


def test_content_hash_does_not_depend_on_parts_and_sees_one_changed_value(tmp_path: Path) -> None:
    plain = export(case.build_mart(tmp_path / "a"), tmp_path / "1")
    assert export(case.build_mart(tmp_path / "a"), tmp_path / "2", {"part_rows": 7}).id == plain.id
    change = f"update {case.MODEL} set job_skill_count = job_skill_count + 1 where job_id = 'job-0000003'"
    assert export(case.build_mart(tmp_path / "b", change=change), tmp_path / "3").id != plain.id
    swap = (
        f"update {case.MODEL} set job_skill_count = category_code, category_code = job_skill_count"
    )
    assert export(case.build_mart(tmp_path / "c", change=swap), tmp_path / "4").id != plain.id


def test_negative_zero_is_zero(tmp_path: Path) -> None:
    zero, negative = (
        export(
            case.build_mart(
                tmp_path / name, change=f"update {case.MODEL} set job_budget_log = {value}"
            ),
            tmp_path / f"to-{name}",
        )
        for name, value in (("a", "0.0"), ("b", "'-0.0'::double"))
    )
    assert zero.id == negative.id
    parts = [
        Path(each.address, "data/train/part-00000.parquet").read_bytes()
        for each in (zero, negative)
    ]
    assert parts[0] == parts[1]


def test_export_of_the_same_content_writes_nothing_and_says_so(mart: Path, tmp_path: Path) -> None:
    first = export(mart, tmp_path)
    before = {path: path.stat().st_mtime_ns for path in Path(first.address).rglob("*")}
    again = export(mart, tmp_path, context={"created_at": datetime(2027, 1, 1, tzinfo=UTC)})
    assert (again.status, again.latest, again.id) == ("unchanged", "already", first.id)
    assert {path: path.stat().st_mtime_ns for path in Path(first.address).rglob("*")} == before


def test_export_dry_run_tells_all_and_makes_no_folder(mart: Path, tmp_path: Path) -> None:
    root = tmp_path / "new"
    planned = export(mart, root, dry_run=True)
    assert planned.status == "planned"
    assert not root.exists()
    assert export(mart, root).id == planned.id
    assert export(mart, root, dry_run=True).status == "unchanged"


def test_export_of_more_parts_of_the_same_content_is_refused(mart: Path, tmp_path: Path) -> None:
    export(mart, tmp_path)
    with pytest.raises(TerminalError, match="1 parts of train, and --min-parts is 3"):
        export(mart, tmp_path, min_parts=3)


def test_export_of_an_empty_split_has_one_part_without_rows(mart: Path, tmp_path: Path) -> None:
    report = export(mart, tmp_path, {"test_share": 0})
    test = Path(report.address, "data/test")
    assert [path.name for path in test.iterdir()] == ["part-00000.parquet"]
    table = pq.read_table(test, partitioning=None)
    assert table.num_rows == 0
    assert table.column_names == ["price_log", *case.FEATURES]
    assert verify_snapshot(report.address).ok


def test_export_of_one_class_still_exports(tmp_path: Path) -> None:
    mart = case.build_mart(
        tmp_path / "m", change=f"update {case.MODEL} set price_log = 1 where price_log > 0"
    )
    report = export(mart, tmp_path / "s", {"label_kind": "binary"})
    assert verify_snapshot(report.address).ok


TABLE = case.MODEL
REFUSED = {
    "nan": (
        f"update {TABLE} set job_budget_log = 'nan' where job_id = 'job-0000003'",
        "job_budget_log is nan for job_id job-0000003",
    ),
    "infinite": (
        f"update {TABLE} set job_budget_log = '-inf' where job_id = 'job-0000003'",
        "job_budget_log is -inf for job_id",
    ),
    "too large": (
        f"update {TABLE} set price_log = 1e39 where job_id = 'job-0000003'",
        "price_log is 1e\\+?39 for job_id",
    ),
    "no label": (
        f"update {TABLE} set price_log = null where job_id = 'job-0000003'",
        "price_log is NULL in 1 rows",
    ),
    "no label time": (
        f"update {TABLE} set label_known_at = null where job_id = 'job-0000003'",
        "label_known_at is NULL in 1 rows",
    ),
    "no request time": (
        f"update {TABLE} set requested_at = null where job_id = 'job-0000003'",
        "no requested_at",
    ),
    "a key twice": (
        f"insert into {TABLE} from {TABLE} where job_id = 'job-0000003'",
        "job-0000003 at .* more than once",
    ),
    "nothing labelled": (
        f"update {TABLE} set exclusion_reason = 'label_not_yet_known'",
        "no labelled row .*label_not_yet_known 400",
    ),
    "no rows": (f"delete from {TABLE}", "no labelled row .*no rows at all"),
    "no table": (f"drop table {TABLE}", "no table mart_price_estimation__training"),
    "a column gone": (
        f"alter table {TABLE} drop job_budget_log",
        "job_budget_log is missing in the table and DOUBLE",
    ),
    "a column more": (
        f"alter table {TABLE} add surprise double",
        "surprise is DOUBLE in the table and missing",
    ),
    "another type": (
        f"alter table {TABLE} alter job_budget_log type float",
        "job_budget_log is FLOAT in the table and DOUBLE",
    ),
    "another order": (
        f"create or replace table {TABLE} as select job_id, requested_at, entered_at, "
        "job_skill_count, "
        f"job_budget_log, category_code, label_known_at, price_log, exclusion_reason from {TABLE}",
        "have another order",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_export_refuses_a_mart_with_one_message_and_writes_nothing(
    name: str, tmp_path: Path
) -> None:
    change, message = REFUSED[name]
    mart = case.build_mart(tmp_path / "m", change=change)
    with pytest.raises(TerminalError, match=message) as caught:
        export(mart, tmp_path / "s")
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 1
    assert not list((tmp_path / "s").glob("[!.]*"))


def test_export_ignores_what_cannot_be_exported_in_rows_that_are_not(tmp_path: Path) -> None:
    change = f"update {TABLE} set job_budget_log = 'nan' where exclusion_reason is not null"
    assert (
        export(case.build_mart(tmp_path / "m", change=change), tmp_path / "s").status == "written"
    )


def test_export_refuses_a_text_feature(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(case.COLUMNS, "category_code", {"data_type": "varchar"})
    with pytest.raises(
        TerminalError, match="category_code is VARCHAR; the columns of a snapshot must be numbers"
    ):
        export(case.build_mart(tmp_path / "m"), tmp_path / "s")


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        (
            "entered_at",
            {"data_type": "timestamptz", "role": "label"},
            "entered_at: its role is label",
        ),
        ("price_log", {"data_type": "double"}, "price_log: its role is feature"),
        (
            "requested_at",
            {"data_type": "timestamptz"},
            "requested_at has no role and would become a feature",
        ),
        ("category_code", {"data_type": None}, "category_code has no data_type"),
        ("category_code", {"data_type": "wonder"}, "no type 'wonder'"),
    ],
)
def test_export_refuses_a_contract(
    column: str,
    value: dict[str, Any],
    message: str,
    mart: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(case.COLUMNS, column, value)
    with pytest.raises(TerminalError, match=message):
        export(mart, tmp_path / "s")


def test_export_after_failed_tests_needs_to_be_allowed_and_says_so(
    mart: Path, tmp_path: Path
) -> None:
    with pytest.raises(TerminalError, match="2 tests failed in the last build"):
        export(mart, tmp_path, context={"tests_failed": 2})
    report = export(mart, tmp_path, context={"tests_failed": 2, "allow_failed": True})
    manifest = json.loads(Path(report.address, "_meta/manifest.json").read_text())
    assert manifest["allow_failed"] is True
    assert manifest["tests"]["failed"] == 2


def test_export_says_what_to_do_without_a_mart_or_a_place(mart: Path, tmp_path: Path) -> None:
    with pytest.raises(TerminalError, match="run `mart build` first"):
        export(tmp_path / "mart.duckdb", tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(TerminalError, match="Nothing was committed"):
        export(mart, tmp_path / "file")
    (tmp_path / "mart.duckdb").write_bytes(b"no database")
    with pytest.raises(FeatureMartError, match="cannot be read"):
        export(tmp_path / "mart.duckdb", tmp_path)


def test_export_validates_the_manifest_before_writing(mart: Path, tmp_path: Path) -> None:
    with pytest.raises(TerminalError, match="dbt_manifest_sha256"):
        export(mart, tmp_path, context={"dbt_manifest_sha256": "?"})
    assert not list(tmp_path.glob("[!.]*"))


def test_list_shows_every_snapshot_and_which_is_latest(mart: Path, tmp_path: Path) -> None:
    assert list_snapshots(FolderStore(tmp_path / "nowhere")) == ()
    first = export(mart, tmp_path)
    second = export(mart, tmp_path, context={"as_of_at": case.AS_OF + timedelta(days=1)})
    lines = list_snapshots(FolderStore(tmp_path))
    assert [line.id for line in lines] == [first.id, second.id]
    assert [line.is_latest for line in lines] == [False, True]
    assert lines[0].rows == {split.name: split.rows for split in first.splits}
    assert list_snapshots(FolderStore(tmp_path), "another") == ()
    Path(second.address, "_meta/_SUCCESS").unlink()
    assert "not committed" in str(list_snapshots(FolderStore(tmp_path))[1].problem)
