"""Test that the compiled SQL of the mart computes bit-identical features for one request and for the training table.

The online handler is not written yet. It needs the features mart and the `feat_job__*` models to run on an in-memory
DuckDB in which the spine is the request and the as-of tables are the newest rows of a store.
"""

from __future__ import annotations

import struct
from typing import Any

import duckdb
import pytest

from compiled_mart import (
    RAW_TABLES,
    CompiledMart,
    compile_mart,
    connect,
    load_table,
    load_text_words,
)
from feature_mart.core.duckdb_files import parquet
from feature_mart.sample import LOAD_CLOCK, write_sample

MARTS = ("price_estimation", "hire_within_14d")
TRAINING = "mart_price_estimation__training"
#: The tables that contain only rows of the request, and the Python models that read only REQUEST and a seed.
REQUEST, SKILLS = "int_job__requests", "int_job__skills"
PYTHON = ("int_job__terms", "feat_job__text")
#: The as-of tables that the test replaces by the store's newest rows. Maps each table to its key columns, and each key
#: column to a query that returns the request's values of the key.
STORE = {
    "feat_client__history": {"client_id": f"select client_id from {REQUEST}"},
    "feat_category__prices": {"category_id": f"select category_id from {REQUEST}"},
    "feat_category__demand": {"category_id": f"select category_id from {REQUEST}"},
    "feat_category__codes": {"category_id": f"select category_id from {REQUEST}"},
    "feat_client_category__prices": {
        "client_id": f"select client_id from {REQUEST}",
        "category_id": f"select category_id from {REQUEST}",
    },
    "feat_job_type__codes": {"job_type": f"select lower(trim(job_type)) from {REQUEST}"},
    "feat_job_type__prices": {"job_type": f"select lower(trim(job_type)) from {REQUEST}"},
    "feat_skill__prices": {"skill": f"select skill from {SKILLS}"},
    "feat_term__prices": {"term": "select term from int_job__terms"},
    "feat_market__prices": {"market_id": "select 'JPY'"},
}
LEAVES = {REQUEST, SKILLS, *PYTHON, *STORE}


@pytest.fixture(scope="module")
def mart(tmp_path_factory: pytest.TempPathFactory) -> CompiledMart:
    return compile_mart(tmp_path_factory.mktemp("compiled"), warehouse="sample")


@pytest.fixture(scope="module")
def built(
    mart: CompiledMart, tmp_path_factory: pytest.TempPathFactory
) -> duckdb.DuckDBPyConnection:
    """Build the whole mart of a small sample. The rows of its training marts are the expected results of the simulated
    online requests.
    """
    folder = tmp_path_factory.mktemp("sample") / "dwh"
    write_sample(folder, jobs=1500, seed=3)
    con = connect()
    for table, columns in RAW_TABLES.items():
        path = folder / f"{table}.parquet"
        absent = ", ".join(f"cast(null as {t}) as {c}" for c, t in columns.items())
        con.execute(
            f"create view dwh.{table} as select * from {parquet(path)} "
            f"union all by name select {absent} where false"
        )
    con.execute(
        'create table load_clock (warehouse varchar, "table" varchar, trusted_from timestamptz, '
        "assumed_lag_hours bigint, note varchar, untrusted_from timestamptz)"
    )
    con.executemany(
        "insert into load_clock values ('sample', ?, ?, ?, ?, nullif(?, ''))",
        [list(line) for line in LOAD_CLOCK],
    )
    load_text_words(con)
    mart.build(con)
    return con


def bits(value: Any) -> Any:
    """Return the bits of a float, so that NaN equals NaN and 0 does not equal -0; return other values unchanged."""
    return struct.pack(">d", value) if isinstance(value, float) else value


