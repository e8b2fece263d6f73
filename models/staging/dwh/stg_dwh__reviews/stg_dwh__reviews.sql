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

-- Exact duplicates count once; that a key and load time carry one set of values is tested on the
-- source.
deduplicated as (

    select
        review_id,
        contract_id,
        reviewer_kind,
        rating,
        reviewed_at,
        is_deleted,
        loaded_at
    from renamed
    qualify row_number() over (
            partition by review_id, loaded_at order by contract_id asc nulls last
        ) = 1

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
