"""Test the site's column profiles by comparison with counts made row by row, and the drawings of the profiles."""

from __future__ import annotations

import math
import re
import statistics
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from feature_mart.core.manifest import Consumer
from feature_mart.exporter import windows_between
from feature_mart.exporter.splits import plan_windows
from feature_mart.knowledge.site.facts import splits_of
from feature_mart.knowledge.site.plots import describe_profile, draw_profile, draw_profiles
from feature_mart.knowledge.site.profiles import Profile, finite, measure_profiles
from feature_mart.snapshot_files import instant_text

START = datetime(2025, 1, 1, tzinfo=UTC)
EDGES = [START + timedelta(days=day) for day in (0, 100, 150, 190)]
SPLITS = windows_between(EDGES, embargo_days=0)


@dataclass(frozen=True, slots=True)
class Row:
    day: int
    known_after: int
    value: float | None
    label: float
    is_excluded: bool = False

    @property
    def split(self) -> str | None:
        """Return the split of the row, or None if the row is in no split.

        A row is in no split if it is excluded, is requested from day 190 on, or is requested in train or validation
        and has a label known after the end of that split.
        """
        if self.is_excluded or self.day >= 190:
            return None
        name = "train" if self.day < 100 else "validation" if self.day < 150 else "test"
        end = {"train": 100, "validation": 150, "test": 10_000}[name]
        return name if self.day + self.known_after <= end else None


def profile_of(rows: Sequence[Row], kind: str = "double", value: str = "value") -> Profile:
    with duckdb.connect() as con:
        con.execute("set TimeZone = 'UTC'")
        con.execute(
            f"create table mart (requested_at timestamptz, label_known_at timestamptz, value {kind}, "
            "price double, exclusion_reason varchar)"
        )
        con.executemany(
            "insert into mart values (?, ?, ?, ?, ?)",
            [
                (
                    START + timedelta(days=row.day),
                    START + timedelta(days=row.day + row.known_after),
                    row.value,
                    row.label,
                    "void" if row.is_excluded else None,
                )
                for row in rows
            ],
        )

        def ask(sql: str) -> Sequence[tuple[Any, ...]]:
            return con.execute(sql.format(table="mart")).fetchall()

        (profile,) = measure_profiles(ask, {"value": value}, "price", SPLITS)
    return profile


rows = st.builds(
    Row,
    day=st.integers(0, 200),
    known_after=st.integers(0, 40),
    value=st.none() | st.integers(-5, 60).map(float) | st.floats(-1e6, 1e6),
    label=st.integers(0, 20).map(float),
    is_excluded=st.booleans(),
)


@given(st.lists(rows, min_size=1, max_size=60))
@settings(max_examples=60, deadline=None)
def test_rows_are_counted_by_the_definition(given_rows: list[Row]) -> None:
    profile = profile_of(given_rows)
    for split in ("train", "validation", "test"):
        of_split = [row for row in given_rows if row.split == split]
        known = [row.value for row in of_split if row.value is not None]
        assert profile.unknown[split] == len(of_split) - len(known)
        assert profile.rows(split) == len(of_split)
        assert math.isclose(sum(profile.bins[split].sums), sum(known), rel_tol=1e-9, abs_tol=1e-6)
    counted = [row for row in given_rows if row.split]
    assert sum(month.rows for month in profile.months) == len(counted)
    train = [row for row in counted if row.split == "train" and row.value is not None]
    assert sum(count for _, _, count in profile.label_groups) == len(train)
    told = sum(mean * count for _, mean, count in profile.label_groups)
    assert math.isclose(told, sum(row.label for row in train), abs_tol=1e-6)


@given(st.lists(st.integers(0, 30), min_size=3, max_size=50))
@settings(max_examples=40, deadline=None)
def test_medians_of_few_whole_numbers_are_exact(values: list[int]) -> None:
    profile = profile_of([Row(3, 0, float(value), 1.0) for value in values], "bigint")
    assert profile.quantile("train", 0.5) == statistics.median_low(values)
    (month,) = profile.months
    assert (month.number, month.median) == (2025 * 12, statistics.median_low(values))


@given(st.lists(st.floats(0, 1000), min_size=3, max_size=50))
@settings(max_examples=40, deadline=None)
def test_other_medians_are_within_a_bin(values: list[float]) -> None:
    profile = profile_of([Row(3, 0, value, 1.0) for value in values])
    found = profile.quantile("train", 0.5)
    width = profile.edges[1] - profile.edges[0]
    assert found is not None
    low, high = statistics.median_low(values), statistics.median_high(values)
    assert low - width - 1e-9 <= found <= high + width + 1e-9


def test_a_value_that_most_rows_have_is_the_median() -> None:
    values = [0.0] * 60 + [1 + each / 7 for each in range(40)]
    profile = profile_of([Row(3, 0, value, 1.0) for value in values])
    assert profile.quantile("train", 0.5) == 0.0


@given(st.lists(st.floats(-50, 50), min_size=1, max_size=30), st.floats(0, 1))
@settings(max_examples=60, deadline=None)
def test_no_quantile_lies_outside_the_column(values: list[float], share: float) -> None:
    found = profile_of([Row(3, 0, value, 1.0) for value in values]).quantile("train", share)
    assert found is not None and min(values) <= found <= max(values)


