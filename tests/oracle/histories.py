"""Generate small random histories (universes) with late, future, corrected, deleted and duplicated rows.

All ids of a universe begin with its prefix, so many universes fit into one warehouse (``merged``). Each job, contract
and client has its own random generator, from which later versions are drawn last. So most rows stay the same if the
seed is kept and the ``Shape`` gets smaller, which helps hypothesis to shrink a failing example.

In every universe, rows with the same key and ``loaded_at`` are exact duplicates, the job of a contract never changes,
and the price of an active or completed contract is above 0 or NULL.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

from hypothesis import strategies as st

from . import voices
from .clock import Clock, LoadClockLine, Row, World
from .shapes import FLAGS, Shape, random_shape
from .warehouse import COLUMNS

Universe = dict[str, list[Row]]

TABLES = tuple(COLUMNS)
BULK_LOADED_AT = datetime(2024, 1, 31, 1, 30, tzinfo=UTC)
TRUSTED_FROM = datetime(2024, 1, 31, 15, 0, tzinfo=UTC)  # a midnight in Tokyo
AGAIN_FROM, AGAIN_TO = (datetime(2024, 4, 30, hour, 0, tzinfo=UTC) for hour in (15, 19))
FIRST_DAYS = (date(2023, 11, 6), date(2024, 1, 22), date(2024, 2, 27))
WORLD = World(
    as_of=datetime(2025, 3, 19, 18, 0, tzinfo=UTC),  # the refresh of 20 March in Tokyo
    load_clock={
        "clients": (LoadClockLine(TRUSTED_FROM, 0), LoadClockLine(AGAIN_TO, 24, AGAIN_FROM)),
        "freelancers": LoadClockLine(AGAIN_TO, 0, AGAIN_FROM),
        "jobs": (LoadClockLine(TRUSTED_FROM, 1), LoadClockLine(AGAIN_TO, 6, AGAIN_FROM)),
        "proposals": LoadClockLine(TRUSTED_FROM, 6),
        "contracts": (LoadClockLine(TRUSTED_FROM, 24), LoadClockLine(AGAIN_TO, 24, AGAIN_FROM)),
        "reviews": LoadClockLine(TRUSTED_FROM, 24),
    },
)

US, MINUTE, HOUR, DAY = (timedelta(microseconds=us) for us in (1, 60e6, 3600e6, 86400e6))
# Days of events, counted from the first day of a universe; about half are near the ends of the 90- and 365-day windows.
DAYS = (0, 0, 0, 1, 1, 2, 3, 30, 88, 89, 90, 90, 91, 180, 363, 364, 365, 365, 366, 367, 400)
TITLES = ("", "ＬＰ制作 3枚", "<b>記事作成</b> 10記事", "翻訳𠮷野家", "  bug fix ")


def random_universe(rng: Random, prefix: str, world: World = WORLD) -> Universe:
    """Return the raw tables of a random universe, with the prefix at the start of all ids."""
    shape = random_shape(rng)
    return universe_of(shape, rng.getrandbits(32), prefix, world)


@st.composite
def universes(draw: st.DrawFn, prefix: str = "u0", world: World = WORLD) -> Universe:
    """Draw a universe from a shape and a seed; hypothesis shrinks a universe to fewer rows and irregularities."""
    shape = Shape(
        jobs=draw(st.integers(1, 5)),
        contracts=draw(st.integers(0, 6)),
        versions=draw(st.integers(1, 4)),
        clients=draw(st.integers(1, 2)),
        categories=draw(st.integers(1, 2)),
        **{name: draw(st.booleans()) for name in FLAGS},
    )
    return universe_of(shape, draw(st.integers(0, 2**32 - 1)), prefix, world)


@st.composite
def warehouses(
    draw: st.DrawFn, max_universes: int = 8, min_universes: int = 1, world: World = WORLD
) -> Universe:
    """Draw up to ``max_universes`` universes in one warehouse, with the prefixes u0, u1, and so on."""
    count = draw(st.integers(min_universes, max_universes))
    return merged(draw(universes(f"u{number}", world)) for number in range(count))


def merged(many: Iterable[Universe]) -> Universe:
    """Return the rows of all universes as one warehouse, with all eight tables."""
    out: Universe = {table: [] for table in TABLES}
    for universe in many:
        for table, rows in universe.items():
            out[table] += rows
    return out


def universe_of(shape: Shape, seed: int, prefix: str, world: World = WORLD) -> Universe:
    """Return the universe of a shape and a seed, with its rows in random order."""
    builder = _Builder(shape, seed, prefix, world.clock)
    universe: Universe = {table: [] for table in TABLES}
    universe["categories"] = [
        {"category_id": f"{prefix}-cat{i}", "parent_category_id": None, "name": f"区分{i}"}
        for i in range(shape.categories)
    ]
    for number in range(shape.clients):
        universe["clients"] += builder.client(number)
    for number in range(2):
        universe["freelancers"] += builder.freelancer(number)
    for number in range(shape.jobs):
        universe["jobs"] += builder.job(number)
        universe["job_skills"] += builder.skills(number)
    for number in range(shape.contracts):
        universe["contracts"] += builder.contract(number)
    universe["proposals"] = builder.voices(voices.proposals, "jobs", universe)
    universe["reviews"] = builder.voices(voices.reviews, "contracts", universe)
    if shape.has_duplicates:
        for table in ("clients", "jobs", "job_skills", "contracts"):
            rows = universe[table]
            rng = builder.rng("duplicates", table)
            rows += [dict(rng.choice(rows)) for _ in range(rng.randint(0, 3)) if rows]
    for table, rows in universe.items():
        builder.rng("order", table).shuffle(rows)
    return universe


class _Builder:
    """Generate the versions of each key of one universe."""

    def __init__(self, shape: Shape, seed: int, prefix: str, clock: Clock) -> None:
        self.shape, self.seed, self.prefix, self.clock = shape, seed, prefix, clock
        self.zone = ZoneInfo(clock.zone)
        self.built_jobs: dict[int, list[Row]] = {}
        rng = self.rng("days")
        self.first_day = FIRST_DAYS[0] if shape.is_bulk_loaded else rng.choice(FIRST_DAYS)
        self.days: Sequence[int] = rng.sample(DAYS, 3) if shape.has_ties else DAYS

    def rng(self, *of: object) -> Random:
        """Return a random generator for one key or purpose, which does not depend on other draws of the universe."""
        return Random(f"{self.seed}/{of}")

    # --- timestamps

    def event_at(self, rng: Random) -> datetime:
        """Return the time of an event, usually at or near a refresh, an ``available_at`` or a midnight."""
        day = self.first_day + timedelta(days=rng.choice(self.days))
        if self.shape.is_bulk_loaded and rng.random() < 0.5:
            day -= timedelta(days=rng.choice((0, 1, 89, 90, 91, 365)))
        midnight = datetime.combine(day, time(), self.zone).astimezone(UTC)
        refresh = self.clock.refresh_of(day)
        mark = rng.choice((midnight, refresh, refresh, self.clock.available_at(refresh)))
        if self.shape.has_ties:
            return mark
        return mark + rng.choice((-HOUR, -US, 0 * US, 0 * US, US, MINUTE, 7 * HOUR))

    def first_loaded_at(self, rng: Random, event_at: datetime) -> datetime:
        """Return the first load time of a key, usually at or after the event."""
        if self.shape.is_bulk_loaded and event_at < TRUSTED_FROM and rng.random() < 0.8:
            # Edge cases: loaded just before or at the end of the period, or exactly one possible lag after the event.
            exact = event_at + rng.choice((0, 1, 24)) * HOUR
            edges = (TRUSTED_FROM - US, TRUSTED_FROM, exact)
            return rng.choice((BULK_LOADED_AT, BULK_LOADED_AT, *edges))
        if self.shape.has_second_bulk and event_at < AGAIN_TO and rng.random() < 0.6:
            exact = event_at + rng.choice((0, 6, 24)) * HOUR
            edges = (AGAIN_FROM - US, AGAIN_FROM, AGAIN_TO - US, AGAIN_TO, exact)
            return rng.choice((AGAIN_FROM + HOUR, AGAIN_FROM + HOUR, *edges))
        if self.shape.has_late and rng.random() < 0.3:
            return event_at + rng.choice((30, 89, 90, 91, 365, 366)) * DAY
        if self.shape.has_future and rng.random() < 0.3:
            return event_at - rng.choice((US, HOUR, DAY, 90 * DAY, 400 * DAY))
        return self.a_bit_after(rng, event_at)

    def a_bit_after(self, rng: Random, instant: datetime) -> datetime:
        """Return ``instant`` or a time up to about a day later, often on or just after the next refresh."""
        refresh = self.clock.refresh(instant)
        on_or_past = (refresh, refresh, refresh + US, instant + DAY)
        return rng.choice((instant, instant + MINUTE, *on_or_past))

    def loads(self, rng: Random, event_at: datetime) -> list[datetime]:
        """Return the load times of a key, ascending and distinct, at most as many as the shape allows."""
        loaded_at = self.first_loaded_at(rng, event_at)
        out = [loaded_at]
        for _ in range(rng.choice((0, 0, 1, 2, 3))):
            refresh = self.clock.refresh(loaded_at + US)
            later = (US, MINUTE, HOUR, DAY, 3 * DAY, 89 * DAY, 365 * DAY, refresh - loaded_at)
            loaded_at += rng.choice(later)
            out.append(loaded_at)
        return out[: self.shape.versions]

    # --- values

    def or_null(self, rng: Random, value: Any) -> Any:
        """Return the value, or sometimes None if the shape has NULLs."""
        is_null = rng.random() < 0.25
        return None if is_null and self.shape.has_nulls else value

    def client_id(self, rng: Random) -> str:
        """Return the id of a client of the universe; if the shape has strangers, sometimes of a client without rows."""
        number = rng.randrange(1000)
        if self.shape.has_strangers and number < 100:
            return f"{self.prefix}-unseen"
        return f"{self.prefix}-client{number % self.shape.clients}"

    def category_id(self, rng: Random) -> str | None:
        """Return the id of a category of the universe, or sometimes None if the shape has NULLs."""
        number = rng.randrange(1000) % self.shape.categories
        return f"{self.prefix}-cat{number}" if self.or_null(rng, True) else None

    def price(self, rng: Random, may_be_zero: bool) -> Decimal | None:
        """Return a price or, if the shape has NULLs, sometimes None.

        Many prices are equal, end in .5 or fall into neighbouring buckets of the quantiles. If `may_be_zero` is True,
        some prices are negative, 0, or round to 0.
        """
        amounts = ("1", "999.5", "1000.5", "50000", "50000", "52000", "1234567.499", "300000")
        unpriced = ("0", "-0.5", "0.499", "-100")
        is_unpriced = rng.random() < 0.4
        amount = rng.choice(unpriced) if is_unpriced and may_be_zero else rng.choice(amounts)
        return Decimal(amount) if self.or_null(rng, True) else None

    def versions(self, rng: Random, first: Row, loads: list[datetime], change: Any) -> list[Row]:
        """Return a row for each load time: the given row, then copies of the previous row with or without a change."""
        rows = [first | {"loaded_at": loads[0]}]
        for loaded_at in loads[1:]:
            row = rows[-1] | {"loaded_at": loaded_at}
            if self.shape.has_deletes and rng.random() < 0.25:
                row["is_deleted"] = not row["is_deleted"]
            if self.shape.has_changes and rng.random() < 0.85:
                row |= change(row)
            rows.append(row)
        return rows

    def is_deleted(self, rng: Random) -> bool | None:
        """Return ``is_deleted`` of a key's first version: False or None, rarely True if the shape has deletes."""
        if self.shape.has_deletes and rng.random() < 0.05:
            return True
        return False if rng.random() < 0.7 else None

    # --- keys

    def client(self, number: int) -> list[Row]:
        """Return the rows of a client. If the shape has strangers, sometimes return no rows."""
        rng = self.rng("client", number)
        if self.shape.has_strangers and rng.random() < 0.3:
            return []
        registered_at = self.event_at(rng) - rng.choice((0, 0, 1, 300)) * DAY
        loads = self.loads(rng, registered_at)
        first = {
            "client_id": f"{self.prefix}-client{number}",
            "client_kind": self.or_null(rng, rng.choice(("individual", "corporate", "public"))),
            "prefecture": self.or_null(rng, "東京都"),
            "registered_at": self.or_null(rng, registered_at),
            "is_deleted": self.is_deleted(rng),
        }

        def change(row: Row) -> Row:
            moved = self.or_null(rng, self.event_at(rng))
            return rng.choice(({"prefecture": "大阪府"}, {"registered_at": moved}))

        return self.versions(rng, first, loads, change)

    def freelancer(self, number: int) -> list[Row]:
        """Return the rows of a freelancer."""
        rng = self.rng("freelancer", number)
        registered_at = self.event_at(rng)
        first = {
            "freelancer_id": f"{self.prefix}-free{number}",
            "freelancer_kind": self.or_null(rng, "individual"),
            "registered_at": self.or_null(rng, registered_at),
            "is_deleted": None,
        }
        return self.versions(rng, first, self.loads(rng, registered_at), lambda _row: {})

    def job(self, number: int) -> list[Row]:
        """Return the rows of a job in order of load time. Every call returns the same rows."""
        if number not in self.built_jobs:
            self.built_jobs[number] = self.build_job(number)
        return self.built_jobs[number]

    def voices(self, make: Any, of: str, universe: Universe) -> list[Row]:
        """Return the proposals for jobs or the reviews of contracts, drawn from a separate random generator."""
        return list(
            make(self.rng(of, "voices"), self.prefix, universe[of], self.event_at, self.loads)
        )

    def build_job(self, number: int) -> list[Row]:
        """Return a job's rows. Versions may change status, deadline, client, category, time, or title and budget."""
        rng = self.rng("job", number)
        posted_at = self.event_at(rng)
        loads = self.loads(rng, posted_at)
        deadline_at = posted_at + rng.choice((0 * DAY, US, 3 * DAY, 7 * DAY + HOUR, -HOUR))
        low = rng.choice(("0", "1", "999.5", "5000", "-3"))
        high = rng.choice(("0", "5000.5", "10000", "80000"))
        titles = (*TITLES, f"{self.prefix}記事")
        first = {
            "job_id": f"{self.prefix}-job{number}",
            "client_id": self.client_id(rng),
            "category_id": self.category_id(rng),
            "title": self.or_null(rng, rng.choice(titles)),
            "description": self.or_null(rng, rng.choice(("", "3000文字\n急募", "継続あり"))),
            "job_type": self.or_null(rng, rng.choice(("fixed", "hourly", " Fixed"))),
            "budget_min": self.or_null(rng, Decimal(low)),
            "budget_max": self.or_null(rng, Decimal(high)),
            "currency": self.or_null(rng, "JPY"),
            "posted_at": posted_at,
            "apply_deadline_at": self.or_null(rng, deadline_at),
            "status": self.or_null(rng, "open"),
            "is_deleted": self.is_deleted(rng),
        }

        def change(row: Row) -> Row:
            return rng.choice(
                (
                    {"status": "Closed "},
                    {"apply_deadline_at": deadline_at + DAY},
                    {"client_id": self.client_id(rng)},
                    {"category_id": self.category_id(rng)},
                    {"posted_at": self.event_at(rng)},
                    {"title": "直した題", "budget_max": Decimal("12000")},
                )
            )

        return self.versions(rng, first, loads, change)

    def skills(self, number: int) -> list[Row]:
        """Return the rows of a job's skill sets."""
        return voices.skill_sets(self.rng("skills", number), self.job(number)[0], self.is_deleted)

    def contract(self, number: int) -> list[Row]:
        """Return the rows of a contract, whose job and currency never change."""
        rng = self.rng("contract", number)
        job_number = rng.randrange(1000)
        if self.shape.has_strangers and job_number < 50:
            job_id, client_id = f"{self.prefix}-nojob", self.client_id(rng)
            contracted_at = self.event_at(rng)
        else:
            job = self.job(job_number % self.shape.jobs)[0]
            job_id, client_id = job["job_id"], job["client_id"]
            soon_after = job["posted_at"] + rng.choice((0 * US, US, HOUR, DAY, 13 * DAY))
            contracted_at = rng.choice((self.event_at(rng), soon_after))
        statuses = ["active", "active", "active", " Completed", "cancelled", "VOID "]
        status = rng.choice(statuses + [None, "disputed"] * self.shape.has_nulls)
        first = {
            "contract_id": f"{self.prefix}-con{number}",
            "job_id": job_id,
            "client_id": client_id,
            "freelancer_id": self.or_null(rng, f"{self.prefix}-free{rng.randrange(3)}"),
            "agreed_price": self.price(rng, _may_be_zero(status)),
            "currency": self.or_null(rng, "JPY"),
            "contracted_at": contracted_at,
            "status": status,
            "is_deleted": self.is_deleted(rng),
        }

        def change(row: Row) -> Row:
            new: Row = rng.choice(
                (
                    {"status": "cancelled"},
                    {"status": rng.choice(("void", "completed", "Active"))},
                    {"agreed_price": self.price(rng, _may_be_zero(row["status"]))},
                    {"contracted_at": self.event_at(rng)},
                    {"client_id": self.client_id(rng)},
                    {"freelancer_id": self.or_null(rng, f"{self.prefix}-free{rng.randrange(3)}")},
                )
            )
            price = new.get("agreed_price", row["agreed_price"])
            if not _may_be_zero(new.get("status", row["status"])) and price is not None:
                new["agreed_price"] = price if price >= 1 else None
            return new

        return self.versions(rng, first, self.loads(rng, contracted_at), change)


def _may_be_zero(status: str | None) -> bool:
    return status is None or status.strip().lower() in ("cancelled", "void")
