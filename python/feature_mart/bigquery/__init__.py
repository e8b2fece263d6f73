"""Access BigQuery: open clients, translate error messages, and check and load raw datasets.

============================  ======================================================================
``open_client(address)``       return Google's client for queries
``open_reader(address)``       yield Google's client for reading whole tables
``copy_table(…)``              copy a table as of a timestamp to a Parquet file
``explained_errors(address)``  turn Google's errors into errors that say what to do
``check_dataset(…)``           check a raw dataset against the raw contract
``load_folder(…)``             load a folder of Parquet files into a raw dataset
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
