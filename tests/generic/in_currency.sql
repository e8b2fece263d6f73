{#- Fail on rows of another currency than the mart's (dbt var currency); NULL counts as the mart's.
    -#}
{% test in_currency(model, column_name) %}
select tested.*
from {{ model }} as tested
where tested.{{ column_name }} <> {{ text_literal(var('currency')) }}
{% endtest %}
