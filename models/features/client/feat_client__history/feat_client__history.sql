{{ config(cluster_by=['client_id']) }}

-- One row per client and refresh at which its history changed: the running sum of facts that enter
-- and leave. A run recounts the facts still in their windows, with those that entered before
-- standing at the opening, and keeps what comes after.
with clock as (

    select * from {{ ref('int_mart__clock') }}

),

job_versions as (

    select * from {{ ref('int_job__versions') }}

),

contract_versions as (

    select * from {{ ref('int_contract__versions') }}

),

client_versions as (

    select * from {{ ref('int_client__versions') }}

),

reviews as (

    select * from {{ ref('int_client__reviews') }}

),

bounds as (

    select
        clock.as_of_at,
        {{ opened_at() }} as opened_at
    from clock

),

facts as (

    select
        client_id,
        enters_at,
        {{ leaves_at('superseded_at', 'posted_at', 90) }} as leaves_at,
        1 as posting_count_90d,
        0 as contract_count_365d,
        0 as priced_count_365d,
        0 as price_log_e6_365d,
        0 as contract_count_all,
        0 as cancelled_count_all,
        0 as registered_count,
        0 as registered_at_us,
        0 as review_count_all,
        0 as rating_e6_all,
        cast(null as {{ type_instant() }}) as contracted_at
    from job_versions
    where not is_deleted and {{ is_recent('posted_at', 90) }}
    union all
    select
        client_id,
        enters_at,
        {{ leaves_at('superseded_at', 'contracted_at', 365) }} as leaves_at,
        0 as posting_count_90d,
        1 as contract_count_365d,
        case when price_log_e6 is not null then 1 else 0 end as priced_count_365d,
        coalesce(price_log_e6, 0) as price_log_e6_365d,
        0 as contract_count_all,
        0 as cancelled_count_all,
        0 as registered_count,
        0 as registered_at_us,
        0 as review_count_all,
        0 as rating_e6_all,
        cast(null as {{ type_instant() }}) as contracted_at
    from contract_versions
    where is_counted and {{ is_recent('contracted_at', 365) }}
    union all
    select
        client_id,
        enters_at,
        {{ leaves_at('superseded_at') }} as leaves_at,
        0 as posting_count_90d,
        0 as contract_count_365d,
        0 as priced_count_365d,
        0 as price_log_e6_365d,
        case when is_counted then 1 else 0 end as contract_count_all,
        case when is_cancelled then 1 else 0 end as cancelled_count_all,
        0 as registered_count,
        0 as registered_at_us,
        0 as review_count_all,
        0 as rating_e6_all,
        case when is_counted then contracted_at end as contracted_at
    from contract_versions
    where is_counted or is_cancelled
    union all
    -- A client has one version in force at a time, so that the sum of the versions in force is its
    -- value.
    select
        client_id,
        seen_at as enters_at,
        {{ leaves_at('superseded_at') }} as leaves_at,
        0 as posting_count_90d,
        0 as contract_count_365d,
        0 as priced_count_365d,
        0 as price_log_e6_365d,
        0 as contract_count_all,
        0 as cancelled_count_all,
        1 as registered_count,
        {{ to_epoch_us('registered_at') }} as registered_at_us,
        0 as review_count_all,
        0 as rating_e6_all,
        cast(null as {{ type_instant() }}) as contracted_at
    from client_versions
    where registered_at is not null and not is_deleted
    union all
    select
        client_id,
        enters_at,
        {{ leaves_at('superseded_at') }} as leaves_at,
        0 as posting_count_90d,
        0 as contract_count_365d,
        0 as priced_count_365d,
        0 as price_log_e6_365d,
        0 as contract_count_all,
        0 as cancelled_count_all,
        0 as registered_count,
        0 as registered_at_us,
        1 as review_count_all,
        rating_e6 as rating_e6_all,
        cast(null as {{ type_instant() }}) as contracted_at
    from reviews
    where enters_at is not null

),

-- A client with no fact that enters or leaves after the opening has no row to add.
{%- if is_incremental() %}
moving_clients as (

    select facts.client_id
    from facts
    cross join bounds
    where
        (facts.enters_at > bounds.opened_at and facts.enters_at <= bounds.as_of_at)
        or (facts.leaves_at > bounds.opened_at and facts.leaves_at <= bounds.as_of_at)
    group by facts.client_id

),
{%- endif %}

open_facts as (

    select
        facts.client_id,
        {{ greatest_known('facts.enters_at', 'bounds.opened_at') }} as enters_at,
        case when facts.leaves_at <= bounds.as_of_at then facts.leaves_at end as leaves_at,
        facts.posting_count_90d,
        facts.contract_count_365d,
        facts.priced_count_365d,
        facts.price_log_e6_365d,
        facts.contract_count_all,
        facts.cancelled_count_all,
        facts.registered_count,
        facts.registered_at_us,
        facts.review_count_all,
        facts.rating_e6_all,
        facts.contracted_at
    from facts
    {%- if is_incremental() %}
    inner join moving_clients
        on facts.client_id = moving_clients.client_id
    {%- endif %}
    cross join bounds
    where
        facts.client_id is not null
        and facts.enters_at <= bounds.as_of_at

),

