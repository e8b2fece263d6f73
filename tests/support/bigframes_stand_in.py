"""Run dbt's Python models in this process against the emulator, in place of the notebook service and BigFrames.

dbt-bigquery compiles a Python model into one script and sends it to a notebook in the cloud. The stand-in runs the same
script in this process, where this module takes the place of ``bigframes.pandas``: its frames are pandas frames, read
from and written to BigQuery's REST interface by Google's own client. This tests the script, the model's BigQuery branch
and the writing of its rows. It does not test BigFrames, which is not installed.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType, SimpleNamespace
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from google.cloud import bigquery

from feature_mart.bigquery.raw import schema_of


class Frame:
    """A stand-in for a BigFrames frame, with only the methods that the models use."""

    def __init__(self, session: Session, rows: pd.DataFrame) -> None:
        self._session, self._rows = session, rows

    def __getitem__(self, wanted: Any) -> Any:
        chosen = self._rows[wanted]
        return Frame(self._session, chosen) if isinstance(chosen, pd.DataFrame) else chosen

    def head(self, count: int) -> Frame:
        return Frame(self._session, self._rows.head(count))

    def to_pandas(self) -> pd.DataFrame:
        return self._rows.copy()

    def to_pandas_batches(self, page_size: int) -> Iterator[pd.DataFrame]:
        for start in range(0, len(self._rows), page_size):
            yield self._rows.iloc[start : start + page_size].copy()

    def to_gbq(self, name: str, if_exists: str, clustering_columns: list[str]) -> None:
        assert if_exists == "replace" and set(clustering_columns) <= set(self._rows)
        self._session.write(name, self._rows)


class Session:
    """A stand-in for the session that ``bigframes.pandas.get_global_session()`` returns."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self.closed = False

    def read_gbq(self, name: str) -> Frame:
        table = self._client.get_table(name.replace("`", ""))
        rows = self._client.list_rows(table).to_arrow(create_bqstorage_client=False)
        # The columns of a BigFrames frame have Arrow types.
        return Frame(self, rows.to_pandas(types_mapper=pd.ArrowDtype))

    def read_pandas(self, rows: pd.DataFrame) -> Frame:
        return Frame(self, rows)

    def write(self, name: str, rows: pd.DataFrame) -> None:
        file = io.BytesIO()
        pq.write_table(as_arrow(rows), file)
        schema = schema_of(io.BytesIO(file.getvalue()))
        name = name.replace("`", "")
        self._client.delete_table(name, not_found_ok=True)
        self._client.create_table(bigquery.Table(name, schema=schema))
        file.seek(0)
        config = bigquery.LoadJobConfig(source_format="PARQUET", schema=schema)
        self._client.load_table_from_file(file, name, job_config=config).result()

    def close(self) -> None:
        self.closed = True


def as_arrow(rows: pd.DataFrame) -> pa.Table:
    """Return the rows as an Arrow table without the index.

    Timestamps get microseconds and UTC, and columns of only NULLs get type string.
    """
    table = pa.Table.from_pandas(rows, preserve_index=False)
    fields = []
    for field in table.schema:
        if pa.types.is_timestamp(field.type):
            field = field.with_type(pa.timestamp("us", tz="UTC"))
        elif pa.types.is_null(field.type):
            field = field.with_type(pa.string())
        fields.append(field)
    return table.cast(pa.schema(fields)).replace_schema_metadata(None)


def run_script(script: str, client: Any) -> Session:
    """Run a compiled Python model as the notebook service would, and return the session that the model used."""
    session = Session(client)
    pandas = ModuleType("bigframes.pandas")
    pandas.options = SimpleNamespace(
        compute=SimpleNamespace(extra_query_labels={}), bigquery=SimpleNamespace()
    )
    pandas.get_global_session = lambda: session
    pandas.read_gbq = session.read_gbq
    package = ModuleType("bigframes")
    package.pandas = pandas
    module = ModuleType("notebook")
    modules = {"bigframes": package, "bigframes.pandas": pandas, "notebook": module}
    saved = {name: sys.modules.get(name) for name in modules}
    sys.modules |= modules
    try:
        exec(compile(script, module.__name__, "exec"), module.__dict__)
    finally:
        for name, former in saved.items():
            if former is None:
                del sys.modules[name]
            else:
                sys.modules[name] = former
    return session


@contextmanager
def notebooks(client: Any) -> Iterator[list[str]]:
    """Run scripts for the notebook service in this process, and yield a list to which each script is appended."""
    from dbt.adapters.bigquery.impl import BigQueryAdapter
    from dbt.adapters.bigquery.python_submissions import PythonSubmissionResult

    scripts: list[str] = []

    class Service:
        def __init__(self, _model: dict[str, Any], credentials: Any) -> None:
            assert credentials.gcs_bucket, "the notebook service takes its files from a bucket"

        def submit(self, compiled_code: str) -> PythonSubmissionResult:
            scripts.append(compiled_code)
            run_script(compiled_code, client)
            return PythonSubmissionResult(run_id="here", compiled_code=compiled_code)

    theirs = BigQueryAdapter.python_submission_helpers
    BigQueryAdapter.python_submission_helpers = property(lambda _: {"bigframes": Service})
    try:
        yield scripts
    finally:
        BigQueryAdapter.python_submission_helpers = theirs
