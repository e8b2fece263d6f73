"""Test the exporter with other implementations of its interfaces: sources that lose rows, and a store in memory."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pytest

import snapshot_case as case
from feature_mart.core.errors import TerminalError
from feature_mart.exporter import Show, SnapshotReport, export_rows
from feature_mart.exporter.hashable_rows import HashableRows
from feature_mart.exporter.layout import Layout, plan_layout
from feature_mart.exporter.source import Count, DuckDBSource
from feature_mart.exporter.splits import Window
from feature_mart.exporter.staging import Room, Staging
from feature_mart.storage import Entry, Store

LAYOUT = plan_layout(case.consumer(), case.manifest().columns(case.MODEL))


class MemoryStore:
    """Keep all files in a dictionary, by key."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}

    def address(self, key: str = "") -> str:
        return f"memory://{key}"

    def through(self) -> str:
        return ""

    def require_conditions(self, _key: str) -> None:
        return

    @contextmanager
    def scratch(self) -> Iterator[Path]:
        raise AssertionError("the caller of export_rows brings its own")
        yield

    @contextmanager
    def exclusive(self, _consumer: str) -> Iterator[None]:
        yield

    def entries(self, prefix: str) -> tuple[Entry, ...]:
        keys = sorted(key for key in self.files if key.startswith(f"{prefix}/"))
        return tuple(Entry(key, len(self.files[key]), case.AS_OF) for key in keys)

    def folders(self, prefix: str) -> tuple[str, ...]:
        start = f"{prefix}/".lstrip("/")
        below = (key.removeprefix(start) for key in self.files if key.startswith(start))
        return tuple(sorted({key.split("/")[0] for key in below if "/" in key}))

    @contextmanager
    def local(self, _key: str, _scratch: Path) -> Iterator[Path | None]:
        raise AssertionError("an export reads no part back")
        yield

    def drop_uploads(self, _prefix: str, _before: datetime) -> int:
        return 0

    def read(self, key: str) -> bytes | None:
        return self.files.get(key)

    def sha256(self, key: str) -> str | None:
        data = self.files.get(key)
        return None if data is None else hashlib.sha256(data).hexdigest()

    def put_file(self, key: str, local: Path, sha256: str, *, is_new: bool = False) -> bool:
        is_new = self.sha256(key) != sha256
        self.files[key] = local.read_bytes()
        return is_new

    def put(self, key: str, data: bytes) -> None:
        self.files[key] = data

    def put_if_absent(self, key: str, data: bytes) -> bool:
        return self.files.setdefault(key, data) is data

    def swap(self, key: str, data: bytes, expected: bytes | None) -> bool:
        if self.files.get(key) != expected:
            return False
        self.files[key] = data
        return True

    def delete(self, key: str) -> None:
        self.files.pop(key, None)


class ForgetfulSource(DuckDBSource):
    """Return a row count for train that is one too low."""

    def count(self, layout: Layout, windows: Sequence[Window]) -> tuple[Count, ...]:
        first, *others = super().count(layout, windows)
        return (replace(first, rows=first.rows - 1), *others)


class LosingSource(DuckDBSource):
    """Omit the first row of the data."""

    def batches(self, layout: Layout, windows: Sequence[Window]) -> Iterator[pa.RecordBatch]:
        first, *others = super().batches(layout, windows)
        yield from (first.slice(1), *others)


def run(source: DuckDBSource, store: Store, scratch: Path) -> SnapshotReport:
    scratch.mkdir(exist_ok=True)
    steps: Callable[[str], None] = [].append
    show = Show(steps, lambda _rows, _bytes: None)
    try:
        return export_rows(
            source, LAYOUT, case.consumer(part_rows=100), store, scratch, case.context(), show
        )
    finally:
        source.close()


@pytest.fixture(scope="module")
def mart(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return case.build_mart(tmp_path_factory.mktemp("mart"))


def test_another_store_holds_the_same_snapshot(mart: Path, tmp_path: Path) -> None:
    store = MemoryStore()
    report = run(DuckDBSource(mart), store, tmp_path / "a")
    assert report.address == f"memory://price_estimation/snapshots/{report.id}"
    assert (report.status, report.latest) == ("written", "moved")
    assert f"price_estimation/snapshots/{report.id}/_meta/_SUCCESS" in store.files
    before = dict(store.files)
    assert run(DuckDBSource(mart), store, tmp_path / "b").status == "unchanged"
    assert store.files == before


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (ForgetfulSource, "has 400 rows, but its splits, purged and excluded rows sum to 399"),
        (LosingSource, "rows were read for .*, .* were counted"),
    ],
)
def test_export_stops_where_a_row_is_lost(
    source: type[DuckDBSource], message: str, mart: Path, tmp_path: Path
) -> None:
    store = MemoryStore()
    with pytest.raises(TerminalError, match=message):
        run(source(mart), store, tmp_path / "a")
    assert not store.files


def test_export_stops_where_a_row_is_lost_in_writing(
    mart: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def take(self: Staging, part: int, room: Room) -> HashableRows:
        rows = whole(self, part, room)
        keys = (rows.job_id[1:], rows.requested_at[1:], rows.label_known_at[1:])
        return HashableRows(*keys, rows.bits[:, 1:])

    whole = Staging.take
    monkeypatch.setattr(Staging, "take", take)
    store = MemoryStore()
    with pytest.raises(
        TerminalError, match="244 rows were written for train, but 247 were counted"
    ):
        run(DuckDBSource(mart), store, tmp_path / "a")
    assert not [key for key in store.files if "/data/" not in key and "/keys/" not in key]
