{{ config(cluster_by=['job_id']) }}

-- One row per spine row: the prices of the job's skills, as available at the request. Skills with
-- fewer than three priced contracts are ignored.
with requests as (

    select * from {{ ref('int_job__requests') }}

),

skills as (

    select * from {{ ref('int_job__skills') }}

),

prices as (

    select * from {{ ref('feat_skill__prices') }}

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

request_skills as (

    select
        skills.job_id,
        skills.skill,
        spine.requested_at
    from skills
    inner join spine
        on skills.job_id = spine.job_id and skills.entered_at > {{ opened_at('entered_at') }}

),

-- An incremental run reads only the skills of the added spine rows, usually the rows of one day.
-- `place` is the position of the skill in sort order: ties between skills go to the lowest place.
own_prices as (

    select
        prices.skill,
        prices.available_at,
        prices.skill_contract_count_all,
        prices.skill_log_price_sum_e6_all,
        prices.skill_lift_count_all,
        prices.skill_lift_sum_e6_all,
        prices.skill_lift_square_sum_e6_all,
        dense_rank() over (order by prices.skill asc nulls last) as place
    from prices
    {%- if is_incremental() %}
    where prices.skill in (select request_skills.skill from request_skills)
    {%- endif %}

),

priced_skills as (

    {{ pit_join('request_skills', 'own_prices', 'skill', [
        'skill_contract_count_all',
        'skill_log_price_sum_e6_all',
        'skill_lift_count_all',
        'skill_lift_sum_e6_all',
        'skill_lift_square_sum_e6_all',
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

supported_skills as (

    select
        priced_skills.job_id,
        priced_skills.place,
        priced_skills.skill_contract_count_all as contract_count,
        priced_skills.skill_log_price_sum_e6_all as price_log_e6,
        priced_skills.skill_lift_count_all as lift_count,
        priced_skills.skill_lift_sum_e6_all as lift_e6,
        market_means.price_log_mean_e6,
        {{ shrunk_mean(
            'priced_skills.skill_log_price_sum_e6_all',
            'priced_skills.skill_contract_count_all',
            'market_means.price_log_mean_e6',
            var('term_prior_count')
        ) }} as shrunk_price_log_e6,
        {{ shrunk_mean(
            'priced_skills.skill_lift_sum_e6_all',
            'priced_skills.skill_lift_count_all',
            '0',
            var('lift_prior_count')
        ) }} as shrunk_lift_e6,
        {{ shrunk_variance(
            'priced_skills.skill_lift_square_sum_e6_all',
            'priced_skills.skill_lift_sum_e6_all',
            'priced_skills.skill_lift_count_all',
            '2000000',
            var('lift_prior_count')
        ) }} as lift_variance_e6
    from priced_skills
    inner join market_means
        on priced_skills.job_id = market_means.job_id
    where priced_skills.skill_contract_count_all >= 3

),

-- The less the lifts of a skill vary, the larger the weight of the skill: 1 / (variance + 0.02)².
-- The weight, the variance and 0.02 (20000) are in millionths.
weighed_skills as (

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
    from supported_skills

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
    from weighed_skills
    group by job_id

),

-- Without a supported skill, counts are 0 and other values stay NULL.
final as (

    select
        spine.job_id,
        spine.requested_at,
        spine.entered_at,
        coalesce(combined.supported_count, 0) as skill_supported_count,
        cast(coalesce(combined.contract_count, 0) as bigint) as skill_contract_count_all,
        {{ ratio(
            shrunk_mean(
                'combined.price_log_e6', 'combined.contract_count',
                'combined.price_log_mean_e6', var('term_prior_count')
            ),
            '1000000'
        ) }} as skill_log_price_weighted_mean_all,
        {{ ratio('combined.shrunk_price_log_e6', 'combined.supported_count * 1000000') }}
            as skill_log_price_mean_all,
        {{ ratio('combined.least_price_log_e6', '1000000') }} as skill_log_price_min_all,
        {{ ratio('combined.most_price_log_e6', '1000000') }} as skill_log_price_max_all,
        combined.rarest_contract_count as skill_rarest_contract_count_all,
        {{ ratio(
            fixed_ratio('combined.rarest_price_log_e6', 'combined.rarest_contract_count'), '1000000'
        ) }} as skill_rarest_log_price_mean_all,
        {{ ratio('combined.rarest_lift_e6', '1000000') }} as skill_rarest_lift_all,
        {{ ratio(
            shrunk_mean('combined.lift_e6', 'combined.lift_count', '0', var('lift_prior_count')),
            '1000000'
        ) }} as skill_lift_weighted_mean_all,
        {{ ratio('combined.weighed_lift_e6', 'combined.lift_weight * 1000000') }}
            as skill_lift_precise_mean_all,
        {{ ratio('combined.shrunk_lift_e6', 'combined.supported_count * 1000000') }}
            as skill_lift_mean_all,
        {{ ratio('combined.least_lift_e6', '1000000') }} as skill_lift_min_all,
        {{ ratio('combined.most_lift_e6', '1000000') }} as skill_lift_max_all,
        {{ ratio('combined.surest_lift_e6', '1000000') }} as skill_surest_lift_all,
        {{ ratio('combined.surest_variance_e6', '1000000') }} as skill_surest_lift_variance_all
    from spine
    left join combined
        on spine.job_id = combined.job_id

)

select * from final
