{#- Fail on as-of rows whose available_at is NULL or earlier than as_of_at plus the publish lag. -#}
{% test published(model) %}
{{ config(meta={
    'message': 'a row may be used before its refresh is published',
    'fix': "compute available_at with the macro available_at(), or use a later time",
    'shows_rows': true,
}) }}
select tested.*
from {{ model }} as tested
where not coalesce(tested.available_at >= {{ available_at('tested.as_of_at') }}, false)
{% endtest %}
