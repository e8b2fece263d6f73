{{ config(cluster_by=['job_id']) }}

-- One row per spine row: the prices of the job's terms, as available at the request. Terms with
-- fewer than three priced contracts are ignored.
with requests as (

    select * from {{ ref('int_job__requests') }}

),

terms as (

    select * from {{ ref('int_job__terms') }}

),

prices as (

    select * from {{ ref('feat_term__prices') }}

),

market as (

    select * from {{ ref('feat_job__market_at_request') }}

),

spine as (

    select
        job_id,
        requested_at,
        entered_at
    from requests
    where entered_at > {{ opened_at('entered_at') }}

),

request_terms as (

    select
        terms.job_id,
        terms.term,
        spine.requested_at
    from terms
    inner join spine
        on terms.job_id = spine.job_id and terms.entered_at > {{ opened_at('entered_at') }}

),

term_counts as (

    select
        job_id,
        count(*) as term_count
    from request_terms
    group by job_id

),

-- An incremental run reads only the terms of the added spine rows, usually the rows of one day.
-- `place` is the position of the term in sort order: ties between terms go to the lowest place.
own_prices as (

    select
        prices.term,
        prices.available_at,
        prices.term_contract_count_all,
        prices.term_log_price_sum_e6_all,
        prices.term_lift_count_all,
        prices.term_lift_sum_e6_all,
        prices.term_lift_square_sum_e6_all,
        dense_rank() over (order by prices.term asc nulls last) as place
    from prices
    {%- if is_incremental() %}
    where prices.term in (select request_terms.term from request_terms)
    {%- endif %}

),

priced_terms as (

    {{ pit_join('request_terms', 'own_prices', 'term', [
        'term_contract_count_all',
        'term_log_price_sum_e6_all',
        'term_lift_count_all',
        'term_lift_sum_e6_all',
        'term_lift_square_sum_e6_all',
        'place',
    ]) }}

),

market_means as (

    select
        market.job_id,
        {{ fixed_point('market.market_log_price_mean_all') }} as price_log_mean_e6
    from market
    inner join spine
        on market.job_id = spine.job_id and market.entered_at > {{ opened_at('entered_at') }}

),

supported_terms as (

    select
        priced_terms.job_id,
        priced_terms.place,
        priced_terms.term_contract_count_all as contract_count,
        priced_terms.term_log_price_sum_e6_all as price_log_e6,
        priced_terms.term_lift_count_all as lift_count,
        priced_terms.term_lift_sum_e6_all as lift_e6,
        market_means.price_log_mean_e6,
        {{ shrunk_mean(
            'priced_terms.term_log_price_sum_e6_all',
            'priced_terms.term_contract_count_all',
            'market_means.price_log_mean_e6',
            var('term_prior_count')
        ) }} as shrunk_price_log_e6,
        {{ shrunk_mean(
            'priced_terms.term_lift_sum_e6_all',
            'priced_terms.term_lift_count_all',
            '0',
            var('lift_prior_count')
        ) }} as shrunk_lift_e6,
        {{ shrunk_variance(
            'priced_terms.term_lift_square_sum_e6_all',
            'priced_terms.term_lift_sum_e6_all',
            'priced_terms.term_lift_count_all',
            '2000000',
            var('lift_prior_count')
        ) }} as lift_variance_e6
    from priced_terms
    inner join market_means
        on priced_terms.job_id = market_means.job_id
    where priced_terms.term_contract_count_all >= 3

),

-- The less the lifts of a term vary, the larger the weight of the term: 1 / (variance + 0.02)².
-- The weight, the variance and 0.02 (20000) are in millionths.
weighed_terms as (

    select
        job_id,
        place,
        contract_count,
        price_log_e6,
        lift_count,
        lift_e6,
        price_log_mean_e6,
        shrunk_price_log_e6,
        shrunk_lift_e6,
        lift_variance_e6,
        {{ fixed_ratio(
            '1000000000000000000',
            '(lift_variance_e6 + 20000) * (lift_variance_e6 + 20000)'
        ) }} as lift_weight
    from supported_terms

),

