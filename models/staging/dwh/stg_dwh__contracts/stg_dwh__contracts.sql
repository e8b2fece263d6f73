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

-- Exact duplicates count once: rows of one key and load time are the same in every column, which is
-- tested on the source.
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

-- The first row of a key, of those that a period of the load clock may hold. One row a key, so
-- exact duplicates need no care; read from `renamed`, so that filters on load time still reach the
-- files.
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

-- Keys first loaded in such a period. One loaded before it was known since then: a row of it
-- within the period is a version like any other.
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
    -- What could be known of it before: what never changes, and the initial state of what does.
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
