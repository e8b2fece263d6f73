-- One row per spine row: the mean log price of the contracts of the title's five rarest supported
-- terms, and the mean over all supported terms, weighted by the inverse of their contract counts,
-- as available at the request.
with requests as (

    select * from {{ ref('int_job__requests') }}

),

terms as (

    select * from {{ ref('int_job__terms') }}

),

prices as (

    select * from {{ ref('feat_term__prices') }}

),

request_terms as (

    select
        terms.job_id,
        terms.term,
        requests.requested_at
    from terms
    inner join requests
        on terms.job_id = requests.job_id

),

priced_terms as (

    {{ pit_join('request_terms', 'prices', 'term', [
        'term_contract_count_all',
        'term_log_price_sum_e6_all',
    ]) }}

),

ranked_terms as (

    select
        job_id,
        term_contract_count_all as contract_count,
        term_log_price_sum_e6_all as price_log_e6,
        row_number() over (
            partition by job_id order by term_contract_count_all asc nulls last, term asc nulls last
        ) as rarity
    from priced_terms
    where term_contract_count_all >= 3

),

-- The weight is the inverse of the contract count, in millionths: a sum of whole numbers does not
-- depend on the order of rows.
weighed_terms as (

    select
        job_id,
        rarity,
        contract_count,
        price_log_e6,
        {{ fixed_ratio('1000000', 'contract_count') }} as weight,
        {{ fixed_ratio('price_log_e6', 'contract_count') }} as mean_e6
    from ranked_terms

),

combined as (

    select
        job_id,
        sum(case when rarity <= 5 then contract_count end) as rarest_contract_count,
        sum(case when rarity <= 5 then price_log_e6 end) as rarest_price_log_e6,
        sum(weight) as weight,
        sum(weight * mean_e6) as weighed_mean_e6
    from weighed_terms
    group by job_id

),

final as (

    select
        requests.job_id,
        {{ ratio('combined.rarest_price_log_e6', 'combined.rarest_contract_count * 1000000') }}
            as term_rarest_five_log_price_mean_all,
        {{ ratio('combined.weighed_mean_e6', 'combined.weight * 1000000') }}
            as term_rarity_weighted_log_price_mean_all
    from requests
    left join combined
        on requests.job_id = combined.job_id

)

select * from final
