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

-- Exact duplicates count once. Rows with the same key and load time are the same in every column,
-- which is tested on the source.
deduplicated as (

    select
        category_id,
        max(parent_category_id) as parent_category_id,
        max(name) as name,
        max(is_deleted) as is_deleted,
        loaded_at
    from renamed
    group by category_id, loaded_at

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