def hand_over(
    source: duckdb.DuckDBPyConnection,
    target: duckdb.DuckDBPyConnection,
    name: str,
    select: str,
    job_id: str,
) -> None:
    """Copy the result of a SELECT with parameter ``job_id`` into the new table ``name`` of database ``target``."""
    found = source.execute(select, [job_id])
    columns = {column[0]: str(column[1]) for column in found.description or []}
    rows = [dict(zip(columns, row, strict=True)) for row in found.fetchall()]
    load_table(target, f"main.{name}", columns, rows)


def serve(
    mart: CompiledMart, built: duckdb.DuckDBPyConnection, job_id: str, consumer: str = MARTS[0]
) -> dict[str, Any]:
    """Compute a job's features from the request and the newest rows that were available at the time of the request."""
    online = connect()
    for leaf in (REQUEST, SKILLS):
        hand_over(built, online, leaf, f"select * from {leaf} where job_id = ?", job_id)
    load_text_words(online)
    for model in PYTHON:
        mart.run_python(online, model)
    for table, keys in STORE.items():
        # Fill the store with the newest row of each key that was available at the request.
        newest = (
            f"select {table}.* from {table}, {REQUEST} where {REQUEST}.job_id = ? "
            f"and {table}.available_at <= {REQUEST}.requested_at qualify row_number() over "
            f"(partition by {', '.join(f'{table}.{key}' for key in keys)} "
            f"order by {table}.available_at desc) = 1"
        )
        hand_over(built, online, f"{table}_store", newest, job_id)
        # Filter the store by the keys of the request, so that the models can read no other rows.
        own = " and ".join(f"{key} in ({values})" for key, values in keys.items())
        online.execute(f"create view main.{table} as select * from main.{table}_store where {own}")
    features = f"mart_{consumer}__features"
    for model in mart.upstream(features, LEAVES)[:-1]:
        online.execute(f"create view main.{model} as {mart.sql[model]}")
    answer = online.execute(mart.sql[features])
    names = [column[0] for column in answer.description or []]
    rows = answer.fetchall()
    assert len(rows) == 1
    return dict(zip(names, rows[0], strict=True))


@pytest.mark.parametrize("consumer", MARTS)
def test_features_mart_needs_nothing_but_the_request_and_the_store(
    mart: CompiledMart, consumer: str
) -> None:
    chain = mart.upstream(f"mart_{consumer}__features", LEAVES)
    assert all(model.startswith("feat_job__") for model in chain[:-1])
    assert chain[-1] == f"mart_{consumer}__features"


@pytest.mark.parametrize("consumer", MARTS)
def test_served_row_equals_training_row(
    mart: CompiledMart, built: duckdb.DuckDBPyConnection, consumer: str
) -> None:
    jobs = built.execute(
        f"select job_id from {TRAINING} where client_contract_count_all > 0 "
        "and category_log_price_p50_90d is not null order by md5(job_id) limit 20"
    ).fetchall()
    strangers = built.execute(
        f"select job_id from {TRAINING} where client_contract_count_all = 0 order by md5(job_id) limit 5"
    ).fetchall()
    assert len(jobs) == 20
    assert len(strangers) == 5
    for (job_id,) in jobs + strangers:
        trained = built.execute(
            f"select * from mart_{consumer}__training where job_id = ?", [job_id]
        )
        names = [column[0] for column in trained.description or []]
        expected = dict(zip(names, trained.fetchone() or (), strict=True))
        served = serve(mart, built, job_id, consumer)
        assert {name: bits(value) for name, value in served.items()} == {
            name: bits(expected[name]) for name in served
        }


def test_served_row_differs_when_the_store_does(
    mart: CompiledMart, built: duckdb.DuckDBPyConnection
) -> None:
    """Show that the comparison can fail: the rows of two jobs differ in more than the job id."""
    (first,), (second,) = built.execute(
        f"select job_id from {TRAINING} where client_contract_count_all > 0 order by job_id limit 2"
    ).fetchall()
    one, other = serve(mart, built, first), serve(mart, built, second)
    assert {**one, "job_id": None} != {**other, "job_id": None}
