{#- Fails on as-of rows that may be used before the refresh they come from is published. -#}
{% test published(model) %}
{{ config(meta={
    'message': 'a row may be used before its refresh is published',
    'fix': "make available_at by the macro available_at(), or later than that",
    'shows_rows': true,
}) }}
select tested.*
from {{ model }} as tested
where not coalesce(tested.available_at >= {{ available_at('tested.as_of_at') }}, false)
{% endtest %}
