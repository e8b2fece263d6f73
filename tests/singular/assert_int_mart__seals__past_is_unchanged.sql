{{ config(meta={
    'message': 'the raw rows that an earlier refresh knew have changed: a row was added with an old load time, or removed',
    'fix': 'find the cause (columns: raw table, refresh, keys sealed, keys found now), then rebuild with --full-refresh'
}) }}

-- One row per raw table and sealed refresh whose raw rows have changed; the earliest rebuild_from
-- of a table is the refresh to rebuild from. The seals of the two newest refreshes are checked, and
-- all seals of a table if one of these two fails.
with seals as (

    select * from {{ ref('int_mart__seals') }}

),

sealed_rows as (

    select * from {{ ref('int_mart__sealed_rows') }}

),

sealed_refreshes as (

    select
        as_of_at,
        row_number() over (order by as_of_at desc nulls last) as age
    from seals
    group by as_of_at

),

table_names as (

    select table_name from seals
    group by table_name

),

-- A table that was empty at a refresh has no seal for the refresh.
newest_seals as (

    select
        sealed_refreshes.as_of_at,
        table_names.table_name,
        coalesce(seals.key_count, 0) as key_count,
        coalesce(seals.keys_hash, '') as keys_hash
    from sealed_refreshes
    cross join table_names
    left join seals
        on
            sealed_refreshes.as_of_at = seals.as_of_at
            and table_names.table_name = seals.table_name
    where sealed_refreshes.age <= 2

),

newest_found as (

    select
        newest_seals.as_of_at,
        newest_seals.table_name,
        count(*) as key_count,
        {{ order_free_hash(['sealed_rows.key_1', 'sealed_rows.key_2', 'sealed_rows.loaded_at']) }}
            as keys_hash
    from newest_seals
    inner join sealed_rows
        on
            newest_seals.table_name = sealed_rows.table_name
            and sealed_rows.known_at <= newest_seals.as_of_at
            and (
                not sealed_rows.is_known_at_assumed or sealed_rows.loaded_at > newest_seals.as_of_at
            )
    group by newest_seals.as_of_at, newest_seals.table_name

),

changed_tables as (

    select newest_seals.table_name
    from newest_seals
    left join newest_found
        on
            newest_seals.as_of_at = newest_found.as_of_at
            and newest_seals.table_name = newest_found.table_name
    where
        newest_seals.key_count <> coalesce(newest_found.key_count, 0)
        or newest_seals.keys_hash <> coalesce(newest_found.keys_hash, '')
    group by newest_seals.table_name

),

suspect_seals as (

    select
        sealed_refreshes.as_of_at,
        changed_tables.table_name,
        coalesce(seals.key_count, 0) as key_count,
        coalesce(seals.keys_hash, '') as keys_hash
    from sealed_refreshes
    cross join changed_tables
    left join seals
        on
            sealed_refreshes.as_of_at = seals.as_of_at
            and changed_tables.table_name = seals.table_name

),

suspect_found as (

    select
        suspect_seals.as_of_at,
        suspect_seals.table_name,
        count(*) as key_count,
        {{ order_free_hash(['sealed_rows.key_1', 'sealed_rows.key_2', 'sealed_rows.loaded_at']) }}
            as keys_hash
    from suspect_seals
    inner join sealed_rows
        on
            suspect_seals.table_name = sealed_rows.table_name
            and sealed_rows.known_at <= suspect_seals.as_of_at
            and (
                not sealed_rows.is_known_at_assumed
                or sealed_rows.loaded_at > suspect_seals.as_of_at
            )
    group by suspect_seals.as_of_at, suspect_seals.table_name

),

final as (

    select
        suspect_seals.table_name,
        suspect_seals.as_of_at as rebuild_from,
        suspect_seals.key_count as sealed_key_count,
        coalesce(suspect_found.key_count, 0) as found_key_count
    from suspect_seals
    left join suspect_found
        on
            suspect_seals.as_of_at = suspect_found.as_of_at
            and suspect_seals.table_name = suspect_found.table_name
    where
        suspect_seals.key_count <> coalesce(suspect_found.key_count, 0)
        or suspect_seals.keys_hash <> coalesce(suspect_found.keys_hash, '')

)

select * from final
