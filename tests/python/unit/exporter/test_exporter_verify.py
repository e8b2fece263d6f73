"""Test `verify_snapshot` on an intact snapshot and on copies that were damaged in one way each."""

import hashlib
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest

import snapshot_case as case
from feature_mart.core.duckdb_files import copy_to, parquet
from feature_mart.core.errors import TerminalError, UsageError
from feature_mart.exporter import export_snapshot, verify_snapshot
from feature_mart.storage import FolderStore
from feature_mart.training import load_snapshot

Change = Callable[[Path], None]
TRAIN = "data/train/part-00001.parquet"
TRAIN_KEYS = "keys/train/part-00001.parquet"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("verify")
    manifest = case.manifest(part_rows=150)
    mart = case.build_mart(folder / "mart")
    consumer = manifest.consumers[0]
    report = export_snapshot(
        mart, manifest, consumer, FolderStore(folder / "s"), context=case.context()
    )
    return Path(report.address)


@pytest.fixture
def snapshot(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / made.name))


def edit(
    folder: Path, change: Callable[[dict[str, Any]], None], name: str = "_meta/manifest.json"
) -> None:
    """Change a JSON document of a snapshot, and rewrite _SUCCESS with the SHA-256 of manifest.json."""
    document = json.loads((folder / name).read_text())
    change(document)
    (folder / name).write_text(json.dumps(document))
    digest = hashlib.sha256((folder / "_meta/manifest.json").read_bytes()).hexdigest()
    (folder / "_meta/_SUCCESS").write_text(digest + "\n")


def rewrite(folder: Path, path: str, query: str) -> None:
    """Replace a part by the result of a query on table ``part``, and update the part's entry in the manifest."""
    file = folder / path
    with duckdb.connect() as con:
        con.execute("set TimeZone = 'UTC'")
        con.execute(f"create table part as from {parquet(file)}")
        rows = copy_to(con, query, file)

    def sign(document: dict[str, Any]) -> None:
        for part in document["parts"]:
            if part["path"] == path:
                digest = hashlib.sha256(file.read_bytes()).hexdigest()
                part.update(bytes=file.stat().st_size, sha256=digest, rows=rows)

    edit(folder, sign)


def split(document: dict[str, Any], name: str) -> dict[str, Any]:
    found: dict[str, Any] = next(each for each in document["splits"] if each["name"] == name)
    return found


def flip_byte(folder: Path) -> None:
    data = bytearray((folder / TRAIN).read_bytes())
    data[100] ^= 1
    (folder / TRAIN).write_bytes(data)


def move_bound(folder: Path) -> None:
    def change(document: dict[str, Any]) -> None:
        split(document, "train")["to"] = split(document, "validation")["from"] = (
            "2026-03-08T15:00:00Z"
        )

    edit(folder, change)


def foreign(name: str) -> Change:
    def change(folder: Path) -> None:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("")

    return change


def row_too_few(folder: Path) -> None:
    for path in (TRAIN, TRAIN_KEYS):
        rewrite(folder, path, "from part limit 100")


def hundred(column: str) -> str:
    return f"select * replace (100::float as {column}) from part"


