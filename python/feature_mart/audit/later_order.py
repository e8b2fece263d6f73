"""Find columns that are ordered like a feature's later values without being copies of the values.

Such a column may be rounded, rescaled or a logarithm. The mart does not contain such values, so the values cannot be
compared one by one, but their order can. On rows whose feature changed after the row's time, the column is ordered like
either the right values or the later ones.
"""

from __future__ import annotations

from dataclasses import dataclass

import duckdb

from feature_mart.audit.values import Versions, is_same, scaled

#: Offsets in days of the later values with which a column is compared; None is the newest value.
_AHEAD = (1, 7, 30, 90, None)
#: Maximum number of rows ranked.
_MOST = 50_000
#: Minimum number of changed rows for a rank correlation.
_FEWEST = 20
#: Minimum rank correlation with later values at which a column is suspected. In addition, 1 - correlation with the
#: right values must be more than _TIMES times as large as 1 - correlation with the later values.
_LEAST = 0.8
_TIMES = 2


@dataclass(frozen=True, slots=True)
class Order:
    """Absolute rank correlations of a column with a feature, over the rows whose feature changed later.

    Attributes:
        days: the offset of the later values; None is the newest value.
        rows: the number of rows ranked.
        later: correlation with the later values.
        now: correlation with the right values.
    """

    days: int | None
    rows: int
    later: float
    now: float


def find_order(con: duckdb.DuckDBPyConnection, found: Versions, kind: str) -> Order | None:
    """Return the strongest suspicious rank correlation of the column in ``compared`` with later values of the feature.

    Return None if there is no such correlation or the feature is a text.
    """
    if kind == "text":
        return None
    con.execute(
        "create or replace temp table ordered as select e, t, s, right_s from compared "
        f"where s is not null and e is not null order by hash(n) limit {_MOST}"
    )
    best: Order | None = None
    for days in _AHEAD:
        order = _order(con, found, kind, days)
        if order is not None and (best is None or order.later > best.later):
            best = order
    return best


def _order(
    con: duckdb.DuckDBPyConnection, found: Versions, kind: str, days: int | None
) -> Order | None:
    value = f"case when v.value is null then {found.empty} else v.value end"
    row = con.execute(
        f"with moved as (select o.s, o.right_s, {scaled(value, kind)} as later_s from "
        f"(select *, t + to_days({100_000 if days is None else days}) as later_at from ordered) o "
        "asof left join feature_versions v on o.e = v.e and o.later_at >= v.available_at), "
        "changed as (select s, right_s, later_s from moved where right_s is not null and later_s is not null "
        f"and not {is_same('later_s', 'right_s')}), "
        f"ranked as (select {_rank('s')} as s, {_rank('right_s')} as right_s, {_rank('later_s')} as later_s "
        "from changed) select count(*), abs(corr(s, later_s)), abs(corr(s, right_s)) from ranked"
    ).fetchone()
    assert row is not None
    rows, later, now = row
    if rows < _FEWEST or later is None or later != later or later < _LEAST:
        return None
    now = 0.0 if now is None or now != now else now
    return Order(days, rows, later, now) if 1 - now > _TIMES * (1 - later) else None


def _rank(name: str) -> str:
    """Return SQL for the rank of a column's value, up to a constant. Equal values get the mean of their ranks."""
    return f"rank() over (order by {name}) + (count(*) over (partition by {name})) / 2.0"
