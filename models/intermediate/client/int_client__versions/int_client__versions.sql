{{ config(
    materialized='incremental',
    unique_key=['client_id', 'seen_at'],
    cluster_by=['client_id']
) }}

-- One row per client and refresh at which a version of the client was first seen. A run chains the
-- new versions of a client with the versions of the same client in the table, so that the previous
-- newest version gets its superseded_at.
with clock as (

    select * from {{ ref('int_mart__clock') }}

),

clients as (

    select * from {{ ref('stg_dwh__clients') }}

),

new_versions as (

    select
        clients.client_id,
        clients.registered_at,
        clients.is_deleted,
        clients.known_at,
        clients.loaded_at,
        {{ refresh_at('clients.known_at') }} as seen_at
    from clients
    cross join clock
    where clients.known_at > {{ opened_at('seen_at') }} and clients.known_at <= clock.as_of_at

),

-- If one refresh is the first to see several versions of a client, keep only the last version: the
-- others were never in force at a refresh.
last_new_versions as (

    select
        client_id,
        registered_at,
        is_deleted,
        seen_at
    from new_versions
    qualify row_number() over (
            partition by client_id, seen_at
            order by known_at desc nulls last, loaded_at desc nulls last
        ) = 1

),

versions as (

    select
        client_id,
        registered_at,
        is_deleted,
        seen_at
    from last_new_versions
    {%- if is_incremental() %}
    union all
    select
        built.client_id,
        built.registered_at,
        built.is_deleted,
        built.seen_at
    from {{ this }} as built
    where built.client_id in (select last_new_versions.client_id from last_new_versions)
    {%- endif %}

),

final as (

    select
        client_id,
        seen_at,
        lead(seen_at) over (partition by client_id order by seen_at asc nulls last)
            as superseded_at,
        registered_at,
        is_deleted
    from versions

)

select * from final