def test_what_is_no_number_is_unknown() -> None:
    odd = (math.nan, math.inf, -math.inf, 1e300)
    rows = [Row(3, 0, value, 1.0) for value in (*odd, 1.0, 2.0)]
    profile = profile_of(rows, value=finite("value"))
    assert (profile.unknown["train"], profile.bins["train"].known) == (4, 2)
    labels = profile_of([Row(3, 0, 1.0, math.nan), Row(3, 0, 2.0, 5.0)])
    assert math.isfinite(labels.label_mean) and draw_profile(labels, "price")


def test_booleans_count_as_0_and_1() -> None:
    rows = [Row(3, 0, value, 1.0) for value in (1.0, 1.0, 0.0, None)]
    profile = profile_of(rows, "boolean", "case when value then 1 when not value then 0 end")
    assert (profile.bins["train"].rows, profile.unknown["train"]) == ((1, 2), 1)


@pytest.mark.parametrize("shares", [(0.1, 0.2), (0.1, 0.0), (0.0, 0.2)])
@pytest.mark.parametrize("embargo_days", [0, 5])
def test_the_splits_are_those_that_the_snapshot_was_cut_by(
    shares: tuple[float, float], embargo_days: int
) -> None:
    consumer = Consumer(
        "c", "f", "t", "y", "regression", None, 0, *shares, embargo_days=embargo_days
    )
    days = [(START.date() + timedelta(days=day), 3) for day in range(60)]
    windows = plan_windows(days, consumer, ZoneInfo("Asia/Tokyo"))
    told = [
        {"name": w.name, "from": instant_text(w.start), "to": instant_text(w.end)} for w in windows
    ]
    assert splits_of({"splits": told, "embargo_days": embargo_days}) == windows


@pytest.mark.parametrize("value", [0.3, 7.0, -2.5])
def test_of_a_column_of_one_value_every_quantile_is_that_value(value: float) -> None:
    profile = profile_of([Row(3, 0, value, 1.0)] * 5)
    assert [profile.quantile("train", share) for share in (0.05, 0.5, 0.95)] == [value] * 3


def test_quantiles_of_whole_numbers_are_whole() -> None:
    profile = profile_of([Row(3, 0, float(value * value), 1.0) for value in range(99)], "bigint")
    found = [profile.quantile("train", share) for share in (0.05, 0.3, 0.5, 0.95)]
    assert all(value is not None and value.is_integer() for value in found)


@given(st.lists(st.integers(0, 300), min_size=3, max_size=60))
@settings(max_examples=40, deadline=None)
def test_medians_of_wider_whole_numbers_are_whole_and_near(values: list[int]) -> None:
    profile = profile_of([Row(3, 0, float(value), 1.0) for value in values], "bigint")
    found, width = profile.quantile("train", 0.5), profile.extent.width
    assert found is not None and found.is_integer()
    assert statistics.median_low(values) - width <= found <= statistics.median_high(values) + width


def test_codes_are_neither_in_order_nor_joined() -> None:
    rows = [Row(day % 90, 0, float(day % 3), float(day % 3 == 1)) for day in range(99)]
    with_order = profile_of(rows, "bigint")
    codes = replace(with_order, is_categorical=True)
    assert "3 codes, of which 0 is the most frequent (33%)" in describe_profile(codes, "price")
    assert "median" not in describe_profile(codes, "price")
    assert draw_profile(codes, "price").count("<path") < draw_profile(with_order, "price").count(
        "<path"
    )


def test_a_column_that_is_never_known_says_so() -> None:
    profile = profile_of([Row(3, 0, None, 1.0), Row(120, 0, None, 2.0)])
    assert profile.edges == () and profile.months[0].median is None
    assert describe_profile(profile, "price") == "value is NULL in every row."


VARIED = [Row(day, 1, None if day % 9 == 0 else day % 17 + day / 50, day % 5) for day in range(199)]


def test_a_drawing_is_small_grey_told_in_words_and_the_same_again() -> None:
    profile = profile_of(VARIED)
    svg = draw_profile(profile, "price")
    root = ET.fromstring(svg)
    assert float(root.attrib["width"].removesuffix("pt")) / 72 * 96 <= 480
    assert len(svg) < 30_000
    colours = set(re.findall(r"#[0-9a-f]{6}", svg))
    assert colours and all(colour[1:3] == colour[3:5] == colour[5:7] for colour in colours)
    title, words = root[0], root[1]
    assert (title.text, words.text) == ("value", describe_profile(profile, "price"))
    assert "median" in str(words.text) and "unknown 12% of train" in str(words.text)
    # The SVG does not depend on earlier drawings or on the process.
    flat = profile_of([Row(3, 0, 1.0, 1.0)])
    assert draw_profiles([(flat, "price"), (profile, "price")])[1] == svg
    late = profile_of([Row(3, 0, None, 1.0), *(Row(150, 0, each / 9, 2.0) for each in range(20))])
    alone = draw_profiles([(late, "price")])
    assert draw_profiles([(late, "price"), (profile, "price"), (late, "price")])[2:] == alone
    assert "unknown there" in alone[0]
    assert draw_profiles([(profile, "price")] * 41)[40] == svg


@pytest.mark.parametrize("name", ["train", "validation", "test"])
def test_a_drawing_shows_every_split(name: str) -> None:
    assert f">{name}</text>" in draw_profile(profile_of(VARIED), "price")


def test_what_lies_far_out_is_in_the_last_bin_and_no_row_is_lost() -> None:
    profile = profile_of([Row(3, 0, value, 1.0) for value in [*map(float, range(99)), 1e9]])
    assert profile.bins["train"].known == 100
    assert profile.bins["train"].rows[-1] == 1
