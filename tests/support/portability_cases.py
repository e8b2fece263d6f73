"""List for each rule SQL that BigQuery refuses or interprets differently, and similar SQL that is portable."""

from feature_mart.bigquery.googlesql_values import Table
from house_rules.sent_statements import REFUSED

T = Table(
    {
        "id": "INT64",
        "name": "STRING",
        "seen_at": "TIMESTAMP",
        "price": "FLOAT64",
        "cost": "NUMERIC",
        "is_open": "BOOL",
        "n": "INT64",
        "day": "DATE",
    }
)
#: Maps the full names of the tables that the queries in CASES read to the tables. The queries write `d.t` and `d.u`.
TABLES = {"p.d.t": T, "p.d.u": T}

# Each case is a rule, a query that breaks the rule, and a query that does not. The rule REFUSED is broken by queries
# that GoogleSQL itself refuses.
CASES: list[tuple[str, str, str]] = [
    (
        "outer-join",
        "select t.id from d.t as t left join d.u as u on t.seen_at >= u.seen_at",
        "select t.id from d.t as t left join d.u as u on t.id = u.id and t.seen_at >= u.seen_at",
    ),
    (
        "outer-join",
        "select t.id from d.t as t full join d.u as u on t.id is not distinct from u.id",
        "select t.id from d.t as t inner join d.u as u on t.id is not distinct from u.id",
    ),
    (
        "outer-join",
        "select t.id from d.t as t right join d.u as u on t.id = t.n or t.id = u.id",
        "select t.id from d.t as t right join d.u as u on (u.n + 1 = t.n)",
    ),
    (
        "outer-join",
        "select t.id from d.t as t left join d.u as u on u.id = 7",
        "select t.id from d.t as t cross join d.u as u where t.seen_at >= u.seen_at",
    ),
    (
        "join-subquery",
        "select t.id from d.t as t inner join d.u as u"
        " on t.id = u.id and u.seen_at = (select max(v.seen_at) from d.u as v)",
        "select t.id from d.t as t inner join d.u as u"
        " on t.id = u.id where u.seen_at = (select max(v.seen_at) from d.u as v)",
    ),
    (
        "correlated",
        "select t.id from d.t as t where not exists (select 1 from d.u as u where u.seen_at < t.seen_at)",
        "select t.id from d.t as t"
        " where not exists (select 1 from d.u as u where u.id = t.id and u.seen_at < t.seen_at)",
    ),
    (
        "correlated",
        "select (select max(u.n) from d.u as u where u.seen_at < t.seen_at) as n from d.t as t",
        "select (select max(u.n) from d.u as u where u.id = t.id) as n from d.t as t",
    ),
    (
        "correlated",
        "select (select u.n from d.u as u where u.id = t.id order by u.seen_at limit 1) as n from d.t as t",
        "select (select u.n from d.u as u order by u.seen_at limit 1) as n from d.t as t",
    ),
    (
        "correlated",
        "select (select max(u.n + t.n) from d.u as u where u.id = t.id) as n from d.t as t",
        "select t.id from d.t as t where t.id in (select u.id from d.u as u where u.seen_at < t.seen_at)",
    ),
    (
        "correlated",
        "select t.id from d.t as t where exists (select 1 from"
        " (select u.id, u.seen_at from d.u as u) as v where v.seen_at < t.seen_at)",
        "select t.id from d.t as t where exists (select 1 from"
        " (select u.id, u.seen_at from d.u as u) as v where v.id = t.id)",
    ),
    (
        "frame-nulls",
        "select sum(n) over (partition by id order by seen_at asc nulls last) as n from d.t",
        "select max(n) over (partition by id order by seen_at asc nulls last"
        " rows between unbounded preceding and current row) as n from d.t",
    ),
    (
        "frame-nulls",
        "select max(n) over w as n from d.t window w as (partition by id order by seen_at desc nulls first)",
        "select lag(n) over w as n from d.t window w as (partition by id order by seen_at desc nulls first)",
    ),
    (
        "frame-nulls",
        "select array_agg(n order by seen_at asc nulls last) as ns from d.t",
        "select array_agg(n order by seen_at asc) as ns from d.t",
    ),
    (
        REFUSED,
        "select row_number() over (order by seen_at rows between unbounded preceding and current row) as n"
        " from d.t",
        "select row_number() over (order by seen_at) as n from d.t",
    ),
    (
        REFUSED,
        "select lag(n) over w as n from d.t"
        " window w as (order by seen_at rows between unbounded preceding and current row)",
        "select last_value(n ignore nulls) over w as n from d.t"
        " window w as (order by seen_at rows between unbounded preceding and current row)",
    ),
    (
        REFUSED,
        "select max(n) over (order by seen_at groups between 1 preceding and current row) as n from d.t",
        "select max(n) over (order by seen_at rows between 1 preceding and current row) as n from d.t",
    ),
    (
        REFUSED,
        "select count(distinct n) over (partition by id order by seen_at) as n from d.t",
        "select count(distinct n) over (partition by id) as n from d.t",
    ),
    (
        REFUSED,
        "select max(n) over (order by seen_at range between interval 1 day preceding and current row) as n"
        " from d.t",
        "select max(n) over (order by n range between 86400 preceding and current row) as n from d.t",
    ),
    (
        REFUSED,
        "select max(n) over (order by n, id range between 5 preceding and current row) as n from d.t",
        "select max(n) over (order by n, id range between unbounded preceding and current row) as n"
        " from d.t",
    ),
    ("divisor", "select n / id as r from d.t", "select n / nullif(id, 0) as r from d.t"),
    ("divisor", "select mod(n, id) as r from d.t", "select mod(n, 7) as r from d.t"),
    (
        "divisor",
        "select n / cast(id + 1 as float64) as r from d.t",
        "select n / cast(nullif(id + 1, 0) as float64) + n / 1e6 as r from d.t",
    ),
    ("divisor", "select n / 0 as r from d.t", "select n / (-2) as r from d.t"),
    ("divisor", "select n / nullif(id, 1) as r from d.t", "select n / nullif(id, 0.0) as r from d.t"),
    (REFUSED, "select id as hash from d.t", "select id as `hash`, n as hashes from d.t"),
    (REFUSED, "with rows as (select 1 as a) select a from rows", "select 1 as row_count"),
    (REFUSED, "select id from d.t as groups", "select id from d.t as grouped"),
    (
        REFUSED,
        "select numbers.n from unnest(generate_array(1, 2)) as n",
        "select n from unnest(generate_array(1, 2)) as n",
    ),
    (
        REFUSED,
        "select t.id, v.n from d.t as t cross join (select u.n from d.u as u where u.id = t.id) as v",
        "select t.id, v.n from d.t as t cross join (select u.n from d.u as u where u.id = 1) as v",
    ),
    (REFUSED, "select gone from d.t", "select n as gone from d.t"),
    (REFUSED, "select id from d.elsewhere", "select id from d.u"),
    (
        REFUSED,
        "select n + 1 as more, more * 2 as most from d.t",
        "with a as (select n + 1 as more from d.t) select more, more * 2 as most from a",
    ),
    (
        REFUSED,
        "select n + 1 as more from d.t where more > 2",
        "select n + 1 as more, count(*) as c from d.t group by more having more > 2",
    ),
    (
        REFUSED,
        "select n + 1 as more, row_number() over (order by more) as place from d.t",
        "select id, row_number() over (order by seen_at) as place from d.t qualify place = 1",
    ),
    (
        "group-alias",
        "select lower(name) as name, count(*) as c from d.t group by name",
        "select lower(t.name) as name, count(*) as c from d.t as t group by t.name",
    ),
    (
        "group-alias",
        "select id, max(n) as n from d.t group by id having n > 3",
        "select t.id as id, max(n) as most from d.t as t group by id having max(n) > 3",
    ),
    (
        "row-name",
        "with name as (select id, name from d.t) select name from name",
        "with name as (select id, name from d.t) select name.name from name",
    ),
    (
        "row-name",
        "with n as (select n from d.t) select id, n as most from d.u as u cross join n",
        "with a as (select id from d.t) select a as whole_row from a where (a.id, 1) = (2, a.id)",
    ),
    (REFUSED, "select id, n as id from d.t", "select id, n from d.t"),
    (
        "float-sum",
        "select sum(price) as total from d.t",
        "select cast(sum(cast(round(price * 1e6) as int64)) as int64) as total, max(price) as p from d.t",
    ),
    (
        "float-sum",
        "with a as (select id, n / 7 as r from d.t) select sum(r) over (partition by id) as total from a",
        "with a as (select id, div(n, 7) as r from d.t)"
        " select cast(sum(r) over (partition by id) as int64) as total from a",
    ),
    (
        "float-cast",
        "select cast(price as int64) as p from d.t",
        "select cast(round(price) as int64) as p, cast(cost as int64) as c, cast(is_open as int64) as i"
        " from d.t",
    ),
    (
        "float-cast",
        "select cast(round(price, 2) as int64) as p from d.t",
        "select cast(coalesce(case when n > 0 then ceil(price) end, floor(price)) as int64) as p from d.t",
    ),
    ("number-text", "select cast(price as string) as p from d.t", "select cast(n as string) as p from d.t"),
    ("number-text", "select cast(cost as string) as p from d.t", "select cast(seen_at as string) as p from d.t"),
    ("text-number", "select cast(name as int64) as n from d.t", "select cast(name as timestamp) as n from d.t"),
    (
        REFUSED,
        "select cast(is_open as float64) as p from d.t",
        "select cast(cast(is_open as int64) as float64) as p from d.t",
    ),
    (REFUSED, "select cast(seen_at as int64) as p from d.t", "select unix_micros(seen_at) as p from d.t"),
    (REFUSED, "select cast(n as timestamp) as p from d.t", "select timestamp_micros(n) as p from d.t"),
    (REFUSED, "select id from d.t where name = 1", "select id from d.t where name = '1'"),
    (REFUSED, "select id from d.t where n = '1'", "select id from d.t where n = 1.5e0"),
    (REFUSED, "select id from d.t where is_open = 1", "select id from d.t where is_open = true"),
    (REFUSED, "select id from d.t where seen_at > day", "select id from d.t where seen_at > '2026-01-01'"),
    (REFUSED, "select coalesce(name, n) as x from d.t", "select coalesce(cost, n) as x from d.t"),
    (REFUSED, "select nullif(n, '') as x from d.t", "select nullif(name, '') as x from d.t"),
    (
        REFUSED,
        "select case when n > 0 then is_open else 0 end as x from d.t",
        "select case when n > 0 then is_open else null end as x from d.t",
    ),
    (REFUSED, "select id from d.t where n in (1, 'a')", "select id from d.t where n in (1, 2)"),
    (
        REFUSED,
        "select id from d.t where n in (select name from d.u)",
        "select id from d.t where n in (select id from d.u)",
    ),
    (REFUSED, "select id from d.t where n between '1' and 2", "select id from d.t where n between 1 and 2"),
    (
        REFUSED,
        "select id as x from d.t union all select name as x from d.u",
        "select id as x from d.t union all select null as x from d.u",
    ),
    (
        REFUSED,
        "with a as (select null as x) select x from a union all select name as x from d.u",
        "with a as (select cast(null as string) as x) select x from a union all select name as x from d.u",
    ),
    (
        REFUSED,
        "select sum(is_open) as n from d.t",
        "select cast(sum(case when is_open then 1 else 0 end) as int64) as n from d.t",
    ),
    (REFUSED, "select mod(cast(price as float64), 2) as x from d.t", "select mod(cost, 2) as x from d.t"),
    (
        REFUSED,
        "select max(n) over (partition by price) as n from d.t",
        "select max(n) over (partition by name, cost) as n from d.t",
    ),
    ("decimal-literal", "select id from d.t where n * 0.1 > 1", "select id from d.t where n * 1e-1 > 1"),
    ("decimal-literal", "select id from d.t where 0.5 < n", "select id from d.t where price < 0.5"),
    (REFUSED, "select id from d.t where where", "select id from d.t where n > 1"),
    (REFUSED, "select id, n as id from d.t", "select id, n from d.t"),
    (REFUSED, "select id from d.t where name ilike 'x%'", "select id from d.t where name like 'x%'"),
    (REFUSED, "select count(*) filter (where n > 1) as c from d.t", "select countif(n > 1) as c from d.t"),
    (REFUSED, "select 1_000 as x", "select 1000 as x"),
    (REFUSED, "select id from d.t union select id from d.u", "select id from d.t union distinct select id from d.u"),
    (REFUSED, "select id from d.t except select id from d.u", "select id from d.t except distinct select id from d.u"),
    (
        REFUSED,
        "with a as not materialized (select 1 as x) select x from a",
        "with a as (select 1 as x) select x from a",
    ),
    (REFUSED, "select * exclude (n) from d.t", "select * except (n) from d.t"),
    (REFUSED, "select n::string as x from d.t", "select cast(n as string) as x from d.t"),
    (REFUSED, "select e'x' as x from d.t", "select 'x' as x from d.t"),
    (REFUSED, "select {'a': 1} as x from d.t", "select struct(1 as a) as x from d.t"),
    (REFUSED, "select n // 2 as x from d.t", "select div(n, 2) as x from d.t"),
    (REFUSED, "select n % 2 as x from d.t", "select mod(n, 2) as x from d.t"),
    ("number-text", "select 'a' || price as x from d.t", "select 'a' || n as x from d.t"),
    (
        REFUSED,
        "select t.id from d.t as t semi join d.u as u on t.id = u.id",
        "select t.id from d.t as t inner join d.u as u on t.id = u.id",
    ),
    (REFUSED, "select a.x from d.t as t cross join lateral (select t.n as x) as a", "select 1 as x from d.t"),
    (REFUSED, "select id from d.t where n > all (select n from d.u)", "select id from d.t where n > 1"),
    (REFUSED, "select x from (values (1)) as a (x)", "select x from (select 1 as x) as a"),
    (REFUSED, "select lower(n) as x from d.t", "select lower(name) as x from d.t"),
    (REFUSED, "select id from d.t where max(n) > 1", "select id from d.t group by id having max(n) > 1"),
    (
        REFUSED,
        "select id, name, count(*) as c from d.t group by id",
        "select id, min(name) as name, count(*) as c from d.t group by id",
    ),
    (REFUSED, "select id, n from d.t union all select id from d.u", "select id from d.t union all select id from d.u"),
    (
        REFUSED,
        "select a.s.gone as x from (select struct(n as n) as s from d.t) as a",
        "select a.s.n as x from (select struct(n as n) as s from d.t) as a",
    ),
]  # fmt: skip
