{{ config(materialized='incremental', unique_key=['client_id', 'seen_at']) }}

-- One row per client and refresh at which a version of it was first seen.
with clock as (

    select * from {{ ref('int_mart__clock') }}

),

clients as (

    select * from {{ ref('stg_dwh__clients') }}

),

changed_clients as (

    select clients.client_id
    from clients
    cross join clock
    where clients.known_at > {{ opened_at('seen_at') }} and clients.known_at <= clock.as_of_at
    group by clients.client_id

),

seen_versions as (

    select
        clients.client_id,
        clients.registered_at,
        clients.is_deleted,
        clients.known_at,
        clients.loaded_at,
        {{ refresh_at('clients.known_at') }} as seen_at
    from clients
    inner join changed_clients
        on clients.client_id = changed_clients.client_id
    cross join clock
    where clients.known_at <= clock.as_of_at

),

-- Of the versions that one refresh first sees, only the last was ever in force at one.
last_seen_versions as (

    select
        client_id,
        registered_at,
        is_deleted,
        seen_at
    from seen_versions
    qualify row_number() over (
            partition by client_id, seen_at
            order by known_at desc nulls last, loaded_at desc nulls last
        ) = 1

),

final as (

    select
        client_id,
        seen_at,
        lead(seen_at)
            over (partition by client_id order by seen_at asc nulls last)
            as superseded_at,
        registered_at,
        is_deleted
    from last_seen_versions

)

select * from final
