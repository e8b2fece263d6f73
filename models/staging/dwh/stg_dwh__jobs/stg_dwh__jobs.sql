with source as {{ inlined() }} (

    select * from {{ raw_source('jobs') }}

),

renamed as {{ inlined() }} (

    select
        cast(job_id as string) as job_id,
        cast(client_id as string) as client_id,
        cast(category_id as string) as category_id,
        cast(title as string) as title,
        cast(description as string) as description,
        cast(job_type as string) as job_type,
        {{ whole_amount('budget_min') }} as budget_min_amount,
        {{ whole_amount('budget_max') }} as budget_max_amount,
        cast(currency as string) as currency,
        cast(posted_at as {{ type_instant() }}) as posted_at,
        cast(apply_deadline_at as {{ type_instant() }}) as apply_deadline_at,
        {{ code_word('status') }} as status,
        {{ raw_is_deleted('jobs') }} as is_deleted,
        {{ raw_loaded_at('jobs') }} as loaded_at
    from source

),

-- Exact duplicates count once. Rows with the same key and load time are the same in every column,
-- which is tested on the source.
deduplicated as (

    select
        job_id,
        max(client_id) as client_id,
        max(category_id) as category_id,
        max(title) as title,
        max(description) as description,
        max(job_type) as job_type,
        max(budget_min_amount) as budget_min_amount,
        max(budget_max_amount) as budget_max_amount,
        max(currency) as currency,
        max(posted_at) as posted_at,
        max(apply_deadline_at) as apply_deadline_at,
        max(status) as status,
        max(is_deleted) as is_deleted,
        loaded_at
    from renamed
    group by job_id, loaded_at

),

-- The first row of each key, if the row may be in a period of the load clock. Only one row per key
-- is kept, so exact duplicates do not matter. The CTE reads `renamed`, so that filters on load time
-- are pushed down to the files.
first_loaded as (

    select
        job_id,
        client_id,
        category_id,
        title,
        description,
        job_type,
        budget_min_amount,
        budget_max_amount,
        currency,
        posted_at,
        apply_deadline_at,
        status,
        loaded_at
    from renamed
    where {{ is_before_trusted('jobs') }}
    qualify row_number() over (partition by job_id order by loaded_at asc nulls last) = 1

),

untrusted_periods as (

    {{ untrusted_periods('jobs') }}

),

-- Keys that were first loaded in a period of the load clock. A key that was first loaded before the
-- period is known from that load, and the key's rows within the period are ordinary versions.
first_untrusted as (

    select
        first_loaded.job_id,
        first_loaded.client_id,
        first_loaded.category_id,
        first_loaded.title,
        first_loaded.description,
        first_loaded.job_type,
        first_loaded.budget_min_amount,
        first_loaded.budget_max_amount,
        first_loaded.currency,
        first_loaded.posted_at,
        first_loaded.apply_deadline_at,
        first_loaded.status,
        first_loaded.loaded_at,
        {{ assumed_known_at('first_loaded.posted_at', 'untrusted_periods') }} as known_at
    from first_loaded
    inner join untrusted_periods
        on {{ is_untrusted('first_loaded.loaded_at', 'untrusted_periods') }}

),

final as (

    select
        job_id,
        client_id,
        category_id,
        title,
        description,
        job_type,
        budget_min_amount,
        budget_max_amount,
        currency,
        posted_at,
        apply_deadline_at,
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
        job_id,
        client_id,
        category_id,
        title,
        description,
        job_type,
        budget_min_amount,
        budget_max_amount,
        currency,
        posted_at,
        cast(null as {{ type_instant() }}) as apply_deadline_at,
        cast(null as string) as status,
        false as is_deleted,
        loaded_at,
        known_at,
        true as is_known_at_assumed
    from first_untrusted
    where known_at < loaded_at

)

select * from final
