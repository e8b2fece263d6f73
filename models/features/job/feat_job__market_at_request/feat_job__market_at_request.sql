{{ config(cluster_by=['job_id']) }}

-- One row per spine row: the whole market as available at the request, and flags for windows that
-- begin before the data. The flags are computed at the time of the request, because an as-of row
-- stays until the next change and would have an outdated flag.
{%- set windows = {'client': 365, 'category': 365, 'job_type': 365, 'demand': 90} %}
with requests as (

    select * from {{ ref('int_job__requests') }}

),

prices as (

    select * from {{ ref('feat_market__prices') }}

),

spine as (

    select
        job_id,
        requested_at,
        entered_at,
        {{ text_literal(var('currency')) }} as market_id
    from requests
    where entered_at > {{ opened_at('entered_at') }}

),

joined as (

    {{ pit_join('spine', 'prices', 'market_id', [
        'market_contract_count_all',
        'market_log_price_mean_all',
        'market_first_event_at',
    ]) }}

),

dated as (

    select
        job_id,
        requested_at,
        entered_at,
        market_contract_count_all,
        market_log_price_mean_all,
        {% if var('history_start') -%}
        {{ instant(var('history_start')) }} as history_start_at
        {%- else -%}
        market_first_event_at as history_start_at
        {%- endif %}
    from joined

),

-- Without an as-of row, counts are 0 and every window is short.
final as (

    select
        job_id,
        requested_at,
        entered_at,
        coalesce(market_contract_count_all, 0) as market_contract_count_all,
        market_log_price_mean_all
        {%- for group, days in windows.items() %},
        cast(
            case
                when {{ add_hours('requested_at', -24 * days) }} >= history_start_at then 0
                else 1
            end
            as bigint
        ) as is_{{ group }}_window_short
        {%- endfor %}
    from dated

)

select * from final
