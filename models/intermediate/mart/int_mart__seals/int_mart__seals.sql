{{ config(materialized='incremental') }}

-- One row per built refresh and raw table: the count and hash of the rows known at the refresh. A
-- pair of key and load time counts once, from the refresh that first knew the pair: by its assumed
-- version until the row was loaded, and by the loaded row from then on. A run adds the rows loaded
-- since the previous seal. A test reads all older rows and checks that they are unchanged.
with clock as (

    select * from {{ ref('int_mart__clock') }}

),

sealed_rows as {{ inlined() }} (

    select * from {{ ref('int_mart__sealed_rows') }}

),

changes as (

    select
        sealed_rows.table_name,
        {{ row_hash(['sealed_rows.key_1', 'sealed_rows.key_2', 'sealed_rows.loaded_at']) }}
            as row_hash,
        1 as key_count,
        sealed_rows.loaded_at as max_loaded_at,
        case when sealed_rows.is_known_at_assumed then 1 else 0 end as assumed_row_count
    from sealed_rows
    cross join clock
    where
        sealed_rows.loaded_at > {{ opened_at() }}
        and sealed_rows.known_at <= clock.as_of_at
        and (not sealed_rows.is_known_at_assumed or sealed_rows.loaded_at > clock.as_of_at)
    {%- if is_incremental() %}
    union all
    -- Subtract the rows that were counted at the watermark because they were known by assumption:
    -- the first select counts these rows again.
    select
        sealed_rows.table_name,
        {{ row_hash(['sealed_rows.key_1', 'sealed_rows.key_2', 'sealed_rows.loaded_at']) }}
            as row_hash,
        -1 as key_count,
        {{ instant('1970-01-01 00:00:00+00') }} as max_loaded_at,
        -1 as assumed_row_count
    from sealed_rows
    where
        sealed_rows.loaded_at > {{ opened_at() }}
        and sealed_rows.known_at <= {{ opened_at() }}
        and sealed_rows.is_known_at_assumed
    union all
    select
        seals_before.table_name,
        -- allow text-number: digits written by hash_to_text(), and read by its inverse
        {{ hash_from_text('seals_before.keys_hash') }} as row_hash,
        seals_before.key_count,
        seals_before.max_loaded_at,
        seals_before.assumed_row_count
    from {{ this }} as seals_before
    where seals_before.as_of_at = {{ opened_at() }}
    {%- endif %}

),

final as (

    select
        clock.as_of_at,
        changes.table_name,
        cast(sum(changes.key_count) as bigint) as key_count,
        {{ hash_to_text('bit_xor(changes.row_hash)') }} as keys_hash,
        max(changes.max_loaded_at) as max_loaded_at,
        cast(sum(changes.assumed_row_count) as bigint) as assumed_row_count
    from changes
    cross join clock
    where clock.as_of_at > {{ opened_at() }}
    group by clock.as_of_at, changes.table_name

)

select * from final
