{#- Fail if rows with the same key and load time differ. Exact duplicates pass. -#}
{% test one_version_per_load(model, key) %}
{%- set found = [] -%}
{%- if execute and flags.INTROSPECT -%}
    {%- for column in adapter.get_columns_in_relation(model) -%}
        {%- do found.append(column.name) -%}
    {%- endfor -%}
{%- endif -%}
{%- set load_key = key + (['loaded_at'] if 'loaded_at' in found else []) -%}
with repeated as (

    select {{ load_key | join(', ') }}
    from {{ model }}
    group by {{ load_key | join(', ') }}
    having count(*) > 1

),

versions as (

    select
        {%- for column in found or load_key %}
        rows_at_once.{{ column }}{{ ',' if not loop.last }}
        {%- endfor %}
    from {{ model }} as rows_at_once
    inner join repeated
        on
            {%- for column in load_key %}
            rows_at_once.{{ column }} is not distinct from repeated.{{ column }}
            {{- ' and' if not loop.last }}
            {%- endfor %}
    group by
        {%- for column in found or load_key %}
        rows_at_once.{{ column }}{{ ',' if not loop.last }}
        {%- endfor %}

)

select {{ load_key | join(', ') }}
from versions
group by {{ load_key | join(', ') }}
having count(*) > 1
{% endtest %}
