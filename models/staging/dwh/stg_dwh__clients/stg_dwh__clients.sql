with source as {{ inlined() }} (

    select * from {{ raw_source('clients') }}

),

renamed as {{ inlined() }} (

    select
        cast(client_id as string) as client_id,
        cast(client_kind as string) as client_kind,
        {{ raw_column('clients', 'prefecture', 'string') }} as prefecture,
        cast(registered_at as {{ type_instant() }}) as registered_at,
        {{ raw_is_deleted('clients') }} as is_deleted,
        {{ raw_loaded_at('clients') }} as loaded_at
    from source

),

-- Exact duplicates count once: rows of one key and load time are the same in every column, which is
-- tested on the source.
deduplicated as (

    select
        client_id,
        max(client_kind) as client_kind,
        max(prefecture) as prefecture,
        max(registered_at) as registered_at,
        max(is_deleted) as is_deleted,
        loaded_at
    from renamed
    group by client_id, loaded_at

),

-- The first row of a key, of those that a period of the load clock may hold. One row a key, so
-- exact duplicates need no care; read from `renamed`, so that filters on load time still reach the
-- files.
first_loaded as (

    select
        client_id,
        client_kind,
        prefecture,
        registered_at,
        loaded_at
    from renamed
    where {{ is_before_trusted('clients') }}
    qualify row_number() over (partition by client_id order by loaded_at asc nulls last) = 1

),

untrusted_periods as (

    {{ untrusted_periods('clients') }}

),

-- Keys first loaded in such a period. One loaded before it was known since then: a row of it
-- within the period is a version like any other.
first_untrusted as (

    select
        first_loaded.client_id,
        first_loaded.client_kind,
        first_loaded.prefecture,
        first_loaded.registered_at,
        first_loaded.loaded_at,
        {{ assumed_known_at('first_loaded.registered_at', 'untrusted_periods') }} as known_at
    from first_loaded
    inner join untrusted_periods
        on {{ is_untrusted('first_loaded.loaded_at', 'untrusted_periods') }}

),

final as (

    select
        client_id,
        client_kind,
        prefecture,
        registered_at,
        is_deleted,
        loaded_at,
        loaded_at as known_at,
        false as is_known_at_assumed
    from deduplicated
    union all
    -- What could be known of it before: what never changes, and the initial state of what does.
    select
        client_id,
        cast(null as string) as client_kind,
        cast(null as string) as prefecture,
        registered_at,
        false as is_deleted,
        loaded_at,
        known_at,
        true as is_known_at_assumed
    from first_untrusted
    where known_at < loaded_at

)

select * from final
