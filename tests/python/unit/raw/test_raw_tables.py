"""Test the SELECTs that read raw tables: part files, types, precision of times, and values that no build can use."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from compiled_mart import RAW_TABLES
from feature_mart.core.duckdb_files import connect, copy_to, parquet
from feature_mart.core.errors import UsageError
from feature_mart.core.raw_contract import CONTRACT, OPTIONAL
from feature_mart.raw.warehouse import (
    check_warehouse,
    first_time,
    newest_load,
    raw_rows,
    raw_select,
    table_files,
)
from toy_project import job, write_warehouse

CONTRACTS = [
    {
        "contract_id": f"k{number}",
        "job_id": f"j{number}",
        "client_id": "c1",
        "agreed_price": 1000 * (number + 1),
        "currency": "JPY",
        "contracted_at": "2024-03-02 00:00:00+00",
        "status": "active",
        "loaded_at": "2024-03-03 00:00:00+00",
    }
    for number in range(3)
]


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    jobs = [job(number, budget_min=1000, budget_max=2000) for number in range(3)]
    return write_warehouse(tmp_path_factory.mktemp("raw") / "dwh", jobs, contracts=CONTRACTS)


@pytest.fixture
def folder(written: Path, tmp_path: Path) -> Path:
    return shutil.copytree(written, tmp_path / "dwh")


def rewrite(folder: Path, table: str, select: str) -> None:
    path = folder / f"{table}.parquet"
    with connect() as con:
        con.execute(f"create table raw as from {parquet(path)}")
        copy_to(con, select, path)


def rows(folder: Path, table: str, columns: str = "*") -> list[tuple[object, ...]]:
    with connect() as con:
        select = f"select {columns} from ({raw_select(folder, table, con)}) order by all"
        return con.execute(select).fetchall()


def split(folder: Path, table: str) -> Path:
    """Replace the file of a table by a folder of two part files, as Spark writes tables, and return the folder."""
    path = folder / f"{table}.parquet"
    whole = path.rename(folder / "whole")
    path.mkdir()
    with connect() as con:
        for number, where in enumerate(("< 2", ">= 2")):
            select = f"select * from (select *, row_number() over () as n from {parquet(whole)}) where n {where}"
            copy_to(
                con, f"select * exclude (n) from ({select})", path / f"part-0000{number}.parquet"
            )
    (path / "_SUCCESS").touch()
    (path / ".part-00000.parquet.crc").touch()
    whole.unlink()
    return path


def faults(folder: Path, overwritten: tuple[str, ...] = ()) -> list[str]:
    with pytest.raises(UsageError) as refused:
        check_warehouse(folder, overwritten)
    return [line.removeprefix("  - ") for line in str(refused.value).splitlines()[1:]]


def test_a_folder_of_parts_is_the_table(folder: Path) -> None:
    whole = rows(folder, "contracts")
    split(folder, "contracts")
    assert rows(folder, "contracts") == whole and len(whole) == 3
    check_warehouse(folder)
    assert newest_load(folder) is not None and first_time(folder) is not None


def test_parts_below_further_folders_belong_to_the_table(folder: Path) -> None:
    whole = rows(folder, "contracts")
    path = split(folder, "contracts")
    (path / "2024").mkdir()
    (path / "part-00001.parquet").rename(path / "2024" / "part-00001.parquet")
    assert rows(folder, "contracts") == whole
    assert len(table_files(folder, "contracts")) == 2


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (
            lambda path: (path / "status=active").mkdir(),
            "is a Hive partition, whose column is not in the files",
        ),
        (lambda path: (path / "_delta_log").mkdir(), "is a Delta table"),
        (
            lambda path: (path / "000000000000").touch(),
            "is not a .parquet file; rename or remove it",
        ),
        (lambda path: [each.unlink() for each in path.glob("*.parquet")], "has no .parquet file"),
    ],
)
def test_a_folder_whose_rows_would_be_lost_or_misread_is_refused(
    folder: Path, spoil: Callable[[Path], object], said: str
) -> None:
    spoil(split(folder, "contracts"))
    (fault,) = faults(folder)
    assert fault.startswith("contracts: ") and said in fault


@pytest.mark.parametrize(
    "key", ["status=active", "currency=CAD", "agreed_price=1", "is_deleted=true"]
)
def test_a_folder_key_value_on_the_way_changes_nothing(
    written: Path, tmp_path: Path, key: str
) -> None:
    plain, below = written, shutil.copytree(written, tmp_path / key / "dwh")
    for table in CONTRACT:
        assert rows(below, table) == rows(plain, table)
        with connect() as con:
            selects = (raw_select(folder, table) for folder in (plain, below))
            described = [con.execute(f"describe {select}").fetchall() for select in selects]
        assert described[0] == described[1]
    check_warehouse(below)


@pytest.mark.parametrize("table", list(CONTRACT))
def test_a_column_without_any_value_has_the_contract_s_type(folder: Path, table: str) -> None:
    """Write columns of Arrow type null, as pandas does for columns that contain only None."""
    table_path = folder / f"{table}.parquet"
    written = pq.read_table(table_path, partitioning=None)
    keys = {next(iter(CONTRACT[table])), "skill", "loaded_at", "posted_at", "client_id"}
    for number, field in enumerate(written.schema):
        if field.name not in keys:
            written = written.set_column(number, field.name, pa.nulls(len(written)))
    pq.write_table(written, table_path)
    check_warehouse(folder)
    with connect() as con:
        described = con.execute(f"describe {raw_select(folder, table)}").fetchall()
    types = {name: type_ for name, type_, *_ in described}
    assert set(types) == {*CONTRACT[table], *OPTIONAL[table]}
    assert '"NULL"' not in types.values()
    expected = {
        "varchar": "VARCHAR",
        "boolean": "BOOLEAN",
        "timestamptz": "TIMESTAMP WITH TIME ZONE",
    }
    for name, declared in RAW_TABLES[table].items():
        assert declared not in expected or types[name] == expected[declared], name


def in_unit(folder: Path, unit: str) -> None:
    for path in folder.glob("*.parquet"):
        table = pq.read_table(path, partitioning=None)
        for number, field in enumerate(table.schema):
            if pa.types.is_timestamp(field.type):
                column = table[field.name].cast(pa.timestamp(unit, "UTC"))
                table = table.set_column(number, field.name, column)
        pq.write_table(table, path)


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_times_of_any_precision_give_the_same_rows(folder: Path, unit: str) -> None:
    before = {table: rows(folder, table) for table in CONTRACT}
    newest, first = newest_load(folder), first_time(folder)
    in_unit(folder, unit)
    check_warehouse(folder)
    assert {table: rows(folder, table) for table in CONTRACT} == before
    assert (newest_load(folder), first_time(folder)) == (newest, first)
    with connect() as con:
        types = {row[1] for row in con.execute(f"describe {raw_select(folder, 'jobs')}").fetchall()}
    assert "TIMESTAMPTZ_NS" not in types


def two_versions(folder: Path, later_ns: int) -> None:
    """Add a changed version of the first contract, loaded ``later_ns`` nanoseconds after the first version."""
    path = folder / "contracts.parquet"
    table = pq.read_table(path, partitioning=None)
    loaded = table["loaded_at"].cast(pa.timestamp("ns", "UTC"))
    table = table.set_column(table.schema.get_field_index("loaded_at"), "loaded_at", loaded)
    first = table.slice(0, 1)
    changed = first.to_pylist()[0] | {"status": "completed", "agreed_price": 1, "client_id": "a"}
    second = pa.Table.from_pylist([changed], schema=table.schema)
    ns = pa.array([first["loaded_at"].cast(pa.int64())[0].as_py() + later_ns])
    second = second.set_column(
        table.schema.get_field_index("loaded_at"), "loaded_at", ns.cast(pa.timestamp("ns", "UTC"))
    )
    pq.write_table(pa.concat_tables([table, second]), path)


@pytest.mark.parametrize(
    ("later_ns", "kept"),
    [
        (300, [("k0", "active", 1000, "c1", 0), ("k0", "completed", 1, "a", 1)]),
        (1000, [("k0", "active", 1000, "c1", 0), ("k0", "completed", 1, "a", 1)]),
        # Load times are rounded up to microseconds, so that no row counts as known before it was loaded.
        (1001, [("k0", "active", 1000, "c1", 0), ("k0", "completed", 1, "a", 2)]),
        # Both rows are kept: staging removes only exact duplicates, and a check reports different rows of one key and
        # load time.
        (0, [("k0", "active", 1000, "c1", 0), ("k0", "completed", 1, "a", 0)]),
    ],
)
def test_a_load_time_is_rounded_up_to_microseconds(
    folder: Path, later_ns: int, kept: list[tuple[object, ...]]
) -> None:
    two_versions(folder, later_ns)
    start = "epoch_us(timestamptz '2024-03-03 00:00:00+00')"
    shown = f"contract_id, status, agreed_price::int, client_id, epoch_us(loaded_at) - {start}"
    found = [row for row in rows(folder, "contracts", shown) if row[0] == "k0"]
    assert found == kept


def test_of_two_versions_that_round_to_one_microsecond_no_column_is_mixed(folder: Path) -> None:
    in_unit(folder, "ns")
    rewrite(
        folder,
        "contracts",
        "select * replace (make_timestamp_ns(epoch_ns(loaded_at) + 100)::timestamptz_ns as loaded_at) from raw "
        "union all by name select * replace ('z' as client_id, 5 as agreed_price, 'void' as status, "
        "make_timestamp_ns(epoch_ns(loaded_at) + 400)::timestamptz_ns as loaded_at) from raw where contract_id = 'k0'",
    )
    shown = "contract_id, client_id, agreed_price::int, status"
    found = [row for row in rows(folder, "contracts", shown) if row[0] == "k0"]
    assert found == [("k0", "z", 5, "void")]
    with connect() as con:
        assert con.execute(
            f"select count(*) from ({raw_rows(folder, 'contracts')})"
        ).fetchall() == [(4,)]


@pytest.mark.parametrize(
    "type_",
    [
        *("tinyint", "smallint", "integer", "bigint", "hugeint", "utinyint", "ubigint", "float"),
        *("double", "decimal(4, 0)", "decimal(18, 3)", "decimal(38, 20)", "decimal(38, 0)"),
    ],
)
def test_money_of_any_number_type_is_taken(folder: Path, type_: str) -> None:
    rewrite(
        folder,
        "contracts",
        f"select * replace (cast(120 as {type_}) as agreed_price) from raw",
    )
    check_warehouse(folder)
    assert {int(row[0]) for row in rows(folder, "contracts", "agreed_price")} == {120}  # type: ignore[call-overload]


_UNKNOWN_TIME = "a time that is not after 1970-01-01"


@pytest.mark.parametrize(
    ("table", "column", "value", "said"),
    [
        ("contracts", "agreed_price", "'nan'::double", "NaN"),
        ("jobs", "budget_max", "'nan'::float", "NaN"),
        ("contracts", "agreed_price", "'infinity'::double", "an amount beyond"),
        ("contracts", "agreed_price", "1e30::double", "an amount beyond"),
        ("contracts", "agreed_price", "9223372036854775807::bigint", "an amount beyond"),
        (
            "contracts",
            "agreed_price",
            "10000000000000000000000::hugeint",
            "an amount beyond",
        ),
        ("contracts", "agreed_price", "0.4::decimal(18, 3)", "an amount that rounds to 0"),
        ("contracts", "agreed_price", "-5", "a negative amount"),
        ("jobs", "budget_min", "-1", "a negative amount"),
        ("jobs", "budget_min", "0.01::double", "an amount that rounds to 0"),
        *(
            ("contracts", "loaded_at", f"timestamptz '{at}'", _UNKNOWN_TIME)
            for at in ("1970-01-01 00:00:00+00", "1900-01-01 00:00:00+00", "infinity", "-infinity")
        ),
        *(
            (table, column, f"timestamptz '{at}'", _UNKNOWN_TIME)
            for table, column, at in (
                ("contracts", "contracted_at", "0001-01-01 00:00:00+00"),
                ("jobs", "posted_at", "9999-12-31 23:59:59.999999+00"),
                ("jobs", "apply_deadline_at", "2200-01-01 00:00:00+00"),
            )
        ),
    ],
)
def test_a_value_that_no_build_can_use_is_one_line_with_table_key_and_remedy(
    folder: Path, table: str, column: str, value: str, said: str
) -> None:
    key = next(iter(CONTRACT[table]))
    rewrite(
        folder,
        table,
        f"select * replace (case when {key} like '%1' then {value} else {column} end as {column}) from raw",
    )
    (fault,) = faults(folder)
    assert fault.startswith(f"{table}.{column}: 1 row with {said}"), fault
    assert f"(the first: {key}={table[0].replace('c', 'k')}1 has " in fault
    assert fault.count(";") == 1 and len(fault.partition("; ")[2]) > 10


@pytest.mark.parametrize("row_group_size", [1, 2, 100])
@pytest.mark.parametrize("type_", [pa.float64(), pa.float32()], ids=str)
@pytest.mark.parametrize("place", [0, 1, 2])
@pytest.mark.parametrize(
    ("table", "column"), [("contracts", "agreed_price"), ("jobs", "budget_max")]
)
def test_nan_is_seen_in_a_file_whose_statistics_leave_it_out(
    folder: Path, table: str, column: str, place: int, type_: pa.DataType, row_group_size: int
) -> None:
    path = folder / f"{table}.parquet"
    written = pq.read_table(path, partitioning=None)
    values = [float("nan") if at == place else 1000.0 + at for at in range(len(written))]
    at = written.schema.get_field_index(column)
    pq.write_table(
        written.set_column(at, column, pa.array(values, type_)), path, row_group_size=row_group_size
    )
    (fault,) = faults(folder)
    assert fault.startswith(f"{table}.{column}: 1 row with NaN (the first: ")


@pytest.mark.parametrize("at", ["1970-01-01 00:00:00.000001+00", "2199-12-31 23:59:59.999999+00"])
def test_times_just_inside_the_bounds_are_taken(folder: Path, at: str) -> None:
    rewrite(folder, "jobs", f"select * replace (timestamptz '{at}' as apply_deadline_at) from raw")
    check_warehouse(folder)


@pytest.mark.parametrize("status", ["void", "cancelled", " Void "])
def test_a_negative_price_of_a_contract_that_does_not_count_is_taken(
    folder: Path, status: str
) -> None:
    rewrite(
        folder, "contracts", f"select * replace (-5 as agreed_price, '{status}' as status) from raw"
    )
    check_warehouse(folder)
