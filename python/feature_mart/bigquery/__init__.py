"""BigQuery as the engine: the client, what its errors mean, and the raw warehouse there.

============================  ======================================================================
``open_client(address)``       Google's own client, with bounded retries
``explained_errors(address)``  what Google says as an error that says what to do
``check_dataset(…)``           whether a raw dataset is as the contract says
``load_folder(…)``             a folder of Parquet files into a raw dataset
============================  ======================================================================
"""

from feature_mart.bigquery.client import ask, bounds, explained_errors, finish, open_client
from feature_mart.bigquery.errors import explain, is_transient
from feature_mart.bigquery.raw import bulk_loads, check_dataset, load_folder, sample_loaded_at

__all__ = [
    "ask",
    "bounds",
    "bulk_loads",
    "check_dataset",
    "explain",
    "explained_errors",
    "finish",
    "is_transient",
    "load_folder",
    "open_client",
    "sample_loaded_at",
]
