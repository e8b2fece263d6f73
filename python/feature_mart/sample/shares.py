"""Define the time span of the sample, the share of rows with each kind of fault, and the sample's load clock."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

#: Three years, from midnight to midnight in Tokyo. Jobs are posted in this span, and nothing is loaded after `ENDS_AT`.
STARTS_AT = "2023-03-31 15:00:00+00"
ENDS_AT = "2026-03-31 15:00:00+00"
DAYS = 1096
#: The weekday of `STARTS_AT` in Tokyo, Monday = 0: 1 April 2023 was a Saturday.
FIRST_WEEKDAY = 5

#: The warehouse was opened after half a year, with one bulk load of the state at that time. Every load before
#: `TRUSTED_FROM` gets this time instead. The time is five minutes before `TRUSTED_FROM`, because a row is loaded at
#: least five minutes after its event. Therefore no row of the bulk load has an event after the bulk load.
BULK_LOADED_AT = "2023-09-30 17:55:00+00"
#: From this time on `loaded_at` can be trusted. The nightly load at exactly this time is the first trusted one.
TRUSTED_FROM = "2023-09-30 18:00:00+00"
BULK_TABLES = ("clients", "contracts", "freelancers", "jobs", "proposals", "reviews")
ASSUMED_LAG_HOURS = 24


class SampleClockLine(NamedTuple):
    """A line of seeds/load_clock.csv for the sample, with the columns in the order of the file."""

    table: str
    trusted_from: str
    assumed_lag_hours: int
    note: str
    untrusted_from: str = ""

    def seed_line(self, warehouse: str = "sample") -> str:
        """Return the line as CSV, without a line break."""
        fields = (
            warehouse,
            self.table,
            self.trusted_from,
            str(self.assumed_lag_hours),
            self.note,
            self.untrusted_from,
        )
        return ",".join(f'"{field}"' if field else "" for field in fields)


LOAD_CLOCK = tuple(
    SampleClockLine(
        table,
        TRUSTED_FROM,
        ASSUMED_LAG_HOURS,
        "the sample's warehouse was opened with one bulk load",
    )
    for table in BULK_TABLES
)

#: The fraction (0 to 1) of rows with each kind of fault or event, among the rows that can have the fault or event.
SHARES: Mapping[str, float] = MappingProxyType(
    {
        # Rows that are loaded late, and rows that are duplicated.
        "loaded_late": 0.08,
        "exact_duplicate": 0.005,
        # Clients and freelancers.
        "registration_unknown": 0.015,
        "prefecture_missing": 0.05,
        "client_changed": 0.04,
        "freelancer_changed": 0.02,
        # Jobs.
        "posted_round_midnight": 0.04,
        "posted_at_midnight": 0.003,
        "category_missing": 0.008,
        "category_is_parent": 0.03,
        "job_hourly": 0.14,
        "title_missing": 0.003,
        "title_english": 0.08,
        "title_comma": 0.25,
        "title_full_width": 0.20,
        "title_half_width_kana": 0.05,
        "title_emoji": 0.05,
        "description_missing": 0.015,
        "description_html": 0.20,
        "budget_missing": 0.25,
        "budget_only_max": 0.12,
        "budget_only_min": 0.06,
        "deadline_missing": 0.12,
        "job_deadline_moved": 0.10,
        "job_closed": 0.90,
        "job_recategorised": 0.01,
        "job_deleted": 0.01,
        "skill_listed_twice": 0.003,
        # Contracts. A contract that is not void, cancelled or left active is completed.
        "job_contracted": 0.62,
        "job_contracted_twice": 0.04,
        "contract_by_other_client": 0.03,
        "contract_freelancer_unknown": 0.01,
        "contract_future_dated": 0.015,
        "contract_round_midnight": 0.04,
        "contract_repriced": 0.06,
        "contract_void": 0.015,
        "void_from_the_start": 0.50,
        "void_at_zero": 0.75,
        "contract_cancelled": 0.07,
        "contract_left_active": 0.10,
        "contract_deleted": 0.005,
        # Proposals and reviews.
        "proposal_price_missing": 0.04,
        "proposal_withdrawn": 0.012,
        "review_by_client": 0.80,
        "review_by_freelancer": 0.60,
        "rating_missing": 0.005,
    }
)
