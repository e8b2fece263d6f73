{#- Warn if more than half of the hours in the column are at night, from 22:00 to 06:00, because the
    business time zone may be wrong. A relation of fewer than 100 rows passes. -#}
{% test by_day(model, column_name) %}
{{ config(severity='warn', meta={
    'message': 'most postings are at night, from 22:00 to 06:00 in ' ~ var('business_timezone'),
    'fix': 'check dbt var business_timezone; if it is wrong, set it and build with --full-refresh',
}) }}
select
    count(*) as row_count,
    sum(case when {{ column_name }} >= 22 or {{ column_name }} < 6 then 1 else 0 end) as night_count
from {{ model }}
having
    count(*) >= 100
    and 2 * sum(case when {{ column_name }} >= 22 or {{ column_name }} < 6 then 1 else 0 end)
    > count(*)
{% endtest %}
