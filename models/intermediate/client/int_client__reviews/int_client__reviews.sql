{{ config(
    materialized='incremental',
    unique_key=['review_id', 'seen_at'],
    cluster_by=['review_id']
) }}

-- One row per counted review version, with the client of the review's contract as known when the
-- review first entered; the client is then frozen. A review enters when both the review and its
-- contract are known. A run processes the reviews that have a new version, whose contract has a new
-- version, or that have not entered yet.
with review_versions as (

    select * from {{ ref('int_review__versions') }}

),

contract_versions as (

    select * from {{ ref('int_contract__versions') }}

),

-- Include the versions that are filtered out below, because such a version still ends the previous
-- version.
touches as (

    select review_versions.review_id
    from review_versions
    where
        review_versions.seen_at > {{ opened_at('seen_at') }}
        or review_versions.enters_at > {{ opened_at('seen_at') }}
    union all
    select review_versions.review_id
    from review_versions
    inner join contract_versions
        on review_versions.contract_id = contract_versions.contract_id
    where contract_versions.seen_at > {{ opened_at('seen_at') }}

),

touched_reviews as (

    select review_id
    from touches
    group by review_id

),

first_seen_contracts as (

    select
        contract_id,
        min(seen_at) as first_seen_at
    from contract_versions
    group by contract_id

),

-- Only reviews by freelancers are about the client; reviews by clients are about the freelancer.
counted_versions as (

    select
        review_versions.review_id,
        review_versions.seen_at,
        review_versions.superseded_at,
        review_versions.contract_id,
        {{ fixed_point('review_versions.rating') }} as rating_e6,
        case
            when first_seen_contracts.first_seen_at is not null
                then
                    {{ greatest_known(
                        'review_versions.enters_at', 'first_seen_contracts.first_seen_at'
                    ) }}
        end as enters_at
    from review_versions
    inner join touched_reviews
        on review_versions.review_id = touched_reviews.review_id
    left join first_seen_contracts
        on review_versions.contract_id = first_seen_contracts.contract_id
    where
        not review_versions.is_deleted
        and review_versions.reviewer_kind = 'freelancer'
        and review_versions.rating between 1 and 5

),

first_entries as (

    select
        review_id,
        seen_at,
        superseded_at,
        contract_id,
        rating_e6,
        enters_at,
        min(case when superseded_at is null or enters_at < superseded_at then enters_at end)
            over (partition by review_id) as first_enters_at
    from counted_versions

),

addressed as (

    {{ pit_join(
        'first_entries', 'contract_versions', 'contract_id', ['client_id'],
        spine_at='first_enters_at', features_at='seen_at'
    ) }}

),

final as (

    select
        review_id,
        seen_at,
        enters_at,
        superseded_at,
        client_id,
        rating_e6
    from addressed

)

select * from final
