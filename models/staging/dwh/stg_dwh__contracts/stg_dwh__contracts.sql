with source as {{ inlined() }} (

    select * from {{ raw_source('contracts') }}

),

renamed as {{ inlined() }} (

    select
        cast(contract_id as string) as contract_id,
        cast(job_id as string) as job_id,
        cast(client_id as string) as client_id,
        cast(freelancer_id as string) as freelancer_id,
        {{ whole_amount('agreed_price') }} as agreed_price_amount,
        cast(currency as string) as currency,
        cast(contracted_at as {{ type_instant() }}) as contracted_at,
        {{ code_word('status') }} as status,
        {{ raw_is_deleted('contracts') }} as is_deleted,
        {{ raw_loaded_at('contracts') }} as loaded_at
    from source

),

-- Exact duplicates count once. Rows with the same key and load time are the same in every column,
-- which is tested on the source.
deduplicated as (

    select
        contract_id,
        max(job_id) as job_id,
        max(client_id) as client_id,
        max(freelancer_id) as freelancer_id,
        max(agreed_price_amount) as agreed_price_amount,
        max(currency) as currency,
        max(contracted_at) as contracted_at,
        max(status) as status,
        max(is_deleted) as is_deleted,
        loaded_at
    from renamed
    group by contract_id, loaded_at

),

-- The first row of each key, if the row may be in a period of the load clock. Only one row per key
-- is kept, so exact duplicates do not matter. The CTE reads `renamed`, so that filters on load time
-- are pushed down to the files.
first_loaded as (

    select
        contract_id,
        job_id,
        client_id,
        freelancer_id,
        agreed_price_amount,
        currency,
        contracted_at,
        status,
        loaded_at
    from renamed
    where {{ is_before_trusted('contracts') }}
    qualify row_number() over (partition by contract_id order by loaded_at asc nulls last) = 1

),

untrusted_periods as (

    {{ untrusted_periods('contracts') }}

),

-- Keys that were first loaded in a period of the load clock. A key that was first loaded before the
-- period is known from that load, and the key's rows within the period are ordinary versions.
first_untrusted as (

    select
        first_loaded.contract_id,
        first_loaded.job_id,
        first_loaded.client_id,
        first_loaded.freelancer_id,
        first_loaded.agreed_price_amount,
        first_loaded.currency,
        first_loaded.contracted_at,
        first_loaded.status,
        first_loaded.loaded_at,
        {{ assumed_known_at('first_loaded.contracted_at', 'untrusted_periods') }} as known_at
    from first_loaded
    inner join untrusted_periods
        on {{ is_untrusted('first_loaded.loaded_at', 'untrusted_periods') }}

),

final as (

    select
        contract_id,
        job_id,
        client_id,
        freelancer_id,
        agreed_price_amount,
        currency,
        contracted_at,
        status,
        is_deleted,
        loaded_at,
        loaded_at as known_at,
        false as is_known_at_assumed
    from deduplicated
    union all
    -- The initial version has only values that could be known before the load: the values of
    -- columns that never change, and the initial state of other columns.
    select
        contract_id,
        job_id,
        client_id,
        freelancer_id,
        agreed_price_amount,
        currency,
        contracted_at,
        'active' as status,
        false as is_deleted,
        loaded_at,
        known_at,
        true as is_known_at_assumed
    from first_untrusted
    where known_at < loaded_at

)

select * from final
