"""BigQuery as the engine: the client, what its errors mean, and the raw warehouse there.

============================  ======================================================================
``open_client(address)``       Google's own client, with bounded retries
``open_reader(address)``       Google's client for reading whole tables
``copy_table(…)``              a table as of a moment, into a Parquet file
``explained_errors(address)``  what Google says as an error that says what to do
``check_dataset(…)``           whether a raw dataset is as the contract says
``load_folder(…)``             a folder of Parquet files into a raw dataset
============================  ======================================================================
"""

from feature_mart.bigquery.client import ask, bounds, explained_errors, finish, open_client
from feature_mart.bigquery.errors import explain, is_transient
from feature_mart.bigquery.raw import check_dataset, first_loads, load_folder, sample_loaded_at
from feature_mart.bigquery.storage_read import copy_table, open_reader

__all__ = [
    "ask",
    "bounds",
    "check_dataset",
    "copy_table",
    "explain",
    "explained_errors",
    "finish",
    "first_loads",
    "is_transient",
    "load_folder",
    "open_client",
    "open_reader",
    "sample_loaded_at",
]
