"""Generate a sample warehouse: a Japanese freelance marketplace, with the data faults of real warehouses.

======================  =========================================================================
``write_sample(out)``   write the eight raw tables as Parquet files
``write_empty(out)``    write the eight tables without rows, as a start for other data
``LOAD_CLOCK``          the lines of seeds/load_clock.csv for the sample's bulk load
``SHARES``              the share of rows with each kind of fault or event
======================  =========================================================================
"""

from feature_mart.sample.empty import write_empty
from feature_mart.sample.shares import (
    BULK_LOADED_AT,
    ENDS_AT,
    LOAD_CLOCK,
    SHARES,
    STARTS_AT,
    TRUSTED_FROM,
    SampleClockLine,
)
from feature_mart.sample.write import SampleReport, write_sample

__all__ = [
    "BULK_LOADED_AT",
    "ENDS_AT",
    "LOAD_CLOCK",
    "SHARES",
    "STARTS_AT",
    "TRUSTED_FROM",
    "SampleClockLine",
    "SampleReport",
    "write_empty",
    "write_sample",
]
