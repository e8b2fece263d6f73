{{ config(cluster_by=['job_id']) }}

-- One row per spine row: the prices that the job's client paid in the job's category, as available
-- at the request, and the price that client and category alone suggest.
with requests as (

    select * from {{ ref('int_job__requests') }}

),

prices as (

    select * from {{ ref('feat_client_category__prices') }}

),

category as (

    select * from {{ ref('feat_job__category_at_request') }}

),

market as (

    select * from {{ ref('feat_job__market_at_request') }}

),

spine as (

    select
        job_id,
        client_id,
        category_id,
        requested_at,
        entered_at
    from requests
    where entered_at > {{ opened_at('entered_at') }}

),

-- An incremental run reads only the clients of the added spine rows, usually the rows of one day.
own_prices as (

    select
        prices.client_id,
        prices.category_id,
        prices.available_at,
        prices.client_category_contract_count_all,
        prices.client_category_log_price_sum_e6_all
    from prices
    {%- if is_incremental() %}
    where prices.client_id in (select spine.client_id from spine)
    {%- endif %}

),

joined as (

    {{ pit_join('spine', 'own_prices', ['client_id', 'category_id'], [
        'client_category_contract_count_all',
        'client_category_log_price_sum_e6_all',
    ]) }}

),

-- The prior is the mean of the category, or the mean of the market if the category has no mean.
priors as (

    select
        joined.job_id,
        joined.requested_at,
        joined.entered_at,
        coalesce(joined.client_category_contract_count_all, 0) as contract_count,
        coalesce(joined.client_category_log_price_sum_e6_all, 0) as price_log_e6,
        coalesce(
            {{ fixed_point('category.category_log_price_mean_365d') }},
            {{ fixed_point('market.market_log_price_mean_all') }}
        ) as prior_log_e6
    from joined
    left join category
        on joined.job_id = category.job_id and category.entered_at > {{ opened_at('entered_at') }}
    left join market
        on joined.job_id = market.job_id and market.entered_at > {{ opened_at('entered_at') }}

),

final as (

    select
        job_id,
        requested_at,
        entered_at,
        contract_count as client_category_contract_count_all,
        {{ ratio('price_log_e6', 'contract_count * 1000000') }}
            as client_category_log_price_mean_all,
        {{ ratio(
            shrunk_mean(
                'price_log_e6', 'contract_count', 'prior_log_e6', var('term_prior_count')
            ),
            '1000000'
        ) }} as job_expected_price_log
    from priors

)

select * from final
