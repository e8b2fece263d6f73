with source as (

    select * from {{ raw_source('reviews') }}

),

renamed as (

    select
        cast(review_id as string) as review_id,
        cast(contract_id as string) as contract_id,
        {{ code_word('reviewer_kind') }} as reviewer_kind,
        cast(rating as {{ type_double() }}) as rating,
        cast(reviewed_at as {{ type_instant() }}) as reviewed_at,
        {{ raw_is_deleted('reviews') }} as is_deleted,
        {{ raw_loaded_at('reviews') }} as loaded_at
    from source

),

-- Exact duplicates count once. Rows with the same key and load time are the same in every column,
-- which is tested on the source.
deduplicated as (

    select
        review_id,
        max(contract_id) as contract_id,
        max(reviewer_kind) as reviewer_kind,
        max(rating) as rating,
        max(reviewed_at) as reviewed_at,
        max(is_deleted) as is_deleted,
        loaded_at
    from renamed
    group by review_id, loaded_at

),

final as (

    select
        review_id,
        contract_id,
        reviewer_kind,
        rating,
        reviewed_at,
        is_deleted,
        loaded_at,
        loaded_at as known_at,
        false as is_known_at_assumed
    from deduplicated

)

select * from final
