{%- set sealed_tables = {
    'categories': ['category_id'],
    'clients': ['client_id'],
    'contracts': ['contract_id'],
    'freelancers': ['freelancer_id'],
    'job_skills': ['job_id', 'skill'],
    'jobs': ['job_id'],
    'proposals': ['proposal_id'],
    'reviews': ['review_id'],
} -%}
-- One row per row version of every raw table. Tables without load times have no rows here and are
-- not sealed.
with
{%- for table in sealed_tables %}

{{ table }} as (

    select * from {{ ref('stg_dwh__' ~ table) }}

),
{%- endfor %}

final as (
{% for table, keys in sealed_tables.items() %}
    select
        '{{ table }}' as table_name,
        {%- for key in keys %}
        {{ table }}.{{ key }} as key_{{ loop.index }},
        {%- endfor %}
        {%- if keys | length == 1 %}
        cast(null as string) as key_2,
        {%- endif %}
        {{ table }}.loaded_at,
        {{ table }}.known_at,
        {{ table }}.is_known_at_assumed
    from {{ table }}
    where {{ table }}.loaded_at is not null
    {%- if not loop.last %}
    union all
    {%- endif %}
{%- endfor %}

)

select * from final
