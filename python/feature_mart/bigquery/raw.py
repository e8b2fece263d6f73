"""Check a raw dataset on BigQuery against the raw contract, query its load times, and load a sample into a dataset."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from feature_mart.bigquery.client import ask, bounds, explained_errors, finish
from feature_mart.core.errors import TerminalError, UsageError
from feature_mart.core.raw_contract import (
    CONTRACT,
    EVENTS,
    NO_JOBS,
    Kind,
    column_faults,
    raise_faults,
)
from feature_mart.core.services import BigQueryAddress

#: Maps each kind of raw column to the BigQuery types that a column of this kind may have.
_TYPES: dict[Kind, tuple[str, ...]] = {
    Kind.TEXT: ("STRING",),
    Kind.NUMBER: ("INTEGER", "INT64", "FLOAT", "FLOAT64", "NUMERIC", "BIGNUMERIC"),
    Kind.INSTANT: ("TIMESTAMP",),
    Kind.FLAG: ("BOOLEAN", "BOOL"),
}
#: The label of the datasets that `load_folder` creates.
_SAMPLE_LABEL = ("feature_mart", "sample")


def check_dataset(client: Any, address: BigQueryAddress, overwritten: Sequence[str] = ()) -> None:
    """Check a raw dataset against the raw contract. A table in ``overwritten`` needs no load time.

    Raises:
        UsageError: the dataset breaks the contract; the message lists the faults.
        FeatureMartError: a request to BigQuery failed.
    """
    from google.cloud.exceptions import NotFound

    faults: list[str] = []
    with explained_errors(address):
        for table in CONTRACT:
            try:
                found = client.get_table(f"{address.raw}.{table}", **bounds(address))
            except NotFound:
                faults.append(
                    f"{table}: the table {address.raw}.{table} does not exist; create the table with all its "
                    "columns, even without rows"
                )
                continue
            present = {field.name.lower(): field.field_type for field in found.schema}
            faults += column_faults(table, present, _fits, table in overwritten)
            if table == "jobs" and found.table_type == "TABLE" and found.num_rows == 0:
                faults.append(NO_JOBS)
    if len(faults) == len(CONTRACT):
        raise UsageError(
            f"{address.raw} has no raw tables: set MART_DWH to a dataset (or project.dataset) that has them; `mart "
            "sample --to bigquery` writes a sample."
        )
    raise_faults(address.raw, faults)


def _fits(found: str, kind: Kind) -> bool:
    return found in _TYPES[kind]


def first_loads(
    client: Any, address: BigQueryAddress, table: str, timezone: str
) -> tuple[Callable[[str], Sequence[Sequence[object]]], str] | None:
    """Return a function that runs a query, and the SELECT of the first loads of a table's keys.

    The SELECT has the columns of `feature_mart.raw.warehouse.first_loads` and reads three columns of the table.
    Return None if the table has no load times.

    Raises:
        FeatureMartError: a request to BigQuery failed. The returned function raises this error as well.
    """

    def answer(sql: str) -> list[Sequence[object]]:
        with explained_errors(address):
            return [tuple(row) for row in ask(client, sql, address)]

    with explained_errors(address):
        schema = client.get_table(f"{address.raw}.{table}", **bounds(address)).schema
    if "loaded_at" not in {field.name.lower() for field in schema}:
        return None
    key = next(iter(CONTRACT[table]))
    select = _FIRST_LOADS.format(
        raw=address.raw, table=table, key=key, event_at=EVENTS[table], zone=timezone
    )
    return answer, select


_FIRST_LOADS = """
    select
        cast({key} as string) as entity,
        format_timestamp('%Y-%m-%d', loaded_at, '{zone}') as load_day,
        unix_micros(loaded_at) as loaded_us,
        unix_micros(loaded_at) - unix_micros({event_at}) as lag_us
    from `{raw}.{table}`
    where loaded_at is not null
    qualify row_number() over (partition by {key} order by loaded_at) = 1
