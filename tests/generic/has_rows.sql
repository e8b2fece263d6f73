{#- Fails on a relation without rows. -#}
{% test has_rows(model) %}
select tested.row_count
from (select count(*) as row_count from {{ model }}) as tested
where tested.row_count = 0
{% endtest %}
