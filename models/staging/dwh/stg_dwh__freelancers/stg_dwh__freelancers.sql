with source as {{ inlined() }} (

    select * from {{ raw_source('freelancers') }}

),

renamed as {{ inlined() }} (

    select
        cast(freelancer_id as string) as freelancer_id,
        cast(freelancer_kind as string) as freelancer_kind,
        cast(registered_at as {{ type_instant() }}) as registered_at,
        {{ raw_is_deleted('freelancers') }} as is_deleted,
        {{ raw_loaded_at('freelancers') }} as loaded_at
    from source

),

-- Exact duplicates count once. Rows with the same key and load time are the same in every column,
-- which is tested on the source.
deduplicated as (

    select
        freelancer_id,
        max(freelancer_kind) as freelancer_kind,
        max(registered_at) as registered_at,
        max(is_deleted) as is_deleted,
        loaded_at
    from renamed
    group by freelancer_id, loaded_at

),

-- The first row of each key, if the row may be in a period of the load clock. Only one row per key
-- is kept, so exact duplicates do not matter. The CTE reads `renamed`, so that filters on load time
-- are pushed down to the files.
first_loaded as (

    select
        freelancer_id,
        freelancer_kind,
        registered_at,
        loaded_at
    from renamed
    where {{ is_before_trusted('freelancers') }}
    qualify row_number() over (partition by freelancer_id order by loaded_at asc nulls last) = 1

),

untrusted_periods as (

    {{ untrusted_periods('freelancers') }}

),

-- Keys that were first loaded in a period of the load clock. A key that was first loaded before the
-- period is known from that load, and the key's rows within the period are ordinary versions.
first_untrusted as (

    select
        first_loaded.freelancer_id,
        first_loaded.freelancer_kind,
        first_loaded.registered_at,
        first_loaded.loaded_at,
        {{ assumed_known_at('first_loaded.registered_at', 'untrusted_periods') }} as known_at
    from first_loaded
    inner join untrusted_periods
        on {{ is_untrusted('first_loaded.loaded_at', 'untrusted_periods') }}

),

final as (

    select
        freelancer_id,
        freelancer_kind,
        registered_at,
        is_deleted,
        loaded_at,
        loaded_at as known_at,
        false as is_known_at_assumed
    from deduplicated
    union all
    -- The initial version has only values that could be known before the load: the values of
    -- columns that never change, and the initial state of other columns.
    select
        freelancer_id,
        cast(null as string) as freelancer_kind,
        registered_at,
        false as is_deleted,
        loaded_at,
        known_at,
        true as is_known_at_assumed
    from first_untrusted
    where known_at < loaded_at

)

select * from final
