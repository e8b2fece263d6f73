{{ config(materialized='incremental') }}

-- One row per (refresh built, raw table): what that refresh knew. A pair of key and load time
-- counts once, from the moment it was known: of a row known by assumption and again by its load,
-- the later one is left out.
with clock as (

    select * from {{ ref('int_mart__clock') }}

),

sealed_rows as (

    select * from {{ ref('int_mart__sealed_rows') }}

),

known_rows as (

    select
        clock.as_of_at,
        sealed_rows.table_name,
        sealed_rows.key_1,
        sealed_rows.key_2,
        sealed_rows.loaded_at,
        sealed_rows.is_known_at_assumed
    from sealed_rows
    cross join clock
    where
        sealed_rows.known_at <= clock.as_of_at
        and (not sealed_rows.is_known_at_assumed or sealed_rows.loaded_at > clock.as_of_at)
        and clock.as_of_at > {{ opened_at() }}

),

final as (

    select
        known_rows.as_of_at,
        known_rows.table_name,
        count(*) as key_count,
        {{ order_free_hash(['known_rows.key_1', 'known_rows.key_2', 'known_rows.loaded_at']) }}
            as keys_hash,
        max(known_rows.loaded_at) as max_loaded_at,
        cast(sum(case when known_rows.is_known_at_assumed then 1 else 0 end) as bigint)
            as assumed_row_count
    from known_rows
    group by known_rows.as_of_at, known_rows.table_name

)

select * from final
