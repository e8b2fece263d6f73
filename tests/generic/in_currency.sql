{#- Fail on rows with another currency than the mart's (dbt var currency). A row without a currency
    passes, because its amounts count as the mart's currency. -#}
{% test in_currency(model, column_name) %}
select tested.*
from {{ model }} as tested
where tested.{{ column_name }} <> {{ text_literal(var('currency')) }}
{% endtest %}
