{{ config(cluster_by=['client_id', 'category_id']) }}
{%- set sums = ['client_category_contract_count_all', 'client_category_log_price_sum_e6_all'] -%}

-- One row per client and category, and refresh at which the prices of the client's contracts in the
-- category changed.
with priced_contracts as (

    select
        client_id,
        category_id,
        enters_at,
        {{ leaves_at('superseded_at') }} as leaves_at,
        1 as client_category_contract_count_all,
        price_log_e6 as client_category_log_price_sum_e6_all
    from {{ ref('int_contract__facts') }}
    where price_log_e6 is not null

),

{{ running_sums(['client_id', 'category_id'], {'priced_contracts': sums}) }},

{{ changed_rows(['client_id', 'category_id'], sums) }}

select * from final
