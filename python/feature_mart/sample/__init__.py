"""A sample warehouse: a Japanese freelance marketplace, with the dirt that real warehouses have.

======================  =========================================================================
``write_sample(out)``   the eight raw tables as Parquet files
``LOAD_CLOCK``          the lines of seeds/load_clock.csv that go with its bulk-loaded past
``SHARES``              how much of each kind of dirt there is
======================  =========================================================================
"""

from feature_mart.sample.shares import (
    BULK_LOADED_AT,
    ENDS_AT,
    LOAD_CLOCK,
    SHARES,
    STARTS_AT,
    TRUSTED_FROM,
    LoadClockLine,
)
from feature_mart.sample.write import SampleReport, write_sample

__all__ = [
    "BULK_LOADED_AT",
    "ENDS_AT",
    "LOAD_CLOCK",
    "SHARES",
    "STARTS_AT",
    "TRUSTED_FROM",
    "LoadClockLine",
    "SampleReport",
    "write_sample",
]
