{#- Fail on values outside the bounds, also on NaN and infinities; NULL passes. -#}
{% test in_range(model, column_name, at_least=none, at_most=none) %}
select tested.{{ column_name }}
from {{ model }} as tested
where
    tested.{{ column_name }} is not null
    and not coalesce(
        {%- if at_least is not none %}
        tested.{{ column_name }} >= {{ at_least }}{{ ' and' if at_most is not none }}
        {%- endif %}
        {%- if at_most is not none %}
        tested.{{ column_name }} <= {{ at_most }}
        {%- endif %}
        , false)
{% endtest %}
