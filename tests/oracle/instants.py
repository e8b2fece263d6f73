"""Generate random universes with timestamps at which errors are likely; written independently of `histories`.

A universe has one or two clients and categories, and a few jobs and contracts, each with up to four versions. All ids
of a universe begin with its prefix, so thousands of universes fit into one warehouse. Many timestamps are on a refresh,
on the time from which the rows of a refresh may be used, on a midnight of the business zone, or a microsecond from one
of these. Many events are 90 or 365 days after the first refresh, or a few days more or less, near the ends of windows.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from random import Random

from . import voices
from .clock import LoadClockLine, Row

_FIRST_REFRESH = datetime(2024, 1, 1, 18, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
#: The end of the load clock's first period for jobs and clients. Earlier load times of these tables are not trusted.
TRUSTED_FROM = _FIRST_REFRESH + timedelta(days=3)
#: The start and end of a later period, of one day, in which load times of jobs and contracts are not trusted.
_BULK = (_FIRST_REFRESH + timedelta(days=11), _FIRST_REFRESH + timedelta(days=12))
LOAD_CLOCK: Mapping[str, LoadClockLine | tuple[LoadClockLine, ...]] = {
    "jobs": (LoadClockLine(TRUSTED_FROM, 24), LoadClockLine(_BULK[1], 0, _BULK[0])),
    "contracts": LoadClockLine(_BULK[1], 30, _BULK[0]),
    "clients": LoadClockLine(TRUSTED_FROM, 0),
}
#: Refreshes to build: early ones, some near the ends of windows, and one after the last load.
AS_OF = tuple(_FIRST_REFRESH + timedelta(days=days) for days in (2, 9, 14, 91, 100, 367, 380, 800))

_DAYS = (0, 0, 1, 2, 3, 4, 5, 6, 8, 10, 12, 88, 89, 90, 91, 98, 364, 365, 366)
_STATUS = ("active", "active", "completed", "cancelled", "void", " Completed", None)
_PRICES = (1, 2, 999, 1000, 1001, 1051, 1052, 20_000, 123_456, 17_600_000_000)


def instant(rng: Random) -> datetime:
    """Return a random timestamp, often on or next to a refresh, an ``available_at`` or a midnight."""
    day = _FIRST_REFRESH + timedelta(days=rng.choice(_DAYS))
    kind = rng.randrange(8)
    if kind == 0:
        return day
    if kind == 1:
        return day + rng.choice((-_MICROSECOND, _MICROSECOND))
    if kind == 2:
        return day + timedelta(minutes=60) + rng.choice((-1, 0, 1)) * _MICROSECOND
    if kind == 3:
        return day - timedelta(hours=3) + rng.choice((-1, 0, 1)) * _MICROSECOND
    return day + timedelta(seconds=rng.randrange(86_400), microseconds=rng.choice((0, 1, 999_999)))


def _load_after(rng: Random, event: datetime) -> datetime:
    """Return a load time: usually within 25 hours of the event, sometimes up to 100 days later, rarely before it."""
    kind = rng.randrange(10)
    if kind < 6:
        return event + timedelta(seconds=rng.randrange(1, 90_000))
    if kind < 9:
        return event + timedelta(days=rng.randrange(1, 100), seconds=rng.randrange(86_400))
    return event - timedelta(hours=rng.randrange(1, 240))


def _versions(rng: Random, first: Row, event: str, changes: list[tuple[str, object]]) -> list[Row]:
    """Return a first row and up to three later versions, and sometimes an exact duplicate, in random order.

    Args:
        rng: the random generator.
        first: the first row, without ``loaded_at``.
        event: the column with the time of the event.
        changes: pairs of a column and its new value, or a function that draws the new value. Each later version applies
            one randomly chosen pair.
    """
    rows = [first | {"loaded_at": _load_after(rng, first[event] or instant(rng))}]
    for _ in range(rng.choice((0, 0, 1, 1, 2, 3))):
        column, change = rng.choice(changes)
        value = change(rng) if callable(change) else change
        loaded_at = rows[-1]["loaded_at"] + rng.choice(
            (
                timedelta(minutes=1),
                timedelta(hours=rng.randrange(1, 30)),
                timedelta(days=rng.randrange(1, 40)),
            )
        )
        rows.append(rows[-1] | {column: value, "loaded_at": loaded_at})
    if rng.random() < 0.15:
        rows.append(dict(rng.choice(rows)))  # an exact duplicate
    rng.shuffle(rows)
    return rows


def random_universe(rng: Random, prefix: str) -> dict[str, list[Row]]:
    """Return the raw rows of a universe, by table.

    Rows with the same key and ``loaded_at`` are exact duplicates. The price of an active or completed contract is
    above 0 or NULL, and the job of a contract never changes.
    """
    clients = [f"{prefix}C{n}" for n in range(rng.choice((1, 1, 2)))]
    categories = [f"{prefix}K{n}" for n in range(rng.choice((1, 2)))]
    jobs = [f"{prefix}J{n}" for n in range(rng.randrange(1, 6))]
    out: dict[str, list[Row]] = {"clients": [], "jobs": [], "job_skills": [], "contracts": []}

    def a_client(rng: Random) -> str:
        return rng.choice(clients)

    def a_category(rng: Random) -> str | None:
        return rng.choice([*categories, *categories, None])

    def a_price(rng: Random) -> int | None:
        return rng.choice([*_PRICES, None])

    for client_id in clients[: rng.choice((1, 1, 2, 0))]:
        registered_at = rng.choice((instant(rng), instant(rng) - timedelta(days=400), None))
        first = {"client_id": client_id, "registered_at": registered_at, "is_deleted": False}
        changes = [("registered_at", instant), ("registered_at", None), ("is_deleted", True)]
        out["clients"] += _versions(rng, first, "registered_at", changes)

    for job_id in jobs:
        posted_at = instant(rng)
        low, high = rng.choice(((None, None), (1000, 2000), (5000, None), (None, 800), (0, 0)))
        first = {
            "job_id": job_id,
            "client_id": a_client(rng),
            "category_id": a_category(rng),
            "title": rng.choice(
                (
                    "記事作成 10記事",
                    "ＬＰ１枚 制作",
                    "Logo 🎨 ß İstanbul",
                    f"{prefix} 記事",
                    "",
                    None,
                )
            ),
            "description": rng.choice(("<p>ß İ</p>", None)),
            "job_type": rng.choice(("fixed", "Hourly ", None)),
            "budget_min": low,
            "budget_max": high,
            "posted_at": posted_at,
            "apply_deadline_at": rng.choice((posted_at + timedelta(days=7), instant(rng), None)),
            "status": "open",
            "is_deleted": rng.random() < 0.03,
        }
        changes = [
            ("client_id", a_client),
            ("category_id", a_category),
            ("posted_at", instant),
            ("apply_deadline_at", instant),
            ("status", "closed"),
            ("is_deleted", True),
            ("is_deleted", False),
        ]
        # Some jobs have no row, so that contracts refer to an unknown job.
        if rng.random() < 0.93:
            out["jobs"] += _versions(rng, first, "posted_at", changes)
        for skill in rng.sample(("sql", "dbt", "python"), rng.choice((0, 0, 1, 2))):
            loaded_at = rng.choice((None, None, _load_after(rng, posted_at)))
            out["job_skills"].append(
                {
                    "job_id": job_id,
                    "skill": skill,
                    "loaded_at": loaded_at,
                    "is_deleted": rng.random() < 0.1,
                }
            )

    for number in range(rng.randrange(0, 7)):
        price, status = a_price(rng), rng.choice(_STATUS)
        contracted_at = instant(rng)
        first = {
            "contract_id": f"{prefix}A{number}",
            "job_id": rng.choice(jobs),
            "client_id": a_client(rng),
            "freelancer_id": rng.choice((f"{prefix}F0", f"{prefix}F1", None)),
            "agreed_price": price,
            "contracted_at": contracted_at,
            "status": status,
            "is_deleted": False,
        }
        changes = [
            ("agreed_price", a_price),
            ("status", "cancelled"),
            ("status", "completed"),
            ("status", "void"),
            ("agreed_price", 0),
            ("contracted_at", instant),
            ("client_id", a_client),
            ("freelancer_id", f"{prefix}F1"),
            ("is_deleted", True),
            ("is_deleted", False),
        ]
        rows = _versions(rng, first, "contracted_at", changes)
        if rng.random() < 0.2:
            # A tie: this contract is loaded at the same time as another contract.
            others = [row["loaded_at"] for row in out["contracts"]]
            if others and not any(row["loaded_at"] in others for row in rows[1:]):
                newest = max(row["loaded_at"] for row in rows)
                tied = rng.choice(others)
                if len({row["loaded_at"] for row in rows}) == 1 and tied < newest:
                    rows = [row | {"loaded_at": tied} for row in rows]
        out["contracts"] += [_priced(row) for row in rows]
    out["proposals"] = voices.proposals(rng, prefix, out["jobs"], instant, _loads)
    out["reviews"] = voices.reviews(rng, prefix, out["contracts"], instant, _loads)
    return out


def _loads(rng: Random, event: datetime) -> list[datetime]:
    """Return one to three load times of a key, ascending and distinct."""
    loads = [_load_after(rng, event)]
    for _ in range(rng.choice((0, 0, 1, 2))):
        loads.append(loads[-1] + timedelta(hours=rng.randrange(1, 400)))
    return loads


def _priced(contract: Row) -> Row:
    """Return a contract. A price of 0, which the raw contract forbids for active and completed ones, becomes NULL."""
    is_counted = (contract["status"] or "").strip().lower() in ("active", "completed")
    return (
        contract | {"agreed_price": None}
        if is_counted and contract["agreed_price"] == 0
        else contract
    )


def merge(universes: list[dict[str, list[Row]]]) -> dict[str, list[Row]]:
    """Return the rows of all universes as one warehouse."""
    tables: dict[str, list[Row]] = {}
    for universe in universes:
        for table, rows in universe.items():
            tables.setdefault(table, []).extend(rows)
    return tables
