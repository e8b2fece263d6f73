with source as (

    select * from {{ raw_source('categories') }}

),

renamed as (

    select
        cast(category_id as string) as category_id,
        cast(parent_category_id as string) as parent_category_id,
        cast(name as string) as name,
        {{ raw_is_deleted('categories') }} as is_deleted,
        {{ raw_loaded_at('categories') }} as loaded_at
    from source

),

-- Exact duplicates count once; that a key and load time carry one set of values is tested on the
-- source.
deduplicated as (

    select
        category_id,
        parent_category_id,
        name,
        is_deleted,
        loaded_at
    from renamed
    qualify row_number() over (
            partition by category_id, loaded_at order by parent_category_id asc nulls last
        ) = 1

),

final as (

    select
        category_id,
        parent_category_id,
        name,
        is_deleted,
        loaded_at,
        coalesce(loaded_at, {{ instant('1970-01-01 00:00:00+00') }}) as known_at,
        false as is_known_at_assumed
    from deduplicated

)

select * from final
