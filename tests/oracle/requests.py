"""Compute the spine, the skills of jobs, and features with one row per spine row."""

from __future__ import annotations

from collections import defaultdict

from .category_prices import NO_CODE, NO_PRICES
from .chain import by_key, values_at
from .client_history import NO_HISTORY, Chains
from .clock import Row, Tables, World
from .demand import NO_DEMAND
from .numbers import days_between, fixed_log
from .staging import cleaned

REQUEST_COLUMNS = (
    "job_id",
    "client_id",
    "category_id",
    "title",
    "description",
    "job_type",
    "budget_min_amount",
    "budget_max_amount",
    "apply_deadline_at",
    "requested_at",
    "known_at",
    "entered_at",
    "is_known_at_assumed",
)


def job_requests(jobs: Chains, world: World) -> list[Row]:
    """Return the spine: the first known version of each job that was known and posted by the build's refresh."""
    rows = []
    for job_id in sorted(jobs):
        first = jobs[job_id][0]
        # Rounding up to a refresh keeps the order of times, so this is the later of the refreshes for known_at and
        # posted_at.
        entered_at = world.clock.refresh(max(first["known_at"], first["posted_at"]))
        if entered_at <= world.as_of_at:
            row = first | {"requested_at": first["posted_at"], "entered_at": entered_at}
            rows.append({column: row[column] for column in REQUEST_COLUMNS})
    return rows


def job_skills(requests: list[Row], tables: Tables) -> list[Row]:
    """Return a row with job_id, entered_at and skill for each skill in the first known skill set of a job.

    A set that was known only after the job's entry is ignored. Deleted skills are left out.
    """
    raw_of: dict[str, list[Row]] = defaultdict(list)
    for raw in tables.get("job_skills", []):
        raw_of[raw["job_id"]].append(cleaned(raw))
    rows = []
    for request in requests:
        # Skills without a load time count as known with the first version of the job.
        known = [
            (request["known_at"] if raw.get("loaded_at") is None else raw["loaded_at"], raw)
            for raw in raw_of.get(request["job_id"], [])
        ]
        first_known_at = min((known_at for known_at, _ in known), default=None)
        if first_known_at is None or first_known_at > request["entered_at"]:
            continue
        first_set = {
            raw["skill"]
            for known_at, raw in known
            if known_at == first_known_at and not raw["is_deleted"]
        }
        own = {name: request[name] for name in ("job_id", "entered_at")}
        rows += [own | {"skill": skill} for skill in sorted(first_set)]
    return rows


def identity(request: Row) -> Row:
    """Return the columns that every table `feat_job__*` has."""
    return {name: request[name] for name in ("job_id", "requested_at", "entered_at")}


def job_posting(requests: list[Row], skills: list[Row], world: World) -> list[Row]:
    """Compute feat_job__posting, from the request's own columns and its skills."""
    skill_count: dict[str, int] = defaultdict(int)
    for row in skills:
        skill_count[row["job_id"]] += 1
    rows = []
    for request in requests:
        low, high = request["budget_min_amount"], request["budget_max_amount"]
        budget_log = fixed_log(low if high is None else high)
        deadline_at, requested_at = request["apply_deadline_at"], request["requested_at"]
        local = world.clock.local(requested_at)
        rows.append(
            identity(request)
            | {
                "job_title_char_count": _length(request["title"]),
                "job_description_char_count": _length(request["description"]),
                "job_budget_log": None if budget_log is None else budget_log / 1e6,
                "job_budget_span_log": _span_log(low, high),
                "is_budget_missing": int(low is None and high is None),
                "is_description_missing": int(request["description"] is None),
                "is_deadline_missing": int(deadline_at is None),
                "job_deadline_days": None
                if deadline_at is None
                else days_between(deadline_at, requested_at),
                "job_posted_hour": local.hour,
                "job_posted_weekday": local.isoweekday(),
                "job_skill_count": skill_count[request["job_id"]],
            }
        )
    return rows


def _span_log(low: int | None, high: int | None) -> float | None:
    low_log, high_log = fixed_log(low), fixed_log(high)
    return None if low_log is None or high_log is None else (high_log - low_log) / 1e6


def _length(text: str | None) -> int | None:
    return None if text is None else len(text)


def client_at_request(requests: list[Row], history: list[Row]) -> list[Row]:
    """Compute feat_job__client_at_request, from the newest row of the client available at each request."""
    history_of = by_key(history, "client_id")
    rows = []
    for request in requests:
        requested_at = request["requested_at"]
        known = values_at(history_of.get(request["client_id"], []), requested_at, NO_HISTORY)
        last_at = known.pop("client_last_contracted_at")
        registered_at = known.pop("client_registered_at")
        ages = {
            "client_last_contract_age_days": days_between(requested_at, last_at),
            "client_tenure_days": days_between(requested_at, registered_at),
        }
        rows.append(identity(request) | known | ages)
    return rows


def category_at_request(
    requests: list[Row], prices: list[Row], demand: list[Row], codes: list[Row]
) -> list[Row]:
    """Compute feat_job__category_at_request, from the newest rows of the category available at each request."""
    prices_of, codes_of = by_key(prices, "category_id"), by_key(codes, "category_id")
    demand_of = by_key(demand, "category_id")
    rows = []
    for request in requests:
        category_id, requested_at = request["category_id"], request["requested_at"]
        known = values_at(prices_of.get(category_id, []), requested_at, NO_PRICES)
        code = values_at(codes_of.get(category_id, []), requested_at, NO_CODE)
        offered = values_at(demand_of.get(category_id, []), requested_at, NO_DEMAND)
        rows.append(identity(request) | known | offered | code)
    return rows


def features(*parts: list[Row]) -> list[Row]:
    """Return one row per spine row with the columns of all given tables, whose rows are in the order of the spine."""
    rows = []
    for own in zip(*parts, strict=True):
        row: Row = {}
        for part in own:
            row |= part
        rows.append(row)
    return rows
