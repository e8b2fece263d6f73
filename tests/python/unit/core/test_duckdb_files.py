"""Test that a path in SQL reads exactly the file of that name, with the columns of the file."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from feature_mart.core.duckdb_files import (
    attach,
    check_path,
    connect,
    copy_to,
    csv,
    parquet,
    quoted,
)
from feature_mart.core.errors import UsageError
from strange_names import NAMES

#: If DuckDB read folders named column=value as partitions, a folder status=active would replace column status.
ROW = "select 7 as x, 'open' as status, 'USD' as currency"
FOUND = [(7, "open", "USD")]


@pytest.mark.parametrize("name", [*NAMES, "a?b", "?"])
def test_a_parquet_or_csv_file_of_any_name_is_read_as_it_is(tmp_path: Path, name: str) -> None:
    folder = tmp_path / name
    folder.mkdir()
    with connect() as con:
        assert copy_to(con, ROW, folder / f"{name}.parquet") == 1
        copy_to(con, ROW, folder / f"{name}.csv", "format csv, header true")
        assert con.execute(f"from {parquet(folder / f'{name}.parquet')}").fetchall() == FOUND
        assert (
            con.execute(f"from {parquet([folder / f'{name}.parquet'] * 2)}").fetchall() == 2 * FOUND
        )
        assert (
            con.execute(f"from {csv(folder / f'{name}.csv', 'header = true')}").fetchall() == FOUND
        )


@pytest.mark.parametrize("name", NAMES)
def test_a_database_of_any_name_is_opened(tmp_path: Path, name: str) -> None:
    path = tmp_path / name / f"{name}.duckdb"
    path.parent.mkdir()
    with connect(path) as con:
        con.execute(f"create table t as {ROW}")
    with connect() as con:
        attach(con, path, "other")
        assert con.execute("from other.main.t").fetchall() == FOUND
    assert path.is_file()


@pytest.mark.parametrize(
    ("named", "neighbour"),
    [("shop[2]", "shop2"), ("shop*", "shop9"), ("shop?", "shop8"), ("**", "a")],
)
def test_a_neighbour_that_a_pattern_would_fit_is_not_read(
    tmp_path: Path, named: str, neighbour: str
) -> None:
    with connect() as con:
        for folder, x in ((named, 1), (neighbour, 2)):
            (tmp_path / folder).mkdir()
            copy_to(con, f"select {x} as x", tmp_path / folder / "f.parquet")
        found = con.execute(f"from {parquet(tmp_path / named / 'f.parquet')}").fetchall()
        assert found == [(1,)]
        shutil.rmtree(tmp_path / named)
        with pytest.raises(Exception, match="No files found"):
            con.execute(f"from {parquet(tmp_path / named / 'f.parquet')}")


def test_parts_are_matched_by_name_and_a_missing_column_is_null(tmp_path: Path) -> None:
    with connect() as con:
        copy_to(con, "select 1 as x, 'a' as y", tmp_path / "1.parquet")
        copy_to(con, "select 'b' as y, 2 as x", tmp_path / "2.parquet")
        copy_to(con, "select 3 as x", tmp_path / "3.parquet")
        parts = [tmp_path / f"{number}.parquet" for number in (1, 2, 3)]
        found = con.execute(f"select x, y from {parquet(parts)} order by x").fetchall()
    assert found == [(1, "a"), (2, "b"), (3, None)]


@pytest.mark.parametrize("zone", ["Asia/Tokyo", "America/St_Johns", ":/nowhere"])
def test_the_zone_of_the_machine_does_not_matter(
    zone: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", zone)
    with connect() as con:
        found = con.execute("select timestamptz '2024-01-01 00:00:00+09'::varchar").fetchall()
    assert found == [("2023-12-31 15:00:00+00",)]


@pytest.mark.parametrize("text", ["it's", "''", "a\\'b", ""])
def test_a_literal_is_the_text(text: str) -> None:
    with connect() as con:
        assert con.execute(f"select {quoted(text)}").fetchall() == [(text,)]


@pytest.mark.parametrize("name", [*NAMES, "a?b"])
def test_a_path_that_works_is_let_through(name: str) -> None:
    check_path(Path("/x") / name, "MART_DWH")


@pytest.mark.parametrize(
    ("path", "holds_database", "said"),
    [
        ("/x/a\\b", False, r"contains '\\\\' cannot"),
        ("/x/a\nb", False, r"contains '\\n' cannot"),
        ("/x/a\u2028b", False, "cannot be read"),
        ("/x/a?b", True, r"contains '\?' cannot"),
        ("/x/\udcff", False, "not UTF-8: rename the folder"),
    ],
)
def test_a_path_that_cannot_work_is_refused_in_one_line(
    path: str, holds_database: bool, said: str
) -> None:
    with pytest.raises(UsageError, match=said) as refused:
        check_path(Path(path), "MART_DWH", holds_database=holds_database)
    assert str(refused.value).startswith("MART_DWH is ") and "\n" not in str(refused.value)


def test_what_is_refused_really_does_not_work(tmp_path: Path) -> None:
    def works(name: str, act: Callable[[Path], object]) -> bool:
        (tmp_path / name).mkdir(exist_ok=True)
        try:
            act(tmp_path / name)
        except Exception:  # noqa: BLE001 - whatever DuckDB says
            return False
        return True

    def open_database(folder: Path) -> None:
        with connect() as con:
            attach(con, folder / "m.duckdb", "m", read_only=False)
            con.execute("create table m.t as select 1")

    def read_file(folder: Path) -> None:
        with connect() as con:
            copy_to(con, ROW, folder / "f.parquet")
            assert con.execute(f"from {parquet(folder / 'f.parquet')}").fetchall() == FOUND

    assert works("plain", open_database) and works("plain", read_file)
    assert not works("a?b", open_database)
    assert not works("\\[x]", read_file)
