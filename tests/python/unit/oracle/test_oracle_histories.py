"""Compare the oracle with a second computation, and test the random histories used in tests."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, date, datetime, timedelta
from functools import partial
from random import Random

from hypothesis import given, settings

from oracle import TABLES, Clock, Tables, World, expected_tables
from oracle.category_prices import NO_PRICES, state_of_category
from oracle.chain import by_key, state_changes
from oracle.changes import only_changes
from oracle.client_history import NO_HISTORY, chains_by_value, state_of_client
from oracle.contracts import frozen_category
from oracle.histories import WORLD, merged, random_universe, universe_of, universes
from oracle.reviews import reviews_by_client
from oracle.shapes import Shape
from oracle.staging import row_versions


def refreshes(first: date, last: datetime, clock: Clock) -> list[datetime]:
    """Return every refresh from the business day `first` to the time `last`."""
    out = []
    while (refresh := clock.refresh_of(first)) <= last:
        out.append(refresh)
        first += timedelta(days=1)
    return out


@settings(max_examples=25, deadline=None)
@given(universes())
def test_state_changes_at_no_refresh_that_was_not_looked_at(universe: Tables) -> None:
    found = expected_tables(universe, WORLD)
    daily = refreshes(date(2020, 10, 1), WORLD.as_of_at, WORLD.clock)
    jobs, contracts, clients, reviews = (
        row_versions(table, universe, WORLD)
        for table in ("jobs", "contracts", "clients", "reviews")
    )
    reviews_of = reviews_by_client(reviews, contracts, WORLD.clock)
    jobs_of, contracts_of = (chains_by_value(rows, "client_id") for rows in (jobs, contracts))
    for client_id, rows in by_key(found["feat_client__history"], "client_id").items():
        state_at = partial(
            state_of_client,
            client_id,
            clients.get(client_id, []),
            jobs_of.get(client_id, []),
            contracts_of.get(client_id, []),
            reviews_of.get(client_id, []),
        )
        every_day = state_changes(daily, state_at, NO_HISTORY, WORLD)
        assert rows == [{"client_id": client_id, **row} for row in every_day]

    members = defaultdict(list)
    for versions in contracts.values():
        frozen = frozen_category(versions, jobs.get(versions[0]["job_id"], []), WORLD.clock)
        if frozen is not None:
            members[frozen[1]].append((frozen[0], versions))
    for category_id, rows in by_key(found["feat_category__prices"], "category_id").items():
        category_at = partial(state_of_category, members[category_id])
        every_day = state_changes(daily, category_at, NO_PRICES, WORLD)
        assert rows == [{"category_id": category_id, **row} for row in every_day]


@settings(max_examples=25, deadline=None)
@given(universes())
def test_as_of_rows_are_there_where_a_column_changed_and_usable_after_the_publish_lag(
    universe: Tables,
) -> None:
    found = expected_tables(universe, WORLD)
    for table, of in TABLES.items():
        if of.nothing is not None:
            changed = only_changes(table, found[table], list(of.nothing))
            assert len(changed) == len(found[table]), table
            for row in found[table]:
                assert row["available_at"] == WORLD.clock.available_at(row["as_of_at"])


@settings(max_examples=50, deadline=None)
@given(universes())
def test_counts_equal_those_of_facts_that_enter_and_leave(universe: Tables) -> None:
    """Compute a contract count a second way: add 1 when a contract enters, and subtract 1 when it leaves."""
    first, infinity = WORLD.clock.refresh, datetime.max.replace(tzinfo=UTC)
    deltas: dict[str, dict[datetime, int]] = defaultdict(lambda: defaultdict(int))
    for versions in row_versions("contracts", universe, WORLD).values():
        last_seen = {first(version["known_at"]): version for version in versions}
        seen = sorted(last_seen)
        for seen_at, superseded_at in zip(seen, [*seen[1:], infinity], strict=True):
            fact = last_seen[seen_at]
            if fact["is_deleted"] or fact["status"] not in ("active", "completed"):
                continue
            enters_at = max(seen_at, first(fact["contracted_at"]))
            leaves_at = min(superseded_at, first(fact["contracted_at"] + timedelta(days=365)))
            if enters_at < leaves_at:
                deltas[fact["client_id"]][enters_at] += 1
                deltas[fact["client_id"]][leaves_at] -= 1
    for row in expected_tables(universe, WORLD)["feat_client__history"]:
        running = sum(
            delta for at_, delta in deltas[row["client_id"]].items() if at_ <= row["as_of_at"]
        )
        assert row["client_contract_count_365d"] == running


@settings(max_examples=50, deadline=None)
@given(universes())
def test_earlier_build_is_the_beginning_of_a_later_one(universe: Tables) -> None:
    earlier = World(as_of=WORLD.as_of - timedelta(days=200), load_clock=WORLD.load_clock)
    before, after = expected_tables(universe, earlier), expected_tables(universe, WORLD)
    for table in ("feat_client__history", "feat_category__prices", "feat_category__codes"):
        known_then = [row for row in after[table] if row["as_of_at"] <= earlier.as_of_at]
        assert before[table] == known_then
    for table in ("int_job__requests", "mart_price_estimation__features"):
        known_then = [row for row in after[table] if row["entered_at"] <= earlier.as_of_at]
        assert before[table] == known_then


def test_histories_keep_the_rules_of_the_raw_side() -> None:
    rng = Random(7)
    for number in range(300):
        universe = random_universe(rng, f"u{number}")
        for table in ("clients", "jobs", "contracts"):
            # Raise ValueError if rows of one key and load time differ.
            row_versions(table, universe, WORLD)
        job_of = defaultdict(set)
        for row in universe["contracts"]:
            job_of[row["contract_id"]].add(row["job_id"])
            price, status = row["agreed_price"], (row["status"] or "").strip().lower()
            assert price is None or status not in ("active", "completed") or price >= 1
        assert all(len(jobs) == 1 for jobs in job_of.values())


def test_histories_are_the_same_for_the_same_seed_and_reach_every_case() -> None:
    many = merged(random_universe(Random(n), f"u{n}") for n in range(200))
    assert many == merged(random_universe(Random(n), f"u{n}") for n in range(200))
    training = expected_tables(many, WORLD)["mart_price_estimation__training"]
    assert {row["exclusion_reason"] for row in training} == {
        None,
        "label_not_yet_known",
        "job_deleted",
        "label_known_before_request",
        "contract_deleted",
        "void",
        "cancelled",
        "price_missing",
    }
    available = {row["requested_at"] for row in training if row["requested_at"].hour == 19}
    assert available, "requests exactly at an available_at"


def test_smaller_shape_of_a_seed_is_the_same_history_with_less_in_it() -> None:
    large = universe_of(Shape(jobs=5, contracts=6, versions=4, has_changes=True), 3, "u")
    small = universe_of(Shape(jobs=5, contracts=2, versions=2, has_changes=True), 3, "u")
    assert len(small["contracts"]) < len(large["contracts"])
    assert all(row in large["contracts"] for row in small["contracts"])
