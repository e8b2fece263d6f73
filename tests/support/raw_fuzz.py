"""Write raw warehouses in random forms that the raw contract allows, or with a fault that the contract forbids."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from compiled_mart import RAW_TABLES

Rows = Sequence[Mapping[str, Any]]
Tables = Mapping[str, Rows]

_UNITS = ("ms", "us", "ns")
_TEXTS = (pa.string(), pa.large_string(), pa.dictionary(pa.int32(), pa.string()), pa.string_view())


def write_anyhow(rng: Random, tables: Tables, folder: Path) -> list[str]:
    """Write the tables' values with random column types, column order and file layout; return the types by table."""
    folder.mkdir(parents=True)
    drawn = []
    for table, types in RAW_TABLES.items():
        rows = list(tables.get(table, ()))
        rng.shuffle(rows)
        columns = {}
        for name, type_ in rng.sample(list(types.items()), len(types)):
            values = [row.get(name) for row in rows]
            if all(value is None for value in values) and rng.random() < 0.3:
                if name in ("is_deleted", "loaded_at") and table in ("categories", "job_skills"):
                    continue
                columns[name] = pa.nulls(len(rows))
                continue
            columns[name] = _column(rng, values, type_)
        if rng.random() < 0.3:
            columns["note_of_theirs"] = pa.array([rng.random() for _ in rows])
        written = pa.table(columns)
        drawn.append(f"{table}: {', '.join(f'{f.name} {f.type}' for f in written.schema)}")
        _write(rng, written, folder / f"{table}.parquet")
    return drawn


def _column(rng: Random, values: list[Any], type_: str) -> pa.Array:
    if type_ == "timestamptz":
        fits = [unit for unit in _UNITS if unit != "ms" or all(_is_milli(v) for v in values)]
        zone = rng.choice(("UTC", "Asia/Tokyo", "+00:00", "America/Toronto"))
        return pa.array(values, pa.timestamp("us", "UTC")).cast(
            pa.timestamp(rng.choice(fits), zone)
        )
    if type_ == "boolean":
        return pa.array(values, pa.bool_())
    if type_ in ("decimal(18,3)", "double"):
        return _numbers(rng, values)
    plain = pa.array(values, pa.string())
    return plain.cast(rng.choice(_TEXTS[:3])) if rng.random() < 0.9 else plain


def _is_milli(value: Any) -> bool:
    return value is None or value.microsecond % 1000 == 0


def _numbers(rng: Random, values: list[Any]) -> pa.Array:
    exact = [None if value is None else Decimal(str(value)) for value in values]
    known = [value for value in exact if value is not None]
    fits: list[pa.DataType] = [pa.decimal128(38, 3), pa.decimal128(20, 5), pa.float64()]
    if all(value == int(value) for value in known):
        most = max((abs(value) for value in known), default=Decimal(0))
        fits += [pa.int64()] + ([pa.int32(), pa.decimal128(12, 0)] if most < 2**31 else [])
        fits += [pa.int16()] if most < 2**15 else []
        fits += [pa.float32()] if most < 2**24 else []
        fits += [pa.uint64()] if all(value >= 0 for value in known) else []
    chosen = rng.choice(fits)
    if pa.types.is_decimal(chosen):
        return pa.array(exact, pa.decimal128(38, 3)).cast(chosen)
    return pa.array([None if value is None else float(value) for value in exact]).cast(chosen)


