{{ config(cluster_by=['job_id']) }}
{%- set history_columns = [
    'client_posting_count_90d',
    'client_contract_count_365d',
    'client_contract_count_all',
    'client_log_price_mean_365d',
    'client_cancelled_contract_ratio_all',
    'client_last_contracted_at',
    'client_registered_at',
    'client_review_count_all',
    'client_rating_mean_all',
] %}

-- One row per spine row: the history of the job's client, as available at the request.
with requests as (

    select * from {{ ref('int_job__requests') }}

),

history as (

    select * from {{ ref('feat_client__history') }}

),

spine as (

    select
        job_id,
        client_id,
        requested_at,
        entered_at
    from requests
    where entered_at > {{ opened_at('entered_at') }}

),

-- An incremental run reads only the clients of the added spine rows, usually the rows of one day.
own_history as (

    select
        history.client_id,
        history.available_at,
        {%- for column in history_columns %}
        history.{{ column }}{{ ',' if not loop.last }}
        {%- endfor %}
    from history
    {%- if is_incremental() %}
    where history.client_id in (select spine.client_id from spine)
    {%- endif %}

),

joined as (

    {{ pit_join('spine', 'own_history', 'client_id', history_columns) }}

),

-- Without an as-of row, counts are 0 and other values stay NULL.
final as (

    select
        job_id,
        requested_at,
        entered_at,
        coalesce(client_posting_count_90d, 0) as client_posting_count_90d,
        coalesce(client_contract_count_365d, 0) as client_contract_count_365d,
        coalesce(client_contract_count_all, 0) as client_contract_count_all,
        client_log_price_mean_365d,
        client_cancelled_contract_ratio_all,
        {{ days_between('client_last_contracted_at', 'requested_at') }}
            as client_last_contract_age_days,
        {{ days_between('client_registered_at', 'requested_at') }} as client_tenure_days,
        coalesce(client_review_count_all, 0) as client_review_count_all,
        client_rating_mean_all
    from joined

)

select * from final
