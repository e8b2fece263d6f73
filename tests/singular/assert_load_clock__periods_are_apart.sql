{{ config(meta={
    'message': 'seeds/load_clock.csv: two periods of one table overlap, or one ends before it begins',
    'fix': 'change or remove a line, so that a load time is in one period only (columns: table, from, to); a line without a warehouse applies to all'
}) }}

-- One row per pair of overlapping periods of one table and warehouse, and one per empty period. A
-- period without untrusted_from starts with the warehouse.
with load_clock as (

    select * from {{ ref('load_clock') }}

),

periods as (

    select
        load_clock.{{ adapter.quote('table') }} as table_name,
        coalesce(load_clock.warehouse, '') as warehouse,
        load_clock.untrusted_from,
        load_clock.trusted_from,
        row_number() over (
            order by
                load_clock.{{ adapter.quote('table') }} asc nulls last,
                load_clock.trusted_from asc nulls last,
                load_clock.untrusted_from asc nulls last,
                load_clock.warehouse asc nulls last,
                load_clock.assumed_lag_hours asc nulls last
        ) as period_number
    from load_clock

),

later_periods as (

    select
        table_name,
        warehouse,
        untrusted_from,
        trusted_from,
        period_number
    from periods

),

final as (

    select
        periods.table_name,
        later_periods.untrusted_from,
        later_periods.trusted_from
    from periods
    inner join later_periods
        on
            periods.table_name = later_periods.table_name
            and periods.period_number < later_periods.period_number
            and (
                periods.warehouse = later_periods.warehouse
                or periods.warehouse = ''
                or later_periods.warehouse = ''
            )
            and (
                later_periods.untrusted_from is null
                or later_periods.untrusted_from < periods.trusted_from
            )
    union all
    select
        table_name,
        untrusted_from,
        trusted_from
    from periods
    where trusted_from is null or untrusted_from >= trusted_from

)

select * from final