-- A fact that left by the opening now enters after it leaves: not seen. Tested here, not above,
-- where the end of a window would be worked out twice.
moves as (

    select
        client_id,
        enters_at as as_of_at,
        posting_count_90d,
        contract_count_365d,
        priced_count_365d,
        price_log_e6_365d,
        contract_count_all,
        cancelled_count_all,
        registered_count,
        registered_at_us,
        review_count_all,
        rating_e6_all,
        case when leaves_at is null then contracted_at end as kept_contracted_at
    from open_facts
    where leaves_at is null or enters_at < leaves_at
    union all
    select
        client_id,
        leaves_at as as_of_at,
        -posting_count_90d as posting_count_90d,
        -contract_count_365d as contract_count_365d,
        -priced_count_365d as priced_count_365d,
        -price_log_e6_365d as price_log_e6_365d,
        -contract_count_all as contract_count_all,
        -cancelled_count_all as cancelled_count_all,
        -registered_count as registered_count,
        -registered_at_us as registered_at_us,
        -review_count_all as review_count_all,
        -rating_e6_all as rating_e6_all,
        cast(null as {{ type_instant() }}) as kept_contracted_at
    from open_facts
    where enters_at < leaves_at

),

deltas as (

    select
        client_id,
        as_of_at,
        cast(sum(posting_count_90d) as bigint) as posting_count_90d,
        cast(sum(contract_count_365d) as bigint) as contract_count_365d,
        cast(sum(priced_count_365d) as bigint) as priced_count_365d,
        cast(sum(price_log_e6_365d) as bigint) as price_log_e6_365d,
        cast(sum(contract_count_all) as bigint) as contract_count_all,
        cast(sum(cancelled_count_all) as bigint) as cancelled_count_all,
        cast(sum(registered_count) as bigint) as registered_count,
        cast(sum(registered_at_us) as bigint) as registered_at_us,
        cast(sum(review_count_all) as bigint) as review_count_all,
        cast(sum(rating_e6_all) as bigint) as rating_e6_all,
        max(kept_contracted_at) as kept_contracted_at
    from moves
    group by client_id, as_of_at

),

summed as (

    select
        client_id,
        as_of_at,
        cast(sum(posting_count_90d) over running as bigint) as posting_count_90d,
        cast(sum(contract_count_365d) over running as bigint) as contract_count_365d,
        cast(sum(priced_count_365d) over running as bigint) as priced_count_365d,
        cast(sum(price_log_e6_365d) over running as bigint) as price_log_e6_365d,
        cast(sum(contract_count_all) over running as bigint) as contract_count_all,
        cast(sum(cancelled_count_all) over running as bigint) as cancelled_count_all,
        cast(sum(registered_count) over running as bigint) as registered_count,
        cast(sum(registered_at_us) over running as bigint) as registered_at_us,
        cast(sum(review_count_all) over running as bigint) as review_count_all,
        cast(sum(rating_e6_all) over running as bigint) as rating_e6_all,
        max(kept_contracted_at) over running as kept_contracted_at
    from deltas
    window running as (
        partition by client_id
        order by as_of_at asc nulls last rows between unbounded preceding and current row
    )

),

-- A running maximum cannot take back a contract that left, so those that did are looked up for the
-- rows they lived through.
left_contracts as (

    select
        deltas.client_id,
        deltas.as_of_at,
        max(open_facts.contracted_at) as contracted_at
    from deltas
    inner join open_facts
        on
            deltas.client_id = open_facts.client_id
            and deltas.as_of_at >= open_facts.enters_at
            and deltas.as_of_at < open_facts.leaves_at
    where open_facts.contracted_at is not null
    group by deltas.client_id, deltas.as_of_at

),

states as (

    select
        summed.client_id,
        summed.as_of_at,
        summed.posting_count_90d as client_posting_count_90d,
        summed.contract_count_365d as client_contract_count_365d,
        summed.contract_count_all as client_contract_count_all,
        {{ ratio('summed.price_log_e6_365d', 'summed.priced_count_365d * 1000000') }}
            as client_log_price_mean_365d,
        {{ ratio(
            'summed.cancelled_count_all', 'summed.cancelled_count_all + summed.contract_count_all'
        ) }} as client_cancelled_contract_ratio_all,
        {{ greatest_known('summed.kept_contracted_at', 'left_contracts.contracted_at') }}
            as client_last_contracted_at,
        case
            when summed.registered_count > 0 then {{ from_epoch_us('summed.registered_at_us') }}
        end as client_registered_at,
        summed.review_count_all as client_review_count_all,
        {{ ratio('summed.rating_e6_all', 'summed.review_count_all * 1000000') }}
            as client_rating_mean_all
    from summed
    left join left_contracts
        on
            summed.client_id = left_contracts.client_id
            and summed.as_of_at = left_contracts.as_of_at

),

changes as (

    select
        client_id,
        as_of_at,
        client_posting_count_90d,
        client_contract_count_365d,
        client_contract_count_all,
        client_log_price_mean_365d,
        client_cancelled_contract_ratio_all,
        client_last_contracted_at,
        client_registered_at,
        client_review_count_all,
        client_rating_mean_all,
        {{ is_changed(
            counts=[
                'client_posting_count_90d',
                'client_contract_count_365d',
                'client_contract_count_all',
                'client_review_count_all',
            ],
            values=[
                'client_log_price_mean_365d',
                'client_cancelled_contract_ratio_all',
                'client_last_contracted_at',
                'client_registered_at',
                'client_rating_mean_all',
            ],
            partition_by='client_id',
            order_by='as_of_at asc nulls last'
        ) }} as is_changed
    from states

),

final as (

    select
        changes.client_id,
        changes.as_of_at,
        {{ available_at('changes.as_of_at') }} as available_at,
        changes.client_posting_count_90d,
        changes.client_contract_count_365d,
        changes.client_contract_count_all,
        changes.client_log_price_mean_365d,
        changes.client_cancelled_contract_ratio_all,
        changes.client_last_contracted_at,
        changes.client_registered_at,
        changes.client_review_count_all,
        changes.client_rating_mean_all
    from changes
    cross join bounds
    where changes.is_changed and changes.as_of_at > bounds.opened_at

)

select * from final
