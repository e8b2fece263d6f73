-- One row per spine row: the mean log price of the contracts of its five rarest terms, as could be
-- served at the request.
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

rarest_terms as (

    select
        job_id,
        term_contract_count_all,
        term_log_price_sum_e6_all
    from priced_terms
    where term_contract_count_all >= 3
    qualify row_number() over (
            partition by job_id order by term_contract_count_all asc nulls last, term asc nulls last
        ) <= 5

),

final as (

    select
        job_id,
        {{ ratio(
            fixed_ratio('sum(term_log_price_sum_e6_all)', 'sum(term_contract_count_all)'), '1000000'
        ) }} as term_rarest_five_log_price_mean_all
    from rarest_terms
    group by job_id

)

select * from final
