with source as {{ inlined() }} (

    select * from {{ raw_source('proposals') }}

),

renamed as {{ inlined() }} (

    select
        cast(proposal_id as string) as proposal_id,
        cast(job_id as string) as job_id,
        cast(freelancer_id as string) as freelancer_id,
        {{ whole_amount('proposed_price') }} as proposed_price_amount,
        cast(proposed_at as {{ type_instant() }}) as proposed_at,
        {{ raw_is_deleted('proposals') }} as is_deleted,
        {{ raw_loaded_at('proposals') }} as loaded_at
    from source

),

-- Exact duplicates count once. Rows with the same key and load time are the same in every column,
-- which is tested on the source.
deduplicated as (

    select
        proposal_id,
        max(job_id) as job_id,
        max(freelancer_id) as freelancer_id,
        max(proposed_price_amount) as proposed_price_amount,
        max(proposed_at) as proposed_at,
        max(is_deleted) as is_deleted,
        loaded_at
    from renamed
    group by proposal_id, loaded_at

),

-- The first row of each key, if the row may be in a period of the load clock. Only one row per key
-- is kept, so exact duplicates do not matter. The CTE reads `renamed`, so that filters on load time
-- are pushed down to the files.
first_loaded as (

    select
        proposal_id,
        job_id,
        freelancer_id,
        proposed_price_amount,
        proposed_at,
        loaded_at
    from renamed
    where {{ is_before_trusted('proposals') }}
    qualify row_number() over (partition by proposal_id order by loaded_at asc nulls last) = 1

),

untrusted_periods as (

    {{ untrusted_periods('proposals') }}

),

-- Keys that were first loaded in a period of the load clock. A key that was first loaded before the
-- period is known from that load, and the key's rows within the period are ordinary versions.
first_untrusted as (

    select
        first_loaded.proposal_id,
        first_loaded.job_id,
        first_loaded.freelancer_id,
        first_loaded.proposed_price_amount,
        first_loaded.proposed_at,
        first_loaded.loaded_at,
        {{ assumed_known_at('first_loaded.proposed_at', 'untrusted_periods') }} as known_at
    from first_loaded
    inner join untrusted_periods
        on {{ is_untrusted('first_loaded.loaded_at', 'untrusted_periods') }}

),

final as (

    select
        proposal_id,
        job_id,
        freelancer_id,
        proposed_price_amount,
        proposed_at,
        is_deleted,
        loaded_at,
        loaded_at as known_at,
        false as is_known_at_assumed
    from deduplicated
    union all
    -- The initial version has only values that could be known before the load: the values of
    -- columns that never change, and the initial state of other columns.
    select
        proposal_id,
        job_id,
        freelancer_id,
        proposed_price_amount,
        proposed_at,
        false as is_deleted,
        loaded_at,
        known_at,
        true as is_known_at_assumed
    from first_untrusted
    where known_at < loaded_at

)

select * from final
