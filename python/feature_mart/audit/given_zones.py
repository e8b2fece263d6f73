"""Find times of a file that match the mart's requests only if they are read in another zone.

Times in UTC are often written without an offset, and local times with the offset of UTC. Read as written, such rows
would be compared with values of another time of day or another refresh. The result would neither show nor exclude a
leak, so these rows are not judged.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import duckdb

from feature_mart.core.duckdb_files import quoted

_REQUESTS = "mart.main.int_job__requests"
#: Zones with the common UTC offsets and the different rules of summer time. Ties go to the first zone listed.
_ZONES = (
    "UTC", "America/New_York", "Europe/Berlin", "Europe/London", "America/Los_Angeles", "America/Chicago",
    "America/Denver", "America/Phoenix", "America/Halifax", "America/St_Johns", "America/Sao_Paulo",
    "Atlantic/Azores", "Europe/Athens", "Africa/Johannesburg", "Africa/Lagos", "Europe/Istanbul", "Asia/Tehran",
    "Asia/Dubai", "Asia/Kabul", "Asia/Karachi", "Asia/Kolkata", "Asia/Kathmandu", "Asia/Dhaka", "Asia/Yangon",
    "Asia/Bangkok", "Asia/Shanghai", "Asia/Tokyo", "Australia/Adelaide", "Australia/Darwin", "Australia/Brisbane",
    "Australia/Sydney", "Pacific/Noumea", "Pacific/Auckland", "Pacific/Honolulu", "America/Anchorage",
)  # fmt: skip
#: Maximum number of rows sampled to choose a zone.
_TRIED = 20_000
#: Minimum number and minimum share of the sampled rows that a zone must match. The sampled rows match no request as
#: written. Fewer matches may be due to chance.
_FEWEST, _SHARE = 3, 0.05
#: Maximum number of zones found in one file.
_MOST = 3


@dataclass(frozen=True, slots=True)
class Shift:
    """Rows of the temp table ``shifted`` whose times match requests only if read in `zone`.

    `hours` is the most frequent difference between a time read in `zone` and the time as written: positive if the
    written times are early, negative if they are late.
    """

    zone: str
    hours: float


def find_shifts(
    con: duckdb.DuckDBPyConnection, keys: Sequence[str], zone: str
) -> tuple[Shift, ...]:
    """Return a `Shift` for each zone in which times of ``sorted`` match requests, although the times as written do not.

    The result has at most _MOST zones, and is empty if requests lack one of ``keys``. Times without an offset are tried
    in the zones of _ZONES and in ``zone``. A time with an offset is converted to UTC, and its clock time is tried only
    as a local time of ``zone``. The matching rows are written to the temp table ``shifted``, as row number ``n`` and
    zone ``read_in``.
    """
    con.execute("create or replace temp table shifted (n bigint, read_in varchar)")
    has = {row[0] for row in con.execute(f"describe {_REQUESTS}").fetchall()}
    if not set(keys) <= has:
        return ()
    own = ", ".join(f"cast({key} as varchar) as {key}" for key in keys)
    con.execute(
        "create or replace temp table asked_times as "
        f"select distinct {own}, date_trunc('minute', requested_at) as at from {_REQUESTS}"
    )
    same = " and ".join(f"g.{key} = a.{key}" for key in keys)
    # Compare whole minutes, because the file may lack seconds.
    con.execute(
        f"create or replace temp table unfit_times as select g.n, {', '.join(f'g.{key}' for key in keys)}, g.t, "
        f"g.is_local, if(g.is_local, timezone({quoted(zone)}, g.t), timezone('UTC', g.t)) as wall "
        f"from sorted g anti join asked_times a on {same} and date_trunc('minute', g.t) = a.at "
        "where g.t is not null"
    )
    found: list[Shift] = []
    while len(found) < _MOST:
        best = _best_zone(con, same, zone)
        if best is None:
            break
        con.execute(
            f"insert into shifted select g.n, {quoted(best)} from unfit_times g semi join asked_times a on {same} "
            f"and date_trunc('minute', g.wall) = timezone({quoted(best)}, a.at) where {_may_be(best, zone)}"
        )
        row = con.execute(
            f"select mode(epoch(timezone({quoted(best)}, wall)) - epoch(t)) from unfit_times "
            f"where n in (select n from shifted where read_in = {quoted(best)})"
        ).fetchone()
        assert row is not None
        found.append(Shift(best, row[0] / 3600))
        con.execute("delete from unfit_times where n in (select n from shifted)")
    return tuple(found)


def _best_zone(con: duckdb.DuckDBPyConnection, same: str, zone: str) -> str | None:
    """Return the zone in which most of the remaining times match, or None if too few times match in any zone."""
    con.execute(
        f"create or replace temp table tried as from unfit_times order by hash(n) limit {_TRIED}"
    )
    # Limit the requests to the keys tried, because the requests are scanned once for each zone.
    con.execute(
        f"create or replace temp table asked_of_tried as from asked_times a semi join tried g on {same}"
    )
    zones = dict.fromkeys((*_ZONES, zone))
    # Compare local times, not timestamps: an hour that is repeated at the end of summer time has two timestamps.
    fits = " union all ".join(
        f"select {number} as place, {quoted(name)} as name, count(*) as fitting from tried g "
        f"semi join asked_of_tried a on {same} "
        f"and date_trunc('minute', g.wall) = timezone({quoted(name)}, a.at) where {_may_be(name, zone)}"
        for number, name in enumerate(zones)
    )
    row = con.execute(
        f"select name, fitting, (select count(*) from tried) from ({fits}) order by fitting desc, place limit 1"
    ).fetchone()
    assert row is not None
    name, fitting, tried = row
    return str(name) if fitting >= max(min(_FEWEST, tried), _SHARE * tried, 1) else None


def _may_be(name: str, zone: str) -> str:
    """Return the SQL condition for the times to try in zone ``name``.

    All times are tried in the business zone ``zone``, and only times without an offset in other zones.
    """
    return "true" if name == zone else "g.is_local"
