{{ config(
    materialized='incremental',
    unique_key=['review_id', 'seen_at'],
    cluster_by=['review_id']
) }}

-- One row per review and refresh at which a version of the review was first seen. A run chains the
-- new versions of a review with the versions of the same review in the table, so that the previous
-- newest version gets its superseded_at.
with clock as (

    select * from {{ ref('int_mart__clock') }}

),

reviews as (

    select * from {{ ref('stg_dwh__reviews') }}

),

new_versions as (

    select
        reviews.review_id,
        reviews.contract_id,
        reviews.reviewer_kind,
        reviews.rating,
        reviews.reviewed_at,
        reviews.is_deleted,
        reviews.known_at,
        reviews.loaded_at,
        {{ refresh_at('reviews.known_at') }} as seen_at
    from reviews
    cross join clock
    where reviews.known_at > {{ opened_at('seen_at') }} and reviews.known_at <= clock.as_of_at

),

-- If one refresh is the first to see several versions of a review, keep only the last version: the
-- others were never in force at a refresh.
last_new_versions as (

    select
        review_id,
        contract_id,
        reviewer_kind,
        rating,
        reviewed_at,
        is_deleted,
        seen_at
    from new_versions
    qualify row_number() over (
            partition by review_id, seen_at
            order by known_at desc nulls last, loaded_at desc nulls last
        ) = 1

),

versions as (

    select
        review_id,
        contract_id,
        reviewer_kind,
        rating,
        reviewed_at,
        is_deleted,
        seen_at
    from last_new_versions
    {%- if is_incremental() %}
    union all
    select
        built.review_id,
        built.contract_id,
        built.reviewer_kind,
        built.rating,
        built.reviewed_at,
        built.is_deleted,
        built.seen_at
    from {{ this }} as built
    where built.review_id in (select last_new_versions.review_id from last_new_versions)
    {%- endif %}

),

final as (

    select
        review_id,
        seen_at,
        lead(seen_at) over (partition by review_id order by seen_at asc nulls last)
            as superseded_at,
        {{ enters_at('seen_at', 'reviewed_at') }} as enters_at,
        contract_id,
        reviewer_kind,
        rating,
        reviewed_at,
        is_deleted
    from versions

)

select * from final