def _write(rng: Random, table: pa.Table, path: Path) -> None:
    options: dict[str, Any] = {
        "compression": rng.choice(("snappy", "zstd", "none", "gzip")),
        "row_group_size": rng.choice((1, 7, 1000)),
        "use_dictionary": rng.random() < 0.5,
        "version": rng.choice(("1.0", "2.4", "2.6")),
    }
    if any(pa.types.is_timestamp(f.type) and f.type.unit == "ns" for f in table.schema):
        options["version"] = "2.6"  # The older formats have no nanoseconds.
    if rng.random() < 0.7:
        pq.write_table(table, path, **options)
        return
    path.mkdir()
    cuts = sorted(rng.randint(0, len(table)) for _ in range(rng.randint(0, 3)))
    for number, (start, end) in enumerate(zip([0, *cuts], [*cuts, len(table)], strict=True)):
        pq.write_table(
            table.slice(start, end - start), path / f"part-{number:05d}.parquet", **options
        )
    (path / "_SUCCESS").touch()


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault for one table.

    `spoil` plants the fault in the file of a table and returns the start of the expected message, or None if the table
    cannot have the fault.
    """

    about: str
    spoil: Callable[[Random, Path, str], str | None]


def _rewrite(folder: Path, table: str, change: Callable[[pa.Table], pa.Table]) -> None:
    path = folder / f"{table}.parquet"
    pq.write_table(change(pq.read_table(path, partitioning=None)), path)


def _retyped(kind: str, types: Sequence[pa.DataType]) -> Callable[[Random, Path, str], str | None]:
    def spoil(rng: Random, folder: Path, table: str) -> str | None:
        names = [name for name, type_ in RAW_TABLES[table].items() if type_ == kind]
        if not names:
            return None
        name, type_ = rng.choice(names), rng.choice(types)

        def change(rows: pa.Table) -> pa.Table:
            at = rows.schema.get_field_index(name)
            value = datetime(2024, 1, 1) if pa.types.is_temporal(type_) else 1  # noqa: DTZ001
            fill = {"string": "1", "binary": b"\xff", "bool": True}.get(str(type_), value)
            return rows.set_column(at, name, pa.array([fill] * len(rows), type_))

        _rewrite(folder, table, change)
        return f"{table}.{name} is "

    return spoil


def _poisoned(kind: str, values: Sequence[Any]) -> Callable[[Random, Path, str], str | None]:
    def spoil(rng: Random, folder: Path, table: str) -> str | None:
        names = [n for n, t in RAW_TABLES[table].items() if t == kind and n != "rating"]
        if not names:
            return None
        name, value = rng.choice(names), rng.choice(values)

        def change(rows: pa.Table) -> pa.Table:
            at = rows.schema.get_field_index(name)
            type_ = pa.timestamp("us", "UTC") if isinstance(value, datetime) else pa.float64()
            column = rows[name].cast(type_).to_pylist()
            column[rng.randrange(len(column))] = value
            rows = rows.set_column(at, name, pa.array(column, type_, from_pandas=False))
            if name == "agreed_price":
                counts = pa.array(["active"] * len(rows))
                rows = rows.set_column(rows.schema.get_field_index("status"), "status", counts)
                alive = pa.array([False] * len(rows))
                rows = rows.set_column(
                    rows.schema.get_field_index("is_deleted"), "is_deleted", alive
                )
            return rows

        if not len(pq.read_table(folder / f"{table}.parquet", partitioning=None)):
            return None
        _rewrite(folder, table, change)
        return f"{table}.{name}: "

    return spoil


def _without_column(rng: Random, folder: Path, table: str) -> str | None:
    optional = {"is_deleted", "loaded_at", "prefecture"}
    name = rng.choice([name for name in RAW_TABLES[table] if name not in optional])
    _rewrite(folder, table, lambda rows: rows.drop_columns([name]))
    return f"{table}.{name} is missing"


def _damaged(rng: Random, folder: Path, table: str) -> str | None:
    path = folder / f"{table}.parquet"
    content = path.read_bytes()
    path.write_bytes(
        rng.choice([b"", b"PAR1", content[: len(content) // 2], content[:-1], b"a,b\n1,2\n"])
    )
    return f"{table}: "


def _absent(_rng: Random, folder: Path, table: str) -> str | None:
    (folder / f"{table}.parquet").unlink()
    return f"{table}: {table}.parquet is missing"


FAULTS = (
    Fault("text of another type", _retyped("varchar", [pa.int64(), pa.binary(), pa.bool_()])),
    Fault(
        "money of another type", _retyped("decimal(18,3)", [pa.string(), pa.bool_(), pa.date32()])
    ),
    Fault("a time without zone", _retyped("timestamptz", [pa.timestamp("us"), pa.timestamp("ns")])),
    Fault(
        "a time of another type", _retyped("timestamptz", [pa.date32(), pa.int64(), pa.string()])
    ),
    Fault("a flag of another type", _retyped("boolean", [pa.string(), pa.int64()])),
    Fault(
        "money that is no amount",
        _poisoned(
            "decimal(18,3)",
            [float("nan"), float("inf"), -float("inf"), 1e30, 9.3e18, 0.4, 1e-300, -1.0, -1e30],
        ),
    ),
    Fault(
        "a time out of bounds",
        _poisoned(
            "timestamptz",
            [
                datetime(1, 1, 1, tzinfo=UTC),
                datetime(1900, 1, 1, tzinfo=UTC),
                datetime(1970, 1, 1, tzinfo=UTC),
                datetime(2200, 1, 1, tzinfo=UTC),
                datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
            ],
        ),
    ),
    Fault("a column that is not there", _without_column),
    Fault("a damaged file", _damaged),
    Fault("a file that is not there", _absent),
)