"""


def sample_loaded_at(client: Any, address: BigQueryAddress) -> datetime | None:
    """Return the latest load time of a raw dataset that `mart sample` created; None for any other dataset.

    No rows are added to a sample, so the refresh to build follows from the latest load time, not from the wall clock.

    Raises:
        FeatureMartError: a request to BigQuery failed.
    """
    key, value = _SAMPLE_LABEL
    with explained_errors(address):
        if (client.get_dataset(address.raw, **bounds(address)).labels or {}).get(key) != value:
            return None
        loads = " union all ".join(
            f"select max(loaded_at) as loaded_at from `{address.raw}.{table}`" for table in EVENTS
        )
        rows = ask(client, f"select max(loads.loaded_at) from ({loads}) as loads", address)
        newest: datetime | None = next(iter(rows))[0]
    return newest


def load_folder(
    client: Any,
    address: BigQueryAddress,
    folder: Path,
    dataset: str,
    progress: Callable[[str], None] | None = None,
) -> dict[str, int]:
    """Load a folder of raw Parquet files into a dataset of the project, and return the number of rows by table.

    The dataset is created with the label of samples if it does not exist. A dataset without this label is not changed.
    Each table is replaced by one load job, which is atomic. ``progress`` is called with the name of each table before
    the table is loaded.

    Raises:
        UsageError: the dataset exists and does not have the label.
        FeatureMartError: a request to BigQuery failed.
    """
    from google.cloud import bigquery
    from google.cloud.exceptions import NotFound

    name = f"{address.project}.{dataset}"
    key, value = _SAMPLE_LABEL
    loaded: dict[str, int] = {}
    with explained_errors(address):
        try:
            labels = client.get_dataset(name, **bounds(address)).labels or {}
            if labels.get(key) != value:
                raise UsageError(
                    f"The dataset {name} exists and was not made by `mart sample`; nothing was written. Name another "
                    "dataset with --out."
                )
        except NotFound:
            made = bigquery.Dataset(name)
            made.location, made.labels = address.location, {key: value}
            made.description = (
                f"Sample of a freelance marketplace, made {datetime.now(UTC):%Y-%m-%d}"
            )
            client.create_dataset(made, **bounds(address))
        for table in CONTRACT:
            if progress is not None:
                progress(table)
            path = folder / f"{table}.parquet"
            reference = bigquery.Table(f"{name}.{table}", schema=schema_of(path))
            client.create_table(reference, exists_ok=True, **bounds(address))
            config = bigquery.LoadJobConfig(
                source_format=bigquery.SourceFormat.PARQUET,
                schema=reference.schema,
                write_disposition=bigquery.WriteDisposition.WRITE_TRUNCATE,
            )
            with path.open("rb") as file:
                job = client.load_table_from_file(
                    file, f"{name}.{table}", job_config=config, timeout=address.timeout_s
                )
            finish(job, address)
            loaded[table] = client.get_table(f"{name}.{table}", **bounds(address)).num_rows
    return loaded


def schema_of(path: Path) -> list[Any]:
    """Return the columns of a Parquet file as BigQuery's ``SchemaField``.

    Raises:
        TerminalError: a column has a type that no raw table uses.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq
    from google.cloud.bigquery import SchemaField

    tests: tuple[tuple[Callable[[Any], bool], str], ...] = (
        (pa.types.is_string, "STRING"),
        (pa.types.is_large_string, "STRING"),
        (pa.types.is_timestamp, "TIMESTAMP"),
        (pa.types.is_boolean, "BOOLEAN"),
        (pa.types.is_integer, "INTEGER"),
        (pa.types.is_floating, "FLOAT"),
        (pa.types.is_decimal, "NUMERIC"),
    )
    fields = []
    for field in pq.read_schema(path):
        kind = next((name for test, name in tests if test(field.type)), None)
        if kind is None:
            raise TerminalError(
                f"{path}: {field.name} is {field.type}, which is not a type of the raw tables. Write another sample "
                "with `mart sample`."
            )
        fields.append(SchemaField(field.name, kind))
    return fields
