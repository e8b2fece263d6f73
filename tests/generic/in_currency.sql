{#- Fail on rows of another currency than the mart's (dbt var currency). A row without a currency
    counts as the mart's currency. -#}
{% test in_currency(model, column_name) %}
select tested.*
from {{ model }} as tested
where tested.{{ column_name }} <> {{ text_literal(var('currency')) }}
{% endtest %}
