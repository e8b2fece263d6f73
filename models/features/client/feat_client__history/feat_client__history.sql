{{ config(cluster_by=['client_id']) }}

-- One row per client and refresh at which the client's history changed.
with postings as (

    select
        client_id,
        enters_at,
        {{ leaves_at('superseded_at', 'posted_at', 90) }} as leaves_at,
        1 as posting_count_90d
    from {{ ref('int_job__versions') }}
    where not is_deleted and {{ is_recent('posted_at', 90) }}

),

contracts_of_a_year as (

    select
        client_id,
        enters_at,
        {{ leaves_at('superseded_at', 'contracted_at', 365) }} as leaves_at,
        1 as contract_count_365d,
        case when price_log_e6 is not null then 1 else 0 end as priced_count_365d,
        price_log_e6 as price_log_e6_365d
    from {{ ref('int_contract__versions') }}
    where is_counted and {{ is_recent('contracted_at', 365) }}

),

contracts as (

    select
        client_id,
        enters_at,
        {{ leaves_at('superseded_at') }} as leaves_at,
        case when is_counted then 1 else 0 end as contract_count_all,
        case when is_cancelled then 1 else 0 end as cancelled_count_all,
        case when is_counted then contracted_at end as last_contracted_at
    from {{ ref('int_contract__versions') }}
    where is_counted or is_cancelled

),

-- A client has one version in force at a time, so the sum over the versions in force is the value
-- of that version.
registrations as (

    select
        client_id,
        seen_at as enters_at,
        {{ leaves_at('superseded_at') }} as leaves_at,
        1 as registered_count,
        {{ to_epoch_us('registered_at') }} as registered_at_us
    from {{ ref('int_client__versions') }}
    where registered_at is not null and not is_deleted

),

reviews as (

    select
        client_id,
        enters_at,
        {{ leaves_at('superseded_at') }} as leaves_at,
        1 as review_count_all,
        rating_e6 as rating_e6_all
    from {{ ref('int_client__reviews') }}

),

{{ running_sums('client_id', {
    'postings': ['posting_count_90d'],
    'contracts_of_a_year': ['contract_count_365d', 'priced_count_365d', 'price_log_e6_365d'],
    'contracts': ['contract_count_all', 'cancelled_count_all', 'last_contracted_at'],
    'registrations': ['registered_count', 'registered_at_us'],
    'reviews': ['review_count_all', 'rating_e6_all'],
}, latest=['last_contracted_at']) }},

states as (

    select
        client_id,
        as_of_at,
        posting_count_90d as client_posting_count_90d,
        contract_count_365d as client_contract_count_365d,
        contract_count_all as client_contract_count_all,
        {{ ratio('price_log_e6_365d', 'priced_count_365d * 1000000') }}
            as client_log_price_mean_365d,
        {{ ratio('cancelled_count_all', 'cancelled_count_all + contract_count_all') }}
            as client_cancelled_contract_ratio_all,
        last_contracted_at as client_last_contracted_at,
        case when registered_count > 0 then {{ from_epoch_us('registered_at_us') }} end
            as client_registered_at,
        review_count_all as client_review_count_all,
        {{ ratio('rating_e6_all', 'review_count_all * 1000000') }} as client_rating_mean_all
    from running_sums

),

{{ changed_rows('client_id', [
    'client_posting_count_90d', 'client_contract_count_365d', 'client_contract_count_all',
    'client_log_price_mean_365d', 'client_cancelled_contract_ratio_all',
    'client_last_contracted_at', 'client_registered_at', 'client_review_count_all',
    'client_rating_mean_all',
], 'states') }}

select * from final