RED: dict[str, tuple[Change, str, str]] = {
    "not committed": (lambda f: (f / "_meta/_SUCCESS").unlink(), "_meta", "not committed"),
    "manifest gone": (
        lambda f: (f / "_meta/manifest.json").unlink(),
        "_meta",
        "has no _meta/manifest.json: the snapshot is damaged",
    ),
    "manifest changed": (
        lambda f: (f / "_meta/manifest.json").write_text("{}") and None,
        "_meta",
        "changed after the commit",
    ),
    "manifest breaks its schema": (
        lambda f: edit(f, lambda d: d.update(purged=3)),
        "_meta",
        "does not follow its schema .* at purged",
    ),
    "schema gone": (
        lambda f: (f / "_meta/schema.json").unlink(),
        "_meta",
        "has no _meta/schema.json: the snapshot is damaged",
    ),
    "another id": (
        lambda f: edit(f, lambda d: d.update(id="20261103T1800Z-000000000000")),
        "_meta/manifest.json",
        "but the folder is named",
    ),
    "another as_of": (
        lambda f: edit(f, lambda d: d.update(as_of_at="2026-11-04T18:00:00Z")),
        "_meta/manifest.json",
        "bounds and hashes give 20261104T1800Z",
    ),
    "label not first": (
        lambda f: (
            [
                edit(f, lambda d: d["columns"].reverse(), name)
                for name in ("_meta/schema.json", "_meta/manifest.json")
            ]
            and None
        ),
        "_meta/schema.json",
        "label is not the first column",
    ),
    "columns disagree": (
        lambda f: edit(f, lambda d: d["columns"][1].update(name="other"), "_meta/schema.json"),
        "_meta",
        "name different columns",
    ),
    "keys of another shape": (
        lambda f: edit(f, lambda d: d["keys"].pop(), "_meta/schema.json"),
        "_meta/schema.json",
        "the keys are not",
    ),
    "splits in another order": (
        lambda f: edit(f, lambda d: d["splits"].reverse()),
        "_meta/manifest.json",
        "the splits are not",
    ),
    "part changed": (flip_byte, TRAIN, "the part was changed"),
    "part cut short": (
        lambda f: (f / TRAIN).write_bytes(b"") and None,
        TRAIN,
        "the part was changed",
    ),
    "part missing": (lambda f: (f / TRAIN_KEYS).unlink(), TRAIN_KEYS, "the part is missing"),
    "not a file of this snapshot": (
        foreign("data/train/_SUCCESS"),
        "data/train/_SUCCESS",
        "does not belong to this snapshot",
    ),
    "foreign part": (
        foreign("keys/test/part-00009.parquet"),
        "keys/test/part-00009.parquet",
        "does not belong to this snapshot",
    ),
    "foreign folder": (
        foreign("data/day=1/part.parquet"),
        "data/day=1/part.parquet",
        "does not belong to this snapshot",
    ),
    "not a file of this snapshot above": (
        foreign("data/manifest.json"),
        "data/manifest.json",
        "does not belong to this snapshot",
    ),
    "list of parts": (
        lambda f: (f / "_meta/train.manifest").write_text('[{"prefix": "x/data/train/"}]') and None,
        "_meta/train.manifest",
        "does not list the 2 parts",
    ),
    "no list of parts": (
        lambda f: (f / "_meta/test.manifest").unlink(),
        "_meta/test.manifest",
        "missing",
    ),
    "no parquet": (
        lambda f: rewrite(f, TRAIN, "from part") or _garble(f),
        TRAIN,
        "cannot be read",
    ),
    "another type": (
        lambda f: rewrite(f, TRAIN, "select * replace (price_log::double as price_log) from part"),
        TRAIN,
        "price_log DOUBLE instead of price_log FLOAT",
    ),
    "columns swapped": (
        lambda f: rewrite(
            f,
            TRAIN,
            "select job_budget_log, price_log, * exclude (job_budget_log, price_log) from part",
        ),
        TRAIN,
        "job_budget_log FLOAT instead of price_log FLOAT",
    ),
    "column more": (
        lambda f: rewrite(f, TRAIN, "select *, 1::float as more from part"),
        TRAIN,
        "other columns",
    ),
    "rows lost": (
        row_too_few,
        "train",
        "the parts of the split have .* rows, but manifest.json has",
    ),
    "rows lost on one side": (
        lambda f: rewrite(f, TRAIN, "from part limit 100"),
        TRAIN,
        "the part has 100 rows, but keys/train",
    ),
    "row count of the manifest": (
        lambda f: edit(
            f,
            lambda d: (
                [part.update(rows=7) for part in d["parts"] if "/test/" in part["path"]] and None
            ),
        ),
        "data/test/part-00000.parquet",
        "the part has 73 rows, but manifest.json has 7",
    ),
    "keys in another order": (
        lambda f: rewrite(f, TRAIN_KEYS, "from part order by job_id desc"),
        "train",
        "rows of data and keys do not match",
    ),
    "value changed": (
        lambda f: rewrite(f, TRAIN, hundred("job_skill_count")),
        "train",
        "values were changed",
    ),
    "not a number": (
        lambda f: rewrite(f, TRAIN, "select * replace ('nan'::float as job_budget_log) from part"),
        TRAIN,
        "NaN or an infinite value",
    ),
    "request outside its split": (move_bound, TRAIN_KEYS, "requested_at outside of train"),
    "label known too late": (
        lambda f: rewrite(
            f,
            TRAIN_KEYS,
            "select * replace (label_known_at + to_days(90) as label_known_at) from part",
        ),
        TRAIN_KEYS,
        "must be purged",
    ),
    "embargo": (
        lambda f: edit(f, lambda d: d.update(embargo_days=5)),
        TRAIN_KEYS,
        "must be purged",
    ),
}


def _garble(folder: Path) -> None:
    (folder / TRAIN).write_text("no parquet")

    def sign(document: dict[str, Any]) -> None:
        for part in document["parts"]:
            if part["path"] == TRAIN:
                part.update(bytes=10, sha256=hashlib.sha256(b"no parquet").hexdigest())

    edit(folder, sign)


def test_verify_finds_nothing_wrong_with_an_export(snapshot: Path) -> None:
    verdict = verify_snapshot(snapshot)
    assert verdict.ok
    assert verdict.problems == ()
    assert (verdict.parts, verdict.rows, verdict.id) == (8, 352, snapshot.name)
    assert verify_snapshot(f"file://{snapshot}").ok


@pytest.mark.parametrize("name", RED)
def test_verify_says_what_is_wrong_and_where(name: str, snapshot: Path) -> None:
    change, where, what = RED[name]
    change(snapshot)
    problems = verify_snapshot(snapshot).problems
    assert [each for each in problems if each.where == where and re.search(what, each.what)], (
        problems
    )


def test_verify_refuses_an_address_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no snapshot folder"):
        verify_snapshot(tmp_path / "nothing")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("not committed", "not committed"),
        ("manifest gone", "has no _meta/manifest.json"),
        ("manifest changed", "changed after the commit"),
        ("part changed", "was changed after"),
        ("part missing", "is missing or was changed"),
        ("columns disagree", "name different columns"),
    ],
)
def test_load_refuses_what_was_not_committed_so(name: str, message: str, snapshot: Path) -> None:
    RED[name][0](snapshot)
    with pytest.raises(TerminalError, match=message):
        load_snapshot(snapshot)