combined as (

    select
        job_id,
        count(*) as supported_count,
        sum(contract_count) as contract_count,
        sum(price_log_e6) as price_log_e6,
        max(price_log_mean_e6) as price_log_mean_e6,
        sum(shrunk_price_log_e6) as shrunk_price_log_e6,
        min(shrunk_price_log_e6) as least_price_log_e6,
        max(shrunk_price_log_e6) as most_price_log_e6,
        sum(lift_count) as lift_count,
        sum(lift_e6) as lift_e6,
        sum(shrunk_lift_e6) as shrunk_lift_e6,
        min(shrunk_lift_e6) as least_lift_e6,
        max(shrunk_lift_e6) as most_lift_e6,
        sum(lift_weight) as lift_weight,
        sum(lift_weight * shrunk_lift_e6) as weighed_lift_e6,
        min(contract_count) as rarest_contract_count,
        {{ value_of_least('price_log_e6', 'contract_count', 'place') }} as rarest_price_log_e6,
        {{ value_of_least('shrunk_lift_e6', 'contract_count', 'place') }} as rarest_lift_e6,
        min(lift_variance_e6) as surest_variance_e6,
        {{ value_of_least('shrunk_lift_e6', 'lift_variance_e6', 'place') }} as surest_lift_e6
    from weighed_terms
    group by job_id

),

-- Without a supported term, counts are 0 and other values stay NULL.
final as (

    select
        spine.job_id,
        spine.requested_at,
        spine.entered_at,
        coalesce(term_counts.term_count, 0) as job_term_count,
        coalesce(combined.supported_count, 0) as term_supported_count,
        cast(coalesce(combined.contract_count, 0) as bigint) as term_contract_count_all,
        {{ ratio(
            shrunk_mean(
                'combined.price_log_e6', 'combined.contract_count',
                'combined.price_log_mean_e6', var('term_prior_count')
            ),
            '1000000'
        ) }} as term_log_price_weighted_mean_all,
        {{ ratio('combined.shrunk_price_log_e6', 'combined.supported_count * 1000000') }}
            as term_log_price_mean_all,
        {{ ratio('combined.least_price_log_e6', '1000000') }} as term_log_price_min_all,
        {{ ratio('combined.most_price_log_e6', '1000000') }} as term_log_price_max_all,
        combined.rarest_contract_count as term_rarest_contract_count_all,
        {{ ratio(
            fixed_ratio('combined.rarest_price_log_e6', 'combined.rarest_contract_count'), '1000000'
        ) }} as term_rarest_log_price_mean_all,
        {{ ratio('combined.rarest_lift_e6', '1000000') }} as term_rarest_lift_all,
        {{ ratio(
            shrunk_mean('combined.lift_e6', 'combined.lift_count', '0', var('lift_prior_count')),
            '1000000'
        ) }} as term_lift_weighted_mean_all,
        {{ ratio('combined.weighed_lift_e6', 'combined.lift_weight * 1000000') }}
            as term_lift_precise_mean_all,
        {{ ratio('combined.shrunk_lift_e6', 'combined.supported_count * 1000000') }}
            as term_lift_mean_all,
        {{ ratio('combined.least_lift_e6', '1000000') }} as term_lift_min_all,
        {{ ratio('combined.most_lift_e6', '1000000') }} as term_lift_max_all,
        {{ ratio('combined.surest_lift_e6', '1000000') }} as term_surest_lift_all,
        {{ ratio('combined.surest_variance_e6', '1000000') }} as term_surest_lift_variance_all
    from spine
    left join term_counts
        on spine.job_id = term_counts.job_id
    left join combined
        on spine.job_id = combined.job_id

)

select * from final
