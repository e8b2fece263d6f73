"""Test the kinds and times of the changes in a perturbed copy of a warehouse, and that earlier rows are unchanged."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import duckdb
import pytest

from feature_mart.audit.perturb import perturb_warehouse
from feature_mart.audit.raw_rows import RawWarehouse
from feature_mart.core.raw_contract import CONTRACT
from feature_mart.raw.warehouse import check_warehouse
from feature_mart.sample import write_sample

UNTIMED = ("categories", "job_skills")
STORM = datetime(2025, 6, 1, tzinfo=UTC)
#: The copy moves some loads from up to 60 days before STORM, so only rows loaded by this time must be unchanged.
CALM = STORM - timedelta(days=61)


@pytest.fixture(scope="module")
def warehouses(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, RawWarehouse]:
    folder = tmp_path_factory.mktemp("perturb")
    write_sample(folder / "natural", jobs=800, seed=4)
    natural = RawWarehouse(folder / "natural", {}, UNTIMED)
    copies = {
        name: perturb_warehouse(natural, folder / name, [STORM], seed)
        for name, seed in (("one", 1), ("again", 1), ("other", 2))
    }
    return {"natural": natural, **copies}


def rows(raw: RawWarehouse, table: str, where: str = "true") -> list[tuple[object, ...]]:
    with duckdb.connect() as con:
        con.execute("set TimeZone = 'UTC'")
        select = f"from ({raw.every_row()[table]}) where {where} order by all"
        return con.execute(select).fetchall()


def count(raw: RawWarehouse, table: str, where: str) -> int:
    return len(rows(raw, table, where))


def test_it_keeps_the_raw_contract(warehouses: Mapping[str, RawWarehouse]) -> None:
    check_warehouse(warehouses["one"].folder)


@pytest.mark.parametrize("table", CONTRACT)
def test_a_seed_gives_the_same_rows_again_and_another_seed_others(
    warehouses: Mapping[str, RawWarehouse], table: str
) -> None:
    one, again, other = (rows(warehouses[name], table) for name in ("one", "again", "other"))
    assert one == again
    assert (one != other) == (table not in {"categories"})


@pytest.mark.parametrize("table", sorted(set(CONTRACT) - set(UNTIMED)))
def test_nothing_that_was_loaded_long_before_the_storm_is_changed(
    warehouses: Mapping[str, RawWarehouse], table: str
) -> None:
    calm = f"loaded_at <= timestamptz '{CALM.isoformat()}'"
    natural, one = (rows(warehouses[name], table, calm) for name in ("natural", "one"))
    assert len(natural) > 20
    assert set(one) == set(natural), "only exact duplicates may be new"


@pytest.mark.parametrize("table", sorted(set(CONTRACT) - {*UNTIMED, "categories"}))
def test_what_happens_is_loaded_within_two_days_of_the_storm(
    warehouses: Mapping[str, RawWarehouse], table: str
) -> None:
    storm = (
        f"loaded_at between timestamptz '{STORM.isoformat()}' "
        f"and timestamptz '{STORM.isoformat()}' + interval 2 day"
    )
    key = next(iter(CONTRACT[table]))
    before = {row[0] for row in rows(warehouses["natural"], table)}
    happened = rows(warehouses["one"], table, storm)
    assert len(happened) > len(rows(warehouses["natural"], table, storm))
    assert any(row[0] in before for row in happened), f"no {key} was changed"


@pytest.mark.parametrize(
    ("table", "happens"),
    [
        ("contracts", "status = 'cancelled' and loaded_at >= {storm}"),
        ("contracts", "is_deleted and loaded_at >= {storm}"),
        ("contracts", "contract_id like 'x%' and contracted_at < {storm} - interval 20 day"),
        ("contracts", "contract_id like 'x%' and contracted_at > loaded_at"),
        ("jobs", "is_deleted and loaded_at >= {storm}"),
        ("jobs", "title like '%追記3000文字' and loaded_at >= {storm}"),
        ("jobs", "job_id like 'x%' and posted_at > loaded_at"),
        ("reviews", "is_deleted and loaded_at >= {storm}"),
        ("proposals", "proposal_id like 'x%'"),
        ("clients", "prefecture = '沖縄県' and loaded_at >= {storm}"),
    ],
)
def test_it_cancels_deletes_rewrites_and_comes_late_or_from_the_future(
    warehouses: Mapping[str, RawWarehouse], table: str, happens: str
) -> None:
    where = happens.format(storm=f"timestamptz '{STORM.isoformat()}'")
    natural = count(warehouses["natural"], table, where)
    assert count(warehouses["one"], table, where) > natural
