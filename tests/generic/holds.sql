{#- Fail on rows for which the expression is false or NULL. -#}
{% test holds(model, expression) %}
select tested.*
from {{ model }} as tested
where not coalesce({{ expression }}, false)
{% endtest %}
