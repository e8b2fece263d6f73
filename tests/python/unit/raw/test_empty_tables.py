"""Test that `mart sample --empty` writes tables with the columns and types of the raw contract, ready for rows."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from feature_mart.cli import main
from feature_mart.core.duckdb_files import connect, copy_to
from feature_mart.core.errors import UsageError
from feature_mart.core.raw_contract import CONTRACT, OPTIONAL, Kind
from feature_mart.raw.warehouse import check_warehouse, raw_select, table_columns
from feature_mart.sample import write_empty


def test_the_eight_tables_have_the_columns_and_types_of_the_contract(tmp_path: Path) -> None:
    folder = write_empty(tmp_path / "new" / "dwh")
    assert sorted(path.stem for path in folder.iterdir()) == sorted(CONTRACT)
    for table, columns in CONTRACT.items():
        assert list(table_columns(folder, table)) == list(columns)
    with pytest.raises(UsageError) as error:
        check_warehouse(folder)
    lines = str(error.value).splitlines()
    assert len(lines) == 2, "nothing but the missing postings is at fault"
    assert lines[1].startswith("  - jobs: the table has no rows") and "other seven" in lines[1]


def test_rows_of_the_type_of_the_files_make_it_a_warehouse(tmp_path: Path) -> None:
    folder = write_empty(tmp_path / "dwh")
    at = "timestamptz '2024-03-01 00:00:00+00'"
    with connect() as con:
        con.execute(f"create table jobs as {raw_select(folder, 'jobs', con)}")
        con.execute(
            f"insert into jobs (job_id, client_id, posted_at, loaded_at) values ('j', 'c', {at}, {at})"
        )
        names = ", ".join(CONTRACT["jobs"])
        copy_to(con, f"select {names} from jobs", folder / "jobs.parquet")
    check_warehouse(folder)


@pytest.mark.parametrize("name", ["x", ".hidden", "jobs.parquet"])
def test_a_folder_with_anything_in_it_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("mine")
    with pytest.raises(UsageError, match="is not an empty folder"):
        write_empty(tmp_path)
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [(name, "mine")]


def test_a_file_is_refused_and_an_empty_folder_is_taken(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(UsageError, match="is not an empty folder"):
        write_empty(tmp_path / "file")
    (tmp_path / "there").mkdir()
    assert len(list(write_empty(tmp_path / "there").iterdir())) == 8


def test_the_command_lists_the_columns(tmp_path: Path) -> None:
    done = CliRunner().invoke(main, ["sample", "--empty", str(tmp_path / "a"), "--json"])
    document = json.loads(done.stdout)
    assert document["columns"]["jobs"]["posted_at"] == Kind.INSTANT.value
    assert document["optional_columns"]["clients"] == list(OPTIONAL["clients"])
    text = CliRunner().invoke(main, ["sample", "--empty", str(tmp_path / "b")]).stdout
    assert "  job_skills   job_id, skill" in text and "clients: prefecture, is_deleted" in text
    assert f"build --dwh {tmp_path / 'b'}" in text
