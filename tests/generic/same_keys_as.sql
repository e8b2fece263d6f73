{#- Fail if the keys of this relation and of another do not match one to one: a row was lost,
    duplicated or invented. -#}
{% test same_keys_as(model, to, key) %}
with counted as (

    select {{ key }}, 1 as here, 0 as there from {{ model }}
    union all
    select {{ key }}, 0 as here, 1 as there from {{ to }}

)

select
    {{ key }},
    sum(here) as row_count_here,
    sum(there) as row_count_there
from counted
group by {{ key }}
having sum(here) <> sum(there)
{% endtest %}
